/** The preview socket: credit out, pictures and states in; it reconnects whenever it drops. */

import { parse } from "./packets.js";
import { Refusal, request, socketAddress } from "./service.js";

/**
 * @typedef {import("./packets.js").Picture} Picture
 * @typedef {import("./packets.js").Readout} Readout
 * @typedef {import("./types.js").LiveState} LiveState
 *
 * @typedef {object} Handlers
 * @property {(state: LiveState) => void} state
 * @property {() => void} lost The service does not answer, or no longer; it is asked again.
 * @property {() => void} denied The service wants another token; `connect` asks again.
 *
 * @typedef {object} Receiver Of pictures; whoever is shown takes them.
 * @property {(picture: Picture) => void} picture
 * @property {(readout: Readout) => void} readout It follows the picture of the same window.
 * @property {() => void} connected Credit that was granted before is void.
 */

const MIN_RETRY_MS = 300;
const MAX_RETRY_MS = 3000;

/** Over a network, raw planes are too much: they take 12 MB/s at 256x256 pixels. */
export const REMOTE = !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

export class PreviewSocket {
  /** @type {WebSocket|null} */ #socket = null;
  /** @type {Receiver|null} */ #receiver = null;
  #handlers;
  #retryMs = MIN_RETRY_MS;
  /** Messages are handled in their order, though pictures may take time to decode. */
  #handled = Promise.resolve();

  /** @param {Handlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Give pictures to someone from now on, or to nobody. @param {Receiver|null} receiver */
  give(receiver) {
    this.#receiver = receiver;
    if (receiver === null) this.#send({ credit: 0, step: 1 });
    else if (this.#isOpen) receiver.connected();
  }

  /**
   * Let the service send one more window, the newest that it has.
   * @param {number} step Slots from one that is sent to the next.
   * @param {boolean} reads Whether the window's measurements are wanted too.
   * @param {boolean} beside Whether it is wanted by the second bundle too.
   */
  grant(step, reads, beside) {
    // Slow motion and a window that is held are for looking closely: they are exact.
    this.#send({ credit: 1, step, reads, beside, jpeg: REMOTE && step > 1 });
  }

  /** Report that a window is on the screen, for the latency. @param {number} window */
  drawn(window) {
    this.#send({ drawn: window });
  }

  /** Connect, and again whenever the connection ends. */
  async connect() {
    try {
      // A browser does not say why a socket was refused; the answer to a request does.
      this.#handlers.state(await request("api/state"));
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) this.#handlers.denied();
      else this.#retry();
      return;
    }
    const socket = new WebSocket(socketAddress());
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#retryMs = MIN_RETRY_MS;
      this.#receiver?.connected();
    };
    socket.onmessage = ({ data }) => {
      this.#handled = this.#handled.then(() => this.#handle(data)).catch(console.error);
    };
    socket.onclose = () => this.#retry();
    this.#socket = socket;
  }

  /** @param {string|ArrayBuffer} data */
  async #handle(data) {
    if (typeof data === "string") {
      this.#handlers.state(JSON.parse(data));
      return;
    }
    const message = await parse(data);
    if (message.kind === "picture") this.#receiver?.picture(message);
    else this.#receiver?.readout(message);
  }

  #retry() {
    this.#handlers.lost();
    setTimeout(() => this.connect(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }

  get #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** @param {object} message */
  #send(message) {
    if (this.#isOpen) this.#socket?.send(JSON.stringify(message));
  }
}
