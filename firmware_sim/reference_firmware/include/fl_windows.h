/* Runs: windows are exposed slot by slot and read out row by row, as far as credit and memory
 * allow. */
#ifndef FL_WINDOWS_H
#define FL_WINDOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "fl_board.h"
#include "fl_refusal.h"

void fl_windows_start(const struct fl_identity *board);

/* Requests that start runs; *first is the first window's number. Times are microseconds since
 * boot. */
fl_refusal fl_arm(void);
fl_refusal fl_capture(uint32_t count, uint64_t now_us, uint32_t *first);
fl_refusal fl_stream_start(uint32_t credit, uint64_t now_us, uint32_t *first);
fl_refusal fl_stream_credit(uint32_t limit);
fl_refusal fl_even_light(unsigned kind, unsigned level, uint32_t windows, float light,
                         uint64_t now_us, uint32_t *first);

/* The next window to be begun: its map is not fixed yet. */
uint32_t fl_next_begun(void);

/* End the run, and send nothing more of it. */
void fl_windows_stop(void);

/* Undo ARM, as when another map has become active. */
void fl_windows_disarm(void);

/* Do one step of the sensor's work; false if there is nothing to do. *failed is set if the sensor
 * failed, which ends the run. */
bool fl_windows_step(uint64_t now_us, bool *failed);

/* For STATUS. */
unsigned fl_windows_state(void);
uint32_t fl_credit_limit(void);
uint32_t fl_windows_skipped(void);

#endif
