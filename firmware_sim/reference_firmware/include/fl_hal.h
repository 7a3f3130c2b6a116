/* What a port provides: bytes, time, and the sensor. docs/porting-a-board.md goes through it.
 *
 * All of it is called from fl_poll(), never from an interrupt, and must not call back into the
 * firmware. No function may wait: where something takes time it returns and is called again. */
#ifndef FL_HAL_H
#define FL_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The line ------------------------------------------------------------------------------ */

/* Take up to `room` bytes that came in; returns how many. 0 where none waits. */
size_t fl_hal_receive(uint8_t *data, size_t room);

/* Send up to `length` bytes, as many as the line takes at once; returns how many. */
size_t fl_hal_send(const uint8_t *data, size_t length);

/* ---- Time and identity --------------------------------------------------------------------- */

/* A clock that runs on and never goes back, in microseconds. Its zero does not matter. */
uint64_t fl_hal_now_us(void);

/* A number that differs from boot to boot. It is asked for when a host first wants to know it, so a
 * port without a random source can mix the low bits of a fast counter in. */
uint32_t fl_hal_boot_id(void);

/* ---- The sensor ---------------------------------------------------------------------------- */

enum fl_slot {
    FL_SLOT_RUNNING, /* the slot goes on: call again */
    FL_SLOT_OVER,    /* its light is in the pixels */
    FL_SLOT_LATE,    /* it ran on for too long: the window is skipped, and counted as such */
    FL_SLOT_FAILED,  /* the sensor does not work: the run ends and the host is told */
};

/* Begin a window: every pixel is cleared, and open in every slot until fl_hal_open_row says else.
 *
 *   kind      FL_KIND_SCENE; FL_KIND_DARK, no light; FL_KIND_FLAT, even light
 *   light     of FL_KIND_FLAT, 0 to 1; 1 brings a full window to full scale. A board that cannot
 *             set its light ignores it: the user was asked to set it
 *   exposure  windows exposed since boot before this one, read out or not
 *
 * Returns false where the sensor fails; the run then ends and the host is told. */
bool fl_hal_begin_window(unsigned kind, float light, uint32_t exposure);

/* Before slot `slot` of a window with a coded aperture, once for each row `y` from 0: bit x % 8 of
 * open[x / 8] says whether pixel (y, x) takes light in this slot. Not called without an aperture,
 * nor in dark and flat windows. */
void fl_hal_open_row(unsigned slot, unsigned y, const uint8_t *open);

/* How is slot `slot`? Called again and again from the moment it may begin. With a slot rate it is
 * called only once the slot's time is up. */
enum fl_slot fl_hal_slot(unsigned slot);

/* Read the pixels of row `y` whose bit is set in `ends` (as `open` above), from left to right: the
 * code of pixel x goes to codes[x]. Then clear these pixels; the others go on integrating. Called
 * for every row in which a span ends with this slot, from top to bottom. */
void fl_hal_read_row(unsigned y, const uint8_t *ends, uint16_t *codes);

#ifdef __cplusplus
}
#endif

#endif
