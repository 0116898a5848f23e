/**
 * The controls of a pane in which layers are painted: what is painted, how it is shown, and the brush.
 */
import { SMALLEST, LARGEST, canFlood } from "./brush.js";
import { iconButton, make, numberField, sign } from "./dom.js";
import { exportLayer, importLayer } from "./files.js";
import { remember } from "./history.js";
import { isApart } from "./reading.js";
import { rowsOf } from "./stack.js";
import { tell } from "./state.js";

const EYE = "M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12M12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 1 0 0-5.6";
const SQUARE = "M4 4h16v16H4zM4 12l8-8M4 20 20 4M12 20l8-8";
const HALVES = "M12 4a8 8 0 1 0 0 16 8 8 0 1 0 0-16M12 4v16M12 8h6.5M12 12h8M12 16h6.5";
const BIN = "M5 7h14M9.5 7V4h5v3M7 7l1 13h8l1-13";
const UP = "M12 16V4M7 9l5-5 5 5M5 20h14";
const DOWN = "M12 4v12M7 11l5 5 5-5M5 20h14";
const GROWTH = 100; // steps of the slider of sizes, each a little more than the one before

/** Choices and controls over one pane. */
export class LayerBar {
  /**
   * @param {import("./state.js").Studio} studio
   * @param {"exemplar"|"canvas"} side
   * @param {{tools: () => string[][], tool: string, hint: () => string, changed: () => void}} owner
   *   tools: what can be done beside painting: value, label and tip. tool: the one that is chosen while no layer is.
   *   hint: what is said then
   */
  constructor(studio, side, owner) {
    Object.assign(this, { studio, side, owner });
    const label = side === "canvas" ? "What to paint" : "Work on the exemplar";
    this.choices = make("div", { class: "bar layers", role: "group", "aria-label": label });
    this.help = make("p", { class: "quiet help" });
    this.brush = make("div", { class: "bar brush", role: "group", "aria-label": "Brush" });
    this.elements = [this.choices, this.brush, this.help];
    this.#makeBrush();
    studio.on(["layers", "activeLayer", "hidden", "mode", "way", "tool", "palette"], () => this.update());
  }

  /** The layer that is painted in this pane, if any. */
  get layer() {
    const layer = this.studio.get("layers").get(this.studio.get("activeLayer"));
    return layer?.side === this.side ? layer : null;
  }

  /** Choose something to do beside painting. */
  choose(tool) {
    this.owner.tool = tool;
    this.studio.set({ activeLayer: this.layer ? null : this.studio.get("activeLayer") });
    this.update();
    this.owner.changed();
  }

  /** Show the state as it is. */
  update() {
    this.#updateChoices();
    const { layer } = this;
    this.brush.hidden = !layer;
    this.help.textContent = layer ? layer.help : this.owner.hint();
    this.help.hidden = !this.help.textContent;
    if (layer) this.#updateBrush(layer);
  }

  #updateChoices() {
    const rows = rowsOf(this.studio).filter((row) => row.side === this.side && this.studio.get("layers").has(row.role));
    const tools = this.owner.tools();
    const signature = [...tools, ...rows.map((row) => [row.role, row.label])].join();
    if (signature !== this.signature) {
      this.signature = signature;
      const chips = [...tools.map((tool) => this.#toolButton(tool)), ...rows.map((row) => this.#layerChip(row))];
      this.choices.replaceChildren(...chips);
    }
    const { layer } = this;
    for (const button of this.choices.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", !layer && button.dataset.tool === this.owner.tool);
    }
    for (const chip of this.choices.querySelectorAll("[data-layer]")) this.#updateChip(chip);
  }

  #toolButton([tool, label, title]) {
    const choose = () => this.choose(tool);
    return make("button", { type: "button", "data-tool": tool, title, text: label, on: { click: choose } });
  }

  #layerChip(row) {
    const choose = () => this.#paint(row);
    const { label, help } = row;
    const name = make("button", { type: "button", class: "name", title: help, text: label, on: { click: choose } });
    const eye = iconButton(sign(EYE), `Show ${label}`, () => this.#toggle(row.role), { "data-eye": true });
    return make("span", { class: "chip", "data-layer": row.role }, name, eye);
  }

