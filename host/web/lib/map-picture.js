/** The ratio map in colour: all of it, a part enlarged, and its levels. */

import { byId, context2d, make, setText } from "./dom.js";
import { onPoint } from "./pointing.js";
import { Screen, rgb } from "./screen.js";
import { Seen } from "./seen.js";
import { fillTable } from "./table.js";

/**
 * @typedef {import("./ratio-map.js").RatioMap} RatioMap
 * @typedef {import("./pointing.js").Pixel} Pixel
 */

const ZOOM_PIXELS = 12;
const ZOOM_CELL = 26;

export class MapPicture {
  #whole;
  #zoom;
  #legend;
  #note;
  /** @type {RatioMap|null} */ #map = null;
  #pixel = { x: 0, y: 0 };
  #seen;
  #part = { left: 0, top: 0, width: 0, height: 0 };

  /**
   * @param {string} name Id of the canvas of the whole map; those of the enlarged part, the legend and
   *   the note are `name-zoom`, `name-legend` and `name-note`.
   * @param {import("./pointing.js").Pointed} pointed
   */
  constructor(name, pointed) {
    this.#whole = new Screen(byId(name, HTMLCanvasElement));
    this.#zoom = byId(`${name}-zoom`, HTMLCanvasElement);
    this.#legend = byId(`${name}-legend`, HTMLTableElement);
    this.#note = `${name}-note`;
    this.#whole.onPoint(pointed);
    onPoint(this.#zoom, () => this.#part, pointed);
    this.#seen = new Seen(this.#legend.closest("section") ?? this.#zoom, () => this.#map && this.show(this.#map, this.#pixel));
  }

  /** @param {RatioMap} map @param {Pixel} pixel As for `look`. */
  show(map, pixel) {
    this.#map = map;
    this.#pixel = pixel;
    if (!this.#seen.now) return;
    this.#whole.resize(map.height, map.width);
    const table = Uint32Array.from({ length: 256 }, (_, level) => rgb(...map.colour(level)));
    map.levels.forEach((level, i) => { this.#whole.pixels[i] = table[level]; });
    this.#whole.flush();
    this.look(pixel);
    this.#fillLegend(map);
    const { tile_width: tileWidth, tile_height: tileHeight, aperture } = map.document;
    const periodic = tileHeight < map.height || tileWidth < map.width;
    setText(this.#note, [
      `${map.width} × ${map.height}`,
      periodic ? `tile ${tileWidth} × ${tileHeight}` : "not periodic",
      ...(aperture ? ["coded aperture"] : []),
    ].join(", "));
  }

  /** Enlarge the surroundings of a pixel, and mark it. @param {Pixel} pixel */
  look(pixel) {
    const map = this.#map;
    this.#pixel = pixel;
    if (!map || !this.#seen.now) return;
    const size = Math.min(ZOOM_PIXELS, map.width, map.height);
    const { left, top, width } = this.#part;
    const inside = pixel.x >= left && pixel.x < left + size && pixel.y >= top && pixel.y < top + size;
    // The enlarged part stays still under the pointer.
    if (!(inside && width === size && this.#zoom.matches(":hover"))) {
      /** @param {number} at @param {number} limit */
      const corner = (at, limit) => Math.min(Math.max(0, at - (size >> 1)), limit - size);
      this.#part = { left: corner(pixel.x, map.width), top: corner(pixel.y, map.height), width: size, height: size };
    }
    this.#drawZoom(map);
  }

  /** @param {RatioMap} map */
  #drawZoom(map) {
    const { left, top, width: size } = this.#part;
    this.#zoom.width = this.#zoom.height = size * ZOOM_CELL;
    const context = context2d(this.#zoom);
    context.font = "600 13px Inter, system-ui, sans-serif";
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
    const { x, y } = this.#pixel;
    const level = map.levels[y * map.width + x];
    this.#zoom.setAttribute("aria-label", `The ratio map around pixel x ${x}, y ${y}, of level ${level}`);
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
