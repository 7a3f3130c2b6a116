/**
 * What the service answers, as `/openapi.json` describes it; a test compares the two.
 *
 * @typedef {object} LiveState The session, sent over the preview socket four times per second.
 * @property {"starting"|"connecting"|"uploading"|"streaming"|"calibrating"|"lost"|"stopped"} phase
 * @property {string} activity
 * @property {number|null} progress Completed share of the activity.
 * @property {string} scene
 * @property {string} footage How its clip was filmed and is played; empty if that is not known.
 * @property {string} profile
 * @property {string} bundle The selected bundle, or "network-free".
 * @property {string} corrected_by What the reads are corrected by; empty if they are not.
 * @property {string} reconstructed_by What reconstructs under the board's present map.
 * @property {string} noise_note How the noise differs from what that one is for; empty if it does not.
 * @property {number} setup Number of the pair of `map` and `reconstructed_by`; pictures have it too.
 * @property {number|null} signal_electrons Of a signal of 1, where a calibration of the board tells them.
 * @property {BoardIdentity|null} board
 * @property {MapState|null} map
 * @property {boolean} can_go_back Whether the map before the last upload can be restored.
 * @property {ScoreState|null} scores Of the present setup.
 * @property {ComparisonState|null} comparison Null where no second bundle is chosen.
 * @property {RadioState|null} radio Null where the session has no radio link.
 * @property {AdaptiveState|null} adaptive Null where the session has no adaptive map.
 * @property {LinkState} link
 * @property {SpeedState} speed
 * @property {CalibrationState} calibration
 * @property {import("./recording-types.js").RecorderState|null} recording Of the present or last recording.
 * @property {import("./recording-types.js").DiskState|null} disk Null where no recordings are kept.
 * @property {Message[]} messages Oldest first.
 *
 * @typedef {object} BoardIdentity
 * @property {string} url
 * @property {string} name
 * @property {string} firmware
 * @property {string} serial
 * @property {boolean} simulated
 * @property {boolean} replay Whether its windows were recorded earlier.
 * @property {boolean} gives_scene Whether it can be asked for the scene behind a window.
 * @property {number} height
 * @property {number} width
 * @property {number} slots
 * @property {number} bits
 * @property {number} black_level_dn
 * @property {number} full_scale_dn
 * @property {number} slot_rate_hz
 *
 * @typedef {object} MapState
 * @property {string} hash
 * @property {number} height
 * @property {number} width
 * @property {number} slots
 * @property {number} tile_height
 * @property {number} tile_width
 * @property {Record<string, number>} level_shares Share of pixels at each level.
 * @property {number} mean_level Measurements per pixel and window.
 * @property {number} ratio Measurements relative to a full readout.
 * @property {boolean} aperture
 *
 * @typedef {object} MapDocument `GET api/map`: a `MapState` with the map itself.
 * @property {string} hash
 * @property {number} height
 * @property {number} width
 * @property {number} slots
 * @property {number} tile_height
 * @property {number} tile_width
 * @property {Record<string, number>} level_shares
 * @property {number} mean_level
 * @property {number} ratio
 * @property {boolean} aperture
 * @property {Record<string, [number, number, number]>} colours sRGB of each level.
 * @property {string} levels Base64 of one byte per pixel, row-major.
 * @property {string|null} mask Base64 of the coded aperture, one bit per slot and pixel, lowest bit
 *   first.
 * @property {PaletteDocument|null} palette Of an adaptive map; the rest is of its resting map.
 *
 * @typedef {object} Schedule `POST api/map/schedule`; verdicts are null without a rate.
 * @property {number[]} reads_per_slot
 * @property {number} reads_per_window
 * @property {number} peak_rate_hz Conversions per second that finish the busiest slot within one.
 * @property {number} holding_rate_hz Those that suffice if pixels hold their value.
 * @property {boolean|null} fits_adc
 * @property {boolean|null} fits_adc_holding
 * @property {number} link_needed_bytes_per_s
 * @property {boolean|null} fits_link
 * @property {number|null} windows_carried
 * @property {number} energy_j_per_window
 * @property {number} power_w
 *
 * @typedef {object} PaletteDocument The tiles of which a picture's grid names one for each block.
 * @property {number} block Side of a block in pixels.
 * @property {number} tile_height
 * @property {number} tile_width
 * @property {string} tiles Base64 of the levels of all tiles, one byte each.
 *
 * @typedef {object} AdaptiveState
 * @property {boolean} active Whether the board runs the adaptive map.
 * @property {string} activity What the map does now and why.
 * @property {number} budget Most reads in a window, relative to a full readout.
 * @property {number} budget_reads
 * @property {number} rows Of blocks.
 * @property {number} columns
 * @property {number} block Side of a block in pixels.
 * @property {number[]} tile_reads Reads per pixel of each tile.
 * @property {number|null} reads In the newest window.
 * @property {number} windows
 * @property {number} windows_under_grid
 * @property {number} windows_over_budget
 * @property {Record<string, number>} delays Windows under a grid, by the age of what it was chosen from.
 * @property {number} grids_taken
 * @property {number} grids_late
 * @property {number} grids_refused
 * @property {number} windows_not_used
 * @property {number|null} choice_ms
 *
 * @typedef {object} ScoreState
 * @property {number} window
 * @property {number} setup
 * @property {number} psnr_initial_db
 * @property {number} psnr_final_db
 * @property {number} ssim_initial
 * @property {number} ssim_final
 * @property {RadioChoice|null} radio How the window was sent, if over a radio.
 * @property {string} beside Bundle that rebuilt the same window beside; empty if none did.
 * @property {number|null} psnr_beside_db
 * @property {number|null} ssim_beside
 *
 * @typedef {object} ComparisonState A second bundle, which rebuilds the same windows beside.
 * @property {string} bundle As it was chosen.
 * @property {string} reconstructed_by What does so under the board's present map.
 * @property {number} setup Number of the pair of map and `reconstructed_by`.
 * @property {number|null} reconstruct_ms What it takes per window; null where nobody looks.
 *
 * @typedef {object} RadioChoice `PUT api/radio`.
 * @property {string} method
 * @property {string} channel "awgn", "rayleigh" or "rayleigh-block".
 * @property {number} snr_db
 * @property {number} symbols To spend on a window.
 *
 * @typedef {object} RadioState
 * @property {RadioChoice} choice
 * @property {string[]} methods
 * @property {number} min_symbols
 * @property {number} max_symbols
 * @property {string} problem
 * @property {number|null} payload_symbols Of the newest window.
 * @property {number|null} rate_map_symbols
 * @property {number|null} header_symbols
 * @property {boolean} lost
 * @property {number} windows_sent Since the choice was changed.
 * @property {number} windows_lost
 * @property {number|null} link_ms
 * @property {string[]} rate_map Rows of digits; empty without rates.
 *
 * @typedef {object} LinkState
 * @property {number} rate_bytes_per_s
 * @property {number} received_bytes
 * @property {number} bad_frames
 * @property {number} resends
 * @property {number} reconnects
 * @property {number} frame_bytes
 * @property {number|null} round_trip_ms
 *
 * @typedef {object} SpeedState
 * @property {number} windows_received
 * @property {number} windows_reconstructed
 * @property {number} windows_lost
 * @property {number} windows_dropped_by_host
 * @property {number} windows_dropped_by_board
 * @property {number} received_per_s
 * @property {number} reconstructed_per_s
 * @property {number|null} reconstruct_ms
 * @property {number|null} latency_p50_ms
 * @property {number|null} latency_p95_ms
 * @property {number|null} first_picture_s
 *
 * @typedef {object} Message
 * @property {number} time_s Since the Unix epoch.
 * @property {string} level "info", "warning" or "error".
 * @property {string} text
 *
 * @typedef {object} BundleState One of those in `GET api/bundles`.
 * @property {string} name
 * @property {string} title
 * @property {number|null} ratio Of its map; null without a network.
 * @property {boolean} aperture
 * @property {boolean} any_map Whether its network reconstructs under any map.
 * @property {number|null} psnr_db On the open test set.
 * @property {boolean} suits Whether its network suits the map that the board runs.
 *
 * @typedef {object} Bundles
 * @property {BundleState[]} bundles
 * @property {string} active
 *
 * @typedef {import("./calibration-types.js").CalibrationState} CalibrationState
 */

export {};
