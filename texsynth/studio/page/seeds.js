/**
 * Several seeds side by side, to choose from: drafts are made on demand, the final picture is made of the chosen one.
 */

import { make } from "./dom.js";
import { remembering, sheetFor } from "./flow.js";
import { attempt, onRun, post, remove } from "./net.js";
import { OPEN } from "./outcome.js";
import { sheetOf } from "./sheet.js";
import { tell } from "./state.js";

const AT_ONCE = 4, MOST = 8;
const KEYS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
const HIGHEST = 2 ** 31 - 1;
const GROUNDS = [
  ...["exemplar", "crop", "layers", "drawing", "mode", "way", "size", "options", "settings"],
  ...["extend", "tileable", "band"],
];

const lost = ({ state }) => state === "cancelled" || state === "failed";

/** All that drafts depend on but the seed, as a text that can be compared. */
function grounds(studio) {
  if (!studio.get("exemplar")) return "";
  return JSON.stringify(sheetOf({ ...studio.all(), seed: 0 }, ({ role, version }) => `${role}:${version}`));
}

/** Ask for a draft of a seed. @returns {Promise<number>} the run; throws a Refusal */
async function seedRun(studio, seed) {
  const client = studio.get("client");
  const ask = async () => post("runs", { client, kind: "seed", sheet: await sheetFor(studio, { seed }) });
  return (await remembering(studio, ask)).run;
}

class Strip {
  heard = new Map(); // run -> {shown, state}: what is told of a run may come before its number
  batch = []; // those that were asked for last
  before = 0; // the run that there was when the seed was chosen

  constructor(studio, root) {
    Object.assign(this, { studio });
    const enter = ({ target }) => target.checkValidity() && studio.set({ seed: target.valueAsNumber });
    this.number = make("input", {
      id: "seed", type: "number", min: 0, max: HIGHEST, step: 1, required: true, on: { change: enter },
    });
    this.more = make("button", { type: "button", id: "seeds-more", on: { click: () => this.ask() } });
    this.strip = make("div", {
      id: "seeds-strip", class: "strip", role: "radiogroup", "aria-labelledby": "seeds-title",
    });
    const label = make("label", { class: "field" }, make("span", { text: "Seed" }), this.number);
    root.append(make("div", { class: "bar" }, label, this.more), this.strip);
    this.strip.addEventListener("keydown", (event) => this.press(event));
    studio.on(["seeds", "seed", "exemplar"], () => this.tell());
    studio.on(["seed"], () => (this.before = studio.get("run")?.run ?? 0));
    studio.on(["result"], () => this.lend());
    studio.on(GROUNDS, () => (studio.get("drawing") || grounds(studio) !== this.grounds) && this.drop());
    onRun((event) => event.kind === "seed" && this.hear(event));
    this.tell();
  }

  /** Those that a picture has driven out, again; else the next ones, or those from the present one on. */
  async ask() {
    const { studio } = this;
    const before = studio.get("seeds");
    const again = before.filter(lost);
    const first = before.length ? before.at(-1).seed + 1 : studio.get("seed");
    const wanted = again.length ? again : Array.from({ length: AT_ONCE }, (_, i) => ({ seed: first + i }));
    for (const entry of wanted) Object.assign(entry, { run: null, shown: null, state: "asked" });
    this.grounds = grounds(studio);
    this.batch = wanted;
    tell(studio, this.pace());
    studio.set({ seeds: again.length ? before : [...before, ...wanted].slice(-MOST) });
    for (const entry of wanted) await this.draft(entry); // one after the other, as they are to be made in order
  }

  async draft(entry) {
    const stays = () => entry.state === "asked" && this.studio.get("seeds").includes(entry);
    if (!stays()) return; // it was stopped, or the strip was dropped
    const run = await attempt(this.studio, () => seedRun(this.studio, entry.seed));
    if (stays()) Object.assign(entry, run === undefined ? { state: "failed" } : { run });
    else if (run !== undefined) remove(`runs/${run}`).catch(() => {});
    this.join();
  }

  hear({ run, state, shown, error }) {
    const before = this.heard.get(run);
    this.heard.set(run, { state, shown: shown ?? before?.shown ?? null });
    if (state === "failed") tell(this.studio, error, "error");
    this.join();
    this.say();
  }

