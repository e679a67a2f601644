# SPDX-License-Identifier: MIT
#
# The Lua module, lua/rille/core.so in the build directory: never linked to liblua (the host brings it), one file a
# Lua ABI. LUA_INCDIR (from LuaRocks) decides alone where the headers are; else RILLE_LUA does. The module of ABI 5.1
# is made with the headers of PUC Lua 5.1 and loads in LuaJIT, too.
if(LUA_INCDIR)
    set(lua_include "${LUA_INCDIR}")
elseif(RILLE_LUA MATCHES "^5[.][1-4]$")
    find_path(RILLE_LUA_INCLUDE_${RILLE_LUA} lua.h PATH_SUFFIXES lua${RILLE_LUA} lua-${RILLE_LUA} lua/${RILLE_LUA}
              NO_CMAKE_ENVIRONMENT_PATH)
    mark_as_advanced(RILLE_LUA_INCLUDE_${RILLE_LUA})
    set(lua_include "${RILLE_LUA_INCLUDE_${RILLE_LUA}}")
else()
    message(FATAL_ERROR "RILLE_LUA is \"${RILLE_LUA}\"; it must be 5.1, 5.2, 5.3, 5.4 or off")
endif()
if(NOT EXISTS "${lua_include}/lua.h")
    message(FATAL_ERROR "no lua.h for Lua ${RILLE_LUA} (Debian: liblua${RILLE_LUA}-dev or liblua5.1-0-dev; "
                        "tools/install-deps installs it). Set LUA_INCDIR, or RILLE_LUA=off for the C library alone.")
endif()
file(STRINGS "${lua_include}/lua.h" lua_version_line REGEX "^#define[ \t]+LUA_VERSION_NUM[ \t]+[0-9]+")
string(REGEX REPLACE ".*LUA_VERSION_NUM[ \t]+([0-9]+).*" "\\1" RILLE_LUA_VERSION_NUM "${lua_version_line}")
message(STATUS "Lua ABI ${RILLE_LUA_VERSION_NUM} from ${lua_include}")

file(GLOB lua_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/lua/*.c")
if(lua_sources)
    add_library(rille_lua MODULE ${lua_sources} ${RILLE_ALL_OBJECTS})
    set_target_properties(rille_lua PROPERTIES PREFIX "" SUFFIX ".so" OUTPUT_NAME core
                          C_VISIBILITY_PRESET default # of src/lua alone; module.map lets only luaopen_rille_core out
                          LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lua/rille")
    target_include_directories(rille_lua PRIVATE "${PROJECT_SOURCE_DIR}/include")
    target_include_directories(rille_lua SYSTEM PRIVATE "${lua_include}")
    target_link_libraries(rille_lua PRIVATE rille_flags rille_warnings ${RILLE_ALL_LIBRARIES})
    if(APPLE)
        target_link_options(rille_lua PRIVATE -undefined dynamic_lookup)
    endif()
    if(NOT APPLE AND NOT WIN32)
        # Stays mapped after dlclose: Lua 5.1 unloads modules before the last finalizers, which may still call this one;
        # and a leak report at exit can name its functions.
        target_link_options(rille_lua PRIVATE -Wl,-z,nodelete)
    endif()
    rille_exports(rille_lua module.map)
endif()

# bin/rille in the build directory: the command with the paths of this build.
math(EXPR lua_minor "${RILLE_LUA_VERSION_NUM} % 100")
set(lua_program lua5.${lua_minor})
configure_file("${PROJECT_SOURCE_DIR}/cmake/launcher.in" "${PROJECT_BINARY_DIR}/bin/rille" @ONLY
               FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
