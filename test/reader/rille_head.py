# SPDX-License-Identifier: MIT
"""The head of a branch in rille's stored format, versions 1 and 2: frames, the base, transactions, segments, commit ids.

From docs/format.md alone.
"""

import collections
import struct

from rille_values import BYTES, Bytes, FLOATS, LOG, ORDERS, address, hash64, increase, require, unzigzag, written

MAX_LEVEL = 16
FIRST_TX = 1 << 40
BASE, TX_1, TX = 1, 2, 3                                          # kinds of frames
FRAMES, PACKED = 0, 1                                             # kinds of segments
HEADER, SECTOR = 17, 512
FLUSH_BEGUN, HAS_OTHERS = 1, 2                                    # flags of transactions
ATTEMPTS_MAX, OTHERS_MAX, LEAF_ROWS = 4096, 15, 1024

Base = collections.namedtuple("Base", "version history flexible tag id t instant commit next_entity next_attribute epoch packs "
                                      "trees regions segments schema attempts hints")

# `before`: the id of the commit before it on the branch, in a list that is empty for the first one; None: not stored here.
# `others`: the other parents. `rules`: the versions whose commit id it may have.
Transaction = collections.namedtuple("Transaction", "t flags attempt before others commit datoms rules")


# --------------------------------------------------------------------------------------------------------------- frames

def frame_at(cell, at):
    """(end, kind, body) of a frame: end None where the header does not match, body None where the rest does not."""
    header = cell[at:at + HEADER]
    if len(header) < HEADER:
        return None, 0, None
    length, kind, check, checksum = struct.unpack("<IBIQ", header)
    if check != hash64(header[:5], 0) & 0xffffffff or kind not in (BASE, TX_1, TX):
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


def read_cell(cell, what):
    """The base of a cell, and its transaction frames as (kind, body)."""
    found = list(frames(cell, what, True))
    require(found and found[0][0] == BASE, "%s: does not begin with a BASE", what)
    base = read_base(found[0][1], "base")
    for kind, _ in found[1:]:
        require(kind == TX_1 or kind == TX and base.version > 1, "%s: a frame of kind %d after a BASE of version %d", what, kind,
                base.version)
    return base, found[1:]


# ----------------------------------------------------------------------------------------------------------------- base

def read_base(data, what):
    read = Bytes(data, what)
    version = read.u8()
    require(version in (1, 2), "%s: version %d", what, version)
    flags = read.u8()
    require(flags < (8 if version > 1 else 4), "%s: flags %d in version %d", what, flags, version)
    ident, t, instant, commit = read.take(16), read.varint(), unzigzag(read.varint()), read.take(32)
    require(t or not instant and not any(commit), "%s: an instant or a commit without a transaction", what)
    next_entity, next_attribute = read.varint(), read.varint()
    epoch = read.varint() if version > 1 else 0
    packs = [read.take(32) for _ in range(read.varint())]
    trees = [read_root(read, order, len(packs)) for order in range(7)]
    regions = [(read.varint(), read.varint(), read.varint()) for _ in range(read.varint())]
    require(len(regions) <= 2, "%s: %d branch regions", what, len(regions))
    segments = [(read.take(32), read.varint(), read.varint()) for _ in range(read.varint())]
    for _, _, kind in segments:
        require(kind == FRAMES or kind == PACKED and version > 1, "%s: a segment of kind %d in version %d", what, kind, version)
    by_address = read_choice(read, "schema")
    schema = by_address, read.take(32) if by_address else read.block()
    attempts, hints = None, []
    if version > 1:
        attempts = read.take(32) if read_choice(read, "attempts") else None
        hints = [(read.varint(), read.block()) for _ in range(read.varint())]
    read.end()
    return Base(version, flags & 1, flags >> 1 & 1, flags >> 2, ident, t, instant, commit, next_entity, next_attribute, epoch,
                packs, trees, regions, segments, schema, attempts, hints)


def read_choice(read, name):
    choice = read.u8()
    require(choice < 2, "%s: %s %d", read.what, name, choice)
    return choice


def read_root(read, order, packs):
    height = read.varint()
    require(height <= MAX_LEVEL, "%s: height %d", read.what, height)
    if not height:
        return 0, 0, bytes(32), (0, 0, 0)
    count, root, locator = read.varint(), read.take(32), (read.varint(), read.varint(), read.varint())
    require(count and locator[0] <= packs, "%s: tree %s", read.what, ORDERS[order])
    require(locator[0] or not any(locator), "%s: tree %s has half a locator", read.what, ORDERS[order])
    return height, count, root, locator


def read_schema(data):
    """Whether it is flexible, {id: (ident, type, unique, many, index, component, no history)} and {id: ident} of others."""
    read = Bytes(data, "schema")
    flexible = read.u8()
    require(flexible < 2, "schema: flags")
    attributes, others = {}, {}
    for _ in range(read.varint()):
        key, ident, kind, unique, flags = read.varint(), read.text(), read.u8(), read.u8(), read.u8()
        require(kind <= FLOATS and unique < 3 and flags < 16, "schema: attribute %d", key)
        attributes[key] = ident, kind, unique, flags & 1, flags >> 1 & 1, flags >> 2 & 1, flags >> 3
    for _ in range(read.varint()):
        key = read.varint()
        others[key] = read.text()
    read.end()
    return flexible, attributes, others


