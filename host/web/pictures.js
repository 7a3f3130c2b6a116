/** The four pictures on top: scene, initial and final reconstruction, and the final one's error. */

import { HEAT, Screen, rgb } from "./paint.js";

const ERROR_GAIN = 8;
const WIPE_LINE = rgb(240, 184, 75);

export class Pictures {
  #screens = Object.fromEntries(
    ["truth", "initial", "final", "error"].map((name) => [name, new Screen(document.getElementById(name))]),
  );
  #errorPlane = new Uint8Array(0);
  #mixed = new Uint8Array(0);
  #wipe = document.getElementById("wipe");
  #wipeShare = 0.5;
  #dragging = false;

  /**
   * @param {() => void} redraw Draw the present picture again.
   * @param {(pixel: {x: number, y: number}, held: boolean) => void} pointed A pixel was pointed at.
   */
  constructor(redraw, pointed) {
    document.getElementById("error-scale").textContent = `white = ${Math.round(255 / ERROR_GAIN)} of 255`;
    this.#wipe.addEventListener("change", redraw);
    for (const screen of Object.values(this.#screens)) {
      const point = (event, held) => {
        const pixel = screen.pixelAt(event);
        if (pixel) pointed(pixel, held);
      };
      screen.canvas.addEventListener("pointermove", (event) => point(event, false));
      screen.canvas.addEventListener("click", (event) => {
        if (!(this.#wipe.checked && screen === this.#screens.final)) point(event, true);
      });
    }
    this.#listenForWipe(redraw);
  }

  /**
   * Show plane `index` of a window.
   * @param {import("./packet.js").Picture} picture @param {number} index
   */
  draw(picture, index) {
    const { height, width } = picture;
    const initial = picture.initial[index];
    const final = picture.final[index];
    const truth = picture.truth?.[index] ?? null;
    const { truth: truthScreen, initial: initialScreen, final: finalScreen, error } = this.#screens;
    initialScreen.show(initial, height, width);
    if (this.#wipe.checked) this.#showWipe(initial, final, height, width);
    else finalScreen.show(final, height, width);
    if (truth) {
      truthScreen.show(truth, height, width);
      error.show(this.#error(final, truth), height, width, HEAT);
    } else {
      truthScreen.clear();
      error.clear();
    }
    const none = truth ? "" : "A real board does not know the truth.";
    document.getElementById("truth-empty").textContent = none;
    document.getElementById("error-empty").textContent = none;
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

  /** Initial left of the line, final right of it. */
  #showWipe(initial, final, height, width) {
    if (this.#mixed.length !== final.length) this.#mixed = new Uint8Array(final.length);
    const edge = Math.round(this.#wipeShare * width);
    this.#mixed.set(final);
    for (let row = 0; row < height * width; row += width) {
      this.#mixed.set(initial.subarray(row, row + edge), row);
    }
    const screen = this.#screens.final;
    screen.show(this.#mixed, height, width);
    for (let at = Math.min(edge, width - 1); at < height * width; at += width) screen.pixels[at] = WIPE_LINE;
    screen.flush();
  }

  #listenForWipe(redraw) {
    const { canvas } = this.#screens.final;
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
