#include "fl_maps.h"

static struct fl_map maps[2];
static unsigned active; /* which of them */
static bool has_map;
static unsigned held;
static bool is_held;

void fl_maps_start(const struct fl_identity *board)
{
    struct fl_map_check check;
    active = 0;
    has_map = is_held = false;
    if (board->start_map == NULL)
        return;
    fl_refusal refusal = fl_map_open(&maps[0], board, board->start_map, board->start_map_length);
    if (refusal)
        return;
    fl_map_check_start(&check, &maps[0], board);
    while (!fl_map_check_step(&check, board, &refusal))
        ;
    has_map = !refusal;
}

const struct fl_map *fl_active_map(void)
{
    return has_map ? &maps[active] : NULL;
}

struct fl_map *fl_next_map(void)
{
    if (held != active)
        is_held = false;
    return &maps[1 - active];
}

void fl_activate_next_map(void)
{
    active = 1 - active;
    has_map = true;
}

const struct fl_map *fl_hold_map(void)
{
    held = active;
    is_held = true;
    return &maps[active];
}

bool fl_map_is_held(void)
{
    return is_held;
}
