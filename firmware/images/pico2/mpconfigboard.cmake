# Raspberry Pi Pico 2 and boards like it (its ARM cores), the console on USB.
set(PICO_BOARD "pico2")
set(PICO_PLATFORM "rp2350-arm-s")
set(MICROPY_BOARD_PINS ${MICROPY_PORT_DIR}/boards/RPI_PICO2/pins.csv)
include(${MICROPY_BOARD_DIR}/../image.cmake)
