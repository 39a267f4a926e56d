"""The modelled ENC28J60, behaviour by behaviour; the numbers are those of `docs/enc28j60.md`."""
from binascii import crc32

from chips import enc28j60_regs as r
from chips.bus import Pin, Violation
from chips.enc28j60_rx import hash_bit, wire_ns
from enc28j60_kit import BROADCAST, MAC, PEER, RX_END, Host, Time, frame
from kit import raises

FOREVER_US = 3000


def rule(name, fn, *args):
    """`fn(*args)` must break the rule `name`."""
    e = raises(Violation, fn, *args)
    assert e.rule == name, "%s expected, got %s" % (name, e)


def test_01_mac_registers_come_after_a_dummy_byte():
    h = Host()
    h.put(r.MACON3, 0x32)
    got = h.raw(0x02, 0, 0)
    assert got[2] == 0x32 and got[1] != 0x32, "byte 1 is garbage, byte 2 the data"
    rule("dummy-byte", h.raw, 0x02, 0)
    h.select(r.MISTAT)
    assert h.raw(0x0A, 0, 0)[2] == 0
    rule("dummy-byte", h.raw, 0x0A, 0)


def test_02_eth_registers_come_at_once():
    h = Host()
    h.select(r.EREVID)
    assert h.raw(0x12, 0)[1] == 6, "B7"
    rule("extra-byte", h.raw, 0x12, 0, 0)
    h = Host(strict=False)
    h.select(r.EREVID)
    got = h.raw(0x12, 0, 0)
    assert got[1] == 6 and got[2] != 6


def test_03_bits_are_set_in_eth_registers_only():
    h = Host(strict="log")
    h.put(r.MACON3, 0x30)
    h.bfs(r.MACON3, 0x02)
    h.bfc(r.MACON3, 0x10)
    h.bfs(r.MICMD, 1)
    assert h.get(r.MACON3) == 0x30, "no change"
    assert h.chip.violations == ["bit-op"] * 3
    h.bfs(r.EIE, 0x81)
    h.bfc(r.EIE, 0x01)
    assert h.get(r.EIE) == 0x80


def test_04_the_bank_counts():
    h = Host()
    h.put(r.EHT0, 0x11)
    h.put(r.ERDPT, 0x22)
    assert h.get(r.EHT0) == 0x11 and h.get(r.ERDPT) == 0x22
    h.select(r.EHT0)
    assert h.raw(0x00, 0)[1] == 0x11, "address 0 in bank 1"
    h.raw(0x5B, 0x40)
    assert h.raw(0x1B, 0)[1] == 0x40, "EIE in every bank"
    h.src()
    assert h.raw(0x1F, 0)[1] == 0 and h.raw(0x00, 0)[1] == 0xFA, "bank 0 after a reset"
    rule("reserved-register", h.raw, 0x1A, 0)
    rule("reserved-register", h.raw, 0x5A, 1)


def test_05_one_instruction_per_period():
    h = Host()
    rule("extra-byte", h.raw, 0x40, 1, 2)
    rule("short-instruction", h.raw, 0x40)
    h = Host(strict=False)
    h.raw(0x40, 1, 0x41, 3)
    assert h.pair(r.ERDPT) == 0x0501, "what follows is ignored"
    h.raw(0x40)
    assert h.pair(r.ERDPT) == 0x0501
    h = Host()
    rule("opcode", h.raw, 0xC0, 0)
    rule("opcode", h.raw, 0x21, 0)
    h.cs(0)
    h.spi.write(b"\x40")
    h.spi.write(b"\x77")
    h.cs(1)
    assert h.get(r.ERDPT) == 0x77, "cut between calls"
    h.raw(0xFF, 0, 0)
    assert h.get(r.ERDPT) == 0xFA, "bytes after SRC are harmless"


def test_06_system_reset():
    t = Time()
    h = Host(t).setup()
    h.put(r.ECOCON, 2)
    h.fill(0x1500, b"kept")
    assert h.get(r.ESTAT) & 1
    h.raw(0xFF)
    h.bank = 0
    assert h.get(r.ESTAT) & 1, "CLKRDY stays 1: polling it is no use"
    assert h.pair(r.ERXST) == 0x05FA and h.pair(r.ERXND) == 0x1FFF and h.get(r.ECON1) == 0
    assert h.get(r.ECON2) == 0x80 and h.get(r.ERXFCON) == 0xA1 and h.pair(r.EPAUS) == 0x1000
    assert h.get(r.ECOCON) == 2 and h.chip.clkout() == 12500000
    t.advance(400000)
    rule("dead-time", h.put, r.MACON1, 1)
    rule("dead-time", h.get, r.MACON1)
    rule("dead-time", h.bfs, r.ECON1, 4)
    t.advance(700000)
    h.put(r.MACON1, 1)
    assert h.get(r.MACON1) == 1 and h.get(r.MACLCON2) == 0x37 and h.pair(r.MAMXFL) == 0x600
    assert h.ram(0x1500, 4) == b"kept"
    h.bfs(r.ECON2, 0x20)
    rule("src-asleep", h.raw, 0xFF)
    assert h.get(r.ECON2) == 0xA0, "erratum 19: ignored"
    h = Host(t, errata=(), strict=False)
    h.bfs(r.ECON2, 0x20)
    h.src(1000)
    assert h.get(r.ECON2) == 0x80, "without it the reset works"
    h.put(r.MACON1, 1)
    h.raw(0xFF)
    t.advance(100000)
    h.bank = 0
    h.put(r.MACON1, 1)
    assert h.get(r.MACON1) == 1, "without erratum 2 it is ready soon"
    h = Host(t, strict=False).setup()
    h.raw(0xFF)
    h.bank = 0
    h.put(r.MACON1, 1)
    assert h.get(r.MACON1) != 0, "garbage"
    t.advance(1100000)
    assert h.get(r.MACON1) == 0, "the write was lost"


