/** The controls of playback: pause, speed and slot, and how often the page draws. */

import { byId, make, set, setText } from "../../lib/dom.js";
import { fixed, grouped } from "../../lib/format.js";
import { Pace } from "./pace.js";
import { SPEEDS } from "./player.js";
import { paceOf, showDrawRate } from "./key-figures.js";

/**
 * @typedef {import("./player.js").Player} Player
 * @typedef {import("../../net/packets.js").Picture} Picture
 * @typedef {import("../../net/types.js").LiveState} LiveState
 */

export class Playback {
  #player;
  #pause = byId("pause", HTMLButtonElement);
  #slot = byId("slot", HTMLInputElement);
  #slots = 16;
  #draws = 0;
  /** @type {{picture: Picture, index: number}|null} */ #drawn = null;
  #pace = new Pace();
  #streaming = false;
  #slow = false;
  #shown = new AbortController();

  /** @param {Player} player */
  constructor(player) {
    this.#player = player;
    this.#pause.addEventListener("click", () => this.togglePause());
    this.#slot.addEventListener("input", () => this.#seek(Number(this.#slot.value)));
    byId("step-back").addEventListener("click", () => this.step(-1));
    byId("step-on").addEventListener("click", () => this.step(1));
    this.#offerSpeeds();
  }

  /** Count what is drawn. */
  start() {
    this.#shown = new AbortController();
    const { signal } = this.#shown;
    document.addEventListener("visibilitychange", () => document.hidden || this.#player.restart(), { signal });
    const counting = setInterval(() => this.#countDraws(), 1000);
    signal.addEventListener("abort", () => clearInterval(counting));
  }

  stop() {
    this.#shown.abort();
  }

  /** @param {LiveState} state */
  follow(state) {
    const { phase, board } = state;
    this.#streaming = phase === "streaming";
    this.#slow = paceOf(state).slow;
    this.#player.slotRateHz = board?.slot_rate_hz || 240;
    this.#slots = board?.slots ?? 16;
    set(this.#slot, { max: String(this.#slots - 1) });
    this.#label();
  }

  /**
   * What is shown in place of all that the board does; null where it is all.
   * @param {LiveState} state
   * @returns {import("../../shell/status.js").Instead|null}
   */
  instead(state) {
    const { paused, speed, step } = this.#player;
    if (paused || speed.share < 1) return { word: paused ? "paused" : `${speed.name} speed` };
    const { due, slow } = paceOf(state);
    const windows = slow ? [`${fixed(state.speed.reconstructed_per_s, 0)} of ${fixed(due, 0)}`] : [];
    const slots = step > speed.step || (slow && step > 1) ? [`every ${step}th slot`] : [];
    return windows.length || slots.length ? { word: `slow: ${[...windows, ...slots].join(", ")}`, slow: true } : null;
  }

  /**
   * A plane was drawn: show which one it is. In real time the next state does, as writing costs as much
   * as drawing.
   * @param {Picture} picture @param {number} index
   */
  drawn(picture, index) {
    this.#draws += 1;
    this.#drawn = { picture, index };
    if (this.#player.paused || this.#player.speed.share < 1) this.#label();
  }

  #label() {
    if (!this.#drawn) return;
    const { picture, index } = this.#drawn;
    const slot = picture.slots[index];
    this.#slot.value = String(slot);
    setText("slot-label", `${slot + 1} / ${this.#slots}`);
    setText("window-label", `window ${grouped(picture.window)}${this.#player.holds ? ", held" : ""}`);
  }

  togglePause() {
    const paused = !this.#player.paused;
    this.#player.setPaused(paused);
    this.#pause.setAttribute("aria-pressed", String(paused));
    this.#pause.textContent = paused ? "Play" : "Pause";
  }

  /** Show another slot of one window, which is held. @param {number} slots */
  step(slots) {
    this.#seek((Number(this.#slot.value) + slots + this.#slots) % this.#slots);
  }

  /** @param {number} slot */
  #seek(slot) {
    if (!this.#player.paused) this.togglePause();
    this.#player.seek(slot);
  }

  #offerSpeeds() {
    const buttons = SPEEDS.map((speed) => {
      const button = make("button", { type: "button" }, speed.name);
      button.setAttribute("role", "radio");
      button.addEventListener("click", () => {
        if (speed !== this.#player.speed) {
          this.#pace = new Pace();
          this.#player.setSpeed(speed);
        }
        check();
      });
      return button;
    });
    const check = () => buttons.forEach((button, i) => {
      button.setAttribute("aria-checked", String(SPEEDS[i] === this.#player.speed));
    });
    check();
    byId("speed").append(...buttons);
  }

  /** Once per second: show the draw rate, and lower it while the machine cannot keep up. */
  #countDraws() {
    const { paused, speed, step, slotRateHz } = this.#player;
    if (paused || document.hidden || !this.#streaming || speed.share < 1) this.#pace.rest();
    else this.#pace.second((this.#draws * step) / slotRateHz, this.#slow);
    this.#player.reduce(this.#pace.reduced);
    const every = step === 1 ? "every slot" : `every ${step}th slot`;
    const pace = speed.share === 1 ? "real time" : `${speed.name} speed`;
    showDrawRate(this.#draws, paused ? "paused" : `${every}, ${pace}`);
    this.#draws = 0;
  }
}
