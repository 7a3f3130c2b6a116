/** Records the board from the live view; the Recordings view has what was recorded. */

import { byId, set, setText } from "../../lib/dom.js";
import { rateOf, roomOf } from "../../lib/disk.js";
import { fixed } from "../../lib/format.js";

/** @typedef {import("../../net/types.js").LiveState} LiveState */

const REFUSAL_MS = 12_000;
const INVITATION = "All that comes from the board, into a file";
const UNKEPT = "This service keeps no recordings: start it with --recordings FOLDER";

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
  follow({ recording, phase, disk }) {
    this.#going = recording?.recording ?? false;
    const disabled = !this.#going && (phase !== "streaming" || !disk);
    const room = disk && roomOf(disk, rateOf(recording));
    set(this.#button, { disabled, title: !room ? UNKEPT : room.scarce ? room.text : INVITATION });
    set(byId("disk-scarce"), { hidden: !room?.scarce || this.#going }); // then the line across the page says it
    if (room?.scarce) setText("disk-scarce", room.text.split(/[:.]/)[0]);
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