def test_07_power_on():
    t = Time()
    h = Host(t, seed=3)
    first = h.ram(0, 600)
    assert len(set(first)) > 100, "noise"
    h.chip.power_on()
    h.bank = 0
    assert not h.get(r.ESTAT) & 1, "the oscillator starts"
    assert h.ram(0, 600) != first
    rule("dead-time", h.put, r.MACON1, 1)
    rule("dead-time", h.bfs, r.ECON1, 8)
    t.advance(310000)
    assert h.get(r.ESTAT) == 1
    h.put(r.MACON1, 1)
    h.chip.clock_stops = True
    h.chip.power_on()
    t.sleep_ms(100)
    assert not h.get(r.ESTAT) & 1
    h.reset(0)
    t.advance(100)
    rule("reset-pulse", h.reset, 1)


def test_08_erdpt_wraps_where_it_equals_erxnd():
    h = Host().setup(on=False)
    h.fill(0x13FE, b"ab")
    h.fill(0, b"cd")
    h.fill(0x1400, b"xy")
    assert h.ram(0x13FE, 4) == b"abcd" and h.pair(r.ERDPT) == 2
    assert h.ram(0x1400, 2) == b"xy" and h.pair(r.ERDPT) == 0x1402, "beyond it runs on"
    h.fill(0x1FFF, b"z")
    assert h.ram(0x1FFF, 3) == b"zcd", "and wraps at the end of memory"
    h.bfc(r.ECON2, 0x80)
    assert h.ram(0x13FE, 3) == b"aaa" and h.pair(r.ERDPT) == 0x13FE, "AUTOINC = 0"
    h.fill(0x1500, b"123")
    h.bfs(r.ECON2, 0x80)
    assert h.ram(0x1500, 1) == b"3"


def test_09_ewrpt_wraps_at_the_end_of_memory():
    h = Host().setup(on=False)
    h.fill(RX_END, b"12")
    assert h.ram(0x1400, 1) == b"2", "not at ERXND"
    h.fill(0x1FFE, b"abcd")
    assert h.pair(r.EWRPT) == 2 and h.ram(0, 2) == b"cd"


def test_10_erxrdpt_is_latched():
    h = Host().setup()
    h.put(r.ERXRDPT, 0x01)
    assert h.pair(r.ERXRDPT) == RX_END, "the old value until the high byte comes"
    h.put(r.ERXRDPT + 1, 0x10)
    assert h.pair(r.ERXRDPT) == 0x1001
    h.put(r.ERXRDPT + 1, 0x12)
    assert h.pair(r.ERXRDPT) == 0x1201, "high before low takes the old low byte"
    h.put(r.ERXRDPT, 0x55)
    h.wire.put(frame(60))
    h.get(r.EPKTCNT)
    rule("erxrdpt-latched", h.bfs, r.ECON2, 0x40)


def test_11_an_even_erxrdpt_damages_the_fifo():
    h = Host(strict="log").setup()
    before = h.ram(0x1000, 100)
    h.put_pair(r.ERXRDPT, 0x1000)
    assert h.chip.violations == ["erxrdpt-even"]
    assert h.ram(0x1000, 100) != before
    h = Host(strict=False, errata=()).setup()
    before = h.ram(0x1000, 100)
    h.put_pair(r.ERXRDPT, 0x1000)
    assert h.ram(0x1000, 100) == before, "erratum 14 off"
    rule("erxrdpt-range", Host().setup().put_pair, r.ERXRDPT, 0x1501)


def test_12_the_fence():
    t = Time()
    h = Host(t).setup().link()
    for k in range(5):
        h.wire.put(frame(1514, seed=k))
    t.sleep_ms(8)
    assert h.get(r.EPKTCNT) == 3, "three full frames fit into 5120 bytes"
    assert h.get(r.EIR) & 1 and h.get(r.ESTAT) & 0x40, "RXERIF and BUFER"
    assert h.pair(r.ERXWRPT) == 3 * 1524
    h.bfc(r.EIR, 1)
    h.bfc(r.ESTAT, 0x40)
    assert not h.get(r.EIR) & 1 and not h.get(r.ESTAT) & 0x40
    at = 0
    for k in range(3):
        at, _, data = h.take(at)
        assert data[0:1514] == frame(1514, seed=k), "earlier packets are intact"
    h.wire.put(frame(1514, seed=9))
    t.sleep_ms(2)
    assert h.take(at)[2][0:1514] == frame(1514, seed=9), "it goes on, across the end of the ring"
    h = Host(t).setup().link()
    for _ in range(90):
        h.wire.put(frame(60))
    t.sleep_ms(10)
    assert h.get(r.EPKTCNT) == 73, "5119 bytes of 70 each"


def test_13_what_is_freed_is_overwritten():
    t = Time()
    h = Host(t, strict=False).setup().link()
    h.wire.put(*[frame(1514, seed=k) for k in range(3)])
    t.sleep_ms(6)
    assert h.get(r.EPKTCNT) == 3
    h.put_pair(r.ERXRDPT, 3 * 1524 - 1)
    h.wire.put(frame(1514, seed=7))
    t.sleep_ms(3)
    assert h.ram(6, 100) != frame(1514, seed=0)[0:100], "unread, but gone"
    h = Host(t).setup().link()
    h.wire.put(frame(60))
    t.sleep_ms(1)
    rule("erxrdpt-beyond", h.put_pair, r.ERXRDPT, 99)


def test_14_at_most_255_packets():
    h = Host(fcs=False).setup(end=0x1BFF)
    h.chip.rx.pktcnt = 254
    h.chip.rx.arrive(bytearray(frame(60)), 60)
    assert h.get(r.EPKTCNT) == 255
    h.chip.rx.arrive(bytearray(frame(60)), 60)
    assert h.get(r.EPKTCNT) == 255 and h.get(r.EIR) & 1 and h.chip.count["rx_full"] == 1


def test_15_pktdec():
    h = Host(strict="log").setup()
    h.wire.put(frame(60), frame(61))
    assert h.get(r.EPKTCNT) == 2
    h.put(r.ECON2, 0x80)
    assert h.get(r.EPKTCNT) == 2, "a write with bit 6 = 0"
    h.bfs(r.ECON2, 0x40)
    assert h.get(r.EPKTCNT) == 1 and h.get(r.ECON2) == 0x80, "clears itself"
    h.bfs(r.ECON2, 0x40)
    h.bfs(r.ECON2, 0x40)
    assert h.get(r.EPKTCNT) == 0 and h.chip.violations == ["pktdec"], "not below 0"
    h.put(r.EPKTCNT, 7)
    assert h.get(r.EPKTCNT) == 0 and h.chip.violations[1:] == ["read-only"]


