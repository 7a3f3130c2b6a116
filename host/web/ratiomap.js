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
 * @property {string} levels Base64 of one byte a pixel, row-major.
 */

export class RatioMap {
  /** @param {MapDocument} document */
  constructor(document) {
    Object.assign(this, document);
    this.levels = Uint8Array.from(atob(document.levels), (c) => c.charCodeAt(0));
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

  /** CSS colour of a level. @param {number|string} level */
  colour(level) {
    const [r, g, b] = this.colours[level] ?? [128, 128, 128];
    return `rgb(${r} ${g} ${b})`;
  }
}
