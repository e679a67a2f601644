/* SPDX-License-Identifier: MIT
 *
 * Flushes beside commits: a base is built of one value and becomes the head's while others commit, spill and flush. Random
 * programs with three connections; every value that a connection was brought up to is compared with one that is opened
 * from nothing.
 */
#include "test_db_forge.h"
#include "test_store_support.h"

#include "../src/core/db/flush.h"

#include <sys/wait.h>

enum { WRITERS = 2, ORDERS = 4 };

typedef struct world {
    const char *url;
    rille_conn *writers[WRITERS];
    rille_conn *reader;
    uint64_t random;
    int committed;
    struct pending {
        rille_db *db;
        ri_flush *flush; /* until it is done */
        ri_base *base;
        ri_writer *writer;
    } pending;
    int installed;
    int shared; /* values that kept the novelty of the one before on a new base */
} world;

static uint64_t below(world *w, uint64_t n)
{
    w->random = ri_mix64(w->random + 1);
    return w->random % n;
}

static void drop_pending(world *w)
{
    ri_flush_release(w->pending.flush);
    ri_base_release(w->pending.base);
    ri_writer_release(w->pending.writer);
    ri_db_release(w->pending.db);
    w->pending = (struct pending){ 0 };
}

static void commit(world *w, size_t facts)
{
    rille_conn *conn = w->writers[below(w, WRITERS)];
    ri_buf text = { 0 };
    char item[120];
    size_t start = (size_t)below(w, 500); /* no key twice in a transaction */
    ri_buf_put_text(&text, "[");
    for (size_t i = 0; i < facts; i++) {
        (void)snprintf(item, sizeof item, "{:k %d :n \"name %d\"}", (int)(start + i), (int)below(w, 50));
        ri_buf_put_text(&text, item);
        i += below(w, 3);
    }
    if (below(w, 4) == 0) {
        (void)snprintf(item, sizeof item, "[:db/add :db/current-tx :db/doc \"%d\"]", w->committed);
        ri_buf_put_text(&text, item);
    }
    if (below(w, 60) == 0) {
        (void)snprintf(item, sizeof item, "{:db/ident :more/a%d :db/valueType :db.type/long}", w->committed);
        ri_buf_put_text(&text, item);
    }
    ri_buf_put_text(&text, "]");
    ri_buf_put_u8(&text, 0);
    transact(conn, (const char *)text.p);
    ri_buf_deinit(&text);
    w->committed++;
}

static void begin_flush(world *w)
{
    drop_pending(w);
    rille_db *db = newest(w->writers[below(w, WRITERS)]);
    REQUIRE_RC(ri_writer_new(db->store, &w->pending.writer, &test_err), 0);
    REQUIRE_RC(ri_flush_new(db, NULL, w->pending.writer, &w->pending.flush, &test_err), 0);
    w->pending.db = db;
}

/* Some steps, between which the others do what they like. */
static void go_on(world *w, uint64_t steps)
{
    struct pending *p = &w->pending;
    int rc = RILLE_AGAIN;
    for (; p->flush != NULL && steps > 0 && rc == RILLE_AGAIN; steps--) {
        rc = ri_flush_step(p->flush, &test_err);
    }
    if (p->flush != NULL && rc != RILLE_AGAIN) {
        REQUIRE_RC(rc, 0);
        p->base = ri_flush_take_base(p->flush);
        ri_flush_release(p->flush);
        p->flush = NULL;
    }
}

static void end_flush(world *w)
{
    if (w->pending.db != NULL) {
        go_on(w, UINT64_MAX);
        struct ri_bundle *bundle = NULL;
        CHECK_RC(ri_conn_install(w->writers[below(w, WRITERS)], w->pending.base, w->pending.db->schema,
                                 w->pending.writer, &bundle, &test_err),
                 0);
        w->installed++;
        drop_pending(w);
    }
}

/* The next datom of a scan, or false. */
typedef struct reading {
    ri_scan scan;
    ri_run run;
    uint32_t at;
    ri_io io;
} reading;

