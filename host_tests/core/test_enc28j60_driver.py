"""The ENC28J60 driver against the modelled chip, strict and with every erratum: what a board does,
and what may happen to it."""
from chips import enc28j60_regs as r
from chips.bus import SPI, Time, Violation
from chips.enc28j60 import ERRATA
from enc28j60_kit import BROADCAST, MAC, PEER, RX_END, Board, frame
from kit import Random, heap_locked, raises
from spinet import prim
from spinet.ports.enc28j60 import ENC28J60

SLOW = ("test_a_quiet_network_costs_nothing", "test_deafness")
PORTABLE = prim.IMPLEMENTATION == "portable"       # slow
GROUP = b"\x01\x00\x5e\x00\x00\xfb"


def traffic(b, rounds=6):
    """Frames of all sizes, both ways."""
    for k in range(rounds):
        data = frame(60 + k * 251 % 1455, seed=k)
        b.wire.put(data)
        b.sleep(3)
        assert b.got and b.got.pop() == data, "round %d, in: %r" % (k, b.port.count)
        assert b.send(data, tries=20)
        b.sleep(3)
        assert b.wire.sent and b.wire.sent.pop() == data, "round %d, out: %r" % (k, b.port.count)
    return True


def test_bring_up():
    b = Board(up=False)
    assert b.port.mac == MAC and b.port.medium == "ethernet" and b.port.mtu == 1500
    assert b.port.pads and b.port.link() is False, "no link at first, and nothing waited for it"
    assert b.time.ms - ((1 << 30) - 5000) < 100, "up within 100 ms"
    b.wait_link()
    chip = b.chip
    assert chip.address() == MAC and chip.regs[r.ERXFCON] == 0xA5 and chip.regs[r.MACON3] == 0x32
    assert chip.pair(r.ERXST) == 0 and chip.pair(r.ERXND) == RX_END and chip.pair(r.MAMXFL) == 1522
    assert chip.phy.con1 == 0 and chip.phy.con2 == 0x0100 and chip.phy.lcon & 0xFFFE == 0x3476
    assert chip.rxen() and chip.regs[r.EIE] == 0xD3
    assert b.counted(link_up=1, setup=1, reset=1)


def test_the_ring_wraps():
    b = Board()
    rand = Random(4)
    for k in range(80):
        data = frame(60 + rand.below(1455), seed=k)
        b.wire.put(data)
        b.time.sleep_ms(2)
        assert b.poll() == 1 and b.got.pop() == data, "frame %d" % k
    b.counted(rx=80)


def test_frames_back_to_back_keep_order():
    b = Board()
    for k in range(100):
        assert b.send(frame(60 + k * 14, seed=k), tries=9)
    b.sleep(3)
    assert b.wire.sent == [frame(60 + k * 14, seed=k) for k in range(100)]
    b.counted(tx=100)


def test_a_busy_line_says_so():
    b = Board(baudrate=20000000)
    data = frame(1514)
    assert b.send(data) and b.send(data), "one on the line, one behind it"
    assert b.send(data) is False
    b.time.sleep_ms(1)
    assert b.send(data), "the first has left"
    b.sleep(5)
    assert len(b.wire.sent) == 3
    b.counted(tx=3)


def test_the_second_frame_follows_by_itself():
    """The interrupt of the first, or a look for frames, is enough."""
    for irq in (True, False):
        b = Board(irq=irq)
        assert b.send(frame(1514, seed=1)) and b.send(frame(1514, seed=2))
        b.time.sleep_ms(2)
        assert b.poll() == 0
        b.time.sleep_ms(2)
        assert b.wire.sent == [frame(1514, seed=1), frame(1514, seed=2)]


def test_flood():
    """An overrun loses frames, never order, content or the receiver."""
    for irq in (True, False):
        b = Board(irq=irq)
        frames = [frame(60 + (k * 53) % 1455, seed=k) for k in range(150)]
        b.wire.put(*frames)
        for k in range(110):
            b.time.sleep_ms(1)          # everything comes within about 95 ms
            if k % 8 == 7:
                b.poll()
        b.sleep(600)
        assert 20 < len(b.got) < 150, "%d came through" % len(b.got)
        subsequence(b.got, frames)
        assert len(b.got) + b.chip.count["rx_full"] == 150, "each is delivered once or dropped"
        assert b.port.count["rx_full"], "and the driver knows"
        b.wire.put(frame(77))
        b.sleep(2)
        assert b.got[-1] == frame(77), "it hears again"
        b.counted(rx=len(b.got), rx_full=b.port.count["rx_full"])


