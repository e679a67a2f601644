/* SPDX-License-Identifier: MIT
 *
 * Names, variables, sources, constants, bindings: the leaves of a query.
 *
 * Cost: finding a variable compares it with those seen in its frame (at most RI_QUERY_VARS_MAX).
 */
#include "parse.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define NAME_LEN_MAX 255U

int ri_parse_fail(const ri_parser *parser, int code, const ri_form *at, const char *format, ...)
{
    char message[RILLE_ERR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    if (vsnprintf(message, sizeof message, format, args) < 0) {
        message[0] = '\0';
    }
    va_end(args);
    (void)ri_fail(parser->err, code, "%.390s", message);
    ri_err_at(parser->err, &parser->origin, at == NULL ? UINT32_MAX : at->offset, parser->clause);
    bool is_text = parser->origin.text.p != NULL && at != NULL;
    if (!is_text && parser->clause == 0 && parser->section != NULL && message[0] != ':') {
        ri_err_prefix(parser->err, "%s", parser->section);
    }
    return code;
}

/* Cut where a character begins. */
static void shorten(char out[RI_SHOW_SIZE], const uint8_t *p, size_t len)
{
    size_t room = RI_SHOW_SIZE - 4;
    size_t keep = len;
    if (len > room) {
        keep = ri_utf8_span(p, room);
    }
    for (size_t i = 0; i < keep; i++) {
        out[i] = p[i] == '\n' ? ' ' : (char)p[i];
    }
    memcpy(out + keep, len > room ? "..." : "", len > room ? 4 : 1);
}

const char *ri_form_show(char out[RI_SHOW_SIZE], const ri_form *form)
{
    ri_buf buf = { 0 };
    ri_edn_write(&buf, form);
    if (buf.failed || buf.p == NULL) {
        memcpy(out, "...", 4);
    } else {
        shorten(out, buf.p, buf.len);
    }
    ri_buf_deinit(&buf);
    return out;
}

/* ---- names ---- */

static bool is_symbol_with(const ri_form *form, char first)
{
    return ri_form_is(form, RI_SYMBOL) && form->u.v.len > 0 && form->u.v.as.p[0] == (uint8_t)first;
}

bool ri_form_is_var(const ri_form *form)
{
    return is_symbol_with(form, '?') && form->u.v.len > 1;
}

bool ri_form_is_blank(const ri_form *form)
{
    return ri_form_is_symbol(form, "_");
}

bool ri_form_is_source(const ri_form *form)
{
    return is_symbol_with(form, '$');
}

int ri_parse_name(const ri_parser *parser, const ri_form *form, const char **out)
{
    const ri_value *v = &form->u.v;
    if (v->len > NAME_LEN_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, form, "the name is too long: %u bytes (the maximum is %u)", v->len,
                             NAME_LEN_MAX);
    }
    if (memchr(v->as.p, 0, v->len) != NULL ||
        (v->type == RI_SYMBOL && !ri_name_valid(RI_SYMBOL, v->as.p, v->len))) { /* from code only */
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "EDN cannot write this name: use no white space, brackets or zero bytes in it");
    }
    *out = ri_arena_text(parser->arena, (const char *)v->as.p, v->len);
    return *out == NULL ? ri_fail_nomem(parser->err) : 0;
}

static bool name_is(const char *name, const ri_value *v)
{
    return strncmp(name, (const char *)v->as.p, v->len) == 0 && name[v->len] == '\0';
}

int ri_parse_var(ri_parser *parser, const ri_form *form, ri_var *out)
{
    char show[RI_SHOW_SIZE];
    ri_frame *frame = parser->frame;
    if (!ri_form_is_var(form)) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form, "expected a variable such as ?x, got %s",
                             ri_form_show(show, form));
    }
    for (uint16_t i = 0; i < frame->count; i++) {
        if (name_is(parser->var_names[frame->vars[i]], &form->u.v)) {
            *out = frame->vars[i];
            return 0;
        }
    }
    if (parser->var_count == RI_QUERY_VARS_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, form, "too many variables (the maximum is %d): split the query",
                             RI_QUERY_VARS_MAX);
    }
    RI_TRY(ri_parse_name(parser, form, &parser->var_names[parser->var_count]));
    *out = parser->var_count++;
    frame->vars[frame->count++] = *out;
    return 0;
}

int ri_parse_var_or_blank(ri_parser *parser, const ri_form *form, ri_var *out)
{
    if (ri_form_is_blank(form)) {
        *out = RI_NO_VAR;
        return 0;
    }
    return ri_parse_var(parser, form, out);
}

static int refuse_twice(const ri_parser *parser, const ri_form *at, const ri_var *vars, uint32_t count)
{
    for (uint32_t i = 0; i + 1 < count; i++) {
        if (vars[i] != RI_NO_VAR && vars[i] == vars[count - 1]) {
            return ri_parse_fail(parser, RILLE_QUERY, at, "duplicate variable %s", parser->var_names[vars[i]]);
        }
    }
    return 0;
}