static void start_reading(reading *r, const rille_db *db, ri_order order)
{
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    *r = (reading){ .at = 0 };
    ri_scan_init(&r->scan, db, order);
    ri_scan_set(&r->scan, &from, &to);
}

static bool read_next(reading *r, ri_datom *out)
{
    if (r->at == ri_run_count(&r->run)) {
        int rc;
        RI_FETCHING(rc, &r->io, ri_scan_next(&r->scan, &r->run, &r->io, &test_err), &test_err)
        r->at = 0;
        if (rc != 0) {
            CHECK_RC(rc, RILLE_DONE);
            return false;
        }
    }
    if (r->run.leaf != NULL) {
        ri_node_datom(r->run.leaf, r->run.from + r->at, out);
    } else {
        *out = *r->run.rows[r->at];
    }
    r->at++;
    return true;
}

static void stop_reading(reading *r)
{
    ri_scan_deinit(&r->scan);
    ri_io_deinit(&r->io);
}

static void check_same_order(const rille_db *a, const rille_db *b, ri_order order)
{
    reading one;
    reading two;
    ri_datom d;
    ri_datom e;
    bool more = true;
    start_reading(&one, a, order);
    start_reading(&two, b, order);
    for (size_t n = 0; more; n++) {
        more = read_next(&one, &d);
        bool other = read_next(&two, &e);
        CHECK(more == other);
        more = more && other;
        if (more && (ri_datom_cmp(order, &d, &e) != 0 || d.t != e.t)) {
            CHECK_EQ_INT(n, -1);
            more = false;
        }
    }
    stop_reading(&one);
    stop_reading(&two);
}

static void check_value(world *w, rille_conn *conn)
{
    rille_db *before = ri_conn_seen_db(conn);
    rille_db *db = newest(conn);
    rille_conn *fresh = open_new(w->url);
    rille_db *expected = ri_conn_seen_db(fresh);
    CHECK_EQ_INT(db->t, expected->t);
    CHECK_EQ_INT(db->base->t, expected->base->t);
    CHECK_EQ_INT(db->base->segment_count, expected->base->segment_count);
    CHECK(memcmp(db->commit, expected->commit, RI_HASH_SIZE) == 0);
    CHECK(db->next_e == expected->next_e && db->next_attr == expected->next_attr && db->instant == expected->instant);
    CHECK_EQ_INT(db->schema->attr_count, expected->schema->attr_count);
    for (int order = 0; order < ORDERS; order++) {
        check_same_order(db, expected, (ri_order)order);
    }
    w->shared += db != before && db->base != before->base && before->novelty.last != NULL;
    ri_db_release(before);
    ri_db_release(db);
    ri_db_release(expected);
    ri_conn_release(fresh);
}

static void open_world(world *w)
{
    for (int i = 0; i < WRITERS; i++) {
        w->writers[i] = open_new(w->url);
    }
    transact(w->writers[0], "[{:db/ident :n :db/valueType :db.type/string}"
                            " {:db/ident :k :db/valueType :db.type/long :db/unique :db.unique/identity}]");
    w->reader = open_new(w->url);
}

static void close_world(world *w)
{
    ri_verify_report report;
    CHECK_RC(ri_conn_verify(w->reader, &report, &test_err), 0);
    check_value(w, w->reader);
    drop_pending(w);
    ri_conn_release(w->reader);
    for (int i = 0; i < WRITERS; i++) {
        ri_conn_release(w->writers[i]);
    }
    CHECK_RC(ri_database_drop(w->url, &test_err), 0);
}

static void run(const char *url, uint64_t seed, int steps)
{
    world w = { .url = url, .random = seed };
    open_world(&w);
    for (int i = 0; i < steps; i++) {
        uint64_t what = below(&w, 100);
        go_on(&w, below(&w, 8));
        if (what < 70) {
            commit(&w, below(&w, 12) == 0 ? 400 : 1 + below(&w, 6));
        } else if (what < 78) {
            begin_flush(&w);
        } else if (what < 86) {
            end_flush(&w);
        } else if (what < 88) {
            CHECK_RC(ri_conn_flush(w.writers[below(&w, WRITERS)], &test_err), 0);
        } else {
            check_value(&w, below(&w, 3) == 0 ? w.writers[below(&w, WRITERS)] : w.reader);
        }
    }
    close_world(&w);
    CHECK(w.installed > 2 && w.shared > 0);
}

