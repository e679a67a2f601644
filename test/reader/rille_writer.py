# SPDX-License-Identifier: MIT
"""A writer of small databases in rille's stored format, from docs/format*.md alone, for tests of its readers.

Every tree is one leaf, every entry is raw. Each piece of bytes passes through `change(name, bytes)` before its checksum or
address is taken, so that a test can damage it in a way that no checksum tells.
"""

import functools
import os
import struct

import rille_head as head
import rille_rules as rules
from rille_values import (AEVT, AVET, BLOCK_ROWS, BYTES, CONST, DELTA, Datom, EAVT, FOR, KEYS, LOG, META, ORDERS, REF, RET, RLE,
                          STRIDE, TOP, U64, VAET, WORDS, address, hash64, order_key, signed, varint, zigzag)


# ---------------------------------------------------------------------------------------------------------------- nodes

def packed(numbers):
    width, size = rules.packed_shape(max(numbers), len(numbers))
    word = sum(number << i * width for i, number in enumerate(numbers))
    return bytes([width]) + word.to_bytes(size - 1, "little")


def simple_column(numbers):
    first = rules.simple_shape(numbers)[0]
    base = min(numbers) if first & 7 == FOR else numbers[0]
    out = bytes([first]) + varint(zigzag(signed(base ^ TOP)) if first >> 3 else base)
    if first & 7 == CONST:
        return out
    if first & 7 == STRIDE:
        return out + varint(zigzag(signed(numbers[1] - numbers[0] & U64)))
    return out + packed([number - base for number in numbers])


def column(numbers):
    first, size = rules.column_shape(numbers)
    if first == DELTA:
        steps = [b - a if i % BLOCK_ROWS else 0 for i, (a, b) in enumerate(zip(numbers[:1] + numbers, numbers))]
        out = bytes([first]) + simple_column(numbers[::BLOCK_ROWS]) + packed(steps)
    elif first == RLE:
        ends = [i for i in range(1, len(numbers)) if numbers[i - 1] != numbers[i]]
        values = [numbers[i] for i in [0] + ends]
        out = bytes([first]) + varint(len(values)) + simple_column(values) + simple_column(ends)
    else:
        out = simple_column(numbers)
    assert len(out) == size
    return out


def group_values(kind, values):
    if kind in WORDS:
        return column([key for _, key in values])
    entries = sorted(set(values), key=lambda v: (order_key(v), v[1]))
    codes = {value: i for i, value in enumerate(entries)}
    ends = [sum(len(raw) for _, raw in entries[:i + 1]) for i in range(len(entries))]
    return column([codes[v] for v in values]) + varint(len(entries)) + column(ends) + b"".join(raw for _, raw in entries)


@functools.lru_cache(maxsize=10000)
def leaf(order, rows):
    groups = sorted({(d.a, d.v[0]) for d in rows})
    out = [b"\xb1", bytes([order, 0]), varint(len(rows)), varint(len(groups)), column([d.e for d in rows]),
           column([d.t for d in rows]), column([groups.index((d.a, d.v[0])) for d in rows])]
    if order == VAET:
        out.append(column([d.v[1] for d in rows]))
    if order == RET:
        out.append(column([d.x for d in rows]))
    if order == LOG:
        out.append(column([d.added for d in rows]))
    before = 0
    for a, kind in groups:
        out.append(varint(a - before) + bytes([kind]) + varint(sum((d.a, d.v[0]) == (a, kind) for d in rows)))
        before = a
    if order != VAET:
        out += [group_values(kind, [d.v for d in rows if (d.a, d.v[0]) == (a, kind)]) for a, kind in groups]
    return b"".join(out)


# ----------------------------------------------------------------------------------------------------------------- head

def frame(kind, body):
    start = struct.pack("<IB", len(body), kind)
    return start + struct.pack("<IQ", hash64(start, 0) & 0xffffffff, hash64(body, kind)) + body


def ids(parents):
    return bytes([len(parents)]) + b"".join(parents)


def leaves(datoms):
    parts = [leaf(LOG, tuple(datoms[i:i + head.LEAF_ROWS])) for i in range(0, len(datoms), head.LEAF_ROWS)]
    return b"".join(varint(len(part)) + part for part in parts)


def transaction_frame(x, change):
    """A frame of version 1 if the transaction has an id of version 1."""
    rest = x.commit + varint(len(x.datoms)) + leaves(x.datoms)
    if x.rules == (1,):
        return frame(head.TX_1, change("frame", struct.pack("<Q", x.t) + ids(x.before + x.others) + rest))
    return frame(head.TX, change("frame", struct.pack("<QBQ", x.t, x.flags, x.attempt) + ids(x.others) + rest))


def packed_segment(transactions):
    out, last = [varint(len(transactions))], head.FIRST_TX
    for x in transactions:
        flags = x.flags | (head.HAS_OTHERS if x.others else 0)
        out.append(varint(x.t - last) + bytes([flags]) + varint(len(x.datoms)) + (ids(x.others) if x.others else b""))
        out.append(struct.pack("<Q", x.attempt) + x.commit)
        last = x.t
    return b"".join(out) + leaves([d for x in transactions for d in x.datoms])


def attempts(transactions):
    have = [x for x in transactions if x.attempt][-head.ATTEMPTS_MAX:]
    steps = zip([head.FIRST_TX] + [x.t for x in have], have)
    return varint(len(have)) + b"".join(varint(x.t - last) + struct.pack("<Q", x.attempt) for last, x in steps)


