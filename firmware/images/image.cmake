# What all images share; a board's mpconfigboard.cmake includes it after setting PICO_BOARD.
#
# MicroPython's own board definitions need picotool and a C++ library: the UF2 file is made by
# tools/image.py, and nothing here is C++ but one file of the SDK, which can be empty.
set(SPINET_IMAGES ${CMAKE_CURRENT_LIST_DIR})
set(PICO_NO_PICOTOOL 1)
list(APPEND MICROPY_DEF_BOARD PICO_CXX_DISABLE_ALLOCATION_OVERRIDES=1)
cmake_language(DEFER CALL set_target_properties ${MICROPY_TARGET} PROPERTIES LINKER_LANGUAGE C)
cmake_language(DEFER CALL target_link_libraries ${MICROPY_TARGET} m)

# Frozen native code is aligned to two bytes, but begins with a word that is loaded as one, which a
# Cortex-M0+ answers with a fault.  (In that file only: the compiler sees the macro there.)
cmake_language(DEFER CALL set_property SOURCE ${CMAKE_BINARY_DIR}/frozen_content.c
    APPEND PROPERTY COMPILE_OPTIONS -include ${SPINET_IMAGES}/frozen.h)

if(NOT MICROPY_BOARD_PINS)
    set(MICROPY_BOARD_PINS ${MICROPY_PORT_DIR}/boards/RPI_PICO/pins.csv)
endif()
