/** The map: a drawing of one, the one that the board runs, and files with others. */

import { byId } from "../../lib/dom.js";
import { MapPicture } from "../../lib/map-picture.js";
import { Delivery } from "./delivery.js";
import { Demand } from "./demand.js";
import { DrawingFiles } from "./drawing-files.js";
import { Editor } from "./editor.js";
import { MapUpload } from "./map-upload.js";

/** @typedef {import("../view.js").Context} Context */

/** A stroke after which nothing follows for so long is kept for a reload; leaving the page keeps all. */
const SAVE_MS = 300;

/** See `View` of `views/view.js`. */
export class View {
  #context;
  #picture;
  #upload;
  #editor;
  #delivery;
  #demand;
  #saving = 0;
  #unlisten = () => {};

  /** @param {HTMLElement} _root @param {Context} context */
  constructor(_root, context) {
    this.#context = context;
    this.#picture = new MapPicture("map", (pixel) => this.#picture.look(pixel));
    this.#upload = new MapUpload(context.service);
    this.#demand = new Demand(context.service);
    this.#editor = new Editor(() => this.#painted(), (counts) => {
      const map = context.map.current;
      if (map) this.#demand.follow(map, counts);
    });
    this.#delivery = new Delivery(context.service, this.#editor);
    new DrawingFiles(context.service, this.#editor, () => this.#delivery.file());
    window.addEventListener("pagehide", () => this.#delivery.save());
    for (const suffix of ["npz", "png"]) {
      byId(`save-${suffix}`, HTMLAnchorElement).href = context.service.address(`api/map.${suffix}`);
    }
  }

  show() {
    this.#editor.show();
    this.#unlisten = this.#context.map.listen((map) => {
      this.#picture.show(map, { x: map.width >> 1, y: map.height >> 1 });
      this.#delivery.arrived(map);
      this.#offerTiles();
      byId("save-png").hidden = map.mask !== null || map.palette !== null; // a picture holds levels alone
    });
    this.#context.files.give({
      dragged: () => this.#upload.invite(),
      dropped: (file) => this.#upload.send(file),
    });
  }

  hide() {
    this.#editor.hide();
    this.#demand.rest();
    this.#delivery.save();
    this.#unlisten();
    this.#context.files.give(null);
  }

  /** @param {import("../../net/types.js").LiveState} state */
  follow(state) {
    this.#upload.follow(state);
    this.#delivery.follow(state);
  }

  #painted() {
    this.#delivery.painted();
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => this.#delivery.save(), SAVE_MS);
  }

  async #offerTiles() {
    try {
      this.#editor.offer(await this.#context.service.request("api/map/tiles"));
    } catch {
      // the next map asks again
    }
  }
}
