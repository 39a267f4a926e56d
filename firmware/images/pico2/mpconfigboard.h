#include "../image.h"
#define MICROPY_HW_BOARD_NAME           "Raspberry Pi Pico 2, spinet"
#define MICROPY_HW_FLASH_STORAGE_BYTES  (2 * 1024 * 1024)
