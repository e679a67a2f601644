# SPDX-License-Identifier: MIT
"""What rille's writers must do and readers need not know: the one encoding of a column, where nodes are cut, separators.

From docs/format-nodes.md alone. With these rules the same datoms give the same bytes; rille_format.py checks that they do.
"""

import functools
import os

from rille_values import (BLOCK_ROWS, BYTES, CLASS, CONST, DELTA, FIELDS, FOR, LOG, NIL_VALUE, REF_ZERO, RET, RLE, STRIDE,
                          STRING, STUBS, TOP, U64, VAET, WORDS, hash64, mix, order_key, require, signed, varint_bytes, zigzag)

ROWS_MAX, KEY_BYTES_MAX, CHILDREN_MAX = 4096, 65536, 1024


def packed_shape(greatest, n):
    width = greatest.bit_length()
    width = 64 if width > 56 else width
    return width, 1 + (n * width + 7) // 8


def base_shape(base):
    """(bit 3, bytes of the varint)"""
    plain, other = varint_bytes(base), varint_bytes(zigzag(signed(base ^ TOP)))
    return (1, other) if other < plain else (0, plain)


def simple_shape(numbers):
    """What a writer takes of CONST, STRIDE and FOR: (first byte, bytes in all)."""
    n, low = len(numbers), min(numbers)
    step = (numbers[1] - numbers[0]) & U64 if n > 1 else 0
    if all((b - a) & U64 == step for a, b in zip(numbers, numbers[1:])):
        flag, size = base_shape(numbers[0])
        return (CONST | flag << 3, 1 + size) if step == 0 else (STRIDE | flag << 3, 1 + size + varint_bytes(zigzag(signed(step))))
    flag, size = base_shape(low)
    return FOR | flag << 3, 1 + size + packed_shape(max(numbers) - low, n)[1]


def column_shape(numbers):
    first, size = simple_shape(numbers)
    if first & 7 != FOR:
        return first, size
    n = len(numbers)
    pairs = list(zip(numbers, numbers[1:]))
    best = None
    if n >= 64 and all(a <= b for a, b in pairs):
        widest = max(b - a for i, (a, b) in enumerate(pairs, 1) if i % BLOCK_ROWS)
        best = 1 + simple_shape(numbers[::BLOCK_ROWS])[1] + packed_shape(widest, n)[1], DELTA
    ends = [i for i, (a, b) in enumerate(pairs, 1) if a != b]
    runs = len(ends) + 1
    if 2 * runs <= n:
        values = [numbers[i] for i in [0] + ends]
        rle = 1 + varint_bytes(runs) + simple_shape(values)[1] + simple_shape(ends)[1], RLE
        if best is None or rle[0] < best[0]:
            best = rle
    if best and 8 * best[0] <= 7 * size:
        return best[1], best[0]
    return first, size


@functools.lru_cache(maxsize=200000)
def value_hash(value):
    return mix(value[1]) if value[0] in WORDS else hash64(value[1], 0)


def boundary_hash(d, order):
    h = mix(d.e + 0x9e3779b97f4a7c15 & U64)
    h = mix(h ^ d.a * 256 + d.v[0])
    h = mix(h ^ value_hash(d.v))
    return mix(h ^ d.t) if order in (LOG, RET) else h


class Cutter:
    """Says where the rows of one level are cut into nodes."""

    def __init__(self, order, level):
        self.order, self.level, self.n, self.bytes = order, level, 0, 0

    def cuts_before(self, row):
        n, chance = self.n, boundary_hash(row, self.order) >> 32
        if self.level:
            return n == CHILDREN_MAX or n >= 64 and chance < (n - 63) * 183006
        return n == ROWS_MAX or self.bytes > KEY_BYTES_MAX or n >= 256 and chance < (n - 255) * 11438

    def check(self, rows, what):
        for i, row in enumerate(rows):
            if self.n:
                require(self.cuts_before(row) == (i == 0), "%s: %s before row %d", what,
                        "no boundary where the node begins" if i == 0 else "a boundary inside the node,", i)
            if i == 0:
                self.n = self.bytes = 0
            self.n += 1
            self.bytes += 16 + (0 if row.v[0] in WORDS else len(row.v[1]))


def shortest_value(p, d):
    """The least value above p's that d's begins with, for strings and bytes that are not stubs."""
    kind, raw = d
    if kind not in (STRING, BYTES):
        return d
    if CLASS.get(p[0], p[0]) != kind:
        return kind, b""
    before = p[1][:64] if p[0] in STUBS else p[1]
    shared = len(os.path.commonprefix([before, raw])) + 1
    while kind == STRING and shared < len(raw) and raw[shared] & 0xc0 == 0x80:
        shared += 1
    return kind, raw[:shared]


def separator(order, p, d):
    """The cut between neighbours p and d; without p the zero of a level's first separator."""
    cut = {"e": 0, "a": 0, "v": REF_ZERO if order == VAET else NIL_VALUE, "t": 0, "x": 0, "added": 0}
    for field in FIELDS[order] if p else ():
        was, now = getattr(p, field), getattr(d, field)
        if field == "v" and order_key(was) != order_key(now):
            cut["v"] = shortest_value(was, now)
            break
        cut[field] = now
        if field != "v" and was != now:
            break
    return cut
