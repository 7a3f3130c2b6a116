/** The timeline of a recording: windows per second, gaps, events and notes, and the window that is shown. */

import { byId, context2d } from "../../lib/dom.js";
import { clock } from "../../lib/format.js";

/**
 * @typedef {import("../../net/recording-types.js").Timeline} Timeline
 * @typedef {import("../../net/recording-types.js").Mark} Mark
 */

const MARGIN = 12;
/** Heights in CSS pixels: the bars end, the marks are, the times stand. */
const [BARS_TOP, BARS, MARKS, TIMES] = [8, 52, 66, 86];
const TICKS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
const MIN_TICK_PX = 64;
/** A last second that is shorter says nothing of the rate. */
const MIN_RATED_S = 0.25;
/** A mark this near to the pointer, in CSS pixels, is told. */
const NEAR_PX = 6;

export class TimelineTrack {
  #track = byId("rec-track");
  #canvas = byId("rec-timeline", HTMLCanvasElement);
  #needle = byId("rec-needle");
  #sought;
  /** @type {Timeline|null} */ #timeline = null;
  /** Windows before each second, and all. */
  #before = [0];
  #index = 0;

  /** @param {(index: number, dragging: boolean) => void} sought A window was pointed at. */
  constructor(sought) {
    this.#sought = sought;
    const track = this.#track;
    let dragging = false;
    track.addEventListener("pointerdown", (event) => {
      dragging = true;
      track.setPointerCapture(event.pointerId);
      this.#seek(event, true);
    });
    track.addEventListener("pointermove", (event) => {
      if (dragging) this.#seek(event, true);
      else this.#tell(event);
    });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      track.addEventListener(end, (event) => {
        if (dragging) this.#seek(event, false);
        dragging = false;
      });
    }
    new ResizeObserver(() => this.draw()).observe(this.#canvas);
  }

  /** @param {Timeline} timeline */
  take(timeline) {
    this.#timeline = timeline;
    let sum = 0;
    this.#before = [0, ...timeline.windows.map((count) => (sum += count))];
    this.#track.setAttribute("aria-valuemax", String(Math.max(0, sum - 1)));
    this.draw();
    this.place(0);
  }

  /** Show which window is looked at. @param {number} index */
  place(index) {
    this.#index = index;
    const atS = this.secondsAt(index);
    this.#needle.style.left = `${this.#across(atS)}px`;
    this.#track.setAttribute("aria-valuenow", String(index));
    this.#track.setAttribute("aria-valuetext", `window ${index + 1} of ${this.#before.at(-1)}, at ${clock(atS, 1)}`);
  }

