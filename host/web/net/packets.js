/** The binary messages of the preview socket, in the layout of docs/preview.md. */

const HEADER_BYTES = 24;
const PICTURE = 1;
const READOUT = 2;
const VERSION = 1;
const HAS_TRUTH = 1;
const HAS_GRID = 2;

/**
 * @typedef {object} Picture The drawn slots of one window.
 * @property {"picture"} kind
 * @property {number} window
 * @property {string} mapHash First 8 bytes of the map's hash, hexadecimal.
 * @property {number} setup Number of the pair of map and network that made it, as in `LiveState`.
 * @property {number} height
 * @property {number} width
 * @property {number[]} slots Slot number of each plane.
 * @property {Uint8Array[]|null} truth The scene, where the board knows it; one plane per slot.
 * @property {Uint8Array[]} initial
 * @property {Uint8Array[]} final
 * @property {Uint8Array|null} grid Tiles of its blocks, row by row, under a grid of an adaptive map.
 * @property {Readout} [readout] The window's measurements, if they were asked for.
 *
 * @typedef {object} Readout The measurements of one window.
 * @property {"readout"} kind
 * @property {number} window
 * @property {string} mapHash
 * @property {Uint8Array|Uint16Array} codes DN, in the order of the read plan.
 */

/**
 * Parse a binary message without copying its planes.
 * @param {ArrayBuffer} buffer
 * @returns {Picture|Readout}
 */
export function parse(buffer) {
  const view = new DataView(buffer);
  const kind = view.getUint8(0);
  if (view.getUint8(1) !== VERSION) {
    throw new Error("The service speaks a newer version of the preview protocol; reload the page.");
  }
  const window = view.getUint32(12, true);
  const mapHash = hex(new Uint8Array(buffer, 16, 8));
  if (kind === READOUT) {
    const wide = view.getUint8(4) === 2;
    const codes = wide ? new Uint16Array(buffer, HEADER_BYTES) : new Uint8Array(buffer, HEADER_BYTES);
    return { kind: "readout", window, mapHash, codes };
  }
  if (kind !== PICTURE) throw new Error(`The preview message is of unknown kind ${kind}.`);
  const [first, step, count, flags] = [2, 3, 4, 5].map((at) => view.getUint8(at));
  const height = view.getUint16(6, true);
  const width = view.getUint16(8, true);
  const setup = view.getUint16(10, true);
  const plane = height * width;
  let at = HEADER_BYTES;
  const stack = () => Array.from({ length: count }, () => {
    const pixels = new Uint8Array(buffer, at, plane);
    at += plane;
    return pixels;
  });
  const slots = Array.from({ length: count }, (_, i) => first + i * step);
  const truth = flags & HAS_TRUTH ? stack() : null;
  const [initial, final] = [stack(), stack()];
  const grid = flags & HAS_GRID ? new Uint8Array(buffer, at) : null;
  return { kind: "picture", window, mapHash, setup, height, width, slots, truth, initial, final, grid };
}

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
