/**
 * Plays windows slot by slot on the screen's own clock. The newest window wins: at most one waits
 * for its turn, and a newer one takes its place.
 */

/** Every how many slots are drawn in real time where the machine cannot draw more. */
const RELAXED_STEP = 8;

/** A slot is drawn on the frame of the screen nearest to its time, even a little early. */
const EARLY_MS = 6;

/** A window that has waited so long goes on the screen before the last slots of the present one. */
const LONGEST_WAIT_MS = 20;

/** Playback speeds, as shares of real time, and every how many slots each one draws. */
export const SPEEDS = [
  { name: "live", share: 1, step: 4 },
  { name: "1/4", share: 1 / 4, step: 1 },
  { name: "1/16", share: 1 / 16, step: 1 },
];

/**
 * @typedef {import("./packet.js").Picture} Picture
 *
 * @typedef {object} Handlers
 * @property {(picture: Picture, index: number, fresh: boolean) => void} draw
 *   Put plane `index` on the screen; `fresh` at the first picture of a window.
 * @property {(step: number) => void} grant Ask for one more window.
 */

export class Player {
  speed = SPEEDS[0];
  paused = false;
  /** Every how many slots are drawn; doubled in real time where the machine draws too slowly. */
  step = SPEEDS[0].step;
  slotRateHz = 240;
  /** @type {Picture|null} */ current = null;
  #next = null;
  #nextMs = 0;
  #index = -1;
  #startMs = 0;
  #handlers;

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
    const tick = (nowMs) => {
      this.#tick(nowMs);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /** A window arrived. @param {Picture} picture */
  push(picture) {
    if (this.paused) {
      // One that was on its way before the pause may lack slots.
      if (isWhole(picture)) this.#hold(picture);
      return;
    }
    this.#next = picture;
    this.#nextMs = performance.now();
    // A hidden page draws nothing, so it asks for nothing until it is seen again.
    if (this.speed.share === 1 && !document.hidden) this.#handlers.grant(this.step);
  }

  /** Draw half as many slots from now on, so that each window still comes in time. */
  relax() {
    if (this.speed.share === 1) this.step = RELAXED_STEP;
  }

  /** Whether the window on the screen stays there, with all of its slots. */
  get holds() {
    return this.paused && this.current !== null && isWhole(this.current);
  }

  /** @param {typeof SPEEDS[number]} speed */
  setSpeed(speed) {
    this.speed = speed;
    this.step = speed.step;
    if (!this.paused) this.#handlers.grant(this.step);
  }

  /** Stop at one window, with all of its slots, or go on. @param {boolean} paused */
  setPaused(paused) {
    this.paused = paused;
    this.#handlers.grant(paused ? 1 : this.step);
  }

  /** The connection is new, or the page was hidden: ask again for what comes next. */
  restart() {
    if (!this.holds) this.#handlers.grant(this.paused ? 1 : this.step);
  }

  /** Show one slot of the held window. @param {number} slot */
  seek(slot) {
    if (!this.current) return;
    const { slots } = this.current;
    const nearest = slots.reduce((best, s, i) => (Math.abs(s - slot) < Math.abs(slots[best] - slot) ? i : best), 0);
    this.#show(nearest, false);
  }

  /** Draw the present picture again, for a changed view of it. */
  redraw() {
    if (this.current && this.#index >= 0) this.#show(this.#index, false);
  }

  /** @param {Picture} picture */
  #hold(picture) {
    const slot = this.current?.slots[Math.max(this.#index, 0)] ?? 0;
    this.#next = null;
    this.current = picture;
    this.#handlers.draw(picture, 0, true);
    this.seek(slot);
  }

  /** @param {number} nowMs */
  #tick(nowMs) {
    if (this.paused) return;
    const count = this.current?.slots.length ?? 0;
    const step = count > 1 ? this.current.slots[1] - this.current.slots[0] : 16;
    const periodMs = (1000 * step) / (this.slotRateHz * this.speed.share);
    const elapsed = Math.floor((nowMs + EARLY_MS - this.#startMs) / periodMs);
    const waitedMs = nowMs - this.#nextMs;
    const tooLong = this.speed.share === 1 && waitedMs > LONGEST_WAIT_MS;
    if (this.#next && (elapsed >= count || tooLong)) {
      this.current = this.#next;
      this.#next = null;
      // Windows follow each other without a gap where they can, so that no rounding adds up.
      const endMs = this.#startMs + count * periodMs;
      this.#startMs = Math.abs(nowMs - endMs) < periodMs ? endMs : nowMs;
      this.#show(0, true);
      return;
    }
    // The present window may have begun early, up to one picture ahead of its time.
    const index = Math.max(0, Math.min(elapsed, count - 1));
    if (count && index !== this.#index) {
      this.#show(index, false);
      // The next window is on its way while the second half of this one plays.
      if (index === count >> 1 && this.speed.share < 1) this.#handlers.grant(this.step);
    }
  }

  /** @param {number} index @param {boolean} fresh */
  #show(index, fresh) {
    this.#index = index;
    this.#handlers.draw(this.current, index, fresh);
  }
}

/** @param {Picture} picture */
const isWhole = (picture) => picture.slots.length < 2 || picture.slots[1] - picture.slots[0] === 1;
