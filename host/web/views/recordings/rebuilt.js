/** The pictures of one window, rebuilt by one or two bundles, and played window by window. */

import { byId } from "../../lib/dom.js";
import { fixed } from "../../lib/format.js";
import { Screen } from "../../lib/screen.js";
import { Seen } from "../../lib/seen.js";
import { parse } from "../../net/packets.js";

/**
 * @typedef {import("../../net/packets.js").Picture} Picture
 *
 * @typedef {object} Made
 * @property {Picture} picture
 * @property {string} by What rebuilt it.
 *
 * @typedef {object} Asked
 * @property {number} index Of the window.
 * @property {number} step Slots from one that is drawn to the next.
 * @property {string[]} by One or two bundles.
 */

/** Slots of a window that is held, and of one that passes. */
const [HELD_STEP, PASSING_STEP] = [1, 4];
const KEPT = 16;
const PACE_MS = 1000;

export class Rebuilt {
  #service;
  #handlers;
  #screens = ["rec-initial", "rec-final", "rec-other"].map((id) => {
    const canvas = byId(id, HTMLCanvasElement);
    return { screen: new Screen(canvas), seen: new Seen(canvas, () => this.#draw()) };
  });
  #id = "";
  #count = 0;
  #windowMs = 0;
  #by = ["own"];
  #index = 0;
  #slot = 0;
  #passing = false;
  /** @type {Map<string, Promise<Made>>} */ #kept = new Map();
  /** @type {{asked: Asked, made: Made[]}|null} On the screen. */ #shown = null;
  #bringing = false;
  #frame = 0;
  #playing = false;
  #pace = { sinceMs: 0, windows: 0 };

  /**
   * @param {import("../view.js").Context["service"]} service
   * @param {object} handlers
   * @param {(index: number) => void} handlers.placed Another window is looked at.
   * @param {(picture: Picture, slot: number, made: Made[]) => void} handlers.drawn
   * @param {(text: string) => void} handlers.failed A sentence, or none where it goes on.
   * @param {(playing: boolean) => void} handlers.played
   * @param {(text: string) => void} handlers.paced
   */
  constructor(service, handlers) {
    this.#service = service;
    this.#handlers = handlers;
  }

