/** The adaptive map: where it reads, drawn over the picture, what it saves, and when its grids come. */

import { byId, set, setText } from "../../lib/dom.js";
import { fixed, grouped } from "../../lib/format.js";
import { Screen, rgb } from "../../lib/screen.js";
import { Seen } from "../../lib/seen.js";
import { fillTable } from "../../lib/table.js";

/**
 * @typedef {import("../../net/packets.js").Picture} Picture
 * @typedef {import("../../net/types.js").AdaptiveState} AdaptiveState
 * @typedef {import("../../net/types.js").LiveState} LiveState
 */

/** Colours of blocks that are read less and more often than the budget reads everywhere. */
const FEWER = [58, 132, 255];
const MORE = [255, 132, 32];

/** Share of the colour in the picture, where a block is read `FACTOR` times as often, or less. */
const TINT = 0.6;
const FACTOR = 4;

/** What is so while the board is lost, or does something else. */
const UNREAD = "No windows come from the board: these figures are of the last ones.";

export class AdaptiveMap {
  #screen = new Screen(byId("adaptive-reads", HTMLCanvasElement));
  #follow = byId("adaptive-follow", HTMLButtonElement);
  /** @type {AdaptiveState|null} */ #state = null;
  /** @type {{picture: Picture, index: number}|null} The newest. */ #of = null;
  #seen = new Seen(byId("adaptive-reads"), () => this.#draw());

  /** @param {import("../view.js").Context["service"]} service */
  constructor(service) {
    this.#follow.addEventListener("click", async () => {
      this.#follow.disabled = true;
      const refused = await service.request("api/adaptive", "POST").then(() => "", service.sentenceOf);
      this.#follow.disabled = false;
      setText("adaptive-say", refused);
    });
  }

  /** @param {LiveState} state */
  follow({ adaptive, map, phase }) {
    this.#state = adaptive;
    set(byId("adaptive"), { hidden: adaptive === null });
    if (adaptive === null || map === null) return;
    setText("adaptive-note", phase === "streaming" ? adaptive.activity : UNREAD);
    set(this.#follow, { hidden: adaptive.active });
    const { windows, windows_under_grid: moved, reads } = adaptive;
    const whole = map.height * map.width * map.slots;
    /** @param {number} count @param {number} of */
    const share = (count, of) => (of ? `${fixed((100 * count) / of, 1)} %` : "–");
    const ages = Object.entries(adaptive.delays).map(([age, count]) => `${age}: ${share(count, moved)}`);
    const late = adaptive.grids_late + adaptive.grids_refused;
    /** @type {[string, string, string?][]} */
    const rows = [
      ["Budget", `${grouped(adaptive.budget_reads)} reads per window, ${share(adaptive.budget_reads, whole)} of a full readout`],
      ["Reads of the newest window", reads === null ? "–" : `${grouped(reads)}, ${share(reads, adaptive.budget_reads)} of it`],
      ["Saved against a full readout", reads === null ? "–" : share(whole - reads, whole)],
      ["Reads per pixel, least and most read tile", `${fixed(Math.min(...adaptive.tile_reads), 2)}, ${fixed(Math.max(...adaptive.tile_reads), 2)}`],
      ["Windows not read at rest", `${grouped(moved)} of ${grouped(windows)}`],
      ["Age of their grids, windows", ages.join(", ") || "–"],
      ["Grids late, refused", `${grouped(adaptive.grids_late)}, ${grouped(adaptive.grids_refused)}`, late ? "warn" : ""],
      ["Windows over the budget", grouped(adaptive.windows_over_budget), adaptive.windows_over_budget ? "bad" : ""],
      ["One choice", `${fixed(adaptive.choice_ms, 1)} ms`],
    ];
    fillTable(byId("adaptive-values", HTMLTableElement), rows.map(([heading, value, className]) => (
      { heading: [heading], cells: [value], className })));
  }

  /** Draw where a window was read over plane `index` of it. @param {Picture} picture @param {number} index */
  draw(picture, index) {
    this.#of = { picture, index };
    this.#draw();
  }

  #draw() {
    const state = this.#state;
    if (!state || !this.#of || !this.#seen.now) return;
    const { picture: { final, grid, height, width }, index } = this.#of;
    const plane = final[index];
    if (!grid) {
      this.#screen.show(plane, height, width);
      return;
    }
    this.#screen.resize(height, width);
    const { tile_reads: reads, block, columns, budget_reads: budget } = state;
    const tints = reads.map((each) => {
      const factor = Math.log2((each * height * width) / budget) / Math.log2(FACTOR);
      return { share: TINT * Math.min(Math.abs(factor), 1), colour: factor < 0 ? FEWER : MORE };
    });
    const { pixels } = this.#screen;
    for (let y = 0; y < height; y += 1) {
      const row = Math.floor(y / block) * columns;
      for (let x = 0; x < width; x += 1) {
        const gray = plane[y * width + x];
        const { share, colour: [r, g, b] } = tints[grid[row + Math.floor(x / block)]];
        const rest = (1 - share) * gray;
        pixels[y * width + x] = rgb(share * r + rest, share * g + rest, share * b + rest);
      }
    }
    this.#screen.flush();
  }
}
