# Raspberry Pi Pico and boards like it, the console on USB.
set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")
include(${MICROPY_BOARD_DIR}/../image.cmake)
