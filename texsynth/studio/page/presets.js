/**
 * Presets, and their settings as rows of a form: what `texsynth presets show` says of each, and what --set changes.
 */

import { make } from "./dom.js";
import { Field, given, labelled } from "./fields.js";

const NUMBER = /^a (whole )?number(?: from (\S+) to (\S+)| of at least (\S+)| of at most (\S+))?$/;

/** The preset in use: that of a name and of a quality. @returns {Object} as the definitions have it */
export function presetOf(definitions, options) {
  const named = (name) => definitions.presets.find((preset) => preset.name === name);
  const chosen = named(options.preset || definitions.default);
  return named(chosen?.graded?.[options.quality || "normal"]) ?? chosen;
}

/**
 * The presets that can be chosen, those last that need networks which are not here. A variant of a quality is chosen by
 * its quality.
 */
export function presetChoices({ presets, default: standard }) {
  const others = ({ name, graded }) => Object.values(graded).filter((each) => each !== name);
  const apart = new Set([standard, ...presets.flatMap(others)]);
  const names = (test) => presets.filter((preset) => !apart.has(preset.name) && test(preset)).map(({ name }) => name);
  const lacking = names(({ lacks }) => lacks?.length);
  const here = names(({ lacks }) => !lacks?.length);
  return lacking.length ? [...here, { group: "Their networks are not here", choices: lacking, disabled: true }] : here;
}

/** A value as the words after `key=`. */
function words(value) {
  return Array.isArray(value) ? `[${value.map(words).join(", ")}]` : String(value);
}

/** The kind and the limits of a setting, from the words for what is allowed. */
function limits(allowed) {
  if (allowed.startsWith("one of ")) return { kind: "choice", choices: allowed.slice("one of ".length).split(", ") };
  if (allowed === "true or false") return { kind: "choice", choices: ["true", "false"] };
  const number = NUMBER.exec(allowed);
  if (!number) return { kind: "text" };
  const bound = (text) => (text === undefined ? undefined : Number(text));
  const [, whole, from, to, least, most] = number;
  return { kind: whole ? "whole" : "number", low: bound(from ?? least), high: bound(to ?? most) };
}

/** The places of a preset that have settings, by the word that stands before the dot in --set: name -> same rows. */
function places(preset) {
  const byWord = new Map();
  const add = (word, rows) => {
    const place = byWord.get(word) ?? new Map();
    for (const row of rows) place.set(row.name, [...(place.get(row.name) ?? []), row]);
    byWord.set(word, place);
  };
  for (const { method, settings } of preset.stages) {
    add(method, settings.filter((row) => !row.items));
    for (const item of settings.flatMap((row) => row.items ?? [])) {
      const loss = item.find((row) => row.name === "loss");
      add(loss?.value ?? method, item.filter((row) => row.name !== "loss" && row.name !== "features"));
    }
  }
  return byWord;
}

/** Every setting of a preset: the word of its place, and what is known of it. */
function settingsOf(preset) {
  const all = [...places(preset)].flatMap(([word, rows]) => [...rows].map(([name, same]) => ({ word, name, same })));
  const uses = (name) => all.filter((each) => each.name === name).length;
  return all.map(({ word, name, same }) => {
    const key = uses(name) > 1 ? `${word}.${name}` : name;
    const [{ allowed, help }] = same;
    const standard = [...new Set(same.map((row) => words(row.value)))].join(" / ");
    const said = { name: key, label: labelled(name), help: `${help} It is ${allowed}.`, flag: `--set ${key}=` };
    return { word, spec: { ...said, standard, ...limits(allowed) } };
  });
}

/** The part of the form that changes the settings of the preset in use. */
export class PresetSettings {
  /** @param {(values: object) => void} changed  Called with all values that are given, by key. */
  constructor(changed) {
    this.changed = changed;
    this.fields = new Map();
    this.values = {};
    this.name = "";
    this.title = make("summary");
    this.body = make("div");
    this.all = make("button", { type: "button", text: "Take all back", on: { click: () => this.changed({}) } });
    this.root = make("details", { class: "panel" }, this.title, this.body, this.all);
  }

  /** Show the settings of a preset, and the values that are given. */
  show(preset, values) {
    if (preset.name !== this.name) this.#build(preset);
    this.values = values;
    const count = Object.keys(values).length;
    this.title.replaceChildren("Preset settings");
    if (count) this.title.append(make("small", { class: "count", text: `${count} changed` }));
    this.all.disabled = !count;
    for (const [key, field] of this.fields) {
      if (field.value !== (values[key] ?? "")) field.fill(values[key]);
    }
  }

  /** The row of the setting that a message speaks of, as in "--set patch: ..." or "patch = 4, but ...". */
  named(text) {
    const [, key, name] = /--set ([\w.]+)|(?:^|: )(\w+) = /.exec(text) ?? [];
    return this.fields.get(key) ?? [...this.fields].find(([each]) => each.split(".").pop() === (name ?? key))?.[1];
  }

  #build(preset) {
    this.name = preset.name;
    this.fields.clear();
    const byWord = new Map();
    for (const { word, spec } of settingsOf(preset)) {
      const field = new Field(spec, "setting", (value) => this.changed(given(this.values, spec.name, value)));
      this.fields.set(spec.name, field);
      byWord.set(word, [...(byWord.get(word) ?? []), field.row]);
    }
    const group = ([word, rows]) => make("fieldset", {}, make("legend", { text: word }), ...rows);
    this.body.replaceChildren(...[...byWord].map(group));
  }

}
