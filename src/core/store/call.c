/* SPDX-License-Identifier: MIT
 *
 * Calls of slots and their answers as values: copied, compared, shared by several tasks.
 */
#include "../base/mem.h"
#include "inside.h"

#include <string.h>

void ri_answer_deinit(ri_answer *answer)
{
    ri_free(answer->head.bytes);
    ri_free(answer->names);
    ri_free(answer->ids);
    for (size_t i = 0; answer->gets != NULL && i < answer->count; i++) {
        ri_free(answer->gets[i].bytes);
    }
    ri_free(answer->gets);
    *answer = (ri_answer){ 0 };
}

static bool copy_bytes(uint8_t **out, const void *bytes, size_t len)
{
    *out = bytes == NULL ? NULL : ri_alloc(len + 1);
    if (*out != NULL) {
        memcpy(*out, bytes, len);
    }
    return bytes == NULL || *out != NULL;
}

/* names, each ended by a zero */
static size_t names_len(const char *names, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += strlen(names + len) + 1;
    }
    return len;
}

static bool copy_gets(const ri_answer *from, ri_answer *to)
{
    to->gets = ri_alloc_array(from->count + 1, sizeof *to->gets);
    if (to->gets == NULL) {
        return false;
    }
    bool good = true;
    for (size_t i = 0; i < from->count; i++) {
        to->gets[i] = from->gets[i];
        good = copy_bytes(&to->gets[i].bytes, from->gets[i].bytes, from->gets[i].bytes_len) && good;
    }
    return good;
}

bool ri_answer_copy(const ri_answer *from, ri_answer *to)
{
    *to = *from;
    to->head.bytes = NULL;
    to->names = NULL;
    to->ids = NULL;
    to->gets = NULL;
    bool good = copy_bytes(&to->head.bytes, from->head.bytes, from->head.len);
    if (from->names != NULL) {
        good = good && copy_bytes((uint8_t **)(void *)&to->names, from->names, names_len(from->names, from->count));
    }
    if (from->ids != NULL) {
        good = good && copy_bytes((uint8_t **)(void *)&to->ids, from->ids, from->count * sizeof *from->ids);
    }
    good = good && (from->gets == NULL || copy_gets(from, to));
    if (!good) {
        ri_answer_deinit(to);
    }
    return good;
}

static const rille_put *copy_puts(ri_arena *arena, const rille_put *puts, size_t count)
{
    rille_put *copy = ri_arena_array(arena, count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = puts[i];
        copy[i].bytes = ri_arena_copy(arena, puts[i].bytes, puts[i].len);
        if (copy[i].bytes == NULL) {
            return NULL;
        }
    }
    return copy;
}

static const rille_head_swap *copy_swap(ri_arena *arena, const rille_head_swap *swap)
{
    rille_head_swap *copy = ri_arena_copy(arena, swap, sizeof *swap);
    if (copy == NULL) {
        return NULL;
    }
    copy->branch = ri_arena_copy(arena, swap->branch, strlen(swap->branch) + 1);
    copy->cell = ri_arena_copy(arena, swap->cell, swap->cell_len);
    copy->puts = copy_puts(arena, swap->puts, swap->put_count);
    return copy->branch != NULL && copy->cell != NULL && copy->puts != NULL ? copy : NULL;
}

static const rille_get *copy_requests(ri_arena *arena, const rille_get *gets, size_t count)
{
    rille_get *copy = ri_arena_array(arena, count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = (rille_get){ .object = gets[i].object, .offset = gets[i].offset, .len = gets[i].len };
    }
    return copy;
}

