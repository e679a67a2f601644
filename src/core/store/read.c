/* SPDX-License-Identifier: MIT
 *
 * Reading nodes and blobs: cache, pins, backend, and the footers of packs when a locator leads nowhere.
 * Bytes are believed after their hash only, unless the backend is this process's own memory.
 */
#include "../base/mem.h"
#include "inside.h"

#include <errno.h>
#include <stdio.h>

/* "node 12ab...": for messages. */
typedef struct want_name {
    char text[16 + 2 * RI_HASH_SIZE];
} want_name;

static want_name name_of(const ri_want *want)
{
    want_name name;
    char hex[2 * RI_HASH_SIZE + 1];
    ri_hex(hex, want->ref.addr, RI_HASH_SIZE);
    (void)snprintf(name.text, sizeof name.text, "%s %s", want->decode != NULL ? "node" : "blob", hex);
    return name;
}

/* Where a want was looked for first: "pack 12ab..." or itself. */
static want_name place_of(const ri_store *store, const ri_want *want)
{
    want_name place = name_of(want);
    if (want->decode != NULL && want->ref.len > 0 && !ri_store_has(store, RILLE_BACKEND_ROWS)) {
        char hex[2 * RI_HASH_SIZE + 1];
        ri_hex(hex, want->ref.pack, RI_HASH_SIZE);
        (void)snprintf(place.text, sizeof place.text, "pack %s", hex);
    }
    return place;
}

static bool is_region(const ri_want *want)
{
    return ri_addr_is_zero(want->ref.addr);
}

rille_get ri_store_request(const ri_want *want)
{
    rille_get get = { 0 };
    if (want->store == NULL) {
        return get;
    }
    if (want->decode != NULL && want->ref.len > 0 && !ri_store_has(want->store, RILLE_BACKEND_ROWS)) {
        get.object.kind = RILLE_OBJECT_PACK;
        memcpy(get.object.id, want->ref.pack, RI_HASH_SIZE);
        get.offset = want->ref.offset;
        get.len = want->ref.len;
    } else {
        get.object.kind = want->decode != NULL ? RILLE_OBJECT_NODE : RILLE_OBJECT_BLOB;
        memcpy(get.object.id, want->ref.addr, RI_HASH_SIZE);
    }
    return get;
}

/* ---- from stored bytes to an object ---- */

static void destroy_blob(ri_object *object)
{
    ri_free(object);
}

static bool address_fits(const ri_store *store, const uint8_t addr[RI_HASH_SIZE], const uint8_t *bytes, size_t len)
{
    if (ri_store_has(store, RILLE_BACKEND_TRUSTED)) {
        return true;
    }
    uint8_t hash[RI_HASH_SIZE];
    ri_blake2b(hash, bytes, len);
    return memcmp(hash, addr, RI_HASH_SIZE) == 0;
}

ri_blob *ri_blob_new(size_t len)
{
    if (len > SIZE_MAX - sizeof(ri_blob) - RI_NODE_PADDING) {
        return NULL;
    }
    ri_blob *blob = ri_alloc(sizeof *blob + len + RI_NODE_PADDING);
    if (blob != NULL) {
        memset(blob->bytes + len, 0, RI_NODE_PADDING);
        *blob = (ri_blob){ .object = { .mem_bytes = sizeof *blob + len, .destroy = destroy_blob }, .len = len };
        ri_refs_init(&blob->object.refs);
    }
    return blob;
}

static int decode_blob(ri_store *store, const ri_want *want, const ri_entry *entry, ri_object **out)
{
    ri_blob *blob = ri_blob_new(entry->raw_len);
    if (blob == NULL) {
        return RILLE_NOMEM;
    }
    int rc = ri_unpack(&store->unpackers, entry, blob->bytes);
    if (rc == RILLE_OK && !address_fits(store, want->ref.addr, blob->bytes, blob->len)) {
        rc = RILLE_CORRUPT;
    }
    if (rc != RILLE_OK) {
        ri_free(blob);
        return rc;
    }
    *out = &blob->object;
    return RILLE_OK;
}