def idle(b, ms, step=500):
    """The program looks now and then."""
    while ms > 0:
        b.time.pass_ns(step * 1000000)
        b.time.advance(0)
        b.poll()
        ms -= step


def subsequence(some, all_of_them):
    """Every item of `some` occurs in the other list, in this order and once."""
    k = 0
    for item in some:
        while k < len(all_of_them) and all_of_them[k] != item:
            k += 1
        assert k < len(all_of_them), "altered, twice, or out of order: %r" % bytes(item[0:20])
        k += 1


def test_an_idle_poll_costs_two_bytes():
    b = Board(irq=False)
    b.poll()
    b.spi.bytes = b.spi.selects = 0
    for _ in range(50):
        assert b.port.recv(b.buf) == 0
    assert b.spi.bytes == 100 and b.spi.selects == 50


def test_lost_edges_and_a_dead_line():
    b = Board(irq=True)
    b.irq.lose = 1000
    for k in range(5):
        b.wire.put(frame(60, seed=k))
        b.sleep(2)
        assert b.got.pop() == frame(60, seed=k), "the level is looked at as well"
    b.irq.lose = 0
    b.irq.stuck = 1
    b.wire.put(frame(60))
    b.sleep(150)
    assert b.got == [frame(60)] and b.port.count["irq_missed"] == 1
    b.irq.stuck = 0
    b.wire.put(frame(61))
    b.sleep(2)
    assert b.got[1:] == [frame(61)]
    b.counted(irq_missed=1)


def test_link_changes_within_a_second():
    for irq in (True, False):
        b = Board(irq=irq)
        b.chip.cable(False)
        for _ in range(1000):
            b.time.sleep_ms(1)
            if not b.port.link():
                break
        assert b.port.link() is False
        assert b.send(frame(60)) is True and b.port.count["tx_no_link"] == 1
        b.chip.cable(True)
        b.sleep(900)
        assert b.port.link() is True
        assert traffic(b)
        b.counted(link_up=2, link_down=1, tx_no_link=1)


def test_the_interrupt_tells_of_the_link():
    b = Board(irq=True)
    b.sleep(30)
    b.chip.cable(False)
    b.poll()
    assert b.port._linked is False, "at once"
    assert b.irq() == 1, "PHIR was read: no storm"


def test_filter():
    b = Board()
    b.wire.put(frame(60, dst=GROUP), frame(60, dst=PEER), frame(60, dst=BROADCAST),
               frame(60, dst=b"\x01\x00\x5e\x00\x00\x01"))
    b.sleep(2)
    assert [f[0:6] for f in b.got] == [BROADCAST, b"\x01\x00\x5e\x00\x00\x01"]
    b.got.clear()
    b.port.filter([GROUP])
    b.sleep(2)
    b.wire.put(frame(60, dst=GROUP))
    b.sleep(2)
    assert b.got == [frame(60, dst=GROUP)]
    b.port.filter([])
    b.sleep(2)
    b.wire.put(frame(60, dst=GROUP))
    b.sleep(2)
    assert len(b.got) == 1
    b.chip.brown_out()
    b.port.filter([GROUP])
    b.sleep(1200)
    b.wire.put(frame(60, dst=GROUP))
    b.sleep(2)
    assert len(b.got) == 2, "also after the chip was set up anew"
    b = Board(promiscuous=True)
    b.wire.put(frame(60, dst=PEER))
    b.sleep(2)
    assert b.got == [frame(60, dst=PEER)]


