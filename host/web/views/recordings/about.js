/** What is noted of a recording as a whole: a text that is kept when it is left. */

import { byId } from "../../lib/dom.js";

/** @typedef {import("../../net/recording-types.js").RecordingEntry} RecordingEntry */

export class About {
  #text = byId("rec-about", HTMLTextAreaElement);
  /** @type {RecordingEntry|null} */ #entry = null;
  /** Id of the one whose note could not be kept as it stands there. */ #unkept = "";

  /** @param {(id: string, note: string) => Promise<boolean>} noted Whether it could be kept. */
  constructor(noted) {
    this.#text.addEventListener("change", async () => {
      const { id = "" } = this.#text.dataset;
      this.#unkept = id;
      if (await noted(id, this.#text.value) && this.#unkept === id) this.#unkept = "";
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        this.#text.value = this.#entry?.note ?? "";
        this.#unkept = "";
      }
      if (event.key !== "Escape" && (event.key !== "Enter" || event.shiftKey)) return;
      event.preventDefault();
      this.#text.blur();
    });
  }

  /** Show what was noted of a recording, unless that is being edited. @param {RecordingEntry|null} entry */
  show(entry) {
    this.#entry = entry;
    const same = this.#text.dataset.id === entry?.id;
    if (same && (document.activeElement === this.#text || this.#unkept === entry?.id)) return;
    this.#text.dataset.id = entry?.id ?? "";
    this.#unkept = "";
    this.#text.value = entry?.note ?? "";
  }
}
