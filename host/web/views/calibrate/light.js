/** The light on the sensor, asked for while a person sets it. */

import { make } from "../../lib/dom.js";

/**
 * @typedef {import("../../net/calibration-types.js").LightState} LightState
 * @typedef {import("../../net/types.js").LiveState} LiveState
 */

const ASK_MS = 500;

export class Light {
  #boxes;
  #service;
  #timer = 0;
  #shown = "";

  /** @param {HTMLElement} root @param {import("../view.js").Context["service"]} service */
  constructor(root, service) {
    this.#service = service;
    this.#boxes = /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-light]"));
  }

  /** Ask for it where a person sets it, and only there. @param {LiveState} state @param {string} stage */
  follow({ board, phase, calibration }, stage) {
    const streaming = stage === "board" && phase === "streaming" && board !== null && !board.simulated && !board.replay;
    if (!streaming && calibration.phase !== "light") this.stop();
    else if (!this.#timer) {
      this.#ask();
      this.#timer = setInterval(() => this.#ask(), ASK_MS);
    }
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#show(null);
  }

  async #ask() {
    const timer = this.#timer;
    /** @type {LightState|null} */
    const light = await this.#service.request("api/calibration/light").catch(() => null);
    if (!timer || timer === this.#timer) this.#show(light);
  }

  /** @param {LightState|null} light */
  #show(light) {
    const key = light ? JSON.stringify([light.sentences, Math.round(100 * light.signal)]) : "";
    if (key === this.#shown) return;
    this.#shown = key;
    for (const box of this.#boxes) box.replaceChildren(...(light ? gaugeOf(light) : []));
  }
}

/** @param {LightState} light */
function gaugeOf({ signal, wanted, mood, sentences }) {
  const [track, bar, mark] = ["track", `bar ${mood}`, "mark"].map((className) => make("i", { className }));
  bar.style.width = `${100 * Math.min(1, Math.max(0, signal))}%`;
  mark.style.left = `${100 * wanted}%`;
  track.append(bar, ...(wanted ? [mark] : []));
  track.ariaHidden = "true";
  return [track, ...sentences.map((text, i) => make("p", { className: i || mood !== "good" ? mood : "" }, text))];
}
