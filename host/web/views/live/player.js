/**
 * Plays windows slot by slot on the screen's own clock. The newest window wins: at most one waits
 * for its turn, and a newer one replaces it.
 */

/** In real time, a machine that cannot draw more draws every eighth slot. */
const SLOW_STEP = 8;

/** A slot may be drawn this much early, so that it falls on the nearest frame of the screen. */
const EARLY_MS = 6;

/** A window that has waited longer than this is shown before the current one has ended. */
const MAX_WAIT_MS = 20;

/**
 * @typedef {object} Speed
 * @property {string} name
 * @property {number} share Of real time.
 * @property {number} step Slots from one drawn slot to the next.
 */

/** @type {Speed[]} */
export const SPEEDS = [
  { name: "live", share: 1, step: 4 },
  { name: "1/4", share: 1 / 4, step: 1 },
  { name: "1/16", share: 1 / 16, step: 1 },
];

/**
 * @typedef {import("../../net/packets.js").Picture} Picture
 *
 * @typedef {object} Handlers
 * @property {(picture: Picture, index: number, fresh: boolean) => void} draw
 *   Put plane `index` on the screen; `fresh` at the first picture of a window.
 * @property {(step: number) => void} grant Ask for one more window.
 */

export class Player {
  speed = SPEEDS[0];
  paused = false;
  /** One slot in so many is drawn. */
  step = SPEEDS[0].step;
  slotRateHz = 240;
  /** @type {Picture|null} */ current = null;
  /** @type {Picture|null} */ #next = null;
  #nextMs = 0;
  #index = -1;
  #startMs = 0;
  #frame = 0;
  #handlers;

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Play from now on. */
  start() {
    /** @param {number} nowMs */
    const tick = (nowMs) => {
      this.#frame = requestAnimationFrame(tick);
      this.#tick(nowMs);
    };
    this.#frame = requestAnimationFrame(tick);
  }

  /** Draw nothing until `start`. */
  stop() {
    cancelAnimationFrame(this.#frame);
  }

  /** A window arrived. @param {Picture} picture */
  push(picture) {
    if (this.paused) {
      // A window that was under way before the pause may lack slots.
      if (isWhole(picture)) this.#hold(picture);
      return;
    }
    this.#next = picture;
    this.#nextMs = performance.now();
    // A hidden page draws nothing, so it asks for nothing until it is visible again.
    if (this.speed.share === 1 && !document.hidden) this.#handlers.grant(this.step);
  }

  /** In real time draw half as many slots from now on, so that each window is still on time. */
  slowDown() {
    if (this.speed.share === 1) this.step = SLOW_STEP;
  }

  /** Whether the window on the screen stays there, with all of its slots. */
  get holds() {
    return this.paused && this.current !== null && isWhole(this.current);
  }

  /** @param {Speed} speed */
  setSpeed(speed) {
    this.speed = speed;
    this.step = speed.step;
    if (!this.paused) this.#handlers.grant(this.step);
  }

  /** Hold one window with all of its slots, or go on. @param {boolean} paused */
  setPaused(paused) {
    this.paused = paused;
    this.#handlers.grant(paused ? 1 : this.step);
  }

  /** Ask again for the next window: the connection is new, or the page was hidden. */
  restart() {
    if (!this.holds) this.#handlers.grant(this.paused ? 1 : this.step);
  }

  /** Show one slot of the held window. @param {number} slot */
  seek(slot) {
    if (!this.current) return;
    const { slots } = this.current;
    /** @param {number} i */
    const distance = (i) => Math.abs(slots[i] - slot);
    const nearest = slots.reduce((best, _, i) => (distance(i) < distance(best) ? i : best), 0);
    this.#show(this.current, nearest, false);
  }

  /** Draw the present picture again, for a changed view of it. */
  redraw() {
    if (this.current && this.#index >= 0) this.#show(this.current, this.#index, false);
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
    const slots = this.current?.slots ?? [];
    const count = slots.length;
    const step = count > 1 ? slots[1] - slots[0] : 16;
    const periodMs = (1000 * step) / (this.slotRateHz * this.speed.share);
    const elapsed = Math.floor((nowMs + EARLY_MS - this.#startMs) / periodMs);
    const overdue = this.speed.share === 1 && nowMs - this.#nextMs > MAX_WAIT_MS;
    if (this.#next && (elapsed >= count || overdue)) {
      this.current = this.#next;
      this.#next = null;
      // Windows follow each other without a gap where they can, so that rounding does not add up.
      const endMs = this.#startMs + count * periodMs;
      this.#startMs = Math.abs(nowMs - endMs) < periodMs ? endMs : nowMs;
      this.#show(this.current, 0, true);
      return;
    }
    // The present window may have begun early, by up to one picture.
    const index = Math.max(0, Math.min(elapsed, count - 1));
    if (this.current && index !== this.#index) {
      this.#show(this.current, index, false);
      // In slow motion the next window arrives while the second half of this one plays.
      if (index === count >> 1 && this.speed.share < 1) this.#handlers.grant(this.step);
    }
  }

  /** @param {Picture} picture @param {number} index @param {boolean} fresh */
  #show(picture, index, fresh) {
    this.#index = index;
    this.#handlers.draw(picture, index, fresh);
  }
}

/** @param {Picture} picture */
const isWhole = (picture) => picture.slots.length < 2 || picture.slots[1] - picture.slots[0] === 1;
