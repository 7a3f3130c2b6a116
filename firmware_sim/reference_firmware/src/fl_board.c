#include "fl_board.h"

#include "fl_bytes.h"
#include "fl_config.h"
#include "fl_frame.h"
#include "fl_hal.h"
#include "fl_maps.h"
#include "fl_readouts.h"
#include "fl_refusal.h"
#include "fl_requests.h"
#include "fl_upload.h"
#include "fl_windows.h"

/* Longest answer that is kept; the longer answer to HELLO never is. */
enum { KEPT_BYTES = FL_ERROR_ANSWER_SIZE + FL_TEXT_BYTES };
_Static_assert(FL_STATUS_ANSWER_SIZE <= KEPT_BYTES, "STATUS is kept");

enum { LOGS = 4, ARRIVED_BYTES = 64 };

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
static uint8_t arrived[ARRIVED_BYTES]; /* taken off the line, not yet fed to the receiver */
static uint32_t arrived_count, arrived_next;
static struct fl_frame request;
static bool has_request;
static struct answer kept[FL_ANSWER_CACHE];
static unsigned newest;
static enum { NO_COMMIT, COMMITTING, COMMITTED } commit; /* of the request of kept[newest] */
static fl_refusal commit_refusal;
static struct {
    uint8_t level;
    struct fl_text text;
} logs[LOGS];
static unsigned first_log, log_count;
static bool clock_runs;
static uint64_t boot_us, now_us; /* now_us counts from the boot */
static uint16_t unrequested;     /* sequence number of the next frame that is not an answer */

/* ---- Booting ------------------------------------------------------------------------------- */

static bool is_name(const char *text)
{
    return fl_length(text) <= FL_MAX_NAME_BYTES;
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
    bool adaptive = (identity->features & FL_FEATURE_ADAPTIVE) != 0;
    return identity->height > 0 && identity->width > 0 && identity->width <= FL_MAX_WIDTH
           && (uint32_t)identity->height * identity->width <= FL_MAX_PIXELS
           && (!aperture || (FL_APERTURE && identity->slots <= FL_MAX_SLOTS))
           && (!adaptive || FL_ADAPTIVE)
           && identity->bits >= 1 && identity->bits <= 16 && is_name(identity->name)
           && is_name(identity->firmware) && is_name(identity->serial);
}

/* Reset everything but the outgoing frame and the bytes that arrived after a RESET. */
static void boot(void)
{
    memset(&receiver, 0, sizeof receiver);
    memset(kept, 0, sizeof kept);
    has_request = clock_runs = false;
    commit = NO_COMMIT;
    newest = first_log = log_count = 0;
    unrequested = 0;
    fl_readouts_start();
    fl_maps_start(board);
    fl_uploads_start(board);
    fl_windows_start(board);
    fl_requests_start(board);
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

/* Return an empty log line to print to; if all are in use, the oldest is dropped. */
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
    fl_frame_begin(&sender, FL_MSG_LOG, 0, unrequested++, FL_LOG_SIZE + text->length);
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

/* Complete an answer with its body or its refusal, and send it. */
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

/* HELLO is never answered from the kept answers: another host may use the same number. */
static void answer_hello(void)
{
    uint8_t body[FL_HELLO_BYTES];
    uint32_t length;
    fl_refusal refusal = fl_hello(&request, body, &length);
    if (refusal) {
        struct answer answer = {.type = request.type, .sequence = request.sequence};
        finish(&answer, refusal);
        return;
    }
    log_count = 0;
    memset(kept, 0, sizeof kept);
    send_answer(request.type, FL_FLAG_RESPONSE, request.sequence, body, length);
}

static struct answer *find_kept(void)
{
    for (unsigned i = 0; i < FL_ANSWER_CACHE; i++)
        if (kept[i].used && kept[i].sequence == request.sequence && kept[i].crc == request.crc)
            return &kept[i];
    return NULL;
}

/* Answer the pending request, with its kept answer if it is a repetition. */
static void answer_request(void)
{
    has_request = false;
    if (request.type == FL_MSG_HELLO) {
        answer_hello();
        return;
    }
    struct answer *answer = find_kept();
    if (answer) {
        send_kept(answer);
        return;
    }
    newest = (newest + 1) % FL_ANSWER_CACHE;
    answer = &kept[newest];
    *answer = (struct answer){
        .sequence = request.sequence, .crc = request.crc, .type = request.type};
    fl_refusal refusal = fl_check_request(&request);
    if (!refusal && request.type == FL_MSG_UPLOAD_COMMIT) {
        fl_commit_begin(request.body);
        commit = COMMITTING;
        return;
    }
    bool reset = !refusal && request.type == FL_MSG_RESET;
    if (!refusal && !reset)
        refusal = fl_execute_request(&request, now_us, &receiver, answer->body, &answer->length);
    finish(answer, refusal);
    if (reset)
        boot();
}

/* Do one step of a commit. */
static void step_commit(void)
{
    struct answer *answer = &kept[newest];
    const struct fl_map *before = fl_active_map();
    if (!fl_commit_step(&commit_refusal, answer->body, &answer->length))
        return;
    commit = COMMITTED;
    if (fl_active_map() != before) {
        fl_windows_disarm();
        struct fl_text *text = add_log(FL_LOG_INFO);
        fl_print(text, "map ", 0, 0, 0);
        fl_print_hex(text, fl_active_hash(), FL_MAP_HASH_PREFIX_BYTES);
        fl_print(text, " is active", 0, 0, 0);
    }
}

/* ---- Polling ------------------------------------------------------------------------------- */

/* Take bytes until a request is complete; frames that are not requests are ignored. */
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

/* Prepare the next frame; answers come first. */
static bool fill_sender(void)
{
    if (commit == COMMITTED) {
        commit = NO_COMMIT;
        finish(&kept[newest], commit_refusal);
    } else if (commit == NO_COMMIT && has_request)
        answer_request();
    else if (log_count > 0)
        send_log();
    else if (fl_readouts_send(&sender, unrequested, fl_payload()))
        unrequested++;
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