/* know_addr: the bytes must hash to ref->addr; else their hash becomes it. */
static int decode_node(ri_store *store, ri_noderef *ref, bool know_addr, ri_decode_fn decode, const ri_entry *entry,
                       ri_object **out, rille_err *err)
{
    uint8_t *bytes = ri_alloc(entry->raw_len + RI_NODE_PADDING);
    if (bytes == NULL) {
        return RILLE_NOMEM;
    }
    int rc = ri_unpack(&store->unpackers, entry, bytes);
    if (rc == RILLE_OK && !know_addr) {
        ri_blake2b(ref->addr, bytes, entry->raw_len);
    } else if (rc == RILLE_OK && !address_fits(store, ref->addr, bytes, entry->raw_len)) {
        rc = RILLE_CORRUPT;
    }
    if (rc != RILLE_OK) {
        ri_free(bytes);
        return rc;
    }
    memset(bytes + entry->raw_len, 0, RI_NODE_PADDING);
    ri_decode_input input = { bytes, entry->raw_len, entry->locators, entry->locators_len, ref, false };
    return decode(&input, out, err);
}

/* Stands in the pins for a region that was read. */
static int new_marker(ri_object **out)
{
    ri_object *marker = ri_alloc(sizeof *marker);
    if (marker == NULL) {
        return RILLE_NOMEM;
    }
    *marker = (ri_object){ .mem_bytes = sizeof *marker, .destroy = destroy_blob };
    ri_refs_init(&marker->refs);
    *out = marker;
    return RILLE_OK;
}

/* Puts the nodes of a region in the cache, as far as the bytes are good and the cache can hold them. */
static void decode_region(ri_store *store, const ri_want *want, const uint8_t *bytes, size_t len)
{
    ri_reader reader = ri_reader_of(bytes, len);
    size_t raw_len_sum = 0;
    while (ri_reader_left(&reader) > 0 && raw_len_sum < store->cache_bytes_max) {
        ri_entry entry;
        ri_noderef ref = want->ref;
        ri_object *object = NULL;
        const uint8_t *begin = reader.p;
        if (!ri_entry_read(&reader, RI_NODE_BYTES_MAX, &entry)) {
            return;
        }
        raw_len_sum += entry.raw_len;
        ref.offset = want->ref.offset + (uint64_t)(begin - bytes);
        ref.len = (uint32_t)(reader.p - begin);
        if (decode_node(store, &ref, false, want->decode, &entry, &object, NULL) != RILLE_OK) {
            return;
        }
        uint8_t key[RI_KEY_SIZE];
        ri_object_key(key, ref.addr, want->decode);
        ri_cache_put(store->cache, key, object);
        ri_object_release(object);
    }
}

/* The same without the sentence about the address. RILLE_CORRUPT has no message. */
static int decode_want(ri_store *store, const ri_want *want, const uint8_t *bytes, size_t len, ri_object **out,
                       rille_err *err)
{
    *out = NULL;
    if (len == 0) {
        return RILLE_CORRUPT;
    }
    if (is_region(want)) {
        decode_region(store, want, bytes, len);
        return new_marker(out);
    }
    ri_entry entry;
    ri_reader reader = ri_reader_of(bytes, len);
    size_t raw_len_max = want->decode != NULL ? RI_NODE_BYTES_MAX : RI_BLOB_BYTES_MAX;
    if (!ri_entry_read(&reader, raw_len_max, &entry) || ri_reader_left(&reader) != 0) {
        return RILLE_CORRUPT;
    }
    ri_noderef ref = want->ref;
    int rc = want->decode == NULL ? decode_blob(store, want, &entry, out)
                                  : decode_node(store, &ref, true, want->decode, &entry, out, err);
    if (rc == RILLE_OK) {
        uint8_t key[RI_KEY_SIZE];
        ri_want_key(key, want);
        ri_cache_put(store->cache, key, *out);
    }
    return rc;
}

