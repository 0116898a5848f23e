/**
 * The result under a moving light, where it has maps: what a report shows, drawn by the same module.
 */

import { choice, make } from "./dom.js";
import { Light, MAPS } from "./light.js";
import { newest } from "./pictures.js";

const SHAPES = [["sphere", "Sphere"], ["plane", "Plane"], ["both", "Both"]];
const USUAL = 4; // percent of the width from lowest to highest, until a final picture tells it
const HELP = "The light follows pointer and arrow keys, or goes round (space). Dragging turns; a double click, back.";

const WAITING = "What is made is shown here, under a moving light.";
const UNLIT = ["base_colour", "opacity"]; // roles that look the same under every light
const LIT = Object.values(MAPS).flatMap(([roles]) => roles).filter((role) => !UNLIT.includes(role));

/** @param {Object} maps by name, each with its role @returns {boolean} do some of them answer to light? */
export const answers = (maps) => Object.values(maps ?? {}).some(({ role }) => LIT.includes(role));

/** A picture that is ready to be drawn. */
async function image(path) {
  const element = new Image();
  element.src = path;
  await element.decode();
  return element;
}

/** A picture that is asked for once more where it does not come; throws an Error that says which one it is. */
async function insisted(name, path) {
  try {
    return await image(path).catch(() => image(path));
  } catch {
    throw new Error(`${name} could not be shown; choose Lit once more to try it again.`);
  }
}

/** By role, what `Light` shows; of several maps of one role the first. Throws an Error. */
async function loaded(result) {
  const roles = new Map([["base_colour", ["The colour", result]]]);
  for (const [name, map] of Object.entries(result.maps)) {
    if (map.role && !roles.has(map.role)) roles.set(map.role, [`The map ${name}`, map]);
  }
  const maps = [...roles].map(async ([role, [name, { shown, down = false }]]) => {
    return [role, { image: await insisted(name, shown), down }];
  });
  return Object.fromEntries(await Promise.all(maps));
}

class Pane {
  shown = null; // the result whose maps are drawn
  chosen = new Set(); // the fields that the user has set; the others follow the result

  constructor(studio, root) {
    this.studio = studio;
    this.canvas = make("canvas", {
      id: "lit-canvas", tabindex: 0, role: "img", "aria-label": "The material under a moving light",
    });
    this.missing = make("p", { class: "empty", role: "status" });
    this.view = make(
      "div", { id: "lit", hidden: true }, this.form(),
      make("div", { class: "stage" }, this.canvas, this.missing), make("p", { class: "quiet", text: HELP }),
    );
    root.append(this.view);
    this.light = new Light(this.canvas, this.wanted);
    this.forget();
    this.show = newest(() => this.load());
    studio.on(["result", "shownMap"], () => this.show());
  }

  /** The fields, and `wanted`, which is what they say. */
  form() {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const times = [1, 2, 3, 4].map((n) => make("option", { value: n, text: `${n} × ${n}` }));
    const [tiles, moves] = [make("select", {}, ...times), make("input", { type: "checkbox", checked: !still })];
    const relief = make("input", { type: "range", min: 0, max: 20, step: 0.1, value: USUAL });
    for (const field of [tiles, relief]) field.addEventListener("input", () => this.chosen.add(field));
    this.wanted = {
      shape: SHAPES[0][0],
      get tiles() { return Number(tiles.value); },
      get relief() { return relief.value / 100; },
      get moves() { return moves.checked; },
      set moves(does) { moves.checked = does; },
    };
    Object.assign(this, { tiles, relief });
    return make(
      "div", { class: "bar", id: "lit-form", on: { input: () => this.light.ask() } },
      choice("Shape", SHAPES, this.wanted.shape, (shape) => (this.wanted.shape = shape, this.light.ask())),
      make("label", { class: "field" }, make("span", { text: "Tiles" }), tiles),
      make("label", { class: "field", id: "lit-relief" }, make("span", { text: "Relief" }), relief),
      make("label", {}, moves, " moving light"),
    );
  }

  follow(field, value) {
    if (!this.chosen.has(field)) field.value = value;
  }

  /** There is nothing to see, or an empty text: there is. */
  without(text) {
    this.missing.textContent = text;
    this.missing.hidden = !text;
    this.canvas.hidden = Boolean(text);
  }

  /** What is lit is of another exemplar. */
  forget() {
    this.shown = null;
    this.without(WAITING);
  }

  /** What has maps: the result, or the newest before it where that is a draft on its way, which has none yet. */
  lightable() {
    const { result, previous } = this.studio.all();
    const before = [this.shown, previous].filter((one) => answers(one?.maps)).sort((a, b) => b.run - a.run);
    return answers(result?.maps) ? result : before[0];
  }

  async load() {
    const { studio } = this;
    const isWanted = studio.get("shownMap") === "lit", isThere = studio.get("result") !== null;
    this.view.hidden = !isWanted;
    if (!isThere || (!isWanted && this.canvas.hidden)) this.forget();
    const result = this.lightable();
    if (!isWanted || !isThere || !result || result === this.shown) return;
    this.shown = result;
    await loaded(result).then((maps) => this.draw(result, maps), ({ message }) => this.without(message));
  }

  draw(result, maps) {
    const { studio, tiles, relief } = this;
    relief.parentElement.hidden = !maps.height;
    this.follow(tiles, studio.get("tileable") === "xy" ? 2 : 1);
    if (result.relief) this.follow(relief, 100 * result.relief);
    this.without(this.light.show(maps) ? "" : "This browser does not offer WebGL 2 here.");
  }
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  new Pane(studio, document.getElementById("lit-pane"));
}
