#include "windows.h"

#include "bytes.h"
#include "hal.h"
#include "upload.h"

/* Window numbers stay below; a board that ran this long must be reset. */
#define LAST_WINDOW 0xffffffffu

struct held {
    uint8_t descriptor[FL_WINDOW_DESCRIPTOR_SIZE];
    uint32_t total;
    uint8_t readout[FL_WINDOW_BYTES];
};

/* Part of a held window that is to be sent: the descriptor first where `described` is false. */
struct part {
    uint32_t window, offset, end;
    bool described;
};

static const struct fl_identity *board;
static struct held stored[FL_HELD_WINDOWS]; /* window k lies in stored[k % FL_HELD_WINDOWS] */
static uint32_t next_window, oldest_window, skipped;

static bool armed;
static struct {
    bool on, endless;
    uint32_t limit; /* windows numbered below may be read out */
    unsigned kind, level;
    float light;
} run;
static struct fl_map even; /* the map of dark and flat windows */
static uint8_t even_cell;
static unsigned even_level; /* of which the hash is known; 0 = none */

static struct part sending;
static struct part repairs[FL_MAX_IN_FLIGHT];
static unsigned first_repair, repair_count;

/* The window being exposed. */
static enum { BETWEEN, OPENING, EXPOSING, READING } phase;
static const struct fl_map *map;
static bool claimed; /* its place is taken; else, once a slot ended, it is skipped */
static bool skipping;
static unsigned slot, row;
static uint32_t filled;           /* bytes of its readout so far */
static uint64_t slot_end_us;      /* of a paced sensor: end of the slot, rounded down, */
static uint32_t slot_end_rest;    /* and what was cut off, in units of 1/slot_rate_hz us */

void fl_windows_start(const struct fl_identity *identity)
{
    board = identity;
    next_window = oldest_window = skipped = 0;
    even_level = 0;
    armed = false;
    fl_windows_clear();
}

/* ---- Runs ---------------------------------------------------------------------------------- */

static fl_refusal check_idle(void)
{
    return run.on ? fl_refuse(FL_ERR_BUSY, "windows are being exposed already: stop first", 0, 0, 0)
                  : 0;
}

static fl_refusal check_map(void)
{
    return fl_active_map() ? 0
                           : fl_refuse(FL_ERR_NO_MAP,
                                       "this board has no ratio map yet: upload one", 0, 0, 0);
}

static void next_slot(void)
{
    if (board->slot_rate_hz == 0)
        return;
    slot_end_us += 1000000u / board->slot_rate_hz;
    slot_end_rest += 1000000u % board->slot_rate_hz;
    if (slot_end_rest >= board->slot_rate_hz) {
        slot_end_rest -= board->slot_rate_hz;
        slot_end_us++;
    }
}

static void start_run(bool endless, uint32_t limit, unsigned kind, unsigned level, float light,
                      uint64_t now_us, uint32_t *first)
{
    run.on = true;
    run.endless = endless;
    run.limit = limit;
    run.kind = kind;
    run.level = level;
    run.light = light;
    armed = false;
    phase = BETWEEN;
    slot_end_us = now_us;
    slot_end_rest = 0;
    *first = next_window;
}

static fl_refusal check_count(uint32_t count)
{
    return count > 0 && count < LAST_WINDOW - next_window
               ? 0
               : fl_refuse(FL_ERR_BAD_ARGUMENT,
                           "% windows cannot be captured: ask for 1 to 65535, or reset the board",
                           count, 0, 0);
}

fl_refusal fl_arm(void)
{
    fl_refusal refusal = check_idle();
    if (!refusal)
        refusal = check_map();
    if (!refusal)
        armed = true;
    return refusal;
}

fl_refusal fl_capture(uint32_t count, uint64_t now_us, uint32_t *first)
{
    fl_refusal refusal = check_idle();
    if (!refusal)
        refusal = check_map();
    if (!refusal)
        refusal = check_count(count);
    if (!refusal)
        start_run(false, next_window + count, FL_KIND_SCENE, 0, 0, now_us, first);
    return refusal;
}

fl_refusal fl_stream_start(uint32_t credit, uint64_t now_us, uint32_t *first)
{
    fl_refusal refusal = check_idle();
    if (!refusal)
        refusal = check_map();
    if (!refusal)
        start_run(true, next_window + fl_min(credit, LAST_WINDOW - next_window), FL_KIND_SCENE, 0,
                  0, now_us, first);
    return refusal;
}

fl_refusal fl_stream_credit(uint32_t limit)
{
    if (!run.on || !run.endless)
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "no stream runs that could be given credit", 0, 0, 0);
    if (limit > run.limit)
        run.limit = limit;
    return 0;
}

/* A map of `level` everywhere, with its hash. */
static fl_refusal prepare_even(unsigned level)
{
    unsigned index = 0;
    while (index < board->level_count && board->level_set[index] != level)
        index++;
    if (level == 0 || index == board->level_count)
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "this board has no level % to capture at", level, 0,
                         0);
    if (level == even_level)
        return 0;
    fl_refusal refusal;
    struct fl_map_check check;
    fl_map_uniform(&even, &even_cell, index);
    fl_map_check_start(&check, &even, board);
    while (!fl_map_check_step(&check, board, &refusal))
        ;
    even_level = refusal ? 0 : level;
    return refusal ? FL_ERR_BAD_ARGUMENT : 0;
}

