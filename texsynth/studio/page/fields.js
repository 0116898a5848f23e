/**
 * Rows of a form: a control made from what is known of a value, with its name, its help, and room for what is wrong.
 *
 * Every kind of row has `row` (its element), `value`, `fill(value)` and `fail(text)`; "" stands for no value.
 *
 * @typedef {object} Spec what is known of a value
 * @property {string} name its key
 * @property {string} label what the row is called
 * @property {"switch"|"whole"|"number"|"choice"|"text"} kind
 * @property {string} [help] full sentences
 * @property {string} [flag] what the command line calls it
 * @property {(string|{group: string, choices: string[], disabled?: boolean})[]} [choices] the only words that it may be
 * @property {number} [low] the least number
 * @property {number} [high] the largest number
 * @property {string} [standard] the value where none is given, in words
 */

import { make } from "./dom.js";

const LONGEST = 25; // letters of a default that is shown among the choices

/** @param {string} name @returns {string} as people read it: "progression_weight" is "Progression weight" */
export function labelled(name) {
  const words = name.replaceAll("_", " ").trim();
  return words[0].toUpperCase() + words.slice(1);
}

/** @param {string} help @returns {string} the default that it tells: "The weight of the labels. Default: 10." has 10 */
export function standardOf(help) {
  return /\bDefault: (.*?)\.?$/.exec(help)?.[1] ?? "";
}

/**
 * Values with another one: without the key where that is "".
 * @template T @param {T} values @param {string} key @param {*} value @returns {T}
 */
export function given(values, key, value) {
  const { [key]: _, ...others } = values;
  return value === "" ? others : { ...others, [key]: value };
}

/** Is this a limit that a number can reach, and not that of all numbers? */
function isLimit(number) {
  return typeof number === "number" && Math.abs(number) < Number.MAX_SAFE_INTEGER;
}

/** What a number may be, in the words of the command line. */
function allowed({ kind, low, high }) {
  const noun = kind === "whole" ? "a whole number" : "a number";
  if (isLimit(low) && isLimit(high)) return `${noun} from ${low} to ${high}`;
  if (isLimit(low)) return `${noun} of at least ${low}`;
  return isLimit(high) ? `${noun} of at most ${high}` : noun;
}

/** What all rows have: a label, a cell with controls, what takes the value back, the help and what is wrong. */
class Row {
  constructor(spec, prefix, changed) {
    this.spec = spec;
    this.changed = changed;
    this.id = `${prefix}-${spec.name.replace(/\W/g, "-")}`;
    this.help = make("p", { id: `${this.id}-help`, class: "help", text: spec.help ?? "" });
    this.error = make("p", { id: `${this.id}-error`, class: "error", hidden: true });
    this.cell = make("span", { class: "cell" });
    this.row = make("div", { class: "row", "data-flag": spec.flag ?? "" });
  }

  /** Put the parts together. label: what names the controls; focus: the one that is focused for the whole row; whole:
   * the element that is wrong where the value is. */
  compose(label, focus, whole = focus) {
    this.focus = focus;
    this.whole = whole;
    const named = { "aria-label": `Take back: ${this.spec.label}`, title: "Take back" };
    this.undo = make("button", { type: "button", class: "undo", text: "\u21ba", ...named });
    this.undo.addEventListener("click", () => this.#takeBack());
    this.row.append(label, this.cell, this.undo, this.help, this.error);
    this.fill("");
  }

  /** What `aria-describedby` of a control is. */
  get described() {
    return `${this.help.id} ${this.error.id}`;
  }

  /** Say what is wrong with the value, "" for nothing. */
  fail(text) {
    this.error.textContent = text;
    this.error.hidden = !text;
    if (text) this.whole.setAttribute("aria-invalid", "true");
    else this.whole.removeAttribute("aria-invalid");
  }

  /** Mark whether there is a value that can be taken back. */
  mark(isGiven) {
    this.row.classList.toggle("changed", isGiven);
    this.undo.disabled = !isGiven;
  }

  /** Take what was entered, where it is sound; `what` says what it has to be. */
  take(isSound, what) {
    this.fail(isSound ? "" : what);
    this.mark(!isSound || this.value !== "");
    if (isSound) this.changed(this.value);
  }

  #takeBack() {
    this.fill("");
    this.changed("");
    this.focus.focus();
  }
}

