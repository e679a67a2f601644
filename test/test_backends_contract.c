/* SPDX-License-Identifier: MIT
 *
 * What every backend must do (include/rille/backend.h), run over each of them and over each behind deferred:.
 */
#include "../src/core/store/backends.h"
#include "own_backend.h"
#include "test_store_support.h"

typedef struct kind {
    const char *name;
    int (*open)(const char *place, bool create, rille_backend *out, rille_err *err);
    bool deferred;
    bool far; /* a server: it answers when it has */
} kind;

/* A bucket of tools/s3-server, where RILLE_TEST_S3_ENDPOINT says that there is one: the step "servers" does. */
static int s3_open(const char *place, bool create, rille_backend *out, rille_err *err)
{
#if RILLE_WITH_CURL
    char where[256];
    rille_setting endpoint = { "endpoint", getenv("RILLE_TEST_S3_ENDPOINT") };
    ri_remote remote = { .scheme = "s3", .place = where, .shown = where, .params = &endpoint, .param_count = 1 };
    (void)create;
    (void)snprintf(where, sizeof where, "%s%s", getenv("RILLE_TEST_S3_BUCKET"), place);
    int rc = ri_backend_s3_open(&remote, out, err);
    return rc;
#else
    (void)place;
    (void)create;
    *out = (rille_backend){ 0 };
    return own_fail(err, RILLE_UNSUPPORTED, "there is no libcurl");
#endif
}

static const kind kinds[] = {
    { "mem", ri_backend_memory_open, false, false },
    { "file", ri_backend_file_open, false, false },
    { "own", own_open, false, false },
    { "deferred:own", own_open, true, false },
    { "deferred:mem", ri_backend_memory_open, true, false },
    { "deferred:file", ri_backend_file_open, true, false },
    { "s3", s3_open, false, true },
#if RILLE_WITH_LMDB
    { "lmdb", ri_backend_lmdb_open, false, false },
    { "deferred:lmdb", ri_backend_lmdb_open, true, false },
#endif
};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

static const kind *now;
static test_dir dir;
static rille_backend db;

static void wait_for_answer(void)
{
    if (now->far) {
        db.ops->wait(db.self, 1000);
    }
}

/* Calls until the answer comes; a direct backend answers at once, a deferred one at the second call, a server some time. */
#define SLOT(rc, slot, ...)                                        \
    do {                                                           \
        unsigned tries_ = 0;                                       \
        do {                                                       \
            (rc) = db.ops->slot(db.self, __VA_ARGS__);             \
            tries_++;                                              \
            if ((rc) == RILLE_NEED) {                              \
                wait_for_answer();                                 \
            }                                                      \
        } while ((rc) == RILLE_NEED && (now->far || tries_ < 10)); \
        if (!now->far) {                                           \
            CHECK_EQ_INT(tries_, now->deferred ? 2 : 1);           \
        }                                                          \
    } while (0)

static int open_kind(bool create, rille_backend *out, rille_err *err)
{
    test_text place = test_join(dir.path, "/db", "");
    if (!now->deferred) {
        return now->open(place.text, create, out, err);
    }
    rille_backend inner;
    *out = (rille_backend){ 0 };
    int rc = now->open(place.text, create, &inner, err);
    return rc == RILLE_OK ? ri_backend_deferred_wrap(&inner, out, err) : rc;
}

static void begin(void)
{
    dir = test_dir_fast();
    REQUIRE_RC(open_kind(true, &db, &test_err), RILLE_OK);
}

static void end(void)
{
    int rc;
    SLOT(rc, drop, &test_err);
    CHECK_RC(rc, RILLE_OK);
    db.ops->close(db.self);
    test_dir_remove(dir.path);
}

static rille_object_id id_of(rille_object_kind object_kind, uint64_t number)
{
    rille_object_id id = { .kind = (uint8_t)object_kind };
    ri_blake2b(id.id, &number, sizeof number);
    return id;
}

static rille_object_kind node_kind(void)
{
    return (db.capabilities & RILLE_BACKEND_ROWS) != 0 ? RILLE_OBJECT_NODE : RILLE_OBJECT_PACK;
}

