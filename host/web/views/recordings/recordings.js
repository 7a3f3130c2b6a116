/** Recordings: what there is, a new one, and the one that is looked at. */

import { byId, setText } from "../../lib/dom.js";
import { Detail } from "./detail.js";
import { List } from "./list.js";
import { Recorder } from "./recorder.js";

/**
 * @typedef {import("../../net/types.js").LiveState} LiveState
 * @typedef {import("../../net/recording-types.js").Recordings} Recordings
 * @typedef {import("../../net/recording-types.js").RecordingEntry} RecordingEntry
 */

const REFRESH_MS = 10_000;
const UNKEPT = "This service keeps no recordings. Start it with --recordings FOLDER, then record here or in the live view.";
/** As in the style sheet: list and recording beside each other. */
const WIDE = matchMedia("(min-width: 900px)");

/** See `View` of `views/view.js`. */
export class View {
  #root;
  #context;
  #list;
  #recorder;
  #detail;
  /** @type {Recordings|null} */ #found = null;
  /** @type {string|null} What is recorded, as of the newest state; null before the first. */ #recorded = null;
  #kept = false;
  #shown = new AbortController();

  /** @param {HTMLElement} root @param {import("../view.js").Context} context */
  constructor(root, context) {
    this.#root = root;
    this.#context = context;
    this.#list = new List((id) => this.#change("POST", `${id}/restore`));
    this.#recorder = new Recorder(context, () => this.#refresh());
    this.#detail = new Detail(
      context,
      (entry) => this.#delete(entry),
      (id, text) => this.#change("PUT", `${id}/note`, { text }),
      ({ id, pinned }) => this.#change(pinned ? "DELETE" : "PUT", `${id}/pin`),
    );
  }

  show() {
    this.#shown = new AbortController();
    const { signal } = this.#shown;
    window.addEventListener("hashchange", () => this.#choose(), { signal });
    WIDE.addEventListener("change", () => this.#choose(), { signal });
    document.addEventListener("keydown", (event) => this.#detail.key(event), { signal });
    const refreshing = setInterval(() => this.#kept && this.#refresh(), REFRESH_MS);
    signal.addEventListener("abort", () => clearInterval(refreshing));
    this.#recorded = null; // the next state asks for what there is
    this.#choose();
  }

  hide() {
    this.#shown.abort();
    this.#list.forget();
    this.#detail.rest();
  }

  /** @param {LiveState} state */
  follow(state) {
    this.#recorder.follow(state);
    const { recording, disk } = state;
    this.#kept = disk !== null;
    const recorded = [this.#kept, recording?.name, recording?.recording].join();
    if (recorded === this.#recorded) return;
    this.#recorded = recorded;
    setText("rec-unable-say", this.#kept ? "" : UNKEPT);
    byId("rec-unable").hidden = this.#kept;
    byId("rec-split").hidden = !this.#kept;
    if (this.#kept) this.#refresh();
  }

  async #refresh() {
    const { signal } = this.#shown;
    try {
      /** @type {Recordings} */
      const found = await this.#context.service.request("api/recordings");
      if (signal.aborted) return;
      this.#found = found;
      this.#recorder.take(found);
    } catch {
      return; // the line across the page says why
    }
    this.#choose();
  }

  /** Show the recording that the address names; where there is room for both, else the newest. */
  #choose() {
    if (!this.#found) return;
    const asked = location.hash.split("/")[2] ?? "";
    const present = this.#found.recordings.filter((each) => each.deleted_unix_s === null);
    const named = present.find(({ id }) => id === asked);
    if (asked && !this.#found.recordings.some(({ id }) => id === asked)) {
      this.#context.notices.say("There is no recording of this address: it was removed, or never here.", "error", REFRESH_MS);
      location.replace("#/recordings");
    }
    this.#root.classList.toggle("chosen", Boolean(named));
    const entry = named ?? (WIDE.matches ? present[0] : undefined) ?? null;
    this.#list.show(this.#found, entry?.id ?? "");
    this.#detail.show(entry, this.#found.quota_bytes !== null);
  }

  /** @param {RecordingEntry} entry */
  async #delete(entry) {
    if (!await this.#change("DELETE", entry.id)) return;
    this.#list.offerUndo(entry);
    if (location.hash.endsWith(entry.id)) location.replace("#/recordings");
  }

  /** @param {string} method @param {string} what @param {object} [body] @returns {Promise<boolean>} Whether it was done. */
  async #change(method, what, body) {
    const { service, notices } = this.#context;
    try {
      await service.file(`api/recordings/${what}`, method, body);
    } catch (error) {
      notices.say(service.sentenceOf(error), "error", REFRESH_MS);
      return false;
    }
    await this.#refresh();
    return true;
  }
}
