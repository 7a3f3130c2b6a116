/**
 * The pictures: scene, initial and final reconstruction and the error of the final one, or any two of
 * them behind a wipe. All show the same part of the array, and the same crosshair.
 */

import { byId, make, setText } from "../../lib/dom.js";
import { GRAY, HEAT, Screen, rgb } from "../../lib/screen.js";
import { Zoom } from "./zoom.js";

/**
 * @typedef {import("../../net/packets.js").Picture} Picture
 * @typedef {import("../../lib/pointing.js").Pixel} Pixel
 * @typedef {import("../../lib/pointing.js").Pointed} Pointed
 * @typedef {"truth"|"initial"|"final"|"error"} Name
 */

/** @type {Record<Name, string>} */
const TITLES = { truth: "Scene", initial: "Initial", final: "Final", error: "Error" };
const NAMES = /** @type {Name[]} */ (Object.keys(TITLES));

const ERROR_GAIN = 8;
const WIPE_LINE = rgb(240, 184, 75);
const WIPE_STEP = 0.02;
/** A pointer that moved further than this, in CSS pixels, has dragged and not clicked. */
const DRAG_PX = 4;

export class Pictures {
  #root;
  #redraw;
  #pointed;
  /** @type {Record<Name|"wiped", Screen>} */ #screens;
  #zoom = new Zoom();
  #errorPlane = new Uint8Array(0);
  #mixed = new Uint32Array(0);
  #wiping = false;
  #wipeShare = 0.5;
  #left = byId("wipe-left", HTMLSelectElement);
  #right = byId("wipe-right", HTMLSelectElement);
  #slider = byId("wipe-at", HTMLInputElement);
  #dragged = false;
  #referenced = true;
  #size = { height: 0, width: 0 };
  /** @type {Pixel} */ #cross = { x: -1, y: -1 };

