// What tools/rom.py writes and rom.c uses.
#include "py/obj.h"
#include "py/stream.h"

// A module whose dictionary is in RAM: at first the `n` items of `table`; of those that `fresh`
// names the value is a new list with what the tuple there has, or for None a new dictionary.
typedef struct {
    mp_obj_module_t *module;
    const mp_rom_map_elem_t *table;
    size_t n;
    const mp_rom_obj_t *fresh;
    size_t n_fresh;
} spinet_rom_mutable_t;

// A class whose members may be copied to RAM; `map` is what `dict` has as long as they are not.
typedef struct {
    mp_obj_dict_t *dict;
    mp_map_t map;
} spinet_rom_class_t;

extern const spinet_rom_mutable_t spinet_rom_mutables[];
extern const spinet_rom_class_t spinet_rom_classes[];
extern const mp_obj_module_t spinet_rom_package;

MP_DECLARE_CONST_FUN_OBJ_0(spinet_rom_init_obj);
MP_DECLARE_CONST_FUN_OBJ_1(spinet_rom_thaw_obj);

// MicroPython's own, which micropython.cmake makes visible.
mp_obj_t mp_obj_instance_make_new(const mp_obj_type_t *, size_t, size_t, const mp_obj_t *);
void instance_print(const mp_print_t *, mp_obj_t, mp_print_kind_t);
mp_obj_t instance_unary_op(mp_unary_op_t, mp_obj_t);
mp_obj_t instance_binary_op(mp_binary_op_t, mp_obj_t, mp_obj_t);
void mp_obj_instance_attr(mp_obj_t, qstr, mp_obj_t *);
mp_obj_t instance_subscr(mp_obj_t, mp_obj_t, mp_obj_t);
mp_int_t instance_get_buffer(mp_obj_t, mp_buffer_info_t *, mp_uint_t);
extern const mp_obj_type_t mp_type_iobase, hashlib_sha256_type;
extern const mp_stream_p_t iobase_p;
extern const mp_obj_module_t mp_module_machine, mp_module_select, mp_module_struct, mp_module_os,
    mp_module_json, mp_module_time, mp_module_hashlib, mp_module_tls, mp_module_errno;
MP_DECLARE_CONST_FUN_OBJ_1(mp_os_urandom_obj);
MP_DECLARE_CONST_FUN_OBJ_1(mp_os_dupterm_notify_obj);
MP_DECLARE_CONST_FUN_OBJ_VAR_BETWEEN(mp_os_dupterm_obj);
MP_DECLARE_CONST_FUN_OBJ_2(mp_micropython_schedule_obj);
MP_DECLARE_CONST_FUN_OBJ_1(mp_time_sleep_ms_obj);
MP_DECLARE_CONST_FUN_OBJ_0(mp_time_ticks_ms_obj);
MP_DECLARE_CONST_FUN_OBJ_2(mp_time_ticks_add_obj);
MP_DECLARE_CONST_FUN_OBJ_2(mp_time_ticks_diff_obj);
