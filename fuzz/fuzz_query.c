/* SPDX-License-Identifier: MIT
 *
 * layer: query
 *
 * Text as a query, and as rules: whatever is accepted must print, be accepted again, and print the same.
 */
#include "../src/core/query/ast.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool same(const ri_buf *a, const ri_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

static void try_query(const char *text, size_t len)
{
    rille_query *query = NULL;
    rille_err err = { 0 };
    int rc = ri_query_parse(text, len, &query, &err);
    require((rc == 0) == (query != NULL));
    if (rc != 0) {
        require(err.code == rc && err.message[0] != '\0');
        return;
    }
    ri_buf printed = { 0 };
    ri_buf printed_again = { 0 };
    rille_query *again = NULL;
    require(ri_query_print(query, &printed) == 0);
    require(ri_query_parse((const char *)printed.p, printed.len, &again, &err) == 0);
    require(ri_query_print(again, &printed_again) == 0);
    require(same(&printed, &printed_again));
    ri_buf_deinit(&printed);
    ri_buf_deinit(&printed_again);
    ri_query_release(again);
    ri_query_release(query);
}

static int read_rules(const char *text, size_t len, ri_arena *arena, ri_rules *out, rille_err *err)
{
    ri_form form;
    RI_TRY(ri_edn_read(arena, text, len, &form, err));
    return ri_rules_parse_form(&form, (ri_text){ text, len }, NULL, arena, out, err);
}

static void try_rules(const char *text, size_t len)
{
    ri_arena arena = { 0 };
    ri_rules rules;
    rille_err err = { 0 };
    if (read_rules(text, len, &arena, &rules, &err) == 0) {
        ri_buf printed = { 0 };
        ri_buf printed_again = { 0 };
        require(ri_rules_print(&rules, NULL, &printed) == 0);
        require(read_rules((const char *)printed.p, printed.len, &arena, &rules, &err) == 0);
        require(ri_rules_print(&rules, NULL, &printed_again) == 0);
        require(same(&printed, &printed_again));
        ri_buf_deinit(&printed);
        ri_buf_deinit(&printed_again);
    } else {
        require(err.code != 0 && err.message[0] != '\0');
    }
    ri_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *text = len == 0 ? "" : (const char *)bytes;
    try_query(text, len);
    try_rules(text, len);
    return 0;
}
