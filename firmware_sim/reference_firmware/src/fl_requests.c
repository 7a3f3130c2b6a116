#include "fl_requests.h"

#include "fl_bytes.h"
#include "fl_hal.h"
#include "fl_maps.h"
#include "fl_readouts.h"
#include "fl_upload.h"
#include "fl_windows.h"

_Static_assert(FL_HELLO_BYTES <= FL_MIN_MAX_PAYLOAD, "HELLO fits the smallest payload");

static const struct fl_identity *board;
static uint32_t drawn_boot_id;
static bool has_boot_id;
static uint32_t payload;

void fl_requests_start(const struct fl_identity *identity)
{
    board = identity;
    has_boot_id = false;
    payload = fl_min(FL_DEFAULT_MAX_PAYLOAD, FL_MAX_PAYLOAD);
}

uint32_t fl_payload(void)
{
    return payload;
}

static uint32_t boot_id(void)
{
    if (!has_boot_id)
        drawn_boot_id = fl_hal_boot_id();
    has_boot_id = true;
    return drawn_boot_id;
}

/* ---- About the board ----------------------------------------------------------------------- */

static fl_refusal version_mismatch(unsigned version)
{
    return fl_refuse(FL_ERR_VERSION_MISMATCH,
                     "this board speaks protocol version %, the host %: update the older one",
                     FL_PROTOCOL_VERSION, version, 0);
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    size_t length = fl_length(text);
    *at++ = (uint8_t)length;
    memcpy(at, text, length);
    return at + length;
}

static uint32_t put_identity(uint8_t *body)
{
    body[FL_HELLO_ANSWER_PROTOCOL] = FL_PROTOCOL_VERSION;
    fl_put32(body + FL_HELLO_ANSWER_BOOT_ID, boot_id());
    fl_put16(body + FL_HELLO_ANSWER_MAX_PAYLOAD, FL_MAX_PAYLOAD);
    fl_put16(body + FL_HELLO_ANSWER_HEIGHT, board->height);
    fl_put16(body + FL_HELLO_ANSWER_WIDTH, board->width);
    body[FL_HELLO_ANSWER_SLOTS] = board->slots;
    body[FL_HELLO_ANSWER_BITS] = board->bits;
    fl_put_float(body + FL_HELLO_ANSWER_BLACK_LEVEL_DN, board->black_level_dn);
    fl_put_float(body + FL_HELLO_ANSWER_FULL_SCALE_DN, board->full_scale_dn);
    uint8_t *at = body + FL_HELLO_ANSWER_SIZE;
    *at++ = board->level_count;
    memcpy(at, board->level_set, board->level_count);
    at += board->level_count;
    at[FL_HELLO_ANSWER_TAIL_MAX_IN_FLIGHT] = FL_IN_FLIGHT;
    at[FL_HELLO_ANSWER_TAIL_HELD_WINDOWS] = FL_HELD_WINDOWS;
    fl_put32(at + FL_HELLO_ANSWER_TAIL_MAX_OBJECT, fl_max_upload_bytes());
    fl_put32(at + FL_HELLO_ANSWER_TAIL_FEATURES, board->features);
    fl_put_float(at + FL_HELLO_ANSWER_TAIL_SLOT_RATE_HZ, (float)board->slot_rate_hz);
    at = put_text(at + FL_HELLO_ANSWER_TAIL_SIZE, board->name);
    at = put_text(at, board->firmware);
    at = put_text(at, board->serial);
    return (uint32_t)(at - body);
}

fl_refusal fl_hello(const struct fl_frame *request, uint8_t *body, uint32_t *length)
{
    const uint8_t *asked = request->body;
    if (request->version != FL_PROTOCOL_VERSION)
        return version_mismatch(request->version);
    if (request->length > 0 && asked[FL_HELLO_REQUEST_PROTOCOL] != FL_PROTOCOL_VERSION)
        return version_mismatch(asked[FL_HELLO_REQUEST_PROTOCOL]);
    if (request->length < FL_HELLO_REQUEST_SIZE + 1u
        || request->length != FL_HELLO_REQUEST_SIZE + 1u + asked[FL_HELLO_REQUEST_SIZE])
        return fl_refuse(FL_ERR_BAD_BODY, "a HELLO of % bytes ends inside its text",
                         request->length, 0, 0);
    uint32_t max_payload = fl_get16(asked + FL_HELLO_REQUEST_MAX_PAYLOAD);
    if (max_payload < FL_MIN_MAX_PAYLOAD)
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "a host must accept bodies of % bytes, not %",
                         FL_MIN_MAX_PAYLOAD, max_payload, 0);
    fl_windows_stop();
    fl_readouts_clear();
    fl_drop_grids();
    payload = fl_min(max_payload, FL_MAX_PAYLOAD);
    *length = put_identity(body);
    return 0;
}

