# SPDX-License-Identifier: MIT
"""Tests the reader with small databases that rille_writer.py makes: it reads them, and it notices damage.

    python3 damage.py GOLDEN [--all] [--write DIR]

GOLDEN is a database of version 2, of which only the first transaction is taken: it is the same in every one. The databases
have what the engine does not write yet, or seldom: merges, purges, tags, hints, transactions that are in the trees and beside
them, frames and ids of both versions. Then bits are flipped in every piece of them, checksums and addresses taken anew.
The reader must say what is wrong, unless only a field has changed that nothing else in the database repeats. --write puts
the databases into a directory, for other readers.
"""

import argparse
import os
import re
import sys

import rille_format
import rille_head as head
import rille_writer as writer
from rille_values import BYTES, Damage, Datom, INSTANT, KEYWORD, LONG, REF, TOP, address, require, varint

INDEXED = {1, 5, 6, 8, 9, 100}                                    # unique, or of type boolean, long or instant
ENTITY = 1 << 20
T = head.FIRST_TX


def parent(name):
    return address(name.encode())


class MemoryStore(rille_format.Store):
    """A store of files that a writer made. It remembers the nodes that it has read before."""

    nodes = {}

    def __init__(self, files):
        self.files = files
        super().__init__("memory")

    def node(self, name):
        if name not in self.nodes:
            self.nodes[name] = super().node(name)
        require(name in self.where, "node %s is in no pack", name.hex())
        return self.nodes[name]

    def pack_names(self):
        return sorted(name[6:] for name in self.files if name.startswith("packs/"))

    def file(self, *parts):
        require("/".join(parts) in self.files, "no file %s", "/".join(parts))
        return self.files["/".join(parts)]


# ------------------------------------------------------------------------------------------------------------ databases

def transaction(t, *facts, rule=2, others=(), flags=0):
    """One that sets the number of an entity; the first fact is its instant."""
    datoms = [Datom(t, 8, (INSTANT, TOP + 1000 * (t - T)), t, 0, 1)] + [Datom(e, a, v, t, 0, added) for e, a, v, added in facts]
    datoms.sort(key=rille_format.KEYS[rille_format.LOG])
    attempt = 0 if rule == 1 else 0x0102030405060708 * (t - T) % (1 << 64)
    return head.Transaction(t, flags, attempt, None, sorted(map(parent, others)), None, datoms, (rule,))


def number(n, e=ENTITY, added=1):
    return e, 100, (LONG, TOP + n), added


def transactions(first, v1):
    """Ten of them, the first `v1` with ids of version 1."""
    attribute = [(100, 1, (KEYWORD, b"n"), 1), (100, 2, (REF, 31), 1), (100, 3, (REF, 20), 1)]
    datoms = [d for d in first.datoms]
    facts = [attribute, [number(7)], [number(7, added=0), number(-8)], [number(1, ENTITY + 1), number(2, ENTITY + 2)],
             [number(1, ENTITY + 1, 0)], [number(5, ENTITY + 3)], [number(6, ENTITY + 4)], [number(300, ENTITY + 5)],
             [number(6, ENTITY + 4, 0), number(7, ENTITY + 4)]]
    others = {3: ("a", "b"), 5: ("c",), 6: ("d", "e", "f"), 8: ("g",)}
    out = [first._replace(attempt=0, datoms=datoms, rules=(1 if v1 else 2,), others=[])]
    for i, what in enumerate(facts, 1):
        rule = 1 if i < v1 else 2
        out.append(transaction(T + i, *what, rule=rule, others=others.get(i, ()) if rule == 2 else (), flags=i in (6, 8)))
    return writer.chain(out)


