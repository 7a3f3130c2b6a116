/** The panel of the tools: which one, how large, what repeats. */

import { byId, context2d, setText } from "../../lib/dom.js";
import { NO_SYMMETRY } from "./drawing.js";
import { MAX_BRUSH } from "./tools.js";

/**
 * @typedef {import("./editor.js").Editor} Editor
 * @typedef {import("./tools.js").Tool} Tool
 */

const INK_PIXELS = 28;

export class Toolbar {
  #editor;
  /** @type {HTMLButtonElement[]} */ #buttons = [...byId("tool").querySelectorAll("button")];
  #size = byId("brush-size", HTMLInputElement);
  /** @type {(level: number) => [number, number, number]} */ #colourOf = () => [0, 0, 0];

  /** @param {Editor} editor */
  constructor(editor) {
    this.#editor = editor;
    for (const button of this.#buttons) {
      button.addEventListener("click", () => editor.take(/** @type {Tool} */ (button.dataset.tool)));
    }
    byId("tool").addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const at = this.#buttons.findIndex((button) => button.dataset.tool === editor.tools.tool);
      const next = this.#buttons[(at + step + this.#buttons.length) % this.#buttons.length];
      next.focus();
      next.click();
    });
    this.#size.max = String(MAX_BRUSH);
    this.#size.addEventListener("input", () => editor.resize(this.#size.valueAsNumber - editor.tools.size));
    /** @param {string} id @param {() => void} act */
    const click = (id, act) => byId(id).addEventListener("click", act);
    click("undo", () => editor.undo());
    click("redo", () => editor.redo());
    click("zoom-in", () => editor.zoom(1));
    click("zoom-out", () => editor.zoom(-1));
    click("zoom-fit", () => editor.zoom(0));
    click("everywhere", () => { editor.tools.everywhere = byId("everywhere", HTMLInputElement).checked; });
    click("cover", () => editor.after(editor.tools.cover()));
    click("lift", () => {
      const ink = editor.tools.lift();
      if (ink) editor.use(ink);
      if (ink) editor.take("stamp");
    });
    for (const id of ["repeats", "tile-width", "tile-height", "mirror-across", "mirror-down"]) {
      byId(id).addEventListener("input", () => {
        editor.drawing.symmetry = this.symmetry;
        editor.draw();
      });
    }
  }

  /** @returns {import("./drawing.js").Symmetry} */
  get symmetry() {
    /** @param {string} id */
    const input = (id) => byId(id, HTMLInputElement);
    /** @param {string} id */
    const side = (id) => {
      const { min, max, valueAsNumber } = input(id);
      return Math.min(Math.max(Math.round(valueAsNumber) || 1, Number(min)), Number(max));
    };
    const tile = input("repeats").checked
      ? { tileWidth: side("tile-width"), tileHeight: side("tile-height") }
      : {};
    return { ...NO_SYMMETRY, ...tile, across: input("mirror-across").checked, down: input("mirror-down").checked };
  }

  /** Draw tiles in these colours. @param {(level: number) => [number, number, number]} colourOf */
  colour(colourOf) {
    this.#colourOf = colourOf;
    this.follow();
  }

  /** Show what the tools are now. */
  follow() {
    const { tools, drawing } = this.#editor;
    const { tool, size, ink, selection } = tools;
    for (const button of this.#buttons) {
      const here = button.dataset.tool === tool;
      button.setAttribute("aria-checked", String(here));
      button.tabIndex = here ? 0 : -1;
    }
    byId("brush-options").hidden = tool !== "brush";
    byId("fill-options").hidden = tool !== "fill";
    byId("select-options").hidden = tool !== "select";
    const isTile = ink.width * ink.height > 1;
    byId("ink-options").hidden = !isTile && tool !== "stamp";
    if (isTile || tool === "stamp") this.#drawInk();
    this.#size.value = String(size);
    setText("brush-size-label", String(size));
    byId("undo", HTMLButtonElement).disabled = !drawing.canUndo;
    byId("redo", HTMLButtonElement).disabled = !drawing.canRedo;
    byId("lift", HTMLButtonElement).disabled = selection === null;
  }

  #drawInk() {
    const { width, height, levels } = this.#editor.tools.ink;
    const canvas = byId("ink", HTMLCanvasElement);
    const scale = Math.max(1, Math.floor(INK_PIXELS / Math.max(width, height)));
    Object.assign(canvas, { width: width * scale, height: height * scale });
    const context = context2d(canvas);
    for (let at = 0; at < levels.length; at += 1) {
      const [r, g, b] = this.#colourOf(levels[at]);
      context.fillStyle = `rgb(${r} ${g} ${b})`;
      context.fillRect((at % width) * scale, Math.floor(at / width) * scale, scale, scale);
    }
  }
}
