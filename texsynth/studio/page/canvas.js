/**
 * The pane of the canvas: what is painted, over the result or the picture; its size, and what a repair adds to it.
 */
import { Brush, listenForKeys } from "./brush.js";
import { iconButton, make, sign } from "./dom.js";
import { Handles } from "./handles.js";
import { historyOf } from "./history.js";
import { LayerBar } from "./layerbar.js";
import { newest, Pictures } from "./pictures.js";
import { rowsOf } from "./stack.js";
import { tell } from "./state.js";
import { drawGlyphs } from "./strokes.js";
import { Viewport } from "./viewport.js";

const SMALLEST = 8, LARGEST = 16384; // pixels a side
const SIDES = ["left", "top", "right", "bottom"];
const ROOM = 0.12; // of the picture, that is left round it where it is to be extended
const LOOK = ["look", "Look", "Move and magnify (space, +, -, 0 to fit)"];
const EXTEND = ["extend", "Extend", "Drag the frame outwards, or move its handles with the arrow keys."];
const HINT = "Choose Progression, Labels or Direction above, and paint here: the texture follows.";
const BACK = "M8 5 4 9l4 4M4 9h10a6 6 0 0 1 0 11h-3";
const FORTH = "m16 5 4 4-4 4M20 9H10a6 6 0 0 0 0 11h3";
const UNDER = [["result", "on the result"], ["picture", "on the picture"], ["nothing", "on nothing"]];

/**
 * Draw the layers of one side over what has been drawn.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./state.js").Studio} studio
 * @param {"canvas"|"exemplar"} side
 * @param {number[]} size of the picture
 * @param {number} pixel a pixel of the page, in pixels of the picture
 */
export function drawLayers(context, studio, side, [width, height], pixel) {
  const hidden = studio.get("hidden");
  for (const { role } of rowsOf(studio).filter((row) => row.side === side)) {
    const layer = studio.get("layers").get(role);
    if (!layer || hidden.includes(role) || layer.isClear) continue;
    context.globalAlpha = layer.opacity;
    context.drawImage(layer.canvas, 0, 0, width, height);
    context.globalAlpha = 1;
    if (layer.kind !== "strokes") continue;
    context.save();
    context.scale(width / layer.width, height / layer.height);
    drawGlyphs(context, layer.coarseDirections(), (pixel * layer.width) / width);
    context.restore();
  }
}

/**
 * Show a pane anew whenever a layer of its side is.
 * @param {import("./state.js").Studio} studio
 * @param {"canvas"|"exemplar"} side
 * @param {Viewport} viewport
 */
export function followLayers(studio, side, viewport) {
  const heard = new WeakSet();
  studio.on(["layers"], () => {
    for (const layer of studio.get("layers").values()) {
      if (layer.side !== side || heard.has(layer)) continue;
      heard.add(layer);
      const scale = () => viewport.owner.size()[0] / layer.width;
      const isFlowing = layer.kind === "strokes"; // a stroke changes all of the field
      layer.onShown((rect) => viewport.invalidate(isFlowing ? null : rect.map((side) => side * scale())));
    }
    viewport.invalidate();
  });
  studio.on(["hidden", "palette"], () => viewport.invalidate());
}

