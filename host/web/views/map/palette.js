/** The levels to paint with, and how much of the drawing each has. */

import { make } from "../../lib/dom.js";

/** @typedef {import("../../lib/ratio-map.js").RatioMap} RatioMap */

export class Palette {
  #root;
  #chosen;
  /** @type {Map<number, {button: HTMLButtonElement, bar: HTMLElement, share: HTMLElement}>} */ #rows = new Map();

  /** @param {HTMLElement} root A radio group. @param {(level: number) => void} chosen */
  constructor(root, chosen) {
    this.#root = root;
    this.#chosen = chosen;
    root.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const levels = this.levels;
      const at = levels.findIndex((level) => this.#rows.get(level)?.button === document.activeElement);
      const next = levels[(at + step + levels.length) % levels.length];
      this.#rows.get(next)?.button.focus();
      this.#chosen(next);
    });
  }

  /** Levels that the sensor can run, ascending. */
  get levels() {
    return [...this.#rows.keys()];
  }

  /** Offer the levels of a map. @param {RatioMap} map */
  offer(map) {
    const levels = Object.keys(map.document.colours).map(Number).sort((a, b) => a - b);
    if (levels.join() === this.levels.join()) return;
    this.#rows = new Map(levels.map((level) => {
      const bar = make("span", { className: "bar-of-share" });
      const share = make("span", { className: "share" });
      const colour = make("span", { className: "colour", textContent: String(level) });
      const [r, g, b] = map.colour(level);
      colour.style.background = bar.style.background = `rgb(${r} ${g} ${b})`;
      colour.style.color = 0.3 * r + 0.6 * g + 0.1 * b > 120 ? "#0d1117" : "#e6edf3";
      const button = make(
        "button",
        { type: "button" },
        colour,
        make("span", { textContent: level ? `${level} × ${map.slots / level} slots` : "not measured" }),
        make("span", { className: "track" }, bar),
        share,
      );
      button.setAttribute("role", "radio");
      button.setAttribute("aria-label", level ? `Level ${level}` : "Level 0, not measured");
      if (level < 10) button.setAttribute("aria-keyshortcuts", String(level));
      button.addEventListener("click", () => this.#chosen(level));
      return [level, { button, bar, share }];
    }));
    this.#root.replaceChildren(...[...this.#rows.values()].map(({ button }) => button));
  }

  /** Mark the level that is painted with; none where it is a tile. @param {number|null} level */
  mark(level) {
    for (const [each, { button }] of this.#rows) {
      const here = each === level;
      button.setAttribute("aria-checked", String(here));
      button.tabIndex = here || (level === null && each === 0) ? 0 : -1;
    }
  }

  /** @param {Uint32Array} counts Cells at each level. @param {number} total */
  follow(counts, total) {
    const largest = Math.max(...this.levels.map((level) => counts[level]));
    for (const [level, { bar, share }] of this.#rows) {
      bar.style.width = `${(100 * counts[level]) / largest}%`;
      share.textContent = `${((100 * counts[level]) / total).toFixed(1)} %`;
    }
  }
}