def test_16_pktif():
    h = Host(strict="log", errata=()).setup()
    assert not h.get(r.EIR) & 0x40
    h.wire.put(frame(60))
    assert h.get(r.EPKTCNT) == 1
    h.bfc(r.EIR, 0x40)
    assert h.get(r.EIR) & 0x40 and h.chip.violations == ["read-only"], "follows EPKTCNT"
    h.take()
    assert not h.get(r.EIR) & 0x40
    h = Host().setup()
    h.wire.put(frame(60))
    assert h.get(r.EPKTCNT) == 1
    seen = [h.get(r.EIR) & 0x40 for _ in range(40)]
    assert 5 < seen.count(0) < 35, "erratum 6: not dependable when polled"


def test_17_erxwrpt_shows_good_packets_only():
    h = Host(strict="log", errata=(5,)).setup()
    assert h.pair(r.ERXWRPT) == 0
    h.wire.put(frame(60, dst=PEER))
    assert h.get(r.EPKTCNT) == 0 and h.pair(r.ERXWRPT) == 0
    h.wire.put(frame(60))
    assert h.get(r.EPKTCNT) == 1 and h.pair(r.ERXWRPT) == 70
    h.put_pair(r.ERXWRPT, 5)
    assert h.pair(r.ERXWRPT) == 70 and h.chip.violations == ["read-only"] * 2


def test_18_erxst_loads_the_write_pointer():
    h = Host(errata=(), strict="log").setup(on=False)
    h.put_pair(r.ERXST, 0x100)
    h.wire.put(frame(60))
    h.put_pair(r.ERXRDPT, RX_END)
    h.bfs(r.ECON1, 4)
    assert h.get(r.EPKTCNT) == 1 and h.pair(r.ERXWRPT) == 0x100 + 70
    assert h.chip.violations == ["erxst"]
    h.put_pair(r.ERXND, 0x13FF)
    assert h.chip.violations[1:] == ["rx-on"] * 2
    h.wire.put(frame(60))
    h.take(0x100)
    h.get(r.EPKTCNT)
    assert h.pair(r.ERXWRPT) == 0x100 + 70, "begun anew, even with RXEN"
    wrong = 0
    for seed in range(20):
        h = Host(strict=False, seed=seed).setup(on=False)
        h.put_pair(r.ERXST, 0x100)
        wrong += h.chip.rx.wr == 0
    assert 0 < wrong < 20, "erratum 5: loads 0 instead, sometimes"


def test_19_packets_in_the_fifo():
    h = Host().setup()
    h.wire.put(frame(61, seed=4), frame(100, seed=5))
    assert h.get(r.EPKTCNT) == 2
    at, status, data = h.take(0)
    assert at == 6 + 65 + 1, "the next begins even, a pad byte is skipped"
    assert status == b"\x41\x00\xc0\x00", "65 bytes, received OK, type field"
    assert data[0:61] == frame(61, seed=4)
    v = crc32(frame(61, seed=4))
    assert data[61:65] == bytes((v & 255, v >> 8 & 255, v >> 16 & 255, v >> 24 & 255)), "real FCS"
    at, status, data = h.take(at)
    assert at == 182 and status[0] == 104 and data[0:100] == frame(100, seed=5)
    for dst, kind, want in (
            (BROADCAST, b"\x08\x00", b"\xc0\x02"), (MAC, b"\x81\x00", b"\xc0\x40"),
            (MAC, b"\x00\x2e", b"\x80\x00"), (MAC, b"\x00\x2f", b"\xa0\x00")):
        h.wire.put(frame(61 if kind[1] == 0x2F else 60, dst=dst, kind=kind))
        h.get(r.EPKTCNT)
        at, status, data = h.take(at)
        if kind != b"\x00\x2f":
            assert status[2:4] == want, "%r %r" % (kind, status)
    h.wire.put(frame(100, kind=b"\x00\x10"))
    h.get(r.EPKTCNT)
    assert h.take(at)[1][2:4] == b"\xa0\x00", "length field wrong"


def test_20_what_must_be_on_to_hear():
    def hears(h):
        h.wire.put(frame(60))
        if h.time:
            h.time.sleep_ms(1)
        return h.get(r.EPKTCNT) == 1

    assert hears(Host().setup())
    assert not hears(Host().setup(on=False))
    h = Host().setup()
    h.put(r.MACON1, 0)
    assert not hears(h), "MARXEN"
    assert not hears(Host(cable=False).setup())
    h = Host().setup()
    h.bfs(r.ECON1, 0x40)
    assert not h.get(r.ECON1) & 4 and not hears(h), "RXRST clears RXEN"
    h.bfc(r.ECON1, 0x40)
    assert not h.get(r.ECON1) & 4
    h.bfs(r.ECON1, 4)
    h.wire.taken = len(h.wire.waiting)
    assert hears(h)
    t = Time()
    h = Host(t).setup().link()
    h.wire.put(frame(1514))
    t.advance(600000)
    assert h.get(r.ESTAT) & 4, "RXBUSY"
    h.bfc(r.ECON1, 4)
    t.advance(700000)
    assert h.get(r.EPKTCNT) == 1, "a frame that has begun is heard out"
    h.wire.put(frame(60))
    t.advance(700000)
    assert h.get(r.EPKTCNT) == 1 and h.chip.count["rx_off"] == 1


def passes(which, dst=MAC, table=0, kind=b"\x08\x00", tail=b"", setup=None):
    h = Host(strict=False).setup(on=False)
    h.put(r.ERXFCON, which)
    for k in range(8):
        h.put(r.EHT0 + k, 0)
    if table:
        bit = hash_bit(table)
        h.put(r.EHT0 + (bit >> 3), 1 << (bit & 7))
    if setup:
        setup(h)
    h.bfs(r.ECON1, 4)
    data = bytearray(frame(200, dst=dst, kind=kind))
    data[60:60 + len(tail)] = tail
    h.wire.put(bytes(data))
    return h.get(r.EPKTCNT) == 1