  /** Look at a recording from its first window on; none without an id. @param {string} id @param {number} count @param {number} windowS */
  open(id, count, windowS) {
    this.pause();
    this.#id = id;
    this.#count = count;
    this.#windowMs = 1000 * (windowS || 1 / 15);
    this.#shown = null;
    this.#kept.clear();
    this.#index = this.#slot = 0;
    for (const { screen } of this.#screens) screen.clear();
    if (count) this.go(0);
  }

  /** @param {string[]} by Bundles that rebuild, one or two. */
  choose(by) {
    this.#by = by;
    if (by.length < 2) this.#screens[2].screen.clear();
    this.#bring();
  }

  /** Look at another window. @param {number} index @param {boolean} [passing] Others follow at once. */
  go(index, passing = false) {
    if (!passing) this.pause();
    this.#index = Math.max(0, Math.min(index, this.#count - 1));
    this.#passing = passing;
    this.#handlers.placed(this.#index);
    this.#bring();
  }

  /** Look at a window by its distance from the present one. @param {number} windows */
  step(windows) {
    this.go(this.#index + windows);
  }

  /** Hold the window, and show one slot of it. @param {number} slot */
  seek(slot) {
    this.#slot = slot;
    if (this.#playing) this.go(this.#index);
    else this.#draw();
  }

  toggle() {
    if (this.#playing) this.go(this.#index);
    else if (this.#count) this.#play();
  }

  pause() {
    if (!this.#playing) return;
    this.#playing = false;
    cancelAnimationFrame(this.#frame);
    this.#handlers.paced("");
    this.#handlers.played(false);
  }

  #play() {
    if (this.#index === this.#count - 1) this.go(0);
    this.#playing = this.#passing = true;
    this.#pace = { sinceMs: performance.now(), windows: 0 };
    this.#handlers.played(true);
    let startMs = performance.now();
    let plane = -1;
    const tick = (/** @type {number} */ nowMs) => {
      this.#frame = requestAnimationFrame(tick);
      const current = this.#shown;
      if (!current) return;
      const { slots } = current.made[0].picture;
      const next = Math.floor(((nowMs - startMs) / this.#windowMs) * slots.length);
      if (next < slots.length || current.asked.index !== this.#index) {
        const present = Math.min(next, slots.length - 1);
        if (present !== plane) {
          plane = present;
          this.#slot = slots[Math.max(0, present)];
          this.#draw();
        }
        return;
      }
      if (this.#index === this.#count - 1) {
        this.go(this.#index);
        return;
      }
      // Windows follow each other without a gap where they are rebuilt in time; none is left out.
      startMs = Math.max(startMs + this.#windowMs, nowMs - this.#windowMs / slots.length);
      plane = -1;
      this.#slot = 0;
      this.go(this.#index + 1, true);
      this.#countPace(nowMs);
    };
    this.#frame = requestAnimationFrame(tick);
  }

  /** @param {number} nowMs */
  #countPace(nowMs) {
    this.#pace.windows += 1;
    const elapsedMs = nowMs - this.#pace.sinceMs;
    if (elapsedMs < PACE_MS) return;
    const share = Math.min(1, (this.#pace.windows * this.#windowMs) / elapsedMs);
    this.#handlers.paced(share > 0.95 ? "real time" : `${fixed(share, 2)} × real time`);
    this.#pace = { sinceMs: nowMs, windows: 0 };
  }

  /** Bring the window that is looked at onto the screen; the newest wish wins. */
  async #bring() {
    this.#sayStale();
    if (this.#bringing || !this.#id) return;
    this.#bringing = true;
    const id = this.#id;
    for (let asked = this.#asked; !same(asked, this.#shown?.asked); asked = this.#asked) {
      try {
        const made = await Promise.all(asked.by.map((bundle) => this.#make(asked.index, asked.step, bundle)));
        if (id !== this.#id) break;
        this.#shown = { asked, made };
        this.#handlers.failed("");
        this.#draw();
        if (this.#playing && asked.index + 1 < this.#count) {
          for (const bundle of asked.by) this.#make(asked.index + 1, PASSING_STEP, bundle).catch(() => {}); // it is asked for again
        }
      } catch (error) {
        if (id !== this.#id) break;
        this.pause();
        this.#handlers.failed(this.#service.sentenceOf(error));
        break;
      }
    }
    this.#bringing = false;
    if (id !== this.#id) this.#bring();
  }

  /** Dim pictures of another window, recording or bundle than is looked at. */
  #sayStale() {
    const { asked } = this.#shown ?? {};
    const fresh = asked?.index === this.#index && asked.by.join() === this.#by.join();
    byId("rec-pictures").classList.toggle("stale", !fresh && !this.#playing);
    byId("rec-pictures").classList.toggle("waiting", !this.#shown);
  }

  /** @returns {Asked} */
  get #asked() {
    return { index: this.#index, step: this.#passing ? PASSING_STEP : HELD_STEP, by: this.#by };
  }

  /** @param {number} index @param {number} step @param {string} bundle @returns {Promise<Made>} */
  #make(index, step, bundle) {
    const path = `api/recordings/${this.#id}/windows/${index}/picture?step=${step}&bundle=${encodeURIComponent(bundle)}`;
    const kept = this.#kept.get(path);
    if (kept) return kept;
    const made = this.#service.ask(path).then(async (answer) => {
      const picture = await parse(await answer.arrayBuffer());
      if (picture.kind !== "picture") throw new Error("The service sent something else than a picture.");
      return { picture, by: answer.headers.get("Reconstructed-By") ?? bundle };
    });
    this.#kept.set(path, made);
    made.catch(() => this.#kept.delete(path));
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break;
      this.#kept.delete(oldest);
    }
    return made;
  }

  #draw() {
    if (!this.#shown) return;
    this.#sayStale();
    const [{ picture }, beside] = this.#shown.made;
    const { slots, height, width } = picture;
    const distance = (/** @type {number} */ i) => Math.abs(slots[i] - this.#slot);
    const plane = slots.reduce((best, _, i) => (distance(i) < distance(best) ? i : best), 0);
    const planes = [picture.initial[plane], picture.final[plane], ...(beside ? [beside.picture.final[plane]] : [])];
    planes.forEach((each, i) => {
      const { screen, seen } = this.#screens[i];
      if (seen.now) screen.show(each, height, width);
    });
    this.#handlers.drawn(picture, slots[plane], this.#shown.made);
  }
}

/** @param {Asked} one @param {Asked} [other] */
const same = (one, other) => (
  one.index === other?.index && one.step === other.step && one.by.join() === other.by.join());
