/**
 * Handles over a picture: each is a button, so that it can be reached and moved by keys as well as dragged.
 */
import { make } from "./dom.js";

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR = 10; // pixels, that an arrow key moves with shift

/** The handles of a frame or of corners. */
export class Handles {
  /**
   * @param {import("./viewport.js").Viewport} viewport
   * @param {string[]} names what each handle is called
   * @param {{places: () => {x: number, y: number}[] | null, move: (index: number, x: number, y: number) => void,
   *   done: () => void}} owner places: null hides them. move: to a place of the picture. done: the move is complete.
   */
  constructor(viewport, names, owner) {
    Object.assign(this, { viewport, owner });
    this.buttons = names.map((name, index) => make("button", {
      type: "button", class: "handle", "aria-label": name, title: name, hidden: true, "data-handle": index,
      on: {
        pointerdown: (event) => this.#down(event), pointermove: (event) => this.#drag(index, event),
        pointerup: () => this.#up(), pointercancel: () => this.#up(), keydown: (event) => this.#key(index, event),
      },
    }));
    viewport.stage.append(...this.buttons);
    viewport.onMoved(() => this.update());
  }

  /** Put them where they belong by now. */
  update() {
    const places = this.owner.places();
    this.buttons.forEach((button, index) => {
      button.hidden = !places;
      if (!places) return;
      const { x, y } = this.viewport.toPane(places[index].x, places[index].y);
      button.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
    });
  }

  #down(event) {
    if (event.button !== 0) return;
    event.target.setPointerCapture(event.pointerId);
    this.held = true;
  }

  #drag(index, event) {
    if (!this.held) return;
    const { x, y } = this.viewport.toPicture(event.clientX, event.clientY);
    this.#move(index, x, y);
  }

  #up() {
    if (!this.held) return;
    this.held = false;
    this.owner.done();
  }

  #key(index, event) {
    const way = KEYS[event.key];
    if (!way || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const step = event.shiftKey ? FAR : 1;
    const place = this.owner.places()[index];
    this.#move(index, place.x + way[0] * step, place.y + way[1] * step);
    this.owner.done();
  }

  #move(index, x, y) {
    this.owner.move(index, x, y);
    this.update();
    this.viewport.invalidate();
  }
}