  /**
   * @param {HTMLElement} root Of the view.
   * @param {() => void} redraw Draws the present picture again.
   * @param {Pointed} pointed
   */
  constructor(root, redraw, pointed) {
    this.#root = root;
    this.#redraw = redraw;
    this.#pointed = pointed;
    const screen = (/** @type {Name|"wiped"} */ name) => {
      const found = new Screen(byId(name, HTMLCanvasElement));
      found.onPoint(pointed, () => !this.#dragged);
      this.#operate(found);
      return found;
    };
    this.#screens = {
      truth: screen("truth"), initial: screen("initial"), final: screen("final"), error: screen("error"), wiped: screen("wiped"),
    };
    for (const [select, chosen] of /** @type {const} */ ([[this.#left, "initial"], [this.#right, "final"]])) {
      select.append(...NAMES.map((name) => make("option", { value: name }, TITLES[name])));
      select.value = chosen;
      select.addEventListener("change", redraw);
    }
    this.#slider.addEventListener("input", () => this.#wipeTo(Number(this.#slider.value) / 100));
    byId("wipe").addEventListener("click", () => this.toggleWipe());
    byId("zoom-in").addEventListener("click", () => this.zoom(1));
    byId("zoom-out").addEventListener("click", () => this.zoom(-1));
    byId("zoom-fit").addEventListener("click", () => this.zoom(0));
    new ResizeObserver(() => this.#look()).observe(root);
  }

  /**
   * Show plane `index` of a window.
   * @param {Picture} picture @param {number} index
   * @param {string} by What reconstructed it, if that is known.
   * @param {boolean} givesScene Whether the board can be asked for its scene.
   */
  draw(picture, index, by, givesScene) {
    const { height, width } = picture;
    if (height !== this.#size.height || width !== this.#size.width) this.#resize(height, width);
    if (givesScene !== this.#referenced) this.#refer(givesScene);
    const truth = picture.truth?.[index] ?? null;
    const planes = {
      truth, initial: picture.initial[index], final: picture.final[index], error: null,
    };
    if (this.#wiping) this.#showWipe(planes, height, width);
    else {
      for (const name of NAMES) {
        if (!this.#isShown(name)) continue;
        const plane = this.#plane(name, planes);
        if (plane) this.#screens[name].show(plane, height, width, name === "error" ? HEAT : GRAY);
        else this.#screens[name].clear();
      }
    }
    const why = truth || !givesScene ? "" : "The scene of this window has not arrived.";
    for (const name of ["truth", "error"]) setText(`${name}-empty`, why);
    setText("final-note", by && `by ${by}`);
  }

  /** Show the crosshair at a pixel. @param {Pixel} pixel */
  mark(pixel) {
    this.#cross = pixel;
    for (const { canvas, part } of Object.values(this.#screens)) {
      const { left, top, width, height } = part ?? { left: 0, top: 0, ...this.#size };
      const cross = /** @type {HTMLElement} */ (canvas.nextElementSibling);
      const inside = pixel.x >= left && pixel.y >= top && pixel.x < left + width && pixel.y < top + height;
      cross.hidden = !inside;
      if (!inside) continue;
      cross.style.setProperty("--x", `${(100 * (pixel.x - left + 0.5)) / width}%`);
      cross.style.setProperty("--y", `${(100 * (pixel.y - top + 0.5)) / height}%`);
    }
  }

  toggleWipe() {
    this.#wiping = !this.#wiping;
    byId("wipe").setAttribute("aria-pressed", String(this.#wiping));
    this.#root.classList.toggle("wiping", this.#wiping);
    this.#look();
  }

  /** Zoom in or out by some steps, or fit the array to its box. @param {number} steps 0 to fit. */
  zoom(steps) {
    if (steps) this.#zoom.change(steps);
    else this.#zoom.fit();
    if (this.#cross.x >= 0 && steps) this.#zoom.centre = this.#cross;
    setText("zoom-fit", this.#zoom.label);
    this.#look();
  }

  /** The pictures on the screen with their titles, left to right. @returns {[string, HTMLCanvasElement][]} */
  get shown() {
    if (this.#wiping) {
      const pair = [this.#left, this.#right].map((select) => TITLES[/** @type {Name} */ (select.value)]);
      return [[pair.join(" | "), this.#screens.wiped.canvas]];
    }
    return NAMES.filter((name) => this.#isShown(name)).map((name) => [TITLES[name], this.#screens[name].canvas]);
  }

  /** @param {Name} name */
  #isShown(name) {
    return this.#referenced || name === "initial" || name === "final";
  }

  /** Without a reference there is neither a scene nor an error. @param {boolean} referenced */
  #refer(referenced) {
    this.#referenced = referenced;
    this.#root.classList.toggle("unreferenced", !referenced);
    for (const select of [this.#left, this.#right]) {
      for (const option of select.options) {
        option.disabled = option.hidden = !this.#isShown(/** @type {Name} */ (option.value));
      }
      if (select.selectedOptions[0]?.disabled) select.value = select === this.#left ? "initial" : "final";
    }
    this.#look();
  }

  /** @param {number} height @param {number} width */
  #resize(height, width) {
    this.#size = { height, width };
    this.#zoom.centre = null;
    this.#root.style.setProperty("--aspect", `${width} / ${height}`);
    this.#look();
  }

  /** Fit the canvases to their boxes, and draw again. */
  #look() {
    const { height, width } = this.#size;
    if (!height) return;
    for (const screen of Object.values(this.#screens)) {
      const sheet = /** @type {HTMLElement} */ (screen.canvas.parentElement);
      const box = /** @type {HTMLElement} */ (sheet.parentElement);
      const look = this.#zoom.within(height, width, { width: box.clientWidth, height: box.clientHeight });
      screen.part = look?.part ?? null;
      sheet.classList.toggle("zoomed", look !== null);
      sheet.style.width = look ? `${look.cssWidth}px` : "";
      sheet.style.height = look ? `${look.cssHeight}px` : "";
    }
    this.mark(this.#cross);
    this.#redraw();
  }

  /**
   * @param {Name} name
   * @param {Record<Name, Uint8Array|null>} planes
   */
  #plane(name, { truth, final, ...others }) {
    if (name !== "error") return { truth, final, ...others }[name];
    if (!truth || !final) return null;
    if (this.#errorPlane.length !== final.length) this.#errorPlane = new Uint8Array(final.length);
    const out = this.#errorPlane;
    for (let i = 0; i < final.length; i += 1) {
      out[i] = Math.min(255, ERROR_GAIN * Math.abs(final[i] - truth[i]));
    }
    return out;
  }

  /**
   * Show one picture left of the line, the other right of it.
   * @param {Record<Name, Uint8Array|null>} planes @param {number} height @param {number} width
   */
  #showWipe(planes, height, width) {
    const screen = this.#screens.wiped;
    const columns = screen.part?.width ?? width;
    const edge = Math.round(this.#wipeShare * columns);
    [this.#left, this.#right].forEach((select, side) => {
      const name = /** @type {Name} */ (select.value);
      const plane = this.#plane(name, planes);
      if (plane) screen.show(plane, height, width, name === "error" ? HEAT : GRAY);
      else screen.clear();
      if (side === 0) {
        if (this.#mixed.length !== screen.pixels.length) this.#mixed = new Uint32Array(screen.pixels.length);
        this.#mixed.set(screen.pixels);
      }
    });
    const { pixels } = screen;
    for (let row = 0; row < pixels.length; row += columns) {
      pixels.set(this.#mixed.subarray(row, row + edge), row);
      pixels[row + Math.min(edge, columns - 1)] = WIPE_LINE;
    }
    screen.flush();
  }

  /** @param {number} share */
  #wipeTo(share) {
    this.#wipeShare = Math.min(1, Math.max(0, share));
    this.#slider.value = String(100 * this.#wipeShare);
    this.#redraw();
  }

  /** Drag to move a zoomed part or the line of the wipe; keys for all of it. @param {Screen} screen */
  #operate(screen) {
    const { canvas } = screen;
    const box = /** @type {HTMLElement} */ (canvas.parentElement?.parentElement);
    /** @type {{x: number, y: number, centre: Pixel}|null} */ let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      const { part } = screen;
      const { left, top, width, height } = part ?? { left: 0, top: 0, width: 0, height: 0 };
      from = { x: event.clientX, y: event.clientY, centre: { x: left + (width >> 1), y: top + (height >> 1) } };
      this.#dragged = false;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      const moved = { x: event.clientX - from.x, y: event.clientY - from.y };
      if (Math.hypot(moved.x, moved.y) > DRAG_PX) this.#dragged = true;
      if (!this.#dragged) return;
      const shown = canvas.getBoundingClientRect();
      if (screen === this.#screens.wiped) this.#wipeTo((event.clientX - shown.left) / shown.width);
      else if (screen.part) {
        const cell = shown.width / screen.part.width;
        this.#zoom.centre = {
          x: Math.round(from.centre.x - moved.x / cell), y: Math.round(from.centre.y - moved.y / cell),
        };
        this.#look();
      }
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
    box.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // the wheel alone scrolls the page; a pinch arrives with ctrl
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1 : -1);
    }, { passive: false });
    box.addEventListener("keydown", (event) => this.#key(event, screen));
  }

  /** @param {KeyboardEvent} event @param {Screen} screen */
  #key(event, screen) {
    const far = event.shiftKey ? 10 : 1;
    /** @type {Record<string, [number, number]>} */
    const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
    const { height, width } = this.#size;
    const { x, y } = this.#cross;
    if (event.altKey && event.key.startsWith("Arrow") && screen === this.#screens.wiped) {
      this.#wipeTo(this.#wipeShare + WIPE_STEP * Math.sign(moves[event.key][0]));
    } else if (event.key in moves && height) {
      const [across, down] = moves[event.key];
      this.#pointed({
        x: Math.min(Math.max(0, x + across), width - 1), y: Math.min(Math.max(0, y + down), height - 1),
      }, false);
      if (this.#zoom.factor) {
        this.#zoom.centre = this.#cross;
        this.#look();
      }
    } else if (event.key === "Enter") this.#pointed(this.#cross, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
