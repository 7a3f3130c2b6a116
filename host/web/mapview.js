/** The ratio map in colour: the whole of it, an enlarged corner, and its legend. */

import { Screen, rgb } from "./paint.js";

const ZOOM_PIXELS = 12;
const ZOOM_CELL = 26;

export class MapView {
  #whole = new Screen(document.getElementById("map"));
  #zoom = document.getElementById("map-zoom");
  #map = null;
  #centre = { x: ZOOM_PIXELS / 2, y: ZOOM_PIXELS / 2 };

  /** @param {(pixel: {x: number, y: number}, held: boolean) => void} pointed */
  constructor(pointed) {
    const point = (event, held) => {
      const pixel = this.#whole.pixelAt(event);
      if (pixel) pointed(pixel, held);
    };
    this.#whole.canvas.addEventListener("pointermove", (event) => point(event, false));
    this.#whole.canvas.addEventListener("click", (event) => point(event, true));
  }

  /** @param {import("./ratiomap.js").RatioMap} map */
  show(map) {
    this.#map = map;
    this.#whole.resize(map.height, map.width);
    const table = new Uint32Array(256);
    for (const [level, [r, g, b]] of Object.entries(map.colours)) table[Number(level)] = rgb(r, g, b);
    map.levels.forEach((level, i) => { this.#whole.pixels[i] = table[level]; });
    this.#whole.flush();
    this.#drawZoom();
    this.#fillLegend();
    const periodic = map.tile_height < map.height || map.tile_width < map.width;
    document.getElementById("map-note").textContent =
      `${map.width} × ${map.height}, ${periodic ? `tile ${map.tile_width} × ${map.tile_height}` : "no period"}${
        map.aperture ? ", coded aperture" : ""}`;
  }

  /** Enlarge the surroundings of a pixel. @param {{x: number, y: number}} pixel */
  look(pixel) {
    this.#centre = pixel;
    this.#drawZoom();
  }

  #drawZoom() {
    const map = this.#map;
    if (!map) return;
    const size = Math.min(ZOOM_PIXELS, map.width, map.height);
    const corner = (at, limit) => Math.min(Math.max(0, at - size / 2), limit - size) | 0;
    const left = corner(this.#centre.x, map.width);
    const top = corner(this.#centre.y, map.height);
    this.#zoom.width = this.#zoom.height = size * ZOOM_CELL;
    const context = this.#zoom.getContext("2d");
    context.font = "600 13px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let y = 0; y < size; y += 1) {
      for (let x = 0; x < size; x += 1) {
        const level = map.levels[(top + y) * map.width + left + x];
        const [r, g, b] = map.colours[level];
        context.fillStyle = map.colour(level);
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

  #fillLegend() {
    const map = this.#map;
    const most = Math.max(...Object.values(map.level_shares));
    const rows = Object.entries(map.level_shares).map(([level, share]) => {
      const row = document.createElement("tr");
      const n = Number(level);
      const span = n ? `${n} × ${map.slots / n} slots` : "not measured";
      row.className = share ? "" : "absent";
      row.append(cell(swatch(map.colour(n), 14)), cell(`level ${n}`), cell(span));
      const bar = cell(swatch(map.colour(n), share ? (100 * share) / most : 0, "%"));
      bar.className = "bar-cell";
      row.append(bar, cell(`${(100 * share).toFixed(1)} %`));
      return row;
    });
    document.getElementById("legend").tBodies[0]?.remove();
    const body = document.createElement("tbody");
    body.append(...rows);
    document.getElementById("legend").append(body);
  }
}

/** @param {Node|string} content */
function cell(content) {
  const element = document.createElement("td");
  element.append(content);
  return element;
}

/** A filled box. @param {string} colour @param {number} width @param {string} unit */
function swatch(colour, width, unit = "px") {
  const box = document.createElement("span");
  Object.assign(box.style, { display: "block", height: unit === "%" ? "8px" : "14px", width: `${width}${unit}`, background: colour, borderRadius: "2px" });
  return box;
}
