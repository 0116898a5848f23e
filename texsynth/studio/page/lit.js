/**
 * The result under a moving light, where it has maps.
 */

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  void studio;
}
