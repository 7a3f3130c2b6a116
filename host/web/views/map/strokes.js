/** What a tool covers: spans of cells, some of which may lie outside the map. */

/**
 * @typedef {number[]} Spans Triples of the row, the first column and the one after the last.
 * @typedef {import("../../lib/pointing.js").Pixel} Pixel
 */

/** A square brush around a cell. @param {Pixel} cell @param {number} size @returns {Spans} */
export const dab = ({ x, y }, size) => box(x - (size >> 1), y - (size >> 1), size, size);

/** @param {number} left @param {number} top @param {number} width @param {number} height @returns {Spans} */
export function box(left, top, width, height) {
  const spans = [];
  for (let y = top; y < top + height; y += 1) spans.push(y, left, left + width);
  return spans;
}

/** The rectangle with two cells in opposite corners. @param {Pixel} one @param {Pixel} other */
export const cornersOf = (one, other) => ({
  left: Math.min(one.x, other.x),
  top: Math.min(one.y, other.y),
  width: Math.abs(one.x - other.x) + 1,
  height: Math.abs(one.y - other.y) + 1,
});

/**
 * A brush that is drawn from one cell to another, without gaps.
 * @param {Pixel} from @param {Pixel} to @param {number} size
 * @returns {Spans}
 */
export function line(from, to, size) {
  const [across, down] = [to.x - from.x, to.y - from.y];
  const count = Math.max(Math.abs(across), Math.abs(down));
  const spans = dab(from, size);
  for (let i = 1; i <= count; i += 1) {
    const cell = { x: from.x + Math.round((i * across) / count), y: from.y + Math.round((i * down) / count) };
    spans.push(...dab(cell, size));
  }
  return spans;
}

/**
 * The cells of one level that hang together with a cell, side by side.
 * @param {Uint8Array} levels @param {number} width @param {Pixel} start
 * @returns {Spans}
 */
export function region(levels, width, start) {
  const height = levels.length / width;
  const level = levels[start.y * width + start.x];
  const seen = new Uint8Array(levels.length);
  /** @param {number} x @param {number} y */
  const open = (x, y) => levels[y * width + x] === level && !seen[y * width + x];
  /** @type {Spans} */ const spans = [];
  const waiting = [start.x, start.y];
  while (waiting.length) {
    const y = /** @type {number} */ (waiting.pop());
    const x = /** @type {number} */ (waiting.pop());
    if (!open(x, y)) continue;
    let [left, right] = [x, x + 1];
    while (left > 0 && open(left - 1, y)) left -= 1;
    while (right < width && open(right, y)) right += 1;
    seen.fill(1, y * width + left, y * width + right);
    spans.push(y, left, right);
    for (const row of [y - 1, y + 1]) {
      if (row < 0 || row >= height) continue;
      for (let at = left; at < right; at += 1) {
        if (open(at, row) && (at === left || !open(at - 1, row))) waiting.push(at, row);
      }
    }
  }
  return spans;
}

/**
 * All cells of the level that a cell has.
 * @type {typeof region}
 */
export function everywhere(levels, width, start) {
  const level = levels[start.y * width + start.x];
  /** @type {Spans} */ const spans = [];
  for (let at = levels.indexOf(level); at >= 0; at = levels.indexOf(level, at + 1)) {
    const [x, y] = [at % width, Math.floor(at / width)];
    if (spans.at(-3) === y && spans.at(-1) === x) spans[spans.length - 1] = x + 1;
    else spans.push(y, x, x + 1);
  }
  return spans;
}
