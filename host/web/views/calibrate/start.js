/** The first step: which board is calibrated, what is captured of it, and the light. */

import { byId, make, setText } from "../../lib/dom.js";
import { clock, counted, fixed } from "../../lib/format.js";
import { fillTable } from "../../lib/table.js";

/**
 * @typedef {import("../../net/types.js").BoardIdentity} BoardIdentity
 * @typedef {import("../../net/types.js").LiveState} LiveState
 * @typedef {import("../../net/calibration-types.js").PlanState} PlanState
 * @typedef {import("../../net/calibration-types.js").StepState} StepState
 */

export class Start {
  #service;
  #reads = byId("calibration-reads", HTMLInputElement);
  #start = byId("calibration-start", HTMLButtonElement);
  /** @type {PlanState|null} */ #plan = null;
  #planned = "";
  #ready = false;

  /** @param {import("./calibrate.js").Ask} ask @param {import("../view.js").Context["service"]} service */
  constructor(ask, service) {
    this.#service = service;
    const start = () => ask("", "POST", { reads: Number(this.#reads.value) });
    this.#start.addEventListener("click", start);
    this.#reads.addEventListener("input", () => this.#ask());
    this.#reads.addEventListener("keydown", ({ key }) => {
      if (key === "Enter" && !this.#start.disabled) start();
    });
  }

  /** @param {LiveState} state @param {boolean} busy */
  show(state, busy) {
    const { board, calibration, phase } = state;
    this.#ready = !busy && phase === "streaming";
    setText("calibration-board-title", board?.name ?? "Board");
    const kind = board?.replay ? "replay" : board?.simulated ? "simulated" : board ? "real" : "";
    const badge = byId("calibration-kind");
    badge.textContent = kind.toUpperCase();
    badge.className = `badge ${kind}`;
    byId("calibration-emulated").hidden = kind !== "simulated";
    byId("calibration-hand").hidden = kind !== "real";
    fillTable(byId("calibration-identity", HTMLTableElement), factsOf(state).map(([heading, value, className]) => (
      { heading: [heading], cells: [value], className })));
    const last = { failed: calibration.error, cancelled: "The calibration was cancelled; nothing has changed." };
    const note = byId("calibration-last");
    note.textContent = calibration.phase === "failed" || calibration.phase === "cancelled" ? last[calibration.phase] : "";
    note.className = `inside last ${calibration.phase}`;
    const key = JSON.stringify([board?.url, board?.serial, board?.width, board?.height, board?.replay]);
    if (board && key !== this.#planned) {
      this.#planned = key;
      this.#ask();
    }
    this.#enable();
  }

  /** Ask what so many reads take. */
  async #ask() {
    const reads = this.#reads.value;
    try {
      const plan = await this.#service.request(`api/calibration/plan?reads=${encodeURIComponent(reads)}`);
      if (reads !== this.#reads.value) return; // another number was typed meanwhile
      this.#plan = plan;
      this.#show(sumOf(plan), "muted");
    } catch (error) {
      if (reads !== this.#reads.value) return;
      this.#plan = null;
      this.#planned = ""; // once the board is back, ask again
      const ranged = this.#reads.validity.valid && reads !== "";
      this.#show(ranged ? this.#service.sentenceOf(error) : "Reads per level are a whole number from 2 to 32.", "say error");
    }
  }

  /** @param {string} sum @param {string} className */
  #show(sum, className) {
    setText("calibration-sum", sum);
    byId("calibration-sum").className = className;
    const table = byId("calibration-plan", HTMLTableElement);
    table.hidden = !this.#plan;
    table.tBodies[0].replaceChildren(...(this.#plan?.steps ?? []).map((step) => make(
      "tr",
      {},
      make("th", { scope: "row" }, make("i", { className: step.light === 0 ? "dark" : "lit", ariaHidden: "true" }), lightOf(step)),
      ...[step.level === null ? "all, side by side" : String(step.level), spanOf(step), String(step.windows)].map((text) => make("td", {}, text)),
    )));
    this.#enable();
  }

  #enable() {
    const disabled = !this.#ready || !this.#plan;
    if (this.#start.disabled !== disabled) this.#start.disabled = disabled;
  }
}

/** @param {StepState} step */
export const lightOf = ({ light }) => (
  light === 0 ? "Dark" : light === null ? "Even light" : `Even light, ${fixed(100 * light, 0)} %`
);

/** @param {StepState} step */
const spanOf = ({ level }) => (level === null ? "every" : level === 1 ? "whole window" : `1/${level} window`);

/** @param {PlanState} plan */
function sumOf({ windows, seconds, by_hand: byHand }) {
  const time = seconds === null ? "" : `, about ${seconds < 60 ? `${Math.ceil(seconds)} s` : clock(seconds)}`;
  return `${counted(windows, "window")}${time}${byHand ? ", and the time in which you set the light" : ""}.`;
}

/** @param {LiveState} state @returns {[string, string, string?][]} */
function factsOf({ board, corrected_by: correctedBy }) {
  if (!board) return [];
  const rate = board.slot_rate_hz;
  return [
    ["Serial number", board.serial || "–"],
    ["Array", `${board.width} × ${board.height}, ${board.bits} bit`],
    ["Black, full scale", `${fixed(board.black_level_dn, 0)}, ${fixed(board.full_scale_dn, 0)} DN`],
    ["Window", `${board.slots} slots${rate ? ` at ${fixed(rate, 0)} Hz` : ""}`],
    ["Reads now", correctedBy ? `corrected by ${correctedBy}` : "not corrected"],
  ];
}
