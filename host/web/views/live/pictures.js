/**
 * The pictures: scene, initial and final reconstruction, that of a second bundle, and the error between
 * any two; or any two of them behind a wipe. All show the same part of the array, and the same crosshair.
 */

import { byId, setText } from "../../lib/dom.js";
import { GRAY, HEAT, Screen } from "../../lib/screen.js";
import { Seen } from "../../lib/seen.js";
import { ErrorPair } from "./error-pair.js";
import { onGestures } from "./gestures.js";
import { Wipe } from "./wipe.js";
import { Zoom } from "./zoom.js";

/**
 * @typedef {import("../../net/packets.js").Picture} Picture
 * @typedef {import("../../lib/pointing.js").Pixel} Pixel
 * @typedef {import("../../lib/pointing.js").Pointed} Pointed
 * @typedef {Record<string, Uint8Array|null>} Planes By the name of their picture.
 */

/** @type {Record<string, string>} */
const TITLES = { truth: "Scene", initial: "Initial", final: "Final", beside: "Beside", error: "Error" };
const NAMES = Object.keys(TITLES);
/** Those that are always there, and that a wipe begins with. @type {[string, string]} */
const ALWAYS = ["initial", "final"];
/** What the error is between where there is a reference. @type {[string, string]} */
const REFERENCED = ["final", "truth"];
/** What a comparison begins with. @type {[string, string]} */
const COMPARED = ["final", "beside"];

export class Pictures {
  #root;
  #redraw;
  #pointed;
  /** @type {Record<string, Screen>} */ #screens = {};
  /** @type {Record<string, Seen>} Whether each of them is on the screen. */ #seen = {};
  /** @type {Planes} That are shown. */ #planes = {};
  #wipe;
  #zoom = new Zoom();
  #error;
  #referenced = true;
  #comparing = false;
  #size = { height: 0, width: 0 };
  /** @type {Pixel} */ #cross = { x: -1, y: -1 };

