/* SPDX-License-Identifier: MIT
 *
 * Values, and their one total order (docs/format.md).
 *
 * A value is 16 bytes: a word, a length and a type. Numbers, booleans, instants and refs live in the word; everything
 * else is bytes that somebody else owns (an arena, a node, a Lua string) and that the value borrows.
 *
 * Order: by type class first, in the order of the enum, where the four kinds of number are one class and compare by
 * their exact mathematical value, and a long text and its stored stub are one class. -0 is 0; NaN is refused at the
 * edge.
 *
 * LONG VALUES. A string or bytes value over RI_VALUE_INLINE_MAX bytes is stored in a blob of its own; the datom
 * keeps a stub (RI_STRING_BLOB, RI_BYTES_BLOB): the first 64 bytes, the length (u64 LE) and the BLAKE2b-256 of the
 * whole. Strings order by their first 64 bytes, then whole ones (by bytes) before stubs (by length, then hash): so
 * order and equality never need the blob.
 */
#ifndef RI_VALUE_H
#define RI_VALUE_H

#include "../base/arena.h"
#include "../base/buf.h"
#include "../base/err.h"

typedef enum ri_type {
    RI_NIL = 0,
    RI_BOOL = 1,         /* word 0 or 1 */
    RI_LONG = 2,         /* word int64 */
    RI_DOUBLE = 3,       /* word: IEEE 754 bits; never NaN, never -0 */
    RI_BIGINT = 4,       /* bytes: canonical decimal text, "-"? digits, no leading 0; only outside int64 */
    RI_BIGDEC = 5,       /* bytes: canonical decimal text "-"? digits ("." digits)?, no trailing 0 after the point */
    RI_INSTANT = 6,      /* word int64: milliseconds since 1970 UTC */
    RI_UUID = 7,         /* 16 bytes, most significant first */
    RI_KEYWORD = 8,      /* bytes: text without the colon */
    RI_SYMBOL = 9,       /* bytes */
    RI_STRING = 10,      /* bytes: valid UTF-8 */
    RI_STRING_BLOB = 11, /* bytes: stub, RI_STUB_SIZE */
    RI_BYTES = 12,
    RI_BYTES_BLOB = 13,
    RI_REF = 14,    /* word: entity id */
    RI_TUPLE = 15,  /* bytes: elements one after the other, each as ri_value_write */
    RI_FLOATS = 16, /* bytes: IEEE 754 binary32, little-endian */
    RI_TYPE_COUNT = 17
} ri_type;

#define RI_VALUE_INLINE_MAX 1024U
#define RI_VALUE_BYTES_MAX (64U * 1024U * 1024U)
#define RI_STUB_PREFIX 64U
#define RI_STUB_SIZE (RI_STUB_PREFIX + 8U + 32U)
#define RI_TUPLE_DEPTH_MAX 8
#define RI_DIGITS_MAX 4096U /* of a bigint or bigdec, before and after the point together */

/* Entity and transaction ids are exact in every Lua (DESIGN I8). */
#define RI_EID_MAX ((UINT64_C(1) << 53) - 1)

typedef struct ri_value {
    union {
        uint64_t u;
        int64_t i;
        double d;
        const uint8_t *p;
    } as;
    uint32_t len; /* of p; 0 for words */
    uint8_t type; /* ri_type */
} ri_value;

/* Below 0, 0, above 0. */
static inline int ri_cmp_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}
static inline int ri_cmp_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* The types whose value is the word alone. */
static inline bool ri_type_is_word(uint8_t type)
{
    return type == RI_BOOL || type == RI_LONG || type == RI_DOUBLE || type == RI_INSTANT || type == RI_REF ||
           type == RI_NIL;
}

/* Long values: the value is a stub, its content a blob. */
static inline bool ri_type_is_stub(uint8_t type)
{
    return type == RI_STRING_BLOB || type == RI_BYTES_BLOB;
}

/* Compared byte by byte. */
static inline bool ri_type_is_bytes(uint8_t type)
{
    return (type >= RI_UUID && type <= RI_BYTES_BLOB) || type == RI_FLOATS;
}

