/* SPDX-License-Identifier: MIT
 *
 * Driver: SQLite by its C API: one wide table, an index wherever rille's schema has one, prepared statements.
 */
#include "driver.h"

#include <sqlite3.h>

static struct {
    const char *dir;
    int64_t people;
    int64_t load;
    int64_t numbers;
    int64_t ones;
    int64_t sample;
} size;

static void check(sqlite3 *db, int rc, const char *what)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE) {
        die(what, sqlite3_errmsg(db));
    }
}

static void execute(sqlite3 *db, const char *sql)
{
    check(db, sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

static sqlite3 *opened(const char *path)
{
    sqlite3 *db;
    check(NULL, sqlite3_open(path, &db), path);
    return db;
}

static sqlite3_stmt *prepared(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    check(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL), sql);
    return statement;
}

static void insert(sqlite3_stmt *statement)
{
    check(sqlite3_db_handle(statement), sqlite3_step(statement), "insert");
    (void)sqlite3_reset(statement);
}

/* ---- people ---- */

static void bind_text(sqlite3_stmt *statement, int column, const char *text)
{
    (void)sqlite3_bind_text(statement, column, text, -1, SQLITE_STATIC);
}

static void fill_people(sqlite3 *db, const person *people, int64_t count)
{
    execute(db, "BEGIN");
    execute(db, "CREATE TABLE p(id INTEGER PRIMARY KEY, uid TEXT, name TEXT, last TEXT, sex TEXT, age INTEGER,"
                " salary INTEGER)");
    sqlite3_stmt *statement = prepared(db, "INSERT INTO p(uid, name, last, sex, age, salary) VALUES(?, ?, ?, ?, ?, ?)");
    for (int64_t i = 0; i < count; i++) {
        bind_text(statement, 1, people[i].uid);
        bind_text(statement, 2, people[i].name);
        bind_text(statement, 3, people[i].last);
        bind_text(statement, 4, people[i].sex);
        (void)sqlite3_bind_int64(statement, 5, people[i].age);
        (void)sqlite3_bind_int64(statement, 6, people[i].salary);
        insert(statement);
    }
    (void)sqlite3_finalize(statement);
    execute(db, "CREATE UNIQUE INDEX p_uid ON p(uid)");
    execute(db, "CREATE INDEX p_name ON p(name)");
    execute(db, "COMMIT");
}

static person *make_people(int64_t count)
{
    person *people = calloc((size_t)count, sizeof *people);
    if (people == NULL) {
        die("people", "out of memory");
    }
    for (int64_t i = 0; i < count; i++) {
        people[i] = person_of(i + 1);
    }
    return people;
}

static sqlite3 *few_people(void)
{
    static sqlite3 *db;
    if (db == NULL) {
        person *people = make_people(size.people);
        db = opened(":memory:");
        fill_people(db, people, size.people);
        execute(db, "ANALYZE");
        free(people);
    }
    return db;
}

/* Durable, and all of it in the main file at the end. */
static sqlite3 *many;

static answer load(void)
{
    static person *people;
    char path[1024];
    if (people == NULL) {
        people = make_people(size.load);
    }
    (void)sqlite3_close(many);
    (void)snprintf(path, sizeof path, "%s/sqlite.db", size.dir);
    (void)remove(path);
    double begun = processor_us();
    many = opened(path);
    execute(many, "PRAGMA journal_mode = WAL");
    execute(many, "PRAGMA synchronous = FULL");
    execute(many, "PRAGMA cache_size = -2000000");
    fill_people(many, people, size.load);
    execute(many, "PRAGMA wal_checkpoint(TRUNCATE)");
    return (answer){ processor_us() - begun, (long)size.load, 0 };
}

/* ---- queries ---- */

/* Touches every value. Ids of rows, which come first, are not summed, since each engine has its own. */
static answer walk(void *context)
{
    sqlite3_stmt *statement = context;
    answer a = { 0 };
    int64_t ids = 0;
    int columns = sqlite3_column_count(statement);
    int64_t *sum = strcmp(sqlite3_column_name(statement, 0), "id") == 0 ? &ids : &a.sum;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        a.rows++;
        for (int c = 0; c < columns; c++) {
            int64_t *to = c == 0 ? sum : &a.sum;
            if (sqlite3_column_type(statement, c) == SQLITE_TEXT) {
                *to += sqlite3_column_text(statement, c)[0] != '\0' ? sqlite3_column_bytes(statement, c) : 0;
            } else {
                *to += sqlite3_column_int64(statement, c);
            }
        }
    }
    (void)sqlite3_reset(statement);
    return a;
}

static answer query(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = prepared(db, sql);
    answer a = cost(walk, statement, (double)size.sample);
    (void)sqlite3_finalize(statement);
    return a;
}

typedef struct lookups {
    sqlite3_stmt *statement;
    char (*uids)[UID_SIZE];
} lookups;

