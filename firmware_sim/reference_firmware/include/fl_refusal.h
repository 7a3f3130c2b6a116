/* Errors as in the wire protocol: a code, and a sentence for a person. */
#ifndef FL_REFUSAL_H
#define FL_REFUSAL_H

#include <stdint.h>

/* Longest text of an error or a log line, in bytes. */
enum { FL_TEXT_BYTES = 120 };

struct fl_text {
    uint8_t bytes[FL_TEXT_BYTES];
    uint8_t length;
};

/* Append `format`, with each '%' replaced by the next number in decimal. What does not fit is cut
 * off. */
void fl_print(struct fl_text *text, const char *format, uint32_t a, uint32_t b, uint32_t c);

/* Append the first `count` bytes in hexadecimal. */
void fl_print_hex(struct fl_text *text, const uint8_t *bytes, unsigned count);

/* 0, or why a request is refused: FL_ERR_..., with its sentence in fl_refusal_text. */
typedef uint16_t fl_refusal;

extern struct fl_text fl_refusal_text;

/* Set fl_refusal_text and return the code. */
fl_refusal fl_refuse(fl_refusal code, const char *format, uint32_t a, uint32_t b, uint32_t c);

#endif
