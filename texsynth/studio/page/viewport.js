/**
 * A pane in which a picture is looked at: it is fitted, magnified, moved and pinched, and drawn at the screen's own
 * resolution. What is drawn, and what a pointer does in it, is its owner's.
 */
import { make, takesText } from "./dom.js";

const NEAREST = 32; // pixels of the page for one of the picture, at most
const FARTHEST = 16; // times smaller than fitted, at most
const KEY_STEP = 1.25, WHEEL_STEP = 0.0022, PAN_STEP = 60, MARGIN = 12;
const CRISP = 2; // pixels of the screen for one of the picture, from which on pixels are seen as squares

/**
 * @typedef {object} Tool what a pointer does; places are {x, y} in pixels of the picture
 * @property {(place: object, event: PointerEvent) => boolean} [down] true where it takes the pointer, which else moves
 *   the picture
 * @property {(places: object[], event: PointerEvent) => void} [move]
 * @property {() => void} [up]
 * @property {() => void} [cancel] a second finger came, or the pointer was lost
 * @property {(place: object, event: PointerEvent) => void} [hover]
 * @property {() => void} [leave]
 */
export class Viewport {
  /**
   * @param {HTMLElement} stage where the pane goes
   * @param {string} label what it is called to those who do not see it
   * @param {{size: () => number[], margins?: () => number[], tool: Tool,
   *   draw: (context: CanvasRenderingContext2D, view: Viewport) => void}} owner
   *   size: of the picture, [0, 0] where there is none. margins: left, top, right, bottom of what is shown round it.
   *   draw: called with the transform of the picture's pixels set.
   */
  constructor(stage, label, owner) {
    Object.assign(this, { stage, owner, zoom: 1, x: 0, y: 0, fitted: true }); // x, y: what is in the middle of the pane
    Object.assign(this, { pointers: new Map(), held: null, listeners: [] });
    this.canvas = make("canvas", { class: "view", tabindex: 0, role: "img", "aria-label": label });
    this.context = this.canvas.getContext("2d");
    this.ground = make("div", { class: "ground" }); // which shows through where the picture is transparent
    stage.append(this.ground, this.canvas);
    this.dirty = null; // [left, top, right, bottom] in pixels of the picture, or "all"
    new ResizeObserver(() => this.invalidate()).observe(stage);
    this.#listen();
  }

  /** Pixels of the screen for one of the page. */
  get dense() {
    return Math.min(3, window.devicePixelRatio || 1);
  }

  /** Left, top, right and bottom of what is shown, in pixels of the picture. */
  get bounds() {
    const [width, height] = this.owner.size();
    const [left, top, right, bottom] = this.owner.margins?.() ?? [0, 0, 0, 0];
    return [-left, -top, width + right, height + bottom];
  }

  /** The zoom at which the whole picture is seen. */
  get fitting() {
    const [left, top, right, bottom] = this.bounds;
    const [width, height] = [right - left, bottom - top];
    const { clientWidth, clientHeight } = this.stage;
    const room = (side, pane) => (pane - 2 * MARGIN) / Math.max(1, side);
    const zoom = Math.min(room(width, clientWidth), room(height, clientHeight));
    return Math.max(0.01, zoom >= 1 ? Math.floor(zoom * 4) / 4 : zoom);
  }

  /** Show all of the picture, also when the pane or the picture changes its size. */
  fit() {
    this.fitted = true;
    this.invalidate();
  }

  /** Calls a function whenever the place or the size of the picture on the page has changed. */
  onMoved(listener) {
    this.listeners.push(listener);
  }

