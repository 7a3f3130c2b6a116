/** One recording: what it is, its timeline, its windows, and what can be made of it. */

import { byId, make, set, setText } from "../../lib/dom.js";
import { download } from "../../lib/download.js";
import { clock, counted, grouped, sized } from "../../lib/format.js";
import { About } from "./about.js";
import { startOf, titleOf } from "./list.js";
import { Rebuilt } from "./rebuilt.js";
import { TimelineTrack } from "./timeline.js";

/**
 * @typedef {import("../../net/recording-types.js").Mark} Mark
 * @typedef {import("../../net/recording-types.js").RecordedWindowDocument} RecordedWindowDocument
 * @typedef {import("../../net/recording-types.js").RecordingEntry} RecordingEntry
 * @typedef {import("../../net/recording-types.js").Timeline} Timeline
 */

const OWN = "own";
const NETWORK_FREE = "network-free";
/** Windows of Page Up and Page Down: a second. */
const FAR = 15;
const VIDEO_WINDOWS = 150;
const SETTLED_MS = 250;

export class Detail {
  #context;
  #rebuilt;
  #track;
  /** @type {RecordingEntry|null} */ #entry = null;
  #index = 0;
  #settling = 0;
  /** The bundle for the map of the window. */ #own = "";
  #bundle = byId("rec-bundle", HTMLSelectElement);
  #beside = byId("rec-beside", HTMLSelectElement);
  #slot = byId("rec-slot", HTMLInputElement);
  #about;
  #pin = byId("rec-pin", HTMLButtonElement);

