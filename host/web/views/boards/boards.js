/** Boards: what the board says of itself, the counters of its link, and the log of messages. */

import { byId, make, setText } from "../../lib/dom.js";
import { fixed, grouped, lossOf } from "../../lib/format.js";
import { fillTable } from "../../lib/table.js";

/**
 * @typedef {import("../../net/types.js").LiveState} LiveState
 * @typedef {import("../../net/types.js").Message} Message
 * @typedef {[string, string|number, string?]} Fact Heading, value, and class of the row.
 */

/** See `View` of `views/view.js`. */
export class View {
  #shown = "";
  #shownLog = "";

  show() {}

  hide() {}

  /** @param {LiveState} state */
  follow(state) {
    this.#showLog(state.messages);
    const facts = { board: boardFacts(state), link: linkFacts(state) };
    const key = JSON.stringify(facts);
    if (!state.board || key === this.#shown) return;
    this.#shown = key;
    setText("link-state", state.board.url);
    for (const [name, rows] of Object.entries(facts)) {
      fillTable(byId(`${name}-values`, HTMLTableElement), rows.map(([heading, value, className]) => (
        { heading: [heading], cells: [String(value)], className })));
    }
  }

  /** @param {Message[]} messages */
  #showLog(messages) {
    const key = `${messages.length} ${messages.at(-1)?.time_s}`;
    if (key === this.#shownLog) return;
    this.#shownLog = key;
    byId("log").replaceChildren(...messages.slice().reverse().map(({ time_s: timeS, level, text }) => make(
      "li",
      { className: level },
      make("time", {}, new Date(1000 * timeS).toLocaleTimeString("en-GB")),
      make("span", {}, text),
    )));
  }
}

/** @param {LiveState} state @returns {Fact[]} */
function boardFacts({ board, profile, scene, footage, corrected_by: correctedBy, noise_note: noiseNote }) {
  if (!board) return [];
  const rate = board.slot_rate_hz;
  return [
    ["Name", board.name],
    ["Firmware", board.firmware],
    ["Serial number", board.serial || "–"],
    ["Array", `${board.width} × ${board.height}, ${board.bits} bit`],
    ["Black, full scale", `${fixed(board.black_level_dn, 0)}, ${fixed(board.full_scale_dn, 0)} DN`],
    ["Window", `${board.slots} slots${rate ? ` at ${fixed(rate, 0)} Hz` : ", not paced"}`],
    ...(profile ? [/** @type {Fact} */ (["Noise, scene", `${profile}, ${scene}`])] : []),
    ...(footage ? [/** @type {Fact} */ (["Footage", footage])] : []),
    ["Reads", correctedBy ? `corrected by ${correctedBy}` : "not corrected"],
    ...(noiseNote ? [/** @type {Fact} */ (["Its noise", noiseNote, "warn"])] : []),
  ];
}

/** @param {LiveState} state @returns {Fact[]} */
const linkFacts = ({ speed, link }) => [
  ["Received", `${grouped(speed.windows_received)}, ${fixed(speed.received_per_s, 1)}/s`],
  ["On the line", lossOf(speed, link), speed.windows_lost ? "bad" : link.bad_frames ? "warn" : ""],
  ["Dropped by board, by host", `${speed.windows_dropped_by_board}, ${speed.windows_dropped_by_host}`],
  ["Rate", `${fixed(link.rate_bytes_per_s / 1e6, 2)} MB/s`],
  ["Round trip", `${fixed(link.round_trip_ms, 1)} ms`],
  ["Longest frame", `${link.frame_bytes} B`],
  ["Reconnects", link.reconnects, link.reconnects ? "warn" : ""],
];