  /**
   * Draw again, soon.
   * @param {number[]|null} [rect] left, top, right, bottom of what has changed; else all
   */
  invalidate(rect) {
    if (this.dirty === null) requestAnimationFrame(() => this.#draw());
    if (!rect || this.dirty === "all") this.dirty = "all";
    else if (this.dirty === null) this.dirty = [...rect];
    else this.dirty = this.dirty.map((side, i) => (i < 2 ? Math.min(side, rect[i]) : Math.max(side, rect[i])));
  }

  /** A place of the picture for one of the page, as events have it. */
  toPicture(clientX, clientY) {
    const box = this.stage.getBoundingClientRect();
    return {
      x: (clientX - box.left - this.stage.clientLeft - this.stage.clientWidth / 2) / this.zoom + this.x,
      y: (clientY - box.top - this.stage.clientTop - this.stage.clientHeight / 2) / this.zoom + this.y,
    };
  }

  /** A place in the pane, in pixels of the page from its upper left, for one of the picture. */
  toPane(x, y) {
    return {
      x: (x - this.x) * this.zoom + this.stage.clientWidth / 2,
      y: (y - this.y) * this.zoom + this.stage.clientHeight / 2,
    };
  }

  /** Magnify by a factor; the place of the page (clientX, clientY), by default the middle, stays where it is. */
  magnify(factor, clientX, clientY) {
    const box = this.stage.getBoundingClientRect();
    const [left, top] = [clientX ?? box.left + box.width / 2, clientY ?? box.top + box.height / 2];
    const before = this.toPicture(left, top);
    this.zoom = Math.max(this.fitting / FARTHEST, Math.min(NEAREST, this.zoom * factor));
    const after = this.toPicture(left, top);
    this.fitted = false;
    this.#moveBy(before.x - after.x, before.y - after.y);
  }

  /** Move the picture by pixels of the page. */
  pan(across, down) {
    this.fitted = false;
    this.#moveBy(-across / this.zoom, -down / this.zoom);
  }

  #moveBy(x, y) {
    const [left, top, right, bottom] = this.bounds;
    this.x = Math.max(left, Math.min(right, this.x + x)); // the middle of the pane stays on the picture
    this.y = Math.max(top, Math.min(bottom, this.y + y));
    this.invalidate();
  }