int ri_store_fail_read(const ri_store *store, const char *what, int rc, int errnum, rille_err *err)
{
    const char *remedy = "";
    if (rc == RILLE_PERMISSION) {
        remedy = " (check its permissions)";
    } else if (errnum == EMFILE || errnum == ENFILE) {
        remedy = ": close some files, or raise the limit of open files (ulimit -n)";
    } else if (rc == RILLE_IO) {
        remedy = " (check the disk, or restore it from a backup)";
    }
    bool explains = errnum != 0 && ri_fail_errno(NULL, errnum, "%s", "") == rc;
    return explains ? ri_fail_errno(err, errnum, "%s: cannot read %s%s", store->url, what, remedy)
                    : ri_fail(err, rc, "%s: cannot read %s%s", store->url, what, remedy);
}

/* Says what happened to a want, when nothing has said it yet. A backend gives a range only a code: `errnum` is what its
 * last failed system call left, or 0. */
static int fail_want(ri_store *store, const ri_want *want, int rc, int errnum, rille_err *err)
{
    if (rc == RILLE_NOMEM) {
        return ri_fail_nomem(err);
    }
    if (err != NULL && err->code == rc && err->message[0] != '\0') {
        return rc;
    }
    want_name name = name_of(want);
    if (rc == RILLE_CORRUPT && errnum == ENXIO) { /* what opens no FIFO, socket or directory */
        return ri_fail(err, rc, "%s: cannot read %s: %s is not a regular file: restore it from a backup", store->url,
                       name.text, place_of(store, want).text);
    }
    if (rc == RILLE_CORRUPT) {
        return ri_fail(err, rc, "%s: %s is corrupt (its bytes do not match its address): restore it from a backup",
                       store->url, name.text);
    }
    if (rc == RILLE_NOTFOUND) {
        return ri_fail(err, rc, "%s: %s is missing (was it deleted, or not copied?): restore it from a backup",
                       store->url, name.text);
    }
    want_name place = place_of(store, want);
    char what[2 * sizeof name.text + 4];
    bool elsewhere = strcmp(place.text, name.text) != 0;
    (void)snprintf(what, sizeof what, "%s%s%s", name.text, elsewhere ? " in " : "", elsewhere ? place.text : "");
    return ri_store_fail_read(store, what, rc, errnum, err);
}

int ri_store_decode_want(ri_store *store, const ri_want *want, const uint8_t *bytes, size_t len, ri_object **out,
                         rille_err *err)
{
    rille_err first = { 0 };
    int rc = decode_want(store, want, bytes, len, out, &first);
    if (rc == RILLE_CORRUPT && first.message[0] == '\0') { /* the host's mistake: storage may be good */
        (void)ri_fail(
            &first, rc,
            "%s: the bytes that were supplied for %s do not match its address: supply the range that is wanted",
            store->url, name_of(want).text);
    }
    if (rc != RILLE_OK) {
        rc = fail_want(store, want, rc, 0, &first);
        if (err != NULL) {
            *err = first;
        }
    }
    return rc;
}

/* ---- the footers ---- */

/* Tries the places that the footers from number *from on know. 0, or the worst that was met. */
static int try_footers(ri_store *store, const ri_want *want, size_t *from, ri_io *io, ri_object **out, rille_err *err)
{
    int rc = RILLE_NOTFOUND;
    ri_want other = *want;
    while (ri_packs_find(&store->packs, want->ref.addr, from, &other.ref)) {
        if (other.ref.offset == want->ref.offset && other.ref.len == want->ref.len &&
            memcmp(other.ref.pack, want->ref.pack, RI_HASH_SIZE) == 0) {
            rc = RILLE_CORRUPT; /* where it was read already */
            continue;
        }
        rille_get get = ri_store_request(&other);
        uint64_t begun_us = ri_clock_us();
        RI_TRY(ri_store_get_many(store, &get, 1, err));
        if (io != NULL) {
            ri_io_spend(io, store, &get, 1, 1, ri_clock_us() - begun_us);
        }
        int get_rc = get.rc;
        if (get_rc == RILLE_OK) {
            get_rc = decode_want(store, &other, get.bytes, get.bytes_len, out, err);
            ri_free(get.bytes);
        }
        if (get_rc == RILLE_OK || get_rc == RILLE_NOMEM || get_rc == RILLE_IO) {
            return get_rc;
        }
        rc = get_rc != RILLE_NOTFOUND ? get_rc : rc;
    }
    return rc;
}

