/**
 * The pane of the exemplar: the picture, its crop, its layers and the corners of a photograph.
 */

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  void studio;
}
