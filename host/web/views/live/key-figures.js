/** The key figures: what the map and the network reach, and apart from that how the stream runs. */

import { byId, set, setText } from "../../lib/dom.js";
import { fixed } from "../../lib/format.js";
import { LinkHealth } from "./link-health.js";

/** @typedef {import("../../net/types.js").LiveState} LiveState */

/** Below this share of the windows that the board exposes, the page says how many there are. */
const SLOW_SHARE = 0.95;

export class KeyFigures {
  #health = new LinkHealth();

  /** A figure that is not known yet of the present map and network is a dash. @param {LiveState} state */
  follow(state) {
    const { map, adaptive, scores, speed, link, board } = state;
    showSaid("scene-note", [state.scene, state.footage].filter(Boolean).join(": "));
    const moving = adaptive?.active ? adaptive.reads : null;
    const reads = map && (moving === null ? map.mean_level : moving / (map.height * map.width));
    setText("saved", map && reads !== null ? `${fixed(100 * (1 - reads / map.slots), 1)} %` : "–");
    setText("saved-note", map ? `${fixed(reads, 2)} of ${map.slots} reads per pixel` : "");
    const unreferenced = board !== null && !board.gives_scene;
    byId("science").classList.toggle("unscored", unreferenced);
    set(byId("no-reference"), { hidden: !unreferenced });
    setText("psnr-initial", fixed(scores?.psnr_initial_db, 1));
    setText("psnr-final", fixed(scores?.psnr_final_db, 1));
    setText("ssim-initial", fixed(scores?.ssim_initial, 3));
    setText("ssim-final", fixed(scores?.ssim_final, 3));
    const { reconstructed_per_s: rate, reconstruct_ms: networkMs, latency_p95_ms: p95Ms } = speed;
    const { due, slow } = paceOf(state);
    setText("windows", fixed(rate || null, 1));
    setText("windows-unit", slow ? `of ${fixed(due, 0)} /s` : "/s");
    byId("windows").classList.toggle("slow", slow);
    const besideMs = state.comparison?.reconstruct_ms ?? null;
    const network = besideMs === null ? "network" : `networks ${fixed(networkMs, 0)} +`;
    setText("windows-note", networkMs === null ? "" : `${network} ${fixed(besideMs ?? networkMs, 0)} ms`);
    setText("latency", fixed(speed.latency_p50_ms, 0));
    setText("latency-note", p95Ms === null ? "last slot to screen" : `to screen; 95 %: ${fixed(p95Ms, 0)} ms`);
    setText("link-rate", fixed(link.rate_bytes_per_s / 1e6, 2));
    const { text, mood } = this.#health.follow(state);
    showSaid("link-note", text);
    set(byId("link-note"), { className: `note ${mood}` });
  }
}

/**
 * How many windows the board exposes per second, and whether too few of them are reconstructed.
 * @param {LiveState} state
 */
export function paceOf({ board, speed: { reconstructed_per_s: rate } }) {
  const due = board?.slot_rate_hz ? board.slot_rate_hz / board.slots : 0;
  return { due, slow: rate > 0 && rate < SLOW_SHARE * due };
}

/** Show how often the page draws. @param {number} perSecond @param {string} note */
export function showDrawRate(perSecond, note) {
  setText("draws", perSecond ? perSecond.toFixed(0) : "–");
  setText("draws-note", note);
}

/** Write text that may be cut off, and is whole under the pointer. @param {string} id @param {string} text */
function showSaid(id, text) {
  set(byId(id), { textContent: text, title: text });
}
