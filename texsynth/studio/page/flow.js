/**
 * What was painted becomes runs, and what is told of runs becomes results.
 */

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  void studio;
}
