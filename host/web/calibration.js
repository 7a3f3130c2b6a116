/** The calibration: begun from the page, its fit watched as it grows, its profile applied or kept. */

import { address, ask } from "./service.js";
import { drawTrail, drawTransfer } from "./transferplot.js";

const PHASES = {
  idle: "", running: "running", light: "waits for light", done: "done", cancelled: "cancelled", failed: "failed",
};
const INVITATION = "Dark and flat reads at every span of the board; the pictures pause meanwhile.";

const byId = (id) => document.getElementById(`calibration-${id}`);

/** Parts of a figure that the page has no room for; the report has them. */
const DETAIL = /_(pixel|row|column)(_dn)?$/;

/** A figure with as many digits as its interval leaves certain, and one more; and that interval. */
function figure({ value, low, high, unit }) {
  if (value === null) return ["–", ""];
  const half = low === null || high === null ? null : (high - low) / 2;
  const digits = half ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(half)))) : 4;
  const text = unit ? `${value.toFixed(digits)} ${unit}` : value.toFixed(digits);
  if (!half) return [text, ""];
  // What may as well be nothing has no relative error, but an end.
  if (low <= 0) return [text, `≤ ${Number(high.toPrecision(2))}`];
  return [text, `±${Number(((100 * half) / value).toPrecision(2))} %`];
}

export class Calibration {
  #shown = "";
  #busy = false;

  constructor() {
    byId("start").addEventListener("click", () => {
      const reads = Number(byId("reads").value);
      this.#ask("api/calibration", "POST", { reads });
    });
    byId("proceed").addEventListener("click", () => this.#ask("api/calibration/proceed", "POST"));
    byId("cancel").addEventListener("click", () => this.#ask("api/calibration", "DELETE"));
    byId("apply").addEventListener("click", () => this.#ask("api/calibration/apply", "POST"));
    byId("profile").href = address("api/calibration/profile.json");
    byId("report").href = address("api/calibration/report.html");
    new ResizeObserver(() => { this.#shown = ""; }).observe(byId("curve"));
  }

  /** Show how it stands, whoever began it. @param {any} state Of the session. */
  follow({ calibration, phase, board }) {
    const running = calibration.phase === "running" || calibration.phase === "light";
    byId("start").disabled = this.#busy || running || phase !== "streaming";
    byId("apply").disabled = this.#busy || running || calibration.applied;
    const key = JSON.stringify([calibration, board?.simulated]);
    if (key === this.#shown) return;
    this.#shown = key;

    const { fit } = calibration;
    const done = calibration.phase === "done";
    byId("note").textContent = PHASES[calibration.phase] ?? calibration.phase;
    byId("start").hidden = byId("reads").parentElement.hidden = running;
    byId("start").textContent = calibration.phase === "idle" ? "Calibrate this board" : "Calibrate again";
    byId("cancel").hidden = byId("progress").hidden = !running;
    byId("proceed").hidden = calibration.phase !== "light";
    byId("progress").value = calibration.windows_total ? calibration.windows / calibration.windows_total : 0;
    this.#say(this.#words(calibration), calibration.phase === "failed" ? "error" : "");

    byId("results").hidden = fit === null;
    byId("keep").hidden = !done;
    byId("apply").hidden = !calibration.can_apply;
    byId("apply").textContent = calibration.applied ? "The emulator runs with it" : "Run the emulator with it";
    if (fit) this.#show(fit, calibration.trail, done);
  }

  #words({ phase, activity, windows, windows_total: all, error }) {
    const doing = activity.slice(0, 1).toUpperCase() + activity.slice(1);
    if (phase === "light") return `${doing}. Then go on.`;
    if (phase === "running") return `${doing}: ${windows} of ${all} windows`;
    if (phase === "failed") return error;
    if (phase === "cancelled") return "Cancelled; nothing was changed.";
    return phase === "idle" ? INVITATION : "";
  }

  #show(fit, trail, done) {
    drawTransfer(byId("curve"), fit.points);
    drawTrail(byId("trail-s-ss"), "s_ss", trail.map((mark) => mark.s_ss));
    drawTrail(byId("trail-s-r"), "s_r", trail.map((mark) => mark.s_r));
    const told = Object.entries(fit.estimates).filter(([name]) => !DETAIL.test(name));
    byId("values").replaceChildren(...told.map(([name, estimate]) => {
      const row = document.createElement("tr");
      row.dataset.name = name;
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = estimate.title;
      const cells = figure(estimate).map((text) => {
        const cell = document.createElement("td");
        cell.textContent = text;
        return cell;
      });
      row.append(head, ...cells);
      return row;
    }));
    // Of a fit that goes on, everything but the figures may still change.
    byId("verdict").hidden = byId("warnings").hidden = !done;
    byId("verdict").className = `verdict ${fit.mood}`;
    byId("verdict").replaceChildren(element("b", `${fit.headline}.`), ` ${fit.sentences.join(" ")}`);
    byId("warnings").replaceChildren(...fit.warnings.map((text) => element("li", text)));
  }

  /** Ask the service for something; what it refuses is said here. */
  async #ask(path, method, body) {
    if (this.#busy) return;
    this.#busy = true;
    const request = body
      ? { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }
      : { method };
    try {
      await ask(path, request);
    } catch (error) {
      this.#say(error.message, "error");
    }
    this.#busy = false;
  }

  /** @param {string} text @param {""|"error"} mood */
  #say(text, mood) {
    byId("say").textContent = text;
    byId("say").className = `say ${mood}`;
  }
}

/** @param {string} tag @param {string} text */
function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
