/** Numbers as text. */

/** With a fixed number of decimals; a dash where unknown. @param {number|null|undefined} value @param {number} digits */
export const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));

/** With thousands separators. @param {number} value */
export const grouped = (value) => value.toLocaleString("en");