static answer look_up(void *context)
{
    lookups *l = context;
    answer a = { 0 };
    for (int i = 0; i < LOOKUPS; i++) {
        bind_text(l->statement, 1, l->uids[i]);
        while (sqlite3_step(l->statement) == SQLITE_ROW) {
            a.rows++;
            a.sum += sqlite3_column_int64(l->statement, 0);
        }
        (void)sqlite3_reset(l->statement);
    }
    return a;
}

static answer points(sqlite3 *db, int64_t count)
{
    static char uids[LOOKUPS][UID_SIZE];
    lookups l = { prepared(db, "SELECT salary FROM p WHERE uid = ?"), uids };
    for (int i = 0; i < LOOKUPS; i++) {
        sought_of(i + 1, count, uids[i]);
    }
    execute(db, "BEGIN"); /* one snapshot, as a database value is */
    answer a = cost(look_up, &l, (double)size.sample);
    execute(db, "COMMIT");
    (void)sqlite3_finalize(l.statement);
    a.us /= LOOKUPS;
    return a;
}

static answer query_people(const char *name)
{
    static const struct {
        const char *name;
        const char *sql;
    } queries[] = {
        { "q1", "SELECT id FROM p WHERE name = 'Ivan'" },
        { "q2", "SELECT id, age FROM p WHERE name = 'Ivan'" },
        { "q3", "SELECT id, age FROM p WHERE name = 'Ivan' AND sex = 'male'" },
        { "q4", "SELECT id, last, age FROM p WHERE name = 'Ivan' AND sex = 'male'" },
        { "qpred", "SELECT id, salary FROM p WHERE salary > 50000" },
        { "agg", "SELECT last, count(*), sum(salary), min(age), max(age) FROM p GROUP BY last" },
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        if (strcmp(queries[i].name, name) == 0) {
            return query(few_people(), queries[i].sql);
        }
    }
    return strcmp(name, "point") == 0 ? points(few_people(), size.people) : (answer){ .us = -1 };
}

/* ---- numbers and small transactions ---- */

static sqlite3 *numbers(void)
{
    static sqlite3 *db;
    if (db == NULL) {
        db = opened(":memory:");
        execute(db, "BEGIN");
        execute(db, "CREATE TABLE n(id INTEGER PRIMARY KEY, u INTEGER, s TEXT)");
        sqlite3_stmt *statement = prepared(db, "INSERT INTO n(u, s) VALUES(?, ?)");
        for (int64_t i = 1; i <= size.numbers; i++) {
            char text[UID_SIZE];
            shuffled(i, text);
            (void)sqlite3_bind_int64(statement, 1, i);
            bind_text(statement, 2, text);
            insert(statement);
        }
        (void)sqlite3_finalize(statement);
        execute(db, "CREATE UNIQUE INDEX n_u ON n(u)");
        execute(db, "COMMIT");
        execute(db, "ANALYZE");
    }
    return db;
}

static answer range(void)
{
    char sql[128];
    int64_t from = size.numbers / 2;
    (void)snprintf(sql, sizeof sql, "SELECT id, u FROM n WHERE u >= %" PRId64 " AND u < %" PRId64, from,
                   from + RANGE_ROWS);
    return query(numbers(), sql);
}

static answer ones(void)
{
    sqlite3 *db = opened(":memory:");
    execute(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER)");
    sqlite3_stmt *statement = prepared(db, "INSERT INTO t(v) VALUES(?)");
    double begun = processor_us();
    for (int64_t i = 1; i <= size.ones; i++) {
        (void)sqlite3_bind_int64(statement, 1, i);
        insert(statement);
    }
    answer a = { (processor_us() - begun) / (double)size.ones, (long)size.ones, 0 };
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return a;
}

static answer run(const char *operation, const char *argument)
{
    if (strcmp(operation, "query") == 0) {
        return query_people(argument);
    } else if (strcmp(operation, "load") == 0) {
        return load();
    } else if (strcmp(operation, "point") == 0) {
        if (many == NULL) {
            (void)load();
        }
        return points(many, size.load);
    } else if (strcmp(operation, "range") == 0) {
        return range();
    } else if (strcmp(operation, "top") == 0) {
        return query(numbers(), "SELECT id, s FROM n ORDER BY s LIMIT 10");
    } else if (strcmp(operation, "top_index") == 0) {
        return query(numbers(), "SELECT id, u FROM n ORDER BY u LIMIT 10");
    } else if (strcmp(operation, "ones") == 0) {
        return ones();
    }
    return (answer){ .us = -1 };
}

int main(int argc, char **argv)
{
    size.dir = setting(argc, argv, "dir");
    size.people = number(argc, argv, "people");
    size.load = number(argc, argv, "load");
    size.numbers = number(argc, argv, "numbers");
    size.ones = number(argc, argv, "ones");
    size.sample = number(argc, argv, "sample");
    serve(run);
    return 0;
}