def test_21_filters():
    group = b"\x01\x00\x5e\x00\x00\xfb"
    magic = b"\xff" * 6 + MAC * 16
    for which, dst, want in (
            (0xA1, MAC, True), (0xA1, BROADCAST, True), (0xA1, PEER, False), (0xA1, group, False),
            (0x21, MAC, False), (0x22, group, True), (0x22, BROADCAST, True), (0x22, MAC, False),
            (0x00, PEER, True), (0x20, PEER, True), (0x80, MAC, True)):
        assert passes(which, dst) == want, "0x%02x %r" % (which, dst)
    assert passes(0x24, group, table=group)
    assert not passes(0x24, b"\x01\x00\x5e\x00\x00\xfc", table=group)
    assert passes(0x28, PEER, tail=magic) and not passes(0x28, PEER)
    assert not passes(0x28, PEER, tail=b"\xff" * 6 + MAC * 15)
    assert passes(0x68, PEER, tail=magic) and not passes(0xE8, PEER, tail=magic)
    assert passes(0xE8, MAC, tail=magic), "ANDOR: all of them"
    h = Host().setup(on=False)
    h.put(r.ERXFCON, 0x20)
    h.bfs(r.ECON1, 4)
    h.chip.rx.arrive(bytearray(frame(60)), 60, False)
    assert h.get(r.EPKTCNT) == 0 and h.chip.count["rx_bad_crc"] == 1
    h.bfc(r.ECON1, 4)
    h.put(r.ERXFCON, 0x00)
    h.bfs(r.ECON1, 4)
    h.chip.rx.arrive(bytearray(frame(60)), 60, False)
    assert h.get(r.EPKTCNT) == 1 and h.take()[1][2] & 0x90 == 0x10, "stored, marked"
    rule("rx-on", h.put, r.ERXFCON, 0xA1)


def test_21_hash_bits():
    """Computed once more, with integers of any size, the way the CRC is defined."""
    for text in ("01005e000001", "01005e0000fb", "333300000001", "0180c2000000", "ffffffffffff"):
        mac = bytes(int(text[i:i + 2], 16) for i in range(0, 12, 2))
        crc = 0xFFFFFFFF
        for v in mac:
            for k in range(8):
                top = crc >> 31
                crc = crc << 1 & 0xFFFFFFFF
                if top != v >> k & 1:
                    crc ^= 0x04C11DB7
        assert hash_bit(mac) == crc >> 23 & 63, text
        reflected = crc32(mac) ^ 0xFFFFFFFF
        other = 0
        for k in range(32):
            other = other << 1 | (reflected >> k & 1)
        assert hash_bit(mac) == other >> 23 & 63, "and from the usual, reflected CRC-32"


def pattern(h):
    """Bytes 12, 13 of the frame are 08 00."""
    h.put(r.EPMM0 + 1, 0x30)
    h.put_pair(r.EPMCS, 0x0800 ^ 0xFFFF)


def test_21_pattern():
    assert passes(0x30, setup=pattern)
    h = Host(strict=False, errata=()).setup(on=False)
    pattern(h)
    h.put(r.ERXFCON, 0x30)
    h.bfs(r.ECON1, 4)
    h.wire.put(*[frame(60 + k, kind=b"\x08\x06") for k in range(40)])
    for _ in range(40):
        assert h.get(r.EPKTCNT) == 0
    wrong = 0
    h = Host(strict=False).setup(on=False)
    pattern(h)
    h.put(r.ERXFCON, 0x30)
    h.bfs(r.ECON1, 4)
    h.wire.put(*[frame(60 + k, kind=b"\x08\x06") for k in range(40)])
    at = 0
    for _ in range(40):
        while h.get(r.EPKTCNT):
            wrong += 1
            at = h.take(at)[0]
    assert 0 < wrong < 40, "erratum 18: wrong packets pass"
    h = Host().setup(on=False)
    rule("pattern", h.put, r.ERXFCON, 0xB1)


def test_22_the_station_address():
    h = Host().setup()
    for i, v in zip((4, 5, 2, 3, 0, 1), MAC):
        assert h.get(0x60 + i) == v, "MAADR at 04, 05, 02, 03, 00, 01"
    back = bytes(MAC[5 - k] for k in range(6))
    assert not passes(0x80, back) and passes(0x80, MAC)
    rule("rx-on", h.put, r.MAADR1, 9)


def test_23_what_is_sent():
    h = Host().setup()
    data = frame(100, seed=2)
    h.send(data)
    assert h.wire.sent.pop() == data
    for n in (18, 42, 59, 60):
        tsv = h.send(data[0:n])
        assert h.wire.sent.pop() == data[0:n] + bytes(60 - n), "padded with zeros"
        assert tsv[0] == 64
    h.send(data[0:50], control=0x03)
    assert h.wire.sent == [] and h.chip.count["tx_runt"] == 1, "override: CRC, no padding"
    h.send(data[0:50], control=0x07)
    assert h.wire.sent.pop() == data[0:50] + bytes(10)
    tsv = h.send(data, control=0x01)
    assert h.wire.sent == [] and tsv[2] & 0x10 and h.chip.count["tx_bad_crc"] == 1, "no CRC"
    v = crc32(data)
    h.send(data + bytes((v & 255, v >> 8 & 255, v >> 16 & 255, v >> 24 & 255)), control=0x01)
    assert h.wire.sent.pop() == data, "the host's own CRC is right"
    tsv = h.send(frame(1515))
    assert tsv[3] & 0x40 and h.get(r.EIR) & 0x0A == 0x0A and h.get(r.ESTAT) & 2, "giant: aborted"
    assert h.wire.sent == []
    h.send(frame(1515), control=0x0F)
    assert h.wire.sent.pop() == frame(1515)
    h.put(r.MACON3, 0x22)
    rule("padding", h.send, data)
    h = Host(errata=()).setup()
    h.put(r.MACON3, 0xB2)
    h.send(frame(30, kind=b"\x81\x00"))
    h.send(frame(30))
    assert [len(f) for f in h.wire.sent] == [64, 60], "PADCFG 101"


