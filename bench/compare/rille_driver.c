/* SPDX-License-Identifier: MIT
 *
 * Driver: small transactions into rille by its public C API, as EDN text.
 */
#include "driver.h"

#include "rille/rille.h"

#define URL "mem:ones"

static int64_t ones_count;

static void transact(rille_conn *conn, const char *edn)
{
    rille_err err;
    rille_commit commit;
    if (rille_transact(conn, edn, strlen(edn), &commit, &err) != 0) {
        die(edn, err.message);
    }
}

static answer ones(void)
{
    rille_err err;
    rille_conn *conn;
    rille_options options = { .create = true };
    char edn[64];
    if (rille_connect(URL, &options, &conn, &err) != 0) {
        die(URL, err.message);
    }
    transact(conn, "[{:db/ident :t/v :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]");
    double begun = processor_us();
    for (int64_t i = 1; i <= ones_count; i++) {
        (void)snprintf(edn, sizeof edn, "[{:t/v %" PRId64 "}]", i);
        transact(conn, edn);
    }
    answer a = { (processor_us() - begun) / (double)ones_count, (long)ones_count, 0 };
    rille_close(conn);
    if (rille_drop(URL, &err) != 0) {
        die(URL, err.message);
    }
    return a;
}

static answer run(const char *operation, const char *argument)
{
    (void)argument;
    return strcmp(operation, "ones") == 0 ? ones() : (answer){ .us = -1 };
}

int main(int argc, char **argv)
{
    ones_count = number(argc, argv, "ones");
    serve(run);
    return 0;
}
