/** The ratio map in colour: all of it, a part enlarged, and its levels. */

import { byId, context2d, make, setText } from "../lib/dom.js";
import { Screen, rgb } from "../lib/screen.js";
import { fillTable } from "../lib/table.js";

/**
 * @typedef {import("../lib/ratio-map.js").RatioMap} RatioMap
 * @typedef {import("../lib/screen.js").Pixel} Pixel
 */

const ZOOM_PIXELS = 12;
const ZOOM_CELL = 26;

export class MapView {
  #whole = new Screen(byId("map", HTMLCanvasElement));
  #zoom = byId("map-zoom", HTMLCanvasElement);
  #legend = byId("legend", HTMLTableElement);
  /** @type {RatioMap|null} */ #map = null;
  #centre = { x: ZOOM_PIXELS / 2, y: ZOOM_PIXELS / 2 };

  /** @param {import("../lib/screen.js").Pointed} pointed */
  constructor(pointed) {
    this.#whole.onPoint(pointed);
  }

  /** @param {RatioMap} map */
  show(map) {
    this.#map = map;
    this.#whole.resize(map.height, map.width);
    const table = Uint32Array.from({ length: 256 }, (_, level) => rgb(...map.colour(level)));
    map.levels.forEach((level, i) => { this.#whole.pixels[i] = table[level]; });
    this.#whole.flush();
    this.#drawZoom();
    this.#fillLegend(map);
    const { tile_width: tileWidth, tile_height: tileHeight, aperture } = map.document;
    const periodic = tileHeight < map.height || tileWidth < map.width;
    setText("map-note", [
      `${map.width} × ${map.height}`,
      periodic ? `tile ${tileWidth} × ${tileHeight}` : "not periodic",
      ...(aperture ? ["coded aperture"] : []),
    ].join(", "));
  }

  /** Enlarge the surroundings of a pixel. @param {Pixel} pixel */
  look(pixel) {
    this.#centre = pixel;
    this.#drawZoom();
  }

  #drawZoom() {
    const map = this.#map;
    if (!map) return;
    const size = Math.min(ZOOM_PIXELS, map.width, map.height);
    /** @param {number} at @param {number} limit */
    const corner = (at, limit) => Math.min(Math.max(0, at - size / 2), limit - size) | 0;
    const left = corner(this.#centre.x, map.width);
    const top = corner(this.#centre.y, map.height);
    this.#zoom.width = this.#zoom.height = size * ZOOM_CELL;
    const context = context2d(this.#zoom);
    context.font = "600 13px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let y = 0; y < size; y += 1) {
      for (let x = 0; x < size; x += 1) {
        const level = map.levels[(top + y) * map.width + left + x];
        const [r, g, b] = map.colour(level);
        context.fillStyle = css(map.colour(level));
        context.fillRect(x * ZOOM_CELL, y * ZOOM_CELL, ZOOM_CELL - 1, ZOOM_CELL - 1);
        context.fillStyle = 0.3 * r + 0.6 * g + 0.1 * b > 120 ? "#0d1117" : "#e6edf3";
        context.fillText(String(level), (x + 0.5) * ZOOM_CELL, (y + 0.5) * ZOOM_CELL);
      }
    }
    const { x, y } = this.#centre;
    context.strokeStyle = "#ffffff";
    context.lineWidth = 2;
    context.strokeRect((x - left) * ZOOM_CELL, (y - top) * ZOOM_CELL, ZOOM_CELL - 1, ZOOM_CELL - 1);
  }

  /** @param {RatioMap} map */
  #fillLegend(map) {
    const shares = Object.entries(map.document.level_shares);
    const largest = Math.max(...shares.map(([, share]) => share));
    fillTable(this.#legend, shares.map(([level, share]) => {
      const n = Number(level);
      const bar = share ? (100 * share) / largest : 0;
      return {
        className: share ? "" : "absent",
        heading: [swatch("14px", map.colour(n)), `level ${level}`],
        cells: [
          n ? `${n} × ${map.slots / n} slots` : "not measured",
          swatch(`${bar}%`, map.colour(n)),
          `${(100 * share).toFixed(1)} %`,
        ],
      };
    }));
  }
}

/** @param {[number, number, number]} colour */
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

/** A filled box. @param {string} width @param {[number, number, number]} colour */
function swatch(width, colour) {
  const box = make("span", { className: "swatch" });
  Object.assign(box.style, { width, background: css(colour) });
  return box;
}
