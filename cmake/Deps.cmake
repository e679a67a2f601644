# SPDX-License-Identifier: MIT
#
# Foreign libraries as imported targets: rille::sodium, rille::zstd, and what options ask for (rille::lmdb).
# NAME_INCDIR and NAME_LIBDIR, or NAME_DIR (the variables of LuaRocks) say where to look first.
set(THREADS_PREFER_PTHREAD_FLAG ON)
if(RILLE_SINGLE_THREAD)
    add_library(Threads::Threads INTERFACE IMPORTED)
else()
    find_package(Threads REQUIRED)
endif()

# Sets <NAME>_FOUND; makes the target rille::<name> when both the header and the library are there.
function(rille_find name header library)
    string(TOUPPER ${name} upper)
    find_path(RILLE_${upper}_INCLUDE ${header} HINTS "${${upper}_INCDIR}" "${${upper}_DIR}" PATH_SUFFIXES include)
    find_library(RILLE_${upper}_LIBRARY ${library} HINTS "${${upper}_LIBDIR}" "${${upper}_DIR}" PATH_SUFFIXES lib)
    mark_as_advanced(RILLE_${upper}_INCLUDE RILLE_${upper}_LIBRARY)
    if(RILLE_${upper}_INCLUDE AND RILLE_${upper}_LIBRARY)
        add_library(rille::${name} UNKNOWN IMPORTED GLOBAL) # also for a project that rille is a part of
        set_target_properties(rille::${name} PROPERTIES IMPORTED_LOCATION "${RILLE_${upper}_LIBRARY}"
                              INTERFACE_INCLUDE_DIRECTORIES "${RILLE_${upper}_INCLUDE}")
        set(${upper}_FOUND TRUE PARENT_SCOPE)
    else()
        set(${upper}_FOUND FALSE PARENT_SCOPE)
    endif()
endfunction()

rille_find(sodium sodium.h sodium)
rille_find(zstd zstd.h zstd)
rille_find(lmdb lmdb.h lmdb)
rille_find(curl curl/curl.h curl)

foreach(name SODIUM ZSTD)
    if(NOT ${name}_FOUND)
        string(TOLOWER ${name} lower)
        message(FATAL_ERROR "rille needs lib${lower} and its header (Debian: lib${lower}-dev; "
                            "tools/install-deps installs it). Set ${name}_INCDIR and ${name}_LIBDIR if it lies elsewhere.")
    endif()
endforeach()

option(RILLE_WITH_LMDB "The backend lmdb:" ${LMDB_FOUND})
option(RILLE_WITH_CURL "The backends s3:, http: and https: (libcurl's headers are needed, and the library at run time)"
       ${CURL_FOUND})
foreach(name LMDB CURL)
    if(RILLE_WITH_${name} AND NOT ${name}_FOUND)
        message(FATAL_ERROR "RILLE_WITH_${name} is on, but its library or header was not found. "
                            "Set ${name}_INCDIR and ${name}_LIBDIR, or turn RILLE_WITH_${name} off.")
    endif()
    if(RILLE_WITH_${name})
        target_compile_definitions(rille_flags INTERFACE RILLE_WITH_${name}=1)
    else()
        target_compile_definitions(rille_flags INTERFACE RILLE_WITH_${name}=0)
        if(${name}_FOUND) # perhaps not yet when this directory was configured first
            message(STATUS "RILLE_WITH_${name} is off, although its library was found")
        endif()
    endif()
endforeach()
