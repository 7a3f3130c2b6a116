/** How often each code of the ADC occurs among the reads of a window, and what lies at its ends. */

import { byId, context2d, setText } from "../../lib/dom.js";
import { grouped } from "../../lib/format.js";
import { Plot } from "../../lib/plot.js";
import { Seen } from "../../lib/seen.js";
import { fillTable } from "../../lib/table.js";

/**
 * @typedef {import("../../net/packets.js").Readout} Readout
 * @typedef {import("../../net/types.js").BoardIdentity} BoardIdentity
 */

const BINS = 64;

export class Histogram {
  #canvas = byId("histogram", HTMLCanvasElement);
  #values = byId("histogram-values", HTMLTableElement);
  /** @type {{readout: Readout, board: BoardIdentity}|null} The newest. */ #of = null;
  #seen = new Seen(byId("histogram-panel"), () => this.#draw());

  /** Whether it is on the screen. */
  get seen() {
    return this.#seen.now;
  }

  /** Show nothing until the next window. */
  clear() {
    this.#of = null;
    const { width, height } = this.#canvas;
    context2d(this.#canvas).clearRect(0, 0, width, height);
    setText("histogram-note", "");
    this.#values.tBodies[0]?.replaceChildren();
  }

  /** @param {Readout} readout @param {BoardIdentity} board */
  show(readout, board) {
    this.#of = { readout, board };
    this.#draw();
  }

  #draw() {
    if (!this.#of || !this.seen) return;
    const { readout: { codes }, board: { bits, black_level_dn: black, full_scale_dn: fullScale } } = this.#of;
    const highest = 2 ** bits - 1;
    const counts = new Uint32Array(BINS);
    let [saturated, clipped, below] = [0, 0, 0];
    for (let i = 0; i < codes.length; i += 1) {
      const code = codes[i];
      counts[Math.floor((code * BINS) / (highest + 1))] += 1;
      if (code === highest) saturated += 1;
      else if (code === 0) clipped += 1;
      if (code < black) below += 1;
    }
    const decades = Math.ceil(Math.log10(Math.max(10, ...counts)));
    const plot = new Plot(
      this.#canvas,
      { low: 0, high: highest + 1, ticks: [black, black + fullScale], texts: ["black", "white"] },
      { low: 0, high: decades, ticks: range(decades), texts: range(decades).map((n) => ["1", "10", "100"][n] ?? `${10 ** (n - 3)}k`) },
    );
    const { context } = plot;
    plot.use("final");
    const floor = plot.up(0);
    counts.forEach((count, bin) => {
      if (!count) return;
      const [left, right] = [bin, bin + 1].map((edge) => plot.across((edge * (highest + 1)) / BINS));
      const top = plot.up(Math.max(Math.log10(count), 0.06));
      context.fillRect(left + 0.5, top, Math.max(1, right - left - 1), floor - top);
    });
    plot.use("muted");
    context.setLineDash([2, 3]);
    for (const level of [black, black + fullScale]) plot.line([[level, 0], [level, decades]], 1);
    setText("histogram-note", `${grouped(codes.length)} reads`);
    const share = (/** @type {number} */ count) => `${((100 * count) / (codes.length || 1)).toFixed(2)} %`;
    fillTable(this.#values, [
      { heading: ["Saturated"], cells: [`${share(saturated)} at ${grouped(highest)} DN`], className: saturated ? "bad" : "" },
      { heading: ["Clipped"], cells: [`${share(clipped)} at 0 DN`], className: clipped ? "bad" : "" },
      { heading: ["Below black"], cells: [`${share(below)} under ${grouped(Math.round(black))} DN`] },
    ]);
  }
}

/** Whole numbers from 0 to the last. @param {number} last */
const range = (last) => Array.from({ length: last + 1 }, (_, i) => i);
