/* SPDX-License-Identifier: MIT */
#include "proxy_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHITE " \t\r\n"
#define SEED_DEFAULT 1

static const char *const names[FAULT_COUNT] = {
    [FAULT_NONE] = "none",         [FAULT_SLOWDOWN] = "slowdown", [FAULT_ERROR] = "error",
    [FAULT_CONFLICT] = "conflict", [FAULT_BUSY] = "busy",         [FAULT_RESET] = "reset",
    [FAULT_HANG] = "hang",         [FAULT_HTML] = "html",         [FAULT_REDIRECT] = "redirect",
    [FAULT_LOST] = "lost",         [FAULT_LATE] = "late",         [FAULT_REPEAT] = "repeat",
    [FAULT_TRUNCATE] = "truncate", [FAULT_STALL] = "stall",       [FAULT_FLIP] = "flip",
    [FAULT_ETAG] = "etag",         [FAULT_TRICKLE] = "trickle",   [FAULT_CLOSE] = "close",
};

const char *fault_name(fault f)
{
    return names[f];
}

/* The value of "name=value"; NULL: it is another name. */
static const char *value_of(const char *word, const char *name)
{
    size_t len = strlen(name);
    return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static bool number(const char *word, const char *name, unsigned long *value)
{
    const char *text = value_of(word, name);
    char *end = NULL;
    if (text != NULL) {
        *value = strtoul(text, &end, 10);
    }
    return text != NULL && end != text && *end == '\0';
}

static bool string(const char *word, const char *name, char *value, size_t size)
{
    const char *text = value_of(word, name);
    return text != NULL && snprintf(value, size, "%s", text) < (int)size;
}

static bool parse_condition(rule *r, const char *word)
{
    const char *text = value_of(word, "p");
    if (text != NULL) {
        r->probability = strtod(text, NULL);
        return r->probability > 0;
    }
    return string(word, "m", r->method, sizeof r->method) || string(word, "path", r->path, sizeof r->path) ||
           string(word, "arg", r->arg, sizeof r->arg) || number(word, "skip", &r->skip) ||
           number(word, "first", &r->first) || number(word, "every", &r->every);
}

static bool parse_rule(rules *r, char *word)
{
    rule *next = &r->rule[r->count];
    char *rest;
    char *name = strtok_r(word, ",", &rest);
    if (name == NULL || r->count == PROXY_RULES_MAX) {
        return false;
    }
    *next = (rule){ .probability = 1 };
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            next->fault = (fault)i;
        }
    }
    for (char *part; (part = strtok_r(NULL, ",", &rest)) != NULL;) {
        if (!parse_condition(next, part)) {
            return false;
        }
    }
    r->count += 1;
    return next->fault != FAULT_NONE;
}

const char *rules_parse(rules *r, char *text)
{
    char *rest;
    unsigned long seed = SEED_DEFAULT;
    *r = (rules){ .count = 0 };
    for (char *word = strtok_r(text, WHITE, &rest); word != NULL; word = strtok_r(NULL, WHITE, &rest)) {
        if (!number(word, "delay", &r->delay_ms) && !number(word, "jitter", &r->jitter_ms) &&
            !number(word, "gather", &r->gather_ms) && !number(word, "hold", &r->hold) &&
            !number(word, "quirks", &r->quirks) && !number(word, "seed", &seed) && !parse_rule(r, word)) {
            return word;
        }
    }
    r->random = seed;
    return NULL;
}

/* splitmix64: 0 <= x < 1 */
static double draw(rules *r)
{
    uint64_t x = r->random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((x ^ x >> 31) >> 11) / 9007199254740992.0;
}

static bool applies(rules *all, rule *r, const request_line *line)
{
    if ((r->method[0] != '\0' && strcmp(r->method, line->method) != 0) || strstr(line->path, r->path) == NULL) {
        return false;
    }
    unsigned long number_seen = ++r->seen;
    if (number_seen <= r->skip) {
        return false;
    }
    number_seen -= r->skip;
    return (r->first == 0 || number_seen <= r->first) && (r->every == 0 || number_seen % r->every == 0) &&
           (r->probability >= 1 || draw(all) < r->probability);
}

rule rules_choose(rules *r, const request_line *line, unsigned long *delay_ms)
{
    *delay_ms = r->delay_ms + (r->jitter_ms > 0 ? (unsigned long)(draw(r) * (double)r->jitter_ms) : 0);
    for (int i = 0; i < r->count; i++) {
        if (applies(r, &r->rule[i], line)) {
            return r->rule[i];
        }
    }
    return (rule){ .fault = FAULT_NONE };
}