/* `rc`: what the locator gave. Known footers first, then those of packs that came since. */
static int find_by_footers(ri_store *store, const ri_want *want, int rc, ri_io *io, ri_object **out, rille_err *err)
{
    size_t from = 0;
    int found = try_footers(store, want, &from, io, out, err);
    if (found == RILLE_NOTFOUND || found == RILLE_CORRUPT) {
        int first = found;
        int list_rc = ri_packs_refresh(&store->packs, store, err);
        if (list_rc != RILLE_OK) {
            return list_rc == RILLE_UNSUPPORTED ? rc : list_rc;
        }
        found = try_footers(store, want, &from, io, out, err);
        found = found == RILLE_NOTFOUND ? first : found;
    }
    return found == RILLE_NOTFOUND ? rc : found;
}

/* ---- reading ---- */

/* Bytes from far away may have been changed on their way: they are read once more before they count as damaged. */
static int read_once_more(ri_store *store, const ri_want *want, const ri_reading *how, ri_object **out, rille_err *err)
{
    if (!ri_store_has(store, RILLE_BACKEND_DEFERRED) || is_region(want)) {
        return RILLE_CORRUPT;
    }
    if (how->returns) {
        return ri_io_doubt(how->io, want, err);
    }
    rille_get get = ri_store_request(want);
    uint64_t begun_us = ri_clock_us();
    RI_TRY(ri_store_get_many(store, &get, 1, err));
    if (how->io != NULL) {
        ri_io_spend(how->io, store, &get, 1, 1, ri_clock_us() - begun_us);
    }
    int rc = get.rc == RILLE_OK ? decode_want(store, want, get.bytes, get.bytes_len, out, err) : get.rc;
    ri_free(get.bytes);
    return rc;
}

/* The answer to one request becomes an object, or an arrival. */
static int finish_want(ri_store *store, const ri_want *want, rille_get *get, const ri_reading *how, ri_object **out,
                       rille_err *err)
{
    int rc = get->rc;
    if (rc == RILLE_OK && how->slices && ri_arrival_is_large(want, get->bytes, get->bytes_len)) {
        uint8_t *bytes = get->bytes;
        get->bytes = NULL;
        return ri_io_arrive(how->io, want, bytes, get->bytes_len, false, err);
    }
    if (rc == RILLE_OK) {
        rc = decode_want(store, want, get->bytes, get->bytes_len, out, err);
        if (rc == RILLE_OK) {
            ri_store_keep(want, get->bytes, get->bytes_len);
        }
        ri_free(get->bytes);
        get->bytes = NULL;
    }
    rc = rc == RILLE_CORRUPT ? read_once_more(store, want, how, out, err) : rc;
    bool damaged = rc == RILLE_NOTFOUND || rc == RILLE_CORRUPT;
    if (damaged && is_region(want)) {
        return new_marker(out);
    }
    if (damaged && want->decode != NULL && !ri_store_has(store, RILLE_BACKEND_ROWS)) {
        if (store->tier != NULL) {
            ri_tier_suspect(store->tier);
        }
        rc = find_by_footers(store, want, rc, how->io, out, err);
    }
    return rc;
}

/* Hostile bytes can be few, and many when unpacked: of what nobody needs yet no more are decoded than an operation pins. */
static bool takes_ahead(const ri_want *want, size_t decoded_bytes)
{
    return !want->ahead || decoded_bytes < RI_IO_PIN_BYTES;
}

