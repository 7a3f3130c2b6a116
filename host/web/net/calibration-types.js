/**
 * What the service answers of a calibration, as `types.js` does of the rest.
 *
 * @typedef {object} CalibrationState
 * @property {"idle"|"running"|"light"|"lost"|"halted"|"done"|"cancelled"|"failed"} phase
 * @property {number} turn Grows with each change; requests name it.
 * @property {string} activity
 * @property {boolean} by_hand Whether a person sets the light.
 * @property {StepState[]} steps
 * @property {number} step Steps that are captured.
 * @property {number} windows Captured so far.
 * @property {number} windows_total
 * @property {number|null} seconds_left
 * @property {string} error
 * @property {FitState|null} fit
 * @property {Record<string, MarkState>[]} trail `s_ss` and `s_r` after each fit, oldest first.
 * @property {string} keeps Serial number under which an applied result is kept; empty if it is not.
 * @property {string} noise_note What the noise found costs the network, before it is applied.
 * @property {boolean} can_apply
 * @property {boolean} applied
 * @property {string} kept Whether the applied result was kept, as a sentence.
 *
 * @typedef {object} MarkState An estimate after one fit of several.
 * @property {number|null} value
 * @property {number|null} low
 * @property {number|null} high
 *
 * @typedef {object} StepState
 * @property {number|null} light Radiance, 0 for none; null where a person sets it.
 * @property {number|null} level Reads per window; null: different ones, side by side.
 * @property {number} windows
 *
 * @typedef {object} PlanState `GET api/calibration/plan?reads=N`.
 * @property {StepState[]} steps
 * @property {number} windows
 * @property {number|null} seconds Null for a board without a clock.
 * @property {boolean} by_hand
 * @property {string} keeps
 *
 * @typedef {object} LightState `GET api/calibration/light`, or null.
 * @property {number} signal That the longest span gets; 1 is full scale.
 * @property {number} wanted The best one; 0 in the dark.
 * @property {number} saturated Share of reads.
 * @property {number|null} unevenness Relative standard deviation over the array.
 * @property {number|null} change Relative difference between the last windows.
 * @property {string} mood "good", "warn" or "bad".
 * @property {string[]} sentences
 *
 * @typedef {object} FitState
 * @property {number} windows
 * @property {PointState[]} points
 * @property {ResponseState|null} response Null while too few spans tell it.
 * @property {Record<string, EstimateState>} estimates
 * @property {string[]} warnings
 * @property {string} mood "good", "warn" or "bad".
 * @property {string} headline
 * @property {string[]} sentences
 * @property {string} correction What corrects the reads, or why nothing does.
 * @property {Record<string, number>} defects Pixels of each kind; empty where they are not known.
 *
 * @typedef {object} PointState A point of the photon transfer curve.
 * @property {string} name
 * @property {number|null} signal
 * @property {number|null} variance_dn2
 * @property {number|null} low_dn2 Ends of its 95 % interval.
 * @property {number|null} high_dn2
 * @property {number|null} model_dn2
 * @property {number|null} residual From the model, in standard errors.
 * @property {boolean} used
 * @property {string} why_not
 *
 * @typedef {object} ResponseState How far the response is from straight; in units of full scale.
 * @property {number[]} signals Of the levels that tell it.
 * @property {number[]} deviations Of these levels, from the straight line.
 * @property {number[]} residuals Of these levels, from the curve.
 * @property {number[]} halves Half the 95 % interval of both.
 * @property {number[]} curve_signals
 * @property {number[]} curve Deviation of the curve from the straight line.
 * @property {number[]} half Half its 95 % interval.
 *
 * @typedef {object} EstimateState An estimate with its 95 % confidence interval.
 * @property {string} title
 * @property {string} meaning
 * @property {number|null} value
 * @property {number|null} low
 * @property {number|null} high
 * @property {string} unit
 * @property {string} text The value in a few digits.
 * @property {string} interval
 */

export {};