bool ri_call_copy(ri_arena *arena, const ri_slot_call *from, ri_slot_call *to)
{
    *to = *from;
    bool good = true;
    if (from->branch != NULL) {
        good = (to->branch = ri_arena_copy(arena, from->branch, strlen(from->branch) + 1)) != NULL;
    }
    if (good && from->known != NULL) {
        good = (to->known = ri_arena_copy(arena, from->known, sizeof *from->known)) != NULL;
    }
    if (good && from->swap != NULL) {
        good = (to->swap = copy_swap(arena, from->swap)) != NULL;
    }
    if (good && from->puts != NULL) {
        good = (to->puts = copy_puts(arena, from->puts, from->count)) != NULL;
    }
    if (good && from->ids != NULL) {
        good = (to->ids = ri_arena_copy(arena, from->ids, from->count * sizeof *from->ids)) != NULL;
    }
    if (good && from->gets != NULL) {
        good = (to->gets = (rille_get *)(uintptr_t)copy_requests(arena, from->gets, from->count)) != NULL;
    }
    return good;
}

static uint64_t hash_puts(const rille_put *puts, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = ri_hash64(puts[i].object.id, RILLE_ID_SIZE, seed + puts[i].object.kind);
    }
    return seed;
}

uint64_t ri_call_hash(const ri_slot_call *call)
{
    uint64_t hash = ri_mix64((uint64_t)call->slot * 256 + (uint64_t)call->kind + (call->is_kept ? 1 : 0));
    hash = ri_hash64(&call->store, sizeof call->store, hash);
    if (call->branch != NULL) {
        hash = ri_hash64(call->branch, strlen(call->branch), hash);
    }
    if (call->puts != NULL) {
        hash = hash_puts(call->puts, call->count, hash);
    }
    for (size_t i = 0; call->ids != NULL && i < call->count; i++) {
        hash = ri_hash64(call->ids[i].id, RILLE_ID_SIZE, hash);
    }
    for (size_t i = 0; call->gets != NULL && i < call->count; i++) {
        hash = ri_hash64(call->gets[i].object.id, RILLE_ID_SIZE, hash + call->gets[i].offset);
    }
    if (call->swap != NULL) {
        hash = ri_hash64(call->swap->expected.bytes, sizeof call->swap->expected.bytes, hash);
        hash = ri_hash64(call->swap->cell, call->swap->cell_len, hash);
        hash = hash_puts(call->swap->puts, call->swap->put_count, hash);
    }
    return hash;
}

/* ---- shared answers ---- */

struct ri_shared {
    ri_refs refs;
    ri_mutex lock;
    bool is_over;
    bool has_answer;
    ri_answer answer; /* of HEAD_SWAP: nothing in it is allocated */
};

ri_shared *ri_shared_new(void)
{
    ri_shared *shared = ri_alloc_zero(sizeof *shared);
    if (shared != NULL) {
        ri_refs_init(&shared->refs);
        ri_mutex_init(&shared->lock);
    }
    return shared;
}

ri_shared *ri_shared_retain(ri_shared *shared)
{
    ri_refs_take(&shared->refs);
    return shared;
}

void ri_shared_release(ri_shared *shared)
{
    if (shared != NULL && ri_refs_drop(&shared->refs)) {
        ri_mutex_deinit(&shared->lock);
        ri_free(shared);
    }
}

void ri_shared_end(ri_shared *shared)
{
    ri_mutex_lock(&shared->lock);
    shared->is_over = true;
    ri_mutex_unlock(&shared->lock);
}

bool ri_shared_is_over(ri_shared *shared)
{
    ri_mutex_lock(&shared->lock);
    bool over = shared->is_over;
    ri_mutex_unlock(&shared->lock);
    return over;
}

bool ri_shared_take(ri_shared *shared, ri_answer *out)
{
    ri_mutex_lock(&shared->lock);
    bool has_answer = shared->has_answer;
    *out = shared->answer;
    ri_mutex_unlock(&shared->lock);
    return has_answer;
}

void ri_shared_give(ri_shared *shared, const ri_answer *answer)
{
    ri_mutex_lock(&shared->lock);
    if (!shared->has_answer && answer->rc != RILLE_UNKNOWN) {
        shared->has_answer = true;
        shared->answer = (ri_answer){ .rc = answer->rc, .head.revision = answer->head.revision, .err = answer->err };
    }
    ri_mutex_unlock(&shared->lock);
}
