/** The choice of bundle: what is on offer, and the change to another, map and network together. */

import { announce } from "./figures.js";
import { ask } from "./service.js";

const REFUSAL_MS = 12_000;

/**
 * @typedef {object} Offer One thing to choose, from `GET api/bundles`.
 * @property {string} name
 * @property {string} title
 * @property {number|null} ratio Measurements against a full readout; null without a network.
 * @property {boolean} aperture
 * @property {boolean} any_map Its network takes any map; the ratio is of the one that it begins with.
 * @property {number|null} psnr_db On the open test set.
 */

export class Bundles {
  #select = document.getElementById("bundle");
  #ownMap = document.getElementById("own-map");
  #listing = false;
  #busy = false;

  constructor() {
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
    this.#ownMap.addEventListener("click", () => this.#choose(this.#select.value));
  }

  /** Show what rebuilds, whoever chose it. @param {any} state */
  follow(state) {
    this.#ownMap.hidden = this.#busy || state.phase !== "streaming" || state.reconstructed_by === state.bundle;
    if (!this.#busy && state.bundle !== this.#select.value) this.#show(state.bundle);
  }

  /** Select a name, fetching the list first where it is not in it yet. @param {string} name */
  #show(name) {
    this.#select.value = name;
    if (name && this.#select.value !== name && !this.#listing) this.#list();
  }

  async #list() {
    this.#listing = true;
    const { bundles, active } = await ask("api/bundles").catch(() => ({ bundles: [], active: "" }));
    this.#select.replaceChildren(...bundles.map((offer) => new Option(describe(offer), offer.name)));
    this.#select.value = active;
    this.#listing = false;
  }

  /** Run a bundle: its map on the board, then its network. @param {string} name */
  async #choose(name) {
    if (this.#busy) return;
    this.#busy = true;
    this.#select.disabled = true;
    const title = this.#select.selectedOptions[0]?.text ?? name;
    announce(`Changing to ${title}`, "info");
    let active = null;
    try {
      ({ active } = await ask("api/bundle", {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ name }),
      }));
      announce("");
    } catch (error) {
      announce(error.message, "error", REFUSAL_MS);
    }
    this.#busy = false;
    this.#select.disabled = false;
    // After a refusal the next state tells what goes on.
    if (active !== null) this.#show(active);
  }
}

/** @param {Offer} offer */
function describe({ title, ratio, aperture, any_map: anyMap, psnr_db: psnr }) {
  if (ratio === null) return title;
  const parts = [title, anyMap ? "any map" : `r ${Number(ratio.toFixed(4))}`];
  if (aperture) parts.push("aperture");
  if (psnr !== null) parts.push(`${psnr.toFixed(1)} dB`);
  return parts.join(" · ");
}
