#include "board.h"

#include "bytes.h"
#include "config.h"
#include "frame.h"
#include "hal.h"
#include "refusal.h"
#include "upload.h"
#include "windows.h"

/* Longest answer that is kept; HELLO's, which is longer, never is. */
enum { KEPT_BYTES = FL_ERROR_ANSWER_SIZE + FL_TEXT_BYTES };
_Static_assert(FL_STATUS_ANSWER_SIZE <= KEPT_BYTES, "STATUS is kept");

enum { LOGS = 4, LONGEST_NAME = 60, RECEIVE_BYTES = 64 };

/* Header of a HELLO answer, level set, tail, three texts with their lengths. */
enum {
    HELLO_BYTES = FL_HELLO_ANSWER_SIZE + 1 + FL_MAX_LEVELS + FL_HELLO_ANSWER_TAIL_SIZE
                  + 3 * (1 + LONGEST_NAME)
};
_Static_assert(HELLO_BYTES <= FL_MIN_MAX_PAYLOAD, "HELLO fits the smallest payload");

struct answer {
    bool used;
    uint16_t sequence;
    uint32_t crc; /* of the request */
    uint8_t type, flags;
    uint32_t length;
    uint8_t body[KEPT_BYTES];
};

static const struct fl_identity *board;
static struct fl_receiver receiver;
static struct fl_sender sender;
static uint8_t arrived[RECEIVE_BYTES]; /* taken off the line and not yet fed to the receiver */
static uint32_t arrived_count, arrived_next;
static struct fl_frame request;
static bool has_request;
static enum { NO_COMMIT, COMMITTING, COMMITTED } commit; /* of the request of `kept[newest]` */
static fl_refusal commit_refusal;
static struct answer kept[FL_ANSWER_CACHE];
static unsigned newest;
static struct {
    uint8_t level;
    struct fl_text text;
} logs[LOGS];
static unsigned first_log, log_count;
static uint32_t boot_id;
static bool has_boot_id, clock_runs;
static uint64_t boot_us, now_us; /* now_us counts from the boot */
static uint32_t payload;         /* longest body of the session */
static uint16_t unasked;         /* sequence number of the next frame that answers nothing */

/* ---- Booting ------------------------------------------------------------------------------- */

static bool is_name(const char *text)
{
    return strlen(text) <= LONGEST_NAME;
}

static bool fits(const struct fl_identity *identity)
{
    if (identity->level_count == 0 || identity->level_count > FL_MAX_LEVELS
        || identity->slots == 0)
        return false;
    for (unsigned i = 0; i < identity->level_count; i++) {
        unsigned level = identity->level_set[i];
        if (level > 0 && identity->slots % level != 0)
            return false;
        if (i > 0 && level <= identity->level_set[i - 1])
            return false;
    }
    bool aperture = (identity->features & FL_FEATURE_APERTURE) != 0;
    return identity->height > 0 && identity->width > 0 && identity->width <= FL_MAX_WIDTH
           && (uint32_t)identity->height * identity->width <= FL_MAX_PIXELS
           && (!aperture || (FL_APERTURE && identity->slots <= FL_MAX_SLOTS))
           && identity->bits >= 1 && identity->bits <= 16 && is_name(identity->name)
           && is_name(identity->firmware) && is_name(identity->serial);
}

/* All but the frame on its way out, and what came in behind a RESET. */
static void boot(void)
{
    memset(&receiver, 0, sizeof receiver);
    memset(kept, 0, sizeof kept);
    has_request = has_boot_id = clock_runs = false;
    commit = NO_COMMIT;
    newest = first_log = log_count = 0;
    payload = FL_DEFAULT_MAX_PAYLOAD < FL_MAX_PAYLOAD ? FL_DEFAULT_MAX_PAYLOAD : FL_MAX_PAYLOAD;
    unasked = 0;
    fl_uploads_start(board);
    fl_windows_start(board);
}

