/**
 * What was painted can be undone and done again.
 */

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  void studio;
}
