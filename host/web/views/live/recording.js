/** Records the board from the live view; the Recordings view has what was recorded. */

import { byId, setText } from "../../lib/dom.js";
import { fixed } from "../../lib/format.js";

/** @typedef {import("../../net/types.js").LiveState} LiveState */

const REFUSAL_MS = 12_000;

export class Recording {
  #context;
  #button = byId("record", HTMLButtonElement);
  #going = false;
  #problem = "";

  /** @param {import("../view.js").Context} context */
  constructor(context) {
    this.#context = context;
    this.#button.addEventListener("click", () => this.#toggle());
  }

  /** Show the recording, whoever started it. @param {LiveState} state */
  follow({ recording, phase }) {
    this.#going = recording?.recording ?? false;
    const disabled = !this.#going && phase !== "streaming";
    if (this.#button.disabled !== disabled) this.#button.disabled = disabled;
    const pressed = String(this.#going);
    if (this.#button.getAttribute("aria-pressed") !== pressed) this.#button.setAttribute("aria-pressed", pressed);
    const megabytes = fixed((recording?.bytes ?? 0) / 1e6, 1);
    setText("record", this.#going ? `Stop · ${fixed(recording?.seconds, 0)} s · ${megabytes} MB` : "Record");
    const problem = recording?.problem ?? "";
    if (problem && problem !== this.#problem) this.#context.notices.say(problem, "error", REFUSAL_MS);
    this.#problem = problem;
  }

  async #toggle() {
    const { service, notices } = this.#context;
    try {
      if (this.#going) await service.request("api/recordings/stop", "POST");
      else await service.request("api/recordings", "POST", {});
    } catch (error) {
      notices.say(service.sentenceOf(error), "error", REFUSAL_MS);
    }
  }
}
