#include "fl_maps.h"

#include "fl_bytes.h"

enum { PLACES = FL_MAX_PENDING_GRIDS + 1 };

struct grid {
    uint32_t window; /* the first to which it applies */
    bool rests;      /* it is empty: the resting map applies */
    struct fl_map map;
    uint8_t indices[FL_MAX_BLOCKS];
};

static const struct fl_identity *board;
static struct fl_program programs[2];
static unsigned active; /* which of them */
static bool has_map;
static unsigned held;
static bool is_held;

/* The present grid, under which the window being exposed may be read; after it the pending ones. */
static struct grid grids[PLACES];
static unsigned present, pending;
static bool rests; /* no grid applies */

void fl_maps_start(const struct fl_identity *identity)
{
    struct fl_map_check check;
    struct fl_map *map = &programs[0].map;
    board = identity;
    active = 0;
    has_map = is_held = programs[0].adaptive = false;
    fl_drop_grids();
    if (board->start_map == NULL)
        return;
    fl_refusal refusal = fl_map_open(map, board, board->start_map, board->start_map_length);
    if (refusal)
        return;
    fl_map_check_start(&check, map, board);
    while (!fl_map_check_step(&check, board, &refusal))
        ;
    has_map = !refusal;
}

const struct fl_map *fl_active_map(void)
{
    return has_map ? &programs[active].map : NULL;
}

const uint8_t *fl_active_hash(void)
{
    const struct fl_program *program = &programs[active];
    return program->adaptive ? program->palette.hash : program->map.hash;
}

struct fl_program *fl_next_map(void)
{
    if (held != active)
        is_held = false;
    return &programs[1 - active];
}

void fl_activate_next_map(void)
{
    active = 1 - active;
    has_map = true;
    fl_drop_grids();
}

/* ---- Grids --------------------------------------------------------------------------------- */

static struct grid *grid_after(unsigned count)
{
    return &grids[(present + count) % PLACES];
}

fl_refusal fl_set_grid(uint32_t window, const uint8_t *grid, uint32_t length, uint32_t next_begun)
{
    const struct fl_palette *palette = &programs[active].palette;
    struct fl_map map;
    if (!has_map || !programs[active].adaptive)
        return fl_refuse(FL_ERR_NO_MAP, "no adaptive map is active: upload a palette", 0, 0, 0);
    if (length > 0 && length != palette->blocks)
        return fl_refuse(FL_ERR_BAD_BODY, "a grid of % blocks has % bytes, not %", palette->blocks,
                         palette->blocks, length);
    fl_refusal refusal = length > 0 ? fl_palette_compose(&map, palette, board, grid) : 0;
    if (refusal)
        return refusal;
    if (window < next_begun || window - next_begun > FL_MAX_GRID_AHEAD)
        return fl_refuse(FL_ERR_BAD_ARGUMENT,
                         "window % can get no grid: the next to be begun is %, and at most % more "
                         "are planned",
                         window, next_begun, FL_MAX_GRID_AHEAD);
    if (pending > 0 && window <= grid_after(pending)->window)
        return fl_refuse(FL_ERR_BAD_ARGUMENT,
                         "a grid from window % on waits already: none for window % can follow",
                         grid_after(pending)->window, window, 0);
    if (pending == FL_MAX_PENDING_GRIDS)
        return fl_refuse(FL_ERR_BUSY, "% grids are waiting: send this one later", pending, 0, 0);
    struct grid *last = grid_after(++pending);
    last->window = window;
    last->rests = length == 0;
    if (length > 0) {
        last->map = map;
        last->map.grid = last->indices;
        memcpy(last->indices, grid, length);
    }
    return 0;
}

void fl_drop_grids(void)
{
    pending = 0;
    rests = true;
}

void fl_use_grids(uint32_t number)
{
    while (pending > 0 && grid_after(1)->window <= number) {
        present = (present + 1) % PLACES;
        pending--;
        rests = grids[present].rests;
    }
}

/* ---- Holding ------------------------------------------------------------------------------- */

const struct fl_map *fl_hold_map(void)
{
    held = active;
    is_held = true;
    return rests ? &programs[active].map : &grids[present].map;
}

bool fl_map_is_held(void)
{
    return is_held;
}
