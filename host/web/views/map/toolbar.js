/** The panel of the tools: which one, how large, what repeats. */

import { byId, make, setText } from "../../lib/dom.js";
import { NO_SYMMETRY } from "./drawing.js";
import { drawTile } from "./tile-picture.js";
import { MAX_BRUSH } from "./tools.js";

/**
 * @typedef {import("./editor.js").Editor} Editor
 * @typedef {import("./tools.js").Tool} Tool
 */

export class Toolbar {
  #editor;
  /** @type {HTMLButtonElement[]} */ #buttons = [...byId("tool").querySelectorAll("button")];
  #size = byId("brush-size", HTMLInputElement);

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
    click("easel-in", () => editor.zoom(1));
    click("easel-out", () => editor.zoom(-1));
    click("easel-fit", () => editor.zoom(0));
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

  /** Offer tiles to paint with. @param {Record<string, number[][]>} tiles */
  offer(tiles) {
    const { colourOf } = this.#editor;
    byId("tiles").replaceChildren(...Object.entries(tiles).map(([name, rows]) => {
      const ink = { left: 0, top: 0, width: rows[0].length, height: rows.length, levels: rows.flat() };
      const picture = make("canvas", {});
      drawTile(picture, ink, colourOf);
      const button = make("button", { type: "button", title: name }, picture);
      button.setAttribute("aria-label", `Paint with ${name}`);
      button.addEventListener("click", () => this.#editor.use(ink));
      return button;
    }));
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
    byId("tiles").hidden = tool === "select";
    byId("ink-options").hidden = !isTile && tool !== "stamp";
    if (isTile || tool === "stamp") this.#drawInk();
    this.#size.value = String(size);
    setText("brush-size-label", String(size));
    byId("undo", HTMLButtonElement).disabled = !drawing.canUndo;
    byId("redo", HTMLButtonElement).disabled = !drawing.canRedo;
    byId("lift", HTMLButtonElement).disabled = selection === null;
  }

  #drawInk() {
    drawTile(byId("ink", HTMLCanvasElement), this.#editor.tools.ink, this.#editor.colourOf);
  }
}
