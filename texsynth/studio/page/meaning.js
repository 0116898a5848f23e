/**
 * Which options mean something as things are: these are shown, and sent.
 */

/** The options of `control` that belong to a guide. */
const GUIDES = {
  progression: ["progression_weight", "reverse", "distance_transform", "refine", "match_histogram", "match_range"],
  orientation: ["orientation_weight", "orientation_extractor"],
  labels: ["labels_weight"],
};

/**
 * @param {Object} option as the definitions have it
 * @param {Object} state as of `Studio.all`
 * @returns {boolean}
 */
export function means({ name, panel, ways }, { layers, mode, way, exemplar, tileable, options }) {
  const guide = Object.keys(GUIDES).find((role) => GUIDES[role].includes(name));
  if (guide && mode === "texture") return layers.has(guide) && !layers.get(guide).empty;
  if (name === "tile") return mode === "texture" || (mode === "edit" && way !== "remove");
  if (name === "band") return tileable !== "";
  if (name === "flatten" && mode !== "texture") return mode === "edit" && way !== "remove" && !options.keep_background;
  if (name === "margin") return Boolean(options.keep_background);
  if (panel === "Maps") return Object.keys(exemplar?.maps ?? {}).length > 0;
  return mode !== "edit" || !ways?.length || ways.includes(way);
}
