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

const shared = new Map(); // address -> {picture: what is or will be decoded, users: how many hold it}

/** A picture that may be shown in several places, but is fetched and decoded once. */
function take(path) {
  if (!shared.has(path)) shared.set(path, { picture: decoded(path), users: 0 });
  const entry = shared.get(path);
  entry.users += 1;
  return entry.picture;
}

/** Free a picture that was taken, unless it is shown elsewhere. */
function release(path) {
  const entry = shared.get(path);
  entry.users -= 1;
  if (entry.users) return;
  shared.delete(path);
  entry.picture.then((picture) => picture?.close());
}

/** The decoded pictures that are at hand in one place, by their addresses; loaded by one call at a time. */
export class Pictures {
  #held = new Map();

  /** Decode what is not held yet. @param {string[]} paths */
  async load(paths) {
    const missing = [...new Set(paths)].filter((path) => !this.#held.has(path));
    const pictures = await Promise.all(missing.map(take));
    missing.forEach((path, i) => (pictures[i] ? this.#held.set(path, pictures[i]) : release(path)));
  }

  /** @param {string|undefined} path @returns {ImageBitmap|null} */
  get(path) {
    return this.#held.get(path) ?? null;
  }

  /** Free all others at once, not when the browser gets to it. @param {string[]} paths */
  keep(paths) {
    for (const path of this.#held.keys()) {
      if (paths.includes(path)) continue;
      release(path);
      this.#held.delete(path);
    }
  }
}
