/** Planes of bytes on a canvas: one 32-bit store per pixel, colours from a table of 256. */

import { context2d } from "./dom.js";
import { onPoint } from "./pointing.js";

/**
 * @typedef {import("./pointing.js").Part} Part
 * @typedef {import("./pointing.js").Pointed} Pointed
 */

/** A colour as ImageData stores it, little-endian. @param {number} r @param {number} g @param {number} b */
export const rgb = (r, g, b) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** Brightness as grey. */
export const GRAY = Uint32Array.from({ length: 256 }, (_, v) => rgb(v, v, v));

const CLEARED = rgb(6, 9, 13);

/** Stops of a perceptually even scale from black over violet and orange to pale yellow. */
const HEAT_STOPS = [
  [4, 5, 12], [46, 16, 84], [116, 28, 110], [184, 48, 94], [234, 92, 58], [252, 164, 36], [250, 250, 176],
];

/** Errors from none to large. */
export const HEAT = Uint32Array.from({ length: 256 }, (_, v) => {
  const at = (v / 255) * (HEAT_STOPS.length - 1);
  const low = Math.min(Math.floor(at), HEAT_STOPS.length - 2);
  const mix = HEAT_STOPS[low].map((c, i) => Math.round(c + (HEAT_STOPS[low + 1][i] - c) * (at - low)));
  return rgb(mix[0], mix[1], mix[2]);
});

export class Screen {
  canvas;
  /** One colour per pixel of the canvas, row-major; write here, then call `flush`. */
  pixels = new Uint32Array(0);
  /** @type {Part|null} The part of the planes that `show` brings onto the canvas; null for all. */ part = null;
  #context;
  /** @type {ImageData|null} */ #image = null;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.#context = context2d(canvas, { alpha: false });
  }

  /** @param {number} height @param {number} width */
  resize(height, width) {
    if (this.#image?.width === width && this.#image.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.#image = this.#context.createImageData(width, height);
    this.pixels = new Uint32Array(this.#image.data.buffer);
  }

  /**
   * Show a plane, or `part` of it, through a table of colours.
   * @param {Uint8Array} plane @param {number} height @param {number} width @param {Uint32Array} table
   */
  show(plane, height, width, table = GRAY) {
    const { left, top, width: columns, height: rows } = this.part ?? { left: 0, top: 0, width, height };
    this.resize(rows, columns);
    const { pixels } = this;
    let at = 0;
    for (let row = top; row < top + rows; row += 1) {
      const end = row * width + left + columns;
      for (let i = row * width + left; i < end; i += 1, at += 1) pixels[at] = table[plane[i]];
    }
    this.flush();
  }

  /** Bring `pixels` onto the canvas. */
  flush() {
    if (this.#image) this.#context.putImageData(this.#image, 0, 0);
  }

  clear() {
    this.pixels.fill(CLEARED);
    this.flush();
  }

  /** As `onPoint` of `pointing.js`. @param {Pointed} pointed @param {() => boolean} [holds] */
  onPoint(pointed, holds) {
    const shown = () => this.part ?? (
      this.#image && { left: 0, top: 0, width: this.#image.width, height: this.#image.height });
    onPoint(this.canvas, shown, pointed, holds);
  }
}
