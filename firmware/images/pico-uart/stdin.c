// Input that waits in the UART's buffer counts for poll(sys.stdin).
#include "py/mphal.h"
#include "py/ringbuf.h"
#include "py/stream.h"

extern ringbuf_t stdin_ringbuf;
uintptr_t __real_mp_hal_stdio_poll(uintptr_t asked);

uintptr_t __wrap_mp_hal_stdio_poll(uintptr_t asked) {
    uintptr_t waiting = ringbuf_avail(&stdin_ringbuf) ? MP_STREAM_POLL_RD : 0;
    return __real_mp_hal_stdio_poll(asked) | (asked & waiting);
}
