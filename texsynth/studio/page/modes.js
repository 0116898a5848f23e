/**
 * What is made, a texture, a repair or an edit, and the size of the canvas that goes with it.
 */

const LONGEST = 768; // of a canvas that nobody has given a size; larger ones make drafts slow

/**
 * The size of a canvas as it begins: a texture is twice as large as the picture, as the command makes it, unless that
 * is large; other modes have the size of the picture, which masks go by even where it is cropped. No crop changes it,
 * so that what is painted stays as it is.
 * @param {Object} state as of `Studio.all` @returns {{width: number, height: number}}
 */
export function sizeOf({ mode, exemplar }) {
  if (!exemplar) return { width: 512, height: 512 };
  const { width, height } = exemplar;
  if (mode !== "texture") return { width, height };
  const factor = Math.min(2, LONGEST / Math.max(width, height));
  return { width: Math.round(width * factor), height: Math.round(height * factor) };
}

/**
 * What a first result is compared with: the picture that is repaired or edited; nothing for a texture.
 * @param {Object} state as of `Studio.all` @returns {Object | null}
 */
export const beforeOf = ({ mode, exemplar }) => (mode === "texture" ? null : exemplar);

/** The size of a texture is kept while another mode has its own. */
function keepSize(studio) {
  let texture = null;
  let mode = studio.get("mode");
  studio.on(["exemplar"], () => (texture = null));
  studio.on(["mode", "way"], () => {
    const state = studio.all();
    if (mode === "texture" && state.mode !== "texture") texture = state.size;
    const size = state.mode === "texture" && mode !== "texture" && texture ? texture : sizeOf(state);
    if (state.mode !== mode || state.mode === "edit") studio.set({ size });
    mode = state.mode;
  });
}

/** Radios that show a value of the state, and set it, with what it makes void. */
function choice(studio, name, id) {
  const root = document.getElementById(id);
  const show = () => (root.querySelector(`[value=${studio.get(name)}]`).checked = true);
  root.addEventListener("change", ({ target }) => {
    const chosen = { [name]: target.value, ...(name === "mode" && { tileable: "" }) };
    studio.set({ ...chosen, result: null, previous: beforeOf({ ...studio.all(), ...chosen }), seeds: [] });
  });
  studio.on([name], show);
  show();
  return root;
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  keepSize(studio);
  choice(studio, "mode", "modes");
  const ways = choice(studio, "way", "ways");
  studio.on(["mode"], () => (ways.hidden = studio.get("mode") !== "edit"));
}
