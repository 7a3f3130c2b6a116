/** The editor: a drawing under the pointer or the keyboard, its tools, and the way back. */

import { byId, setText } from "../../lib/dom.js";
import { Drawing } from "./drawing.js";
import { Easel } from "./easel.js";
import { Hand } from "./hand.js";
import { keysOf } from "./keys.js";
import { Marks } from "./marks.js";
import { Palette } from "./palette.js";
import { Toolbar } from "./toolbar.js";
import { MAX_BRUSH, Tools, plain } from "./tools.js";

/**
 * @typedef {import("../../lib/ratio-map.js").RatioMap} RatioMap
 * @typedef {import("../../lib/pointing.js").Pixel} Pixel
 */

export class Editor {
  drawing = new Drawing(1, 1, new Uint8Array(1));
  tools = new Tools(this.drawing);
  easel = new Easel(byId("easel", HTMLCanvasElement));
  /** @type {(level: number) => [number, number, number]} */ colourOf = () => [0, 0, 0];
  /** The cell of the keyboard. */
  cursor = { x: 0, y: 0 };
  #marks = new Marks(byId("easel-marks", HTMLCanvasElement), this.easel);
  #palette = new Palette(byId("palette"), (level) => this.choose(level));
  #toolbar;
  #changed;
  #counted;
  #resized = new ResizeObserver(() => { if (this.easel.resize()) this.#mark(); });
  #keys = keysOf(this);
  /** @type {Pixel|null} The cell under the pointer. */ #under = null;
  #drawn = 0;

