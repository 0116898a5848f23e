/**
 * The brush: pointers become strokes of a layer. A stroke keeps, for each pixel, the most that any part of it covers,
 * so that soft strokes have no beads and no place is painted twice; labels and masks get exact values, without soft
 * edges.
 */
import { make, takesText } from "./dom.js";
import { keep, touched } from "./history.js";
import { doubled, inkOf, inkOfDouble } from "./strokes.js";

export const SMALLEST = 1, LARGEST = 1000; // pixels of a layer, across
const LIGHTEST = 0.15; // of its size, that a pen without pressure has
const LEAST_STEP = 2; // pixels, below which a stroke has no direction yet
const SMOOTH = 16; // pieces of a stroke for its radius, at most: more are not seen
const HALF = 128;

/** One stroke on a layer, while it is painted. */
export class Stroke {
  /**
   * @param {import("./layers.js").Layer} layer
   * @param {{ink: number, erase: boolean, hardness: number}} how
   */
  constructor(layer, how) {
    Object.assign(this, { layer, how, before: layer.copy(), plane: layer.ink, rect: null });
    this.exact = layer.kind === "mask" || layer.kind === "labels";
    this.directed = layer.kind === "strokes" && !how.erase;
    this.most = new Uint8Array(layer.width * layer.height);
    if (this.directed) this.sums = [new Float32Array(this.most.length), new Float32Array(this.most.length)];
  }

  /**
   * Paint from one place to the next; places are {x, y, radius}.
   * @returns {void} what it has changed is shown by `show`
   */
  line(from, to) {
    const box = this.#box(from, to);
    if (box.width <= 0 || box.height <= 0) return;
    const share = profile(from, to, this.exact ? null : this.how.hardness);
    const way = this.directed ? doubled(inkOf(to.x - from.x, to.y - from.y)) : null;
    const stride = this.layer.width;
    for (let y = box.top; y < box.top + box.height; y++) {
      for (let x = box.left, i = y * stride + box.left; x < box.left + box.width; x++, i++) {
        const part = share(x + 0.5, y + 0.5);
        if (part === 0) continue;
        if (way) {
          this.sums[0][i] += part * way.x;
          this.sums[1][i] += part * way.y;
        } else if (part <= this.most[i]) continue;
        this.most[i] = Math.max(this.most[i], part);
        this.#paint(i);
      }
    }
    this.rect = joined(this.rect, box);
    this.fresh = joined(this.fresh, box);
  }

  /** Has the layer got another size meanwhile, as it has with another picture? */
  get isLost() {
    return this.layer.ink !== this.plane;
  }

  /** Show what was painted since the last time. */
  show() {
    if (this.fresh) this.layer.show(this.fresh);
    this.fresh = null;
  }

  /** As if nothing of it had been painted. */
  reset() {
    if (!this.rect) return;
    for (const name of ["ink", "cover"]) this.layer[name].set(this.before[name]);
    this.most.fill(0);
    for (const sum of this.sums ?? []) sum.fill(0);
    this.fresh = joined(this.fresh, this.rect);
    this.rect = null;
  }

  /** It is complete. @returns {boolean} has it changed anything? */
  finish() {
    if (this.rect) this.layer.edited(this.rect);
    return this.rect !== null;
  }

  #box(from, to) {
    const reach = Math.max(from.radius, to.radius) + 1;
    const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - reach));
    const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - reach));
    const right = Math.min(this.layer.width, Math.ceil(Math.max(from.x, to.x) + reach));
    const bottom = Math.min(this.layer.height, Math.ceil(Math.max(from.y, to.y) + reach));
    return { left, top, width: right - left, height: bottom - top };
  }

  #paint(i) {
    const { layer, before, how } = this;
    const part = this.most[i] / 255;
    const old = before.cover[i] * (1 - part); // what remains of what was there
    if (how.erase) {
      layer.cover[i] = old + 0.5;
      return;
    }
    const cover = old + 255 * part;
    layer.cover[i] = cover + 0.5;
    if (this.directed) layer.ink[i] = this.#direction(i, part, old / 255);
    else if (this.exact) layer.ink[i] = how.ink;
    else layer.ink[i] = (before.ink[i] * old + how.ink * 255 * part) / cover + 0.5;
  }

  #direction(i, part, old) {
    const [x, y] = [this.sums[0][i], this.sums[1][i]];
    const scale = part / Math.max(1e-6, Math.hypot(x, y));
    const was = doubled(this.before.ink[i]);
    return inkOfDouble(was.x * old + x * scale, was.y * old + y * scale);
  }
}

