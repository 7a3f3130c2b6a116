/* The firmware as a port sees it: say what the board is, then poll for ever.
 *
 *     int main(void)
 *     {
 *         start_clock_and_uart();
 *         fl_start(&identity);
 *         for (;;)
 *             fl_poll();
 *     }
 */
#ifndef FL_BOARD_H
#define FL_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the board is, as HELLO tells it. Texts are UTF-8 of 60 bytes at most. */
struct fl_identity {
    const char *name;          /* of the board, for people */
    const char *firmware;      /* name and version of the port */
    const char *serial;        /* serial number; "" where there is none */
    uint16_t height;           /* rows of the array */
    uint16_t width;            /* pixels a row, FL_MAX_WIDTH at most */
    uint8_t slots;             /* T, slots a window */
    uint8_t bits;              /* of the converter, 1 to 16; above 8 samples take two bytes */
    uint8_t level_count;       /* levels in level_set, 1 to 16 */
    const uint8_t *level_set;  /* ascending; each above 0 divides slots */
    float black_level_dn;      /* code of no light */
    float full_scale_dn;       /* codes above black for a full window of white */
    uint32_t slot_rate_hz;     /* slots a second; 0: exposed as fast as they can be sent */
    uint32_t features;         /* FL_FEATURE_APERTURE, FL_FEATURE_CALIBRATION */
    const uint8_t *start_map;  /* map object that is active after a boot; none if NULL, or no map */
    uint32_t start_map_length; /* its bytes */
};

/* Boot, or boot again. Returns false where `identity`, which must stay where it is, does not fit
 * the memory that fl_config.h gives or the protocol: a mistake of the port. */
bool fl_start(const struct fl_identity *identity);

/* Do a little of what there is to do: answer a request, send a frame, read a row. Returns false if
 * there was nothing, so that a port may sleep until a byte comes or a slot ends. */
bool fl_poll(void);

#ifdef __cplusplus
}
#endif

#endif
