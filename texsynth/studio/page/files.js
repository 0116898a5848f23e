/**
 * Pictures come in, by a list, a file, a drop or the clipboard, and layers come in and go out as files.
 */

import { make } from "./dom.js";
import { beforeOf, sizeOf } from "./modes.js";
import { attempt, get, post, upload } from "./net.js";
import { importInto } from "./stack.js";
import { tell } from "./state.js";

const MOST_OFFERED = 16; // pictures of the folder where nothing is open

const element = (id) => document.getElementById(id);

/**
 * Make a Source the exemplar, and begin anew what was there of another.
 * @param {import("./state.js").Studio} studio @param {Object} source
 */
export function adopt(studio, source) {
  const whole = { exemplar: source, crop: null, quad: null, extend: [0, 0, 0, 0], tileable: "", band: null };
  const state = { ...studio.all(), ...whole };
  // First, since what hinders a run of it is said next: labels that are not painted on it, say.
  tell(studio, [`${source.name}: ${source.width} × ${source.height}.`, ...(source.notices ?? [])].join(" "));
  studio.set({ ...whole, size: sizeOf(state), seeds: [], result: null, previous: beforeOf(state) });
}

let opening = 0; // the newest picture that is asked for wins

/** Get a Source, which can be got again, and make it the exemplar. */
function open(studio, name, source) {
  const turn = (opening += 1);
  tell(studio, `Reading ${name} …`);
  return attempt(studio, async () => {
    try {
      const got = await source();
      if (turn === opening) adopt(studio, { ...got, again: source });
    } finally {
      if (turn === opening) studio.set({ sending: null });
    }
  });
}

const openName = (studio, name) => open(studio, name, () => post("open", { name }));

/** Send a file, and make it the exemplar. */
function openFile(studio, file) {
  const largest = studio.get("folder")?.largest ?? Infinity;
  if (file.size > largest) {
    tell(studio, `${file.name} has ${bytes(file.size)}; files of up to ${bytes(largest)} can be sent here.`, "error");
    return;
  }
  const name = file.name || "pasted.png";
  const progress = (sending) => studio.set({ sending });
  open(studio, name, () => upload(file, name, { progress }));
}

/** @param {number} count @returns {string} such as "3.1 MB" */
function bytes(count) {
  const power = Math.min(3, Math.floor(Math.log10(Math.max(count, 1)) / 3));
  return `${+(count / 1000 ** power).toPrecision(2)} ${["bytes", "kB", "MB", "GB"][power]}`;
}

/** Some pictures of the folder, to begin with. */
function offer(studio, pictures) {
  const items = pictures.slice(0, MOST_OFFERED).map(({ name }) =>
    make("li", {}, make("button", { type: "button", text: name, on: { click: () => openName(studio, name) } })),
  );
  element("begin-list").replaceChildren(...items);
}

/** The pictures of the folder, as buttons of the dialog. */
function listPictures(pictures) {
  const items = pictures.map(({ name, bytes: count, maps = [] }) => {
    const about = [count ? bytes(count) : "", maps.length ? `with its maps: ${maps.join(", ")}` : ""];
    const text = about.filter(Boolean).join(", ");
    return make("li", {}, make("button", { value: name }, name, " ", make("span", { class: "quiet", text })));
  });
  element("open-list").replaceChildren(...items);
}

/** Show only the pictures whose names have all words of the filter. */
function filterPictures(folder) {
  const words = element("open-filter").value.toLowerCase().split(/\s+/);
  const items = [...element("open-list").children];
  for (const item of items) {
    const name = item.querySelector("button").value.toLowerCase();
    item.hidden = !words.every((word) => name.includes(word));
  }
  const none = element("open-none");
  none.hidden = items.some((item) => !item.hidden);
  none.textContent = items.length ? "No picture is called that." : `There is no picture in ${folder}.`;
}