class Made:
    """A database with `in_trees` of the transactions in its trees, and segments and a cell from `beside` on."""

    def __init__(self, change, all_of_them, version=2, history=1, in_trees=0, beside=None, segments=(), tag=0, purged=None):
        out = writer.Writer(change)
        beside = in_trees if beside is None else beside
        trees, last = all_of_them[:in_trees], all_of_them[in_trees - 1] if in_trees else None
        rows = writer.tree_rows(trees, INDEXED, purged or {}, history)
        schema = b"\0\1" + varint(100) + b"\1n" + bytes([LONG, 0, 0]) + b"\0" if in_trees > 1 else b"\0\0\0"
        base = head.Base(version, history, 0, tag, bytes(range(16)), last.t if last else 0, 1000 * (last.t - T) if last else 0,
                         last.commit if last else bytes(32), ENTITY + 6, 101, 77 if version > 1 else 0, [],
                         [(0, 0, bytes(32), (0, 0, 0))] * 7, [], [], schema, None, [])
        if history and in_trees > 2:
            self.retain(out, base, trees[:2], rows)
        packs, roots = out.roots(rows)
        listed = []
        for kind, end in segments:
            name, part = ("packed" if kind else "frames"), all_of_them[beside:end]
            data = writer.packed_segment(part) if kind else b"".join(writer.transaction_frame(x, change) for x in part)
            listed.append((out.blob(name, data), part[-1].t, kind))
            beside = end
        tried = version > 1 and any(x.attempt for x in trees)
        base = base._replace(packs=packs, trees=roots, segments=listed, hints=[(1000, b"hint")] if version > 1 else [],
                             attempts=out.blob("attempts", writer.attempts(trees)) if tried else None)
        out.head(base, all_of_them[beside:])
        self.files = out.files

    @staticmethod
    def retain(out, base, trees, rows):
        """The base after the first transactions, with its row of META."""
        last = trees[-1]
        packs, roots = out.roots(writer.tree_rows(trees, INDEXED, {}, 1), "retained ")
        base = base._replace(t=last.t, instant=1000 * (last.t - T), commit=last.commit, packs=packs, trees=roots, version=1, tag=0)
        name = out.blob("retained", writer.base_body(base))
        stamp = last.t.to_bytes(8, "big")
        row = Datom(last.t, 91, (BYTES, stamp + name), last.t, 0, 1)
        rows[rille_format.META] = sorted(rows[rille_format.META] + [row], key=rille_format.KEYS[rille_format.META])


def databases(first):
    """{name: function of `change` that makes it}"""
    new, mixed, old = transactions(first, 0), transactions(first, 3), transactions(first, 10)
    purged = {x.t: [d for d in x.datoms if d.a == 100] for x in (new[4], new[5])}
    purged = {t: [d for d in datoms if d.e == ENTITY + 1] for t, datoms in purged.items()}
    old = writer.chain([x._replace(others=[]) for x in old])
    return {
        "trees": lambda change: Made(change, new, in_trees=10),
        "beside": lambda change: Made(change, new, in_trees=6, beside=4, segments=[(1, 8)], purged=purged),
        "in-cell": lambda change: Made(change, new, in_trees=7, beside=6, tag=1),
        "mixed": lambda change: Made(change, mixed, in_trees=6, segments=[(1, 8)]),
        "frames": lambda change: Made(change, mixed, segments=[(0, 2), (1, 7)]),
        "old-cell": lambda change: Made(change, mixed, in_trees=2),
        "no-history": lambda change: Made(change, new, history=0, in_trees=6, beside=5, segments=[(1, 8)]),
        "version-1": lambda change: Made(change, old, version=1, in_trees=4, segments=[(0, 7)]),
    }


def database(made):
    return rille_format.Database(MemoryStore(made.files), "main")


# --------------------------------------------------------------------------------------------------------------- damage

def free_fields_gone(found):
    """What a database says, but for fields that nothing else in it repeats."""
    free = {"tag": 0, "epoch": 0, "hints": 0, "next_entity": 0, "next_attribute": 0, "packs": 0, "segments": 0, "attempts": 0}
    retained = [base._replace(flexible=0, schema=0, **free) for base in found.retained]
    rows = [{d for d in rows if d.a != rille_format.META_RETAINED} for rows in found.stored]
    unchecked = 1 if found.passed and not found.base.history else 0 # its parent is not known, so its id says nothing
    beside = [x._replace(attempt=0, flags=0, rules=0) for x in found.novelty[unchecked:]]
    return found.base._replace(id=0, trees=0, **free), retained, list(found.attempts), rows, beside


def flips(name, make, every):
    """(piece, where, bit) of the flips to try: all, or one in so many bytes of each piece."""
    pieces = {}

    def note(piece, data):
        pieces.setdefault(piece, len(data))
        return data
    make(note)
    for piece, size in pieces.items():
        if piece.startswith("retained "):                         # trees that the reader does not walk
            continue
        step = 1 if every else 4 if piece == "attempts" else 31 if piece in ("packed", "base", "frame") else 199
        for at in range(0, size, step):
            for bit in range(8) if every else [(at * 5 + len(name)) % 8]:
                yield piece, at, bit


def flipped(piece, at, bit):
    """A change of the first piece of that name."""
    done = []

    def change(name, data):
        if name != piece or done or at >= len(data):
            return data
        done.append(name)
        return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1:]
    return change


