# SPDX-License-Identifier: MIT
"""An independent reader of rille's stored format, versions 1 and 2, written from docs/format*.md alone.

    python3 rille_format.py DIR [--branch NAME] [--log] [--quiet] [--no-rules]

It reads a `file:` database, checks everything the documentation says about it - checksums, addresses, order, counts,
separators, the chain of commits and their other parents, attempts, that all trees tell the same story, and with
rille_rules.py that there is no other way to write it - and prints the current datoms as `e attribute value tx`, with --log
also the transactions and their datoms. The first thing that does not fit ends it with a message and exit code 1. It shares
no code with the engine and needs only libzstd.
"""

import argparse
import bisect
import collections
import os
import re
import sys

import rille_head as head
import rille_rules as rules
from rille_values import (AEVT, AVET, BLOCK_ROWS, BYTES, Bytes, CONST, DELTA, Damage, Datom, EAVT, FLOATS, FOR, INSTANT,
                          KEYS, LOG, MAX_ID, META, NIL, NIL_VALUE, ORDERS, REF, RET, RLE, STRIDE, TOP, TYPE_NAMES, U64, VAET,
                          WORDS, address, check_value, increase, order_key, require, show, unzigzag, unzstd)

MAX_ROWS = 4096
MAX_NODE, MAX_BLOB = 4 << 20, (64 << 20) + (64 << 10)
FIRST_ATTRIBUTE, FIRST_ENTITY = 100, 1 << 20
DB_IDENT, DB_TX_INSTANT = 1, 8
META_HASH, META_RETAINED, META_COMMIT, LOG_PARENT, META_PURGED = range(90, 95)


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
        require(order <= META and level <= head.MAX_LEVEL, "%s: order %d, level %d", what, order, level)
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
        for name in self.pack_names():
            if re.fullmatch(r"[0-9a-f]{64}\.pack", name):
                self.open_pack(bytes.fromhex(name[:64]), self.file("packs", name))

    def pack_names(self):
        directory = os.path.join(self.path, "packs")
        return sorted(os.listdir(directory)) if os.path.isdir(directory) else []

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


# ------------------------------------------------------------------------------------------------------------- database

def fact(d):
    """What makes two datoms the same fact. Numbers of different types may be equal: 1.0 can retract 1."""
    return d.e, d.a, order_key(d.v)


