/**
 * Whether all slots can be drawn that are drawn in real time: fewer where they do not come in time, and
 * all of them again once host and browser have kept up for a while. Each try that fails doubles the while,
 * so that the page does not go to and fro.
 */

/** Slots come too late after so many seconds at less than this share of them. */
const LATE_S = 5;
const LATE_SHARE = 0.8;

/** Fewer of them come in time in a second with this share or more; half of them leave room for more. */
const TIMELY_SHARE = 0.9;

/** The while: at first, and at most. */
const MIN_WHILE_S = 10;
const MAX_WHILE_S = 320;

/** A try has failed if it ends within so many seconds. */
const TRIED_S = 60;

export class Pace {
  /** Whether fewer slots are drawn. */ reduced = false;
  #behindS = 0;
  #onTimeS = 0;
  #whileS = MIN_WHILE_S;
  #sinceTryS = Infinity;

  /**
   * Take what was drawn in a second.
   * @param {number} share Of the slots that were to be drawn.
   * @param {boolean} slow Whether the host reconstructs too few windows.
   */
  second(share, slow) {
    this.#sinceTryS += 1;
    this.#behindS = !this.reduced && share < LATE_SHARE ? this.#behindS + 1 : 0;
    this.#onTimeS = this.reduced && share >= TIMELY_SHARE && !slow ? this.#onTimeS + 1 : 0;
    if (this.#behindS >= LATE_S) {
      this.#whileS = this.#sinceTryS < TRIED_S ? Math.min(2 * this.#whileS, MAX_WHILE_S) : MIN_WHILE_S;
      this.reduced = true;
      this.#behindS = 0;
    } else if (this.#onTimeS >= this.#whileS) {
      this.reduced = false;
      this.#onTimeS = this.#sinceTryS = 0;
    }
  }

  /** Nothing was to be drawn in the last second. */
  rest() {
    this.#behindS = this.#onTimeS = 0;
  }
}
