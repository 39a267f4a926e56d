"""The modelled W5500, behaviour by behaviour; the numbers are those of `docs/w5500.md`.

(36), the hardware sockets, is in `test_w5500_sockets.py`.
"""
from chips.bus import SPI, BusError, Pin
from chips.w5500 import Violation, W5500Model
from kit import raises
from w5500_kit import BROADCAST, MAC, PEER, Host, Time, Wire, frame


def rule(name, fn, *args):
    """`fn(*args)` must break the rule `name`."""
    e = raises(Violation, fn, *args)
    assert e.rule == name, "%s expected, got %s" % (name, e)


def test_01_a_frame_lasts_while_selected_and_addresses_count_up():
    h = Host()
    assert h.raw(0, 0x39, 0, 0) == b"\x01\x02\x03\x04", "VERSIONR as in the data sheet's example"
    h.write(0x09, 0x04, 1, 2, 3, 4, 5, 6)
    assert h.read(0x09, 0, 6) == b"\x01\x02\x03\x04\x05\x06", "a burst"
    h.write(0x0B, 0x04, 99)
    assert h.read(0x08, 0, 8) == b"\x00\x01\x02\x63\x04\x05\x06\x00", "one byte alone"
    h.cs(0)
    h.spi.write(b"\x00")
    h.spi.write(b"\x09\x00")
    first = h.spi.read(2)
    second = h.spi.read(1)
    h.cs(1)
    assert first + second == b"\x01\x02\x63", "the frame may be cut anywhere between calls"
    h.cs(0)
    h.spi.write(b"\x00\x0b\x00")
    h.cs(1)
    assert h.raw(0, 0x0B, 0, 0)[3] == 0x63, "deselection ends the frame"


def test_02_direction_is_the_control_byte_s():
    h = Host()
    rule("read-ignored", h.write, 0x09, 0x00, 1, 2, 3)
    assert h.read(0x09, 0, 3) == bytes(3), "a read frame never writes"
    assert h.raw(0, 0x39, 4 ^ 4, 0)[3] == 4
    h.write(0x09, 0x04, 7)
    got = h.raw(0, 0x09, 0x04, 8)
    assert got[3] not in (7, 8), "a write frame reads junk"
    assert h.read(0x09, 0) == b"\x08"


def test_03_reserved_blocks():
    h = Host()
    rule("reserved-block", h.read, 0, 4 << 3)
    h = Host(strict="log")
    assert h.read(0, 4 << 3, 3) == bytes(3), "reads 0"
    h.write(0, 8 << 3 | 4, 1)
    assert h.chip.violations == ["reserved-block", "reserved-block"]
    h = Host(strict=False)
    h.write(0, 8 << 3 | 4, 1)
    assert h.chip.violations == [] and h.chip.count["violations"] == 1, "silicon says nothing"


def test_04_miso_in_the_header():
    assert Host().raw(0, 0, 0)[0:3] == b"\x01\x02\x03"


def test_05_fixed_length_frames():
    h = Host()
    assert h.raw(0, 0x39, 1, 0) == b"\x01\x02\x03\x04"
    got = h.raw(0, 0x19, 2, 0, 0, 0, 0x39, 1, 0)
    assert got == b"\x01\x02\x03\x07\xd0\x01\x02\x03\x04", "a new header follows in the same period"
    got = h.raw(0, 0x18, 3, 0, 0, 0, 0, 0, 0x39, 1, 0)
    assert got[3:7] == b"\x00\x07\xd0\x08" and got[7:] == b"\x01\x02\x03\x04"
    rule("short-frame", h.raw, 0, 0x19, 1, 0, 0)


def test_06_big_endian_and_bytes_by_themselves():
    h = Host()
    h.put_word(0x04, 0x1234)
    assert h.read(0x04, 8, 2) == b"\x12\x34"
    h.write(0x05, 0x0C, 0x99)
    assert h.word(0x04) == 0x1299


