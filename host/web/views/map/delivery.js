/** From the drawing to the board and back: what differs, the upload, and the files. */

import { byId, make, setText } from "../../lib/dom.js";
import { grouped } from "../../lib/format.js";
import { npz } from "../../lib/npz.js";
import { Screen, rgb } from "../../lib/screen.js";

/**
 * @typedef {import("../../lib/ratio-map.js").RatioMap} RatioMap
 * @typedef {import("../../net/types.js").LiveState} LiveState
 * @typedef {import("./editor.js").Editor} Editor
 */

const MEASURES_NOTHING = "The drawing measures nothing, since every pixel has level 0: give some pixels a level of 1 or more.";

export class Delivery {
  #service;
  #editor;
  #send = byId("send", HTMLButtonElement);
  #discard = byId("discard", HTMLButtonElement);
  #bar = byId("send-progress", HTMLProgressElement);
  #compare = byId("compare", HTMLInputElement);
  /** @type {RatioMap|null} */ #board = null;
  #busy = false;
  #differing = 0;

  /** @param {import("../view.js").Context["service"]} service @param {Editor} editor */
  constructor(service, editor) {
    this.#service = service;
    this.#editor = editor;
    this.#send.addEventListener("click", () => this.#upload());
    this.#discard.addEventListener("click", () => {
      const board = this.#board;
      if (!board) return;
      if (this.#fits) editor.drawing.replace(board.levels);
      else editor.open(board, board.levels);
      editor.after(true);
    });
    this.#compare.addEventListener("change", () => this.#showDifference());
    byId("keep-npz").addEventListener("click", () => save(this.#file(), "drawing.npz"));
    byId("keep-png").addEventListener("click", () => this.#savePicture());
  }

  /** The board runs this map from now on. @param {RatioMap} map */
  arrived(map) {
    const { levels } = this.#editor.drawing;
    const painted = this.#differing > 0;
    this.#board = map;
    if (!painted && (!this.#fits || differing(levels, map.levels))) this.#editor.open(map, map.levels);
    this.#weigh();
  }

  /** The drawing has changed. */
  painted() {
    this.#weigh();
    if (!this.#busy && this.#reason === "") this.#say("");
  }

  #weigh() {
    if (!this.#board) return;
    this.#differing = differing(this.#editor.drawing.levels, this.#board.levels);
    setText("difference", this.#differing ? `${grouped(this.#differing)} pixels differ` : "as on the board");
    this.#discard.disabled = this.#busy || !this.#differing;
    const reason = this.#reason;
    this.#send.disabled = this.#busy || !this.#differing || reason !== "";
    if (!this.#busy && reason) this.#say(reason, "error");
    this.#showDifference();
  }

  /** Show how far the upload is. @param {LiveState} state */
  follow({ phase, progress }) {
    if (!this.#busy || phase !== "uploading" || progress === null) return;
    this.#bar.value = progress;
    this.#say(`Uploading to the board: ${Math.round(100 * progress)} %`);
  }

  get #fits() {
    const { width, height } = this.#editor.drawing;
    return this.#board?.width === width && this.#board.height === height;
  }

  /** Why the board cannot run the drawing; empty if nothing speaks against it. */
  get #reason() {
    const { width, height, reads } = this.#editor.drawing;
    if (!this.#fits && this.#board) {
      const { width: across, height: down } = this.#board;
      return `The board has ${across} × ${down} pixels and the drawing ${width} × ${height}: save the drawing, or take the board's map.`;
    }
    return reads ? "" : MEASURES_NOTHING;
  }

  async #upload() {
    this.#busy = true;
    this.#send.disabled = this.#discard.disabled = true;
    this.#bar.hidden = false;
    this.#bar.removeAttribute("value");
    this.#say("Sending the drawing");
    let outcome = /** @type {[string, "done"|"error"]} */ (["", "done"]);
    try {
      const map = await this.#service.request("api/map", "PUT", this.#file());
      outcome = [`The board runs the drawing: ${map.mean_level.toFixed(2)} measurements per pixel.`, "done"];
    } catch (error) {
      outcome = [this.#service.sentenceOf(error), "error"];
    }
    this.#busy = false;
    this.#bar.hidden = true;
    this.#weigh();
    this.#say(...outcome);
  }

  #file() {
    const { drawing: { width, height, levels }, levels: levelSet } = this.#editor;
    const board = /** @type {RatioMap} */ (this.#board);
    return npz([
      { name: "levels", shape: [height, width], data: levels },
      { name: "T", shape: [1], data: Uint8Array.of(board.slots) },
      { name: "level_set", shape: [levelSet.length], data: Uint8Array.from(levelSet) },
      ...(board.mask ? [{ name: "mask", shape: [board.mask.length], data: board.mask }] : []),
    ]);
  }

  #savePicture() {
    const { drawing: { width, height, levels } } = this.#editor;
    const board = /** @type {RatioMap} */ (this.#board);
    const canvas = document.createElement("canvas");
    const screen = new Screen(canvas);
    const table = Uint32Array.from({ length: 256 }, (_, level) => rgb(...board.colour(level)));
    screen.show(levels, height, width, table);
    canvas.toBlob((blob) => { if (blob) save(blob, "drawing.png"); }, "image/png");
  }

  #showDifference() {
    this.#editor.easel.compare(this.#compare.checked && this.#board ? this.#board.levels : null);
  }

  /** @param {string} text @param {""|"done"|"error"} [mood] */
  #say(text, mood = "") {
    setText("send-say", text);
    byId("send-say").className = `say beside ${mood}`;
  }
}

/** How many cells have another level. @param {Uint8Array} one @param {Uint8Array} other */
function differing(one, other) {
  if (one.length !== other.length) return one.length;
  let count = 0;
  for (let at = 0; at < one.length; at += 1) count += Number(one[at] !== other[at]);
  return count;
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const href = URL.createObjectURL(blob);
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
