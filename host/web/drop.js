/** The drop zone for ratio maps: a file onto the board, its progress, and what went wrong. */

import { ask } from "./service.js";

const LARGEST_BYTES = 4 * 1024 * 1024;
const TYPES = { npz: "application/x-npz", png: "image/png" };
const INVITATION = "Drop a map here (.npz or .png), or choose a file";

export class DropZone {
  #zone = document.getElementById("drop");
  #text = document.getElementById("drop-text");
  #bar = document.getElementById("drop-progress");
  #busy = false;

  constructor() {
    const input = document.getElementById("map-file");
    input.addEventListener("change", () => {
      if (input.files.length) this.#upload(input.files[0]);
      input.value = "";
    });
    // A map may be dropped anywhere: a browser would otherwise leave the page to open it.
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dragging");
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("dragging");
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dragging");
      const [file] = event.dataTransfer.files;
      if (file) this.#upload(file);
    });
  }

  /** Follow an upload on its way to the board. @param {any} state */
  follow(state) {
    if (!this.#busy || state.phase !== "uploading" || state.progress === null) return;
    this.#bar.value = state.progress;
    this.#say(`To the board: ${Math.round(100 * state.progress)} %`, "");
  }

  /** @param {File} file */
  async #upload(file) {
    if (this.#busy) return;
    const type = TYPES[file.name.split(".").pop().toLowerCase()];
    if (!type) {
      this.#say(`${file.name} is not a ratio map: give a .npz or an indexed .png file.`, "error");
      return;
    }
    if (file.size > LARGEST_BYTES) {
      const size = (file.size / 2 ** 20).toFixed(0);
      this.#say(`${file.name} has ${size} MiB; a map file has at most 4 MiB. The board keeps its map.`, "error");
      return;
    }
    this.#busy = true;
    this.#bar.hidden = false;
    this.#bar.removeAttribute("value");
    this.#say(`Sending ${file.name}`, "");
    try {
      const map = await ask("api/map", { method: "PUT", body: file, headers: { "Content-Type": type } });
      this.#say(`${file.name} runs on the board: ${map.mean_level.toFixed(2)} measurements a pixel.`, "done");
    } catch (error) {
      this.#say(error.message, "error");
    }
    this.#busy = false;
    this.#bar.hidden = true;
  }

  /** @param {string} text @param {""|"done"|"error"} mood */
  #say(text, mood) {
    this.#text.textContent = text || INVITATION;
    this.#zone.className = `drop ${mood}`;
  }
}
