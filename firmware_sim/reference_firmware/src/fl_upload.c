#include "fl_upload.h"

#include "fl_bytes.h"
#include "fl_maps.h"

/* Chunks fill the payload, which is never below FL_MIN_MAX_PAYLOAD. */
enum { MIN_CHUNK_BYTES = FL_MIN_MAX_PAYLOAD - FL_UPLOAD_CHUNK_REQUEST_SIZE };
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define OWN_BYTES LARGER(FL_MAP_BYTES, FL_ADAPTIVE ? FL_MAX_PALETTE_BYTES : 0u)
#define MAX_OBJECT_BYTES LARGER(OWN_BYTES, FL_APERTURE ? FL_MASK_BYTES : 0u)
#define MAX_CHUNKS ((MAX_OBJECT_BYTES + MIN_CHUNK_BYTES - 1) / MIN_CHUNK_BYTES)

enum { KINDS = 3 }; /* maps, masks, palettes */

struct upload {
    uint32_t begun; /* count of uploads begun, this one included; 0: not begun */
    uint8_t sha256[FL_HASH_BYTES];
    uint32_t total, chunk_size, chunks;
    uint32_t first_missing; /* chunk */
    struct fl_sha256 hash;  /* of the chunks before it, so that a commit is quick */
    uint8_t held[(MAX_CHUNKS + 7) / 8];
    uint8_t *data;
};

static const struct fl_identity *board;
static uint8_t map_memory[2][FL_MAP_BYTES];
#if FL_APERTURE
static uint8_t mask_memory[2][FL_MASK_BYTES];
#endif
#if FL_ADAPTIVE
static uint8_t palette_memory[2][FL_MAX_PALETTE_BYTES];
#endif
static struct upload uploads[KINDS];
static uint32_t begun_count;

static struct {
    uint8_t kinds, map_hash[FL_HASH_BYTES];
    bool opened; /* the map that the objects form is being checked */
    struct fl_program *next;
    struct fl_map_check check;
} commit;

static bool is_kind(unsigned kind)
{
    return kind == FL_UPLOAD_MAP || kind == FL_UPLOAD_MASK || kind == FL_UPLOAD_PALETTE;
}

static struct upload *upload_of(unsigned kind)
{
    return &uploads[kind / 2];
}

static void drop(unsigned kinds)
{
    for (unsigned i = 0; i < KINDS; i++)
        if (kinds >> i & 1)
            uploads[i].begun = 0;
}

void fl_uploads_start(const struct fl_identity *identity)
{
    board = identity;
    memset(uploads, 0, sizeof uploads);
    uploads[0].data = map_memory[0];
#if FL_APERTURE
    uploads[1].data = mask_memory[0];
#endif
#if FL_ADAPTIVE
    uploads[2].data = palette_memory[0];
#endif
    begun_count = 0;
}

unsigned fl_upload_latest(uint32_t *next_offset)
{
    unsigned last = 0;
    for (unsigned i = 1; i < KINDS; i++)
        if (uploads[i].begun > uploads[last].begun)
            last = i;
    const struct upload *upload = &uploads[last];
    *next_offset = upload->begun ? fl_min(upload->first_missing * upload->chunk_size, upload->total) : 0;
    return upload->begun ? 1u << last : 0;
}

static bool is_held(const struct upload *upload, uint32_t chunk)
{
    return chunk < upload->chunks && upload->held[chunk / 8] >> chunk % 8 & 1;
}

static void put_progress(const struct upload *upload, uint8_t *answer)
{
    uint32_t bitmap = 0;
    for (unsigned i = 0; i < FL_BITMAP_CHUNKS; i++)
        bitmap |= (uint32_t)is_held(upload, upload->first_missing + 1 + i) << i;
    fl_put32(answer + FL_UPLOAD_CHUNK_ANSWER_NEXT_OFFSET,
             fl_min(upload->first_missing * upload->chunk_size, upload->total));
    fl_put32(answer + FL_UPLOAD_CHUNK_ANSWER_BITMAP, bitmap);
}

static uint32_t length_of(const struct upload *upload, uint32_t chunk)
{
    return fl_min(upload->chunk_size, upload->total - chunk * upload->chunk_size);
}

static uint32_t room_for(unsigned kind)
{
    if (kind == FL_UPLOAD_PALETTE)
        return FL_MAX_PALETTE_BYTES;
    return kind == FL_UPLOAD_MAP ? FL_MAP_BYTES : FL_MASK_BYTES;
}

static bool has_aperture(void)
{
    return (board->features & FL_FEATURE_APERTURE) != 0;
}

uint32_t fl_max_upload_bytes(void)
{
    return has_aperture() ? MAX_OBJECT_BYTES : OWN_BYTES;
}