/** How much (0 to 255) a piece of a stroke covers at a place: round ends, and widths between those of its ends. */
function profile(from, to, hardness) {
  const [across, down] = [to.x - from.x, to.y - from.y];
  const square = across * across + down * down || 1;
  const hard = hardness === null;
  return (x, y) => {
    const [u, v] = [x - from.x, y - from.y];
    const along = Math.max(0, Math.min(1, (u * across + v * down) / square));
    const radius = from.radius + along * (to.radius - from.radius);
    const [p, q] = [u - along * across, v - along * down];
    const away = Math.sqrt(p * p + q * q);
    if (hard) return away <= Math.max(0.71, radius) ? 255 : 0;
    const rim = radius + 0.5, inside = radius * hardness - 0.5;
    if (away >= rim) return 0;
    if (away <= inside) return 255;
    const share = (rim - away) / (rim - inside);
    return Math.round(255 * share * share * (3 - 2 * share));
  };
}

function joined(one, other) {
  if (!one) return { ...other };
  const left = Math.min(one.left, other.left), top = Math.min(one.top, other.top);
  const right = Math.max(one.left + one.width, other.left + other.width);
  const bottom = Math.max(one.top + one.height, other.top + other.height);
  return { left, top, width: right - left, height: bottom - top };
}

/**
 * Fill the connected area of one label, or of a mask, that a place lies in.
 * @param {import("./layers.js").Layer} layer
 * @param {{x: number, y: number}} place
 * @param {{ink: number, erase: boolean}} how
 * @returns {{left: number, top: number, width: number, height: number}|null} what has changed
 */
export function flood(layer, place, how) {
  const { width, height, ink, cover } = layer;
  const [x, y] = [Math.floor(place.x), Math.floor(place.y)];
  if (x < 0 || y < 0 || x >= width || y >= height) return null;
  const kindOf = (i) => (cover[i] < HALF ? -1 : ink[i]);
  const from = kindOf(y * width + x);
  if (from === (how.erase ? -1 : how.ink)) return null;
  let box = null;
  const waiting = [[x, y]];
  while (waiting.length) {
    const [u, v] = waiting.pop();
    if (kindOf(v * width + u) !== from) continue;
    let [left, right] = [u, u];
    while (left > 0 && kindOf(v * width + left - 1) === from) left--;
    while (right < width - 1 && kindOf(v * width + right + 1) === from) right++;
    ink.fill(how.ink, v * width + left, v * width + right + 1);
    cover.fill(how.erase ? 0 : 255, v * width + left, v * width + right + 1);
    box = joined(box, { left, top: v, width: right - left + 1, height: 1 });
    for (const next of [v - 1, v + 1]) {
      if (next < 0 || next >= height) continue;
      for (let at = left; at <= right; at++) {
        const begins = at === left || kindOf(next * width + at - 1) !== from; // one place for each piece of a row
        if (begins && kindOf(next * width + at) === from) waiting.push([at, next]);
      }
    }
  }
  return box;
}

/** What a pointer does in a pane where layers are painted: the `tool` of its Viewport. */
export class Brush {
  /**
   * @param {import("./state.js").Studio} studio
   * @param {"canvas"|"exemplar"} side
   */
  constructor(studio, side) {
    Object.assign(this, { studio, side, stroke: null, last: null });
    this.cursor = make("div", { class: "brush-cursor", hidden: true });
  }

  /** It works in this pane. */
  attach(viewport) {
    this.viewport = viewport;
    viewport.stage.append(this.cursor);
    viewport.onMoved(() => this.#trace());
    this.studio.on(["tool", "activeLayer", "layers"], () => this.#trace());
  }

  /** The layer that is painted in this pane, if any. */
  get layer() {
    const layer = this.studio.get("layers").get(this.studio.get("activeLayer"));
    return layer?.side === this.side ? layer : null;
  }

  down(place, event) {
    const { layer } = this;
    if (!layer || ![0, 2, 5].includes(event.button)) return false;
    if (event.altKey) return this.#pick(layer, this.#sized(place, event));
    const hidden = this.studio.get("hidden").filter((role) => role !== layer.role);
    const tool = this.studio.get("tool");
    const erase = tool.erase || event.button !== 0; // the right button, and a pen's other end
    this.how = { ink: inkOfTool(layer, tool), erase, hardness: layer.kind === "grey" ? tool.hardness : 0.6 };
    this.studio.set({ drawing: true, hidden });
    if (tool.brush === "fill" && canFlood(layer)) this.#flood(layer, this.#sized(place, event));
    else this.#begin(layer, place, event);
    return true;
  }

  move(places, event) {
    if (!this.#isAtWork()) return;
    for (const place of places) this.#reach(this.#sized(place, event), event.shiftKey);
    this.stroke.show();
  }

  up() {
    if (!this.#isAtWork()) return;
    const { stroke } = this;
    if (this.ahead) this.#piece(this.ahead, false);
    this.stroke = null;
    this.last = { plane: stroke.plane, place: this.at };
    const isChanged = stroke.finish();
    if (isChanged) keep(this.studio, stroke.layer, stroke.rect, stroke.before);
    this.#rest(isChanged);
  }

  cancel() {
    if (!this.#isAtWork()) return;
    this.stroke.reset();
    this.stroke.show();
    this.stroke = null;
    this.#rest(false);
  }

  hover(place, event) {
    this.where = event.pointerType === "touch" ? null : place;
    this.#trace();
  }

  leave() {
    this.where = null;
    this.#trace();
  }

  /** Go on with what is painted at a place. */
  #pick(layer, { x, y }) {
    const at = Math.floor(y) * layer.width + Math.floor(x);
    const tool = this.studio.get("tool");
    const ink = layer.cover[at] >= HALF ? layer.ink[at] : 0;
    if (layer.kind === "labels") this.studio.set({ tool: { ...tool, colour: ink } });
    if (layer.kind === "grey" && layer.cover[at]) this.studio.set({ tool: { ...tool, value: layer.ink[at] } });
    return true;
  }

  /** Is a stroke painted? One whose layer has changed under it ends as it is. */
  #isAtWork() {
    if (this.stroke?.isLost) {
      this.stroke.layer.edited();
      this.stroke = null;
      this.#rest(true);
    }
    return this.stroke !== null;
  }

  #rest(isChanged) {
    if (isChanged) touched(this.studio);
    else this.studio.set({ drawing: false });
  }

  #flood(layer, place) {
    const before = layer.copy();
    const rect = flood(layer, place, this.how);
    if (rect) {
      layer.edited(rect);
      keep(this.studio, layer, rect, before);
    }
    this.#rest(rect !== null);
  }

  #begin(layer, place, event) {
    this.stroke = new Stroke(layer, this.how);
    this.ahead = null;
    this.at = this.#sized({ ...place, pressure: event.pressure }, event);
    const from = event.shiftKey && this.last?.plane === layer.ink ? this.last.place : this.at;
    this.start = from;
    if (from !== this.at || !this.stroke.directed) this.stroke.line(from, this.at);
    this.stroke.show();
  }

