/* SPDX-License-Identifier: MIT
 *
 * The public C functions of rille.h that make values.
 */
#include "rille/rille.h"

#include <string.h>

const char *rille_version(void)
{
    return RILLE_VERSION;
}

rille_value rille_long(int64_t i)
{
    return (rille_value){ { .i = i }, 0, RILLE_TYPE_LONG };
}

rille_value rille_double(double d)
{
    return (rille_value){ { .d = d }, 0, RILLE_TYPE_DOUBLE };
}

static rille_value text_value(const char *text, rille_type type)
{
    return text != NULL ? (rille_value){ { .bytes = text }, strlen(text), type }
                        : (rille_value){ .type = RILLE_TYPE_NIL };
}

rille_value rille_string(const char *text)
{
    return text_value(text, RILLE_TYPE_STRING);
}

rille_value rille_keyword(const char *text_without_colon)
{
    return text_value(text_without_colon, RILLE_TYPE_KEYWORD);
}