def sweep(name, make, every):
    whole, noticed, free = free_fields_gone(database(make(lambda _, data: data))), 0, 0
    for piece, at, bit in flips(name, make, every):
        try:
            found = database(make(flipped(piece, at, bit)))
        except Damage:
            noticed += 1
            continue
        free += 1
        require(free_fields_gone(found) == whole, "%s: bit %d of byte %d of %s: not noticed", name, bit, at, piece)
    require(noticed, "%s: no flip was noticed", name)
    return noticed, free


def instead(piece, old, new):
    def change(name, data):
        require(name != piece or len(old) == len(new), "not as long")
        return data.replace(old, new) if name == piece else data
    return change


def named_damage(first):
    """(database, change, message): what is wrong, and how the reader must call it."""
    new = transactions(first, 0)
    a = min(map(parent, "ab"))
    other = a[:31] + bytes([a[31] ^ 1])
    mark = address(head.written_datoms(new[4].datoms))
    stamp = new[4].t.to_bytes(8, "big")
    commit = new[3].commit
    attempt = (new[4].attempt).to_bytes(8, "little")
    return [
        ("trees", instead("LOG", a, other), "META has other parents than LOG"),
        ("trees", instead("META", a, other), "META has other parents than LOG"),
        ("trees", lambda n, data: data.replace(a, other) if n in ("LOG", "META") else data, "META has another commit id"),
        ("trees", instead("META", commit, commit[:31] + bytes([commit[31] ^ 1])), "META has another commit id"),
        ("beside", instead("META", stamp + mark, stamp + mark[:31] + bytes([mark[31] ^ 1])), "META has another commit id"),
        ("beside", instead("attempts", attempt, attempt[::-1]), "attempts: another one of transaction"),
        ("beside", instead("packed", attempt, attempt[::-1]), "attempts: another one of transaction"),
        ("beside", instead("packed", parent("c"), parent("C")), "LOG has another"),
        ("trees", lambda n, data: data[:-9] if n == "attempts" else data, "attempts: ends"),
        ("trees", lambda n, data: bytes([data[0] - 1]) + data[1:-9] if n == "attempts" else data, "attempts: 8, 9 expected"),
        ("in-cell", lambda n, data: data[:8] + b"\2" + data[9:] if n == "frame" else data, "flags 2"),
        ("in-cell", lambda n, data: data[:1] + b"\x0d" + data[2:] if n == "base" else data, "base: flags 13"),
        ("in-cell", lambda n, data: b"\3" + data[1:] if n == "base" else data, "base: version 3"),
        ("version-1", lambda n, data: data[:1] + b"\5" + data[2:] if n == "base" else data, "base: flags 5"),
        ("trees", lambda n, data: data[:-8] + b"\1\1\1\5" if n == "base" else data, "base: 5 bytes of upper levels"),
        ("trees", lambda n, data: data[:-8] + b"\1\1\2\5\0" if n == "base" else data, "base: upper levels"),
        ("mixed", lambda n, data: data[:2] + b"\1" + data[3:] if n == "packed" else data, "segment"),
    ]


def check_named(makers, first):
    for i, (name, change, message) in enumerate(named_damage(first)):
        try:
            database(makers[name](change))
        except Damage as damage:
            require(re.search(message, str(damage)), "damage %d of %s: %s; not: %s", i, name, damage, message)
        else:
            require(False, "damage %d of %s: not noticed; should be: %s", i, name, message)


def main():
    parser = argparse.ArgumentParser(description="tests the reader with small databases, whole and damaged")
    parser.add_argument("golden")
    parser.add_argument("--all", action="store_true", help="flip every bit")
    parser.add_argument("--write", metavar="DIR", help="write the databases, too")
    options = parser.parse_args()
    noticed = free = 0
    try:
        first = rille_format.Database(rille_format.Store(options.golden), "main").log[0]
        makers = databases(first)
        for name, make in makers.items():
            database(make(lambda _, data: data))
        if options.write:
            for name, make in makers.items():
                out = writer.Writer()
                out.files = make(lambda _, data: data).files
                out.save(os.path.join(options.write, name))
        check_named(makers, first)
        for name, make in makers.items():
            counts = sweep(name, make, options.all)
            noticed, free = noticed + counts[0], free + counts[1]
    except Damage as damage:
        sys.exit("damage: %s" % damage)
    print("damage: %d databases; %d flipped bits noticed, %d of fields that nothing repeats" % (len(makers), noticed, free),
          file=sys.stderr)


if __name__ == "__main__":
    main()
