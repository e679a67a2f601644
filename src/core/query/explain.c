/* SPDX-License-Identifier: MIT
 *
 * The plan as text: a line a stage, in the order in which rows pass. After "in" are the predicates that cut the range.
 *
 *   scan aevt  [?e :name "Ivan"]  rows ~2000, 2512
 *   scan avet  [?e :age ?a]  in [(>= ?a 18)] [(< ?a 65)]  rows ~1200, 1200
 */
#include "exec.h"

#include <stdio.h>

static void put_clause(const ri_stage *stage, const ri_clause *clause, ri_buf *out)
{
    ri_print_clause(out, clause, stage->scope->var_names, stage->op->query->source_names);
}

/* Each predicate once, also one with a constant and a variable. */
static void put_range(const ri_stage *stage, ri_buf *out)
{
    const ri_range *range = stage->range;
    const ri_clause *put[2 * RI_RANGE_PREDS_MAX];
    unsigned count = 0;
    ri_buf_put_text(out, "  in");
    for (unsigned i = 0; i < range->clause_count + range->end_count; i++) {
        bool constant = i < range->clause_count;
        unsigned end = i - range->clause_count;
        const ri_clause *clause = constant ? range->clauses[i] : range->ends[end].clause;
        bool cuts = constant || (stage->range_ends >> end & 1) != 0;
        for (unsigned j = 0; j < count && cuts; j++) {
            cuts = put[j] != clause;
        }
        if (cuts) {
            ri_buf_put_text(out, " ");
            put_clause(stage, clause, out);
            put[count++] = clause;
        }
    }
}

static void put_stage(const ri_stage *stage, ri_buf *out)
{
    char rows[80];
    for (unsigned i = 0; i < stage->depth; i++) {
        ri_buf_put_text(out, "    ");
    }
    ri_buf_put_text(out, stage->label);
    if (stage->clause != NULL) {
        ri_buf_put_text(out, "  ");
        put_clause(stage, stage->clause, out);
    }
    if (stage->range != NULL) {
        put_range(stage, out);
    }
    if (stage->est_rows > 0) {
        (void)snprintf(rows, sizeof rows, "  rows ~%.0f, %llu\n", stage->est_rows, (unsigned long long)stage->rows);
    } else {
        (void)snprintf(rows, sizeof rows, "  rows %llu\n", (unsigned long long)stage->rows);
    }
    ri_buf_put_text(out, rows);
}

int ri_op_explain(const rille_op *op, ri_buf *out)
{
    const ri_stage *above = NULL; /* the last one put; stages are kept newest first */
    if (op->stages == NULL) {
        ri_buf_put_text(out, "not planned yet: step the query at least once\n");
    }
    while (op->stages != NULL && above != op->stages) {
        const ri_stage *stage = op->stages;
        while (stage->older != above) {
            stage = stage->older;
        }
        put_stage(stage, out);
        above = stage;
    }
    return out->failed ? RILLE_NOMEM : 0;
}
