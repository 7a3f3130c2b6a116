/** The page of a lab: its boards, who has them, and a lease for whoever opens the page. */

import { byId, make, setText } from "../lib/dom.js";
import { fillTable } from "../lib/table.js";
import { Refusal, ask, request, sentenceOf } from "../net/service.js";
import { Notices } from "../shell/notices.js";
import { followTheme } from "../shell/theme.js";
import { TokenField } from "../shell/token-field.js";

const PERIOD_MS = 1000;
const WHO = "focalloop-who";
const LEASES = "focalloop-leases";

/**
 * @typedef {object} Lease
 * @property {string} id
 * @property {string} name
 * @property {string | null} board
 * @property {number} remaining_s
 *
 * @typedef {object} Board
 * @property {string} name
 * @property {string[]} tags
 * @property {string} phase
 * @property {number} received_per_s
 * @property {{recording: boolean, windows: number} | null} recording
 * @property {Lease | null} lease
 */

const notices = new Notices();
const who = byId("who", HTMLInputElement);
const table = byId("boards", HTMLTableElement);
const token = new TokenField(() => { void follow(); });

/** Tokens of the leases that this tab holds, by their ids. @type {Record<string, string>} */
const held = JSON.parse(sessionStorage.getItem(LEASES) ?? "{}");
const keep = () => sessionStorage.setItem(LEASES, JSON.stringify(held));

/** @param {() => Promise<unknown>} work */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    notices.say(sentenceOf(error), "error", 10_000);
  }
  await follow();
}

/** @param {string} board */
async function lease(board) {
  const wish = { name: who.value.trim() || "somebody", board };
  const granted = await request("api/leases", "POST", wish);
  held[granted.lease.id] = granted.token;
  keep();
  if (granted.lease.board === null) {
    await release(granted.lease.id);
    throw new Error(`${board} is lent already: wait, or take it over by focalloop lab takeover.`);
  }
}

/** @param {string} id */
async function release(id) {
  const given = held[id];
  delete held[id];
  keep();
  await ask("api/lease", "DELETE", undefined, { "Focalloop-Lease": given });
}

/** The row of a board, whose elements stay, so that the button can be pressed while figures change. */
class Row {
  #state = make("span");
  #rate = make("span");
  #recording = make("span");
  #holder = make("span");
  #action = make("button", { type: "button" });
  /** @type {() => Promise<void>} */
  #act = async () => {};

  /** @param {string} name Of the board. */
  constructor(name) {
    this.name = name;
    this.heading = [make("a", { href: `boards/${name}/` }, name)];
    this.cells = [this.#state, this.#rate, this.#recording, this.#holder, this.#action];
    this.#action.addEventListener("click", () => attempt(this.#act));
  }

  /** @param {Board} board */
  follow({ phase, received_per_s: rate, recording, lease: holder }) {
    const own = holder !== null && holder.id in held;
    this.#state.className = `phase ${phase}`;
    this.#state.textContent = phase;
    this.#rate.textContent = `${rate.toFixed(1)} /s`;
    this.#recording.textContent = recording?.recording ? `${recording.windows} windows` : "";
    this.#holder.textContent = holder === null ? "free" : `${own ? "you" : holder.name}, ${Math.ceil(holder.remaining_s)} s`;
    this.#action.textContent = own ? "Give back" : "Lease";
    this.#action.disabled = holder !== null && !own;
    this.#act = () => (own ? release(holder.id) : lease(this.name));
  }
}

/** @type {Row[]} */
let rows = [];

async function follow() {
  try {
    /** @type {{boards: Board[], queue: Lease[]}} */
    const { boards, queue } = await request("api/boards");
    token.hide();
    if (boards.map(({ name }) => name).join() !== rows.map(({ name }) => name).join()) {
      rows = boards.map(({ name }) => new Row(name));
      fillTable(table, rows);
    }
    boards.forEach((board, at) => rows[at].follow(board));
    byId("queue").hidden = queue.length === 0;
    setText("queue", `In the queue: ${queue.map(({ name }) => name).join(", ")}.`);
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) token.ask();
    else notices.say(sentenceOf(error), "error", 2 * PERIOD_MS);
  }
}

followTheme(byId("theme"), () => {});
who.value = localStorage.getItem(WHO) ?? "";
who.addEventListener("change", () => localStorage.setItem(WHO, who.value.trim()));
void follow();
setInterval(follow, PERIOD_MS);
