/* SPDX-License-Identifier: MIT
 *
 * Running again: an operation that is done keeps its patterns, its plan, its stages and their memory, and can run for
 * other values of its inputs and on other values of its database.
 *
 *   ri_op_rest    gives back all that belongs to the run: inputs, databases, nodes, rows that were collected
 *   ri_op_again   takes new inputs, and resolves again what depends on them
 *   (step)        counts what may have changed, and renews the stages; or plans, where the counts differ too much
 *
 * A plan is made for what decides about it, and is used only where all of that is the same: (A1) the schemas of all
 * sources, as objects; (A2) which inputs have one row, the types of their values, and the types of columns; (A3) of
 * each pattern the attribute, which positions are constant, and whether it can match at all; the same for ranges; (A4)
 * the options. What stages know of constants they read again in `renew`. (A5) Counts are only about speed: a plan stays
 * while each of them is at most FACTOR times what it was, or what it was is at most FACTOR times each, but for FEW
 * rows. Counts of another value of the database, or of other constants, are looked up before they are compared.
 *
 * A limit of memory holds for what a new operation would hold: what earlier runs have left behind is not counted, and
 * where that is much, nothing is kept.
 *
 * What is not kept: queries with rules, with relations as sources, with tuples as inputs that a call takes apart,
 * aggregates that take a number from an input, attributes named by an input for get-else and its kin, and plans that need
 * more than REST_BYTES_MAX.
 */
#include "again.h"
#include "links.h"
#include "lookups.h"
#include "types.h"

#define FACTOR 2U
#define FEW 16U
#define REST_BYTES_MAX ((size_t)1024 * 1024)
#define REST_PINS_MAX 64U
#define SPARE_BYTES_MAX ((size_t)64 * 1024) /* that a run with a limit may hold beyond it */

/* ---- rest ---- */

static bool stages_renew(const rille_op *op)
{
    for (const ri_stage *stage = op->stages; stage != NULL; stage = stage->older) {
        if (stage->renew == NULL) {
            return false;
        }
    }
    return true;
}

/* Does a call take a tuple of an input apart? Whether it can fail depends on the value (plan_total.c). */
static bool takes_apart(const rille_op *op, const ri_clause *clauses, uint16_t count)
{
    bool takes = false;
    for (uint16_t i = 0; i < count && !takes; i++) {
        const ri_clause *clause = &clauses[i];
        bool several = clause->kind == RI_CLAUSE_FUNC && clause->binding.kind != RI_BIND_SCALAR;
        for (uint16_t t = 0; several && t < clause->term_count && !takes; t++) {
            const ri_term *term = &clause->terms[t];
            takes = term->kind == RI_TERM_VAR && ri_varset_has(&op->scope.is_fixed, term->var) &&
                    op->fixed_types[term->var] == RI_TUPLE;
        }
        takes = takes || takes_apart(op, clause->body, clause->body_count);
    }
    return takes;
}

static bool inputs_renew(const rille_op *op)
{
    const rille_query *query = op->query;
    for (uint16_t i = 0; i < query->in_count; i++) {
        const ri_in *in = &query->in[i];
        if (in->kind == RI_IN_RULES || (in->kind == RI_IN_SOURCE && op->sources[in->source].db == NULL)) {
            return false;
        }
    }
    for (uint16_t i = 0; i < query->find_count; i++) {
        if (query->find[i].arg_var != RI_NO_VAR && query->find[i].agg != NULL) {
            return false;
        }
    }
    return !takes_apart(op, query->where, query->where_count);
}

static bool may_rest(const rille_op *op)
{
    bool planned = op->state == RI_OP_RUN || (op->state == RI_OP_ENDED && op->failed == 0);
    bool rests = op->query == NULL; /* already: there was no run */
    return planned && !rests && op->find != NULL && op->plan_arena.total_bytes <= REST_BYTES_MAX && inputs_renew(op) &&
           stages_renew(op);
}

static void rest_stages(rille_op *op)
{
    if (op->find_arena.total_bytes > REST_BYTES_MAX || !ri_find_rest(op->find)) {
        ri_find_release(op->find);
        op->find = NULL;
        ri_arena_reset(&op->find_arena);
    }
    for (ri_stage *stage = op->stages; stage != NULL; stage = stage->older) {
        stage->begun = false;
        stage->rows = 0;
#ifndef NDEBUG
        stage->given = NULL;
#endif
        if (stage->reset != NULL) {
            stage->reset(stage);
        }
        if (stage->rest != NULL) {
            stage->rest(stage);
        }
    }
    ri_op_drop_tables(op);
}

static void rest_sources(rille_op *op)
{
    for (uint16_t i = 0; i < op->source_count; i++) {
        ri_source *source = &op->sources[i];
        if (source->db == NULL) { /* a source that :in does not have */
            continue;
        }
        ri_schema_release(source->schema);
        source->schema = ri_schema_retain(source->db->schema);
        source->t = source->db->t;
        source->committed = !source->db->speculative;
        memcpy(source->commit, source->db->commit, sizeof source->commit);
        ri_db_release(source->db);
        source->db = NULL;
    }
    op->blob_db = NULL;
}

