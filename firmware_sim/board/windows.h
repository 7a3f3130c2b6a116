/* Windows: exposed slot by slot, stored as packed readouts, sent and sent again. */
#ifndef FL_WINDOWS_H
#define FL_WINDOWS_H

#include "frame.h"
#include "map.h"

void fl_windows_start(const struct fl_identity *board);

/* Requests that start and stop runs. Times are microseconds since boot. */
fl_refusal fl_arm(void);
fl_refusal fl_capture(uint32_t count, uint64_t now_us, uint32_t *first);
fl_refusal fl_stream_start(uint32_t credit, uint64_t now_us, uint32_t *first);
fl_refusal fl_stream_credit(uint32_t limit);
fl_refusal fl_even_light(unsigned kind, unsigned level, uint32_t windows, float light,
                         uint64_t now_us, uint32_t *first);
fl_refusal fl_resend(uint32_t window, uint32_t offset, uint32_t length);

/* End the run, and forget what was still to be sent of it; returns the next window's number. */
uint32_t fl_windows_stop(void);

/* Forget repairs too: a new session. */
void fl_windows_clear(void);

/* A new map is active: nothing is armed. */
void fl_windows_disarm(void);

/* The memory at `map` is about to be written: a window being exposed under it is skipped. */
void fl_windows_release(const struct fl_map *map);

/* Put the next frame into `sender`, numbered `sequence`; false where there is none. */
bool fl_windows_send(struct fl_sender *sender, unsigned sequence, uint32_t max_payload);

/* Do a little of what the sensor has to do now; false where there is nothing. *failed is set where
 * the sensor failed: the run has ended then. */
bool fl_windows_step(uint64_t now_us, bool *failed);

/* For STATUS. */
struct fl_windows_status {
    unsigned state;
    uint32_t next_window, oldest_window, credit_limit, skipped;
};

void fl_windows_status(struct fl_windows_status *status);

#endif
