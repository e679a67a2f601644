/* SPDX-License-Identifier: MIT
 *
 * The chunker: boundary rule, separators, levels. chunk.h has the idea and the invariants; docs/format-nodes.md the
 * rule.
 *
 * Cost: a row is compared with nothing; beyond leaf_min rows it is hashed. A leaf is encoded once, written once.
 */
#include "chunk.h"

const ri_limits ri_limits_standard = {
    .leaf_min = RI_LEAF_ROWS_MIN,
    .leaf_max = RI_LEAF_ROWS_MAX,
    .leaf_slope = RI_LEAF_SLOPE,
    .leaf_bytes_max = RI_LEAF_BYTES_MAX,
    .branch_min = RI_BRANCH_MIN,
    .branch_max = RI_BRANCH_MAX,
    .branch_slope = RI_BRANCH_SLOPE,
};

/* ---- the boundary rule ---- */

static inline bool hash_closes(uint32_t n, uint32_t min, uint32_t slope, ri_order order, const ri_datom *d)
{
    return n >= min && ri_datom_hash(order, d) >> 32 < (uint64_t)(n - min + 1) * slope;
}

bool ri_leaf_closes(const ri_limits *limits, ri_order order, uint32_t n, uint64_t key_bytes, const ri_datom *d)
{
    return n >= limits->leaf_max || key_bytes > limits->leaf_bytes_max ||
           hash_closes(n, limits->leaf_min, limits->leaf_slope, order, d);
}

bool ri_branch_closes(const ri_limits *limits, ri_order order, uint32_t n, const ri_datom *separator)
{
    return n >= limits->branch_max || hash_closes(n, limits->branch_min, limits->branch_slope, order, separator);
}

/* ---- separators ---- */

ri_datom ri_separator_zero(ri_order order)
{
    return (ri_datom){ .v = order == RI_VAET ? ri_ref(0) : ri_nil(), .added = order != RI_LOG }; /* as decoded */
}

static bool is_text(uint8_t type)
{
    return type == RI_STRING || type == RI_BYTES;
}

/* The shortest prefix of next's value that is above last's. */
static ri_value shortest_value(const ri_value *last, const ri_value *next)
{
    ri_value v = *next;
    if (!is_text(next->type)) {
        return v;
    }
    uint32_t len = 0; /* enough where last is of a lower class */
    if (last->type == next->type ||
        last->type == next->type + 1) { /* a text, or a stub, which counts with its prefix */
        uint32_t shared_max = last->type == next->type ? last->len : RI_STUB_PREFIX;
        shared_max = shared_max < next->len ? shared_max : next->len;
        while (len < shared_max && last->as.p[len] == next->as.p[len]) {
            len++;
        }
        len++;
    }
    if (len >= next->len) {
        return v;
    }
    while (next->type == RI_STRING && len < next->len && (next->as.p[len] & 0xc0U) == 0x80U) {
        len++; /* to the end of the character */
    }
    v.len = len;
    return v;
}

static ri_datom separator_by_v(const ri_datom *last, const ri_datom *next, ri_datom s)
{
    s.v = shortest_value(&last->v, &next->v);
    return s;
}

static ri_datom separator_eav(const ri_datom *last, const ri_datom *next, ri_datom s)
{
    s.e = next->e;
    if (last->e != next->e) {
        return s;
    }
    s.a = next->a;
    return last->a != next->a ? s : separator_by_v(last, next, s);
}

static ri_datom separator_aev(const ri_datom *last, const ri_datom *next, ri_datom s)
{
    s.a = next->a;
    if (last->a != next->a) {
        return s;
    }
    s.e = next->e;
    return last->e != next->e ? s : separator_by_v(last, next, s);
}

static ri_datom separator_ave(const ri_datom *last, const ri_datom *next, ri_datom s)
{
    s.a = next->a;
    if (last->a != next->a) {
        return s;
    }
    if (ri_value_cmp(&last->v, &next->v) != 0) {
        return separator_by_v(last, next, s);
    }
    s.v = next->v;
    s.e = next->e;
    return s;
}

static ri_datom separator_vae(const ri_datom *last, const ri_datom *next, ri_datom s)
{
    s.v = next->v;
    if (ri_value_cmp(&last->v, &next->v) != 0) {
        return s;
    }
    s.a = next->a;
    s.e = last->a != next->a ? 0 : next->e;
    return s;
}

/* Components beyond e, a, v decide. */
static bool same_eav(const ri_datom *a, const ri_datom *b)
{
    return a->e == b->e && a->a == b->a && ri_value_cmp(&a->v, &b->v) == 0;
}

static ri_datom separator_log(const ri_datom *last, const ri_datom *next, ri_datom s)
{
    s.t = next->t;
    if (last->t != next->t) {
        return s;
    }
    if (same_eav(last, next)) {
        s = *next;
        s.x = 0;
        return s;
    }
    return separator_eav(last, next, s);
}

