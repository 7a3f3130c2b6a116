/* What a board answers: who it is, how it is, and what became of a request. */
#ifndef FL_REQUESTS_H
#define FL_REQUESTS_H

#include "fl_board.h"
#include "fl_config.h"
#include "fl_frame.h"
#include "fl_refusal.h"

/* Longest text of HELLO. */
enum { FL_MAX_NAME_BYTES = 60 };

/* Longest HELLO answer: header, level set, tail, three texts with their lengths. */
enum {
    FL_HELLO_BYTES = FL_HELLO_ANSWER_SIZE + 1 + FL_MAX_LEVELS + FL_HELLO_ANSWER_TAIL_SIZE
                     + 3 * (1 + FL_MAX_NAME_BYTES)
};

void fl_requests_start(const struct fl_identity *board);

/* Longest body, as this session's HELLO agreed. */
uint32_t fl_payload(void);

/* Start a session. The answer's body goes to `body`, of FL_HELLO_BYTES. */
fl_refusal fl_hello(const struct fl_frame *request, uint8_t *body, uint32_t *length);

/* Whether another request is one that this board knows, of the right length. */
fl_refusal fl_check_request(const struct fl_frame *request);

/* Carry out a request that passed: all but HELLO, UPLOAD_COMMIT and RESET. `now_us` is since boot;
 * the answer's body, no longer than FL_STATUS_ANSWER_SIZE, goes to `body`. */
fl_refusal fl_carry_out(const struct fl_frame *request, uint64_t now_us,
                        const struct fl_receiver *receiver, uint8_t *body, uint32_t *length);

#endif
