/* Uploads of maps, masks and palettes, and the commit that activates them.
 *
 * Each kind has two places in memory: one holds the active object, the other receives the next, and
 * a commit swaps them. So the old map stays active until the new one is complete and checked. */
#ifndef FL_UPLOAD_H
#define FL_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "fl_board.h"
#include "fl_refusal.h"

void fl_uploads_start(const struct fl_identity *board);

/* Requests: `body` as received; the answer's body goes to `answer`, its length to `length`. */
fl_refusal fl_upload_begin(const uint8_t *body, uint32_t max_payload, uint8_t *answer,
                           uint32_t *length);
fl_refusal fl_upload_chunk(const uint8_t *body, uint32_t body_length, uint8_t *answer,
                           uint32_t *length);

/* A commit hashes the whole map, so it proceeds step by step while windows are exposed.
 * fl_commit_step returns true when it is done. */
void fl_commit_begin(const uint8_t *body);
bool fl_commit_step(fl_refusal *refusal, uint8_t *answer, uint32_t *length);

/* Longest object accepted, in bytes. */
uint32_t fl_max_upload_bytes(void);

/* Kind of the upload begun last and not committed, or 0, and the next byte it wants. */
unsigned fl_upload_latest(uint32_t *next_offset);

#endif
