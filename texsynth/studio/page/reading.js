/**
 * Pictures that are taken into layers: what their pixels mean, read as the verbs read them.
 */
import { inkOf } from "./strokes.js";

export const MOST_LABELS = 64;
const ALIKE = 40; // levels: colours nearer than this are one label to the verbs, see guidance/labels.py
const LEAST_SHARE = 0.002; // of the pixels, from which on a colour is a label
const VIVID = 30; // levels between channels, from which on a colour is no grey
const FEW = 6; // colours of a palette to go on with
const HALF = 128;

/** "#rrggbb" as red, green and blue. */
export function levels(colour) {
  return [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16));
}

/** May a colour be a label beside others? Those too much alike would be one. */
export function isApart(colour, others) {
  return others.every((other) => distance(levels(colour), levels(other)) >= ALIKE);
}

/** How each kind of layer understands the pixels (RGBA) of a picture that is taken into it. */
export const READERS = {
  grey(layer, data) {
    for (let i = 0; i < layer.ink.length; i++) {
      layer.ink[i] = luma(data, 4 * i) + 0.5;
      layer.cover[i] = data[4 * i + 3];
    }
  },
  mask(layer, data) {
    const isMarked = marker(data);
    layer.ink.fill(255);
    for (let i = 0; i < layer.cover.length; i++) layer.cover[i] = isMarked(4 * i) ? 255 : 0;
  },
  labels(layer, data) {
    const palette = layer.palette().map(levels);
    const known = new Map();
    for (let i = 0; i < layer.ink.length; i++) {
      const colour = [data[4 * i], data[4 * i + 1], data[4 * i + 2]];
      const key = (colour[0] << 16) | (colour[1] << 8) | colour[2];
      if (!known.has(key)) known.set(key, nearest(palette, colour));
      layer.ink[i] = known.get(key);
      layer.cover[i] = data[4 * i + 3] >= HALF ? 255 : 0;
    }
  },
  strokes(layer, data) {
    for (let i = 0; i < layer.ink.length; i++) {
      const [x, y] = [data[4 * i] - 127.5, data[4 * i + 1] - 127.5];
      layer.ink[i] = inkOf(x, y);
      layer.cover[i] = Math.hypot(x, y) > 2 && data[4 * i + 3] >= HALF ? 255 : 0;
    }
  },
};

/** What a mask of pixels (RGBA) marks: what is opaque, else what is not its ground, else at least 50 % white. */
function marker(data) {
  let [clear, vivid] = [false, false];
  for (let at = 0; at < data.length; at += 4) {
    clear ||= data[at + 3] < HALF;
    vivid ||= Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > VIVID;
  }
  if (clear) return (at) => data[at + 3] >= HALF;
  const ground = commonest(data, 1)[0];
  if (!vivid || !ground) return (at) => luma(data, at) >= HALF - 0.5;
  return (at) => distance([data[at], data[at + 1], data[at + 2]], ground) > ALIKE;
}

/**
 * The palette that a picture of labels needs: its own flat colours where no label has been painted yet, else those that
 * the palette lacks too.
 * @param {ImageBitmap} picture
 * @param {string[]} palette
 * @param {boolean} fresh
 * @returns {string[]}
 */
export function paletteOf(picture, palette, fresh) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, picture.width, picture.height);
  const result = fresh ? [] : palette.map(levels);
  for (const colour of commonest(data, MOST_LABELS)) {
    if (result.length < MOST_LABELS && !result.some((other) => distance(other, colour) < ALIKE)) result.push(colour);
  }
  for (const colour of fresh ? palette.map(levels) : []) { // a few to go on with
    if (result.length < FEW && !result.some((other) => distance(other, colour) < ALIKE)) result.push(colour);
  }
  return result.map((colour) => `#${colour.map((level) => level.toString(16).padStart(2, "0")).join("")}`);
}

function luma(data, at) {
  return 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
}

function distance(one, other) {
  return Math.hypot(one[0] - other[0], one[1] - other[1], one[2] - other[2]);
}

function nearest(palette, colour) {
  let best = 0;
  palette.forEach((other, i) => { if (distance(other, colour) < distance(palette[best], colour)) best = i; });
  return best;
}

/** The colours that hold enough of pixels (RGBA) to be a label, commonest first. */
function commonest(data, most) {
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const key = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count >= (LEAST_SHARE * data.length) / 4).sort((a, b) => b[1] - a[1])
    .slice(0, most).map(([key]) => [key >> 16, (key >> 8) & 255, key & 255]);
}