bool fl_start(const struct fl_identity *identity)
{
    if (!fits(identity))
        return false;
    board = identity;
    sender.length = sender.sent = 0;
    arrived_count = arrived_next = 0;
    boot();
    return true;
}

/* ---- Logs ---------------------------------------------------------------------------------- */

/* An empty line of the log to print to; the oldest gives way. */
static struct fl_text *add_log(unsigned level)
{
    if (log_count == LOGS) {
        first_log = (first_log + 1) % LOGS;
        log_count--;
    }
    unsigned at = (first_log + log_count++) % LOGS;
    logs[at].level = (uint8_t)level;
    logs[at].text.length = 0;
    return &logs[at].text;
}

static void send_log(void)
{
    const struct fl_text *text = &logs[first_log].text;
    fl_frame_begin(&sender, FL_MSG_LOG, 0, unasked++, FL_LOG_SIZE + text->length);
    fl_frame_add(&sender, &logs[first_log].level, FL_LOG_SIZE);
    fl_frame_add(&sender, text->bytes, text->length);
    fl_frame_end(&sender);
    first_log = (first_log + 1) % LOGS;
    log_count--;
}

/* ---- Answers ------------------------------------------------------------------------------- */

static void send_answer(unsigned type, unsigned flags, unsigned sequence, const uint8_t *body,
                        uint32_t length)
{
    fl_frame_begin(&sender, type, flags, sequence, length);
    fl_frame_add(&sender, body, length);
    fl_frame_end(&sender);
}

static void send_kept(const struct answer *answer)
{
    send_answer(answer->type, answer->flags, answer->sequence, answer->body, answer->length);
}

/* Finish an answer: its body, or the refusal in its place. */
static void finish(struct answer *answer, fl_refusal refusal)
{
    answer->flags = FL_FLAG_RESPONSE;
    if (refusal) {
        answer->flags |= FL_FLAG_ERROR;
        fl_put16(answer->body + FL_ERROR_ANSWER_CODE, refusal);
        memcpy(answer->body + FL_ERROR_ANSWER_SIZE, fl_refusal_text.bytes, fl_refusal_text.length);
        answer->length = FL_ERROR_ANSWER_SIZE + fl_refusal_text.length;
    }
    answer->used = true;
    send_kept(answer);
}

static fl_refusal version_mismatch(unsigned version)
{
    return fl_refuse(FL_ERR_VERSION_MISMATCH,
                     "this board speaks protocol version %, the host %: update the older",
                     FL_PROTOCOL_VERSION, version, 0);
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    size_t length = strlen(text);
    *at++ = (uint8_t)length;
    memcpy(at, text, length);
    return at + length;
}

static uint32_t put_identity(uint8_t *body)
{
    body[FL_HELLO_ANSWER_PROTOCOL] = FL_PROTOCOL_VERSION;
    fl_put32(body + FL_HELLO_ANSWER_BOOT_ID, boot_id);
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
    at[FL_HELLO_ANSWER_TAIL_MAX_IN_FLIGHT] = FL_MAX_IN_FLIGHT;
    at[FL_HELLO_ANSWER_TAIL_HELD_WINDOWS] = FL_HELD_WINDOWS;
    fl_put32(at + FL_HELLO_ANSWER_TAIL_MAX_OBJECT, fl_longest_upload());
    fl_put32(at + FL_HELLO_ANSWER_TAIL_FEATURES, board->features);
    fl_put_float(at + FL_HELLO_ANSWER_TAIL_SLOT_RATE_HZ, (float)board->slot_rate_hz);
    at = put_text(at + FL_HELLO_ANSWER_TAIL_SIZE, board->name);
    at = put_text(at, board->firmware);
    at = put_text(at, board->serial);
    return (uint32_t)(at - body);
}

