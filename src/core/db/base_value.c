/* SPDX-License-Identifier: MIT
 *
 * The value that a base is by itself.
 */
#include "head.h"

#include <string.h>

/* A blob, waiting for it if need be. */
static int fetch_blob(ri_store *store, const uint8_t addr[RI_HASH_SIZE], ri_blob **out, rille_err *err)
{
    ri_io io = { 0 };
    int rc;
    RI_FETCHING(rc, &io, ri_store_get_blob(store, addr, &io, out, err), err)
    ri_io_deinit(&io);
    return rc;
}

static int base_schema(ri_store *store, const ri_base *base, ri_schema **out, rille_err *err)
{
    if (ri_addr_is_zero(base->schema_addr)) {
        return ri_schema_read(base->schema_bytes, base->schema_len, out, err);
    }
    ri_blob *blob;
    RI_TRY(fetch_blob(store, base->schema_addr, &blob, err));
    int rc = ri_schema_read(blob->bytes, blob->len, out, err);
    ri_object_release(&blob->object);
    return rc;
}

/* New ids are counted from here on: none may be taken. */
static int check_counters(const ri_base *base, const ri_schema *schema, rille_err *err)
{
    uint64_t last = schema->attrs[schema->attr_count - 1].id;
    bool attrs_good = base->next_attr >= RI_EID_ATTR && base->next_attr > last;
    bool entities_good = base->next_e >= RI_EID_USER && base->next_e <= RI_TX_BASE;
    if (attrs_good && entities_good && (base->t == 0 || base->t >= RI_TX_BASE)) {
        return 0;
    }
    return ri_fail(err, RILLE_CORRUPT,
                   "the base record of the branch head has impossible counters (transaction %llu, entity %llu, "
                   "attribute %llu): restore the head from a backup",
                   (unsigned long long)base->t, (unsigned long long)base->next_e, (unsigned long long)base->next_attr);
}

int ri_db_of_base(ri_store *store, const char *branch, ri_base *base, const ri_schema *known_schema, rille_db **out,
                  rille_err *err)
{
    *out = NULL;
    ri_schema *schema = ri_schema_retain((ri_schema *)known_schema);
    if (schema == NULL) {
        RI_TRY(base_schema(store, base, &schema, err));
    }
    int rc = check_counters(base, schema, err);
    rille_db *db = rc == 0 ? ri_alloc_zero(sizeof *db) : NULL;
    if (db == NULL) {
        ri_schema_release(schema);
        return rc != 0 ? rc : ri_fail_nomem(err);
    }
    ri_refs_init(&db->refs);
    db->store = ri_store_retain(store);
    db->base = ri_base_retain(base);
    db->schema = schema;
    db->t = base->t;
    db->instant = base->instant;
    memcpy(db->commit, base->commit, RI_HASH_SIZE);
    db->next_e = base->next_e;
    db->next_attr = base->next_attr;
    memcpy(db->branch, branch, strlen(branch) < sizeof db->branch ? strlen(branch) : sizeof db->branch - 1);
    *out = db;
    return 0;
}
