/** The line across the page, for what a person must know now. */

import { byId, set, setText } from "../lib/dom.js";

/**
 * @typedef {""|"info"|"error"} Mood
 *
 * @typedef {object} Standing What the state of the session says.
 * @property {string} text
 * @property {Mood} mood
 * @property {boolean} [first] Whether it goes before what the page itself says.
 * @property {{text: string, run: () => void}} [action] A button beside it.
 */

/** @type {Standing} */
const NOTHING = { text: "", mood: "" };

export class Notices {
  #said = { ...NOTHING, untilMs: 0 };
  #standing = NOTHING;
  #action = byId("notice-action");

  constructor() {
    this.#action.addEventListener("click", () => this.#standing.action?.run());
  }

  /**
   * Say something for a while.
   * @param {string} text An empty text takes the message away.
   * @param {Mood} [mood]
   * @param {number} [shownMs] By default it stays until the next message.
   */
  say(text, mood = "", shownMs = Infinity) {
    this.#said = { text, mood, untilMs: performance.now() + shownMs };
    this.#show();
  }

  /** Say this as long as the state of the session does. @param {Standing|null} standing */
  stand(standing) {
    this.#standing = standing ?? NOTHING;
    this.#show();
  }

  #show() {
    const said = this.#said.text && performance.now() < this.#said.untilMs && !this.#standing.first;
    const { text, mood, action } = said ? { ...this.#said, action: undefined } : this.#standing;
    const box = byId("notice");
    setText("notice-text", text);
    set(box, { className: `notice ${mood}`, hidden: !text });
    set(this.#action, { hidden: !action });
    if (action && this.#action.textContent !== action.text) this.#action.textContent = action.text;
  }
}
