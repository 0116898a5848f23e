/**
 * The pane of the result: tiled, magnified, compared, and where each pixel was copied from.
 */

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  void studio;
}