def test_07_resets():
    t = Time()
    h = Host(t).macraw().link()
    h.put_word(0x04, 0x1234)
    h.reset(0)
    t.advance(600000)
    assert h.read(0x39, 0) == b"\x00", "silence while RSTn is low"
    h.reset(1)
    assert h.read(0x39, 0) == b"\x00", "and until the PLL has locked"
    rule("in-reset", h.write, 9, 4, 1)
    t.advance(1000000)
    assert h.read(0x39, 0) == b"\x04"
    assert h.read(3, 8) == b"\x00" and h.read(9, 0, 6) == bytes(6), "closed, SHAR gone"
    assert h.word(0x04) == 0 and h.word(0x19, 0) == 0x07D0 and h.read(0x1E, 8, 2) == b"\x02\x02"
    assert not h.read(0x2E, 0)[0] & 1, "the PHY begins anew"
    h.reset(0)
    t.advance(100000)
    rule("reset-pulse", h.reset, 1)
    t.advance(2000000)
    h.macraw()
    h.write(0, 4, 0x80)
    assert h.read(0, 0) == b"\x80", "MR.RST stays set"
    assert h.read(0x39, 0) == b"\x00"
    t.advance(1000000)
    assert h.read(0, 0) == b"\x00" and h.read(3, 8) == b"\x00" and h.read(9, 0, 6) == bytes(6)


def test_08_commands_take_time():
    t = Time()
    h = Host(t, cr_ns=50000)
    h.write(0, 0x0C, 4)
    h.write(1, 0x0C, 1)
    assert h.read(1, 8) == b"\x01" and h.read(3, 8) == b"\x00", "not accepted, no effect"
    rule("command-busy", h.write, 1, 0x0C, 0x10)
    t.advance(50000)
    assert h.read(1, 8) == b"\x00" and h.read(3, 8) == b"\x42", "the second command was lost"


def test_09_send_takes_the_time_of_the_wire():
    t = Time()
    h = Host(t, cr_ns=1000).macraw().link()
    rd = h.word(0x22)
    data = frame(1514)
    h.send(data)
    assert h.read(1, 8) == b"\x00" and h.read(2, 8) == b"\x00", "accepted, not sent"
    assert h.word(0x22) == rd and h.wire.sent == []
    h.put_word(0x24, (h.word(0x24) + 60) & 0xFFFF)
    rule("send-before-sendok", h.command, 0x20)
    h.put_word(0x24, (h.word(0x24) - 60) & 0xFFFF)
    t.advance(60000)
    assert h.read(2, 8) == b"\x00", "123 us on the line"
    t.advance(60000)
    assert h.read(2, 8) == b"\x10" and h.word(0x22) == (rd + 1514) & 0xFFFF
    assert h.wire.sent == [data]


def test_10_all_up_to_tx_wr_is_one_frame():
    h = Host().macraw()
    one, two = frame(60, seed=1), frame(70, seed=2)
    wr = h.word(0x24)
    h.write(wr, 0x14, one + two)
    h.put_word(0x24, (wr + 130) & 0xFFFF)
    h.command(0x20)
    assert h.wire.sent == [one + two], "two frames for one SEND are glued"
    rule("send-empty", h.command, 0x20)
    h = Host().macraw()
    rule("send-too-long", h.send, bytes(1515))
    h = Host(strict="log").macraw()
    h.send(bytes(1515))
    assert h.wire.sent == [] and h.chip.count["tx_too_long"] == 1, "dropped"


def test_11_free_size():
    t = Time()
    h = Host(t, start=0).macraw(size=2).link()
    assert h.word(0x20) == 2048
    h.put_word(0x24, 1500)
    assert h.word(0x20) == 548, "size - (TX_WR - TX_RD)"
    h.command(0x20)
    rule("tx-overwrite", h.write, 1400, 0x14, 1)
    h.write(1500, 0x14, 1, 2, 3)
    t.advance(200000)
    assert h.word(0x20) == 2048
    h = Host(strict="log", start=0).macraw(size=2)
    h.put_word(0x24, 2100)
    assert h.word(0x20) == 0
    h.command(0x20)
    assert "tx-overfill" in h.chip.violations
    h = Host(t, strict=False, start=0).macraw(size=2).link()
    h.send(frame(1000, seed=1))
    h.write(0, 0x14, bytes(range(100)))
    t.advance(200000)
    assert h.wire.sent[0][0:100] == bytes(range(100)), "unsent data was overwritten"


