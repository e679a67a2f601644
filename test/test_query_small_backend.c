/* SPDX-License-Identifier: MIT
 *
 * The smallest backend: the five slots that must be there, over a list in memory, by include/rille alone.
 */
#include "harness.h"

#include "rille/rille.h"

/* ---- the backend ---- */

typedef struct item { /* an object by its id, or a head (kind 'h') by its branch */
    struct item *next;
    uint8_t kind;
    uint8_t key[64];
    uint64_t revision; /* of a head */
    size_t len;
    uint8_t bytes[];
} item;

typedef struct place {
    item *items; /* the newest first */
    uint64_t revisions;
} place;

static const item *find(const place *p, uint8_t kind, const void *key, size_t key_len)
{
    const item *at = p->items;
    while (at != NULL && (at->kind != kind || memcmp(at->key, key, key_len) != 0)) {
        at = at->next;
    }
    return at;
}

static int add(place *p, uint8_t kind, const void *key, size_t key_len, const void *bytes, size_t len)
{
    item *added = rille_alloc(sizeof *added + len);
    if (added == NULL) {
        return RILLE_NOMEM;
    }
    *added = (item){ .next = p->items, .kind = kind, .revision = ++p->revisions, .len = len };
    memcpy(added->key, key, key_len);
    memcpy(added->bytes, bytes, len);
    p->items = added;
    return 0;
}

static int get_many(void *self, rille_get *gets, size_t count, rille_err *err)
{
    (void)err;
    for (rille_get *get = gets; get < gets + count; get++) {
        const item *found = find(self, get->object.kind, get->object.id, RILLE_ID_SIZE);
        bool fits = found != NULL && get->offset <= found->len && get->len <= found->len - get->offset;
        size_t len = !fits ? 0 : get->len == 0 ? found->len - (size_t)get->offset : (size_t)get->len;
        get->bytes = fits ? rille_alloc(len + 1) : NULL;
        get->bytes_len = get->bytes == NULL ? 0 : len;
        get->rc = found == NULL ? RILLE_NOTFOUND : !fits ? RILLE_CORRUPT : get->bytes == NULL ? RILLE_NOMEM : 0;
        if (get->rc == 0) {
            memcpy(get->bytes, found->bytes + get->offset, len);
        }
    }
    return 0;
}

static int put_many(void *self, const rille_put *puts, size_t count, rille_err *err)
{
    int rc = 0;
    (void)err;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = add(self, puts[i].object.kind, puts[i].object.id, RILLE_ID_SIZE, puts[i].bytes, puts[i].len);
    }
    return rc;
}

static int head_read(void *self, const char *branch, const rille_revision *known, rille_head *out, rille_err *err)
{
    const item *head = find(self, 'h', branch, strlen(branch) + 1);
    (void)err;
    *out = (rille_head){ 0 };
    if (head == NULL) {
        return RILLE_NOTFOUND;
    }
    memcpy(out->revision.bytes, &head->revision, sizeof head->revision);
    if (known != NULL && memcmp(known, &out->revision, sizeof *known) == 0) {
        return RILLE_DONE;
    }
    out->bytes = rille_alloc(head->len + 1);
    out->len = out->bytes == NULL ? 0 : head->len;
    memcpy(out->bytes == NULL ? (uint8_t *)out : out->bytes, head->bytes, out->len);
    return out->bytes == NULL ? RILLE_NOMEM : 0;
}

static int head_swap(void *self, const rille_head_swap *swap, rille_revision *revision, rille_err *err)
{
    place *p = self;
    const item *head = find(p, 'h', swap->branch, strlen(swap->branch) + 1);
    rille_revision now = { { 0 } };
    memcpy(now.bytes, head == NULL ? now.bytes + 8 : (const uint8_t *)&head->revision, 8);
    if (memcmp(&now, &swap->expected, sizeof now) != 0) {
        return RILLE_CONFLICT;
    }
    int rc = put_many(self, swap->puts, swap->put_count, err);
    rc = rc == 0 ? add(p, 'h', swap->branch, strlen(swap->branch) + 1, swap->cell, swap->cell_len) : rc;
    memcpy(revision->bytes, &p->revisions, sizeof p->revisions);
    return rc;
}

static void close_place(void *self)
{
    (void)self; /* what it holds is there for the next connection */
}

static const rille_backend_ops ops = {
    .get_many = get_many, .put_many = put_many, .head_read = head_read, .head_swap = head_swap, .close = close_place
};

/* ---- tests ---- */

static rille_conn *open_place(place *p, uint32_t capabilities, bool create)
{
    rille_options options = { .create = create };
    rille_backend backend = { &ops, p, capabilities };
    rille_conn *conn = NULL;
    REQUIRE_RC(rille_connect_backend(&backend, "small:", &options, &conn, &test_err), 0);
    return conn;
}

static void transact(rille_conn *conn, const char *edn)
{
    REQUIRE_RC(rille_transact(conn, edn, strlen(edn), NULL, &test_err), 0);
}

static void use(uint32_t capabilities)
{
    place p = { 0 };
    rille_conn *conn = open_place(&p, capabilities, true);
    rille_db *db = NULL;
    rille_steps *steps = NULL;
    uint64_t e = 0;
    rille_value name = rille_string("n7");
    transact(conn, "[{:db/ident :name :db/valueType :db.type/string :db/unique :db.unique/identity}]");
    for (int i = 0; i < 300; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "[{:name \"n%d\"}]", i);
        transact(conn, text);
        if (i % 100 == 50) {
            CHECK_RC(rille_flush(conn, &test_err), 0);
        }
    }
    rille_close(conn);
    conn = open_place(&p, capabilities, false);
    REQUIRE_RC(rille_conn_db(conn, &db, &test_err), 0);
    CHECK_RC(rille_db_lookup(db, "name", &name, &e, &test_err), 0);
    CHECK(e != 0);
    rille_db_release(db);
    REQUIRE_RC(rille_start_verify(conn, &steps, &test_err), 0);
    int rc;
    while ((rc = rille_step(steps, 0, &test_err)) == RILLE_NEED || rc == RILLE_AGAIN) {
        REQUIRE_RC(rille_fetch(steps, &test_err), 0);
    }
    CHECK_RC(rc, RILLE_DONE);
    rille_steps_close(steps);
    rille_close(conn);
    while (p.items != NULL) {
        item *next = p.items->next;
        rille_free(p.items);
        p.items = next;
    }
}

TEST(small__five_slots_are_enough)
{
    use(0);
    use(RILLE_BACKEND_ROWS);
}

/* Each of the five in turn. */
TEST(small__none_of_the_five_can_be_left_out)
{
    for (int i = 0; i < 5; i++) {
        place p = { 0 };
        rille_backend_ops some = ops;
        rille_backend backend = { &some, &p, 0 };
        rille_conn *conn = NULL;
        some.get_many = i == 0 ? NULL : some.get_many;
        some.put_many = i == 1 ? NULL : some.put_many;
        some.head_read = i == 2 ? NULL : some.head_read;
        some.head_swap = i == 3 ? NULL : some.head_swap;
        some.close = i == 4 ? NULL : some.close;
        CHECK_RC(rille_connect_backend(&backend, "small:", NULL, &conn, NULL), RILLE_MISUSE);
        CHECK(conn == NULL);
    }
}

TEST_MAIN(small__five_slots_are_enough, small__none_of_the_five_can_be_left_out)
