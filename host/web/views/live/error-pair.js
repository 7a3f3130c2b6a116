/** The error: which two pictures it is between, and how much they differ. */

import { byId, make } from "../../lib/dom.js";
import { offer } from "./wipe.js";

const GAIN = 8;

export class ErrorPair {
  /** It is of the first, from the second. */
  #selects = [byId("error-of", HTMLSelectElement), byId("error-from", HTMLSelectElement)];
  #plane = new Uint8Array(0);

  /**
   * @param {Record<string, string>} titles Of the pictures, by name.
   * @param {[string, string]} pair Names of those to begin with.
   * @param {() => void} redraw
   */
  constructor(titles, pair, redraw) {
    const offered = Object.entries(titles).filter(([name]) => name !== "error");
    this.#selects.forEach((select, side) => {
      select.append(...offered.map(([name, title]) => make("option", { value: name }, title)));
      select.value = pair[side];
      select.addEventListener("change", redraw);
    });
  }

  /** Names of the two pictures. */
  get names() {
    return this.#selects.map(({ value }) => value);
  }

  /** Offer these pictures alone. @param {(name: string) => boolean} isOffered @param {[string, string]} otherwise */
  offer(isOffered, otherwise) {
    offer(this.#selects, isOffered, otherwise);
  }

  /** Their absolute difference, bright; null where one of them is missing. @param {Record<string, Uint8Array|null>} planes */
  planeOf(planes) {
    const [of, from] = this.names.map((name) => planes[name]);
    if (!from || !of) return null;
    if (this.#plane.length !== of.length) this.#plane = new Uint8Array(of.length);
    const out = this.#plane;
    for (let i = 0; i < of.length; i += 1) out[i] = Math.min(255, GAIN * Math.abs(of[i] - from[i]));
    return out;
  }
}
