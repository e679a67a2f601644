/* SPDX-License-Identifier: MIT
 *
 * What each byte can be in EDN text: one table for the reader, the writer and ri_name_valid.
 */
#ifndef RI_CHARS_H
#define RI_CHARS_H

#include <stdint.h>

#define RI_CHAR_SPACE 1U /* white space and the comma */
#define RI_CHAR_DIGIT 2U
#define RI_CHAR_NAME 4U  /* within a keyword, a symbol or a number; bytes of non-ASCII characters too */
#define RI_CHAR_PLAIN 8U /* within a string as it is: no quote, no backslash, no control, ASCII */
#define RI_CHAR_HIGH 16U /* a byte of a non-ASCII character */
#define RI_CHAR_SLASH 32U
#define RI_CHAR_COLON 64U

extern const uint8_t ri_char_class[256];

#endif