def test_24_transmit_status_vector():
    h = Host().setup()
    h.fill(0x1A00, b"\x55" * 200)
    tsv = h.send(frame(100, dst=BROADCAST))
    assert tsv == b"\x68\x00\xc0\x02\x68\x00\x00", "104 bytes, done, broadcast"
    assert h.ram(0x1A00 + 108, 1) == b"\x55", "seven bytes, from ETXND + 1"
    h.load(frame(100), at=0x1F98)
    rule("tx-overlap", h.go)
    h = Host(strict=False).setup()
    h.load(frame(100), at=0x1F98)
    h.go()
    assert h.ram(0x1FFD, 3) == b"\x68\x00\xc0" and h.chip.ram[0] == 0 and h.chip.ram[1] == 0x68


def test_25_a_frame_on_its_way_is_not_touched():
    t = Time()
    h = Host(t).setup().link()
    data = frame(1000)
    h.load(data)
    h.go()
    t.advance(400000)
    assert h.get(r.ECON1) & 8 and h.wire.sent == [], "810 us"
    rule("tx-busy", h.fill, 0x1B00, b"x")
    rule("tx-busy", h.put, r.ETXND, 3)
    h.fill(0x1600, b"elsewhere")
    t.advance(450000)
    assert not h.get(r.ECON1) & 8 and h.wire.sent == [data]
    h = Host(t, strict=False).setup().link()
    h.load(data)
    h.go()
    h.fill(0x1B00, b"damage")
    t.sleep_ms(1)
    assert h.wire.sent != [data]


def test_26_flags_of_the_transmitter():
    h = Host().setup()
    h.send(frame(60))
    assert h.get(r.EIR) & 0x0A == 0x08 and h.get(r.ESTAT) & 2 == 0
    h.chip.tx.collisions = 99
    tsv = h.send(frame(60))
    assert h.get(r.EIR) & 0x0A == 0x0A and h.get(r.ESTAT) & 2 and tsv[3] & 0x10
    h.bfc(r.EIR, 0x08)
    assert h.get(r.EIR) & 0x0A == 0x02 and h.get(r.ESTAT) & 2, "sticky"
    h.bfc(r.ESTAT, 2)
    assert not h.get(r.ESTAT) & 2
    t = Time()
    h = Host(t).setup().link()
    h.load(frame(1000))
    h.go()
    h.bfc(r.ECON1, 8)
    assert h.get(r.EIR) & 8, "also when cancelled"
    t.sleep_ms(2)
    assert h.wire.sent == []
    rule("read-only", h.bfs, r.EIR, 8)


def test_26_collisions():
    t = Time()
    h = Host(t).setup().link()
    h.chip.tx.collisions = 3
    tsv = h.send(frame(60), us=20000)
    assert tsv[2] & 0x0F == 3 and tsv[4] | tsv[5] << 8 == 64 + 3 * 64 and len(h.wire.sent) == 1
    h.chip.tx.late = 1
    tsv = h.send(frame(60))
    assert tsv[3] & 0x20 and h.get(r.EIR) & 2, "late collision: aborted, not tried again"
    assert not h.get(r.ESTAT) & 0x10, "erratum 15: LATECOL does not say so"
    h.chip.errata[15] = False
    h.chip.tx.late = 1
    h.send(frame(60))
    assert h.get(r.ESTAT) & 0x10
    h.chip.tx.defer = 1
    h.send(frame(60), us=9000)
    assert len(h.wire.sent) == 2, "DEFER: waits"
    h.put(r.MACON4, 0)
    h.chip.tx.defer = 1
    assert h.send(frame(60), us=9000)[3] & 0x08 and len(h.wire.sent) == 2
    h.wire.put(frame(1514))
    t.advance(100000)
    assert h.send(frame(60), us=2000)[3] & 0x04, "deferred to a frame that came in"


def test_27_a_stalled_transmitter():
    t = Time()
    h = Host(t, strict="log").setup().link()
    h.chip.tx.collisions = 99
    h.send(frame(60), us=400000)
    h.load(frame(60))
    h.bfc(r.EIR, 0x0A)
    h.bfs(r.ECON1, 8)
    t.sleep_ms(500)
    assert h.get(r.ECON1) & 8 and not h.get(r.EIR) & 8, "erratum 12: never ends"
    assert h.chip.violations == ["txrst-missing"]
    h.go()
    t.sleep_ms(1)
    assert len(h.wire.sent) == 1, "until TXRST is pulsed"
    h = Host(t, strict="log").setup().link()
    h.chip.tx.pulse = 1
    tsv = h.send(frame(60))
    assert h.get(r.EIR) & 0x0A == 0x02 and h.get(r.ECON1) & 8 and tsv[3] & 0x20, "erratum 13"
    h.go()
    t.sleep_ms(1)
    assert len(h.wire.sent) == 1
    h = Host(t, strict="log", rev="B1").setup().link()
    h.chip.tx.pulse = 1
    h.send(frame(60))
    assert len(h.wire.sent) == 1, "B1 has not got it"


def test_28_releasing_txrst_may_set_txerif():
    seen = 0
    h = Host().setup()
    for _ in range(40):
        h.bfs(r.ECON1, 0x80)
        h.bfc(r.EIR, 2)
        h.bfc(r.ECON1, 0x80)
        seen += h.get(r.EIR) & 2
    assert 0 < seen < 80
    h.chip.errata[12] = False
    h.bfc(r.EIR, 2)
    h.bfs(r.ECON1, 0x80)
    h.bfc(r.ECON1, 0x80)
    assert not h.get(r.EIR) & 2