static void check_put(rille_object_id id, const char *text)
{
    int rc;
    rille_put put = { id, (const uint8_t *)text, strlen(text) };
    SLOT(rc, put_many, &put, 1, &test_err);
    CHECK_RC(rc, RILLE_OK);
}

/* Checks that the range reads as text, or has this rc. */
static void check_get(rille_object_id id, uint64_t offset, uint64_t len, int expected, const char *text)
{
    int rc;
    rille_get get = { .object = id, .offset = offset, .len = len };
    SLOT(rc, get_many, &get, 1, &test_err);
    CHECK_RC(rc, RILLE_OK);
    CHECK_RC(get.rc, expected);
    if (expected == RILLE_OK) {
        CHECK_EQ_MEM(get.bytes, get.bytes_len, text, strlen(text));
    } else {
        CHECK(get.bytes == NULL);
    }
    rille_free(get.bytes);
}

static rille_revision check_head(const char *branch, const char *text)
{
    int rc;
    rille_head head = { 0 };
    SLOT(rc, head_read, branch, NULL, &head, &test_err);
    CHECK_RC(rc, RILLE_OK);
    CHECK_EQ_MEM(head.bytes, head.len, text, strlen(text));
    rille_free(head.bytes);
    return head.revision;
}

static void check_no_head(const char *branch)
{
    int rc;
    rille_head head = { 0 };
    SLOT(rc, head_read, branch, NULL, &head, &test_err);
    CHECK_RC(rc, RILLE_NOTFOUND);
    CHECK(head.bytes == NULL);
}

/* A copy of the swap may have taken effect, and the server refused the next one: the head tells, as it tells the engine. */
static int look_whose_it_is(const char *branch, const char *cell, rille_revision *revision, int rc)
{
    if (rc != RILLE_CONFLICT || !now->far) {
        return rc;
    }
    rille_head head = { 0 };
    int read_rc;
    SLOT(read_rc, head_read, branch, NULL, &head, &test_err);
    if (read_rc == RILLE_OK && head.len == strlen(cell) && memcmp(head.bytes, cell, head.len) == 0) {
        *revision = head.revision;
        rc = RILLE_OK;
    }
    rille_free(head.bytes);
    return rc;
}

static int swap_puts(const char *branch, rille_revision *revision, const char *cell, size_t kept_len,
                     const rille_put *puts, size_t put_count)
{
    int rc;
    rille_revision next;
    rille_head_swap swap = { .branch = branch,
                             .expected = *revision,
                             .cell = (const uint8_t *)cell,
                             .cell_len = strlen(cell),
                             .kept_len = kept_len,
                             .puts = puts,
                             .put_count = put_count,
                             .durable = (kept_len & 1) == 0 };
    SLOT(rc, head_swap, &swap, &next, &test_err);
    rc = look_whose_it_is(branch, cell, &next, rc);
    if (rc == RILLE_OK) {
        *revision = next;
    }
    return rc;
}

static int swap(const char *branch, rille_revision *revision, const char *cell, size_t kept_len)
{
    return swap_puts(branch, revision, cell, kept_len, NULL, 0);
}

/* ---- what holds ---- */

static void objects_read_as_they_were_put(void)
{
    rille_object_id a = id_of(RILLE_OBJECT_BLOB, 1);
    rille_object_id b = id_of(node_kind(), 2);
    check_get(a, 0, 0, RILLE_NOTFOUND, "");
    check_put(a, "hello, world");
    check_put(a, "hello, world"); /* again is no error */
    check_put(b, "b");
    check_get(a, 0, 0, RILLE_OK, "hello, world");
    check_get(b, 0, 0, RILLE_OK, "b");
    check_get(id_of(node_kind(), 1), 0, 0, RILLE_NOTFOUND, ""); /* another kind is another object */
}

static void ranges_are_exact(void)
{
    rille_object_id id = id_of(node_kind(), 1);
    check_put(id, "0123456789");
    check_get(id, 3, 4, RILLE_OK, "3456");
    check_get(id, 3, 7, RILLE_OK, "3456789");
    check_get(id, 3, 0, RILLE_OK, "3456789");
    check_get(id, 10, 0, RILLE_OK, "");
    check_get(id, 3, 8, RILLE_CORRUPT, "");
    check_get(id, 11, 0, RILLE_CORRUPT, "");
    check_get(id, UINT64_MAX, 1, RILLE_CORRUPT, "");
    check_get(id, 1, UINT64_MAX, RILLE_CORRUPT, "");
}

