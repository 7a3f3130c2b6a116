/** Files that the page itself has. */

import { make } from "./dom.js";

/** How long a file may take to be saved. */
const KEPT_MS = 60_000;

/** Save a file as a download. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const href = URL.createObjectURL(blob);
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), KEPT_MS);
}
