/** The preview socket: credit out, pictures and states in, connected again whenever it drops. */

import { parse } from "./packet.js";
import { socketAddress } from "./service.js";

const FIRST_RETRY_MS = 300;
const LAST_RETRY_MS = 3000;

/**
 * @typedef {object} Handlers
 * @property {(picture: import("./packet.js").Picture) => void} picture
 * @property {(readout: import("./packet.js").Readout) => void} readout
 * @property {(state: any) => void} state
 * @property {(connected: boolean) => void} connected
 */

export class Link {
  #socket = null;
  #handlers;
  #retryMs = FIRST_RETRY_MS;

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#connect();
  }

  /**
   * Let the service send one more window: the newest it has, every `step`-th slot of it.
   * @param {number} step
   * @param {boolean} reads Whether the window's measurements are wanted too.
   */
  grant(step, reads) {
    this.#send({ credit: 1, step, reads });
  }

  /** Tell the service that a window is on the screen, for the latency it reports. @param {number} window */
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
      this.#retryMs = FIRST_RETRY_MS;
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
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    };
    this.#socket = socket;
  }
}
