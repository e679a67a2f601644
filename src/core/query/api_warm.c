/* SPDX-License-Identifier: MIT
 *
 * The public interface: reading into the cache.
 */
#include "api_own.h"

#include "../db/warm.h"

static int run_warm(rille_steps *s, rille_err *err)
{
    return ri_warm_step(s->warm, err);
}

static int add_values(rille_steps *s, const ri_attr *attr, const rille_warm *what, rille_err *err)
{
    ri_bound ends[2];
    const rille_value *values[2] = { what->from, what->to };
    RI_TRY(ri_db_check_index(RI_AVET, attr, err));
    for (int i = 0; i < 2; i++) {
        ri_value v;
        ends[i] = ri_bound_a(attr->id, i == 1);
        if (values[i] != NULL) {
            RI_TRY(ri_api_key(attr, values[i], &s->arena, &v, err));
            ends[i] = ri_bound_av(attr->id, &v, false);
        }
    }
    return ri_warm_add(s->warm, RI_AVET, &ends[0], &ends[1], err);
}

static int add_attribute(rille_steps *s, const char *name, const rille_warm *what, rille_err *err)
{
    if (name == NULL) {
        return ri_fail(err, RILLE_MISUSE, "rille_start_warm: an attribute name is NULL");
    }
    const ri_attr *attr = ri_schema_attr(s->db->schema, name, strlen(name));
    if (attr == NULL) {
        return ri_db_unknown_attr(s->db, NULL, name, strlen(name), err);
    }
    if (what->from != NULL || what->to != NULL) {
        return add_values(s, attr, what, err);
    }
    ri_bound from = ri_bound_a(attr->id, false);
    ri_bound to = ri_bound_a(attr->id, true);
    RI_TRY(ri_warm_add(s->warm, RI_AEVT, &from, &to, err));
    return ri_db_check_index(RI_AVET, attr, NULL) == 0 ? ri_warm_add(s->warm, RI_AVET, &from, &to, err) : 0;
}

static int add_all(rille_steps *s, rille_err *err)
{
    static const ri_order orders[] = { RI_EAVT, RI_AEVT, RI_AVET, RI_VAET };
    ri_bound from = ri_bound_all(false);
    ri_bound to = ri_bound_all(true);
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        RI_TRY(ri_warm_add(s->warm, orders[i], &from, &to, err));
    }
    return 0;
}

static int add(rille_steps *s, const rille_warm *what, rille_err *err)
{
    RI_TRY(ri_warm_new(s->db, what->nodes_max, what->bytes_max, &s->warm, err));
    for (size_t i = 0; i < what->attribute_count; i++) {
        RI_TRY(add_attribute(s, what->attributes[i], what, err));
    }
    return what->attribute_count == 0 ? add_all(s, err) : 0;
}

int rille_start_warm(rille_db *db, const rille_warm *what, rille_steps **out, rille_err *err)
{
    NEED_GIVEN(out, "out");
    *out = NULL;
    NEED_GIVEN(db, "the database");
    NEED_GIVEN(what, "what");
    if (what->attribute_count > 0) {
        NEED_GIVEN(what->attributes, "the array of attributes");
    }
    if ((what->from != NULL || what->to != NULL) && what->attribute_count != 1) {
        return ri_fail(err, RILLE_MISUSE, "rille_start_warm: from and to are values of one attribute");
    }
    rille_steps *s;
    RI_TRY(ri_api_start(NULL, db, run_warm, &s, err));
    int rc = add(s, what, err);
    if (rc != 0) {
        rille_steps_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

rille_warmed rille_steps_warmed(const rille_steps *steps)
{
    rille_warmed out = { 0 };
    if (steps != NULL && steps->warm != NULL && steps->has_ended && steps->rc == RILLE_DONE) {
        const ri_warm_report *report = ri_warm_report_of(steps->warm);
        out = (rille_warmed){ report->nodes, report->bytes, report->cached_nodes, report->complete };
    }
    return out;
}