class CanvasPane {
  /** @param {import("./state.js").Studio} studio @param {HTMLElement} root */
  constructor(studio, root) {
    Object.assign(this, { studio, tool: "look", pictures: new Pictures(), under: "result", extending: null });
    this.bar = new LayerBar(studio, "canvas", this);
    this.stage = make("div", { class: "stage" });
    document.getElementById("canvas-head").append(...this.#head());
    root.append(...this.bar.elements, this.stage);
    this.brush = new Brush(studio, "canvas");
    this.view = new Viewport(this.stage, "Canvas", {
      size: () => this.size(), margins: () => this.#margins(), tool: this.brush,
      draw: (...where) => this.#draw(...where),
    });
    this.brush.attach(this.view);
    this.handles = new Handles(this.view, SIDES.map((side) => `Extend at the ${side}`), {
      places: () => this.#handlePlaces(), move: (...place) => this.#extendTo(...place), done: () => this.#extended(),
    });
    this.refresh = newest(() => this.#load());
    this.#listen();
  }

  /** Of LayerBar: what can be done beside painting. */
  tools() {
    return this.studio.get("mode") === "repair" ? [LOOK, EXTEND] : [LOOK];
  }

  /** Of LayerBar: what is said while no layer is painted. */
  hint() {
    const { mode, exemplar, layers } = this.studio.all();
    if (this.#isExtending()) return EXTEND[2];
    const isFresh = [...layers.values()].every((layer) => layer.side !== "canvas" || layer.empty);
    return mode === "texture" && exemplar && isFresh ? HINT : "";
  }

  /** Of LayerBar: another thing is done. */
  changed() {
    this.handles.update();
    this.view.invalidate();
  }

  /** Of the canvas, in pixels; [0, 0] where there is none. */
  size() {
    const { mode, size, exemplar } = this.studio.all();
    if (mode === "texture" || this.#isResized()) return [size.width, size.height];
    return exemplar ? [exemplar.width, exemplar.height] : [0, 0];
  }

  /** What is extended, and room to extend it. */
  #margins() {
    if (this.studio.get("mode") !== "repair") return [0, 0, 0, 0];
    const room = this.#isExtending() ? ROOM * Math.max(...this.size()) : 0;
    return this.studio.get("extend").map((side) => side + room);
  }

  #draw(context, view) {
    const [width, height] = this.size();
    const pixel = 1 / view.zoom;
    this.#drawUnder(context, width, height);
    const { mode, crop } = this.studio.all();
    if (mode !== "texture" && crop) fillBetween(context, [0, 0, width, height], crop, "rgb(0 0 0 / 55%)");
    if (mode === "repair") this.#drawFrame(context, pixel);
    context.imageSmoothingEnabled &&= view.zoom * view.dense < 1;
    drawLayers(context, this.studio, "canvas", [width, height], pixel);
    context.strokeStyle = "rgb(128 128 128 / 70%)";
    context.lineWidth = pixel;
    context.strokeRect(0, 0, width, height);
  }

  #listen() {
    const { studio, view } = this;
    followLayers(studio, "canvas", view);
    studio.on(["result", "exemplar", "mode"], () => this.refresh());
    studio.on(["extend", "tileable", "band", "crop"], () => this.changed());
    studio.on(["mode", "way", "exemplar", "size"], () => {
      view.fit();
      this.#showSize();
    });
    studio.on(["mode"], () => this.#chooseUnder(studio.get("mode") === "texture" ? "result" : "picture"));
    this.#showSize();
    this.bar.update();
  }

  // What lies under the layers.

  #chooseUnder(under) {
    this.under = under;
    this.underField.value = under;
    this.refresh();
  }

  async #load() {
    const { result, exemplar } = this.studio.all();
    const path = { result: result?.shown, picture: exemplar?.shown, nothing: null }[this.under];
    const shown = { path, result: this.under === "result" ? result : null };
    if (path) await this.pictures.load([path]);
    if (path && !this.pictures.get(path)) return; // no longer there: what is shown stays
    this.shown = shown;
    this.pictures.keep([path]);
    this.view.invalidate();
  }

