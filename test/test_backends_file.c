/* SPDX-License-Identifier: MIT */
#include "test_backends_file.h"

#include <errno.h>

/* ---- opening ---- */

TEST(file__says_what_is_wrong_with_a_place)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    CHECK_RC(open_file(test_join(dir.path, "/none", "").text, false, &store), RILLE_NOTFOUND);
    CHECK(strstr(test_err.message, "/none") != NULL);
    CHECK_RC(open_file(dir.path, false, &store), RILLE_NOTFOUND); /* empty */
    CHECK_RC(open_file(test_join(dir.path, "/a/b", "").text, true, &store), RILLE_NOTFOUND);
    CHECK(strstr(test_err.message, "parent") != NULL);
    CHECK(store == NULL);

    CHECK(test_file_write(test_join(dir.path, "/letter", "").text, "dear", 4));
    CHECK_RC(open_file(dir.path, true, &store), RILLE_FOREIGN);
    CHECK(strstr(test_err.message, dir.path) != NULL && strstr(test_err.message, "empty directory") != NULL);
    CHECK_RC(open_file(test_join(dir.path, "/letter", "").text, true, &store), RILLE_FOREIGN);

    CHECK(test_file_write(test_join(dir.path, "/rille", "").text, "rille database\nformat 2\n", 24));
    CHECK_RC(open_file(dir.path, true, &store), RILLE_FORMAT);
    CHECK(strstr(test_err.message, "format 2") != NULL);
    CHECK(test_file_write(test_join(dir.path, "/rille", "").text, "shopping list", 13));
    CHECK_RC(open_file(dir.path, false, &store), RILLE_FOREIGN);
    CHECK(test_file_write(test_join(dir.path, "/rille", "").text, "", 0));
    CHECK_RC(open_file(dir.path, false, &store), RILLE_FOREIGN);
    test_dir_remove(dir.path);
}

