/** A drawing on a canvas: whole pixels per cell, a part of it enlarged, and only what changed. */

import { context2d } from "../../lib/dom.js";
import { rgb } from "../../lib/screen.js";

/**
 * @typedef {import("./drawing.js").Drawing} Drawing
 * @typedef {import("./steps.js").Rect} Rect
 * @typedef {import("../../lib/pointing.js").Pixel} Pixel
 */

const MAX_SCALE = 40;
/** Pixels per cell from which cells are apart, and from which they show their level. */
const GAPS_FROM = 6;
const DIGITS_FROM = 20;
/** Share of its colour that a cell keeps where the board's is the same. */
const FADED = 0.28;

export class Easel {
  canvas;
  /** Pixels of the screen per cell. */
  scale = 1;
  /** Cell at the top left corner; negative where the map is smaller than the canvas. */
  left = 0;
  top = 0;
  #context;
  /** @type {ImageData} */ #image;
  #pixels = new Uint32Array(1);
  /** @type {Drawing|null} */ #drawing = null;
  /** @type {Uint8Array|null} Levels that the drawing is compared with. */ #against = null;
  #colours = new Uint32Array(256);
  #faded = new Uint32Array(256);
  #dark = new Uint8Array(256);
  #ground = 0;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.#context = context2d(canvas, { alpha: false, willReadFrequently: true });
    this.#image = this.#context.createImageData(1, 1);
  }

  /**
   * Draw this from now on.
   * @param {Drawing} drawing @param {(level: number) => [number, number, number]} colourOf
   */
  show(drawing, colourOf) {
    const fits = this.#drawing?.width === drawing.width && this.#drawing.height === drawing.height;
    this.#drawing = drawing;
    for (let level = 0; level < 256; level += 1) {
      const [r, g, b] = colourOf(level);
      this.#colours[level] = rgb(r, g, b);
      const grey = 0.3 * r + 0.6 * g + 0.1 * b;
      this.#faded[level] = rgb(.../** @type {[number, number, number]} */ (
        [r, g, b].map((c) => Math.round(FADED * (0.5 * c + 0.5 * grey)))));
      this.#dark[level] = Number(grey > 120);
    }
    if (fits) this.redraw();
    else this.fit();
  }

  /** Fade the cells with the same level as these, from now on; none if null. @param {Uint8Array|null} levels */
  compare(levels) {
    this.#against = levels;
    this.redraw();
  }

  /** Take the colours of the theme. */
  dress() {
    const hex = getComputedStyle(this.canvas).getPropertyValue("--void").trim();
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    this.#ground = rgb(r, g, b);
    this.redraw();
  }

  /** Take the size that the page gives to the canvas. Whether it has changed. */
  resize() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (width === this.canvas.width && height === this.canvas.height) return false;
    const fitted = this.scale === this.#fitting;
    this.canvas.width = width;
    this.canvas.height = height;
    this.#image = this.#context.createImageData(width, height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
    if (fitted) this.scale = this.#fitting;
    this.#keepInside();
    this.redraw();
    return true;
  }

  /** Show the whole map, as large as whole pixels allow. */
  fit() {
    this.scale = this.#fitting;
    this.#keepInside();
    this.redraw();
  }

  /** Change the scale, and keep the cell under a place of the canvas there. @param {number} scale @param {Pixel} at */
  zoom(scale, at) {
    const [x, y] = [this.left + at.x / this.scale, this.top + at.y / this.scale];
    this.scale = Math.min(MAX_SCALE, Math.max(this.#fitting, Math.round(scale)));
    this.left = Math.round(x - at.x / this.scale);
    this.top = Math.round(y - at.y / this.scale);
    this.#keepInside();
    this.redraw();
  }

  /** Move to another part. @param {number} left @param {number} top */
  move(left, top) {
    this.left = Math.round(left);
    this.top = Math.round(top);
    this.#keepInside();
    this.redraw();
  }

  /** Show a part with this cell. @param {Pixel} cell */
  reveal({ x, y }) {
    const { width, height } = this.#cells;
    const left = Math.min(Math.max(this.left, x + 1 - width), x);
    const top = Math.min(Math.max(this.top, y + 1 - height), y);
    if (left !== this.left || top !== this.top) this.move(left, top);
  }

  /** The cell under a pointer, or beside the map. @param {MouseEvent} event @returns {Pixel} */
  cellAt(event) {
    const { x, y } = this.placeOf(event);
    return { x: Math.floor(this.left + x / this.scale), y: Math.floor(this.top + y / this.scale) };
  }

  /** The place of a pointer on the canvas, in its pixels. @param {{clientX: number, clientY: number}} event */
  placeOf({ clientX, clientY }) {
    const bounds = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / bounds.width;
    return { x: (clientX - bounds.left) * ratio, y: (clientY - bounds.top) * ratio };
  }

  /** Draw what has changed in the drawing. */
  update() {
    const changed = this.#drawing?.takeChanged();
    if (changed) this.#draw(changed);
  }

  /** Draw all of it, on the ground that the theme has. */
  redraw() {
    this.#drawing?.takeChanged();
    this.#pixels.fill(this.#ground);
    this.#context.putImageData(this.#image, 0, 0);
    if (this.#drawing) this.#draw({ left: 0, top: 0, right: this.#drawing.width, bottom: this.#drawing.height });
  }

  /** Whole cells that the canvas has room for. */
  get #cells() {
    const { canvas: { width, height }, scale } = this;
    return { width: Math.max(1, Math.floor(width / scale)), height: Math.max(1, Math.floor(height / scale)) };
  }

  get #fitting() {
    const { width, height } = this.#drawing ?? { width: 1, height: 1 };
    const scale = Math.floor(Math.min(this.canvas.width / width, this.canvas.height / height));
    return Math.min(MAX_SCALE, Math.max(1, scale));
  }

  /** Leave no empty border where there is map to show; a smaller map stands in the middle. */
  #keepInside() {
    const { width, height } = this.#drawing ?? { width: 1, height: 1 };
    const room = this.#cells;
    this.left = within(this.left, width - room.width);
    this.top = within(this.top, height - room.height);
  }

  /** @param {Rect} changed */
  #draw(changed) {
    const drawing = /** @type {Drawing} */ (this.#drawing);
    const { scale } = this;
    const { width, height } = this.canvas;
    const left = Math.max(changed.left, this.left);
    const top = Math.max(changed.top, this.top);
    const right = Math.min(changed.right, this.left + Math.ceil(width / scale));
    const bottom = Math.min(changed.bottom, this.top + Math.ceil(height / scale));
    if (left >= right || top >= bottom) return;
    const gap = scale >= GAPS_FROM ? 1 : 0;
    const x0 = (left - this.left) * scale;
    const x1 = Math.min(width, (right - this.left) * scale);
    for (let y = top; y < bottom; y += 1) {
      const first = (y - this.top) * scale * width;
      this.#drawRow(drawing, y, left, right, first + x0, first + x1, gap);
      const lines = Math.min(scale - gap, height - (y - this.top) * scale);
      for (let i = 1; i < lines; i += 1) {
        this.#pixels.copyWithin(first + i * width + x0, first + x0, first + x1);
      }
    }
    const y0 = (top - this.top) * scale;
    this.#context.putImageData(this.#image, 0, 0, x0, y0, x1 - x0, (bottom - top) * scale);
    if (scale >= DIGITS_FROM) this.#write(drawing, { left, top, right, bottom });
  }

  /**
   * @param {Drawing} drawing @param {number} y @param {number} left @param {number} right
   * @param {number} at @param {number} end @param {number} gap
   */
  #drawRow({ levels, width }, y, left, right, at, end, gap) {
    const against = this.#against;
    const inked = this.scale - gap;
    for (let cell = y * width + left; cell < y * width + right; cell += 1) {
      const level = levels[cell];
      const colour = (against?.[cell] === level ? this.#faded : this.#colours)[level];
      const stop = Math.min(at + inked, end);
      while (at < stop) this.#pixels[at++] = colour;
      at += gap; // stays of the ground
    }
  }

  /** @param {Drawing} drawing @param {Rect} part */
  #write({ levels, width }, { left, top, right, bottom }) {
    const { scale } = this;
    const context = this.#context;
    context.font = `600 ${Math.round(scale * 0.48)}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) {
        const level = levels[y * width + x];
        const same = this.#against?.[y * width + x] === level;
        context.fillStyle = this.#dark[level] && !same ? "#0d1117" : "#e6edf3";
        context.fillText(String(level), (x - this.left + 0.5) * scale, (y - this.top + 0.52) * scale);
      }
    }
  }
}

/** @param {number} at @param {number} spare Cells that do not fit; below 0, room that is left. */
const within = (at, spare) => (spare < 0 ? -Math.floor(-spare / 2) : Math.min(Math.max(at, 0), spare));
