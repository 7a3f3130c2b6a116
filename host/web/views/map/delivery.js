/** From the drawing to the board and back: what differs, the upload, and the way back from it. */

import { byId, set, setText } from "../../lib/dom.js";
import { counted } from "../../lib/format.js";
import { npz } from "../../lib/npz.js";
import { RatioMap } from "../../lib/ratio-map.js";
import { forget, keep, kept } from "./draft.js";

/**
 * @typedef {import("../../net/types.js").LiveState} LiveState
 * @typedef {import("./editor.js").Editor} Editor
 */

const MEASURES_NOTHING = "The drawing measures nothing, since every pixel has level 0: give some pixels a level of 1 or more.";
const ELSEWHERE = "The board has got another map since you began, and your paint is kept: look at the difference, then upload it over that map, or take the board's.";

export class Delivery {
  #service;
  #editor;
  #send = byId("send", HTMLButtonElement);
  #discard = byId("discard", HTMLButtonElement);
  #bar = byId("send-progress", HTMLProgressElement);
  #compare = byId("compare", HTMLInputElement);
  /** @type {RatioMap|null} What the board runs. */ #board = null;
  /** Hash of the map of the board that the drawing was begun on. */
  #base = "";
  /** @type {Uint8Array|null} The coded aperture of that map. */ #mask = null;
  #busy = false;
  #differing = 0;

  /** @param {import("../view.js").Context["service"]} service @param {Editor} editor */
  constructor(service, editor) {
    this.#service = service;
    this.#editor = editor;
    this.#send.addEventListener("click", () => this.#upload());
    this.#discard.addEventListener("click", () => this.#takeBoards());
    this.#compare.addEventListener("change", () => this.#showDifference());
    byId("go-back").addEventListener("click", () => this.#ask("Going back", "api/map/back", "The board runs the map before again; the drawing stays as it is."));
    byId("keep").addEventListener("click", () => service.file("api/map/keep", "POST").catch((error) => {
      this.#say(service.sentenceOf(error), "error");
    }));
  }

  /** The board runs this map from now on. @param {RatioMap} map */
  arrived(map) {
    const first = this.#board === null;
    const painted = this.#differing > 0 || this.#busy;
    this.#board = map;
    if (first && this.#takeUp(map)) this.#say("The paint from before is back; the board does not have it yet.", "done");
    else if (!painted && (!this.#fits || differing(this.#editor.drawing.levels, map.levels))) {
      this.#editor.open(map, map);
    }
    this.#weigh();
  }

  /** The drawing has changed. */
  painted() {
    this.#weigh();
    if (!this.#busy) this.#say("");
  }

  /** Keep what is painted in this tab, for a reload. */
  save() {
    const { drawing: { width, height, levels }, levels: levelSet } = this.#editor;
    if (!this.#board) return;
    if (!this.#differing) forget();
    else if (!keep({ width, height, levelSet, levels, base: this.#base, mask: this.#mask })) {
      this.#say("The browser has no room to keep the paint: save it before you leave the page.", "error");
    }
  }

  /** Show how far the upload is, and whether there is a way back. @param {LiveState} state */
  follow({ phase, progress, can_go_back: canGoBack }) {
    set(byId("decide"), { hidden: !canGoBack || this.#busy });
    if (!this.#busy || phase !== "uploading" || progress === null) return;
    this.#bar.value = progress;
    this.#say(`Uploading to the board: ${Math.round(100 * progress)} %`);
  }

  /** The drawing as a file. */
  file() {
    const { drawing: { width, height, levels }, levels: levelSet } = this.#editor;
    const mask = this.#mask;
    return npz([
      { name: "levels", shape: [height, width], data: levels },
      { name: "T", shape: [1], data: Uint8Array.of(this.#board?.slots ?? 0) },
      { name: "level_set", shape: [levelSet.length], data: Uint8Array.from(levelSet) },
      ...(mask ? [{ name: "mask", shape: [mask.length], data: mask }] : []),
    ]);
  }

  get #fits() {
    const { width, height } = this.#editor.drawing;
    return this.#board?.width === width && this.#board.height === height;
  }

  /** Why the board cannot run the drawing as it is; empty if nothing speaks against it. */
  get #reason() {
    const { width, height, reads } = this.#editor.drawing;
    if (!this.#fits && this.#board) {
      const { width: across, height: down } = this.#board;
      return `The board has ${across} × ${down} pixels and the drawing ${width} × ${height}: save the drawing, or take the board's map.`;
    }
    return reads ? "" : MEASURES_NOTHING;
  }

  /** Open what was painted before a reload; whether there was something. @param {RatioMap} map */
  #takeUp(map) {
    const draft = kept();
    if (!draft || draft.levelSet.some((level) => !(level in map.document.colours))) return false;
    this.#editor.open(map, draft);
    this.#base = draft.base;
    this.#mask = draft.mask;
    return true;
  }

  #takeBoards() {
    const board = this.#board;
    if (!board) return;
    if (this.#fits) this.#editor.drawing.replace(board.levels);
    else this.#editor.open(board, board);
    this.#editor.after(true);
  }

  #weigh() {
    const board = this.#board;
    if (!board) return;
    this.#differing = differing(this.#editor.drawing.levels, board.levels);
    if (!this.#differing) {
      this.#base = board.hash;
      this.#mask = board.mask;
    }
    byId("keep-png").hidden = this.#mask !== null; // a picture holds levels alone
    setText("difference", this.#differing ? `${counted(this.#differing, "pixel")} ${this.#differing === 1 ? "differs" : "differ"}` : "as on the board");
    const elsewhere = this.#base !== board.hash && !this.#busy;
    setText("send", elsewhere ? "Upload over it" : "Upload");
    const reason = this.#reason;
    setText("send-reason", reason || (elsewhere ? ELSEWHERE : ""));
    this.#discard.disabled = this.#busy || !this.#differing;
    this.#send.disabled = this.#busy || !this.#differing || reason !== "";
    this.#showDifference();
  }

  #upload() {
    // Whoever has read that the board has another map uploads over that one, and over no third one.
    const base = this.#board?.hash ?? "";
    this.#ask("Sending the drawing", `api/map?based_on=${base}`, "The board runs the drawing.", this.file());
  }

  /**
   * Let the board run another map, and say what came of it.
   * @param {string} doing @param {string} path @param {string} done @param {Blob} [file]
   */
  async #ask(doing, path, done, file) {
    if (this.#busy) return;
    this.#busy = true;
    this.#weigh();
    this.#bar.hidden = false;
    this.#bar.removeAttribute("value");
    this.#say(doing);
    let outcome = /** @type {[string, "done"|"error"]} */ ([done, "done"]);
    try {
      this.#board = new RatioMap(await this.#service.request(path, file ? "PUT" : "POST", file));
      this.#base = this.#board.hash;
    } catch (error) {
      outcome = [this.#service.sentenceOf(error), "error"];
    }
    this.#busy = false;
    this.#bar.hidden = true;
    this.#weigh();
    this.save();
    this.#say(...outcome);
  }

  #showDifference() {
    this.#editor.easel.compare(this.#compare.checked && this.#board && this.#fits ? this.#board.levels : null);
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