  /**
   * @param {() => void} changed Called when a step was painted, undone or redone.
   * @param {(counts: Uint32Array) => void} counted Called with the cells at each level, also meanwhile.
   */
  constructor(changed, counted) {
    this.#changed = changed;
    this.#counted = counted;
    this.#toolbar = new Toolbar(this);
    new Hand(this.easel, {
      press: (cell, pick) => (pick ? this.pick(cell) : this.press(cell)),
      move: (cell) => this.drag(cell),
      release: () => this.release(),
      cancel: () => {
        this.tools.cancel();
        this.draw();
      },
      leave: () => {
        this.#under = null;
        this.#mark();
      },
      moved: () => this.#mark(),
    });
    this.easel.canvas.addEventListener("focus", () => this.#mark());
    this.easel.canvas.addEventListener("blur", () => this.#mark());
  }

  /** Levels that the sensor can run. */
  get levels() {
    return this.#palette.levels;
  }

  show() {
    this.easel.dress();
    this.#resized.observe(this.easel.canvas);
    document.addEventListener("keydown", this.#keys.down);
    document.addEventListener("keyup", this.#keys.up);
  }

  hide() {
    this.#resized.disconnect();
    document.removeEventListener("keydown", this.#keys.down);
    document.removeEventListener("keyup", this.#keys.up);
  }

  /**
   * Paint on these levels from now on; of the steps before, none can be undone.
   * @param {RatioMap} map Whose level set they have.
   * @param {{width: number, height: number, levels: Uint8Array}} painted
   */
  open(map, { width, height, levels }) {
    const { levels: before } = this;
    this.drawing = new Drawing(width, height, levels);
    this.drawing.symmetry = this.#toolbar.symmetry;
    this.tools.take(this.drawing);
    this.cursor = { x: Math.min(this.cursor.x, width - 1), y: Math.min(this.cursor.y, height - 1) };
    this.#palette.offer(map);
    if (before.join() !== this.levels.join()) this.choose(this.levels.find((level) => level > 0) ?? 0);
    this.colourOf = (level) => map.colour(level);
    this.easel.resize();
    this.easel.show(this.drawing, this.colourOf);
    this.#follow();
  }

  /** Offer tiles to paint with. @param {Record<string, number[][]>} tiles */
  offer(tiles) {
    this.#toolbar.offer(tiles);
  }

  /** Paint with a level. @param {number} level */
  choose(level) {
    this.use(plain(level));
  }

  /** Paint with a level or a tile. @param {import("./tools.js").Ink} ink */
  use(ink) {
    this.tools.ink = ink;
    const isTile = ink.width * ink.height > 1;
    this.#palette.mark(isTile ? null : ink.levels[0]);
    this.#toolbar.follow();
    this.#mark();
  }

  /** Paint with the level of a cell. @param {Pixel} cell */
  pick({ x, y }) {
    const { width, height, levels } = this.drawing;
    if (x >= 0 && y >= 0 && x < width && y < height) this.choose(levels[y * width + x]);
  }

  /** @param {Pixel} cell */
  press(cell) {
    this.tools.press(cell);
    this.draw();
  }

  /** @param {Pixel} cell */
  drag(cell) {
    const here = this.#under;
    if (here && here.x === cell.x && here.y === cell.y) return;
    this.#under = cell;
    if (this.tools.pressed) this.tools.drag(cell);
    this.draw();
  }

  release() {
    this.after(this.tools.release());
  }

  /** Show what a step has done. @param {boolean} happened */
  after(happened) {
    this.draw();
    this.#toolbar.follow();
    if (!happened) return;
    this.#follow();
    this.#changed();
  }

  undo() {
    this.tools.cancel();
    this.after(this.drawing.undo());
  }

  redo() {
    this.tools.cancel();
    this.after(this.drawing.redo());
  }

  /** Move the cell of the keyboard. @param {number} across @param {number} down */
  walk(across, down) {
    const { width, height } = this.drawing;
    const x = Math.min(Math.max(this.cursor.x + across, 0), width - 1);
    const y = Math.min(Math.max(this.cursor.y + down, 0), height - 1);
    this.cursor = { x, y };
    this.#under = null;
    this.easel.reveal(this.cursor);
    if (this.tools.pressed) this.tools.drag(this.cursor);
    this.draw();
  }

  /** Use another tool. @param {import("./tools.js").Tool} tool */
  take(tool) {
    this.tools.cancel();
    this.tools.tool = tool;
    this.#toolbar.follow();
    this.draw();
  }

  /** Make the brush larger or smaller. @param {number} by */
  resize(by) {
    this.tools.size = Math.min(Math.max(this.tools.size + by, 1), MAX_BRUSH);
    this.#toolbar.follow();
    this.#mark();
  }

  /** Show the cells larger, smaller, or as the whole map fits. @param {1|-1|0} way */
  zoom(way) {
    const { scale, canvas } = this.easel;
    const step = Math.max(1, scale >> 2);
    if (way) this.easel.zoom(scale + way * step, { x: canvas.width / 2, y: canvas.height / 2 });
    else this.easel.fit();
    this.#mark();
  }

  /** Leave what was begun, else the selection. */
  escape() {
    if (this.tools.pressed) this.tools.cancel();
    else this.tools.selection = null;
    this.#toolbar.follow();
    this.draw();
  }

  /** Bring what has changed onto the screen. */
  draw() {
    this.easel.update();
    this.#mark();
    if (this.tools.pressed) {
      cancelAnimationFrame(this.#drawn);
      this.#drawn = requestAnimationFrame(() => this.#follow());
    }
  }

  #follow() {
    const { counts, width, height } = this.drawing;
    this.#palette.follow(counts, width * height);
    this.#counted(counts);
    this.#toolbar.follow();
    this.#mark();
  }

  #mark() {
    const { drawing, tools, easel } = this;
    const byKeys = document.activeElement === easel.canvas && !this.#under;
    const cell = this.#under ?? (byKeys ? this.cursor : null);
    const { tileWidth: width, tileHeight: height } = drawing.symmetry;
    this.#marks.draw({
      selection: tools.selection,
      tile: width ? { left: 0, top: 0, width, height } : null,
      band: tools.band,
      reach: cell && tools.reach(cell),
    });
    setText("zoom-label", `${easel.scale}×`);
    const { x, y } = cell ?? { x: -1, y: -1 };
    const inside = x >= 0 && y >= 0 && x < drawing.width && y < drawing.height;
    const at = inside ? `x ${x}, y ${y}: level ${drawing.levels[y * drawing.width + x]}` : "";
    setText("easel-note", at || `${drawing.width} × ${drawing.height}`);
    if (byKeys) setText("easel-cell", at);
  }
}