fl_refusal fl_upload_begin(const uint8_t *body, uint32_t max_payload, uint8_t *answer,
                           uint32_t *length)
{
    unsigned kind = body[FL_UPLOAD_BEGIN_REQUEST_KIND];
    uint32_t total = fl_get32(body + FL_UPLOAD_BEGIN_REQUEST_TOTAL);
    const uint8_t *sha256 = body + FL_UPLOAD_BEGIN_REQUEST_SHA256;
    uint32_t chunk_size = max_payload - FL_UPLOAD_CHUNK_REQUEST_SIZE;
    if (!is_kind(kind))
        return fl_refuse(FL_ERR_BAD_ARGUMENT,
                         "an upload is a map (1), a mask (2) or a palette (4), not kind %", kind, 0,
                         0);
    if (kind == FL_UPLOAD_MASK && !has_aperture())
        return fl_refuse(FL_ERR_UNSUPPORTED, "this board has no coded aperture", 0, 0, 0);
    if (kind == FL_UPLOAD_PALETTE && (!FL_ADAPTIVE || !(board->features & FL_FEATURE_ADAPTIVE)))
        return fl_refuse(FL_ERR_UNSUPPORTED, "this board has no adaptive maps", 0, 0, 0);
    if (total == 0)
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "an upload has at least one byte", 0, 0, 0);
    if (total > room_for(kind))
        return fl_refuse(FL_ERR_TOO_LARGE, "an upload of % bytes exceeds this board's limit of %",
                         total, room_for(kind), 0);
    struct upload *upload = upload_of(kind);
    if (!upload->begun || upload->total != total || upload->chunk_size != chunk_size
        || memcmp(upload->sha256, sha256, FL_HASH_BYTES) != 0) {
        fl_next_map(); /* a window that is still being sent under this memory's map is given up */
        memcpy(upload->sha256, sha256, FL_HASH_BYTES);
        memset(upload->held, 0, sizeof upload->held);
        upload->total = total;
        upload->chunk_size = chunk_size;
        upload->chunks = (total + chunk_size - 1) / chunk_size;
        upload->first_missing = 0;
        fl_sha256_start(&upload->hash);
    }
    upload->begun = ++begun_count;
    put_progress(upload, answer);
    fl_put16(answer + FL_UPLOAD_BEGIN_ANSWER_CHUNK_SIZE, chunk_size);
    *length = FL_UPLOAD_BEGIN_ANSWER_SIZE;
    return 0;
}

static fl_refusal check_begun(unsigned kind)
{
    if (is_kind(kind) && upload_of(kind)->begun)
        return 0;
    return fl_refuse(FL_ERR_UPLOAD_NOT_BEGUN, "no upload of kind % was begun", kind, 0, 0);
}

fl_refusal fl_upload_chunk(const uint8_t *body, uint32_t body_length, uint8_t *answer,
                           uint32_t *length)
{
    unsigned kind = body[FL_UPLOAD_CHUNK_REQUEST_KIND];
    uint32_t offset = fl_get32(body + FL_UPLOAD_CHUNK_REQUEST_OFFSET);
    uint32_t count = body_length - FL_UPLOAD_CHUNK_REQUEST_SIZE;
    fl_refusal refusal = check_begun(kind);
    if (refusal)
        return refusal;
    struct upload *upload = upload_of(kind);
    uint32_t chunk = offset / upload->chunk_size;
    if (offset % upload->chunk_size != 0 || chunk >= upload->chunks)
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "no chunk starts at byte % of % in chunks of %",
                         offset, upload->total, upload->chunk_size);
    if (count != length_of(upload, chunk))
        return fl_refuse(FL_ERR_BAD_ARGUMENT, "the chunk at byte % has % bytes, not %", offset,
                         length_of(upload, chunk), count);
    if (!is_held(upload, chunk)) {
        memcpy(upload->data + offset, body + FL_UPLOAD_CHUNK_REQUEST_SIZE, count);
        upload->held[chunk / 8] |= (uint8_t)(1 << chunk % 8);
        for (; is_held(upload, upload->first_missing); upload->first_missing++)
            fl_sha256_add(&upload->hash,
                          upload->data + upload->first_missing * upload->chunk_size,
                          length_of(upload, upload->first_missing));
    }
    put_progress(upload, answer);
    *length = FL_UPLOAD_CHUNK_ANSWER_SIZE;
    return 0;
}

void fl_commit_begin(const uint8_t *body)
{
    commit.kinds = body[FL_UPLOAD_COMMIT_REQUEST_KINDS];
    memcpy(commit.map_hash, body + FL_UPLOAD_COMMIT_REQUEST_MAP_HASH, FL_HASH_BYTES);
    commit.opened = false;
}