static ri_datom separator_ret(const ri_datom *last, const ri_datom *next, ri_datom s)
{
    if (!same_eav(last, next)) {
        return separator_eav(last, next, s);
    }
    s = *next;
    s.added = true;
    s.x = last->t != next->t ? 0 : next->x;
    return s;
}

ri_datom ri_separator(ri_order order, const ri_datom *last, const ri_datom *next)
{
    ri_datom s = ri_separator_zero(order);
    switch (order) {
    case RI_EAVT:
        return separator_eav(last, next, s);
    case RI_AEVT:
        return separator_aev(last, next, s);
    case RI_AVET:
    case RI_META:
        return separator_ave(last, next, s);
    case RI_VAET:
        return separator_vae(last, next, s);
    case RI_LOG:
        return separator_log(last, next, s);
    case RI_RET:
        return separator_ret(last, next, s);
    case RI_ORDER_COUNT:
        break;
    }
    return s;
}

bool ri_separator_same(const ri_datom *a, const ri_datom *b)
{
    if (a->e != b->e || a->a != b->a || a->t != b->t || a->x != b->x || a->added != b->added ||
        a->v.type != b->v.type) {
        return false;
    }
    if (ri_type_is_word(a->v.type)) {
        return a->v.as.u == b->v.as.u;
    }
    return a->v.len == b->v.len && (a->v.len == 0 || memcmp(a->v.as.p, b->v.as.p, a->v.len) == 0);
}

/* ---- levels ---- */

int ri_chunker_init(ri_chunker *chunker, ri_order order, const ri_limits *limits, ri_writer *writer, rille_err *err)
{
    *chunker = (ri_chunker){ .order = order, .limits = *limits, .writer = writer };
    chunker->separator = ri_separator_zero(order);
    chunker->encoder = ri_encoder_new();
    chunker->rows = ri_alloc_array(limits->leaf_max, sizeof *chunker->rows);
    if (chunker->encoder == NULL || chunker->rows == NULL) {
        ri_chunker_deinit(chunker);
        return ri_fail_nomem(err);
    }
    return RILLE_OK;
}

void ri_chunker_deinit(ri_chunker *chunker)
{
    for (unsigned i = 0; i < RI_TREE_HEIGHT_MAX + 2; i++) {
        ri_level *level = &chunker->levels[i];
        ri_free(level->separators);
        ri_free(level->refs);
        ri_free(level->counts);
        ri_arena_deinit(&level->bytes);
    }
    ri_arena_deinit(&chunker->separator_bytes);
    ri_buf_deinit(&chunker->bytes);
    ri_free(chunker->addrs);
    ri_free(chunker->rows);
    ri_encoder_free(chunker->encoder);
    *chunker = (ri_chunker){ 0 };
}

int ri_chunker_put(ri_chunker *chunker, unsigned level, const ri_datom *separator, const ri_noderef *ref,
                   uint64_t count, bool old, rille_err *err)
{
    if (level > RI_TREE_HEIGHT_MAX) {
        return ri_fail(err, RILLE_LIMIT, "the tree has more than %d levels", RI_TREE_HEIGHT_MAX);
    }
    ri_level *to = &chunker->levels[level];
    RI_ASSERT(to->n < RI_NODE_ROWS_MAX);
    if (!RI_GROW(&to->separators, &to->separators_cap, to->n + 1U) || !RI_GROW(&to->refs, &to->refs_cap, to->n + 1U) ||
        !RI_GROW(&to->counts, &to->counts_cap, to->n + 1U)) {
        return ri_fail_nomem(err);
    }
    ri_datom *copy = &to->separators[to->n];
    *copy = *separator;
    if (!ri_value_copy(&to->bytes, &separator->v, &copy->v)) {
        return ri_fail_nomem(err);
    }
    to->refs[to->n] = *ref;
    to->counts[to->n] = count;
    to->last_is_old = old;
    to->n++;
    return RILLE_OK;
}

/* Writes chunker->bytes as a node. */
static int write_node(ri_chunker *chunker, unsigned level, const ri_noderef *children, size_t child_count,
                      ri_noderef *out, rille_err *err)
{
    const ri_buf *bytes = &chunker->bytes;
    if (chunker->writer == NULL) {
        *out = (ri_noderef){ 0 };
        ri_blake2b(out->addr, bytes->p, bytes->len);
        return RILLE_OK;
    }
    return ri_writer_put_node(chunker->writer, level, bytes->p, bytes->len, children, child_count, out, err);
}

