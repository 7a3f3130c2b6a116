/** How much room the disk has for recordings, in words. */

import { counted, sized } from "./format.js";

/** Room that is called nearly full. */
const SCARCE_BYTES = 2e9;

const WAY_OUT = "Move recordings elsewhere, or start the service with --recordings on another disk.";

/** A time in words. @param {number} seconds @returns {string} */
function lasting(seconds) {
  const [size, unit] = /** @type {[number, string]} */ ( seconds > 7200 ? [3600, "hour"] : seconds > 120 ? [60, "minute"] : [1, "second"]);
  return counted(Math.floor(seconds / size), unit);
}

/**
 * @param {import("../net/recording-types.js").DiskState} disk
 * @param {number} rate Bytes per second of recordings; NaN where it is not known.
 * @returns {{scarce: boolean, text: string}}
 */
export function roomOf({ free_bytes: free, floor_bytes: floor }, rate) {
  const left = Math.max(0, free - floor);
  if (!left) return { scarce: true, text: `The disk is full: ${sized(free)} are free, and ${sized(floor)} are kept so. ${WAY_OUT}` };
  const scarce = left < SCARCE_BYTES;
  const lasts = rate > 0 ? `, ${lasting(left / rate)} at the rate so far` : "";
  return { scarce, text: scarce ? `The disk is nearly full: room for ${sized(left)}${lasts}. ${WAY_OUT}` : `Room for ${sized(left)}${lasts}.` };
}

/** Of a recording, in bytes per second. @param {import("../net/recording-types.js").RecorderState|null} recording */
export const rateOf = (recording) => (recording?.recording ? recording.bytes / recording.seconds : NaN);
