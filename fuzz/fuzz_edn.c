/* SPDX-License-Identifier: MIT
 *
 * layer: data
 *
 * Any bytes as EDN text. A form that reads must write; what was written must read, and write as the same text. Every
 * value in it must be valid and survive ri_value_write and ri_value_read. Reading with and without borrowing must
 * agree.
 */
#include "../src/core/data/edn.h"

#include <stdlib.h>

#define FORMS_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_value(const ri_value *v)
{
    ri_buf first = { 0 };
    ri_buf second = { 0 };
    char shown[80];
    require(ri_value_valid(v));
    ri_value_write(&first, v);
    ri_reader r = ri_reader_of(first.p, first.len);
    ri_value back = ri_value_read(&r);
    require(!r.bad && r.p == r.end && ri_value_eq(v, &back) && ri_value_hash(v) == ri_value_hash(&back));
    ri_value_write(&second, &back);
    require(first.len == second.len && memcmp(first.p, second.p, first.len) == 0);
    require(strlen(ri_value_show(shown, sizeof shown, v)) <= 60);
    ri_buf_deinit(&first);
    ri_buf_deinit(&second);
}

/* Forms nest at most RI_EDN_DEPTH_MAX deep. */
static void check_values(const ri_form *form)
{
    if (form->kind == RI_FORM_VALUE) {
        check_value(&form->u.v);
    } else if (form->kind >= RI_FORM_LIST) {
        for (uint32_t i = 0; i < form->u.seq.count; i++) {
            check_values(&form->u.seq.items[i]);
        }
    }
}

static void check_form(const ri_form *form)
{
    ri_arena arena = { 0 };
    ri_buf first = { 0 };
    ri_buf second = { 0 };
    ri_form back;
    check_values(form);
    ri_edn_write(&first, form);
    require(!first.failed);
    require(ri_edn_read(&arena, (const char *)first.p, first.len, &back, NULL) == RILLE_OK);
    ri_edn_write(&second, &back);
    require(first.len == second.len && memcmp(first.p, second.p, first.len) == 0);
    ri_buf_deinit(&first);
    ri_buf_deinit(&second);
    ri_arena_deinit(&arena);
}

static int read_all(const uint8_t *bytes, size_t len, bool borrow, size_t *form_count, rille_err *err)
{
    ri_arena arena = { 0 };
    ri_edn_reader reader;
    ri_form form;
    int rc = 0;
    ri_edn_init(&reader, &arena, (const char *)bytes, len, borrow);
    while (*form_count < FORMS_MAX && (rc = ri_edn_next(&reader, &form, err)) == RILLE_OK) {
        *form_count += 1;
        if (borrow) {
            check_form(&form);
        }
    }
    ri_edn_deinit(&reader);
    ri_arena_deinit(&arena);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    rille_err err = { 0 };
    rille_err copied_err = { 0 };
    size_t count = 0;
    size_t copied_count = 0;
    int rc = read_all(bytes, len, true, &count, &err);
    int copied_rc = read_all(bytes, len, false, &copied_count, &copied_err);
    require(rc == copied_rc && count == copied_count && strcmp(err.message, copied_err.message) == 0);
    require(rc == RILLE_DONE || rc == RILLE_OK || rc == RILLE_SYNTAX || rc == RILLE_LIMIT);
    require(rc >= 0 || err.code == rc);
    return 0;
}
