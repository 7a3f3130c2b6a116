#include "fl_map.h"

#include "fl_bytes.h"
#include "fl_palette.h"

/* Bytes of an aperture that are hashed in one step. */
enum { STEP_BYTES = 256 };

fl_refusal fl_map_open(struct fl_map *map, const struct fl_identity *board, const uint8_t *object,
                       uint32_t length)
{
    uint32_t sides = 2u + board->level_count;
    if (length < sides + 8 || object[0] != board->slots || object[1] != board->level_count
        || memcmp(object + 2, board->level_set, board->level_count) != 0)
        return fl_refuse(FL_ERR_BAD_MAP, "the map does not have this board's % slots and % levels",
                         board->slots, board->level_count, 0);
    object += sides;
    if (fl_get16(object) != board->height || fl_get16(object + 2) != board->width)
        return fl_refuse(FL_ERR_BAD_MAP, "the map is not for this board's %x% pixels",
                         board->width, board->height, 0);
    map->tile_height = fl_get16(object + 4);
    map->tile_width = fl_get16(object + 6);
    map->cells = object + 8;
    map->palette = NULL;
    map->mask = NULL;
    if (map->tile_height == 0 || map->tile_height > board->height || map->tile_width == 0
        || map->tile_width > board->width)
        return fl_refuse(FL_ERR_BAD_MAP, "a tile of %x% pixels does not fit the array",
                         map->tile_width, map->tile_height, 0);
    uint32_t bytes = ((uint32_t)map->tile_height * map->tile_width + 1) / 2;
    if (length != sides + 8 + bytes)
        return fl_refuse(FL_ERR_BAD_MAP, "the map's tile has % bytes, not %", bytes,
                         length - sides - 8, 0);
    return 0;
}

void fl_map_uniform(struct fl_map *map, uint8_t *cell, unsigned index)
{
    *cell = (uint8_t)index;
    *map = (struct fl_map){.cells = cell, .tile_height = 1, .tile_width = 1};
}

uint32_t fl_mask_bytes(const struct fl_identity *board)
{
    return ((uint32_t)board->slots * board->height * board->width + 7) / 8;
}

/* Iterates over the level indices of a row, which are stored two per byte. */
struct walk {
    const uint8_t *cells;
    uint32_t first, cell, end;
    uint32_t left; /* pixels up to the next block */
    const struct fl_palette *palette;
    const uint8_t *grid; /* of that block */
};

static struct walk walk_row(const struct fl_map *map, unsigned y)
{
    uint32_t first = y % map->tile_height * (uint32_t)map->tile_width;
    struct walk walk = {map->cells,   first, first, first + map->tile_width, UINT32_MAX,
                        map->palette, NULL};
    if (map->palette) {
        walk.left = 0;
        walk.grid = map->grid + y / map->palette->block * map->palette->columns;
    }
    return walk;
}

static inline unsigned next_index(struct walk *walk)
{
    if (walk->left == 0) {
        walk->cells = walk->palette->tiles + *walk->grid++ * walk->palette->tile_bytes;
        walk->left = walk->palette->block;
    }
    walk->left--;
    unsigned index = walk->cells[walk->cell / 2] >> 4 * (walk->cell % 2) & 15;
    if (++walk->cell == walk->end)
        walk->cell = walk->first;
    return index;
}

void fl_map_row(const struct fl_map *map, const struct fl_identity *board, unsigned y,
                uint8_t *indices)
{
    struct walk walk = walk_row(map, y);
    for (unsigned x = 0; x < board->width; x++)
        indices[x] = (uint8_t)next_index(&walk);
}

bool fl_map_ends(const struct fl_map *map, const struct fl_identity *board, unsigned y,
                 unsigned ending, uint8_t *ends)
{
    struct walk walk = walk_row(map, y);
    unsigned width = board->width, any = 0;
    for (unsigned x = 0; x < width; ends++) {
        unsigned bits = 0;
        for (unsigned bit = 0; bit < 8 && x < width; bit++, x++)
            bits |= (ending >> next_index(&walk) & 1) << bit;
        *ends = (uint8_t)bits;
        any |= bits;
    }
    return any != 0;
}