  #drawUnder(context, width, height) {
    const picture = this.shown?.path && this.pictures.get(this.shown.path);
    if (!picture) return;
    const { mode, extend, crop } = this.studio.all();
    if (mode === "texture" || !this.shown.result || this.#isResized()) {
      context.drawImage(picture, 0, 0, width, height);
      return;
    }
    const [x, y, across, down] = crop ?? [0, 0, width, height];
    const [left, top, right, bottom] = mode === "repair" ? extend : [0, 0, 0, 0];
    context.drawImage(picture, x - left, y - top, across + left + right, down + top + bottom);
  }

  /** Is the result of another size shown in place of the picture? */
  #isResized() {
    const { mode, way } = this.studio.all();
    return mode === "edit" && way === "retarget" && Boolean(this.shown?.result);
  }

  // What a repair adds.

  #isExtending() {
    return this.studio.get("mode") === "repair" && this.tool === "extend" && !this.bar.layer;
  }

  /** The frame of the repaired picture: left, top, right, bottom. */
  #frame() {
    const [width, height] = this.size();
    const [left, top, right, bottom] = this.extending ?? this.studio.get("extend");
    const [x, y, across, down] = this.studio.get("crop") ?? [0, 0, width, height];
    return [x - left, y - top, x + across + right, y + down + bottom];
  }

  #drawFrame(context, pixel) {
    const [left, top, right, bottom] = this.#frame();
    if (!this.shown?.result) { // which has them filled
      const used = this.studio.get("crop") ?? [0, 0, ...this.size()];
      fillBetween(context, [left, top, right - left, bottom - top], used, "rgb(235 50 60 / 35%)");
      this.#drawBands(context, [left, top, right, bottom]);
    }
    for (const [colour, wide] of [["rgb(0 0 0 / 60%)", 3], ["white", 1.2]]) {
      context.strokeStyle = colour;
      context.lineWidth = wide * pixel;
      context.strokeRect(left, top, right - left, bottom - top);
    }
  }

  /** The bands that are filled anew so that the picture repeats: half of each at either side. */
  #drawBands(context, [left, top, right, bottom]) {
    const { tileable, band } = this.studio.all();
    const [width, height] = [right - left, bottom - top];
    const wide = (band ?? Math.max(4, 2 * Math.round(Math.min(width, height) / 12))) / 2; // as verbs/inpaint.py has it
    const bands = new Path2D();
    if (tileable.includes("x")) for (const x of [left, right - wide]) bands.rect(x, top, wide, height);
    if (tileable.includes("y")) for (const y of [top, bottom - wide]) bands.rect(left, y, width, wide);
    context.fillStyle = "rgb(235 50 60 / 40%)";
    context.fill(bands);
  }

  #handlePlaces() {
    if (!this.#isExtending()) return null;
    const [left, top, right, bottom] = this.#frame();
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    return [{ x: left, y }, { x, y: top }, { x: right, y }, { x, y: bottom }];
  }

  #extendTo(index, x, y) {
    const [left, top, across, down] = this.studio.get("crop") ?? [0, 0, ...this.size()];
    const reach = [left - x, top - y, x - left - across, y - top - down][index];
    this.extending ??= [...this.studio.get("extend")];
    this.extending[index] = Math.max(0, Math.min(LARGEST, Math.round(reach)));
  }

  #extended() {
    if (this.extending) this.studio.set({ extend: this.extending });
    this.extending = null;
  }

  // The size.

  #head() {
    const side = (name) => make("input", {
      type: "number", min: SMALLEST, max: LARGEST, step: 1, id: `canvas-${name}`,
      "aria-label": `${name} in pixels`, title: name,
      on: { change: ({ target }) => this.#resize(name, Math.round(target.valueAsNumber)) },
    });
    this.sides = { width: side("width"), height: side("height") };
    const group = { class: "field", id: "canvas-size", role: "group", "aria-label": "Size" };
    this.sizes = make("span", group, this.sides.width, " × ", this.sides.height);
    const choose = ({ target }) => this.#chooseUnder(target.value);
    const options = UNDER.map(([value, text]) => make("option", { value, text }));
    const select = { "aria-label": "What lies under the layers", on: { change: choose } };
    this.underField = make("select", select, ...options);
    return [this.sizes, this.underField, this.#history()];
  }

  #history() {
    const { studio } = this;
    const undo = iconButton(sign(BACK), "Undo (Ctrl+Z)", () => historyOf(studio).undo(), { disabled: true });
    const redo = iconButton(sign(FORTH), "Redo (Ctrl+Shift+Z)", () => historyOf(studio).redo(), { disabled: true });
    studio.on(["undoable"], () => {
      const [back, forth] = studio.get("undoable");
      undo.disabled = back === 0;
      redo.disabled = forth === 0;
    });
    return make("span", { class: "actions" }, undo, redo);
  }

  #resize(side, value) {
    if (value >= SMALLEST && value <= LARGEST) this.studio.set({ size: { ...this.studio.get("size"), [side]: value } });
    else {
      this.#showSize();
      tell(this.studio, `The ${side} is a number of pixels from ${SMALLEST} to ${LARGEST}.`, "error");
    }
  }

  #showSize() {
    const { mode, way, size } = this.studio.all();
    this.sizes.hidden = !(mode === "texture" || (mode === "edit" && way === "retarget"));
    for (const [name, input] of Object.entries(this.sides)) input.value = size[name];
  }
}

/** Fill what lies in one rectangle or another, but not in both. */
function fillBetween(context, one, other, colour) {
  const path = new Path2D();
  path.rect(...one);
  path.rect(...other);
  context.fillStyle = colour;
  context.fill(path, "evenodd");
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  new CanvasPane(studio, document.getElementById("canvas-pane"));
  listenForKeys(studio);
}
