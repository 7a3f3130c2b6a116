/** The drop zone for ratio maps: uploads a file to the board, shows its progress and its errors. */

import { byId, setText } from "../../lib/dom.js";

/** @typedef {import("../../net/types.js").LiveState} LiveState */

const MAX_BYTES = 4 * 1024 * 1024;
/** @type {Record<string, string>} */
const TYPES = { npz: "application/x-npz", png: "image/png" };
const INVITATION = "Drop a map here (.npz or .png), or choose a file";
/** How long the outcome of an upload stays. */
const OUTCOME_MS = 12_000;

export class MapUpload {
  #service;
  #zone = byId("drop");
  #bar = byId("drop-progress", HTMLProgressElement);
  #busy = false;
  #outcome = 0;

  /** @param {import("../view.js").Context["service"]} service */
  constructor(service) {
    this.#service = service;
    const input = byId("map-file", HTMLInputElement);
    input.addEventListener("change", () => {
      if (input.files?.length) this.send(input.files[0]);
      input.value = "";
    });
  }

  /** Invite to drop what is being dragged, in place of the outcome before. */
  invite() {
    if (!this.#busy) this.#say(INVITATION);
  }

  /** Show the progress of an upload to the board. @param {LiveState} state */
  follow({ phase, progress }) {
    if (!this.#busy || phase !== "uploading" || progress === null) return;
    this.#bar.value = progress;
    this.#say(`Uploading to the board: ${Math.round(100 * progress)} %`);
  }

  /** @param {File} file */
  async send(file) {
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
      const map = await this.#service.request("api/map", "PUT", new Blob([file], { type }));
      const level = map.mean_level.toFixed(2);
      this.#say(`The board runs ${file.name}: ${level} measurements per pixel.`, "done");
    } catch (error) {
      this.#say(this.#service.sentenceOf(error), "error");
    }
    this.#busy = false;
    this.#bar.hidden = true;
  }

  /** @param {string} text @param {""|"done"|"error"} mood That of an outcome, which stays for a while. */
  #say(text, mood = "") {
    setText("drop-text", text);
    this.#zone.className = `drop ${mood}`;
    clearTimeout(this.#outcome);
    if (mood) this.#outcome = setTimeout(() => this.invite(), OUTCOME_MS);
  }
}
