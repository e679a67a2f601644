/* SPDX-License-Identifier: MIT
 *
 * Decoding of nodes: every check of N1-N7 on bytes that anybody may have written, once; afterwards all accesses
 * are safe without checks. Layout: node_format.h.
 *
 * A decoded node is its bytes and one block with the ri_node, its groups and nested columns; leaves with interleaved
 * groups have a block of ranks, branches one of children and counts.
 *
 * Cost of opening: O(groups + bytes of dictionaries), 1-3 ns a row for their order (node_order.c), and about 2 ns more
 * where groups interleave.
 */
#include "node.h"

#include "node_format.h"

#define PARTS_GUESSED 6U /* nested columns for which there is room in the node's block; more come from the heap */
#define DOUBLE_KEY_MIN UINT64_C(0x000fffffffffffff) /* -inf */
#define DOUBLE_KEY_MINUS_ZERO UINT64_C(0x7fffffffffffffff)
#define DOUBLE_KEY_MAX UINT64_C(0xfff0000000000000) /* +inf */

static void destroy_node(ri_object *object)
{
    ri_node *node = (ri_node *)(void *)object;
    ri_weak_forget(object);
    for (uint32_t i = 0; node->places != NULL && i < node->count; i++) {
        ri_weak_clear(&node->places[i]);
    }
    ri_arena_deinit(&node->arena);
    ri_free(node->ranks);
    ri_free(node->children);
    if (!node->borrowed) {
        ri_free(node->bytes);
    }
    ri_free(node);
}

/* Of an input that becomes no node. */
static void free_bytes(const ri_decode_input *input)
{
    if (!input->borrowed) {
        ri_free(input->bytes);
    }
}

/* Why opening a column or a dictionary failed. */
static inline int open_failure(const ri_reader *in)
{
    return in->bad ? RILLE_CORRUPT : RILLE_NOMEM;
}

/* ---- groups ---- */

/* Are groups runs of rows, in order? Then sets their starts. Looks only at the shape of the group column. */
static bool groups_are_runs(ri_node *node)
{
    const ri_col *col = &node->col[RI_COLUMN_G];
    const ri_col *values = col->parts;
    if (col->mode != RI_COL_RLE || values[0].count != node->group_count) {
        return false;
    }
    uint32_t start = 0;
    for (uint32_t i = 0; i < node->group_count; i++) {
        uint64_t end = i + 1 < node->group_count ? ri_col_get(&values[1], i) : node->count;
        if (ri_col_get(&values[0], i) != i || end != start + node->groups[i].count) {
            return false;
        }
        node->groups[i].start = start;
        start = (uint32_t)end;
    }
    return true;
}

/* Counts rows of groups one by one; false when they differ from the directory (N3). */
static bool rank_rows(ri_node *node, bool *in_order)
{
    uint64_t block[RI_COL_CHUNK];
    uint64_t last = 0;
    *in_order = true;
    for (uint32_t i = 0; i < node->count; i += RI_COL_CHUNK) {
        uint32_t n = node->count - i < RI_COL_CHUNK ? node->count - i : RI_COL_CHUNK;
        ri_col_unpack(&node->col[RI_COLUMN_G], i, i + n, block);
        for (uint32_t k = 0; k < n; k++) {
            uint64_t g = block[k];
            if (g >= node->group_count) {
                return false;
            }
            *in_order = *in_order && g >= last;
            last = g;
            node->ranks[i + k] = (uint16_t)node->groups[g].start++; /* start counts for now */
        }
    }
    for (uint32_t i = 0; i < node->group_count; i++) {
        if (node->groups[i].start != node->groups[i].count) {
            return false;
        }
    }
    return true;
}

