# Modules in flash as they are once they have been imported: see tools/rom.py.
add_library(usermod_rom INTERFACE)
target_sources(usermod_rom INTERFACE ${CMAKE_CURRENT_LIST_DIR}/rom.c)
target_include_directories(usermod_rom INTERFACE ${CMAKE_CURRENT_LIST_DIR})
target_compile_definitions(usermod_rom INTERFACE MICROPY_MODULE_BUILTIN_SUBPACKAGES=1)
target_link_libraries(usermod INTERFACE usermod_rom)

# What a class or a module in flash refers to, but MicroPython has in one file only.  (A deferred
# call sees variables as they are in the end, hence the EVAL.)
foreach(NAME objtype modio modos modhashlib modmicropython)
    cmake_language(EVAL CODE "cmake_language(DEFER CALL add_custom_command
        TARGET ${MICROPY_TARGET} PRE_LINK COMMAND ${CMAKE_OBJCOPY}
        --globalize-symbols=${CMAKE_CURRENT_LIST_DIR}/symbols.txt
        [[$<FILTER:$<TARGET_OBJECTS:${MICROPY_TARGET}>,INCLUDE,/${NAME}.c>]])")
endforeach()