static uint32_t put_status(uint8_t *body, uint64_t now_us, const struct fl_receiver *receiver)
{
    uint32_t upload_offset;
    memset(body, 0, FL_STATUS_ANSWER_SIZE);
    fl_put32(body + FL_STATUS_ANSWER_BOOT_ID, boot_id());
    body[FL_STATUS_ANSWER_STATE] = (uint8_t)fl_windows_state();
    if (fl_active_map())
        memcpy(body + FL_STATUS_ANSWER_MAP_HASH, fl_active_hash(), FL_HASH_BYTES);
    fl_put32(body + FL_STATUS_ANSWER_NEXT_WINDOW, fl_next_window());
    fl_put32(body + FL_STATUS_ANSWER_OLDEST_WINDOW, fl_oldest_window());
    fl_put32(body + FL_STATUS_ANSWER_CREDIT_LIMIT, fl_credit_limit());
    fl_put64(body + FL_STATUS_ANSWER_UPTIME_US, now_us);
    fl_put32(body + FL_STATUS_ANSWER_GOOD_FRAMES, receiver->good);
    fl_put32(body + FL_STATUS_ANSWER_BAD_FRAMES, receiver->bad);
    body[FL_STATUS_ANSWER_UPLOAD_KIND] = (uint8_t)fl_upload_latest(&upload_offset);
    fl_put32(body + FL_STATUS_ANSWER_UPLOAD_OFFSET, upload_offset);
    fl_put32(body + FL_STATUS_ANSWER_SKIPPED, fl_windows_skipped());
    return FL_STATUS_ANSWER_SIZE;
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* Body length of each request. */
static const struct {
    uint8_t type, size;
    bool or_more;
} bodies[] = {
    {FL_MSG_STATUS, 0, false},
    {FL_MSG_UPLOAD_BEGIN, FL_UPLOAD_BEGIN_REQUEST_SIZE, false},
    {FL_MSG_UPLOAD_CHUNK, FL_UPLOAD_CHUNK_REQUEST_SIZE, true},
    {FL_MSG_UPLOAD_COMMIT, FL_UPLOAD_COMMIT_REQUEST_SIZE, false},
    {FL_MSG_ARM, 0, false},
    {FL_MSG_GRID, FL_GRID_REQUEST_SIZE, true},
    {FL_MSG_CAPTURE, FL_CAPTURE_REQUEST_SIZE, false},
    {FL_MSG_STREAM_START, FL_STREAM_START_REQUEST_SIZE, false},
    {FL_MSG_STREAM_CREDIT, FL_STREAM_CREDIT_REQUEST_SIZE, false},
    {FL_MSG_STREAM_STOP, 0, false},
    {FL_MSG_RESEND, FL_RESEND_REQUEST_SIZE, false},
    {FL_MSG_DARK_CAPTURE, FL_DARK_CAPTURE_REQUEST_SIZE, false},
    {FL_MSG_CALIBRATION_CAPTURE, FL_CALIBRATION_CAPTURE_REQUEST_SIZE, false},
    {FL_MSG_TIME_SYNC, FL_TIME_SYNC_REQUEST_SIZE, false},
    {FL_MSG_RESET, 0, false},
};

fl_refusal fl_check_request(const struct fl_frame *request)
{
    if (request->version != FL_PROTOCOL_VERSION)
        return version_mismatch(request->version);
    if (request->type == FL_MSG_CONFIGURE || request->type == FL_MSG_SCENE)
        return fl_refuse(FL_ERR_UNSUPPORTED, "only an emulator can do that", 0, 0, 0);
    for (unsigned i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (bodies[i].type != request->type)
            continue;
        if (request->length == bodies[i].size
            || (bodies[i].or_more && request->length > bodies[i].size))
            return 0;
        return fl_refuse(FL_ERR_BAD_BODY, "a request of type % has % bytes, not %", request->type,
                         bodies[i].size, request->length);
    }
    return fl_refuse(FL_ERR_UNKNOWN_TYPE, "this board has no request of type %", request->type, 0,
                     0);
}

static fl_refusal set_grid(const struct fl_frame *request, uint32_t next_begun)
{
    if (!FL_ADAPTIVE || !(board->features & FL_FEATURE_ADAPTIVE))
        return fl_refuse(FL_ERR_UNSUPPORTED, "this board has no adaptive maps", 0, 0, 0);
    return fl_set_grid(fl_get32(request->body + FL_GRID_REQUEST_WINDOW),
                       request->body + FL_GRID_REQUEST_SIZE, request->length - FL_GRID_REQUEST_SIZE,
                       next_begun);
}

static fl_refusal even_light(unsigned kind, const uint8_t *body, uint64_t now_us, uint32_t *first)
{
    uint32_t bits = 0;
    if (!(board->features & FL_FEATURE_CALIBRATION))
        return fl_refuse(FL_ERR_UNSUPPORTED, "this board can capture only the scene", 0, 0, 0);
    if (kind == FL_KIND_FLAT)
        bits = fl_get32(body + FL_CALIBRATION_CAPTURE_REQUEST_LIGHT);
    float light;
    memcpy(&light, &bits, sizeof light);
    if (!(light >= 0.0f && light <= 1.0f))
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "the light must be 0 to 1", 0, 0, 0);
    return fl_even_light(kind, body[FL_DARK_CAPTURE_REQUEST_LEVEL],
                         fl_get16(body + FL_DARK_CAPTURE_REQUEST_WINDOWS), light, now_us, first);
}
_Static_assert(FL_DARK_CAPTURE_REQUEST_LEVEL == FL_CALIBRATION_CAPTURE_REQUEST_LEVEL
                   && FL_DARK_CAPTURE_REQUEST_WINDOWS == FL_CALIBRATION_CAPTURE_REQUEST_WINDOWS,
               "both requests begin with the same fields");

