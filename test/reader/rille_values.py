# SPDX-License-Identifier: MIT
"""Bytes, hashes, values and datoms of rille's stored format, versions 1 and 2, as docs/format.md has them."""

import collections
import ctypes
import ctypes.util
import functools
import hashlib
import re
import struct
from decimal import Decimal

U64 = (1 << 64) - 1
TOP = 1 << 63
MAX_ID = 1 << 53


class Damage(Exception):
    """What is stored is not what the format says."""


def require(condition, message, *args):
    if not condition:
        raise Damage(message % args if args else message)


# ---------------------------------------------------------------------------------------------------------------- bytes

class Bytes:
    """A cursor over bytes that never reads past their end."""

    def __init__(self, data, what):
        self.data, self.what, self.at = data, what, 0

    def take(self, n):
        require(self.at + n <= len(self.data), "%s: ends at byte %d, %d more expected", self.what, len(self.data), n)
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return int.from_bytes(self.take(4), "little")

    def u64(self):
        return int.from_bytes(self.take(8), "little")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        require(byte or shift == 7, "%s: a varint before byte %d is not in its shortest form", self.what, self.at)
        require(value <= U64, "%s: a varint before byte %d is over 64 bits", self.what, self.at)
        return value

    def block(self):
        return self.take(self.varint())

    def text(self):
        raw = self.block()
        require(is_utf8(raw), "%s: text that is not UTF-8 before byte %d", self.what, self.at)
        return raw.decode()

    def end(self):
        require(self.at == len(self.data), "%s: %d bytes too many", self.what, len(self.data) - self.at)

    def left(self):
        return len(self.data) - self.at


def unzigzag(u):
    return u >> 1 ^ -(u & 1)


def zigzag(s):
    return (s << 1 ^ s >> 63) & U64


def signed(u):
    return u - (u >> 63 << 64)


