/** The plots of a calibration: photon transfer curve, response, and how the intervals shrink. */

import { Plot } from "../../lib/plot.js";

/**
 * @typedef {import("../../net/calibration-types.js").MarkState} MarkState
 * @typedef {import("../../net/calibration-types.js").PointState} PointState
 * @typedef {import("../../net/calibration-types.js").ResponseState} ResponseState
 * @typedef {import("../../lib/plot.js").Point} Point
 */

/** Half width of the range of chance that holds 95 %, in standard errors. */
const CHANCE = 1.96;

/**
 * Variance against signal: the levels with their intervals, and the fit; hollow where not fitted.
 * @param {HTMLCanvasElement} canvas @param {PointState[]} points
 */
export function drawTransfer(canvas, points) {
  const shown = points.flatMap(({ signal, variance_dn2: variance, low_dn2: low, high_dn2: high, model_dn2: model, used }) => (
    signal === null || variance === null ? [] : [{ signal, variance, low: low ?? variance, high: high ?? variance, model, used }]));
  const tops = shown.flatMap(({ high, model }) => [high, model ?? 0]);
  const plot = new Plot(
    canvas,
    { label: "signal, full scale = 1", low: 0, high: 1.05 * brightestOf(shown) },
    { label: "variance, DN²", low: 0, high: 1.12 * Math.max(1e-6, ...tops) },
  );
  plot.use("measured");
  plot.line(
    shown
      .flatMap(({ signal, model }) => (model === null ? [] : [/** @type {Point} */ ([signal, model])]))
      .sort(([a], [b]) => a - b),
    1.75,
  );
  for (const { signal, variance, low, high, used } of shown) {
    plot.use(used ? "final" : "muted");
    plot.bar(signal, Math.max(0, low), high);
    plot.dot([signal, variance], { filled: used });
  }
}

/**
 * How far the variance of each level is from the fit, in standard errors; hollow, and at the end of the
 * scale if need be, where not fitted.
 * @param {HTMLCanvasElement} canvas @param {PointState[]} points
 */
export function drawResiduals(canvas, points) {
  const shown = points.flatMap(({ signal, residual, used }) => (
    signal === null || residual === null ? [] : [{ signal, residual, used }]));
  const reach = 1.15 * Math.max(3, ...shown.filter(({ used }) => used).map(({ residual }) => Math.abs(residual)));
  const right = 1.05 * brightestOf(shown);
  const plot = new Plot(
    canvas,
    { label: "signal, full scale = 1", low: 0, high: right },
    { label: "standard errors", low: -reach, high: reach },
  );
  plot.use("muted");
  plot.context.setLineDash([5, 4]);
  for (const end of [-CHANCE, CHANCE]) plot.line([[0, end], [right, end]], 1);
  plot.context.setLineDash([]);
  plot.use("measured");
  plot.line([[0, 0], [right, 0]], 1.75);
  for (const { signal, residual, used } of shown) {
    plot.use(used ? "final" : "muted");
    plot.dot([signal, Math.min(reach, Math.max(-reach, residual))], { filled: used });
  }
}

/**
 * How far the response is from straight: the levels, the curve and its 95 % band, per cent.
 * @param {HTMLCanvasElement} canvas @param {ResponseState} response
 */
export function drawResponse(canvas, { signals, deviations, halves, curve_signals: at, curve, half }) {
  const band = [-1, 1].map((side) => curve.map((value, i) => value + side * half[i]));
  const plot = deviationPlot(canvas, signals, halves, deviations, band.flat());
  plot.use("measured");
  plot.area(...ends(at, band));
  plot.line(at.map((signal, i) => [signal, 100 * curve[i]]), 1.75);
  markLevels(plot, signals, halves, deviations);
}

/**
 * How far the levels are from the fitted response, per cent.
 * @param {HTMLCanvasElement} canvas @param {ResponseState} response
 */
export function drawResponseResiduals(canvas, { signals, residuals, halves }) {
  const plot = deviationPlot(canvas, signals, halves, residuals, [0]);
  plot.use("measured");
  plot.line([[0, 0], [Math.max(1, ...signals), 0]], 1.75);
  markLevels(plot, signals, halves, residuals);
}

/** @param {{signal: number}[]} shown */
const brightestOf = (shown) => Math.max(0.05, ...shown.map(({ signal }) => signal));

/** @param {number[]} at @param {number[][]} band @returns {[Point[], Point[]]} */
function ends(at, [low, high]) {
  /** @param {number[]} values @returns {Point[]} */
  const line = (values) => at.map((signal, i) => [signal, 100 * values[i]]);
  return [line(low), line(high)];
}

/**
 * @param {HTMLCanvasElement} canvas @param {number[]} signals @param {number[]} halves
 * @param {number[]} values @param {number[]} others
 */
function deviationPlot(canvas, signals, halves, values, others) {
  const shown = [...others, ...values.flatMap((value, i) => (
    [value - halves[i], value + halves[i]]))].map((value) => 100 * value);
  const [low, high] = [Math.min(0, ...shown), Math.max(0, ...shown)];
  const margin = 0.08 * (high - low) || 1;
  return new Plot(
    canvas,
    { label: "signal, full scale = 1", low: 0, high: Math.max(1, ...signals) },
    { label: "% of full scale", low: low - margin, high: high + margin },
  );
}

/** @param {Plot} plot @param {number[]} signals @param {number[]} halves @param {number[]} values */
function markLevels(plot, signals, halves, values) {
  plot.use("final");
  signals.forEach((signal, i) => {
    plot.bar(signal, 100 * (values[i] - halves[i]), 100 * (values[i] + halves[i]));
    plot.dot([signal, 100 * values[i]]);
  });
}

/**
 * The intervals of one estimate after each fit, oldest on the left, in thousandths.
 * @param {HTMLCanvasElement} canvas
 * @param {string} name
 * @param {(MarkState|undefined)[]} trail
 */
export function drawTrail(canvas, name, trail) {
  const shown = trail.flatMap((estimate, i) => {
    const { value = null, low = null, high = null } = estimate ?? {};
    if (value === null) return [];
    return [{ fit: i + 1, value: 1000 * value, low: low && 1000 * low, high: high && 1000 * high }];
  });
  const newest = shown.at(-1);
  // The first intervals may be so wide that the last ones would be invisible beside them.
  const half = newest && newest.low !== null && newest.high !== null ? (newest.high - newest.low) / 2 : 0;
  const reach = Math.max(4 * half, newest ? 0.005 * Math.abs(newest.value) : 1, 1e-9);
  const middle = newest?.value ?? 0;
  const [bottom, top] = [middle - reach, middle + reach];
  const plot = new Plot(
    canvas,
    { label: "fit", low: 0.5, high: Math.max(trail.length, 6) + 0.5, whole: true },
    { label: `${name} · 1000`, low: bottom, high: top },
  );
  /** @param {number} value */
  const inside = (value) => Math.min(top, Math.max(bottom, value));
  for (const { fit, value, low, high } of shown) {
    plot.use(fit === newest?.fit ? "final" : "muted");
    plot.bar(fit, inside(low ?? bottom), inside(high ?? top));
    if (value === inside(value)) plot.dot([fit, value]);
  }
}
