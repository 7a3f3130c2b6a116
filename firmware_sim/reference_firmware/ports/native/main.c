/* The firmware as a program, for tests, for sanitizers, and for trying a host without hardware.
 *
 *     focal-board --tcp 7000        a board at socket://127.0.0.1:7000 (0 picks a free port)
 *     focal-board --pty             a board at a pseudo-terminal, whose name is printed
 *     focal-board --bench           a board on standard input and output, with a simulated clock
 *
 * The bench reads records of now (8 bytes, microseconds), room (4), count (4) and `count` bytes of
 * the line, all little-endian, and answers each with a count (4) and the bytes that the board sent,
 * at most `room`. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "fl_board.h"
#include "fl_config.h"
#include "fl_hal.h"
#include "test_scene.h"

enum { MAX_BENCH_BYTES = 1 << 20 };

static const uint8_t level_set[] = {0, 1, 2, 4, 8};
static struct fl_identity identity = {
    .name = "focalloop reference board",
    .firmware = "native port 0.1, test scene",
    .serial = "native",
    .height = 256,
    .width = 256,
    .slots = 16,
    .bits = 16,
    .level_count = sizeof level_set,
    .level_set = level_set,
    .full_scale_dn = 255 * 16,
    .features = (FL_APERTURE ? FL_FEATURE_APERTURE : 0) | FL_FEATURE_CALIBRATION
                | (FL_ADAPTIVE ? FL_FEATURE_ADAPTIVE : 0),
};

static int line = -1;        /* of --tcp and --pty; -1 while no host is connected */
static bool blocked, hung_up;
static bool benched;
static uint64_t bench_now_us;
static uint8_t bench_in[MAX_BENCH_BYTES], bench_out[MAX_BENCH_BYTES];
static size_t in_count, in_next, out_count, out_room;
static uint32_t given_boot_id;
static bool has_boot_id;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- What the firmware calls --------------------------------------------------------------- */

size_t fl_hal_receive(uint8_t *data, size_t room)
{
    if (benched) {
        size_t count = in_count - in_next < room ? in_count - in_next : room;
        memcpy(data, bench_in + in_next, count);
        in_next += count;
        return count;
    }
    if (line < 0)
        return 0;
    ssize_t count = read(line, data, room);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        hung_up = true;
    return count > 0 ? (size_t)count : 0;
}

size_t fl_hal_send(const uint8_t *data, size_t length)
{
    if (benched) {
        size_t count = out_room - out_count < length ? out_room - out_count : length;
        memcpy(bench_out + out_count, data, count);
        out_count += count;
        return count;
    }
    if (line < 0) /* a UART sends even if nobody listens */
        return length;
    ssize_t count = write(line, data, length);
    blocked = count < 0 && errno == EAGAIN;
    if (count < 0 && !blocked && errno != EINTR)
        hung_up = true;
    return count > 0 ? (size_t)count : 0;
}

uint64_t fl_hal_now_us(void)
{
    struct timespec now;
    if (benched)
        return bench_now_us;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint32_t fl_hal_boot_id(void)
{
    uint32_t id;
    if (has_boot_id) {
        id = given_boot_id;
        given_boot_id += 0x04040404; /* the distance of the two boot ids in the test vectors */
        return id;
    }
    FILE *random = fopen("/dev/urandom", "rb");
    if (random == NULL || fread(&id, sizeof id, 1, random) != 1)
        die("/dev/urandom");
    fclose(random);
    return id;
}

/* ---- Lines --------------------------------------------------------------------------------- */

static void run_bench(void)
{
    struct {
        uint64_t now_us;
        uint32_t room, count;
    } record;
    benched = true;
    while (fread(&record, 16, 1, stdin) == 1) {
        if (record.count > MAX_BENCH_BYTES || record.room > MAX_BENCH_BYTES)
            exit(2);
        if (record.count > 0 && fread(bench_in, record.count, 1, stdin) != 1)
            exit(2);
        bench_now_us = record.now_us;
        in_next = out_count = 0;
        in_count = record.count;
        out_room = record.room;
        while (fl_poll())
            ;
        uint32_t count = (uint32_t)out_count;
        fwrite(&count, sizeof count, 1, stdout);
        fwrite(bench_out, 1, count, stdout);
        fflush(stdout);
    }
}

/* Run until the line hangs up; sleep while there is nothing to do. */
static void run_line(void)
{
    hung_up = false;
    while (!hung_up) {
        if (fl_poll())
            continue;
        struct pollfd wait = {line, (short)(POLLIN | (blocked ? POLLOUT : 0)), 0};
        poll(&wait, 1, 1);
    }
}

static void run_tcp(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1) < 0
        || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        die("tcp");
    printf("socket://127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        line = accept(listener, NULL, NULL);
        if (line < 0)
            die("accept");
        setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(line, F_SETFL, O_NONBLOCK);
        run_line();
        close(line);
    }
}

