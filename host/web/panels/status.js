/** The phase of the session, and the line across the page for what a person must know now. */

import { byId, setText } from "../lib/dom.js";

/**
 * @typedef {import("../net/types.js").LiveState} LiveState
 * @typedef {""|"info"|"error"} Mood
 */

let announced = { text: "", mood: /** @type {Mood} */ (""), untilMs: 0 };

/** Show the phase and the notice. @param {LiveState} state */
export function showStatus(state) {
  showPhase(state.phase);
  const { text, mood } = noticeOf(state);
  setNotice(text, mood);
}

/** @param {LiveState["phase"]|"offline"} phase */
export function showPhase(phase) {
  setText("phase", phase === "lost" ? "board lost" : phase);
  byId("phase").className = `phase ${phase}`;
}

/**
 * Show a message of the page itself. The state of the session has priority: a lost board, a stop or
 * an activity.
 * @param {string} text An empty text takes the message away.
 * @param {Mood} [mood]
 * @param {number} [shownMs] By default it stays until the next message.
 */
export function announce(text, mood = "", shownMs = Infinity) {
  announced = { text, mood, untilMs: performance.now() + shownMs };
  if (text) setNotice(text, mood);
}

/** @param {LiveState} state @returns {{text: string, mood: Mood}} */
function noticeOf({ phase, messages, progress, activity, bundle, reconstructed_by: reconstructedBy }) {
  const newest = messages.at(-1)?.text;
  if (phase === "lost") return { text: newest || "The board is gone. Trying to reconnect.", mood: "error" };
  if (phase === "stopped") return { text: newest || "The session has ended.", mood: "error" };
  if (phase !== "streaming") {
    const percent = progress === null ? "" : ` ${Math.round(100 * progress)} %`;
    return { text: `${activity.slice(0, 1).toUpperCase()}${activity.slice(1)}${percent}`, mood: "info" };
  }
  if (announced.text && performance.now() < announced.untilMs) return announced;
  if (reconstructedBy === bundle) return { text: "", mood: "" };
  const instead = reconstructedBy === "network-free"
    ? "without a network"
    : `by ${reconstructedBy}, which suits any map`;
  const text = `The network of ${bundle} was trained for another map: windows are reconstructed ${instead}.`;
  return { text, mood: "" };
}

/** @param {string} text @param {Mood} mood */
function setNotice(text, mood) {
  setText("notice-text", text);
  const box = byId("notice");
  box.className = `notice ${mood}`;
  box.hidden = !text;
}