static int place_groups(ri_node *node, const char **what)
{
    *what = "rows of groups";
    if (node->group_count == 1) {
        return ri_col_all_within(&node->col[RI_COLUMN_G], 0, 0) ? RILLE_OK : RILLE_CORRUPT;
    }
    if (groups_are_runs(node)) {
        return RILLE_OK;
    }
    for (uint32_t i = 0; i < node->group_count; i++) {
        node->groups[i].start = 0;
    }
    node->ranks = ri_alloc_array(node->count, sizeof *node->ranks);
    if (node->ranks == NULL) {
        return RILLE_NOMEM;
    }
    bool in_order;
    if (!rank_rows(node, &in_order)) {
        return RILLE_CORRUPT;
    }
    uint32_t start = 0;
    for (uint32_t i = 0; i < node->group_count; i++) {
        node->groups[i].start = start;
        start += node->groups[i].count;
    }
    if (in_order) {
        ri_free(node->ranks);
        node->ranks = NULL;
    } else {
        node->object.mem_bytes += node->count * sizeof *node->ranks;
    }
    return RILLE_OK;
}

static bool read_directory(ri_node *node, ri_reader *in)
{
    uint64_t a = 0;
    uint64_t rows = 0;
    for (uint32_t i = 0; i < node->group_count; i++) {
        ri_group *group = &node->groups[i];
        uint64_t more = ri_read_varint_max(in, UINT32_MAX - a);
        unsigned type = ri_read_u8(in);
        uint64_t count = ri_read_varint_max(in, node->count);
        if (in->bad || count == 0 || type >= RI_TYPE_COUNT || (node->order == RI_VAET && type != RI_REF) ||
            (i > 0 && more == 0 && type <= group[-1].type)) {
            return false;
        }
        a += more;
        rows += count;
        node->attrs[i] = (uint32_t)a;
        *group = (ri_group){ .a = (uint32_t)a, .type = (uint8_t)type, .count = (uint32_t)count };
    }
    return rows == node->count;
}

/* ---- values ---- */

static bool doubles_valid(const ri_col *col)
{
    if (ri_col_all_within(col, DOUBLE_KEY_MINUS_ZERO + 1, DOUBLE_KEY_MAX)) {
        return true;
    }
    for (uint32_t i = 0; i < col->count; i++) {
        uint64_t key = ri_col_get(col, i);
        if (key < DOUBLE_KEY_MIN || key > DOUBLE_KEY_MAX || key == DOUBLE_KEY_MINUS_ZERO) {
            return false;
        }
    }
    return true;
}

static bool words_valid(const ri_group *group)
{
    switch ((ri_type)group->type) {
    case RI_BOOL:
        return ri_col_all_within(&group->values, 0, 1);
    case RI_REF:
        return ri_col_all_within(&group->values, 0, RI_EID_MAX);
    case RI_DOUBLE:
        return doubles_valid(&group->values);
    case RI_NIL:
    case RI_LONG:
    case RI_INSTANT:
    case RI_BIGINT:
    case RI_BIGDEC:
    case RI_UUID:
    case RI_KEYWORD:
    case RI_SYMBOL:
    case RI_STRING:
    case RI_STRING_BLOB:
    case RI_BYTES:
    case RI_BYTES_BLOB:
    case RI_TUPLE:
    case RI_FLOATS:
    case RI_TYPE_COUNT:
        break;
    }
    return true;
}

/* Ends of DELTA or RLE would make each access to an entry slow: such a column is unpacked to 32 bits an entry. */
static bool flatten_ends(ri_dict *dict, ri_arena *arena)
{
    if (dict->ends.mode <= RI_COL_FOR) {
        return true;
    }
    uint8_t *bits = ri_arena_alloc(arena, (size_t)dict->count * 4 + 8);
    if (bits == NULL) {
        return false;
    }
    uint64_t block[RI_COL_CHUNK];
    for (uint32_t i = 0; i < dict->count; i += RI_COL_CHUNK) {
        uint32_t n = dict->count - i < RI_COL_CHUNK ? dict->count - i : RI_COL_CHUNK;
        ri_col_unpack(&dict->ends, i, i + n, block);
        for (uint32_t k = 0; k < n; k++) {
            ri_store_u32(bits + (size_t)(i + k) * 4, (uint32_t)block[k]);
        }
    }
    memset(bits + (size_t)dict->count * 4, 0, 8);
    dict->ends = (ri_col){ .bits = bits, .step = UINT32_MAX, .count = dict->count, .mode = RI_COL_FOR, .width = 32 };
    return true;
}

