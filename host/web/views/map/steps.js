/** Steps of a drawing, to be undone and redone: only what changed, as runs of cells. */

/**
 * @typedef {object} Rect Half open, in cells.
 * @property {number} left
 * @property {number} top
 * @property {number} right
 * @property {number} bottom
 *
 * @typedef {object} Step Undoes itself: each cell of a run is the exclusive or of before and after.
 * @property {Uint32Array} runs Pairs of the first cell and the length.
 * @property {Uint8Array} changes Of all runs, one after the other.
 * @property {Rect} rect Where they are.
 */

export const MAX_STEPS = 100;
/** Equal cells between two changes that cost less inside a run than as the gap between two. */
const GAP = 8;

/** The smallest rectangle with both. @param {Rect|null} one @param {Rect} other @returns {Rect} */
export const around = (one, other) => (one === null ? { ...other } : {
  left: Math.min(one.left, other.left),
  top: Math.min(one.top, other.top),
  right: Math.max(one.right, other.right),
  bottom: Math.max(one.bottom, other.bottom),
});

/**
 * What changed inside a rectangle; null if nothing did.
 * @param {Uint8Array} before @param {Uint8Array} after @param {number} width @param {Rect} rect
 * @returns {Step|null}
 */
export function stepBetween(before, after, width, rect) {
  /** @type {number[]} */ const runs = [];
  let cells = 0;
  for (let y = rect.top; y < rect.bottom; y += 1) {
    const end = y * width + rect.right;
    let start = -1;
    let last = -1;
    const close = () => {
      runs.push(start, last + 1 - start);
      cells += last + 1 - start;
    };
    for (let at = y * width + rect.left; at < end; at += 1) {
      if (before[at] === after[at]) continue;
      if (start >= 0 && at - last > GAP) {
        close();
        start = at;
      } else if (start < 0) start = at;
      last = at;
    }
    if (start >= 0) close();
  }
  if (!cells) return null;
  const changes = new Uint8Array(cells);
  let filled = 0;
  for (let i = 0; i < runs.length; i += 2) {
    for (let at = runs[i]; at < runs[i] + runs[i + 1]; at += 1) changes[filled++] = before[at] ^ after[at];
  }
  return { runs: Uint32Array.from(runs), changes, rect };
}

/**
 * Undo or redo a step.
 * @param {Uint8Array} levels @param {Step} step @param {(at: number, level: number) => void} write
 */
export function toggle(levels, { runs, changes }, write) {
  let taken = 0;
  for (let i = 0; i < runs.length; i += 2) {
    for (let at = runs[i]; at < runs[i] + runs[i + 1]; at += 1) {
      const change = changes[taken++];
      if (change) write(at, levels[at] ^ change);
    }
  }
}

/** The last steps, and those that were undone. */
export class Steps {
  /** @type {Step[]} */ #done = [];
  /** @type {Step[]} */ #undone = [];

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** @param {Step} step */
  add(step) {
    this.#done.push(step);
    if (this.#done.length > MAX_STEPS) this.#done.shift();
    this.#undone = [];
  }

  /** The step to undo now, if there is one. */
  back() {
    return move(this.#done, this.#undone);
  }

  /** The step to redo now, if there is one. */
  forth() {
    return move(this.#undone, this.#done);
  }
}

/** @param {Step[]} from @param {Step[]} to */
function move(from, to) {
  const step = from.pop();
  if (step) to.push(step);
  return step;
}
