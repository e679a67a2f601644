/* SPDX-License-Identifier: MIT
 *
 * Commit ids (block.h says what they cover): made, and checked.
 */
#include "block.h"

#include <string.h>

static const char commit_tag[] = "rille commit 2";
static const char commit_tag_1[] = "rille commit 1";

#define DIGEST_CHUNK 4096U
#define DIGEST_DATOM_MAX 40U /* of a datom but its bytes */

/* In large pieces: what one costs besides its bytes is more than hashing a datom. */
static void hash_datoms(const ri_datom *datoms, size_t count, ri_blake2b_state *state)
{
    uint8_t chunk[DIGEST_CHUNK];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const ri_datom *d = &datoms[i];
        if (used + DIGEST_DATOM_MAX + d->v.len > sizeof chunk) {
            ri_blake2b_update(state, chunk, used);
            used = 0;
        }
        ri_store_u64(chunk + used, d->e);
        ri_store_u32(chunk + used + 8, d->a);
        chunk[used + 12] = d->added ? 1 : 0;
        chunk[used + 13] = d->v.type;
        used += 14;
        if (ri_type_is_word(d->v.type)) {
            ri_store_u64(chunk + used, ri_word_to_key(d->v.type, d->v.as.u));
            used += 8;
        } else {
            used += ri_put_varint(chunk + used, d->v.len);
            if (d->v.len > sizeof chunk - DIGEST_DATOM_MAX) {
                ri_blake2b_update(state, chunk, used);
                used = 0;
                ri_blake2b_update(state, d->v.as.p, d->v.len);
            } else if (d->v.len > 0) {
                memcpy(chunk + used, d->v.as.p, d->v.len);
                used += d->v.len;
            }
        }
    }
    ri_blake2b_update(state, chunk, used);
}

void ri_block_digest(const ri_block *block, uint8_t out[RI_HASH_SIZE])
{
    ri_blake2b_state state;
    ri_blake2b_init(&state);
    hash_datoms(block->datoms, block->count, &state);
    ri_blake2b_final(&state, out);
}

void ri_digest_add(ri_hasher *digest, const ri_datom *datoms, size_t count)
{
    ri_blake2b_state state;
    memcpy(&state, digest->state, sizeof state);
    hash_datoms(datoms, count, &state);
    memcpy(digest->state, &state, sizeof state);
}

#define HEADER_BYTES_MAX (sizeof commit_tag + 1U + (RI_MERGED_MAX + 1U) * RI_HASH_SIZE + 8U)

/* What comes before the digest, or before the datoms. */
static size_t put_header(const ri_block *block, const uint8_t *parent, unsigned rule, uint8_t chunk[HEADER_BYTES_MAX])
{
    RI_ASSERT(block->merged_count <= RI_MERGED_MAX);
    size_t used = sizeof commit_tag;
    memcpy(chunk, rule == 1 ? commit_tag_1 : commit_tag, sizeof commit_tag);
    chunk[used++] = (uint8_t)(block->merged_count + (parent != NULL ? 1U : 0U));
    if (parent != NULL) {
        memcpy(chunk + used, parent, RI_HASH_SIZE);
        used += RI_HASH_SIZE;
    }
    if (block->merged_count > 0) {
        memcpy(chunk + used, block->merged, (size_t)block->merged_count * RI_HASH_SIZE);
        used += (size_t)block->merged_count * RI_HASH_SIZE;
    }
    ri_store_u64(chunk + used, block->t);
    return used + 8;
}

static void commit_id(const ri_block *block, const uint8_t *parent, const uint8_t *digest, uint8_t out[RI_HASH_SIZE])
{
    uint8_t chunk[HEADER_BYTES_MAX + RI_HASH_SIZE];
    size_t used = put_header(block, parent, 2, chunk);
    memcpy(chunk + used, digest, RI_HASH_SIZE);
    ri_blake2b(out, chunk, used + RI_HASH_SIZE);
}

void ri_block_chain_by(ri_block *block, const uint8_t *parent, const uint8_t digest[RI_HASH_SIZE])
{
    commit_id(block, parent, digest, block->commit);
}

void ri_block_chain(ri_block *block, const uint8_t *parent)
{
    uint8_t digest[RI_HASH_SIZE];
    ri_block_digest(block, digest);
    ri_block_chain_by(block, parent, digest);
}

/* ---- checking it ---- */

void ri_commit_check_begin(ri_commit_check *check, const ri_block *block, const uint8_t *parent, unsigned rule)
{
    ri_blake2b_state state;
    *check = (ri_commit_check){ .rule = rule, .has_parent = parent != NULL };
    if (parent != NULL) {
        memcpy(check->parent, parent, RI_HASH_SIZE);
    }
    if (rule == 1) {
        uint8_t header[HEADER_BYTES_MAX];
        ri_blake2b_init(&state);
        ri_blake2b_update(&state, header, put_header(block, parent, 1, header));
        memcpy(check->hasher.state, &state, sizeof state);
    } else {
        ri_hasher_begin(&check->hasher);
    }
}

bool ri_commit_check_end(const ri_commit_check *check, const ri_block *block, const uint8_t *digest)
{
    uint8_t own[RI_HASH_SIZE];
    ri_hasher_end(&check->hasher, own);
    if (check->rule == 2) {
        uint8_t of_datoms[RI_HASH_SIZE];
        memcpy(of_datoms, digest != NULL ? digest : own, RI_HASH_SIZE);
        commit_id(block, check->has_parent ? check->parent : NULL, of_datoms, own);
    }
    return memcmp(own, block->commit, RI_HASH_SIZE) == 0;
}

bool ri_block_has_commit(const ri_block *block, const uint8_t *parent, unsigned rule)
{
    ri_commit_check check;
    ri_commit_check_begin(&check, block, parent, rule);
    ri_digest_add(&check.hasher, block->datoms, block->count);
    return ri_commit_check_end(&check, block, NULL);
}

unsigned ri_block_commit_rule(const ri_block *block, const uint8_t *parent)
{
    return ri_block_has_commit(block, parent, 2) ? 2 : ri_block_has_commit(block, parent, 1) ? 1 : 0;
}
