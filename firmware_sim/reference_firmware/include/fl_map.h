/* A ratio map in memory: the uploaded map object, or a palette under a grid, read in place. */
#ifndef FL_MAP_H
#define FL_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "fl_board.h"
#include "fl_config.h"
#include "fl_refusal.h"
#include "fl_sha256.h"

struct fl_palette;

struct fl_map {
    const uint8_t *cells;             /* level indices of the tile, two per byte; */
    const struct fl_palette *palette; /* or, unless NULL, tiles */
    const uint8_t *grid;              /* and which of them each block takes */
    uint16_t tile_height, tile_width; /* repeated from the top left corner */
    const uint8_t *mask;              /* coded aperture, slot by slot, or NULL */
    uint32_t reads;                   /* measurements per window */
    uint8_t hash[FL_HASH_BYTES];
};

/* Read the head of a map object and check it against the array. Cells, aperture and hash are left
 * to fl_map_check. */
fl_refusal fl_map_open(struct fl_map *map, const struct fl_identity *board, const uint8_t *object,
                       uint32_t length);

/* Make a map of `level_set[index]` everywhere; `cell` is a byte that must stay valid. */
void fl_map_uniform(struct fl_map *map, uint8_t *cell, unsigned index);

/* Bytes of a packed aperture. */
uint32_t fl_mask_bytes(const struct fl_identity *board);

/* Level indices of row `y`. */
void fl_map_row(const struct fl_map *map, const struct fl_identity *board, unsigned y,
                uint8_t *indices);

/* Find the pixels of row `y` that are read: if bit i of `ending` is set, those of level index i get
 * their bits in `ends`, from bit 0. Returns whether there are any. */
bool fl_map_ends(const struct fl_map *map, const struct fl_identity *board, unsigned y,
                 unsigned ending, uint8_t *ends);

/* Bits of row `y` of the aperture in `slot`, from bit 0. */
void fl_mask_row(const struct fl_map *map, const struct fl_identity *board, unsigned slot,
                 unsigned y, uint8_t *open);

/* Whether the span of a pixel of level index `index` ends with `slot`. */
bool fl_span_ends(const struct fl_identity *board, unsigned index, unsigned slot);

/* Checks a whole map step by step: whether all cells are levels, how many measurements they make,
 * whether the aperture opens for any of them, and what the map hash is. */
struct fl_map_check {
    struct fl_map *map;
    uint32_t row;  /* next row of levels */
    uint32_t mask; /* next byte of the aperture */
    bool opens;    /* whether light reaches a pixel that is measured, as far as that is known */
    struct fl_sha256 hash;
};

void fl_map_check_start(struct fl_map_check *check, struct fl_map *map,
                        const struct fl_identity *board);

/* Check one row, or a piece of the aperture. Returns true when done: map->reads and map->hash are
 * set, or *refusal says what is wrong. */
bool fl_map_check_step(struct fl_map_check *check, const struct fl_identity *board,
                       fl_refusal *refusal);

#endif
