/* Frames on the line: COBS between zero bytes, header, CRC-32. Decoding and encoding work byte by
 * byte and need the memory of one frame each. */
#ifndef FL_FRAME_H
#define FL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fl_config.h"

struct fl_receiver {
    uint8_t content[FL_FRAME_BYTES]; /* decoded so far: header, body, CRC */
    uint32_t length;                 /* bytes of it */
    uint32_t code_length;            /* bytes since the last zero byte */
    uint8_t left;                    /* bytes left in the COBS block */
    bool zero_due;                   /* the next block starts with a zero */
    bool overrun;                    /* too long: dropped up to the next zero byte */
    uint32_t good, bad;              /* frames accepted and rejected since boot */
};

/* A received frame; `body` points into the receiver and is valid until the next byte is fed. */
struct fl_frame {
    uint8_t version, type, flags;
    uint16_t sequence, length;
    uint32_t crc;
    const uint8_t *body;
};

/* Take one byte of the line; true if it completes an undamaged frame. */
bool fl_feed(struct fl_receiver *receiver, uint8_t byte, struct fl_frame *frame);

struct fl_sender {
    uint8_t code[FL_CODE_BYTES + 2]; /* the frame on its way out, both zero bytes included */
    uint32_t length;                 /* bytes of it */
    uint32_t sent;                   /* bytes that the line has taken */
    uint32_t block;                  /* start of the open COBS block */
    uint32_t crc;
};

void fl_frame_begin(struct fl_sender *sender, unsigned type, unsigned flags, unsigned sequence,
                    unsigned length);
void fl_frame_add(struct fl_sender *sender, const uint8_t *data, size_t count);
void fl_frame_end(struct fl_sender *sender);

#endif
