/** Numbers as text. */

/**
 * A value with a fixed number of decimals; a dash where it is unknown.
 * @param {number|null|undefined} value
 * @param {number} digits
 */
export const fixed = (value, digits) => value?.toFixed(digits) ?? "–";

/** A value with thousands separators. @param {number} value */
export const grouped = (value) => value.toLocaleString("en");

/**
 * What the line has cost: the windows that are lost, and what was repaired.
 * @param {{windows_lost: number}} speed @param {{bad_frames: number, resends: number}} link
 */
export function lossOf({ windows_lost: lost }, { bad_frames: damaged, resends }) {
  const parts = [lost ? `${counted(lost, "window")} lost` : "nothing lost"];
  if (damaged) parts.push(`${counted(damaged, "frame")} damaged`);
  if (resends) parts.push(`asked again ${counted(resends, "time")}`);
  return parts.join(", ");
}

/** @param {number} count @param {string} thing */
const counted = (count, thing) => `${grouped(count)} ${thing}${count === 1 ? "" : "s"}`;
