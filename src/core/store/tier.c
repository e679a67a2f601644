/* SPDX-License-Identifier: MIT */
#include "tier.h"

#include "../base/mem.h"
#include "../base/sync.h"
#include "backends_shelf.h"
#include "inside.h"
#include "url.h"

#define FRAME_SIZE ((size_t)48)
#define PIECE_BYTES (RI_SHELF_PIECE_MAX - FRAME_SIZE)
#define FRAME_SEED UINT64_C(0x72696c6c65207469)
#define WHOLE_MAX (RI_BLOB_BYTES_MAX + ((size_t)1 << 20)) /* of a blob, or of a region */
#define HEAD_BYTES_MAX ((size_t)16 << 20)

struct ri_tier {
    ri_shelf shelf;
    size_t whole_max; /* of what is kept at all */
    uint8_t source[RI_HASH_SIZE];
    bool has_source;
    atomic_int pauses;
    atomic_bool was_suspect;
    atomic_uint_fast64_t hits;
    atomic_uint_fast64_t misses;
};

/* ---- opening ---- */

/* What the store is, in words that no secret is part of, and the same wherever a process was started. False: something
 * that other processes cannot mean. */
static int put_source(ri_buf *out, const char *text, const rille_setting *settings, size_t count, bool *known,
                      rille_err *err)
{
    ri_url url;
    RI_TRY(ri_url_parse(text, &url, err));
    int rc = RILLE_OK;
    *known = true;
    ri_buf_put_text(out, ri_scheme_name(url.scheme));
    ri_buf_put_u8(out, 0);
    if (url.scheme == RI_SCHEME_FILE || url.scheme == RI_SCHEME_LMDB || url.scheme == RI_SCHEME_SQLITE) {
        char *place;
        rc = ri_shelf_place(url.place, &place, err);
        ri_buf_put_text(out, rc == RILLE_OK ? place : "");
        ri_free(place);
    } else if (url.is_local) {
        *known = false;
    } else {
        const char *endpoint = ri_url_param(&url, "endpoint");
        for (size_t i = 0; endpoint == NULL && i < count; i++) {
            endpoint = strcmp(settings[i].key, "endpoint") == 0 ? settings[i].value : NULL;
        }
        ri_buf_put_text(out, url.place);
        ri_buf_put_u8(out, 0);
        ri_buf_put_text(out, endpoint != NULL ? endpoint : "");
    }
    ri_url_deinit(&url);
    return rc;
}

/* deferred:URL and faulty:PLAN;URL stand for what is in them. */
static const char *unwrapped(const char *text)
{
    for (;;) {
        const char *rest = NULL;
        if (strncmp(text, "deferred:", 9) == 0) {
            rest = text + 9;
        } else if (strncmp(text, "faulty:", 7) == 0) {
            const char *semicolon = strchr(text, ';');
            const char *colon = strchr(text + 7, ':');
            rest = semicolon != NULL && (colon == NULL || semicolon < colon) ? semicolon + 1 : text + 7;
        }
        if (rest == NULL) {
            return text;
        }
        text = rest;
    }
}

static int set_source(ri_tier *tier, const char *store, const rille_setting *settings, size_t count, rille_err *err)
{
    ri_buf text = { 0 };
    int rc = store != NULL ? put_source(&text, unwrapped(store), settings, count, &tier->has_source, err) : RILLE_OK;
    if (rc == RILLE_OK && text.failed) {
        rc = ri_fail_nomem(err);
    }
    if (rc == RILLE_OK && tier->has_source) {
        ri_blake2b(tier->source, text.p, text.len);
    }
    ri_buf_deinit(&text);
    return rc;
}

static int open_shelf(const char *text, uint64_t bytes_max, ri_shelf *out, rille_err *err)
{
    ri_url url;
    int rc = ri_url_parse(text, &url, err);
    if (rc == RILLE_SYNTAX && strncmp(text, "file:", 5) != 0 && strncmp(text, "mem:", 4) != 0) {
        return ri_fail(err, rc, "cache: a cache must be mem:NAME or file:DIR"); /* other stores are of no use here */
    }
    if (rc != RILLE_OK) {
        ri_err_prefix(err, "cache");
        return rc;
    }
    if (url.scheme == RI_SCHEME_MEM) {
        rc = ri_shelf_memory_open(url.place, bytes_max, out, err);
    } else if (url.scheme == RI_SCHEME_FILE) {
        rc = ri_shelf_file_open(url.place, bytes_max, out, err);
    } else {
        rc = ri_fail(err, RILLE_UNSUPPORTED, "cache %s: a cache must be mem:NAME or file:DIR", url.shown);
    }
    ri_url_deinit(&url);
    return rc;
}

