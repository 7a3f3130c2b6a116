/** The plots of a calibration: the photon transfer curve, and how the intervals shrank. */

const PAD = { left: 46, right: 12, top: 22, bottom: 34 };
const TICKS = 5;

/** Half width of a 95 % interval, standard errors. */
const HALF_95 = 1.96;

/**
 * An empty plot: axes with round ticks, and where values lie on them.
 * @param {HTMLCanvasElement} canvas
 * @param {{label: string, low: number, high: number, whole?: boolean}} x
 * @param {{label: string, low: number, high: number}} y
 */
function begin(canvas, x, y) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth, clientHeight } = canvas;
  canvas.width = clientWidth * ratio;
  canvas.height = clientHeight * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`);
  const right = clientWidth - PAD.right;
  const bottom = clientHeight - PAD.bottom;
  const across = (value) => PAD.left + ((value - x.low) / (x.high - x.low || 1)) * (right - PAD.left);
  const up = (value) => bottom - ((value - y.low) / (y.high - y.low || 1)) * (bottom - PAD.top);

  context.font = "10.5px system-ui, sans-serif";
  context.fillStyle = colour("muted");
  context.strokeStyle = colour("line");
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const [value, text] of ticks(y)) {
    line(context, [[PAD.left, up(value)], [right, up(value)]]);
    context.fillText(text, PAD.left - 6, up(value));
  }
  context.textAlign = "center";
  for (const [value, text] of ticks(x)) context.fillText(text, across(value), bottom + 11);
  context.fillText(x.label, (PAD.left + right) / 2, clientHeight - 8);
  context.textAlign = "left";
  context.fillText(y.label, 4, 6);
  return { context, colour, across, up };
}

/** Round values on an axis, with their texts. @returns {[number, string][]} */
function ticks({ low, high, whole = false }) {
  const rough = (high - low) / TICKS || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(whole ? 1 : 0, [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough * 0.999));
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) {
    found.push([k * step, digits > 4 ? (k * step).toExponential(1) : (k * step).toFixed(digits)]);
  }
  return found;
}

function line(context, points) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

/** An upright bar with feet. */
function bar(context, x, low, high) {
  line(context, [[x, low], [x, high]]);
  for (const end of [low, high]) line(context, [[x - 3, end], [x + 3, end]]);
}

function dot(context, x, y, filled) {
  context.beginPath();
  context.arc(x, y, 3.5, 0, 2 * Math.PI);
  if (filled) context.fill();
  else context.stroke();
}

const known = (value) => value !== null;

/**
 * Variance against signal: the levels with their intervals, the fit, and what it left out.
 * @param {HTMLCanvasElement} canvas
 * @param {{signal: number|null, variance_dn2: number|null, error_dn2: number|null,
 *   model_dn2: number|null, used: boolean}[]} points
 */
export function drawTransfer(canvas, points) {
  const shown = points.filter((p) => known(p.signal) && known(p.variance_dn2));
  const tops = shown.flatMap((p) => [p.variance_dn2 + HALF_95 * (p.error_dn2 ?? 0), p.model_dn2 ?? 0]);
  const plot = begin(
    canvas,
    { label: "signal, full scale = 1", low: 0, high: 1.05 * Math.max(0.05, ...shown.map((p) => p.signal)) },
    { label: "variance, DN²", low: 0, high: 1.12 * Math.max(1e-6, ...tops) },
  );
  const { context, colour, across, up } = plot;
  const fitted = shown.filter((p) => known(p.model_dn2)).sort((a, b) => a.signal - b.signal);
  context.lineWidth = 1.75;
  context.strokeStyle = colour("measured");
  line(context, fitted.map((p) => [across(p.signal), up(p.model_dn2)]));
  context.lineWidth = 1.25;
  for (const { signal, variance_dn2: variance, error_dn2: error, used } of shown) {
    context.strokeStyle = context.fillStyle = colour(used ? "final" : "muted");
    const half = HALF_95 * (error ?? 0);
    bar(context, across(signal), up(Math.max(0, variance - half)), up(variance + half));
    dot(context, across(signal), up(variance), used);
  }
}

/**
 * The intervals of one estimate after each fit, the first on the left; in thousandths.
 * @param {HTMLCanvasElement} canvas
 * @param {string} name
 * @param {({value: number|null, low: number|null, high: number|null}|undefined)[]} trail
 */
export function drawTrail(canvas, name, trail) {
  const thousandfold = (value) => ((value ?? null) === null ? null : 1000 * value);
  const shown = trail
    .map((e, i) => ({ value: thousandfold(e?.value), low: thousandfold(e?.low), high: thousandfold(e?.high), i: i + 1 }))
    .filter((e) => known(e.value));
  const newest = shown.at(-1);
  // The first intervals may be so wide that nothing would show of the last ones.
  const half = newest && known(newest.low) && known(newest.high) ? (newest.high - newest.low) / 2 : 0;
  const reach = Math.max(4 * half, newest ? 0.005 * Math.abs(newest.value) : 1, 1e-9);
  const middle = newest?.value ?? 0;
  const y = { label: `${name} · 1000`, low: middle - reach, high: middle + reach };
  const x = { label: "fit", low: 0.5, high: Math.max(trail.length, 6) + 0.5, whole: true };
  const { context, colour, across, up } = begin(canvas, x, y);
  const inside = (value) => Math.min(y.high, Math.max(y.low, value));
  context.lineWidth = 1.25;
  for (const { i, value, low, high } of shown) {
    context.strokeStyle = context.fillStyle = colour(i === newest.i ? "final" : "muted");
    bar(context, across(i), up(inside(low ?? y.low)), up(inside(high ?? y.high)));
    if (value === inside(value)) dot(context, across(i), up(value), true);
  }
}
