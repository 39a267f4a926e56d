"""Inner loops of the primitives in assembly, for the Cortex-M: whole words at word addresses.

Viper keeps its variables in memory, this in registers: four times as fast.  Only instructions that
a Cortex-M0+ has.  Addresses come as integers, which below 2**30 take no memory; that is where the
RAM of microcontrollers is.  `prim_viper.py` calls them, and does what is left over.
"""
# ruff: noqa: F821 - the names of registers and instructions are known to the compiler alone
import micropython


@micropython.asm_thumb
def sum_words(r0, r1):
    """The ones' complement sum, folded to 16 bits, of `r1` words (a multiple of 4) at `r0`."""
    mov(r2, 0)
    mov(r3, 0)
    label(LOOP)
    cmp(r1, 0)
    ble(DONE)
    data(2, 0xC8F0)         # ldmia r0!, {r4, r5, r6, r7}
    add(r2, r2, r4)
    adc(r2, r5)
    adc(r2, r6)
    adc(r2, r7)
    adc(r2, r3)
    sub(r1, 4)
    b(LOOP)
    label(DONE)
    lsl(r0, r2, 16)
    add(r2, r2, r0)         # the halves added in the upper one
    adc(r3, r3)
    lsr(r0, r2, 16)
    add(r0, r0, r3)


@micropython.asm_thumb
def copy_words(r0, r1, r2):
    """Copy `r2` words (a multiple of 4) from `r1` to `r0`."""
    label(LOOP)
    cmp(r2, 0)
    ble(DONE)
    data(2, 0xC9F0)         # ldmia r1!, {r4, r5, r6, r7}
    data(2, 0xC0F0)         # stmia r0!, {r4, r5, r6, r7}
    sub(r2, 4)
    b(LOOP)
    label(DONE)
    mov(r0, 0)
