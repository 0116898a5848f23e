/**
 * What the page asks the server for: its state as a sheet, from which requests and commands are made.
 */

import { means } from "./meaning.js";

const GUIDES = ["progression", "labels", "orientation"]; // layers of the canvas that steer a texture

/**
 * @param {Object} state as of `Studio.all`
 * @returns {string} the verb that makes the picture
 */
export function verbOf(state) {
  if (state.mode === "repair") return "inpaint";
  if (state.mode === "edit") return "edit";
  return GUIDES.some((role) => painted(state, role)) ? "control" : "synthesize";
}

function painted(state, role) {
  const layer = state.layers.get(role);
  return layer && !layer.empty ? layer : null;
}

/** The roles of layers that a verb takes as they are, by the verb and, for `edit`, its way. */
function plainRoles(state) {
  const own = {
    synthesize: [],
    control: ["orientation", "guide_weight_map"],
    inpaint: ["mask"],
    edit: { mask: ["mask", "target_mask"], remove: ["remove"] }[state.way] ?? [],
  };
  return ["source_mask", ...own[verbOf(state)]];
}

/** The guides that come in two: a layer of the exemplar, or what stands for it, and one of the canvas. */
function pairs(state) {
  if (verbOf(state) !== "control") return {};
  const [progression, labels] = [painted(state, "progression"), painted(state, "labels")];
  const parts = painted(state, "labels_source");
  return {
    ...(progression && { progression: [painted(state, "progression_source") ?? "auto", progression] }),
    ...(labels && parts && { labels: [parts, labels] }),
  };
}

/** @param {Object} state @returns {Object} the layers that are sent: lists of layers, or of words, by their options */
export function layersOf(state) {
  const plain = plainRoles(state)
    .map((role) => [role, painted(state, role)])
    .filter(([, layer]) => layer)
    .map(([role, layer]) => [role, [layer]]);
  return { ...Object.fromEntries(plain), ...pairs(state) };
}

/** What is asked for by the panes, and not by the form; undefined is not sent. */
function paneValues(state) {
  const { mode, way, size, seed, crop, extend, tileable, band } = state;
  const wanted = `${size.width}x${size.height}`;
  const repair = mode === "repair";
  const repeats = !repair && !(mode === "edit" && way === "remove"); // what is removed is closed up, and has no seams
  return {
    seed: seed || undefined,
    crop: crop ? crop.join(",") : undefined,
    size: mode === "texture" ? wanted : undefined,
    tile: repeats ? tileable || undefined : undefined,
    make_tileable: repair ? tileable || undefined : undefined,
    band: repair && tileable ? (band ?? undefined) : undefined,
    extend: repair && extend.some(Boolean) ? extend.join(",") : undefined,
    retarget: mode === "edit" && way === "retarget" ? wanted : undefined,
    reshuffle: mode === "edit" && way === "reshuffle" ? true : undefined,
  };
}

/** What the form asks for, as far as it means something. */
function formValues(state) {
  const options = state.definitions?.verbs[verbOf(state)]?.options ?? [];
  const useful = options.filter((option) => means(option, state));
  return Object.fromEntries(useful.map(({ name }) => [name, state.options[name]]));
}

/** Does the preset copy pixels? Where it makes colours alone, as some do, no map can follow. */
function copies({ definitions, options }) {
  const chosen = options.preset || definitions?.default;
  return definitions?.presets.find(({ name }) => name === chosen)?.copies ?? true;
}

const sent = ([, value]) => value !== undefined && value !== null && value !== "";

/**
 * The sheet of a state.
 * @param {Object} state as of `Studio.all`; its exemplar is there
 * @param {(layer: Object) => string} nameOf what stands for a layer: the id of its upload
 * @returns {Object}
 */
export function sheetOf(state, nameOf = (layer) => layer.id) {
  const named = (part) => (typeof part === "string" ? part : nameOf(part));
  const files = Object.entries(layersOf(state)).map(([name, parts]) => [name, parts.map(named)]);
  const maps = Object.entries(copies(state) ? (state.exemplar.maps ?? {}) : {}).map(([name, { id }]) => [name, [id]]);
  if (maps.length) files.push(["maps", Object.fromEntries(maps)]);
  return {
    verb: verbOf(state),
    exemplars: [state.exemplar.id],
    values: Object.fromEntries(Object.entries({ ...formValues(state), ...paneValues(state) }).filter(sent)),
    settings: Object.fromEntries(Object.entries(state.settings).filter(sent)),
    files: Object.fromEntries(files),
  };
}

/**
 * What is still to be done before anything can be made, as a sentence; "" for nothing.
 * @param {Object} state as of `Studio.all`
 * @returns {string}
 */
export function wanting(state) {
  const { mode, way, exemplar, tileable, extend, size } = state;
  if (!exemplar) return "Open a picture to begin with.";
  if (mode === "repair" && !painted(state, "mask") && !tileable && !extend.some(Boolean) && !exemplar.alpha) {
    return "Paint over what is to be filled, make the picture tileable, or extend it.";
  }
  if (mode !== "edit" || way === "reshuffle") return "";
  if (way === "remove") return painted(state, "remove") ? "" : "Paint over what is to be removed.";
  if (way === "retarget") {
    const same = size.width === exemplar.width && size.height === exemplar.height;
    return same ? "Give the picture another size." : "";
  }
  if (!painted(state, "mask")) return "Paint over the object that is to move or to change.";
  return painted(state, "target_mask") ? "" : "Paint where the object shall be.";
}