bool ri_op_rest(rille_op *op)
{
    if (!may_rest(op)) {
        return false;
    }
    rest_stages(op);
    ri_lookups_drop(op->lookups);
    rest_sources(op);
    ri_arena_reset(&op->values);
    ri_bytemap_deinit(&op->stub_sources);
    op->stubs_inside = false;
    ri_io_clear(&op->io);
    ri_task_forget(&op->pauses);
    op->io.defer = NULL;
    if (op->planned != NULL) {
        memset(op->planned, 0, op->source_count * sizeof *op->planned);
    }
    if (op->io.pin_cap > REST_PINS_MAX) {
        ri_io_deinit(&op->io);
    }
    op->state = RI_OP_ENDED;
    op->rows = NULL;
    op->row_count = 0;
    op->call_pending = false;
    ri_query_release(op->query);
    op->query = NULL;
    return true;
}

/* ---- again ---- */

/* What earlier runs have left in the arenas, beyond the plan: the next one may use it, or not. */
static size_t left_bytes(const rille_op *op)
{
    size_t held = ri_plan_bytes(op);
    return held > op->plan_bytes ? held - op->plan_bytes : 0;
}

static bool same_options(const rille_op *op, const ri_op_options *options)
{
    const ri_op_options *old = &op->options;
    const ri_meter *meter = options->meter != NULL ? options->meter : &op->meter_own;
    bool limited = options->meter != NULL ? meter->bytes_max != 0 : options->memory_bytes != 0;
    return old->limit == options->limit && old->offset == options->offset && old->order_seed == options->order_seed &&
           old->has_function == options->has_function && op->meter == meter &&
           (!limited || left_bytes(op) <= SPARE_BYTES_MAX);
}

static bool bind_sources(rille_op *op)
{
    for (uint16_t i = 0; i < op->source_count; i++) {
        ri_source *source = &op->sources[i];
        const rille_db *db = source->db;
        if (source->schema == NULL && db == NULL && source->table == NULL) {
            continue;
        }
        if (db == NULL || db->schema != source->schema) { /* (A1) */
            return false;
        }
        source->same = source->committed && !db->speculative && db->t == source->t &&
                       memcmp(db->commit, source->commit, sizeof source->commit) == 0;
    }
    return true;
}

/* Ranges by constants are found again, in the place where stages look for them. */
static void forget_ranges(rille_op *op)
{
    for (ri_pattern *p = op->patterns; p != NULL; p = p->next) {
        if (p->range != NULL) {
            bool empty = p->range->planned_empty;
            *p->range = (ri_range){ .planned_empty = empty };
            op->ranged = false;
        }
    }
}

static bool bind_patterns(rille_op *op)
{
    for (ri_pattern *p = op->patterns; p != NULL; p = p->next) {
        if (!ri_pattern_renew(op, p)) { /* (A3) */
            return false;
        }
    }
    forget_ranges(op);
    ri_links_renew(op);
    return ri_plan_form_fixed(op, NULL) == 0;
}

void ri_op_again(rille_op *op, rille_query *query, const ri_input *inputs, size_t input_count,
                 const ri_op_options *options, bool *fits)
{
    op->query = ri_query_retain(query);
    *fits = false;
    if (!same_options(op, options)) { /* (A4) */
        return;
    }
    if (op->meter == &op->meter_own) {
        ri_meter_again(op->meter, options->memory_bytes, options->timeout_ms);
    }
    op->meter->bytes_spare = left_bytes(op);
    op->options = *options;
    op->failed = 0;
    op->placed = false;
    op->begun = false;
    op->units = 0;
    op->stretch_start = 0;
    op->stretch_max = 0;
    op->again = true;
    op->state = op->lookups != NULL ? RI_OP_LOOK : RI_OP_COUNT;
    *fits = ri_inputs_bind_again(op, inputs, input_count) && bind_sources(op) && bind_patterns(op); /* (A2) */
}

/* ---- the plan ---- */

static ri_counts counts_of(const ri_pattern *p)
{
    return (ri_counts){ p->attr_count, p->const_count, p->range != NULL ? p->range->count : 0 };
}

size_t ri_plan_bytes(const rille_op *op)
{
    return op->arena.total_bytes + op->plan_arena.total_bytes + op->find_arena.total_bytes;
}

void ri_plan_note(rille_op *op)
{
    op->planned_rows = op->in_rows;
    for (uint32_t i = 0; i < op->link_count; i++) {
        op->links[i].planned = op->links[i].size;
    }
    for (ri_pattern *p = op->patterns; p != NULL; p = p->next) {
        p->planned = counts_of(p);
        if (p->range != NULL) {
            p->range->planned_empty = p->range->cuts.empty;
        }
    }
}

static bool near(double now, double planned)
{
    return now <= FACTOR * planned + FEW && planned <= FACTOR * now + FEW;
}

bool ri_plan_fits(const rille_op *op)
{
    bool fits = near(op->in_rows, op->planned_rows);
    for (const ri_pattern *p = op->patterns; fits && p != NULL; p = p->next) {
        ri_counts now = counts_of(p);
        fits = near((double)now.attr, (double)p->planned.attr) &&
               near((double)now.constants, (double)p->planned.constants) &&
               near((double)now.range, (double)p->planned.range) &&
               (p->range == NULL || p->range->planned_empty == p->range->cuts.empty);
    }
    for (uint32_t i = 0; fits && i < op->link_count; i++) {
        fits = near(op->links[i].size, op->links[i].planned);
    }
    return fits;
}

void ri_plan_renew(rille_op *op)
{
    for (ri_stage *stage = op->stages; stage != NULL; stage = stage->older) {
        stage->renew(stage);
    }
}