  #updateChip(chip) {
    const role = chip.dataset.layer;
    const layer = this.studio.get("layers").get(role);
    const [name, eye] = chip.children;
    name.setAttribute("aria-pressed", this.layer === layer);
    chip.toggleAttribute("data-painted", !layer.empty);
    eye.hidden = layer.empty;
    eye.setAttribute("aria-pressed", !this.studio.get("hidden").includes(role));
  }

  #paint(row) {
    const { studio } = this;
    if (this.layer?.role === row.role) return;
    const hidden = studio.get("hidden").filter((role) => role !== row.role);
    const tool = { ...studio.get("tool"), erase: false, ...(row.kind === "grey" && { value: row.value }) };
    studio.set({ activeLayer: row.role, hidden, tool });
    this.owner.changed();
  }

  #toggle(role) {
    const hidden = this.studio.get("hidden");
    this.studio.set({ hidden: hidden.includes(role) ? hidden.filter((other) => other !== role) : [...hidden, role] });
  }

  /** Change one thing of the tool. */
  #set(change) {
    this.studio.set({ tool: { ...this.studio.get("tool"), ...change } });
  }

  #makeBrush() {
    const slider = (label, max, action) => numberField(label, { type: "range", min: 0, max, step: 1 }, action);
    const set = (change) => this.#set(change);
    this.size = slider("Size", GROWTH, (step) => set({ size: sizeAt(step) }));
    this.hardness = slider("Hardness", 100, (percent) => set({ hardness: percent / 100 }));
    this.value = slider("Grey", 255, (value) => set({ value }));
    this.palette = make("div", { class: "palette", role: "group", "aria-label": "Label" });
    this.erase = make("button", { type: "button", text: "Erase", title: "Erase (X, or the right mouse button)",
      on: { click: () => set({ erase: !this.studio.get("tool").erase }) } });
    this.area = make("button", { type: "button", text: "Fill area", title: "Fill the area that is clicked",
      on: { click: () => set({ brush: this.studio.get("tool").brush === "fill" ? "round" : "fill" }) } });
    this.opacity = slider("Opacity", 100, (percent) => {
      this.layer.opacity = percent / 100;
      this.studio.set({ hidden: this.studio.get("hidden") });
    });
    const controls = [this.palette, this.value, this.size, this.hardness, this.erase, this.area, this.opacity];
    this.brush.append(...controls, this.#makeActions());
  }

  #makeActions() {
    const { studio } = this;
    const button = (path, label, action) => iconButton(sign(path), label, action);
    const change = (action) => remember(studio, this.layer, () => action(this.layer));
    this.all = button(SQUARE, "Paint all of it", () => change((layer) => layer.fill(this.#ink(layer))));
    this.invert = button(HALVES, "Exchange what is painted and what is not", () => change((layer) => layer.invert()));
    this.clear = button(BIN, "Clear this layer", () => change((layer) => layer.clear()));
    this.file = make("input", {
      type: "file", accept: "image/*", class: "visually-hidden", tabindex: -1, "aria-label": "A picture for this layer",
      on: { change: () => this.#import() },
    });
    const load = button(UP, "Import a picture into this layer", () => this.file.click());
    this.save = button(DOWN, "Export this layer as a picture", () => exportLayer(studio, this.layer));
    return make("span", { class: "actions" }, this.all, this.invert, this.clear, load, this.save, this.file);
  }

  #import() {
    const [file] = this.file.files;
    if (file) importLayer(this.studio, this.layer, file);
    this.file.value = "";
  }

  #ink(layer) {
    const tool = this.studio.get("tool");
    return layer.kind === "labels" ? tool.colour : tool.value;
  }

  #updateBrush(layer) {
    const tool = this.studio.get("tool");
    show(this.size, stepOf(tool.size), `${Math.round(tool.size)} px`);
    show(this.hardness, Math.round(tool.hardness * 100), `${Math.round(tool.hardness * 100)} %`);
    show(this.value, tool.value, String(tool.value));
    show(this.opacity, Math.round(layer.opacity * 100), `${Math.round(layer.opacity * 100)} %`);
    this.value.hidden = this.hardness.hidden = layer.kind !== "grey";
    this.palette.hidden = layer.kind !== "labels";
    this.area.hidden = !canFlood(layer);
    this.all.hidden = layer.kind === "strokes" || layer.kind === "mask";
    this.invert.hidden = layer.kind !== "mask";
    this.erase.setAttribute("aria-pressed", tool.erase);
    this.area.setAttribute("aria-pressed", tool.brush === "fill");
    this.clear.disabled = this.save.disabled = layer.empty;
    if (layer.kind === "labels") this.#updatePalette(tool.colour);
  }

  #updatePalette(chosen) {
    const palette = this.studio.get("palette");
    if (this.palette.childElementCount !== palette.length + 1) {
      const choose = (ink) => () => this.#set({ colour: ink, erase: false });
      const title = "Change the colour of this label";
      const change = ({ target }) => this.#recolour(target.value);
      this.palette.replaceChildren(
        ...palette.map((_, ink) => make("button", { type: "button", class: "swatch", on: { click: choose(ink) } })),
        make("input", { type: "color", "aria-label": title, title, on: { change } }),
      );
    }
    palette.forEach((colour, ink) => {
      const swatch = this.palette.children[ink];
      const label = `Label ${ink + 1}${ink ? "" : ", also of what is not painted"}`;
      swatch.style.backgroundColor = colour;
      Object.assign(swatch, { title: label, ariaLabel: label, ariaPressed: String(ink === chosen) });
    });
    this.palette.lastChild.value = palette[chosen] ?? palette[0];
  }

  #recolour(colour) {
    const { studio } = this;
    const chosen = studio.get("tool").colour;
    const others = studio.get("palette").filter((_, ink) => ink !== chosen);
    if (isApart(colour, others)) {
      studio.set({ palette: studio.get("palette").with(chosen, colour), layers: studio.get("layers") });
    } else tell(studio, "This colour is too much like that of another label.", "error");
    this.update();
  }
}

function show(label, value, text) {
  const input = label.control;
  if (document.activeElement !== input || Number(input.value) !== value) input.value = value;
  input.setAttribute("aria-valuetext", text);
  label.title = text;
}

/** Sizes of the brush at a step of its slider, and the other way round: small ones are as easy to set as large ones. */
function sizeAt(step) {
  return Math.round(SMALLEST * (LARGEST / SMALLEST) ** (step / GROWTH));
}

function stepOf(size) {
  return Math.round((GROWTH * Math.log(size / SMALLEST)) / Math.log(LARGEST / SMALLEST));
}