def base_body(base):
    flags = base.history | base.flexible << 1 | base.tag << 2
    out = [bytes([base.version, flags]), base.id, varint(base.t), varint(zigzag(base.instant)), base.commit,
           varint(base.next_entity), varint(base.next_attribute), varint(base.epoch) if base.version > 1 else b"",
           varint(len(base.packs)), *base.packs]
    for height, count, root, locator in base.trees:
        out.append(varint(height))
        if height:
            out.append(varint(count) + root + b"".join(map(varint, locator)))
    out.append(varint(len(base.regions)) + b"".join(varint(n) for region in base.regions for n in region))
    out.append(varint(len(base.segments)) + b"".join(name + varint(last) + varint(kind) for name, last, kind in base.segments))
    out.append(b"\0" + varint(len(base.schema)) + base.schema)
    if base.version > 1:
        out.append(b"\1" + base.attempts if base.attempts else b"\0")
        out.append(varint(len(base.hints)) + b"".join(varint(key) + varint(len(data)) + data for key, data in base.hints))
    return b"".join(out)


# --------------------------------------------------------------------------------------------------------------- chains

def chain(transactions):
    """The same transactions with the ids of their commits, each after the one before it."""
    out, before = [], []
    for x in transactions:
        did = head.written_datoms(x.datoms)
        commit = head.commit_id(x.rules[0], before + x.others, x.t, did if x.rules == (1,) else address(did))
        out.append(x._replace(commit=commit, before=before))
        before = [commit]
    return out


# -------------------------------------------------------------------------------------------------------------- objects

def entry(data):
    return bytes([0]) + varint(len(data)) * 2 + bytes([0]) + data


class Writer:
    """The files of a database of one branch, by their names."""

    def __init__(self, change=lambda name, data: data):
        self.change = change
        self.files = {"rille": b"rille database\nformat 1\n", "lock": b""}

    def blob(self, name, data):
        data = self.change(name, data)
        key = address(data)
        self.files["blobs/%s/%s" % (key.hex()[:2], key.hex())] = entry(data)
        return key

    def pack(self, nodes):
        """Its id, and where each of the leaves is: {address: (offset, length)}."""
        out, places = b"RILLPACK" + struct.pack("<IIQ", 1, 0, 0), {}
        for node in nodes:
            places.setdefault(address(node), (len(out), len(entry(node))))
            out += entry(node) if places[address(node)][0] == len(out) else b""
        footer = b"".join(key + struct.pack("<QI", *places[key]) for key in sorted(places))
        out = out[:16] + struct.pack("<Q", len(out)) + out[24:] + footer
        out += struct.pack("<QQQ", 0, 0, len(footer) + 32) + b"RILLPEND"
        key = address(out)
        self.files["packs/%s.pack" % key.hex()] = out
        return key, places

    def roots(self, rows, prefix=""):
        """The packs and trees of a base, from the rows of each tree."""
        nodes = {order: self.change(prefix + ORDERS[order], leaf(order, tuple(rows[order]))) for order in range(7) if rows[order]}
        if not nodes:
            return [], [(0, 0, bytes(32), (0, 0, 0))] * 7
        pack, places = self.pack(nodes.values())
        trees = [(0, 0, bytes(32), (0, 0, 0))] * 7
        for order, node in nodes.items():
            trees[order] = 1, len(rows[order]), address(node), (1,) + places[address(node)]
        return [pack], trees

    def head(self, base, transactions):
        cell = frame(head.BASE, self.change("base", base_body(base)))
        self.files["heads/main"] = cell + b"".join(transaction_frame(x, self.change) for x in transactions)

    def save(self, directory):
        for name in ("heads", "packs", "blobs"):
            os.makedirs(os.path.join(directory, name))
        for name, data in self.files.items():
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as handle:
                handle.write(data)


def tree_rows(transactions, indexed, purged, history):
    """The rows of all trees but META's retained bases. `purged`: {t: datoms it no longer has}."""
    current, retired, log, meta = {}, [], [], []
    for x in transactions:
        kept = [d for d in x.datoms if d not in purged.get(x.t, ())]
        for d in sorted(kept, key=lambda d: d.added):
            key = d.e, d.a, order_key(d.v)
            if d.added:
                current[key] = d
            else:
                retired.append(current.pop(key)._replace(x=x.t))
        log += kept + [Datom(x.t, 93, (BYTES, other), x.t, 0, 1) for other in x.others]
        stamp = x.t.to_bytes(8, "big")
        values = {90: x.commit[:8], 92: stamp + x.commit + b"".join(x.others)}
        if x.t in purged:
            values[94] = stamp + address(head.written_datoms(x.datoms))
        meta += [Datom(x.t, a, (BYTES, v), x.t, 0, 1) for a, v in values.items()]
    rows = {EAVT: list(current.values()), AEVT: list(current.values())}
    rows[AVET] = [d for d in rows[EAVT] if d.a in indexed]
    rows[VAET] = [d for d in rows[EAVT] if d.v[0] == REF]
    rows.update({LOG: log, RET: retired, META: meta} if history else {LOG: [], RET: [], META: []})
    return {order: sorted(rows[order], key=KEYS[order]) for order in rows}
