/** The measurements of one window, read by read; what was not measured is hatched. */

import { GRAY, Screen, rgb } from "./paint.js";

const HATCH_DARK = rgb(20, 27, 36);
const HATCH_LIGHT = rgb(46, 60, 76);
const HATCH_PERIOD = 8;

export class Reads {
  #screen = new Screen(document.getElementById("reads"));
  #slider = document.getElementById("read");
  #strip = document.getElementById("strip");
  #thumbnails = [];
  #map = null;
  #board = null;
  /** @type {Float32Array[]} DN, NaN where not measured. */ planes = [];
  window = -1;

  /** @param {(pixel: {x: number, y: number}, held: boolean) => void} pointed */
  constructor(pointed) {
    this.#slider.addEventListener("input", () => this.#draw());
    const point = (event, held) => {
      const pixel = this.#screen.pixelAt(event);
      if (pixel) pointed(pixel, held);
    };
    this.#screen.canvas.addEventListener("pointermove", (event) => point(event, false));
    this.#screen.canvas.addEventListener("click", (event) => point(event, true));
  }

  /**
   * Take a new map: as many reads in the strip as its highest level has.
   * @param {import("./ratiomap.js").RatioMap} map
   */
  take(map) {
    this.#map = map;
    this.planes = [];
    this.#slider.max = String(Math.max(map.maxLevel - 1, 0));
    this.#slider.value = String(Math.min(Number(this.#slider.value), Math.max(map.maxLevel - 1, 0)));
    this.#thumbnails = Array.from({ length: map.maxLevel }, (_, read) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = `Read ${read + 1}`;
      button.setAttribute("aria-label", button.title);
      button.append(document.createElement("canvas"));
      button.addEventListener("click", () => {
        this.#slider.value = String(read);
        this.#draw();
      });
      return { button, screen: new Screen(button.firstChild) };
    });
    this.#strip.replaceChildren(...this.#thumbnails.map(({ button }) => button));
  }

  /** @param {import("./packet.js").Readout} readout @param {any} board Its black level and full scale in DN. */
  show(readout, board) {
    if (!this.#map?.hash.startsWith(readout.mapHash)) return;
    this.window = readout.window;
    this.#board = board;
    this.planes = this.#map.planes(readout.codes);
    this.#draw();
  }

  /** Signal of full scale 1 from DN. @param {number} dn */
  signal(dn) {
    return (dn - this.#board.black_level_dn) / this.#board.full_scale_dn;
  }

  #draw() {
    if (!this.planes.length) return;
    const read = Number(this.#slider.value);
    const { levels } = this.#map;
    const measured = levels.reduce((count, level) => count + (level > read ? 1 : 0), 0);
    document.getElementById("read-label").textContent = `${read + 1} of ${this.#map.maxLevel}`;
    document.getElementById("reads-note").textContent = `${((100 * measured) / levels.length).toFixed(1)} % of the pixels`;
    this.#paint(this.#screen, read, 1);
    this.#thumbnails.forEach(({ button, screen }, i) => {
      button.setAttribute("aria-pressed", String(i === read));
      this.#paint(screen, i, 4);
    });
  }

  /**
   * One read, each pixel's brightness as if it had looked, open, for the whole window.
   * @param {Screen} screen @param {number} read
   * @param {number} stride Side of the block one picture pixel stands for: the mean of what was measured in it.
   */
  #paint(screen, read, stride) {
    const { height, width, levels } = this.#map;
    const plane = this.planes[read];
    const gains = this.#map.gains(read);
    const { black_level_dn: black, full_scale_dn: scale } = this.#board;
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
              sum += ((plane[at] - black) / scale) * gains[at];
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