def test_groups_of_the_stack_reach_the_chip():
    from spinet.ethernet import Ethernet

    b = Board()
    link = Ethernet(b.port)
    link.join(GROUP)
    b.sleep(2)
    b.wire.put(frame(60, dst=GROUP))
    b.sleep(2)
    assert b.got == [frame(60, dst=GROUP)]
    link.leave(GROUP)
    b.sleep(2)
    b.wire.put(frame(60, dst=GROUP))
    b.sleep(2)
    assert len(b.got) == 1


def test_full_duplex():
    b = Board(full_duplex=True, chip={"partner_full": True})
    assert b.chip.regs[r.MACON3] == 0x33 and b.chip.phy.con1 == 0x0100
    assert b.chip.regs[r.MACON1] == 0x0D and b.chip.regs[r.MABBIPG] == 0x15
    assert traffic(b)
    b.counted()


def test_every_erratum_of_every_revision():
    for rev in ("B1", "B7") if PORTABLE else ("B1", "B4", "B5", "B7"):
        for strict in (True, False):
            b = Board(chip={"rev": rev, "strict": strict, "errata": ERRATA, "seed": 2 + strict})
            assert traffic(b, 3), rev
            assert b.chip.count["violations"] == 0
    for n in ERRATA:
        b = Board(chip={"errata": (n,), "strict": False, "seed": n})
        assert traffic(b, 2), "erratum %d alone" % n
    b = Board(chip={"errata": ()})
    assert traffic(b), "and a chip without any"


def test_erratum_1_slow_clock_on_old_silicon():
    """It comes up and carries frames, but the advice is a faster clock."""
    b = Board(baudrate=4000000, irq=False, chip={"rev": "B1", "strict": False})
    assert b.port.count["mac_retry"]
    b.wire.put(frame(500))
    b.sleep(5)
    assert b.got == [frame(500)]


def test_erratum_2_and_19_reset():
    b = Board(reset=False)
    b.port.close()
    assert b.chip.regs[r.ECON2] & 0x20, "closed: asleep"
    b.port = b.driver()
    b.wait_link()
    assert traffic(b)
    b.chip.doze()
    b.sleep(1500)
    b.wait_link()
    assert traffic(b), "put to sleep by somebody else"
    assert b.chip.count["violations"] == 0


def test_errata_12_and_15_collisions():
    b = Board()
    for k in range(6):
        b.chip.tx.late = k + 1
        assert b.send(frame(300, seed=k))
        b.sleep(30)
        assert b.wire.sent.pop() == frame(300, seed=k), "sent again and again, until it got through"
        assert b.chip.tx.late == 0
    assert b.port.count["tx_late_collision"] == b.port.count["tx_retry"] == 21
    b.chip.tx.late = 17
    assert b.send(frame(300)) and b.send(frame(301))
    b.sleep(60)
    assert b.wire.sent == [frame(301)], "given up after 16 retries; the next one leaves"
    b.wire.sent.clear()
    b.chip.tx.collisions = 30
    assert b.send(frame(300))
    b.sleep(600)
    assert b.send(frame(302))
    b.sleep(5)
    assert b.wire.sent[-1] == frame(302)
    b.chip.tx.collisions = 30
    b.chip.regs[r.MACLCON1] = 3
    assert b.send(frame(303)) and b.send(frame(304))
    b.sleep(20)
    assert b.wire.sent[-1] == frame(304) and b.port.count["tx_aborted"] == 2, b.port.count
    assert b.chip.count["violations"] == 0


def test_erratum_13_link_pulse():
    b = Board()
    b.chip.tx.pulse = 3
    assert b.send(frame(300, seed=1)) and b.send(frame(300, seed=2))
    b.sleep(20)
    assert b.wire.sent == [frame(300, seed=1), frame(300, seed=2)]
    b.counted(tx_late_collision=3, tx_retry=3)


def test_erratum_14_odd_pointers():
    """The strict model would complain of an even ERXRDPT; here every length leaves one."""
    b = Board()
    for n in range(60, 140):
        b.wire.put(frame(n, seed=n))
        b.time.sleep_ms(1)
        assert b.poll() == 1 and b.got.pop() == frame(n, seed=n)
        assert b.chip.pair(r.ERXRDPT) & 1


def test_erratum_17_no_dma():
    b = Board()
    traffic(b)
    assert not b.chip.dma.sum, "checksums are not left to the chip"