  /** The window at a time of the recording. @param {number} atS */
  indexAt(atS) {
    const counts = this.#timeline?.windows ?? [];
    const second = Math.min(Math.max(0, Math.floor(atS)), counts.length - 1);
    const share = Math.min(1, Math.max(0, (atS - second) / this.#lengthOf(second)));
    const last = (this.#before.at(-1) ?? 1) - 1;
    return Math.max(0, Math.min(last, this.#before[second] + Math.floor(share * counts[second])));
  }

  /** When a window was received, to a fraction of its second. @param {number} index */
  secondsAt(index) {
    let [low, high] = [0, this.#before.length - 2];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#before[middle] <= index) low = middle;
      else high = middle - 1;
    }
    const count = this.#timeline?.windows[low] ?? 0;
    return low + (count ? ((index - this.#before[low] + 0.5) / count) * this.#lengthOf(low) : 0);
  }

  /** The last second is as long as the recording. @param {number} second */
  #lengthOf(second) {
    return Math.min(1, Math.max(0.001, (this.#timeline?.seconds ?? 1) - second));
  }

  get #lengthS() {
    return Math.max(this.#timeline?.seconds ?? 0, 0.001);
  }

  /** @param {number} atS */
  #across(atS) {
    return MARGIN + (atS / this.#lengthS) * (this.#canvas.clientWidth - 2 * MARGIN);
  }

  /** @param {PointerEvent} event @param {boolean} dragging */
  #seek(event, dragging) {
    this.#sought(this.indexAt(this.#timeUnder(event)), dragging);
  }

  /** @param {PointerEvent} event */
  #timeUnder(event) {
    const box = this.#canvas.getBoundingClientRect();
    return ((event.clientX - box.left - MARGIN) / (box.width - 2 * MARGIN)) * this.#lengthS;
  }

  /** Tell what happened under the pointer. @param {PointerEvent} event */
  #tell(event) {
    const nearS = (NEAR_PX * this.#lengthS) / this.#canvas.clientWidth;
    const atS = this.#timeUnder(event);
    const near = this.#timeline?.marks.filter((mark) => Math.abs(mark.at_s - atS) < nearS) ?? [];
    this.#track.title = near.map((mark) => `${clock(mark.at_s, 1)} ${mark.text}`).join("\n");
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!this.#timeline || !width) return;
    const ratio = window.devicePixelRatio || 1;
    this.#canvas.width = width * ratio;
    this.#canvas.height = height * ratio;
    const context = context2d(this.#canvas);
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`);
    this.#drawBars(context, width, colour);
    this.#drawTimes(context, width, colour);
    for (const mark of this.#timeline.marks) drawMark(context, mark, this.#across(mark.at_s), colour);
    this.place(this.#index);
  }

  /** Windows per second, one bar for each pixel or second, whichever is wider. @param {CanvasRenderingContext2D} context @param {number} width @param {(name: string) => string} colour */
  #drawBars(context, width, colour) {
    const counts = this.#timeline?.windows ?? [];
    // A recording may be of days: too many seconds for the arguments of one call.
    const most = counts.reduce((max, count, second) => Math.max(max, count / Math.max(this.#lengthOf(second), MIN_RATED_S)), 1);
    context.fillStyle = colour("raised");
    context.fillRect(MARGIN, BARS_TOP, width - 2 * MARGIN, BARS - BARS_TOP);
    context.fillStyle = colour("accent");
    context.globalAlpha = 0.55;
    const group = Math.max(1, Math.ceil(counts.length / (width - 2 * MARGIN)));
    for (let second = 0; second < counts.length; second += group) {
      const end = Math.min(second + group, counts.length);
      const lengthS = end - 1 - second + this.#lengthOf(end - 1);
      const rate = (this.#before[end] - this.#before[second]) / Math.max(lengthS, MIN_RATED_S);
      const high = Math.min(1, rate / most) * (BARS - BARS_TOP);
      const left = this.#across(second);
      context.fillRect(left, BARS - high, Math.max(1, this.#across(second + lengthS) - left - (group > 1 ? 0 : 1)), high);
    }
    context.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {number} width @param {(name: string) => string} colour */
  #drawTimes(context, width, colour) {
    const most = (width - 2 * MARGIN) / MIN_TICK_PX;
    const step = TICKS_S.find((each) => this.#lengthS / each <= most) ?? 86_400;
    context.font = "10.5px Inter, system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let k = 0; k * step <= this.#lengthS; k += 1) {
      const x = this.#across(k * step);
      context.fillStyle = colour("line-strong");
      context.fillRect(Math.round(x), BARS, 1, 4);
      context.fillStyle = colour("muted");
      context.textAlign = k ? "center" : "left";
      context.fillText(clock(k * step, step < 1 ? 1 : 0), x, TIMES);
    }
  }
}

/** @param {CanvasRenderingContext2D} context @param {Mark} mark @param {number} x @param {(name: string) => string} colour */
function drawMark(context, { kind, level }, x, colour) {
  if (kind === "gap") {
    context.fillStyle = colour("bad");
    context.fillRect(x - 1, BARS_TOP, 2, BARS - BARS_TOP);
    return;
  }
  if (kind === "map") {
    context.fillStyle = colour("text");
    context.fillRect(x - 0.5, BARS_TOP, 1, MARKS - BARS_TOP);
    context.fillRect(x - 4, MARKS - 4, 8, 8);
    context.fillStyle = colour("panel");
    context.fillRect(x, MARKS - 3, 3, 3);
    context.fillRect(x - 3, MARKS, 3, 3);
    return;
  }
  const name = kind === "note" ? "measured" : { warning: "warn", error: "bad" }[level] ?? "muted";
  context.fillStyle = colour(name);
  context.beginPath();
  if (kind === "note") {
    context.moveTo(x - 1, MARKS - 7);
    context.lineTo(x + 8, MARKS - 3);
    context.lineTo(x + 1, MARKS + 1);
    context.lineTo(x + 1, MARKS + 7);
    context.lineTo(x - 1, MARKS + 7);
  } else context.arc(x, MARKS, level === "info" ? 3 : 4, 0, 2 * Math.PI);
  context.fill();
}
