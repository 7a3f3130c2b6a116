/** The drop zone for ratio maps: uploads a file to the board, shows its progress and its errors. */

import { byId, setText } from "../lib/dom.js";
import { request, sentenceOf } from "../net/service.js";

/** @typedef {import("../net/types.js").LiveState} LiveState */

const MAX_BYTES = 4 * 1024 * 1024;
/** @type {Record<string, string>} */
const TYPES = { npz: "application/x-npz", png: "image/png" };
const INVITATION = "Drop a map here (.npz or .png), or choose a file";
/** How long the outcome of an upload stays. */
const OUTCOME_MS = 12_000;
/** Browsers repeat dragover at least every 350 ms; without one, the drag has ended somewhere else. */
const DRAG_SILENCE_MS = 1000;

export class MapUpload {
  #zone = byId("drop");
  #bar = byId("drop-progress", HTMLProgressElement);
  #busy = false;
  #invite = 0;
  #dragEnd = 0;

  constructor() {
    const input = byId("map-file", HTMLInputElement);
    input.addEventListener("change", () => {
      if (input.files?.length) this.#upload(input.files[0]);
      input.value = "";
    });
    // A map may be dropped anywhere: the browser would otherwise leave the page and open the file.
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      if (event.dataTransfer?.types.includes("Files")) this.#drag();
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this.#endDrag();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#endDrag();
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#endDrag();
      const file = event.dataTransfer?.files[0];
      if (file) this.#upload(file);
    });
  }

  /** Show the progress of an upload to the board. @param {LiveState} state */
  follow({ phase, progress }) {
    if (!this.#busy || phase !== "uploading" || progress === null) return;
    this.#bar.value = progress;
    this.#say(`Uploading to the board: ${Math.round(100 * progress)} %`);
  }

  #drag() {
    clearTimeout(this.#dragEnd);
    this.#dragEnd = setTimeout(() => this.#endDrag(), DRAG_SILENCE_MS);
    if (document.body.classList.contains("dragging")) return;
    document.body.classList.add("dragging");
    if (!this.#busy) this.#say(INVITATION);
  }

  #endDrag() {
    clearTimeout(this.#dragEnd);
    document.body.classList.remove("dragging");
  }

  /** @param {File} file */
  async #upload(file) {
    if (this.#busy) return;
    const type = TYPES[file.name.split(".").pop()?.toLowerCase() ?? ""];
    if (!type) {
      this.#say(`${file.name} is not a ratio map: choose an .npz or indexed .png file.`, "error");
      return;
    }
    if (file.size > MAX_BYTES) {
      const size = (file.size / 2 ** 20).toFixed(0);
      this.#say(`${file.name} is ${size} MiB; a map file is at most 4 MiB. The board keeps its map.`, "error");
      return;
    }
    this.#busy = true;
    this.#bar.hidden = false;
    this.#bar.removeAttribute("value");
    this.#say(`Sending ${file.name}`);
    try {
      const map = await request("api/map", "PUT", new Blob([file], { type }));
      const level = map.mean_level.toFixed(2);
      this.#say(`The board runs ${file.name}: ${level} measurements per pixel.`, "done");
    } catch (error) {
      this.#say(sentenceOf(error), "error");
    }
    this.#busy = false;
    this.#bar.hidden = true;
  }

  /** @param {string} text @param {""|"done"|"error"} mood That of an outcome, which stays for a while. */
  #say(text, mood = "") {
    setText("drop-text", text);
    this.#zone.className = `drop ${mood}`;
    clearTimeout(this.#invite);
    if (mood) this.#invite = setTimeout(() => this.#say(INVITATION), OUTCOME_MS);
  }
}
