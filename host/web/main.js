/** The preview page: connects the link, the player and the panels. */

import { Bundles } from "./bundles.js";
import { Calibration } from "./calibration.js";
import { DropZone } from "./drop.js";
import { showDraws, showPhase, showState } from "./figures.js";
import { Link } from "./link.js";
import { MapView } from "./mapview.js";
import { Pictures } from "./pictures.js";
import { PixelProbe } from "./pixel.js";
import { Player, SPEEDS } from "./player.js";
import { RatioMap } from "./ratiomap.js";
import { Reads } from "./reads.js";
import { address, ask } from "./service.js";

const READS_PERIOD_MS = 500;

/** The page draws fewer slots after so many seconds of less than this share of its pictures. */
const SLOW_SECONDS = 5;
const SLOW_SHARE = 0.8;

const byId = (id) => document.getElementById(id);

let state = null;
let map = null;
let mapHash = "";
let readsAskedMs = -Infinity;
let shownIndex = 0;
let draws = 0;
/** @type {import("./packet.js").Picture|null} */
let newest = null;
/** @type {import("./packet.js").Picture|null} The last one on the screen whose measurements came too. */
let probed = null;

const probe = new PixelProbe();
// The probe shows one window's measurements and pictures together, even where the screen is ahead.
const drawProbe = () => probe.draw(probed, probed === player.current ? shownIndex : 0, map, reads);
const showReads = (picture) => {
  if (!picture.readout || !state?.board) return;
  probed = picture;
  reads.show(picture.readout, state.board);
  drawProbe();
};
const pointed = (pixel, held) => {
  if (!probe.point(pixel, held)) return;
  mapView.look(pixel);
  drawProbe();
};
const pictures = new Pictures(() => player.redraw(), pointed);
const mapView = new MapView(pointed);
const reads = new Reads(pointed);
const drop = new DropZone();
const bundles = new Bundles();
const calibration = new Calibration();

const player = new Player({
  grant(step) {
    const nowMs = performance.now();
    const wanted = player.paused || player.speed.share < 1 || nowMs - readsAskedMs > READS_PERIOD_MS;
    if (wanted) readsAskedMs = nowMs;
    link.grant(step, wanted);
  },
  draw(picture, index, fresh) {
    shownIndex = index;
    pictures.draw(picture, index);
    draws += 1;
    if (fresh) {
      link.drawn(picture.window);
      showReads(picture);
    } else if (picture === probed && (player.paused || player.speed.share < 1)) drawProbe();
    const slot = picture.slots[index];
    byId("slot").value = String(slot);
    byId("slot-label").textContent = `${slot + 1} / ${state?.board?.slots ?? 16}`;
    byId("window-label").textContent =
      `window ${picture.window.toLocaleString("en")}${player.holds ? ", held" : ""}`;
  },
});

const link = new Link({
  picture(picture) {
    newest = picture;
    player.push(picture);
  },
  readout(readout) {
    // It follows the picture of the same window.
    if (newest?.window !== readout.window) return;
    newest.readout = readout;
    if (newest === player.current) showReads(newest);
  },
  state(next) {
    state = next;
    player.slotRateHz = next.board?.slot_rate_hz || 240;
    if (next.board) byId("slot").max = String(next.board.slots - 1);
    showState(next);
    drop.follow(next);
    bundles.follow(next);
    calibration.follow(next);
    if (next.map && next.map.hash !== mapHash) takeMap(next.map.hash);
  },
  connected(yes) {
    if (yes) player.restart();
    else showPhase("offline");
  },
});

/** Fetch the map that the board runs now. @param {string} hash */
async function takeMap(hash) {
  mapHash = hash;
  try {
    map = new RatioMap(await ask("api/map"));
  } catch {
    mapHash = "";
    return;
  }
  mapView.show(map);
  byId("save-png").hidden = map.aperture; // a picture holds levels alone
  reads.take(map);
  if (player.paused) player.setPaused(true);
}

byId("pause").addEventListener("click", () => {
  player.setPaused(!player.paused);
  byId("pause").setAttribute("aria-pressed", String(player.paused));
  byId("pause").textContent = player.paused ? "Play" : "Pause";
});

byId("slot").addEventListener("input", ({ target }) => {
  if (!player.paused) byId("pause").click();
  player.seek(Number(target.value));
});

for (const suffix of ["npz", "png"]) byId(`save-${suffix}`).href = address(`api/map.${suffix}`);

const speedButtons = SPEEDS.map((speed) => {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("role", "radio");
  button.textContent = speed.name;
  button.addEventListener("click", () => chooseSpeed(speed));
  return button;
});
byId("speed").append(...speedButtons);
chooseSpeed(SPEEDS[0]);

/** @param {typeof SPEEDS[number]} speed */
function chooseSpeed(speed) {
  if (speed !== player.speed) player.setSpeed(speed);
  SPEEDS.forEach((each, i) => speedButtons[i].setAttribute("aria-checked", String(each === speed)));
}

let slowSeconds = 0;

setInterval(() => {
  const every = player.step === 1 ? "every slot" : `every ${player.step}th slot`;
  const idle = player.paused || document.hidden || state?.phase !== "streaming";
  const slow = !idle && draws < (SLOW_SHARE * player.slotRateHz * player.speed.share) / player.step;
  slowSeconds = slow ? slowSeconds + 1 : 0;
  if (slowSeconds === SLOW_SECONDS) player.relax();
  showDraws(draws, player.paused ? "paused" : `${every}, ${player.speed.name === "live" ? "real time" : `${player.speed.name} speed`}`);
  draws = 0;
}, 1000);

document.addEventListener("visibilitychange", () => document.hidden || player.restart());

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, button")) return;
  if (event.code === "Space") {
    event.preventDefault();
    byId("pause").click();
  }
});
