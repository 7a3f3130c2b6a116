/** Pointers on the canvas: one paints, two of them, a wheel or the middle button move the map. */

/**
 * @typedef {import("../../lib/pointing.js").Pixel} Pixel
 * @typedef {import("./easel.js").Easel} Easel
 *
 * @typedef {object} Grip The map as it was when it was taken hold of.
 * @property {number} scale
 * @property {number} left
 * @property {number} top
 * @property {Pixel} at
 * @property {number} apart Distance of two pointers; 0 with one.
 *
 * @typedef {object} Handled What is done with them, in cells of the map.
 * @property {(cell: Pixel, pick: boolean) => void} press With `pick`, take the level of the cell.
 * @property {(cell: Pixel) => void} move The pointer has moved; it may not be pressed.
 * @property {() => void} release
 * @property {() => void} cancel What was pressed becomes a movement of the map.
 * @property {() => void} leave
 * @property {() => void} moved The map is somewhere else on the canvas.
 */

const WHEEL_STEP = 60;

export class Hand {
  #easel;
  #handled;
  /** @type {Map<number, Pixel>} Places of the pointers that are down. */ #down = new Map();
  #painting = false;
  /** @type {Grip|null} */ #grip = null;
  #turned = 0;

  /** @param {Easel} easel @param {Handled} handled */
  constructor(easel, handled) {
    this.#easel = easel;
    this.#handled = handled;
    const { canvas } = easel;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(name, (event) => this.#release(event));
    }
    canvas.addEventListener("pointerleave", () => handled.leave());
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** @param {PointerEvent} event */
  #press(event) {
    this.#easel.canvas.setPointerCapture(event.pointerId);
    this.#down.set(event.pointerId, this.#easel.placeOf(event));
    if (this.#down.size > 1 || event.button !== 0) {
      if (this.#painting) this.#handled.cancel();
      this.#painting = false;
      this.#take();
      return;
    }
    this.#painting = !event.altKey;
    this.#handled.press(this.#easel.cellAt(event), event.altKey);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (this.#down.has(event.pointerId)) this.#down.set(event.pointerId, this.#easel.placeOf(event));
    if (this.#grip) this.#drag(this.#grip);
    else this.#handled.move(this.#easel.cellAt(event));
  }

  /** @param {PointerEvent} event */
  #release(event) {
    this.#down.delete(event.pointerId);
    if (this.#grip) {
      if (this.#down.size) this.#take();
      else this.#grip = null;
    } else if (this.#painting) {
      this.#painting = false;
      if (event.type === "pointercancel") this.#handled.cancel();
      else this.#handled.release();
    }
  }

  /** Hold the map where the pointers are now. */
  #take() {
    const { scale, left, top } = this.#easel;
    this.#grip = { scale, left, top, ...this.#middle() };
  }

  /** @param {Grip} grip */
  #drag(grip) {
    const { at, apart } = this.#middle();
    const scale = grip.apart ? (grip.scale * apart) / grip.apart : grip.scale;
    this.#easel.zoom(scale, at);
    const held = this.#easel.scale;
    this.#easel.move(
      grip.left + grip.at.x / grip.scale - at.x / held,
      grip.top + grip.at.y / grip.scale - at.y / held,
    );
    this.#handled.moved();
  }

  #middle() {
    const [first, second = first] = this.#down.values();
    return {
      at: { x: (first.x + second.x) / 2, y: (first.y + second.y) / 2 },
      apart: Math.hypot(first.x - second.x, first.y - second.y),
    };
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    const { scale, left, top } = this.#easel;
    if (event.ctrlKey) {
      this.#turned += event.deltaY;
      const steps = Math.trunc(this.#turned / WHEEL_STEP);
      this.#turned -= steps * WHEEL_STEP;
      if (steps) this.#easel.zoom(steps < 0 ? scale + Math.max(1, scale >> 2) : scale - Math.max(1, scale >> 2), this.#easel.placeOf(event));
    } else {
      const [across, down] = event.shiftKey ? [event.deltaY, event.deltaX] : [event.deltaX, event.deltaY];
      this.#easel.move(left + across / scale, top + down / scale);
      if (left === this.#easel.left && top === this.#easel.top) return; // the page scrolls
    }
    event.preventDefault();
    this.#handled.moved();
  }
}
