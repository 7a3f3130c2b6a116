/** The ratio map as the page knows it: levels, colours, and which pixel is read when. */

/**
 * @typedef {object} MapDocument What `GET api/map` answers.
 * @property {string} hash
 * @property {number} height
 * @property {number} width
 * @property {number} slots
 * @property {number} tile_height
 * @property {number} tile_width
 * @property {Record<string, number>} level_shares
 * @property {number} mean_level
 * @property {number} ratio
 * @property {Record<string, [number, number, number]>} colours
 * @property {boolean} aperture
 * @property {string} levels Base64 of one byte a pixel, row-major.
 * @property {string|null} mask Base64 of the coded aperture, a bit a slot and pixel, lowest first.
 */

/** @param {string} text Base64. */
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

export class RatioMap {
  /** @type {Float32Array[]} */ #gains = [];

  /** @param {MapDocument} document */
  constructor(document) {
    Object.assign(this, document);
    this.levels = bytes(document.levels);
    this.mask = document.mask === null ? null : bytes(document.mask);
    this.maxLevel = this.levels.reduce((most, level) => Math.max(most, level), 0);
  }

  /**
   * Spread a readout over the array: one plane a read, in DN, NaN where the pixel has no such read.
   *
   * The samples come slot by slot, and inside a slot row by row: a pixel at level n is read after
   * every (slots / n)-th slot.
   * @param {Uint8Array|Uint16Array} codes
   * @returns {Float32Array[]}
   */
  planes(codes) {
    const planes = Array.from({ length: this.maxLevel }, () => new Float32Array(this.levels.length).fill(NaN));
    let at = 0;
    for (let slot = 1; slot <= this.slots; slot += 1) {
      for (let pixel = 0; pixel < this.levels.length; pixel += 1) {
        const level = this.levels[pixel];
        if (level && (slot * level) % this.slots === 0) {
          planes[(slot * level) / this.slots - 1][pixel] = codes[at];
          at += 1;
        }
      }
    }
    return planes;
  }

  /** Whether light reaches a pixel in a slot. @param {number} pixel @param {number} slot */
  isOpen(pixel, slot) {
    const bit = slot * this.levels.length + pixel;
    return this.mask === null || ((this.mask[bit >> 3] >> (bit & 7)) & 1) === 1;
  }

  /**
   * Runs of open slots in the span of a read, as pairs of the first slot and the one after the last.
   * @param {number} pixel @param {number} read
   * @returns {[number, number][]}
   */
  openRuns(pixel, read) {
    const span = this.slots / this.levels[pixel];
    const runs = [];
    for (let slot = read * span; slot < (read + 1) * span; slot += 1) {
      if (!this.isOpen(pixel, slot)) continue;
      if (runs.at(-1)?.[1] === slot) runs.at(-1)[1] += 1;
      else runs.push([slot, slot + 1]);
    }
    return runs;
  }

  /**
   * Mean light over the open slots of a read against its signal: T over their number, 0 without any.
   * @param {number} pixel @param {number} read
   */
  gain(pixel, read) {
    const level = this.levels[pixel];
    if (this.mask === null) return level;
    let open = 0;
    for (let slot = (read * this.slots) / level; slot < ((read + 1) * this.slots) / level; slot += 1) {
      open += this.isOpen(pixel, slot) ? 1 : 0;
    }
    return open && this.slots / open;
  }

  /** `gain` of a read for every pixel that has it. @param {number} read @returns {ArrayLike<number>} */
  gains(read) {
    if (this.mask === null) return this.levels;
    this.#gains[read] ??= Float32Array.from(this.levels, (level, pixel) => (level > read ? this.gain(pixel, read) : 0));
    return this.#gains[read];
  }

  /** CSS colour of a level. @param {number|string} level */
  colour(level) {
    const [r, g, b] = this.colours[level] ?? [128, 128, 128];
    return `rgb(${r} ${g} ${b})`;
  }
}
