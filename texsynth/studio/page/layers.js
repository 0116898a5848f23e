/**
 * What is painted: layers of two planes of bytes. `ink` says what was painted (a grey, the number of a label, or a
 * direction), `cover` how much of it is there (0 to 255). Both together make the picture that is shown over the canvas,
 * and the PNG that a verb reads.
 */
import { MOST_LABELS, READERS, levels } from "./reading.js";
import { dense, encoded, hue } from "./strokes.js";

const COPIED = {
  role: "source_mask", label: "Copy only from", side: "exemplar", kind: "mask", tint: [40, 170, 90],
  help: "Only what is painted is copied.",
};

/**
 * The layers of each mode: `role` as the sheet calls their file, `side` the pane in which they are painted, `kind` what
 * their ink means. `base` is the ink where nothing is painted, `value` that of the brush at first; both are greys.
 */
export const LAYERS = {
  texture: [
    { role: "progression", label: "Progression", side: "canvas", kind: "grey", base: 0, value: 255,
      help: "How far along its change the texture is: white is one end, black and all that is not painted the other." },
    { role: "labels", label: "Labels", side: "canvas", kind: "labels",
      help: "Which part of the exemplar goes where. Paint the same colours on the exemplar first." },
    { role: "orientation", label: "Direction", side: "canvas", kind: "strokes",
      help: "Strokes say in which direction the texture runs; it flows on between them." },
    { role: "guide_weight_map", label: "Weight", side: "canvas", kind: "grey", base: 255, value: 0,
      help: "How strongly guides hold: in full where it is white, not at all where it is black." },
    { role: "progression_source", label: "Progression", side: "exemplar", kind: "grey", base: 0, value: 255,
      help: "How far along the exemplar is. Without it, it is estimated." },
    { role: "labels_source", label: "Labels", side: "exemplar", kind: "labels",
      help: "Which part of the exemplar is what." },
    COPIED,
  ],
  repair: [
    { role: "mask", label: "Hole", side: "canvas", kind: "mask", tint: [235, 50, 60],
      help: "What is painted is filled; all other pixels stay as they are." },
    COPIED,
  ],
  edit: [
    { role: "remove", way: "remove", label: "Remove", side: "canvas", kind: "mask", tint: [235, 50, 60],
      help: "What is painted goes, and its surroundings close up." },
    { role: "mask", way: "mask", label: "Object", side: "canvas", kind: "mask", tint: [240, 150, 20],
      help: "Where the object is now. Paint too where it shall be." },
    { role: "target_mask", way: "mask", label: "Where it shall be", side: "canvas", kind: "mask", tint: [50, 110, 240],
      help: "The shape and place that the object shall have." },
    COPIED,
  ],
};

/** The first colours of labels: far enough apart for every reader. The first one is what is not painted. */
export const PALETTE = ["#4c5a68", "#e0a03c", "#3f9b4f", "#c8463c", "#4a7fd0", "#8b5bb5", "#e7dfc8", "#2bb3b1"];

const SOURCE_SHARE = 0.002, TARGET_SHARE = 0.0005; // of the pixels, from which on a colour is a label there
const HALF = 128;
const OPAQUE = 0xff000000, WHITE = 0xffffffff, GREY = 0x010101; // as words of a picture: alpha, blue, green, red
const OPACITY = { grey: 0.8, labels: 0.6, mask: 0.55, strokes: 0.3 }; // at first, over the picture below

/** A layer. It begins empty. */
export class Layer {
  /**
   * @param {object} row of LAYERS
   * @param {number} width
   * @param {number} height
   * @param {() => string[]} palette the colours of labels
   */
  constructor(row, width, height, palette) {
    Object.assign(this, row, { palette, version: 0, id: null, opacity: OPACITY[row.kind] });
    this.listeners = [];
    this.canvas = document.createElement("canvas");
    this.#allocate(width, height, new Uint8Array(width * height), new Uint8Array(width * height));
    this.origin = this.#planes();
    this.empty = this.isClear = true; // isClear: is nothing to be seen, not even of a stroke that is not complete?
  }