void fl_mask_row(const struct fl_map *map, const struct fl_identity *board, unsigned slot,
                 unsigned y, uint8_t *open)
{
    uint32_t bit = ((uint32_t)slot * board->height + y) * board->width;
    memset(open, 0, (board->width + 7u) / 8);
    for (uint32_t x = 0; x < board->width; x++, bit++)
        open[x / 8] |= (uint8_t)((map->mask[bit / 8] >> bit % 8 & 1) << x % 8);
}

bool fl_span_ends(const struct fl_identity *board, unsigned index, unsigned slot)
{
    unsigned level = board->level_set[index];
    return level > 0 && (slot + 1) % (board->slots / level) == 0;
}

void fl_map_check_start(struct fl_map_check *check, struct fl_map *map,
                        const struct fl_identity *board)
{
    uint8_t sides[4];
    fl_put16(sides, board->height);
    fl_put16(sides + 2, board->width);
    check->map = map;
    check->row = check->mask = 0;
    check->opens = map->mask == NULL;
    map->reads = 0;
    fl_sha256_start(&check->hash);
    fl_sha256_add(&check->hash, &board->slots, 1);
    fl_sha256_add(&check->hash, &board->level_count, 1);
    fl_sha256_add(&check->hash, board->level_set, board->level_count);
    fl_sha256_add(&check->hash, sides, sizeof sides);
}

static bool check_row(struct fl_map_check *check, const struct fl_identity *board)
{
    uint8_t levels[FL_MAX_WIDTH];
    fl_map_row(check->map, board, check->row++, levels);
    for (unsigned x = 0; x < board->width; x++) {
        if (levels[x] >= board->level_count)
            return false;
        levels[x] = board->level_set[levels[x]];
        check->map->reads += levels[x];
    }
    fl_sha256_add(&check->hash, levels, board->width);
    return true;
}

/* Whether byte `at` of the aperture opens a pixel that is measured. */
static bool opens_in(const struct fl_map *map, const struct fl_identity *board, uint32_t at)
{
    uint32_t pixels = (uint32_t)board->height * board->width;
    for (unsigned bit = 0; bit < 8; bit++) {
        uint32_t place = 8 * at + bit, pixel = place % pixels;
        if (place >= board->slots * pixels || !(map->mask[at] >> bit & 1))
            continue;
        uint32_t cell = pixel / board->width % map->tile_height * map->tile_width
                        + pixel % board->width % map->tile_width;
        if (board->level_set[map->cells[cell / 2] >> 4 * (cell % 2) & 15] > 0)
            return true;
    }
    return false;
}

bool fl_map_check_step(struct fl_map_check *check, const struct fl_identity *board,
                       fl_refusal *refusal)
{
    struct fl_map *map = check->map;
    *refusal = 0;
    if (check->row < board->height) {
        if (check_row(check, board))
            return false;
        *refusal = fl_refuse(FL_ERR_BAD_MAP, "a pixel of row % is not one of the % levels",
                             check->row - 1, board->level_count, 0);
        return true;
    }
    uint32_t total = map->mask ? fl_mask_bytes(board) : 0;
    if (check->mask == 0)
        fl_sha256_add(&check->hash, &(uint8_t){map->mask != NULL}, 1);
    if (check->mask < total) {
        uint32_t count = fl_min(STEP_BYTES, total - check->mask);
        fl_sha256_add(&check->hash, map->mask + check->mask, count);
        for (; count > 0; count--, check->mask++)
            if (!check->opens && map->mask[check->mask])
                check->opens = opens_in(map, board, check->mask);
        return false;
    }
    fl_sha256_end(&check->hash, map->hash);
    if (map->reads == 0 || !check->opens) {
        *refusal = fl_refuse(FL_ERR_BAD_MAP, "the map measures nothing", 0, 0, 0);
        return true;
    }
    uint32_t bytes = map->reads * (board->bits > 8 ? 2u : 1u);
    if (bytes > FL_WINDOW_BYTES)
        *refusal = fl_refuse(FL_ERR_BAD_MAP,
                             "the map makes readouts of % bytes; this board can store %", bytes,
                             FL_WINDOW_BYTES, 0);
    return true;
}