static void many_ranges_have_each_their_result(void)
{
    enum { COUNT = 200 };
    static rille_get gets[COUNT];
    for (uint64_t i = 0; i < COUNT; i += 2) {
        char text[32];
        (void)snprintf(text, sizeof text, "object %d", (int)i);
        check_put(id_of(node_kind(), i), text);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        gets[i] = (rille_get){ .object = id_of(node_kind(), i) };
    }
    int rc;
    SLOT(rc, get_many, gets, COUNT, &test_err);
    CHECK_RC(rc, RILLE_OK);
    for (uint64_t i = 0; i < COUNT; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "object %d", (int)i);
        CHECK_RC(gets[i].rc, i % 2 == 0 ? RILLE_OK : RILLE_NOTFOUND);
        if (i % 2 == 0) {
            CHECK_EQ_MEM(gets[i].bytes, gets[i].bytes_len, text, strlen(text));
        }
        rille_free(gets[i].bytes);
    }
}

static void large_and_empty_objects(void)
{
    size_t len = (size_t)5 << 20;
    char *text = malloc(len + 1);
    REQUIRE(text != NULL);
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)('a' + i % 23);
    }
    text[len] = '\0';
    check_put(id_of(RILLE_OBJECT_BLOB, 1), text);
    check_put(id_of(RILLE_OBJECT_BLOB, 2), "");
    check_get(id_of(RILLE_OBJECT_BLOB, 1), 0, 0, RILLE_OK, text);
    check_get(id_of(RILLE_OBJECT_BLOB, 1), len - 5, 5, RILLE_OK, text + len - 5);
    check_get(id_of(RILLE_OBJECT_BLOB, 2), 0, 0, RILLE_OK, "");
    if (db.ops->size_bytes != NULL) { /* it knows */
        uint64_t size_bytes = db.ops->size_bytes(db.self);
        CHECK(size_bytes >= len && size_bytes < 8 * len);
    }
    free(text);
}

static void objects_are_listed_and_deleted(void)
{
    rille_object_id *ids;
    size_t count;
    int rc;
    for (uint64_t i = 0; i < 50; i++) {
        check_put(id_of(node_kind(), i), "n");
        check_put(id_of(RILLE_OBJECT_BLOB, i + 100), "b");
    }
    SLOT(rc, list, RILLE_OBJECT_BLOB, &ids, &count, &test_err);
    REQUIRE_RC(rc, RILLE_OK);
    CHECK_EQ_INT(count, 50);
    for (size_t i = 0; i < count; i++) {
        CHECK(ids[i].kind == RILLE_OBJECT_BLOB);
    }
    SLOT(rc, delete_many, ids, count, &test_err);
    CHECK_RC(rc, RILLE_OK);
    SLOT(rc, delete_many, ids, count, &test_err); /* what is not there needs no deleting */
    CHECK_RC(rc, RILLE_OK);
    rille_free(ids);
    SLOT(rc, list, RILLE_OBJECT_BLOB, &ids, &count, &test_err);
    CHECK_EQ_INT(count, 0);
    rille_free(ids);
    SLOT(rc, list, node_kind(), &ids, &count, &test_err);
    CHECK_EQ_INT(count, 50);
    rille_free(ids);
    check_get(id_of(RILLE_OBJECT_BLOB, 100), 0, 0, RILLE_NOTFOUND, "");
    check_get(id_of(node_kind(), 7), 0, 0, RILLE_OK, "n");
}

static void objects_have_ages(void)
{
    rille_object_id ids[3] = { id_of(node_kind(), 1), id_of(RILLE_OBJECT_BLOB, 2), id_of(RILLE_OBJECT_BLOB, 3) };
    int64_t ages_ms[3];
    int rc;
    check_put(ids[0], "n");
    check_put(ids[1], "b");
    if (db.ops->ages == NULL) { /* it does not know */
        return;
    }
    bool known = strstr(now->name, "mem") != NULL || strstr(now->name, "file") != NULL || now->far;
    while ((rc = db.ops->ages(db.self, ids, 3, ages_ms, &test_err)) == RILLE_NEED) {
        wait_for_answer();
    }
    CHECK_RC(rc, RILLE_OK);
    for (int i = 0; i < 3; i++) {
        CHECK(known && i < 2 ? ages_ms[i] >= 0 && ages_ms[i] < 600000 : ages_ms[i] == -1);
    }
}

