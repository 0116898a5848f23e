/**
 * What was painted or chosen becomes runs, and what is told of runs becomes results.
 *
 * A stroke cancels what is being made; its end asks for a draft at once, other changes do so after a moment. A draft
 * that is finished, and a hand that rests, ask for the final picture. Only the newest run counts.
 */

import { trouble } from "./layers.js";
import { Refusal, attempt, onRun, post, remove, upload } from "./net.js";
import { OPEN, Outcome } from "./outcome.js";
import { layersOf, sheetOf, wanting } from "./sheet.js";
import { tell } from "./state.js";

const REST_MS = 600; // from the last draft to the final picture
const PAUSE_MS = 250; // from a change of an option to its draft
const SLOW_S = 60; // final pictures that take longer are made only when asked for
const COMING = ["asked", ...OPEN]; // seeds that the final picture would drive out
const INPUTS = ["exemplar", "crop", "layers", "drawing", "mode", "way", "size", "options", "settings", "seed"];
const WATCHED = [...INPUTS, "extend", "tileable", "band", "definitions"];
const HANDS = ["layers", "drawing", "exemplar"]; // changes that are not followed by others a moment later

const stamps = new WeakMap(); // a layer -> what tells it from all others

/** A layer as it is now, in a text. */
function stamp(layer) {
  if (!stamps.has(layer)) stamps.set(layer, crypto.randomUUID());
  return `${stamps.get(layer)}:${layer.version}`;
}

/** @param {Object} state @returns {string} all that decides what a picture is, whether it was sent or not */
const keyOf = (state) => JSON.stringify(sheetOf(state, stamp));

/** Is the draft of a state what the command makes? The server drafts by another preset only where none is chosen. */
const isWhole = ({ options: { preset, quality } }) => Boolean(preset) || !["normal", "", undefined].includes(quality);

/** What hinders a run, as a sentence; "" for nothing. */
const lacks = (studio) => wanting(studio.all()) || trouble(studio);

let uploading = Promise.resolve(); // uploads are sent one after the other

/** Send the layers of a state that the server does not have as they are now. */
async function sendLayers(studio, stays) {
  const lacking = () =>
    Object.values(layersOf(studio.all()))
      .flat()
      .find((layer) => typeof layer !== "string" && layer.id === null);
  for (let layer = lacking(); layer && stays(); layer = lacking()) {
    const { version } = layer;
    const { id } = await upload(await layer.blob(), `${layer.role}.png`, { layer: layer.role });
    if (layer.version === version) layer.id = id;
  }
}

/**
 * The sheet of what is there now, its layers being sent first.
 * @param {import("./state.js").Studio} studio @param {Object} changes of the state, such as {seed: 3}
 * @param {() => boolean} stays is the sheet still wanted?
 * @returns {Promise<Object>} throws a Refusal
 */
export async function sheetFor(studio, changes = {}, stays = () => true) {
  const lack = lacks(studio);
  if (lack) throw new Refusal(0, lack);
  const sent = uploading.then(() => sendLayers(studio, stays));
  uploading = sent.catch(() => {});
  await sent;
  return sheetOf({ ...studio.all(), ...changes });
}

/**
 * Do something with a sheet; where the server has forgotten files, they are sent again, once.
 * @template T @param {import("./state.js").Studio} studio @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function remembering(studio, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal) || !error.missing.length) throw error;
    for (const layer of studio.get("layers").values()) if (error.missing.includes(layer.id)) layer.id = null;
    const exemplar = studio.get("exemplar");
    if (error.missing.includes(exemplar.id) && exemplar.again) Object.assign(exemplar, await exemplar.again());
    return work();
  }
}

/** What is made, what waits, and what is to follow. */
class Flow {
  #studio;
  #outcome;
  #turn = 0; // each intention has a number; what belongs to an older one is dropped
  #key = ""; // of what was asked for last
  #slow = new Set(); // keys of choices whose final picture takes long
  #timer = 0;
  #posting = false;
  #lost = ""; // key of the last run that ended with the process that computes
  #resumes = false; // is that to be drafted again?
  #early = []; // events that came before the answer to their request

