/** The map that the board runs, fetched when it changes and somebody looks at it. */

import { RatioMap } from "../lib/ratio-map.js";
import { request } from "../net/service.js";

/**
 * @callback MapListener
 * @param {RatioMap} map
 * @returns {void}
 */

export class BoardMap {
  /** @type {RatioMap|null} The newest that was fetched. */ current = null;
  #hash = "";
  #fetching = "";
  /** @type {Set<MapListener>} */ #listeners = new Set();

  /**
   * Call a function with the present map, and with each one after it.
   * @param {MapListener} listener
   * @returns {() => void} Ends the calls.
   */
  listen(listener) {
    this.#listeners.add(listener);
    if (this.current !== null && this.current.hash === this.#hash) listener(this.current);
    else this.#fetch();
    return () => this.#listeners.delete(listener);
  }

  /** @param {import("../net/types.js").LiveState} state */
  follow({ map }) {
    this.#hash = map?.hash ?? "";
    this.#fetch();
  }

  async #fetch() {
    const hash = this.#hash;
    if (!this.#listeners.size || !hash || [this.current?.hash, this.#fetching].includes(hash)) return;
    this.#fetching = hash;
    try {
      this.current = new RatioMap(await request("api/map"));
      for (const listener of this.#listeners) listener(this.current);
    } catch {
      // the next state asks again
    }
    this.#fetching = "";
  }
}
