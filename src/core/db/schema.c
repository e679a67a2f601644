/* SPDX-License-Identifier: MIT
 *
 * The digest of the schema: attributes by id and by ident, idents by name, and what schema datoms change in it.
 *
 * A schema never changes after it was made; applying datoms makes a new one. Retracting an ident leaves its name in the
 * table with entity 0 until the next copy.
 *
 * Bytes (ri_schema_write), only of what is not the engine's own, so that a newer engine can have more of its own:
 *
 *   u8      1 = read-flexible
 *   varint  number of attributes, then each, ids increasing:
 *             varint id | varint length, ident | u8 type | u8 unique | u8 bits: 1 many, 2 index, 4 component,
 *             8 no history
 *   varint  number of other idents, then each, idents strictly increasing by their bytes:
 *             varint entity | varint length, ident
 *
 * Invariants: (N1) attrs is strictly increasing by id, the engine's own first; (N2) every attribute's ident is in
 * `idents` with its id; (N3) an attribute has an id below RI_EID_USER, and a type unless the schema is read-flexible.
 *
 * Cost: look-up by ident one hash probe; by id O(1) while ids are dense, else a binary search; applying O(schema).
 */
#include "schema.h"

#include "../data/suggest.h"
#include "schema_own.h"

/* ---- life ---- */

ri_schema *ri_schema_retain(ri_schema *schema)
{
    if (schema != NULL) {
        ri_refs_take(&schema->refs);
    }
    return schema;
}

void ri_schema_release(ri_schema *schema)
{
    if (schema == NULL || !ri_refs_drop(&schema->refs)) {
        return;
    }
    ri_bytemap_deinit(&schema->by_ident);
    ri_bytemap_deinit(&schema->idents);
    ri_arena_deinit(&schema->arena);
    ri_free(schema->attrs);
    ri_free(schema);
}

/* Text that lives as long as the schema. */
static const char *keep_text(ri_schema *schema, const char *text, size_t len)
{
    return ri_arena_text(&schema->arena, text, len);
}

/* The place of the entity of an ident; `ident` must already live as long as the schema. NULL: out of memory. */
static uint64_t *ident_place(ri_schema *schema, const char *ident, size_t len)
{
    bool added;
    ri_bytemap_slot *slot = ri_bytemap_put(&schema->idents, ident, len, &added);
    return slot == NULL ? NULL : &slot->value;
}

static bool in_avet(const ri_attr *attr)
{
    return ri_attr_is_indexed(attr) || (attr->type != RI_NIL && attr->type != RI_REF && ri_type_is_word(attr->type));
}

/* Room for `count` attributes; by_ident is filled by ri_schema_derive. */
static ri_schema *schema_alloc(bool read_flexible, size_t count)
{
    ri_schema *schema = ri_alloc_zero(sizeof *schema);
    if (schema == NULL) {
        return NULL;
    }
    ri_refs_init(&schema->refs);
    schema->read_flexible = read_flexible;
    schema->attrs = ri_alloc_array(count, sizeof *schema->attrs);
    if (schema->attrs == NULL) {
        ri_schema_release(schema);
        return NULL;
    }
    return schema;
}

bool ri_schema_derive(ri_schema *schema)
{
    for (size_t i = 0; i < schema->attr_count; i++) {
        ri_attr *attr = &schema->attrs[i];
        bool added;
        ri_bytemap_slot *slot = ri_bytemap_put(&schema->by_ident, attr->ident, attr->ident_len, &added);
        if (slot == NULL) {
            return false;
        }
        slot->value = i;
        attr->avet = in_avet(attr);
    }
    return true;
}

static bool add_own(ri_schema *schema)
{
    for (size_t i = 0; i < RI_OWN_IDENT_COUNT; i++) {
        uint64_t *e = ident_place(schema, ri_own_idents[i].text, strlen(ri_own_idents[i].text));
        if (e == NULL) {
            return false;
        }
        *e = ri_own_idents[i].id;
    }
    for (size_t i = 0; i < RI_OWN_ATTR_COUNT; i++) {
        const ri_own_attr *own = &ri_own_attrs[i];
        const char *ident = ri_own_ident(own->id);
        schema->attrs[schema->attr_count++] = (ri_attr){ .ident = ident,
                                                         .id = own->id,
                                                         .ident_len = (uint32_t)strlen(ident),
                                                         .type = own->type,
                                                         .unique = own->unique,
                                                         .index = own->index };
    }
    return true;
}

