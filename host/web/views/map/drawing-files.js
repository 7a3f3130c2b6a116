/** Files of the drawing: one to draw on, and the drawing as `.npz` or `.png`. */

import { byId, setText } from "../../lib/dom.js";
import { download } from "../../lib/download.js";
import { RatioMap } from "../../lib/ratio-map.js";
import { Screen, rgb } from "../../lib/screen.js";

/** @typedef {import("./editor.js").Editor} Editor */

export class DrawingFiles {
  #service;
  #editor;

  /**
   * @param {import("../view.js").Context["service"]} service @param {Editor} editor
   * @param {() => Blob} npz The drawing as a file.
   */
  constructor(service, editor, npz) {
    this.#service = service;
    this.#editor = editor;
    const input = byId("open-file", HTMLInputElement);
    input.addEventListener("change", () => {
      if (input.files?.length) this.#open(input.files[0]);
      input.value = "";
    });
    byId("keep-npz").addEventListener("click", () => download(npz(), "drawing.npz"));
    byId("keep-png").addEventListener("click", () => this.#savePicture());
  }

  /** @param {File} file */
  async #open(file) {
    try {
      const map = new RatioMap(await this.#service.request("api/map/read", "POST", file));
      if (map.mask) throw new Error(`${file.name} has a coded aperture, which cannot be painted: drop it, and the board runs it as it is.`);
      this.#editor.drawing.replace(map.levels);
      this.#editor.after(true);
    } catch (error) {
      setText("send-say", this.#service.sentenceOf(error));
      byId("send-say").className = "say beside error";
    }
  }

  #savePicture() {
    const { drawing: { width, height, levels }, colourOf } = this.#editor;
    const canvas = document.createElement("canvas");
    const table = Uint32Array.from({ length: 256 }, (_, level) => rgb(...colourOf(level)));
    new Screen(canvas).show(levels, height, width, table);
    canvas.toBlob((blob) => { if (blob) download(blob, "drawing.png"); }, "image/png");
  }
}
