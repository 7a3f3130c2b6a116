#include "test_scene.h"

#include "fl_bytes.h"
#include "fl_config.h"
#include "fl_hal.h"

/* Stands in for the silicon, which is not part of the firmware's memory. */
#ifdef FL_SENSOR_SECTION
#define SENSOR __attribute__((section(FL_SENSOR_SECTION)))
#else
#define SENSOR
#endif

static const struct fl_identity *board;
static SENSOR uint16_t charge[FL_MAX_PIXELS]; /* what each pixel has integrated, in 1/255 slots */
static SENSOR uint8_t is_open[FL_MAX_PIXELS];
static bool has_aperture, is_scene;
static uint8_t even; /* brightness of every pixel in dark and flat windows */
static uint32_t seen;
static uint32_t late_every, fails_at;

float fl_scene_full_scale(const struct fl_identity *identity)
{
    return 255.0f * (identity->bits > 8 ? identity->slots : 1);
}

void fl_scene_start(const struct fl_identity *identity)
{
    board = identity;
}

void fl_scene_misbehave(uint32_t late, uint32_t fails)
{
    late_every = late;
    fails_at = fails;
}

bool fl_hal_begin_window(unsigned kind, float light, uint32_t exposure)
{
    memset(charge, 0, sizeof charge);
    has_aperture = false;
    is_scene = kind == FL_KIND_SCENE;
    even = kind == FL_KIND_FLAT ? (uint8_t)(light * 255.0f + 0.5f) : 0;
    seen = exposure;
    return seen + 1 != fails_at;
}

void fl_hal_open_row(unsigned slot, unsigned y, const uint8_t *open)
{
    (void)slot;
    has_aperture = true;
    for (unsigned x = 0; x < board->width; x++)
        is_open[y * board->width + x] = open[x / 8] >> x % 8 & 1;
}

enum fl_slot fl_hal_slot(unsigned slot)
{
    uint32_t pixels = (uint32_t)board->height * board->width;
    uint8_t brightness = (uint8_t)(slot * pixels + seen);
    uint8_t step = is_scene; /* even light is the same for all pixels */
    if (!is_scene)
        brightness = even;
    for (uint32_t i = 0; i < pixels; i++, brightness = (uint8_t)(brightness + step))
        if (!has_aperture || is_open[i])
            charge[i] = (uint16_t)(charge[i] + brightness);
    if (late_every > 0 && slot == 3 && (seen + 1) % late_every == 0)
        return FL_SLOT_LATE;
    return FL_SLOT_OVER;
}

void fl_hal_read_row(unsigned y, const uint8_t *ends, uint16_t *codes)
{
    uint16_t *row = charge + (uint32_t)y * board->width;
    for (unsigned x = 0; x < board->width; x++) {
        if (ends[x / 8] >> x % 8 & 1) {
            codes[x] = board->bits > 8 ? row[x] : row[x] / board->slots;
            row[x] = 0;
        }
    }
}
