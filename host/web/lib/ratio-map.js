/** A ratio map as the page knows it: levels, colours, and when each pixel is read. */

/** @typedef {import("../net/types.js").MapDocument} MapDocument */

/** @param {string} text Base64. */
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

export class RatioMap {
  /** What the service says of the map. */
  document;
  /** Level of each pixel, row-major. */
  levels;
  /** The coded aperture, one bit per slot and pixel, lowest bit first; null without one. */
  mask;
  /** The tiles of an adaptive map; null of any other. */
  palette;
  /** Measurements per window of the pixels that are read most often, under any grid. */
  maxLevel;
  /** @type {Float32Array[]} */ #gains = [];

  /** @param {MapDocument} document @param {Uint8Array} [levels] */
  constructor(document, levels = bytes(document.levels)) {
    this.document = document;
    this.hash = document.hash;
    this.height = document.height;
    this.width = document.width;
    this.slots = document.slots;
    this.levels = levels;
    this.mask = document.mask === null ? null : bytes(document.mask);
    this.palette = document.palette && { ...document.palette, levels: bytes(document.palette.tiles) };
    this.maxLevel = 0;
    for (const each of [levels, this.palette?.levels ?? []]) {
      for (const level of each) this.maxLevel = Math.max(this.maxLevel, level);
    }
  }

  /**
   * The map of a window of this map: the one that its grid composes, if this one is adaptive.
   * @param {import("../net/packets.js").Picture} window
   */
  of({ grid, mapHash }) {
    const { document, palette, height, width } = this;
    if (!palette) return this;
    const levels = grid ? this.#composed(palette, grid) : this.levels;
    const counts = new Uint32Array(256);
    for (const level of levels) counts[level] += 1;
    const shares = Object.keys(document.level_shares).map((level) => [level, counts[Number(level)] / levels.length]);
    const own = { hash: mapHash, palette: null, level_shares: Object.fromEntries(shares) };
    const map = new RatioMap({ ...document, ...own, ...(grid && { tile_height: height, tile_width: width }) }, levels);
    map.maxLevel = this.maxLevel;
    return map;
  }

  /** @param {NonNullable<RatioMap["palette"]>} palette @param {Uint8Array} grid */
  #composed({ block, tile_height: tileHeight, tile_width: tileWidth, levels: tiles }, grid) {
    const { height, width } = this;
    const columns = Math.ceil(width / block);
    const levels = new Uint8Array(height * width);
    for (let y = 0; y < height; y += 1) {
      const row = Math.floor(y / block) * columns;
      for (let x = 0; x < width; x += 1) {
        const tile = grid[row + Math.floor(x / block)] * tileHeight;
        levels[y * width + x] = tiles[(tile + (y % tileHeight)) * tileWidth + (x % tileWidth)];
      }
    }
    return levels;
  }

  /**
   * Spread a readout over the array: one plane per read, in DN, NaN where the pixel has no such read.
   *
   * The samples come slot by slot, and inside a slot row by row: a pixel at level n is read after
   * every (slots / n)-th slot.
   * @param {Uint8Array|Uint16Array} codes
   * @returns {Float32Array[]}
   */
  planes(codes) {
    const { levels, slots } = this;
    const planes = Array.from({ length: this.maxLevel }, () => new Float32Array(levels.length).fill(NaN));
    let at = 0;
    for (let slot = 1; slot <= slots; slot += 1) {
      for (let pixel = 0; pixel < levels.length; pixel += 1) {
        const level = levels[pixel];
        if (level && (slot * level) % slots === 0) {
          planes[(slot * level) / slots - 1][pixel] = codes[at];
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
   */
  openRuns(pixel, read) {
    const span = this.slots / this.levels[pixel];
    /** @type {[number, number][]} */
    const runs = [];
    for (let slot = read * span; slot < (read + 1) * span; slot += 1) {
      if (!this.isOpen(pixel, slot)) continue;
      const last = runs.at(-1);
      if (last?.[1] === slot) last[1] += 1;
      else runs.push([slot, slot + 1]);
    }
    return runs;
  }

  /**
   * Mean light over the open slots of a read, per signal: T over their number, 0 without any.
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

  /** `gain` of a read for each pixel that has it. @param {number} read @returns {ArrayLike<number>} */
  gains(read) {
    if (this.mask === null) return this.levels;
    this.#gains[read] ??= Float32Array.from(
      this.levels,
      (level, pixel) => (level > read ? this.gain(pixel, read) : 0),
    );
    return this.#gains[read];
  }

  /** Colour of a level. @param {number|string} level @returns {[number, number, number]} */
  colour(level) {
    return this.document.colours[level] ?? [128, 128, 128];
  }
}
