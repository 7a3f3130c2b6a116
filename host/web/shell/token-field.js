/** The field for the token, in place of the views, where the service wants one that the page has not. */

import { byId, setText } from "../lib/dom.js";
import { hasToken, sentenceOf, useToken } from "../net/service.js";

export class TokenField {
  #form = byId("token-form", HTMLFormElement);
  #input = byId("token", HTMLInputElement);
  #busy = false;

  /** @param {() => void} given A token was entered. */
  constructor(given) {
    this.#form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (this.#busy) return; // twice entered is once connected
      this.#busy = true;
      try {
        await useToken(this.#input.value.trim());
        this.#input.value = "";
        given();
      } catch (error) {
        setText("token-say", sentenceOf(error));
      }
      this.#busy = false;
    });
  }

  ask() {
    setText("token-say", hasToken()
      ? "The service does not know this token, or no longer: it was started again with another one."
      : "This service needs its token. It is part of the link that the command printed.");
    byId("views").hidden = true;
    this.#form.hidden = false;
    this.#input.focus();
  }

  hide() {
    if (this.#form.hidden) return;
    this.#form.hidden = true;
    byId("views").hidden = false;
  }
}
