/** The board and its link: badge, identity, counters, and the log of messages. */

import { byId, make, setText } from "../lib/dom.js";
import { fixed, grouped, lossOf } from "../lib/format.js";
import { fillTable } from "../lib/table.js";

/**
 * @typedef {import("../net/types.js").LiveState} LiveState
 * @typedef {import("../net/types.js").Message} Message
 */

export class BoardAndLink {
  #values = byId("link-values", HTMLTableElement);
  #shownMessages = "";

  /** @param {LiveState} state */
  follow({
    board, speed, link, profile, scene, corrected_by: correctedBy, noise_note: noiseNote, messages,
  }) {
    this.#showLog(messages);
    if (!board) return;
    const badge = byId("badge");
    badge.hidden = false;
    badge.textContent = board.simulated ? "SIMULATED" : "REAL";
    badge.className = `badge ${board.simulated ? "simulated" : "real"}`;
    const rate = board.slot_rate_hz;
    const array = `${board.width} × ${board.height}`;
    setText("identity", `${board.name} · ${array} · ${board.bits} bit`);
    setText("link-state", board.url);
    /** @type {[string, string|number, string?][]} */
    const rows = [
      ["Firmware", board.firmware],
      ["Serial number", board.serial || "–"],
      ["Array", `${array}, ${board.bits} bit`],
      ["Black, full scale", `${fixed(board.black_level_dn, 0)}, ${fixed(board.full_scale_dn, 0)} DN`],
      ["Window", `${board.slots} slots${rate ? ` at ${fixed(rate, 0)} Hz` : ", not paced"}`],
      ...(profile ? [/** @type {[string, string]} */ (["Noise, scene", `${profile}, ${scene}`])] : []),
      ["Reads", correctedBy ? `corrected by ${correctedBy}` : "not corrected"],
      ...(noiseNote ? [/** @type {[string, string, string]} */ (["Its noise", noiseNote, "warn"])] : []),
      ["Received", `${grouped(speed.windows_received)}, ${fixed(speed.received_per_s, 1)}/s`],
      ["On the line", lossOf(speed, link), speed.windows_lost ? "bad" : link.bad_frames ? "warn" : ""],
      ["Dropped by board, by host", `${speed.windows_dropped_by_board}, ${speed.windows_dropped_by_host}`],
      ["Round trip", `${fixed(link.round_trip_ms, 1)} ms`],
      ["Longest frame", `${link.frame_bytes} B`],
      ["Reconnects", link.reconnects, link.reconnects ? "warn" : ""],
    ];
    fillTable(this.#values, rows.map(([heading, value, className]) => (
      { heading: [heading], cells: [String(value)], className })));
  }

  /** @param {Message[]} messages */
  #showLog(messages) {
    const key = `${messages.length} ${messages.at(-1)?.time_s}`;
    if (key === this.#shownMessages) return;
    this.#shownMessages = key;
    byId("log").replaceChildren(...messages.slice().reverse().map(({ time_s: timeS, level, text }) => make(
      "li",
      { className: level },
      make("time", {}, new Date(1000 * timeS).toLocaleTimeString("en-GB")),
      make("span", {}, text),
    )));
  }
}
