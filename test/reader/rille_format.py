# SPDX-License-Identifier: MIT
"""An independent reader of rille's stored format, version 1, written from docs/format*.md alone.

    python3 rille_format.py DIR [--branch NAME] [--log] [--quiet] [--no-rules]

It reads a `file:` database, checks everything the documentation says about it - checksums, addresses, order, counts,
separators, the chain of commits, that all trees tell the same story, and with rille_rules.py that there is no other way to
write it - and prints the current datoms as `e attribute value tx`, with --log also the transactions and their datoms. The first
thing that does not fit ends it with a message and exit code 1. It shares no code with the engine and needs only libzstd.
"""

import argparse
import bisect
import collections
import os
import re
import struct
import sys

import rille_rules as rules
from rille_values import (AEVT, AVET, BLOCK_ROWS, BYTES, Bytes, CONST, DELTA, Damage, Datom, EAVT, FLOATS, FOR, INSTANT,
                          KEYS, LOG, MAX_ID, META, NIL, NIL_VALUE, ORDERS, REF, RET, RLE, STRIDE, TOP, TYPE_NAMES, U64, VAET,
                          WORDS, address, check_value, hash64, increase, order_key, require, show, unzigzag, unzstd,
                          written)

MAX_LEVEL, MAX_ROWS = 16, 4096
MAX_NODE, MAX_BLOB = 4 << 20, (64 << 20) + (64 << 10)
FIRST_ATTRIBUTE, FIRST_ENTITY, FIRST_TX = 100, 1 << 20, 1 << 40
DB_IDENT, DB_TX_INSTANT = 1, 8


# -------------------------------------------------------------------------------------------------------------- columns

