/* SPDX-License-Identifier: MIT
 *
 * A peer for bulk load, size and look-ups: the same people as whole keys in LMDB, one named database an index (EAVT,
 * AEVT, AVET), filled in key order with MDB_APPEND in one durable transaction. No schema, no log, no history: a floor
 * for any engine that keeps three sorted indexes in B+trees.
 */
#ifndef RILLE_BENCH_PEER_LMDB_H
#define RILLE_BENCH_PEER_LMDB_H

#include "bench.h"

#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEER_KEY_MAX 64U
#define PEER_MAP_BYTES ((size_t)16 << 30)

typedef struct peer_key {
    uint8_t len;
    uint8_t bytes[PEER_KEY_MAX - 1];
} peer_key;

typedef struct peer {
    MDB_env *env;
    MDB_dbi index[3];
    char dir[512];
} peer;

static inline void peer_must(int rc)
{
    if (rc != 0) {
        (void)fprintf(stderr, "peer lmdb: %s\n", mdb_strerror(rc));
        exit(1);
    }
}

static inline void peer_put(peer_key *key, uint64_t word, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        key->bytes[key->len++] = (uint8_t)(word >> 8 * (bytes - 1 - i));
    }
}

/* Attributes: 0 name, 1 last name, 2 sex, 3 age, 4 salary, 5 uid. */
static inline void peer_put_value(peer_key *key, uint64_t person, unsigned a)
{
    const char *text = a == 0   ? bench_names[bench_random(person, 0) % 8]
                       : a == 1 ? bench_last_names[bench_random(person, 1) % 6]
                       : a == 2 ? bench_sexes[bench_random(person, 2) % 2]
                                : NULL;
    if (text != NULL) {
        size_t len = strlen(text) + 1;
        memcpy(key->bytes + key->len, text, len);
        key->len = (uint8_t)(key->len + len);
        return;
    }
    uint64_t number = a == 3   ? bench_random(person, 3) % 100
                      : a == 4 ? bench_random(person, 4) % 100000
                               : person * 7919;
    peer_put(key, number ^ UINT64_C(1) << 63, 8);
}

/* index 0: e a v; 1: a e v; 2: a v e. */
static inline peer_key peer_key_of(unsigned index, uint64_t person, unsigned a)
{
    peer_key key = { 0 };
    if (index == 0) {
        peer_put(&key, person, 8);
    }
    peer_put(&key, a, 4);
    if (index == 1) {
        peer_put(&key, person, 8);
    }
    peer_put_value(&key, person, a);
    if (index == 2) {
        peer_put(&key, person, 8);
    }
    return key;
}

static inline int peer_cmp(const void *a, const void *b)
{
    const peer_key *x = a;
    const peer_key *y = b;
    int order = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    return order != 0 ? order : (int)x->len - (int)y->len;
}

static inline void peer_append(MDB_txn *txn, MDB_dbi dbi, peer_key *key)
{
    MDB_val k = { key->len, key->bytes };
    MDB_val none = { 0, NULL };
    peer_must(mdb_put(txn, dbi, &k, &none, MDB_APPEND));
}

/* Loads people of some attributes; gives the seconds, the commit's sync included. */
static inline double peer_load(peer *p, const char *dir, uint64_t people, unsigned attrs)
{
    static const char *const names[] = { "eavt", "aevt", "avet" };
    MDB_txn *txn;
    (void)snprintf(p->dir, sizeof p->dir, "%s/rille_bench_peer", dir);
    (void)mkdir(p->dir, 0700);
    peer_must(mdb_env_create(&p->env));
    peer_must(mdb_env_set_maxdbs(p->env, 3));
    peer_must(mdb_env_set_mapsize(p->env, PEER_MAP_BYTES));
    peer_must(mdb_env_open(p->env, p->dir, 0, 0600));
    peer_key *keys = malloc(people * sizeof *keys);
    if (keys == NULL) {
        exit(1);
    }
    double start = bench_now();
    peer_must(mdb_txn_begin(p->env, NULL, 0, &txn));
    for (unsigned index = 0; index < 3; index++) {
        peer_must(mdb_dbi_open(txn, names[index], MDB_CREATE, &p->index[index]));
        for (uint64_t i = 0; index == 0 && i < people; i++) {
            for (unsigned a = 0; a < attrs; a++) {
                peer_key key = peer_key_of(0, i, a);
                peer_append(txn, p->index[0], &key);
            }
        }
        for (unsigned a = 0; index > 0 && a < attrs; a++) {
            for (uint64_t i = 0; i < people; i++) {
                keys[i] = peer_key_of(index, i, a);
            }
            if (index == 2) {
                qsort(keys, people, sizeof *keys, peer_cmp);
            }
            for (uint64_t i = 0; i < people; i++) {
                peer_append(txn, p->index[index], &keys[i]);
            }
        }
    }
    peer_must(mdb_txn_commit(txn));
    double seconds = bench_now() - start;
    free(keys);
    return seconds;
}

static inline uint64_t peer_bytes(const peer *p)
{
    MDB_envinfo info;
    MDB_stat stat;
    peer_must(mdb_env_info(p->env, &info));
    peer_must(mdb_env_stat(p->env, &stat));
    return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

/* The person of a uid by a seek in AVET; UINT64_MAX: none. */
static inline uint64_t peer_lookup(MDB_cursor *cursor, uint64_t person)
{
    peer_key key = { 0 };
    peer_put(&key, 5, 4);
    peer_put_value(&key, person, 5);
    MDB_val k = { key.len, key.bytes };
    MDB_val v;
    if (mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE) != 0 || k.mv_size != key.len + 8U ||
        memcmp(k.mv_data, key.bytes, key.len) != 0) {
        return UINT64_MAX;
    }
    uint64_t e = 0;
    for (unsigned i = 0; i < 8; i++) {
        e = e << 8 | ((const uint8_t *)k.mv_data)[key.len + i];
    }
    return e;
}

static inline void peer_close(peer *p)
{
    char path[600];
    mdb_env_close(p->env);
    (void)snprintf(path, sizeof path, "%s/data.mdb", p->dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/lock.mdb", p->dir);
    (void)unlink(path);
    (void)rmdir(p->dir);
}

#endif
