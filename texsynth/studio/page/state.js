/**
 * What the page knows: one object that all its modules share.
 *
 * A module reads with `get`, changes with `set` and listens with `on`; nothing else is global. What lies in a layer or
 * in another object is changed in place, and told by setting the object again: `studio.set({layers})`.
 */

/** @returns {Object} the state of a page on which nothing has been done */
export function beginning() {
  return {
    client: crypto.getRandomValues(new Uint32Array(3)).join("-"), // this tab
    definitions: null, // what can be asked for; comes when the solver is ready
    folder: null, // what `folder` answers
    solver: "starting", // or "ready", "restarted"
    mode: "texture", // or "repair", "edit"
    way: "mask", // of edit: or "remove", "retarget", "reshuffle"
    exemplar: null, // a Source
    crop: null, // [x, y, width, height]
    quad: null, // eight numbers, while a photograph is straightened
    layers: new Map(), // role -> Layer
    activeLayer: null, // a role
    palette: [], // "#rrggbb" of the labels
    hidden: [], // roles of layers that are not shown
    drawing: false, // is a pointer down on a layer?
    tool: { brush: "round", erase: false, size: 32, hardness: 0.6, value: 255, colour: 1 }, // of the palette
    undoable: [0, 0], // how much can be undone, and done again
    size: { width: 512, height: 512 }, // of the canvas
    options: {}, // of the form, by the names of Option
    settings: {}, // of the preset
    seed: 0,
    extend: [0, 0, 0, 0], // left, top, right, bottom
    tileable: "", // or "x", "y", "xy"
    band: null, // pixels, or null for the verb's own
    automatic: true, // is the final picture made when the hand rests?
    sending: null, // the share of a file that has been sent, in [0, 1]
    run: null, // {run, kind, state, done, left, ...}: the draft or final that was asked for last
    result: null, // {run, key, shown, width, height, level, maps, final, seconds, hasField}
    asked: "", // the key of what is asked for, which the result has too unless something has changed since
    previous: null, // what the result is compared with: the final picture before the last change
    picked: null, // {exemplar, x, y, copy, at: {x, y}}: where the pixel `at` of the result was copied from
    shownMap: "", // of the result: its picture, or the name of a map, or "lit"
    seeds: [], // {seed, run, shown, state}
    message: null, // {kind: "note" | "error", text}
  };
}

/** The shared object. */
export class Studio {
  #values;
  #listeners = [];
  #changed = new Set();
  #telling = false;

  /** @param {Object} values what is different from the beginning */
  constructor(values = {}) {
    this.#values = { ...beginning(), ...values };
  }

  /** @param {string} name @returns {*} */
  get(name) {
    if (!(name in this.#values)) throw new Error(`the state has no ${name}`);
    return this.#values[name];
  }

  /** @returns {Object} all values, as they are now */
  all() {
    return { ...this.#values };
  }

  /**
   * Change values, and tell those who listen. Objects always count as changed, plain values where they differ.
   * @param {Object} values
   */
  set(values) {
    for (const [name, value] of Object.entries(values)) {
      const before = this.get(name);
      if (before === value && (value === null || typeof value !== "object")) continue;
      this.#values[name] = value;
      this.#changed.add(name);
    }
    if (!this.#telling) this.#tell();
  }

  /**
   * Call `listener` after each `set` that changes one of `names`, with the set of all names that changed.
   * @param {string[]} names @param {(changed: Set<string>) => void} listener
   */
  on(names, listener) {
    names.forEach((name) => this.get(name));
    this.#listeners.push([names, listener]);
  }

  /** Tell of changes until there are none; what listeners change is told in the next round. */
  #tell() {
    this.#telling = true;
    try {
      while (this.#changed.size) {
        const changed = this.#changed;
        this.#changed = new Set();
        for (const [names, listener] of this.#listeners) {
          if (names.some((name) => changed.has(name))) call(listener, changed);
        }
      }
    } finally {
      this.#telling = false;
    }
  }
}

/** A listener that fails keeps no other from hearing; the browser's log says what is wrong. */
function call(listener, changed) {
  try {
    listener(changed);
  } catch (error) {
    reportError(error);
  }
}

/** @param {Studio} studio @param {string} text @param {"note"|"error"} kind */
export function tell(studio, text, kind = "note") {
  studio.set({ message: { kind, text } });
}
