/** The tiles of key figures: measurements saved, quality, rates, latency and link. */

import { byId, setText } from "../../lib/dom.js";
import { fixed, lossOf } from "../../lib/format.js";

/**
 * A figure that is not known yet of the present map and network is a dash.
 * @param {import("../../net/types.js").LiveState} state
 */
export function showKeyFigures({ map, adaptive, scores, speed, link }) {
  const moving = adaptive?.active ? adaptive.reads : null;
  const reads = map && (moving === null ? map.mean_level : moving / (map.height * map.width));
  setText("saved", map && reads !== null ? `${fixed(100 * (1 - reads / map.slots), 1)} %` : "–");
  setText("saved-note", map ? `${fixed(reads, 2)} of ${map.slots} reads per pixel` : "");
  setText("psnr-initial", fixed(scores?.psnr_initial_db, 1));
  setText("psnr-final", fixed(scores?.psnr_final_db, 1));
  setText("ssim-initial", fixed(scores?.ssim_initial, 3));
  setText("ssim-final", fixed(scores?.ssim_final, 3));
  setText("windows", fixed(speed.reconstructed_per_s || null, 1));
  const { reconstruct_ms: networkMs, latency_p95_ms: p95Ms } = speed;
  setText("windows-note", networkMs === null ? "" : `network ${fixed(networkMs, 0)} ms per window`);
  setText("latency", fixed(speed.latency_p50_ms, 0));
  setText("latency-note", p95Ms === null ? "last slot to screen" : `to screen; 95 %: ${fixed(p95Ms, 0)} ms`);
  setText("link-rate", fixed(link.rate_bytes_per_s / 1e6, 2));
  const loss = lossOf(speed, link);
  setText("link-note", loss);
  byId("link-note").title = loss;
  byId("link-note").classList.toggle("bad", speed.windows_lost > 0);
}

/** Show how often the page draws. @param {number} perSecond @param {string} note */
export function showDrawRate(perSecond, note) {
  setText("draws", perSecond ? perSecond.toFixed(0) : "–");
  setText("draws-note", note);
}
