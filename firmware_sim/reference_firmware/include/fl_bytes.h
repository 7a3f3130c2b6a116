/* Little-endian numbers in byte strings, and the three C library functions that are used. */
#ifndef FL_BYTES_H
#define FL_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Declared here because a bare toolchain has no <string.h>. */
void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *at, int value, size_t count);
int memcmp(const void *a, const void *b, size_t count);

static inline uint16_t fl_get16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t fl_get32(const uint8_t *at)
{
    return fl_get16(at) | (uint32_t)fl_get16(at + 2) << 16;
}

static inline void fl_put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void fl_put32(uint8_t *at, uint32_t value)
{
    fl_put16(at, value);
    fl_put16(at + 2, value >> 16);
}

static inline void fl_put64(uint8_t *at, uint64_t value)
{
    fl_put32(at, (uint32_t)value);
    fl_put32(at + 4, (uint32_t)(value >> 32));
}

static inline void fl_put_float(uint8_t *at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    fl_put32(at, bits);
}

static inline size_t fl_length(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

static inline uint32_t fl_min(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

#endif
