/** The plots of a calibration: photon transfer curve, response, and how the intervals shrink. */

import { Plot } from "../../lib/plot.js";

/**
 * @typedef {import("../../net/types.js").EstimateState} EstimateState
 * @typedef {import("../../net/types.js").PointState} PointState
 * @typedef {import("../../net/types.js").ResponseState} ResponseState
 * @typedef {import("../../lib/plot.js").Point} Point
 */

/** Half width of a 95 % interval, in standard errors. */
const HALF_95 = 1.96;

/**
 * Variance against signal: the levels with their intervals, and the fit; hollow where not fitted.
 * @param {HTMLCanvasElement} canvas @param {PointState[]} points
 */
export function drawTransfer(canvas, points) {
  const shown = points.flatMap(({ signal, variance_dn2: variance, error_dn2: error, model_dn2: model, used }) => {
    const half = HALF_95 * (error ?? 0);
    return signal === null || variance === null ? [] : [{ signal, variance, half, model, used }];
  });
  const brightest = Math.max(0.05, ...shown.map(({ signal }) => signal));
  const tops = shown.flatMap(({ variance, half, model }) => [variance + half, model ?? 0]);
  const plot = new Plot(
    canvas,
    { label: "signal, full scale = 1", low: 0, high: 1.05 * brightest },
    { label: "variance, DN²", low: 0, high: 1.12 * Math.max(1e-6, ...tops) },
  );
  plot.use("measured");
  plot.line(
    shown
      .flatMap(({ signal, model }) => (model === null ? [] : [/** @type {Point} */ ([signal, model])]))
      .sort(([a], [b]) => a - b),
    1.75,
  );
  for (const { signal, variance, half, used } of shown) {
    plot.use(used ? "final" : "muted");
    plot.bar(signal, Math.max(0, variance - half), variance + half);
    plot.dot([signal, variance], { filled: used });
  }
}

/**
 * How far the response is from straight: the levels, the curve and its interval, per cent.
 * @param {HTMLCanvasElement} canvas @param {ResponseState} response
 */
export function drawResponse(canvas, { signals, deviations, errors, curve_signals: at, curve, half }) {
  const low = curve.map((value, i) => value - half[i]);
  const high = curve.map((value, i) => value + half[i]);
  const plot = deviationPlot(canvas, signals, errors, deviations, [...low, ...high]);
  plot.use("muted");
  for (const end of [low, high]) plot.line(at.map((signal, i) => [signal, 100 * end[i]]));
  plot.use("measured");
  plot.line(at.map((signal, i) => [signal, 100 * curve[i]]), 1.75);
  markLevels(plot, signals, errors, deviations);
}

/**
 * How far the levels are from the fitted response, per cent.
 * @param {HTMLCanvasElement} canvas @param {ResponseState} response
 */
export function drawResponseResiduals(canvas, { signals, residuals, errors }) {
  const plot = deviationPlot(canvas, signals, errors, residuals, [0]);
  plot.use("measured");
  plot.line([[0, 0], [Math.max(1, ...signals), 0]]);
  markLevels(plot, signals, errors, residuals);
}

/**
 * @param {HTMLCanvasElement} canvas @param {number[]} signals @param {number[]} errors
 * @param {number[]} values @param {number[]} others
 */
function deviationPlot(canvas, signals, errors, values, others) {
  const shown = [...others, ...values.flatMap((value, i) => (
    [value - HALF_95 * errors[i], value + HALF_95 * errors[i]]))].map((value) => 100 * value);
  const [low, high] = [Math.min(0, ...shown), Math.max(0, ...shown)];
  const margin = 0.08 * (high - low) || 1;
  return new Plot(
    canvas,
    { label: "signal, full scale = 1", low: 0, high: Math.max(1, ...signals) },
    { label: "% of full scale", low: low - margin, high: high + margin },
  );
}

/** @param {Plot} plot @param {number[]} signals @param {number[]} errors @param {number[]} values */
function markLevels(plot, signals, errors, values) {
  plot.use("final");
  signals.forEach((signal, i) => {
    plot.bar(signal, 100 * (values[i] - HALF_95 * errors[i]), 100 * (values[i] + HALF_95 * errors[i]));
    plot.dot([signal, 100 * values[i]]);
  });
}

/**
 * The intervals of one estimate after each fit, oldest on the left, in thousandths.
 * @param {HTMLCanvasElement} canvas
 * @param {string} name
 * @param {(EstimateState|undefined)[]} trail
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