def test_12_torn_reads():
    h = Host().macraw()
    h.wire.put(frame(238))
    assert h.word(0x26) == 240
    h.take()
    for k in range(3):
        h.wire.put(frame(100, seed=k))
    assert h.word(0x26) == 306 and h.word(0x26) == 306
    h.chip.sockets[0].last_rsr = 240
    h.chip.tear_rsr = 1
    assert h.word(0x26) == 306 - 256, "old high byte, new low byte"
    assert h.word(0x26) == 306
    h = Host(start=0).macraw()
    h.put_word(0x24, 0x100)
    h.chip.sockets[0].last_fsr = 0x4000
    h.chip.tear_fsr = 1
    assert h.word(0x20) == 0x4000 and h.word(0x20) == 0x3F00


def test_13_pointers_start_anywhere():
    h = Host().macraw()
    for reg in (0x22, 0x24, 0x28, 0x2A):
        assert h.word(reg) == 0xFFF0
    h.send(frame(60))
    assert h.word(0x24) == 0x2C and h.word(0x22) == 0x2C, "carry ignored"
    h.wire.put(frame(60))
    assert h.word(0x26) == 62 and h.word(0x2A) == 0x2E
    assert h.take() == b"\x00\x3e" + frame(60)


def test_14_buffers_wrap_within_a_burst():
    for size in (1, 2, 4, 8, 16):
        h = Host(start=0x7FF0).macraw(size=size)
        for k in range(40):
            data = frame(60 + (k * 61) % 900, seed=k)
            h.wire.put(data)
            got = h.take()
            assert got[2:] == data, "frame %d through %d KB" % (k, size)
            h.send(data)
            assert h.wire.sent.pop() == data
    h = Host(start=0).macraw(size=2)
    h.write(2046, 0x14, 1, 2, 3, 4)
    assert h.read(2046, 0x10, 4) == b"\x01\x02\x03\x04" and h.read(0, 0x10, 2) == b"\x03\x04"
    assert h.read(2046 + 2048, 0x10, 2) == b"\x01\x02", "raw pointers are reduced"
    h = Host()
    rule("buffer-size", h.write, 0x1E, 0x0C, 3)
    h.write(0x1F, 0x0C, 0)
    rule("tx-size", h.write, 0, 0x14, 1)


def test_15_tx_wr_begins_anew_with_a_connection():
    h = Host()
    h.write(0, 0x0C, 1)
    h.command(0x01)
    assert h.read(3, 8) == b"\x13"
    before = h.word(0x24)
    h.command(0x04)
    h.chip.sockets[0].establish()
    assert h.read(3, 8) == b"\x17" and h.read(2, 8) == b"\x01"
    assert h.word(0x24) != before and h.word(0x24) == h.word(0x22)


def test_16_received_frames_carry_their_length():
    h = Host().macraw()
    h.wire.put(frame(100), frame(42))
    assert h.word(0x26) == 102 + 62, "length word included, short frames padded"
    assert h.take() == b"\x00\x66" + frame(100)
    assert h.take() == b"\x00\x3e" + frame(42) + bytes(18)