static inline bool ri_type_is_number(uint8_t type)
{
    return type >= RI_LONG && type <= RI_BIGDEC;
}

static inline ri_value ri_nil(void)
{
    return (ri_value){ { 0 }, 0, RI_NIL };
}
static inline ri_value ri_word(ri_type type, uint64_t u)
{
    return (ri_value){ { .u = u }, 0, (uint8_t)type };
}
static inline ri_value ri_long(int64_t i)
{
    return (ri_value){ { .i = i }, 0, RI_LONG };
}
static inline ri_value ri_ref(uint64_t e)
{
    return (ri_value){ { .u = e }, 0, RI_REF };
}
static inline ri_value ri_double(double d) /* d is no NaN; -0 becomes 0 */
{
    ri_value v = { { .d = d == 0 ? 0.0 : d }, 0, RI_DOUBLE };
    return v;
}
static inline ri_value ri_bytes_value(ri_type type, const void *p, size_t len)
{
    return (ri_value){ { .p = p }, (uint32_t)len, (uint8_t)type };
}

/* < 0, 0, > 0. Total. O(1) for words, O(bytes) else. */
int ri_value_cmp(const ri_value *a, const ri_value *b);
/* Equal under the order: 1 and 1.0 are. */
static inline bool ri_value_eq(const ri_value *a, const ri_value *b)
{
    return ri_value_cmp(a, b) == 0;
}
/* A number of 53 bits that never sorts two values the wrong way round: prefix(a) < prefix(b) only when a < b. Equal
 * values have equal prefixes. Exact for booleans, refs and instants of less than 48 bits, and longs of less than 38. */
uint64_t ri_value_prefix(const ri_value *v);
#define RI_VALUE_PREFIX_BITS 53U
#define RI_VALUE_CLASS_BITS 4U /* of these the first: values of one class have them in common */
/* So many first bytes two values have in common; 0 where they are not both bytes of one class. All values between them
 * begin so, too. */
uint32_t ri_value_shared(const ri_value *a, const ri_value *b);
/* The same as a prefix, of 64 bits, for bytes of one class: of what is behind a common beginning, len > 0. Bytes that do
 * not begin so have 0, or all bits, whether they come before or after those that do. */
uint64_t ri_value_prefix_behind(const ri_value *v, const uint8_t *common, uint32_t len);
/* Whether such a prefix is that of one value only. */
static inline bool ri_prefix_is_whole(uint64_t prefix)
{
    return (prefix & 0xff) >= 1 && (prefix & 0xff) <= 8;
}
/* Types of one class are compared with each other, those of a lower one come first. */
unsigned ri_type_class(uint8_t type);
/* Equal values have equal hashes (1 and 1.0 too). */
uint64_t ri_value_hash(const ri_value *v);

/* Word types as unsigned numbers that sort as the values do, and back. The columns of a node hold these. */
static inline uint64_t ri_word_to_key(uint8_t type, uint64_t word)
{
    const uint64_t sign = UINT64_C(1) << 63;
    if (type == RI_LONG || type == RI_INSTANT) {
        return word ^ sign;
    }
    if (type == RI_DOUBLE) { /* negative ones sort downwards by their bits */
        return word ^ ((0 - (word >> 63)) | sign);
    }
    return word;
}
uint64_t ri_key_to_word(uint8_t type, uint64_t key);

/* type u8, then the word key as 8 bytes LE, or varint length and bytes. Canonical: one value, one encoding. Used in
 * tuples, in hashes of transactions and in tables of the base record. */
void ri_value_write(ri_buf *out, const ri_value *v);
/* Borrows from r's bytes. Checks everything a value promises (UTF-8, canonical numbers, no NaN, tuple depth): r->bad.
 */
ri_value ri_value_read(ri_reader *r);
/* Is what p says a value of this type may be? The same checks; words too. False: no. */
bool ri_value_valid(const ri_value *v);

/* A copy whose bytes live in the arena. False when memory is out. */
bool ri_value_copy(ri_arena *arena, const ri_value *v, ri_value *out);

