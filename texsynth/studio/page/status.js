/**
 * The line that says what happens, and the bar that says how far it is.
 */

import { OPEN } from "./outcome.js";

/** How far what happens is, in [0, 1]; null where nothing does. */
function share(studio) {
  const run = studio.get("run");
  return studio.get("sending") ?? (OPEN.includes(run?.state) ? run.done : null);
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  const [status, progress, dismiss] = ["status", "progress", "dismiss"].map((id) => document.getElementById(id));
  studio.on(["message", "solver"], () => {
    const message = studio.get("message");
    const text = message?.text ?? (studio.get("solver") === "starting" ? "Starting …" : "");
    if (status.textContent !== text) status.textContent = text;
    const isError = message?.kind === "error";
    status.classList.toggle("error", isError);
    dismiss.hidden = !isError;
  });
  dismiss.addEventListener("click", () => studio.set({ message: null }));
  studio.on(["run", "sending"], () => {
    const done = share(studio);
    progress.hidden = done === null;
    progress.value = done ?? 0;
  });
}