fl_refusal fl_even_light(unsigned kind, unsigned level, uint32_t windows, float light,
                         uint64_t now_us, uint32_t *first)
{
    fl_refusal refusal = check_idle();
    if (!refusal)
        refusal = prepare_even(level);
    if (!refusal)
        refusal = check_count(windows);
    if (!refusal)
        start_run(false, next_window + windows, kind, level, light, now_us, first);
    return refusal;
}

uint32_t fl_windows_stop(void)
{
    run.on = false;
    armed = false;
    phase = BETWEEN;
    sending = (struct part){.window = next_window};
    return next_window;
}

void fl_windows_clear(void)
{
    fl_windows_stop();
    first_repair = repair_count = 0;
}

void fl_windows_disarm(void)
{
    armed = false;
}

void fl_windows_release(const struct fl_map *released)
{
    if (run.on && phase != BETWEEN && map == released)
        skipping = true;
}

void fl_windows_status(struct fl_windows_status *status)
{
    status->state = armed ? FL_STATE_ARMED : FL_STATE_IDLE;
    if (run.on)
        status->state = run.endless ? FL_STATE_STREAMING : FL_STATE_CAPTURING;
    status->next_window = next_window;
    status->oldest_window = oldest_window;
    status->credit_limit = run.on && run.endless ? run.limit : 0;
    status->skipped = skipped;
}

/* ---- Sending ------------------------------------------------------------------------------- */

static struct held *held(uint32_t window)
{
    return &stored[window % FL_HELD_WINDOWS];
}

fl_refusal fl_resend(uint32_t window, uint32_t offset, uint32_t length)
{
    if (window < oldest_window || window >= next_window)
        return fl_refuse(FL_ERR_WINDOW_GONE, "window % is not held: only % up to % are", window,
                         oldest_window, next_window - 1);
    if (repair_count == FL_MAX_IN_FLIGHT)
        return fl_refuse(FL_ERR_BUSY, "% repairs wait to be sent: ask again later", repair_count, 0,
                         0);
    uint32_t total = held(window)->total;
    struct part part = {window, offset, offset + length, true};
    if (length == 0)
        part = (struct part){window, fl_min(offset, total), total, false};
    else if (offset > total || length > total - offset)
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "window % has % bytes, so none from %", window, total,
                         offset);
    repairs[(first_repair + repair_count++) % FL_MAX_IN_FLIGHT] = part;
    return 0;
}

static void send_part(struct part *part, struct fl_sender *sender, unsigned sequence,
                      uint32_t max_payload)
{
    const struct held *window = held(part->window);
    if (!part->described) {
        fl_frame_begin(sender, FL_MSG_WINDOW, 0, sequence, FL_WINDOW_DESCRIPTOR_SIZE);
        fl_frame_add(sender, window->descriptor, FL_WINDOW_DESCRIPTOR_SIZE);
        part->described = true;
    } else {
        uint8_t head[FL_FRAGMENT_SIZE];
        uint32_t count = fl_min(max_payload - FL_FRAGMENT_SIZE, part->end - part->offset);
        fl_put32(head + FL_FRAGMENT_WINDOW, part->window);
        fl_put32(head + FL_FRAGMENT_OFFSET, part->offset);
        fl_frame_begin(sender, FL_MSG_READOUT, 0, sequence, FL_FRAGMENT_SIZE + count);
        fl_frame_add(sender, head, sizeof head);
        fl_frame_add(sender, window->readout + part->offset, count);
        part->offset += count;
    }
    fl_frame_end(sender);
}

static bool is_sent(const struct part *part)
{
    return part->described && part->offset == part->end;
}

bool fl_windows_send(struct fl_sender *sender, unsigned sequence, uint32_t max_payload)
{
    if (repair_count > 0) {
        struct part *repair = &repairs[first_repair];
        send_part(repair, sender, sequence, max_payload);
        if (is_sent(repair)) {
            first_repair = (first_repair + 1) % FL_MAX_IN_FLIGHT;
            repair_count--;
        }
        return true;
    }
    if (sending.window == next_window)
        return false;
    sending.end = held(sending.window)->total;
    send_part(&sending, sender, sequence, max_payload);
    if (is_sent(&sending))
        sending = (struct part){.window = sending.window + 1};
    return true;
}

/* ---- Exposing ------------------------------------------------------------------------------ */

/* Whether the next window may be read out: there is credit, and its place holds nothing that is
 * still to be sent. */
static bool can_claim(void)
{
    if (next_window >= run.limit)
        return false;
    uint32_t place = next_window % FL_HELD_WINDOWS;
    for (unsigned i = 0; i < repair_count; i++)
        if (repairs[(first_repair + i) % FL_MAX_IN_FLIGHT].window % FL_HELD_WINDOWS == place)
            return false;
    return next_window - sending.window < FL_HELD_WINDOWS;
}

