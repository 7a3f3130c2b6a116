/** Pointing at the pixels of the array, wherever they are drawn. */

/**
 * @typedef {{x: number, y: number}} Pixel
 *
 * @callback Pointed Called when a pixel is pointed at, or clicked to be held.
 * @param {Pixel} pixel
 * @param {boolean} held
 * @returns {void}
 *
 * @typedef {object} Part The part of the array that a canvas shows, over all of its area.
 * @property {number} left
 * @property {number} top
 * @property {number} width In pixels of the array.
 * @property {number} height
 */

/**
 * Report each pixel of a canvas that is pointed at or clicked.
 * @param {HTMLCanvasElement} canvas
 * @param {() => Part|null} part What it shows now.
 * @param {Pointed} pointed
 * @param {() => boolean} [holds] Whether a click holds the pixel now; by default always.
 */
export function onPoint(canvas, part, pointed, holds = () => true) {
  /** @type {Pixel|null} */ let under = null;
  /** @param {PointerEvent} event */
  const follow = (event) => {
    under = pixelUnder(event, canvas, part());
    if (under) pointed(under, false);
  };
  canvas.addEventListener("pointermove", follow);
  canvas.addEventListener("pointerdown", follow);
  // Browsers round the place of a click, but not that of the pointer before it.
  canvas.addEventListener("click", () => {
    if (under && holds()) pointed(under, true);
  });
}

/**
 * The pixel under a pointer; null outside.
 * @param {PointerEvent} event @param {HTMLCanvasElement} canvas @param {Part|null} part
 * @returns {Pixel|null}
 */
function pixelUnder(event, canvas, part) {
  if (!part) return null;
  const box = canvas.getBoundingClientRect();
  const across = Math.floor(((event.clientX - box.left) / box.width) * part.width);
  const down = Math.floor(((event.clientY - box.top) / box.height) * part.height);
  const inside = across >= 0 && down >= 0 && across < part.width && down < part.height;
  return inside ? { x: part.left + across, y: part.top + down } : null;
}
