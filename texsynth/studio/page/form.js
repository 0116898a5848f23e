/**
 * The settings: what the verb in use can be asked for, common things first, and what its preset can be set to.
 *
 * Values are kept in the words of the command line; what is not given has no value.
 */

import { make } from "./dom.js";
import { Choice, Field, given, labelled, Numbers, standardOf } from "./fields.js";
import { means } from "./meaning.js";
import { presetChoices, presetOf, PresetSettings } from "./presets.js";
import { verbOf } from "./sheet.js";

const SHOWN = "definitions mode way layers exemplar options settings tileable band extend".split(" ");
const ELSEWHERE = ["crop", "size", "retarget", "reshuffle", "seed"]; // what the panes ask for
const PANELS = ["Guides", "Maps"]; // of the command line's, which have more than a row or two
const FILES = ["file", "files", "pair"]; // these are painted, or dropped

/** A preset takes back the settings of the one before, and a quality that it does not have. */
function choosePreset(value, { options, definitions }) {
  const chosen = given(options, "preset", value);
  const { graded } = presetOf(definitions, given(chosen, "quality", ""));
  return { options: given(chosen, "quality", graded[options.quality] ? options.quality : ""), settings: {} };
}

const TILEABLE = {
  kind: Choice,
  read: ({ tileable }) => tileable,
  write: (tileable) => ({ tileable }),
  spec: () => ({ label: "Tileable", choices: ["none", "x", "y", "xy"], standard: "none" }),
};

/**
 * What stands first and is not kept among the options as it is: the kind of its row, its value in a state, what changes
 * in a state with another value, and what is known of it beside its option.
 */
const FIRST = {
  preset: {
    kind: Field,
    read: ({ options }) => options.preset,
    write: choosePreset,
    spec: (definitions) => ({ kind: "choice", choices: presetChoices(definitions), standard: definitions.default }),
  },
  quality: {
    kind: Choice,
    read: ({ options }) => options.quality,
    write: (value, { options }) => ({ options: given(options, "quality", value) }),
    spec: ({ qualities }) => ({ choices: qualities, standard: "normal" }),
  },
  tile: TILEABLE,
  make_tileable: TILEABLE,
  band: {
    kind: Field,
    read: ({ band }) => band ?? "",
    write: (value) => ({ band: value === "" ? null : Number(value) }),
    spec: () => ({ low: 1, standard: "a sixth" }),
  },
  extend: {
    kind: Numbers,
    read: ({ extend }) => (extend.some(Boolean) ? extend.join(",") : ""),
    write: (value) => ({ extend: value === "" ? [0, 0, 0, 0] : value.split(",").map(Number) }),
    spec: () => ({ names: ["left", "top", "right", "bottom"], low: 0 }),
  },
};