  /** Calls a function with the rectangle [left, top, right, bottom] that is to be shown anew. */
  onShown(listener) {
    this.listeners.push(listener);
  }

  get whole() {
    return { left: 0, top: 0, width: this.width, height: this.height };
  }

  /** A copy of both planes, for `keep` of history.js. */
  copy() {
    return { ink: this.ink.slice(), cover: this.cover.slice() };
  }

  /** Show a rectangle whose planes have changed; `edited` follows when the change is complete. */
  show(rect = this.whole) {
    const { left, top, width, height } = rect;
    this.coarse = null;
    this.isClear = false;
    if (width <= 0 || height <= 0) return;
    const pixels = this.context.createImageData(width, height);
    const colours = this.#colours();
    const out = new Uint32Array(pixels.data.buffer);
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0, at = (top + y) * this.width + left; x < width; x++, i++, at++) {
        out[i] = colours[this.ink[at]] | (this.cover[at] << 24);
      }
    }
    this.context.putImageData(pixels, left, top);
    for (const listener of this.listeners) listener([left, top, left + width, top + height]);
  }

  /** A change of the planes is complete: what was uploaded holds no longer. */
  edited(rect = this.whole) {
    this.version++;
    this.id = null;
    this.empty = !isPainted(this.cover);
    this.origin = this.#planes();
    this.field = null;
    this.show(rect);
    this.isClear = this.empty;
  }

  /** Colours of the palette have changed. */
  recoloured() {
    if (this.kind !== "labels") return;
    this.version++;
    this.id = null;
    this.show();
  }

  clear() {
    this.ink.fill(0);
    this.cover.fill(0);
    this.edited();
  }

  /** Paint all of it with one ink. */
  fill(ink) {
    this.ink.fill(ink);
    this.cover.fill(255);
    this.edited();
  }

  /** What is marked is not, and what is not is. */
  invert() {
    for (let i = 0; i < this.cover.length; i++) this.cover[i] = this.cover[i] >= HALF ? 0 : 255;
    this.edited();
  }

  /** The same content at another size, made from what was painted last so that sizes in between leave no trace. */
  resize(width, height) {
    if (width === this.width && height === this.height) return;
    const from = this.origin;
    const planes = ["ink", "cover"].map((name) => resampled(from, name, width, height, this.kind === "grey"));
    this.#allocate(width, height, ...planes);
    this.version++;
    this.id = null;
    this.field = null;
    this.show();
    this.isClear = this.empty;
  }

  /** The directions of all pixels, of a layer of strokes: {width, height, x, y}, made once for each content. */
  directions() {
    this.field ??= dense(this, 1);
    return this.field;
  }

  /** The same for squares of pixels, for what is seen while strokes are painted. */
  coarseDirections() {
    this.coarse ??= dense(this, 2 ** Math.max(0, Math.floor(Math.log2(Math.max(this.width, this.height) / 128))));
    return this.coarse;
  }

  /** The PNG that the verbs read. @returns {Promise<Blob>} */
  blob() {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: this.width, height: this.height });
    const context = canvas.getContext("2d", { alpha: false });
    const pixels = context.createImageData(this.width, this.height);
    this.#write(pixels.data);
    context.putImageData(pixels, 0, 0);
    return new Promise((resolve, reject) => {
      const refuse = () => reject(new Error(`${this.label}: no picture can be made of it`));
      canvas.toBlob((blob) => (blob ? resolve(blob) : refuse()), "image/png");
    });
  }

  /** Paint a picture, stretched to the layer: smoothly where greys are painted, else by the nearest pixel. */
  load(picture) {
    const smooth = this.kind === "grey";
    const canvas = new OffscreenCanvas(this.width, this.height);
    const context = canvas.getContext("2d");
    Object.assign(context, { imageSmoothingEnabled: smooth, imageSmoothingQuality: "high" });
    context.drawImage(picture, 0, 0, this.width, this.height);
    const { data } = context.getImageData(0, 0, this.width, this.height);
    READERS[this.kind](this, data);
    this.edited();
  }

  #planes() {
    return { width: this.width, height: this.height, ink: this.ink, cover: this.cover };
  }

  #allocate(width, height, ink, cover) {
    Object.assign(this, { width, height, ink, cover });
    Object.assign(this.canvas, { width, height });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  /** What each ink is shown as: bytes blue, green, red from above, without alpha. */
  #colours() {
    const table = new Uint32Array(256);
    for (let ink = 0; ink < 256; ink++) {
      const [red, green, blue] = this.#colour(ink);
      table[ink] = red | (green << 8) | (blue << 16);
    }
    return table;
  }

  #colour(ink) {
    if (this.kind === "grey") return [ink, ink, ink];
    if (this.kind === "mask") return this.tint;
    if (this.kind === "strokes") return hue(ink);
    return levels(this.palette()[ink] ?? this.palette()[0]);
  }

  /** The pixels (RGBA) of the layer's file. */
  #write(data) {
    if (this.kind === "strokes") return encoded(this.directions(), data);
    const out = new Uint32Array(data.buffer);
    const { ink, cover, kind, base } = this;
    const colours = kind === "labels" ? this.#colours() : null;
    for (let i = 0; i < out.length; i++) {
      if (colours) out[i] = OPAQUE | colours[cover[i] >= HALF ? ink[i] : 0];
      else if (kind === "mask") out[i] = cover[i] >= HALF ? WHITE : OPAQUE;
      else out[i] = OPAQUE | (GREY * Math.round(base + ((ink[i] - base) * cover[i]) / 255));
    }
    return data;
  }
}

