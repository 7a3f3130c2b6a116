/** The tools of the editor: what they paint between a press and its release. */

import { box, cornersOf, dab, everywhere, line, region } from "./strokes.js";

/**
 * @typedef {import("./drawing.js").Drawing} Drawing
 * @typedef {import("../../lib/pointing.js").Pixel} Pixel
 * @typedef {"brush"|"rectangle"|"fill"|"stamp"|"select"} Tool
 *
 * @typedef {object} Ink A tile that repeats from its corner; a single level is a tile of one cell.
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {ArrayLike<number>} levels Row-major.
 * @property {boolean} [free] Whether it is stamped where one points, not on its own grid.
 *
 * @typedef {{left: number, top: number, width: number, height: number}} Box
 */

export const MAX_BRUSH = 64;

/** @param {number} level @returns {Ink} */
export const plain = (level) => ({ left: 0, top: 0, width: 1, height: 1, levels: [level] });

export class Tools {
  /** @type {Tool} */ tool = "brush";
  ink = plain(1);
  size = 1;
  /** Whether a fill takes all cells of a level, wherever they are. */
  everywhere = false;
  /** @type {Box|null} */ selection = null;
  /** @type {Box|null} The rectangle that is being drawn. */ band = null;
  #drawing;
  /** @type {Pixel|null} Where a stroke began, or has got to. */ #from = null;

  /** @param {Drawing} drawing */
  constructor(drawing) {
    this.#drawing = drawing;
  }

  /** Paint on another drawing from now on. @param {Drawing} drawing */
  take(drawing) {
    this.cancel();
    this.#drawing = drawing;
    this.selection = null;
  }

  get pressed() {
    return this.#from !== null;
  }

  /** The cells that a press would cover. @param {Pixel} cell @returns {Box} */
  reach(cell) {
    if (this.tool === "brush") {
      const half = this.size >> 1;
      return { left: cell.x - half, top: cell.y - half, width: this.size, height: this.size };
    }
    if (this.tool === "stamp") return this.#stampAt(cell);
    return { left: cell.x, top: cell.y, width: 1, height: 1 };
  }

  /** @param {Pixel} cell May lie outside the map. */
  press(cell) {
    this.#from = cell;
    switch (this.tool) {
      case "brush":
        this.#paint(dab(cell, this.size));
        break;
      case "stamp":
        this.#stamp(cell);
        break;
      case "fill":
        this.#fill(cell);
        break;
      default:
        this.band = this.#clipped(cornersOf(cell, cell));
    }
  }

  /** @param {Pixel} cell */
  drag(cell) {
    const from = this.#from;
    if (!from || (from.x === cell.x && from.y === cell.y)) return;
    if (this.tool === "brush") this.#paint(line(from, cell, this.size));
    if (this.tool === "stamp" && !this.ink.free) this.#stamp(cell);
    if (this.band) this.band = this.#clipped(cornersOf(from, cell));
    else this.#from = cell;
  }

  /** Whether the drawing has changed. */
  release() {
    const { band } = this;
    this.#from = this.band = null;
    if (band && this.tool === "rectangle") this.#paint(box(band.left, band.top, band.width, band.height));
    if (band && this.tool === "select") this.selection = band.width && band.height ? band : null;
    return this.#drawing.commit();
  }

  /** Take back what is not released yet. */
  cancel() {
    this.#from = this.band = null;
    this.#drawing.cancel();
  }

  /** Paint the whole map. */
  cover() {
    this.#paint(box(0, 0, this.#drawing.width, this.#drawing.height));
    return this.#drawing.commit();
  }

  /** The cells of the selection, to be stamped elsewhere; null without one. @returns {Ink|null} */
  lift() {
    if (!this.selection) return null;
    const { left, top, width, height } = this.selection;
    const levels = new Uint8Array(width * height);
    for (let y = 0; y < height; y += 1) {
      const row = (top + y) * this.#drawing.width + left;
      levels.set(this.#drawing.levels.subarray(row, row + width), y * width);
    }
    return { left, top, width, height, levels, free: true };
  }

  /** @param {import("./strokes.js").Spans} spans @param {Ink} ink */
  #paint(spans, ink = this.ink) {
    const { left, top, width, height, levels } = ink;
    if (width * height === 1) this.#drawing.paint(spans, () => levels[0]);
    else this.#drawing.paint(spans, (x, y) => levels[mod(y - top, height) * width + mod(x - left, width)]);
  }

  /** @param {Pixel} cell */
  #stamp(cell) {
    const { left, top, width, height } = this.#stampAt(cell);
    this.#paint(box(left, top, width, height), { ...this.ink, left, top });
  }

  /** @param {Pixel} cell @returns {Box} */
  #stampAt({ x, y }) {
    const { left, top, width, height, free } = this.ink;
    if (free) return { left: x - (width >> 1), top: y - (height >> 1), width, height };
    return { left: x - mod(x - left, width), top: y - mod(y - top, height), width, height };
  }

  /** @param {Pixel} cell */
  #fill(cell) {
    const { width, height, levels } = this.#drawing;
    if (cell.x < 0 || cell.y < 0 || cell.x >= width || cell.y >= height) return;
    this.#paint((this.everywhere ? everywhere : region)(levels, width, cell));
  }

  /** @param {Box} given @returns {Box} The part on the map. */
  #clipped({ left, top, width, height }) {
    const [x, y] = [Math.max(0, left), Math.max(0, top)];
    return {
      left: x,
      top: y,
      width: Math.max(0, Math.min(left + width, this.#drawing.width) - x),
      height: Math.max(0, Math.min(top + height, this.#drawing.height) - y),
    };
  }
}

/** The remainder, 0 or more. @param {number} value @param {number} by */
const mod = (value, by) => ((value % by) + by) % by;
