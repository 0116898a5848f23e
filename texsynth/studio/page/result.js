/**
 * The pane of the result: tiled, magnified, compared with the picture before, and where each pixel was copied from.
 */

import { choice, iconButton, make, takesText } from "./dom.js";
import { answers } from "./lit.js";
import { attempt, get } from "./net.js";
import { duration } from "./outcome.js";
import { newest, Pictures } from "./pictures.js";
import { Viewport } from "./viewport.js";

const TILES = [["1", "1×1"], ["2", "2×2"], ["3", "3×3"], ["4", "4×4"]];
const ZOOM = 1.25;
const GAINS = [[0, "Diff off"], [1, "Diff × 1"], [4, "Diff × 4"], [16, "Diff × 16"]];
const USUAL = 4; // one of them
const STILL = 4; // pixels of the page that a pointer may move between down and up of a click
const HINT = "Click a pixel, or press Enter, to see where it is from.";
const NOT_YET = "Only pixels of a final picture say where they were copied from.";
const NO_SOURCE = "This preset makes its pixels anew: none was copied from a place.";
const COPIES = {
  none: "", "rotate-90": ", turned by 90°", "rotate-180": ", turned by 180°", "rotate-270": ", turned by 270°",
  "flip-x": ", mirrored left to right", "flip-y": ", mirrored top to bottom",
  transpose: ", mirrored at a diagonal", "anti-transpose": ", mirrored at the other diagonal",
};

/** The size at which a result is shown, which a draft has from the beginning, so that nothing jumps. */
const sizeOf = ({ width, height }) => [width, height];

/** Absolute difference of two pictures, as a canvas of the size of the first. */
function difference(now, before, gain) {
  const canvas = new OffscreenCanvas(now.width, now.height);
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, now.width, now.height);
  context.drawImage(now, 0, 0);
  context.globalCompositeOperation = "difference";
  context.drawImage(before, 0, 0, now.width, now.height);
  context.globalCompositeOperation = "lighter";
  for (let times = 1; times < gain; times *= 2) context.drawImage(canvas, 0, 0);
  return canvas;
}

/** In words: what is shown. */
function caption({ final, level, seconds }, size, isCurrent) {
  const times = Math.round(2 ** level);
  const soFar = times > 1 ? ` · at 1/${times}` : "";
  const what = !isCurrent ? "Before the last change" : final ? "Final" : "Draft";
  return `${what} · ${size.join("×")}${seconds ? ` · ${duration(seconds)}` : soFar}`;
}

/** The address of what is shown of a result: its map, or the picture where it has none of this name. */
const part = (result, name) => result?.maps?.[name]?.shown ?? result?.shown;

class Pane {
  // scene: what is drawn, changed only when all of it is decoded; {result, name (of its map), now, before, size}.
  scene = null;
  tiles = 1;
  flipped = false;
  gain = 0; // of the difference, or 0 where the picture itself is shown
  pictures = new Pictures();

  constructor(studio, root) {
    this.studio = studio;
    this.refresh = newest(() => this.load());
    this.where = newest(() => this.ask());
    this.empty = make("p", { class: "empty", text: "The result appears here, as a draft at first." });
    this.stage = make("div", { class: "stage" }, this.empty);
    const owner = { size: () => this.shownSize(), draw: (context) => this.draw(context), tool: {} };
    this.view = new Viewport(this.stage, "Result", owner);
    this.source = make("p", { id: "source", role: "status", "aria-live": "polite", class: "quiet" });
    root.append(this.bar(), make("div", { id: "lit-pane" }), this.stage, this.foot(), this.source);
    this.listen();
  }

  /** What is shown; `looks` is what the lit view has no use for. */
  bar() {
    const tiles = choice("Tiles", TILES, "1", (value) => this.set({ tiles: Number(value) }));
    tiles.id = "tiles";
    this.flip = make("button", {
      type: "button", id: "flip", text: "Before", title: "Hold to see the picture before (F)",
    });
    this.compare = make(
      "select", { id: "difference", "aria-label": "Difference to the picture before", title: "Difference (D)" },
      ...GAINS.map(([value, text]) => make("option", { value, text })),
    );
    this.compare.addEventListener("change", () => this.set({ gain: Number(this.compare.value) }));
    this.maps = make("div", { id: "maps", class: "bar", hidden: true });
    this.looks = make("div", { class: "bar" }, tiles, this.flip, this.compare);
    return make("div", { class: "bar" }, this.maps, this.looks);
  }