class Database:
    """A branch's database: everything read and checked."""

    def __init__(self, store, branch):
        self.store = store
        self.base, cell = head.read_cell(store.head(branch), "head " + branch)
        self.trees = [Tree(store, order, *spec[:3]) for order, spec in enumerate(self.base.trees)]
        self.check_hints(self.base)
        self.stored = [list(tree.datoms()) for tree in self.trees]
        self.log = self.logged_transactions()
        self.novelty = list(self.segment_transactions())
        self.in_segments = len(self.novelty)
        self.novelty += [head.read_transaction(kind, body, store.reader, "transaction in the head") for kind, body in cell]
        require(self.base.t or self.novelty, "head %s: no transaction at all", branch)
        self.marks, self.retained = {}, []
        self.rules = collections.Counter()                        # how many commit ids of each version
        self.passed = [transaction for transaction in self.novelty if transaction.t <= self.base.t]
        self.check_chain()
        self.current = {fact(d): (d.v, d.t) for d in self.stored[EAVT]}
        self.check_attempts()
        self.check_trees()
        for transaction in self.novelty[len(self.passed):]:
            self.apply(self.current, transaction, None)

    def check_hints(self, base):
        store = self.store
        for name in base.packs:
            require(name in store.packs, "pack %s of the base is missing", name.hex())
        for order, (height, _, root, (pack, offset, size)) in enumerate(base.trees):
            if height and pack:
                place = base.packs[pack - 1], offset, size
                require(place in store.where.get(root, ()), "base: the root of %s is not where it says", ORDERS[order])
        for pack, offset, size in base.regions:
            require(1 <= pack <= len(base.packs) and store.packs[base.packs[pack - 1]][2:] == (offset, size),
                    "base: a branch region that pack %d does not have", pack)
        self.check_upper(base)
        named = {root[3][0] for root in base.trees} | {pack for pack, _, _ in base.regions}
        require(named - {0} == set(range(1, len(base.packs) + 1)), "base: packs that neither roots nor regions name")

    def check_upper(self, base):
        """Hint 1: the end of the first region has the roots and the branches above branches that the pack has."""
        for data in (data for key, data in base.hints if key == 1):
            read = Bytes(data, "base: upper levels")
            size = read.varint()
            read.end()
            require(base.regions and 0 < size <= base.regions[0][2], "base: %d bytes of upper levels", size)
            pack, offset, whole = base.regions[0]
            start, rows = offset + whole - size, self.store.packs[base.packs[pack - 1]][1]
            upper = {key: at for key, at, _ in rows if start <= at < offset + whole}
            require(min(upper.values()) == start, "base: the upper levels begin inside a branch")
            roots = {root for height, _, root, _ in base.trees if height > 1}
            require(roots <= set(upper), "base: a root is not with the upper levels")
            above = {key for key, at, _ in rows if at >= offset and self.store.node(key).level > 1}
            require(above | roots == set(upper), "base: the upper levels are not the roots and the branches above branches")

    def logged_transactions(self):
        out = []
        for d in self.stored[LOG]:
            if not out or out[-1].t != d.t:
                out.append(head.Transaction(d.t, 0, None, None, [], None, [], (1, 2)))
            if d.a == LOG_PARENT:
                out[-1].others.append(head.parent_row(d))
            else:
                out[-1].datoms.append(d)
        return out

    def segment_transactions(self):
        for name, last, kind in self.base.segments:
            yield from head.read_segment(kind, self.store.blob(name), last, self.store.reader, "segment " + name.hex())

    def meta(self, attribute):
        """{t: what follows it} of the rows of META that begin with a t."""
        out = {}
        for d in self.stored[META]:
            if d.a == attribute:
                require(d.v[0] == BYTES and d.v[1][:8] == d.e.to_bytes(8, "big"), "META %d: %r", d.a, d)
                require(d.e not in out, "META %d: transaction %d twice", d.a, d.e)
                out[d.e] = d.v[1][8:]
        return out

    def check_chain(self):
        """Commit ids of the log and the novelty, each the parent of the next; META knows them."""
        base = self.base
        if base.history:
            self.check_log()
        before, last = ([base.commit], base.t) if base.t else ([], 0)
        if self.passed:
            self.check_passed()
        for transaction in self.novelty[len(self.passed):]:
            self.check_transaction(transaction, last, before)
            before, last = [transaction.commit], transaction.t

    def check_log(self):
        base, before = self.base, []
        commits, marks = self.meta(META_COMMIT), self.meta(META_PURGED)
        hashes = {d.e: d.v for d in self.stored[META] if d.a == META_HASH}
        require(all(len(digest) == 32 for digest in marks.values()), "META 94: not a digest")
        require(base.version > 1 or not marks, "META 94 in a base of version 1")
        for i, transaction in enumerate(self.log):
            t = transaction.t
            require(t in commits and len(commits[t]) >= 32, "transaction %d: META has no commit id", t)
            require(commits[t][32:] == b"".join(transaction.others), "transaction %d: META has other parents than LOG", t)
            require(base.version > 1 or not transaction.others, "transaction %d: other parents in a base of version 1", t)
            head.check_others(transaction.others, "transaction %d" % t)
            transaction = transaction._replace(commit=commits[t][:32], before=before)
            require(hashes.get(t) == (BYTES, transaction.commit[:8]), "transaction %d: META 90 differs", t)
            rule = head.matching_rule(transaction, before, marks.get(t))
            if not rule and t in marks and not self.rules[2]:
                self.rules["unknown"] += 1                        # of version 1, and purged: nothing to check its id with
            else:
                self.count_rule(transaction, rule, "META has another commit id than its datoms")
            self.check_instant(transaction)
            self.log[i] = transaction._replace(rules=(rule,))
            before = [transaction.commit]
        require(len(commits) == len(hashes) == len(self.log), "META: %d and %d commits, LOG: %d", len(commits), len(hashes),
                len(self.log))
        require(marks.keys() <= commits.keys(), "META 94: transactions that LOG does not have")
        require(not self.log or [base.t, base.commit] == [self.log[-1].t] + before, "base: its t or commit is not the log's")
        self.marks = marks

    def count_rule(self, transaction, rule, message):
        require(rule, "transaction %d: %s", transaction.t, message)
        require(rule <= self.base.version, "transaction %d: a commit id of version %d", transaction.t, rule)
        require(rule == 2 or not self.rules[2], "transaction %d: a commit id of version 1 after those of version 2", transaction.t)
        self.rules[rule] += 1

    @staticmethod
    def check_instant(transaction):
        instants = [d for d in transaction.datoms if d.e == transaction.t and d.a == DB_TX_INSTANT and d.added]
        require(len(instants) == 1 and instants[0].v[0] == INSTANT, "transaction %d: no instant", transaction.t)

    def check_transaction(self, transaction, last, before):
        t = transaction.t
        require(t > last, "transaction %d comes after %d", t, last)
        require(transaction.before in (None, before), "transaction %d: another parent", t)
        require(increase([KEYS[LOG](d) for d in transaction.datoms]), "transaction %d: datoms are not in order", t)
        require(t > head.FIRST_TX or not transaction.attempt, "transaction %d: an attempt of the first transaction", t)
        self.count_rule(transaction, head.matching_rule(transaction, before), "another commit id")
        self.check_instant(transaction)

    def check_passed(self):
        """Transactions that the trees have too: the newest of them, the same."""
        base, logged = self.base, {transaction.t: transaction for transaction in self.log}
        rules, self.rules = self.rules, collections.Counter()
        last, before = 0, None
        for transaction in self.passed:
            t, known = transaction.t, logged.get(transaction.t)
            if known:
                require((transaction.commit, transaction.others) == (known.commit, known.others),
                        "transaction %d: LOG has another", t)
                require(transaction.datoms == known.datoms or t in self.marks, "transaction %d: LOG has other datoms", t)
                before = known.before
            require(known or not base.history, "transaction %d: not in LOG", t)
            before = transaction.before if before is None else before
            if before is None:                                    # the first one, without history: its parent is not known
                require(t > last, "transaction %d comes after %d", t, last)
            else:
                self.check_transaction(transaction, last, before)
            last, before = t, [transaction.commit]
        require([last] + before == [base.t, base.commit], "base: its t or commit is not that of the transactions beside it")
        self.rules = rules

    def check_attempts(self):
        """The attempts of the newest transactions in the trees."""
        base = self.base
        found = head.read_attempts(self.store.blob(base.attempts), "attempts") if base.attempts else {}
        require(all(t <= base.t for t in found), "attempts: of transactions that the trees do not have")
        for transaction in self.passed[-head.ATTEMPTS_MAX:]:
            require(found.get(transaction.t, 0) == transaction.attempt, "attempts: another one of transaction %d", transaction.t)
        if base.history:
            have = [transaction.t for transaction in self.log if transaction.rules == (2,) and transaction.t > head.FIRST_TX]
            require(list(found) == have[-head.ATTEMPTS_MAX:], "attempts: %d, %d expected", len(found), len(have))
        self.attempts = found

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
        """Rows of META that have an e of their own, and the roots of retained bases."""
        logged = {transaction.t: transaction for transaction in self.log}
        for d in self.stored[META]:
            require(d.a in (META_HASH, META_RETAINED, META_COMMIT, META_PURGED) and d.t == d.e, "META: attribute %d, t %d, e %d",
                    d.a, d.t, d.e)
        for t, name in self.meta(META_RETAINED).items():
            base, transaction = head.read_base(self.store.blob(name), "retained base"), logged.get(t)
            require(transaction and (base.t, base.commit, base.id) == (t, transaction.commit, self.base.id),
                    "retained base of %d is of %d", t, base.t)
            require(base.history and base.version <= self.base.version and not base.segments and base.attempts is None,
                    "retained base of %d: no history, version %d, or segments, or attempts", t, base.version)
            instants = [d.v[1] for d in transaction.datoms if d.e == t and d.a == DB_TX_INSTANT and d.added]
            require(instants == [base.instant + TOP], "retained base of %d: another instant", t)
            self.check_hints(base)
            for order, (height, count, root, _) in enumerate(base.trees):
                if height:
                    node = self.store.node(root)
                    require((node.order, node.level) == (order, height - 1) and count == sum(node.counts or [1] * len(node.rows)),
                            "retained base of %d: the root of %s", t, ORDERS[order])
            self.retained.append(base)

    def check_base(self, attributes):
        """What the base repeats of its datoms: ids, the instant, the schema."""
        base, entities = self.base, [e for e, _, _ in self.current]
        require(all(e >= head.FIRST_TX or e < base.next_entity for e in entities), "base: next entity id")
        require(all(e >= FIRST_ENTITY or e < base.next_attribute for e in entities), "base: next attribute id")
        instants = [v for (e, a, _), (v, _) in self.current.items() if e == base.t and a == DB_TX_INSTANT]
        require(not base.t or instants == [(INSTANT, base.instant + TOP)], "base: its instant is not that of %d", base.t)
        kind, data = base.schema
        flexible, schema, others = head.read_schema(self.store.blob(data) if kind else data)
        require(flexible == base.flexible, "base: its flags and its schema differ")
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
        for transaction in self.log + self.novelty[len(self.passed):]:
            commit = transaction.commit.hex() if transaction.commit else "?"
            out.write("transaction %d commit %s datoms %d\n" % (transaction.t, commit, len(transaction.datoms)))
            for d in transaction.datoms:
                out.write("  %s %d %s %s\n" % ("+" if d.added else "-", d.e, names.get(d.a, d.a), show(d.v, blobs)))

    def summary(self):
        base, store = self.base, self.store
        trees = ", ".join("%s %d in %d nodes (height %d)" % (ORDERS[t.order], t.count, t.nodes, t.height) for t in self.trees)
        return ("version %d, base t %d, epoch %d%s; %s; %d transactions in LOG, %d of them purged, %d in %d segments, "
                "%d in the head, %d of these in LOG too; %d merges; %d attempts; %d retained bases; commit ids of version %s; "
                "%d current datoms; %d packs; %d locators, %d of them wrong; %d blobs read; columns %s" % (
                    base.version, base.t, base.epoch, ", tag" if base.tag else "", trees, len(self.log), len(self.marks),
                    self.in_segments, len(base.segments), len(self.novelty) - self.in_segments, len(self.passed),
                    sum(1 for transaction in self.log + self.novelty[len(self.passed):] if transaction.others),
                    len(self.attempts), len(self.retained), dict(self.rules), len(self.current), len(store.packs), store.locators,
                    store.wrong_locators, store.blobs_read, dict(store.reader.modes)))


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
