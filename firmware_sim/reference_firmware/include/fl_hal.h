/* What a port provides: bytes, time and the sensor. docs/porting-a-board.md explains it.
 *
 * These functions are called from fl_poll(), never from an interrupt, and must not call back into
 * the firmware. They must not wait: if something takes time, they return and are called again. */
#ifndef FL_HAL_H
#define FL_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The line ------------------------------------------------------------------------------ */

/* Store up to `room` received bytes in `data`; returns how many. 0 if there are none. */
size_t fl_hal_receive(uint8_t *data, size_t room);

/* Send up to `length` bytes, as many as the line takes now; returns how many. */
size_t fl_hal_send(const uint8_t *data, size_t length);

/* ---- Time and identity --------------------------------------------------------------------- */

/* A clock in microseconds that never goes back. Its zero does not matter. */
uint64_t fl_hal_now_us(void);

/* A number that differs from boot to boot. It is read when a host first needs it, so a port without
 * a random source can mix in the low bits of a fast counter. */
uint32_t fl_hal_boot_id(void);

/* ---- The sensor ---------------------------------------------------------------------------- */

enum fl_slot {
    FL_SLOT_RUNNING, /* not over: call again */
    FL_SLOT_OVER,    /* over: its light is in the pixels */
    FL_SLOT_LATE,    /* over for too long: the window is skipped, and counted as skipped */
    FL_SLOT_FAILED,  /* the sensor has failed: the run ends and the host gets a log line */
};

/* Begin a window: clear every pixel, and open it for every slot until fl_hal_open_row says
 * otherwise.
 *
 *   kind      FL_KIND_SCENE; FL_KIND_DARK, no light; FL_KIND_FLAT, even light
 *   light     for FL_KIND_FLAT, 0 to 1; 1 exposes a full window to full scale. A board that cannot
 *             set its light ignores it: the user has been asked to set it
 *   exposure  windows exposed since boot before this one, read out or not
 *
 * Returns false if the sensor has failed; the run then ends and the host gets a log line. */
bool fl_hal_begin_window(unsigned kind, float light, uint32_t exposure);

/* Before slot `slot` of a window with a coded aperture, once per row `y` from 0: bit x % 8 of
 * open[x / 8] says whether pixel (y, x) takes light in this slot. Not called without an aperture or
 * in dark and flat windows. */
void fl_hal_open_row(unsigned slot, unsigned y, const uint8_t *open);

/* State of slot `slot`. Called repeatedly from the moment it may begin; with a slot rate, only once
 * the slot's time is up. */
enum fl_slot fl_hal_slot(unsigned slot);

/* Read the pixels of row `y` whose bit is set in `ends` (ordered as `open` above): store the code of
 * pixel x in codes[x]. Then clear these pixels; the others continue to integrate. Called for every
 * row in which a span ends with this slot, from top to bottom. */
void fl_hal_read_row(unsigned y, const uint8_t *ends, uint16_t *codes);

#ifdef __cplusplus
}
#endif

#endif
