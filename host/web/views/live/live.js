/** Live: the newest windows, played slot by slot, with their measurements and figures. */

import { MapPicture } from "../../lib/map-picture.js";
import { AdaptiveMap } from "./adaptive-map.js";
import { BundleChoice } from "./bundle-choice.js";
import { Comparison } from "./comparison.js";
import { Histogram } from "./histogram.js";
import { KeyFigures } from "./key-figures.js";
import { Measurements } from "./measurements.js";
import { Pictures } from "./pictures.js";
import { PixelProbe } from "./pixel-probe.js";
import { Playback } from "./playback.js";
import { Player } from "./player.js";
import { Recording } from "./recording.js";
import { offerFiles, offerWhole } from "./save-menu.js";
import { captionOf } from "./saving.js";
import { onShortcuts } from "./shortcuts.js";

/**
 * @typedef {import("../../lib/ratio-map.js").RatioMap} RatioMap
 * @typedef {import("../../net/packets.js").Picture} Picture
 * @typedef {import("../../net/packets.js").Readout} Readout
 * @typedef {import("../../net/types.js").LiveState} LiveState
 */

/** In real time measurements are asked for at this period, where they are seen; otherwise with each window. */
const READS_PERIOD_MS = 1000;

/** How long to wait for a window to save, and how often to look. */
const HOLD_MS = 3000;
const HOLD_STEP_MS = 50;

/** See `View` of `views/view.js`. */
export class View {
  #context;
  #probe;
  #pictures;
  #mapPicture;
  #measurements;
  #adaptive;
  #histogram = new Histogram();
  #figures = new KeyFigures();
  #panels;
  /** @type {Promise<import("./radio.js").Radio>|null} */ #radio = null;
  #keys = new AbortController();
  #player;
  #playback;
  /** @type {LiveState|null} */ #state = null;
  /** @type {RatioMap|null} */ #map = null;
  #unlisten = () => {};
  #readsAskedMs = -Infinity;
  #shownIndex = 0;
  /** @type {Map<number, string>} What reconstructs, by the number of the setup. */ #makers = new Map();
  /** @type {Picture|null} */ #newest = null;
  /** @type {Picture|null} The last one on the screen that came with its measurements. */ #probed = null;
  /** @type {RatioMap|null} The map of that one. */ #probedMap = null;

