# SPDX-License-Identifier: MIT
#
# librille, static and shared. Only rille_* leaves the shared one.
include(GNUInstallDirs)
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
target_link_libraries(rille_static PRIVATE rille_flags PUBLIC ${RILLE_ALL_LIBRARIES})
target_include_directories(rille_static PUBLIC "${PROJECT_SOURCE_DIR}/include")

# rille_exports(target script): hides everything that the version script does not list, static foreign code included.
function(rille_exports target script)
    if(UNIX AND NOT APPLE AND NOT EMSCRIPTEN)
        target_link_options(${target} PRIVATE "-Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/${script}"
                            -Wl,--exclude-libs,ALL -Wl,--gc-sections)
        set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/${script}")
    endif()
endfunction()

if(NOT EMSCRIPTEN)
    add_library(rille_shared SHARED ${RILLE_ALL_OBJECTS})
    set_target_properties(rille_shared PROPERTIES OUTPUT_NAME rille LINKER_LANGUAGE C
                          VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    target_link_libraries(rille_shared PRIVATE rille_flags ${RILLE_ALL_LIBRARIES})
    target_include_directories(rille_shared PUBLIC "${PROJECT_SOURCE_DIR}/include")
    rille_exports(rille_shared librille.map)
endif()

# For LuaRocks the module alone is made.
if(DEFINED LUADIR)
    set_target_properties(rille_static rille_shared PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