TEST(file__tells_a_damaged_marker_from_another_format)
{
    static const struct {
        const char *text;
        size_t len;
        int code;
        const char *says;
    } cases[] = {
        { "rille database\nformat 1\nx", 25, RILLE_CORRUPT, "format 1\\nx\": restore" },
        { "rille database\nformat 1\n\0", 25, RILLE_CORRUPT, "format 1\\n\\x00\"" },
        { "rille database\nformat 1", 23, RILLE_CORRUPT, "got \"rille database\\nformat 1\": restore" },
        { "rille database\nformat \x1b[2J\n", 27, RILLE_CORRUPT, "format \\x1b[2J\\n" },
        { "rille database\nformat \n", 23, RILLE_CORRUPT, "is corrupt" },
        { "rille database\nformat 1\n12345678901234567890123456789012345678901234567890", 74, RILLE_CORRUPT,
          "is corrupt" },
        { "rille database\nformat 1\ndropping\nx", 34, RILLE_CORRUPT, "is corrupt" },
        { "rille database\nformat 12\nmore", 29, RILLE_FORMAT, "uses storage format 12, " },
        { "rille database\nformat 123456789012345678901234567890\n", 53, RILLE_FORMAT, "newer" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_dir dir = test_dir_fast();
        ri_store *store;
        CHECK(test_file_write(test_join(dir.path, "/rille", "").text, cases[i].text, cases[i].len));
        CHECK_RC(open_file(dir.path, false, &store), cases[i].code);
        CHECK_RC(open_file(dir.path, true, &store), cases[i].code);
        CHECK(strstr(test_err.message, cases[i].says) != NULL);
        for (const char *c = test_err.message; *c != '\0'; c++) {
            CHECK(*c >= ' ' && *c < 0x7f);
        }
        test_dir_remove(dir.path);
    }
}

TEST(file__creates_in_an_empty_directory_and_lives_without_empty_ones)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    REQUIRE_RC(open_file(dir.path, true, &store), RILLE_OK);
    CHECK(rmdir(test_join(dir.path, "/heads", "").text) == 0); /* as a copy by a tool that skips them */
    CHECK(rmdir(test_join(dir.path, "/packs", "").text) == 0);
    CHECK(rmdir(test_join(dir.path, "/blobs", "").text) == 0);
    rille_head head;
    char *names;
    size_t count;
    CHECK_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_NOTFOUND);
    CHECK_RC(ri_store_head_list(store, &names, &count, &test_err), RILLE_OK);
    CHECK_EQ_INT(count, 0);
    rille_free(names);
    CHECK_RC(test_write_tree(store, 1, 3, 100, &root, &offset, &len, &test_err), RILLE_OK);
    CHECK_RC(test_check_tree(store, &root, 1, 3, 100, &test_err), RILLE_OK);
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST(file__drop_leaves_what_is_not_its_own)
{
    test_dir dir = test_dir_fast();
    ri_store *store;
    ri_noderef root;
    uint64_t offset;
    uint64_t len;
    test_text mine = test_join(dir.path, "/db/mine", "");
    test_text path = test_join(dir.path, "/db", "");
    REQUIRE_RC(open_file(path.text, true, &store), RILLE_OK);
    CHECK_RC(test_write_tree(store, 1, 3, 100, &root, &offset, &len, &test_err), RILLE_OK);
    CHECK(test_file_write(mine.text, "x", 1));
    CHECK(test_file_write(test_join(dir.path, "/db/packs/.tmp-0123", "").text, "x", 1));
    CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
    ri_store_release(store);
    struct stat info;
    CHECK(stat(mine.text, &info) == 0);
    CHECK(stat(test_join(dir.path, "/db/packs", "").text, &info) != 0);
    CHECK(unlink(mine.text) == 0);
    CHECK_RC(open_file(path.text, true, &store), RILLE_OK);
    CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
    ri_store_release(store);
    CHECK(stat(path.text, &info) != 0);
    test_dir_remove(dir.path);
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(file__drops_nothing_behind_a_link)
{
    static const char *const links[] = { "/db/heads", "/db/packs", "/db/blobs", "/db/blobs/01" };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        test_dir dir = test_dir_fast();
        ri_store *store;
        struct stat info;
        test_text link = test_join(dir.path, links[i], "");
        test_text other = test_join(dir.path, "/other", "");
        static const char *const names[] = { "/main", ("/" HEX64 ".pack"), ("/" HEX64), "/.tmp-0123" };
        REQUIRE_RC(open_file(test_join(dir.path, "/db", "").text, true, &store), RILLE_OK);
        CHECK(mkdir(other.text, 0755) == 0);
        CHECK(rmdir(link.text) == 0 || errno == ENOENT); /* blobs/01 is not there yet */
        REQUIRE(symlink(i < 3 ? "../other" : "../../other", link.text) == 0);
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            CHECK(test_file_write(test_join(other.text, names[j], "").text, "x", 1));
        }
        CHECK_RC(test_set_head(store, "side", "head", 4, NULL, &test_err), i == 0 ? RILLE_FOREIGN : RILLE_OK);
        CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
        ri_store_release(store);
        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            CHECK(stat(test_join(other.text, names[j], "").text, &info) == 0);
        }
        CHECK(lstat(link.text, &info) == 0 && S_ISLNK(info.st_mode));
        test_dir_remove(dir.path);
    }
}

static size_t count_names(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    CHECK(dir == NULL || closedir(dir) == 0);
    return count;
}

/* Everything that can be done with a database. */
static void do_all(const char *path)
{
    ri_store *store;
    ri_noderef root;
    rille_head head;
    uint64_t offset;
    uint64_t len;
    for (int create = 0; create < 2; create++) {
        if (open_file(path, create == 1, &store) == RILLE_OK) {
            (void)ri_store_size_bytes(store);
            if (ri_store_head_read(store, "main", &head, &test_err) == RILLE_OK) {
                rille_free(head.bytes);
            }
            (void)test_write_tree(store, 1, 3, 100, &root, &offset, &len, &test_err);
            (void)test_set_head(store, "main", "head", 4, NULL, &test_err);
            (void)test_set_head(store, "side", "head", 4, NULL, &test_err);
            (void)ri_store_drop(store, &test_err);
            ri_store_release(store);
        }
    }
}

