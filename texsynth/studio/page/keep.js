/**
 * What is kept: the picture and its inputs as files of the folder, and the command that makes it.
 */

import { final, forget, remembering, sheetFor } from "./flow.js";
import { Refusal, attempt, post } from "./net.js";

const element = (id) => document.getElementById(id);

/** Show the command, and what was written for it. */
function showCommand({ command, files }, how) {
  const line = element("command");
  line.textContent = command;
  line.hidden = false;
  element("saved").textContent = [how, files.length ? `Written: ${files.join(", ")}.` : ""].filter(Boolean).join(" ");
}

/** Put a text where it can be pasted from; where the browser refuses, it is shown selected, to be copied by hand. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied.";
  } catch {
    const area = element("text");
    area.value = text;
    element("text-dialog").showModal();
    area.select();
    return "";
  }
}

async function copyCommand(studio) {
  const answer = await remembering(studio, async () =>
    post("command", { sheet: await sheetFor(studio), name: element("save-name").value.trim() }),
  );
  showCommand(answer, "");
  showCommand(answer, await copy(answer.command));
}

/** Write the final picture, which is made first where there is none, or where the server has it no longer. */
async function save() {
  const name = element("save-name").value.trim();
  const write = async () => post(`runs/${(await final()).run}/save`, { name });
  const answer = await write().catch((error) => {
    if (!(error instanceof Refusal) || error.status !== 404) throw error;
    forget();
    return write();
  });
  showCommand(answer, "");
}

/** Do something that takes a while, its button being out of use. */
async function busily(studio, button, work) {
  button.disabled = true;
  element("saved").textContent = "";
  await attempt(studio, work);
  button.disabled = false;
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  const [button, copyButton, name] = ["save", "copy-command", "save-name"].map(element);
  element("save-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!button.disabled) busily(studio, button, save);
  });
  copyButton.addEventListener("click", () => busily(studio, copyButton, () => copyCommand(studio)));
  studio.on(["exemplar"], () => {
    const exemplar = studio.get("exemplar");
    button.disabled = copyButton.disabled = exemplar === null;
    name.value = exemplar ? exemplar.stem : "";
    element("command").hidden = true;
    element("saved").textContent = "";
  });
}