static void heads_begin_append_and_replace(void)
{
    rille_revision revision = { { 0 } };
    rille_revision read;
    check_no_head("main");
    CHECK_RC(swap("main", &revision, "base", 0), RILLE_OK);
    read = check_head("main", "base");
    CHECK_EQ_MEM(&read, sizeof read, &revision, sizeof revision);
    CHECK_RC(swap("main", &revision, "base+1", 4), RILLE_OK);
    CHECK_RC(swap("main", &revision, "base+1+22", 6), RILLE_OK);
    CHECK_RC(swap("main", &revision, "base+1+22+333", 9), RILLE_OK);
    read = check_head("main", "base+1+22+333");
    CHECK_EQ_MEM(&read, sizeof read, &revision, sizeof revision);
    CHECK_RC(swap("main", &revision, "base+1+4", 6), RILLE_OK); /* part of it kept */
    read = check_head("main", "base+1+4");
    CHECK_EQ_MEM(&read, sizeof read, &revision, sizeof revision);
    CHECK_RC(swap("main", &revision, "new", 0), RILLE_OK);
    CHECK_RC(swap("main", &revision, "new and more", 3), RILLE_OK);
    check_head("main", "new and more");
}

static void a_lost_race_changes_nothing(void)
{
    static const rille_revision none;
    rille_revision first = none;
    CHECK_RC(swap("main", &first, "base", 0), RILLE_OK);
    rille_revision old = first;
    rille_revision again = none;
    CHECK_RC(swap("main", &again, "other", 0), RILLE_CONFLICT); /* there is one */
    CHECK_RC(swap("main", &first, "base+1", 4), RILLE_OK);
    CHECK_RC(swap("main", &old, "base+2", 4), RILLE_CONFLICT); /* appended meanwhile */
    CHECK_RC(swap("main", &old, "else", 0), RILLE_CONFLICT);
    check_head("main", "base+1");
    old = first;
    CHECK_RC(swap("main", &first, "base+3", 4), RILLE_OK); /* the same length, other bytes */
    CHECK_RC(swap("main", &old, "base+1+2", 6), RILLE_CONFLICT);
    rille_revision wrong = first;
    wrong.bytes[0] ^= 1;
    CHECK_RC(swap("main", &wrong, "base+4", 0), RILLE_CONFLICT);
    CHECK_RC(swap("side", &first, "base+4", 0), RILLE_CONFLICT); /* a head of another branch */
    check_head("main", "base+3");
    check_no_head("side");
}

static void a_revision_never_comes_again(void)
{
    int rc;
    rille_revision revision = { { 0 } };
    /* A server names a head by its contents, and rille never writes the same ones twice. */
    const char *second = now->far ? "same, later" : "same";
    const char *third = now->far ? "same, after that" : "same";
    CHECK_RC(swap("main", &revision, "same", 0), RILLE_OK);
    rille_revision old = revision;
    CHECK_RC(swap("main", &revision, "else", 0), RILLE_OK);
    CHECK_RC(swap("main", &revision, second, 0), RILLE_OK);
    CHECK_RC(swap("main", &old, "lost", 0), RILLE_CONFLICT);
    old = revision;
    SLOT(rc, head_delete, "main", &test_err);
    CHECK_RC(rc, RILLE_OK);
    CHECK_RC(swap("main", &old, "lost", 0), RILLE_CONFLICT);
    revision = (rille_revision){ { 0 } };
    CHECK_RC(swap("main", &revision, third, 0), RILLE_OK);
    CHECK_RC(swap("main", &old, "lost", 0), RILLE_CONFLICT);
    CHECK_RC(swap("main", &old, "same and more", 4), RILLE_CONFLICT);
    check_head("main", third);
}