def read_packed(read, n):
    width = read.u8()
    require(width <= 56 or width == 64, "%s: packed numbers of %d bits", read.what, width)
    data = read.take((n * width + 7) // 8)
    if width == 0:
        return [0] * n
    mask = (1 << width) - 1
    out = []
    for at in range(0, len(data), width):                         # 8 numbers are `width` bytes
        word = int.from_bytes(data[at:at + width], "little")
        out.extend(word >> i * width & mask for i in range(min(8, n - len(out))))
    require(n % 8 == 0 or word >> (n % 8) * width == 0, "%s: bits after the last packed number", read.what)
    return out


def read_column(read, n, simple=False):
    """A column of n numbers. `simple`: one inside another column."""
    first = read.u8()
    mode, is_signed = first & 7, first >> 3 & 1
    require(first < 16 and mode <= (FOR if simple else RLE), "%s: column mode 0x%02x", read.what, first)
    if mode <= FOR:
        base = read.varint()
        if is_signed:
            base = (unzigzag(base) ^ TOP) & U64
        if mode == CONST:
            return [base] * n
        if mode == STRIDE:
            step = unzigzag(read.varint())
            return [(base + i * step) & U64 for i in range(n)]
        return [(base + p) & U64 for p in read_packed(read, n)]
    require(not is_signed, "%s: column mode 0x%02x", read.what, first)
    if mode == DELTA:
        heads = read_column(read, (n + BLOCK_ROWS - 1) // BLOCK_ROWS, True)
        out = []
        for i, delta in enumerate(read_packed(read, n)):
            if i % BLOCK_ROWS == 0:
                require(delta == 0, "%s: a block's first packed number is %d", read.what, delta)
                out.append(heads[i // BLOCK_ROWS])
            else:
                out.append((out[-1] + delta) & U64)
        return out
    runs = read.varint()
    require(2 <= runs <= n, "%s: %d runs in %d rows", read.what, runs, n)
    values = read_column(read, runs, True)
    ends = read_column(read, runs - 1, True)
    require(ends[0] > 0 and ends[-1] < n and increase(ends), "%s: bad ends of runs", read.what)
    return [values[bisect.bisect_right(ends, i)] for i in range(n)]


# ---------------------------------------------------------------------------------------------------------------- nodes


Node = collections.namedtuple("Node", "order level rows counts children")

class NodeReader:
    """Decodes nodes; with `with_rules` it also checks that they are what a writer makes of their rows."""

    def __init__(self, with_rules=True):
        self.with_rules = with_rules
        self.modes = collections.Counter()

    def column(self, read, n):
        at = read.at
        numbers = read_column(read, n)
        self.modes[("CONST", "STRIDE", "FOR", "DELTA", "RLE")[read.data[at] & 7]] += 1
        if self.with_rules:
            shape = rules.column_shape(numbers)
            require(shape == (read.data[at], read.at - at), "%s: a column at byte %d is mode 0x%02x in %d bytes, not 0x%02x in %d",
                    read.what, at, read.data[at], read.at - at, *shape)
        return numbers

    def dictionary(self, read, kind, rows):
        codes = self.column(read, rows)
        entries = read.varint()
        require(1 <= entries <= rows, "%s: %d entries for %d rows", read.what, entries, rows)
        ends = self.column(read, entries)
        require(all(a <= b for a, b in zip(ends, ends[1:])), "%s: ends of entries decrease", read.what)
        data = read.take(ends[-1])
        values = [(kind, data[a:b]) for a, b in zip([0] + ends, ends)]
        for value in values:
            check_value(value)
        keys = [(order_key(v), v[1]) for v in values]
        require(increase(keys), "%s: entries are not in order", read.what)
        require(set(codes) == set(range(entries)), "%s: codes %d to %d of %d entries", read.what, min(codes), max(codes), entries)
        return [values[code] for code in codes]

    def group_values(self, read, order, kind, rows):
        if order == VAET or kind == NIL:
            return [NIL_VALUE] * rows
        if kind not in WORDS:
            return self.dictionary(read, kind, rows)
        values = [(kind, key) for key in self.column(read, rows)]
        for value in values:
            check_value(value)
        return values

    def node(self, data, what):
        read = Bytes(data, what)
        require(len(data) <= MAX_NODE, "%s: %d bytes", what, len(data))
        require(read.u8() == 0xb1, "%s: not a node of version 1", what)
        order, level = read.u8(), read.u8()
        require(order <= META and level <= MAX_LEVEL, "%s: order %d, level %d", what, order, level)
        n, groups = read.varint(), read.varint()
        require(1 <= n <= MAX_ROWS and 1 <= groups <= n, "%s: %d rows, %d groups", what, n, groups)
        entities, times, group_of = (self.column(read, n) for _ in range(3))
        require(max(entities) < MAX_ID and max(times) < MAX_ID, "%s: an id is too high", what)
        refs = self.column(read, n) if order == VAET else None
        retired = self.column(read, n) if order == RET else [0] * n
        added = self.column(read, n) if order == LOG else [1] * n
        require(max(added) <= 1 and max(retired) < MAX_ID, "%s: OP or X out of range", what)
        require(refs is None or max(refs) < MAX_ID, "%s: a ref is too high", what)
        directory = self.directory(read, order, level, groups)
        sizes = collections.Counter(group_of)
        require(dict(sizes) == {g: rows for g, (_, _, rows) in enumerate(directory)}, "%s: G and the directory differ", what)
        values = [iter(self.group_values(read, order, kind, rows)) for _, kind, rows in directory]
        rows = [Datom(e, directory[g][0], (REF, refs[i]) if refs else next(values[g]), t, x, op)
                for i, (e, t, g, x, op) in enumerate(zip(entities, times, group_of, retired, added))]
        require(increase([KEYS[order](row) for row in rows]), "%s: rows are not in order", what)
        counts = children = None
        if level:
            counts = self.column(read, n)
            require(min(counts) >= 1, "%s: an empty child", what)
            children = [read.take(32) for _ in range(n)]
        read.end()
        return Node(order, level, rows, counts, children)

    @staticmethod
    def directory(read, order, level, groups):
        out, attribute = [], 0
        for _ in range(groups):
            attribute += read.varint()
            kind, rows = read.u8(), read.varint()
            require(attribute < 1 << 32 and kind <= FLOATS, "%s: a group of attribute %d, type %d", read.what, attribute, kind)
            require(order != VAET or kind == REF, "%s: a group of type %d", read.what, kind)
            require(kind != NIL or level, "%s: nil in a leaf", read.what)
            require(not out or (attribute, kind) > out[-1][:2], "%s: groups are not in order", read.what)
            out.append((attribute, kind, rows))
        return out


# ---------------------------------------------------------------------------------------------------------------- trees

class Tree:
    """Walks one tree of a base and checks it as a whole."""

    def __init__(self, store, order, height, count, root):
        self.store, self.order, self.height, self.count, self.root = store, order, height, count, root
        self.cutters = [rules.Cutter(order, level) for level in range(height)]
        self.last = None                                          # the last datom of the leaf before
        self.nodes = 0

    def datoms(self):
        """All datoms, in order."""
        seen = 0
        if self.height:
            for leaf in self.leaves(self.root, self.height - 1, True):
                seen += len(leaf)
                yield from leaf
        require(seen == self.count, "%s: %d datoms, %d according to the base", ORDERS[self.order], seen, self.count)

    def leaves(self, name, level, leftmost, expected=None):
        what = "%s node %s" % (ORDERS[self.order], name.hex())
        node = self.store.node(name)
        self.nodes += 1
        require((node.order, node.level) == (self.order, level), "%s: order %d, level %d", what, node.order, node.level)
        if expected is not None and level:
            require(sum(node.counts) == expected, "%s: counts %d, its parent %d", what, sum(node.counts), expected)
        require(level < self.height - 1 or not level or len(node.rows) > 1, "%s: a root with one child", what)
        if self.store.with_rules:
            self.cutters[level].check(node.rows, what)
        if level == 0:
            require(expected in (None, len(node.rows)), "%s: %d rows, its parent says %s", what, len(node.rows), expected)
            require(all(row.x > 0 for row in node.rows) or self.order != RET, "%s: a retired datom without x", what)
            yield node.rows
            return
        for i, (row, count, child) in enumerate(zip(node.rows, node.counts, node.children)):
            for number, leaf in enumerate(self.leaves(child, level - 1, leftmost and i == 0, count)):
                if number == 0:
                    self.check_separator(row, leaf[0], leftmost and i == 0, what)
                yield leaf
                self.last = leaf[-1]

    def check_separator(self, row, first, is_zero, what):
        key = KEYS[self.order]
        if not is_zero:
            require(key(self.last) < key(row) <= key(first), "%s: a separator does not separate", what)
        cut = rules.separator(self.order, None if is_zero else self.last, first)
        got = row._asdict()
        if self.order != LOG:
            cut["added"] = got["added"]
        require(not self.store.with_rules or cut == got, "%s: separator %r, should be %r", what, got, cut)


# ---------------------------------------------------------------------------------------------------------------- store

class Store:
    """A `file:` directory: packs by their footers, blobs, heads."""

    def __init__(self, path, with_rules=True):
        self.path, self.with_rules = path, with_rules
        self.reader = NodeReader(with_rules)
        self.where = {}                                           # address -> (pack, offset, length)
        self.packs = {}                                           # id -> bytes
        self.locators = self.wrong_locators = self.blobs_read = 0
        require(self.file("rille") == b"rille database\nformat 1\n", "%s: not a rille database of format 1", path)
        directory = os.path.join(path, "packs")
        for name in sorted(os.listdir(directory) if os.path.isdir(directory) else []):
            if re.fullmatch(r"[0-9a-f]{64}\.pack", name):
                self.open_pack(bytes.fromhex(name[:64]), self.file("packs", name))

    def file(self, *parts):
        try:
            with open(os.path.join(self.path, *parts), "rb") as handle:
                return handle.read()
        except OSError as error:
            raise Damage(str(error)) from None

    def head(self, branch):
        name = re.sub(rb"[^A-Za-z0-9_.-]|^\.", lambda m: b"%%%02X" % m.group()[0], branch.encode())
        return self.file("heads", name.decode())

    def open_pack(self, name, data):
        what = "pack " + name.hex()
        require(address(data) == name, "%s: its bytes have another hash", what)
        read = Bytes(data, what)
        require(read.take(8) == b"RILLPACK", "%s: no pack", what)
        if read.u32() != 1:
            return                                                # of another version: passed over
        require(read.u32() == 0, "%s: bytes 12 to 15", what)
        footer = read.u64()
        require(24 <= footer <= len(data) - 32, "%s: footer at %d", what, footer)
        read.at = len(data) - 32
        branches, branch_bytes, length = read.u64(), read.u64(), read.u64()
        require(read.take(8) == b"RILLPEND", "%s: no end", what)
        require(length == len(data) - footer and (length - 32) % 44 == 0, "%s: footer of %d bytes", what, length)
        read.at = footer
        rows = [(read.take(32), read.u64(), read.u32()) for _ in range((length - 32) // 44)]
        require(increase([row[0] for row in rows]), "%s: footer is not in order", what)
        at = 24
        for _, offset, size in sorted(rows, key=lambda row: row[1]):
            require(offset == at and size > 0, "%s: an entry at %d, should be at %d", what, offset, at)
            at += size
        require(at == footer, "%s: entries end at %d, footer at %d", what, at, footer)
        self.packs[name] = data, rows, branches, branch_bytes
        for key, offset, size in rows:
            self.where.setdefault(key, []).append((name, offset, size))

    def entry(self, data, name, limit, what):
        """A stored entry: its bytes and its locator block."""
        read = Bytes(data, what)
        codec, length, stored, locators = read.u8(), read.varint(), read.varint(), read.varint()
        require(codec <= 1 and length <= limit, "%s: codec %d, length %d", what, codec, length)
        body = read.take(stored)
        if codec == 0:
            require(stored == length, "%s: raw, but %d of %d bytes", what, stored, length)
        else:
            require(stored * 32768 >= length, "%s: %d bytes from %d", what, length, stored)
            body = unzstd(body, length, what)
        require(address(body) == name, "%s: its bytes have another hash", what)
        block = read.take(locators)
        read.end()
        return body, block

    def node(self, name):
        require(name in self.where, "node %s is in no pack", name.hex())
        pack, offset, size = self.where[name][0]
        body, block = self.entry(self.packs[pack][0][offset:offset + size], name, MAX_NODE, "node " + name.hex())
        node = self.reader.node(body, "node " + name.hex())
        require(node.level or not block, "leaf %s has locators", name.hex())
        if block:
            self.check_locators(block, pack, node.children, "locators of " + name.hex())
        return node

    def check_locators(self, block, own, children, what):
        read = Bytes(block, what)
        packs = [read.take(32) for _ in range(read.varint())]
        last, end = 0, 0
        for child in children:
            k = read.varint()
            if k:
                offset = (end if k == last else 0) + unzigzag(read.varint())
                size = read.varint()
                last, end = k, offset + size
                require(k - 2 < len(packs), "%s: pack %d of %d", what, k - 2, len(packs))
                self.locators += 1
                self.wrong_locators += (own if k == 1 else packs[k - 2], offset, size) not in self.where.get(child, ())
        read.end()

    def blob(self, name):
        text = name.hex()
        body, block = self.entry(self.file("blobs", text[:2], text), name, MAX_BLOB, "blob " + text)
        require(not block, "blob %s has locators", text)
        self.blobs_read += 1
        return body

    def check_packs(self):
        """All entries of all packs, and where their branches lie."""
        for name, (data, rows, branches, branch_bytes) in self.packs.items():
            for key, offset, size in rows:
                what = "node %s in pack %s" % (key.hex(), name.hex())
                body, _ = self.entry(data[offset:offset + size], key, MAX_NODE, what)
                inside = branches <= offset and offset + size <= branches + branch_bytes
                require((body[2] > 0) == inside, "%s: level %d, %s the branch region", what, body[2], "in" if inside else "not in")


# ----------------------------------------------------------------------------------------------------------------- head

BASE, TX = 1, 2
HEADER, SECTOR = 17, 512

Base = collections.namedtuple("Base", "history flexible id t instant commit next_entity next_attribute packs trees regions "
                                      "segments schema")
Transaction = collections.namedtuple("Transaction", "t parents commit datoms")


def frame_at(cell, at):
    """(end, kind, body) of a frame: end None where the header does not match, body None where the rest does not."""
    header = cell[at:at + HEADER]
    if len(header) < HEADER:
        return None, 0, None
    length, kind, check, checksum = struct.unpack("<IBIQ", header)
    if check != hash64(header[:5], 0) & 0xffffffff or kind not in (BASE, TX):
        return None, 0, None
    end = at + HEADER + length
    body = cell[at + HEADER:end]
    return end, kind, body if end <= len(cell) and checksum == hash64(body, kind) else None


def frames(cell, what, may_be_torn):
    """The frames of a cell or segment as (kind, body). A torn end, where there may be one, is ignored."""
    at = 0
    while at < len(cell):
        end, kind, body = frame_at(cell, at)
        if body is None:
            require(may_be_torn and at > 0 and is_torn(cell, at, end), "%s: damaged frame at byte %d", what, at)
            return
        yield kind, body
        at = end


def is_torn(cell, at, end):
    """The end of an append that a crash cut short; end None: the header does not match."""
    extent = end or at + HEADER
    if extent > len(cell):
        return True
    starts = [at] + list(range((at // SECTOR + 1) * SECTOR, extent, SECTOR))
    if any(not any(cell[start:]) for start in starts):
        return True
    if not any(not any(cell[start:(start // SECTOR + 1) * SECTOR]) for start in starts):
        return False
    return end == len(cell) if end else all(frame_at(cell, i)[2] is None for i in range(at + 1, len(cell)))


def read_base(data, what):
    read = Bytes(data, what)
    version, flags = read.u8(), read.u8()
    require(version == 1 and flags < 4, "%s: version %d, flags %d", what, version, flags)
    ident, t, instant, commit = read.take(16), read.varint(), unzigzag(read.varint()), read.take(32)
    next_entity, next_attribute = read.varint(), read.varint()
    packs = [read.take(32) for _ in range(read.varint())]
    trees = []
    for order in range(7):
        height = read.varint()
        count, root, locator = 0, bytes(32), (0, 0, 0)
        if height:
            count, root, locator = read.varint(), read.take(32), (read.varint(), read.varint(), read.varint())
            require(count and locator[0] <= len(packs), "%s: tree %s", what, ORDERS[order])
        require(height <= MAX_LEVEL, "%s: height %d", what, height)
        trees.append((height, count, root, locator))
    regions = [(read.varint(), read.varint(), read.varint()) for _ in range(read.varint())]
    require(len(regions) <= 2, "%s: %d branch regions", what, len(regions))
    segments = []
    for _ in range(read.varint()):
        segments.append((read.take(32), read.varint()))
        require(read.varint() == 0, "%s: a segment's last varint", what)
    schema_kind = read.u8()
    require(schema_kind < 2, "%s: schema %d", what, schema_kind)
    schema = read.take(32) if schema_kind else read.block()
    read.end()
    return Base(flags & 1, flags >> 1, ident, t, instant, commit, next_entity, next_attribute, packs, trees, regions, segments,
                (schema_kind, schema))


def read_schema(data):
    """{id: (ident, type, unique, many, index, component, no history)} and {id: ident} of what is no attribute."""
    read = Bytes(data, "schema")
    require(read.u8() < 2, "schema: flags")
    attributes, others = {}, {}
    for _ in range(read.varint()):
        key, ident, kind, unique, flags = read.varint(), read.block().decode(), read.u8(), read.u8(), read.u8()
        require(kind <= FLOATS and unique < 3 and flags < 16, "schema: attribute %d", key)
        attributes[key] = ident, kind, unique, flags & 1, flags >> 1 & 1, flags >> 2 & 1, flags >> 3
    for _ in range(read.varint()):
        key = read.varint()
        others[key] = read.block().decode()
    read.end()
    return attributes, others


def read_transaction(data, reader, what):
    read = Bytes(data, what)
    t = read.u64()
    parents = [read.take(32) for _ in range(read.u8())]
    commit, count = read.take(32), read.varint()
    datoms = []
    while read.left():
        require(len(datoms) % 1024 == 0, "%s: a leaf of %d rows that is not the last", what, len(datoms) % 1024)
        leaf = reader.node(read.block(), what)
        require((leaf.order, leaf.level) == (LOG, 0) and len(leaf.rows) <= 1024, "%s: not a LOG leaf", what)
        datoms.extend(leaf.rows)
    require(len(datoms) == count, "%s: %d datoms, should be %d", what, len(datoms), count)
    require(all(d.t == t for d in datoms), "%s: a datom of another transaction", what)
    return Transaction(t, parents, commit, datoms)


def commit_id(parents, t, datoms):
    out = [b"rille commit 1\0", bytes([len(parents)])] + parents + [struct.pack("<Q", t)]
    for d in datoms:
        out.append(struct.pack("<QIB", d.e, d.a, d.added) + written(d.v))
    return address(b"".join(out))


# ------------------------------------------------------------------------------------------------------------- database

def fact(d):
    """What makes two datoms the same fact. Numbers of different types may be equal: 1.0 can retract 1."""
    return d.e, d.a, order_key(d.v)


class Database:
    """A branch's database: everything read and checked."""

    def __init__(self, store, branch):
        self.store = store
        cell = list(frames(store.head(branch), "head " + branch, True))
        require(cell and cell[0][0] == BASE and all(kind == TX for kind, _ in cell[1:]), "head %s: not a BASE and its TX", branch)
        self.base = read_base(cell[0][1], "base")
        for name in self.base.packs:
            require(name in store.packs, "pack %s of the base is missing", name.hex())
        self.trees = [Tree(store, order, *spec[:3]) for order, spec in enumerate(self.base.trees)]
        self.check_hints()
        self.stored = [list(tree.datoms()) for tree in self.trees]
        self.log = self.logged_transactions()
        self.novelty = list(self.segment_transactions())
        self.in_segments = len(self.novelty)
        self.novelty += [read_transaction(body, store.reader, "transaction in the head") for _, body in cell[1:]]
        require(self.base.t or self.novelty, "head %s: no transaction at all", branch)
        self.check_chain()
        self.current = {fact(d): (d.v, d.t) for d in self.stored[EAVT]}
        self.check_trees()
        for transaction in self.novelty:
            self.apply(self.current, transaction, None)

    def check_hints(self):
        base, store = self.base, self.store
        for order, (height, _, root, (pack, offset, size)) in enumerate(base.trees):
            if height and pack:
                place = base.packs[pack - 1], offset, size
                require(place in store.where.get(root, ()), "base: the root of %s is not where it says", ORDERS[order])
        for pack, offset, size in base.regions:
            require(1 <= pack <= len(base.packs) and store.packs[base.packs[pack - 1]][2:] == (offset, size),
                    "base: a branch region that pack %d does not have", pack)

    def logged_transactions(self):
        out = []
        for d in self.stored[LOG]:
            if not out or out[-1].t != d.t:
                out.append(Transaction(d.t, None, None, []))
            out[-1].datoms.append(d)
        return out

    def segment_transactions(self):
        for name, last in self.base.segments:
            what = "segment " + name.hex()
            for kind, body in frames(self.store.blob(name), what, False):
                require(kind == TX, "%s: frame of kind %d", what, kind)
                transaction = read_transaction(body, self.store.reader, what)
                yield transaction
            require(transaction.t == last, "%s: ends with %d, should be %d", what, transaction.t, last)

    def check_chain(self):
        """Commit ids of the log and the novelty, each the parent of the next; META knows them."""
        base, previous = self.base, None
        by_t = {d.e: d.v for d in self.stored[META] if d.a == 92}
        by_hash = {d.e: d.v for d in self.stored[META] if d.a == 90}
        if base.history:
            for i, transaction in enumerate(self.log):
                commit = commit_id([previous] if previous else [], transaction.t, transaction.datoms)
                require(by_t.get(transaction.t) == (BYTES, transaction.t.to_bytes(8, "big") + commit),
                        "transaction %d: META has another commit id than its datoms", transaction.t)
                require(by_hash.get(transaction.t) == (BYTES, commit[:8]), "transaction %d: META 90 differs", transaction.t)
                self.log[i] = transaction._replace(commit=commit, parents=[previous] if previous else [])
                previous = commit
            require(len(by_t) == len(by_hash) == len(self.log), "META: %d and %d commits, LOG: %d", len(by_t), len(by_hash),
                    len(self.log))
            require(not self.log or (base.t, base.commit) == (self.log[-1].t, previous), "base: its t or commit is not the log's")
        previous, last = (base.commit, base.t) if base.t else (None, 0)
        for transaction in self.novelty:
            t = transaction.t
            require(t > last, "transaction %d comes after %d", t, last)
            require(transaction.parents[:1] == ([previous] if previous else []), "transaction %d: another parent", t)
            require(commit_id(transaction.parents, t, transaction.datoms) == transaction.commit,
                    "transaction %d: another commit id", t)
            require(increase([KEYS[LOG](d) for d in transaction.datoms]), "transaction %d: datoms are not in order", t)
            previous, last = transaction.commit, t

    @staticmethod
    def apply(current, transaction, retired):
        for d in sorted(transaction.datoms, key=lambda d: d.added):
            key = fact(d)
            if d.added:
                require(key not in current, "transaction %d asserts what is current: %r", d.t, d)
                current[key] = d.v, d.t
            else:
                require(key in current, "transaction %d retracts what is not current: %r", d.t, d)
                was = current.pop(key)
                if retired is not None:
                    retired.add((d.e, d.a) + was + (d.t,))

    @staticmethod
    def idents(current):
        return {e: v[1].decode() for (e, a, _), (v, _) in current.items() if a == DB_IDENT}

    def attributes(self, current):
        """Of each attribute with an ident: {ident of its property: value}."""
        names, out = self.idents(current), collections.defaultdict(dict)
        for (e, a, _), (v, _) in current.items():
            if e in names and names.get(a, "").startswith("db/"):
                out[e][names[a]] = names.get(v[1]) if v[0] == REF else v[1]
        return out

    def check_trees(self):
        """The trees tell the same story."""
        facts = {(d.e, d.a, d.v, d.t) for d in self.stored[EAVT]}
        require(len(facts) == len(self.stored[EAVT]) == len(self.current), "EAVT: a datom twice")
        attributes = self.attributes(self.current)
        by_value = {"db.type/" + kind for kind in ("boolean", "long", "double", "instant")}
        indexed = {a for a, p in attributes.items() if p.get("db/index") or "db/unique" in p or p.get("db/valueType") in by_value}
        wanted = {AEVT: facts, VAET: {f for f in facts if f[2][0] == REF}, AVET: {f for f in facts if f[1] in indexed}}
        for order, want in wanted.items():
            have = {(d.e, d.a, d.v, d.t) for d in self.stored[order]}
            require(have == want, "%s: %d datoms, %d missing, %d too many, such as %r", ORDERS[order], len(have), len(want - have),
                    len(have - want), list(have ^ want)[:3])
        if self.base.history:
            current, retired = {}, set()
            for transaction in self.log:
                self.apply(current, transaction, retired)
            require(current == self.current, "EAVT is not what LOG leads to")
            have = {(d.e, d.a, d.v, d.t, d.x) for d in self.stored[RET]}
            require(have == retired, "RET: %d datoms, %d missing, %d too many", len(have), len(retired - have), len(have - retired))
        else:
            require(not self.stored[LOG] and not self.stored[RET] and not self.stored[META], "history in a database without")
        self.check_retained()
        self.check_base(attributes)

    def check_retained(self):
        commits = {transaction.t: transaction.commit for transaction in self.log}
        for d in self.stored[META]:
            require(d.a in (90, 91, 92) and d.t == d.e, "META: attribute %d, t %d, e %d", d.a, d.t, d.e)
            if d.a == 91:
                require(d.v[0] == BYTES and d.v[1][:8] == d.e.to_bytes(8, "big"), "META 91: %r", d)
                base = read_base(self.store.blob(d.v[1][8:]), "retained base")
                require((base.t, base.commit, base.id) == (d.e, commits.get(d.e), self.base.id) and not base.segments,
                        "retained base of %d is of %d", d.e, base.t)

    def check_base(self, attributes):
        """What the base repeats of its datoms: ids, the instant, the schema."""
        base, entities = self.base, [e for e, _, _ in self.current]
        require(all(e >= FIRST_TX or e < base.next_entity for e in entities), "base: next entity id")
        require(all(e >= FIRST_ENTITY or e < base.next_attribute for e in entities), "base: next attribute id")
        instants = [v for (e, a, _), (v, _) in self.current.items() if e == base.t and a == DB_TX_INSTANT]
        require(not base.t or instants == [(INSTANT, base.instant + TOP)], "base: its instant is not that of %d", base.t)
        kind, data = base.schema
        schema, others = read_schema(self.store.blob(data) if kind else data)
        want = {}
        for a, p in attributes.items():
            if FIRST_ATTRIBUTE <= a < FIRST_ENTITY:
                unique = ("db.unique/value", "db.unique/identity").index(p["db/unique"]) + 1 if "db/unique" in p else 0
                want[a] = (p["db/ident"].decode(), TYPE_NAMES.index(p["db/valueType"][8:]) if "db/valueType" in p else 0, unique,
                           p.get("db/cardinality") == "db.cardinality/many", bool(p.get("db/index")),
                           bool(p.get("db/isComponent")), bool(p.get("db/noHistory")))
        require(schema == want, "base: its schema is not what its datoms say: %r", set(schema.items()) ^ set(want.items()))
        idents = {e: name for e, name in self.idents(self.current).items() if e >= FIRST_ENTITY}
        require(others == idents, "base: its idents are not what its datoms say")

    def print_datoms(self, out):
        names, blobs = self.idents(self.current), self.store.blob
        rows = sorted((key, t, v) for key, (v, t) in self.current.items())
        for (e, a, _), t, v in rows:
            out.write("%d %s %s %d\n" % (e, names.get(a, a), show(v, blobs), t))

    def print_log(self, out):
        names, blobs = self.idents(self.current), self.store.blob
        for transaction in self.log + self.novelty:
            commit = transaction.commit.hex() if transaction.commit else "?"
            out.write("transaction %d commit %s datoms %d\n" % (transaction.t, commit, len(transaction.datoms)))
            for d in transaction.datoms:
                out.write("  %s %d %s %s\n" % ("+" if d.added else "-", d.e, names.get(d.a, d.a), show(d.v, blobs)))

    def summary(self):
        base, store = self.base, self.store
        trees = ", ".join("%s %d in %d nodes (height %d)" % (ORDERS[t.order], t.count, t.nodes, t.height) for t in self.trees)
        return ("base t %d; %s; %d transactions in LOG, %d in %d segments, %d in the head; %d current datoms; %d packs; "
                "%d locators, %d of them wrong; %d blobs read; columns %s" % (
                    base.t, trees, len(self.log), self.in_segments, len(base.segments), len(self.novelty) - self.in_segments,
                    len(self.current), len(store.packs), store.locators, store.wrong_locators, store.blobs_read,
                    dict(store.reader.modes)))


def main():
    parser = argparse.ArgumentParser(description="reads and checks a rille database in a directory")
    parser.add_argument("directory")
    parser.add_argument("--branch", default="main")
    parser.add_argument("--log", action="store_true", help="print all transactions, too")
    parser.add_argument("--quiet", action="store_true", help="print no datoms")
    parser.add_argument("--no-rules", action="store_true", help="do not check what only binds writers")
    options = parser.parse_args()
    sys.set_int_max_str_digits(0)
    try:
        store = Store(options.directory, not options.no_rules)
        store.check_packs()
        database = Database(store, options.branch)
        if not options.quiet:
            database.print_datoms(sys.stdout)
        if options.log:
            database.print_log(sys.stdout)
    except Damage as damage:
        sys.exit("rille_format: %s: %s" % (options.directory, damage))
    print("rille_format: %s: %s" % (options.directory, database.summary()), file=sys.stderr)


if __name__ == "__main__":
    main()
