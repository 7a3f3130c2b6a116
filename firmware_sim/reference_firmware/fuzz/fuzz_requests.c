/* Fuzzes the whole firmware: the input is a list of events, each one byte and its arguments. Frames
 * get their CRC here, so that the fuzzer reaches the code behind the CRC check.
 *
 *     0 type flags sequence length(2) body   a frame arrives
 *     1 length bytes                         bytes arrive as they are
 *     2 time(2)                              time passes, in units of 100 us
 *     3 room                                 the line takes `room` bytes at a time from here on
 *     4 height width cells                   a map with this tile is uploaded and committed
 *     5                                      the sensor becomes slow, or fails, in turns
 *     6                                      the last frame arrives again
 *     7 mask(48)                             a mask is uploaded and put over the active map
 *     8 tiles block height width cells       a palette is uploaded and put over the active map
 *
 * The first byte of the input selects the board. Sanitizers check the firmware; it must send only
 * whole frames, and must address only pixels of the sensor. */
#include <stdlib.h>
#include <string.h>

#include "fl_board.h"
#include "fl_bytes.h"
#include "fl_frame.h"
#include "fl_hal.h"
#include "fl_maps.h"
#include "fl_sha256.h"

enum { HEIGHT = 4, WIDTH = 6, SLOTS = 16, MASK_BYTES = SLOTS * HEIGHT * WIDTH / 8 };
enum { LEVELS = 5, PALETTE_BYTES = FL_MAX_PALETTE_BYTES };
enum { MAX_OBJECT = PALETTE_BYTES > MASK_BYTES ? PALETTE_BYTES : MASK_BYTES };
enum { MAX_POLLS = 120 };

static const uint8_t level_set[LEVELS] = {0, 1, 2, 4, 8};
static struct fl_identity identity = {
    .name = "fuzzed",
    .firmware = "",
    .serial = "",
    .height = HEIGHT,
    .width = WIDTH,
    .slots = SLOTS,
    .bits = 16,
    .level_count = sizeof level_set,
    .level_set = level_set,
    .full_scale_dn = 4080,
};

static uint64_t now_us;
static const uint8_t *line; /* bytes that arrive */
static size_t line_length;
static size_t line_room; /* bytes that the line takes at a time */
static unsigned sensor_events, failing, slow;
static struct fl_receiver host;
static struct fl_sender to_board;

static void require(bool holds)
{
    if (!holds)
        abort();
}

size_t fl_hal_receive(uint8_t *data, size_t room)
{
    size_t count = line_length < room ? line_length : room;
    if (count > 0)
        memcpy(data, line, count);
    line += count;
    line_length -= count;
    return count;
}

size_t fl_hal_send(const uint8_t *data, size_t length)
{
    struct fl_frame frame;
    size_t count = length < line_room ? length : line_room;
    for (size_t i = 0; i < count; i++) {
        if (!fl_feed(&host, data[i], &frame))
            continue;
        require(frame.version == FL_PROTOCOL_VERSION && frame.length <= FL_MAX_PAYLOAD);
        require(frame.flags == 0 || frame.flags == FL_FLAG_RESPONSE
                || frame.flags == (FL_FLAG_RESPONSE | FL_FLAG_ERROR));
    }
    require(host.bad == 0);
    return count;
}

uint64_t fl_hal_now_us(void)
{
    return now_us;
}

uint32_t fl_hal_boot_id(void)
{
    return 7;
}

bool fl_hal_begin_window(unsigned kind, float light, uint32_t exposure)
{
    (void)exposure;
    require(kind <= FL_KIND_FLAT && light >= 0 && light <= 1);
    return failing == 0 || --failing > 0;
}

static void require_row(unsigned y, const uint8_t *bits)
{
    require(y < HEIGHT && bits[0] >> WIDTH == 0);
}

void fl_hal_open_row(unsigned slot, unsigned y, const uint8_t *open)
{
    require(slot < identity.slots);
    require_row(y, open);
}

