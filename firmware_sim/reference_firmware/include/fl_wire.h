/* Constants of the wire protocol (docs/wire-protocol.md).
 * Written by scripts/wire_header.py from firmware_sim/wire: change them there. */
#ifndef FL_WIRE_H
#define FL_WIRE_H

#define FL_PROTOCOL_VERSION 1u
#define FL_DEFAULT_MAX_PAYLOAD 1024u
#define FL_MIN_MAX_PAYLOAD 256u
#define FL_FRAME_OVERHEAD 11u
#define FL_FLAG_RESPONSE 1u
#define FL_FLAG_ERROR 2u
#define FL_MAX_IN_FLIGHT 8u
#define FL_ANSWER_CACHE 16u
#define FL_BITMAP_CHUNKS 32u
#define FL_HASH_BYTES 32u
#define FL_MAP_HASH_PREFIX_BYTES 8u

#define FL_MSG_HELLO 1u
#define FL_MSG_STATUS 2u
#define FL_MSG_LOG 3u
#define FL_MSG_CONFIGURE 8u
#define FL_MSG_UPLOAD_BEGIN 16u
#define FL_MSG_UPLOAD_CHUNK 17u
#define FL_MSG_UPLOAD_COMMIT 18u
#define FL_MSG_ARM 24u
#define FL_MSG_CAPTURE 32u
#define FL_MSG_STREAM_START 33u
#define FL_MSG_STREAM_CREDIT 34u
#define FL_MSG_STREAM_STOP 35u
#define FL_MSG_READOUT 36u
#define FL_MSG_WINDOW 37u
#define FL_MSG_RESEND 38u
#define FL_MSG_DARK_CAPTURE 48u
#define FL_MSG_CALIBRATION_CAPTURE 49u
#define FL_MSG_TIME_SYNC 56u
#define FL_MSG_RESET 57u
#define FL_MSG_SCENE 58u
#define FL_MSG_SCENE_DATA 59u

#define FL_ERR_VERSION_MISMATCH 1u
#define FL_ERR_UNKNOWN_TYPE 2u
#define FL_ERR_BAD_BODY 3u
#define FL_ERR_UNSUPPORTED 4u
#define FL_ERR_BUSY 5u
#define FL_ERR_NO_MAP 6u
#define FL_ERR_UPLOAD_NOT_BEGUN 7u
#define FL_ERR_TOO_LARGE 8u
#define FL_ERR_HASH_MISMATCH 9u
#define FL_ERR_BAD_MAP 10u
#define FL_ERR_WINDOW_GONE 11u
#define FL_ERR_BAD_ARGUMENT 12u
#define FL_ERR_INTERNAL 13u
#define FL_ERR_UPLOAD_INCOMPLETE 14u

#define FL_FEATURE_EMULATOR 1u
#define FL_FEATURE_SCENE 2u
#define FL_FEATURE_APERTURE 4u
#define FL_FEATURE_CALIBRATION 8u

#define FL_STATE_IDLE 0u
#define FL_STATE_ARMED 1u
#define FL_STATE_CAPTURING 2u
#define FL_STATE_STREAMING 3u

#define FL_KIND_SCENE 0u
#define FL_KIND_DARK 1u
#define FL_KIND_FLAT 2u

#define FL_UPLOAD_MAP 1u
#define FL_UPLOAD_MASK 2u

#define FL_LOG_DEBUG 0u
#define FL_LOG_INFO 1u
#define FL_LOG_WARNING 2u
#define FL_LOG_ERROR 3u

#define FL_STATUS_ANSWER_BOOT_ID 0u
#define FL_STATUS_ANSWER_STATE 4u
#define FL_STATUS_ANSWER_MAP_HASH 5u
#define FL_STATUS_ANSWER_NEXT_WINDOW 37u
#define FL_STATUS_ANSWER_OLDEST_WINDOW 41u
#define FL_STATUS_ANSWER_CREDIT_LIMIT 45u
#define FL_STATUS_ANSWER_UPTIME_US 49u
#define FL_STATUS_ANSWER_GOOD_FRAMES 57u
#define FL_STATUS_ANSWER_BAD_FRAMES 61u
#define FL_STATUS_ANSWER_UPLOAD_KIND 65u
#define FL_STATUS_ANSWER_UPLOAD_OFFSET 66u
#define FL_STATUS_ANSWER_SKIPPED 70u
#define FL_STATUS_ANSWER_SIZE 74u

#define FL_TIME_SYNC_ANSWER_BOARD_US 0u
#define FL_TIME_SYNC_ANSWER_SIZE 8u

#define FL_TIME_SYNC_REQUEST_HOST_US 0u
#define FL_TIME_SYNC_REQUEST_SIZE 8u

#define FL_UPLOAD_BEGIN_ANSWER_NEXT_OFFSET 0u
#define FL_UPLOAD_BEGIN_ANSWER_BITMAP 4u
#define FL_UPLOAD_BEGIN_ANSWER_CHUNK_SIZE 8u
#define FL_UPLOAD_BEGIN_ANSWER_SIZE 10u