/* Ends nondecreasing, the last one inside the bytes that follow. */
static bool read_dict_bytes(ri_dict *dict, ri_reader *in)
{
    uint64_t block[RI_COL_CHUNK];
    uint64_t last = 0;
    for (uint32_t i = 0; i < dict->count; i += RI_COL_CHUNK) {
        uint32_t n = dict->count - i < RI_COL_CHUNK ? dict->count - i : RI_COL_CHUNK;
        ri_col_unpack(&dict->ends, i, i + n, block);
        for (uint32_t k = 0; k < n; k++) {
            if (block[k] < last) {
                return false;
            }
            last = block[k];
        }
    }
    if (last > ri_reader_left(in)) {
        return false;
    }
    dict->bytes = ri_read_bytes(in, (size_t)last);
    return true;
}

static bool entries_valid(const ri_group *group)
{
    const ri_dict *dict = &group->dict;
    if (group->type == RI_BYTES) {
        return true;
    }
    if (group->type == RI_STRING) { /* valid as a whole, and cut between characters */
        uint32_t end = (uint32_t)ri_col_get(&dict->ends, dict->count - 1);
        if (!ri_utf8_valid(dict->bytes, end)) {
            return false;
        }
        for (uint32_t i = 0; i + 1 < dict->count; i++) {
            uint64_t cut = ri_col_get(&dict->ends, i);
            if (cut < end && (dict->bytes[cut] & 0xc0U) == 0x80U) {
                return false;
            }
        }
        return true;
    }
    for (uint32_t i = 0; i < dict->count; i++) {
        ri_value v = ri_dict_get(group, i);
        if (!ri_value_valid(&v)) {
            return false;
        }
    }
    return true;
}

/* Sorted entries begin with what the first and the last one have in common. */
static uint32_t shared_len(const ri_group *group)
{
    ri_value first = ri_dict_get(group, 0);
    ri_value last = ri_dict_get(group, group->dict.count - 1);
    uint32_t max = first.len < last.len ? first.len : last.len;
    uint32_t len = 0;
    while (len < max && first.as.p[len] == last.as.p[len]) {
        len++;
    }
    return len;
}

/* By them a search finds its part of the dictionary in a few lines of memory beside the node. */
static bool make_samples(ri_dict *dict, ri_arena *arena)
{
    uint32_t n = dict->count / RI_DICT_SAMPLE;
    if (n < 2) {
        return true;
    }
    dict->samples = ri_arena_array(arena, n, sizeof *dict->samples);
    for (uint32_t i = 0; dict->samples != NULL && i < n; i++) {
        uint32_t len;
        const uint8_t *rest = ri_dict_rest(dict, (i + 1) * RI_DICT_SAMPLE - 1, &len);
        dict->samples[i] = ri_head_of(rest, len);
    }
    return dict->samples != NULL;
}

static int read_dict(ri_node *node, ri_group *group, ri_reader *in)
{
    ri_dict *dict = &group->dict;
    dict->count = (uint32_t)ri_read_varint_max(in, group->count);
    if (in->bad || dict->count == 0) {
        return RILLE_CORRUPT;
    }
    if (!ri_col_open(in, dict->count, &node->arena, &dict->ends)) {
        return open_failure(in);
    }
    if (!read_dict_bytes(dict, in) || !ri_col_all_within(&group->values, 0, dict->count - 1)) {
        return RILLE_CORRUPT;
    }
    if (!flatten_ends(dict, &node->arena)) {
        return RILLE_NOMEM;
    }
    if (ri_type_is_bytewise(group->type)) {
        dict->shared = shared_len(group);
        dict->lead = ri_head_of(dict->bytes, dict->shared);
        if (!make_samples(dict, &node->arena)) {
            return RILLE_NOMEM;
        }
    }
    return entries_valid(group) ? RILLE_OK : RILLE_CORRUPT;
}

