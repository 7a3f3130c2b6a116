/** The menu of files; what makes them is loaded when it is first used. */

import { byId, set } from "../../lib/dom.js";

/**
 * @typedef {import("./saving.js").Kind} Kind
 * @typedef {import("./saving.js").Screenful} Screenful
 */

const REFUSAL_MS = 12_000;

/** Files of one window with all of its slots, for which one has to come, or to be held. */
const WHOLE = ["npz", "mp4"];

/** Offer files of whole windows, or say that there are none now. @param {boolean} coming */
export function offerWhole(coming) {
  for (const kind of WHOLE) set(byId(`save-window-${kind}`, HTMLButtonElement), { disabled: !coming });
  set(byId("save-unable"), { hidden: coming });
}

/**
 * Listen to the menu.
 * @param {import("../view.js").Context} context
 * @param {(whole: boolean) => Promise<Screenful>} screenful What is on the screen; `whole` holds one
 *   window with all of its slots first.
 */
export function offerFiles(context, screenful) {
  const menu = byId("save", HTMLDetailsElement);
  for (const kind of /** @type {Kind[]} */ (["png", "npz", "mp4"])) {
    byId(`save-window-${kind}`).addEventListener("click", async () => {
      menu.open = false;
      try {
        const [{ save }, shown] = await Promise.all([import("./saving.js"), screenful(WHOLE.includes(kind))]);
        await save(kind, context.service, shown);
      } catch (error) {
        context.notices.say(context.service.sentenceOf(error), "error", REFUSAL_MS);
      }
    });
  }
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape") menu.open = false;
  });
  document.addEventListener("pointerdown", (event) => {
    if (menu.open && event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
  });
}
