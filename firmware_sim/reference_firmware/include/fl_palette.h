/* The palette of an adaptive map: the uploaded object, read in place, and the maps that grids
 * compose from it. */
#ifndef FL_PALETTE_H
#define FL_PALETTE_H

#include "fl_map.h"

struct fl_palette {
    const uint8_t *tiles;             /* level indices, two per byte, tile after tile */
    uint32_t tile_bytes;
    uint16_t tile_height, tile_width; /* of every tile */
    uint8_t count, block;             /* tiles; side of a block in pixels */
    uint16_t columns;                 /* blocks per row of a grid */
    uint32_t blocks;                  /* in a grid */
    uint8_t hash[FL_HASH_BYTES];      /* of the adaptive map */
};

/* Check a palette object over its resting map, and read it. */
fl_refusal fl_palette_open(struct fl_palette *palette, const struct fl_map *resting,
                           const struct fl_identity *board, const uint8_t *object, uint32_t length);

/* Make the map of a window under `grid`, of palette->blocks bytes, which must stay valid. */
fl_refusal fl_palette_compose(struct fl_map *map, const struct fl_palette *palette,
                              const struct fl_identity *board, const uint8_t *grid);

#endif
