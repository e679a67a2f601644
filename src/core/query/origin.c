/* SPDX-License-Identifier: MIT
 *
 * Where in a query or in its rules a message points.
 */
#include "exec.h"

void ri_err_at(rille_err *err, const ri_origin *origin, uint32_t offset, uint16_t clause)
{
    const char *rule = origin->rule;
    if (origin->text.p != NULL && offset != UINT32_MAX) {
        unsigned line;
        unsigned column;
        ri_edn_position(origin->text.p, origin->text.len, offset, &line, &column);
        if (rule != NULL) {
            ri_err_prefix(err, "rule %.60s", rule);
        }
        ri_err_prefix(err, "%s%u:%u", origin->of_rules ? "rules " : "", line, column);
    } else if (rule != NULL && clause > 0) {
        ri_err_prefix(err, "rule %.60s, clause %u", rule, (unsigned)clause);
    } else if (rule != NULL) {
        ri_err_prefix(err, "rule %.60s", rule);
    } else if (clause > 0) {
        ri_err_prefix(err, ":where, clause %u", (unsigned)clause);
    }
}

ri_origin ri_origin_of_query(const rille_query *query)
{
    return (ri_origin){ { query->text, query->text_len }, NULL, false };
}

ri_origin ri_origin_of_rule(const ri_rules *rules, const char *name)
{
    return (ri_origin){ rules->text, name, true };
}

int ri_fail_in(rille_op *op, const ri_scope *scope, const ri_clause *clause, int rc, rille_err *err)
{
    if (rc >= 0 || rc == RILLE_NOMEM || err == NULL || op->placed) {
        return rc;
    }
    op->placed = true;
    const ri_rule_branch *branch = scope->owner;
    ri_origin origin = branch != NULL ? ri_origin_of_rule(&op->rules, branch->name) : ri_origin_of_query(op->query);
    ri_err_at(err, &origin, clause->offset, clause->number);
    return rc;
}
