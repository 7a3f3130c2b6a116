/* What a port calls: describe the board, then poll forever.
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

/* What the board is, as stated in HELLO. Texts are UTF-8 of at most 60 bytes. */
struct fl_identity {
    const char *name;          /* of the board, for people */
    const char *firmware;      /* name and version of the port */
    const char *serial;        /* serial number; "" if there is none */
    uint16_t height;           /* rows of the array */
    uint16_t width;            /* pixels per row, at most FL_MAX_WIDTH */
    uint8_t slots;             /* T, slots per window */
    uint8_t bits;              /* of the converter, 1 to 16; above 8 samples take two bytes */
    uint8_t level_count;       /* levels in level_set, 1 to 16 */
    const uint8_t *level_set;  /* ascending; each above 0 divides slots */
    float black_level_dn;      /* code of no light */
    float full_scale_dn;       /* codes above black for a full window of white */
    uint32_t slot_rate_hz;     /* slots per second; 0: windows are exposed as fast as they are sent */
    uint32_t features;         /* FL_FEATURE_APERTURE, FL_FEATURE_CALIBRATION, FL_FEATURE_ADAPTIVE */
    const uint8_t *start_map;  /* map object that is active after a boot; none if NULL or invalid */
    uint32_t start_map_length; /* its length in bytes */
};

/* Boot, or reboot. `identity` must stay valid. Returns false if it exceeds the memory configured in
 * fl_config.h or violates the protocol, which is an error in the port. */
bool fl_start(const struct fl_identity *identity);

/* Do one step of the work: answer a request, send a frame, read a row. Returns false if there was
 * nothing to do; a port may then sleep until a byte arrives or a slot ends. */
bool fl_poll(void);

#ifdef __cplusplus
}
#endif

#endif
