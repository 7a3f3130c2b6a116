/* A sensor for ports without one: pixels that integrate a scene made of whole numbers.
 *
 * Brightness of pixel (y, x) in slot t, 255 is white, in the k-th exposure from 0:
 * (t*H*W + y*W + x + k) mod 256. Its read-out is the exact sum over the span, what the emulator's
 * profile `ideal` reads: black level 0, full scale 255*T. A board of 8 bits gets the sum divided by
 * T, rounded down. */
#ifndef FL_TEST_SCENE_H
#define FL_TEST_SCENE_H

#include "fl_board.h"

/* Codes for a full window of white, by the board's slots and bits. */
float fl_scene_full_scale(const struct fl_identity *identity);

void fl_scene_start(const struct fl_identity *identity);

/* For tests: every `late_every`-th exposure is late in its fourth slot, and exposure `fails_at`
 * fails, counted from 1; 0 is never. */
void fl_scene_misbehave(uint32_t late_every, uint32_t fails_at);

#endif
