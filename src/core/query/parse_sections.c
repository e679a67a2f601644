/* SPDX-License-Identifier: MIT
 *
 * Cuts the form of a query into sections.
 */
#include "parse_sections.h"

static const char *const section_names[RI_SECTION_COUNT] = { "find", "keys",  "strs",     "syms",  "with",
                                                             "in",   "where", "order-by", "limit", "offset" };

/* :descending after :order-by */
static void offer_direction(ri_suggest *suggest, const char *known)
{
    size_t len = strlen(known);
    if (suggest->len > len && memcmp(suggest->name, known, len) == 0) {
        ri_suggest_offer_as(suggest, known, len, 0);
    }
}

static int begin_section(const ri_parser *parser, const ri_form *keyword, ri_sections *out, ri_section *which)
{
    char show[RI_SHOW_SIZE];
    for (int i = 0; i < RI_SECTION_COUNT; i++) {
        if (ri_form_is_keyword(keyword, section_names[i])) {
            if (out->at[i] != NULL) {
                return ri_parse_fail(parser, RILLE_SYNTAX, keyword, "duplicate section :%s", section_names[i]);
            }
            out->at[i] = keyword;
            *which = (ri_section)i;
            return 0;
        }
    }
    char hint[RI_SUGGESTION_SIZE];
    const char *name = (const char *)keyword->u.v.as.p;
    size_t len = ri_form_is(keyword, RI_KEYWORD) ? keyword->u.v.len : 0;
    ri_suggest suggest = ri_suggest_for(name, len);
    for (int i = 0; i < RI_SECTION_COUNT; i++) {
        ri_suggest_offer(&suggest, section_names[i], strlen(section_names[i]));
    }
    if (len > 0 && memchr(name, '/', len) != NULL) {
        return ri_parse_fail(parser, RILLE_SYNTAX, keyword,
                             "attribute %s is not inside a clause: a pattern needs brackets, as in [?e %s ?v]",
                             ri_form_show(show, keyword), show);
    }
    if (out->at[RI_SECTION_ORDER] != NULL) {
        offer_direction(&suggest, "asc");
        offer_direction(&suggest, "desc");
    }
    return ri_parse_fail(parser, RILLE_SYNTAX, keyword,
                         "unknown section %s%s; the sections of a query are :find, :keys, :strs, :syms, :with, :in, "
                         ":where, :order-by, :limit and :offset",
                         ri_form_show(show, keyword), ri_suggest_show(&suggest, ":", hint));
}

int ri_check_colon(const ri_parser *parser, const ri_form *form)
{
    for (int i = 0; i < RI_SECTION_COUNT; i++) {
        if (ri_form_is_symbol(form, section_names[i])) {
            return ri_parse_fail(parser, RILLE_SYNTAX, form, "a section begins with a colon: write :%s",
                                 section_names[i]);
        }
    }
    return 0;
}

static bool begins_section(const ri_form *form)
{
    return ri_form_is(form, RI_KEYWORD) && !ri_form_is_keyword(form, "asc") && !ri_form_is_keyword(form, "desc");
}

static int cut_list(const ri_parser *parser, const ri_form *form, ri_sections *out)
{
    ri_items items = ri_form_items(form);
    if (items.count == 0 || !begins_section(&items.p[0])) {
        char show[RI_SHOW_SIZE];
        RI_TRY(items.count == 0 ? 0 : ri_check_colon(parser, &items.p[0]));
        return ri_parse_fail(parser, RILLE_SYNTAX, items.count == 0 ? form : &items.p[0],
                             "a query must begin with a section, such as [:find ?e :where ...], got %s",
                             ri_form_show(show, items.count == 0 ? form : &items.p[0]));
    }
    for (uint32_t i = 0; i < items.count;) {
        ri_section which = (ri_section)0;
        RI_TRY(begin_section(parser, &items.p[i], out, &which));
        uint32_t end = i + 1;
        while (end < items.count && !begins_section(&items.p[end])) {
            end++;
        }
        out->items[which] = (ri_items){ &items.p[i + 1], end - i - 1 };
        i = end;
    }
    return 0;
}

static int cut_map(const ri_parser *parser, const ri_form *form, ri_sections *out)
{
    ri_items items = ri_form_items(form);
    for (uint32_t i = 0; i < items.count; i += 2) {
        ri_section which = (ri_section)0;
        RI_TRY(begin_section(parser, &items.p[i], out, &which));
        const ri_form *value = &items.p[i + 1];
        out->items[which] = ri_form_is_seq(value) ? ri_form_items(value) : (ri_items){ value, 1 };
    }
    return 0;
}

int ri_fail_not_query(const ri_parser *parser, const ri_form *form)
{
    char show[RI_SHOW_SIZE];
    return ri_parse_fail(parser, RILLE_SYNTAX, form,
                         "%s is not a query: expected [:find ... :where ...] or a map {:find [...] :where [...]}",
                         ri_form_show(show, form));
}

int ri_cut_sections(const ri_parser *parser, const ri_form *form, ri_sections *out)
{
    if (ri_form_is_seq(form)) {
        RI_TRY(cut_list(parser, form, out));
    } else if (form->kind == RI_FORM_MAP) {
        RI_TRY(cut_map(parser, form, out));
    } else {
        return ri_fail_not_query(parser, form);
    }
    if (out->at[RI_SECTION_FIND] == NULL || out->items[RI_SECTION_FIND].count == 0) {
        return ri_parse_fail(parser, RILLE_SYNTAX, form,
                             ":find is missing or empty: a query needs it, such as [:find ?e :where ...]");
    }
    return 0;
}
