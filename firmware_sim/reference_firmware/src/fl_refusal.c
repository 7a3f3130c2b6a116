#include "fl_refusal.h"

#include "fl_bytes.h"

struct fl_text fl_refusal_text;

static void put(struct fl_text *text, uint8_t byte)
{
    if (text->length < FL_TEXT_BYTES)
        text->bytes[text->length++] = byte;
}

static void put_number(struct fl_text *text, uint32_t number)
{
    uint8_t digits[10];
    unsigned count = 0;
    do {
        digits[count++] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0)
        put(text, digits[--count]);
}

void fl_print(struct fl_text *text, const char *format, uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t numbers[3] = {a, b, c};
    unsigned next = 0;
    for (; *format; format++) {
        if (*format == '%' && next < 3)
            put_number(text, numbers[next++]);
        else
            put(text, (uint8_t)*format);
    }
}

void fl_print_hex(struct fl_text *text, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        put(text, (uint8_t)"0123456789abcdef"[bytes[i] >> 4]);
        put(text, (uint8_t)"0123456789abcdef"[bytes[i] & 15]);
    }
}

fl_refusal fl_refuse(fl_refusal code, const char *format, uint32_t a, uint32_t b, uint32_t c)
{
    fl_refusal_text.length = 0;
    fl_print(&fl_refusal_text, format, a, b, c);
    return code;
}
