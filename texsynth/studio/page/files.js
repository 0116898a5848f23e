/**
 * Pictures come in, and layers, commands and results go out.
 */

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  void studio;
}