def varint_bytes(u):
    return max(1, (u.bit_length() + 6) // 7)


def address(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def mix(x):
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9 & U64
    x = (x ^ x >> 27) * 0x94d049bb133111eb & U64
    return x ^ x >> 31


def hash64(data, seed):
    h = mix(seed ^ len(data) * 0x9e3779b97f4a7c15 & U64)
    padded = data + bytes(-len(data) % 8)
    for (word,) in struct.iter_unpack("<Q", padded):
        h = (h ^ word) * 0x9e3779b97f4a7c15 & U64
        h ^= h >> 32
    return mix(h)


ZSTD = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
for function in (ZSTD.ZSTD_decompress, ZSTD.ZSTD_findFrameCompressedSize):
    function.restype = ctypes.c_size_t
ZSTD.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
ZSTD.ZSTD_findFrameCompressedSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def unzstd(data, length, what):
    require(ZSTD.ZSTD_findFrameCompressedSize(data, len(data)) == len(data), "%s: not one zstd frame", what)
    out = ctypes.create_string_buffer(max(1, length))
    require(ZSTD.ZSTD_decompress(out, length, data, len(data)) == length, "%s: does not decompress to %d bytes", what, length)
    return out.raw[:length]


# --------------------------------------------------------------------------------------------------------------- values

NIL, BOOLEAN, LONG, DOUBLE, BIGINT, BIGDEC, INSTANT, UUID, KEYWORD, SYMBOL = range(10)
STRING, STRING_STUB, BYTES, BYTES_STUB, REF, TUPLE, FLOATS = range(10, 17)
TYPE_NAMES = ("nil boolean long double bigint bigdec instant uuid keyword symbol string - bytes - ref tuple floats").split()
WORDS = {NIL, BOOLEAN, LONG, DOUBLE, INSTANT, REF}
STUBS = {STRING_STUB, BYTES_STUB}
CLASS = {LONG: LONG, DOUBLE: LONG, BIGINT: LONG, BIGDEC: LONG, STRING_STUB: STRING, BYTES_STUB: BYTES}
INLINE_MAX = 1024
NIL_VALUE = (NIL, 0)
REF_ZERO = (REF, 0)

# A value is a pair (type, word key or bytes).


def double_of(key):
    return struct.unpack("<d", struct.pack("<Q", key ^ TOP if key & TOP else key ^ U64))[0]


def is_utf8(raw):
    try:
        return raw.decode() is not None
    except UnicodeDecodeError:
        return False


def stub_parts(raw):
    """The start of a long value, its length, and the address of the blob that holds it."""
    return raw[:64], int.from_bytes(raw[64:72], "little"), raw[72:]


def tuple_values(raw):
    read = Bytes(raw, "a tuple")
    values = []
    while read.left():
        kind = read.u8()
        values.append((kind, read.u64() if kind in WORDS else read.block()))
    return values


@functools.lru_cache(maxsize=200000)
def order_key(value):
    """What values are compared by; two that are equal here are equal in the order of values."""
    kind, raw = value
    group = CLASS.get(kind, kind)
    if kind == LONG:
        return group, raw - TOP
    if kind == DOUBLE:
        return group, double_of(raw)
    if kind in (BIGINT, BIGDEC):
        return group, Decimal(raw.decode())
    if kind in (STRING, BYTES):
        return group, raw[:64], 0, raw
    if kind in STUBS:
        return (group, raw[:64], 1) + stub_parts(raw)[1:]
    if kind == TUPLE:
        return group, tuple(order_key(v) for v in tuple_values(raw))
    return group, raw


@functools.lru_cache(maxsize=200000)
def check_value(value, depth=0):
    kind, raw = value
    if kind == BOOLEAN:
        require(raw < 2, "a boolean is %d", raw)
    elif kind == DOUBLE:
        require(double_of(raw) == double_of(raw) and raw != TOP - 1, "a double is NaN or -0")
    elif kind == REF:
        require(raw < MAX_ID, "a ref is %d", raw)
    elif kind == BIGINT:
        require(re.fullmatch(rb"-?[1-9][0-9]*", raw) and not -TOP <= int(raw) < TOP, "not a bigint: %r", raw)
    elif kind == BIGDEC:
        require(re.fullmatch(rb"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", raw) and raw != b"-0", "not a bigdec: %r", raw)
    elif kind == UUID:
        require(len(raw) == 16, "a uuid of %d bytes", len(raw))
    elif kind in (KEYWORD, SYMBOL, STRING):
        require(is_utf8(raw), "text that is not UTF-8: %r", raw)
    elif kind in STUBS:
        require(len(raw) == 104 and stub_parts(raw)[1] > INLINE_MAX, "not a stub: %r", raw)
    elif kind == TUPLE:
        require(depth < 8, "tuples too deep")
        for element in tuple_values(raw):
            check_value(element, depth + 1)
    elif kind == FLOATS:
        require(len(raw) % 4 == 0, "floats of %d bytes", len(raw))
    else:
        require(kind in (NIL, LONG, INSTANT, BYTES), "a value of type %d", kind)
    require(kind in WORDS or len(raw) <= INLINE_MAX, "a value of %d bytes in a datom", 0 if kind in WORDS else len(raw))


def written(value):
    kind, raw = value
    if kind in WORDS:
        return struct.pack("<BQ", kind, raw)
    return bytes([kind]) + varint(len(raw)) + raw


def varint(u):
    out = bytearray()
    while u > 127:
        out.append(u & 127 | 128)
        u >>= 7
    return bytes(out) + bytes([u])


def quoted(data):
    return '"%s"' % re.sub(rb'[\x00-\x1f\x7f"\\]', lambda m: b"\\x%02x" % m.group()[0], data).decode()


def show(value, blobs):
    """The value as text; `blobs` gives the bytes of a stub's blob."""
    kind, raw = value
    if kind in STUBS:
        start, length, name = stub_parts(raw)
        raw, kind = blobs(name), kind - 1
        require(len(raw) == length and raw[:64] == start, "blob %s is not what its stub says", name.hex())
        require(kind == BYTES or is_utf8(raw), "blob %s is not UTF-8", name.hex())
    if kind == NIL:
        return "nil"
    if kind == BOOLEAN:
        return "true" if raw else "false"
    if kind == LONG:
        return str(raw - TOP)
    if kind == DOUBLE:
        return "d%.17g" % double_of(raw)
    if kind == INSTANT:
        return "#inst %d" % (raw - TOP)
    if kind == UUID:
        return "#uuid %s-%s-%s-%s-%s" % tuple(raw.hex()[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    if kind == REF:
        return str(raw)
    if kind == STRING:
        return quoted(raw)
    if kind == BYTES:
        return "#bytes " + raw.hex()
    if kind == TUPLE:
        return "[%s]" % " ".join(show(v, blobs) for v in tuple_values(raw))
    if kind == FLOATS:
        return "#floats [%s]" % " ".join("%.9g" % f for f in struct.unpack("<%df" % (len(raw) // 4), raw))
    text = raw.decode()
    return {KEYWORD: ":" + text, BIGINT: text + "N", BIGDEC: text + "M"}.get(kind, text)


# -------------------------------------------------------------------------------------------------------------- columns

CONST, STRIDE, FOR, DELTA, RLE = range(5)
BLOCK_ROWS = 32


# --------------------------------------------------------------------------------------------------------------- datoms

ORDERS = ("EAVT", "AEVT", "AVET", "VAET", "LOG", "RET", "META")
EAVT, AEVT, AVET, VAET, LOG, RET, META = range(7)

Datom = collections.namedtuple("Datom", "e a v t x added")
FIELDS = ("eav", "aev", "ave", "vae", ("t", "e", "a", "v", "added"), "eavtx", "ave")


def order_of(order):
    """The function that gives what the rows of a tree are sorted by."""
    fields = FIELDS[order]
    return lambda d: tuple(order_key(d.v) if field == "v" else getattr(d, field) for field in fields)


KEYS = [order_of(order) for order in range(7)]


def increase(keys):
    return all(a < b for a, b in zip(keys, keys[1:]))