/* Check that the commit's object of `kind`, if any, is complete and has the announced hash. */
static fl_refusal check_object(unsigned kind)
{
    if (!(commit.kinds & kind))
        return 0;
    fl_refusal refusal = check_begun(kind);
    if (refusal)
        return refusal;
    const struct upload *upload = upload_of(kind);
    if (upload->first_missing < upload->chunks)
        return fl_refuse(FL_ERR_UPLOAD_INCOMPLETE, "the upload of kind % still lacks byte % of %",
                         kind, upload->first_missing * upload->chunk_size, upload->total);
    struct fl_sha256 hash = upload->hash;
    uint8_t digest[FL_HASH_BYTES];
    fl_sha256_end(&hash, digest);
    if (memcmp(digest, upload->sha256, FL_HASH_BYTES) == 0)
        return 0;
    drop(kind);
    return fl_refuse(FL_ERR_HASH_MISMATCH, "the upload of kind % has another SHA-256 than announced",
                     kind, 0, 0);
}

/* Form the map from its objects, and begin to check it. */
static fl_refusal open_map(void)
{
    if (commit.kinds == 0 || commit.kinds > (FL_UPLOAD_MAP | FL_UPLOAD_PALETTE))
        return fl_refuse(FL_ERR_BAD_ARGUMENT,
                         "a commit names a map (1), mask (2) or palette (4), or a map with another "
                         "(3, 5), not %",
                         commit.kinds, 0, 0);
    fl_refusal refusal = 0;
    for (unsigned i = 0; i < KINDS && !refusal; i++)
        refusal = check_object(1u << i);
    if (!refusal && !(commit.kinds & FL_UPLOAD_MAP) && !fl_active_map())
        refusal = fl_refuse(FL_ERR_NO_MAP, "there is no active map to go with it: upload a map too",
                            0, 0, 0);
    if (refusal)
        return refusal;
    commit.next = fl_next_map();
    commit.next->adaptive = (commit.kinds & FL_UPLOAD_PALETTE) != 0;
    struct fl_map *map = &commit.next->map;
    if (commit.kinds & FL_UPLOAD_MAP)
        refusal = fl_map_open(map, board, uploads[0].data, uploads[0].total);
    else
        *map = *fl_active_map();
    if (commit.kinds & FL_UPLOAD_MASK)
        map->mask = uploads[1].data;
    if (!refusal && commit.kinds & FL_UPLOAD_MASK && uploads[1].total != fl_mask_bytes(board))
        refusal = fl_refuse(FL_ERR_BAD_MAP, "a mask of this board has % bytes, not %",
                            fl_mask_bytes(board), uploads[1].total, 0);
    if (refusal)
        drop(commit.kinds);
    else
        fl_map_check_start(&commit.check, map, board);
    return refusal;
}

/* In one step, the next map becomes active and the other memory receives. */
static void activate(void)
{
    fl_activate_next_map();
    if (commit.kinds & FL_UPLOAD_MAP)
        uploads[0].data = map_memory[uploads[0].data == map_memory[0]];
#if FL_APERTURE
    if (commit.kinds & FL_UPLOAD_MASK)
        uploads[1].data = mask_memory[uploads[1].data == mask_memory[0]];
#endif
#if FL_ADAPTIVE
    if (commit.kinds & FL_UPLOAD_PALETTE)
        uploads[2].data = palette_memory[uploads[2].data == palette_memory[0]];
#endif
}

static bool is_active(void)
{
    return fl_active_map() && memcmp(fl_active_hash(), commit.map_hash, FL_HASH_BYTES) == 0;
}

/* Check the palette over the map, which is valid. */
static fl_refusal open_palette(void)
{
    if (!FL_ADAPTIVE || !commit.next->adaptive)
        return 0;
    return fl_palette_open(&commit.next->palette, &commit.next->map, board, uploads[2].data,
                           uploads[2].total);
}

/* The map is valid: is it the one that the commit named? */
static fl_refusal finish_commit(void)
{
    const struct fl_program *next = commit.next;
    const uint8_t *hash = next->adaptive ? next->palette.hash : next->map.hash;
    if (memcmp(hash, commit.map_hash, FL_HASH_BYTES) != 0)
        return fl_refuse(FL_ERR_HASH_MISMATCH,
                         "the uploaded objects form another map than the one named", 0, 0, 0);
    activate();
    return 0;
}

bool fl_commit_step(fl_refusal *refusal, uint8_t *answer, uint32_t *length)
{
    *refusal = 0;
    if (!commit.opened && !is_active()) {
        commit.opened = true;
        *refusal = open_map();
        return *refusal != 0;
    }
    if (commit.opened) {
        if (!fl_map_check_step(&commit.check, board, refusal))
            return false;
        if (!*refusal)
            *refusal = open_palette();
        if (*refusal)
            drop(commit.kinds);
        else
            *refusal = finish_commit();
    }
    if (*refusal)
        return true;
    drop(commit.kinds);
    memcpy(answer + FL_UPLOAD_COMMIT_ANSWER_MAP_HASH, commit.map_hash, FL_HASH_BYTES);
    *length = FL_UPLOAD_COMMIT_ANSWER_SIZE;
    return true;
}