def test_29_mii():
    t = Time()
    h = Host(t)
    t.sleep_ms(1)
    assert h.phy(2) == 0x0083 and h.phy(3) == 0x1400
    h.put(r.MIREGADR, 0)
    h.put(r.MICMD, 1)
    assert h.get(r.MISTAT) == 1, "BUSY at once"
    rule("mii-early", h.get, r.MIRD)
    rule("mii-busy", h.put, r.MIREGADR, 1)
    rule("mii-busy", h.put, r.MIWR + 1, 1)
    rule("mii-cleared", h.put, r.MICMD, 0)
    t.advance(11000)
    h.put(r.MICMD, 1)
    t.advance(11000)
    assert h.get(r.MISTAT) == 0
    rule("mii-edge", h.put, r.MICMD, 1)
    h.put(r.MICMD, 0)
    h.put(r.MIREGADR, 0x14)
    h.put_pair(r.MIWR, 0x3476)
    assert h.get(r.MISTAT) == 1
    t.advance(11000)
    assert h.phy(0x14) == 0x3476
    h = Host(t, strict=False)
    t.sleep_ms(1)
    h.phy(2)
    h.put(r.MIREGADR, 3)
    h.put(r.MICMD, 1)
    assert h.pair(r.MIRD) == 0x0083, "the old value until it is done"
    t.advance(11000)
    assert h.pair(r.MIRD) == 0x1400
    h.put(r.MICMD, 0)
    h.put(r.MIREGADR, 0x11)
    h.put(r.MICMD, 2)
    assert h.get(r.MISTAT) == 7, "BUSY, SCAN, NVALID"
    t.advance(11000)
    assert h.get(r.MISTAT) == 3
    h.put(r.MICMD, 0)
    assert h.get(r.MISTAT) == 0
    h = Host()
    rule("phy-register", h.phy, 7)
    rule("reserved-bit", h.phy, 0x14, 0x0476)
    h = Host()
    h.phy(0, 0x8000)
    assert h.phy(0) & 0x8000 == 0, "PRST clears itself"
    rule("read-only", h.put, r.MIRD, 1)


def test_30_link():
    t = Time()
    h = Host(t, strict="log")
    t.sleep_ms(1)
    assert h.phy(0x11) & 0x400 == 0
    t.sleep_ms(150)
    assert h.phy(0x11) & 0x400 and not h.get(r.EIR) & 0x10, "no flag unless PHIE says so"
    assert h.phy(1) == 0x1800, "LLSTAT: was down"
    assert h.phy(1) == 0x1804
    h.phy(0x12, 0x12)
    h.chip.cable(False)
    assert h.get(r.EIR) & 0x10
    h.bfc(r.EIR, 0x10)
    assert h.get(r.EIR) & 0x10 and h.chip.violations == ["read-only"]
    assert h.phy(0x13) == 0x14 and h.phy(0x13) == 0 and not h.get(r.EIR) & 0x10
    h.chip.cable(True)
    t.sleep_ms(150)
    assert h.phy(1) == 0x1800 and h.phy(1) == 0x1804, "latched low"
    h.chip.crossed(True)
    t.sleep_ms(150)
    assert h.phy(0x11) & 0x420 == 0, "erratum 7: a crossed pair is not corrected"
    h.chip.errata[7] = False
    h.chip.crossed(True)
    t.sleep_ms(150)
    assert h.phy(0x11) & 0x420 == 0x420


def test_31_interrupt_line():
    h = Host().setup()
    edges = []
    h.irq.irq(lambda pin: edges.append(1), Pin.IRQ_FALLING)
    h.put(r.EIE, 0x40)
    h.wire.put(frame(60), frame(60))
    assert h.irq() == 1 and h.get(r.EPKTCNT) == 2, "INTIE is off"
    h.bfs(r.EIE, 0x80)
    assert h.irq() == 0 and edges == [1]
    h.bfc(r.EIE, 0x80)
    assert h.irq() == 1
    h.bfs(r.EIE, 0x80)
    assert h.irq() == 0 and edges == [1, 1], "a new edge for what is still there"
    at = h.take()[0]
    assert h.irq() == 0
    h.take(at)
    assert h.irq() == 1 and not h.get(r.ESTAT) & 0x80
    h.put(r.EIE, 0x88)
    h.send(frame(60))
    assert h.irq() == 0 and h.get(r.ESTAT) & 0x80
    h.bfc(r.EIR, 8)
    assert h.irq() == 1
    h.irq.lose = 1
    h.send(frame(60))
    assert h.irq() == 0 and len(edges) == 3, "an edge got lost, the level is there"


def test_32_own_frames_come_back():
    h = Host().setup(hdldis=False)
    back = 0
    at = 0
    for _ in range(30):
        h.send(frame(60))
        if h.get(r.EPKTCNT):
            back += 1
            at = h.take(at)[0]
    assert 10 < back < 30, "most of the time (erratum 9)"
    h = Host(errata=()).setup(hdldis=False)
    h.send(frame(60))
    assert h.get(r.EPKTCNT) == 1
    h = Host().setup()
    h.send(frame(60))
    assert h.get(r.EPKTCNT) == 0
    back = 0
    for seed in range(30):
        h = Host(partner_full=True, seed=seed).setup(full=True)
        h.bfc(r.ECON1, 4)
        h.phy(0, 0x4100)
        h.bfs(r.ECON1, 4)
        h.send(frame(60))
        back += h.get(r.EPKTCNT)
        assert h.wire.sent == [], "PLOOPBK: nothing on the wire"
    assert 10 < back < 30, "erratum 10"


def test_33_duplex():
    h = Host().setup(on=False)
    h.phy(0, 0x0100)
    rule("duplex", h.bfs, r.ECON1, 4)
    h = Host(strict="log").setup()
    h.put(r.MACON3, 0x33)
    assert h.chip.violations == ["duplex-on"]
    lost = 0
    h = Host(strict=False).setup(full=True)
    for _ in range(40):
        h.send(frame(60))
    assert 10 < len(h.wire.sent) < 40, "the other end is at half duplex"
    h = Host(strict=False, partner_full=True).setup()
    for _ in range(40):
        h.send(frame(60))
        lost += h.get(r.EIR) >> 1 & 1
    assert lost and len(h.wire.sent) < 40, "late collisions"
    h = Host(partner_full=True).setup(full=True)
    for _ in range(40):
        h.send(frame(60))
    assert len(h.wire.sent) == 40 and h.get(r.EFLOCON) == 4