/* The open leaf becomes an item of level 1, and is empty. */
static int flush_leaf(ri_chunker *chunker, rille_err *err)
{
    ri_noderef ref = chunker->origin.ref;
    bool old = chunker->origin.count == chunker->n;
    if (!old) {
        ri_buf_clear(&chunker->bytes);
        RI_TRY(ri_node_encode(chunker->encoder, chunker->order, 0, chunker->rows, chunker->n, NULL, NULL,
                              &chunker->bytes, err));
        RI_TRY(write_node(chunker, 0, NULL, 0, &ref, err));
    }
    RI_TRY(ri_chunker_put(chunker, 1, &chunker->separator, &ref, chunker->n, old, err));
    chunker->n = 0;
    chunker->key_bytes = 0;
    chunker->origin.count = 0;
    memset(chunker->texts, 0, sizeof chunker->texts);
    return RILLE_OK;
}

static bool is_origin(const ri_level *level)
{
    return level->origin.count == level->n &&
           memcmp(level->refs[level->n - 1].addr, level->origin.last, RI_HASH_SIZE) == 0;
}

static int encode_level(ri_chunker *chunker, unsigned number, ri_noderef *out, rille_err *err)
{
    ri_level *level = &chunker->levels[number];
    if (!RI_GROW(&chunker->addrs, &chunker->addrs_cap, (size_t)level->n * RI_HASH_SIZE)) {
        return ri_fail_nomem(err);
    }
    for (uint32_t i = 0; i < level->n; i++) {
        memcpy(chunker->addrs + (size_t)i * RI_HASH_SIZE, level->refs[i].addr, RI_HASH_SIZE);
    }
    ri_buf_clear(&chunker->bytes);
    RI_TRY(ri_node_encode(chunker->encoder, chunker->order, number, level->separators, level->n, level->counts,
                          chunker->addrs, &chunker->bytes, err));
    return write_node(chunker, number, level->refs, level->n, out, err);
}

/* The open branch of a level becomes an item of the next, and is empty. */
static int flush_level(ri_chunker *chunker, unsigned number, rille_err *err)
{
    ri_level *level = &chunker->levels[number];
    ri_noderef ref = level->origin.ref;
    bool old = is_origin(level);
    if (!old) {
        RI_TRY(encode_level(chunker, number, &ref, err));
    }
    uint64_t count = 0;
    for (uint32_t i = 0; i < level->n; i++) {
        count += level->counts[i];
    }
    RI_TRY(ri_chunker_put(chunker, number + 1, &level->separators[0], &ref, count, old, err));
    level->n = 0;
    level->origin.count = 0;
    ri_arena_reset(&level->bytes);
    return RILLE_OK;
}

int ri_chunker_begin(ri_chunker *chunker, const ri_datom *separator, rille_err *err)
{
    RI_ASSERT(chunker->n == 0);
    for (unsigned i = 1; i <= RI_TREE_HEIGHT_MAX; i++) {
        uint32_t n = chunker->levels[i].n;
        if (n == 0) {
            continue; /* K2: closed already */
        }
        if (!ri_branch_closes(&chunker->limits, chunker->order, n, separator)) {
            break;
        }
        RI_TRY(flush_level(chunker, i, err));
    }
    ri_arena_reset(&chunker->separator_bytes);
    chunker->separator = *separator;
    return ri_value_copy(&chunker->separator_bytes, &separator->v, &chunker->separator.v) ? RILLE_OK
                                                                                          : ri_fail_nomem(err);
}

int ri_chunker_close_leaf(ri_chunker *chunker, const ri_datom *separator, rille_err *err)
{
    RI_TRY(flush_leaf(chunker, err));
    return ri_chunker_begin(chunker, separator, err);
}

/* ---- rows ---- */

static uint64_t hash_text(ri_chunker *chunker, const ri_value *v)
{
    uintptr_t bits = (uintptr_t)v->as.p;
    ri_hashed_text *text = &chunker->texts[(bits >> 3 ^ bits >> 8) & (RI_CHUNK_TEXTS - 1U)];
    if (text->p != v->as.p || text->len != v->len || v->len == 0) {
        *text = (ri_hashed_text){ v->as.p, v->len, ri_hash_of_v(v) };
    }
    return text->hash;
}

/* Does the open leaf, which is long enough, close before d by its hash? */
static inline bool row_closes(ri_chunker *chunker, ri_order order, const ri_datom *d)
{
    uint64_t v_hash = ri_type_is_word(d->v.type) ? ri_hash_of_v(&d->v) : hash_text(chunker, &d->v);
    uint64_t hash = ri_hash_of_parts(order, d, ri_hash_of_e(d->e), v_hash);
    return hash >> 32 < (uint64_t)(chunker->n - chunker->limits.leaf_min + 1) * chunker->limits.leaf_slope;
}

