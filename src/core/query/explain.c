/* SPDX-License-Identifier: MIT
 *
 * The plan as text: a line a stage, in the order in which rows pass. After "in" are the predicates that cut the range. Then
 * a line a store: what it was asked for, and how much of that was for the plan.
 *
 *   scan aevt  [?e :name "Ivan"]  rows ~2000, 2512
 *   scan avet  [?e :age ?a]  in [(>= ?a 18)] [(< ?a 65)]  rows ~1200, 1200
 *   source $  s3://team-a/catalog  requests 12, 345678 bytes, waits 3 (0.061 s); to plan: requests 4, 65536 bytes, waits 2
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
    for (unsigned i = 0; i < range->clause_count + range->end_count; i++) {
        bool constant = i < range->clause_count;
        unsigned end = i - range->clause_count;
        const ri_clause *clause = constant ? range->clauses[i] : range->ends[end].clause;
        bool cuts = constant || (stage->range_ends >> end & 1) != 0;
        for (unsigned j = 0; j < count && cuts; j++) {
            cuts = put[j] != clause;
        }
        if (cuts) {
            ri_buf_put_text(out, count > 0 ? " " : "");
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
        ri_buf_put_text(out, "  in ");
        put_range(stage, out);
    }
    if (stage->est_rows > 0) {
        (void)snprintf(rows, sizeof rows, "  rows ~%.0f, %llu\n", stage->est_rows, (unsigned long long)stage->rows);
    } else {
        (void)snprintf(rows, sizeof rows, "  rows %llu\n", (unsigned long long)stage->rows);
    }
    ri_buf_put_text(out, rows);
}

/* ---- stages ---- */

/* Stages are kept newest first. */
static const ri_stage *stage_at(const rille_op *op, size_t index)
{
    const ri_stage *stage = op->stages;
    for (size_t i = ri_op_stage_count(op) - 1; i > index; i--) {
        stage = stage->older;
    }
    return stage;
}

size_t ri_op_stage_count(const rille_op *op)
{
    size_t count = 0;
    for (const ri_stage *stage = op->stages; stage != NULL; stage = stage->older) {
        count++;
    }
    return count;
}

int ri_op_explain_stage(const rille_op *op, size_t index, ri_explained *out, ri_buf *text)
{
    const ri_stage *stage = stage_at(op, index);
    *out = (ri_explained){ .label = stage->label,
                           .clause = SIZE_MAX,
                           .range = SIZE_MAX,
                           .depth = stage->depth,
                           .est_rows = stage->est_rows,
                           .rows = stage->rows };
    if (stage->clause != NULL) {
        out->clause = text->len;
        put_clause(stage, stage->clause, text);
        ri_buf_put_u8(text, 0);
    }
    if (stage->range != NULL) {
        out->range = text->len;
        put_range(stage, text);
        ri_buf_put_u8(text, 0);
    }
    return text->failed ? RILLE_NOMEM : 0;
}

/* ---- sources ---- */

int ri_op_note_planned(rille_op *op, rille_err *err)
{
    if (op->planned == NULL) {
        op->planned = ri_arena_array(&op->arena, op->source_count + 1U, sizeof *op->planned);
        if (op->planned == NULL) {
            return ri_fail_nomem(err);
        }
    }
    for (size_t i = 0; i < op->source_count; i++) {
        const ri_store *store = ri_op_source_store(op, i);
        op->planned[i] = store != NULL ? ri_io_spent(&op->io, store) : (ri_spent){ 0 };
    }
    return 0;
}

size_t ri_op_source_count(const rille_op *op)
{
    return op->source_count;
}

const char *ri_op_source_name(const rille_op *op, size_t index)
{
    return op->query->source_names[index];
}

const ri_store *ri_op_source_store(const rille_op *op, size_t index)
{
    const rille_db *db = op->sources[index].db;
    return db != NULL ? db->store : NULL;
}

bool ri_op_source_spent(const rille_op *op, size_t index, ri_spent *all, ri_spent *planning)
{
    const ri_store *store = ri_op_source_store(op, index);
    *all = *planning = (ri_spent){ .store = store };
    for (size_t i = 0; i < index; i++) {
        if (ri_op_source_store(op, i) == store) {
            return false;
        }
    }
    if (store != NULL) {
        *all = ri_io_spent(&op->io, store);
        *planning = op->planned != NULL ? op->planned[index] : *all;
    }
    return store != NULL;
}

static void put_spent(const ri_spent *spent, ri_buf *out)
{
    char line[120];
    (void)snprintf(line, sizeof line, "requests %llu, %llu bytes, waits %llu", (unsigned long long)spent->requests,
                   (unsigned long long)spent->received_bytes, (unsigned long long)spent->rounds);
    ri_buf_put_text(out, line);
}

static void put_source(const rille_op *op, size_t index, ri_buf *out)
{
    ri_spent all;
    ri_spent planning;
    char seconds[40];
    if (!ri_op_source_spent(op, index, &all, &planning)) {
        return;
    }
    ri_buf_put_text(out, "source");
    for (size_t i = index; i < op->source_count; i++) {
        if (ri_op_source_store(op, i) == all.store) {
            ri_buf_put_text(out, i == index ? " " : ", ");
            ri_buf_put_text(out, ri_op_source_name(op, i));
        }
    }
    ri_buf_put_text(out, "  ");
    ri_buf_put_text(out, ri_store_url(all.store));
    ri_buf_put_text(out, "  ");
    put_spent(&all, out);
    (void)snprintf(seconds, sizeof seconds, " (%.3f s); to plan: ", (double)all.wait_us / 1e6);
    ri_buf_put_text(out, seconds);
    put_spent(&planning, out);
    ri_buf_put_text(out, "\n");
}

int ri_op_explain(const rille_op *op, ri_buf *out)
{
    if (op->stages == NULL) {
        ri_buf_put_text(out, "not planned yet: step the query at least once\n");
        return out->failed ? RILLE_NOMEM : 0;
    }
    for (size_t i = 0; i < ri_op_stage_count(op); i++) {
        put_stage(stage_at(op, i), out);
    }
    for (size_t i = 0; i < op->source_count; i++) {
        put_source(op, i, out);
    }
    return out->failed ? RILLE_NOMEM : 0;
}
