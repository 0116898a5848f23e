/**
 * The dialog that says what keys do: by its button, or by "?" wherever no text is typed.
 */

import { takesText } from "./dom.js";

export function start() {
  const dialog = document.getElementById("help");
  document.getElementById("help-open").addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || takesText(event.target) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    dialog.showModal();
  });
}
