/** The third and fourth step: what was found, in words, figures and plots; and what is done with it. */

import { byId, make, setText } from "../../lib/dom.js";
import { counted } from "../../lib/format.js";
import { fillTable } from "../../lib/table.js";
import { drawResiduals, drawResponse, drawResponseResiduals, drawTransfer } from "./plots.js";

/**
 * @typedef {import("../../net/calibration-types.js").CalibrationState} CalibrationState
 * @typedef {import("../../net/calibration-types.js").EstimateState} EstimateState
 * @typedef {import("../../net/calibration-types.js").FitState} FitState
 * @typedef {import("../../net/types.js").LiveState} LiveState
 */

/** Those that the report puts first too. */
const FIRST = ["s_r", "s_ss", "gain_dn_per_electron", "dark_noise_dn"];
const FIXED = /^(dsnu|prnu)/;

export class Result {
  #apply = byId("calibration-apply", HTMLButtonElement);
  #discard = byId("calibration-discard", HTMLButtonElement);
  #undo = byId("calibration-undo", HTMLButtonElement);
  /** Whether the result was applied or given up here, so that the keyboard goes on at the other button. */ #acted = false;
  #curve = byId("calibration-curve", HTMLCanvasElement);
  #drawn = "";
  #shown = "";

  /** @param {import("./calibrate.js").Ask} ask @param {import("../view.js").Context["service"]} service */
  constructor(ask, service) {
    for (const [button, path] of /** @type {const} */ ([[this.#apply, "/apply"], [this.#undo, "/undo"]])) {
      button.addEventListener("click", async () => {
        this.#acted = true;
        await ask(path, "POST");
      });
    }
    this.#discard.addEventListener("click", () => ask("/discard", "POST"));
    for (const file of ["profile.json", "correction.npz", "report.html"]) {
      byId(`calibration-${file.split(".")[0]}`, HTMLAnchorElement).href = service.address(`api/calibration/${file}`);
    }
  }

  /** @param {LiveState} state @param {boolean} busy */
  show(state, busy) {
    const { calibration, corrected_by: by } = state;
    const { fit, applied } = calibration;
    if (!fit) return;
    const turned = applied === this.#undo.hidden;
    this.#apply.hidden = this.#discard.hidden = applied;
    this.#undo.hidden = !applied;
    this.#apply.disabled = this.#discard.disabled = busy || !calibration.can_apply || !state.board;
    this.#undo.disabled = busy || !state.board;
    if (turned && this.#acted) (applied ? this.#undo : this.#apply).focus();
    if (turned) this.#acted = false;
    setText("calibration-in-use", applied ? "in use" : by ? `now by ${by}` : "");
    byId("calibration-in-use").classList.toggle("muted", !applied);
    byId("calibration-correction").hidden = !corrects(fit);
    byId("calibration-effects").replaceChildren(...effectsOf(state, fit).map(([mood, about, text]) => (
      make("li", { className: mood }, make("b", {}, about), ` ${text}`))));
    this.#write(fit);
    this.#draw(fit, calibration.turn);
  }

  /** @param {FitState} fit */
  #write(fit) {
    const key = JSON.stringify(fit);
    if (key === this.#shown) return;
    this.#shown = key;
    byId("calibration-verdict").className = `panel verdict ${fit.mood}`;
    setText("calibration-headline", fit.headline);
    setText("calibration-sentences", fit.sentences.join(" "));
    byId("calibration-warnings").replaceChildren(...fit.warnings.map((text) => make("li", {}, text)));
    byId("calibration-figures").replaceChildren(...FIRST.flatMap((name) => {
      const estimate = fit.estimates[name];
      return estimate ? [make(
        "div",
        { title: estimate.meaning },
        make("dt", {}, estimate.title),
        make("dd", {}, estimate.text, ...(estimate.unit ? [make("small", {}, estimate.unit)] : [])),
        make("dd", { className: "muted" }, estimate.interval),
      )] : [];
    }));
    const rest = Object.entries(fit.estimates).filter(([name]) => !FIRST.includes(name));
    fillTable(byId("calibration-values", HTMLTableElement), rest.filter(([name]) => !FIXED.test(name)).map(rowOf));
    fillTable(byId("calibration-fixed", HTMLTableElement), [
      ...rest.filter(([name]) => FIXED.test(name)).map(rowOf),
      ...Object.entries(fit.defects).map(([kind, count]) => (
        { name: kind, heading: [`${kind[0].toUpperCase()}${kind.slice(1)} pixels`], cells: [String(count), ""] })),
    ]);
    setText("calibration-pattern", corrects(fit) ? "" : "no correction");
    byId("calibration-left-out").replaceChildren(...fit.points.filter(({ used }) => !used).map(({ name, why_not: why }) => (
      make("li", {}, `Left out of the fit: ${name}, because ${why}.`))));
  }

  /** @param {FitState} fit @param {number} turn */
  #draw(fit, turn) {
    const drawn = `${turn} ${this.#curve.clientWidth} ${document.documentElement.dataset.theme}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    for (const figure of document.querySelectorAll("#calibration-result .response")) {
      figure.toggleAttribute("hidden", !fit.response);
    }
    byId("calibration-no-response").hidden = fit.response !== null;
    drawTransfer(this.#curve, fit.points);
    drawResiduals(byId("calibration-residuals", HTMLCanvasElement), fit.points);
    if (!fit.response) return;
    drawResponse(byId("calibration-response", HTMLCanvasElement), fit.response);
    drawResponseResiduals(byId("calibration-response-residuals", HTMLCanvasElement), fit.response);
  }
}

/** Whether there is a fixed pattern to correct by. @param {FitState} fit */
const corrects = ({ defects }) => Object.keys(defects).length > 0;

/** @param {[string, EstimateState]} entry */
const rowOf = ([name, { title, meaning, text, unit, interval }]) => ({
  name,
  heading: [make("span", { title: meaning }, title)],
  cells: [unit ? `${text} ${unit}` : text, interval],
});

/**
 * What applying does, or has done: its mood, what it is about, and a sentence.
 * @param {LiveState} state @param {FitState} fit
 * @returns {[string, string, string][]}
 */
function effectsOf({ calibration, board, noise_note: noteNow, reconstructed_by: by }, fit) {
  const { applied, keeps, kept, noise_note: noteThen } = calibration;
  const defects = Object.values(fit.defects).reduce((sum, count) => sum + count, 0);
  const without = by === "network-free";
  const note = without ? "" : applied ? noteNow : noteThen;
  return [
    corrects(fit)
      ? ["good", "Reads", `${applied ? "are" : "will be"} corrected by offset and gain of each pixel${defects ? `; ${counted(defects, "defective pixel")} count as unmeasured` : ""}.`]
      : ["warn", "Reads", `are not corrected: ${fit.correction}.`],
    [
      note ? "warn" : "good",
      "Network",
      without ? "is not used; if one is, it is told this noise." : note ? `and noise: ${note}.` : `${by} suits this noise.`,
    ],
    applied
      ? [keeps ? "good" : "note", "Later sessions.", kept]
      : keeps
        ? ["good", "Later sessions", `of live and serve use it too: profile and correction are kept for the board ${keeps}.`]
        : ["note", "Later sessions", `do not know it: the serial number ${board?.serial ?? ""} does not tell this board from others. Save the files to use them then.`],
  ];
}
