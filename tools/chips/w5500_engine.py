"""The W5500's own UDP, and what its TCP sockets show to the host.

UDP sockets send and receive on the wire, with ARP and its time-outs.  TCP sockets have their
states, commands, interrupts and time-outs, but put no segments on the wire: `Socket.far` says what
the other end is supposed to do.  None: only what the test makes it do, by `establish`, `peer_fin`
and so on; "answers" after `FAR_MS`, "refuses" a connection, or stays "silent" until the chip gives
up.
"""
from chips.w5500_states import (
    CLOSE_WAIT, DISCON, ESTABLISHED, FIN_WAIT, INIT, LAST_ACK, LISTEN, SENDOK,
    SYNRECV, SYNSENT, TIMEOUT, UDP,
)
from spinet.prim import cksum, copy, eq4, eq6, get16, put16

FAR_MS = 2
MOST = 1472         # bytes of one datagram
_BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_MULTI, _BCASTB, _UCASTB = 0x80, 0x40, 0x10     # Sn_MR of UDP


def command(s, v, state):
    """A command that only TCP sockets have; False if it is illegal in this state."""
    regs = s.regs
    if v == 0x02 and state == INIT:
        regs[3] = LISTEN
    elif v == 0x04 and state == INIT:
        regs[3] = SYNSENT
        expect(s)
    elif v == 0x08 and state == ESTABLISHED:
        regs[3] = FIN_WAIT
        expect(s)
    elif v == 0x08 and state == CLOSE_WAIT:
        regs[3] = LAST_ACK
        expect(s)
    elif v == 0x08 and state in (INIT, LISTEN, SYNSENT, SYNRECV):
        s.shut()
    elif v != 0x22 or state != ESTABLISHED:
        return False
    return True


def expect(s):
    """The other end of a TCP socket has something to answer."""
    if s.far == "silent":
        ms = tcp_timeout_ms(s.chip)
    elif s.far:
        ms = FAR_MS
    else:
        return
    s.retry.start(ms)


def tcp_timeout_ms(chip):
    """RTR doubled with each of RCR retries, at most 6.4 s each: 31.8 s by default (unconfirmed)."""
    common = chip.common
    unit = get16(common, 0x19)
    total = 0
    for k in range(common[0x1B] + 1):
        total += min(unit << min(k, 16), 64000)
    return total // 10


def due(s):
    """The time of `s.retry` has come."""
    s.retry.armed = False
    state = s.regs[3]
    if state == UDP:
        _ask_again(s)
    elif s.far == "silent":
        s.shut()
        s.event(TIMEOUT)
    elif state == SYNSENT:
        if s.far == "refuses":
            s.shut()
            s.event(DISCON)
        else:
            s.establish()
    elif state == FIN_WAIT or state == LAST_ACK:
        s.shut()
        s.event(DISCON)
    elif s.sending:
        s.taken()
        s.event(SENDOK)


# --- UDP ---

def send(s, v):
    """SEND or SEND_MAC of a UDP socket: ask for the neighbour if its address is not known."""
    regs = s.regs
    if v == 0x21 or s.mode & _MULTI:
        pass
    elif eq4(regs, 0x0C, _BROADCAST, 0):
        copy(regs, 0x06, _BROADCAST, 0, 6)
    else:
        s.tries = 0
        _ask(s)
        return
    s.finish.follow(s.accept, s.chip.wire_ns(42 + _length(s)))


def _length(s):
    return min((s.tx_end - s.tx_rd) & 0xFFFF, MOST)


def _hop(s):
    """Where a datagram goes next: offset of the address in (common, registers of `s`)."""
    common = s.chip.common
    regs = s.regs
    for i in range(4):
        if (common[0x0F + i] ^ regs[0x0C + i]) & common[0x05 + i]:
            return common, 0x01
    return regs, 0x0C