/* Says hello, or why not. Its answer is not kept: another host may begin with the same number. */
static void hello(void)
{
    uint8_t body[HELLO_BYTES];
    const uint8_t *asked = request.body;
    uint32_t length = request.length;
    fl_refusal refusal = 0;
    uint32_t max_payload = 0;
    if (request.version != FL_PROTOCOL_VERSION)
        refusal = version_mismatch(request.version);
    else if (length > 0 && asked[FL_HELLO_REQUEST_PROTOCOL] != FL_PROTOCOL_VERSION)
        refusal = version_mismatch(asked[FL_HELLO_REQUEST_PROTOCOL]);
    else if (length < FL_HELLO_REQUEST_SIZE + 1
             || length != FL_HELLO_REQUEST_SIZE + 1u + asked[FL_HELLO_REQUEST_SIZE])
        refusal = fl_refuse(FL_ERR_BAD_BODY, "a HELLO of % bytes ends inside its text", length, 0,
                            0);
    else if ((max_payload = fl_get16(asked + FL_HELLO_REQUEST_MAX_PAYLOAD)) < FL_MIN_MAX_PAYLOAD)
        refusal = fl_refuse(FL_ERR_BAD_ARGUMENT, "a host takes bodies of % bytes or more, not %",
                            FL_MIN_MAX_PAYLOAD, max_payload, 0);
    if (refusal) {
        struct answer answer = {.type = request.type, .sequence = request.sequence};
        finish(&answer, refusal);
        return;
    }
    fl_windows_clear();
    log_count = 0;
    memset(kept, 0, sizeof kept);
    payload = fl_min(max_payload, FL_MAX_PAYLOAD);
    length = put_identity(body);
    send_answer(request.type, FL_FLAG_RESPONSE, request.sequence, body, length);
}

