/* SPDX-License-Identifier: MIT
 *
 * Operations in transaction data: {"db/add", e, a, v} and its kin.
 */
#include "rl_fill.h"

#include <string.h>

typedef struct operation {
    const char *name;
    int arg_min;
    int arg_max;
    int (*run)(fill *f, int args); /* stack index of the first argument; missing ones are nil */
} operation;

static int run_add(fill *f, int args)
{
    ri_ent e;
    const ri_attr *attr;
    RI_TRY(fill_entity(f, args, false, &e));
    RI_TRY(fill_attr(f, args + 1, &attr));
    return fill_add(f, e, attr, args + 2, 0);
}

static int run_retract(fill *f, int args)
{
    ri_ent e;
    const ri_attr *attr;
    RI_TRY(fill_entity(f, args, false, &e));
    RI_TRY(fill_attr(f, args + 1, &attr));
    if (lua_isnil(f->L, args + 2)) {
        return ri_tx_retract(f->tx, e, attr, NULL, f->err);
    }
    if (attr->type == RI_REF) {
        ri_ent v;
        if (lua_istable(f->L, args + 2) && rl_rawlen(f->L, args + 2) != 2) {
            return ri_fail(
                f->err, RILLE_TX_SYNTAX,
                "db/retract: the value of :%s must be an entity id, an ident or a lookup ref; a map or a list "
                "cannot be retracted",
                attr->ident);
        }
        RI_TRY(fill_ref(f, attr, args + 2, FILL_DEPTH_MAX - 1, &v));
        return ri_tx_retract_ref(f->tx, e, attr, v, f->err);
    }
    ri_value v;
    RI_TRY(rl_read_typed(f->L, f->state, args + 2, attr, ri_tx_arena(f->tx), &v, f->err));
    return ri_tx_retract(f->tx, e, attr, &v, f->err);
}

static int run_retract_entity(fill *f, int args)
{
    ri_ent e;
    RI_TRY(fill_entity(f, args, false, &e));
    return ri_tx_retract_entity(f->tx, e, f->err);
}

static int run_retract_attribute(fill *f, int args)
{
    ri_ent e;
    const ri_attr *attr;
    RI_TRY(fill_entity(f, args, false, &e));
    RI_TRY(fill_attr(f, args + 1, &attr));
    return ri_tx_retract(f->tx, e, attr, NULL, f->err);
}

/* A value to compare; nil and rille.null: *is_nil. */
static int cas_value(fill *f, const ri_attr *attr, int index, ri_value *out, bool *is_nil)
{
    *is_nil = lua_isnil(f->L, index) || (lua_islightuserdata(f->L, index) && lua_touserdata(f->L, index) == NULL);
    if (*is_nil) {
        return 0;
    }
    if (attr->type != RI_REF) {
        return rl_read_typed(f->L, f->state, index, attr, ri_tx_arena(f->tx), out, f->err);
    }
    ri_ent e;
    RI_TRY(fill_entity(f, index, attr->id < RI_EID_ATTR, &e));
    if (e.kind != RI_ENT_ID) {
        return ri_fail(f->err, RILLE_TX_SYNTAX, "db/cas: the values of :%s must be entity ids or idents", attr->ident);
    }
    *out = ri_ref(e.u.id);
    return 0;
}

static int run_cas(fill *f, int args)
{
    ri_ent e;
    const ri_attr *attr;
    ri_value old_v, new_v;
    bool old_nil, new_nil;
    RI_TRY(fill_entity(f, args, false, &e));
    RI_TRY(fill_attr(f, args + 1, &attr));
    RI_TRY(cas_value(f, attr, args + 2, &old_v, &old_nil));
    RI_TRY(cas_value(f, attr, args + 3, &new_v, &new_nil));
    if (new_nil) {
        return ri_fail(f->err, RILLE_TX_SYNTAX, "db/cas: the new value of :%s is missing", attr->ident);
    }
    return ri_tx_cas(f->tx, e, attr, old_nil ? NULL : &old_v, &new_v, f->err);
}

static const operation operations[] = {
    { "db/add", 3, 3, run_add },
    { "db/retract", 2, 3, run_retract },
    { "db/retractEntity", 1, 1, run_retract_entity },
    { "db.fn/retractEntity", 1, 1, run_retract_entity },
    { "db.fn/retractAttribute", 2, 2, run_retract_attribute },
    { "db/cas", 4, 4, run_cas },
    { "db.fn/cas", 4, 4, run_cas },
};

static const operation *find_operation(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strlen(operations[i].name) == len && memcmp(operations[i].name, name, len) == 0) {
            return &operations[i];
        }
    }
    return NULL;
}

/* The text of the operation's name, without colon; NULL: it is neither string nor keyword. */
static const char *name_at(fill *f, int index, size_t *len)
{
    if (lua_type(f->L, index) != LUA_TSTRING) {
        const rl_value *value = rl_value_test(f->L, f->state, index);
        if (value == NULL || value->v.type != RI_KEYWORD) {
            return NULL;
        }
        *len = value->v.len;
        return (const char *)value->v.as.p;
    }
    const char *name = lua_tolstring(f->L, index, len);
    if (*len > 0 && name[0] == ':') {
        name++;
        --*len;
    }
    return name;
}

int fill_operation(fill *f, int index)
{
    lua_State *L = f->L;
    size_t len = 0;
    lua_rawgeti(L, index, 1); /* the table keeps it */
    const char *name = name_at(f, lua_gettop(L), &len);
    lua_pop(L, 1);
    if (name == NULL) {
        return ri_fail(f->err, RILLE_TX_SYNTAX, "an operation must begin with its name, such as \"db/add\"");
    }
    const operation *op = find_operation(name, len);
    if (op == NULL && (strcmp(name, "db.fn/call") == 0 || strcmp(name, "db/purge") == 0)) {
        return ri_fail(f->err, RILLE_TX_SYNTAX, "%s is not supported yet (see \"Status\" in the README)", name);
    }
    if (op == NULL) {
        return ri_fail(f->err, RILLE_TX_SYNTAX,
                       "unknown operation \"%.*s\"; use one of: db/add, db/retract, db/retractEntity, "
                       "db.fn/retractAttribute, db/cas",
                       (int)(len < 80 ? len : 80), name);
    }
    char shown[RL_KEY_SHOWN];
    if (rl_stray_key(L, index, (size_t)op->arg_max + 1, NULL, shown)) {
        return ri_fail(f->err, RILLE_TX_SYNTAX, "%s takes at most %d arguments, but the operation has the key %s",
                       op->name, op->arg_max, shown);
    }
    int args = lua_gettop(L) + 1;
    for (int i = 0; i < op->arg_max; i++) {
        lua_rawgeti(L, index, i + 2);
        bool may_be_nil = i >= op->arg_min || (op->run == run_cas && i == 2);
        if (lua_isnil(L, -1) && !may_be_nil) {
            lua_settop(L, args - 1);
            return ri_fail(f->err, RILLE_TX_SYNTAX, "%s takes %d arguments, but argument %d is missing", op->name,
                           op->arg_min, i + 1);
        }
    }
    int rc = op->run(f, args);
    lua_settop(L, args - 1);
    return rc;
}