static inline bool leaf_closes(ri_chunker *chunker, ri_order order, const ri_datom *d)
{
    uint32_t n = chunker->n;
    const ri_limits *limits = &chunker->limits;
    return n >= limits->leaf_max || chunker->key_bytes > limits->leaf_bytes_max ||
           (n >= limits->leaf_min && row_closes(chunker, order, d));
}

static int close_before(ri_chunker *chunker, const ri_datom *d, rille_err *err)
{
    ri_datom separator = ri_separator(chunker->order, &chunker->rows[chunker->n - 1], d);
    return ri_chunker_close_leaf(chunker, &separator, err);
}

int ri_chunker_add(ri_chunker *chunker, const ri_datom *d, bool *closed, rille_err *err)
{
    bool closes = chunker->n > 0 && leaf_closes(chunker, chunker->order, d);
    if (closes) {
        RI_TRY(close_before(chunker, d, err));
    }
    if (closed != NULL) {
        *closed = closes;
    }
    ri_chunker_push(chunker, d);
    return RILLE_OK;
}

int ri_changes_out_of_order(ri_order order, rille_err *err)
{
    return ri_fail(err, RILLE_INTERNAL, "changes of the tree %s are out of order", ri_order_name(order));
}

/* As far as the open leaf goes. *closes: it closes before the change at the end; else there are no more. */
static inline size_t push_changes(ri_chunker *chunker, ri_order order, const ri_change *changes, size_t count,
                                  bool *closes, bool *falls)
{
    enum { AHEAD = 8 }; /* datoms may lie anywhere in memory */
    size_t i = 0;
    *falls = *closes = false;
    for (; i < count; i++) {
        const ri_datom *d = ri_change_datom(changes[i]);
        ri_prefetch_datom(ri_change_datom(changes[i + AHEAD < count ? i + AHEAD : i]));
        if (!ri_change_puts(changes[i])) {
            continue;
        }
        if (chunker->n > 0) {
            *falls = !ri_datom_is_above(order, &chunker->rows[chunker->n - 1], d);
            *closes = !*falls && leaf_closes(chunker, order, d);
            if (*falls || *closes) {
                break;
            }
        }
        ri_chunker_push(chunker, d);
    }
    return i;
}

/* The same by an order that the compiler knows. */
static size_t push_in_order(ri_chunker *chunker, const ri_change *changes, size_t count, bool *closes, bool *falls)
{
    switch (chunker->order) {
    case RI_EAVT:
        return push_changes(chunker, RI_EAVT, changes, count, closes, falls);
    case RI_AEVT:
        return push_changes(chunker, RI_AEVT, changes, count, closes, falls);
    case RI_AVET:
        return push_changes(chunker, RI_AVET, changes, count, closes, falls);
    case RI_LOG:
        return push_changes(chunker, RI_LOG, changes, count, closes, falls);
    case RI_VAET:
    case RI_RET:
    case RI_META:
    case RI_ORDER_COUNT:
        break;
    }
    return push_changes(chunker, chunker->order, changes, count, closes, falls);
}

int ri_chunker_add_changes(ri_chunker *chunker, const ri_change *changes, size_t count, size_t *added, bool *closed,
                           rille_err *err)
{
    bool falls;
    size_t i = push_in_order(chunker, changes, count, closed, &falls);
    *added = 0;
    if (falls) {
        return ri_changes_out_of_order(chunker->order, err);
    }
    if (*closed) {
        const ri_datom *d = ri_change_datom(changes[i++]);
        RI_TRY(close_before(chunker, d, err));
        ri_chunker_push(chunker, d);
    }
    *added = i;
    return RILLE_OK;
}

static bool empty_above(const ri_chunker *chunker, unsigned number)
{
    for (unsigned i = number + 1; i < RI_TREE_HEIGHT_MAX + 2; i++) {
        if (chunker->levels[i].n > 0) {
            return false;
        }
    }
    return true;
}

int ri_chunker_finish(ri_chunker *chunker, ri_tree *out, bool *root_is_old, rille_err *err)
{
    *out = (ri_tree){ .order = (uint8_t)chunker->order };
    *root_is_old = false;
    if (chunker->n > 0) {
        RI_TRY(flush_leaf(chunker, err));
    }
    for (unsigned i = 1; i <= RI_TREE_HEIGHT_MAX; i++) {
        ri_level *level = &chunker->levels[i];
        bool top = empty_above(chunker, i);
        if (level->n == 1 && top) {
            out->root = level->refs[0];
            out->count = level->counts[0];
            out->height = (uint8_t)i;
            *root_is_old = level->last_is_old;
            return RILLE_OK;
        }
        if (level->n > 0) {
            RI_TRY(flush_level(chunker, i, err));
        } else if (top) {
            break; /* nothing at all */
        }
    }
    return RILLE_OK;
}
