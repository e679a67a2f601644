# SPDX-License-Identifier: MIT
#
# librille: rille::rille_static always, and rille::rille, which is the shared one. Where there is none (the platform has no
# shared libraries, or BUILD_SHARED_LIBS is off) rille::rille is the static one. Only rille_* leaves the shared one.
include(GNUInstallDirs)
get_property(can_share GLOBAL PROPERTY TARGET_SUPPORTS_SHARED_LIBS)
set(share_default ON)
if(EMSCRIPTEN OR NOT can_share OR (DEFINED BUILD_SHARED_LIBS AND NOT BUILD_SHARED_LIBS))
    set(share_default OFF)
endif()
option(RILLE_SHARED "Build the shared library" ${share_default})
if(RILLE_SHARED AND NOT can_share)
    message(FATAL_ERROR "RILLE_SHARED is on, but this platform has no shared libraries")
endif()
get_property(objects GLOBAL PROPERTY RILLE_OBJECTS)
get_property(libraries GLOBAL PROPERTY RILLE_LIBRARIES)
list(REMOVE_DUPLICATES libraries)
set(RILLE_ALL_OBJECTS "")
foreach(object IN LISTS objects)
    list(APPEND RILLE_ALL_OBJECTS "$<TARGET_OBJECTS:${object}>")
endforeach()
set(RILLE_ALL_LIBRARIES ${libraries})

add_library(rille_static STATIC ${RILLE_ALL_OBJECTS})
set_target_properties(rille_static PROPERTIES OUTPUT_NAME rille LINKER_LANGUAGE C)
target_link_libraries(rille_static PRIVATE $<BUILD_INTERFACE:rille_flags> PUBLIC ${RILLE_ALL_LIBRARIES})
set(include_dirs "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
target_include_directories(rille_static PUBLIC ${include_dirs})
add_library(rille::rille_static ALIAS rille_static)

# rille_exports(target script): hides everything that the version script does not list, static foreign code included.
function(rille_exports target script)
    if(UNIX AND NOT APPLE AND NOT EMSCRIPTEN)
        target_link_options(${target} PRIVATE "-Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/${script}"
                            -Wl,--exclude-libs,ALL -Wl,--gc-sections)
        set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/${script}")
    endif()
endfunction()

if(RILLE_SHARED)
    add_library(rille_shared SHARED ${RILLE_ALL_OBJECTS})
    set_target_properties(rille_shared PROPERTIES OUTPUT_NAME rille EXPORT_NAME rille LINKER_LANGUAGE C
                          VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    target_link_libraries(rille_shared PRIVATE rille_flags ${RILLE_ALL_LIBRARIES})
    target_include_directories(rille_shared PUBLIC ${include_dirs})
    rille_exports(rille_shared librille.map)
    add_library(rille::rille ALIAS rille_shared)
else()
    add_library(rille::rille ALIAS rille_static)
endif()

# For LuaRocks the module alone is made.
if(DEFINED LUADIR)
    set_target_properties(rille_static PROPERTIES EXCLUDE_FROM_ALL ON)
    if(RILLE_SHARED)
        set_target_properties(rille_shared PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
endif()
