# SPDX-License-Identifier: MIT
#
# test/test_<layer>_<x>.c   a program linked to that layer and what lies below; a test of the same name
# fuzz/fuzz_<x>.c           LLVMFuzzerTestOneInput only. Its first comment names the layer it needs: "layer: tree".
#                           Ordinary builds: fuzz_<x>_replay runs fuzz/corpus/<x>/* once, as a test. RILLE_FUZZ: a fuzzer.
# bench/bench_<x>.c         a program linked to everything, not a test
# bench/compare/<x>_driver.c  a program of bench/compare/run; that of SQLite only where SQLite is installed
# test/servers/*.c          the program fault_proxy, with which tests meet servers that fail
# test/lua_alloc.c          a module of Lua for the specs
# test/late_clock.c         a library that tools/test preloads
set(layer_of_backends store)
set(layer_of_servers base)

function(rille_program name source layer)
    add_executable(${name} ${source} ${ARGN})
    if(DEFINED layer_of_${layer})
        set(layer ${layer_of_${layer}})
    endif()
    if(NOT TARGET ri_${layer})
        message(FATAL_ERROR "${source}: there is no layer \"${layer}\"")
    endif()
    target_link_libraries(${name} PRIVATE ri_${layer} rille_warnings)
endfunction()

function(rille_fuzz_layer source out)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
    file(STRINGS "${source}" line REGEX "layer:[ \t]*[a-z]+" LIMIT_COUNT 1)
    set(layer query)
    if(line MATCHES "layer:[ \t]*([a-z]+)")
        set(layer ${CMAKE_MATCH_1})
    endif()
    set(${out} ${layer} PARENT_SCOPE)
endfunction()

