/** Planes of bytes onto canvases. A pixel is one 32-bit store; colour comes from a table of 256. */

/** @param {number} r @param {number} g @param {number} b @returns {number} As ImageData keeps it, little-endian. */
export const rgb = (r, g, b) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** Brightness as it is. */
export const GRAY = Uint32Array.from({ length: 256 }, (_, v) => rgb(v, v, v));

/** Stops of a scale from black over violet and orange to pale yellow, even to the eye. */
const HEAT_STOPS = [[4, 5, 12], [46, 16, 84], [116, 28, 110], [184, 48, 94], [234, 92, 58], [252, 164, 36], [250, 250, 176]];

/** Error from none to much. */
export const HEAT = Uint32Array.from({ length: 256 }, (_, v) => {
  const at = (v / 255) * (HEAT_STOPS.length - 1);
  const low = Math.min(Math.floor(at), HEAT_STOPS.length - 2);
  const mix = HEAT_STOPS[low].map((c, i) => Math.round(c + (HEAT_STOPS[low + 1][i] - c) * (at - low)));
  return rgb(mix[0], mix[1], mix[2]);
});

/** One canvas that shows planes of a fixed size, and takes a new size when the array changes. */
export class Screen {
  #canvas;
  #context;
  #image = null;
  /** @type {Uint32Array|null} One colour a pixel, row-major; write, then call flush(). */
  pixels = null;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
  }

  /** @param {number} height @param {number} width */
  resize(height, width) {
    if (this.#image?.width === width && this.#image?.height === height) return;
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#image = this.#context.createImageData(width, height);
    this.pixels = new Uint32Array(this.#image.data.buffer);
  }

  /**
   * Show one plane through a table of colours.
   * @param {Uint8Array} plane @param {number} height @param {number} width @param {Uint32Array} table
   */
  show(plane, height, width, table = GRAY) {
    this.resize(height, width);
    const { pixels } = this;
    for (let i = 0; i < plane.length; i += 1) pixels[i] = table[plane[i]];
    this.flush();
  }

  /** Bring what was written to `pixels` onto the canvas. */
  flush() {
    this.#context.putImageData(this.#image, 0, 0);
  }

  clear() {
    if (!this.pixels) return;
    this.pixels.fill(rgb(6, 9, 13));
    this.flush();
  }

  /**
   * The pixel under a pointer, or null outside.
   * @param {PointerEvent} event
   * @returns {{x: number, y: number}|null}
   */
  pixelAt(event) {
    const box = this.#canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.#canvas.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.#canvas.height);
    const inside = this.#image && x >= 0 && y >= 0 && x < this.#canvas.width && y < this.#canvas.height;
    return inside ? { x, y } : null;
  }

  get canvas() {
    return this.#canvas;
  }
}