def test_a_stuck_transmitter():
    b = Board()
    b.chip.tx_stalls = 1
    assert b.send(frame(300, seed=1)) and b.send(frame(300, seed=2))
    b.sleep(250)
    assert b.wire.sent == [frame(300, seed=1), frame(300, seed=2)], "sent once more"
    b.counted(tx_stuck=1, tx_retry=1)
    b.chip.tx_stalls = 3
    b.send(frame(300, seed=3))
    b.sleep(1500)
    assert b.port.count["tx_lost"] == 1 and b.port.count["setup"] == 2, b.port.count
    assert traffic(b)


def test_a_lost_txif():
    b = Board()
    b.chip.lost_txif = 1
    assert b.send(frame(300, seed=1)) and b.send(frame(300, seed=2))
    b.sleep(300)
    assert b.wire.sent == [frame(300, seed=1), frame(300, seed=2)], "not sent twice"
    b.counted(txif_lost=1)


def test_a_corrupt_next_pointer():
    b = Board()
    for k in range(6):
        b.chip.bad_next = 1
        b.wire.put(frame(100, seed=k), frame(100, seed=k + 50))
        b.sleep(1200)
        b.wire.put(frame(101, seed=k))
        b.sleep(5)
        assert b.got[-1] == frame(101, seed=k), "it goes on"
    assert b.port.count["rx_bad_header"] == 6 and b.port.count["resync"] == 7
    for got in b.got:
        assert got in b.wire.waiting
    assert b.port.count["reset"] == 1 and b.chip.count["violations"] == 0


def test_packets_that_are_not_there():
    """EPKTCNT comes out wrong while a packet of the last time around stands where the next will."""
    b = Board(chip={"strict": False})
    for k in range(70):
        b.wire.put(frame(70, seed=k))       # 80 bytes of the ring, which has 64 times as many
        b.time.sleep_ms(1)
        b.poll()
    assert len(b.got) == 70
    b.chip.rx.pktcnt = 2
    b.sleep(600)
    assert len(b.got) == 70 and b.port.count["rx_phantom"] >= 1
    b.wire.put(frame(70))
    b.time.sleep_ms(1)
    b.chip.rx.pktcnt += 3
    b.sleep(600)
    assert len(b.got) == 71, "the one that is there, and no more"
    b.got.clear()
    assert traffic(b)


def test_deafness():
    for level in (1,) if PORTABLE else (1, 2, 3):
        for pin in (True, False):
            if level == 3 and not pin:
                continue
            b = Board(reset=pin)
            b.chip.deaf = level
            for _ in range(500):
                if not b.chip.deaf:
                    break
                b.send(frame(60))
                idle(b, 3000)
            assert not b.chip.deaf, "level %d" % level
            assert b.port.count["rx_silent"] >= level - 1
            b.wait_link()
            b.wire.sent.clear()
            assert traffic(b)
            assert b.chip.count["violations"] == 0


def test_a_quiet_network_costs_nothing():
    b = Board(irq=True)
    idle(b, 60000 if PORTABLE else 600000)
    assert b.port.link() and b.port.count["link_down"] == 0, "silence"
    assert b.port.count["reset"] == 1 and b.port.count["rx_silent"] < 10
    assert traffic(b)


def test_announcements_are_not_what_somebody_should_answer():
    """After an answer of a DHCP server, say: a reset costs the link, and all would begin anew."""
    b = Board(irq=True)
    b.wire.put(frame(60))
    idle(b, 1000)
    for _ in range(4):
        b.send(frame(60))
        idle(b, 2000)
    idle(b, 60000)
    assert b.port.link() and b.port.count["link_down"] == 0
    assert b.port.count["reset"] == 1 and b.port.count["rx_silent"] >= 2
    assert traffic(b)


def test_brown_out():
    for at in (0, 1, 3, 6, 9):
        b = Board()
        b.wire.put(frame(300, seed=1), frame(301, seed=2))
        b.time.sleep_ms(1)
        fuse(b, at)
        b.sleep(1500)
        b.wait_link()
        for got in b.got:
            assert got in b.wire.waiting, "what was read from a dead chip is not delivered"
        b.wire.sent.clear()
        assert traffic(b)
        assert b.port.count["setup"] >= 2


