/* SPDX-License-Identifier: MIT
 *
 * The end of data.mdb (lmdb_env_own.h). LMDB reads its file through a map, where a page behind the end of the file is a
 * SIGBUS. A sound file may end before its last page: pages that a transaction took and gave back were never written. In
 * a file that was cut short, pages in use lie there too.
 *
 * Who may write appends zeros, which do no harm, or are refused as damage. Who may not takes the free pages together
 * that lie behind the end: nothing is in use there when they are as many as the pages there. First the counts in
 * LMDB's header tell whether they can be, so that of the files that were cut short nearly all are refused before a page
 * of them is read; what is left is one whose list of free pages itself was cut off (docs/limits.md).
 *
 * Cost: one fstat; and of a file that ends early, in a read-only environment, reading the list of free pages.
 */
#include "lmdb_env_own.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FREE_DBI 0      /* LMDB's own database of free pages: a row of page numbers for a transaction */
#define HEADER_PAGES 2U /* in use, and in no database */
#define LOOKS_MAX 100   /* each fails only when somebody else has committed meanwhile */

/* The size that the pages LMDB knows of need, and that of the file. */
static int file_sizes(const ri_lmdb_env *env, int *fd, uint64_t *needed, uint64_t *found)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    int code = mdb_env_info(env->env, &info);
    code = code == 0 ? mdb_env_stat(env->env, &stat) : code;
    code = code == 0 ? mdb_env_get_fd(env->env, fd) : code;
    if (code == 0 && fstat(*fd, &file) != 0) {
        code = errno;
    }
    if (code == 0) {
        *needed = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
        *found = (uint64_t)file.st_size;
    }
    return code;
}

static int lengthen(ri_lmdb_env *env)
{
    int fd;
    uint64_t needed;
    uint64_t found;
    MDB_txn *txn; /* so that nobody writes meanwhile */
    int code = mdb_txn_begin(env->env, NULL, 0, &txn);
    if (code != 0) {
        return code;
    }
    code = file_sizes(env, &fd, &needed, &found);
    if (code == 0 && found < needed && ftruncate(fd, (off_t)needed) != 0) {
        code = errno;
    }
    mdb_txn_abort(txn);
    return code;
}

/* ---- without the right to write ---- */

static uint64_t pages_of(const MDB_stat *stat)
{
    return (uint64_t)stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages;
}

/* How many pages are free, or in a database that the counts do not cover. */
static int count_unused(MDB_txn *txn, MDB_dbi dbi, uint64_t page_count, uint64_t *out)
{
    MDB_stat rows;
    MDB_stat free_rows;
    int code = mdb_stat(txn, dbi, &rows);
    code = code == 0 ? mdb_stat(txn, FREE_DBI, &free_rows) : code;
    if (code != 0) {
        return code;
    }
    uint64_t used = HEADER_PAGES + pages_of(&rows) + pages_of(&free_rows);
    *out = page_count < used ? 0 : page_count - used;
    return 0;
}

/* The pages of one row from number `first` on. */
static int count_row(const MDB_val *row, uint64_t first, uint64_t *sum)
{
    size_t page;
    size_t count;
    const uint8_t *bytes = row->mv_data;
    if (row->mv_size < sizeof count) {
        return MDB_CORRUPTED;
    }
    memcpy(&count, bytes, sizeof count);
    if (count > row->mv_size / sizeof count - 1) {
        return MDB_CORRUPTED;
    }
    for (size_t i = 1; i <= count; i++) {
        memcpy(&page, bytes + i * sizeof page, sizeof page);
        *sum += page >= first;
    }
    return 0;
}

static int count_free_from(MDB_txn *txn, uint64_t first, uint64_t *out)
{
    MDB_cursor *cursor;
    MDB_val name;
    MDB_val row;
    *out = 0;
    int code = mdb_cursor_open(txn, FREE_DBI, &cursor);
    if (code != 0) {
        return code;
    }
    while ((code = mdb_cursor_get(cursor, &name, &row, MDB_NEXT)) == 0) {
        code = count_row(&row, first, out);
        if (code != 0) {
            break;
        }
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* again: somebody has committed since the transaction began, so that the sizes are not of what it sees. */
static int look_behind(ri_lmdb_env *env, MDB_txn *txn, bool *again)
{
    int fd;
    uint64_t needed;
    uint64_t found;
    uint64_t unused;
    uint64_t free_count;
    MDB_envinfo info;
    MDB_stat stat;
    MDB_dbi dbi;
    int code = mdb_dbi_open(txn, NULL, 0, &dbi);
    code = code == 0 ? mdb_env_stat(env->env, &stat) : code;
    code = code == 0 ? file_sizes(env, &fd, &needed, &found) : code;
    code = code == 0 ? mdb_env_info(env->env, &info) : code;
    *again = code == 0 && info.me_last_txnid != mdb_txn_id(txn);
    if (code != 0 || *again || found >= needed) {
        return code;
    }
    uint64_t first = found / stat.ms_psize;
    uint64_t behind = needed / stat.ms_psize - first;
    code = count_unused(txn, dbi, needed / stat.ms_psize, &unused);
    if (code != 0 || behind > unused) {
        return code != 0 ? code : MDB_CORRUPTED;
    }
    code = count_free_from(txn, first, &free_count);
    return code == 0 && free_count != behind ? MDB_CORRUPTED : code;
}

static int check_free(ri_lmdb_env *env)
{
    bool again = true;
    int code = 0;
    for (int looks = 0; code == 0 && again && looks < LOOKS_MAX; looks++) {
        MDB_txn *txn;
        code = mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn);
        if (code == 0) {
            code = look_behind(env, txn, &again);
            mdb_txn_abort(txn);
        }
    }
    return code; /* who commits all the time has looked, and lengthened the file */
}

int ri_lmdb_check_end(ri_lmdb_env *env, bool can_write)
{
    int fd;
    uint64_t needed;
    uint64_t found;
    int code = file_sizes(env, &fd, &needed, &found);
    if (code != 0 || found >= needed) {
        return code;
    }
    return can_write ? lengthen(env) : check_free(env);
}