int ri_schema_bootstrap(bool read_flexible, ri_schema **out, rille_err *err)
{
    *out = NULL;
    ri_schema *schema = schema_alloc(read_flexible, RI_OWN_ATTR_COUNT);
    if (schema == NULL) {
        return ri_fail_nomem(err);
    }
    if (!add_own(schema) || !ri_schema_derive(schema)) {
        ri_schema_release(schema);
        return ri_fail_nomem(err);
    }
    *out = schema;
    return RILLE_OK;
}

/* ---- look-ups ---- */

const ri_attr *ri_schema_attr(const ri_schema *schema, const char *ident, size_t len)
{
    const uint64_t *index = ri_bytemap_get(&schema->by_ident, ident, len);
    return index == NULL ? NULL : &schema->attrs[*index];
}

size_t ri_schema_attr_lower(const ri_schema *schema, uint64_t id)
{
    size_t low = 0;
    size_t high = schema->attr_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (schema->attrs[mid].id < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

const ri_attr *ri_schema_attr_by_id(const ri_schema *schema, uint64_t id)
{
    /* where it is as long as no attribute was ever removed */
    uint64_t guess = id < RI_EID_ATTR ? id - 1 : id - RI_EID_ATTR + RI_OWN_ATTR_COUNT;
    if (guess < schema->attr_count && schema->attrs[guess].id == id) {
        return &schema->attrs[guess];
    }
    size_t i = ri_schema_attr_lower(schema, id);
    return i < schema->attr_count && schema->attrs[i].id == id ? &schema->attrs[i] : NULL;
}

uint64_t ri_schema_ident(const ri_schema *schema, const char *ident, size_t len)
{
    const uint64_t *e = ri_bytemap_get(&schema->idents, ident, len);
    return e == NULL ? 0 : *e;
}

const char *ri_schema_ident_of(const ri_schema *schema, uint64_t e)
{
    const ri_attr *attr = ri_schema_attr_by_id(schema, e);
    if (attr != NULL) {
        return attr->ident;
    }
    for (size_t i = 0; e != 0 && i < schema->idents.cap; i++) {
        const ri_bytemap_slot *slot = &schema->idents.slots[i];
        if (slot->key != NULL && slot->value == e) {
            return (const char *)slot->key;
        }
    }
    return NULL;
}

bool ri_attr_in_order(const ri_attr *attr, ri_order order)
{
    switch (order) {
    case RI_EAVT:
    case RI_AEVT:
        return true;
    case RI_AVET:
        return attr->avet;
    case RI_VAET:
        return attr->type == RI_REF;
    case RI_LOG:
    case RI_RET:
    case RI_META:
    case RI_ORDER_COUNT:
        break;
    }
    return false;
}

bool ri_schema_in_order(const ri_schema *schema, uint32_t a, ri_order order)
{
    if (order <= RI_AEVT) {
        return true;
    }
    const ri_attr *attr = ri_schema_attr_by_id(schema, a);
    return attr != NULL && ri_attr_in_order(attr, order);
}

/* ---- did you mean ---- */

static size_t name_start(const char *ident, size_t len)
{
    const char *slash = len == 0 ? NULL : memchr(ident, '/', len);
    return slash == NULL ? 0 : (size_t)(slash - ident) + 1;
}

/* A name alone is as good as a nearly right one: the namespace is what was forgotten, or is another. */
static void offer_attr(ri_suggest *suggest, const ri_attr *attr)
{
    size_t name = name_start(suggest->name, suggest->len);
    size_t other = name_start(attr->ident, attr->ident_len);
    size_t len = suggest->len - name;
    ri_suggest_offer(suggest, attr->ident, attr->ident_len);
    if (len > 0 && len == attr->ident_len - other && memcmp(suggest->name + name, attr->ident + other, len) == 0) {
        ri_suggest_offer_as(suggest, attr->ident, attr->ident_len, RI_EDIT_DISTANCE_MAX);
    }
}

int ri_schema_unknown(const ri_schema *schema, const char *source, const char *ident, size_t len, rille_err *err)
{
    char hint[RI_SUGGESTION_SIZE];
    ri_suggest suggest = ri_suggest_for(ident, len);
    for (size_t i = 0; i < schema->attr_count; i++) {
        offer_attr(&suggest, &schema->attrs[i]);
    }
    int shown = len > RI_EDIT_LEN_MAX ? (int)RI_EDIT_LEN_MAX : (int)len;
    return ri_fail(err, RILLE_ATTRIBUTE, "attribute :%.*s is not in the schema%s%s%s", shown, ident,
                   source == NULL ? "" : " of ", source == NULL ? "" : source, ri_suggest_show(&suggest, ":", hint));
}

/* ---- bytes ---- */

enum { BIT_MANY = 1, BIT_INDEX = 2, BIT_COMPONENT = 4, BIT_NO_HISTORY = 8, BITS_ALL = 15 };

static void write_attr(ri_buf *out, const ri_attr *attr)
{
    ri_buf_put_varint(out, attr->id);
    ri_buf_put_block(out, attr->ident, attr->ident_len);
    ri_buf_put_u8(out, attr->type);
    ri_buf_put_u8(out, attr->unique);
    ri_buf_put_u8(out, (uint8_t)((attr->many ? BIT_MANY : 0) | (attr->index ? BIT_INDEX : 0) |
                                 (attr->component ? BIT_COMPONENT : 0) | (attr->no_history ? BIT_NO_HISTORY : 0)));
}

static int cmp_text(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    size_t shared = a_len < b_len ? a_len : b_len;
    int order = shared == 0 ? 0 : memcmp(a, b, shared);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static bool is_other_ident(const ri_schema *schema, const ri_bytemap_slot *slot)
{
    return slot->key != NULL && slot->value >= RI_EID_ATTR && ri_schema_attr_by_id(schema, slot->value) == NULL;
}

static void sift_down(const ri_bytemap_slot **heap, size_t i, size_t count)
{
    for (size_t child = 2 * i + 1; child < count; i = child, child = 2 * i + 1) {
        if (child + 1 < count &&
            cmp_text(heap[child]->key, heap[child]->len, heap[child + 1]->key, heap[child + 1]->len) < 0) {
            child++;
        }
        if (cmp_text(heap[i]->key, heap[i]->len, heap[child]->key, heap[child]->len) >= 0) {
            return;
        }
        const ri_bytemap_slot *swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
    }
}

/* Sorts by ident in place (heap sort: bounded, and this is rare). */
static void sort_slots(const ri_bytemap_slot **slots, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift_down(slots, i, count);
    }
    for (size_t end = count; end-- > 1;) {
        const ri_bytemap_slot *swap = slots[0];
        slots[0] = slots[end];
        slots[end] = swap;
        sift_down(slots, 0, end);
    }
}

static void write_other_idents(ri_buf *out, const ri_schema *schema)
{
    const ri_bytemap_slot **slots = ri_alloc_array(schema->idents.count + 1, sizeof *slots);
    if (slots == NULL) {
        out->failed = true;
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < schema->idents.cap; i++) {
        if (is_other_ident(schema, &schema->idents.slots[i])) {
            slots[count++] = &schema->idents.slots[i];
        }
    }
    sort_slots(slots, count);
    ri_buf_put_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        ri_buf_put_varint(out, slots[i]->value);
        ri_buf_put_block(out, slots[i]->key, slots[i]->len);
    }
    ri_free(slots);
}

void ri_schema_write(const ri_schema *schema, ri_buf *out)
{
    ri_buf_put_u8(out, schema->read_flexible ? 1 : 0);
    ri_buf_put_varint(out, schema->attr_count - RI_OWN_ATTR_COUNT);
    for (size_t i = RI_OWN_ATTR_COUNT; i < schema->attr_count; i++) {
        write_attr(out, &schema->attrs[i]);
    }
    write_other_idents(out, schema);
}

#define ATTR_BYTES_MIN 6U /* of an attribute: id, length, one byte of ident, type, unique, bits */
#define IDENT_BYTES_MIN 3U

/* Reads an ident and enters it for e. False: bad bytes (r->bad) or no memory (*nomem). */
static bool read_ident(ri_schema *schema, ri_reader *r, uint64_t e, const char **ident, uint32_t *len, bool *nomem)
{
    *len = (uint32_t)ri_read_varint_max(r, RI_VALUE_INLINE_MAX);
    const uint8_t *bytes = ri_read_bytes(r, *len);
    if (r->bad || !ri_name_valid(RI_KEYWORD, bytes, *len)) {
        r->bad = true;
        return false;
    }
    *ident = keep_text(schema, (const char *)bytes, *len);
    uint64_t *place = *ident == NULL ? NULL : ident_place(schema, *ident, *len);
    if (place == NULL) {
        *nomem = true;
        return false;
    }
    if (*place != 0) { /* twice, or one of the engine's own */
        r->bad = true;
        return false;
    }
    *place = e;
    return true;
}

static bool read_attr(ri_schema *schema, ri_reader *r, bool *nomem)
{
    ri_attr attr = { .id = (uint32_t)ri_read_varint_max(r, RI_EID_USER - 1) };
    uint32_t below = schema->attrs[schema->attr_count - 1].id;
    if (r->bad || attr.id < RI_EID_ATTR || attr.id <= below) {
        r->bad = true;
        return false;
    }
    if (!read_ident(schema, r, attr.id, &attr.ident, &attr.ident_len, nomem)) {
        return false;
    }
    attr.type = ri_read_u8(r);
    attr.unique = ri_read_u8(r);
    uint8_t bits = ri_read_u8(r);
    bool typed =
        attr.type != RI_NIL && attr.type < RI_TYPE_COUNT && attr.type != RI_STRING_BLOB && attr.type != RI_BYTES_BLOB;
    if (!(typed || (attr.type == RI_NIL && schema->read_flexible)) || attr.unique > RI_UNIQUE_IDENTITY ||
        bits > BITS_ALL || ((bits & BIT_COMPONENT) != 0 && attr.type != RI_REF)) {
        r->bad = true;
    }
    attr.many = (bits & BIT_MANY) != 0;
    attr.index = (bits & BIT_INDEX) != 0;
    attr.component = (bits & BIT_COMPONENT) != 0;
    attr.no_history = (bits & BIT_NO_HISTORY) != 0;
    schema->attrs[schema->attr_count++] = attr;
    return !r->bad;
}

static bool read_other_idents(ri_schema *schema, ri_reader *r, bool *nomem)
{
    uint64_t count = ri_read_varint_max(r, ri_reader_left(r) / IDENT_BYTES_MIN);
    const char *before = NULL;
    uint32_t before_len = 0;
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        uint64_t e = ri_read_varint_max(r, RI_EID_MAX);
        const char *ident;
        uint32_t len;
        if (e < RI_EID_ATTR || ri_schema_attr_by_id(schema, e) != NULL) {
            r->bad = true;
            return false;
        }
        if (!read_ident(schema, r, e, &ident, &len, nomem)) {
            return false;
        }
        if (before != NULL && cmp_text((const uint8_t *)before, before_len, (const uint8_t *)ident, len) >= 0) {
            r->bad = true;
        }
        before = ident;
        before_len = len;
    }
    return !r->bad;
}

