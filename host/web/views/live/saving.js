/** Files of what is on the screen: the pictures of a slot, or one window as arrays or as a video. */

import { context2d, make } from "../../lib/dom.js";
import { download } from "../../lib/download.js";
import { npz } from "../../lib/npz.js";

/**
 * @typedef {import("../../lib/ratio-map.js").RatioMap} RatioMap
 * @typedef {import("../../net/packets.js").Picture} Picture
 *
 * @typedef {object} Screenful What there is to save.
 * @property {Picture|null} picture One window, with all of its slots.
 * @property {RatioMap|null} map
 * @property {[string, HTMLCanvasElement][]} shown Pictures with their titles, left to right.
 * @property {string} caption
 *
 * @typedef {"png"|"npz"|"mp4"} Kind
 */

const VIDEO_HZ = 15;
const MAX_VIDEO_BYTES = 16 << 20;
const MARGIN = 12;
const LINE = 22;

/**
 * Save what is on the screen as a file.
 * @param {Kind} kind
 * @param {import("../view.js").Context["service"]} service
 * @param {Screenful} screenful
 */
export async function save(kind, service, screenful) {
  const { picture, map } = screenful;
  if (!picture) throw new Error("There is no picture yet: wait for the first window, then save it.");
  const made = {
    png: () => pictureOf(screenful), npz: () => arraysOf(picture, map), mp4: () => videoOf(picture, service),
  }[kind]();
  download(await made, `window-${picture.window}.${kind}`);
}

/**
 * What a saved picture says below itself.
 * @param {Picture|null} picture @param {number} index Of its slot.
 * @param {import("../../net/types.js").LiveState["board"]} board
 * @param {string|undefined} madeBy What reconstructed it. @param {RatioMap|null} map
 */
export function captionOf(picture, index, board, madeBy, map) {
  return [
    ...(board ? [board.name, board.replay ? "replay" : board.simulated ? "simulated" : "real"] : []),
    picture && `window ${picture.window}, slot ${picture.slots[index] + 1}`,
    madeBy,
    map && `${(map.levels.reduce((sum, level) => sum + level, 0) / map.levels.length).toFixed(2)} reads per pixel`,
  ].filter(Boolean).join(" · ");
}

/**
 * The pictures beside each other, one frame per slot.
 * @param {Picture} picture @param {import("../view.js").Context["service"]} service
 */
function videoOf({ height, width, truth, initial, final, beside }, service) {
  const stacks = [...(truth ? [truth] : []), initial, final, ...(beside ? [beside] : [])];
  const fits = stacks.length * height * width * final.length <= MAX_VIDEO_BYTES;
  const shown = fits ? stacks : [final];
  const frames = new Uint8Array(shown.length * height * width * final.length);
  let at = 0;
  for (let slot = 0; slot < final.length; slot += 1) {
    for (let row = 0; row < height; row += 1) {
      for (const stack of shown) {
        frames.set(stack[slot].subarray(row * width, (row + 1) * width), at);
        at += width;
      }
    }
  }
  const query = `height=${height}&width=${shown.length * width}&frames_per_s=${VIDEO_HZ}`;
  const body = new Blob([frames], { type: "application/octet-stream" });
  return service.file(`api/video.mp4?${query}`, "POST", body);
}

/** @param {Picture} picture @param {RatioMap|null} map */
function arraysOf({ height, width, slots, truth, initial, final, beside, readout, mapHash }, map) {
  /** @param {Uint8Array[]} planes */
  const stacked = (planes) => {
    const data = new Uint8Array(planes.length * height * width);
    planes.forEach((plane, i) => data.set(plane, i * height * width));
    return { shape: [planes.length, height, width], data };
  };
  const known = map?.hash.startsWith(mapHash) ? map : null;
  return npz([
    { name: "slots", shape: [slots.length], data: Int32Array.from(slots) },
    ...(truth ? [{ name: "truth", ...stacked(truth) }] : []),
    { name: "initial", ...stacked(initial) },
    { name: "final", ...stacked(final) },
    ...(beside ? [{ name: "beside", ...stacked(beside) }] : []),
    ...(readout ? [{ name: "codes", shape: [readout.codes.length], data: readout.codes }] : []),
    ...(known ? [{ name: "levels", shape: [height, width], data: known.levels }] : []),
  ]);
}

/** The pictures on the screen in a row, with what they are. @param {Screenful} screenful @returns {Promise<Blob>} */
function pictureOf({ shown, caption }) {
  const scale = Math.max(1, Math.round(512 / Math.max(...shown.map(([, { width }]) => width))));
  const widths = shown.map(([, { width }]) => scale * width + MARGIN);
  const height = scale * Math.max(...shown.map(([, canvas]) => canvas.height));
  const sheet = make("canvas", { width: widths.reduce((a, b) => a + b, MARGIN), height: height + 2 * LINE + MARGIN });
  const context = context2d(sheet);
  context.fillStyle = "#0b0e12";
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.imageSmoothingEnabled = false;
  context.font = "13px Inter, system-ui, sans-serif";
  let left = MARGIN;
  shown.forEach(([title, canvas], i) => {
    context.fillStyle = "#e3e8ee";
    context.fillText(title, left, LINE - 6);
    context.drawImage(canvas, left, LINE, scale * canvas.width, scale * canvas.height);
    left += widths[i];
  });
  context.fillStyle = "#929dab";
  context.fillText(caption, MARGIN, LINE + height + LINE - 4);
  return new Promise((resolve, reject) => {
    sheet.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("This browser could not make the picture."))));
  });
}