  /** How far the drafts are, in words. */
  pace() {
    const { length } = this.batch;
    const ready = this.batch.filter(({ state }) => state === "done").length;
    return `Drafts of seeds: ${ready < length ? `${ready + 1} of ${length} …` : `all ${length} are there.`}`;
  }

  /** Say how far they are, unless something else is made, or is wrong. */
  say() {
    const { run, message } = this.studio.all();
    const isOver = OPEN.includes(run?.state) || message?.kind === "error" || this.batch.some(lost);
    if (this.batch.length && !isOver && message?.text !== this.pace()) tell(this.studio, this.pace());
  }

  /** The picture of the chosen seed is its draft, where that was driven out. */
  lend() {
    const { seeds, seed, result } = this.studio.all();
    const entry = seeds.find((each) => each.seed === seed);
    if (!entry || !result || result.run <= this.before || !(lost(entry) || entry.run === result.run)) return;
    const { run, shown, state } = result;
    Object.assign(entry, { shown, ...(state === "done" && { run, state }) });
    this.studio.set({ seeds });
  }

  /** What was told of runs goes to the seeds that they are of. */
  join() {
    const seeds = this.studio.get("seeds");
    for (const entry of seeds) if (!lost(entry)) Object.assign(entry, this.heard.get(entry.run));
    if (seeds.length) this.studio.set({ seeds });
  }

  drop() {
    this.heard.clear();
    this.batch = [];
    if (this.studio.get("seeds").length) this.studio.set({ seeds: [] });
  }

  choose(seed) {
    this.studio.set({ seed });
    this.strip.querySelector("[aria-checked=true]")?.focus();
  }

  press(event) {
    const seeds = this.studio.get("seeds");
    if (!KEYS[event.key] || !seeds.length) return;
    event.preventDefault();
    const at = seeds.findIndex((entry) => entry.seed === this.studio.get("seed"));
    this.choose(seeds[(Math.max(at, 0) + KEYS[event.key] + seeds.length) % seeds.length].seed);
  }

  tell() {
    const { studio, strip } = this;
    const seeds = studio.get("seeds"), chosen = studio.get("seed");
    if (document.activeElement !== this.number) this.number.value = chosen;
    const next = seeds.length ? "More seeds" : `Show ${AT_ONCE} seeds`;
    this.more.textContent = seeds.some(lost) ? "Draft the others" : next;
    this.more.disabled = !studio.get("exemplar");
    seeds.forEach((entry, i) => this.tellOne(entry, strip.children[i] ?? strip.appendChild(this.button()), chosen));
    while (strip.children.length > seeds.length) strip.lastChild.remove();
    if (seeds.length && !strip.querySelector("[tabindex='0']")) strip.firstChild.tabIndex = 0;
  }

  button() {
    return make("button", {
      type: "button", role: "radio", on: { click: (event) => this.choose(Number(event.currentTarget.dataset.seed)) },
    }, make("div", {}, make("img", { alt: "", hidden: true })), make("span"));
  }

  tellOne({ seed, shown, state }, button, chosen) {
    const words = { failed: " (failed)", cancelled: "", done: "", draft: " …" }[state] ?? " …";
    button.dataset.seed = seed;
    button.setAttribute("aria-checked", seed === chosen);
    button.tabIndex = seed === chosen ? 0 : -1;
    button.lastChild.textContent = `${seed}${words}`;
    button.setAttribute("aria-label", `Seed ${seed}${state === "done" ? "" : `, ${state}`}`);
    this.picture(button, shown);
  }

  /** The picture changes when it is decoded, so that nothing flickers. */
  async picture(button, shown) {
    const image = button.querySelector("img");
    if (image.dataset.shown === (shown ?? "")) return;
    image.dataset.shown = shown ?? "";
    image.hidden = !shown;
    if (!shown) return image.removeAttribute("src");
    const next = new Image();
    next.src = shown;
    await next.decode().catch(() => null);
    if (image.dataset.shown === shown) image.src = shown;
  }
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  new Strip(studio, document.getElementById("seeds-pane"));
}
