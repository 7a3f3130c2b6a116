/** A second bundle, which rebuilds the same windows beside: its choice, what it reaches and costs. */

import { byId, make, set, setText } from "../../lib/dom.js";
import { fixed } from "../../lib/format.js";

/**
 * @typedef {import("../../net/types.js").Bundles} Bundles
 * @typedef {import("../../net/types.js").LiveState} LiveState
 */

const NOTHING = "";
const REFUSAL_MS = 12_000;

export class Comparison {
  #service;
  #notices;
  #select = byId("beside-bundle", HTMLSelectElement);
  #chosen = NOTHING;
  /** Map, and what reconstructs under it, for which the bundles are offered. */ #offered = "";
  /** What the figures are of. */ #of = "";
  /** @type {{psnr: number|null, ssim: number|null}} */ #newest = { psnr: null, ssim: null };

  /** @param {import("../view.js").Context} context */
  constructor({ service, notices }) {
    this.#service = service;
    this.#notices = notices;
    this.#select.append(new Option("nothing", NOTHING));
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
    byId("beside-off").addEventListener("click", () => this.#choose(NOTHING));
  }

  /** Show what is compared, whoever chose it. @param {LiveState} state */
  follow(state) {
    const { comparison, map, bundle, reconstructed_by: by } = state;
    const chosen = comparison?.bundle ?? NOTHING;
    if (chosen !== this.#chosen) {
      this.#chosen = chosen;
      this.#mark();
    }
    const offered = map ? `${map.hash} ${bundle} ${by}` : "";
    if (offered && offered !== this.#offered) {
      this.#offered = offered;
      this.#list(by);
    }
    this.#showFigures(state);
  }

  /** A figure of another map or bundle is a dash; while a window is held, the last one stays. @param {LiveState} state */
  #showFigures({ comparison, scores, setup, board }) {
    set(byId("beside-figure"), { hidden: !comparison });
    if (!comparison) return;
    const of = `${setup} ${comparison.setup}`;
    if (of !== this.#of) this.#newest = { psnr: null, ssim: null };
    this.#of = of;
    if (scores?.beside === comparison.reconstructed_by) {
      this.#newest = { psnr: scores.psnr_beside_db, ssim: scores.ssim_beside };
    }
    const { reconstruct_ms: ms } = comparison;
    const referenced = board?.gives_scene ?? true;
    setText("beside-value", referenced ? fixed(this.#newest.psnr, 1) : fixed(ms, 0));
    setText("beside-unit", referenced ? "dB" : "ms");
    const cost = ms === null ? "not computed now" : `takes ${fixed(ms, 0)} ms`;
    const ssim = this.#newest.ssim === null ? "" : `SSIM ${fixed(this.#newest.ssim, 3)}, `;
    setText("beside-cost", referenced ? `${ssim}${cost}` : ms === null ? "not computed now" : "per window, in addition");
  }

  /** Offer the bundles that suit the map that the board runs. @param {string} present The one in use. */
  async #list(present) {
    try {
      /** @type {Bundles} */
      const { bundles } = await this.#service.request("api/bundles");
      const others = bundles.filter(({ name, suits }) => suits && name !== present);
      this.#select.replaceChildren(...[["nothing", NOTHING], ...others.map(({ title, name }) => [title, name])]
        .map(([text, value]) => make("option", { value }, text)));
      this.#mark();
    } catch {
      this.#offered = ""; // the next state asks again
    }
  }

  /** Show which one is chosen, also where it was made for another map. */
  #mark() {
    const chosen = this.#chosen;
    this.#select.value = chosen;
    if (this.#select.value === chosen) return;
    this.#select.append(make("option", { value: chosen }, chosen));
    this.#select.value = chosen;
  }

  /** @param {string} name */
  async #choose(name) {
    this.#select.disabled = true;
    try {
      await this.#service.file("api/comparison", name ? "PUT" : "DELETE", name ? { name } : undefined);
      this.#chosen = name;
    } catch (error) {
      this.#notices.say(this.#service.sentenceOf(error), "error", REFUSAL_MS);
    }
    this.#select.disabled = false;
    this.#mark();
  }
}
