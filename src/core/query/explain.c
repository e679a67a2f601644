/* SPDX-License-Identifier: MIT
 *
 * The plan as text: a line a stage, in the order in which rows pass.
 *
 *   scan aevt  [?e :name "Ivan"]  rows ~2000, 2512
 */
#include "exec.h"

#include <stdio.h>

static void put_stage(const ri_stage *stage, ri_buf *out)
{
    const rille_op *op = stage->op;
    char rows[80];
    for (unsigned i = 0; i < stage->depth; i++) {
        ri_buf_put_text(out, "    ");
    }
    ri_buf_put_text(out, stage->label);
    if (stage->clause != NULL) {
        ri_buf_put_text(out, "  ");
        ri_print_clause(out, stage->clause, stage->scope->var_names, op->query->source_names);
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