int ri_store_finish_wants(ri_store *store, const ri_want *wants, rille_get *gets, size_t count, int errnum,
                          const ri_reading *how, ri_object **objects, rille_err *err)
{
    int rc = RILLE_OK;
    size_t decoded_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        rille_err own = { 0 };
        if (!takes_ahead(&wants[i], decoded_bytes) || (wants[i].ahead && gets[i].rc != RILLE_OK)) {
            ri_free(gets[i].bytes);
            continue;
        }
        int own_rc = finish_want(store, &wants[i], &gets[i], how, &objects[i], &own);
        decoded_bytes += objects[i] != NULL ? objects[i]->mem_bytes : 0;
        if (own_rc != RILLE_OK && rc == RILLE_OK && !wants[i].ahead) {
            rc = fail_want(store, &wants[i], own_rc, errnum, &own);
            if (err != NULL) {
                *err = own;
            }
        }
    }
    return rc;
}

int ri_store_read_wants(ri_store *store, const ri_want *wants, size_t count, const ri_reading *how, ri_object **objects,
                        rille_err *err)
{
    rille_get one;
    rille_get *gets = how->gets != NULL ? how->gets : &one;
    uint64_t begun_us = how->begun_us != 0 ? how->begun_us : ri_clock_us();
    for (size_t i = 0; i < count; i++) {
        gets[i] = ri_store_request(&wants[i]);
        objects[i] = NULL;
    }
    errno = 0;
    int rc = ri_store_get_now(store, gets, count, !how->polls, err);
    int errnum = errno;
    if (rc != RILLE_NEED && how->io != NULL) {
        ri_io_spend(how->io, store, gets, count, 1, ri_clock_us() - begun_us);
    }
    RI_TRY(rc);
    return ri_store_finish_wants(store, wants, gets, count, errnum, how, objects, err);
}

/* What was checked becomes an object. */
static int decode_arrival(ri_arrival *a, ri_object **out, rille_err *err)
{
    if (a->blob != NULL) {
        *out = &a->blob->object;
        a->blob = NULL;
        return RILLE_OK;
    }
    uint8_t *bytes = a->node;
    a->node = NULL;
    memset(bytes + a->entry.raw_len, 0, RI_NODE_PADDING);
    ri_decode_input input = { bytes, a->entry.raw_len, a->entry.locators, a->entry.locators_len, &a->want.ref, false };
    return a->want.decode(&input, out, err);
}

/* The bytes are not the right ones: what is read for it from now on is checked at once, as it comes, where footers can
 * be asked and the host be told. */
static int read_again(ri_store *store, ri_io *io, const ri_want *want, ri_object **out, rille_err *err)
{
    io->at_once = true;
    if (ri_io_doubt(io, want, err) == RILLE_NOMEM) {
        return RILLE_NOMEM;
    }
    return ri_store_has(store, RILLE_BACKEND_DEFERRED)
               ? ri_io_want(io, store, &want->ref, want->decode, false, err)
               : ri_store_read_wants(store, want, 1, &(ri_reading){ .io = io }, out, err);
}

/* Slices until it is checked, or the run pauses. Its object is pinned, since the cache may not have room for it. */
static int finish_arrival(ri_store *store, ri_io *io, ri_arrival *a, ri_object **out, rille_err *err)
{
    int rc = RILLE_AGAIN;
    if (ri_task_lacks()) {
        return RILLE_NEED;
    }
    while (rc == RILLE_AGAIN) {
        rc = ri_arrival_step(store, a);
        if (rc == RILLE_AGAIN && ri_task_pause(ri_arrival_work(a))) {
            return RILLE_NEED;
        }
    }
    ri_want want = a->want;
    rc = rc == RILLE_OK ? decode_arrival(a, out, NULL) : rc;
    if (a->from_tier && rc != RILLE_OK && rc != RILLE_NOMEM) {
        ri_store_forget(&want);
    } else if (!a->from_tier && rc == RILLE_OK) {
        ri_store_keep(&want, a->bytes, a->len);
    }
    ri_io_drop_arrival(io, a);
    if (rc != RILLE_OK) {
        return rc == RILLE_NOMEM ? ri_fail_nomem(err) : read_again(store, io, &want, out, err);
    }
    uint8_t key[RI_KEY_SIZE];
    ri_want_key(key, &want);
    ri_cache_put(store->cache, key, *out);
    rc = ri_io_pin(io, store, key, *out, err);
    if (rc != RILLE_OK) {
        ri_object_release(*out);
        *out = NULL;
    }
    return rc;
}

