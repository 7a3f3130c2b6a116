/** Requests to the service: JSON in, JSON out, and the service's own sentence where it refuses. */

const token = new URLSearchParams(location.search).get("token");

/**
 * Address of something of the service, with the token where no header can carry it.
 * @param {string} path Relative to the page.
 * @returns {string}
 */
export function address(path) {
  const full = new URL(path, location.href);
  full.search = token ? `?token=${encodeURIComponent(token)}` : "";
  return full.href;
}

/** Address of the preview socket. @returns {string} */
export const socketAddress = () => address("ws/preview").replace(/^http/, "ws");

/**
 * Send a request; throws an Error with the service's own sentence where it refuses.
 * @param {string} path Relative to the page, as in "api/state".
 * @param {string} [method]
 * @param {unknown} [body] Sent as it is if it is a `Blob`, else as JSON.
 * @returns {Promise<any>} The answer; see `types.js`.
 */
export async function request(path, method = "GET", body = undefined) {
  const headers = new Headers();
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const raw = body instanceof Blob;
  if (body !== undefined) headers.set("Content-Type", raw ? body.type : "application/json");
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: raw ? body : JSON.stringify(body) });
  } catch {
    throw new Error("The service does not answer. Is `focalloop live` still running?");
  }
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const { detail } = document;
    throw new Error(
      typeof detail === "string" ? detail : `The service refused: ${answer.status} ${answer.statusText}.`,
    );
  }
  return document;
}

/** The sentence of whatever was thrown. @param {unknown} error @returns {string} */
export const sentenceOf = (error) => (error instanceof Error ? error.message : String(error));