/* ---- at each point ---- */

typedef enum happening {
    SMALL_COMMIT,
    LARGE_COMMIT, /* it spills */
    NEW_ATTRIBUTE,
    OTHER_FLUSH,   /* by another connection, as a whole */
    OTHER_INSTALL, /* one that has begun later is installed before */
    REFRESH,       /* of a reader that did not follow for some time */
    DEATH,         /* of the flush, and another one begins anew */
    HAPPENINGS
} happening;

static void install_another(world *w)
{
    struct pending mine = w->pending;
    w->pending = (struct pending){ 0 };
    begin_flush(w);
    end_flush(w);
    w->pending = mine;
}

static void happen(world *w, happening what)
{
    char text[80];
    switch (what) {
    case SMALL_COMMIT:
        commit(w, 3);
        break;
    case LARGE_COMMIT:
        commit(w, 400);
        break;
    case NEW_ATTRIBUTE:
        (void)snprintf(text, sizeof text, "[{:db/ident :at/a%d :db/valueType :db.type/long}]", w->committed++);
        transact(w->writers[0], text);
        break;
    case OTHER_FLUSH:
        CHECK_RC(ri_conn_flush(w->writers[below(w, WRITERS)], &test_err), 0);
        break;
    case OTHER_INSTALL:
        install_another(w);
        break;
    case REFRESH:
        check_value(w, w->reader);
        break;
    case DEATH:
        drop_pending(w);
        begin_flush(w);
        break;
    case HAPPENINGS:
        break;
    }
}

/* After each number of steps of a flush something happens, and something more before it is installed. */
static void interrupt_everywhere(const char *url, int first)
{
    enum { STEPS_MAX = 1000 };
    world w = { .url = url, .random = test_seed() };
    unsigned points = 0;
    open_world(&w);
    for (int what = first; what < HAPPENINGS; what++) {
        bool is_done = false;
        for (uint64_t at = 0; !is_done && at < STEPS_MAX; at++, points++) {
            commit(&w, 5);
            begin_flush(&w);
            go_on(&w, at);
            is_done = w.pending.flush == NULL;
            happen(&w, (happening)what);
            go_on(&w, UINT64_MAX);
            happen(&w, at % 2 == 0 ? SMALL_COMMIT : (happening)(at / 2 % DEATH));
            end_flush(&w);
            if (at % 3 == (uint64_t)what % 3) {
                check_value(&w, w.writers[at % WRITERS]);
            }
        }
        CHECK(is_done);
        check_value(&w, w.reader);
    }
    printf("  %s: %u points\n", url, points);
    CHECK(points > 20U * (unsigned)(HAPPENINGS - first));
    close_world(&w);
}

TEST(beside__a_flush_is_interrupted_at_each_point)
{
    interrupt_everywhere("mem:points", 0);
    interrupt_everywhere("deferred:mem:points", DEATH);
}

TEST(beside__a_flush_loses_nothing)
{
    for (unsigned i = 0; i < 4; i++) {
        run("mem:beside", test_seed() + i, 350);
    }
    run("deferred:mem:beside", test_seed() + 9, 200);
}

