/**
 * Several seeds side by side, to choose from.
 */

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  void studio;
}