/** The form of the verb in use. */
class Form {
  constructor(studio, root) {
    this.studio = studio;
    this.fields = new Map(); // by the names of options
    this.options = [];
    this.panels = [];
    this.opened = new Set(); // titles of panels
    this.settings = new PresetSettings((settings) => studio.set({ settings }));
    this.rows = make("div", { class: "rows" });
    this.dock = new Dock(root);
    root.replaceChildren(this.rows, this.dock.root);
    root.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Make the rows where the verb has changed, show those that mean something, and the values of all. */
  show() {
    const state = this.studio.all();
    if (!state.definitions) return;
    const verb = verbOf(state);
    if (verb !== this.verb) this.#build(verb, state.definitions);
    for (const option of this.options) this.fields.get(option.name).row.hidden = !means(option, state);
    for (const panel of this.panels) panel.hidden = !panel.querySelector(".row:not([hidden])");
    this.#fill(state);
    this.dock.tidy();
  }

  /** Say what is wrong at the control that a message names by its flag. */
  fail(message) {
    const text = message?.kind === "error" ? message.text : "";
    const flags = text.match(/--[a-z-]+/g) ?? [];
    const named = [...this.fields.values()].find(({ spec, row }) => flags.includes(spec.flag) && !row.hidden);
    this.failed?.fail("");
    this.failed = named ?? this.settings.named(text);
    this.failed?.fail(text);
    this.failed?.row.closest("details")?.setAttribute("open", "");
  }

  #build(verb, definitions) {
    this.verb = verb;
    this.fields.clear();
    const useful = ({ name, kind }) => !ELSEWHERE.includes(name) && !FILES.includes(kind);
    this.options = definitions.verbs[verb].options.filter(useful);
    for (const option of this.options) this.fields.set(option.name, this.#field(option, definitions));
    const rows = (options) => options.map(({ name }) => this.fields.get(name).row);
    const isFirst = ({ name, shown }) => name in FIRST || shown;
    const order = Object.keys(FIRST);
    const place = ({ name }) => (order.includes(name) ? order.indexOf(name) : order.length);
    const first = this.options.filter(isFirst).sort((one, other) => place(one) - place(other));
    const others = this.options.filter((option) => !isFirst(option));
    const panels = Map.groupBy(others, ({ panel }) => (PANELS.includes(panel) ? panel : "More"));
    const titles = [...PANELS, "More"].filter((title) => panels.has(title));
    this.panels = titles.map((title) => this.#panel(title, rows(panels.get(title))));
    this.rows.replaceChildren(...rows(first), ...this.panels, this.settings.root);
  }

  #field(option, definitions) {
    const { kind: Kind = Field, spec, write } = FIRST[option.name] ?? {};
    const known = { label: labelled(option.name), standard: option.default ?? standardOf(option.help) };
    return new Kind({ ...option, ...known, ...spec?.(definitions) }, "option", (value) => {
      const state = this.studio.all();
      this.studio.set(write?.(value, state) ?? { options: given(state.options, option.name, value) });
    });
  }

  #panel(title, rows) {
    const summary = make("summary", { text: title });
    const panel = make("details", { class: "panel", open: this.opened.has(title) }, summary, ...rows);
    panel.addEventListener("toggle", () => this.opened[panel.open ? "add" : "delete"](title));
    return panel;
  }

  #fill(state) {
    const preset = presetOf(state.definitions, state.options);
    for (const [name, field] of this.fields) {
      const value = (name in FIRST ? FIRST[name].read(state) : state.options[name]) ?? "";
      if (String(field.value) !== String(value)) field.fill(value);
    }
    this.fields.get("preset").help.textContent = preset.description;
    const { graded } = presetOf(state.definitions, given(state.options, "quality", ""));
    this.fields.get("quality").allow(Object.keys(graded));
    this.settings.show(preset, state.settings);
  }
}

const HINT = "What you point at or move to is explained here.";

/** The line under the form that explains the row in use, and what explains all of them in their places. */
class Dock {
  #row = null; // that is explained
  #text = make("p", { text: HINT, "aria-hidden": "true" }); // the rows' own help describes the controls

  constructor(form) {
    const all = make("button", { type: "button", text: "Explain all", "aria-pressed": "false" });
    all.addEventListener("click", () => all.setAttribute("aria-pressed", form.classList.toggle("explained")));
    for (const event of ["focusin", "pointerover"]) form.addEventListener(event, ({ target }) => this.#explain(target));
    this.root = make("div", { class: "dock" }, this.#text, all);
  }

  #explain(target) {
    const row = target.closest(".row");
    if (!row) return;
    this.#row = row;
    const help = row.querySelector(".help").textContent;
    this.#text.replaceChildren(make("code", { text: row.dataset.flag }), ` ${help}`);
  }

  /** Explain no row that is not there any more. */
  tidy() {
    if (!this.#row || (this.#row.isConnected && !this.#row.hidden)) return;
    this.#row = null;
    this.#text.textContent = HINT;
  }
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  const form = new Form(studio, document.getElementById("settings"));
  studio.on(SHOWN, () => form.show());
  studio.on(["message"], () => form.fail(studio.get("message")));
  form.show();
}
