/**
 * The pane of the canvas: its layers, what is painted on them, and bands and margins over them.
 */

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  void studio;
}