  /** Go on to a place, straight from the start where `straight`; what is too near waits for the next one. */
  #reach(to, straight) {
    const from = straight ? this.start : this.at;
    const least = Math.max(this.stroke.directed ? LEAST_STEP : 1, to.radius / SMOOTH);
    this.ahead = null;
    if (Math.hypot(to.x - from.x, to.y - from.y) >= least) this.#piece(to, straight);
    else if (!this.stroke.directed) this.ahead = to;
  }

  #piece(to, straight) {
    if (straight) this.stroke.reset();
    this.stroke.line(straight ? this.start : this.at, to);
    this.at = to;
    this.ahead = null;
  }

  /** A place of the picture, and how far the brush reaches there, in pixels of the layer. */
  #sized(place, event) {
    const scale = this.#scale();
    const share = event.pointerType === "pen" ? Math.max(LIGHTEST, place.pressure) : 1;
    return { x: place.x * scale, y: place.y * scale, radius: (this.studio.get("tool").size * share * scale) / 2 };
  }

  /** Pixels of the layer for one of the picture: large pictures have smaller layers. */
  #scale() {
    return (this.stroke?.layer ?? this.layer).width / this.viewport.owner.size()[0];
  }

  /** The outline of the brush under the pointer. */
  #trace() {
    const { cursor, viewport, where, layer } = this;
    const tool = this.studio.get("tool");
    const isShown = Boolean(where && layer && !(tool.brush === "fill" && canFlood(layer)));
    cursor.hidden = !isShown;
    viewport.stage.toggleAttribute("data-painting", Boolean(layer));
    if (!isShown) return;
    const { x, y } = viewport.toPane(where.x, where.y);
    const side = Math.max(3, tool.size * viewport.zoom);
    cursor.style.width = cursor.style.height = `${side}px`;
    cursor.style.transform = `translate(${x - side / 2}px, ${y - side / 2}px)`;
    cursor.toggleAttribute("data-erasing", tool.erase);
  }
}

/** Can areas of this layer be filled? */
export function canFlood(layer) {
  return layer.kind === "labels" || layer.kind === "mask";
}

function inkOfTool(layer, tool) {
  return { grey: tool.value, labels: tool.colour, mask: 255, strokes: 0 }[layer.kind];
}

/** The keys of the brush, wherever no text is typed: [ and ] its size, X erases. */
export function listenForKeys(studio) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || takesText(event.target)) return;
    const tool = studio.get("tool");
    const sizes = { "[": 1 / 1.15, "]": 1.15 };
    if (sizes[event.key]) studio.set({ tool: { ...tool, size: stepped(tool.size, sizes[event.key]) } });
    else if (event.key.toLowerCase() === "x") studio.set({ tool: { ...tool, erase: !tool.erase } });
  });
}

/** A size so many times as large, by a pixel at the least. */
function stepped(size, factor) {
  const next = factor > 1 ? Math.max(size + 1, size * factor) : Math.min(size - 1, size * factor);
  return Math.round(Math.max(SMALLEST, Math.min(LARGEST, next)));
}
