/* Packed readouts: stored as they are read, sent, and sent again while they are held.
 *
 * Window k lies in place k modulo FL_HELD_WINDOWS, so a new one takes the place of the oldest. */
#ifndef FL_READOUTS_H
#define FL_READOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "fl_frame.h"
#include "fl_refusal.h"

void fl_readouts_start(void);

/* Number of the next window, and of the oldest one held; equal where none is. */
uint32_t fl_next_window(void);
uint32_t fl_oldest_window(void);

/* Whether the next window's place holds nothing that is still to be sent. */
bool fl_readouts_have_room(void);

/* Give up what the next window's place holds; returns its FL_WINDOW_BYTES. */
uint8_t *fl_readouts_claim(void);

/* The next window is whole: hold it, and send it in its turn. */
void fl_readouts_hold(const uint8_t descriptor[FL_WINDOW_DESCRIPTOR_SIZE], uint32_t total);

/* Send nothing more of the windows held but on request; or not even that. */
void fl_readouts_stop(void);
void fl_readouts_clear(void);

/* RESEND. */
fl_refusal fl_resend(uint32_t window, uint32_t offset, uint32_t length);

/* Put the next frame into `sender`, numbered `sequence`; false where there is none. */
bool fl_readouts_send(struct fl_sender *sender, unsigned sequence, uint32_t max_payload);

#endif
