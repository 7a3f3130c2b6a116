/**
 * What the service answers of recordings; see `types.js`.
 *
 * @typedef {object} Recordings `GET api/recordings`.
 * @property {RecordingEntry[]} recordings The newest first, deleted ones too.
 * @property {RecorderState|null} recording
 * @property {number} free_bytes Of the disk.
 * @property {number} floor_bytes Free disk at which a recording ends by itself.
 * @property {number|null} quota_bytes What all of them may take; null if any.
 * @property {number} grace_s How long a deleted recording can be brought back.
 *
 * @typedef {object} RecorderState
 * @property {string} name Its id.
 * @property {boolean} recording Whether it goes on.
 * @property {number} windows
 * @property {number} gaps Windows that are missing between them.
 * @property {number} bytes On the disk.
 * @property {number} seconds
 * @property {number} queued_bytes
 * @property {string} problem Why it ended by itself; empty if it did not.
 *
 * @typedef {object} DiskState The disk on which recordings are kept.
 * @property {number} free_bytes
 * @property {number} floor_bytes Free disk at which a recording ends by itself.
 *
 * @typedef {object} RecordingEntry
 * @property {string} id
 * @property {string} started ISO 8601, UTC; empty if it cannot be read.
 * @property {number} seconds
 * @property {number} bytes
 * @property {number} windows
 * @property {number} gaps Windows that are missing between them.
 * @property {number} events
 * @property {string[]} notes Noted while it was recorded.
 * @property {string} note Noted of it as a whole afterwards; until then the first of `notes`.
 * @property {boolean} finished Whether nothing was cut off.
 * @property {boolean} recovered Whether it was cut off and finished later.
 * @property {string} board Its name.
 * @property {boolean} simulated
 * @property {number} window_s How long a window takes on the board; 0 if it is not paced.
 * @property {string} problem Why it cannot be read; empty if it can.
 * @property {number|null} deleted_unix_s When it was deleted.
 * @property {boolean} pinned Whether it is kept whatever the quota.
 *
 * @typedef {object} Timeline
 * @property {number} start_unix_s
 * @property {number} seconds
 * @property {number[]} windows Recorded in each second.
 * @property {number[]} events Events, notes and gaps in each second.
 * @property {Mark[]} marks The first of them.
 *
 * @typedef {object} Mark
 * @property {number} at_s From the start of the recording.
 * @property {string} kind "event", "note", "gap" or "map".
 * @property {string} level "debug", "info", "warning" or "error".
 * @property {string} text
 *
 * @typedef {object} RecordedWindowDocument
 * @property {number} index Its place in the recording.
 * @property {number} number The board's.
 * @property {number} at_s
 * @property {string} kind
 * @property {number} bits
 * @property {number} reads
 * @property {string} map_hash
 * @property {number} skipped
 * @property {string[]} bundles Those whose network suits its map, those made for it first.
 */

export {};
