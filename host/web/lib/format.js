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

/** A number of things. @param {number} count @param {string} thing */
export const counted = (count, thing) => `${grouped(count)} ${thing}${count === 1 ? "" : "s"}`;

/** A size in bytes, as of files. @param {number} bytes */
export function sized(bytes) {
  const power = Math.min(3, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const value = bytes / 1000 ** power;
  return `${value.toFixed(power && value < 100 ? 1 : 0)} ${["B", "kB", "MB", "GB"][power]}`;
}

/** A time as minutes and seconds, "1:05"; with hours where there are. @param {number} seconds @param {number} [digits] */
export function clock(seconds, digits = 0) {
  const scale = 10 ** digits;
  const whole = Math.floor(seconds * scale + 1e-6) / scale;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const rest = (whole % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}
