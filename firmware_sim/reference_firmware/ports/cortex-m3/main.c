/* The firmware on a bare Cortex-M3: the MPS2 board with the AN385 image, as QEMU emulates it
 * (-machine mps2-an385). One UART, the system timer, and the test scene for a sensor. */
#include "fl_board.h"
#include "fl_bytes.h"
#include "fl_config.h"
#include "fl_hal.h"
#include "test_scene.h"

#ifndef BOARD_WIDTH
#define BOARD_WIDTH 256
#endif
#ifndef BOARD_HEIGHT
#define BOARD_HEIGHT 256
#endif
#ifndef BOARD_SLOT_RATE_HZ
#define BOARD_SLOT_RATE_HZ 0
#endif

enum { CORE_HZ = 25000000, BAUD = 921600, RING_BYTES = 2048 };
enum { TICK_HZ = BOARD_SLOT_RATE_HZ ? 1000 : 100 }; /* wakes the core in time for the end of a slot */

/* CMSDK APB UART 0 (Arm DDI 0479, 4.3). */
struct uart {
    volatile uint32_t data, state, control, interrupt, divider;
};
#define UART ((struct uart *)0x40004000)
enum { TX_FULL = 1, RX_FULL = 2 };                                   /* state */
enum { TX_ON = 1, RX_ON = 2, TX_INTERRUPT = 4, RX_INTERRUPT = 8 }; /* control */
enum { TX_PENDING = 1, RX_PENDING = 2 };                             /* interrupt */
enum { LISTENING = TX_ON | RX_ON | TX_INTERRUPT | RX_INTERRUPT, DEAF = LISTENING - RX_INTERRUPT };

/* System timer and interrupt controller (Armv7-M, B3). */
#define SYSTICK_CONTROL (*(volatile uint32_t *)0xe000e010)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xe000e014)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xe000e018)
#define NVIC_ENABLE (*(volatile uint32_t *)0xe000e100)

static const uint8_t level_set[] = {0, 1, 2, 4, 8};
static const struct fl_identity identity = {
    .name = "focalloop reference board",
    .firmware = "cortex-m3 port 0.1, test scene",
    .serial = "mps2-an385",
    .height = BOARD_HEIGHT,
    .width = BOARD_WIDTH,
    .slots = 16,
    .bits = 16,
    .level_count = sizeof level_set,
    .level_set = level_set,
    .full_scale_dn = 255 * 16,
    .slot_rate_hz = BOARD_SLOT_RATE_HZ,
    .features = (FL_APERTURE ? FL_FEATURE_APERTURE : 0) | FL_FEATURE_CALIBRATION
                | (FL_ADAPTIVE ? FL_FEATURE_ADAPTIVE : 0),
};

static volatile uint64_t ticks;

struct ring {
    uint8_t bytes[RING_BYTES];
    volatile uint32_t in, out; /* counts of bytes; each is written by only one side */
};
static struct ring came, going;
static uint32_t boots __attribute__((section(".noinit"))); /* survives a reset */

void tick(void)
{
    ticks++;
}

/* The memory clobbers order the bytes of a ring before the count that publishes them. */
static void interrupts_off(void)
{
    __asm__ volatile("cpsid i" ::: "memory");
}

static void interrupts_on(void)
{
    __asm__ volatile("cpsie i" ::: "memory");
}

void byte_came(void)
{
    uint32_t in = came.in;
    UART->interrupt = RX_PENDING;
    while (UART->state & RX_FULL) {
        if (in - came.out == RING_BYTES) { /* leave the bytes in the UART until there is room */
            UART->control = DEAF;
            break;
        }
        came.bytes[in++ % RING_BYTES] = (uint8_t)UART->data;
    }
    came.in = in;
}

void byte_went(void)
{
    uint32_t out = going.out;
    UART->interrupt = TX_PENDING;
    while (out != going.in && !(UART->state & TX_FULL))
        UART->data = going.bytes[out++ % RING_BYTES];
    going.out = out;
}

size_t fl_hal_receive(uint8_t *data, size_t room)
{
    uint32_t out = came.out;
    size_t count = fl_min(came.in - out, (uint32_t)room);
    for (size_t i = 0; i < count; i++)
        data[i] = came.bytes[out++ % RING_BYTES];
    interrupts_off();
    came.out = out;
    if (UART->control == DEAF) { /* take the bytes left in the UART, and continue */
        UART->control = LISTENING;
        byte_came();
    }
    interrupts_on();
    return count;
}

size_t fl_hal_send(const uint8_t *data, size_t length)
{
    uint32_t in = going.in;
    size_t count = fl_min(RING_BYTES - (in - going.out), (uint32_t)length);
    for (size_t i = 0; i < count; i++)
        going.bytes[in++ % RING_BYTES] = data[i];
    interrupts_off();
    going.in = in;
    byte_went(); /* starts with the first byte; interrupts send the others */
    interrupts_on();
    return count;
}

uint64_t fl_hal_now_us(void)
{
    static uint64_t latest;
    uint64_t tick_count;
    uint32_t left;
    do {
        tick_count = ticks;
        left = SYSTICK_VALUE;
    } while (tick_count != ticks);
    uint64_t now = tick_count * (1000000 / TICK_HZ)
                   + (CORE_HZ / TICK_HZ - 1 - left) / (CORE_HZ / 1000000);
    if (now > latest)
        latest = now;
    return latest;
}

uint32_t fl_hal_boot_id(void)
{
    /* Without a random source: the moment of a host's first request, and a count of boots. */
    uint32_t id = (uint32_t)ticks * 0x9e3779b9u ^ SYSTICK_VALUE << 12 ^ ++boots;
    id ^= id >> 16;
    id *= 0x21f0aaadu;
    return id ^ id >> 15;
}

int main(void)
{
    SYSTICK_RELOAD = CORE_HZ / TICK_HZ - 1;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 7; /* core clock, interrupt, on */
    UART->divider = CORE_HZ / BAUD;
    UART->control = LISTENING;
    NVIC_ENABLE = 3; /* UART 0, receive and transmit */
    fl_scene_start(&identity);
    if (!fl_start(&identity))
        return 1;
    for (;;) {
        if (fl_poll())
            continue;
        interrupts_off(); /* a byte that arrives between the test and wfi still wakes the core */
        if (came.in == came.out)
            __asm__ volatile("wfi");
        interrupts_on();
    }
}