  /**
   * @param {import("../view.js").Context} context
   * @param {(entry: RecordingEntry) => void} deleted
   * @param {(id: string, note: string) => Promise<boolean>} noted Whether it could be kept.
   * @param {(entry: RecordingEntry) => void} pinned It is to be kept whatever the quota, or no longer.
   */
  constructor(context, deleted, noted, pinned) {
    this.#context = context;
    const { service } = context;
    this.#about = new About(noted);
    this.#rebuilt = new Rebuilt(service, {
      placed: (index) => this.#placed(index),
      drawn: (picture, slot, made) => {
        const { slots } = picture;
        if (slots.length === 1 || slots[1] === 1) this.#slot.max = String(slots.length - 1); // all of them
        this.#slot.value = String(slot);
        setText("rec-slot-label", `${slot + 1} / ${Number(this.#slot.max) + 1}`);
        const expected = this.#bundle.value === OWN ? this.#own : this.#bundle.value;
        setText("rec-bundle-by", made[0].by === expected ? "" : `by ${made[0].by}`);
        setText("rec-beside-by", made[1] ? `by ${made[1].by}` : "");
        setText("rec-window", `window ${grouped(this.#index + 1)} of ${grouped(this.#entry?.windows ?? 0)} · board's number ${grouped(picture.window)}`);
      },
      failed: (text) => setText("rec-say", text),
      played: (playing) => {
        byId("rec-play").setAttribute("aria-pressed", String(playing));
        setText("rec-play", playing ? "Pause" : "Play");
      },
      paced: (text) => setText("rec-pace", text),
    });
    this.#track = new TimelineTrack((index, dragging) => this.#rebuilt.go(index, dragging));
    byId("rec-play").addEventListener("click", () => this.#rebuilt.toggle());
    byId("rec-back").addEventListener("click", () => this.#rebuilt.step(-1));
    byId("rec-on").addEventListener("click", () => this.#rebuilt.step(1));
    this.#slot.addEventListener("input", () => this.#rebuilt.seek(Number(this.#slot.value)));
    for (const select of [this.#bundle, this.#beside]) select.addEventListener("change", () => this.#choose());
    this.#pin.addEventListener("click", () => this.#entry && pinned(this.#entry));
    byId("rec-delete").addEventListener("click", () => this.#entry && deleted(this.#entry));
    const menu = byId("rec-export", HTMLDetailsElement);
    menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape") menu.open = false;
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (menu.open && target instanceof Node && !menu.contains(target)) menu.open = false;
    });
    menu.addEventListener("click", ({ target }) => {
      const kind = target instanceof Element ? target.closest("button")?.dataset.kind : undefined;
      if (kind) this.#export(kind, menu);
    });
    this.#offer(null);
  }

  /** Show a recording, or none. @param {RecordingEntry|null} entry @param {boolean} limited Whether there is a quota. */
  show(entry, limited) {
    const before = this.#entry;
    this.#entry = entry;
    byId("rec-detail").hidden = !entry;
    this.#context.status.instead(entry ? { word: "replay", replay: true } : null);
    setText("rec-title", entry ? titleOf(entry) : "");
    this.#about.show(entry);
    const pinned = entry?.pinned ?? false;
    set(this.#pin, { hidden: !limited && !pinned, ariaPressed: String(pinned), textContent: pinned ? "Unpin" : "Pin" });
    this.#track.draw(); // the theme may be another one
    if (entry?.id === before?.id && entry?.windows === before?.windows) return;
    clearTimeout(this.#settling);
    setText("rec-say", entry?.problem ?? "");
    byId("rec-body").hidden = !entry?.windows;
    this.#rebuilt.open(entry?.id ?? "", entry?.problem ? 0 : entry?.windows ?? 0, entry?.window_s ?? 0);
    if (!entry) return;
    const { board, simulated, seconds, windows, gaps, bytes, problem, finished, recovered } = entry;
    const facts = problem ? [startOf(entry)] : [
      startOf(entry), clock(seconds, 1), counted(windows, "window"), ...(gaps ? [`${gaps} missing`] : []), sized(bytes),
      board && `${board}, ${simulated ? "simulated" : "real"}`,
      recovered ? "recovered after it was cut off" : finished ? "" : "unfinished: it was cut off or is being written",
    ];
    setText("rec-facts", facts.filter(Boolean).join(" · "));
    if (windows) this.#fetchTimeline(entry.id);
  }

  /** Do nothing until `show`. */
  rest() {
    clearTimeout(this.#settling);
    this.#rebuilt.pause();
    this.#context.status.instead(null);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const operated = event.target instanceof Element && event.target.matches("input, select, button, textarea, a, summary");
    if (!this.#entry?.windows || operated || event.ctrlKey || event.metaKey || event.altKey) return;
    const rebuilt = this.#rebuilt;
    const far = event.shiftKey ? FAR : 1;
    /** @type {Record<string, () => void>} */
    const actions = {
      " ": () => rebuilt.toggle(),
      ArrowLeft: () => rebuilt.step(-far),
      ArrowRight: () => rebuilt.step(far),
      PageDown: () => rebuilt.step(FAR),
      PageUp: () => rebuilt.step(-FAR),
      Home: () => rebuilt.go(0),
      End: () => rebuilt.go(Infinity),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** @param {number} index */
  #placed(index) {
    this.#index = index;
    this.#track.place(index);
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#describe(), SETTLED_MS);
  }

  /** Offer the bundles that suit the map of the window. */
  async #describe() {
    const entry = this.#entry;
    if (!entry) return;
    try {
      /** @type {RecordedWindowDocument} */
      const described = await this.#context.service.request(`api/recordings/${entry.id}/windows/${this.#index}`);
      if (entry.id === this.#entry?.id) this.#offer(described);
    } catch {
      // the picture of the window says what is wrong with it
    }
  }

  /** @param {RecordedWindowDocument|null} described */
  #offer(described) {
    const bundles = described?.bundles ?? [];
    this.#own = bundles[0] ?? NETWORK_FREE;
    const names = [...bundles, NETWORK_FREE];
    const key = names.join();
    if (this.#bundle.dataset.key === key) return;
    this.#bundle.dataset.key = key;
    for (const [select, start] of /** @type {const} */ ([
      [this.#bundle, [OWN, described ? `the map's own: ${this.#own}` : "the map's own"]], [this.#beside, ["", "nothing"]],
    ])) {
      const chosen = select.value;
      const options = [start, ...names.map((name) => [name, name === NETWORK_FREE ? "no network" : name])];
      select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
      select.value = chosen;
      if (select.selectedIndex < 0) select.selectedIndex = 0;
    }
    this.#choose();
  }

  #choose() {
    const beside = this.#beside.value;
    byId("rec-beside-figure").hidden = !beside;
    byId("rec-pictures").classList.toggle("three", Boolean(beside));
    this.#rebuilt.choose([this.#bundle.value || OWN, ...(beside ? [beside] : [])]);
  }

  /** @param {string} id */
  async #fetchTimeline(id) {
    try {
      /** @type {Timeline} */
      const timeline = await this.#context.service.request(`api/recordings/${id}/timeline`);
      if (this.#entry?.id !== id) return;
      this.#track.take(timeline);
      this.#track.place(this.#index);
      this.#list(timeline);
    } catch (error) {
      if (this.#entry?.id === id) setText("rec-say", this.#context.service.sentenceOf(error));
    }
  }

  /** @param {Timeline} timeline */
  #list({ marks, events }) {
    const all = events.reduce((sum, count) => sum + count, 0);
    setText("rec-marks-note", all > marks.length ? `the first ${marks.length} of ${all}` : all ? "" : "none");
    byId("rec-marks").replaceChildren(...marks.map((mark) => {
      const button = make("button", { type: "button" }, make("time", {}, clock(mark.at_s, 1)), make("span", {}, mark.text));
      button.addEventListener("click", () => this.#rebuilt.go(this.#track.indexAt(mark.at_s)));
      return make("li", { className: `${mark.kind} ${mark.level}` }, button);
    }));
  }

  /** @param {string} kind @param {HTMLDetailsElement} menu */
  async #export(kind, menu) {
    menu.open = false;
    const entry = this.#entry;
    if (!entry) return;
    const { service } = this.#context;
    /** @type {Record<string, [string, string]>} */
    const files = {
      mcap: ["file", entry.id],
      npz: [`windows/${this.#index}/reads.npz`, `${entry.id}-${this.#index}`],
      mp4: [`video.mp4?bundle=${encodeURIComponent(this.#bundle.value)}&first=${this.#index}&count=${VIDEO_WINDOWS}`, entry.id],
    };
    const [what, name] = files[kind];
    const path = `api/recordings/${entry.id}/${what}`;
    setText("rec-say", kind === "mp4" ? "The video is being made; it is saved when it is complete." : "");
    try {
      if (kind === "mcap") { // too large to be taken up whole, so its first byte tells whether it is there
        await service.ask(path, "GET", undefined, { Range: "bytes=0-0" });
        make("a", { href: service.address(path), download: "" }).click();
      } else download(await service.file(path), `${name}.${kind}`);
      setText("rec-say", "");
    } catch (error) {
      setText("rec-say", service.sentenceOf(error));
    }
  }
}