static void claim(void)
{
    claimed = true;
    filled = 0;
    if (next_window - oldest_window == FL_HELD_WINDOWS)
        oldest_window++;
}

static bool begin_window(bool *failed)
{
    bool paced = board->slot_rate_hz > 0;
    if (!paced && !can_claim())
        return false;
    map = run.kind == FL_KIND_SCENE ? fl_active_map() : &even;
    claimed = skipping = false;
    if (!paced)
        claim();
    if (!fl_hal_begin_window(run.kind, run.light, next_window + skipped)) {
        *failed = true;
        fl_windows_stop();
        return true;
    }
    slot = row = 0;
    next_slot();
    phase = map->mask ? OPENING : EXPOSING;
    return true;
}

static void end_window(uint64_t now_us)
{
    phase = BETWEEN;
    if (skipping) {
        skipped++;
        return;
    }
    struct held *window = held(next_window);
    uint8_t *descriptor = window->descriptor;
    window->total = filled;
    fl_put32(descriptor + FL_WINDOW_DESCRIPTOR_WINDOW, next_window);
    fl_put32(descriptor + FL_WINDOW_DESCRIPTOR_TOTAL, filled);
    fl_put64(descriptor + FL_WINDOW_DESCRIPTOR_TIME_US,
             board->slot_rate_hz ? slot_end_us + (slot_end_rest > 0) : now_us);
    descriptor[FL_WINDOW_DESCRIPTOR_KIND] = (uint8_t)run.kind;
    descriptor[FL_WINDOW_DESCRIPTOR_LEVEL] = (uint8_t)run.level;
    memcpy(descriptor + FL_WINDOW_DESCRIPTOR_MAP_HASH, map->hash, FL_MAP_HASH_PREFIX_BYTES);
    fl_put32(descriptor + FL_WINDOW_DESCRIPTOR_SKIPPED, skipped);
    next_window++;
    if (!run.endless && next_window >= run.limit)
        run.on = false;
}

static void end_slot(uint64_t now_us)
{
    row = 0;
    slot++;
    if (slot == board->slots) {
        end_window(now_us);
        return;
    }
    next_slot();
    phase = map->mask && !skipping ? OPENING : EXPOSING;
}

static bool open_row(void)
{
    uint8_t open[(FL_MAX_WIDTH + 7) / 8];
    fl_mask_row(map, board, slot, row, open);
    fl_hal_open_row(slot, row, open);
    if (++row == board->height) {
        row = 0;
        phase = EXPOSING;
    }
    return true;
}

/* Bit i: pixels of level index i are read after this slot. */
static unsigned ending_levels(void)
{
    unsigned ending = 0;
    for (unsigned index = 0; index < board->level_count; index++)
        ending |= (unsigned)fl_span_ends(board, index, slot) << index;
    return ending;
}

static bool expose(uint64_t now_us, bool *failed)
{
    bool paced = board->slot_rate_hz > 0;
    if (paced && now_us < slot_end_us + (slot_end_rest > 0))
        return false;
    if (skipping && !paced) { /* no beat to keep: on with the next */
        end_window(now_us);
        return true;
    }
    if (!skipping) {
        enum fl_slot state = fl_hal_slot(slot);
        if (state == FL_SLOT_RUNNING)
            return false;
        if (state == FL_SLOT_FAILED) {
            *failed = true;
            fl_windows_stop();
            return true;
        }
    }
    if (!claimed && !skipping) { /* of a paced sensor, when its first slot has ended */
        if (can_claim())
            claim();
        else
            skipping = true;
    }
    if (skipping || ending_levels() == 0)
        end_slot(now_us);
    else
        phase = READING;
    return true;
}

static bool read_row(uint64_t now_us)
{
    uint8_t indices[FL_MAX_WIDTH], ends[(FL_MAX_WIDTH + 7) / 8] = {0};
    uint16_t codes[FL_MAX_WIDTH];
    unsigned ending = ending_levels(), count = 0;
    fl_map_row(map, board, row, indices);
    for (unsigned x = 0; x < board->width; x++) {
        unsigned end = ending >> indices[x] & 1;
        ends[x / 8] |= (uint8_t)(end << x % 8);
        count += end;
    }
    if (count > 0) {
        uint8_t *readout = held(next_window)->readout;
        fl_hal_read_row(row, ends, codes);
        for (unsigned x = 0; x < board->width; x++) {
            if (!(ends[x / 8] >> x % 8 & 1))
                continue;
            readout[filled++] = (uint8_t)codes[x];
            if (board->bits > 8)
                readout[filled++] = (uint8_t)(codes[x] >> 8);
        }
    }
    if (++row == board->height)
        end_slot(now_us);
    return true;
}

bool fl_windows_step(uint64_t now_us, bool *failed)
{
    if (!run.on)
        return false;
    switch (phase) {
    case BETWEEN:
        return begin_window(failed);
    case OPENING:
        if (skipping) {
            phase = EXPOSING;
            return true;
        }
        return open_row();
    case READING:
        if (!skipping)
            return read_row(now_us);
        end_slot(now_us);
        return true;
    case EXPOSING:
        break;
    }
    return expose(now_us, failed);
}