#define FL_UPLOAD_BEGIN_REQUEST_KIND 0u
#define FL_UPLOAD_BEGIN_REQUEST_TOTAL 1u
#define FL_UPLOAD_BEGIN_REQUEST_SHA256 5u
#define FL_UPLOAD_BEGIN_REQUEST_SIZE 37u

#define FL_UPLOAD_CHUNK_ANSWER_NEXT_OFFSET 0u
#define FL_UPLOAD_CHUNK_ANSWER_BITMAP 4u
#define FL_UPLOAD_CHUNK_ANSWER_SIZE 8u

#define FL_UPLOAD_COMMIT_ANSWER_MAP_HASH 0u
#define FL_UPLOAD_COMMIT_ANSWER_SIZE 32u

#define FL_UPLOAD_COMMIT_REQUEST_KINDS 0u
#define FL_UPLOAD_COMMIT_REQUEST_MAP_HASH 1u
#define FL_UPLOAD_COMMIT_REQUEST_SIZE 33u

#define FL_CALIBRATION_CAPTURE_REQUEST_LEVEL 0u
#define FL_CALIBRATION_CAPTURE_REQUEST_WINDOWS 1u
#define FL_CALIBRATION_CAPTURE_REQUEST_LIGHT 3u
#define FL_CALIBRATION_CAPTURE_REQUEST_SIZE 7u

#define FL_CAPTURE_REQUEST_COUNT 0u
#define FL_CAPTURE_REQUEST_SIZE 2u

#define FL_DARK_CAPTURE_REQUEST_LEVEL 0u
#define FL_DARK_CAPTURE_REQUEST_WINDOWS 1u
#define FL_DARK_CAPTURE_REQUEST_SIZE 3u

#define FL_RESEND_REQUEST_WINDOW 0u
#define FL_RESEND_REQUEST_OFFSET 4u
#define FL_RESEND_REQUEST_LENGTH 8u
#define FL_RESEND_REQUEST_SIZE 12u

#define FL_SCENE_ANSWER_TOTAL 0u
#define FL_SCENE_ANSWER_SIZE 4u

#define FL_SCENE_REQUEST_WINDOW 0u
#define FL_SCENE_REQUEST_FIRST_SLOT 4u
#define FL_SCENE_REQUEST_STEP 5u
#define FL_SCENE_REQUEST_SIZE 6u

#define FL_STREAM_CREDIT_REQUEST_LIMIT 0u
#define FL_STREAM_CREDIT_REQUEST_SIZE 4u

#define FL_STREAM_START_REQUEST_CREDIT 0u
#define FL_STREAM_START_REQUEST_SIZE 4u

#define FL_WINDOW_DESCRIPTOR_WINDOW 0u
#define FL_WINDOW_DESCRIPTOR_TOTAL 4u
#define FL_WINDOW_DESCRIPTOR_TIME_US 8u
#define FL_WINDOW_DESCRIPTOR_KIND 16u
#define FL_WINDOW_DESCRIPTOR_LEVEL 17u
#define FL_WINDOW_DESCRIPTOR_MAP_HASH 18u
#define FL_WINDOW_DESCRIPTOR_SKIPPED 26u
#define FL_WINDOW_DESCRIPTOR_SIZE 30u

#define FL_WINDOW_NUMBER_WINDOW 0u
#define FL_WINDOW_NUMBER_SIZE 4u

#define FL_HELLO_REQUEST_PROTOCOL 0u
#define FL_HELLO_REQUEST_MAX_PAYLOAD 1u
#define FL_HELLO_REQUEST_SIZE 3u

#define FL_HELLO_ANSWER_PROTOCOL 0u
#define FL_HELLO_ANSWER_BOOT_ID 1u
#define FL_HELLO_ANSWER_MAX_PAYLOAD 5u
#define FL_HELLO_ANSWER_HEIGHT 7u
#define FL_HELLO_ANSWER_WIDTH 9u
#define FL_HELLO_ANSWER_SLOTS 11u
#define FL_HELLO_ANSWER_BITS 12u
#define FL_HELLO_ANSWER_BLACK_LEVEL_DN 13u
#define FL_HELLO_ANSWER_FULL_SCALE_DN 17u
#define FL_HELLO_ANSWER_SIZE 21u

#define FL_HELLO_ANSWER_TAIL_MAX_IN_FLIGHT 0u
#define FL_HELLO_ANSWER_TAIL_HELD_WINDOWS 1u
#define FL_HELLO_ANSWER_TAIL_MAX_OBJECT 2u
#define FL_HELLO_ANSWER_TAIL_FEATURES 6u
#define FL_HELLO_ANSWER_TAIL_SLOT_RATE_HZ 10u
#define FL_HELLO_ANSWER_TAIL_SIZE 14u