static int read_now(ri_store *store, const ri_want *want, ri_io *io, ri_object **out, rille_err *err)
{
    ri_reading how = { .io = io, .slices = io != NULL && !io->at_once && ri_task_may_pause() };
    RI_TRY(ri_store_read_wants(store, want, 1, &how, out, err));
    if (*out != NULL) {
        return RILLE_OK;
    }
    uint8_t key[RI_KEY_SIZE];
    ri_want_key(key, want);
    return finish_arrival(store, io, ri_io_arrival(io, store, key), out, err);
}

int ri_store_get(ri_store *store, const ri_noderef *ref, ri_decode_fn decode, ri_io *io, ri_object **out,
                 rille_err *err)
{
    uint8_t key[RI_KEY_SIZE];
    ri_object_key(key, ref->addr, decode);
    *out = NULL;
    const ri_io *own = io;
    io = ri_io_of_task(io);
    if (own != io && (*out = ri_io_pinned(own, store, key)) != NULL) {
        return RILLE_OK;
    }
    ri_arrival *arrival = io != NULL && io->arrival_count > 0 ? ri_io_arrival(io, store, key) : NULL;
    if (arrival != NULL) {
        return finish_arrival(store, io, arrival, out, err);
    }
    if (io != NULL && io->defer != NULL && !ri_addr_is_zero(ref->addr)) {
        if ((*out = ri_io_pinned(io, store, key)) != NULL) {
            return RILLE_OK;
        }
        if (io->defer(io->defer_context)) {
            return ri_io_want(io, store, ref, decode, false, err);
        }
    }
    if ((*out = ri_cache_get(store->cache, key)) != NULL) {
        return RILLE_OK;
    }
    if (io != NULL && (*out = ri_io_pinned(io, store, key)) != NULL) {
        return RILLE_OK;
    }
    if (ri_addr_is_zero(ref->addr)) {
        return ri_fail(err, RILLE_CORRUPT, "%s: a reference to a node is empty (its address is zero)", store->url);
    }
    ri_want want = { store, *ref, decode, false };
    if (store->tier != NULL) {
        int rc = ri_store_read_kept(&want, io != NULL && !io->at_once && ri_task_may_pause() ? io : NULL, out, err);
        if (rc != RILLE_NOTFOUND) {
            return rc != RILLE_AGAIN ? rc : finish_arrival(store, io, ri_io_arrival(io, store, key), out, err);
        }
    }
    if (io != NULL && ri_store_has(store, RILLE_BACKEND_DEFERRED)) {
        return ri_io_want(io, store, ref, decode, false, err);
    }
    return read_now(store, &want, io, out, err);
}

int ri_store_get_blob(ri_store *store, const uint8_t addr[RI_HASH_SIZE], ri_io *io, ri_blob **out, rille_err *err)
{
    ri_noderef ref = { 0 };
    ri_object *object;
    memcpy(ref.addr, addr, RI_HASH_SIZE);
    *out = NULL;
    RI_TRY(ri_store_get(store, &ref, NULL, io, &object, err));
    *out = (ri_blob *)object;
    return RILLE_OK;
}

bool ri_store_has_cached(ri_store *store, const ri_noderef *ref, ri_decode_fn decode)
{
    uint8_t key[RI_KEY_SIZE];
    ri_object_key(key, ref->addr, decode);
    ri_object *object = ri_cache_get(store->cache, key);
    ri_object_release(object);
    return object != NULL;
}
