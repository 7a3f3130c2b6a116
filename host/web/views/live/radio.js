/** The radio link: what it is set to, the rate map, and the PSNR at every SNR that was tried. */

import { byId, set, setText } from "../../lib/dom.js";
import { fixed, grouped } from "../../lib/format.js";
import { Plot } from "../../lib/plot.js";
import { HEAT, Screen } from "../../lib/screen.js";
import { Seen } from "../../lib/seen.js";
import { fillTable } from "../../lib/table.js";

/**
 * @typedef {import("../../net/types.js").LiveState} LiveState
 * @typedef {import("../../net/types.js").RadioChoice} RadioChoice
 * @typedef {import("../../net/types.js").RadioState} RadioState
 * @typedef {import("../../net/types.js").ScoreState} ScoreState
 */

const TITLES = /** @type {Record<string, string>} */ ({
  semcom: "SemCom: learned, analog",
  "compr-ldpc": "Compr + LDPC: 16-QAM 2/3",
});

/** Colour of the style sheet of each method's dots. */
const COLOURS = /** @type {Record<string, string>} */ ({ semcom: "final", "compr-ldpc": "measured" });

/** Highest index of a rate. */
const TOP_RATE = 7;

export class Radio {
  #service;
  #snr = byId("radio-snr", HTMLInputElement);
  #symbols = byId("radio-symbols", HTMLInputElement);
  #method = byId("radio-method", HTMLSelectElement);
  #channel = byId("radio-channel", HTMLSelectElement);
  #rates = new Screen(byId("radio-rates", HTMLCanvasElement));
  #seen = new Seen(byId("radio-rates"), () => this.#newest && this.#showRates(this.#newest));
  /** @type {RadioState|null} */ #newest = null;
  /** @type {RadioChoice|null} What is to be asked for; null once it was. */ #wanted = null;
  #asking = false;
  /** @type {Map<string, Map<number, number>>} PSNR by SNR of each method. */ #tried = new Map();
  #triedWith = "";

  /** @param {import("../view.js").Context["service"]} service */
  constructor(service) {
    this.#service = service;
    for (const control of [this.#snr, this.#symbols]) {
      control.addEventListener("input", () => {
        this.#label();
        this.#ask();
      });
    }
    for (const control of [this.#method, this.#channel]) {
      control.addEventListener("change", () => this.#ask());
    }
    new ResizeObserver(() => this.#plot()).observe(byId("radio-curve"));
  }

  /** @param {LiveState} state */
  follow({ radio, scores }) {
    set(byId("radio"), { hidden: radio === null });
    if (radio === null) return;
    if (this.#wanted === null && !this.#asking) this.#show(radio);
    if (!this.#refused) this.#say(radio.problem);
    this.#showRates(radio);
    this.#showValues(radio, scores);
    this.#remember(scores);
  }

  #refused = "";

  /** @param {RadioState} radio */
  #show({ choice, methods, min_symbols: least, max_symbols: most }) {
    if (this.#method.length !== methods.length) {
      this.#method.replaceChildren(...methods.map((name) => new Option(TITLES[name] ?? name, name)));
    }
    this.#method.value = choice.method;
    this.#channel.value = choice.channel;
    this.#snr.value = String(choice.snr_db);
    this.#symbols.min = String(least);
    this.#symbols.max = String(most);
    this.#symbols.value = String(choice.symbols);
    this.#label();
  }

  #label() {
    setText("radio-snr-label", `${fixed(this.#snr.valueAsNumber, 1)} dB`);
    setText("radio-symbols-label", grouped(this.#symbols.valueAsNumber));
  }

  /** Ask for what the controls say; while an answer is awaited, only for the newest. */
  async #ask() {
    this.#wanted = {
      method: this.#method.value,
      channel: this.#channel.value,
      snr_db: this.#snr.valueAsNumber,
      symbols: this.#symbols.valueAsNumber,
    };
    if (this.#asking) return;
    this.#asking = true;
    while (this.#wanted !== null) {
      const wanted = this.#wanted;
      this.#wanted = null;
      try {
        await this.#service.request("api/radio", "PUT", wanted);
        this.#refused = "";
      } catch (error) {
        this.#refused = this.#service.sentenceOf(error);
      }
      this.#say(this.#refused);
    }
    this.#asking = false;
  }

  /** @param {string} text */
  #say(text) {
    setText("radio-say", text);
    byId("radio-say").classList.toggle("error", text !== "");
  }

  /** @param {RadioState} radio */
  #showRates(radio) {
    this.#newest = radio;
    if (!this.#seen.now) return;
    const { rate_map: rows, lost, choice } = radio;
    const plane = Uint8Array.from(rows.join(""), (digit) => Math.round((255 * Number(digit)) / TOP_RATE));
    if (rows.length) this.#rates.show(plane, rows.length, rows[0].length, HEAT);
    else this.#rates.clear();
    const none = choice.method === "semcom" ? "No window has been sent yet." : "This method has no rates.";
    const why = lost ? "The newest window was lost." : none;
    setText("radio-rates-empty", rows.length ? "" : why);
  }

  /** @param {RadioState} radio @param {ScoreState|null} scores */
  #showValues(radio, scores) {
    const { payload_symbols: payload, rate_map_symbols: rateMap, header_symbols: header } = radio;
    const total = (payload ?? 0) + (rateMap ?? 0) + (header ?? 0);
    const { windows_sent: sent, windows_lost: lost } = radio;
    const psnr = scores?.radio ? `${fixed(scores.psnr_final_db, 2)} dB` : "–";
    /** @type {[string, string, string?][]} */
    const rows = [
      ["Symbols per window", payload === null ? "–" : grouped(total)],
      ["of data", payload === null ? "–" : grouped(payload)],
      ["of rate map, of header", payload === null ? "–" : `${rateMap}, ${header}`],
      ["Windows sent, lost", `${grouped(sent)}, ${grouped(lost)}`, lost ? "bad" : ""],
      ["PSNR", psnr],
      ["Both ends of the link", `${fixed(radio.link_ms, 0)} ms`],
    ];
    setText("radio-note", radio.lost ? "window lost" : "");
    fillTable(byId("radio-values", HTMLTableElement), rows.map(([heading, value, className]) => (
      { heading: [heading], cells: [value], className })));
  }

  /** Keep the newest PSNR at each SNR, of the present channel and symbols. @param {ScoreState|null} scores */
  #remember(scores) {
    const sent = scores?.radio;
    if (!scores || !sent) return;
    const key = `${sent.channel} ${sent.symbols}`;
    if (key !== this.#triedWith) this.#tried.clear();
    this.#triedWith = key;
    const points = this.#tried.get(sent.method) ?? new Map();
    if (points.get(sent.snr_db) === scores.psnr_final_db) return;
    points.set(sent.snr_db, scores.psnr_final_db);
    this.#tried.set(sent.method, points);
    this.#plot();
  }

  #plot() {
    const found = [...this.#tried.values()].flatMap((points) => [...points.values()]);
    const plot = new Plot(
      byId("radio-curve", HTMLCanvasElement),
      { label: "SNR, dB", low: Number(this.#snr.min), high: Number(this.#snr.max) },
      { label: "PSNR, dB", low: Math.floor(Math.min(10, ...found)), high: Math.ceil(Math.max(30, ...found)) },
    );
    for (const [method, points] of this.#tried) {
      plot.use(COLOURS[method] ?? "muted");
      for (const point of points) plot.dot(point);
    }
  }
}
