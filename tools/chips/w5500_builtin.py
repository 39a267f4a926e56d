"""What the W5500 does with frames by itself: its address filter, and answers to ARP and ping."""
from spinet.prim import copy, eq4, eq6, get16, put16

_BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_MFEN, _BCASTB, _MMB, _MIP6B = 0x80, 0x40, 0x20, 0x10


def wanted(common, mode, frame):
    """Does a MACRAW socket with `mode` (Sn_MR) get this frame?  (27)"""
    if mode & _MIP6B and frame[12] == 0x86 and frame[13] == 0xDD:
        return False
    if not frame[0] & 1:
        return not mode & _MFEN or eq6(frame, 0, common, 0x09)
    if eq6(frame, 0, _BROADCAST, 0):
        return not mode & _BCASTB
    if not mode & _MFEN:
        return True
    # One vendor's observation: IPv4 groups pass unless MMB, IPv6 groups pass, others do not.
    if frame[0] == 0x01 and frame[1] == 0x00 and frame[2] == 0x5E:
        return not mode & _MMB
    return frame[0] == 0x33 and frame[1] == 0x33


def answer(chip, frame, n):
    """(28) ARP and echo requests for SIPR are answered whether or not the host does as well."""
    common = chip.common
    kind = get16(frame, 12)
    if kind == 0x0806:
        if eq4(frame, 28, common, 0x0F):
            common[0x15] |= 0x80            # CONFLICT: somebody else has this address
            chip.interrupts()
        if frame[21] != 1 or not eq4(frame, 38, common, 0x0F):
            return
        out = _reply(chip, frame, n)
        out[21] = 2
        copy(out, 22, common, 0x09, 6)
        copy(out, 28, common, 0x0F, 4)
        copy(out, 32, frame, 22, 10)
    elif kind == 0x0800 and frame[14] == 0x45 and frame[23] == 1 and frame[34] == 8:
        if common[0] & 0x10 or not eq4(frame, 30, common, 0x0F) or not eq6(frame, 0, common, 9):
            return
        out = _reply(chip, frame, n)
        copy(out, 26, frame, 30, 4)
        copy(out, 30, frame, 26, 4)
        out[34] = 0
        s = get16(out, 36) + 0x0800         # RFC 1624: the type fell by 8
        put16(out, 36, (s & 0xFFFF) + (s >> 16))
    else:
        return
    chip.count["answers"] += 1
    chip.wire.send(out, n)


def _reply(chip, frame, n):
    out = bytearray(n)
    copy(out, 0, frame, 0, n)
    copy(out, 0, frame, 6, 6)
    copy(out, 6, chip.common, 0x09, 6)
    return out
