/**
 * Plays windows slot by slot on the screen's own clock. The newest window wins: at most one waits
 * for its turn, and a newer one replaces it.
 */

import { REMOTE } from "../../net/preview-socket.js";

/** In real time, a machine without a GPU, far from the service, or that cannot draw more, draws every eighth slot. */
const SLOW_STEP = 8;

/** A frame of the screen is asked for this long before the next slot is due. */
const AHEAD_MS = 12;

/** How often to look for something to play where there is nothing. */
const IDLE_MS = 50;

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
  { name: "live", share: 1, step: REMOTE || !drawsFast() ? SLOW_STEP : 4 },
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
  /** @type {Picture|null} In slow motion, the one after which another was asked for. */ #asked = null;
  #nextMs = 0;
  #index = -1;
  #startMs = 0;
  #frame = 0;
  #timer = 0;
  #handlers;

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Play from now on. */
  start() {
    /** @param {number} nowMs */
    const tick = (nowMs) => {
      this.#tick(nowMs);
      // A frame without anything to draw costs too.
      const waitMs = this.#dueMs - performance.now() - AHEAD_MS;
      const ask = () => { this.#frame = requestAnimationFrame(tick); };
      if (waitMs > 1) this.#timer = setTimeout(ask, waitMs);
      else ask();
    };
    this.#frame = requestAnimationFrame(tick);
  }

  /** Draw nothing until `start`. */
  stop() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
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

  /** In real time draw fewer slots, so that each window is still on time, or all again. @param {boolean} reduced */
  reduce(reduced) {
    this.step = reduced && this.speed.share === 1 ? SLOW_STEP : this.speed.step;
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

  /** When there will be something to draw; 0 where it may be at once. */
  get #dueMs() {
    const idleMs = performance.now() + AHEAD_MS + IDLE_MS;
    if (this.paused) return idleMs;
    if (!this.current) return this.#next ? 0 : idleMs;
    const isLast = this.#index >= this.current.slots.length - 1;
    return isLast ? 0 : this.#startMs + (this.#index + 1) * this.#periodMs;
  }

  /** Time from one drawn slot of the present window to the next. */
  get #periodMs() {
    const slots = this.current?.slots ?? [];
    const step = slots.length > 1 ? slots[1] - slots[0] : 16;
    return (1000 * step) / (this.slotRateHz * this.speed.share);
  }

  /** @param {number} nowMs */
  #tick(nowMs) {
    if (this.paused) return;
    const count = this.current?.slots.length ?? 0;
    const periodMs = this.#periodMs;
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
      if (index >= count >> 1 && this.speed.share < 1 && this.#asked !== this.current) {
        this.#asked = this.current;
        this.#handlers.grant(this.step);
      }
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

/** Whether a GPU draws; a browser without one draws in software, on the processor. */
function drawsFast() {
  const context = document.createElement("canvas").getContext("webgl", { failIfMajorPerformanceCaveat: true });
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
}
