/* SPDX-License-Identifier: MIT
 *
 * Power failures: what storage may hold when the power fails at some point of a record (test_power_record.h). A crash
 * state is
 *
 *   - of each sector (512 bytes) any of the contents that it had since the file was last synced
 *   - of each file any of the lengths that it had since then, whatever was written of its sectors
 *   - of the changes of names in a directory since it was last synced (create, rename, remove) any subset; a rename is
 *     one change
 *
 * A killed process is a record that ends earlier: all that it wrote is seen by the next one, but is not durable.
 * test_power_resume makes that state real, and what happens then is recorded behind it.
 *
 * RILLE_CRASH_STATES sets how many states are looked at for each point of a record (the default is the test's).
 */
#ifndef RILLE_TEST_POWER_H
#define RILLE_TEST_POWER_H

#include "test_power_record.h"

/* ---- what may be there ---- */

typedef struct power_entry {
    int dir;
    int inode;
    char name[POWER_NAME_MAX];
} power_entry;

typedef struct power_file {
    uint8_t *bytes;
    size_t len;
    size_t cap;
    size_t first; /* the first operation that is not synced */
} power_file;

/* At a point of the record: what is durable, and where each file's operations begin that are not. */
typedef struct power_disk {
    size_t point;
    power_file *files; /* an inode each */
    power_entry *entries;
    size_t entry_count;
} power_disk;

/* A decision: of a change of names whether it happened, of a sector or a length how many of its changes. */
typedef struct power_unit {
    power_kind kind; /* CREATE: a change of names; WRITE: a sector; RESIZE: a length */
    size_t op;       /* of the change */
    int inode;
    uint64_t sector;
    unsigned count; /* of the changes that may have happened */
    unsigned chosen;
} power_unit;

enum { POWER_UNITS_MAX = 2000, POWER_ENTRIES_MAX = 2000 };

static inline void power_set_len(power_file *file, size_t len)
{
    if (len > file->cap) {
        size_t cap = len * 2 + POWER_SECTOR;
        uint8_t *grown = realloc(file->bytes, cap);
        if (grown == NULL) {
            abort();
        }
        file->bytes = grown;
        file->cap = cap;
    }
    if (len > file->len) {
        memset(file->bytes + file->len, 0, len - file->len);
    }
    file->len = len;
}

static inline void power_remove_entry(power_entry *entries, size_t *count, int dir, const char *name)
{
    for (size_t i = 0; i < *count; i++) {
        if (entries[i].dir == dir && strcmp(entries[i].name, name) == 0) {
            entries[i] = entries[--*count];
            return;
        }
    }
}

static inline void power_put_entry(power_entry *entries, size_t *count, int dir, const char *name, int inode)
{
    power_remove_entry(entries, count, dir, name);
    if (*count == POWER_ENTRIES_MAX) {
        abort();
    }
    entries[*count].dir = dir;
    entries[*count].inode = inode;
    (void)snprintf(entries[(*count)++].name, POWER_NAME_MAX, "%s", name);
}

static inline void power_apply_name(power_entry *entries, size_t *count, const power_op *op)
{
    if (op->kind != POWER_CREATE) {
        power_remove_entry(entries, count, op->dir, op->name);
    }
    if (op->kind != POWER_REMOVE) {
        power_put_entry(entries, count, op->dir, op->kind == POWER_CREATE ? op->name : op->other, op->inode);
    }
}

static inline void power_apply_bytes(power_file *file, const power_op *op)
{
    if (op->kind == POWER_RESIZE) {
        power_set_len(file, (size_t)op->offset);
        return;
    }
    if (op->offset + op->len > file->len) {
        power_set_len(file, (size_t)op->offset + op->len);
    }
    memcpy(file->bytes + op->offset, op->bytes, op->len);
}

static inline bool power_is_name_op(const power_op *op)
{
    return op->kind == POWER_CREATE || op->kind == POWER_REMOVE || op->kind == POWER_RENAME;
}

static inline bool power_is_data_op(const power_op *op)
{
    return op->kind == POWER_WRITE || op->kind == POWER_RESIZE;
}

static inline void power_apply_sync(power_disk *disk, int inode, size_t point)
{
    power_file *file = &disk->files[inode];
    for (size_t i = file->first; i < point; i++) {
        const power_op *op = &power.ops[i];
        if (power.is_dir[inode] && power_is_name_op(op) && op->dir == inode) {
            power_apply_name(disk->entries, &disk->entry_count, op);
        } else if (!power.is_dir[inode] && power_is_data_op(op) && op->inode == inode) {
            power_apply_bytes(file, op);
        }
    }
    file->first = point;
}

