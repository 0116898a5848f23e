/**
 * The layers of all modes: each mode has its own, which stay while another is at work. Those of a picture end with it;
 * what is painted on the canvas of a texture stays, whatever it is made of.
 */
import { LAYERS, Layer, PALETTE } from "./layers.js";
import { historyOf, remember } from "./history.js";
import { paletteOf } from "./reading.js";

// Pixels of a layer, at most: larger pictures have smaller layers, which the verbs stretch. Directions are smooth.
const LONGEST = 4096, LONGEST_FIELD = 1024;
const BRUSH_SHARE = 1 / 16; // of the shorter side, that a brush has at first
const FIRST = { repair: "mask", remove: "remove", mask: "mask" }; // what is painted at first, by mode or way to edit

const stacks = new WeakMap();

/** @param {import("./state.js").Studio} studio @returns {Stack} */
export function stackOf(studio) {
  return stacks.get(studio);
}

/** The rows of LAYERS that the mode, and the way to edit, has. */
export function rowsOf(studio) {
  const [mode, way] = [studio.get("mode"), studio.get("way")];
  return LAYERS[mode].filter((row) => !row.way || row.way === way);
}

/** All layers, by their mode and role. */
class Stack {
  /** @param {import("./state.js").Studio} studio */
  constructor(studio) {
    Object.assign(this, { studio, layers: new Map(), exemplar: null });
  }

  /** Give the state the layers of its mode, of the sizes that they need. */
  refresh() {
    const { studio } = this;
    const [mode, exemplar] = [studio.get("mode"), studio.get("exemplar")];
    if (exemplar !== this.exemplar) this.#leave(exemplar);
    const layers = new Map();
    for (const row of LAYERS[mode]) {
      const frame = isFree(mode, row) ? studio.get("size") : exemplar;
      if (!frame) continue;
      const key = `${mode} ${row.role}`;
      const longest = row.kind === "strokes" ? LONGEST_FIELD : LONGEST;
      const scale = Math.min(1, longest / Math.max(frame.width, frame.height));
      const size = [frame.width, frame.height].map((side) => Math.max(1, Math.round(side * scale)));
      const layer = this.layers.get(key) ?? new Layer(row, ...size, () => studio.get("palette"));
      layer.resize(...size);
      this.layers.set(key, layer);
      layers.set(row.role, layer);
    }
    studio.set({ layers, activeLayer: this.#active(layers) });
  }

  /**
   * Let a change put another picture in the place of the exemplar so that it can be undone, with its layers.
   * @param {() => void} change
   */
  exchange(change) {
    const { studio } = this;
    const names = ["exemplar", "crop", "quad", "size", "extend", "tileable", "band"];
    const present = () => ({
      layers: new Map(this.layers), values: Object.fromEntries(names.map((name) => [name, studio.get(name)])),
    });
    let kept = present();
    this.keeping = true;
    change();
    this.keeping = false;
    const swap = () => {
      const now = present();
      Object.assign(this, { layers: kept.layers, exemplar: kept.values.exemplar });
      studio.set(kept.values);
      kept = now;
    };
    const bytes = [...kept.layers.values()].reduce((sum, layer) => sum + 2 * layer.ink.length, 0);
    historyOf(studio).push({ bytes, swap });
  }

  /** Another exemplar has come: what was painted on the one before is no more. */
  #leave(exemplar) {
    this.exemplar = exemplar;
    for (const [mode, rows] of Object.entries(LAYERS)) {
      for (const row of rows) if (!isFree(mode, row)) this.layers.delete(`${mode} ${row.role}`);
    }
    if (this.keeping) return;
    historyOf(this.studio).clear();
    const [tool, size] = [this.studio.get("tool"), this.studio.get("size")];
    this.studio.set({ tool: { ...tool, size: Math.ceil(Math.min(size.width, size.height) * BRUSH_SHARE) } });
  }

  /** The layer that is painted: the one that was, if it is still there, else the first one that the mode needs. */
  #active(layers) {
    const { studio } = this;
    const role = studio.get("activeLayer");
    const isThere = layers.has(role) && rowsOf(studio).some((row) => row.role === role);
    const first = FIRST[studio.get("mode") === "edit" ? studio.get("way") : studio.get("mode")];
    return isThere ? role : layers.has(first) ? first : null;
  }
}

/** Is a layer that of a canvas with a size of its own? */
function isFree(mode, row) {
  return mode === "texture" && row.side === "canvas";
}

/**
 * Take a picture into a layer, so that it can be undone; labels bring their colours with them.
 * @param {import("./state.js").Studio} studio
 * @param {Layer} layer
 * @param {ImageBitmap} picture
 */
export function importInto(studio, layer, picture) {
  if (layer.kind === "labels") {
    const isFresh = ["labels", "labels_source"].every((role) => studio.get("layers").get(role)?.empty ?? true);
    studio.set({ palette: paletteOf(picture, studio.get("palette"), isFresh) });
  }
  remember(studio, layer, () => layer.load(picture));
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  const stack = new Stack(studio);
  stacks.set(studio, stack);
  studio.set({ palette: PALETTE });
  studio.on(["mode", "way", "exemplar", "size"], () => stack.refresh());
  studio.on(["palette"], () => {
    for (const layer of stack.layers.values()) layer.recoloured();
  });
  stack.refresh();
}
