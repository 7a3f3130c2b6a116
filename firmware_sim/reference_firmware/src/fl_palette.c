#include "fl_palette.h"

#include "fl_bytes.h"

/* Bytes of a palette object after the level set and before the tiles. */
enum { HEAD_BYTES = 10 };

static unsigned index_at(const uint8_t *tile, uint32_t cell)
{
    return tile[cell / 2] >> 4 * (cell % 2) & 15;
}

/* Whether all cells are levels, and unused halves are zero. */
static bool is_whole(const struct fl_palette *palette, const struct fl_identity *board)
{
    uint32_t cells = (uint32_t)palette->tile_height * palette->tile_width;
    for (unsigned i = 0; i < palette->count; i++) {
        const uint8_t *tile = palette->tiles + i * palette->tile_bytes;
        for (uint32_t cell = 0; cell < cells; cell++)
            if (index_at(tile, cell) >= board->level_count)
                return false;
        if (cells % 2 && index_at(tile, cells) != 0)
            return false;
    }
    return true;
}

fl_refusal fl_palette_open(struct fl_palette *palette, const struct fl_map *resting,
                           const struct fl_identity *board, const uint8_t *object, uint32_t length)
{
    uint32_t sides = 2u + board->level_count;
    const uint8_t *head = object + sides;
    if (resting->mask)
        return fl_refuse(FL_ERR_BAD_MAP, "a map with a coded aperture cannot rest under a palette",
                         0, 0, 0);
    if (length < sides + HEAD_BYTES || object[0] != board->slots
        || object[1] != board->level_count
        || memcmp(object + 2, board->level_set, board->level_count) != 0
        || fl_get16(head) != board->height || fl_get16(head + 2) != board->width)
        return fl_refuse(FL_ERR_BAD_MAP,
                         "the palette is not for this board's %x% pixels and % slots", board->width,
                         board->height, board->slots);
    palette->block = head[4];
    palette->count = head[5];
    palette->tile_height = fl_get16(head + 6);
    palette->tile_width = fl_get16(head + 8);
    palette->tiles = head + HEAD_BYTES;
    palette->tile_bytes = ((uint32_t)palette->tile_height * palette->tile_width + 1) / 2;
    if (palette->block == 0 || palette->count == 0 || palette->tile_height == 0
        || palette->tile_height > board->height || palette->tile_width == 0
        || palette->tile_width > board->width)
        return fl_refuse(FL_ERR_BAD_MAP,
                         "a palette of % tiles of %x% pixels does not fit the array", palette->count,
                         palette->tile_width, palette->tile_height);
    if (length - sides - HEAD_BYTES != palette->count * palette->tile_bytes
        || !is_whole(palette, board))
        return fl_refuse(FL_ERR_BAD_MAP, "the palette's % bytes are not % tiles of levels", length,
                         palette->count, 0);
    palette->columns = (uint16_t)((board->width + palette->block - 1u) / palette->block);
    palette->blocks = (board->height + palette->block - 1u) / palette->block * palette->columns;
    if (palette->blocks > FL_MAX_BLOCKS)
        return fl_refuse(FL_ERR_BAD_MAP,
                         "a grid has % blocks; this board stores %: use larger blocks",
                         palette->blocks, FL_MAX_BLOCKS, 0);
    struct fl_sha256 hash;
    fl_sha256_start(&hash);
    fl_sha256_add(&hash, resting->hash, FL_HASH_BYTES);
    fl_sha256_add(&hash, object, length);
    fl_sha256_end(&hash, palette->hash);
    return 0;
}

/* How many of the numbers from `start` to below `stop` are `rest` modulo `period`. */
static uint32_t count_of(uint32_t start, uint32_t stop, uint32_t rest, uint32_t period)
{
    return (stop + period - 1 - rest) / period - (start + period - 1 - rest) / period;
}

/* Measurements in the block whose pixels are in rows y to `bottom` and columns x to `right`. */
static uint32_t reads_of(const struct fl_palette *palette, const struct fl_identity *board,
                         const uint8_t *tile, uint32_t y, uint32_t x)
{
    uint32_t bottom = fl_min(y + palette->block, board->height), reads = 0;
    uint32_t right = fl_min(x + palette->block, board->width), cell = 0;
    for (uint32_t i = 0; i < palette->tile_height; i++) {
        uint32_t rows = count_of(y, bottom, i, palette->tile_height);
        for (uint32_t j = 0; j < palette->tile_width; j++, cell++)
            if (rows > 0)
                reads += board->level_set[index_at(tile, cell)] * rows
                         * count_of(x, right, j, palette->tile_width);
    }
    return reads;
}

fl_refusal fl_palette_compose(struct fl_map *map, const struct fl_palette *palette,
                              const struct fl_identity *board, const uint8_t *grid)
{
    uint32_t reads = 0;
    for (uint32_t i = 0; i < palette->blocks; i++) {
        if (grid[i] >= palette->count)
            return fl_refuse(FL_ERR_BAD_ARGUMENT, "block % of the grid names tile % of % tiles", i,
                             grid[i], palette->count);
        reads += reads_of(palette, board, palette->tiles + grid[i] * palette->tile_bytes,
                          i / palette->columns * palette->block,
                          i % palette->columns * palette->block);
    }
    uint32_t bytes = reads * (board->bits > 8 ? 2u : 1u);
    if (reads == 0 || bytes > FL_WINDOW_BYTES)
        return fl_refuse(FL_ERR_BAD_ARGUMENT,
                         "the grid makes readouts of % bytes; this board can store 1 to %", bytes,
                         FL_WINDOW_BYTES, 0);
    struct fl_sha256 hash;
    *map = (struct fl_map){.palette = palette,
                           .grid = grid,
                           .tile_height = palette->tile_height,
                           .tile_width = palette->tile_width,
                           .reads = reads};
    fl_sha256_start(&hash);
    fl_sha256_add(&hash, palette->hash, FL_HASH_BYTES);
    fl_sha256_add(&hash, grid, palette->blocks);
    fl_sha256_end(&hash, map->hash);
    return 0;
}
