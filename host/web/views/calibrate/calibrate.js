/** Calibrate: the calibration of the board, whoever started it. */

import { Calibration } from "./calibration.js";

/** See `View` of `views/view.js`. */
export class View {
  #calibration;

  /** @param {HTMLElement} _root @param {import("../view.js").Context} context */
  constructor(_root, context) {
    this.#calibration = new Calibration(context.service);
  }

  show() {
    this.#calibration.redraw();
  }

  hide() {}

  /** @param {import("../../net/types.js").LiveState} state */
  follow(state) {
    this.#calibration.follow(state);
  }
}
