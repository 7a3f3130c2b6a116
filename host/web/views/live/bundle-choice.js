/** The list of bundles, and the change to another: its map and its network together. */

import { byId } from "../../lib/dom.js";

/**
 * @typedef {import("../../net/types.js").BundleState} BundleState
 * @typedef {import("../../net/types.js").Bundles} Bundles
 * @typedef {import("../../net/types.js").LiveState} LiveState
 */

const REFUSAL_MS = 12_000;

export class BundleChoice {
  #service;
  #notices;
  #select = byId("bundle", HTMLSelectElement);
  #listing = false;
  #busy = false;

  /** @param {import("../view.js").Context} context */
  constructor({ service, notices }) {
    this.#service = service;
    this.#notices = notices;
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
  }

  /** Show the selected bundle, whoever selected it. @param {LiveState} state */
  follow({ bundle }) {
    if (!this.#busy && bundle !== this.#select.value) this.#show(bundle);
  }

  /** Select a name, fetching the list first if the name is not in it yet. @param {string} name */
  #show(name) {
    this.#select.value = name;
    if (name && this.#select.value !== name && !this.#listing) this.#list();
  }

  async #list() {
    this.#listing = true;
    try {
      /** @type {Bundles} */
      const { bundles, active } = await this.#service.request("api/bundles");
      this.#select.replaceChildren(...bundles.map((bundle) => new Option(describe(bundle), bundle.name)));
      this.#select.value = active;
    } catch {
      this.#select.replaceChildren(); // the next state asks again
    }
    this.#listing = false;
  }

  /** Run a bundle: upload its map, then reconstruct with its network. @param {string} name */
  async #choose(name) {
    if (this.#busy) return;
    this.#busy = true;
    this.#select.disabled = true;
    this.#notices.say(`Changing to ${this.#select.selectedOptions[0]?.text ?? name}`, "info");
    try {
      /** @type {Bundles} */
      const { active } = await this.#service.request("api/bundle", "PUT", { name });
      this.#notices.say("");
      this.#show(active);
    } catch (error) {
      // The next state shows which bundle is still selected.
      this.#notices.say(this.#service.sentenceOf(error), "error", REFUSAL_MS);
    }
    this.#busy = false;
    this.#select.disabled = false;
  }
}

/** @param {BundleState} bundle */
function describe({ title, ratio, aperture, any_map: anyMap, psnr_db: psnr }) {
  if (ratio === null) return title;
  const parts = [title, anyMap ? "any map" : `r ${Number(ratio.toFixed(4))}`];
  if (aperture) parts.push("aperture");
  if (psnr !== null) parts.push(`${psnr.toFixed(1)} dB`);
  return parts.join(" · ");
}
