/**
 * The options of the verb and the settings of its preset, with their help.
 */

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  void studio;
}