static void puts_come_with_the_head(void)
{
    rille_revision revision = { { 0 } };
    rille_put puts[2] = { { id_of(node_kind(), 1), (const uint8_t *)"one", 3 },
                          { id_of(RILLE_OBJECT_BLOB, 2), (const uint8_t *)"two", 3 } };
    CHECK_RC(swap_puts("main", &revision, "head", 0, puts, 2), RILLE_OK);
    check_get(puts[0].object, 0, 0, RILLE_OK, "one");
    check_get(puts[1].object, 0, 0, RILLE_OK, "two");
    CHECK_RC(swap_puts("main", &revision, "head and tail", 4, puts, 2), RILLE_OK);
    check_head("main", "head and tail");
}

static void branches_are_apart_and_listed(void)
{
    static const char *const names[] = { "main", "a/b", "..", ".hidden", "with space%", "h/x", "\xc3\xa4", "MAIN" };
    int rc;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        rille_revision revision = { { 0 } };
        check_no_head(names[i]);
        CHECK_RC(swap(names[i], &revision, names[i], 0), RILLE_OK);
        for (int j = 0; j < 3; j++) { /* rows of appends must not look like branches */
            rille_revision read = check_head(names[i], names[i]);
            CHECK_RC(swap(names[i], &read, names[i], strlen(names[i])), RILLE_OK);
        }
    }
    char *list;
    size_t count;
    SLOT(rc, head_list, &list, &count, &test_err);
    REQUIRE_RC(rc, RILLE_OK);
    CHECK_EQ_INT(count, sizeof names / sizeof *names);
    const char *name = list;
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1) {
        bool known = false;
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            known = known || strcmp(name, names[j]) == 0;
        }
        CHECK(known);
    }
    rille_free(list);
    SLOT(rc, head_delete, "a/b", &test_err);
    CHECK_RC(rc, RILLE_OK);
    SLOT(rc, head_delete, "a/b", &test_err);
    CHECK_RC(rc, RILLE_NOTFOUND);
    check_no_head("a/b");
    check_head("MAIN", "MAIN");
    SLOT(rc, head_list, &list, &count, &test_err);
    CHECK_EQ_INT(count, sizeof names / sizeof *names - 1);
    rille_free(list);
}

static void kept_bytes_beyond_the_head_are_refused(void)
{
    rille_revision revision = { { 0 } };
    CHECK_RC(swap("main", &revision, "base", 0), RILLE_OK);
    if (now->far) { /* it gets the whole cell, and keeps nothing */
        return;
    }
    CHECK_RC(swap("main", &revision, "base and much more", 9), RILLE_MISUSE);
    check_head("main", "base");
}

/* A list of cells is the model. */
static void random_heads_agree_with_a_model(void)
{
    enum { BRANCHES = 4, STEPS = 300, CELL_MAX = 60 };
    test_rng rng = test_rng_new();
    char model[BRANCHES][CELL_MAX + 1] = { "" };
    rille_revision revisions[BRANCHES] = { { { 0 } } };
    rille_revision stale[BRANCHES] = { { { 0 } } };
    for (int i = 0; i < STEPS; i++) {
        size_t which = (size_t)test_random_below(&rng, BRANCHES);
        char branch[8];
        char cell[CELL_MAX + 1];
        (void)snprintf(branch, sizeof branch, "b%zu", which);
        size_t old_len = strlen(model[which]);
        size_t kept = test_random_below(&rng, 3) == 0 ? (size_t)test_random_below(&rng, old_len + 1) : old_len;
        kept = old_len > CELL_MAX - 10 ? 0 : kept;
        size_t len = kept + 1 + (size_t)test_random_below(&rng, 9);
        memcpy(cell, model[which], kept);
        for (size_t j = kept; j < len; j++) {
            cell[j] = (char)('a' + test_random_below(&rng, 26));
        }
        cell[len] = '\0';
        if (test_random_below(&rng, 4) == 0 && memcmp(&stale[which], &revisions[which], sizeof *stale) != 0) {
            rille_revision lost = stale[which];
            CHECK_RC(swap(branch, &lost, cell, kept), RILLE_CONFLICT);
        } else {
            stale[which] = revisions[which];
            CHECK_RC(swap(branch, &revisions[which], cell, kept), RILLE_OK);
            memcpy(model[which], cell, len + 1);
        }
        if (model[which][0] != '\0') {
            rille_revision read = check_head(branch, model[which]);
            CHECK_EQ_MEM(&read, sizeof read, &revisions[which], sizeof read);
        }
    }
}

