/* SPDX-License-Identifier: MIT
 *
 * Names of objects and heads, written and read.
 */
#include "layout.h"

#include "../core/base/bytes.h"
#include "../core/base/err.h"
#include "../core/base/hash.h"

#include <stdio.h>
#include <string.h>

bool ri_layout_object(const rille_object_id *id, ri_layout_name *out)
{
    char hex[2 * RILLE_ID_SIZE + 1];
    ri_hex(hex, id->id, RILLE_ID_SIZE);
    switch ((rille_object_kind)id->kind) {
    case RILLE_OBJECT_PACK:
        (void)snprintf(out->text, sizeof out->text, "packs/%s.pack", hex);
        return true;
    case RILLE_OBJECT_BLOB:
        (void)snprintf(out->text, sizeof out->text, "blobs/%.2s/%s", hex, hex);
        return true;
    case RILLE_OBJECT_NODE: /* nodes come in packs */
        break;
    }
    return false;
}

/* As ri_hex writes it: an object has one name. */
static int nibble(char c)
{
    return c >= 'A' && c <= 'F' ? -1 : ri_hex_digit(c);
}

bool ri_layout_id(const char *name, const char *suffix, uint8_t id[RILLE_ID_SIZE])
{
    for (size_t i = 0; i < RILLE_ID_SIZE; i++) {
        int high = nibble(name[2 * i]);
        int low = high < 0 ? -1 : nibble(name[2 * i + 1]);
        if (low < 0) {
            return false;
        }
        id[i] = (uint8_t)(high * 16 + low);
    }
    return strcmp(name + (size_t)2 * RILLE_ID_SIZE, suffix) == 0;
}

bool ri_layout_is_shard(const char *name)
{
    return nibble(name[0]) >= 0 && nibble(name[1]) >= 0 && name[2] == '\0';
}

/* ---- heads ---- */

static bool is_plain(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           (c == '.' && !first);
}

int ri_layout_head(const char *branch, const char *scheme, const char *place, ri_layout_name *out, rille_err *err)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = strlen(branch);
    if (len == 0 || len > RI_LAYOUT_BRANCH_LEN_MAX) {
        return ri_fail(err, RILLE_LIMIT, "%s%s: branch name is %zu bytes long; it must be 1 to %d bytes", scheme, place,
                       len, RI_LAYOUT_BRANCH_LEN_MAX);
    }
    char *to = out->text;
    memcpy(to, "heads/", 6);
    to += 6;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)branch[i];
        if (is_plain(branch[i], i == 0)) {
            *to++ = branch[i];
        } else {
            *to++ = '%';
            *to++ = digits[byte >> 4];
            *to++ = digits[byte & 15];
        }
    }
    *to = '\0';
    return RILLE_OK;
}

/* As ri_layout_head writes it: a branch has one name. */
static int digit(char c)
{
    return c >= 'a' && c <= 'f' ? -1 : ri_hex_digit(c);
}

bool ri_layout_branch(const char *name, char branch[RI_LAYOUT_BRANCH_LEN_MAX + 1])
{
    size_t n = 0;
    for (; *name != '\0'; name++) {
        char c = *name;
        if (c == '%') {
            int high = digit(name[1]);
            int low = high < 0 ? -1 : digit(name[2]);
            if (low < 0 || high + low == 0 || is_plain((char)(high * 16 + low), n == 0)) {
                return false;
            }
            c = (char)(high * 16 + low);
            name += 2;
        } else if (!is_plain(c, n == 0)) {
            return false;
        }
        if (n == RI_LAYOUT_BRANCH_LEN_MAX) {
            return false;
        }
        branch[n++] = c;
    }
    branch[n] = '\0';
    return n > 0;
}
