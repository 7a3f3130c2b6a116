/** The measurements of one window, read by read; a pixel without that read is hatched. */

import { byId, make, setText } from "../../lib/dom.js";
import { GRAY, Screen, rgb } from "../../lib/screen.js";
import { Seen } from "../../lib/seen.js";

/**
 * @typedef {import("../../lib/ratio-map.js").RatioMap} RatioMap
 * @typedef {import("../../net/types.js").BoardIdentity} BoardIdentity
 */

const HATCH_DARK = rgb(20, 27, 36);
const HATCH_LIGHT = rgb(46, 60, 76);
const HATCH_PERIOD = 8;
const THUMBNAIL_STRIDE = 4;

export class Measurements {
  #screen = new Screen(byId("reads", HTMLCanvasElement));
  #slider = byId("read", HTMLInputElement);
  /** @type {{button: HTMLButtonElement, screen: Screen}[]} */ #thumbnails = [];
  /** @type {RatioMap|null} Of the window that is shown. */ #map = null;
  #black = 0;
  #fullScale = 1;
  /** @type {Float32Array[]} One plane per read, in DN; NaN where not measured. */ planes = [];
  #seen = new Seen(byId("reads-panel"), () => this.#draw());

  /** @param {import("../../lib/pointing.js").Pointed} pointed */
  constructor(pointed) {
    this.#slider.addEventListener("input", () => this.#draw());
    this.#screen.onPoint(pointed);
  }

  /** Whether it is on the screen. */
  get seen() {
    return this.#seen.now;
  }

  /** Take a new map, with one thumbnail per read of its highest level. @param {RatioMap} map */
  setMap(map) {
    this.#map = map;
    this.planes = [];
    const last = Math.max(map.maxLevel - 1, 0);
    this.#slider.max = String(last);
    this.#slider.value = String(Math.min(Number(this.#slider.value), last));
    this.#thumbnails = Array.from({ length: map.maxLevel }, (_, read) => {
      const canvas = make("canvas");
      const button = make("button", { type: "button", title: `Read ${read + 1}` }, canvas, make("span", {}, `m${read + 1}`));
      button.setAttribute("aria-label", button.title);
      button.addEventListener("click", () => {
        this.#slider.value = String(read);
        this.#draw();
      });
      return { button, screen: new Screen(canvas) };
    });
    this.#screen.clear();
    setText("reads-note", "");
    byId("strip").replaceChildren(...this.#thumbnails.map(({ button }) => button));
  }

  /**
   * Show the measurements of a window.
   * @param {import("../../net/packets.js").Readout} readout @param {BoardIdentity} board
   * @param {RatioMap} map Its map.
   */
  show(readout, board, map) {
    if (!map.hash.startsWith(readout.mapHash)) return;
    this.#map = map;
    this.#black = board.black_level_dn;
    this.#fullScale = board.full_scale_dn;
    this.planes = map.planes(readout.codes);
    this.#draw();
  }

  /** Signal, in units of full scale. @param {number} dn */
  signal(dn) {
    return (dn - this.#black) / this.#fullScale;
  }

  #draw() {
    const map = this.#map;
    if (!map || !this.planes.length || !this.seen) return;
    const shown = Number(this.#slider.value);
    const measured = map.levels.reduce((count, level) => count + (level > shown ? 1 : 0), 0);
    setText("read-label", `m${shown + 1} of ${map.maxLevel}`);
    setText("reads-note", `${((100 * measured) / map.levels.length).toFixed(1)} % of the pixels`);
    this.#paint(map, this.#screen, shown, 1);
    this.#thumbnails.forEach(({ button, screen }, read) => {
      button.setAttribute("aria-pressed", String(read === shown));
      this.#paint(map, screen, read, THUMBNAIL_STRIDE);
    });
  }

  /**
   * Paint one read, each pixel as bright as if it had been open for the whole window.
   * @param {RatioMap} map @param {Screen} screen @param {number} read
   * @param {number} stride Side of the block of pixels whose measurements are averaged.
   */
  #paint(map, screen, read, stride) {
    const { height, width, levels } = map;
    const plane = this.planes[read];
    const gains = map.gains(read);
    const [rows, columns] = [Math.floor(height / stride), Math.floor(width / stride)];
    screen.resize(rows, columns);
    for (let y = 0; y < rows; y += 1) {
      for (let x = 0; x < columns; x += 1) {
        let sum = 0;
        let count = 0;
        for (let dy = 0; dy < stride; dy += 1) {
          for (let dx = 0; dx < stride; dx += 1) {
            const at = (y * stride + dy) * width + x * stride + dx;
            if (levels[at] > read) {
              sum += ((plane[at] - this.#black) / this.#fullScale) * gains[at];
              count += 1;
            }
          }
        }
        const hatch = (x + y) % HATCH_PERIOD < HATCH_PERIOD / 2 ? HATCH_LIGHT : HATCH_DARK;
        const bright = Math.max(0, Math.min(255, Math.round((255 * sum) / count)));
        screen.pixels[y * columns + x] = count ? GRAY[bright] : hatch;
      }
    }
    screen.flush();
  }
}
