/** The calibration: started from the page, watched while its fit is refined, applied or saved. */

import { byId, make, setText } from "../../lib/dom.js";
import { fillTable } from "../../lib/table.js";
import { drawResponse, drawResponseResiduals, drawTrail, drawTransfer } from "./calibration-plots.js";

/**
 * @typedef {import("../../net/types.js").CalibrationState} CalibrationState
 * @typedef {import("../../net/types.js").EstimateState} EstimateState
 * @typedef {import("../../net/types.js").FitState} FitState
 * @typedef {import("../../net/types.js").LiveState} LiveState
 */

/** @type {Record<CalibrationState["phase"], string>} */
const PHASES = {
  idle: "",
  running: "running",
  light: "waiting for a change of light",
  done: "done",
  cancelled: "cancelled",
  failed: "failed",
};
const INVITATION = "Dark and flat reads at each span of the board; the stream is paused meanwhile.";

/** Estimates that the page has no room for; the report has them. */
const DETAIL = /_(pixel|row|column)(_dn)?$/;

export class Calibration {
  #service;
  #start = byId("calibration-start", HTMLButtonElement);
  #reads = byId("calibration-reads", HTMLInputElement);
  #proceed = byId("calibration-proceed", HTMLButtonElement);
  #cancel = byId("calibration-cancel", HTMLButtonElement);
  #apply = byId("calibration-apply", HTMLButtonElement);
  #progress = byId("calibration-progress", HTMLProgressElement);
  #curve = byId("calibration-curve", HTMLCanvasElement);
  #shown = "";
  #busy = false;

  /** @param {import("../view.js").Context["service"]} service */
  constructor(service) {
    this.#service = service;
    this.#start.addEventListener("click", () => {
      this.#request("api/calibration", "POST", { reads: Number(this.#reads.value) });
    });
    this.#proceed.addEventListener("click", () => this.#request("api/calibration/proceed", "POST"));
    this.#cancel.addEventListener("click", () => this.#request("api/calibration", "DELETE"));
    this.#apply.addEventListener("click", () => this.#request("api/calibration/apply", "POST"));
    for (const file of ["profile.json", "correction.npz", "report.html"]) {
      byId(`calibration-${file.split(".")[0]}`, HTMLAnchorElement).href = service.address(`api/calibration/${file}`);
    }
    new ResizeObserver(() => this.redraw()).observe(this.#curve);
  }

  /** Draw everything anew at the next state. */
  redraw() {
    this.#shown = "";
  }

  /** Show the calibration, whoever started it. @param {LiveState} state */
  follow({ calibration, phase, board }) {
    const waiting = calibration.phase === "light";
    const running = calibration.phase === "running" || waiting;
    this.#start.disabled = this.#busy || running || phase !== "streaming";
    this.#apply.disabled = this.#busy || running || calibration.applied;
    const key = JSON.stringify([calibration, board?.simulated]);
    if (key === this.#shown) return;
    this.#shown = key;

    const { fit } = calibration;
    const done = calibration.phase === "done";
    setText("calibration-note", PHASES[calibration.phase]);
    this.#start.hidden = byId("calibration-reads-label").hidden = running;
    this.#start.textContent = calibration.phase === "idle" ? "Calibrate this board" : "Calibrate again";
    this.#cancel.hidden = this.#progress.hidden = !running;
    this.#proceed.hidden = !waiting;
    this.#progress.value = calibration.windows_total ? calibration.windows / calibration.windows_total : 0;
    this.#say(wordsOf(calibration), calibration.phase === "failed" ? "error" : "");

    byId("calibration-results").hidden = fit === null;
    byId("calibration-save").hidden = !done;
    this.#apply.hidden = !calibration.can_apply;
    this.#apply.textContent = calibration.applied ? "The emulator uses this profile" : "Apply to the emulator";
    if (fit) this.#showFit(fit, calibration.trail, done);
  }

  /** @param {FitState} fit @param {CalibrationState["trail"]} trail @param {boolean} done */
  #showFit(fit, trail, done) {
    drawTransfer(this.#curve, fit.points);
    drawTrail(byId("calibration-trail-s-ss", HTMLCanvasElement), "s_ss", trail.map((mark) => mark.s_ss));
    drawTrail(byId("calibration-trail-s-r", HTMLCanvasElement), "s_r", trail.map((mark) => mark.s_r));
    for (const box of document.querySelectorAll(".calibration .response")) {
      box.toggleAttribute("hidden", fit.response === null);
    }
    if (fit.response) {
      drawResponse(byId("calibration-response", HTMLCanvasElement), fit.response);
      drawResponseResiduals(byId("calibration-response-residuals", HTMLCanvasElement), fit.response);
    }
    const estimates = Object.entries(fit.estimates).filter(([name]) => !DETAIL.test(name));
    fillTable(byId("calibration-values", HTMLTableElement), estimates.map(([name, estimate]) => (
      { name, heading: [estimate.title], cells: textOf(estimate) })));
    // While the fit goes on, the verdict may still change.
    const verdict = byId("calibration-verdict");
    const warnings = byId("calibration-warnings");
    verdict.hidden = warnings.hidden = !done;
    verdict.className = `verdict ${fit.mood}`;
    verdict.replaceChildren(make("b", {}, `${fit.headline}.`), ` ${fit.sentences.join(" ")}`);
    warnings.replaceChildren(...fit.warnings.map((text) => make("li", {}, text)));
  }

  /**
   * Send a request; a refusal is shown in the panel.
   * @param {string} path @param {string} method @param {object} [body]
   */
  async #request(path, method, body) {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#service.request(path, method, body);
    } catch (error) {
      this.#say(this.#service.sentenceOf(error), "error");
    }
    this.#busy = false;
  }

  /** @param {string} text @param {""|"error"} mood */
  #say(text, mood) {
    const line = byId("calibration-say");
    line.textContent = text;
    line.className = `say ${mood}`;
  }
}

/** What is being done, in words. @param {CalibrationState} calibration */
function wordsOf({ phase, activity, windows, windows_total: total, error }) {
  const doing = activity.slice(0, 1).toUpperCase() + activity.slice(1);
  if (phase === "light") return `${doing}. Then press Continue.`;
  if (phase === "running") return `${doing}: ${windows} of ${total} windows`;
  if (phase === "failed") return error;
  if (phase === "cancelled") return "Cancelled; nothing has changed.";
  return phase === "idle" ? INVITATION : "";
}

/**
 * Return an estimate as text, to two significant digits of its interval, and the interval.
 * @param {EstimateState} estimate
 * @returns {[string, string]}
 */
function textOf({ value, low, high, unit }) {
  if (value === null) return ["–", ""];
  const half = low === null || high === null ? null : (high - low) / 2;
  const digits = half ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(half)))) : 4;
  const text = unit ? `${value.toFixed(digits)} ${unit}` : value.toFixed(digits);
  if (!half || low === null || high === null) return [text, ""];
  if (low < 0) return [text, `±${Number(half.toPrecision(2))}`];
  // A value that may be zero has an upper end, but no relative error.
  if (low === 0) return [text, `≤ ${Number(high.toPrecision(2))}`];
  return [text, `±${Number(((100 * half) / value).toPrecision(2))} %`];
}