def test_17_space_is_freed_by_recv():
    h = Host(cr_ns=0).macraw()
    h.wire.put(frame(60))
    rd = h.word(0x28)
    assert h.word(0x26) == 62
    h.put_word(0x28, (rd + 62) & 0xFFFF)
    assert h.word(0x26) == 62, "not yet"
    h.command(0x40)
    assert h.word(0x26) == 0
    h.chip.rsr_early = True
    h.wire.put(frame(60))
    assert h.word(0x26) == 62
    h.put_word(0x28, (rd + 124) & 0xFFFF)
    assert h.word(0x26) == 0 and h.chip.sockets[0].rx_rd != (rd + 124) & 0xFFFF, "variant"
    h.put_word(0x28, (rd + 200) & 0xFFFF)
    rule("rx-rd-beyond", h.command, 0x40)


def test_18_overflow_is_silent():
    t = Time()
    h = Host(t).macraw().link()
    for k in range(20):
        h.wire.put(frame(1514, seed=k))
    t.advance(130000)
    h.write(2, 0x0C, 0xFF)
    t.advance(3000000)
    assert h.word(0x26) == 15160, "ten full frames fit"
    assert h.chip.count["rx"] == 10 and h.chip.count["rx_full"] == 10
    h.write(2, 0x0C, 0xFF)
    h.wire.put(frame(1514))
    t.advance(500000)
    assert h.read(2, 8) == b"\x00", "a dropped frame leaves no trace"
    assert h.take()[2:] == frame(1514, seed=0)
    h.wire.put(frame(1514, seed=77))
    t.advance(500000)
    for k in range(1, 10):
        assert h.take()[2:] == frame(1514, seed=k)
    assert h.take()[2:] == frame(1514, seed=77)


def test_19_a_corrupt_length_stays():
    h = Host().macraw()
    h.chip.bad_lengths = 1
    h.chip.bad_length = 0x4567
    h.wire.put(frame(60))
    h.word(0x26)
    for _ in range(3):
        assert h.word(h.word(0x28), 0x18) == 0x4567, "the chip does not recover by itself"
    assert h.word(0x26) == 62


def test_20_recv_is_a_latch():
    h = Host(Time()).macraw().link()
    h.wire.put(frame(60), frame(60))
    h.sleep_us(100)
    assert h.read(2, 8) == b"\x04"
    h.write(2, 0x0C, 4)
    assert h.read(2, 8) == b"\x00", "cleared"
    h.take()
    h.sleep_us(100)
    assert h.word(0x26) == 62 and h.read(2, 8) == b"\x00", "what is there does not set it again"
    h.wire.put(frame(60))
    h.sleep_us(100)
    assert h.read(2, 8) == b"\x04"


def test_21_latches_do_not_depend_on_the_mask():
    h = Host().macraw()
    h.write(0x2C, 0x0C, 0x04)
    h.send(frame(60))
    assert h.read(2, 8) == b"\x10", "SENDOK, though masked"
    assert h.read(0x17, 0) == b"\x00", "but not in SIR"
    h = Host().macraw()
    h.chip.latch_masked = True
    h.write(0x2C, 0x0C, 0x04)
    h.send(frame(60))
    assert h.read(2, 8) == b"\x00", "the data sheet's text taken literally"


def test_22_interrupt_line():
    t = Time()
    h = Host(t).macraw().link()
    edges = []
    h.irq.irq(lambda pin: edges.append(1), Pin.IRQ_FALLING)
    h.wire.put(frame(60))
    h.sleep_us(50)
    assert h.read(0x17, 0) == b"\x01" and h.irq() == 1, "SIR bit, masked by SIMR"
    h.write(0x18, 0x04, 1)
    assert h.irq() == 0 and edges == [1]
    h.wire.put(frame(60))
    h.sleep_us(50)
    assert h.irq() == 0 and edges == [1], "a level: no second edge"
    h.write(2, 0x0C, 4)
    assert h.irq() == 1 and h.read(0x17, 0) == b"\x00", "released when all causes are cleared"
    h.put_word(0x13, 0xFFFF, 0x04)
    h.wire.put(frame(60))
    h.sleep_us(50)
    assert h.irq() == 0
    h.write(2, 0x0C, 4)
    h.wire.put(frame(60))
    h.sleep_us(50)
    assert h.irq() == 1, "INTLEVEL keeps it high"
    t.advance(1800000)
    assert h.irq() == 0 and edges == [1, 1, 1], "for 1.75 ms"
    h.write(0x2C, 0x0C, 0)
    assert h.irq() == 1, "released by the mask"
    rule("read-only", h.write, 0x17, 0x04, 1)


