/** Two pictures on one screen, left and right of a line that a person moves. */

import { byId, make } from "../../lib/dom.js";
import { rgb } from "../../lib/screen.js";

/** @typedef {import("../../lib/screen.js").Screen} Screen */

const LINE = rgb(240, 184, 75);
const STEP = 0.02;

export class Wipe {
  on = false;
  #button = byId("wipe");
  #left = byId("wipe-left", HTMLSelectElement);
  #right = byId("wipe-right", HTMLSelectElement);
  #slider = byId("wipe-at", HTMLInputElement);
  #share = 0.5;
  #redraw;
  #leftPixels = new Uint32Array(0);

  /**
   * @param {Record<string, string>} titles Of the pictures, by name.
   * @param {[string, string]} pair Names of those to begin with.
   * @param {() => void} redraw
   */
  constructor(titles, pair, redraw) {
    this.#redraw = redraw;
    this.#selects.forEach((select) => {
      select.append(...Object.entries(titles).map(([name, title]) => make("option", { value: name }, title)));
      select.addEventListener("change", redraw);
    });
    this.choose(pair);
    this.#slider.addEventListener("input", () => this.moveTo(Number(this.#slider.value) / 100));
  }

  /** Put two pictures behind the line. @param {[string, string]} pair */
  choose(pair) {
    this.#selects.forEach((select, side) => { select.value = pair[side]; });
  }

  toggle() {
    this.on = !this.on;
    this.#button.setAttribute("aria-pressed", String(this.on));
  }

  /** Put the line at a share of the width. @param {number} share */
  moveTo(share) {
    this.#share = Math.min(1, Math.max(0, share));
    this.#slider.value = String(100 * this.#share);
    this.#redraw();
  }

  /** Move the line by a step. @param {number} steps */
  moveBy(steps) {
    this.moveTo(this.#share + STEP * steps);
  }

  /** Names of the two pictures. */
  get names() {
    return this.#selects.map((select) => select.value);
  }

  /** Offer these pictures alone. @param {(name: string) => boolean} isOffered @param {[string, string]} otherwise */
  offer(isOffered, otherwise) {
    offer(this.#selects, isOffered, otherwise);
  }

  /**
   * Draw both pictures.
   * @param {Screen} screen
   * @param {(name: string) => void} show Brings one of them onto the screen.
   */
  draw(screen, show) {
    const [left, right] = this.names;
    show(left);
    const { pixels } = screen;
    if (this.#leftPixels.length !== pixels.length) this.#leftPixels = new Uint32Array(pixels.length);
    this.#leftPixels.set(pixels);
    show(right);
    const columns = screen.canvas.width;
    const edge = Math.round(this.#share * columns);
    for (let row = 0; row < pixels.length; row += columns) {
      pixels.set(this.#leftPixels.subarray(row, row + edge), row);
      pixels[row + Math.min(edge, columns - 1)] = LINE;
    }
    screen.flush();
  }

  get #selects() {
    return [this.#left, this.#right];
  }
}

/**
 * Offer these pictures alone in two lists; a pair of which one is gone becomes another pair.
 * @param {HTMLSelectElement[]} selects @param {(name: string) => boolean} isOffered
 * @param {[string, string]} otherwise
 */
export function offer(selects, isOffered, otherwise) {
  for (const option of selects.flatMap(({ options }) => [...options])) {
    option.disabled = option.hidden = !isOffered(option.value);
  }
  if (selects.every(({ value }) => isOffered(value))) return;
  selects.forEach((select, side) => { select.value = otherwise[side]; });
}
