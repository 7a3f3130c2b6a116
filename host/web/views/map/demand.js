/** What a drawing demands: reads of every slot at once, the rest from the service's schedule. */

import { byId, make, setText } from "../../lib/dom.js";

/**
 * @typedef {import("../../lib/ratio-map.js").RatioMap} RatioMap
 * @typedef {import("../../net/types.js").Schedule} Schedule
 */

/** A stroke ends before the service is asked. */
const SILENCE_MS = 250;
const RATES_KEY = "focalloop.rates";
const RATES = ["rate-of-adc", "rate-of-link"];

/**
 * Reads that fall due after each slot: a pixel at level n is read after every (slots / n)-th one.
 * @param {ArrayLike<number>} counts Pixels at each level. @param {number} slots
 */
export const readsPerSlot = (counts, slots) => Array.from({ length: slots }, (_, slot) => {
  let reads = 0;
  for (let level = 1; level <= slots; level += 1) {
    if (((slot + 1) * level) % slots === 0) reads += counts[level];
  }
  return reads;
});

export class Demand {
  #service;
  #bars = byId("slot-bars");
  #asking = 0;
  #asked = 0;
  /** @type {Uint32Array} */ #counts = new Uint32Array(256);
  /** @type {RatioMap|null} */ #map = null;

  /** @param {import("../view.js").Context["service"]} service */
  constructor(service) {
    this.#service = service;
    const kept = JSON.parse(localStorage.getItem(RATES_KEY) ?? "{}");
    for (const id of RATES) {
      const input = byId(id, HTMLInputElement);
      input.value = kept[id] ?? "";
      input.addEventListener("input", () => {
        const rates = Object.fromEntries(RATES.map((each) => [each, byId(each, HTMLInputElement).value]));
        localStorage.setItem(RATES_KEY, JSON.stringify(rates));
        this.#askSoon();
      });
    }
  }

  /** @param {RatioMap} map Whose slots it has. @param {Uint32Array} counts Pixels at each level. */
  follow(map, counts) {
    this.#map = map;
    this.#counts = counts.slice();
    const { slots, levels: { length: pixels } } = map;
    const reads = readsPerSlot(counts, slots);
    const total = reads.reduce((sum, each) => sum + each, 0);
    setText("ratio", (total / pixels / slots).toFixed(4));
    setText("mean-level", `${(total / pixels).toFixed(2)} per pixel`);
    if (this.#bars.childElementCount !== slots) {
      this.#bars.replaceChildren(...reads.map(() => make("i")));
    }
    const peak = Math.max(...reads, 1);
    reads.forEach((each, slot) => {
      const bar = /** @type {HTMLElement} */ (this.#bars.children[slot]);
      bar.style.height = `${(100 * each) / peak}%`;
      bar.title = `${each.toLocaleString("en")} reads after slot ${slot + 1}`;
    });
    this.#bars.setAttribute("aria-label", `Reads after each slot: ${reads.join(", ")}`);
    setText("slot-peak", `at most ${si(Math.max(...reads))} reads`);
    this.#askSoon();
  }

  /** Ask nothing any more. */
  rest() {
    clearTimeout(this.#asking);
  }

  #askSoon() {
    clearTimeout(this.#asking);
    this.#asking = setTimeout(() => this.#ask(), SILENCE_MS);
  }

  async #ask() {
    if (!this.#map || !this.#counts.subarray(1).some(Boolean)) return; // nothing is read
    const asked = (this.#asked += 1);
    /** @type {Record<number, number>} */ const pixels = {};
    this.#counts.forEach((count, level) => { if (count) pixels[level] = count; });
    const [adc, link] = RATES.map((id) => byId(id, HTMLInputElement).valueAsNumber || null);
    try {
      const schedule = await this.#service.request("api/map/schedule", "POST", {
        pixels, adc_rate_hz: adc, link_rate_bytes_per_s: link,
      });
      if (asked === this.#asked) this.#show(schedule);
    } catch (error) {
      if (asked === this.#asked) this.#say("adc-say", this.#service.sentenceOf(error), "");
      for (const id of ["link-say", "energy"]) setText(id, "–");
    }
  }

  /** @param {Schedule} schedule */
  #show(schedule) {
    const { peak_rate_hz: peak, holding_rate_hz: holding, link_needed_bytes_per_s: bytes } = schedule;
    if (schedule.fits_adc === null) {
      this.#say("adc-say", `needs ${si(peak)} reads/s, or ${si(holding)} where pixels hold their value`, "");
    } else if (schedule.fits_adc) this.#say("adc-say", "keeps up", "good");
    else if (schedule.fits_adc_holding) this.#say("adc-say", "keeps up where pixels hold their value", "warn");
    else this.#say("adc-say", `too slow: needs ${si(holding)} reads/s`, "bad");
    const carried = Math.floor(100 * (schedule.windows_carried ?? 1));
    if (schedule.fits_link === null) this.#say("link-say", `needs ${si(bytes)}B/s`, "");
    else if (schedule.fits_link) this.#say("link-say", "keeps up", "good");
    else this.#say("link-say", `too slow: carries ${carried} % of the windows, needs ${si(bytes)}B/s`, "bad");
    setText("energy", `${si(schedule.energy_j_per_window)}J per window, ${si(schedule.power_w)}W`);
  }

  /** @param {string} id @param {string} text @param {""|"good"|"warn"|"bad"} mood */
  #say(id, text, mood) {
    setText(id, text);
    byId(id).className = mood;
  }
}

/** A value with three digits and a prefix of the SI. @param {number} value */
function si(value) {
  const prefixes = ["n", "µ", "m", "", "k", "M", "G"];
  const power = value ? Math.min(Math.max(Math.floor(Math.log10(value) / 3), -3), 3) : 0;
  return `${Number((value / 10 ** (3 * power)).toPrecision(3))} ${prefixes[power + 3]}`;
}
