#include "../image.h"
#define MICROPY_HW_BOARD_NAME           "Raspberry Pi Pico, spinet, UART"
#define MICROPY_HW_FLASH_STORAGE_BYTES  (1024 * 1024)
#define MICROPY_HW_ENABLE_USBDEV        (0)
#define MICROPY_HW_ENABLE_UART_REPL     (1)
