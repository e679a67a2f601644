# SPDX-License-Identifier: MIT
#
# Flags of every target of rille: rille_flags (how code is made) and rille_warnings (what is refused).
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(rille_flags INTERFACE)
target_compile_definitions(rille_flags INTERFACE _POSIX_C_SOURCE=200809L RILLE_VERSION="${PROJECT_VERSION}")
if(RILLE_SINGLE_THREAD)
    target_compile_definitions(rille_flags INTERFACE RILLE_SINGLE_THREAD)
endif()
if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(rille_flags INTERFACE -fno-semantic-interposition)
    if(CMAKE_BUILD_TYPE MATCHES "^Rel")
        target_compile_options(rille_flags INTERFACE -fno-plt)
    endif()
endif()

if(RILLE_SANITIZE)
    target_compile_options(rille_flags INTERFACE -fsanitize=${RILLE_SANITIZE} -fno-sanitize-recover=all
                           -fno-omit-frame-pointer -O1)
    target_link_options(rille_flags INTERFACE -fsanitize=${RILLE_SANITIZE})
    if(RILLE_SANITIZE MATCHES "address")
        # A block for each allocation, so that an overrun inside an arena is seen.
        target_compile_definitions(rille_flags INTERFACE RI_ARENA_MALLOC)
        # The leak detector guesses where the thread-local block of a loaded module begins by what lies before it, and
        # crashes where that is at the start of a page: so modules have none of their own.
        target_compile_options(rille_flags INTERFACE -ftls-model=initial-exec)
    endif()
endif()
if(RILLE_FUZZ)
    target_compile_options(rille_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

add_library(rille_warnings INTERFACE)
if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(rille_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                           -Wmissing-prototypes -Wvla -Wswitch-enum)
    if(RILLE_WERROR)
        target_compile_options(rille_warnings INTERFACE -Werror)
    endif()
endif()
