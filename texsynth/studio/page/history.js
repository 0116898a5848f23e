/**
 * Undo and redo. An entry knows how to exchange what is there with what it keeps, so that the same entry undoes and
 * redoes; it keeps one copy of the part of a layer that a stroke has changed. The oldest go when they take too much.
 */
import { takesText } from "./dom.js";

const MOST_BYTES = 64 * 2 ** 20;

/**
 * @typedef {object} Entry
 * @property {number} bytes that it keeps
 * @property {() => void} swap exchanges what is there and what it keeps
 */

/** What was done, and what was undone. */
export class History {
  /**
   * @param {() => void} changed called after each change of what can be undone
   * @param {number} most bytes
   */
  constructor(changed = () => {}, most = MOST_BYTES) {
    Object.assign(this, { changed, most, done: [], undone: [], bytes: 0 });
  }

  /** Remember what was just done. @param {Entry} entry */
  push(entry) {
    for (const lost of this.undone.splice(0)) this.bytes -= lost.bytes;
    this.done.push(entry);
    this.bytes += entry.bytes;
    while (this.bytes > this.most && this.done.length > 1) this.bytes -= this.done.shift().bytes;
    this.changed();
  }

  /** Forget all. */
  clear() {
    Object.assign(this, { done: [], undone: [], bytes: 0 });
    this.changed();
  }

  /** Undo the last one. @returns {boolean} was there one? */
  undo() {
    return this.#exchange(this.done, this.undone);
  }

  /** Do the last one that was undone again. @returns {boolean} was there one? */
  redo() {
    return this.#exchange(this.undone, this.done);
  }

  #exchange(from, to) {
    const entry = from.pop();
    if (!entry) return false;
    entry.swap();
    to.push(entry);
    this.changed();
    return true;
  }
}

/**
 * Remember a change of a layer that was just made, of which a rectangle is kept as it was before. To undo it shows the
 * mode in which it was made.
 * @param {import("./state.js").Studio} studio
 * @param {import("./layers.js").Layer} layer
 * @param {{left: number, top: number, width: number, height: number}} rect
 * @param {{ink: Uint8Array, cover: Uint8Array}} before the whole planes of the layer before the change
 */
export function keep(studio, layer, rect, before) {
  const mode = studio.get("mode");
  const size = [layer.width, layer.height];
  const kept = { ink: cut(before.ink, size[0], rect), cover: cut(before.cover, size[0], rect) };
  const swap = () => {
    studio.set({ mode });
    const now = [layer.width, layer.height];
    layer.resize(...size);
    for (const name of ["ink", "cover"]) {
      const present = cut(layer[name], size[0], rect);
      paste(layer[name], size[0], rect, kept[name]);
      kept[name] = present;
    }
    layer.edited(rect);
    layer.resize(...now);
    touched(studio);
  };
  historyOf(studio).push({ bytes: 2 * rect.width * rect.height, swap });
}

function cut(plane, stride, { left, top, width, height }) {
  const part = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const start = (top + y) * stride + left;
    part.set(plane.subarray(start, start + width), y * width);
  }
  return part;
}

function paste(plane, stride, { left, top, width, height }, part) {
  for (let y = 0; y < height; y++) plane.set(part.subarray(y * width, (y + 1) * width), (top + y) * stride + left);
}

/**
 * Change all of a layer so that it can be undone.
 * @param {import("./state.js").Studio} studio
 * @param {import("./layers.js").Layer} layer
 * @param {() => void} change
 */
export function remember(studio, layer, change) {
  const before = layer.copy();
  change();
  keep(studio, layer, layer.whole, before);
  touched(studio);
}

/** Tell that layers have changed, and that no stroke is at work. */
export function touched(studio) {
  studio.set({ drawing: false, layers: studio.get("layers") });
}

const histories = new WeakMap();

/** @param {import("./state.js").Studio} studio @returns {History} */
export function historyOf(studio) {
  return histories.get(studio);
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  const history = new History(() => studio.set({ undoable: [history.done.length, history.undone.length] }));
  histories.set(studio, history);
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || takesText(event.target)) return;
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (studio.get("drawing")) return;
    if (key === "y" || event.shiftKey) history.redo();
    else history.undo();
  });
}