def test_34_dma():
    t = Time()
    h = Host(t, errata=()).setup(on=False)
    h.fill(0x1500, b"\x01\x02\x03\x04\x05")
    h.put_pair(r.EDMAST, 0x1500)
    h.put_pair(r.EDMAND, 0x1504)
    h.put_pair(r.EDMADST, 0x1600)
    h.bfs(r.ECON1, 0x20)
    assert h.get(r.ECON1) & 0x20 or h.get(r.EIR) & 0x20
    t.advance(1000)
    assert h.get(r.ECON1) & 0x20 == 0 and h.get(r.EIR) & 0x20
    assert h.ram(0x1600, 5) == b"\x01\x02\x03\x04\x05"
    h.bfc(r.EIR, 0x20)
    h.bfs(r.ECON1, 0x10)
    h.bfs(r.ECON1, 0x20)
    t.advance(1000)
    assert h.pair(r.EDMACS) == (0x0102 + 0x0304 + 0x0500) ^ 0xFFFF and h.get(r.EIR) & 0x20
    h.bfc(r.ECON1, 0x10)
    h.put_pair(r.EDMAND, 0x1500)
    rule("dma-block", h.bfs, r.ECON1, 0x20)
    h = Host(t, strict=False).setup().link()
    h.fill(0x1500, b"\x77")
    h.put_pair(r.EDMAST, 0x1500)
    h.put_pair(r.EDMAND, 0x1500)
    h.put_pair(r.EDMADST, 0x1600)
    h.bfs(r.ECON1, 0x20)
    t.sleep_ms(2)
    assert h.ram(0x1600, 1) == b"\x77" and h.get(r.ECON1) & 0x20, "all memory, and no end"
    h.bfc(r.ECON1, 0x20)
    h.put_pair(r.EDMAND, 0x1520)
    h.wire.put(frame(1514))
    t.advance(600000)
    h.bfs(r.ECON1, 0x10)
    h.bfs(r.ECON1, 0x20)
    t.sleep_ms(2)
    assert h.get(r.EPKTCNT) == 0 and h.get(r.EIR) & 1 and h.get(r.ESTAT) & 0x40, "erratum 17"
    h = Host(t).setup().link()
    h.put_pair(r.EDMAND, 0x30)
    h.bfs(r.ECON1, 0x10)
    rule("dma-checksum", h.bfs, r.ECON1, 0x20)


def test_35_power_save():
    t = Time()
    h = Host(t).setup().link()
    rule("power-save", h.bfs, r.ECON2, 0x20)
    h = Host(t).setup(on=False).link()
    h.put(r.ECOCON, 1)
    h.bfs(r.ECON2, 0x20)
    assert not h.get(r.ESTAT) & 1 and h.chip.clkout() == 0, "erratum 4: CLKOUT stops"
    rule("asleep", h.get, r.MACON3)
    rule("asleep", h.put, r.MACON3, 0)
    rule("asleep", h.bfs, r.ECON1, 4)
    h.fill(0x1500, b"memory works")
    assert h.ram(0x1500, 6) == b"memory"
    h.bfc(r.ECON2, 0x20)
    assert not h.get(r.ESTAT) & 1
    t.advance(310000)
    assert h.get(r.ESTAT) & 1 and h.get(r.MACON3) == 0x32 and not h.phy(0x11) & 0x400
    h.link()
    assert h.chip.clkout() == 25000000


def test_36_lengths():
    h = Host(errata=()).setup(on=False)
    h.chip.runts = True
    h.put(r.ERXFCON, 0x20)
    h.bfs(r.ECON1, 4)
    at = 0
    for n in (13, 14, 40, 59, 1514, 1515):
        h.wire.put(frame(n)[0:n])
        there = h.get(r.EPKTCNT)
        assert there == (14 <= n <= 1514), n
        if there:
            at, _, data = h.take(at)
            assert data[0:n] == frame(n) and len(data) == n + 4
    h.put(r.MACON3, 0x36)
    h.wire.put(frame(1518))
    assert h.get(r.EPKTCNT) == 1, "HFRMEN"
    h = Host().setup()
    h.wire.put(frame(42))
    assert h.get(r.EPKTCNT) == 1 and h.take()[2][0:60] == frame(42) + bytes(18)


def test_37_overlap_is_not_noticed():
    h = Host(strict=False).setup(end=0x1FFF)
    h.load(frame(60), at=100)
    h.wire.put(frame(200, seed=5))
    h.get(r.EPKTCNT)
    assert h.ram(100, 61) != b"\x00" + frame(60), "reception overwrites it"
    h = Host().setup(end=0x1FFF)
    rule("write-fifo", h.fill, 100, b"x")


def test_38_revisions():
    for rev, v in (("B1", 2), ("B4", 4), ("B5", 5), ("B7", 6), (6, 6)):
        assert Host(rev=rev).get(r.EREVID) == v
    rule("read-only", Host().put, r.EREVID, 1)


def test_erratum_1_slow_clock():
    def damaged(**options):
        h = Host(strict=False, **options)
        bad = 0
        for k in range(100):
            h.put(r.MAADR1, k)
            bad += h.get(r.MAADR1) != k
        for k in range(100):
            h.put(r.EHT0, k)
            assert h.get(r.EHT0) == k, "ETH registers are not affected"
        return bad

    assert damaged(rev="B1", baudrate=4000000) > 10
    assert damaged(rev="B4", baudrate=3000000) > 10
    assert damaged(rev="B1", baudrate=8000000) == 0
    assert damaged(rev="B1", baudrate=6250000) == 0, "25 MHz / 4"
    assert damaged(rev="B7", baudrate=1000000) == 0


def test_erratum_8_the_wrong_resistor():
    h = Host().setup()
    h.chip.rbias = 2700
    for _ in range(40):
        h.send(frame(60))
    assert 10 < len(h.wire.sent) < 40
    h = Host(rev="B1").setup()
    h.chip.rbias = 2700
    for _ in range(40):
        h.send(frame(60))
    assert len(h.wire.sent) == 40


def test_erratum_11_leds():
    h = Host().setup()
    assert h.chip.phy.led(False) and h.phy(0x14) == 0x3422
    h.phy(0x14, 0x3476)
    assert h.chip.phy.led(False) and not h.chip.phy.led(True), "LEDA link, LEDB traffic"
    h.phy(0x14, 0x38E6)
    assert not h.chip.phy.led(True, collision=True), "code E shows duplex only"
    h.chip.errata[11] = False
    assert h.chip.phy.led(True, collision=True) and h.chip.phy.led(False)