int ri_schema_read(const uint8_t *bytes, size_t len, ri_schema **out, rille_err *err)
{
    *out = NULL;
    ri_reader r = ri_reader_of(bytes, len);
    bool nomem = false;
    uint8_t flexible = ri_read_u8(&r);
    uint64_t count = ri_read_varint_max(&r, ri_reader_left(&r) / ATTR_BYTES_MIN);
    if (r.bad || flexible > 1) {
        return ri_fail(err, RILLE_CORRUPT, "the stored schema is corrupt");
    }
    ri_schema *schema = schema_alloc(flexible == 1, RI_OWN_ATTR_COUNT + (size_t)count);
    if (schema == NULL) {
        return ri_fail_nomem(err);
    }
    nomem = !add_own(schema);
    for (uint64_t i = 0; i < count && !nomem && !r.bad; i++) {
        (void)read_attr(schema, &r, &nomem);
    }
    if (!nomem && !r.bad && read_other_idents(schema, &r, &nomem) && ri_reader_left(&r) == 0) {
        nomem = !ri_schema_derive(schema);
        if (!nomem) {
            *out = schema;
            return RILLE_OK;
        }
    }
    ri_schema_release(schema);
    return nomem ? ri_fail_nomem(err) : ri_fail(err, RILLE_CORRUPT, "the stored schema is corrupt");
}
