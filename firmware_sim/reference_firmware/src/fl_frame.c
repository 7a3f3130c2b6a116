#include "fl_frame.h"

#include "fl_bytes.h"

enum { HEADER_BYTES = 7, CRC_BYTES = 4 };
_Static_assert(HEADER_BYTES + CRC_BYTES == FL_FRAME_OVERHEAD, "header and CRC");

static uint32_t crc32(uint32_t crc, const uint8_t *data, size_t count)
{
    /* Four bits at a time: a table of 64 bytes instead of 1024. */
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    for (size_t i = 0; i < count; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

static bool whole(const struct fl_receiver *receiver)
{
    if (receiver->overrun || receiver->left > 0 || receiver->length < FL_FRAME_OVERHEAD)
        return false;
    const uint8_t *content = receiver->content;
    uint32_t checked = receiver->length - CRC_BYTES;
    return fl_get16(content + 5) == checked - HEADER_BYTES
           && (crc32(0xffffffff, content, checked) ^ 0xffffffff) == fl_get32(content + checked);
}

static void append(struct fl_receiver *receiver, uint8_t byte)
{
    if (receiver->length < FL_FRAME_BYTES)
        receiver->content[receiver->length++] = byte;
    else
        receiver->overrun = true;
}

bool fl_feed(struct fl_receiver *receiver, uint8_t byte, struct fl_frame *frame)
{
    if (byte != 0) {
        if (receiver->code_length == 0) {
            receiver->length = 0;
            receiver->left = 0;
            receiver->zero_due = false;
            receiver->overrun = false;
        }
        if (receiver->code_length == FL_CODE_BYTES) {
            receiver->overrun = true;
            return false;
        }
        receiver->code_length++;
        if (receiver->left > 0) {
            receiver->left--;
            append(receiver, byte);
            return false;
        }
        if (receiver->zero_due)
            append(receiver, 0);
        receiver->left = (uint8_t)(byte - 1);
        receiver->zero_due = byte < 255;
        return false;
    }
    if (receiver->code_length == 0) /* there are two zero bytes between two frames */
        return false;
    receiver->code_length = 0;
    if (!whole(receiver)) {
        receiver->bad++;
        return false;
    }
    receiver->good++;
    const uint8_t *content = receiver->content;
    frame->version = content[0];
    frame->type = content[1];
    frame->flags = content[2];
    frame->sequence = fl_get16(content + 3);
    frame->length = fl_get16(content + 5);
    frame->body = content + HEADER_BYTES;
    frame->crc = fl_get32(content + HEADER_BYTES + frame->length);
    return true;
}

static void close_block(struct fl_sender *sender)
{
    sender->code[sender->block] = (uint8_t)(sender->length - sender->block);
    sender->block = sender->length++;
}

static void encode(struct fl_sender *sender, const uint8_t *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sender->length - sender->block == 255) /* full, and more bytes follow */
            close_block(sender);
        if (data[i] == 0)
            close_block(sender);
        else
            sender->code[sender->length++] = data[i];
    }
}

void fl_frame_begin(struct fl_sender *sender, unsigned type, unsigned flags, unsigned sequence,
                    unsigned length)
{
    uint8_t header[HEADER_BYTES] = {FL_PROTOCOL_VERSION, (uint8_t)type, (uint8_t)flags};
    fl_put16(header + 3, sequence);
    fl_put16(header + 5, length);
    sender->code[0] = 0;
    sender->block = 1;
    sender->length = 2;
    sender->sent = 0;
    sender->crc = 0xffffffff;
    fl_frame_add(sender, header, sizeof header);
}

void fl_frame_add(struct fl_sender *sender, const uint8_t *data, size_t count)
{
    sender->crc = crc32(sender->crc, data, count);
    encode(sender, data, count);
}

void fl_frame_end(struct fl_sender *sender)
{
    uint8_t crc[CRC_BYTES];
    fl_put32(crc, sender->crc ^ 0xffffffff);
    encode(sender, crc, sizeof crc);
    close_block(sender);
    sender->code[sender->block] = 0;
}
