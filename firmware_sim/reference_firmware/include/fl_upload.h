/* Objects on their way to the board, and the one step that puts them to use.
 *
 * Each kind has two places in memory: the active object lies in one, the next is received in the
 * other, and a commit swaps them. So the old map runs until the new one is whole and checked. */
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

/* A commit hashes all of the map, so it is begun, and then goes on step by step while windows are
 * exposed. fl_commit_step returns true when it is done. */
void fl_commit_begin(const uint8_t *body);
bool fl_commit_step(fl_refusal *refusal, uint8_t *answer, uint32_t *length);

/* Longest object taken, in bytes. */
uint32_t fl_max_upload_bytes(void);

/* Kind of the upload begun last and not committed, 0 where there is none, and its next byte. */
unsigned fl_upload_latest(uint32_t *next_offset);

#endif