  /** @param {HTMLElement} root @param {import("../view.js").Context} context */
  constructor(root, context) {
    this.#context = context;
    /** @param {import("../../lib/pointing.js").Pixel} pixel @param {boolean} held */
    const pointed = (pixel, held) => {
      if (!this.#probe.point(pixel, held)) return;
      this.#mapPicture.look(pixel);
      this.#pictures.mark(pixel);
      this.#drawProbe();
    };
    this.#probe = new PixelProbe(() => this.#drawProbe());
    this.#pictures = new Pictures(root, () => this.#player.redraw(), pointed);
    this.#mapPicture = new MapPicture("small-map", pointed);
    this.#measurements = new Measurements(pointed);
    this.#adaptive = new AdaptiveMap(context.service);
    this.#panels = [
      new BundleChoice(context), new Comparison(context), new Recording(context), this.#adaptive,
    ];
    this.#player = new Player({
      grant: (step) => this.#grant(step),
      draw: (picture, index, fresh) => this.#draw(picture, index, fresh),
    });
    this.#playback = new Playback(this.#player);
    offerFiles(context, (whole) => this.#screenful(whole));
  }

  show() {
    this.#unlisten = this.#context.map.listen((map) => this.#takeMap(map));
    this.#playback.start();
    this.#player.start();
    this.#keys = new AbortController();
    onShortcuts({
      " ": () => this.#playback.togglePause(),
      ArrowLeft: () => this.#playback.step(-1),
      ArrowRight: () => this.#playback.step(1),
      "+": () => this.#pictures.zoom(1),
      "-": () => this.#pictures.zoom(-1),
      0: () => this.#pictures.zoom(0),
      w: () => this.#pictures.toggleWipe(),
    }, this.#keys.signal);
    this.#context.socket.give({
      picture: (picture) => this.#take(picture),
      readout: (readout) => this.#takeReadout(readout),
      connected: () => this.#player.restart(),
    });
    this.#player.redraw();
    this.#drawProbe();
  }

  hide() {
    this.#context.socket.give(null);
    this.#player.stop();
    this.#playback.stop();
    this.#keys.abort();
    this.#context.status.instead(null);
    this.#unlisten();
  }

  /** @param {LiveState} state */
  follow(state) {
    const { setup, comparison } = state;
    const before = this.#state;
    const changed = before !== null && (setup !== before.setup || comparison?.setup !== before.comparison?.setup);
    this.#state = state;
    this.#makers.set(setup, state.reconstructed_by);
    if (comparison) this.#makers.set(comparison.setup, comparison.reconstructed_by);
    this.#pictures.compare(comparison !== null);
    this.#playback.follow(state);
    this.#figures.follow(state);
    if (this.#probe.follow(state)) this.#drawProbe();
    this.#context.status.instead(this.#playback.instead(state));
    offerWhole(state.phase === "streaming" || this.#player.holds);
    for (const panel of this.#panels) panel.follow(state);
    this.#followRadio(state);
    if (changed) this.#askAgain();
    if (comparison?.setup !== before?.comparison?.setup) this.#player.restart(); // with what is asked for now
  }

  /** The panel of the radio link, loaded where the session has one. @param {LiveState} state */
  async #followRadio(state) {
    if (state.radio === null) return;
    this.#radio ??= import("./radio.js").then(({ Radio }) => new Radio(this.#context.service));
    (await this.#radio).follow(state);
  }

  /** @param {number} step */
  #grant(step) {
    const nowMs = performance.now();
    const seen = [this.#measurements, this.#probe, this.#histogram].some((panel) => panel.seen);
    const reads = this.#isSlow || (seen && nowMs - this.#readsAskedMs > READS_PERIOD_MS);
    if (reads) this.#readsAskedMs = nowMs;
    this.#context.socket.grant(step, reads, Boolean(this.#state?.comparison));
  }

  /** @param {Picture} picture @param {number} index @param {boolean} fresh */
  #draw(picture, index, fresh) {
    this.#shownIndex = index;
    this.#pictures.draw(picture, index, (setup) => this.#makers.get(setup) ?? "", this.#state?.board?.gives_scene ?? false);
    this.#playback.drawn(picture, index);
    this.#adaptive.draw(picture, index);
    if (fresh) {
      this.#showMoved(picture);
      this.#context.socket.drawn(picture.window);
      this.#showMeasurements(picture);
    } else if (picture === this.#probed && this.#isSlow) this.#drawProbe();
  }

  /** @param {Picture} picture */
  #take(picture) {
    this.#newest = picture;
    const stale = this.#state !== null && picture.setup !== this.#state.setup;
    if (this.#player.paused && stale) this.#askAgain(); // for one that may be held
    else this.#player.push(picture);
  }

  /** @param {Readout} readout */
  #takeReadout(readout) {
    if (this.#newest?.window !== readout.window) return;
    this.#newest.readout = readout;
    if (this.#newest === this.#player.current) this.#showMeasurements(this.#newest);
  }

  /** @param {RatioMap} map */
  #takeMap(map) {
    const isNew = map !== this.#map;
    this.#map = map;
    const pixel = this.#probe.within(map);
    this.#mapPicture.show(map, pixel);
    this.#pictures.mark(pixel);
    if (!isNew) return;
    this.#measurements.setMap(map);
    this.#probed = this.#probedMap = null;
    this.#probe.clear();
    this.#histogram.clear();
    this.#askAgain(); // for a window under the new map
  }

  /** Where one window is held, ask for another one. */
  #askAgain() {
    if (this.#player.paused) this.#player.setPaused(true);
  }

  /** @param {Picture} picture */
  #showMeasurements(picture) {
    if (!picture.readout || !this.#state?.board) return;
    const map = this.#mapOf(picture);
    if (!map) return;
    this.#probed = picture;
    this.#probedMap = map;
    this.#measurements.show(picture.readout, this.#state.board, map);
    this.#histogram.show(picture.readout, this.#state.board);
    this.#drawProbe();
  }

  /** Show the map of a window where each has its own. @param {Picture} picture */
  #showMoved(picture) {
    const map = this.#map?.palette ? this.#mapOf(picture) : null;
    if (map) this.#mapPicture.show(map, this.#probe.within(map));
  }

  /** The map of a window; null if it was read under another one than the board runs. @param {Picture} picture */
  #mapOf(picture) {
    const map = this.#map;
    return map?.palette && picture.setup !== this.#state?.setup ? null : map?.of(picture) ?? null;
  }

  /** Draw the probe; its measurements and pictures are of one window, even if the screen shows a newer. */
  #drawProbe() {
    const index = this.#probed === this.#player.current ? this.#shownIndex : 0;
    this.#probe.draw(this.#probed, index, this.#probedMap ?? this.#map, this.#measurements);
  }

  /** What is on the screen. @param {boolean} whole One window with all slots, which is held first. */
  async #screenful(whole) {
    const playing = whole && !this.#player.paused;
    if (playing) this.#playback.togglePause();
    for (let waitedMs = 0; whole && !this.#player.holds && waitedMs < HOLD_MS; waitedMs += HOLD_STEP_MS) {
      await new Promise((resolve) => { setTimeout(resolve, HOLD_STEP_MS); });
    }
    if (playing && !this.#player.holds) this.#playback.togglePause(); // as it was
    if (whole && !this.#player.holds) throw new Error("No window came from the board, so none could be saved.");
    const { current: picture } = this.#player;
    const map = this.#probedMap ?? this.#map;
    const madeBy = this.#makers.get(picture?.setup ?? NaN);
    const caption = captionOf(picture, this.#shownIndex, this.#state?.board ?? null, madeBy, map);
    return { picture, map, shown: this.#pictures.shown, caption };
  }

  get #isSlow() {
    return this.#player.paused || this.#player.speed.share < 1;
  }
}