def read_attempts(data, what):
    """{t: attempt} of transactions in the trees."""
    read = Bytes(data, what)
    count, t, out = read.varint(), FIRST_TX, {}
    require(count <= ATTEMPTS_MAX, "%s: %d of them", what, count)
    for _ in range(count):
        step, attempt = read.varint(), read.u64()
        t += step
        require(step and attempt, "%s: t %d, attempt %d", what, t, attempt)
        out[t] = attempt
    read.end()
    return out


# --------------------------------------------------------------------------------------------------------- transactions

def read_datoms(read, count, reader):
    """Datoms in LOG leaves, to the end."""
    datoms = []
    while read.left():
        require(len(datoms) % LEAF_ROWS == 0, "%s: a leaf of %d rows that is not the last", read.what, len(datoms) % LEAF_ROWS)
        leaf = reader.node(read.block(), read.what)
        require((leaf.order, leaf.level) == (LOG, 0) and len(leaf.rows) <= LEAF_ROWS, "%s: not a LOG leaf", read.what)
        datoms.extend(leaf.rows)
    require(len(datoms) == count, "%s: %d datoms, should be %d", read.what, len(datoms), count)
    return datoms


def read_transaction(kind, data, reader, what):
    """The body of a TX frame, of version 1 or not."""
    read = Bytes(data, what)
    t = read.u64()
    flags, attempt, before = 0, 0, None
    if kind == TX:
        flags, attempt = read.u8(), read.u64()
        require(flags <= FLUSH_BEGUN, "%s: flags %d", what, flags)
    parents = [read.take(32) for _ in range(read.u8())]
    if kind == TX_1:
        require(len(parents) < 2, "%s: a merge of version 1", what)
        before, parents = parents, []
    else:
        check_others(parents, what)
    commit = read.take(32)
    datoms = read_datoms(read, read.varint(), reader)
    require(all(d.t == t for d in datoms), "%s: a datom of another transaction", what)
    return Transaction(t, flags, attempt, before, parents, commit, datoms, (1,) if kind == TX_1 else (2,))


def check_others(parents, what):
    require(len(parents) <= OTHERS_MAX and increase(parents), "%s: its other parents are too many or not in order", what)


def read_packed(data, reader, what):
    """The transactions of a packed segment."""
    read = Bytes(data, what)
    count, t, heads = read.varint(), FIRST_TX, []
    for i in range(count):
        step, flags, rows = read.varint(), read.u8(), read.varint()
        t += step
        require(flags <= FLUSH_BEGUN | HAS_OTHERS, "%s: flags %d", what, flags)
        require(i == 0 or step, "%s: transaction %d twice", what, t)
        others = [read.take(32) for _ in range(read.u8())] if flags & HAS_OTHERS else []
        require(bool(others) == bool(flags & HAS_OTHERS), "%s: a flag of other parents, but none", what)
        check_others(others, what)
        heads.append((rows, Transaction(t, flags & FLUSH_BEGUN, read.u64(), None, others, read.take(32), None, (1, 2))))
    datoms = read_datoms(read, sum(rows for rows, _ in heads), reader)
    at, out = 0, []
    for rows, transaction in heads:
        own = datoms[at:at + rows]
        require(all(d.t == transaction.t for d in own), "%s: transaction %d has not the %d datoms it says", what, transaction.t,
                rows)
        out.append(transaction._replace(datoms=own))
        at += rows
    return out


def read_segment(kind, data, last, reader, what):
    if kind == PACKED:
        out = read_packed(data, reader, what)
    else:
        out = []
        for frame, body in frames(data, what, False):
            require(frame == TX_1, "%s: a frame of kind %d", what, frame)
            out.append(read_transaction(frame, body, reader, what))
    require(out and out[-1].t == last, "%s: ends with %d, should be %d", what, out[-1].t if out else 0, last)
    return out


# ----------------------------------------------------------------------------------------------------------- commit ids

def written_datoms(datoms):
    return b"".join(struct.pack("<QIB", d.e, d.a, d.added) + written(d.v) for d in datoms)


def commit_id(version, parents, t, what_it_did):
    """`what_it_did`: in version 1 the written datoms, in version 2 their digest."""
    return address(b"rille commit %d\0" % version + bytes([len(parents)]) + b"".join(parents) + struct.pack("<Q", t) + what_it_did)


def matching_rule(transaction, before, digest=None):
    """The version of the rule by which a transaction has its id; 0: neither. `digest`: of a purged one, from its mark."""
    parents, datoms = before + transaction.others, written_datoms(transaction.datoms)
    for version in transaction.rules:
        did = datoms if version == 1 else digest or address(datoms)
        if commit_id(version, parents, transaction.t, did) == transaction.commit:
            return version
    return 0


def parent_row(d):
    """The id in a row of LOG that tells another parent of a merge."""
    require(d.e == d.t and d.added and d.v[0] == BYTES and len(d.v[1]) == 32, "LOG: not a parent: %r", d)
    return d.v[1]