def test_23_flags_are_cleared_by_ones():
    h = Host().macraw()
    h.send(frame(60))
    h.wire.put(frame(60))
    assert h.word(0x26) == 62 and h.read(2, 8) == b"\x14"
    h.write(2, 0x0C, 0)
    assert h.read(2, 8) == b"\x14", "zeros leave them"
    h.write(2, 0x0C, 0x10)
    assert h.read(2, 8) == b"\x04"


def test_24_addresses_and_read_only_registers():
    h = Host(strict="log").macraw()
    h.put_word(0x04, 0x1234)
    assert h.read(3, 8, 3) == b"\x42\x12\x34", "Sn_SR is 0003, Sn_PORT 0004"
    for addr in (3, 0x20, 0x22, 0x26, 0x2A):
        before = h.read(addr, 8)
        h.write(addr, 0x0C, 0x55)
        assert h.read(addr, 8) == before
    h.write(0x39, 0x04, 9)
    assert h.read(0x39, 0) == b"\x04"
    assert h.chip.violations == ["read-only"] * 6
    h.read(0x3A, 0)
    h.read(0x30, 8)
    h.write(0x14, 0x0C, 1)
    assert h.chip.violations[6:] == ["reserved-register"] * 3


def test_25_macraw_only_on_socket_0():
    h = Host()
    h.write(0, 0x2C, 4)
    rule("macraw-socket", h.command, 1, 1)
    assert h.read(3, 0x28) == b"\x00"
    h.write(0, 0x2C, 0)
    rule("mode", h.command, 1, 1)
    h.macraw()
    rule("open-not-closed", h.command, 1)


def test_26_mode_counts_at_open():
    h = Host(strict="log").macraw(mode=0x84)
    h.write(0, 0x0C, 0x04)
    h.wire.put(frame(60, dst=PEER))
    assert h.word(0x26) == 0 and h.chip.violations == ["mode-while-open"]
    h.command(0x10)
    h.command(0x01)
    h.wire.put(frame(60, dst=PEER))
    assert h.word(0x26) == 62


def passes(mode, dst, kind=b"\x08\x00"):
    h = Host().macraw(mode=mode)
    h.wire.put(frame(60, dst=dst, kind=kind))
    return h.word(0x26) == 62


def test_27_filters():
    other = b"\x00\x00\x00\x00\x05\x02"     # our address backwards
    v4 = b"\x01\x00\x5e\x00\x00\x01"
    v6 = b"\x33\x33\x00\x00\x00\x01"
    stp = b"\x01\x80\xc2\x00\x00\x00"
    table = (
        # mode   own   other  bcast  v4     v6     stp
        (0x04, (True, True, True, True, True, True)),
        (0x84, (True, False, True, True, True, False)),
        (0xA4, (True, False, True, False, True, False)),
        (0xC4, (True, False, False, True, True, False)),
        (0x44, (True, True, False, True, True, True)),
    )
    for mode, expected in table:
        got = tuple([passes(mode, dst) for dst in (MAC, other, BROADCAST, v4, v6, stp)])
        assert got == expected, "mode 0x%02x: %r" % (mode, got)
    for mode in (0x14, 0x94):
        assert not passes(mode, MAC, b"\x86\xdd") and passes(mode, MAC)


ARP = BROADCAST + PEER + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01" + PEER + b"\x0a\x00\x00\x01" \
    + bytes(6) + b"\x0a\x00\x00\x05"


def ping():
    out = bytearray(MAC + PEER + b"\x08\x00\x45\x00\x00\x2e\x00\x00\x00\x00\x40\x01\x00\x00"
                    + b"\x0a\x00\x00\x01\x0a\x00\x00\x05\x08\x00\x00\x00\x12\x34\x00\x01"
                    + bytes(range(18)))
    s = 0xFFFF - cksum(out, 34, 60)
    out[36] = s >> 8
    out[37] = s & 255
    return bytes(out)


