/* Fuzzes the decoder: it gets any bytes, and every frame that it accepts must encode to a frame that
 * decodes to the same. */
#include <stdlib.h>
#include <string.h>

#include "fl_frame.h"

static struct fl_receiver receiver, second;
static struct fl_sender sender;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_same(const struct fl_frame *frame)
{
    struct fl_frame again;
    unsigned frames = 0;
    fl_frame_begin(&sender, frame->type, frame->flags, frame->sequence, frame->length);
    fl_frame_add(&sender, frame->body, frame->length);
    fl_frame_end(&sender);
    require(sender.length <= sizeof sender.code);
    for (uint32_t i = 0; i < sender.length; i++)
        frames += fl_feed(&second, sender.code[i], &again);
    require(frames == 1 && second.bad == 0 && again.length == frame->length);
    require(again.type == frame->type && again.flags == frame->flags);
    require(again.sequence == frame->sequence);
    require(memcmp(again.body, frame->body, frame->length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fl_frame frame;
    memset(&receiver, 0, sizeof receiver);
    for (size_t i = 0; i < size; i++)
        if (fl_feed(&receiver, data[i], &frame))
            require_same(&frame);
    /* A fuzzer rarely guesses a CRC: the input is also used as a body. */
    frame = (struct fl_frame){.type = 1, .body = data};
    frame.length = (uint16_t)(size < FL_MAX_PAYLOAD ? size : FL_MAX_PAYLOAD);
    require_same(&frame);
    return 0;
}