int ri_tier_open(const char *url, uint64_t bytes_max, const char *store, const rille_setting *settings, size_t count,
                 ri_tier **out, rille_err *err)
{
    *out = NULL;
    bytes_max = bytes_max == 0 ? RI_TIER_BYTES_DEFAULT : bytes_max;
    if (bytes_max < RI_SHELF_BYTES_MIN || bytes_max > INT64_MAX) {
        return ri_fail(err, RILLE_MISUSE, "cache_max_bytes is %llu; it must be at least %llu",
                       (unsigned long long)bytes_max, (unsigned long long)RI_SHELF_BYTES_MIN);
    }
    ri_tier *tier = ri_alloc_zero(sizeof *tier);
    if (tier == NULL) {
        return ri_fail_nomem(err);
    }
    tier->whole_max = bytes_max / 4 < WHOLE_MAX ? (size_t)(bytes_max / 4) : WHOLE_MAX;
    int rc = set_source(tier, store, settings, count, err);
    rc = rc == RILLE_OK ? open_shelf(url, bytes_max, &tier->shelf, err) : rc;
    if (rc != RILLE_OK) {
        ri_free(tier);
        return rc;
    }
    *out = tier;
    return RILLE_OK;
}

void ri_tier_close(ri_tier *tier)
{
    if (tier != NULL) {
        tier->shelf.ops->close(tier->shelf.self);
        ri_free(tier);
    }
}

/* ---- pieces ---- */

static void key_of_range(uint8_t key[RI_HASH_SIZE], const rille_get *range)
{
    uint8_t text[1 + RILLE_ID_SIZE + 16];
    text[0] = range->object.kind;
    memcpy(text + 1, range->object.id, RILLE_ID_SIZE);
    ri_store_u64(text + 1 + RILLE_ID_SIZE, range->offset);
    ri_store_u64(text + 1 + RILLE_ID_SIZE + 8, range->len);
    ri_blake2b(key, text, sizeof text);
}

/* Pieces of one whole are spread: each has a key of its own. */
static void key_of_piece(uint8_t out[RI_HASH_SIZE], const uint8_t key[RI_HASH_SIZE], uint64_t number)
{
    uint8_t text[RI_HASH_SIZE + 8];
    memcpy(text, key, RI_HASH_SIZE);
    ri_store_u64(text + RI_HASH_SIZE, number);
    if (number == 0) {
        memcpy(out, key, RI_HASH_SIZE);
    } else {
        ri_blake2b(out, text, sizeof text);
    }
}

static size_t piece_len(uint64_t whole, uint64_t at)
{
    return whole - at < PIECE_BYTES ? (size_t)(whole - at) : PIECE_BYTES;
}

/* The frame of a piece with this key, or NULL. What is damaged is dropped. */
static uint8_t *get_piece(ri_tier *tier, const uint8_t key[RI_HASH_SIZE], size_t *len)
{
    uint8_t *frame;
    if (!tier->shelf.ops->get(tier->shelf.self, key, &frame, len)) {
        return NULL;
    }
    if (*len <= FRAME_SIZE || memcmp(frame + 8, key, RI_HASH_SIZE) != 0 ||
        ri_load_u64(frame) != ri_hash64(frame + 8, *len - 8, FRAME_SEED)) {
        tier->shelf.ops->drop(tier->shelf.self, key);
        ri_free(frame);
        return NULL;
    }
    return frame;
}

/* expected: the length of the whole, or 0. */
static bool get_whole(ri_tier *tier, const uint8_t key[RI_HASH_SIZE], uint64_t expected, size_t max, uint8_t **out,
                      size_t *out_len)
{
    uint8_t *bytes = NULL;
    uint64_t whole = 0;
    uint64_t at = 0;
    for (uint64_t number = 0; number == 0 || at < whole; number++) {
        uint8_t own[RI_HASH_SIZE];
        size_t len;
        key_of_piece(own, key, number);
        uint8_t *frame = get_piece(tier, own, &len);
        bool good = frame != NULL;
        if (good && number == 0) {
            whole = ri_load_u64(frame + 40);
            good = whole > 0 && whole <= max && (expected == 0 || expected == whole) &&
                   (bytes = ri_alloc((size_t)whole)) != NULL;
        }
        good = good && ri_load_u64(frame + 40) == whole && len - FRAME_SIZE == piece_len(whole, at);
        if (good) {
            memcpy(bytes + at, frame + FRAME_SIZE, len - FRAME_SIZE);
            at += len - FRAME_SIZE;
        }
        ri_free(frame);
        if (!good) {
            ri_free(bytes);
            return false;
        }
    }
    *out = bytes;
    *out_len = (size_t)whole;
    return true;
}