static int read_values(ri_node *node, ri_reader *in, const char **what)
{
    for (uint32_t i = 0; i < node->group_count; i++) {
        ri_group *group = &node->groups[i];
        if (!ri_group_has_values(node->order, group->type)) {
            continue;
        }
        *what = "a column of values";
        if (!ri_col_open(in, group->count, &node->arena, &group->values)) {
            return open_failure(in);
        }
        if (!words_valid(group)) {
            return RILLE_CORRUPT;
        }
        if (!ri_type_is_word(group->type)) {
            *what = "a dictionary";
            RI_TRY(read_dict(node, group, in));
        }
    }
    return RILLE_OK;
}

/* ---- branches ---- */

static int read_children(ri_node *node, ri_reader *in, const ri_decode_input *input, const char **what)
{
    ri_col counts;
    *what = "children";
    if (!ri_col_open(in, node->count, &node->arena, &counts)) {
        return open_failure(in);
    }
    const uint8_t *addrs = ri_read_bytes(in, (size_t)node->count * RI_HASH_SIZE);
    if (addrs == NULL || !ri_col_all_within(&counts, 1, RI_EID_MAX)) {
        return RILLE_CORRUPT;
    }
    size_t a_child = sizeof *node->children + sizeof *node->keys + sizeof *node->counts + sizeof *node->places;
    size_t bytes = node->count * a_child + sizeof *node->counts;
    node->children = ri_alloc_zero(bytes);
    if (node->children == NULL) {
        return RILLE_NOMEM;
    }
    node->object.mem_bytes += bytes;
    node->keys = (uint64_t *)(void *)(node->children + node->count);
    node->counts = node->keys + node->count;
    node->places = (ri_weak *)(void *)(node->counts + node->count + 1);
    ri_col_unpack(&counts, 0, node->count, node->counts + 1);
    for (uint32_t i = 0; i < node->count; i++) {
        memcpy(node->children[i].addr, addrs + (size_t)i * RI_HASH_SIZE, RI_HASH_SIZE);
        node->counts[i + 1] += node->counts[i]; /* 4096 * 2^53 fits */
    }
    return ri_locators_read(input->locators, input->locators_len, input->self, node->count, node->children);
}

/* ---- the whole ---- */

static int read_columns(ri_node *node, ri_reader *in)
{
    for (unsigned column = 0; column < RI_COLUMN_COUNT; column++) {
        if (!ri_order_has_column(node->order, column)) {
            continue;
        }
        uint64_t max = column == RI_COLUMN_G ? UINT64_MAX : column == RI_COLUMN_OP ? 1 : RI_EID_MAX;
        if (!ri_col_open(in, node->count, &node->arena, &node->col[column])) {
            return open_failure(in);
        }
        if (column != RI_COLUMN_G && !ri_col_all_within(&node->col[column], 0, max)) {
            return RILLE_CORRUPT;
        }
    }
    return RILLE_OK;
}

static int read_node(ri_node *node, ri_reader *in, const ri_decode_input *input, bool placed, const char **what)
{
    *what = "its columns";
    RI_TRY(read_columns(node, in));
    *what = "the directory of groups";
    node->attrs = ri_arena_array(&node->arena, node->group_count, sizeof *node->attrs);
    node->groups = ri_arena_array(&node->arena, node->group_count, sizeof *node->groups);
    if (node->attrs == NULL || node->groups == NULL) {
        return RILLE_NOMEM;
    }
    if (!read_directory(node, in)) {
        return RILLE_CORRUPT;
    }
    if (placed) {
        RI_TRY(place_groups(node, what));
    }
    RI_TRY(read_values(node, in, what));
    if (node->level > 0) {
        RI_TRY(read_children(node, in, input, what));
    }
    *what = "its end";
    if (in->bad || in->p != in->end) {
        return RILLE_CORRUPT;
    }
    *what = "the order of dictionaries";
    if (!ri_node_dicts_sorted(node)) {
        return RILLE_CORRUPT;
    }
    *what = "the order of rows";
    if (placed && !ri_node_rows_sorted(node)) {
        return RILLE_CORRUPT;
    }
    if (node->level > 0) {
        ri_node_make_keys(node);
    }
    return RILLE_OK;
}

