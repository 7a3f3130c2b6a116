/** The map: the one that the board runs, and another one in its place. */

import { byId } from "../../lib/dom.js";
import { MapPicture } from "../../lib/map-picture.js";
import { MapUpload } from "./map-upload.js";

/** @typedef {import("../view.js").Context} Context */

/** See `View` of `views/view.js`. */
export class View {
  #context;
  #picture;
  #upload;
  #unlisten = () => {};

  /** @param {HTMLElement} _root @param {Context} context */
  constructor(_root, context) {
    this.#context = context;
    this.#picture = new MapPicture("map", (pixel) => this.#picture.look(pixel));
    this.#upload = new MapUpload(context.service);
    for (const suffix of ["npz", "png"]) {
      byId(`save-${suffix}`, HTMLAnchorElement).href = context.service.address(`api/map.${suffix}`);
    }
  }

  show() {
    this.#unlisten = this.#context.map.listen((map) => {
      this.#picture.show(map, { x: map.width >> 1, y: map.height >> 1 });
      byId("save-png").hidden = map.mask !== null || map.palette !== null; // a picture holds levels alone
    });
    this.#context.files.give({
      dragged: () => this.#upload.invite(),
      dropped: (file) => this.#upload.send(file),
    });
  }

  hide() {
    this.#unlisten();
    this.#context.files.give(null);
  }

  /** @param {import("../../net/types.js").LiveState} state */
  follow(state) {
    this.#upload.follow(state);
  }
}
