/* Runs the test vectors (tests/vectors) through the modules of the firmware: one command per line of
 * standard input, results on standard output, byte strings in hexadecimal ("-" is none).
 *
 *     encode TYPE FLAGS SEQUENCE BODY          the frame's bytes on the line
 *     decode LINE                              one line per frame, then the number of bad frames
 *     map SLOTS LEVEL_SET HEIGHT WIDTH OBJECT MASK   hash and reads, then the plan, slot by slot
 *     grid SLOTS LEVEL_SET HEIGHT WIDTH OBJECT PALETTE GRID   hash of the adaptive map, and as above
 *     fields                                   fields of bodies: message, name, offset, size */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fl_frame.h"
#include "fl_map.h"
#include "fl_palette.h"
#include "fl_wire.h"

enum { MAX_WORDS = 9, MAX_BYTES = 1 << 16 };

static char text[4 * MAX_BYTES];

static uint32_t unhex(const char *digits, uint8_t *bytes)
{
    uint32_t count = 0;
    unsigned byte;
    while (count < MAX_BYTES && sscanf(digits + 2 * count, "%2x", &byte) == 1)
        bytes[count++] = (uint8_t)byte;
    return count;
}

static void hex(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        printf("%02x", bytes[i]);
}

static void encode(char **words)
{
    static struct fl_sender sender;
    static uint8_t body[MAX_BYTES];
    uint32_t length = unhex(words[4], body);
    fl_frame_begin(&sender, (unsigned)atoi(words[1]), (unsigned)atoi(words[2]),
                   (unsigned)atoi(words[3]), length);
    fl_frame_add(&sender, body, length);
    fl_frame_end(&sender);
    hex(sender.code, sender.length);
    printf("\n");
}

static void decode(char **words)
{
    static struct fl_receiver receiver;
    static uint8_t line[MAX_BYTES];
    uint32_t length = unhex(words[1], line);
    struct fl_frame frame;
    memset(&receiver, 0, sizeof receiver);
    for (uint32_t i = 0; i < length; i++) {
        if (!fl_feed(&receiver, line[i], &frame))
            continue;
        printf("%u %u %u %u ", frame.version, frame.type, frame.flags, frame.sequence);
        hex(frame.body, frame.length);
        printf("\n");
    }
    printf("bad %u\n", receiver.bad);
}

static void print_plan(const struct fl_map *map, const struct fl_identity *board)
{
    uint8_t indices[FL_MAX_WIDTH];
    for (unsigned slot = 0; slot < board->slots; slot++) {
        printf("slot");
        for (unsigned y = 0; y < board->height; y++) {
            fl_map_row(map, board, y, indices);
            for (unsigned x = 0; x < board->width; x++)
                if (fl_span_ends(board, indices[x], slot))
                    printf(" %u", y * board->width + x);
        }
        printf("\n");
    }
}

/* Show a map with its mask or, if there is a fourth word after its size, a palette and a grid. */
static void show_map(char **words, bool adaptive)
{
    static uint8_t level_set[MAX_BYTES], object[MAX_BYTES], mask[MAX_BYTES], grid[MAX_BYTES];
    struct fl_identity board = {
        .slots = (uint8_t)atoi(words[1]),
        .level_set = level_set,
        .level_count = (uint8_t)unhex(words[2], level_set),
        .height = (uint16_t)atoi(words[3]),
        .width = (uint16_t)atoi(words[4]),
        .bits = 16,
    };
    struct fl_map map, composed;
    struct fl_map_check check;
    struct fl_palette palette;
    fl_refusal refusal = fl_map_open(&map, &board, object, unhex(words[5], object));
    if (!refusal) {
        uint32_t length = unhex(words[6], mask);
        map.mask = !adaptive && length > 0 ? mask : NULL;
        fl_map_check_start(&check, &map, &board);
        while (!fl_map_check_step(&check, &board, &refusal))
            ;
        if (!refusal && adaptive)
            refusal = fl_palette_open(&palette, &map, &board, mask, length);
        if (!refusal && adaptive && unhex(words[7], grid) == palette.blocks)
            refusal = fl_palette_compose(&composed, &palette, &board, grid);
    }
    if (refusal) {
        printf("refused %u\n", refusal);
        return;
    }
    if (adaptive) {
        hex(palette.hash, sizeof palette.hash);
        printf(" ");
        map = composed;
    }
    hex(map.hash, sizeof map.hash);
    printf(" %u\n", map.reads);
    print_plan(&map, &board);
}

static void list_fields(void)
{
#define LIST(message, name, offset, size) printf("%s %s %d %d\n", message, name, offset, size);
    FL_WIRE_FIELDS(LIST)
}

int main(void)
{
    char *words[MAX_WORDS];
    while (fgets(text, sizeof text, stdin)) {
        int count = 0;
        for (char *word = strtok(text, " \n"); word && count < MAX_WORDS;
             word = strtok(NULL, " \n"))
            words[count++] = word;
        if (count == 5 && strcmp(words[0], "encode") == 0)
            encode(words);
        else if (count == 2 && strcmp(words[0], "decode") == 0)
            decode(words);
        else if (count == 7 && strcmp(words[0], "map") == 0)
            show_map(words, false);
        else if (count == 8 && strcmp(words[0], "grid") == 0)
            show_map(words, true);
        else if (count == 1 && strcmp(words[0], "fields") == 0)
            list_fields();
        else
            return 2;
        printf(".\n");
        fflush(stdout);
    }
    return 0;
}