def test_brown_out_while_a_frame_is_loaded():
    """What the memory holds then is not sent, even if its control byte asks for a CRC."""
    for seed in range(12):
        for at in range(2, 6):
            b = Board(chip={"seed": seed, "link_ms": 0}, gap_ns=100000)
            data = frame(1294)
            fuse(b, at)
            b.send(data)
            b.sleep(5)
            for sent in b.wire.sent:
                assert sent == data, "seed %d, transfer %d" % (seed, at)


class Fuse:
    """The chip dies, or is gone, within transfer number `at`."""

    def __init__(self, spi, at, do):
        self.spi = spi
        self.at = at
        self.do = do

    def step(self):
        self.at -= 1
        if self.at == 0:
            self.do()

    def write(self, buf):
        self.step()
        self.spi.write(buf)

    def readinto(self, buf):
        self.step()
        self.spi.readinto(buf)

    def write_readinto(self, out, into):
        self.step()
        self.spi.write_readinto(out, into)


def fuse(b, at, do=None):
    b.chip.strict = False
    b.port._spi = Fuse(b.spi, at + 1, do or b.chip.brown_out)


def test_a_chip_lost_within_a_frame():
    for level in ("high", "low"):
        for k in range(10):
            b = Board()
            b.wire.put(frame(300, seed=1), frame(301, seed=2))
            b.time.sleep_ms(1)
            fuse(b, k, lambda: b.chip.unplug(level))
            b.sleep(700)
            for got in b.got:
                assert got in b.wire.waiting, "call %d, MISO %s" % (k, level)
            assert b.port.count["absent"] or b.port.count["reset"] > 1


def test_single_registers_upset():
    for reg in (r.EIE, r.ECON1, r.ERXFCON, r.MACON1, r.MACON3, r.MAADR1, r.MAMXFL, r.EHT0):
        b = Board()
        b.chip.regs[reg] ^= 4
        b.sleep(1100)
        b.wait_link()
        assert b.port.count["registers_lost"] + b.port.count["chip_lost"] == 1, hex(reg)
        assert traffic(b)


def test_no_chip_and_wrong_chips():
    for level, text in (("high", "0xff (MISO stuck high?)"), ("low", "0x00 (MISO stuck low")):
        e = raises(OSError, other, level, None)
        assert text in str(e), str(e)
    for said in (b"\x01\x02\x03", b"\x06", b"\x02", b"\xa5"):
        e = raises(OSError, other, None, said)
        assert "no ENC28J60" in str(e), str(e)


def other(level, said):
    time = Time()
    chip = Board(instant=True).chip
    chip.absent = level
    chip.impostor = said
    spi = SPI(time)
    ENC28J60(spi, spi.attach(chip), mac=MAC, clock=time.ticks_ms, sleep=time.sleep_ms)


def test_bad_addresses():
    for mac in (bytes(6), BROADCAST, GROUP, b"\x02\x00"):
        raises(ValueError, ENC28J60_with, mac)


def ENC28J60_with(mac):
    Board(instant=True, mac=mac)


def test_created_again_and_again():
    b = Board()
    for k in range(10):
        b.port.close()
        b.port.close()
        if k & 1:
            b.port = b.driver()     # as after a soft reset: nobody has closed it
        b.port = b.driver()
        b.wait_link()
        b.got.clear()
        assert traffic(b, 2)
    assert b.chip.count["violations"] == 0


def steady(irq):
    b = Board(irq=irq, chip={"fcs": False})
    b.wire.keep = False
    b.wire.put(*[frame(n, seed=n) for n in (60, 1514, 590, 61, 1514, 700, 64, 65)])
    short = bytearray(42)
    other = bytearray(900)

    def some():
        for _ in range(3):
            b.wire.taken = 0
            k = 0
            while k < 8:
                b.time.advance(500000)
                n = b.port.recv(b.buf)
                if n:
                    while not b.port.send(b.buf, n):
                        b.time.advance(500000)
                    k += 1
            b.time.sleep_ms(4)
            assert b.port.recv(b.buf) == 0
            b.time.sleep_ms(4)
            assert b.port.recv(b.buf) == 0
            assert b.port.send(short, 42) and b.port.send(other, 900)
            b.time.sleep_ms(700)
            assert b.port.recv(b.buf) == 0 and b.port.link()

    some()
    heap_locked(some)
    b.counted()