/* Builds a stub for a long string or bytes value into out[RI_STUB_SIZE]; the hash is the blob's address. */
void ri_stub_write(uint8_t out[RI_STUB_SIZE], const uint8_t *bytes, size_t len);
/* A string or bytes that are too long for a datom become the stub that stands for them. RILLE_NOMEM. */
int ri_value_shorten(ri_arena *arena, ri_value *v, rille_err *err);
static inline uint64_t ri_stub_len(const ri_value *v)
{
    return ri_load_u64(v->as.p + RI_STUB_PREFIX);
}
static inline const uint8_t *ri_stub_addr(const ri_value *v)
{
    return v->as.p + RI_STUB_PREFIX + 8;
}
/* The value that a stub stands for, of its bytes. */
static inline ri_value ri_stub_whole(const ri_value *v, const uint8_t *bytes, size_t len)
{
    return ri_bytes_value(v->type == RI_STRING_BLOB ? RI_STRING : RI_BYTES, bytes, len);
}

bool ri_utf8_valid(const uint8_t *p, size_t len);
static inline bool ri_text_valid(const uint8_t *p, size_t len) /* the same, without a call for most short texts */
{
    return ri_is_short_ascii(p, len) || ri_utf8_valid(p, len);
}
/* How many bytes from the start are valid UTF-8: len when all are. */
size_t ri_utf8_span(const uint8_t *p, size_t len);
/* The bytes of a character, 1 to 4; how many. */
size_t ri_utf8_put(uint8_t out[4], uint32_t c);
/* Is it the text of a keyword (without the colon) or a symbol, as EDN writes them? */
bool ri_name_valid(ri_type type, const uint8_t *p, size_t len);

/* "long", "string", ...: the name after :db.type/ ; stubs are called as what they stand for. */
const char *ri_type_name(uint8_t type);
/* "a" or "an", in front of the name in a message. */
static inline const char *ri_type_article(uint8_t type)
{
    return type == RI_INSTANT ? "an" : "a";
}
/* The type of that name ("long", "string", "ref", ... without namespace), or -1. */
int ri_type_by_name(const char *name, size_t len);

/* Shows a value for a message as EDN, at most 60 bytes and never all of a long one; size >= 80. Returns out. */
char *ri_value_show(char *out, size_t size, const ri_value *v);

/* ---- numbers of any size (bignum.c) ---- */

/* Compares any two numbers by their exact mathematical value. */
int ri_number_cmp(const ri_value *a, const ri_value *b);
/* Equal numbers of any types have equal hashes. */
uint64_t ri_number_hash(const ri_value *v);
/* Text "-"? digits -> LONG when it fits, else BIGINT; the bytes go to the arena. Leading zeros are dropped.
 * 0, or RILLE_LIMIT (over 4096 digits), RILLE_NOMEM. */
int ri_integer_parse(ri_arena *arena, const char *digits, size_t len, ri_value *out, rille_err *err);
/* Text of a decimal (with exponent allowed) -> BIGDEC, canonical. */
int ri_decimal_parse(ri_arena *arena, const char *text, size_t len, ri_value *out, rille_err *err);
/* Correctly rounded, from EDN's float syntax; RILLE_TYPE for what is no finite number. */
int ri_double_parse(const char *text, size_t len, double *out, rille_err *err);
/* The shortest text that reads back as the same double, with a point or exponent so that it stays a float. */
size_t ri_double_format(char out[32], double d);

/* ---- instants and uuids (text.c) ---- */
/* RFC 3339 with any prefix of it EDN allows ("2026", "2026-11", ..., "2026-11-22T10:00:00.000-00:00"). */
bool ri_instant_parse(const char *text, size_t len, int64_t *ms);
size_t ri_instant_format(char out[40], int64_t ms); /* "2026-11-22T10:00:00.000Z" */
bool ri_uuid_parse(const char *text, size_t len, uint8_t out[16]);
void ri_uuid_format(char out[37], const uint8_t uuid[16]);

#endif
