/* Vectors, memory, and the functions that a compiler calls without a C library. */
#include "fl_bytes.h"

extern uint8_t bss_start[], bss_end[], stack_top[];
int main(void);
void tick(void);
void byte_came(void);
void byte_went(void);
void reset(void);

static void fault(void)
{
    *(volatile uint32_t *)0xe000ed0c = 0x05fa0004; /* system reset: a fault must not hang the board */
    for (;;)
        ;
}

static const union {
    void *stack;
    void (*handler)(void);
} vectors[18] __attribute__((section(".vectors"), used)) = {
    {.stack = stack_top},
    {.handler = reset},
    [2] = {.handler = fault}, [3] = {.handler = fault}, [4] = {.handler = fault},
    [5] = {.handler = fault}, [6] = {.handler = fault}, [15] = {.handler = tick},
    [16] = {.handler = byte_came}, [17] = {.handler = byte_went}, /* UART 0 */
};

void reset(void)
{
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    main();
    fault();
}

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    uint8_t *out = to;
    for (const uint8_t *in = from; count > 0; count--)
        *out++ = *in++;
    return to;
}

void *memset(void *at, int value, size_t count)
{
    for (uint8_t *out = at; count > 0; count--)
        *out++ = (uint8_t)value;
    return at;
}

int memcmp(const void *a, const void *b, size_t count)
{
    const uint8_t *x = a, *y = b;
    for (; count > 0; count--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}
