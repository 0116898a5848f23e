/**
 * What is told of the newest run: how far it is, what it shows, and what comes of it. Older runs are not heard.
 */

import { Refusal } from "./net.js";
import { tell } from "./state.js";

/** The states of a run of which something is still to come. */
export const OPEN = ["queued", "started", "draft"];
const SOON_S = 5; // what takes no longer is not announced

/** @param {number} seconds @returns {string} such as "8.2 s", "43 s" or "3 min" */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return seconds < 100 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/** An estimate, in steps that seldom change. */
const about = (seconds) => duration(seconds < 100 ? Math.ceil(seconds / 10) * 10 : seconds);

/** The run that was asked for last, and its results. */
export class Outcome {
  #studio;
  #run = null; // {run, kind, key, wanted, whole, state, place, done, left}
  #key = ""; // of the result that is shown
  #waiting = []; // {key, resolve, reject}

  constructor(studio) {
    this.#studio = studio;
  }

  /** Is a run waiting or at work? */
  get open() {
    return OPEN.includes(this.#run?.state);
  }

  /** Has somebody asked for the run? */
  get wanted() {
    return this.#run?.wanted ?? false;
  }

  /** Is the run finished? */
  get done() {
    return this.#run?.state === "done";
  }

  /** Is the result that is shown the final one of what was asked for last? */
  get complete() {
    return Boolean(this.#final(this.key));
  }

  /** @returns {string} what the run is of */
  get key() {
    return this.#run?.key ?? "";
  }

  #final(key) {
    const result = this.#studio.get("result");
    return result?.final && this.#key === key ? result : null;
  }

  /** Is the final result of this key there, or being made? From now on it is wanted. */
  finishes(key) {
    if (this.#final(key)) return true;
    const comes = this.open && this.#run.whole && this.#run.key === key;
    if (comes) this.#run.wanted = true;
    return comes;
  }

  /** @returns {Promise<Object>} the final result of this key, of which `finishes` holds; throws a Refusal */
  finished(key) {
    if (!this.finishes(key)) return Promise.reject(new Refusal(0, "Stopped before it was finished."));
    const result = this.#final(key);
    if (result) return Promise.resolve(result);
    return new Promise((resolve, reject) => this.#waiting.push({ key, resolve, reject }));
  }

  /** Forget a final result that the server no longer has, so that it is made again. */
  forget() {
    this.#key = "";
  }

  /** A run was asked for: {run, place, kind, key, wanted, whole}; whole: does it make what the command makes? */
  begin(run) {
    this.#release(new Refusal(0, "Stopped before it was finished."), run.key);
    this.#run = { ...run, state: "queued", done: 0, left: null };
    this.#say();
    this.#put();
  }

  /** The run is of no interest any more. */
  drop() {
    if (this.open) this.#studio.set({ message: null });
    this.#run = null;
    this.#studio.set({ run: null });
    this.#release(new Refusal(0, "Stopped before it was finished."));
  }

  /** @param {Object} event of a run @returns {boolean} was it of this one? */
  take(event) {
    if (!this.open || event.run !== this.#run.run) return false;
    const { state, place, done, left } = event;
    const before = this.#run.state;
    Object.assign(this.#run, { state, place, done: done ?? this.#run.done, left: left ?? null });
    if (event.shown) this.#show(event);
    if (state === "failed") this.#fail(event.error);
    else if (state === "cancelled") this.drop();
    else if (state === "done") this.#finish(event);
    else if (state !== before || left > SOON_S) this.#say();
    this.#put();
    return true;
  }

  #put() {
    this.#studio.set({ run: this.#run ? { ...this.#run } : null });
  }

  /** Release those who wait for other keys than `kept`. */
  #release(error, kept = "") {
    const gone = this.#waiting.filter(({ key }) => key !== kept);
    this.#waiting = this.#waiting.filter(({ key }) => key === kept);
    gone.forEach(({ reject }) => reject(error));
  }

  #fail(error) {
    tell(this.#studio, error, "error");
    this.#release(new Refusal(0, error));
  }

  /** Show a picture of the run, unless it is coarser than a finished draft of the same. */
  #show(event) {
    const { kind, key } = this.#run;
    const before = this.#studio.get("result");
    const level = event.level ?? 0;
    const again = this.#key === key && before;
    if (again && before.kind !== kind && level > before.level) return;
    const { run, state, shown, width, height, seconds, notices } = event;
    const final = state === "done" && (event.final ?? kind === "final");
    const more = { maps: event.maps ?? {}, hasField: event.has_field ?? false, relief: event.relief };
    const result = { run, key, kind, state, shown, width, height, level, final, seconds, notices: notices ?? [], ...more };
    const previous = again ? this.#studio.get("previous") : this.#previous(before);
    this.#key = key;
    this.#studio.set({ result, previous });
  }

  /** What the next result is compared with: the last final picture, or a draft where there was none. */
  #previous(before) {
    const previous = this.#studio.get("previous");
    return before?.final || (before?.state === "done" && !previous?.final) ? before : previous;
  }

  #finish({ seconds }) {
    const { key } = this.#run;
    const what = this.complete ? "Final picture" : "Draft";
    tell(this.#studio, `${what} after ${duration(seconds)}.`);
    if (!this.complete) return this.#release(new Refusal(0, "This is no final picture yet."));
    const ready = this.#waiting.filter((one) => one.key === key);
    this.#waiting = this.#waiting.filter((one) => one.key !== key);
    ready.forEach(({ resolve }) => resolve(this.#studio.get("result")));
  }

  /** Say how far it is; in words that seldom change, as they are read aloud. */
  #say() {
    const { kind, state, place, left } = this.#run;
    const what = kind === "final" ? "Making the final picture" : "Drafting";
    const ahead = state === "queued" && place > 1 ? `, after ${place} others` : ""; // one may be what was just stopped
    tell(this.#studio, `${what}${left > SOON_S ? `, about ${about(left)} left` : ahead} …`);
  }
}