/* A database from a stranger writes, makes and removes nothing outside of its directory. */
TEST(file__writes_nothing_behind_a_link)
{
    static const char *const names[] = { "rille", "lock", "heads/main", "heads", "packs", "blobs", "" /* a pack */ };
    for (size_t i = 0; i < 3 * sizeof names / sizeof *names; i++) {
        test_dir dir = test_dir_fast();
        test_text path = test_join(dir.path, "/db", "");
        test_text file = test_join(dir.path, "/file", "");
        test_text missing = test_join(dir.path, "/missing", "");
        test_text other = test_join(dir.path, "/other", "");
        test_text link = test_join(path.text, "/", names[i / 3]);
        const char *const targets[] = { file.text, missing.text, other.text };
        ri_store *store;
        ri_noderef root;
        uint64_t offset;
        uint64_t len;
        char hex[2 * RI_HASH_SIZE + 1];
        REQUIRE_RC(open_file(path.text, true, &store), RILLE_OK);
        CHECK_RC(test_write_tree(store, 1, 3, 100, &root, &offset, &len, &test_err), RILLE_OK);
        ri_store_release(store);
        if (names[i / 3][0] == '\0') {
            ri_hex(hex, root.pack, RI_HASH_SIZE);
            link = test_join(path.text, "/packs/", test_join(hex, ".pack", "").text);
        }
        CHECK(test_file_write(file.text, "x", 1) && mkdir(other.text, 0755) == 0);
        CHECK(test_file_write(test_join(other.text, "/main", "").text, "x", 1));
        test_dir_remove(link.text);
        (void)unlink(link.text);
        REQUIRE(symlink(targets[i % 3], link.text) == 0);
        do_all(path.text);
        uint8_t *bytes = test_file_read(file.text, &len);
        CHECK_EQ_MEM(bytes, len, "x", 1);
        free(bytes);
        bytes = test_file_read(test_join(other.text, "/main", "").text, &len);
        CHECK_EQ_MEM(bytes, len, "x", 1);
        free(bytes);
        CHECK(access(missing.text, F_OK) != 0);
        CHECK_EQ_INT(count_names(other.text), 3);
        test_dir_remove(dir.path);
    }
}

static int drop_it(const char *path)
{
    ri_store *store;
    int rc = open_file(path, false, &store);
    if (rc == RILLE_OK) {
        rc = ri_store_drop(store, &test_err);
        ri_store_release(store);
    }
    return rc;
}

/* Stopped anywhere, here by a directory where a file is expected: nobody finds a head, a creation makes the database
 * anew, another drop ends it. */
TEST(file__a_drop_that_stopped_can_be_repeated)
{
    static const char *const stops[] = { ("/packs/" HEX64 ".pack"), ("/blobs/01/" HEX64), "/.tmp-0123456789abcdef" };
    for (size_t i = 0; i < 2 * sizeof stops / sizeof *stops; i++) {
        test_dir dir = test_dir_fast();
        test_text path = test_join(dir.path, "/db", "");
        test_text stop = test_join(path.text, stops[i / 2], "");
        ri_store *store;
        rille_head head;
        REQUIRE_RC(open_file(path.text, true, &store), RILLE_OK);
        CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
        ri_store_release(store);
        CHECK(i / 2 != 1 || mkdir(test_join(path.text, "/blobs/01", "").text, 0755) == 0);
        CHECK(mkdir(stop.text, 0755) == 0);
        CHECK(drop_it(path.text) < 0);
        CHECK(rmdir(stop.text) == 0);
        if (i % 2 == 0) {
            REQUIRE_RC(open_file(path.text, true, &store), RILLE_OK);
            CHECK_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_NOTFOUND);
            CHECK_RC(test_set_head(store, "main", "anew", 4, NULL, &test_err), RILLE_OK);
            ri_store_release(store);
        }
        CHECK_RC(drop_it(path.text), RILLE_OK);
        CHECK(rmdir(path.text) != 0); /* is gone */
        test_dir_remove(dir.path);
    }
}

