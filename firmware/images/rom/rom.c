// What spinet's modules take of RAM when they are in flash, imported (tools/rom.py): the globals
// of those that rebind some, and the members of classes that are wrapped while a Background runs.
#include <string.h>

#include "py/objlist.h"
#include "py/objmodule.h"
#include "py/objtype.h"
#include "py/runtime.h"
#include "rom.h"

// A list of what is in the heap and has no other reference there.
MP_REGISTER_ROOT_POINTER(mp_obj_t spinet_rom_alive);

// Called whenever `spinet` is imported and is not in sys.modules: after each start of the heap.
static mp_obj_t init(void) {
    mp_obj_t alive = mp_obj_new_list(0, NULL);
    MP_STATE_VM(spinet_rom_alive) = alive;
    for (const spinet_rom_mutable_t *m = spinet_rom_mutables; m->module != NULL; m++) {
        mp_obj_t globals = mp_obj_new_dict(m->n);
        mp_obj_list_append(alive, globals);
        for (size_t i = 0; i < m->n; i++) {
            mp_obj_dict_store(globals, (mp_obj_t)m->table[i].key, (mp_obj_t)m->table[i].value);
        }
        for (size_t i = 0; i < m->n_fresh; i++) {
            mp_obj_t name = (mp_obj_t)m->fresh[i];
            mp_obj_t content = mp_obj_dict_get(globals, name);
            mp_obj_t made;
            if (content == mp_const_none) {
                made = mp_obj_new_dict(0);
            } else {
                size_t len;
                mp_obj_t *items;
                mp_obj_get_array(content, &len, &items);
                made = mp_obj_new_list(len, items);
            }
            mp_obj_dict_store(globals, name, made);
        }
        m->module->globals = MP_OBJ_TO_PTR(globals);
    }
    for (const spinet_rom_class_t *c = spinet_rom_classes; c->dict != NULL; c++) {
        c->dict->map = c->map;
    }
    mp_obj_dict_store(MP_OBJ_FROM_PTR(&MP_STATE_VM(mp_loaded_modules_dict)),
        MP_OBJ_NEW_QSTR(MP_QSTR_spinet), MP_OBJ_FROM_PTR(&spinet_rom_package));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_0(spinet_rom_init_obj, init);

// thaw(cls): copy the members of a class to RAM, so that they can be set.
static mp_obj_t thaw(mp_obj_t cls) {
    const void *dict = MP_OBJ_TYPE_GET_SLOT_OR_NULL((mp_obj_type_t *)MP_OBJ_TO_PTR(cls),
        locals_dict);
    for (const spinet_rom_class_t *c = spinet_rom_classes; c->dict != NULL; c++) {
        mp_map_t *map = &c->dict->map;
        if (c->dict == dict && map->is_fixed) {
            mp_map_elem_t *table = m_new(mp_map_elem_t, map->alloc);
            mp_obj_list_append(MP_STATE_VM(spinet_rom_alive), MP_OBJ_FROM_PTR(table));
            memcpy(table, map->table, map->alloc * sizeof(mp_map_elem_t));
            map->table = table;
            map->is_fixed = 0;
        }
    }
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_1(spinet_rom_thaw_obj, thaw);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_spinet_rom) },
    { MP_ROM_QSTR(MP_QSTR_thaw), MP_ROM_PTR(&spinet_rom_thaw_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t spinet_rom_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};

MP_REGISTER_MODULE(MP_QSTR_spinet_rom, spinet_rom_module);
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_spinet, spinet_rom_package);
