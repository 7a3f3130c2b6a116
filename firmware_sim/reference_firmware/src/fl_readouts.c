#include "fl_readouts.h"

#include "fl_bytes.h"

struct held {
    uint8_t descriptor[FL_WINDOW_DESCRIPTOR_SIZE];
    uint32_t total;
    uint8_t readout[FL_WINDOW_BYTES];
};

/* The part of a held window that is to be sent: the descriptor, unless it has been sent, then the
 * bytes from `offset` to `end`. */
struct part {
    uint32_t window, offset, end;
    bool described;
};

static struct held stored[FL_HELD_WINDOWS];
static uint32_t next_window, oldest_window;
static struct part sending; /* of the window after the last one that was sent completely */
static struct part repairs[FL_IN_FLIGHT];
static unsigned first_repair, repair_count;

static struct held *place(uint32_t window)
{
    return &stored[window % FL_HELD_WINDOWS];
}

void fl_readouts_start(void)
{
    next_window = oldest_window = 0;
    fl_readouts_clear();
}

uint32_t fl_next_window(void)
{
    return next_window;
}

uint32_t fl_oldest_window(void)
{
    return oldest_window;
}

bool fl_readouts_have_room(void)
{
    for (unsigned i = 0; i < repair_count; i++)
        if (place(repairs[(first_repair + i) % FL_IN_FLIGHT].window) == place(next_window))
            return false;
    return next_window - sending.window < FL_HELD_WINDOWS;
}

uint8_t *fl_readouts_claim(void)
{
    if (next_window - oldest_window == FL_HELD_WINDOWS)
        oldest_window++;
    return place(next_window)->readout;
}

void fl_readouts_hold(const uint8_t descriptor[FL_WINDOW_DESCRIPTOR_SIZE], uint32_t total)
{
    struct held *window = place(next_window++);
    memcpy(window->descriptor, descriptor, FL_WINDOW_DESCRIPTOR_SIZE);
    window->total = total;
}

void fl_readouts_stop(void)
{
    sending = (struct part){.window = next_window};
}

void fl_readouts_clear(void)
{
    fl_readouts_stop();
    first_repair = repair_count = 0;
}

fl_refusal fl_resend(uint32_t window, uint32_t offset, uint32_t length)
{
    if (window < oldest_window || window >= next_window)
        return fl_refuse(FL_ERR_WINDOW_GONE, "window % is not held: the oldest is %, the next %",
                         window, oldest_window, next_window);
    if (repair_count == FL_IN_FLIGHT)
        return fl_refuse(FL_ERR_BUSY, "% repairs are waiting: ask again later", repair_count, 0, 0);
    uint32_t total = place(window)->total;
    struct part part = {window, offset, offset + length, true};
    if (length == 0)
        part = (struct part){window, fl_min(offset, total), total, false};
    else if (offset > total || length > total - offset)
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "window % has % bytes, fewer than % from that offset",
                         window, total, length);
    repairs[(first_repair + repair_count++) % FL_IN_FLIGHT] = part;
    return 0;
}

static void send_part(struct part *part, struct fl_sender *sender, unsigned sequence,
                      uint32_t max_payload)
{
    const struct held *window = place(part->window);
    if (!part->described) {
        fl_frame_begin(sender, FL_MSG_WINDOW, 0, sequence, FL_WINDOW_DESCRIPTOR_SIZE);
        fl_frame_add(sender, window->descriptor, FL_WINDOW_DESCRIPTOR_SIZE);
        part->described = true;
    } else {
        uint8_t head[FL_FRAGMENT_SIZE];
        uint32_t count = fl_min(max_payload - FL_FRAGMENT_SIZE, part->end - part->offset);
        fl_put32(head + FL_FRAGMENT_WINDOW, part->window);
        fl_put32(head + FL_FRAGMENT_OFFSET, part->offset);
        fl_frame_begin(sender, FL_MSG_READOUT, 0, sequence, FL_FRAGMENT_SIZE + count);
        fl_frame_add(sender, head, sizeof head);
        fl_frame_add(sender, window->readout + part->offset, count);
        part->offset += count;
    }
    fl_frame_end(sender);
}

static bool is_sent(const struct part *part)
{
    return part->described && part->offset == part->end;
}

bool fl_readouts_send(struct fl_sender *sender, unsigned sequence, uint32_t max_payload)
{
    if (repair_count > 0) {
        struct part *repair = &repairs[first_repair];
        send_part(repair, sender, sequence, max_payload);
        if (is_sent(repair)) {
            first_repair = (first_repair + 1) % FL_IN_FLIGHT;
            repair_count--;
        }
        return true;
    }
    if (sending.window == next_window)
        return false;
    sending.end = place(sending.window)->total;
    send_part(&sending, sender, sequence, max_payload);
    if (is_sent(&sending))
        sending = (struct part){.window = sending.window + 1};
    return true;
}
