/** Requests to the service: JSON in, JSON out, and its sentence as the error where it refuses. */

const token = new URLSearchParams(location.search).get("token");

/**
 * Address of something of the service that cannot carry the token in a header.
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
 * Ask the service; throw an Error with its own sentence where it answers with a refusal.
 * @param {string} path Relative to the page, as in "api/state".
 * @param {RequestInit} [request]
 * @returns {Promise<any>}
 */
export async function ask(path, request = {}) {
  const headers = new Headers(request.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let answer;
  try {
    answer = await fetch(path, { ...request, headers });
  } catch {
    throw new Error("The service does not answer. Is `focalloop live` still running?");
  }
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const { detail } = document;
    throw new Error(typeof detail === "string" ? detail : `The service refused: ${answer.status} ${answer.statusText}.`);
  }
  return document;
}
