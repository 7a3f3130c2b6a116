/** The second step: captures, with what the person has to do for them, and the fit so far. */

import { byId, make, setText } from "../../lib/dom.js";
import { clock, counted } from "../../lib/format.js";
import { drawTrail, drawTransfer } from "./plots.js";
import { lightOf } from "./start.js";

/**
 * @typedef {import("../../net/calibration-types.js").CalibrationState} CalibrationState
 * @typedef {import("../../net/types.js").LiveState} LiveState
 * @typedef {import("../../net/calibration-types.js").StepState} StepState
 */

export class Captures {
  #proceed = byId("calibration-proceed", HTMLButtonElement);
  #cancel = byId("calibration-cancel", HTMLButtonElement);
  #asked = "";
  #listed = "";
  #drawn = "";

  /** @param {import("./calibrate.js").Ask} ask */
  constructor(ask) {
    this.#proceed.addEventListener("click", () => ask("/proceed", "POST"));
    this.#cancel.addEventListener("click", () => ask("", "DELETE"));
  }

  /** @param {LiveState} state @param {boolean} busy */
  show({ calibration, board }, busy) {
    const { phase, windows, windows_total: total, seconds_left: left, fit, trail } = calibration;
    const waits = phase !== "running";
    setText("calibration-left", `${windows} of ${counted(total, "window")}${left === null || waits ? "" : `, ${leftOf(left)}`}`);
    setText("calibration-activity", phase === "running" ? `${started(calibration.activity)}.` : "Waiting for you.");
    byId("calibration-progress", HTMLProgressElement).value = total ? windows / total : 0;
    byId("calibration-ask").hidden = !waits;
    byId("calibration-ask").className = `inside ${phase}`;
    const asked = phase === "light" ? `${started(calibration.activity)}.` : stopped(calibration, board !== null);
    if (waits) setText("calibration-asked", asked);
    this.#proceed.disabled = busy || (phase !== "light" && !board);
    this.#cancel.disabled = busy;
    const asks = `${phase}${calibration.turn}`;
    if (!this.#proceed.disabled && asks !== this.#asked) {
      this.#asked = asks;
      if (waits && this.#nothingElseHasFocus()) this.#proceed.focus();
    }
    this.#list(calibration);

    byId("calibration-no-fit").hidden = fit !== null;
    byId("calibration-so-far").hidden = fit === null;
    setText("calibration-fits", fit ? counted(trail.length, "fit") : "");
    const canvas = byId("calibration-growing", HTMLCanvasElement);
    const drawn = `${trail.length} ${canvas.clientWidth} ${document.documentElement.dataset.theme}`;
    if (!fit || drawn === this.#drawn) return;
    this.#drawn = drawn;
    drawTransfer(canvas, fit.points);
    drawTrail(byId("calibration-trail-s-ss", HTMLCanvasElement), "s_ss", trail.map((mark) => mark.s_ss));
    drawTrail(byId("calibration-trail-s-r", HTMLCanvasElement), "s_r", trail.map((mark) => mark.s_r));
  }

  #nothingElseHasFocus() {
    const { activeElement } = document;
    return !activeElement || activeElement === document.body || byId("calibration-captures").contains(activeElement);
  }

  /** @param {CalibrationState} calibration */
  #list({ steps, step: taken, phase }) {
    const key = JSON.stringify([steps, taken, phase]);
    if (key === this.#listed) return;
    this.#listed = key;
    byId("calibration-taken").replaceChildren(...steps.map((step, i) => {
      const className = i < taken ? "done" : i === taken ? `now ${phase}` : "";
      return make(
        "li",
        { className },
        make("i", { ariaHidden: "true" }),
        make("span", {}, `${lightOf(step)}, ${step.level === null ? "all spans" : `${counted(step.level, "read")} per window`}`),
        make("small", {}, counted(step.windows, "window")),
        ...(i < taken ? [make("span", { className: "hidden" }, "captured")] : []),
      );
    }));
  }
}

/** @param {string} text */
const started = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

/** @param {number} seconds */
function leftOf(seconds) {
  if (seconds < 1.5) return "a moment left";
  return `about ${seconds < 60 ? `${Math.round(seconds)} s` : clock(seconds)} left`;
}

/** Why there are no captures, and how they go on. @param {CalibrationState} calibration @param {boolean} back */
function stopped({ phase, error, windows }, back) {
  const kept = windows ? ` The ${counted(windows, "window")} so far are kept.` : "";
  if (phase === "halted") return `${error}${kept} Continue once there is room.`;
  return back
    ? `The board is back.${kept} Continue where the captures stopped.`
    : `The board is lost. ${error}${kept} Continue as soon as it is back.`;
}
