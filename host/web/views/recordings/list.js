/** The list of recordings, and of those that were deleted and can be brought back. */

import { byId, make, setText } from "../../lib/dom.js";
import { clock, counted, sized } from "../../lib/format.js";

/**
 * @typedef {import("../../net/recording-types.js").Recordings} Recordings
 * @typedef {import("../../net/recording-types.js").RecordingEntry} RecordingEntry
 */

/** How long a deletion is announced; after that it is undone in the list of the deleted ones. */
const UNDO_S = 20;

export class List {
  #restore;
  #shown = "";
  #undoing = 0;

  /** @param {(id: string) => void} restore Brings a deleted recording back. */
  constructor(restore) {
    this.#restore = restore;
  }

  /** @param {Recordings} found @param {string} chosen Id of the one that is looked at. */
  show(found, chosen) {
    const key = JSON.stringify([found.recordings, found.quota_bytes, chosen, Math.floor(Date.now() / 3.6e6)]);
    if (key === this.#shown) return;
    this.#shown = key;
    const present = found.recordings.filter((each) => each.deleted_unix_s === null);
    const deleted = found.recordings.filter((each) => each.deleted_unix_s !== null);
    byId("rec-list").replaceChildren(...present.map((entry) => itemOf(entry, entry.id === chosen)));
    const quota = found.quota_bytes; // deleted ones take of it too
    const bytes = (quota === null ? present : found.recordings).reduce((sum, entry) => sum + entry.bytes, 0);
    const of = quota === null ? "" : ` of ${sized(quota)}`;
    setText("rec-total", present.length ? `${counted(present.length, "recording")}, ${sized(bytes)}${of}` : "");
    setText("rec-empty", present.length ? "" : "Nothing is recorded yet. Record keeps all that comes from the board, until Stop: every read, its map, events and notes.");
    byId("rec-deleted").hidden = !deleted.length;
    setText("rec-deleted-title", `${deleted.length} deleted`);
    byId("rec-deleted-list").replaceChildren(...deleted.map((entry) => this.#deleted(entry, found.grace_s)));
  }

  /** Say for a while that a recording was deleted, and offer to undo that. @param {RecordingEntry} entry */
  offerUndo(entry) {
    this.forget();
    let left = UNDO_S;
    const say = () => setText("rec-undo-say", `${titleOf(entry)} is deleted. (${left} s)`);
    say();
    const button = byId("rec-undo-button");
    button.onclick = () => {
      this.forget();
      this.#restore(entry.id);
    };
    byId("rec-undo").hidden = false;
    button.focus();
    this.#undoing = setInterval(() => {
      left -= 1;
      if (left) say();
      else this.forget();
    }, 1000);
  }

  /** Offer nothing any more. */
  forget() {
    clearInterval(this.#undoing);
    byId("rec-undo").hidden = true;
  }

  /** @param {RecordingEntry} entry @param {number} graceS */
  #deleted(entry, graceS) {
    const leftH = ((entry.deleted_unix_s ?? 0) + graceS - Date.now() / 1000) / 3600;
    const left = leftH > 48 ? `${Math.floor(leftH / 24)} days` : counted(Math.max(1, Math.ceil(leftH)), "hour");
    const button = make("button", { type: "button" }, "Restore");
    button.setAttribute("aria-label", `Restore ${titleOf(entry)}`);
    button.addEventListener("click", () => this.#restore(entry.id));
    return make(
      "li",
      { className: "gone" },
      make("span", {}, make("b", {}, titleOf(entry)), make("small", {}, `${sized(entry.bytes)}, gone for good in ${left}`)),
      button,
    );
  }
}

/** What a recording is called: its note, or when it was begun. @param {RecordingEntry} entry */
export const titleOf = (entry) => entry.note.trim().split("\n")[0] || startOf(entry);

/** When it was begun. @param {RecordingEntry} entry */
export const startOf = ({ started, id }) => (started
  ? new Date(started).toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" })
  : id);

/** @param {RecordingEntry} entry @param {boolean} chosen */
function itemOf(entry, chosen) {
  const { note, problem, finished, recovered, gaps, seconds, windows, bytes, pinned } = entry;
  const facts = [...(problem ? [] : [clock(seconds), counted(windows, "window"), sized(bytes)]), ...(pinned ? ["pinned"] : [])].join(" · ");
  const state = problem ? "cannot be read" : recovered ? "recovered" : finished ? "" : "unfinished";
  const link = make(
    "a",
    { href: `#/recordings/${entry.id}` },
    make("b", {}, titleOf(entry)),
    make("span", { className: "when" }, note.trim() ? startOf(entry) : ""),
    make("span", { className: "facts" }, facts),
    make("span", { className: "warn" }, [state, gaps ? `${counted(gaps, "window")} missing` : ""].filter(Boolean).join(", ")),
  );
  if (chosen) link.setAttribute("aria-current", "true");
  return make("li", {}, link);
}