int ri_parse_vars(ri_parser *parser, ri_items items, const char *what, ri_var **out, uint16_t *count)
{
    if (items.count > RI_QUERY_VARS_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, items.p, "%s has too many variables (the maximum is %d)", what,
                             RI_QUERY_VARS_MAX);
    }
    ri_var *vars = ri_arena_array(parser->arena, items.count, sizeof *vars);
    if (vars == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t i = 0; i < items.count; i++) {
        RI_TRY(ri_parse_var(parser, &items.p[i], &vars[i]));
        RI_TRY(refuse_twice(parser, &items.p[i], vars, i + 1));
    }
    *out = vars;
    *count = (uint16_t)items.count;
    return 0;
}

int ri_parse_source(const ri_parser *parser, const ri_form *form, uint16_t *out)
{
    if (parser->origin.rule != NULL && form->u.v.len == 1) {
        *out = RI_SOURCE_DEFAULT;
        return 0;
    }
    for (uint16_t i = 0; i < parser->source_count; i++) {
        if (name_is(parser->source_names[i], &form->u.v)) {
            *out = i;
            return 0;
        }
    }
    char show[RI_SHOW_SIZE];
    char hint[RI_SUGGESTION_SIZE];
    ri_suggest suggest = ri_suggest_for((const char *)form->u.v.as.p + 1, form->u.v.len - 1);
    for (uint16_t i = 0; i < parser->source_count; i++) {
        ri_suggest_offer(&suggest, parser->source_names[i] + 1, strlen(parser->source_names[i]) - 1);
    }
    return ri_parse_fail(parser, RILLE_QUERY, form, "source %s is not in :in%s: add it there", ri_form_show(show, form),
                         ri_suggest_show(&suggest, "$", hint));
}

/* ---- bindings ---- */

static int binding_vars(ri_parser *parser, ri_items items, ri_binding *out)
{
    char show[RI_SHOW_SIZE];
    if (items.count > RI_QUERY_VARS_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, items.p, "the binding has too many variables (the maximum is %d)",
                             RI_QUERY_VARS_MAX);
    }
    out->vars = ri_arena_array(parser->arena, items.count, sizeof *out->vars);
    if (out->vars == NULL) {
        return ri_fail_nomem(parser->err);
    }
    for (uint32_t i = 0; i < items.count; i++) {
        if (ri_form_is_seq(&items.p[i])) {
            return ri_parse_fail(parser, RILLE_SYNTAX, &items.p[i],
                                 "binding %s is nested in a binding: bind a variable here, and destructure it with "
                                 "[(identity ?x) [...]]",
                                 ri_form_show(show, &items.p[i]));
        }
        RI_TRY(ri_parse_var_or_blank(parser, &items.p[i], &out->vars[i]));
        RI_TRY(refuse_twice(parser, &items.p[i], out->vars, i + 1));
    }
    out->var_count = (uint16_t)items.count;
    return 0;
}

int ri_parse_binding(ri_parser *parser, const ri_form *form, ri_binding *out)
{
    char show[RI_SHOW_SIZE];
    ri_items items = { form, 1 };
    out->kind = RI_BIND_SCALAR;
    if (form->kind == RI_FORM_VECTOR) {
        items = ri_form_items(form);
        out->kind = RI_BIND_TUPLE;
        if (items.count == 2 && ri_form_is_symbol(&items.p[1], "...")) {
            items.count = 1;
            out->kind = RI_BIND_COLL;
        } else if (items.count == 1 && items.p[0].kind == RI_FORM_VECTOR) {
            items = ri_form_items(&items.p[0]);
            out->kind = RI_BIND_RELATION;
        }
    }
    if (items.count == 0 || (out->kind == RI_BIND_SCALAR && ri_form_is_seq(form))) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "%s is not a binding: expected ?x, [?x ...], [?x ?y] or [[?x ?y]]",
                             ri_form_show(show, form));
    }
    return binding_vars(parser, items, out);
}

/* ---- constants ---- */

/* The scalar that a form is. Infinities are no values of EDN, but of attributes, and so of queries; NaN is neither. */
static bool scalar_of(const ri_form *form, ri_value *out)
{
    if (form->kind == RI_FORM_DOUBLE && !isnan(form->u.v.as.d)) {
        *out = ri_double(form->u.v.as.d);
        return true;
    }
    *out = form->u.v;
    return form->kind == RI_FORM_VALUE && form->u.v.type != RI_SYMBOL;
}

