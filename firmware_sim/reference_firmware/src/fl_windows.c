#include "fl_windows.h"

#include "fl_bytes.h"
#include "fl_hal.h"
#include "fl_maps.h"
#include "fl_readouts.h"

/* Window numbers stay below this; a board that reaches it must be reset. */
#define MAX_WINDOW_NUMBER 0xffffffffu

static const struct fl_identity *board;
static uint32_t skipped;
static bool armed;
static struct {
    bool on, endless;
    uint32_t limit; /* windows numbered below this may be read out */
    unsigned kind, level;
    float light;
} run;

static struct fl_map even; /* the map of dark and flat windows */
static uint8_t even_cell;
static unsigned even_level; /* the level of `even`; 0 = none yet */

/* The window being exposed. */
static enum { BETWEEN, OPENING, EXPOSING, READING } phase;
static const struct fl_map *map;
static uint8_t *readout;  /* memory for its samples; NULL until it is decided to read it out */
static uint32_t filled;   /* bytes of it */
static bool skipping;     /* it will not be read out */
static unsigned slot, row;
static unsigned ending; /* bit i: pixels of level index i are read after this slot */
static uint64_t slot_end_us;   /* of a paced sensor: end of the slot, rounded down */
static uint32_t slot_end_rest; /* the rest of it, in units of 1/slot_rate_hz us */

void fl_windows_start(const struct fl_identity *identity)
{
    board = identity;
    skipped = 0;
    even_level = 0;
    fl_windows_stop();
}

unsigned fl_windows_state(void)
{
    if (run.on)
        return run.endless ? FL_STATE_STREAMING : FL_STATE_CAPTURING;
    return armed ? FL_STATE_ARMED : FL_STATE_IDLE;
}

uint32_t fl_credit_limit(void)
{
    return run.on && run.endless ? run.limit : 0;
}

uint32_t fl_windows_skipped(void)
{
    return skipped;
}

/* ---- Runs ---------------------------------------------------------------------------------- */

static bool is_paced(void)
{
    return board->slot_rate_hz > 0;
}

uint32_t fl_next_begun(void)
{
    return fl_next_window() + (run.on && (is_paced() || phase != BETWEEN));
}

static fl_refusal check_idle(void)
{
    if (!run.on)
        return 0;
    return fl_refuse(FL_ERR_BUSY, "windows are already being exposed: stop them first", 0, 0, 0);
}

static fl_refusal check_map(void)
{
    fl_refusal refusal = check_idle();
    if (refusal || fl_active_map())
        return refusal;
    return fl_refuse(FL_ERR_NO_MAP, "this board has no ratio map yet: upload one", 0, 0, 0);
}

static fl_refusal check_count(uint32_t count)
{
    if (count > 0 && count < MAX_WINDOW_NUMBER - fl_next_window())
        return 0;
    return fl_refuse(FL_ERR_BAD_ARGUMENT,
                     "% windows cannot be captured: ask for 1 to 65535, or reset the board", count,
                     0, 0);
}

static void start_run(bool endless, uint32_t count, unsigned kind, uint64_t now_us, uint32_t *first)
{
    *first = fl_next_window();
    run.on = true;
    run.endless = endless;
    run.limit = *first + fl_min(count, MAX_WINDOW_NUMBER - *first);
    run.kind = kind;
    run.level = 0;
    armed = false;
    phase = BETWEEN;
    slot_end_us = now_us;
    slot_end_rest = 0;
}

fl_refusal fl_arm(void)
{
    fl_refusal refusal = check_map();
    armed |= !refusal;
    return refusal;
}

fl_refusal fl_capture(uint32_t count, uint64_t now_us, uint32_t *first)
{
    fl_refusal refusal = check_map();
    if (!refusal)
        refusal = check_count(count);
    if (!refusal)
        start_run(false, count, FL_KIND_SCENE, now_us, first);
    return refusal;
}

fl_refusal fl_stream_start(uint32_t credit, uint64_t now_us, uint32_t *first)
{
    fl_refusal refusal = check_map();
    if (!refusal)
        start_run(true, credit, FL_KIND_SCENE, now_us, first);
    return refusal;
}

fl_refusal fl_stream_credit(uint32_t limit)
{
    if (!run.on || !run.endless)
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "there is no stream to give credit to", 0, 0, 0);
    if (limit > run.limit)
        run.limit = limit;
    return 0;
}

/* Make `even` a map of `level` everywhere, with its hash. */
static fl_refusal prepare_even(unsigned level)
{
    fl_refusal refusal;
    struct fl_map_check check;
    unsigned index = 0;
    while (index < board->level_count && board->level_set[index] != level)
        index++;
    if (level == 0 || index == board->level_count)
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "this board cannot capture at level %", level, 0, 0);
    if (level == even_level)
        return 0;
    fl_map_uniform(&even, &even_cell, index);
    fl_map_check_start(&check, &even, board);
    while (!fl_map_check_step(&check, board, &refusal))
        ;
    even_level = refusal ? 0 : level;
    return refusal ? FL_ERR_BAD_ARGUMENT : 0; /* the fault is the level, not an uploaded map */
}

fl_refusal fl_even_light(unsigned kind, unsigned level, uint32_t windows, float light,
                         uint64_t now_us, uint32_t *first)
{
    fl_refusal refusal = check_idle();
    if (!refusal)
        refusal = prepare_even(level);
    if (!refusal)
        refusal = check_count(windows);
    if (refusal)
        return refusal;
    start_run(false, windows, kind, now_us, first);
    run.level = level;
    run.light = light;
    return 0;
}

void fl_windows_stop(void)
{
    run.on = armed = false;
    phase = BETWEEN;
    fl_readouts_stop();
}

