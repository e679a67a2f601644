rockspec_format = "3.0"
package = "rille"
version = "scm-1"
source = {
  url = "git+file://.", -- luarocks make builds the checkout it is called in; tools/pack-rock writes another URL here
}
description = {
  summary = "An embedded database of immutable values, queried with Datalog",
  detailed = [[
A database is an immutable value in storage: whoever can read the storage can query it, without a server.
Queries join values of different databases, backends and points in time.]],
  license = "MIT",
  labels = { "database", "datalog" },
}
dependencies = {
  "lua >= 5.1, < 5.5",
}
external_dependencies = {
  SODIUM = { header = "sodium.h", library = "sodium" },
  ZSTD = { header = "zstd.h", library = "zstd" },
}
-- LMDB is optional, so it is not listed above. CMake finds it, also below LMDB_DIR or in LMDB_INCDIR and LMDB_LIBDIR.
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "Release",
    CMAKE_C_FLAGS = "$(CFLAGS)",
    RILLE_TESTS = "OFF",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LUADIR = "$(LUADIR)",
    LIBDIR = "$(LIBDIR)",
    BINDIR = "$(BINDIR)",
    SODIUM_INCDIR = "$(SODIUM_INCDIR)",
    SODIUM_LIBDIR = "$(SODIUM_LIBDIR)",
    ZSTD_INCDIR = "$(ZSTD_INCDIR)",
    ZSTD_LIBDIR = "$(ZSTD_LIBDIR)",
    LMDB_DIR = "$(LMDB_DIR)",
    LMDB_INCDIR = "$(LMDB_INCDIR)",
    LMDB_LIBDIR = "$(LMDB_LIBDIR)",
  },
}
