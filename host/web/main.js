/** The preview page: connects the socket, the player and the panels. */

import { byId } from "./lib/dom.js";
import { Player } from "./lib/player.js";
import { RatioMap } from "./lib/ratio-map.js";
import { PreviewSocket } from "./net/preview-socket.js";
import { address, request } from "./net/service.js";
import { BoardAndLink } from "./panels/board-and-link.js";
import { BundleChoice } from "./panels/bundle-choice.js";
import { Calibration } from "./panels/calibration.js";
import { showKeyFigures } from "./panels/key-figures.js";
import { MapUpload } from "./panels/map-upload.js";
import { MapView } from "./panels/map-view.js";
import { Measurements } from "./panels/measurements.js";
import { Pictures } from "./panels/pictures.js";
import { PixelProbe } from "./panels/pixel-probe.js";
import { Playback } from "./panels/playback.js";
import { Radio } from "./panels/radio.js";
import { showPhase, showStatus } from "./panels/status.js";

/**
 * @typedef {import("./net/packets.js").Picture} Picture
 * @typedef {import("./net/types.js").LiveState} LiveState
 */

/** In real time measurements are asked for at this period; otherwise with each window. */
const READS_PERIOD_MS = 500;

/** @type {LiveState|null} */ let state = null;
/** @type {RatioMap|null} */ let map = null;
let mapHash = "";
let readsAskedMs = -Infinity;
let shownIndex = 0;
/** @type {Map<number, string>} What reconstructs, by the number of the setup. */
const makers = new Map();
/** @type {Picture|null} */ let newest = null;
/** @type {Picture|null} The last picture on the screen that came with its measurements. */
let probed = null;

/** @param {import("./lib/pointing.js").Pixel} pixel @param {boolean} held */
const pointed = (pixel, held) => {
  if (!probe.point(pixel, held)) return;
  mapView.look(pixel);
  drawProbe();
};
const probe = new PixelProbe();
const pictures = new Pictures(() => player.redraw(), pointed);
const mapView = new MapView(pointed);
const measurements = new Measurements(pointed);
const panels = [new MapUpload(), new BundleChoice(), new Calibration(), new Radio(), new BoardAndLink()];

/** Draw the probe; its measurements and pictures are of one window, even if the screen shows a newer. */
function drawProbe() {
  probe.draw(probed, probed === player.current ? shownIndex : 0, map, measurements);
}

/** @param {Picture} picture */
function showMeasurements(picture) {
  if (!picture.readout || !state?.board) return;
  probed = picture;
  measurements.show(picture.readout, state.board);
  drawProbe();
}

const slowOrPaused = () => player.paused || player.speed.share < 1;

const player = new Player({
  grant(step) {
    const nowMs = performance.now();
    const reads = slowOrPaused() || nowMs - readsAskedMs > READS_PERIOD_MS;
    if (reads) readsAskedMs = nowMs;
    socket.grant(step, reads);
  },
  draw(picture, index, fresh) {
    shownIndex = index;
    pictures.draw(picture, index, makers.get(picture.setup) ?? "", state?.board?.gives_scene ?? false);
    playback.drawn(picture, index);
    if (fresh) {
      socket.drawn(picture.window);
      showMeasurements(picture);
    } else if (picture === probed && slowOrPaused()) drawProbe();
  },
});
const playback = new Playback(player);

const socket = new PreviewSocket({
  picture(picture) {
    newest = picture;
    const stale = state !== null && picture.setup !== state.setup;
    if (player.paused && stale) player.setPaused(true); // asks for one that may be held
    else player.push(picture);
  },
  readout(readout) {
    if (newest?.window !== readout.window) return;
    newest.readout = readout;
    if (newest === player.current) showMeasurements(newest);
  },
  state(next) {
    const changed = state !== null && next.setup !== state.setup;
    state = next;
    makers.set(next.setup, next.reconstructed_by);
    playback.follow(next);
    showStatus(next);
    showKeyFigures(next);
    for (const panel of panels) panel.follow(next);
    if (next.map && next.map.hash !== mapHash) fetchMap(next.map.hash);
    else if (changed && player.paused) player.setPaused(true);
  },
  connected(yes) {
    if (yes) player.restart();
    else showPhase("offline");
  },
});

/** Fetch the map that the board runs now. @param {string} hash */
async function fetchMap(hash) {
  mapHash = hash;
  try {
    map = new RatioMap(await request("api/map"));
  } catch {
    mapHash = ""; // the next state asks again
    return;
  }
  mapView.show(map, probe.within(map));
  byId("save-png").hidden = map.mask !== null; // a picture holds levels alone
  measurements.setMap(map);
  probed = null;
  probe.clear();
  if (player.paused) player.setPaused(true); // asks for a window under the new map
}

for (const suffix of ["npz", "png"]) {
  byId(`save-${suffix}`, HTMLAnchorElement).href = address(`api/map.${suffix}`);
}
