/**
 * The studio begins: one shared state, and every part of the page, which listens to it.
 */

import * as canvas from "./canvas.js";
import * as exemplar from "./exemplar.js";
import * as files from "./files.js";
import * as flow from "./flow.js";
import * as form from "./form.js";
import * as help from "./help.js";
import * as history from "./history.js";
import * as keep from "./keep.js";
import * as lit from "./lit.js";
import * as modes from "./modes.js";
import * as net from "./net.js";
import * as result from "./result.js";
import * as seeds from "./seeds.js";
import * as stack from "./stack.js";
import { Studio } from "./state.js";
import * as status from "./status.js";

const PARTS = [net, status, modes, history, stack, exemplar, canvas, result, lit, seeds, form, flow, files, keep, help];

/** A part that fails to start leaves the others working. */
function begin(part, studio) {
  try {
    part.start(studio);
  } catch (error) {
    reportError(error);
  }
}

export const studio = new Studio();
PARTS.forEach((part) => begin(part, studio));
net.attempt(studio, async () => studio.set({ folder: await net.get("folder") }));
net.attempt(studio, async () => studio.set({ definitions: await net.get("definitions") }));
