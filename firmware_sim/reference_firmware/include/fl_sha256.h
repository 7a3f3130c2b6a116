/* SHA-256 (FIPS 180-4), of data that comes in pieces. */
#ifndef FL_SHA256_H
#define FL_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct fl_sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
};

void fl_sha256_start(struct fl_sha256 *hash);
void fl_sha256_add(struct fl_sha256 *hash, const uint8_t *data, size_t length);
void fl_sha256_end(struct fl_sha256 *hash, uint8_t digest[32]);

#endif