/* Objects without a head: a drop that was stopped is no damage, and a creation ends it. */
TEST(file__knows_a_lost_head_from_a_drop_that_stopped)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    test_text stop = test_join(path.text, "/packs/" HEX64 ".pack", "");
    ri_store *store;
    ri_noderef root;
    rille_head head;
    uint64_t offset;
    uint64_t len;
    struct stat info;
    for (int i = 0; i < 2; i++) {
        REQUIRE_RC(open_file(path.text, true, &store), RILLE_OK);
        CHECK_RC(ri_store_check_heads(store, &test_err), RILLE_OK);
        CHECK_RC(test_write_tree(store, 1, 3, 100, &root, &offset, &len, &test_err), RILLE_OK);
        ri_store_release(store);
        if (i == 0) {
            CHECK(unlink(test_join(path.text, "/heads/main", "").text) == 0);
            REQUIRE_RC(open_file(path.text, true, &store), RILLE_OK);
            CHECK_RC(ri_store_check_heads(store, &test_err), RILLE_CORRUPT);
            CHECK(strstr(test_err.message, path.text) != NULL && strstr(test_err.message, "heads/main") != NULL);
            ri_store_release(store);
        } else { /* anything may be left of the packs: here all that the walk did not come to */
            CHECK(mkdir(stop.text, 0755) == 0);
            CHECK(drop_it(path.text) < 0);
            CHECK(rmdir(stop.text) == 0);
            CHECK(test_file_write(stop.text, "x", 1));
            REQUIRE_RC(open_file(path.text, false, &store), RILLE_OK);
            CHECK_RC(ri_store_check_heads(store, &test_err), RILLE_OK);
            CHECK_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_NOTFOUND);
            rille_revision none = { { 0 } };
            CHECK_RC(swap_text(store, &none, "base", 0), RILLE_NOTFOUND);
            ri_store_release(store);
            REQUIRE_RC(open_file(path.text, true, &store), RILLE_OK);
            CHECK(stat(stop.text, &info) != 0);
            ri_store_release(store);
            REQUIRE_RC(open_file(path.text, false, &store), RILLE_OK);
            CHECK_RC(ri_store_check_heads(store, &test_err), RILLE_OK);
            CHECK_RC(swap_text(store, &none, "base", 0), RILLE_OK);
            ri_store_release(store);
        }
        CHECK_RC(drop_it(path.text), RILLE_OK);
        CHECK(stat(path.text, &info) != 0);
    }
    test_dir_remove(dir.path);
}

/* And not that a node is missing. */
TEST(file__tells_readers_that_the_database_was_dropped)
{
    for (int i = 0; i < 2; i++) { /* while it is dropped, and after it */
        test_dir dir = test_dir_fast();
        test_text path = test_join(dir.path, "/db", "");
        ri_store *store;
        ri_noderef root;
        rille_head head;
        uint64_t offset;
        uint64_t len;
        REQUIRE_RC(open_file(path.text, true, &store), RILLE_OK);
        CHECK_RC(test_write_tree(store, 1, 3, 100, &root, &offset, &len, &test_err), RILLE_OK);
        ri_store_release(store);
        REQUIRE_RC(open_file(path.text, false, &store), RILLE_OK);
        CHECK(i == 1 || mkdir(test_join(path.text, "/.tmp-0123", "").text, 0755) == 0); /* stops it */
        CHECK(drop_it(path.text) == RILLE_OK || i == 0);
        CHECK_RC(test_check_tree(store, &root, 1, 3, 100, &test_err), RILLE_NOTFOUND);
        CHECK(strstr(test_err.message, path.text) != NULL &&
              strstr(test_err.message, "the database was dropped") != NULL);
        CHECK_RC(ri_store_head_read(store, "main", &head, &test_err), RILLE_NOTFOUND);
        CHECK(strstr(test_err.message, "the database was dropped") != NULL);
        rille_revision none = { { 0 } };
        CHECK_RC(swap_text(store, &none, "base", 0), RILLE_NOTFOUND);
        CHECK(strstr(test_err.message, "the database was dropped") != NULL);
        ri_store_release(store);
        test_dir_remove(dir.path);
    }
}

