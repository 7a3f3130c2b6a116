/** What is drawn over the map: the cell of the keyboard, what a tool would cover, the selection. */

import { context2d } from "../../lib/dom.js";

/**
 * @typedef {import("./easel.js").Easel} Easel
 * @typedef {import("./tools.js").Box} Box
 */

export class Marks {
  #easel;
  #canvas;
  #context;

  /** @param {HTMLCanvasElement} canvas Over that of the easel. @param {Easel} easel */
  constructor(canvas, easel) {
    this.#canvas = canvas;
    this.#context = context2d(canvas);
    this.#easel = easel;
  }

  /**
   * @param {{selection: Box|null, tile: Box|null, band: Box|null, reach: Box|null}} boxes
   */
  draw({ selection, tile, band, reach }) {
    const { width, height } = this.#easel.canvas;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      Object.assign(this.#canvas, { width, height });
    } else this.#context.clearRect(0, 0, width, height);
    if (tile) this.#outline(tile, [2, 4]);
    if (selection) this.#outline(selection, [6, 4]);
    if (band) this.#outline(band, []);
    else if (reach) this.#outline(reach, []);
  }

  /** A white line between two dark ones is seen on every level. @param {Box} box @param {number[]} dashes */
  #outline({ left, top, width, height }, dashes) {
    const { scale, left: x0, top: y0 } = this.#easel;
    const context = this.#context;
    const ratio = window.devicePixelRatio || 1;
    const at = /** @type {const} */ ([(left - x0) * scale, (top - y0) * scale, width * scale, height * scale]);
    context.setLineDash([]);
    context.strokeStyle = "rgb(6 9 13 / 70%)";
    context.lineWidth = 3 * ratio;
    context.strokeRect(...at);
    context.setLineDash(dashes.map((length) => length * ratio));
    context.strokeStyle = "#ffffff";
    context.lineWidth = 1.25 * ratio;
    context.strokeRect(...at);
  }
}
