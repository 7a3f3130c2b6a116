/** A small picture of a tile. */

import { context2d } from "../../lib/dom.js";

const SIDE = 32;

/**
 * @param {HTMLCanvasElement} canvas @param {import("./tools.js").Ink} tile
 * @param {(level: number) => [number, number, number]} colourOf
 */
export function drawTile(canvas, { width, height, levels }, colourOf) {
  const scale = Math.max(1, Math.floor(SIDE / Math.max(width, height)));
  Object.assign(canvas, { width: width * scale, height: height * scale });
  const context = context2d(canvas);
  for (let at = 0; at < levels.length; at += 1) {
    const [r, g, b] = colourOf(levels[at]);
    context.fillStyle = `rgb(${r} ${g} ${b})`;
    context.fillRect((at % width) * scale, Math.floor(at / width) * scale, scale, scale);
  }
}
