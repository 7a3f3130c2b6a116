/** What the session is doing, on every view: badge, identity, phase, and the line across the page. */

import { byId, set, setText } from "../lib/dom.js";
import { rateOf, roomOf } from "../lib/disk.js";
import { clock, sized } from "../lib/format.js";
import { request, sentenceOf } from "../net/service.js";

/**
 * @typedef {import("../net/types.js").LiveState} LiveState
 * @typedef {import("./notices.js").Notices} Notices
 * @typedef {import("./notices.js").Standing} Standing
 *
 * @typedef {object} Instead What a view shows in place of the live board.
 * @property {string} word As "paused" or "replay".
 * @property {boolean} [replay] Whether it is a recording.
 * @property {boolean} [slow] Whether it is the live board, of which not all can be shown.
 */

const REFUSAL_MS = 12_000;

/** @type {Record<string, string>} Where a phase is called something else on the page. */
const WORDS = { streaming: "live", lost: "board lost", offline: "no service", denied: "no access" };

export class Status {
  #notices;
  #sinceMs = performance.now();
  #phase = "starting";
  /** The one that is connected, or was last. @type {LiveState["board"]} */ #board = null;
  /** @type {Instead|null} */ #instead = null;

  /** @param {Notices} notices */
  constructor(notices) {
    this.#notices = notices;
  }

  /** @param {LiveState} state */
  follow(state) {
    const { board } = state;
    this.#board = board ?? this.#board;
    this.enter(state.phase);
    this.#notices.stand(this.#standing(state));
    this.#show();
    this.#record(state.recording);
    if (board) setText("identity", `${board.name} · ${board.width} × ${board.height} · ${board.bits} bit`);
  }

  /** Say that a view shows something else than the live board. @param {Instead|null} instead */
  instead(instead) {
    this.#instead = instead;
    this.#show();
  }

  /** @param {LiveState["phase"]|"offline"|"denied"} phase */
  enter(phase) {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#sinceMs = performance.now();
    document.body.dataset.phase = phase;
    this.#show();
  }

  /** Say on every view that the board is recorded. @param {LiveState["recording"]} recording */
  #record(recording) {
    const going = recording?.recording ?? false;
    set(byId("recording"), { hidden: !going });
    if (going) setText("recording", `${clock(recording?.seconds ?? 0)} · ${sized(recording?.bytes ?? 0)}`);
  }

  #show() {
    const board = this.#board;
    const replay = this.#instead?.replay || board?.replay;
    const kind = replay ? "replay" : board?.simulated ? "simulated" : board ? "real" : "";
    write(byId("badge"), kind.toUpperCase(), `badge ${kind}`);
    set(byId("badge"), { hidden: !kind });
    const instead = this.#phase === "streaming" ? this.#instead : null;
    const words = instead?.word ?? WORDS[this.#phase] ?? this.#phase;
    write(byId("phase"), words, `phase ${this.#phase}${instead ? instead.slow ? " slow" : " instead" : ""}`);
  }

  /** The service does not answer; say so, and for how long. */
  offline() {
    this.enter("offline");
    const text = `The service does not answer. Is focalloop live still running? Trying again${this.#elapsed}`;
    this.#notices.stand({ text, mood: "error", first: true });
  }

  /** How long the present phase has lasted, where that is worth saying. */
  get #elapsed() {
    const seconds = Math.floor((performance.now() - this.#sinceMs) / 1000);
    return seconds > 1 ? `, for ${seconds} s so far.` : ".";
  }

  /** @param {LiveState} state @returns {Standing|null} */
  #standing({ phase, messages, progress, activity, bundle, reconstructed_by: reconstructedBy, recording, disk }) {
    const newest = messages.at(-1)?.text;
    if (phase === "lost") {
      const advice = this.#board?.simulated ? "" : " Check its cable and its power.";
      return { text: `${newest || "The board is gone. Trying to reconnect."}${advice}${this.#lasting}`, mood: "error", first: true };
    }
    if (phase === "stopped") return { text: `${newest ?? "The session has ended."} Start focalloop again to go on.`, mood: "error", first: true };
    if (phase !== "streaming") {
      const percent = progress === null ? "" : ` ${Math.round(100 * progress)} %`;
      const doing = `${activity.slice(0, 1).toUpperCase()}${activity.slice(1)}${percent}`;
      return { text: `${doing}${progress === null ? this.#elapsed.replace(/\.$/, "") : ""}`, mood: "info", first: true };
    }
    if (recording?.recording && disk) {
      const { scarce, text } = roomOf(disk, rateOf(recording));
      if (scarce) return { text, mood: "error" };
    }
    if (reconstructedBy === bundle) return null;
    const instead = reconstructedBy === "network-free"
      ? "without a network"
      : `by ${reconstructedBy}, which suits any map`;
    return {
      text: `The network of ${bundle} was trained for another map: windows are reconstructed ${instead}.`,
      mood: "",
      action: { text: "Use the bundle's map", run: () => this.#useOwnMap(bundle) },
    };
  }

  get #lasting() {
    const seconds = Math.floor((performance.now() - this.#sinceMs) / 1000);
    return seconds > 1 ? ` (${seconds} s)` : "";
  }

  /** @param {string} name */
  async #useOwnMap(name) {
    try {
      await request("api/bundle", "PUT", { name });
    } catch (error) {
      this.#notices.say(sentenceOf(error), "error", REFUSAL_MS);
    }
  }
}

/** Write text and class, where they differ. @param {HTMLElement} element @param {string} text @param {string} className */
function write(element, text, className) {
  if (element.textContent !== text) element.textContent = text;
  if (element.className !== className) element.className = className;
}
