/** The five views: which one is shown by the address, loaded when it is shown first. */

import { make } from "../lib/dom.js";

/**
 * @typedef {import("../net/types.js").LiveState} LiveState
 * @typedef {import("../views/view.js").Context} Context
 * @typedef {import("../views/view.js").View} View
 */

/** @type {Record<string, () => Promise<{View: new (root: HTMLElement, context: Context) => View}>>} */
const MODULES = {
  live: () => import("../views/live/live.js"),
  map: () => import("../views/map/map.js"),
  calibrate: () => import("../views/calibrate/calibrate.js"),
  recordings: () => import("../views/recordings/recordings.js"),
  boards: () => import("../views/boards/boards.js"),
};
const FIRST = "live";

export class Router {
  #root;
  #nav;
  #context;
  /** @type {Map<string, Promise<{root: HTMLElement, view: View}>>} */ #loaded = new Map();
  /** @type {{root: HTMLElement, view: View}|null} */ #shown = null;
  /** Empty while it could not be loaded. */ #wanted = "";
  #failed = false;
  /** @type {LiveState|null} */ #state = null;

  /** @param {HTMLElement} root @param {HTMLElement} nav @param {Context} context */
  constructor(root, nav, context) {
    this.#root = root;
    this.#nav = nav;
    this.#context = context;
    window.addEventListener("hashchange", () => this.#go());
    this.#go();
  }

  /** Pass a state to the view that is shown; one that could not be loaded is loaded now. @param {LiveState} state */
  follow(state) {
    this.#state = state;
    if (!this.#wanted) this.#go(); // the service answers again
    this.#shown?.view.follow(state);
  }

  /** Let the view that is shown draw everything anew. */
  redraw() {
    this.#shown?.view.hide();
    this.#show();
  }

  async #go() {
    const asked = location.hash.replace(/^#\/?/, "").split("/")[0];
    const name = asked in MODULES ? asked : FIRST;
    if (name === this.#wanted) return;
    this.#wanted = name;
    for (const link of this.#nav.querySelectorAll("a")) {
      const here = link.hash === `#/${name}`;
      if (here) document.title = `${link.textContent} · focalloop`;
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    let found = this.#loaded.get(name);
    if (!found) this.#loaded.set(name, (found = this.#load(name)));
    let next;
    try {
      next = await found;
    } catch {
      this.#loaded.delete(name); // the next visit or state tries again
      if (name !== this.#wanted) return;
      this.#wanted = "";
      this.#failed = true;
      this.#context.notices.say(`The view ${name} could not be loaded. Is the service still running?`, "error");
      return;
    }
    if (this.#failed) this.#context.notices.say("");
    this.#failed = false;
    if (name !== this.#wanted) return; // another one was asked for meanwhile
    this.#shown?.view.hide();
    if (this.#shown) this.#shown.root.hidden = true;
    this.#shown = next;
    next.root.hidden = false;
    window.scrollTo(0, 0);
    this.#show();
  }

  #show() {
    this.#shown?.view.show();
    if (this.#state) this.#shown?.view.follow(this.#state);
  }

  /** @param {string} name */
  async #load(name) {
    const folder = new URL(`../views/${name}/`, import.meta.url);
    const root = make("section", { className: `view ${name}`, hidden: true });
    const [{ View }, markup] = await Promise.all([
      MODULES[name](),
      fetch(new URL(`${name}.html`, folder)).then((answer) => {
        if (!answer.ok) throw new Error(answer.statusText);
        return answer.text();
      }),
      styled(new URL(`${name}.css`, folder)),
    ]);
    root.innerHTML = markup;
    this.#root.append(root);
    return { root, view: new View(root, this.#context) };
  }
}

/** Load a style sheet. @param {URL} address @returns {Promise<void>} */
const styled = (address) => new Promise((resolve, reject) => {
  const link = make("link", { rel: "stylesheet", href: address.href });
  link.onload = () => resolve();
  link.onerror = () => reject(new Error(address.href));
  document.head.append(link);
});