static void run_pty(void)
{
    struct termios raw;
    line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) < 0 || unlockpt(line) < 0)
        die("pty");
    int device = open(ptsname(line), O_RDWR | O_NOCTTY); /* kept open while hosts come and go */
    if (device < 0 || tcgetattr(device, &raw) < 0)
        die("pty");
    raw.c_iflag = raw.c_oflag = raw.c_lflag = 0;
    raw.c_cflag = CS8 | CREAD | CLOCAL;
    tcsetattr(device, TCSANOW, &raw);
    fcntl(line, F_SETFL, O_NONBLOCK);
    printf("%s\n", ptsname(line));
    fflush(stdout);
    for (;;)
        run_line();
}

/* ---- Options ------------------------------------------------------------------------------- */

static _Noreturn void usage(void)
{
    fprintf(stderr, "focal-board --tcp PORT | --pty | --bench\n"
                    "    [--array WIDTHxHEIGHT] [--slot-rate HZ] [--map FILE] [--boot-id NUMBER]\n"
                    "    [--bits BITS] [--late-every EXPOSURES] [--fails-at EXPOSURE]\n");
    exit(2);
}

/* Read a map object, in the form in which it is uploaded. */
static void read_map(const char *path)
{
    static uint8_t object[1 << 16];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die(path);
    identity.start_map = object;
    identity.start_map_length = (uint32_t)fread(object, 1, sizeof object, file);
    fclose(file);
}

int main(int count, char **words)
{
    const char *mode = "";
    int port = 0;
    unsigned width, height;
    uint32_t late_every = 0, fails_at = 0;
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        if (strcmp(words[i], "--pty") == 0 || strcmp(words[i], "--bench") == 0) {
            mode = words[i];
            continue;
        }
        if (strcmp(words[i], "--tcp") == 0) {
            mode = words[i];
            port = atoi(value);
        } else if (strcmp(words[i], "--array") == 0
                   && sscanf(value, "%ux%u", &width, &height) == 2) {
            identity.width = (uint16_t)width;
            identity.height = (uint16_t)height;
        } else if (strcmp(words[i], "--slot-rate") == 0) {
            identity.slot_rate_hz = (uint32_t)atoi(value);
        } else if (strcmp(words[i], "--map") == 0) {
            read_map(value);
        } else if (strcmp(words[i], "--bits") == 0) {
            identity.bits = (uint8_t)atoi(value);
            identity.full_scale_dn = fl_scene_full_scale(&identity);
        } else if (strcmp(words[i], "--late-every") == 0) {
            late_every = (uint32_t)atoi(value);
        } else if (strcmp(words[i], "--fails-at") == 0) {
            fails_at = (uint32_t)atoi(value);
        } else if (strcmp(words[i], "--boot-id") == 0) {
            given_boot_id = (uint32_t)strtoul(value, NULL, 0);
            has_boot_id = true;
        } else {
            usage();
        }
        i++;
    }
    signal(SIGPIPE, SIG_IGN); /* write() reports a host that disconnects */
    fl_scene_start(&identity);
    fl_scene_misbehave(late_every, fails_at);
    if (!fl_start(&identity)) {
        fprintf(stderr, "this board does not fit the memory configured in fl_config.h\n");
        return 2;
    }
    if (strcmp(mode, "--tcp") == 0)
        run_tcp(port);
    else if (strcmp(mode, "--pty") == 0)
        run_pty();
    else if (strcmp(mode, "--bench") == 0)
        run_bench();
    else
        usage();
    return 0;
}