def cksum(b, i, end):
    s = 0
    while i < end:
        s += b[i] << 8 | b[i + 1]
        i += 2
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def test_28_the_chip_answers_by_itself():
    h = Host().macraw()
    h.wire.put(ARP, ping())
    h.word(0x26)
    assert h.wire.sent == [], "not while SIPR is 0.0.0.0"
    h = Host().macraw()
    h.write(0x0F, 0x04, 10, 0, 0, 5)
    h.wire.put(ARP, ping())
    assert h.word(0x26) == 124, "MACRAW sees them as well"
    arp, pong = h.wire.sent
    assert arp[0:14] == PEER + MAC + b"\x08\x06" and arp[21] == 2
    assert arp[22:42] == MAC + b"\x0a\x00\x00\x05" + PEER + b"\x0a\x00\x00\x01"
    assert pong[0:12] == PEER + MAC and pong[26:34] == b"\x0a\x00\x00\x05\x0a\x00\x00\x01"
    assert pong[34] == 0 and cksum(pong, 34, 60) == 0xFFFF and pong[38:] == ping()[38:]
    h.write(0, 0x04, 0x10)
    h.take()
    h.take()
    h.wire.put(ping())
    assert h.word(0x26) == 62 and len(h.wire.sent) == 2, "PB: no ping reply"


def test_29_phy():
    t = Time()
    h = Host(t)
    assert h.read(0x2E, 0) == b"\xb8", "no link yet"
    t.sleep_ms(1500)
    assert h.read(0x2E, 0) == b"\xbf", "100 Mbit/s, full duplex"
    h.write(0x2E, 0x04, 0xC8)
    assert h.read(0x2E, 0) == b"\xcf", "a mode without a reset pulse does nothing"
    h.write(0x2E, 0x04, 0x48)
    assert not h.read(0x2E, 0)[0] & 1, "PHY reset holds the link down"
    t.sleep_ms(5000)
    assert not h.read(0x2E, 0)[0] & 1
    h.write(0x2E, 0x04, 0xC8)
    t.sleep_ms(1600)
    assert h.read(0x2E, 0) == b"\xcd", "10 Mbit/s, full duplex"
    assert h.chip.wire_ns(1514) == 1538 * 800
    h.write(0x2E, 0x04, 0x70)
    h.write(0x2E, 0x04, 0xF0)
    t.sleep_ms(5000)
    assert not h.read(0x2E, 0)[0] & 1, "power-down"


def test_30_no_interrupt_for_the_link():
    t = Time()
    h = Host(t).macraw()
    h.write(0x16, 0x04, 0xFF)
    h.write(0x18, 0x04, 0xFF)
    h.link()
    h.chip.cable(False)
    t.sleep_ms(100)
    assert h.irq() == 1 and h.read(0x15, 0) == b"\x00" and not h.read(0x2E, 0)[0] & 1


def test_31_without_link():
    t = Time()
    h = Host(t).macraw().link()
    h.chip.cable(False)
    h.wire.put(frame(60))
    h.send(frame(60))
    t.sleep_ms(5000)
    assert h.read(1, 8, 3) == b"\x00\x00\x42", "CR clears, no SENDOK"
    assert h.word(0x26) == 0 and h.wire.sent == []
    h.chip.cable(True)
    t.sleep_ms(2000)
    assert h.read(2, 8) == b"\x00", "nor later"
    h = Host(t).macraw()
    h.chip.link_down_timeout = True
    h.send(frame(60))
    assert h.read(2, 8) == b"\x08", "variant: TIMEOUT"