/* Writes the element values of a vector or set one after the other: a TUPLE's bytes. */
static int write_elements(const ri_parser *parser, const ri_form *form, unsigned depth, ri_buf *buf)
{
    char show[RI_SHOW_SIZE];
    if (depth == RI_TUPLE_DEPTH_MAX) {
        return ri_parse_fail(parser, RILLE_LIMIT, form, "the constant is nested too deeply (the maximum depth is %d)",
                             RI_TUPLE_DEPTH_MAX);
    }
    for (uint32_t i = 0; i < form->u.seq.count; i++) {
        const ri_form *item = &form->u.seq.items[i];
        ri_value scalar;
        if (scalar_of(item, &scalar)) {
            ri_value_write(buf, &scalar);
        } else if (item->kind == RI_FORM_VECTOR || item->kind == RI_FORM_SET) {
            ri_buf inner = { 0 };
            int rc = write_elements(parser, item, depth + 1, &inner);
            if (rc == 0 && !inner.failed && inner.len <= RI_VALUE_BYTES_MAX) {
                ri_value v = ri_bytes_value(RI_TUPLE, inner.p, inner.len);
                ri_value_write(buf, &v);
            }
            buf->failed = buf->failed || inner.failed;
            ri_buf_deinit(&inner);
            RI_TRY(rc);
        } else {
            return ri_parse_fail(parser, RILLE_SYNTAX, item, "%s cannot be an element of a constant",
                                 ri_form_show(show, item));
        }
    }
    return 0;
}

static int tuple_const(const ri_parser *parser, const ri_form *form, ri_value *out)
{
    ri_buf buf = { 0 };
    int rc = write_elements(parser, form, 1, &buf);
    if (rc == 0 && buf.failed) {
        rc = ri_fail_nomem(parser->err);
    } else if (rc == 0 && buf.len > RI_VALUE_BYTES_MAX) {
        rc = ri_parse_fail(parser, RILLE_LIMIT, form, "the constant is too long: %zu bytes (the maximum is %u)",
                           buf.len, RI_VALUE_BYTES_MAX);
    } else if (rc == 0) {
        ri_value v = ri_bytes_value(RI_TUPLE, buf.p, buf.len);
        rc = ri_value_copy(parser->arena, &v, out) ? 0 : ri_fail_nomem(parser->err);
    }
    ri_buf_deinit(&buf);
    return rc;
}

/* [?x > 5] */
static bool is_operator(const ri_form *form)
{
    if (!ri_form_is(form, RI_SYMBOL) || form->u.v.len == 0) {
        return false;
    }
    for (uint32_t i = 0; i < form->u.v.len; i++) {
        if (form->u.v.as.p[i] == 0 || strchr("<>=!+-*/", form->u.v.as.p[i]) == NULL) {
            return false;
        }
    }
    return true;
}

int ri_parse_const(const ri_parser *parser, const ri_form *form, ri_value *out)
{
    char show[RI_SHOW_SIZE];
    *out = ri_nil();
    if (form->kind == RI_FORM_VECTOR || form->kind == RI_FORM_SET) {
        return tuple_const(parser, form, out);
    }
    if (is_operator(form)) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "%s is not a constant: a function comes first in its call, as in [(%s ?x ?y)]",
                             ri_form_show(show, form), show);
    }
    if (ri_form_is(form, RI_SYMBOL)) {
        return ri_parse_fail(
            parser, RILLE_SYNTAX, form,
            "symbol %s is not a constant: write ?%s for a variable, :%s for a keyword or \"%s\" for a string",
            ri_form_show(show, form), show, show, show);
    }
    ri_value scalar;
    if (!scalar_of(form, &scalar)) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "%s cannot be a constant in a query: expected a scalar, a vector or a set",
                             ri_form_show(show, form));
    }
    return ri_value_copy(parser->arena, &scalar, out) ? 0 : ri_fail_nomem(parser->err);
}

/* ---- terms ---- */

/* [:attr ?value] looks like a lookup ref. (What one is, only its place and the schema say: pattern.c.) */
static bool is_lookup_of_var(const ri_form *form)
{
    if (form->kind != RI_FORM_VECTOR || form->u.seq.count != 2) {
        return false;
    }
    const ri_form *items = form->u.seq.items;
    return (ri_form_is(&items[0], RI_KEYWORD) || ri_form_is(&items[0], RI_STRING)) && ri_form_is_var(&items[1]);
}

int ri_parse_term(ri_parser *parser, const ri_form *form, int position, ri_term *out)
{
    char show[RI_SHOW_SIZE];
    *out = (ri_term){ .var = RI_NO_VAR, .offset = form->offset, .kind = RI_TERM_CONST };
    if (ri_form_is_blank(form)) {
        if (position == -1) {
            return ri_parse_fail(parser, RILLE_SYNTAX, form, "_ cannot be an argument of a function: use a variable");
        }
        out->kind = RI_TERM_BLANK;
        return 0;
    }
    if (is_symbol_with(form, '?')) {
        out->kind = RI_TERM_VAR;
        return ri_parse_var(parser, form, &out->var);
    }
    if (position == -1 && ri_form_is_source(form)) {
        out->kind = RI_TERM_SOURCE;
        return ri_parse_source(parser, form, &out->source);
    }
    if (position < 0 && form->kind == RI_FORM_LIST) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "%s is nested in a call: bind its result in a separate clause, [%s ?result]",
                             ri_form_show(show, form), show);
    }
    if ((position == 0 || position == 2) && is_lookup_of_var(form)) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             "a lookup ref cannot contain a variable: use a pattern, such as [?e :attr ?value]");
    }
    return ri_parse_const(parser, form, &out->v);
}