/* all: as if everything had been synced, which is what a process sees. */
static inline void power_disk_init(power_disk *disk, size_t point, bool all)
{
    *disk = (power_disk){ .point = point };
    disk->files = calloc(POWER_INODES_MAX, sizeof *disk->files);
    disk->entries = calloc(POWER_ENTRIES_MAX, sizeof *disk->entries);
    if (disk->files == NULL || disk->entries == NULL) {
        abort();
    }
    for (size_t i = 0; i < point; i++) {
        const power_op *op = &power.ops[i];
        if (op->kind == POWER_SYNC) {
            power_apply_sync(disk, op->inode, i);
        }
    }
    for (int i = 0; all && i < power.inode_count; i++) {
        power_apply_sync(disk, i, point);
    }
}

static inline void power_disk_deinit(power_disk *disk)
{
    for (int i = 0; i < POWER_INODES_MAX; i++) {
        free(disk->files[i].bytes);
    }
    free(disk->files);
    free(disk->entries);
}

/* Whether a file may have a name that is not that of a temporary file: what is in the others does not matter. */
static inline bool power_has_name(const power_disk *disk, int inode)
{
    for (size_t i = 0; i < disk->entry_count; i++) {
        if (disk->entries[i].inode == inode && disk->entries[i].name[0] != '.') {
            return true;
        }
    }
    for (size_t i = 0; i < disk->point; i++) {
        const power_op *op = &power.ops[i];
        const char *name = op->kind == POWER_RENAME ? op->other : op->name;
        if ((op->kind == POWER_CREATE || op->kind == POWER_RENAME) && op->inode == inode && name[0] != '.' &&
            i >= disk->files[op->dir].first) {
            return true;
        }
    }
    return false;
}

static inline void power_count_change(power_unit *units, size_t *count, power_kind kind, int inode, uint64_t sector)
{
    for (size_t i = 0; i < *count; i++) {
        if (units[i].kind == kind && units[i].inode == inode && units[i].sector == sector) {
            units[i].count++;
            return;
        }
    }
    if (*count == POWER_UNITS_MAX) {
        abort();
    }
    units[(*count)++] = (power_unit){ .kind = kind, .inode = inode, .sector = sector, .count = 1 };
}

static inline size_t power_list_units(const power_disk *disk, power_unit *units)
{
    size_t count = 0;
    for (size_t i = 0; i < disk->point; i++) {
        const power_op *op = &power.ops[i];
        if (power_is_name_op(op) && i >= disk->files[op->dir].first) {
            if (count == POWER_UNITS_MAX) {
                abort();
            }
            units[count++] = (power_unit){ .kind = POWER_CREATE, .op = i, .inode = -1, .count = 1 };
        } else if (power_is_data_op(op) && i >= disk->files[op->inode].first && power_has_name(disk, op->inode)) {
            if (op->kind == POWER_WRITE) {
                power_count_change(units, &count, POWER_WRITE, op->inode, op->offset / POWER_SECTOR);
            }
            power_count_change(units, &count, POWER_RESIZE, op->inode, 0);
        }
    }
    return count;
}

static inline power_unit *power_find_unit(power_unit *units, size_t count, power_kind kind, int inode, uint64_t sector)
{
    for (size_t i = 0; i < count; i++) {
        if (units[i].kind == kind && units[i].inode == inode && units[i].sector == sector) {
            return &units[i];
        }
    }
    return NULL;
}

/* A file as the decisions have it. */
static inline void power_build_file(const power_disk *disk, power_unit *units, size_t unit_count, int inode,
                                    power_file *out)
{
    const power_file *durable = &disk->files[inode];
    size_t len = durable->len;
    size_t seen = durable->len;
    unsigned resized = 0;
    const power_unit *length = power_find_unit(units, unit_count, POWER_RESIZE, inode, 0);
    power_set_len(out, 0);
    power_set_len(out, durable->len);
    if (durable->len > 0) {
        memcpy(out->bytes, durable->bytes, durable->len);
    }
    for (size_t i = 0; i < unit_count; i++) {
        units[i].op = units[i].kind == POWER_WRITE ? 0 : units[i].op; /* how many of its changes were met */
    }
    for (size_t i = durable->first; length != NULL && i < disk->point; i++) {
        const power_op *op = &power.ops[i];
        if (!power_is_data_op(op) || op->inode != inode) {
            continue;
        }
        uint64_t end = op->offset + op->len;
        seen = op->kind == POWER_RESIZE ? (size_t)op->offset : end > seen ? (size_t)end : seen;
        len = resized++ < length->chosen ? seen : len;
        if (op->kind == POWER_WRITE) {
            power_unit *sector = power_find_unit(units, unit_count, POWER_WRITE, inode, op->offset / POWER_SECTOR);
            if (sector->op++ < sector->chosen) {
                power_apply_bytes(out, op);
            }
        }
    }
    power_set_len(out, len);
}

