/* SPDX-License-Identifier: MIT
 *
 * Integers in bytes. Everything rille stores is little-endian; loads go through memcpy, never through a cast.
 * ri_reader takes bytes apart that anybody may have written: it never reads past its end, and remembers in `bad`
 * that it was asked to, so that a decoder checks once at its end. Reads of a bad reader give zero.
 */
#ifndef RI_BYTES_H
#define RI_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Compilers do not always see that bytes put together are one load. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define RI_IS_LITTLE_ENDIAN 1
#else
#define RI_IS_LITTLE_ENDIAN 0
#endif

static inline uint32_t ri_load_u32(const uint8_t *p)
{
#if RI_IS_LITTLE_ENDIAN
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
#else
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
#endif
}

static inline uint64_t ri_load_u64(const uint8_t *p)
{
#if RI_IS_LITTLE_ENDIAN
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
#else
    return (uint64_t)ri_load_u32(p) | (uint64_t)ri_load_u32(p + 4) << 32;
#endif
}

static inline void ri_store_u32(uint8_t *p, uint32_t x)
{
#if RI_IS_LITTLE_ENDIAN
    memcpy(p, &x, sizeof x);
#else
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
    p[2] = (uint8_t)(x >> 16);
    p[3] = (uint8_t)(x >> 24);
#endif
}

static inline void ri_store_u64(uint8_t *p, uint64_t x)
{
#if RI_IS_LITTLE_ENDIAN
    memcpy(p, &x, sizeof x);
#else
    ri_store_u32(p, (uint32_t)x);
    ri_store_u32(p + 4, (uint32_t)(x >> 32));
#endif
}

/* The value of a hexadecimal digit, -1 for any other character. */
static inline int ri_hex_digit(char c)
{
    char lower = (char)(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Big-endian, where bytes must sort as the number does. */
static inline void ri_store_be64(uint8_t *p, uint64_t x)
{
#if RI_IS_LITTLE_ENDIAN
    ri_store_u64(p, __builtin_bswap64(x));
#else
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(x >> (56 - 8 * i));
    }
#endif
}

static inline uint64_t ri_load_be64(const uint8_t *p)
{
#if RI_IS_LITTLE_ENDIAN
    return __builtin_bswap64(ri_load_u64(p));
#else
    uint64_t x = 0;
    for (int i = 0; i < 8; i++) {
        x = x << 8 | p[i];
    }
    return x;
#endif
}

/* Fewer than 8 bytes, zeroes behind them. */
static inline uint64_t ri_load_few(const uint8_t *p, size_t len)
{
    if (len >= 4) {
        return ri_load_u32(p) | (uint64_t)ri_load_u32(p + len - 4) << (8 * (len - 4));
    }
    return len == 0 ? 0 : p[0] | (uint64_t)p[len / 2] << (8 * (len / 2)) | (uint64_t)p[len - 1] << (8 * (len - 1));
}

/* Are both the same bytes? Without a call where they are few. */
static inline bool ri_same_bytes(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len > 16) {
        return memcmp(a, b, len) == 0;
    }
    if (len >= 8) {
        return ri_load_u64(a) == ri_load_u64(b) && ri_load_u64(a + len - 8) == ri_load_u64(b + len - 8);
    }
    return ri_load_few(a, len) == ri_load_few(b, len);
}

/* Is it few bytes, all of them below 128? */
static inline bool ri_is_short_ascii(const uint8_t *p, size_t len)
{
    uint64_t bits = len > 16 ? UINT64_MAX : len >= 8 ? ri_load_u64(p) | ri_load_u64(p + len - 8) : ri_load_few(p, len);
    return (bits & UINT64_C(0x8080808080808080)) == 0;
}

/* The first 8 bytes as a number that sorts as they do, if it differs. */
static inline uint64_t ri_load_prefix(const uint8_t *p, size_t len)
{
    uint8_t few[8];
    if (len >= 8) {
        return ri_load_be64(p);
    }
    ri_store_u64(few, ri_load_few(p, len));
    return ri_load_be64(few);
}

/* Bits needed to write x: 0 for 0, 64 at most. */
static inline unsigned ri_bit_width(uint64_t x)
{
#if defined(__GNUC__)
    return x == 0 ? 0 : 64U - (unsigned)__builtin_clzll(x);
#else
    unsigned width = 0;
    for (; x != 0; x >>= 1) {
        width++;
    }
    return width;
#endif
}

static inline uint64_t ri_zigzag(int64_t x)
{
    return ((uint64_t)x << 1) ^ (uint64_t)(x < 0 ? -1 : 0);
}

static inline int64_t ri_unzigzag(uint64_t x)
{
    return (int64_t)(x >> 1 ^ (0 - (x & 1)));
}

#define RI_VARINT_SIZE_MAX 10

/* LEB128; returns the bytes written (1..10). */
static inline size_t ri_put_varint(uint8_t *p, uint64_t x)
{
    size_t n = 0;
    while (x >= 0x80) {
        p[n++] = (uint8_t)(x | 0x80);
        x >>= 7;
    }
    p[n++] = (uint8_t)x;
    return n;
}

static inline size_t ri_varint_size(uint64_t x)
{
    return (ri_bit_width(x | 1) + 6) / 7;
}

typedef struct ri_reader {
    const uint8_t *p;
    const uint8_t *end;
    bool bad;
} ri_reader;

static inline ri_reader ri_reader_of(const uint8_t *p, size_t len)
{
    ri_reader r = { p, len == 0 ? p : p + len, false }; /* NULL is fine for nothing */
    return r;
}

static inline size_t ri_reader_left(const ri_reader *r)
{
    return (size_t)(r->end - r->p);
}

/* Borrows len bytes, or NULL. */
static inline const uint8_t *ri_read_bytes(ri_reader *r, size_t len)
{
    if (r->bad || ri_reader_left(r) < len) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += len;
    return p;
}

static inline uint8_t ri_read_u8(ri_reader *r)
{
    const uint8_t *p = ri_read_bytes(r, 1);
    return p == NULL ? 0 : *p;
}

static inline uint64_t ri_read_u64(ri_reader *r)
{
    const uint8_t *p = ri_read_bytes(r, 8);
    return p == NULL ? 0 : ri_load_u64(p);
}

/* Only the shortest form is accepted: one number has one encoding. */
static inline uint64_t ri_read_varint(ri_reader *r)
{
    uint64_t x = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = ri_read_u8(r);
        if (r->bad || (shift == 63 && byte > 1) || (shift > 0 && byte == 0)) {
            break;
        }
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return x;
        }
    }
    r->bad = true;
    return 0;
}

/* A varint that must not exceed max. */
static inline uint64_t ri_read_varint_max(ri_reader *r, uint64_t max)
{
    uint64_t x = ri_read_varint(r);
    if (x > max) {
        r->bad = true;
        return 0;
    }
    return x;
}

#endif
