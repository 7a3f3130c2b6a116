#include "fl_sha256.h"

#include "fl_bytes.h"

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotated(uint32_t word, unsigned bits)
{
    return word >> bits | word << (32 - bits);
}

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* One round on words that stay in place: the caller rotates their names instead. */
static inline void turn(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f,
                        uint32_t g, uint32_t *h, uint32_t word)
{
    uint32_t t1 = *h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + (g ^ (e & (f ^ g))) + word;
    *d += t1;
    *h = t1 + (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) | (c & (a | b)));
}

static void compress(struct fl_sha256 *hash)
{
    uint32_t w[64], s[8];
    memcpy(s, hash->state, sizeof s);
    for (unsigned i = 0; i < 16; i++)
        w[i] = big_endian(hash->block + 4 * i);
    for (unsigned i = 16; i < 64; i++)
        w[i] = w[i - 16] + (rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3)
               + w[i - 7] + (rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10);
    for (unsigned i = 0; i < 64; i += 4) {
        turn(s[0], s[1], s[2], &s[3], s[4], s[5], s[6], &s[7], K[i] + w[i]);
        turn(s[7], s[0], s[1], &s[2], s[3], s[4], s[5], &s[6], K[i + 1] + w[i + 1]);
        turn(s[6], s[7], s[0], &s[1], s[2], s[3], s[4], &s[5], K[i + 2] + w[i + 2]);
        turn(s[5], s[6], s[7], &s[0], s[1], s[2], s[3], &s[4], K[i + 3] + w[i + 3]);
        /* Four turns have moved every word by four places. */
        for (unsigned k = 0; k < 4; k++) {
            uint32_t moved = s[k];
            s[k] = s[k + 4];
            s[k + 4] = moved;
        }
    }
    for (unsigned k = 0; k < 8; k++)
        hash->state[k] += s[k];
}

void fl_sha256_start(struct fl_sha256 *hash)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(hash->state, start, sizeof start);
    hash->length = 0;
}

void fl_sha256_add(struct fl_sha256 *hash, const uint8_t *data, size_t length)
{
    while (length > 0) {
        size_t at = hash->length % 64, count = length < 64 - at ? length : 64 - at;
        memcpy(hash->block + at, data, count);
        hash->length += count;
        data += count;
        length -= count;
        if (at + count == 64)
            compress(hash);
    }
}

void fl_sha256_end(struct fl_sha256 *hash, uint8_t digest[32])
{
    uint64_t bits = 8 * hash->length;
    uint8_t tail[72] = {0x80};
    size_t padding = 1 + (119 - hash->length % 64) % 64;
    for (unsigned i = 0; i < 8; i++)
        tail[padding + i] = (uint8_t)(bits >> (56 - 8 * i));
    fl_sha256_add(hash, tail, padding + 8);
    for (unsigned i = 0; i < 32; i++)
        digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}
