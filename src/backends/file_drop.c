/* SPDX-License-Identifier: MIT
 *
 * What in a directory is of a file: database, and dropping it.
 */
#include "file_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct parts_walk {
    bool (*is_ours)(const char *name);
    bool drop;
    size_t strange; /* names that are not ours */
    size_t removed;
} parts_walk;

static bool is_head(const char *name)
{
    char branch[RI_LAYOUT_BRANCH_LEN_MAX + 1];
    return ri_layout_branch(name, branch);
}

static bool is_pack(const char *name)
{
    uint8_t id[RILLE_ID_SIZE];
    return ri_layout_id(name, ".pack", id);
}

static bool is_blob(const char *name)
{
    uint8_t id[RILLE_ID_SIZE];
    return ri_layout_id(name, "", id);
}

static bool is_nothing(const char *name)
{
    (void)name;
    return false;
}

static int remove_at(int dir, const char *name)
{
    int errnum = ri_disk_remove(dir, name);
    return errnum == ENOENT ? 0 : errnum;
}

static int drop_name(parts_walk *walk, int dir, const char *name)
{
    int errnum = remove_at(dir, name);
    walk->removed += errnum == 0;
    return errnum;
}

static int visit_name(void *context, int dir, const char *name)
{
    parts_walk *walk = context;
    if (!ri_disk_is_temp(name) && !walk->is_ours(name)) {
        walk->strange++;
        return 0;
    }
    return walk->drop ? drop_name(walk, dir, name) : 0;
}

/* A part of the database. A drop leaves one alone that is no directory, or a link to one: what is in it may belong to
 * another database. */
static int walk_part(parts_walk *walk, int dir, const char *name, ri_disk_visit visit)
{
    if (!walk->drop) {
        return ri_disk_walk(dir, name, visit, walk);
    }
    int errnum = ri_disk_walk_own(dir, name, visit, walk);
    walk->strange += errnum == ENOTDIR;
    return errnum == ENOTDIR ? 0 : errnum;
}

static int visit_blobs(void *context, int dir, const char *name)
{
    parts_walk *walk = context;
    if (!ri_layout_is_shard(name)) {
        walk->is_ours = is_nothing;
        return visit_name(walk, dir, name);
    }
    walk->is_ours = is_blob;
    int errnum = walk_part(walk, dir, name, visit_name);
    if (walk->drop) {
        (void)unlinkat(dir, name, AT_REMOVEDIR);
    }
    return errnum;
}

/* ---- without a marker ---- */

static int look_at_name(void *context, int dir, const char *name)
{
    static const char *const known[] = { "heads", "packs", "blobs", FILE_LOCK_NAME };
    file_contents *contents = context;
    bool strange = !ri_disk_is_temp(name);
    (void)dir;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        strange = strange && strcmp(name, known[i]) != 0;
    }
    contents->strange += strange;
    contents->lmdb = contents->lmdb || strcmp(name, "data.mdb") == 0;
    return 0;
}

/* What an unfinished creation leaves, or a drop that a writer raced: objects, but no head. */
int ri_file_look_around(const file_db *db, file_contents *contents)
{
    parts_walk heads = { .is_ours = is_nothing };
    parts_walk packs = { .is_ours = is_pack };
    parts_walk blobs = { .is_ours = is_nothing };
    int errnum = ri_disk_walk(db->dir, ".", look_at_name, contents);
    errnum = errnum == 0 ? ri_disk_walk(db->dir, "heads", visit_name, &heads) : errnum;
    errnum = errnum == 0 ? ri_disk_walk(db->dir, "packs", visit_name, &packs) : errnum;
    errnum = errnum == 0 ? ri_disk_walk(db->dir, "blobs", visit_blobs, &blobs) : errnum;
    contents->strange += heads.strange + packs.strange + blobs.strange + (errnum == ENOTDIR);
    return errnum == ENOTDIR ? 0 : errnum;
}

/* ---- dropping ---- */

/* Packs and blobs of a commit that is under way may come behind the walk. */
#define DROP_PASSES_MAX 4

/* Under the lock. What a power failure may leave of the old database while the marker of a new one is there already
 * would be taken for its own, or keep it from being made at all: so the end of the old one is durable before. begun: by
 * somebody who may not have lived to sync it. *removed: how much there was. */
int ri_file_drop_parts(const file_db *db, bool begun, size_t *removed)
{
    static const struct {
        const char *dir;
        ri_disk_visit visit;
        bool (*is_ours)(const char *name);
    } parts[] = {
        /* Heads first: without them nothing leads to the rest. */
        { "heads", visit_name, is_head },
        { "packs", visit_name, is_pack },
        { "blobs", visit_blobs, is_blob },
    };
    bool left = true;
    for (int pass = 0; left && pass < DROP_PASSES_MAX; pass++) {
        left = false;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            parts_walk walk = { .is_ours = parts[i].is_ours, .drop = true };
            int errnum = walk_part(&walk, db->dir, parts[i].dir, parts[i].visit);
            *removed += walk.removed;
            if (errnum == 0 && i == 0 && (begun || walk.removed > 0)) {
                errnum = ri_disk_sync_dir(db->dir, "heads");
                errnum = errnum == ENOENT ? 0 : errnum;
            }
            if (errnum != 0) {
                return errnum;
            }
            bool gone = unlinkat(db->dir, parts[i].dir, AT_REMOVEDIR) == 0;
            *removed += gone;
            left = (!gone && errno != ENOENT && walk.strange == 0) || left;
        }
    }
    return begun || *removed > 0 ? ri_disk_sync_dir(db->dir, ".") : 0;
}

/* The marker last: what a killed drop leaves can be dropped again, or made anew. What rille did not make stays, and its
 * directory with it. */
static int drop_all(const file_db *db, size_t *removed)
{
    parts_walk temps = { .is_ours = is_nothing, .drop = true };
    int errnum = ri_file_drop_parts(db, true, removed);
    errnum = errnum == 0 ? walk_part(&temps, db->dir, ".", visit_name) : errnum;
    errnum = errnum == 0 ? remove_at(db->dir, FILE_MARKER_NAME) : errnum;
    errnum = errnum == 0 ? remove_at(db->dir, FILE_LOCK_NAME) : errnum;
    return errnum == 0 ? ri_disk_sync_dir(db->dir, ".") : errnum;
}

int ri_file_drop(void *self, rille_err *err)
{
    file_db *db = self;
    size_t removed = 0;
    RI_TRY(ri_file_lock(db, err));
    ri_file_mark_dropping(db);
    int errnum = drop_all(db, &removed);
    if (errnum != 0 && removed == 0 && !db->dropped) {
        (void)ri_file_write_marker(db); /* nothing is lost yet */
    }
    ri_file_unlock(db);
    errnum = errnum == 0 ? ri_disk_remove_dir(db->dir, db->path) : errnum;
    return errnum == 0 ? RILLE_OK
                       : ri_fail_errno(err, errnum, "file:%s: cannot remove the database completely", db->path);
}
