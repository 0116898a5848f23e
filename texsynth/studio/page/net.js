/**
 * The way to the server: requests, uploads and what it tells of runs. All addresses are relative to that of the page,
 * which holds the token.
 */

import { tell } from "./state.js";

const listeners = [];
const AGAIN_MS = 2000; // until a stream that the server has ended is asked for again

/** What the server refuses, in its words; missing: ids of files that it no longer holds. */
export class Refusal extends Error {
  /** @param {number} status @param {string} message @param {string[]} missing */
  constructor(status, message, missing = []) {
    super(message);
    this.status = status;
    this.missing = missing;
  }
}

const SILENT = "The studio does not answer. Has it been ended in its terminal?";
const CROWDED = "Too many pages of the studio are open for this one to hear of anything; close another.";

/** The answer to a request; text: that of its body. Throws a Refusal. */
function answer(status, text) {
  let document = null;
  try {
    document = text ? JSON.parse(text) : null;
  } catch {
    document = { error: text.slice(0, 200) };
  }
  if (status < 200 || status >= 300) {
    throw new Refusal(status, document?.error ?? `the studio answers ${status}`, document?.missing);
  }
  return document;
}

async function ask(path, init) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...init });
  } catch {
    throw new Refusal(0, SILENT);
  }
  return answer(response.status, await response.text());
}

/** @param {string} path @returns {Promise<*>} the JSON at a relative address; throws a Refusal */
export const get = (path) => ask(path, {});

/** @param {string} path @param {Object} body @returns {Promise<*>} the JSON answer; throws a Refusal */
export const post = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** @param {string} path @returns {Promise<null>} throws a Refusal */
export const remove = (path) => ask(path, { method: "DELETE" });

/**
 * Send a file; fetch cannot tell how far it is, so this is a request of the older kind.
 * @param {Blob} blob @param {string} name @param {{layer?: string, progress?: (share: number) => void}} details
 * @returns {Promise<Object>} a Source; of a layer its id and name; throws a Refusal
 */
export function upload(blob, name, { layer, progress } = {}) {
  const query = new URLSearchParams(layer ? { name, layer } : { name });
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `files?${query}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    if (progress) request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onerror = () => reject(new Refusal(0, SILENT));
    request.onload = () => {
      try {
        resolve(answer(request.status, request.responseText));
      } catch (error) {
        reject(error);
      }
    };
    request.send(blob);
  });
}

/**
 * Do something that may be refused; a refusal is said in the status line.
 * @template T @param {import("./state.js").Studio} studio @param {() => Promise<T>} work
 * @returns {Promise<T | undefined>}
 */
export async function attempt(studio, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) reportError(error);
    tell(studio, error.message, "error");
    return undefined;
  }
}

/** Call `listener` with each event of a run of this tab. @param {(event: Object) => void} listener */
export function onRun(listener) {
  listeners.push(listener);
}

/** Listen to the server. @param {import("./state.js").Studio} studio */
export function start(studio) {
  const client = studio.get("client");
  let lost = false;
  const open = () => {
    const stream = new EventSource(`events?client=${client}`);
    stream.addEventListener("run", ({ data }) => {
      const event = JSON.parse(data);
      if (event.client === client) listeners.forEach((listener) => listener(event));
    });
    stream.addEventListener("solver", ({ data }) => {
      const { state, message } = JSON.parse(data);
      studio.set({ solver: state });
      if (message) tell(studio, message, state === "restarted" ? "error" : "note");
    });
    stream.onopen = () => {
      if (lost) tell(studio, "Connected again.");
      lost = false;
    };
    stream.onerror = async () => {
      const first = !lost;
      lost = true;
      const refused = stream.readyState === EventSource.CLOSED;
      if (refused) setTimeout(open, AGAIN_MS);
      const crowded = refused && (await get("folder").catch(() => null));
      if (first) tell(studio, crowded ? CROWDED : SILENT, "error");
    };
  };
  open();
}