static void everything_is_there_after_opening_again(void)
{
    rille_revision revision = { { 0 } };
    rille_object_id id = id_of(node_kind(), 1);
    check_put(id, "kept");
    CHECK_RC(swap("main", &revision, "head", 0), RILLE_OK);
    CHECK_RC(swap("main", &revision, "head+tail", 4), RILLE_OK);
    db.ops->close(db.self);
    REQUIRE_RC(open_kind(false, &db, &test_err), RILLE_OK);
    check_get(id, 0, 0, RILLE_OK, "kept");
    revision = check_head("main", "head+tail");
    CHECK_RC(swap("main", &revision, "head+tail+tail", 9), RILLE_OK);
    check_head("main", "head+tail+tail");
}

/* Two handles see each other's writes, and a revision of one is judged by what both did. */
static void two_handles_race(void)
{
    rille_backend one = db;
    rille_backend two;
    rille_revision of_one = { { 0 } };
    REQUIRE_RC(open_kind(false, &two, &test_err), RILLE_OK);
    CHECK_RC(swap("main", &of_one, "base", 0), RILLE_OK);
    db = two;
    rille_revision of_two = check_head("main", "base");
    CHECK_RC(swap("main", &of_two, "base+two", 4), RILLE_OK);
    db = one;
    CHECK_RC(swap("main", &of_one, "base+one", 4), RILLE_CONFLICT);
    of_one = check_head("main", "base+two");
    CHECK_RC(swap("main", &of_one, "replaced", 0), RILLE_OK);
    db = two;
    CHECK_RC(swap("main", &of_two, "base+two+2", 8), RILLE_CONFLICT);
    CHECK_RC(swap("main", &of_two, "again", 0), RILLE_CONFLICT);
    of_two = check_head("main", "replaced");
    CHECK_RC(swap("main", &of_two, "replaced+2", 8), RILLE_OK);
    db = one;
    check_head("main", "replaced+2");
    two.ops->close(two.self);
}

static void a_dropped_database_is_gone(void)
{
    rille_backend one = db;
    rille_backend two;
    rille_revision revision = { { 0 } };
    int rc;
    check_put(id_of(node_kind(), 1), "x");
    check_put(id_of(RILLE_OBJECT_BLOB, 1), "x");
    CHECK_RC(swap("main", &revision, "base", 0), RILLE_OK);
    REQUIRE_RC(open_kind(false, &two, &test_err), RILLE_OK);
    SLOT(rc, drop, &test_err);
    CHECK_RC(rc, RILLE_OK);
    db = two;
    check_no_head("main");
    CHECK(swap("main", &revision, "base+1", 4) != RILLE_OK);
    revision = (rille_revision){ { 0 } };
    if (now->far) { /* there is no place that could be missing */
        check_get(id_of(node_kind(), 1), 0, 0, RILLE_NOTFOUND, "");
        CHECK_RC(swap("main", &revision, "second life", 0), RILLE_OK);
        one.ops->close(one.self);
        return;
    }
    CHECK_RC(swap("main", &revision, "base", 0), RILLE_NOTFOUND);
    two.ops->close(two.self);
    one.ops->close(one.self);
    CHECK_RC(open_kind(false, &db, &test_err), RILLE_NOTFOUND);
    CHECK(strstr(test_err.message, "there is no") != NULL);
    REQUIRE_RC(open_kind(true, &db, &test_err), RILLE_OK);
    check_no_head("main");
    check_get(id_of(node_kind(), 1), 0, 0, RILLE_NOTFOUND, "");
    CHECK_RC(swap("main", &revision, "second life", 0), RILLE_OK);
}

