/** The part of the array that all pictures show: all of it, or some of it at whole screen pixels. */

/**
 * @typedef {import("../../lib/pointing.js").Part} Part
 * @typedef {import("../../lib/pointing.js").Pixel} Pixel
 */

/** Pixels of the screen along each side of a pixel of the array; 0 fits the array to its box. */
const FACTORS = [0, 1, 2, 3, 4, 6, 8, 12, 16];

export class Zoom {
  /** @type {Pixel|null} In the middle of the part, as far as the edges allow. */ centre = null;
  #at = 0;

  get factor() {
    return FACTORS[this.#at];
  }

  get label() {
    return this.factor ? `${this.factor} ×` : "fit";
  }

  /** Zoom in or out by some steps. @param {number} steps */
  change(steps) {
    this.#at = Math.min(Math.max(0, this.#at + steps), FACTORS.length - 1);
  }

  fit() {
    this.#at = 0;
  }

  /**
   * The part that a box shows, and the size of the canvas for it; null for all of it.
   * @param {number} height @param {number} width Of the array.
   * @param {{width: number, height: number}} box In CSS pixels.
   * @returns {{part: Part, cssWidth: number, cssHeight: number}|null}
   */
  within(height, width, box) {
    if (!this.factor) return null;
    const cell = this.factor / (window.devicePixelRatio || 1);
    const { x, y } = this.centre ?? { x: width >> 1, y: height >> 1 };
    /** @param {number} middle @param {number} limit @param {number} space */
    const span = (middle, limit, space) => {
      const size = Math.min(limit, Math.max(1, Math.floor(space / cell)));
      return { from: Math.min(Math.max(0, middle - (size >> 1)), limit - size), size };
    };
    const across = span(x, width, box.width);
    const down = span(y, height, box.height);
    return {
      part: { left: across.from, top: down.from, width: across.size, height: down.size },
      cssWidth: across.size * cell,
      cssHeight: down.size * cell,
    };
  }
}
