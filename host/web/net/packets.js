/** The binary messages of the preview socket, in the layout of docs/preview.md. */

const HEADER_BYTES = 24;
const PICTURE = 1;
const READOUT = 2;
const JPEG_PICTURE = 3;
const VERSION = 1;
const HAS_TRUTH = 1;
const HAS_GRID = 2;
const HAS_BESIDE = 4;

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
 * @property {Uint8Array[]|null} beside By the second bundle, if that was asked for and there is one.
 * @property {number} besideSetup Number of the pair of map and second bundle; 0 without `beside`.
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
 * Parse a binary message, without copying its planes where they are raw.
 * @param {ArrayBuffer} buffer
 * @returns {Promise<Picture|Readout>}
 */
export async function parse(buffer) {
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
  if (kind !== PICTURE && kind !== JPEG_PICTURE) {
    throw new Error(`The preview message is of unknown kind ${kind}.`);
  }
  const [first, step, count, flags] = [2, 3, 4, 5].map((at) => view.getUint8(at));
  const height = view.getUint16(6, true);
  const width = view.getUint16(8, true);
  const setup = view.getUint16(10, true);
  let at = HEADER_BYTES;
  const rawPlanes = async () => {
    const pixels = new Uint8Array(buffer, at, count * height * width);
    at += pixels.length;
    return pixels;
  };
  const jpegPlanes = () => {
    const code = new Uint8Array(buffer, at + 4, view.getUint32(at, true));
    at += 4 + code.length;
    return decoded(code, width, count * height);
  };
  const names = [...(flags & HAS_TRUTH ? ["truth"] : []), "initial", "final", ...(flags & HAS_BESIDE ? ["beside"] : [])];
  const parts = names.map(kind === PICTURE ? rawPlanes : jpegPlanes);
  const besideSetup = flags & HAS_BESIDE ? view.getUint16(at, true) : 0;
  const grid = flags & HAS_GRID ? new Uint8Array(buffer, at + (besideSetup ? 2 : 0)) : null;
  const stacks = (await Promise.all(parts)).map((pixels) => cut(pixels, count));
  const { truth = null, initial, final, beside = null } = Object.fromEntries(names.map((name, i) => [name, stacks[i]]));
  const slots = Array.from({ length: count }, (_, i) => first + i * step);
  return {
    kind: "picture", window, mapHash, setup, height, width, slots, truth, initial, final, beside, besideSetup, grid,
  };
}

/** Cut pixels into so many planes, without copying. @param {Uint8Array} pixels @param {number} count */
function cut(pixels, count) {
  const plane = pixels.length / count;
  return Array.from({ length: count }, (_, i) => pixels.subarray(i * plane, (i + 1) * plane));
}

/**
 * The pixels of a grey JPEG.
 * @param {Uint8Array<ArrayBuffer>} code @param {number} width @param {number} height
 */
async function decoded(code, width, height) {
  const image = await createImageBitmap(new Blob([code], { type: "image/jpeg" }));
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  if (!pen) throw new Error("This browser cannot decode pictures: it gives no 2D canvas.");
  pen.drawImage(image, 0, 0);
  image.close();
  const colours = pen.getImageData(0, 0, width, height).data;
  const grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i++) grey[i] = colours[4 * i];
  return grey;
}

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