  constructor(studio) {
    this.#studio = studio;
    this.#outcome = new Outcome(studio);
  }

  /** Is a run waiting or at work, or about to be asked for? */
  get busy() {
    const waits = this.#timer !== 0 || this.#resumes || this.#posting;
    return waits || this.#outcome.open || this.#seeds.length > 0;
  }

  /** The seeds of which a draft is still to come. */
  get #seeds() {
    return this.#studio.get("seeds").filter(({ state }) => COMING.includes(state));
  }

  /** Follow a change of the state. @param {Set<string>} changed */
  follow(changed) {
    const state = this.#studio.all();
    const isReady = state.exemplar && state.definitions;
    if (isReady) this.#studio.set({ asked: keyOf(state) });
    if (state.drawing) {
      if (!changed.has("drawing") || !this.busy) return;
      this.stop();
      this.#key = ""; // it is made again even where the hand changes nothing
      return;
    }
    if (!isReady) return;
    const lack = lacks(this.#studio);
    const key = lack || this.#studio.get("asked");
    if (key === this.#key && !changed.has("exemplar")) return;
    this.#key = key;
    if (lack) {
      this.stop();
      tell(this.#studio, lack);
      return;
    }
    this.#later(HANDS.some((name) => changed.has(name)) ? 0 : PAUSE_MS, () => this.#draft());
  }

  /** Stop all that is made or waits. */
  stop() {
    this.#turn += 1;
    this.#later(0, null);
    const seeds = this.#seeds;
    const some = this.#outcome.open || this.#posting || seeds.length;
    if (some) remove(`runs?client=${this.#studio.get("client")}`).catch(() => {});
    this.#posted(false);
    this.#outcome.drop();
    for (const entry of seeds) entry.state = "cancelled";
    if (seeds.length) this.#studio.set({ seeds: this.#studio.get("seeds") });
  }

  /** @returns {Promise<Object>} the final result of what is there now; throws a Refusal */
  async final() {
    const lack = lacks(this.#studio);
    if (lack) throw new Refusal(0, lack);
    const key = keyOf(this.#studio.all());
    this.#key = key;
    this.#later(0, null);
    if (!this.#outcome.finishes(key)) await this.#send("final");
    return this.#outcome.finished(key);
  }

  /** Forget the final result that is there. */
  forget() {
    this.#outcome.forget();
  }

  /** An event of a run. */
  hear(event) {
    if (event.kind === "seed") return;
    if (this.#posting) this.#early.push(event);
    else this.#take(event);
  }

  #take(event) {
    if (!this.#outcome.take(event)) return;
    const current = this.#outcome.key === this.#key;
    if (current && event.state === "done") this.#later(REST_MS, () => this.rest());
    if (event.state === "draft" && event.kind === "final") this.#weigh(event);
    if (event.state === "failed" && this.#studio.get("solver") === "restarted") this.#lose(event.error);
  }

  /** A run has ended with the process: a fresh one drafts the same again, but only once, as that may end it, too. */
  #lose(why) {
    if (this.#outcome.key !== this.#key) return; // something else is about to be asked for
    const again = this.#lost !== this.#key;
    this.#lost = this.#key;
    this.#later(0, null);
    this.#resumes = again;
    const next = again ? "The picture is drafted again as soon as a fresh one is ready" : "“Make final” tries it again";
    tell(this.#studio, `${why}. ${next}.`, "error");
  }

  /** Where the process that computes is ready, draft what ended with the one before. */
  resume() {
    if (this.#resumes && this.#studio.get("solver") === "ready") this.#later(0, () => this.#draft());
  }

  /** A final picture that nobody has asked for is given up where it takes long. */
  #weigh({ left }) {
    if (this.#outcome.wanted || !(left > SLOW_S)) return;
    this.#slow.add(this.#pace());
    this.stop();
    this.#saySlow(left);
  }

  #saySlow(left) {
    const how = left ? `about ${Math.max(1, Math.round(left / 60))} min` : "long";
    tell(this.#studio, `The final picture takes ${how} with these settings: “Make final” makes it.`);
  }

  /** What decides how long a final picture takes, in a text. */
  #pace() {
    const { mode, way, size, options, settings, exemplar } = this.#studio.all();
    return JSON.stringify([mode, way, size, options, settings, exemplar.width, exemplar.height]);
  }

  /** The hand rests: make the final picture, unless it is there. */
  rest() {
    const { drawing, automatic } = this.#studio.all();
    const drafted = this.#outcome.done && this.#outcome.key === this.#key;
    if (drawing || !automatic || !drafted || this.#outcome.complete) return;
    if (this.#seeds.length) this.#later(REST_MS, () => this.rest());
    else if (this.#slow.has(this.#pace())) this.#saySlow(0);
    else attempt(this.#studio, () => this.#send("final", false));
  }

  #draft() {
    attempt(this.#studio, () => this.#send("draft"));
  }

  /** Do something later, in place of what was to be done; null: nothing. */
  #later(milliseconds, work) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#resumes = false;
    if (!work) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      work();
    }, milliseconds);
  }

  /** Ask for a run. wanted: has somebody asked for it? */
  async #send(kind, wanted = true) {
    const turn = (this.#turn += 1);
    const stays = () => turn === this.#turn;
    const client = this.#studio.get("client");
    let sent = null; // what the run is of: something may have changed while layers were sent
    this.#posting = true;
    try {
      const answer = await remembering(this.#studio, async () => {
        const sheet = await sheetFor(this.#studio, {}, stays);
        const state = this.#studio.all();
        sent = { key: keyOf(state), whole: kind === "final" || isWhole(state) };
        return stays() ? post("runs", { client, kind, sheet }) : null;
      });
      if (!answer) return;
      if (stays()) this.#outcome.begin({ ...answer, kind, wanted, ...sent });
      else remove(`runs/${answer.run}`).catch(() => {}); // it was stopped before it had a number
    } catch (error) {
      if (!stays()) return;
      this.#outcome.drop();
      throw error;
    } finally {
      if (stays()) this.#posted();
    }
  }

  /** A request is answered or given up: hear what was told before that. */
  #posted(answered = true) {
    this.#posting = false;
    const events = answered ? this.#early : [];
    this.#early = [];
    events.forEach((event) => this.#take(event));
  }
}

let flow = null;

/** Forget the final result that is there: the server no longer has it. */
export const forget = () => flow.forget();

/** @returns {Promise<Object>} the final result of what is there now, made where there is none; throws a Refusal */
export const final = () => flow.final();

/** Make the final picture, as somebody who has asked for it sees it. */
function run(studio) {
  attempt(studio, async () => {
    const before = studio.get("result");
    if ((await final()) === before) tell(studio, "The final picture is there already.");
  });
}

function stop(studio) {
  flow.stop();
  tell(studio, "Stopped.");
}

function keys(studio) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(studio);
    else if (event.key === "Escape" && flow.busy) stop(studio);
    else return;
    event.preventDefault();
  });
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  flow = new Flow(studio);
  const [runButton, stopButton, automatic] = ["run", "stop", "automatic"].map((id) => document.getElementById(id));
  runButton.addEventListener("click", () => run(studio));
  stopButton.addEventListener("click", () => stop(studio));
  automatic.addEventListener("change", () => studio.set({ automatic: automatic.checked }));
  studio.on(["automatic"], () => flow.rest());
  studio.on(["run", "seeds", "message"], () => {
    stopButton.disabled = !flow.busy;
  });
  studio.on(["exemplar"], () => (runButton.disabled = studio.get("exemplar") === null));
  studio.on(WATCHED, (changed) => flow.follow(changed));
  studio.on(["solver"], () => flow.resume());
  onRun((event) => flow.hear(event));
  keys(studio);
}
