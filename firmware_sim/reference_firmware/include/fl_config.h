/* Memory sizes of the firmware. A port changes them with -DFL_...=... on the compiler's command
 * line; docs/porting-a-board.md lists what they cost. */
#ifndef FL_CONFIG_H
#define FL_CONFIG_H

#include "fl_wire.h"

/* Largest array, in pixels: two ratio maps of half a byte per pixel are stored. */
#ifndef FL_MAX_PIXELS
#define FL_MAX_PIXELS (256u * 256u)
#endif

/* Longest row, in pixels: rows are processed one at a time. */
#ifndef FL_MAX_WIDTH
#define FL_MAX_WIDTH 256u
#endif

/* Largest number of slots per window; relevant only with a coded aperture. */
#ifndef FL_MAX_SLOTS
#define FL_MAX_SLOTS 16u
#endif

/* 1: coded apertures can be uploaded; two are stored, with one bit per pixel and slot. 0: none. */
#ifndef FL_APERTURE
#define FL_APERTURE 1
#endif

/* 1: adaptive maps can be uploaded; two palettes and five grids are stored. 0: none. */
#ifndef FL_ADAPTIVE
#define FL_ADAPTIVE 1
#endif

/* Longest palette of an adaptive map, in bytes. */
#ifndef FL_MAX_PALETTE_BYTES
#define FL_MAX_PALETTE_BYTES 1024u
#endif

/* Longest packed readout of one window, in bytes; a map that reads more is refused. By default two
 * measurements per pixel (r_avg = 1/8) of two bytes each. */
#ifndef FL_WINDOW_BYTES
#define FL_WINDOW_BYTES (2u * 2u * FL_MAX_PIXELS)
#endif

/* Windows whose readouts are stored, 1 to 255; they can be sent again until newer windows need the
 * memory. With 1 the sensor waits while a readout is being sent. */
#ifndef FL_HELD_WINDOWS
#define FL_HELD_WINDOWS 2u
#endif

/* Longest frame body accepted, in bytes, 256 or more. */
#ifndef FL_MAX_PAYLOAD
#define FL_MAX_PAYLOAD FL_DEFAULT_MAX_PAYLOAD
#endif

/* Most blocks of an adaptive map: the grids that a frame can hold. */
#ifndef FL_MAX_BLOCKS
#define FL_MAX_BLOCKS (FL_ADAPTIVE ? FL_MAX_PAYLOAD - FL_GRID_REQUEST_SIZE : 1u)
#endif

/* Requests that a host may have unanswered, and repairs that may wait, 1 to 255. Use few on a line
 * so slow that many would queue for longer than a host waits for answers. */
#ifndef FL_IN_FLIGHT
#define FL_IN_FLIGHT FL_MAX_IN_FLIGHT
#endif

/* Sizes that follow from these. */
#define FL_MAX_LEVELS 16u
#define FL_MAP_BYTES (10u + FL_MAX_LEVELS + (FL_MAX_PIXELS + 1u) / 2u)
#define FL_MASK_BYTES ((FL_MAX_SLOTS * FL_MAX_PIXELS + 7u) / 8u)
#define FL_FRAME_BYTES (FL_MAX_PAYLOAD + FL_FRAME_OVERHEAD)
#define FL_CODE_BYTES (FL_FRAME_BYTES + FL_FRAME_BYTES / 254u + 1u)

_Static_assert(FL_MAX_PAYLOAD >= FL_MIN_MAX_PAYLOAD && FL_MAX_PAYLOAD <= 65535u - FL_FRAME_OVERHEAD,
               "a board takes bodies of 256 to 65524 bytes");
_Static_assert(FL_MAX_BLOCKS <= FL_MAX_PAYLOAD - FL_GRID_REQUEST_SIZE, "a grid fits a frame");
_Static_assert(FL_HELD_WINDOWS >= 1 && FL_HELD_WINDOWS <= 255, "1 to 255 windows can be held");
_Static_assert(FL_IN_FLIGHT >= 1 && FL_IN_FLIGHT <= 255, "1 to 255 requests can be in flight");

#endif