static int fault_run(void)
{
    rille_backend own;
    rille_err err = { 0 };
    int rc = open_kind(false, &own, &err);
    if (rc != RILLE_OK) {
        return rc;
    }
    rille_put put = { id_of(node_kind(), 1), (const uint8_t *)"one", 3 };
    rille_get get = { .object = put.object };
    rille_head head = { 0 };
    rille_revision revision;
    char *names = NULL;
    rille_object_id *ids = NULL;
    size_t count;
    while ((rc = own.ops->put_many(own.self, &put, 1, &err)) == RILLE_NEED) {
    }
    while (rc == RILLE_OK && (rc = own.ops->get_many(own.self, &get, 1, &err)) == RILLE_NEED) {
        rc = RILLE_OK;
    }
    rc = rc == RILLE_OK ? get.rc : rc;
    while (rc == RILLE_OK && (rc = own.ops->head_read(own.self, "main", NULL, &head, &err)) == RILLE_NEED) {
        rc = RILLE_OK;
    }
    rille_head_swap swap_args = { .branch = "main",
                                  .expected = head.revision,
                                  .cell = (const uint8_t *)"heads+",
                                  .cell_len = 6,
                                  .kept_len = 0,
                                  .durable = true };
    while (rc == RILLE_OK && (rc = own.ops->head_swap(own.self, &swap_args, &revision, &err)) == RILLE_NEED) {
        rc = RILLE_OK;
    }
    rc = rc == RILLE_CONFLICT && now->far ? RILLE_OK : rc; /* with a copy of itself */
    while (rc == RILLE_OK && (rc = own.ops->head_list(own.self, &names, &count, &err)) == RILLE_NEED) {
        rc = RILLE_OK;
    }
    while (rc == RILLE_OK && (rc = own.ops->list(own.self, node_kind(), &ids, &count, &err)) == RILLE_NEED) {
        rc = RILLE_OK;
    }
    rille_free(get.bytes);
    rille_free(head.bytes);
    rille_free(names);
    rille_free(ids);
    own.ops->close(own.self);
    return rc;
}

static void no_memory_is_said_and_nothing_leaks(void)
{
    rille_revision revision = { { 0 } };
    CHECK_RC(swap("main", &revision, "base", 0), RILLE_OK);
    CHECK_RC(fault_run(), RILLE_OK); /* what a backend keeps for good is there before the sweep */
    TEST_FAULT_SWEEP(fault_run());
}

static void run(void (*body)(void))
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        int failures = atomic_load(&test_state.failures);
        now = &kinds[i];
        if (now->far && getenv("RILLE_TEST_S3_ENDPOINT") == NULL) {
            continue;
        }
        begin();
        body();
        end();
        if (atomic_load(&test_state.failures) != failures) {
            (void)fprintf(stderr, "  ... over %s\n", now->name);
        }
    }
}

#define CONTRACT(name)     \
    TEST(contract__##name) \
    {                      \
        run(name);         \
    }
CONTRACT(objects_read_as_they_were_put)
CONTRACT(ranges_are_exact)
CONTRACT(many_ranges_have_each_their_result)
CONTRACT(large_and_empty_objects)
CONTRACT(objects_are_listed_and_deleted)
CONTRACT(objects_have_ages)
CONTRACT(heads_begin_append_and_replace)
CONTRACT(a_lost_race_changes_nothing)
CONTRACT(a_revision_never_comes_again)
CONTRACT(puts_come_with_the_head)
CONTRACT(branches_are_apart_and_listed)
CONTRACT(kept_bytes_beyond_the_head_are_refused)
CONTRACT(random_heads_agree_with_a_model)
CONTRACT(everything_is_there_after_opening_again)
CONTRACT(two_handles_race)
CONTRACT(a_dropped_database_is_gone)
CONTRACT(no_memory_is_said_and_nothing_leaks)

TEST_MAIN(contract__objects_read_as_they_were_put, contract__ranges_are_exact,
          contract__many_ranges_have_each_their_result, contract__large_and_empty_objects,
          contract__objects_are_listed_and_deleted, contract__objects_have_ages,
          contract__heads_begin_append_and_replace, contract__a_lost_race_changes_nothing,
          contract__a_revision_never_comes_again, contract__puts_come_with_the_head,
          contract__branches_are_apart_and_listed, contract__kept_bytes_beyond_the_head_are_refused,
          contract__random_heads_agree_with_a_model, contract__everything_is_there_after_opening_again,
          contract__two_handles_race, contract__a_dropped_database_is_gone,
          contract__no_memory_is_said_and_nothing_leaks)
