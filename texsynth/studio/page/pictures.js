/**
 * Pictures of the server, decoded: nothing is shown before all of it is there, and nothing is held that is not shown.
 */

/**
 * A function that does `work` anew whenever it is called, but never twice at once: all calls that come meanwhile are
 * answered by doing it once more.
 * @param {() => Promise<void>} work
 */
export function newest(work) {
  let wanted = false, busy = false;
  return async () => {
    wanted = true;
    if (busy) return;
    busy = true;
    try {
      while (wanted) {
        wanted = false;
        await work();
      }
    } finally {
      busy = false;
    }
  };
}

/** @param {string} path @returns {Promise<ImageBitmap|null>} null where the server has it no longer */
async function decoded(path) {
  try {
    const response = await fetch(path);
    return response.ok ? await createImageBitmap(await response.blob()) : null;
  } catch {
    return null; // the server has ended, or begins anew: what is shown stays
  }
}

/** The decoded pictures that are at hand, by their addresses. */
export class Pictures {
  #held = new Map();

  /** Decode what is not held yet. @param {string[]} paths */
  async load(paths) {
    const missing = [...new Set(paths)].filter((path) => !this.#held.has(path));
    const pictures = await Promise.all(missing.map(decoded));
    missing.forEach((path, i) => pictures[i] && this.#held.set(path, pictures[i]));
  }

  /** @param {string|undefined} path @returns {ImageBitmap|null} */
  get(path) {
    return this.#held.get(path) ?? null;
  }

  /** Free all others at once, not when the browser gets to it. @param {string[]} paths */
  keep(paths) {
    for (const [path, picture] of this.#held) {
      if (paths.includes(path)) continue;
      picture.close();
      this.#held.delete(path);
    }
  }
}
