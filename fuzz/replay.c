/* SPDX-License-Identifier: MIT
 *
 * main() for a fuzz target in ordinary builds: hands each file of the directories (or each file) on the command line
 * to the target once. The bytes lie in a block of exactly their length, so that a sanitizer sees one byte too many.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define PATH_SIZE 4096
#define INPUT_BYTES_MAX ((long)64 << 20)

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    long len = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    uint8_t *bytes = NULL;
    int rc = 1;
    if (len < 0 || len > INPUT_BYTES_MAX || fseek(file, 0, SEEK_SET) != 0) {
        (void)fprintf(stderr, "%s: cannot be read, or is above %ld bytes\n", path, INPUT_BYTES_MAX);
    } else if ((bytes = malloc(len == 0 ? 1 : (size_t)len)) != NULL) {
        if (fread(bytes, 1, (size_t)len, file) == (size_t)len) {
            (void)LLVMFuzzerTestOneInput(bytes, (size_t)len);
            rc = 0;
        } else {
            (void)fprintf(stderr, "%s: short read\n", path);
        }
    }
    free(bytes);
    (void)fclose(file);
    return rc;
}

static int replay_dir(const char *path, size_t *count)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        perror(path);
        return 1;
    }
    int failed = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char name[PATH_SIZE];
        int len = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && len > 0 && (size_t)len < sizeof name) {
            failed += replay_file(name);
            (*count)++;
        }
    }
    (void)closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = LLVMFuzzerTestOneInput((const uint8_t *)"", 0) > 0;
    size_t count = 1;
    for (int i = 1; i < argc; i++) {
        struct stat info;
        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            failed += replay_dir(argv[i], &count);
        } else {
            failed += replay_file(argv[i]);
            count++;
        }
    }
    (void)printf("%zu inputs replayed\n", count);
    return failed != 0;
}
