/** What the line has cost over the last minute, in words. */

import { lossOf } from "../../lib/format.js";

/**
 * @typedef {import("../../net/types.js").LiveState} LiveState
 *
 * @typedef {object} Counters
 * @property {number} timeMs
 * @property {number} windows_lost
 * @property {number} bad_frames
 * @property {number} resends
 * @property {number} reconnects
 */

const PERIOD_MS = 60_000;
const SAMPLE_MS = 1000;

export class LinkHealth {
  /** @type {Counters[]} Oldest first. */ #samples = [];

  /**
   * Take the counters of a state.
   * @param {LiveState} state
   * @returns {{text: string, mood: ""|"warn"|"bad"}}
   */
  follow({ speed, link }) {
    const { windows_lost: lost } = speed;
    const { bad_frames: damaged, resends, reconnects } = link;
    const now = { timeMs: performance.now(), windows_lost: lost, bad_frames: damaged, resends, reconnects };
    const newest = this.#samples.at(-1);
    // Counters begin anew with each opening of the board.
    if (newest && resends < newest.resends) this.#samples = [];
    if (!this.#samples.length || now.timeMs - this.#samples[this.#samples.length - 1].timeMs > SAMPLE_MS) {
      this.#samples.push(now);
    }
    while (this.#samples.length > 1 && now.timeMs - this.#samples[1].timeMs > PERIOD_MS) this.#samples.shift();
    const [before] = this.#samples;
    const cost = {
      windows_lost: Math.max(0, lost - before.windows_lost),
      bad_frames: Math.max(0, damaged - before.bad_frames),
      resends: Math.max(0, resends - before.resends),
    };
    const again = Math.max(0, reconnects - before.reconnects);
    const seconds = Math.round((now.timeMs - before.timeMs) / 1000);
    const span = seconds < PERIOD_MS / 1000 ? `${Math.max(1, seconds)} s` : "minute";
    const back = again ? `, reconnected ${again === 1 ? "once" : `${again} times`}` : "";
    return {
      text: `${lossOf(cost, cost)}${back} in the last ${span}`,
      mood: cost.windows_lost || again ? "bad" : cost.bad_frames ? "warn" : "",
    };
  }
}
