// What all images share: what a board with a network wants beside what the port gives without one.
#define MICROPY_PY_SSL                  (1)
#define MICROPY_PY_HASHLIB_MD5          (1)
#define MICROPY_PY_HASHLIB_SHA1         (1)
#define MICROPY_PY_CRYPTOLIB            (1)
#define MICROPY_PY_WEBSOCKET            (1)