typedef struct power_state {
    power_entry *entries;
    size_t entry_count;
    power_file *files;
} power_state;

static inline void power_build(const power_disk *disk, power_unit *units, size_t unit_count, power_state *out)
{
    memcpy(out->entries, disk->entries, disk->entry_count * sizeof *disk->entries);
    out->entry_count = disk->entry_count;
    for (size_t i = 0; i < unit_count; i++) {
        if (units[i].kind == POWER_CREATE && units[i].chosen > 0) {
            power_apply_name(out->entries, &out->entry_count, &power.ops[units[i].op]);
        }
    }
    for (size_t i = 0; i < out->entry_count; i++) {
        int inode = out->entries[i].inode;
        if (!power.is_dir[inode]) {
            power_build_file(disk, units, unit_count, inode, &out->files[inode]);
        }
    }
}

static inline int power_compare_entries(const void *a, const void *b)
{
    const power_entry *x = a;
    const power_entry *y = b;
    return x->dir != y->dir ? (x->dir < y->dir ? -1 : 1) : strcmp(x->name, y->name);
}

/* Of what can be reached; names of directories stand for what they are called, so that equal trees are equal. */
static inline uint64_t power_hash(const power_state *state, int dir, uint64_t h)
{
    for (size_t i = 0; i < state->entry_count; i++) {
        const power_entry *entry = &state->entries[i];
        if (entry->dir != dir) {
            continue;
        }
        const char *name = entry->name[0] == '.' ? "." : entry->name;
        h = ri_hash64((const uint8_t *)name, strlen(name), h + 1);
        if (power.is_dir[entry->inode]) {
            h = power_hash(state, entry->inode, h + 2);
        } else {
            h = ri_hash64(state->files[entry->inode].bytes, state->files[entry->inode].len, h + 3);
        }
    }
    return h;
}

/* Makes it real; note: the inodes of the record are these from now on. */
static inline void power_make(const power_state *state, int dir, const char *path, bool note)
{
    for (size_t i = 0; i < state->entry_count; i++) {
        const power_entry *entry = &state->entries[i];
        test_text name = test_join(path, "/", entry->name);
        struct stat info;
        if (entry->dir != dir) {
            continue;
        }
        if (power.is_dir[entry->inode]) {
            REQUIRE(mkdir(name.text, 0755) == 0);
            power_make(state, entry->inode, name.text, note);
        } else {
            const power_file *file = &state->files[entry->inode];
            int fd = open(name.text, O_WRONLY | O_CREAT | O_EXCL, 0644);
            REQUIRE(fd >= 0);
            CHECK(file->len == 0 || pwrite(fd, file->bytes, file->len, 0) == (ssize_t)file->len);
            (void)close(fd);
        }
        if (note && stat(name.text, &info) == 0) {
            power.dev[entry->inode] = info.st_dev;
            power.ino[entry->inode] = info.st_ino;
        }
    }
}

static inline void power_state_init(power_state *state)
{
    state->entries = calloc(POWER_ENTRIES_MAX, sizeof *state->entries);
    state->files = calloc(POWER_INODES_MAX, sizeof *state->files);
    state->entry_count = 0;
    if (state->entries == NULL || state->files == NULL) {
        abort();
    }
}

static inline void power_state_deinit(power_state *state)
{
    for (int i = 0; i < POWER_INODES_MAX; i++) {
        free(state->files[i].bytes);
    }
    free(state->files);
    free(state->entries);
}

/* What a process finds that comes after one that was killed at this point, in the empty directory `root`; the record
 * ends there and goes on from there. */
static inline void test_power_resume(size_t point, const char *root)
{
    power_disk disk;
    power_state state;
    struct stat info;
    test_power_stop();
    power.inode_count = 1;
    for (size_t i = 0; i < point; i++) {
        int inode = power.ops[i].inode;
        power.inode_count = inode >= power.inode_count ? inode + 1 : power.inode_count;
        if (power.ops[i].kind == POWER_CREATE) {
            power.is_dir[inode] = power.ops[i].len == 1; /* the record may come from the test */
        }
    }
    for (int i = 0; i < power.inode_count; i++) {
        power.ino[i] = 0;
    }
    power_disk_init(&disk, point, true);
    power_state_init(&state);
    power_build(&disk, NULL, 0, &state);
    REQUIRE(stat(root, &info) == 0);
    power.dev[0] = info.st_dev;
    power.ino[0] = info.st_ino;
    power_make(&state, 0, root, true);
    power_state_deinit(&state);
    power_disk_deinit(&disk);
    power.count = point;
    power.recording = true;
}

/* ---- looking at states ---- */

