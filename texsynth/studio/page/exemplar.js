/**
 * The pane of the exemplar: the picture, the part of it that is used, the layers that are painted on it, the corners
 * between which a photograph is straightened, and the pixel that one of the result was copied from.
 */
import { Brush } from "./brush.js";
import { drawLayers, followLayers } from "./canvas.js";
import { make, numberField } from "./dom.js";
import { adopt } from "./files.js";
import { remembering } from "./flow.js";
import { Handles } from "./handles.js";
import { LayerBar } from "./layerbar.js";
import { attempt, post } from "./net.js";
import { newest, Pictures } from "./pictures.js";
import { stackOf } from "./stack.js";
import { Viewport } from "./viewport.js";

const TOOLS = [
  ["look", "Look", "Move and magnify (space, +, -, 0 to fit)"],
  ["crop", "Crop", "Use only a part: drag over the picture, or move the handles."],
  ["quad", "Straighten", "Put the four corners on a rectangle of the surface, by dragging or with the arrow keys."],
];
const SMALLEST = 8; // pixels a side, of a crop
const BORDERS = [[0, 0], [1, 0], [2, 0], [2, 1], [2, 2], [1, 2], [0, 2], [0, 1], [1, 1]]; // handles: column and row
const CROP_NAMES = [
  "Upper left", "Top", "Upper right", "Right", "Lower right", "Bottom", "Lower left", "Left", "Place",
];
const CORNERS = ["Upper left", "Upper right", "Lower right", "Lower left"]; // in the order of capture --quad
const INSET = 0.15; // of the sides, at which corners begin

class ExemplarPane {
  /** @param {import("./state.js").Studio} studio @param {HTMLElement} root */
  constructor(studio, root) {
    Object.assign(this, { studio, tool: "look", pictures: new Pictures(), draft: null, corners: null });
    this.bar = new LayerBar(studio, "exemplar", this);
    this.stage = make("div", { class: "stage" });
    this.parts = [...this.bar.elements, this.#cropBar(), this.#quadBar(), this.stage];
    root.append(...this.parts);
    this.brush = new Brush(studio, "exemplar");
    this.view = new Viewport(this.stage, "Exemplar", {
      size: () => this.#size(), draw: (...where) => this.#draw(...where), tool: this.#pointer(),
    });
    this.brush.attach(this.view);
    this.#makeHandles();
    this.refresh = newest(() => this.#load());
    this.#listen();
  }

  /** Of LayerBar: what can be done beside painting. */
  tools() {
    return TOOLS;
  }

  /** Of LayerBar: what is said while no layer is painted. */
  hint() {
    return this.tool === "look" ? "" : TOOLS.find(([tool]) => tool === this.tool)[2];
  }

  /** Of LayerBar: another thing is done. */
  changed() {
    const tool = this.bar.layer ? "paint" : this.tool;
    this.cropBar.hidden = tool !== "crop";
    this.quadBar.hidden = tool !== "quad";
    this.stage.toggleAttribute("data-cropping", tool === "crop");
    for (const handles of [this.cropHandles, this.quadHandles]) handles.update();
    this.#showCrop();
    this.view.invalidate();
  }

  #listen() {
    const { studio, view } = this;
    followLayers(studio, "exemplar", view);
    studio.on(["exemplar"], () => this.#arrive());
    studio.on(["crop", "quad", "activeLayer", "layers"], () => this.changed());
    studio.on(["picked"], () => view.invalidate());
    this.#arrive();
  }

  #arrive() {
    const exemplar = this.studio.get("exemplar");
    for (const part of this.parts) part.hidden = !exemplar;
    this.draft = null;
    this.corners = null;
    this.tool = "look";
    this.bar.update();
    this.view.fit();
    this.refresh();
    this.changed();
  }

  async #load() {
    const path = this.studio.get("exemplar")?.shown;
    if (!path) return;
    await this.pictures.load([path]);
    this.pictures.keep([path]);
    this.view.invalidate();
  }

