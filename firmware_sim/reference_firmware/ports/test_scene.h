/* A sensor for ports without one: pixels that integrate a scene of whole numbers.
 *
 * In the k-th exposure from 0, pixel (y, x) has in slot t the brightness
 * (t*H*W + y*W + x + k) mod 256, where 255 is white. A read is the exact sum over the span, as with
 * the emulator's profile `ideal`: black level 0, full scale 255*T. A board of up to 8 bits reads the
 * sum divided by T, rounded down. */
#ifndef FL_TEST_SCENE_H
#define FL_TEST_SCENE_H

#include "fl_board.h"

/* Code of a full window of white, from the board's slots and bits. */
float fl_scene_full_scale(const struct fl_identity *identity);

void fl_scene_start(const struct fl_identity *identity);

/* For tests: every `late_every`-th exposure is late in its fourth slot, and exposure number
 * `fails_at`, counted from 1, fails; 0 is never. */
void fl_scene_misbehave(uint32_t late_every, uint32_t fails_at);

#endif