/* A commit put its pack and its blob when the drop had passed there. */
TEST(file__can_be_made_again_where_a_writer_raced_a_drop)
{
    test_dir dir = test_dir_fast();
    test_text path = test_join(dir.path, "/db", "");
    test_text pack = test_join(path.text, "/packs/" HEX64 ".pack", "");
    ri_store *store;
    struct stat info;
    CHECK(mkdir(path.text, 0755) == 0 && mkdir(test_join(path.text, "/heads", "").text, 0755) == 0);
    CHECK(mkdir(test_join(path.text, "/packs", "").text, 0755) == 0);
    CHECK(mkdir(test_join(path.text, "/blobs", "").text, 0755) == 0);
    CHECK(mkdir(test_join(path.text, "/blobs/01", "").text, 0755) == 0);
    CHECK(test_file_write(pack.text, "x", 1));
    CHECK(test_file_write(test_join(path.text, "/blobs/01/" HEX64, "").text, "x", 1));
    CHECK_RC(open_file(path.text, false, &store), RILLE_NOTFOUND);
    REQUIRE_RC(open_file(path.text, true, &store), RILLE_OK);
    ri_store_release(store);
    CHECK_RC(drop_it(path.text), RILLE_OK);
    CHECK(stat(path.text, &info) != 0);
    test_dir_remove(dir.path);
}

/* What only looks like it is nobody's to take. */
TEST(file__refuses_a_directory_with_a_head_or_strangers_in_it)
{
    static const char *const names[] = { "/heads/main", "/packs/letter", ("/packs/" HEX64 ".pac"), ("/blobs/" HEX64),
                                         "/blobs/01/letter" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        test_dir dir = test_dir_fast();
        ri_store *store;
        CHECK(mkdir(test_join(dir.path, "/heads", "").text, 0755) == 0);
        CHECK(mkdir(test_join(dir.path, "/packs", "").text, 0755) == 0);
        CHECK(mkdir(test_join(dir.path, "/blobs", "").text, 0755) == 0);
        CHECK(mkdir(test_join(dir.path, "/blobs/01", "").text, 0755) == 0);
        CHECK(test_file_write(test_join(dir.path, names[i], "").text, "x", 1));
        CHECK_RC(open_file(dir.path, true, &store), RILLE_FOREIGN);
        test_dir_remove(dir.path);
    }
    test_dir dir = test_dir_fast();
    ri_store *store;
    CHECK(test_file_write(test_join(dir.path, "/packs", "").text, "x", 1));
    CHECK_RC(open_file(dir.path, true, &store), RILLE_FOREIGN);
    test_dir_remove(dir.path);
}

TEST(file__drops_its_own_directory_and_not_its_namesake)
{
    test_dir dir = test_dir_fast();
    char here[1000];
    ri_store *store;
    struct stat info;
    CHECK(mkdir(test_join(dir.path, "/a", "").text, 0755) == 0);
    CHECK(mkdir(test_join(dir.path, "/b", "").text, 0755) == 0);
    CHECK(mkdir(test_join(dir.path, "/b/db", "").text, 0755) == 0);
    REQUIRE(getcwd(here, sizeof here) != NULL && chdir(test_join(dir.path, "/a", "").text) == 0);
    CHECK_RC(open_file("db", true, &store), RILLE_OK);
    REQUIRE(chdir("../b") == 0);
    CHECK_RC(ri_store_drop(store, &test_err), RILLE_OK);
    ri_store_release(store);
    CHECK(stat("db", &info) == 0);
    REQUIRE(chdir(here) == 0);
    test_dir_remove(dir.path);
}

TEST(file__survives_a_change_of_directory)
{
    test_dir dir = test_dir_fast();
    char here[1000];
    ri_store *store;
    REQUIRE(getcwd(here, sizeof here) != NULL && chdir(dir.path) == 0);
    CHECK_RC(open_file("db", true, &store), RILLE_OK);
    REQUIRE(chdir(here) == 0);
    CHECK_RC(test_set_head(store, "main", "head", 4, NULL, &test_err), RILLE_OK);
    check_head(store, "head");
    ri_store_release(store);
    test_dir_remove(dir.path);
}

TEST_MAIN(file__says_what_is_wrong_with_a_place, file__tells_a_damaged_marker_from_another_format,
          file__creates_in_an_empty_directory_and_lives_without_empty_ones, file__drop_leaves_what_is_not_its_own,
          file__drops_nothing_behind_a_link, file__writes_nothing_behind_a_link,
          file__a_drop_that_stopped_can_be_repeated, file__knows_a_lost_head_from_a_drop_that_stopped,
          file__tells_readers_that_the_database_was_dropped, file__can_be_made_again_where_a_writer_raced_a_drop,
          file__refuses_a_directory_with_a_head_or_strangers_in_it, file__drops_its_own_directory_and_not_its_namesake,
          file__survives_a_change_of_directory)