/* A branch that was replaced by another history of the same database: what is known must not go into it. */
TEST(beside__another_history_is_opened_anew)
{
    rille_conn *conn = open_new("mem:history");
    transact(conn, "[{:db/ident :k :db/valueType :db.type/long :db/unique :db.unique/identity}]");
    rille_head early = { 0 };
    ri_store *store = ri_conn_store(conn);
    REQUIRE_RC(ri_store_head_read(store, "main", &early, &test_err), 0);
    for (int i = 0; i < 3; i++) {
        transact(conn, "[{:k 1}]");
        transact(conn, "[{:k 2}]");
    }
    rille_conn *reader = open_new("mem:history"); /* knows the first history */
    rille_head now = { 0 };
    REQUIRE_RC(ri_store_head_read(store, "main", &now, &test_err), 0);
    rille_head_swap swap = { .branch = "main", .expected = now.revision, .cell = early.bytes, .cell_len = early.len };
    rille_revision revision;
    REQUIRE_RC(ri_store_head_swap(store, &swap, NULL, &revision, &test_err), 0);
    rille_conn *other = open_new("mem:history");
    for (int i = 0; i < 12; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "[{:k %d}]", 100 + i);
        transact(other, text);
        if (i == 8) {
            CHECK_RC(ri_conn_flush(other, &test_err), 0);
        }
    }
    rille_db *db = newest(reader);
    rille_db *expected = newest(other);
    CHECK(memcmp(db->commit, expected->commit, RI_HASH_SIZE) == 0);
    for (int order = 0; order < ORDERS; order++) {
        check_same_order(db, expected, (ri_order)order);
    }
    ri_db_release(db);
    ri_db_release(expected);
    rille_free(early.bytes);
    rille_free(now.bytes);
    ri_conn_release(conn);
    ri_conn_release(reader);
    ri_conn_release(other);
    CHECK_RC(ri_database_drop("mem:history", &test_err), 0);
}

static uint64_t reads(rille_conn *conn)
{
    ri_store_stats stats;
    ri_store_read_stats(ri_conn_store(conn), &stats);
    return stats.get_ranges;
}

/* A reader beside a writer reads each segment once, however often the writer spills, and no tree. */
TEST(beside__a_reader_reads_what_is_new)
{
    rille_conn *writer = open_new("mem:new");
    transact(writer, "[{:db/ident :n :db/valueType :db.type/string}]");
    rille_conn *reader = open_new("mem:new");
    uint64_t before = reads(reader);
    int commits = 0;
    for (; commits < 2000; commits++) {
        char text[80];
        (void)snprintf(text, sizeof text, "[{:n \"name %d\"}]", commits);
        transact(writer, text);
        rille_db *db = newest(reader);
        CHECK_EQ_INT(db->novelty.datom_count > (uint64_t)commits, 1);
        ri_db_release(db);
    }
    rille_db *db = newest(reader);
    CHECK(db->base->segment_count > 3);
    CHECK(reads(reader) - before <= db->base->segment_count + 1);
    ri_db_release(db);
    ri_conn_release(reader);
    ri_conn_release(writer);
    CHECK_RC(ri_database_drop("mem:new", &test_err), 0);
}

/* ---- writers of several processes ---- */

enum { PROCESSES = 6, COMMITS_EACH = 120 };

/* A process of its own: 0 when all its commits went in. */
static int write_much(const char *url, int number)
{
    rille_conn *conn = NULL;
    ri_conn_options options = { 0 };
    int rc = ri_conn_open(url, &options, &conn, NULL);
    for (int i = 0; rc == 0 && i < COMMITS_EACH; i++) {
        char text[300];
        ri_report report;
        int len = snprintf(text, sizeof text, "[{:n \"%0200d\"}]", number * 1000 + i);
        rc = ri_conn_transact_edn(conn, text, (size_t)len, &report, NULL);
        ri_report_deinit(&report);
    }
    ri_conn_release(conn);
    return rc;
}

static size_t count_files(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char name[600];
        struct stat info;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && lstat(name, &info) == 0) {
            count += S_ISDIR(info.st_mode) ? count_files(name) : 1;
        }
    }
    (void)closedir(dir);
    return count;
}

