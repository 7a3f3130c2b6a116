/** The pixel probe: the light of one pixel over the window, and its reads in DN and in signal. */

import { byId, context2d, setText } from "../../lib/dom.js";
import { Plot } from "../../lib/plot.js";
import { Seen } from "../../lib/seen.js";
import { fillTable } from "../../lib/table.js";

/**
 * @typedef {import("../../lib/ratio-map.js").RatioMap} RatioMap
 * @typedef {import("../../lib/pointing.js").Pixel} Pixel
 * @typedef {import("../../net/packets.js").Picture} Picture
 */

export class PixelProbe {
  #plot = byId("pixel-plot", HTMLCanvasElement);
  #values = byId("pixel-values", HTMLTableElement);
  #pixel = { x: -1, y: -1 };
  #held = false;
  #seen;
  /** @type {number|null} Of a signal of 1, where the board's calibration tells it. */ #electrons = null;

  /** @param {() => void} came It came onto the screen, and is to be drawn. */
  constructor(came) {
    this.#seen = new Seen(byId("pixel-panel"), came);
  }

  /** Whether it is on the screen. */
  get seen() {
    return this.#seen.now;
  }

  /**
   * Point at a pixel. A held pixel stays until another is held or it is clicked again.
   * @param {Pixel} pixel @param {boolean} held
   * @returns {boolean} Whether the probe moved.
   */
  point(pixel, held) {
    if (this.#held && !held) return false;
    this.#held = held && !(this.#held && this.#pixel.x === pixel.x && this.#pixel.y === pixel.y);
    this.#pixel = pixel;
    return true;
  }

  /**
   * The pixel to show under a map: the same one, or that in the middle if the map has no such pixel.
   * @param {RatioMap} map
   * @returns {Pixel}
   */
  within({ width, height }) {
    const { x, y } = this.#pixel;
    if (x < 0 || x >= width || y >= height) {
      this.#pixel = { x: width >> 1, y: height >> 1 };
      this.#held = false;
    }
    return this.#pixel;
  }

  /** Take what a calibration tells; whether that has changed. @param {import("../../net/types.js").LiveState} state */
  follow({ signal_electrons: electrons }) {
    const changed = electrons !== this.#electrons;
    this.#electrons = electrons;
    return changed;
  }

  /** Show nothing until the next window. */
  clear() {
    const { width, height } = this.#plot;
    context2d(this.#plot).clearRect(0, 0, width, height);
    for (const cell of this.#values.querySelectorAll("td")) cell.textContent = "–";
  }

  /**
   * @param {Picture|null} picture
   * @param {number} index Plane on the screen.
   * @param {RatioMap|null} map
   * @param {import("./measurements.js").Measurements} measurements Of the same window.
   */
  draw(picture, index, map, measurements) {
    if (!this.seen || !picture || !map?.hash.startsWith(picture.mapHash)) return;
    const { x, y } = this.#pixel;
    const at = y * map.width + x;
    const level = map.levels[at];
    const dn = measurements.planes.slice(0, level).map((plane) => plane[at]);
    const signals = dn.map((code) => measurements.signal(code));
    setText("pixel-note", this.#held ? "held; click it to release" : "point at a picture; click to hold");
    this.#drawPlot(picture, index, map, at, signals);

    /** @param {Uint8Array[]|null} planes */
    const light = (planes) => (planes ? (planes[index][at] / 255).toFixed(3) : "–");
    const span = `${level} ${level === 1 ? "read" : "reads"} of ${map.slots / level} slots`;
    fillTable(this.#values, Object.entries({
      Pixel: `x ${x}, y ${y}`,
      Level: level ? span : "0, not measured",
      "Reads, DN": dn.map((code) => code.toFixed(0)).join("  ") || "–",
      "Reads, signal": signals.map((e) => e.toFixed(4)).join("  ") || "–",
      ...(this.#electrons !== null && {
        "Reads, electrons": signals.map((e) => (e * Number(this.#electrons)).toFixed(0)).join("  ") || "–",
      }),
      Truth: light(picture.truth),
      "Initial, final": `${light(picture.initial)}, ${light(picture.final)}`,
      ...(picture.beside && { Beside: light(picture.beside) }),
    }).map(([heading, value]) => ({ heading: [heading], cells: [value] })));
  }

  /**
   * @param {Picture} picture @param {number} index @param {RatioMap} map
   * @param {number} at Of the pixel in a plane.
   * @param {number[]} signals
   */
  #drawPlot(picture, index, map, at, signals) {
    const slots = Array.from({ length: Math.floor(map.slots / 4) + 1 }, (_, i) => 4 * i);
    const plot = new Plot(
      this.#plot,
      { low: 0, high: map.slots, ticks: slots },
      { low: 0, high: 1, ticks: [0, 0.5, 1] },
    );
    const { context } = plot;
    const bottom = plot.up(0);
    plot.use("measured");
    signals.forEach((signal, read) => {
      // A read gives the mean light over the open slots of its span.
      const top = plot.up(Math.min(1, Math.max(0, signal * map.gain(at, read))));
      for (const run of map.openRuns(at, read)) {
        const [left, right] = run.map((slot) => plot.across(slot));
        context.globalAlpha = 0.16;
        context.fillRect(left + 1, top, right - left - 2, bottom - top);
        context.globalAlpha = 0.9;
        context.fillRect(left + 1, top - 1, right - left - 2, 2);
      }
    });
    context.globalAlpha = 1;

    for (const name of /** @type {const} */ (["initial", "truth", "final"])) {
      const planes = picture[name];
      if (!planes) continue;
      plot.use(name);
      /** @type {import("../../lib/plot.js").Point[]} */
      const points = planes.map((plane, i) => [picture.slots[i] + 0.5, plane[at] / 255]);
      plot.line(points, 1.5);
      points.forEach((point, i) => plot.dot(point, { radius: i === index ? 3.5 : 2 }));
    }
  }
}