def test_erratum_16_the_strap():
    seen = [Host(seed=k, strap=0).phy(0) >> 8 & 1 for k in range(20)]
    assert 0 < sum(seen) < 20, "PDPXMD is anything after a reset"
    assert Host(errata=(), strap=1).phy(0) == 0x0100 and Host(errata=(), strap=0).phy(0) == 0


def test_flow_control():
    t = Time()
    h = Host(t, partner_full=True).setup(full=True).link()
    h.put_pair(r.EPAUS, 100)
    h.put(r.EFLOCON, 1)
    pause = h.wire.sent.pop()
    assert pause[0:18] == b"\x01\x80\xc2\x00\x00\x01" + MAC + b"\x88\x08\x00\x01\x00\x64"
    assert h.get(r.EFLOCON) == 4, "sent once"
    h.put(r.EFLOCON, 3)
    assert h.wire.sent.pop()[16:18] == bytes(2)
    h.wire.put(b"\x01\x80\xc2\x00\x00\x01" + PEER + b"\x88\x08\x00\x01\x00\xc8" + bytes(42))
    t.sleep_ms(1)
    assert h.get(r.EPKTCNT) == 0
    h.load(frame(60))
    h.go()
    t.sleep_ms(5)
    assert h.wire.sent == [] and h.get(r.ECON1) & 8, "held back for 200 times 51.2 us"
    t.sleep_ms(6)
    assert len(h.wire.sent) == 1
    h = Host(t).setup().link()
    h.put(r.EFLOCON, 1)
    h.wire.put(frame(60))
    t.sleep_ms(2)
    assert h.get(r.EPKTCNT) == 0, "backpressure"
    h.put(r.EFLOCON, 0)
    t.sleep_ms(2)
    assert h.get(r.EPKTCNT) == 1


def test_self_test():
    h = Host(errata=()).setup(on=False)
    h.put(r.EBSTCON, 0x07)
    assert h.get(r.EBSTCON) == 0x06, "ends by itself"
    h.put_pair(r.ERXND, 0x1FFF)
    h.put_pair(r.EDMAST, 0)
    h.put_pair(r.EDMAND, 0x1FFF)
    h.bfs(r.ECON1, 0x10)
    h.bfs(r.ECON1, 0x20)
    h.bfc(r.ECON1, 0x10)
    assert h.pair(r.EDMACS) == h.pair(r.EBSTCS) == 0xF807, "as silicon does"


def test_line_time():
    t = Time()
    h = Host(t).setup().link()
    assert wire_ns(1514) == 1230400
    h.wire.put(*[frame(1514, seed=k) for k in range(3)])
    t.advance(1200000)
    assert h.get(r.EPKTCNT) == 0
    t.advance(40000)
    assert h.get(r.EPKTCNT) == 1
    t.advance(1230400)
    assert h.get(r.EPKTCNT) == 2, "812.7 full frames a second"
    h = Host(t).setup().link()
    h.wire.put(*[frame(60)] * 20)
    t.advance(672000)
    assert h.get(r.EPKTCNT) == 10, "67.2 us each"


def test_half_duplex_shares_the_line():
    t = Time()
    h = Host(t).setup().link()
    h.wire.put(frame(1514), frame(1514, seed=1))
    t.advance(100000)
    h.load(frame(1000))
    h.go()
    t.advance(1200000)
    assert h.get(r.EPKTCNT) == 1 and h.wire.sent == []
    t.advance(800000)
    assert len(h.wire.sent) == 1 and h.get(r.EPKTCNT) == 1, "ours is next"
    t.advance(1300000)
    assert h.get(r.EPKTCNT) == 2
    h = Host(t, partner_full=True).setup(full=True).link()
    h.wire.put(frame(1514))
    t.advance(100000)
    h.load(frame(1000))
    h.go()
    t.advance(900000)
    assert len(h.wire.sent) == 1, "both ways at once in full duplex"


def test_faults():
    t = Time()
    for level in (1, 2, 3):
        h = Host(t).setup().link()
        h.chip.deaf = level
        for cure in (1, 2, 3):
            h.wire.put(frame(60))
            t.sleep_ms(1)
            assert h.get(r.EPKTCNT) == 0
            if cure == 1:
                h.bfs(r.ECON1, 0x40)
                h.bfc(r.ECON1, 0x40)
                h.bfs(r.ECON1, 4)
            elif cure == 2:
                h.src()
            else:
                h.reset(0)
                t.advance(1000)
                h.reset(1)
                h.bank = 0
                t.sleep_ms(2)
            if cure > 1:
                h.setup().link()
            assert (h.chip.deaf == 0) == (cure >= level), "%d, %d" % (level, cure)
            if cure == level:
                break
    h = Host(t, strict=False).setup().link()
    h.chip.bad_next = 1
    h.wire.put(frame(60))
    t.sleep_ms(1)
    head = h.ram(0, 2)
    assert head[0] | head[1] << 8 != 70
    h.chip.tx_stalls = h.chip.lost_txif = 1
    h.send(frame(60), us=9999)
    assert h.get(r.ECON1) & 8 and h.wire.sent == []
    h.send(frame(60))
    assert not h.get(r.EIR) & 8 and len(h.wire.sent) == 1
    h.chip.brown_out()
    assert h.raw(0x1F, 0)[1] == 0
    h.chip.unplug("low")
    assert h.raw(0x12, 0) == bytes(2) and h.irq() == 1
    h.chip.unplug("high")
    assert h.raw(0x12, 0, 0) == b"\xff\xff\xff"
    h.chip.replug()
    h.chip.impostor = b"\x01\x02\x03"
    assert h.raw(0x12, 0) == b"\x01\x02"
    h.chip.impostor = None
    h.chip.shift_above = 10000000
    h.bank = None
    assert h.get(r.EREVID) == 0x83 or h.get(r.EREVID) & 0x7F == 3, "one bit late"


def test_cs_hold():
    t = Time()
    h = Host(t)
    h.chip.hold_ns = 210
    rule("cs-hold", h.put, r.MACON1, 1)
    h.put(r.ERDPT, 1)
    h.spi.gap_ns = 210
    h.put(r.MACON1, 1)
    rule("spi-clock", Host(baudrate=25000000).get, r.EIE)
