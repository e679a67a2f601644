/* SPDX-License-Identifier: MIT
 *
 * Calls by their hashes.
 */
#include "call_key.h"

#include "../core/base/hash.h"

#include <string.h>

#define SEED_AGES 255U /* a slot that is no want */

static uint64_t hash_text(const char *text, uint64_t seed)
{
    return ri_hash64(text, strlen(text), seed);
}

static uint64_t hash_id(const rille_object_id *id, uint64_t seed)
{
    return ri_hash64(id->id, RILLE_ID_SIZE, seed + id->kind);
}

static uint64_t hash_ids(const rille_object_id *ids, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = hash_id(&ids[i], seed);
    }
    return seed;
}

static uint64_t hash_puts(const rille_put *puts, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = hash_id(&puts[i].object, seed) + puts[i].len;
    }
    return ri_mix64(seed + count);
}

static uint64_t seed_of(rille_want_op op)
{
    return (uint64_t)op + 1;
}

uint64_t ri_key_gets(const rille_get *gets, size_t count)
{
    uint64_t key = seed_of(RILLE_WANT_GET);
    for (size_t i = 0; i < count; i++) {
        uint64_t range[2] = { gets[i].offset, gets[i].len };
        key = ri_hash64(range, sizeof range, hash_id(&gets[i].object, key));
    }
    return key;
}

uint64_t ri_key_puts(const rille_put *puts, size_t count)
{
    return hash_puts(puts, count, seed_of(RILLE_WANT_PUT));
}

uint64_t ri_key_head_read(const char *branch, const rille_revision *known)
{
    uint64_t key = hash_text(branch, seed_of(RILLE_WANT_HEAD_READ));
    return known == NULL ? key : ri_hash64(known->bytes, sizeof known->bytes, key);
}

uint64_t ri_key_head_swap(const rille_head_swap *swap)
{
    uint64_t key = hash_text(swap->branch, seed_of(RILLE_WANT_HEAD_SWAP));
    key = ri_hash64(swap->expected.bytes, sizeof swap->expected.bytes, key);
    key = ri_hash64(swap->cell, swap->cell_len, key + swap->kept_len);
    return hash_puts(swap->puts, swap->put_count, key);
}

uint64_t ri_key_head_delete(const char *branch)
{
    return hash_text(branch, seed_of(RILLE_WANT_HEAD_DELETE));
}

uint64_t ri_key_list(rille_object_kind kind)
{
    return ri_mix64(seed_of(RILLE_WANT_LIST) * 256 + (uint64_t)kind);
}

uint64_t ri_key_delete(const rille_object_id *ids, size_t count)
{
    return hash_ids(ids, count, seed_of(RILLE_WANT_DELETE));
}

uint64_t ri_key_ages(const rille_object_id *ids, size_t count)
{
    return hash_ids(ids, count, SEED_AGES);
}

uint64_t ri_key_bare(rille_want_op op)
{
    return ri_mix64(seed_of(op));
}

uint64_t ri_key_want(const rille_want *call)
{
    switch (call->op) {
    case RILLE_WANT_GET:
        return ri_key_gets(call->gets, call->count);
    case RILLE_WANT_PUT:
        return ri_key_puts(call->puts, call->count);
    case RILLE_WANT_HEAD_READ:
        return ri_key_head_read(call->branch, call->known);
    case RILLE_WANT_HEAD_SWAP:
        return ri_key_head_swap(call->swap);
    case RILLE_WANT_HEAD_DELETE:
        return ri_key_head_delete(call->branch);
    case RILLE_WANT_LIST:
        return ri_key_list(call->kind);
    case RILLE_WANT_DELETE:
        return ri_key_delete(call->ids, call->count);
    case RILLE_WANT_HEAD_LIST:
    case RILLE_WANT_DROP:
        break;
    }
    return ri_key_bare(call->op);
}
