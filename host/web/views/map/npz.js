/** A ratio map as the `.npz` file that every part of focalloop reads. */

/**
 * @typedef {object} Painted
 * @property {number} height
 * @property {number} width
 * @property {number} slots
 * @property {number[]} levelSet
 * @property {Uint8Array} levels One byte per pixel, row-major.
 * @property {Uint8Array|null} mask The coded aperture, packed.
 */

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc >>> 0;
});
/** 1 January 1980, the first day that a zip file knows. */
const DATE = 0x21;
const DEFLATED = 8;

/** @param {Painted} painted @returns {Promise<Blob>} */
export async function npzOf({ height, width, slots, levelSet, levels, mask }) {
  const arrays = [
    member("levels", `(${height}, ${width})`, levels),
    member("T", "()", Uint8Array.of(slots)),
    member("level_set", `(${levelSet.length},)`, Uint8Array.from(levelSet)),
    ...(mask ? [member("mask", `(${mask.length},)`, mask)] : []),
  ];
  /** @type {Uint8Array[]} */ const files = [];
  /** @type {Uint8Array[]} */ const directory = [];
  let offset = 0;
  for (const { name, data } of arrays) {
    const packed = await deflated(data);
    const facts = [20, 0, DEFLATED, 0, DATE];
    const sizes = [crc32(data), packed.length, data.length];
    const local = [...shorts(...facts), ...longs(...sizes), ...shorts(name.length, 0)];
    files.push(Uint8Array.from([...longs(0x04034b50), ...local]), ascii(name), packed);
    directory.push(Uint8Array.from([
      ...longs(0x02014b50), ...shorts(20), ...local, ...shorts(0, 0, 0), ...longs(0, offset),
    ]), ascii(name));
    offset += 30 + name.length + packed.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = arrays.length;
  const end = [...longs(0x06054b50), ...shorts(0, 0, count, count), ...longs(length, offset), ...shorts(0)];
  return new Blob([...files, ...directory, Uint8Array.from(end)].map((part) => part.slice()), { type: "application/x-npz" });
}

/** An array in NumPy's format. @param {string} name @param {string} shape @param {Uint8Array} values */
function member(name, shape, values) {
  const head = `{'descr': '|u1', 'fortran_order': False, 'shape': ${shape}, }`;
  const padded = `${head.padEnd(64 * Math.ceil((head.length + 11) / 64) - 11)}\n`;
  const data = new Uint8Array(10 + padded.length + values.length);
  data.set([0x93, ...ascii("NUMPY"), 1, 0, ...shorts(padded.length)]);
  data.set(ascii(padded), 10);
  data.set(values, 10 + padded.length);
  return { name: `${name}.npy`, data };
}

/** @param {Uint8Array} data */
async function deflated(data) {
  const stream = new Blob([data.slice()]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {Uint8Array} data */
function crc32(data) {
  let crc = 0xffffffff;
  for (const byte of data) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** @param {string} text */
const ascii = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));
/** @param {...number} values */
const shorts = (...values) => values.flatMap((v) => [v & 255, v >> 8]);
/** @param {...number} values */
const longs = (...values) => values.flatMap((v) => [v & 255, (v >> 8) & 255, (v >> 16) & 255, v >>> 24]);
