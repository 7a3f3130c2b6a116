/* Packed readouts: stored while they are read, sent, and sent again as long as they are held.
 *
 * Window k is stored in place k modulo FL_HELD_WINDOWS, so a new one replaces the oldest. */
#ifndef FL_READOUTS_H
#define FL_READOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "fl_frame.h"
#include "fl_refusal.h"

void fl_readouts_start(void);

/* Numbers of the next window and of the oldest held window; equal if none is held. */
uint32_t fl_next_window(void);
uint32_t fl_oldest_window(void);

/* Whether the next window's place contains nothing that is still to be sent. */
bool fl_readouts_have_room(void);

/* Discard the window in the next window's place; returns its FL_WINDOW_BYTES of memory. */
uint8_t *fl_readouts_claim(void);

/* The next window is complete: hold it, and send it in its turn. */
void fl_readouts_hold(const uint8_t descriptor[FL_WINDOW_DESCRIPTOR_SIZE], uint32_t total);

/* Send held windows only on request from here on; or drop those requests as well. */
void fl_readouts_stop(void);
void fl_readouts_clear(void);

/* RESEND. */
fl_refusal fl_resend(uint32_t window, uint32_t offset, uint32_t length);

/* Put the next frame into `sender`, with number `sequence`; false if there is none. */
bool fl_readouts_send(struct fl_sender *sender, unsigned sequence, uint32_t max_payload);

#endif
