/** What a pointer, a wheel and the keys do to a picture. */

/**
 * @typedef {import("../../lib/screen.js").Screen} Screen
 *
 * @typedef {object} Actions
 * @property {(across: number, down: number) => void} move Move the crosshair by pixels of the array.
 * @property {() => void} hold Hold the pixel under the crosshair, or release it.
 * @property {(steps: number) => void} zoom
 * @property {(x: number, y: number) => void} centre Bring a pixel to the middle of a zoomed part.
 * @property {(share: number) => void} [wipe] Put the line of the wipe at a share of the width.
 * @property {(steps: number) => void} [wipeBy]
 */

/** A pointer that moved further than this, in CSS pixels, has dragged and not clicked. */
const DRAG_PX = 4;
/** Pixels of the array that the crosshair moves while Shift is held. */
const FAR = 10;

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Listen to a picture.
 * @param {Screen} screen @param {Actions} actions
 * @returns {() => boolean} Whether the pointer has dragged since it went down, so that it does not click.
 */
export function onGestures(screen, actions) {
  const { canvas } = screen;
  const box = /** @type {HTMLElement} */ (canvas.closest(".screen"));
  /** @type {{x: number, y: number, middle: {x: number, y: number}}|null} */ let from = null;
  let dragged = false;

  canvas.addEventListener("pointerdown", (event) => {
    const { left, top, width, height } = screen.part ?? { left: 0, top: 0, width: 0, height: 0 };
    from = { x: event.clientX, y: event.clientY, middle: { x: left + (width >> 1), y: top + (height >> 1) } };
    dragged = false;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [across, down] = [event.clientX - from.x, event.clientY - from.y];
    dragged ||= Math.hypot(across, down) > DRAG_PX;
    if (!dragged) return;
    const { left, width } = canvas.getBoundingClientRect();
    if (actions.wipe) actions.wipe((event.clientX - left) / width);
    else if (screen.part) {
      const cell = width / screen.part.width;
      actions.centre(Math.round(from.middle.x - across / cell), Math.round(from.middle.y - down / cell));
    }
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });

  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // the wheel alone scrolls the page; a pinch arrives with ctrl
    event.preventDefault();
    actions.zoom(event.deltaY < 0 ? 1 : -1);
  }, { passive: false });

  box.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (arrow && event.altKey && actions.wipeBy) actions.wipeBy(arrow[0]);
    else if (arrow) actions.move(...scaled(arrow, event.shiftKey ? FAR : 1));
    else if (event.key === "Enter") actions.hold();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return () => dragged;
}

/** @param {[number, number]} pair @param {number} factor @returns {[number, number]} */
const scaled = ([across, down], factor) => [across * factor, down * factor];