  /** What it is, and how large it is shown. */
  foot() {
    const { view } = this;
    this.caption = make("span", { id: "caption" });
    this.notices = make("details", { id: "notices", class: "quiet" }, make("summary"), make("ul"));
    const button = (id, title, click) => make("button", { type: "button", id, title, on: { click } });
    this.full = button("zoom-full", "Pixels as they are (1)", () => view.magnify(1 / view.zoom));
    const fit = button("zoom-fit", "All of it (0)", () => view.fit());
    fit.textContent = "Fit";
    this.zoom = make(
      "div", { class: "bar", id: "zoom" },
      iconButton("−", "Smaller (-)", () => view.magnify(1 / ZOOM), { id: "zoom-out" }), this.full,
      iconButton("+", "Larger (+)", () => view.magnify(ZOOM), { id: "zoom-in" }), fit,
    );
    return make("div", { class: "bar", id: "result-foot" }, this.caption, this.notices, this.zoom);
  }

  listen() {
    const { studio, view, flip } = this;
    studio.on(["result", "previous", "shownMap"], () => this.refresh());
    studio.on(["asked"], () => this.tellControls());
    studio.on(["exemplar"], () => this.tellMaps());
    studio.on(["result"], () => studio.get("picked") && studio.set({ picked: null }));
    studio.on(["picked"], () => view.invalidate());
    view.onMoved(() => {
      this.full.textContent = `${Math.round(100 * view.zoom)} %`;
      this.stage.toggleAttribute("data-fitted", view.fitted);
    });
    const hold = (down) => () => this.set({ flipped: down });
    flip.addEventListener("pointerdown", hold(true));
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"]) flip.addEventListener(end, hold(false));
    flip.addEventListener("click", (event) => event.detail === 0 && this.set({ flipped: !this.flipped })); // by keys
    addEventListener("keydown", (event) => this.press(event));
    addEventListener("keyup", (event) => event.key.toLowerCase() === "f" && this.set({ flipped: false }));
    this.listenToPicks();
    this.tellControls();
  }