def _ask(s):
    chip = s.chip
    common = chip.common
    out = chip.out
    for i in range(60):
        out[i] = 0
    copy(out, 0, _BROADCAST, 0, 6)
    copy(out, 6, common, 0x09, 6)
    copy(out, 12, b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 0, 10)
    copy(out, 22, common, 0x09, 6)
    copy(out, 28, common, 0x0F, 4)
    where, at = _hop(s)
    copy(out, 38, where, at, 4)
    unit = get16(common, 0x19)
    s.retry.start(unit // 10, unit % 10 * 100000)
    if chip.linked:
        chip.wire.send(out, 60)


def _ask_again(s):
    """Nobody answered for RTR: (RCR + 1) times that, then TIMEOUT."""
    if s.chip.time is None:
        return                  # without a time nothing is ever late
    s.tries += 1
    if s.tries > s.chip.common[0x1B]:
        s.taken()
        s.event(TIMEOUT)
    else:
        _ask(s)


def emit(s):
    """Put the datagram of `s` on the wire."""
    chip = s.chip
    common = chip.common
    regs = s.regs
    out = chip.out
    n = _length(s)
    copy(out, 0, regs, 0x06, 6)
    copy(out, 6, common, 0x09, 6)
    copy(out, 12, b"\x08\x00\x45", 0, 3)
    out[15] = regs[0x15]
    put16(out, 16, 28 + n)
    put16(out, 18, 0)
    copy(out, 20, regs, 0x2D, 2)
    out[22] = regs[0x16]
    out[23] = 17
    put16(out, 24, 0)
    copy(out, 26, common, 0x0F, 4)
    copy(out, 30, regs, 0x0C, 4)
    put16(out, 24, cksum(out, 14, 34) ^ 0xFFFF)
    copy(out, 34, regs, 0x04, 2)
    copy(out, 36, regs, 0x10, 2)
    put16(out, 38, 8 + n)
    put16(out, 40, 0)
    s.ring_read(chip.tx_memory, s.tx_base, s.tx_size, s.tx_rd, out, 42, n)
    put16(out, 40, (cksum(out, 26, 42 + n, 17 + 8 + n) ^ 0xFFFF) or 0xFFFF)
    k = 42 + n
    while k < 60:
        out[k] = 0
        k += 1
    chip.wire.send(out, k)
    chip.count["tx"] += 1


def arrived(chip, frame, n):
    """A frame for the sockets that have an engine."""
    kind = get16(frame, 12)
    common = chip.common
    if kind == 0x0806:
        if frame[21] == 2 and eq6(frame, 0, common, 0x09):
            for s in chip.active:
                if s.retry.armed and s.regs[3] == UDP:
                    where, at = _hop(s)
                    if eq4(frame, 28, where, at):
                        s.retry.armed = False
                        copy(s.regs, 0x06, frame, 22, 6)
                        s.finish.start(0, chip.wire_ns(42 + _length(s)))
        return
    if kind != 0x0800 or frame[14] != 0x45 or get16(frame, 16) > n - 14:
        return
    if frame[23] == 1 and frame[34] == 3 and frame[35] == 3 and eq4(frame, 30, common, 0x0F):
        copy(common, 0x28, frame, 58, 4)
        copy(common, 0x2C, frame, 64, 2)
        common[0x15] |= 0x40            # UNREACH
        chip.interrupts()
    elif frame[23] == 17:
        _datagram(chip, frame)


def _datagram(chip, frame):
    common = chip.common
    end = 34 + get16(frame, 38)
    opened = False
    for s in chip.active:
        if s.regs[3] != UDP:
            continue
        opened = True
        if frame[0] & 1:
            if eq6(frame, 0, _BROADCAST, 0):
                if s.mode & _MULTI and s.mode & _BCASTB:
                    continue
            elif not s.mode & _MULTI or not eq4(frame, 30, s.regs, 0x0C):
                continue
        elif not eq6(frame, 0, common, 0x09) or not eq4(frame, 30, common, 0x0F) or (
                s.mode & _MULTI and s.mode & _UCASTB):
            continue
        if get16(frame, 36) == get16(s.regs, 0x04):
            s.deliver_udp(frame[26:30], get16(frame, 34), frame[42:end])
    if opened and common[0] & 0x20 and _magic(frame, end, common):
        common[0x15] |= 0x10            # MP: wake on LAN
        chip.interrupts()


def _magic(frame, end, common):
    """Does the payload consist of six times FF and sixteen times our address?"""
    if end - 42 < 102 or not eq6(frame, 42, _BROADCAST, 0):
        return False
    for k in range(16):
        if not eq6(frame, 48 + 6 * k, common, 0x09):
            return False
    return True
