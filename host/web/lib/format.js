/** Numbers as text. */

/**
 * A value with a fixed number of decimals; a dash where it is unknown.
 * @param {number|null|undefined} value
 * @param {number} digits
 */
export const fixed = (value, digits) => value?.toFixed(digits) ?? "–";

/** A value with thousands separators. @param {number} value */
export const grouped = (value) => value.toLocaleString("en");