def test_steady_state_allocates_nothing():
    steady(irq=True)
    steady(irq=False)


def test_repairs_allocate_nothing():
    b = Board(chip={"fcs": False})
    b.wire.keep = False
    b.wire.put(frame(60))

    def trouble():
        for _ in range(8):
            b.wire.taken = 0
            b.chip.bad_next = 1
            b.time.sleep_ms(50)
            b.port.recv(b.buf)
        b.chip.tx.late = 2
        b.chip.tx_stalls = 1
        b.port.send(b.buf, 60)
        for _ in range(40):
            b.time.sleep_ms(10)
            b.port.recv(b.buf)
        b.chip.brown_out()
        for _ in range(80):
            b.time.sleep_ms(10)
            b.port.recv(b.buf)
        b.chip.cable(False)
        b.port.send(b.buf, 60)
        b.time.sleep_ms(60)
        b.port.send(b.buf, 60)
        b.chip.cable(True)
        for _ in range(80):
            b.time.sleep_ms(10)
            b.port.link()

    trouble()
    heap_locked(trouble)
    assert b.port.count["rx_bad_header"] > 3 and b.port.count["setup"] > 1


def cost(b, n, rx):
    """SPI bytes and chip selects per frame of `n` bytes, of 64 frames at the pace of the line."""
    data = frame(n)
    b.poll()
    b.send(data)
    b.time.sleep_ms(5)
    b.poll()
    b.spi.bytes = b.spi.selects = 0
    k = 0
    while k < 64:
        if rx:
            b.wire.put(data)
            b.time.advance(1300000)
            while b.port.recv(b.buf):
                k += 1
        else:
            assert b.send(data)
            b.time.advance(1300000)
            b.port.recv(b.buf)
            k += 1
    return b.spi.bytes / 64, b.spi.selects / 64


def test_bytes_on_the_bus():
    """At most 15 % more than the minimum for full frames: 26 + L in, 28 + L out."""
    for irq in (True, False):
        for n in (60, 1514) if PORTABLE else (60, 590, 1514):
            b = Board(irq=irq)
            rx, rx_cs = cost(b, n, True)
            tx, tx_cs = cost(b, n, False)
            print("ENC28J60 %s, %4d bytes: in %.0f (table %d) bytes, %.1f selects (11); "
                  "out %.0f (%d), %.1f (14)" % (
                      "irq " if irq else "poll", n, rx, 26 + n, rx_cs, tx, 28 + n, tx_cs))
            if n == 1514:
                assert rx <= (26 + n) * 1.15 and tx <= (28 + n) * 1.15
            assert rx_cs <= 14 and tx_cs <= 18


class Hasty(ENC28J60):
    """Does not wait for the MII."""

    def _mii(self):
        return True


class Forgetful(ENC28J60):
    """Frees up to where the next packet begins: an even address."""

    def recv(self, buf):
        n = ENC28J60.recv(self, buf)
        if n:
            self._put(0x0C, self._next & 255)
            self._put(0x0D, self._next >> 8)
        return n


class Trusting(ENC28J60):
    """Polls CLKRDY after SRC instead of waiting."""

    def _begin(self):
        self._write(b"\xff")
        while not self._get(r.ESTAT) & 1:
            pass
        self._set_up()


def test_the_model_catches_careless_drivers():
    for driver, rule in ((Hasty, "mii-busy"), (Trusting, "dead-time")):
        b = Board()
        b.driver_class = driver
        e = raises(Violation, b.driver)
        assert e.rule in (rule, "mii-cleared"), "%s: %s" % (rule, e)
    b = Board()
    b.driver_class = Forgetful
    b.port = b.driver()
    b.wait_link()
    b.wire.put(frame(60))
    b.time.sleep_ms(1)
    assert raises(Violation, b.poll).rule == "erxrdpt-even"