def test_32_receive_memory_is_not_the_host_s():
    h = Host(start=0).macraw()
    h.wire.put(frame(60))
    h.word(0x26)
    rule("write-rx", h.write, 2, 0x1C, 1, 2, 3)
    assert h.read(2, 0x18, 3) == MAC[0:3]
    h.write(7, 0x14, 1, 2, 3)
    assert h.read(7, 0x10, 3) == b"\x01\x02\x03", "transmit memory can be read"


def test_33_more_memory_than_there_is():
    h = Host()
    h.write(0x1E, 0x0C, 16, 16)
    h.write(0, 0x0C, 4)
    rule("buffer-sum", h.command, 1)
    h = Host(strict="log")
    h.write(0x1E, 0x0C, 16, 16)
    h.write(0, 0x0C, 4)
    h.command(1)
    h.wire.put(frame(60))
    assert h.take()[2:] != frame(60), "data is damaged"
    h.send(frame(60))
    assert h.wire.sent != [frame(60)]
    h = Host().macraw()
    rule("size-while-open", h.write, 0x1E, 0x0C, 8)


def test_34_beyond_rsr_lies_the_past():
    h = Host(start=0).macraw(size=1)
    h.wire.put(frame(598, seed=1))
    h.take()
    h.wire.put(frame(500, seed=2))
    h.word(0x26)
    old = b"\x02\x58" + frame(598, seed=1)
    assert h.read(78, 0x18, 522) == old[78:600]


def test_35_too_fast_a_clock():
    h = Host(baudrate=50000000)
    h.chip.shift_above = 33300000
    assert h.read(0x39, 0) == b"\x02", "one bit late"
    h.spi.init(25000000)
    assert h.read(0x39, 0) == b"\x04"


def test_37_close_forgets_what_waits():
    h = Host().macraw()
    h.wire.put(frame(60), frame(60))
    assert h.word(0x26) == 124
    h.command(0x10)
    assert h.read(3, 8) == b"\x00"
    h.command(1)
    assert h.word(0x26) == 0 and h.word(0x28) == 0xFFF0


def test_38_glitches_on_chip_select():
    h = Host(strict="log")
    h.cs(0)
    h.cs(1)
    h.raw(0)
    h.raw(0, 9)
    assert h.chip.violations == ["short-frame"] * 2
    assert h.raw(0, 0x39, 0, 0)[3] == 4


def test_power_loss_and_absence():
    t = Time()
    h = Host(t).macraw().link()
    h.chip.brown_out()
    t.sleep_ms(2)
    assert h.read(3, 8) == b"\x00" and h.read(9, 0, 6) == bytes(6) and h.read(0x39, 0) == b"\x04"
    h.chip.unplug("high")
    assert h.read(0x39, 0) == b"\xff" and h.irq() == 1
    h.chip.unplug("low")
    assert h.read(0x39, 0) == b"\x00"
    h.chip.replug()
    t.sleep_ms(2)
    assert h.read(0x39, 0) == b"\x04"


def test_line_rate():
    """Frames come no faster than 100 Mbit/s, and while nobody looks."""
    t = Time()
    h = Host(t).macraw().link()
    for k in range(100):
        h.wire.put(frame(60, seed=k))
    t.advance(1000)
    t.advance(336000)
    assert h.chip.count["rx"] == 50, "6.72 us each: %d" % h.chip.count["rx"]


def test_several_chips_on_one_bus():
    h = Host()
    other = W5500Model(Wire())
    cs = h.spi.attach(other)
    h.write(9, 4, 1)
    cs(0)
    raises(BusError, h.cs, 0)
    h.spi.write(b"\x00\x09\x00")
    assert h.spi.read(1) == b"\x00"
    cs(1)
    assert h.spi.read(2) == b"\xff\xff", "nobody drives MISO"
    assert h.read(9, 0) == b"\x01"
    h.spi.init(polarity=1, phase=0)
    raises(BusError, h.read, 0x39, 0)
    h.spi.init(polarity=1, phase=1)
    assert h.read(0x39, 0) == b"\x04", "mode 3"
    assert SPI(baudrate=10000000).byte_ns == 800