/**
 * What hinders a run with the layers as they are, in one sentence for the user; "" for nothing.
 * @param {import("./state.js").Studio} studio
 */
export function trouble(studio) {
  const layers = studio.get("layers");
  const [target, source] = [layers.get("labels"), layers.get("labels_source")];
  if (target && !target.empty) {
    const has = shares(source), wants = shares(target);
    if (has.filter((share) => share >= SOURCE_SHARE).length < 2) {
      return "Labels: paint them on the exemplar too, at least two colours.";
    }
    const missing = wants.findIndex((share, ink) => share >= TARGET_SHARE && has[ink] < SOURCE_SHARE);
    if (missing === 0) return "Labels: what is not painted has colour 1, which the exemplar lacks; paint it there too.";
    if (missing > 0) return `Labels: paint colour ${missing + 1} on the exemplar too, and enough of it.`;
  }
  return "";
}

/** The share of the pixels that each label has. */
function shares(layer) {
  const counts = new Array(MOST_LABELS).fill(0);
  for (let i = 0; i < layer.ink.length; i++) counts[layer.cover[i] >= HALF ? layer.ink[i] : 0]++;
  return counts.map((count) => count / layer.ink.length);
}

function isPainted(cover) {
  const whole = cover.byteLength & ~3;
  const words = new Uint32Array(cover.buffer, 0, whole / 4);
  return words.some((word) => word !== 0) || cover.subarray(whole).some((byte) => byte !== 0);
}

/** A plane of other planes at another size: the nearest pixel, or smoothly where `smooth`. */
function resampled(from, name, width, height, smooth) {
  const out = new Uint8Array(width * height);
  const plane = from[name];
  const [across, down] = [from.width / width, from.height / height];
  for (let y = 0, i = 0; y < height; y++) {
    const v = Math.max(0, Math.min(from.height - 1, (y + 0.5) * down - 0.5));
    for (let x = 0; x < width; x++, i++) {
      const u = Math.max(0, Math.min(from.width - 1, (x + 0.5) * across - 0.5));
      if (smooth) out[i] = between(plane, from.width, from.height, u, v);
      else out[i] = plane[Math.round(v) * from.width + Math.round(u)];
    }
  }
  return out;
}

function between(plane, width, height, u, v) {
  const [left, top] = [Math.floor(u), Math.floor(v)];
  const [right, bottom] = [Math.min(width - 1, left + 1), Math.min(height - 1, top + 1)];
  const mix = (a, b, share) => a + (b - a) * share;
  const above = mix(plane[top * width + left], plane[top * width + right], u - left);
  return mix(above, mix(plane[bottom * width + left], plane[bottom * width + right], u - left), v - top) + 0.5;
}
