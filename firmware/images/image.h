// What all images share: what a board with a network wants beside what the port gives without one.
#define MICROPY_PY_SSL                  (1)
#define MICROPY_PY_HASHLIB_MD5          (1)
#define MICROPY_PY_HASHLIB_SHA1         (1)
#define MICROPY_PY_CRYPTOLIB            (1)
#define MICROPY_PY_WEBSOCKET            (1)
// Where a name was found last, remembered for more names: a third of a frame's time is look-ups.
#define MICROPY_OPT_MAP_LOOKUP_CACHE_SIZE (4096)
