/** NumPy's `.npz`: arrays in a zip file, stored as they are. */

/**
 * @typedef {object} NamedArray
 * @property {string} name
 * @property {number[]} shape
 * @property {Uint8Array|Uint16Array|Float32Array|Int32Array} data Row-major.
 */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** CRC-32 as of zip files. @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i += 1) crc = TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** An array in NumPy's `.npy`, version 1.0. @param {NamedArray} array */
function npy({ shape, data }) {
  const types = /** @type {[Function, string][]} */ ([
    [Uint8Array, "|u1"], [Uint16Array, "<u2"], [Float32Array, "<f4"], [Int32Array, "<i4"],
  ]);
  const descr = types.find(([kind]) => data instanceof kind)?.[1];
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const length = 64 * Math.ceil((10 + text.length + 1) / 64) - 10;
  const header = new TextEncoder().encode(`\x93NUMPY\x01\x00..${text.padEnd(length - 1)}\n`).subarray(1); // \x93 takes two bytes
  header[0] = 0x93;
  new DataView(header.buffer, header.byteOffset).setUint16(8, length, true);
  const whole = new Uint8Array(header.length + data.byteLength);
  whole.set(header);
  whole.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length);
  return whole;
}

/** Fields of a zip record, little-endian: [bytes, value] each. @param {[number, number][]} fields */
function record(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

/** 1 January 1980, as zip files have it. */
const EPOCH = (1 << 5) | 1;

/**
 * Arrays as a file that `numpy.load` reads.
 * @param {NamedArray[]} arrays
 * @returns {Blob}
 */
export function npz(arrays) {
  /** @type {Uint8Array<ArrayBuffer>[]} */ const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */ const directory = [];
  let offset = 0;
  for (const array of arrays) {
    const name = new TextEncoder().encode(`${array.name}.npy`);
    const body = npy(array);
    /** Version, flags, method, time, date, checksum, sizes, lengths of name and extra field. @type {[number, number][]} */
    const common = [
      [2, 20], [2, 0], [2, 0], [2, 0], [2, EPOCH], [4, crc32(body)], [4, body.length], [4, body.length],
      [2, name.length], [2, 0],
    ];
    const local = record([[4, 0x04034b50], ...common]);
    // Comment, disk, attributes inside and outside, and where the file is.
    directory.push(record([[4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), name);
    parts.push(local, name, body);
    offset += local.length + name.length + body.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = arrays.length;
  const end = record([[4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: "application/octet-stream" });
}