static uint32_t put_status(uint8_t *body)
{
    struct fl_windows_status status;
    const struct fl_map *map = fl_active_map();
    uint32_t upload_offset;
    fl_windows_status(&status);
    memset(body, 0, FL_STATUS_ANSWER_SIZE);
    fl_put32(body + FL_STATUS_ANSWER_BOOT_ID, boot_id);
    body[FL_STATUS_ANSWER_STATE] = (uint8_t)status.state;
    if (map)
        memcpy(body + FL_STATUS_ANSWER_MAP_HASH, map->hash, FL_HASH_BYTES);
    fl_put32(body + FL_STATUS_ANSWER_NEXT_WINDOW, status.next_window);
    fl_put32(body + FL_STATUS_ANSWER_OLDEST_WINDOW, status.oldest_window);
    fl_put32(body + FL_STATUS_ANSWER_CREDIT_LIMIT, status.credit_limit);
    fl_put64(body + FL_STATUS_ANSWER_UPTIME_US, now_us);
    fl_put32(body + FL_STATUS_ANSWER_GOOD_FRAMES, receiver.good);
    fl_put32(body + FL_STATUS_ANSWER_BAD_FRAMES, receiver.bad);
    body[FL_STATUS_ANSWER_UPLOAD_KIND] = (uint8_t)fl_upload_latest(&upload_offset);
    fl_put32(body + FL_STATUS_ANSWER_UPLOAD_OFFSET, upload_offset);
    fl_put32(body + FL_STATUS_ANSWER_SKIPPED, status.skipped);
    return FL_STATUS_ANSWER_SIZE;
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* Lengths of the bodies of requests. */
static const struct {
    uint8_t type, size;
    bool or_more;
} bodies[] = {
    {FL_MSG_STATUS, 0, false},
    {FL_MSG_UPLOAD_BEGIN, FL_UPLOAD_BEGIN_REQUEST_SIZE, false},
    {FL_MSG_UPLOAD_CHUNK, FL_UPLOAD_CHUNK_REQUEST_SIZE, true},
    {FL_MSG_UPLOAD_COMMIT, FL_UPLOAD_COMMIT_REQUEST_SIZE, false},
    {FL_MSG_ARM, 0, false},
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

static fl_refusal check_body(void)
{
    if (request.version != FL_PROTOCOL_VERSION)
        return version_mismatch(request.version);
    if (request.type == FL_MSG_CONFIGURE || request.type == FL_MSG_SCENE)
        return fl_refuse(FL_ERR_UNSUPPORTED, "this board is no emulator: it cannot do that", 0, 0,
                         0);
    for (unsigned i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (bodies[i].type != request.type)
            continue;
        if (request.length == bodies[i].size
            || (bodies[i].or_more && request.length > bodies[i].size))
            return 0;
        return fl_refuse(FL_ERR_BAD_BODY, "a request of type % has % bytes, not %", request.type,
                         bodies[i].size, request.length);
    }
    return fl_refuse(FL_ERR_UNKNOWN_TYPE, "this board knows no request of type %", request.type, 0,
                     0);
}

static fl_refusal even_light(unsigned kind, uint32_t *first)
{
    const uint8_t *body = request.body;
    uint32_t bits = 0;
    if (!(board->features & FL_FEATURE_CALIBRATION))
        return fl_refuse(FL_ERR_UNSUPPORTED, "this board captures the scene alone", 0, 0, 0);
    if (kind == FL_KIND_FLAT)
        bits = fl_get32(body + FL_CALIBRATION_CAPTURE_REQUEST_LIGHT);
    float light;
    memcpy(&light, &bits, sizeof light);
    if (!(light >= 0.0f && light <= 1.0f))
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "the light is from 0 to 1", 0, 0, 0);
    return fl_even_light(kind, body[FL_DARK_CAPTURE_REQUEST_LEVEL],
                         fl_get16(body + FL_DARK_CAPTURE_REQUEST_WINDOWS), light, now_us, first);
}
_Static_assert(FL_DARK_CAPTURE_REQUEST_LEVEL == FL_CALIBRATION_CAPTURE_REQUEST_LEVEL
                   && FL_DARK_CAPTURE_REQUEST_WINDOWS == FL_CALIBRATION_CAPTURE_REQUEST_WINDOWS,
               "both begin alike");

/* Carry out a request whose body has the right length, and write the answer's body. */
static fl_refusal carry_out(struct answer *answer)
{
    const uint8_t *body = request.body;
    uint32_t first;
    fl_refusal refusal = 0;
    switch (request.type) {
    case FL_MSG_STATUS:
        answer->length = put_status(answer->body);
        return 0;
    case FL_MSG_UPLOAD_BEGIN:
        return fl_upload_begin(body, payload, answer->body, &answer->length);
    case FL_MSG_UPLOAD_CHUNK:
        return fl_upload_chunk(body, request.length, answer->body, &answer->length);
    case FL_MSG_ARM:
        return fl_arm();
    case FL_MSG_STREAM_CREDIT:
        return fl_stream_credit(fl_get32(body + FL_STREAM_CREDIT_REQUEST_LIMIT));
    case FL_MSG_RESEND:
        return fl_resend(fl_get32(body + FL_RESEND_REQUEST_WINDOW),
                         fl_get32(body + FL_RESEND_REQUEST_OFFSET),
                         fl_get32(body + FL_RESEND_REQUEST_LENGTH));
    case FL_MSG_TIME_SYNC:
        fl_put64(answer->body + FL_TIME_SYNC_ANSWER_BOARD_US, now_us);
        answer->length = FL_TIME_SYNC_ANSWER_SIZE;
        return 0;
    case FL_MSG_CAPTURE:
        refusal = fl_capture(fl_get16(body + FL_CAPTURE_REQUEST_COUNT), now_us, &first);
        break;
    case FL_MSG_STREAM_START:
        refusal = fl_stream_start(fl_get32(body + FL_STREAM_START_REQUEST_CREDIT), now_us, &first);
        break;
    case FL_MSG_STREAM_STOP:
        first = fl_windows_stop();
        break;
    case FL_MSG_DARK_CAPTURE:
        refusal = even_light(FL_KIND_DARK, &first);
        break;
    case FL_MSG_CALIBRATION_CAPTURE:
        refusal = even_light(FL_KIND_FLAT, &first);
        break;
    default: /* RESET */
        return 0;
    }
    if (!refusal) {
        fl_put32(answer->body + FL_WINDOW_NUMBER_WINDOW, first);
        answer->length = FL_WINDOW_NUMBER_SIZE;
    }
    return refusal;
}

/* Answer the request that waits: as before, or by carrying it out. */
static void answer_request(void)
{
    has_request = false;
    if (!has_boot_id) {
        boot_id = fl_hal_boot_id();
        has_boot_id = true;
    }
    if (request.type == FL_MSG_HELLO) {
        hello();
        return;
    }
    for (unsigned i = 0; i < FL_ANSWER_CACHE; i++) {
        if (kept[i].used && kept[i].sequence == request.sequence && kept[i].crc == request.crc) {
            send_kept(&kept[i]);
            return;
        }
    }
    newest = (newest + 1) % FL_ANSWER_CACHE;
    struct answer *answer = &kept[newest];
    *answer = (struct answer){
        .sequence = request.sequence, .crc = request.crc, .type = request.type};
    fl_refusal refusal = check_body();
    if (!refusal && request.type == FL_MSG_UPLOAD_COMMIT) {
        fl_commit_begin(request.body);
        commit = COMMITTING;
        return;
    }
    if (!refusal)
        refusal = carry_out(answer);
    finish(answer, refusal);
    if (request.type == FL_MSG_RESET && !refusal)
        boot();
}

/* A little more of a commit. */
static void step_commit(void)
{
    struct answer *answer = &kept[newest];
    const struct fl_map *before = fl_active_map();
    if (!fl_commit_step(&commit_refusal, answer->body, &answer->length))
        return;
    commit = COMMITTED;
    const struct fl_map *map = fl_active_map();
    if (map != before) {
        struct fl_text *text = add_log(FL_LOG_INFO);
        fl_print(text, "ratio map ", 0, 0, 0);
        fl_print_hex(text, map->hash, FL_MAP_HASH_PREFIX_BYTES);
        fl_print(text, " is active", 0, 0, 0);
    }
}

/* ---- Polling ------------------------------------------------------------------------------- */

/* Take bytes until a request is whole. What is no request of a host is passed over. */
static bool receive(void)
{
    if (has_request)
        return false;
    if (arrived_next == arrived_count) {
        arrived_next = 0;
        arrived_count = (uint32_t)fl_hal_receive(arrived, sizeof arrived);
    }
    if (arrived_count == 0)
        return false;
    while (!has_request && arrived_next < arrived_count)
        has_request = fl_feed(&receiver, arrived[arrived_next++], &request)
                      && !(request.flags & FL_FLAG_RESPONSE);
    return true;
}

/* Put the next frame together; answers go ahead of all else. */
static bool fill_sender(void)
{
    if (commit == COMMITTED) {
        commit = NO_COMMIT;
        finish(&kept[newest], commit_refusal);
    } else if (commit == NO_COMMIT && has_request)
        answer_request();
    else if (log_count > 0)
        send_log();
    else if (fl_windows_send(&sender, unasked, payload))
        unasked++;
    else
        return false;
    return true;
}

static bool send(void)
{
    uint32_t left = sender.length - sender.sent;
    if (left == 0)
        return false;
    uint32_t taken = (uint32_t)fl_hal_send(sender.code + sender.sent, left);
    sender.sent += taken;
    return taken > 0;
}

bool fl_poll(void)
{
    uint64_t clock_us = fl_hal_now_us();
    if (!clock_runs) {
        boot_us = clock_us;
        clock_runs = true;
    }
    now_us = clock_us - boot_us;
    bool busy = receive(), failed = false;
    if (commit == COMMITTING) {
        step_commit();
        busy = true;
    }
    if (sender.sent == sender.length)
        busy |= fill_sender();
    busy |= send();
    busy |= fl_windows_step(now_us, &failed);
    if (failed)
        fl_print(add_log(FL_LOG_ERROR), "stopped: the sensor failed", 0, 0, 0);
    return busy;
}
