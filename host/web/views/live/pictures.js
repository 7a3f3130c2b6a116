/** The four pictures: scene, initial and final reconstruction, and the error of the final one. */

import { byId, setText } from "../../lib/dom.js";
import { HEAT, Screen, rgb } from "../../lib/screen.js";

/** @typedef {import("../../net/packets.js").Picture} Picture */

const ERROR_GAIN = 8;
const WIPE_LINE = rgb(240, 184, 75);

/** @param {string} id */
const screen = (id) => new Screen(byId(id, HTMLCanvasElement));

export class Pictures {
  #screens = {
    truth: screen("truth"),
    initial: screen("initial"),
    final: screen("final"),
    error: screen("error"),
  };
  #errorPlane = new Uint8Array(0);
  #mixed = new Uint8Array(0);
  #wipe = byId("wipe", HTMLInputElement);
  #wipeShare = 0.5;
  #dragging = false;

  /**
   * @param {() => void} redraw Draws the present picture again.
   * @param {import("../../lib/pointing.js").Pointed} pointed
   */
  constructor(redraw, pointed) {
    setText("error-scale", `white = ${Math.round(255 / ERROR_GAIN)} of 255`);
    this.#wipe.addEventListener("change", redraw);
    for (const each of Object.values(this.#screens)) {
      each.onPoint(pointed, () => !(this.#wipe.checked && each === this.#screens.final));
    }
    this.#listenForWipe(redraw);
  }

  /**
   * Show plane `index` of a window.
   * @param {Picture} picture @param {number} index
   * @param {string} by What reconstructed it, if that is known.
   * @param {boolean} givesScene Whether the board can be asked for its scene.
   */
  draw(picture, index, by, givesScene) {
    const { height, width } = picture;
    const initial = picture.initial[index];
    const final = picture.final[index];
    const truth = picture.truth?.[index] ?? null;
    const screens = this.#screens;
    screens.initial.show(initial, height, width);
    if (this.#wipe.checked) this.#showWipe(initial, final, height, width);
    else screens.final.show(final, height, width);
    if (truth) {
      screens.truth.show(truth, height, width);
      screens.error.show(this.#error(final, truth), height, width, HEAT);
    } else {
      screens.truth.clear();
      screens.error.clear();
    }
    const why = givesScene ? "The scene of this window has not arrived." : "This board does not know its scene.";
    setText("truth-empty", truth ? "" : why);
    setText("error-empty", truth ? "" : why);
    setText("final-note", by && `by ${by}`);
  }

  /** @param {Uint8Array} final @param {Uint8Array} truth */
  #error(final, truth) {
    if (this.#errorPlane.length !== final.length) this.#errorPlane = new Uint8Array(final.length);
    const out = this.#errorPlane;
    for (let i = 0; i < final.length; i += 1) {
      out[i] = Math.min(255, ERROR_GAIN * Math.abs(final[i] - truth[i]));
    }
    return out;
  }

  /**
   * Show the initial reconstruction left of the line, the final one right of it.
   * @param {Uint8Array} initial @param {Uint8Array} final @param {number} height @param {number} width
   */
  #showWipe(initial, final, height, width) {
    if (this.#mixed.length !== final.length) this.#mixed = new Uint8Array(final.length);
    const edge = Math.round(this.#wipeShare * width);
    this.#mixed.set(final);
    for (let row = 0; row < height * width; row += width) {
      this.#mixed.set(initial.subarray(row, row + edge), row);
    }
    const shown = this.#screens.final;
    shown.show(this.#mixed, height, width);
    for (let at = Math.min(edge, width - 1); at < height * width; at += width) shown.pixels[at] = WIPE_LINE;
    shown.flush();
  }

  /** @param {() => void} redraw */
  #listenForWipe(redraw) {
    const { canvas } = this.#screens.final;
    /** @param {PointerEvent} event */
    const move = (event) => {
      const box = canvas.getBoundingClientRect();
      this.#wipeShare = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      redraw();
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.#wipe.checked) return;
      this.#dragging = true;
      canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    canvas.addEventListener("pointermove", (event) => this.#dragging && move(event));
    canvas.addEventListener("pointerup", () => { this.#dragging = false; });
  }
}
