/** The pixel probe: one pixel's light over the window, its measurements in DN and signal. */

const PAD = { left: 34, right: 10, top: 10, bottom: 20 };

export class PixelProbe {
  #plot = document.getElementById("pixel-plot");
  #values = document.getElementById("pixel-values");
  #note = document.getElementById("pixel-note");
  /** @type {{x: number, y: number}|null} */ pixel = null;
  #held = false;

  /**
   * Point at a pixel; a held one stays until another is held.
   * @param {{x: number, y: number}} pixel @param {boolean} held
   * @returns {boolean} Whether the probe moved.
   */
  point(pixel, held) {
    if (this.#held && !held) return false;
    this.#held = held && !(this.#held && same(this.pixel, pixel));
    this.pixel = pixel;
    return true;
  }

  /**
   * @param {import("./packet.js").Picture|null} picture @param {number} index Plane on the screen.
   * @param {import("./ratiomap.js").RatioMap|null} map @param {import("./reads.js").Reads} reads
   */
  draw(picture, index, map, reads) {
    if (!picture || !map || !map.hash.startsWith(picture.mapHash)) return;
    this.pixel ??= { x: map.width >> 1, y: map.height >> 1 };
    const { x, y } = this.pixel;
    if (x >= map.width || y >= map.height) {
      this.pixel = null;
      return;
    }
    const at = y * map.width + x;
    const level = map.levels[at];
    const dn = reads.planes.slice(0, level).map((plane) => plane[at]);
    const signals = dn.map((code) => reads.signal(code));
    this.#note.textContent = this.#held ? "held; click it again to let go" : "point at a picture; click to hold";
    this.#drawPlot(picture, index, map, at, signals);
    this.#fillValues(picture, index, map, at, dn, signals);
  }

  #fillValues(picture, index, map, at, dn, signals) {
    const level = map.levels[at];
    const share = (planes) => (planes ? (planes[index][at] / 255).toFixed(3) : "–");
    const span = `${level} ${level === 1 ? "read" : "reads"} of ${map.slots / level} slots`;
    const rows = [
      ["Pixel", `x ${this.pixel.x}, y ${this.pixel.y}`],
      ["Level", level ? span : "0, not measured"],
      ["Reads, DN", dn.map((code) => code.toFixed(0)).join("  ") || "–"],
      ["Reads, signal", signals.map((e) => e.toFixed(4)).join("  ") || "–"],
      ["Truth", share(picture.truth)],
      ["Initial, final", `${share(picture.initial)}, ${share(picture.final)}`],
    ];
    this.#values.replaceChildren(...rows.map(([name, value]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      const cell = document.createElement("td");
      cell.textContent = value;
      row.append(head, cell);
      return row;
    }));
  }

  #drawPlot(picture, index, map, at, signals) {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.#plot;
    this.#plot.width = clientWidth * ratio;
    this.#plot.height = clientHeight * ratio;
    const context = this.#plot.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const across = (slot) => PAD.left + (slot / map.slots) * (clientWidth - PAD.left - PAD.right);
    const up = (light) => clientHeight - PAD.bottom - light * (clientHeight - PAD.top - PAD.bottom);
    const clip = (light) => Math.min(1, Math.max(0, light));

    context.font = "10.5px system-ui, sans-serif";
    context.fillStyle = colour("muted");
    context.strokeStyle = colour("line");
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const light of [0, 0.5, 1]) {
      context.beginPath();
      context.moveTo(across(0), up(light));
      context.lineTo(across(map.slots), up(light));
      context.stroke();
      context.fillText(light.toFixed(1), PAD.left - 6, up(light));
    }
    context.textAlign = "center";
    for (let slot = 0; slot <= map.slots; slot += 4) context.fillText(String(slot), across(slot), clientHeight - 8);

    // A read tells the mean light over the open slots of its span.
    context.fillStyle = colour("measured");
    signals.forEach((signal, read) => {
      const height = up(clip(signal * map.gain(at, read)));
      for (const [first, end] of map.openRuns(at, read)) {
        const [from, to] = [across(first), across(end)];
        context.globalAlpha = 0.16;
        context.fillRect(from + 1, height, to - from - 2, up(0) - height);
        context.globalAlpha = 0.9;
        context.fillRect(from + 1, height - 1, to - from - 2, 2);
      }
    });
    context.globalAlpha = 1;

    for (const name of ["initial", "truth", "final"]) {
      if (!picture[name]) continue;
      const points = picture.slots.map((slot, i) => [across(slot + 0.5), up(picture[name][i][at] / 255)]);
      context.strokeStyle = context.fillStyle = colour(name);
      context.lineWidth = 1.5;
      context.beginPath();
      points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.stroke();
      points.forEach(([x, y], i) => {
        context.beginPath();
        context.arc(x, y, i === index ? 3.5 : 2, 0, 2 * Math.PI);
        context.fill();
      });
    }
  }
}

/** @param {{x: number, y: number}|null} a @param {{x: number, y: number}} b */
const same = (a, b) => a !== null && a.x === b.x && a.y === b.y;