enum fl_slot fl_hal_slot(unsigned slot)
{
    require(slot < identity.slots);
    if (slow > 0 && --slow > 0)
        return slow > 1 ? FL_SLOT_RUNNING : sensor_events % 4 == 1 ? FL_SLOT_LATE : FL_SLOT_FAILED;
    return FL_SLOT_OVER;
}

void fl_hal_read_row(unsigned y, const uint8_t *ends, uint16_t *codes)
{
    require_row(y, ends);
    for (unsigned x = 0; x < WIDTH; x++)
        if (ends[0] >> x & 1)
            codes[x] = (uint16_t)(y * WIDTH + x);
}

/* Poll the board for a while, or until it has nothing to do. */
static void run(const uint8_t *bytes, size_t count)
{
    line = bytes;
    line_length = count;
    for (unsigned i = 0; i < MAX_POLLS && (fl_poll() || line_length > 0); i++)
        ;
    line_length = 0;
}

static void arrive(unsigned type, unsigned flags, unsigned sequence, const uint8_t *body,
                 uint32_t length)
{
    fl_frame_begin(&to_board, type, flags, sequence, length);
    fl_frame_add(&to_board, body, length);
    fl_frame_end(&to_board);
    run(to_board.code, to_board.length);
}

/* Upload an object in one chunk, and commit it with the hash of the map that it forms. */
static void upload(unsigned kind, const uint8_t *object, uint32_t length, const uint8_t *hash)
{
    uint8_t begin[FL_UPLOAD_BEGIN_REQUEST_SIZE] = {(uint8_t)kind};
    uint8_t chunk[FL_UPLOAD_CHUNK_REQUEST_SIZE + MAX_OBJECT] = {(uint8_t)kind};
    uint8_t commit[FL_UPLOAD_COMMIT_REQUEST_SIZE] = {(uint8_t)kind};
    struct fl_sha256 sha256;
    fl_put32(begin + FL_UPLOAD_BEGIN_REQUEST_TOTAL, length);
    fl_sha256_start(&sha256);
    fl_sha256_add(&sha256, object, length);
    fl_sha256_end(&sha256, begin + FL_UPLOAD_BEGIN_REQUEST_SHA256);
    memcpy(chunk + FL_UPLOAD_CHUNK_REQUEST_SIZE, object, length);
    memcpy(commit + FL_UPLOAD_COMMIT_REQUEST_MAP_HASH, hash, FL_HASH_BYTES);
    arrive(FL_MSG_UPLOAD_BEGIN, 0, 1000, begin, sizeof begin);
    arrive(FL_MSG_UPLOAD_CHUNK, 0, 1001, chunk, FL_UPLOAD_CHUNK_REQUEST_SIZE + length);
    arrive(FL_MSG_UPLOAD_COMMIT, 0, 1002, commit, sizeof commit);
}

static const uint8_t *hash_of(struct fl_map *map)
{
    struct fl_map_check check;
    fl_refusal refusal;
    fl_map_check_start(&check, map, &identity);
    while (!fl_map_check_step(&check, &identity, &refusal))
        ;
    return map->hash;
}

static void upload_map(unsigned height, unsigned width, const uint8_t *cells, uint32_t count)
{
    uint8_t object[2 + sizeof level_set + 8 + (HEIGHT * WIDTH + 1) / 2] = {SLOTS, sizeof level_set};
    uint8_t *sides = object + 2 + sizeof level_set;
    struct fl_map map;
    memcpy(object + 2, level_set, sizeof level_set);
    fl_put16(sides, HEIGHT);
    fl_put16(sides + 2, WIDTH);
    fl_put16(sides + 4, height);
    fl_put16(sides + 6, width);
    memcpy(sides + 8, cells, count);
    if (fl_map_open(&map, &identity, object, (uint32_t)(sides + 8 - object) + count) == 0)
        upload(FL_UPLOAD_MAP, object, (uint32_t)(sides + 8 - object) + count, hash_of(&map));
}