#define FL_UPLOAD_CHUNK_REQUEST_KIND 0u
#define FL_UPLOAD_CHUNK_REQUEST_OFFSET 1u
#define FL_UPLOAD_CHUNK_REQUEST_SIZE 5u

#define FL_FRAGMENT_WINDOW 0u
#define FL_FRAGMENT_OFFSET 4u
#define FL_FRAGMENT_SIZE 8u

#define FL_ERROR_ANSWER_CODE 0u
#define FL_ERROR_ANSWER_SIZE 2u

#define FL_LOG_LEVEL 0u
#define FL_LOG_SIZE 1u

/* Every field above: X(message, field, offset, bytes). */
#define FL_WIRE_FIELDS(X) \
    X("StatusAnswer", "boot_id", 0, 4) \
    X("StatusAnswer", "state", 4, 1) \
    X("StatusAnswer", "map_hash", 5, 32) \
    X("StatusAnswer", "next_window", 37, 4) \
    X("StatusAnswer", "oldest_window", 41, 4) \
    X("StatusAnswer", "credit_limit", 45, 4) \
    X("StatusAnswer", "uptime_us", 49, 8) \
    X("StatusAnswer", "good_frames", 57, 4) \
    X("StatusAnswer", "bad_frames", 61, 4) \
    X("StatusAnswer", "upload_kind", 65, 1) \
    X("StatusAnswer", "upload_offset", 66, 4) \
    X("StatusAnswer", "skipped", 70, 4) \
    X("TimeSyncAnswer", "board_us", 0, 8) \
    X("TimeSyncRequest", "host_us", 0, 8) \
    X("UploadBeginAnswer", "next_offset", 0, 4) \
    X("UploadBeginAnswer", "bitmap", 4, 4) \
    X("UploadBeginAnswer", "chunk_size", 8, 2) \
    X("UploadBeginRequest", "kind", 0, 1) \
    X("UploadBeginRequest", "total", 1, 4) \
    X("UploadBeginRequest", "sha256", 5, 32) \
    X("UploadChunkAnswer", "next_offset", 0, 4) \
    X("UploadChunkAnswer", "bitmap", 4, 4) \
    X("UploadCommitAnswer", "map_hash", 0, 32) \
    X("UploadCommitRequest", "kinds", 0, 1) \
    X("UploadCommitRequest", "map_hash", 1, 32) \
    X("CalibrationCaptureRequest", "level", 0, 1) \
    X("CalibrationCaptureRequest", "windows", 1, 2) \
    X("CalibrationCaptureRequest", "light", 3, 4) \
    X("CaptureRequest", "count", 0, 2) \
    X("DarkCaptureRequest", "level", 0, 1) \
    X("DarkCaptureRequest", "windows", 1, 2) \
    X("ResendRequest", "window", 0, 4) \
    X("ResendRequest", "offset", 4, 4) \
    X("ResendRequest", "length", 8, 4) \
    X("SceneAnswer", "total", 0, 4) \
    X("SceneRequest", "window", 0, 4) \
    X("SceneRequest", "first_slot", 4, 1) \
    X("SceneRequest", "step", 5, 1) \
    X("StreamCreditRequest", "limit", 0, 4) \
    X("StreamStartRequest", "credit", 0, 4) \
    X("WindowDescriptor", "window", 0, 4) \
    X("WindowDescriptor", "total", 4, 4) \
    X("WindowDescriptor", "time_us", 8, 8) \
    X("WindowDescriptor", "kind", 16, 1) \
    X("WindowDescriptor", "level", 17, 1) \
    X("WindowDescriptor", "map_hash", 18, 8) \
    X("WindowDescriptor", "skipped", 26, 4) \
    X("WindowNumber", "window", 0, 4) \
    X("HelloRequest", "protocol", 0, 1) \
    X("HelloRequest", "max_payload", 1, 2) \
    X("HelloAnswer", "protocol", 0, 1) \
    X("HelloAnswer", "boot_id", 1, 4) \
    X("HelloAnswer", "max_payload", 5, 2) \
    X("HelloAnswer", "height", 7, 2) \
    X("HelloAnswer", "width", 9, 2) \
    X("HelloAnswer", "slots", 11, 1) \
    X("HelloAnswer", "bits", 12, 1) \
    X("HelloAnswer", "black_level_dn", 13, 4) \
    X("HelloAnswer", "full_scale_dn", 17, 4) \
    X("HelloAnswerTail", "max_in_flight", 0, 1) \
    X("HelloAnswerTail", "held_windows", 1, 1) \
    X("HelloAnswerTail", "max_object", 2, 4) \
    X("HelloAnswerTail", "features", 6, 4) \
    X("HelloAnswerTail", "slot_rate_hz", 10, 4) \
    X("UploadChunkRequest", "kind", 0, 1) \
    X("UploadChunkRequest", "offset", 1, 4) \
    X("Fragment", "window", 0, 4) \
    X("Fragment", "offset", 4, 4) \
    X("ErrorAnswer", "code", 0, 2) \
    X("Log", "level", 0, 1)

#endif
