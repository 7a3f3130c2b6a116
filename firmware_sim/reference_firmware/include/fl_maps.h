/* The active ratio map, and the place where the next one is put together.
 *
 * Uploads write the next map and activate it; windows read the active one. Neither knows the
 * other. A window may still be read out under a map that is no longer active: it holds that map, and
 * loses it when the place is needed for the next one. */
#ifndef FL_MAPS_H
#define FL_MAPS_H

#include "fl_map.h"

/* Forget both maps, and activate the port's start map if it has a valid one. */
void fl_maps_start(const struct fl_identity *board);

/* The active map, or NULL. */
const struct fl_map *fl_active_map(void);

/* The place for the next map, about to be written: whoever holds it loses it. */
struct fl_map *fl_next_map(void);

/* Swap the two: the next map is active from here on. */
void fl_activate_next_map(void);

/* Hold the active map, for the window that is being exposed. */
const struct fl_map *fl_hold_map(void);

/* Whether the map held last may still be read. */
bool fl_map_is_held(void);

#endif
