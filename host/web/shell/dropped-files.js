/** Files dragged onto the page, in whichever view: the map view takes what is dropped. */

/**
 * @typedef {object} Taker
 * @property {() => void} dragged Files are being dragged over the page.
 * @property {(file: File) => void} dropped
 */

/** Browsers repeat dragover at least every 350 ms; without one, the drag has ended somewhere else. */
const DRAG_SILENCE_MS = 1000;

export class DroppedFiles {
  #dragEnd = 0;
  /** @type {File|null} One that was dropped where nobody takes it. */ #waiting = null;
  /** @type {Taker|null} */ #taker = null;

  /** @param {() => void} dropped A file was dropped: show the view that takes it. */
  constructor(dropped) {
    // The browser would otherwise leave the page and open the file.
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
      if (!file) return;
      if (this.#taker) this.#taker.dropped(file);
      else {
        this.#waiting = file;
        dropped();
      }
    });
  }

  /** Take what is dropped, from now on or no longer. @param {Taker|null} taker */
  give(taker) {
    this.#taker = taker;
    const file = this.#waiting;
    if (!taker || !file) return;
    this.#waiting = null;
    taker.dropped(file);
  }

  #drag() {
    clearTimeout(this.#dragEnd);
    this.#dragEnd = setTimeout(() => this.#endDrag(), DRAG_SILENCE_MS);
    if (document.body.classList.contains("dragging")) return;
    document.body.classList.add("dragging");
    this.#taker?.dragged();
  }

  #endDrag() {
    clearTimeout(this.#dragEnd);
    document.body.classList.remove("dragging");
  }
}