  #size() {
    const exemplar = this.studio.get("exemplar");
    return exemplar ? [exemplar.width, exemplar.height] : [0, 0];
  }

  /** What is drawn: the picture, its layers, the crop or corners, and the pixel that was picked. */
  #draw(context, view) {
    const [width, height] = this.#size();
    const pixel = 1 / view.zoom;
    const picture = this.pictures.get(this.studio.get("exemplar").shown);
    if (picture) context.drawImage(picture, 0, 0, width, height);
    drawLayers(context, this.studio, "exemplar", [width, height], pixel);
    if (!this.quadBar.hidden) this.#drawQuad(context, pixel);
    else this.#drawCrop(context, pixel);
    this.#drawPicked(context, pixel);
  }

  /** What a pointer does: with Crop it drags a part, elsewhere it paints or moves the picture. */
  #pointer() {
    const { brush } = this;
    const isCropping = () => !this.cropBar.hidden;
    return {
      down: (place, event) => (isCropping() ? this.#beginCrop(place, event) : brush.down(place, event)),
      move: (places, event) => (isCropping() ? this.#dragCrop(places.at(-1)) : brush.move(places, event)),
      up: () => (isCropping() ? this.#setCrop() : brush.up()),
      cancel: () => (isCropping() ? this.#dropCrop() : brush.cancel()),
      hover: (...where) => brush.hover(...where),
      leave: () => brush.leave(),
    };
  }

  #makeHandles() {
    this.cropHandles = new Handles(this.view, CROP_NAMES.map((name) => `${name} of the crop`), {
      places: () => (this.cropBar.hidden ? null : this.#cropPlaces()),
      move: (index, x, y) => this.#moveCrop(...BORDERS[index], x, y), done: () => this.#setCrop(),
    });
    this.quadHandles = new Handles(this.view, CORNERS.map((name) => `${name} corner`), {
      places: () => (this.quadBar.hidden ? null : this.#quad()),
      move: (index, x, y) => this.#moveCorner(index, x, y), done: () => this.#setQuad(),
    });
  }

  // The crop: left, top, width and height; `draft` while it is dragged.

  #crop() {
    return this.draft ?? this.studio.get("crop") ?? [0, 0, ...this.#size()];
  }

  #cropPlaces() {
    const [left, top, width, height] = this.#crop();
    return BORDERS.map(([column, row]) => ({ x: left + (column * width) / 2, y: top + (row * height) / 2 }));
  }

  /** Move a border or a corner; the middle moves all of it. */
  #moveCrop(column, row, x, y) {
    const [left, top, width, height] = this.#crop();
    const [wide, high] = this.#size();
    const [u, across] = moved(left, width, wide, column === 1 && row !== 1 ? null : column, x);
    const [v, down] = moved(top, height, high, row === 1 && column !== 1 ? null : row, y);
    this.draft = [u, v, across, down];
    this.#showCrop();
  }

  #beginCrop(place, event) {
    if (event.button !== 0) return false;
    const [width, height] = this.#size();
    const inside = (value, most) => Math.round(Math.max(0, Math.min(most, value)));
    this.corner = { x: inside(place.x, width), y: inside(place.y, height) };
    return true;
  }

  #dragCrop(place) {
    const [width, height] = this.#size();
    const [left, across] = between(this.corner.x, place.x, width);
    const [top, down] = between(this.corner.y, place.y, height);
    this.draft = [left, top, across, down];
    this.#showCrop();
    this.cropHandles.update();
    this.view.invalidate();
  }

  #dropCrop() {
    this.draft = null;
    this.changed();
  }

  /** What was dragged is the crop by now; the whole picture is none. */
  #setCrop() {
    if (!this.draft) return;
    const [, , width, height] = this.draft;
    const isWhole = width === this.#size()[0] && height === this.#size()[1];
    this.studio.set({ crop: isWhole ? null : this.draft });
    this.#dropCrop();
  }

  #cropBar() {
    this.cropFields = [["X", 0], ["Y", 0], ["Width", SMALLEST], ["Height", SMALLEST]].map(([label, min], index) =>
      numberField(label, { min, step: 1 }, (value) => this.#enterCrop(index, value), "change"));
    const all = () => this.studio.set({ crop: null });
    this.uncrop = make("button", { type: "button", text: "Use all of it", on: { click: all } });
    const group = { class: "bar", role: "group", "aria-label": "Crop", hidden: true };
    this.cropBar = make("div", group, ...this.cropFields, this.uncrop);
    return this.cropBar;
  }

  #enterCrop(index, value) {
    const crop = [...this.#crop()];
    crop[index] = Math.round(value);
    const [wide, high] = this.#size();
    const [width, height] = [limited(crop[2], SMALLEST, wide), limited(crop[3], SMALLEST, high)];
    this.draft = [limited(crop[0], 0, wide - width), limited(crop[1], 0, high - height), width, height];
    this.#setCrop();
  }

  #showCrop() {
    this.#crop().forEach((value, index) => { this.cropFields[index].control.value = value; });
    this.uncrop.disabled = !this.studio.get("crop");
  }

  #drawCrop(context, pixel) {
    const [left, top, width, height] = this.#crop();
    const shade = new Path2D();
    shade.rect(0, 0, ...this.#size());
    shade.rect(left, top, width, height);
    context.fillStyle = "rgb(0 0 0 / 55%)";
    context.fill(shade, "evenodd");
    const frame = new Path2D();
    frame.rect(left, top, width, height);
    if (!this.cropBar.hidden || this.studio.get("crop")) outline(context, frame, pixel);
  }

  // The corners of a rectangle on a photographed surface.

  #quad() {
    if (this.corners) return this.corners;
    const quad = this.studio.get("quad");
    const [width, height] = this.#size();
    if (quad) this.corners = [0, 2, 4, 6].map((at) => ({ x: quad[at], y: quad[at + 1] }));
    else this.corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => ({ x: inset(x, width), y: inset(y, height) }));
    return this.corners;
  }

  #moveCorner(index, x, y) {
    const [width, height] = this.#size();
    this.#quad()[index] = { x: limited(Math.round(x), 0, width), y: limited(Math.round(y), 0, height) };
  }

  #setQuad() {
    this.studio.set({ quad: this.#quad().flatMap(({ x, y }) => [x, y]) });
  }

  #quadBar() {
    const title = "The true shape of what the corners mark, width to height, such as 3:2; or auto";
    const aspect = make("input", { type: "text", placeholder: "as it is", size: 8, title });
    const straighten = () => this.#straighten(aspect.value.trim());
    const button = { type: "button", class: "primary", text: "Straighten", on: { click: straighten } };
    this.straighten = make("button", button);
    const shape = make("label", { class: "field" }, make("span", { text: "Shape" }), aspect);
    const group = { class: "bar", role: "group", "aria-label": "Straighten", hidden: true };
    this.quadBar = make("div", group, shape, this.straighten);
    return this.quadBar;
  }

  /** Ask for the straightened picture, and work on with it. It can be asked for again where the server forgets it. */
  #straighten(aspect) {
    const { studio } = this;
    const quad = this.#quad().flatMap(({ x, y }) => [x, y]).join(",");
    const exemplar = studio.get("exemplar");
    const ask = () => post("straighten", { id: exemplar.id, values: aspect ? { quad, aspect } : { quad } });
    const again = async () => {
      Object.assign(exemplar, await exemplar.again());
      return ask();
    };
    this.straighten.disabled = true;
    return attempt(studio, async () => {
      try {
        const source = await remembering(studio, ask);
        if (studio.get("exemplar") === exemplar) stackOf(studio).exchange(() => adopt(studio, { ...source, again }));
      } finally {
        this.straighten.disabled = false;
      }
    });
  }

  #drawQuad(context, pixel) {
    const corners = this.#quad();
    const path = new Path2D();
    corners.forEach(({ x, y }) => path.lineTo(x, y));
    path.closePath();
    const shade = new Path2D(path);
    shade.rect(0, 0, ...this.#size());
    context.fillStyle = "rgb(0 0 0 / 45%)";
    context.fill(shade, "evenodd");
    outline(context, path, pixel);
  }

  /** The pixel that one of the result was copied from: a ring, and cross hairs that leave it free. */
  #drawPicked(context, pixel) {
    const picked = this.studio.get("picked");
    if (!picked || picked.exemplar !== 0) return;
    const [x, y] = [picked.x + 0.5, picked.y + 0.5];
    const path = new Path2D();
    path.arc(x, y, 9 * pixel, 0, 2 * Math.PI);
    for (const [u, v] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      path.moveTo(x + u * 13 * pixel, y + v * 13 * pixel);
      path.lineTo(x + u * 26 * pixel, y + v * 26 * pixel);
    }
    path.rect(picked.x, picked.y, 1, 1);
    outline(context, path, pixel);
  }
}

/** A side of a crop after one of its ends, or its middle (1), is moved to a place; null leaves it. Start and length. */
function moved(start, length, whole, which, place) {
  if (which === null) return [start, length];
  if (which === 1) return [limited(Math.round(place - length / 2), 0, whole - length), length];
  if (which === 0) {
    const begin = limited(Math.round(place), 0, start + length - SMALLEST);
    return [begin, start + length - begin];
  }
  return [start, limited(Math.round(place) - start, SMALLEST, whole - start)];
}

/** From one place to another, long enough and inside: start and length. */
function between(one, other, whole) {
  const most = Math.max(SMALLEST, other < one ? one : whole - one);
  const length = limited(Math.round(Math.abs(other - one)), SMALLEST, most);
  return [limited(other < one ? one - length : one, 0, whole - length), length];
}

function inset(end, side) {
  return Math.round(side * (INSET + end * (1 - 2 * INSET)));
}

function limited(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

/** A path that is seen on every ground. */
function outline(context, path, pixel) {
  for (const [colour, wide] of [["rgb(0 0 0 / 70%)", 3.5], ["white", 1.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = wide * pixel;
    context.stroke(path);
  }
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  new ExemplarPane(studio, document.getElementById("exemplar-pane"));
}