static int corrupt(const ri_decode_input *input, const char *what, rille_err *err)
{
    char addr[2 * RI_HASH_SIZE + 1] = "without address";
    if (input->self != NULL) {
        ri_hex(addr, input->self->addr, RI_HASH_SIZE);
    }
    free_bytes(input);
    return ri_fail(err, RILLE_CORRUPT,
                   "node %s is corrupt: %s of its %zu bytes cannot be decoded: restore it from a backup", addr, what,
                   input->len);
}

/* The block of a node, with room for what most nodes need. */
static ri_node *new_node(uint32_t count, uint32_t group_count)
{
    size_t extra = group_count * (sizeof(ri_group) + sizeof(ri_col) + sizeof(uint32_t)) +
                   PARTS_GUESSED * sizeof(ri_col) + count / RI_DICT_SAMPLE * sizeof(uint64_t);
    ri_node *node = ri_alloc(sizeof *node + extra);
    if (node != NULL) {
        *node = (ri_node){ .group_count = group_count };
        ri_refs_init(&node->object.refs);
        node->object.destroy = destroy_node;
        node->object.mem_bytes = sizeof *node + extra;
        node->arena.next = (uint8_t *)(node + 1);
        node->arena.end = node->arena.next + extra;
    }
    return node;
}

int ri_node_open(const ri_decode_input *input, bool placed, ri_node **out, rille_err *err)
{
    *out = NULL;
    ri_reader in = ri_reader_of(input->bytes, input->len);
    unsigned magic = ri_read_u8(&in);
    unsigned order = ri_read_u8(&in);
    unsigned level = ri_read_u8(&in);
    uint32_t count = (uint32_t)ri_read_varint_max(&in, RI_NODE_ROWS_MAX);
    uint32_t group_count = (uint32_t)ri_read_varint_max(&in, count);
    if (!in.bad && (magic ^ RI_NODE_MAGIC) < 16 && magic != RI_NODE_MAGIC) {
        free_bytes(input);
        return ri_fail(
            err, RILLE_FORMAT,
            "a node has format version %u, but this version of rille supports %u: use a newer version of rille",
            magic % 16, RI_NODE_MAGIC % 16);
    }
    if (in.bad || magic != RI_NODE_MAGIC || order >= RI_ORDER_COUNT || level > RI_TREE_HEIGHT_MAX || group_count == 0) {
        return corrupt(input, "the head", err);
    }
    ri_node *node = new_node(count, group_count);
    if (node == NULL) {
        free_bytes(input);
        return ri_fail_nomem(err);
    }
    node->bytes = input->bytes;
    node->borrowed = input->borrowed;
    node->len = input->len;
    node->count = count;
    node->order = (uint8_t)order;
    node->level = (uint8_t)level;
    const char *what = "";
    int rc = read_node(node, &in, input, placed, &what);
    node->object.mem_bytes += input->len + RI_NODE_PADDING + node->arena.total_bytes;
    if (rc == RILLE_OK) {
        *out = node;
        return RILLE_OK;
    }
    node->bytes = NULL;
    ri_node_release(node);
    if (rc == RILLE_CORRUPT) {
        return corrupt(input, what, err);
    }
    free_bytes(input);
    return ri_fail_nomem(err);
}

int ri_node_decode(const ri_decode_input *input, ri_object **out, rille_err *err)
{
    ri_node *node;
    int rc = ri_node_open(input, true, &node, err);
    *out = rc == RILLE_OK ? &node->object : NULL;
    return rc;
}
