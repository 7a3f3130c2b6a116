/**
 * Calibrate: a journey in four steps. Which one is shown follows from the state of the session, so that
 * every page shows the same, also after a reload; `#/calibrate/start` shows the first one again.
 */

import { byId } from "../../lib/dom.js";
import { Captures } from "./captures.js";
import { Light } from "./light.js";
import { Result } from "./result.js";
import { Start } from "./start.js";

/**
 * @typedef {import("../../net/types.js").LiveState} LiveState
 * @typedef {"board"|"captures"|"result"} Stage With its panels; the last one is for two steps.
 *
 * @typedef {(path: string, method: string, body?: object) => Promise<void>} Ask Ask for something of the
 *   calibration, for the turn that is shown.
 */

const REFUSAL_MS = 12_000;
const FORGOTTEN = "The service was started again meanwhile, and knows nothing of the calibration before: start another one.";
/** Phases of which nothing is lost. */
const QUIET = ["idle", "cancelled", "failed"];
const STAGES = ["board", "captures", "result", "apply"];

/** See `View` of `views/view.js`. */
export class View {
  #service;
  #parts;
  #light;
  /** @type {LiveState|null} */ #state = null;
  #shown = "";
  #stage = "";
  #busy = false;
  #said = { text: "", untilMs: 0 };

  /** @param {HTMLElement} root @param {import("../view.js").Context} context */
  constructor(root, { service }) {
    this.#service = service;
    /** @type {Ask} */
    const ask = (path, method, body) => this.#ask(path, method, body);
    this.#parts = {
      board: new Start(ask, service),
      captures: new Captures(ask),
      result: new Result(ask, service),
    };
    this.#light = new Light(root, service);
    window.addEventListener("hashchange", () => this.#redraw());
    new ResizeObserver(() => this.#redraw()).observe(root);
  }

  show() {
    this.#shown = "";
  }

  hide() {
    this.#light.stop();
    this.#state = null;
  }

  /** @param {LiveState} state */
  follow(state) {
    const { calibration: before } = this.#state ?? state;
    this.#state = state;
    const kept = QUIET.includes(before.phase) || (before.applied && before.keeps);
    if (state.calibration.turn < before.turn && !kept) this.#say(FORGOTTEN);
    const stage = stageOf(state);
    if (this.#said.text && performance.now() > this.#said.untilMs) this.#say("");
    this.#light.follow(state, stage);
    const { calibration, board, map, phase, corrected_by, noise_note, reconstructed_by } = state;
    const key = JSON.stringify([
      stage, calibration, board, map?.mean_level, phase, corrected_by, noise_note, reconstructed_by, this.#busy,
    ]);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#enter(stage, state);
    this.#parts[stage].show(state, this.#busy);
  }

  /** @param {Stage} stage @param {LiveState} state */
  #enter(stage, { calibration: { applied } }) {
    const current = stage === "result" && applied ? "apply" : stage;
    for (const item of byId("calibration-stages").children) {
      const name = /** @type {HTMLElement} */ (item).dataset.stage;
      item.classList.toggle("done", STAGES.indexOf(name ?? "") < STAGES.indexOf(current));
      if (name === current) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    }
    byId("calibration-stages").classList.toggle("applied", applied && stage === "result");
    if (stage === this.#stage) return;
    const first = !this.#stage;
    // What had the focus is hidden now: the next step takes it, so that the keyboard stays where the eye is.
    const { activeElement } = document;
    const lost = activeElement === document.body;
    const follows = !first && (lost || byId(`calibration-${this.#stage}`).contains(activeElement));
    this.#stage = stage;
    for (const name of Object.keys(this.#parts)) byId(`calibration-${name}`).hidden = name !== stage;
    if (stage === "captures") this.#say("");
    if (follows) byId(`calibration-${stage}`).querySelector("h2")?.focus();
  }

  #redraw() {
    this.#shown = "";
    if (this.#state) this.follow(this.#state);
  }

  /** @param {string} path @param {string} method @param {object} [body] */
  async #ask(path, method, body) {
    if (this.#busy || !this.#state) return;
    this.#busy = true;
    this.#redraw();
    try {
      await this.#service.request(`api/calibration${path}?turn=${this.#state.calibration.turn}`, method, body);
      this.#say("");
      if (location.hash.endsWith("/start")) location.hash = "#/calibrate";
    } catch (error) {
      this.#say(this.#service.sentenceOf(error));
    }
    this.#busy = false;
    this.#redraw();
  }

  /** Say why a request was refused, for a while. @param {string} text */
  #say(text) {
    this.#said = { text, untilMs: performance.now() + REFUSAL_MS };
    const line = byId("calibration-say");
    line.textContent = text;
    line.className = "say error";
  }
}

/** @param {LiveState} state @returns {Stage} */
function stageOf({ calibration: { phase } }) {
  if (["running", "light", "lost", "halted"].includes(phase)) return "captures";
  return phase === "done" && !location.hash.endsWith("/start") ? "result" : "board";
}
