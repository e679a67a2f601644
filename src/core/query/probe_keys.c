/* SPDX-License-Identifier: MIT
 *
 * Keys of a probe: what a batch asks for, as numbers of the tree's own column where the type allows, sorted.
 */
#include "probe.h"

#include <stdlib.h>

ri_var ri_probe_var(const ri_probe_stage *self)
{
    bool by_e = self->access == RI_ACCESS_E || self->access == RI_ACCESS_EV || self->access == RI_ACCESS_E_ANY;
    return self->emit.m.bound[by_e ? RI_POS_E : RI_POS_V];
}

static int word_key(const ri_probe_stage *self, const ri_value *v, uint64_t *key, bool *usable, rille_err *err)
{
    const ri_pattern *p = self->emit.m.pattern;
    if (self->access != RI_ACCESS_V_WORD) {
        *key = ri_entity_of(v);
        *usable = *key != 0;
        return 0;
    }
    ri_value fitted;
    RI_TRY(ri_attr_fit(p->attr, v, NULL, &fitted, usable, err));
    *usable = *usable && fitted.type == p->attr->type;
    *key = *usable ? ri_word_to_key(fitted.type, fitted.as.u) : 0;
    return 0;
}

static int make_word_keys(ri_probe_stage *self, rille_err *err)
{
    const ri_vec *vec = &self->in->cols[ri_probe_var(self)];
    uint32_t n = 0;
    bool ids = self->access != RI_ACCESS_V_WORD;
    if (ids && (vec->type == RI_REF || vec->type == RI_LONG)) {
        for (uint32_t i = 0; i < self->in->count; i++) {
            self->keys[n] = vec->words[i];
            self->key_rows[n] = i;
            n += vec->words[i] - 1 < RI_EID_MAX;
        }
    } else {
        for (uint32_t i = 0; i < self->in->count; i++) {
            ri_value v = ri_vec_get(vec, i);
            bool usable = false;
            RI_TRY(word_key(self, &v, &self->keys[n], &usable, err));
            self->key_rows[n] = i;
            n += usable;
        }
    }
    self->key_count = n;
    return 0;
}

static int cmp_bytes_keys(const void *a, const void *b)
{
    const ri_bytes_key *x = a;
    const ri_bytes_key *y = b;
    int c = ri_value_cmp(&x->v, &y->v);
    return c != 0 ? c : x->row < y->row ? -1 : x->row > y->row;
}

static int make_bytes_keys(ri_probe_stage *self, rille_err *err)
{
    const ri_vec *vec = &self->in->cols[ri_probe_var(self)];
    uint32_t n = 0;
    bool in_order = true;
    ri_arena_reset(&self->arena);
    for (uint32_t i = 0; i < self->in->count; i++) {
        ri_value v = ri_vec_get(vec, i);
        bool usable = false;
        RI_TRY(ri_attr_fit(self->emit.m.pattern->attr, &v, &self->arena, &self->bytes[n].v, &usable, err));
        self->bytes[n].row = i;
        in_order = in_order && (n == 0 || ri_value_cmp(&self->bytes[n - 1].v, &self->bytes[n].v) <= 0);
        n += usable;
    }
    self->key_count = n;
    if (!in_order) {
        qsort(self->bytes, n, sizeof *self->bytes, cmp_bytes_keys);
    }
    for (uint32_t i = 0; i < n; i++) {
        self->key_rows[i] = self->bytes[i].row;
    }
    return 0;
}

ri_bound ri_probe_bound(const ri_probe_stage *self, uint32_t key, bool after)
{
    const ri_attr *attr = self->emit.m.pattern->attr;
    uint64_t word = self->access == RI_ACCESS_V_BYTES ? 0 : self->keys[key];
    if (self->access == RI_ACCESS_E || self->access == RI_ACCESS_EV) {
        return ri_bound_ea(word, attr->id, after);
    }
    if (self->access == RI_ACCESS_E_ANY) {
        return ri_bound_e(word, after);
    }
    if (self->access == RI_ACCESS_V_REF) {
        return attr != NULL ? ri_bound_va(word, attr->id, after) : ri_bound_v(word, after);
    }
    ri_value v = self->access == RI_ACCESS_V_BYTES ? self->bytes[key].v
                                                   : ri_word((ri_type)attr->type, ri_key_to_word(attr->type, word));
    return ri_bound_av(attr->id, &v, after);
}

void ri_probe_begin_key(ri_probe_stage *self, uint32_t key)
{
    self->key = key;
    uint32_t end = key + 1;
    if (self->access == RI_ACCESS_V_BYTES) {
        while (end < self->key_count && ri_value_eq(&self->bytes[end].v, &self->bytes[key].v)) {
            end++;
        }
    } else {
        while (end < self->key_count && self->keys[end] == self->keys[key]) {
            end++;
        }
    }
    self->key_end = end;
}

int ri_probe_keys(ri_probe_stage *self, rille_err *err)
{
    if (self->access == RI_ACCESS_V_BYTES) {
        return make_bytes_keys(self, err);
    }
    RI_TRY(make_word_keys(self, err));
    ri_sort_words(self->stage.op->meter, &self->keys, &self->key_rows, &self->keys_other, &self->rows_other,
                  self->key_count);
    return 0;
}
