/** A plot on a canvas: axes with round ticks, and marks at values. */

import { context2d } from "./dom.js";

const TICKS = 5;

/**
 * @typedef {object} Axis
 * @property {number} low
 * @property {number} high
 * @property {string} [label]
 * @property {number[]} [ticks] Where its ticks are, in place of round values.
 * @property {string[]} [texts] What stands at `ticks`, in place of their values.
 * @property {boolean} [whole] Whether ticks are at whole numbers only.
 *
 * @typedef {[number, number]} Point In values of the axes.
 */

export class Plot {
  /** The canvas is drawn on directly for what the plot has no method for. */
  context;
  #style = getComputedStyle(document.documentElement);
  #area;
  #x;
  #y;

  /**
   * Clear a canvas and draw the axes.
   * @param {HTMLCanvasElement} canvas @param {Axis} x @param {Axis} y
   */
  constructor(canvas, x, y) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    this.context = context2d(canvas);
    this.context.scale(ratio, ratio);
    this.#x = x;
    this.#y = y;
    this.#area = {
      left: y.label ? 46 : 34,
      right: width - 12,
      top: y.label ? 22 : 10,
      bottom: height - (x.label ? 34 : 20),
    };
    this.#drawAxes(height);
  }

  /** Place of a value of the horizontal axis, in CSS pixels. @param {number} value */
  across(value) {
    const { left, right } = this.#area;
    return left + ((value - this.#x.low) / (this.#x.high - this.#x.low || 1)) * (right - left);
  }

  /** Place of a value of the vertical axis, in CSS pixels. @param {number} value */
  up(value) {
    const { top, bottom } = this.#area;
    return bottom - ((value - this.#y.low) / (this.#y.high - this.#y.low || 1)) * (bottom - top);
  }

  /** Draw from now on in a colour of the style sheet. @param {string} name */
  use(name) {
    const colour = this.#style.getPropertyValue(`--${name}`);
    this.context.strokeStyle = this.context.fillStyle = colour;
  }

  /** @param {Point[]} points @param {number} [width] */
  line(points, width = 1.25) {
    this.#stroke(points.map(([x, y]) => [this.across(x), this.up(y)]), width);
  }

  /**
   * What lies between two lines, faintly.
   * @param {Point[]} low @param {Point[]} high
   */
  area(low, high) {
    const { context } = this;
    context.globalAlpha = 0.18;
    context.beginPath();
    for (const [x, y] of [...low, ...[...high].reverse()]) context.lineTo(this.across(x), this.up(y));
    context.fill();
    context.globalAlpha = 1;
  }

  /**
   * An upright bar with feet, as for an interval.
   * @param {number} x @param {number} low @param {number} high
   */
  bar(x, low, high) {
    const at = this.across(x);
    const ends = [this.up(low), this.up(high)];
    this.#stroke(ends.map((end) => [at, end]), 1.25);
    for (const end of ends) this.#stroke([[at - 3, end], [at + 3, end]], 1.25);
  }

  /** @param {Point} point @param {{radius?: number, filled?: boolean}} [look] */
  dot([x, y], { radius = 3.5, filled = true } = {}) {
    const { context } = this;
    context.beginPath();
    context.arc(this.across(x), this.up(y), radius, 0, 2 * Math.PI);
    if (filled) context.fill();
    else context.stroke();
  }

  /** @param {number} height Of the canvas. */
  #drawAxes(height) {
    const { context } = this;
    const { left, right, bottom } = this.#area;
    context.font = "10.5px Inter, system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "right";
    this.use("line");
    for (const [value] of ticksOf(this.#y)) this.line([[this.#x.low, value], [this.#x.high, value]], 1);
    this.use("muted");
    for (const [value, text] of ticksOf(this.#y)) context.fillText(text, left - 6, this.up(value));
    context.textAlign = "center";
    for (const [value, text] of ticksOf(this.#x)) context.fillText(text, this.across(value), bottom + 11);
    context.fillText(this.#x.label ?? "", (left + right) / 2, height - 8);
    context.textAlign = "left";
    context.fillText(this.#y.label ?? "", 4, 6);
  }

  /** @param {number[][]} points In CSS pixels. @param {number} width */
  #stroke(points, width) {
    const { context } = this;
    context.lineWidth = width;
    context.beginPath();
    points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
  }
}

/**
 * Values of an axis with their texts.
 * @param {Axis} axis
 * @returns {[number, string][]}
 */
function ticksOf({ low, high, ticks, texts, whole = false }) {
  if (ticks && texts) return ticks.map((value, i) => [value, texts[i]]);
  const rough = (high - low) / TICKS || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough * 0.999) ?? rough;
  const step = ticks ? ticks[1] - ticks[0] : Math.max(whole ? 1 : 0, round);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  /** @param {number} value @returns {[number, string]} */
  const tick = (value) => [value, digits > 4 ? value.toExponential(1) : value.toFixed(digits)];
  if (ticks) return ticks.map(tick);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) found.push(tick(k * step));
  return found;
}