static void put_whole(ri_tier *tier, const uint8_t key[RI_HASH_SIZE], const uint8_t *bytes, size_t len)
{
    uint8_t *frame = ri_alloc(FRAME_SIZE + piece_len(len, 0));
    uint64_t number = 0;
    for (size_t at = 0; frame != NULL && at < len; number++) {
        size_t some = piece_len(len, at);
        key_of_piece(frame + 8, key, number);
        ri_store_u64(frame + 40, len);
        memcpy(frame + FRAME_SIZE, bytes + at, some);
        ri_store_u64(frame, ri_hash64(frame + 8, FRAME_SIZE - 8 + some, FRAME_SEED));
        tier->shelf.ops->put(tier->shelf.self, frame + 8, frame, FRAME_SIZE + some);
        at += some;
    }
    ri_free(frame);
}

/* ---- ranges ---- */

static bool is_paused(ri_tier *tier)
{
    return atomic_load_explicit(&tier->pauses, memory_order_relaxed) > 0;
}

bool ri_tier_get(ri_tier *tier, const rille_get *range, uint8_t **bytes, size_t *len)
{
    uint8_t key[RI_HASH_SIZE];
    *bytes = NULL;
    *len = 0;
    if (is_paused(tier)) {
        return false;
    }
    key_of_range(key, range);
    bool found = get_whole(tier, key, range->len, tier->whole_max, bytes, len);
    ri_store_count(found ? &tier->hits : &tier->misses, 1);
    return found;
}

bool ri_tier_has(ri_tier *tier, const rille_get *range)
{
    uint8_t key[RI_HASH_SIZE];
    key_of_range(key, range);
    return !is_paused(tier) && tier->shelf.ops->has(tier->shelf.self, key);
}

void ri_tier_put(ri_tier *tier, const rille_get *range, const uint8_t *bytes, size_t len)
{
    uint8_t key[RI_HASH_SIZE];
    if (len > 0 && len <= tier->whole_max) {
        key_of_range(key, range);
        put_whole(tier, key, bytes, len);
    }
}

void ri_tier_drop(ri_tier *tier, const rille_get *range)
{
    uint8_t key[RI_HASH_SIZE];
    key_of_range(key, range);
    tier->shelf.ops->drop(tier->shelf.self, key);
}

void ri_tier_suspect(ri_tier *tier)
{
    if (!atomic_exchange_explicit(&tier->was_suspect, true, memory_order_relaxed)) {
        tier->shelf.ops->empty(tier->shelf.self);
    }
}

void ri_tier_pause(ri_tier *tier, int count)
{
    (void)atomic_fetch_add_explicit(&tier->pauses, count, memory_order_relaxed);
}

/* ---- heads ---- */

static bool key_of_head(uint8_t key[RI_HASH_SIZE], const ri_tier *tier, const char *branch)
{
    ri_blake2b_state state;
    ri_blake2b_init(&state);
    ri_blake2b_update(&state, "head", 4);
    ri_blake2b_update(&state, tier->source, sizeof tier->source);
    ri_blake2b_update(&state, branch, strlen(branch));
    ri_blake2b_final(&state, key);
    return tier->has_source;
}

bool ri_tier_get_head(ri_tier *tier, const char *branch, uint8_t **bytes, size_t *len, int64_t *read_ms)
{
    uint8_t key[RI_HASH_SIZE];
    uint8_t *found;
    size_t found_len;
    *bytes = NULL;
    *len = 0;
    *read_ms = 0;
    if (is_paused(tier) || !key_of_head(key, tier, branch) ||
        !get_whole(tier, key, 0, HEAD_BYTES_MAX, &found, &found_len)) {
        return false;
    }
    if (found_len <= 8) {
        ri_free(found);
        return false;
    }
    *read_ms = (int64_t)ri_load_u64(found);
    *len = found_len - 8;
    memmove(found, found + 8, *len);
    *bytes = found;
    return true;
}

void ri_tier_put_head(ri_tier *tier, const char *branch, const uint8_t *bytes, size_t len, int64_t read_ms)
{
    uint8_t key[RI_HASH_SIZE];
    uint8_t *whole = len <= HEAD_BYTES_MAX - 8 && key_of_head(key, tier, branch) ? ri_alloc(len + 8) : NULL;
    if (whole != NULL) {
        ri_store_u64(whole, (uint64_t)read_ms);
        memcpy(whole + 8, bytes, len);
        put_whole(tier, key, whole, len + 8);
        ri_free(whole);
    }
}

void ri_tier_drop_head(ri_tier *tier, const char *branch)
{
    uint8_t key[RI_HASH_SIZE];
    if (key_of_head(key, tier, branch)) {
        tier->shelf.ops->drop(tier->shelf.self, key);
    }
}

void ri_tier_count(ri_tier *tier, rille_counters *out)
{
    out->tier_hits = atomic_load_explicit(&tier->hits, memory_order_relaxed);
    out->tier_misses = atomic_load_explicit(&tier->misses, memory_order_relaxed);
    tier->shelf.ops->count(tier->shelf.self, &out->tier_evictions, &out->tier_bytes);
}
