# SPDX-License-Identifier: MIT
#
# -DCMAKE_PROJECT_rille_INCLUDE=this file: as on a platform that has no shared libraries.
set_property(GLOBAL PROPERTY TARGET_SUPPORTS_SHARED_LIBS FALSE)
