# Raspberry Pi Pico, the console on UART 0 (GP0, GP1) and no USB: for a serial cable, and the
# emulator.  The port says that there is input only where it has USB, so poll(sys.stdin) is told.
set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")
include(${MICROPY_BOARD_DIR}/../image.cmake)
list(APPEND MICROPY_SOURCE_BOARD ${MICROPY_BOARD_DIR}/stdin.c)
cmake_language(DEFER CALL target_link_options ${MICROPY_TARGET} PRIVATE -Wl,--wrap=mp_hal_stdio_poll)