typedef struct test_power {
    bool (*check)(const char *root, size_t point, void *context); /* false: something was lost */
    void *context;
    const char *root;  /* made for each state */
    size_t states_max; /* at one point */
    size_t states;     /* looked at */
    size_t distinct;
    size_t lost;
    test_rng rng;
    uint64_t *seen; /* hashes, a power of two of places */
    size_t seen_size;
} test_power;

static inline test_power test_power_new(size_t states_max, const char *root)
{
    const char *env = getenv("RILLE_CRASH_STATES");
    test_power p = { .root = root, .states_max = env != NULL ? strtoul(env, NULL, 10) : states_max };
    p.rng = test_rng_new();
    p.seen_size = (size_t)1 << 22;
    p.seen = calloc(p.seen_size, sizeof *p.seen);
    REQUIRE(p.seen != NULL);
    return p;
}

static inline bool power_is_new(test_power *p, uint64_t hash)
{
    hash += hash == 0;
    for (size_t at = (size_t)hash & (p->seen_size - 1);; at = (at + 1) & (p->seen_size - 1)) {
        if (p->seen[at] == hash) {
            return false;
        }
        if (p->seen[at] == 0) {
            p->seen[at] = hash;
            return true;
        }
    }
}

static inline void power_look(test_power *p, const power_disk *disk, power_unit *units, size_t count,
                              power_state *state)
{
    power_build(disk, units, count, state);
    qsort(state->entries, state->entry_count, sizeof *state->entries, power_compare_entries);
    p->states++;
    if (!power_is_new(p, power_hash(state, 0, test_power_marked(disk->point, UINT64_MAX)))) {
        return;
    }
    p->distinct++;
    REQUIRE(p->distinct < p->seen_size / 2);
    REQUIRE(mkdir(p->root, 0755) == 0);
    power_make(state, 0, p->root, false);
    if (!p->check(p->root, disk->point, p->context)) {
        p->lost++;
        if (p->lost <= 3) {
            printf("  lost at point %zu of %zu, with", disk->point, power.count);
            for (size_t i = 0; i < count; i++) {
                printf(" %s%d/%llu:%u/%u", units[i].kind == POWER_CREATE ? power.ops[units[i].op].name : "inode ",
                       units[i].inode, (unsigned long long)units[i].sector, units[i].chosen, units[i].count);
            }
            printf("\n");
        }
    }
    test_dir_remove(p->root);
}

static inline void power_choose_all(power_unit *units, size_t count, bool all)
{
    for (size_t i = 0; i < count; i++) {
        units[i].chosen = all ? units[i].count : 0;
    }
}

/* The next of all combinations; false after the last. */
static inline bool power_next(power_unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (units[i].chosen < units[i].count) {
            units[i].chosen++;
            return true;
        }
        units[i].chosen = 0;
    }
    return false;
}

static inline void power_look_at_some(test_power *p, const power_disk *disk, power_unit *units, size_t count,
                                      power_state *state)
{
    size_t before = p->states;
    for (int all = 0; all < 2; all++) {
        for (size_t i = 0; i <= count && p->states - before < p->states_max; i++) {
            power_choose_all(units, count, all == 1);
            if (i < count) {
                units[i].chosen = all == 1 ? 0 : units[i].count;
            }
            power_look(p, disk, units, count, state);
        }
    }
    while (p->states - before < p->states_max) {
        for (size_t i = 0; i < count; i++) {
            units[i].chosen = (unsigned)test_random_below(&p->rng, units[i].count + 1U);
        }
        power_look(p, disk, units, count, state);
    }
}

/* All states at this point of the record, or states_max of them. */
static inline void test_power_look(test_power *p, size_t point)
{
    power_disk disk;
    power_state state;
    power_unit *units = calloc(POWER_UNITS_MAX, sizeof *units);
    bool was_recording = power.recording;
    REQUIRE(units != NULL);
    power.recording = false;
    power_disk_init(&disk, point, false);
    power_state_init(&state);
    size_t count = power_list_units(&disk, units);
    size_t product = 1;
    for (size_t i = 0; i < count && product <= p->states_max; i++) {
        product *= units[i].count + 1U;
    }
    if (product <= p->states_max) {
        do {
            power_look(p, &disk, units, count, &state);
        } while (power_next(units, count));
    } else {
        power_look_at_some(p, &disk, units, count, &state);
    }
    free(units);
    power_state_deinit(&state);
    power_disk_deinit(&disk);
    power.recording = was_recording;
}

static inline void test_power_free(test_power *p, const char *what)
{
    printf("  %s: %zu crash states, %zu of them distinct, %zu lost something\n", what, p->states, p->distinct, p->lost);
    CHECK_EQ_INT(p->lost, 0);
    CHECK(p->distinct > 0);
    free(p->seen);
}

#endif
