#include "../image.h"
#define MICROPY_HW_BOARD_NAME           "Raspberry Pi Pico, spinet"
#define MICROPY_HW_FLASH_STORAGE_BYTES  (1024 * 1024)
