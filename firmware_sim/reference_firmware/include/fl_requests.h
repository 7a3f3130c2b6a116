/* Answers to requests, by their type: the board's identity, its status, and results. */
#ifndef FL_REQUESTS_H
#define FL_REQUESTS_H

#include "fl_board.h"
#include "fl_config.h"
#include "fl_frame.h"
#include "fl_refusal.h"

/* Longest text in HELLO. */
enum { FL_MAX_NAME_BYTES = 60 };

/* Longest HELLO answer: header, level set, tail, three texts with their lengths. */
enum {
    FL_HELLO_BYTES = FL_HELLO_ANSWER_SIZE + 1 + FL_MAX_LEVELS + FL_HELLO_ANSWER_TAIL_SIZE
                     + 3 * (1 + FL_MAX_NAME_BYTES)
};

void fl_requests_start(const struct fl_identity *board);

/* Longest body, as negotiated by the HELLO of this session. */
uint32_t fl_payload(void);

/* Start a session. The answer's body goes to `body`, which has FL_HELLO_BYTES. */
fl_refusal fl_hello(const struct fl_frame *request, uint8_t *body, uint32_t *length);

/* Whether this board has such a request, other than HELLO, and its body has the right length. */
fl_refusal fl_check_request(const struct fl_frame *request);

/* Execute a request that passed the check, other than HELLO, UPLOAD_COMMIT and RESET. `now_us`
 * counts from the boot; the answer's body, at most FL_STATUS_ANSWER_SIZE bytes, goes to `body`. */
fl_refusal fl_execute_request(const struct fl_frame *request, uint64_t now_us,
                        const struct fl_receiver *receiver, uint8_t *body, uint32_t *length);

#endif