  #place() {
    const { stage, canvas, dense } = this;
    const sides = [stage.clientWidth, stage.clientHeight].map((side) => Math.max(1, Math.round(side * dense)));
    if (canvas.width !== sides[0] || canvas.height !== sides[1]) [canvas.width, canvas.height] = sides;
    if (this.fitted) {
      const [left, top, right, bottom] = this.bounds;
      Object.assign(this, { zoom: this.fitting, x: (left + right) / 2, y: (top + bottom) / 2 });
    }
    const moved = [...sides, ...this.bounds, this.zoom, this.x, this.y].join();
    if (moved === this.moved) return;
    this.moved = moved;
    this.dirty = "all";
    this.#placeGround();
    this.stage.toggleAttribute("data-fitted", this.fitted); // a finger then scrolls the page
    for (const listener of this.listeners) listener();
  }

  #placeGround() {
    const { stage, zoom } = this;
    const middle = [stage.clientWidth / 2, stage.clientHeight / 2];
    const place = (side, i) => (side - [this.x, this.y][i % 2]) * zoom + middle[i % 2];
    const inside = (side, i) => (i < 2 ? Math.ceil(side) : Math.floor(side));
    const [left, top, right, bottom] = this.bounds.map(place).map(inside);
    const box = { left, top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
    for (const [name, pixels] of Object.entries(box)) this.ground.style[name] = `${pixels}px`;
  }

  #draw() {
    this.#place();
    const { context, canvas, dirty } = this;
    this.dirty = null;
    const scale = this.zoom * this.dense;
    const origin = [canvas.width / 2 - this.x * scale, canvas.height / 2 - this.y * scale].map(Math.round);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.save();
    if (dirty !== "all") {
      const [left, top, right, bottom] = dirty.map((side, i) => origin[i % 2] + side * scale + (i < 2 ? -2 : 2));
      context.beginPath();
      context.rect(Math.floor(left), Math.floor(top), Math.ceil(right - left), Math.ceil(bottom - top));
      context.clip();
    }
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(scale, 0, 0, scale, ...origin);
    context.imageSmoothingEnabled = scale < CRISP;
    context.imageSmoothingQuality = scale < 1 ? "medium" : "low";
    const [width, height] = this.owner.size();
    if (width && height) this.owner.draw(context, this);
    context.restore();
  }

  #listen() {
    const { canvas } = this;
    const on = (name, listener, options) => canvas.addEventListener(name, listener, options);
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event, false));
    on("pointercancel", (event) => this.#up(event, true));
    on("pointerleave", () => {
      this.hovered = false;
      this.owner.tool.leave?.();
    });
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1) * (event.ctrlKey ? 4 : 1);
      this.magnify(Math.exp(-pixels * WHEEL_STEP), event.clientX, event.clientY);
    }, { passive: false });
    on("keydown", (event) => this.#key(event));
    on("keyup", (event) => event.code === "Space" && this.#space(false));
    document.addEventListener("focusin", () => { this.hovered = false; }); // until the pointer moves again
    document.addEventListener("keydown", (event) => this.#overhear(event));
    on("blur", () => this.#space(false));
  }

  /** Keys that are meant for the picture under the pointer, though something else has the focus. */
  #overhear(event) {
    if (!this.hovered || document.activeElement === this.canvas || takesText(document.activeElement)) return;
    if (event.code !== "Space" && !["+", "=", "-", "0"].includes(event.key)) return;
    this.canvas.focus({ preventScroll: true });
    this.#key(event);
  }

  #space(down) {
    this.spaced = down;
    this.stage.toggleAttribute("data-panning", down);
  }

  #key(event) {
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.code === "Space") this.#space(true);
    else if (event.key === "+" || event.key === "=") this.magnify(KEY_STEP);
    else if (event.key === "-") this.magnify(1 / KEY_STEP);
    else if (event.key === "0") this.fit();
    else if (event.key === "1") this.magnify(1 / this.zoom);
    else if (moves[event.key]) this.pan(...moves[event.key].map((way) => way * PAN_STEP));
    else return;
    event.preventDefault();
  }

  #down(event) {
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size > 1) {
      if (this.held === "tool") this.owner.tool.cancel?.();
      this.held = "pinch";
    } else {
      const pans = event.button === 1 || this.spaced;
      this.held = !pans && this.owner.tool.down?.(this.toPicture(event.clientX, event.clientY), event) ? "tool" : "pan";
    }
    if (event.button === 1) event.preventDefault();
    this.stage.toggleAttribute("data-grabbed", this.held !== "tool");
  }

  #move(event) {
    this.hovered = true;
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.owner.tool.hover?.(this.toPicture(event.clientX, event.clientY), event);
    if (this.held === "tool") {
      const events = event.getCoalescedEvents?.() ?? [];
      const places = (events.length ? events : [event]).map((one) => ({
        ...this.toPicture(one.clientX, one.clientY), pressure: one.pressure,
      }));
      this.owner.tool.move?.(places, event);
      return this.owner.tool.hover?.(places.at(-1), event);
    }
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size === 2) return this.#pinch(event.pointerId, before);
    return this.pan(event.clientX - before[0], event.clientY - before[1]);
  }

  #pinch(moved, before) {
    const [after, other] = [this.pointers.get(moved), [...this.pointers].find(([id]) => id !== moved)[1]];
    const apart = (one) => Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1]));
    this.pan((after[0] - before[0]) / 2, (after[1] - before[1]) / 2);
    this.magnify(apart(after) / apart(before), (after[0] + other[0]) / 2, (after[1] + other[1]) / 2);
  }

  #up(event, lost) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.held === "tool") this.owner.tool[lost ? "cancel" : "up"]?.();
    if (this.pointers.size === 0) this.held = null;
    else this.held = "pinch"; // of two fingers one stays: it moves the picture
    this.stage.toggleAttribute("data-grabbed", this.pointers.size > 0);
  }
}
