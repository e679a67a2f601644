/* SPDX-License-Identifier: MIT
 *
 * For tests of the store: temporary directories, and a node simple enough to be its own model.
 *
 *     u8 level, u16 child count, 32 bytes a child, then any bytes
 */
#ifndef RILLE_TEST_STORE_SUPPORT_H
#define RILLE_TEST_STORE_SUPPORT_H

#include "../src/core/base/mem.h"
#include "../src/core/store/store.h"
#include "harness.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- directories ---- */

typedef struct test_dir {
    char path[200];
} test_dir;

static inline test_dir test_dir_new(void)
{
    test_dir dir;
    const char *base = getenv("TMPDIR");
    (void)snprintf(dir.path, sizeof dir.path, "%s/rille-test-XXXXXX",
                   base != NULL && strlen(base) < 100 ? base : "/tmp");
    if (mkdtemp(dir.path) == NULL) {
        perror(dir.path);
        abort();
    }
    return dir;
}

/* In memory where there is such a place: for tests that sync often and need no disk. */
static inline test_dir test_dir_fast(void)
{
    test_dir dir = { "/dev/shm/rille-test-XXXXXX" };
    return mkdtemp(dir.path) != NULL ? dir : test_dir_new();
}

static inline void test_dir_remove(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char name[600];
        struct stat info;
        int len = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || len < 0 ||
            (size_t)len >= sizeof name) {
            continue;
        }
        if (lstat(name, &info) == 0 && S_ISDIR(info.st_mode)) {
            test_dir_remove(name);
        } else {
            (void)unlink(name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(path);
}

typedef struct test_text {
    char text[400];
} test_text;

static inline test_text test_join(const char *a, const char *b, const char *c)
{
    test_text out;
    int len = snprintf(out.text, sizeof out.text, "%s%s%s", a, b, c);
    if (len < 0 || (size_t)len >= sizeof out.text) {
        abort();
    }
    return out;
}

/* The bytes of a file, freed with free(). */
static inline uint8_t *test_file_read(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    *len = 0;
    if (file == NULL) {
        return NULL;
    }
    (void)fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    (void)fseek(file, 0, SEEK_SET);
    uint8_t *bytes = malloc(*len + 1);
    if (bytes != NULL && fread(bytes, 1, *len, file) != *len) {
        *len = 0;
    }
    (void)fclose(file);
    return bytes;
}

static inline bool test_file_write(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    bool ok = file != NULL && fwrite(bytes, 1, len, file) == len;
    return file != NULL && fclose(file) == 0 && ok;
}

/* ---- nodes ---- */

typedef struct test_node {
    ri_object object;
    uint8_t *bytes;
    size_t len;
    ri_noderef self;
    size_t child_count;
    ri_noderef children[];
} test_node;

static inline void test_node_destroy(ri_object *object)
{
    ri_free(((test_node *)object)->bytes);
    ri_free(object);
}

static inline int test_node_decode(const ri_decode_input *input, ri_object **out, rille_err *err)
{
    *out = NULL;
    size_t count = input->len < 3 ? 0 : (size_t)(input->bytes[1] | input->bytes[2] << 8);
    bool padded = true;
    for (size_t i = 0; i < RI_NODE_PADDING; i++) {
        padded = padded && input->bytes[input->len + i] == 0;
    }
    test_node *node = NULL;
    int rc = input->len < 3 + 32 * count || !padded ? RILLE_CORRUPT : RILLE_NOMEM;
    if (rc == RILLE_CORRUPT || (node = ri_alloc_zero(sizeof *node + count * sizeof *node->children)) == NULL) {
        ri_free(input->bytes);
        return ri_fail(err, rc, "test node");
    }
    ri_refs_init(&node->object.refs);
    node->object.mem_bytes = sizeof *node + count * sizeof *node->children + input->len;
    node->object.destroy = test_node_destroy;
    node->bytes = input->bytes;
    node->len = input->len;
    node->self = *input->self;
    node->child_count = count;
    for (size_t i = 0; i < count; i++) {
        memcpy(node->children[i].addr, input->bytes + 3 + 32 * i, 32);
    }
    (void)ri_locators_read(input->locators, input->locators_len, input->self, count, node->children);
    *out = &node->object;
    return RILLE_OK;
}

/* Bytes of a node in a static-free buffer: the caller frees with ri_buf_deinit. */
static inline ri_buf test_node_bytes(unsigned level, const ri_noderef *children, size_t count, uint64_t seed,
                                     size_t payload_len)
{
    ri_buf buf = { 0 };
    test_rng rng = { seed };
    ri_buf_put_u8(&buf, (uint8_t)level);
    ri_buf_put_u8(&buf, (uint8_t)count);
    ri_buf_put_u8(&buf, (uint8_t)(count >> 8));
    for (size_t i = 0; i < count; i++) {
        ri_buf_put(&buf, children[i].addr, 32);
    }
    ri_buf_put_u64(&buf, seed);
    for (size_t i = 0; i < payload_len; i += 8) { /* odd seeds: noise; even ones are worth compressing */
        uint64_t word = (seed & 1) != 0 ? test_random(&rng) : i / 16 + seed;
        ri_buf_put(&buf, &word, payload_len - i < 8 ? payload_len - i : 8);
    }
    return buf;
}

static inline int test_put_leaf(ri_writer *writer, uint64_t seed, size_t payload_len, ri_noderef *out, rille_err *err)
{
    ri_buf buf = test_node_bytes(0, NULL, 0, seed, payload_len);
    int rc = buf.failed ? RILLE_NOMEM : ri_writer_put_node(writer, 0, buf.p, buf.len, NULL, 0, out, err);
    ri_buf_deinit(&buf);
    return rc;
}

static inline int test_put_branch(ri_writer *writer, unsigned level, const ri_noderef *children, size_t count,
                                  ri_noderef *out, rille_err *err)
{
    ri_buf buf = test_node_bytes(level, children, count, 0, 0);
    int rc = buf.failed ? RILLE_NOMEM : ri_writer_put_node(writer, level, buf.p, buf.len, children, count, out, err);
    ri_buf_deinit(&buf);
    return rc;
}

/* Puts the head of a branch, whatever it was. */
static inline int test_set_head(ri_store *store, const char *branch, const void *cell, size_t len, ri_writer *writer,
                                rille_err *err)
{
    rille_head head;
    rille_revision revision;
    rille_err own = { 0 };
    int rc = ri_store_head_read(store, branch, &head, &own);
    if (rc != RILLE_OK && rc != RILLE_NOTFOUND) {
        if (err != NULL) {
            *err = own;
        }
        return rc;
    }
    rille_head_swap swap = {
        .branch = branch, .expected = head.revision, .cell = cell, .cell_len = len, .durable = true
    };
    rc = ri_store_head_swap(store, &swap, writer, &revision, err);
    rille_free(head.bytes);
    return rc;
}

/* Writes `leaf_count` leaves (seed, seed + 1 ...) under one branch, with head "main". */
static inline int test_write_tree(ri_store *store, uint64_t seed, size_t leaf_count, size_t payload_len,
                                  ri_noderef *root, uint64_t *region_offset, uint64_t *region_len, rille_err *err)
{
    ri_writer *writer;
    uint8_t pack[RI_HASH_SIZE];
    uint64_t upper_len;
    *root = (ri_noderef){ 0 };
    RI_TRY(ri_writer_new(store, &writer, err));
    ri_noderef *leaves = ri_alloc_array(leaf_count, sizeof *leaves);
    int rc = leaves == NULL ? RILLE_NOMEM : RILLE_OK;
    for (size_t i = 0; i < leaf_count && rc == RILLE_OK; i++) {
        rc = test_put_leaf(writer, seed + i, payload_len, &leaves[i], err);
    }
    rc = rc == RILLE_OK ? test_put_branch(writer, 1, leaves, leaf_count, root, err) : rc;
    rc = rc == RILLE_OK ? ri_writer_seal(writer, err) : rc;
    if (rc == RILLE_OK) {
        ri_writer_resolve(writer, root);
        ri_writer_branch_region(writer, pack, region_offset, region_len, &upper_len);
        rc = test_set_head(store, "main", "head", 4, writer, err);
    }
    ri_free(leaves);
    ri_writer_release(writer);
    return rc;
}

/* Gets a node, fetching when it must. */
static inline int test_get(ri_store *store, const ri_noderef *ref, ri_io *io, test_node **out, rille_err *err)
{
    ri_object *object;
    int rc;
    *out = NULL;
    while ((rc = ri_store_get(store, ref, test_node_decode, io, &object, err)) == RILLE_NEED) {
        RI_TRY(ri_io_fetch(io, err));
    }
    if (rc == RILLE_OK) {
        *out = (test_node *)object;
    }
    return rc;
}

static inline void test_node_release(test_node *node)
{
    if (node != NULL) {
        ri_object_release(&node->object);
    }
}

/* 0 when the root and all its leaves are what test_write_tree wrote. */
static inline int test_check_tree(ri_store *store, const ri_noderef *root, uint64_t seed, size_t leaf_count,
                                  size_t payload_len, rille_err *err)
{
    ri_io io = { 0 };
    test_node *branch;
    int rc = test_get(store, root, &io, &branch, err);
    if (rc == RILLE_OK && branch->child_count != leaf_count) {
        rc = RILLE_INTERNAL;
    }
    for (size_t i = 0; rc == RILLE_OK && i < leaf_count; i++) {
        test_node *leaf;
        for (size_t next = i; i % RI_IO_WANTS_MAX == 0 && next < leaf_count; next++) {
            (void)ri_store_prefetch(store, &branch->children[next], test_node_decode, &io); /* as many as it takes */
        }
        ri_buf want = test_node_bytes(0, NULL, 0, seed + i, payload_len);
        rc = want.failed ? RILLE_NOMEM : test_get(store, &branch->children[i], &io, &leaf, err);
        if (rc == RILLE_OK) {
            rc = leaf->len == want.len && memcmp(leaf->bytes, want.p, want.len) == 0 ? rc : RILLE_INTERNAL;
            test_node_release(leaf);
        }
        ri_buf_deinit(&want);
    }
    test_node_release(branch);
    ri_io_deinit(&io);
    return rc;
}

#endif
