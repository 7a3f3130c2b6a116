/** Requests to the service: JSON in, JSON out, and the service's own sentence where it refuses. */

/** The service refused a request; its message is the service's own sentence. */
export class Refusal extends Error {
  /** @param {string} sentence @param {number} status Of HTTP. */
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

const SILENT = "The service does not answer. Is `focalloop live` still running?";

// The service takes a right token out of the page's address, and gives it back as a cookie.
let given = new URLSearchParams(location.search).has("token");

/** Show the service a token; a right one is a cookie from now on. @param {string} token */
export async function useToken(token) {
  try {
    await fetch(`./?${new URLSearchParams({ token })}`, { redirect: "manual" });
  } catch {
    throw new Error(SILENT);
  }
  given = true;
}

/** Whether the page was given a token. */
export const hasToken = () => given;

/**
 * Address of something of the service.
 * @param {string} path Relative to the page.
 * @returns {string}
 */
export function address(path) {
  const full = new URL(path, location.href);
  full.hash = "";
  return full.href;
}

/** Address of the preview socket. @returns {string} */
export const socketAddress = () => address("ws/preview").replace(/^http/, "ws");

/**
 * Send a request; throws a `Refusal` where the service refuses, and an Error where it does not answer.
 * @param {string} path Relative to the page, as in "api/state".
 * @param {string} [method]
 * @param {unknown} [body] Sent as it is if it is a `Blob`, else as JSON.
 * @returns {Promise<any>} The answer; see `types.js`.
 */
export const request = async (path, method = "GET", body = undefined) => (await ask(path, method, body)).json();

/**
 * As `request`, for an answer that is a file.
 * @param {string} path @param {string} [method] @param {unknown} [body]
 * @returns {Promise<Blob>}
 */
export const file = async (path, method = "GET", body = undefined) => (await ask(path, method, body)).blob();

/**
 * As `request`, for an answer whose headers are wanted too.
 * @param {string} path @param {string} [method] @param {unknown} [body]
 * @param {Record<string, string>} [more] Headers.
 * @returns {Promise<Response>}
 */
export async function ask(path, method = "GET", body = undefined, more = {}) {
  const headers = new Headers(more);
  const raw = body instanceof Blob;
  if (body !== undefined) headers.set("Content-Type", raw ? body.type : "application/json");
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: raw ? body : JSON.stringify(body) });
  } catch {
    throw new Error(SILENT);
  }
  if (answer.ok) {
    given = true;
    return answer;
  }
  const { detail } = await answer.json().catch(() => ({}));
  throw new Refusal(
    typeof detail === "string" ? detail : `The service refused: ${answer.status} ${answer.statusText}.`,
    answer.status,
  );
}

/** The sentence of whatever was thrown. @param {unknown} error @returns {string} */
export const sentenceOf = (error) => (error instanceof Error ? error.message : String(error));
