/** A ratio map that is being painted: its levels, how they repeat, and the way back. */

import { Steps, around, stepBetween, toggle } from "./steps.js";

/**
 * @typedef {import("./steps.js").Rect} Rect
 * @typedef {import("./strokes.js").Spans} Spans
 *
 * @typedef {object} Symmetry What is painted at one place is painted at others too.
 * @property {number} tileWidth The tile that repeats over the map; its whole width if 0.
 * @property {number} tileHeight
 * @property {boolean} across Whether the left half of the tile, or of the map, mirrors the right one.
 * @property {boolean} down
 */

/** @type {Symmetry} */
export const NO_SYMMETRY = { tileWidth: 0, tileHeight: 0, across: false, down: false };

export class Drawing {
  width;
  height;
  /** Level of each cell, row-major. */
  levels;
  /** Cells at each level. */
  counts = new Uint32Array(256);
  /** @type {Symmetry} */ symmetry = NO_SYMMETRY;
  #before;
  #steps = new Steps();
  /** @type {Rect|null} Since the last step. */ #stroke = null;
  /** @type {Rect|null} Since it was last taken. */ #changed = null;

  /** @param {number} width @param {number} height @param {Uint8Array} levels */
  constructor(width, height, levels) {
    this.width = width;
    this.height = height;
    this.levels = levels.slice();
    this.#before = levels.slice();
    for (const level of levels) this.counts[level] += 1;
    this.#changed = this.#whole;
  }

  get canUndo() {
    return this.#steps.canUndo;
  }

  get canRedo() {
    return this.#steps.canRedo;
  }

  /** Reads per window of all cells. */
  get reads() {
    return this.counts.reduce((sum, count, level) => sum + count * level, 0);
  }

  /**
   * Paint spans of cells, and what the symmetry makes of them.
   * @param {Spans} spans @param {(x: number, y: number) => number} levelAt
   */
  paint(spans, levelAt) {
    const { tileWidth, tileHeight, across, down } = this.symmetry;
    if (tileWidth && tileHeight) this.#paintTile(spans, levelAt);
    else {
      const { width, height } = this;
      this.#eachCell(spans, (x, y) => {
        const level = levelAt(x, y);
        this.#write(y * width + x, level);
        if (across) this.#write(y * width + width - 1 - x, level);
        if (down) this.#write((height - 1 - y) * width + x, level);
        if (across && down) this.#write((height - y) * width - 1 - x, level);
      });
      this.#touch(across || down ? this.#whole : boundsOf(spans, width, height));
    }
  }

  /** Put other levels in place of all, as one step. @param {Uint8Array} levels */
  replace(levels) {
    levels.forEach((level, at) => this.#write(at, level));
    this.#touch(this.#whole);
    this.commit();
  }

  /** What was painted since the last step becomes a step; whether anything changed. */
  commit() {
    const rect = this.#stroke;
    this.#stroke = null;
    const step = rect && stepBetween(this.#before, this.levels, this.width, rect);
    if (!step) return false;
    this.#steps.add(step);
    this.#settle(step.rect);
    return true;
  }

  /** Take back what was painted since the last step. */
  cancel() {
    const rect = this.#stroke;
    this.#stroke = null;
    const step = rect && stepBetween(this.#before, this.levels, this.width, rect);
    if (step) this.#toggle(step);
  }

  undo() {
    this.commit();
    return this.#go(this.#steps.back());
  }

  redo() {
    this.commit();
    return this.#go(this.#steps.forth());
  }

  /** Where cells changed since the last call; null if none did. */
  takeChanged() {
    const changed = this.#changed;
    this.#changed = null;
    return changed;
  }

  /** @returns {Rect} */
  get #whole() {
    return { left: 0, top: 0, right: this.width, bottom: this.height };
  }

  /** @param {import("./steps.js").Step|undefined} step */
  #go(step) {
    if (!step) return false;
    this.#toggle(step);
    this.#settle(step.rect);
    return true;
  }

  /** @param {import("./steps.js").Step} step */
  #toggle(step) {
    toggle(this.levels, step, (at, level) => this.#write(at, level));
    this.#changed = around(this.#changed, step.rect);
  }

  /** @param {Rect} rect */
  #settle({ left, top, right, bottom }) {
    for (let row = top * this.width; row < bottom * this.width; row += this.width) {
      this.#before.set(this.levels.subarray(row + left, row + right), row + left);
    }
  }

  /** @param {number} at @param {number} level */
  #write(at, level) {
    const old = this.levels[at];
    if (old === level) return;
    this.counts[old] -= 1;
    this.counts[level] += 1;
    this.levels[at] = level;
  }

  /** @param {Rect} rect */
  #touch(rect) {
    if (rect.left >= rect.right || rect.top >= rect.bottom) return;
    this.#stroke = around(this.#stroke, rect);
    this.#changed = around(this.#changed, rect);
  }

  /** @param {Spans} spans @param {(x: number, y: number) => void} called For those on the map. */
  #eachCell(spans, called) {
    for (let i = 0; i < spans.length; i += 3) {
      const y = spans[i];
      if (y < 0 || y >= this.height) continue;
      const end = Math.min(spans[i + 2], this.width);
      for (let x = Math.max(0, spans[i + 1]); x < end; x += 1) called(x, y);
    }
  }

  /** Paint the tile once, then all of its repeats. @type {Drawing["paint"]} */
  #paintTile(spans, levelAt) {
    const { tileWidth: w, tileHeight: h, across, down } = this.symmetry;
    const tile = new Int16Array(w * h).fill(-1);
    this.#eachCell(spans, (x, y) => {
      const level = levelAt(x, y);
      const [left, top] = [x % w, y % h];
      tile[top * w + left] = level;
      if (across) tile[top * w + w - 1 - left] = level;
      if (down) tile[(h - 1 - top) * w + left] = level;
      if (across && down) tile[(h - top) * w - 1 - left] = level;
    });
    for (let y = 0, at = 0; y < this.height; y += 1) {
      const row = (y % h) * w;
      for (let x = 0, left = 0; x < this.width; x += 1, at += 1) {
        const level = tile[row + left];
        if (level >= 0) this.#write(at, level);
        left = left + 1 === w ? 0 : left + 1;
      }
    }
    this.#touch(this.#whole);
  }
}

/** @param {Spans} spans @param {number} width @param {number} height @returns {Rect} */
function boundsOf(spans, width, height) {
  const rect = { left: width, top: height, right: 0, bottom: 0 };
  for (let i = 0; i < spans.length; i += 3) {
    rect.top = Math.min(rect.top, Math.max(0, spans[i]));
    rect.bottom = Math.max(rect.bottom, Math.min(height, spans[i] + 1));
    rect.left = Math.min(rect.left, Math.max(0, spans[i + 1]));
    rect.right = Math.max(rect.right, Math.min(width, spans[i + 2]));
  }
  return rect;
}