void fl_windows_disarm(void)
{
    armed = false;
}

/* ---- Exposing ------------------------------------------------------------------------------ */

static bool may_read_out(void)
{
    return fl_next_window() < run.limit && fl_readouts_have_room();
}

static void claim(void)
{
    readout = fl_readouts_claim();
    filled = 0;
}

static void fail(bool *failed)
{
    *failed = true;
    fl_windows_stop();
}

static void begin_slot(void)
{
    row = 0;
    phase = map->mask && !skipping ? OPENING : EXPOSING;
    if (!is_paced())
        return;
    slot_end_us += 1000000u / board->slot_rate_hz;
    slot_end_rest += 1000000u % board->slot_rate_hz;
    if (slot_end_rest >= board->slot_rate_hz) {
        slot_end_rest -= board->slot_rate_hz;
        slot_end_us++;
    }
}

static bool begin_window(bool *failed)
{
    if (!is_paced() && !may_read_out())
        return false;
    fl_use_grids(fl_next_window());
    map = run.kind == FL_KIND_SCENE ? fl_hold_map() : &even;
    readout = NULL;
    skipping = false;
    slot = 0;
    if (!is_paced())
        claim();
    if (fl_hal_begin_window(run.kind, run.light, fl_next_window() + skipped))
        begin_slot();
    else
        fail(failed);
    return true;
}

static void end_window(uint64_t now_us)
{
    uint8_t descriptor[FL_WINDOW_DESCRIPTOR_SIZE];
    phase = BETWEEN;
    if (skipping) {
        skipped++;
        return;
    }
    uint64_t end_us = is_paced() ? slot_end_us + (slot_end_rest > 0) : now_us;
    fl_put32(descriptor + FL_WINDOW_DESCRIPTOR_WINDOW, fl_next_window());
    fl_put32(descriptor + FL_WINDOW_DESCRIPTOR_TOTAL, filled);
    fl_put64(descriptor + FL_WINDOW_DESCRIPTOR_TIME_US, end_us);
    descriptor[FL_WINDOW_DESCRIPTOR_KIND] = (uint8_t)run.kind;
    descriptor[FL_WINDOW_DESCRIPTOR_LEVEL] = (uint8_t)run.level;
    memcpy(descriptor + FL_WINDOW_DESCRIPTOR_MAP_HASH, map->hash, FL_MAP_HASH_PREFIX_BYTES);
    fl_put32(descriptor + FL_WINDOW_DESCRIPTOR_SKIPPED, skipped);
    fl_readouts_hold(descriptor, filled);
    if (!run.endless && fl_next_window() >= run.limit)
        run.on = false;
}

static void end_slot(uint64_t now_us)
{
    if (++slot == board->slots)
        end_window(now_us);
    else
        begin_slot();
}

static void open_row(void)
{
    uint8_t open[(FL_MAX_WIDTH + 7) / 8];
    fl_mask_row(map, board, slot, row, open);
    fl_hal_open_row(slot, row, open);
    if (++row == board->height) {
        row = 0;
        phase = EXPOSING;
    }
}

/* Bit i: spans of pixels of level index i end with this slot. */
static unsigned find_ending(void)
{
    unsigned found = 0;
    for (unsigned index = 0; index < board->level_count; index++)
        found |= (unsigned)fl_span_ends(board, index, slot) << index;
    return found;
}

static bool expose(uint64_t now_us, bool *failed)
{
    if (is_paced() && now_us < slot_end_us + (slot_end_rest > 0))
        return false;
    if (skipping && !is_paced()) { /* no slot rate to keep: begin the next window */
        end_window(now_us);
        return true;
    }
    if (!skipping) {
        switch (fl_hal_slot(slot)) {
        case FL_SLOT_RUNNING:
            return false;
        case FL_SLOT_FAILED:
            fail(failed);
            return true;
        case FL_SLOT_LATE:
            skipping = true;
            break;
        case FL_SLOT_OVER:
            if (readout) /* a paced sensor decides this when the first slot has ended */
                break;
            if (may_read_out())
                claim();
            else
                skipping = true;
        }
    }
    ending = find_ending();
    if (skipping || ending == 0)
        end_slot(now_us);
    else
        phase = READING;
    return true;
}

static void put_samples(const uint8_t *ends, const uint16_t *codes)
{
    bool wide = board->bits > 8;
    uint8_t *at = readout + filled;
    for (unsigned x = 0; x < board->width; x += 8, ends++) {
        const uint16_t *code = codes + x;
        for (unsigned bits = *ends; bits; bits >>= 1, code++) {
            if (!(bits & 1))
                continue;
            *at++ = (uint8_t)*code;
            if (wide)
                *at++ = (uint8_t)(*code >> 8);
        }
    }
    filled = (uint32_t)(at - readout);
}

static void read_row(uint64_t now_us)
{
    uint8_t ends[(FL_MAX_WIDTH + 7) / 8];
    uint16_t codes[FL_MAX_WIDTH];
    if (fl_map_ends(map, board, row, ending, ends)) {
        fl_hal_read_row(row, ends, codes);
        put_samples(ends, codes);
    }
    if (++row == board->height)
        end_slot(now_us);
}

bool fl_windows_step(uint64_t now_us, bool *failed)
{
    if (!run.on)
        return false;
    if (phase == BETWEEN)
        return begin_window(failed);
    if (map != &even && !fl_map_is_held())
        skipping = true;
    if (phase == EXPOSING)
        return expose(now_us, failed);
    if (skipping) { /* the window lost its map in the middle of a slot */
        if (phase == READING)
            end_slot(now_us);
        else
            phase = EXPOSING;
    } else if (phase == OPENING) {
        open_row();
    } else {
        read_row(now_us);
    }
    return true;
}