/** The dialog that lists the pictures of the folder. */
function prepareDialog(studio) {
  const [dialog, filter] = ["open-dialog", "open-filter"].map(element);
  const show = () =>
    attempt(studio, async () => {
      const folder = await get("folder");
      studio.set({ folder });
      element("open-title").textContent = `Open a picture from ${folder.folder}`;
      listPictures(folder.pictures);
      filter.value = "";
      filterPictures(folder.folder);
      dialog.returnValue = "";
      dialog.showModal();
      filter.focus();
    });
  for (const id of ["open", "open-first"]) element(id).addEventListener("click", show);
  filter.addEventListener("input", () => filterPictures(studio.get("folder").folder));
  filter.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // else the first button of the form is pressed, filtered or not
    dialog.querySelector("#open-list li:not([hidden]) button")?.click();
  });
  dialog.querySelector("form").addEventListener("submit", (event) => {
    const name = event.submitter?.closest("#open-list") && event.submitter.value;
    if (name) openName(studio, name);
  });
}

/** The chooser of files of the browser. */
function prepareChooser(studio) {
  const [chooser, dialog] = ["file", "open-dialog"].map(element);
  element("open-file").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    if (chooser.files.length) openFile(studio, chooser.files[0]);
    chooser.value = "";
    dialog.close();
  });
}

/** Take files that are dropped or pasted: into the layer in whose row they are dropped, or else as the exemplar. */
function take(studio, files, target) {
  const role = target?.closest?.("[data-layer]")?.dataset.layer;
  const layer = role && studio.get("layers").get(role);
  if (layer) importLayer(studio, layer, files[0]);
  else openFile(studio, files[0]);
}

function prepareDrops(studio) {
  const hint = element("drop-hint");
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    const row = event.target.closest?.("[data-layer]");
    hint.textContent = row ? "Drop into this layer" : "Drop to open";
    hint.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) hint.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    hint.hidden = true;
    if (!holds(event)) return;
    event.preventDefault();
    take(studio, event.dataTransfer.files, event.target);
  });
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files;
    if (!files?.length) return;
    event.preventDefault();
    take(studio, files, null);
  });
}

/**
 * Let the browser keep a layer as a file.
 * @param {import("./state.js").Studio} studio @param {Object} layer
 */
export function exportLayer(studio, layer) {
  return attempt(studio, async () => {
    const download = `${stem(studio.get("exemplar").name)}_${layer.role}.png`;
    const link = make("a", { href: URL.createObjectURL(await layer.blob()), download });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // the download has begun by then
    tell(studio, `${download} is among your downloads.`);
  });
}

/** @param {string} name of a file @returns {string} without its folder and its ending */
const stem = (name) => name.replace(/^.*[/\\]/, "").replace(/(?<=.)\.[^.]*$/, "");

/**
 * Read a picture into a layer, stretched to its size.
 * @param {import("./state.js").Studio} studio @param {Object} layer @param {Blob} file
 */
export function importLayer(studio, layer, file) {
  return attempt(studio, async () => {
    const plain = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const bitmap = await createImageBitmap(file, plain).catch(() => null);
    if (!bitmap) {
      tell(studio, `${file.name} is no picture that a browser can read, such as PNG, JPEG or WebP.`, "error");
      return;
    }
    importInto(studio, layer, bitmap);
    bitmap.close();
    studio.set({ activeLayer: layer.role });
  });
}

/** What was painted is not lost without a question. */
function guard(studio) {
  addEventListener("beforeunload", (event) => {
    if ([...studio.get("layers").values()].some(({ empty }) => !empty)) event.preventDefault();
  });
}

/** @param {import("./state.js").Studio} studio */
export function start(studio) {
  guard(studio);
  prepareDialog(studio);
  prepareChooser(studio);
  prepareDrops(studio);
  let begun = false;
  const welcome = () => (element("welcome").hidden = studio.get("exemplar") !== null);
  studio.on(["folder"], () => {
    const { opened, pictures } = studio.get("folder");
    offer(studio, pictures);
    if (opened && !begun && !studio.get("exemplar")) openName(studio, opened).then(welcome);
    else welcome();
    begun = true;
  });
  studio.on(["exemplar"], () => {
    const exemplar = studio.get("exemplar");
    welcome();
    const name = element("exemplar-name");
    name.textContent = exemplar ? exemplar.name : "";
    name.title = exemplar ? `${exemplar.name}, ${exemplar.width} by ${exemplar.height} pixels` : "";
  });
}