  listenToPicks() {
    const { canvas } = this.view;
    let down = null;
    canvas.addEventListener("pointerdown", (event) => (down = [event.clientX, event.clientY]));
    canvas.addEventListener("click", (event) => {
      if (down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) > STILL) return;
      this.pick(this.view.toPicture(event.clientX, event.clientY));
    });
    canvas.addEventListener("keydown", (event) => event.key === "Enter" && this.pick(this.view)); // its middle
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.view.invalidate());
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || takesText(event.target)) return;
    const key = event.key.toLowerCase();
    if (key === "f") this.set({ flipped: true });
    if (key === "d") this.set({ gain: this.gain ? 0 : USUAL });
  }

  /** Change how the scene is shown. */
  set(values) {
    Object.assign(this, values);
    this.differing = null;
    this.tellControls();
    this.view.invalidate();
  }

  /** Decode what is to be shown, and show it. */
  async load() {
    const { studio, pictures } = this;
    const result = studio.get("result"), previous = studio.get("previous"), name = studio.get("shownMap");
    const paths = [part(result, name), part(previous, name)].filter(Boolean);
    await pictures.load(paths);
    const now = result && pictures.get(part(result, name));
    if (result && !now) return; // a newer one is on its way, or the server says what is wrong
    this.scene = now && { result, name, now, before: pictures.get(part(previous, name)), size: sizeOf(result) };
    if (now && String(sizeOf(previous ?? result)) !== String(this.scene.size)) this.scene.before = null;
    pictures.keep(paths);
    this.set({});
  }

  /** Is what is shown of what is asked for, and not of what was before the last change? */
  isCurrent() {
    const { key } = this.scene?.result ?? {};
    return key === undefined || key === this.studio.get("asked");
  }

  /** Buttons, caption and label say what is shown. */
  tellControls() {
    const { scene, flip, compare, notices } = this;
    const isLit = this.studio.get("shownMap") === "lit", before = this.flipped && scene?.before;
    const isCurrent = this.isCurrent();
    flip.disabled = compare.disabled = !scene?.before;
    flip.setAttribute("aria-pressed", Boolean(before));
    compare.value = this.gain;
    this.empty.hidden = Boolean(scene);
    this.looks.hidden = this.stage.hidden = isLit;
    this.zoom.hidden = isLit || !scene;
    const text = scene ? caption(scene.result, scene.size, isCurrent) : "";
    this.caption.textContent = before ? "The picture before" : text;
    const texts = scene?.result.notices ?? [];
    notices.hidden = !texts.length;
    notices.firstChild.textContent = texts.length === 1 ? "1 note" : `${texts.length} notes`;
    notices.lastChild.replaceChildren(...texts.map((text) => make("li", { text })));
    if (!this.studio.get("picked")) this.source.textContent = scene?.result.hasField && !isLit ? HINT : "";
    this.view.canvas.setAttribute("aria-label", this.label());
    this.tellMaps();
  }

  label() {
    if (!this.scene) return "Result: nothing yet";
    const { result, name, size } = this.scene;
    const map = result.maps?.[name] ? `, map ${name}` : "";
    const made = !this.isCurrent() ? "picture before the last change" : result.final ? "final picture" : "draft";
    const kind = this.gain ? "difference to the picture before" : made;
    const times = this.tiles > 1 ? `, ${this.tiles} by ${this.tiles} times` : "";
    return `Result: ${kind}${map}, ${size[0]} by ${size[1]} pixels${times}`;
  }

  /** Tabs of the maps, those of the exemplar before a final picture has some. */
  tellMaps() {
    const { studio, scene, maps } = this;
    const parts = (scene?.result.final ? scene.result : studio.get("exemplar"))?.maps ?? {};
    const choices = [["", "Colour"], ...Object.keys(parts).map((name) => [name, name])];
    if (answers(parts)) choices.push(["lit", "Lit"]);
    maps.hidden = choices.length === 1;
    const shown = studio.get("shownMap");
    if (String(choices) !== this.choices) {
      this.choices = String(choices);
      maps.replaceChildren(choice("Map", choices, shown, (shownMap) => studio.set({ shownMap })));
    }
    if (!choices.some(([name]) => name === shown)) studio.set({ shownMap: "" });
  }

  shownSize() {
    return (this.scene?.size ?? [0, 0]).map((side) => side * this.tiles);
  }

  draw(context) {
    const { scene, tiles, view } = this;
    const [width, height] = scene.size;
    let image = this.flipped && scene.before ? scene.before : scene.now;
    if (this.gain && scene.before && !this.flipped) {
      image = this.differing ??= difference(scene.now, scene.before, this.gain);
    }
    if (tiles === 1) context.drawImage(image, 0, 0, width, height);
    else {
      const pattern = context.createPattern(image, "repeat"); // no seams of its own at any scale
      pattern.setTransform(new DOMMatrix().scale(width / image.width, height / image.height));
      context.fillStyle = pattern;
      context.fillRect(0, 0, width * tiles, height * tiles);
    }
    const { at } = this.studio.get("picked") ?? {};
    if (at) this.mark(context, at.x + 0.5, at.y + 0.5);
    if (view.canvas.matches(":focus-visible")) this.mark(context, view.x, view.y);
  }

  /** A cross that is seen on all colours. */
  mark(context, x, y) {
    const pixel = 1 / this.view.zoom;
    const arms = new Path2D();
    for (const [across, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      arms.moveTo(x + 4 * pixel * across, y + 4 * pixel * down);
      arms.lineTo(x + 12 * pixel * across, y + 12 * pixel * down);
    }
    for (const [colour, thick] of [["#000", 3], ["#fff", 1]]) {
      Object.assign(context, { strokeStyle: colour, lineWidth: thick * pixel });
      context.stroke(arms);
    }
  }

  pick({ x, y }) {
    const [width, height] = this.shownSize();
    if (!this.scene || x < 0 || y < 0 || x >= width || y >= height) return;
    const [across, down] = this.scene.size;
    this.picking = { x: Math.floor(x) % across, y: Math.floor(y) % down };
    this.where();
  }

  /** Ask where the picked pixel was copied from. */
  async ask() {
    const { studio, scene, picking } = this;
    const { run, final, hasField } = scene?.result ?? {};
    if (!final || !hasField) {
      this.source.textContent = final ? NO_SOURCE : NOT_YET;
      return;
    }
    const place = await attempt(studio, () => get(`runs/${run}/source?x=${picking.x}&y=${picking.y}`));
    if (!place || studio.get("result")?.run !== run) return;
    const name = place.exemplar === 0 ? studio.get("exemplar").name : `exemplar ${place.exemplar + 1}`;
    const copy = COPIES[place.copy] ?? "";
    this.source.textContent = `Pixel ${picking.x}, ${picking.y} is ${place.x}, ${place.y} of ${name}${copy}.`;
    studio.set({ picked: { ...place, at: picking } });
  }
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  new Pane(studio, document.getElementById("result-pane"));
}
