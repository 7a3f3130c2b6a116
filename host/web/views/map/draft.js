/** Paint that is not on the board yet, kept in this tab so that a reload has it. */

/**
 * @typedef {object} Draft
 * @property {number} width
 * @property {number} height
 * @property {number[]} levelSet
 * @property {Uint8Array} levels
 * @property {string} base Hash of the board's map that it was begun on.
 * @property {Uint8Array|null} mask The coded aperture of that map.
 */

const KEY = "focalloop.drawing";
/** Bytes that are made a string at once. */
const PIECE = 0x8000;

/** Keep a draft, two pixels in a byte; whether there was room for it. @param {Draft} draft */
export function keep({ width, height, levelSet, levels, base, mask }) {
  try {
    const [packed, aperture] = [toText(pack(levels, levelSet)), mask && toText(mask)];
    sessionStorage.setItem(KEY, JSON.stringify({ width, height, levelSet, base, packed, aperture }));
    return true;
  } catch {
    sessionStorage.removeItem(KEY); // an older one would come back in its place
    return false;
  }
}

export const forget = () => sessionStorage.removeItem(KEY);

/** The draft that was kept; null without one. @returns {Draft|null} */
export function kept() {
  try {
    const { width, height, levelSet, base, packed, aperture } = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    const levels = unpack(toBytes(packed), levelSet, width * height);
    return { width, height, levelSet, base, levels, mask: aperture && toBytes(aperture) };
  } catch {
    return null;
  }
}

/** Indices in the level set, the first pixel in the low half. @param {Uint8Array} levels @param {number[]} levelSet */
export function pack(levels, levelSet) {
  const index = new Uint8Array(256);
  levelSet.forEach((level, i) => { index[level] = i; });
  const bytes = new Uint8Array((levels.length + 1) >> 1);
  levels.forEach((level, at) => { bytes[at >> 1] |= index[level] << (4 * (at & 1)); });
  return bytes;
}

/** @param {Uint8Array} bytes @param {number[]} levelSet @param {number} count */
export function unpack(bytes, levelSet, count) {
  const levels = new Uint8Array(count);
  for (let at = 0; at < count; at += 1) levels[at] = levelSet[(bytes[at >> 1] >> (4 * (at & 1))) & 15];
  return levels;
}

/** Bytes of base64. @param {string} text */
const toBytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** Base64 of bytes. @param {Uint8Array} bytes */
function toText(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return btoa(text);
}