file(GLOB fuzz_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/fuzz/fuzz_*.c")
foreach(source IN LISTS fuzz_sources)
    get_filename_component(name "${source}" NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" subject "${name}")
    rille_fuzz_layer("${source}" layer)
    if(RILLE_FUZZ)
        rille_program(${name} "${source}" ${layer})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    else()
        rille_program(${name}_replay "${source}" ${layer} "${PROJECT_SOURCE_DIR}/fuzz/replay.c")
        set(corpus "${PROJECT_SOURCE_DIR}/fuzz/corpus/${subject}")
        if(NOT IS_DIRECTORY "${corpus}")
            set(corpus "")
        endif()
        add_test(NAME ${name}_replay COMMAND ${name}_replay ${corpus})
    endif()
endforeach()

# A program of many checks takes long to optimise, and most of its time is spent in the library.
set(rille_test_options "")
if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang" AND (RILLE_SANITIZE OR NOT CMAKE_BUILD_TYPE STREQUAL "Debug"))
    set(rille_test_options -Og)
endif()

# Of one test that hangs. The slowest take a minute under AddressSanitizer, and machines may be many times slower.
set(rille_test_seconds_max 2400)

if(RILLE_TESTS AND NOT RILLE_FUZZ)
    file(GLOB proxy_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/test/servers/*.c")
    add_executable(fault_proxy ${proxy_sources})
    target_link_libraries(fault_proxy PRIVATE rille_flags rille_warnings pthread) # in each build

    file(GLOB test_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/test/test_*.c")
    foreach(source IN LISTS test_sources)
        get_filename_component(name "${source}" NAME_WE)
        if(NOT name MATCHES "^test_([a-z]+)_")
            message(FATAL_ERROR "${source}: a test is named test_<layer>_<file>.c")
        endif()
        set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "${rille_test_options}") # after all others
        rille_program(${name} "${source}" ${CMAKE_MATCH_1})
        add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
        set_tests_properties(${name} PROPERTIES TIMEOUT ${rille_test_seconds_max})
    endforeach()

    list(FILTER proxy_sources EXCLUDE REGEX "/fault_proxy[.]c$")
    target_sources(test_servers_proxy PRIVATE ${proxy_sources})
    target_compile_definitions(test_servers_proxy PRIVATE FAULT_PROXY="$<TARGET_FILE:fault_proxy>")
    add_dependencies(test_servers_proxy fault_proxy)

    # A module for spec/oom_spec.lua, beside that of rille.
    if(TARGET rille_lua AND NOT APPLE)
        add_library(rille_lua_alloc MODULE "${PROJECT_SOURCE_DIR}/test/lua_alloc.c")
        set_target_properties(rille_lua_alloc PROPERTIES PREFIX "" SUFFIX ".so" OUTPUT_NAME alloc
                              C_VISIBILITY_PRESET default
                              LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lua/rille_test")
        target_include_directories(rille_lua_alloc SYSTEM PRIVATE "${lua_include}")
        target_link_libraries(rille_lua_alloc PRIVATE rille_warnings)
        target_link_options(rille_lua_alloc PRIVATE -Wl,-z,nodelete) # it is Lua's allocator to the very end
    endif()

    if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT RILLE_SANITIZE)
        add_library(rille_late_clock MODULE "${PROJECT_SOURCE_DIR}/test/late_clock.c")
        set_target_properties(rille_late_clock PROPERTIES PREFIX "" SUFFIX ".so" OUTPUT_NAME late_clock
                              C_VISIBILITY_PRESET default LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/test")
        target_link_libraries(rille_late_clock PRIVATE rille_warnings)
    endif()

    file(GLOB bench_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/bench_*.c")
    foreach(source IN LISTS bench_sources)
        get_filename_component(name "${source}" NAME_WE)
        rille_program(${name} "${source}" query)
    endforeach()

    if(NOT RILLE_SANITIZE AND EXISTS "${PROJECT_SOURCE_DIR}/bench/compare")
        rille_program(compare_rille "${PROJECT_SOURCE_DIR}/bench/compare/rille_driver.c" query)
        find_library(RILLE_SQLITE_LIBRARY sqlite3)
        find_path(RILLE_SQLITE_INCLUDE_DIR sqlite3.h)
        mark_as_advanced(RILLE_SQLITE_LIBRARY RILLE_SQLITE_INCLUDE_DIR)
        if(RILLE_SQLITE_LIBRARY AND RILLE_SQLITE_INCLUDE_DIR)
            add_executable(compare_sqlite "${PROJECT_SOURCE_DIR}/bench/compare/sqlite_driver.c")
            target_include_directories(compare_sqlite SYSTEM PRIVATE "${RILLE_SQLITE_INCLUDE_DIR}")
            target_compile_definitions(compare_sqlite PRIVATE _POSIX_C_SOURCE=200809L)
            target_link_libraries(compare_sqlite PRIVATE "${RILLE_SQLITE_LIBRARY}" rille_warnings)
        endif()
    endif()

    # What is not compiled is the same in each build; with sanitizers there is another one, without.
    find_program(RILLE_LUA_TOOL lua5.4 lua)
    mark_as_advanced(RILLE_LUA_TOOL)
    if(RILLE_LUA_TOOL AND NOT RILLE_SANITIZE)
        add_test(NAME tree_layers COMMAND ${RILLE_LUA_TOOL} "${PROJECT_SOURCE_DIR}/tools/check_layers.lua"
                 "${PROJECT_SOURCE_DIR}")
    endif()
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT RILLE_SANITIZE)
        add_test(NAME tools_runner COMMAND bash "${PROJECT_SOURCE_DIR}/test/tools_runner.sh")
    endif()
    if(NOT RILLE_SANITIZE AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
        find_program(RILLE_CXX_TOOL NAMES c++ g++ clang++)
        mark_as_advanced(RILLE_CXX_TOOL)
        if(RILLE_CXX_TOOL)
            add_test(NAME build_headers COMMAND "${PROJECT_SOURCE_DIR}/tools/check_headers" "${PROJECT_BINARY_DIR}")
            set_tests_properties(build_headers PROPERTIES ENVIRONMENT "CC=${CMAKE_C_COMPILER};CXX=${RILLE_CXX_TOOL}")
        endif()
        add_test(NAME build_symbols COMMAND "${PROJECT_SOURCE_DIR}/tools/check_symbols" "${PROJECT_BINARY_DIR}")
    endif()
endif()
