/** The preview socket: credit out, pictures and states in; it reconnects whenever it drops. */

import { parse } from "./packets.js";
import { socketAddress } from "./service.js";

/**
 * @typedef {import("./packets.js").Picture} Picture
 * @typedef {import("./packets.js").Readout} Readout
 * @typedef {import("./types.js").LiveState} LiveState
 *
 * @typedef {object} Handlers
 * @property {(picture: Picture) => void} picture
 * @property {(readout: Readout) => void} readout It follows the picture of the same window.
 * @property {(state: LiveState) => void} state
 * @property {(connected: boolean) => void} connected
 */

const MIN_RETRY_MS = 300;
const MAX_RETRY_MS = 3000;

export class PreviewSocket {
  /** @type {WebSocket|null} */ #socket = null;
  #handlers;
  #retryMs = MIN_RETRY_MS;

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#connect();
  }

  /**
   * Let the service send one more window, the newest that it has.
   * @param {number} step Slots from one that is sent to the next.
   * @param {boolean} reads Whether the window's measurements are wanted too.
   */
  grant(step, reads) {
    this.#send({ credit: 1, step, reads });
  }

  /** Report that a window is on the screen, for the latency. @param {number} window */
  drawn(window) {
    this.#send({ drawn: window });
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    const socket = new WebSocket(socketAddress());
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#retryMs = MIN_RETRY_MS;
      this.#handlers.connected(true);
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") {
        this.#handlers.state(JSON.parse(data));
        return;
      }
      const message = parse(data);
      if (message.kind === "picture") this.#handlers.picture(message);
      else this.#handlers.readout(message);
    };
    socket.onclose = () => {
      this.#handlers.connected(false);
      setTimeout(() => this.#connect(), this.#retryMs);
      this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
    };
    this.#socket = socket;
  }
}