  /**
   * @param {HTMLElement} root Of the view.
   * @param {() => void} redraw Draws the present picture again.
   * @param {Pointed} pointed
   */
  constructor(root, redraw, pointed) {
    this.#root = root;
    root.classList.add("waiting"); // for the first window
    this.#redraw = redraw;
    this.#pointed = pointed;
    this.#wipe = new Wipe(TITLES, ALWAYS, redraw);
    this.#error = new ErrorPair(TITLES, REFERENCED, redraw);
    this.#offer();
    for (const name of [...NAMES, "wiped"]) {
      this.#screens[name] = this.#screen(name);
      this.#seen[name] = new Seen(byId(name), () => this.#show(name));
    }
    byId("wipe").addEventListener("click", () => this.toggleWipe());
    byId("zoom-in").addEventListener("click", () => this.zoom(1));
    byId("zoom-out").addEventListener("click", () => this.zoom(-1));
    byId("zoom-fit").addEventListener("click", () => this.zoom(0));
    new ResizeObserver(() => this.#look()).observe(root);
  }

  /**
   * Show plane `index` of a window.
   * @param {Picture} picture @param {number} index
   * @param {(setup: number) => string} makerOf What reconstructed under a setup; empty if that is not known.
   * @param {boolean} givesScene Whether the board can be asked for its scene.
   */
  draw(picture, index, makerOf, givesScene) {
    const { height, width } = picture;
    if (!this.#size.height) this.#root.classList.remove("waiting");
    if (height !== this.#size.height || width !== this.#size.width) this.#resize(height, width);
    if (givesScene !== this.#referenced) {
      this.#referenced = givesScene;
      this.#offer();
    }
    const truth = picture.truth?.[index] ?? null;
    const beside = picture.beside?.[index] ?? null;
    this.#planes = { truth, initial: picture.initial[index], final: picture.final[index], beside };
    for (const name of this.#names) if (this.#seen[name].now) this.#show(name);
    const why = truth || !givesScene ? "" : "The scene of this window has not arrived.";
    setText("truth-empty", why);
    const [by, besideBy] = [makerOf(picture.setup), beside ? makerOf(picture.besideSetup) : ""];
    const whyNot = beside ? "" : "The next window is rebuilt by the second bundle, too.";
    setText("beside-empty", whyNot);
    const reasons = this.#error.names.map((name) => ({ truth: why, beside: whyNot }[name] ?? ""));
    setText("error-empty", reasons.find((reason) => reason) ?? "");
    setText("final-note", by && `by ${by}`);
    setText("beside-note", besideBy && `by ${besideBy}`);
  }

  /** Show a second bundle's picture too, or no longer. @param {boolean} comparing */
  compare(comparing) {
    if (comparing === this.#comparing) return;
    this.#comparing = comparing;
    this.#wipe.choose(comparing ? COMPARED : ALWAYS);
    this.#offer();
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
    this.#wipe.toggle();
    this.#root.classList.toggle("wiping", this.#wipe.on);
    this.#arrange();
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
    const { wiped } = this.#screens;
    return this.#names.map((name) => {
      this.#show(name); // it may have been out of sight
      const { canvas } = this.#screens[name];
      return [canvas === wiped.canvas ? this.#wipe.names.map((each) => TITLES[each]).join(" | ") : TITLES[name], canvas];
    });
  }

  /** What there is on the screen now, seen or not. */
  get #names() {
    return this.#wipe.on ? ["wiped"] : NAMES.filter((name) => this.#isOffered(name));
  }

  /** @param {string} name */
  #isOffered(name) {
    return ALWAYS.includes(name)
      || (this.#referenced && name !== "beside")
      || (this.#comparing && name !== "truth");
  }

  /** Without a reference there is no scene, and without a second bundle no error from anything else. */
  #offer() {
    this.#root.classList.toggle("unreferenced", !this.#referenced);
    this.#root.classList.toggle("comparing", this.#comparing);
    this.#error.offer((name) => this.#isOffered(name), this.#referenced ? REFERENCED : COMPARED);
    this.#wipe.offer((name) => this.#isOffered(name), this.#comparing ? COMPARED : ALWAYS);
    this.#arrange();
  }

  /** Other pictures are on the screen now. */
  #arrange() {
    for (const seen of Object.values(this.#seen)) seen.again();
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
      const sheet = /** @type {HTMLElement} */ (screen.canvas.closest(".sheet"));
      const box = /** @type {HTMLElement} */ (sheet.closest(".screen"));
      const look = this.#zoom.within(height, width, { width: box.clientWidth, height: box.clientHeight });
      screen.part = look?.part ?? null;
      sheet.classList.toggle("zoomed", look !== null);
      sheet.style.width = look ? `${look.cssWidth}px` : "";
      sheet.style.height = look ? `${look.cssHeight}px` : "";
    }
    this.mark(this.#cross);
    this.#redraw();
  }

  /** Draw one of them. @param {string} name */
  #show(name) {
    const screen = this.#screens[name];
    if (name === "wiped") this.#wipe.draw(screen, (each) => this.#bring(each, screen));
    else this.#bring(name, screen);
  }

  /** Bring a picture onto a screen. @param {string} name @param {Screen} screen */
  #bring(name, screen) {
    const { height, width } = this.#size;
    if (!height) return;
    const isError = name === "error";
    const plane = isError ? this.#error.planeOf(this.#planes) : this.#planes[name];
    if (plane) screen.show(plane, height, width, isError ? HEAT : GRAY);
    else screen.clear();
  }

  /** @param {string} name Id of the canvas. */
  #screen(name) {
    const screen = new Screen(byId(name, HTMLCanvasElement));
    const dragged = onGestures(screen, {
      move: (across, down) => this.#move(across, down),
      hold: () => this.#pointed(this.#cross, true),
      zoom: (steps) => this.zoom(steps),
      centre: (x, y) => {
        this.#zoom.centre = { x, y };
        this.#look();
      },
      ...(name === "wiped" && {
        wipe: (/** @type {number} */ share) => this.#wipe.moveTo(share),
        wipeBy: (/** @type {number} */ steps) => this.#wipe.moveBy(steps),
      }),
    });
    screen.onPoint(this.#pointed, () => !dragged());
    return screen;
  }

  /** Move the crosshair. @param {number} across @param {number} down */
  #move(across, down) {
    const { height, width } = this.#size;
    if (!height) return;
    this.#pointed({
      x: Math.min(Math.max(0, this.#cross.x + across), width - 1),
      y: Math.min(Math.max(0, this.#cross.y + down), height - 1),
    }, false);
    if (!this.#zoom.factor) return;
    this.#zoom.centre = this.#cross;
    this.#look();
  }
}
