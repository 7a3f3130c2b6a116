/** The figures: tiles on top, the board and its link, and the log of what happened. */

const PHASES = {
  starting: "starting", connecting: "connecting", uploading: "uploading", streaming: "streaming", calibrating: "calibrating",
  lost: "board lost", stopped: "stopped", offline: "offline",
};

const set = (id, text) => { document.getElementById(id).textContent = text; };
const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));

/** Show a state of the service. @param {any} state */
export function showState(state) {
  const { board, map, scores, speed, link } = state;
  showPhase(state.phase);
  showNotice(state);

  set("saved", map ? `${number(100 * (1 - map.ratio), 1)} %` : "–");
  set("saved-note", map ? `${number(map.mean_level, 2)} of ${map.slots} reads a pixel` : "");
  set("psnr-initial", number(scores?.psnr_initial_db, 1));
  set("psnr-final", number(scores?.psnr_final_db, 1));
  set("ssim-initial", number(scores?.ssim_initial, 3));
  set("ssim-final", number(scores?.ssim_final, 3));
  set("windows", number(speed.reconstructed_per_s, 1));
  set("windows-note", speed.reconstruct_ms === null ? "" : `network ${number(speed.reconstruct_ms, 0)} ms a window`);
  set("latency", number(speed.latency_p50_ms, 0));
  set("latency-note", speed.latency_p95_ms === null ? "last slot to screen" : `to screen; 95 % in ${number(speed.latency_p95_ms, 0)} ms`);
  set("link-rate", number(link.rate_bytes_per_s / 1e6, 2));
  const troubles = link.bad_frames + speed.windows_lost;
  set("link-note", troubles ? `${link.bad_frames} bad frames, ${speed.windows_lost} windows lost` : "no errors");
  document.getElementById("link-note").classList.toggle("bad", troubles > 0);

  set("final-note", state.reconstructed_by ? `by ${state.reconstructed_by}` : "");
  if (board) showBoard(state);
  showLog(state.messages);
}

/** @param {string} phase */
export function showPhase(phase) {
  const element = document.getElementById("phase");
  const text = PHASES[phase] ?? phase;
  if (element.textContent !== text) element.textContent = text;
  element.className = `phase ${phase}`;
}

/** Say how often the page draws. @param {number} perSecond @param {string} note */
export function showDraws(perSecond, note) {
  set("draws", perSecond ? perSecond.toFixed(0) : "–");
  set("draws-note", note);
}

/** @param {string} text */
const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

let announced = { text: "", mood: "", untilMs: 0 };

/**
 * Put a line of the page's own across it, in place of all but the worst of the session's.
 * @param {string} text Nothing takes the line away.
 * @param {""|"info"|"error"} [mood]
 * @param {number} [shownMs] For how long; by default until the next one.
 */
export function announce(text, mood = "", shownMs = Infinity) {
  announced = { text, mood, untilMs: performance.now() + shownMs };
  if (text) setNotice(text, mood);
}

/** The line across the page, for what a person must know now. */
function showNotice(state) {
  const newest = state.messages.at(-1)?.text ?? "";
  const percent = state.progress === null ? "" : ` ${Math.round(100 * state.progress)} %`;
  if (state.phase === "lost") setNotice(newest || "The board is gone; trying to reach it again.", "error");
  else if (state.phase === "stopped") setNotice(newest || "The session has ended.", "error");
  else if (state.phase !== "streaming") setNotice(capital(`${state.activity}${percent}`), "info");
  else if (announced.text && performance.now() < announced.untilMs) setNotice(announced.text, announced.mood);
  else if (state.reconstructed_by === state.bundle) setNotice("", "");
  else setNotice(`The network of ${state.bundle} was trained for another map: windows are rebuilt ${instead(state)}.`, "");
}

/** What rebuilds in the stead of a network that was trained for another map. */
const instead = ({ reconstructed_by: name }) => (name === "network-free" ? "without a network" : `by ${name}, which takes any`);

/** @param {string} text @param {string} mood */
function setNotice(text, mood) {
  const line = document.getElementById("notice-text");
  if (line.textContent !== text) line.textContent = text;
  const box = document.getElementById("notice");
  box.className = `notice ${mood}`;
  box.hidden = !text;
}

function showBoard({ board, speed, link, profile, scene }) {
  const badge = document.getElementById("badge");
  badge.hidden = false;
  badge.textContent = board.simulated ? "SIMULATED" : "REAL";
  badge.className = `badge ${board.simulated ? "simulated" : "real"}`;
  set("identity", `${board.name} · ${board.width} × ${board.height} · ${board.bits} bit`);
  set("link-state", board.url);
  const rows = [
    ["Firmware", board.firmware],
    ["Serial", board.serial || "–"],
    ["Array", `${board.width} × ${board.height}, ${board.bits} bit`],
    ["Black, full scale", `${number(board.black_level_dn, 0)}, ${number(board.full_scale_dn, 0)} DN`],
    ["Window", `${board.slots} slots${board.slot_rate_hz ? ` at ${number(board.slot_rate_hz, 0)} Hz` : ", not paced"}`],
    ...(profile ? [["Noise, scene", `${profile}, ${scene}`]] : []),
    ["Received", `${speed.windows_received.toLocaleString("en")}, ${number(speed.received_per_s, 1)}/s`],
    ["Lost", speed.windows_lost, speed.windows_lost ? "bad" : ""],
    ["Skipped, passed over", `${speed.windows_dropped_by_board}, ${speed.windows_dropped_by_host}`],
    ["Bad frames, resends", `${link.bad_frames}, ${link.resends}`, link.bad_frames ? "warn" : ""],
    ["Longest frame, round trip", `${link.frame_bytes} B, ${number(link.round_trip_ms, 1)} ms`],
    ["Reconnects", link.reconnects, link.reconnects ? "warn" : ""],
  ];
  document.getElementById("link-values").replaceChildren(...rows.map(([name, value, mood = ""]) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    const cell = document.createElement("td");
    cell.textContent = String(value);
    cell.className = mood;
    row.append(head, cell);
    return row;
  }));
}

let shownMessages = "";

function showLog(messages) {
  const key = `${messages.length} ${messages.at(-1)?.time_s}`;
  if (key === shownMessages) return;
  shownMessages = key;
  const log = document.getElementById("log");
  log.replaceChildren(...messages.slice().reverse().map(({ time_s: timeS, level, text }) => {
    const item = document.createElement("li");
    item.className = level;
    const time = document.createElement("time");
    time.textContent = new Date(1000 * timeS).toLocaleTimeString("en-GB");
    const line = document.createElement("span");
    line.textContent = text;
    item.append(time, line);
    return item;
  }));
}