static void upload_mask(const uint8_t *mask)
{
    if (fl_active_map() == NULL)
        return;
    struct fl_map map = *fl_active_map();
    map.mask = mask;
    upload(FL_UPLOAD_MASK, mask, MASK_BYTES, hash_of(&map));
}

static void upload_palette(const uint8_t *facts, const uint8_t *cells, uint32_t count)
{
    uint8_t object[PALETTE_BYTES] = {SLOTS, LEVELS};
    uint8_t *sides = object + 2 + LEVELS;
    struct fl_palette palette = {0};
    memcpy(object + 2, level_set, LEVELS);
    fl_put16(sides, HEIGHT);
    fl_put16(sides + 2, WIDTH);
    sides[4] = facts[1];
    sides[5] = facts[0];
    fl_put16(sides + 6, facts[2]);
    fl_put16(sides + 8, facts[3]);
    memcpy(sides + 10, cells, count);
    uint32_t length = (uint32_t)(sides + 10 - object) + count;
    if (fl_active_map() != NULL)
        fl_palette_open(&palette, fl_active_map(), &identity, object, length);
    upload(FL_UPLOAD_PALETTE, object, length, palette.hash); /* a wrong hash if it is refused */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t rates[] = {0, 240, 7, 1000000};
    if (size == 0)
        return 0;
    identity.slot_rate_hz = rates[data[0] & 3];
    identity.bits = data[0] & 4 ? 8 : 16;
    identity.features = (data[0] & 8 ? 0 : FL_FEATURE_APERTURE)
                        | (data[0] & 16 ? 0 : FL_FEATURE_CALIBRATION)
                        | (data[0] & 32 ? 0 : FL_FEATURE_ADAPTIVE);
    now_us = failing = slow = sensor_events = 0;
    line_room = 4096;
    memset(&host, 0, sizeof host);
    memset(&to_board, 0, sizeof to_board);
    require(fl_start(&identity));
    const uint8_t *at = data + 1, *end = data + size;
    while (at < end) {
        unsigned what = *at++ % 9;
        size_t left = (size_t)(end - at), count;
        if (what == 0 && left >= 5) {
            count = fl_min(fl_get16(at + 3), (uint32_t)fl_min((uint32_t)left - 5, FL_MAX_PAYLOAD));
            arrive(at[0], at[1], at[2], at + 5, (uint32_t)count);
            at += 5 + count;
        } else if (what == 1 && left >= 1) {
            count = fl_min(at[0], (uint32_t)left - 1);
            run(at + 1, count);
            at += 1 + count;
        } else if (what == 2 && left >= 2) {
            now_us += 100u * fl_get16(at);
            run(data, 0);
            at += 2;
        } else if (what == 3 && left >= 1) {
            line_room = *at++;
            run(data, 0);
        } else if (what == 4 && left >= 2) {
            unsigned height = at[0] % (HEIGHT + 1), width = at[1] % (WIDTH + 1);
            count = fl_min((height * width + 1) / 2, (uint32_t)left - 2);
            upload_map(height, width, at + 2, (uint32_t)count);
            at += 2 + count;
        } else if (what == 5) {
            if (sensor_events++ % 2 == 0)
                slow = 6;
            else
                failing = 2;
        } else if (what == 6) {
            run(to_board.code, to_board.length);
        } else if (what == 7 && left >= MASK_BYTES) {
            upload_mask(at);
            at += MASK_BYTES;
        } else if (what == 8 && left >= 4) {
            count = fl_min((at[2] * at[3] + 1u) / 2 * at[0], (uint32_t)left - 4);
            count = fl_min((uint32_t)count, PALETTE_BYTES - 2 - LEVELS - 10);
            upload_palette(at, at + 4, (uint32_t)count);
            at += 4 + count;
        }
    }
    return 0;
}
