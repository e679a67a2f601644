/* SPDX-License-Identifier: MIT
 *
 * Packs against their names: the hash of all their bytes. A pack is read in slices, and hashed in smaller ones; its
 * footer is read first, since only the header says where the rest ends.
 */
#include "check_packs.h"

#include "../base/mem.h"
#include "inside.h"

#define READ_SLICE ((uint64_t)1 << 20)
#define HASH_SLICE ((size_t)64 * 1024)

typedef struct range {
    uint8_t *bytes;
    size_t len;
} range;

struct ri_pack_check {
    rille_object_id *ids;
    size_t count;
    size_t next;            /* the pack at hand */
    uint64_t footer_offset; /* of it; 0: not read yet */
    range footer;
    range slice;     /* before the footer */
    size_t hashed;   /* of the slice, and then of the footer */
    uint64_t passed; /* bytes before the slice */
    ri_hasher hasher;
};

static void drop_range(range *r)
{
    ri_free(r->bytes);
    *r = (range){ 0 };
}

static void next_pack(ri_pack_check *c)
{
    drop_range(&c->footer);
    drop_range(&c->slice);
    c->footer_offset = c->passed = 0;
    c->hashed = 0;
    c->next++;
}

static int corrupt(const ri_store *store, const ri_pack_check *c, rille_err *err)
{
    char hex[2 * RI_HASH_SIZE + 1];
    ri_hex(hex, c->ids[c->next].id, RI_HASH_SIZE);
    return ri_fail(err, RILLE_CORRUPT, "%s: pack %s is corrupt (it does not match its name): restore it from a backup",
                   ri_store_url(store), hex);
}

/* Of the pack at hand. RILLE_NOTFOUND: it was removed since. */
static int read_range(ri_store *store, const ri_pack_check *c, uint64_t offset, uint64_t len, range *out,
                      rille_err *err)
{
    rille_get get = { .object = c->ids[c->next], .offset = offset, .len = len };
    *out = (range){ 0 };
    RI_TRY(ri_store_get_many(store, &get, 1, err));
    ri_task_part();
    if (get.rc == RILLE_OK) {
        *out = (range){ get.bytes, get.bytes_len };
    } else if (get.rc == RILLE_NOMEM) {
        return ri_fail_nomem(err);
    } else if (get.rc != RILLE_NOTFOUND) {
        char hex[2 * RI_HASH_SIZE + 1];
        ri_hex(hex, get.object.id, RI_HASH_SIZE);
        return ri_fail(err, get.rc, "%s: cannot read pack %s", ri_store_url(store), hex);
    }
    return get.rc;
}

static int read_header(ri_store *store, ri_pack_check *c, rille_err *err)
{
    range header;
    RI_TRY(read_range(store, c, 0, RI_PACK_HEADER_SIZE, &header, err));
    int rc = ri_pack_read_header(header.bytes, header.len, &c->footer_offset);
    drop_range(&header);
    return rc == RILLE_OK ? RILLE_OK : corrupt(store, c, err);
}

static int read_footer(ri_store *store, ri_pack_check *c, rille_err *err)
{
    ri_pack_footer footer;
    RI_TRY(read_range(store, c, c->footer_offset, 0, &c->footer, err));
    ri_hasher_begin(&c->hasher);
    return ri_pack_read_footer(c->footer.bytes, c->footer.len, c->footer_offset, &footer) == RILLE_OK
               ? RILLE_OK
               : corrupt(store, c, err);
}

/* True: all of it is hashed. */
static bool hash_range(ri_pack_check *c, const range *r)
{
    size_t len = r->len - c->hashed < HASH_SLICE ? r->len - c->hashed : HASH_SLICE;
    ri_hasher_add(&c->hasher, r->bytes + c->hashed, len);
    c->hashed += len;
    return c->hashed == r->len;
}

static int finish_pack(ri_store *store, ri_pack_check *c, rille_err *err)
{
    uint8_t hash[RI_HASH_SIZE];
    ri_hasher_end(&c->hasher, hash);
    if (memcmp(hash, c->ids[c->next].id, RI_HASH_SIZE) != 0) {
        return corrupt(store, c, err);
    }
    next_pack(c);
    return RILLE_OK;
}

/* A piece of the pack at hand. */
static int check_piece(ri_store *store, ri_pack_check *c, rille_err *err)
{
    if (c->footer_offset == 0) {
        return read_header(store, c, err);
    }
    if (c->footer.bytes == NULL) {
        return read_footer(store, c, err);
    }
    if (c->passed == c->footer_offset) {
        return hash_range(c, &c->footer) ? finish_pack(store, c, err) : RILLE_OK;
    }
    if (c->slice.bytes == NULL) {
        uint64_t left = c->footer_offset - c->passed;
        return read_range(store, c, c->passed, left < READ_SLICE ? left : READ_SLICE, &c->slice, err);
    }
    if (hash_range(c, &c->slice)) {
        c->passed += c->slice.len;
        c->hashed = 0;
        drop_range(&c->slice);
    }
    return RILLE_OK;
}

static int begin(ri_store *store, ri_pack_check **check, rille_err *err)
{
    rille_object_id *ids;
    size_t count;
    RI_TRY(ri_store_list(store, RILLE_OBJECT_PACK, &ids, &count, err));
    *check = ri_alloc_zero(sizeof **check);
    if (*check == NULL) {
        ri_free(ids);
        return ri_fail_nomem(err);
    }
    (*check)->ids = ids;
    (*check)->count = count;
    ri_task_part();
    return RILLE_OK;
}

int ri_store_check_packs(ri_store *store, ri_pack_check **check, rille_err *err)
{
    if (*check == NULL && !ri_store_has(store, RILLE_BACKEND_ROWS)) {
        int rc = begin(store, check, err);
        RI_TRY(rc == RILLE_UNSUPPORTED ? RILLE_OK : rc); /* each node is checked when it is read */
    }
    ri_pack_check *c = *check;
    while (c != NULL && c->next < c->count) {
        int rc = check_piece(store, c, err);
        if (rc == RILLE_NOTFOUND) {
            next_pack(c);
            rc = RILLE_OK;
        }
        RI_TRY(rc);
        if (ri_task_pause(HASH_SLICE)) {
            return RILLE_NEED;
        }
    }
    return RILLE_OK;
}

void ri_pack_check_release(ri_pack_check *check)
{
    if (check != NULL) {
        drop_range(&check->footer);
        drop_range(&check->slice);
        ri_free(check->ids);
        ri_free(check);
    }
}
