/* The active map, the place where the next one is put together, and the grids of an adaptive map.
 *
 * Uploads write the next map and activate it; windows read the active one. Neither knows the
 * other. A window may still be read out under a map that is no longer active: it holds that map, and
 * loses it when the place is needed for the next one. */
#ifndef FL_MAPS_H
#define FL_MAPS_H

#include "fl_map.h"
#include "fl_palette.h"

/* A ratio map, and the palette that makes it the resting map of an adaptive map. */
struct fl_program {
    struct fl_map map;
    bool adaptive;
    struct fl_palette palette;
};

/* Forget both maps and all grids, and activate the port's start map if it has a valid one. */
void fl_maps_start(const struct fl_identity *board);

/* The active map, or NULL; of an adaptive map, its resting map. */
const struct fl_map *fl_active_map(void);

/* The hash of the active map, which must be there. */
const uint8_t *fl_active_hash(void);

/* The place for the next map, about to be written: whoever holds it loses it. */
struct fl_program *fl_next_map(void);

/* Swap the two: the next map is active from here on, without a grid. */
void fl_activate_next_map(void);

/* GRID: compose the maps of windows from `window` on, or rest if `length` is 0. `next_begun` is the
 * next window whose map is not fixed yet. */
fl_refusal fl_set_grid(uint32_t window, const uint8_t *grid, uint32_t length, uint32_t next_begun);

/* Drop all grids: the resting map applies from the next window on. */
void fl_drop_grids(void);

/* Window `number` begins: the grids up to its own are used up. */
void fl_use_grids(uint32_t number);

/* Hold the active map as it is now, for the window that begins. */
const struct fl_map *fl_hold_map(void);

/* Whether the map held last may still be read. */
bool fl_map_is_held(void);

#endif
