/** A new recording: begun, noted in and stopped, with what it takes of the disk. */

import { byId, set, setText } from "../../lib/dom.js";
import { rateOf, roomOf } from "../../lib/disk.js";
import { clock, counted, sized } from "../../lib/format.js";

/**
 * @typedef {import("../../net/types.js").LiveState} LiveState
 * @typedef {import("../../net/recording-types.js").Recordings} Recordings
 */

const REFUSAL_MS = 12_000;

export class Recorder {
  #context;
  #changed;
  #note = byId("rec-note", HTMLInputElement);
  #go = byId("rec-go", HTMLButtonElement);
  #stop = byId("rec-stop", HTMLButtonElement);
  #going = false;
  /** Bytes per second of the recordings so far. */ #rate = NaN;
  /** Why the recording ended by itself, as it was said. */ #problem = "";

  /** @param {import("../view.js").Context} context @param {() => void} changed There may be another recording. */
  constructor(context, changed) {
    this.#context = context;
    this.#changed = changed;
    byId("rec-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#note.value.trim();
      if (!this.#going) this.#ask("", { note: text });
      else if (text) this.#ask("/notes", { text });
    });
    this.#stop.addEventListener("click", () => this.#ask("/stop"));
  }

  /** @param {LiveState} state */
  follow({ phase, recording, disk }) {
    const going = recording?.recording ?? false;
    if (going !== this.#going) {
      this.#going = going;
      this.#go.textContent = going ? "Add note" : "Record";
      this.#go.classList.toggle("primary", !going);
      this.#note.placeholder = going ? "What happens now" : "Note: lens, light, scene";
      this.#stop.hidden = !going;
    }
    const unable = !going && phase !== "streaming";
    set(this.#go, { disabled: unable });
    byId("rec-progress").classList.toggle("recording", going);
    setText("rec-progress", !recording ? "" : going
      ? `${clock(recording.seconds)} · ${counted(recording.windows, "window")} · ${sized(recording.bytes)}${recording.gaps ? ` · ${recording.gaps} missing` : ""}`
      : "");
    const problem = recording?.problem ?? "";
    if (problem && problem !== this.#problem) this.#context.notices.say(problem, "error", REFUSAL_MS);
    this.#problem = problem;
    if (!disk) return;
    const { scarce, text } = roomOf(disk, rateOf(recording) || this.#rate);
    const say = byId("rec-disk");
    if (say.classList.contains("error") !== scarce) say.classList.toggle("error", scarce);
    setText("rec-disk", text);
  }

  /** Take what recordings have taken of the disk. @param {Recordings} found */
  take({ recordings }) {
    const seconds = recordings.reduce((sum, each) => sum + each.seconds, 0);
    this.#rate = recordings.reduce((sum, each) => sum + each.bytes, 0) / seconds;
  }

  /** @param {string} path @param {object} [body] */
  async #ask(path, body) {
    const { service, notices } = this.#context;
    try {
      await service.request(`api/recordings${path}`, "POST", body);
      if (body) this.#note.value = "";
      this.#changed();
    } catch (error) {
      notices.say(service.sentenceOf(error), "error", REFUSAL_MS);
    }
  }
}
