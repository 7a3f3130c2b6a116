/** The map: a drawing of one, the one that the board runs, and files with others. */

import { byId } from "../../lib/dom.js";
import { MapPicture } from "../../lib/map-picture.js";
import { Delivery } from "./delivery.js";
import { Editor } from "./editor.js";
import { MapUpload } from "./map-upload.js";

/** @typedef {import("../view.js").Context} Context */

/** See `View` of `views/view.js`. */
export class View {
  #context;
  #picture;
  #upload;
  #editor;
  #delivery;
  #unlisten = () => {};

  /** @param {HTMLElement} _root @param {Context} context */
  constructor(_root, context) {
    this.#context = context;
    this.#picture = new MapPicture("map", (pixel) => this.#picture.look(pixel));
    this.#upload = new MapUpload(context.service);
    this.#editor = new Editor(() => this.#delivery.painted());
    this.#delivery = new Delivery(context.service, this.#editor);
    for (const suffix of ["npz", "png"]) {
      byId(`save-${suffix}`, HTMLAnchorElement).href = context.service.address(`api/map.${suffix}`);
    }
  }

  show() {
    this.#editor.show();
    this.#unlisten = this.#context.map.listen((map) => {
      this.#picture.show(map, { x: map.width >> 1, y: map.height >> 1 });
      this.#delivery.arrived(map);
      byId("save-png").hidden = map.mask !== null || map.palette !== null; // a picture holds levels alone
      byId("keep-png").hidden = map.mask !== null;
    });
    this.#context.files.give({
      dragged: () => this.#upload.invite(),
      dropped: (file) => this.#upload.send(file),
    });
  }

  hide() {
    this.#editor.hide();
    this.#unlisten();
    this.#context.files.give(null);
  }

  /** @param {import("../../net/types.js").LiveState} state */
  follow(state) {
    this.#upload.follow(state);
    this.#delivery.follow(state);
  }
}