fl_refusal fl_execute_request(const struct fl_frame *request, uint64_t now_us,
                        const struct fl_receiver *receiver, uint8_t *body, uint32_t *length)
{
    const uint8_t *asked = request->body;
    uint32_t first = 0;
    fl_refusal refusal = 0;
    switch (request->type) {
    case FL_MSG_STATUS:
        *length = put_status(body, now_us, receiver);
        return 0;
    case FL_MSG_UPLOAD_BEGIN:
        return fl_upload_begin(asked, payload, body, length);
    case FL_MSG_UPLOAD_CHUNK:
        return fl_upload_chunk(asked, request->length, body, length);
    case FL_MSG_ARM:
        return fl_arm();
    case FL_MSG_STREAM_CREDIT:
        return fl_stream_credit(fl_get32(asked + FL_STREAM_CREDIT_REQUEST_LIMIT));
    case FL_MSG_RESEND:
        return fl_resend(fl_get32(asked + FL_RESEND_REQUEST_WINDOW),
                         fl_get32(asked + FL_RESEND_REQUEST_OFFSET),
                         fl_get32(asked + FL_RESEND_REQUEST_LENGTH));
    case FL_MSG_TIME_SYNC:
        fl_put64(body + FL_TIME_SYNC_ANSWER_BOARD_US, now_us);
        *length = FL_TIME_SYNC_ANSWER_SIZE;
        return 0;
    case FL_MSG_GRID:
        first = fl_next_begun();
        refusal = set_grid(request, first);
        break;
    case FL_MSG_CAPTURE:
        refusal = fl_capture(fl_get16(asked + FL_CAPTURE_REQUEST_COUNT), now_us, &first);
        break;
    case FL_MSG_STREAM_START:
        refusal = fl_stream_start(fl_get32(asked + FL_STREAM_START_REQUEST_CREDIT), now_us, &first);
        break;
    case FL_MSG_STREAM_STOP:
        fl_windows_stop();
        first = fl_next_window();
        break;
    case FL_MSG_DARK_CAPTURE:
        refusal = even_light(FL_KIND_DARK, asked, now_us, &first);
        break;
    case FL_MSG_CALIBRATION_CAPTURE:
        refusal = even_light(FL_KIND_FLAT, asked, now_us, &first);
        break;
    }
    fl_put32(body + FL_WINDOW_NUMBER_WINDOW, first);
    *length = FL_WINDOW_NUMBER_SIZE;
    return refusal;
}