/* Who loses the race for the head has written no segment: every blob is one of the head's. */
TEST(beside__losers_leave_no_segments)
{
    test_dir dir = test_dir_new(); /* with syncs that take their time */
    char url[300];
    char blobs[300];
    pid_t pids[PROCESSES];
    (void)snprintf(url, sizeof url, "file:%s/db", dir.path);
    (void)snprintf(blobs, sizeof blobs, "%s/db/blobs", dir.path);
    rille_conn *conn = open_new(url);
    transact(conn, "[{:db/ident :n :db/valueType :db.type/string}]");
    ri_conn_release(conn);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            _exit(write_much(url, i) == 0 ? 0 : 1);
        }
        REQUIRE(pids[i] > 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    }
    conn = open_new(url);
    rille_db *db = ri_conn_seen_db(conn);
    CHECK_EQ_INT(db->t, RI_TX_BASE + 1 + PROCESSES * COMMITS_EACH);
    CHECK(db->base->segment_count > 3);
    CHECK_EQ_INT(count_files(blobs), db->base->segment_count);
    ri_db_release(db);
    ri_conn_release(conn);
    test_dir_remove(dir.path);
}

/* ---- no memory ---- */

/* A flush in steps, commits between them, the install, and a reader's refresh over it. */
static int flush_beside(void)
{
    ri_conn_options options = { .create = true, .flush = RI_FLUSH_SLICED, .novelty_min = 150 };
    static const char schema[] = "[{:db/ident :k :db/valueType :db.type/long :db/unique :db.unique/identity}]";
    rille_conn *conn = NULL;
    ri_report report = { 0 };
    rille_db *db = NULL;
    int rc = ri_conn_open("mem:", &options, &conn, NULL);
    rc = rc == 0 ? ri_conn_transact_edn(conn, schema, sizeof schema - 1, &report, NULL) : rc;
    ri_report_deinit(&report);
    for (int i = 0; i < 6 && rc == 0; i++) {
        char text[1000];
        size_t len = (size_t)snprintf(text, sizeof text, "[");
        for (int k = 0; k < 20; k++) {
            len += (size_t)snprintf(text + len, sizeof text - len, "{:k %d}", 20 * i + k);
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "]");
        rc = ri_conn_transact_edn(conn, text, len, &report, NULL);
        ri_report_deinit(&report);
    }
    rc = rc == 0 ? ri_conn_db(conn, &db, NULL) : rc;
    ri_db_release(db);
    ri_conn_release(conn);
    return rc;
}

TEST(beside__survives_without_memory)
{
    TEST_FAULT_SWEEP(flush_beside());
}

/* A head that begins with another base than the one that is known. */
TEST(beside__a_reader_survives_without_memory)
{
    rille_conn *conn = open_new("mem:reader");
    transact(conn, "[{:db/ident :k :db/valueType :db.type/long :db/unique :db.unique/identity}]");
    transact(conn, "[{:k 1} {:k 2}]");
    rille_conn *writer = open_new("mem:reader");
    world w = { .writers = { writer, writer } };
    begin_flush(&w);
    go_on(&w, 3);
    transact(writer, "[{:k 3}]");
    rille_db *known = newest(conn); /* beyond the new base, before its head */
    end_flush(&w);
    transact(writer, "[{:k 4}]");
    rille_head head = { 0 };
    REQUIRE_RC(ri_store_head_read(ri_conn_store(conn), "main", &head, &test_err), 0);
    for (int once = 1; once >= 0; once--) {
        long long live = atomic_load(&test_state.live_blocks);
        int rc = RILLE_NOMEM;
        for (long long n = 0; rc != 0 && test_fault_begin(n, once != 0); n++) {
            rille_db *out = NULL;
            size_t valid_len;
            rc = ri_head_advance(known, head.bytes, head.len, &out, &valid_len, NULL);
            CHECK((rc == 0) == (out != NULL) && (rc == 0 || rc == RILLE_NOMEM));
            ri_db_release(out);
            (void)test_fault_end(n, rc, live, __FILE__, __LINE__, "ri_head_advance");
        }
    }
    rille_free(head.bytes);
    ri_db_release(known);
    ri_conn_release(conn);
    ri_conn_release(writer);
    CHECK_RC(ri_database_drop("mem:reader", &test_err), 0);
}

TEST_MAIN(beside__survives_without_memory, beside__a_reader_survives_without_memory, beside__losers_leave_no_segments,
          beside__a_flush_loses_nothing, beside__a_flush_is_interrupted_at_each_point,
          beside__another_history_is_opened_anew, beside__a_reader_reads_what_is_new)