/** A row of one control. */
export class Field extends Row {
  /** @param {Spec} spec @param {string} prefix of ids @param {(value: string|boolean) => void} changed */
  constructor(spec, prefix, changed) {
    super(spec, prefix, changed);
    this.control = control(spec, { id: this.id, "aria-describedby": this.described });
    const check = () => this.take(this.control.validity.valid, `This is ${allowed(spec)}.`);
    this.control.addEventListener("change", check);
    this.cell.append(this.control);
    this.compose(make("label", { for: this.id, text: spec.label }), this.control);
  }

  get value() {
    return this.spec.kind === "switch" ? this.control.checked || "" : this.control.value.trim();
  }

  fill(value) {
    if (this.spec.kind === "switch") this.control.checked = Boolean(value);
    else this.control.value = String(value ?? "");
    this.fail("");
    this.mark(this.value !== "");
  }
}

/** A row of a few words of which one is chosen, side by side; `spec.standard` is the one that stands for no value. */
export class Choice extends Row {
  /** @param {Spec} spec @param {string} prefix of ids @param {(value: string) => void} changed */
  constructor(spec, prefix, changed) {
    super(spec, prefix, changed);
    this.radios = spec.choices.map((word) => {
      const value = word === spec.standard ? "" : word;
      return make("input", { type: "radio", name: this.id, id: `${this.id}-${word}`, value });
    });
    const words = this.radios.map((radio, place) => {
      return make("label", {}, radio, make("span", { text: spec.choices[place] }));
    });
    const named = { "aria-labelledby": `${this.id}-label`, "aria-describedby": this.described };
    const group = make("span", { class: "choice", role: "radiogroup", ...named }, ...words);
    group.addEventListener("change", () => this.take(true, ""));
    this.cell.append(group);
    this.compose(make("span", { id: `${this.id}-label`, class: "label", text: spec.label }), this.radios[0], group);
  }

  get value() {
    return this.radios.find((radio) => radio.checked)?.value ?? "";
  }

  fill(value) {
    for (const radio of this.radios) radio.checked = radio.value === (value || "");
    this.focus = this.radios.find((radio) => radio.checked) ?? this.radios[0];
    this.fail("");
    this.mark(this.value !== "");
  }

  /** Only these words can be chosen. @param {string[]} words */
  allow(words) {
    this.radios.forEach((radio, place) => (radio.disabled = !words.includes(this.spec.choices[place])));
  }
}

/** A row of a few whole numbers; its value is "1,2,3,4", "" where all are 0. */
export class Numbers extends Row {
  /** @param {Spec & {names: string[]}} spec @param {string} prefix of ids @param {(value: string) => void} changed */
  constructor(spec, prefix, changed) {
    super(spec, prefix, changed);
    const whole = { ...spec, kind: "whole" };
    this.inputs = spec.names.map((name) => {
      const named = { "aria-label": `${spec.label}: ${name}`, title: labelled(name) };
      const short = name[0].toUpperCase();
      return control({ ...whole, standard: short }, { ...named, "aria-describedby": this.described });
    });
    const areSound = () => this.inputs.every((input) => input.validity.valid);
    this.cell.addEventListener("change", () => this.take(areSound(), `Each is ${allowed(whole)}.`));
    this.cell.append(...this.inputs);
    this.compose(make("span", { class: "label", text: spec.label }), this.inputs[0]);
  }

  get value() {
    const numbers = this.inputs.map((input) => Number(input.value));
    return numbers.some(Boolean) ? numbers.join(",") : "";
  }

  fill(value) {
    const numbers = String(value || "").split(",");
    this.inputs.forEach((input, place) => (input.value = Number(numbers[place]) ? numbers[place] : ""));
    this.fail("");
    this.mark(this.value !== "");
  }
}

/** The control for a value. */
function control({ kind, choices = [], standard, low, high }, attributes) {
  const plain = { autocomplete: "off", ...attributes };
  if (kind === "choice") {
    const none = standard && standard.length < LONGEST ? standard : "default";
    return make("select", plain, make("option", { value: "", text: none }), ...choices.map(choiceOf));
  }
  if (kind === "switch") return make("input", { type: "checkbox", ...plain });
  const typed = { placeholder: standard ?? "", ...plain };
  if (kind === "text") return make("input", { type: "text", spellcheck: "false", ...typed });
  const limits = { min: isLimit(low) ? low : null, max: isLimit(high) ? high : null };
  return make("input", { type: "number", step: kind === "whole" ? 1 : "any", ...limits, ...typed });
}

function choiceOf(choice) {
  if (typeof choice === "string") return make("option", { value: choice, text: choice });
  const { group, choices, disabled = false } = choice;
  return make("optgroup", { label: group, disabled }, ...choices.map(choiceOf));
}
