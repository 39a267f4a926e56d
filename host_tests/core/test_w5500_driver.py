"""The W5500 driver against the strict model: what a board does, and what may happen to it."""
import sys

from chips.bus import SPI, Pin, Time
from chips.faults import IMPOSTORS, Impostor
from chips.w5500 import Violation, W5500Model
from kit import Random, heap_locked, raises
from spinet import Stack, prim
from spinet.ethernet import Ethernet
from spinet.ports.spichip import mac_address
from spinet.ports.w5500 import W5500
from spinet.timers import Timers
from w5500_kit import BROADCAST, MAC, PEER, Board, Wire, frame, survives


def test_bring_up():
    b = Board(up=False)
    assert b.port.mac == MAC and b.port.medium == "ethernet" and b.port.mtu == 1500
    assert b.port.pads and b.port.link() is False, "no link at first, and nothing waited for it"
    assert b.time.ms - ((1 << 30) - 5000) < 100, "up within 100 ms"
    b.wait_link()
    common = b.chip.common
    assert bytes(common[9:15]) == MAC and common[0] == 0x10 and common[0x18] == 1
    assert bytes(common[1:9]) == bytes(8) and bytes(common[15:19]) == bytes(4), "its own IP is off"
    regs = b.chip.sockets[0].regs
    assert regs[0] == 0xB4 and regs[3] == 0x42 and regs[0x1E] == 16 and regs[0x1F] == 16
    assert regs[0x2C] == 4
    assert b.counted(link_up=1, setup=1, reset=1, reopen=1)


def test_pointers_wrap():
    for start in (0, 0xFFF0, 0xFFFF, 0x3FFF, 0x7F01):
        b = Board(chip={"start": start})
        rand = Random(start)
        for k in range(60):
            data = frame(60 + rand.below(1455), seed=k)
            b.wire.put(data)
            b.time.sleep_ms(1)
            assert b.poll() == 1 and b.got.pop() == data
            assert b.send(data)
        b.time.sleep_ms(1)
        assert [len(f) for f in b.wire.sent] and b.wire.sent[59] == data
        b.counted(rx=60, tx=60)


def test_frames_back_to_back_keep_order_and_their_own_send():
    b = Board()
    for k in range(100):
        assert b.send(frame(60 + k * 14, seed=k)), "the SPI bus is slower than the line"
    b.time.sleep_ms(1)
    assert b.wire.sent == [frame(60 + k * 14, seed=k) for k in range(100)]
    b.counted(tx=100)


def test_a_slow_line_says_busy():
    b = Board(baudrate=33000000)
    b.chip._phy_mode = 1                    # 10 Mbit/s
    data = frame(1514)
    assert b.send(data)
    busy = 0
    while not b.send(data):
        busy += 1
        assert busy < 20
    b.time.sleep_ms(3)
    assert len(b.wire.sent) == 2 and busy, "False while the last frame is on its way"
    b.counted(tx_late=1)


def test_flood():
    """An overrun loses frames, never order, content or the receiver."""
    for irq in (True, False):
        b = Board(irq=irq)
        for k in range(300):
            b.wire.put(frame(60 + (k * 53) % 1455, seed=k))
        for _ in range(40):
            b.time.advance(1000000)         # everything comes within about 20 ms
            if _ % 4 == 3:
                b.poll()
        b.sleep(5)
        assert 40 < len(b.got) < 300, "%d came through" % len(b.got)
        k = 0
        for got in b.got:
            while k < 300 and frame(60 + (k * 53) % 1455, seed=k) != got:
                k += 1
            assert k < 300, "a frame out of order or damaged"
        assert len(b.got) + b.chip.count["rx_full"] == 300, "each is delivered once or dropped"
        assert b.port.count["rx_full"], "and the driver saw that it was close"
        b.wire.put(frame(77))
        b.sleep(2)
        assert b.got[-1] == frame(77), "it hears again"
        b.counted(rx=len(b.got), rx_full=b.port.count["rx_full"])


def test_link_is_asked_for_twice_a_second():
    b = Board(irq=True)
    b.spi.selects = 0
    for _ in range(5000):
        b.time.advance(1000000)
        b.port.link()
    assert 27 <= b.spi.selects <= 33, "three bursts each time: %d" % b.spi.selects


def test_silicon_does_not_complain():
    b = Board(chip={"strict": False})
    for k in range(30):
        b.wire.put(frame(60 + 40 * k, seed=k))
        assert b.send(frame(60 + 40 * k, seed=k))
        b.sleep(1)
    b.time.sleep_ms(1)
    assert b.got == b.wire.sent == [frame(60 + 40 * k, seed=k) for k in range(30)]
    assert b.chip.count["violations"] == 0


def test_a_frame_between_clearing_and_looking():
    """The latch is cleared first: whatever comes later raises the line again."""
    b = Board(irq=True)
    for k in range(200):
        b.wire.put(frame(60, seed=k), frame(60, seed=k + 1))
        b.time.advance(6800 + 137 * k)      # the second arrives at every point of the drain
        b.poll()
        b.time.advance(20000)
        b.poll()
        assert len(b.got) == 2 * k + 2, "round %d" % k
    b.counted(rx=400)


def test_lost_edges():
    b = Board(irq=True)
    b.irq.lose = 1000
    b.wire.put(frame(60))
    b.time.advance(100000)
    assert b.poll() == 1, "the level tells as well"
    b.port._irq = Pin(1)                    # the wire is cut
    b.wire.put(frame(60))
    b.sleep(90)
    assert len(b.got) == 1
    b.sleep(15)
    assert len(b.got) == 2, "looked without being asked within 100 ms"
    b.counted(irq_missed=1)


def test_torn_sizes():
    """RSR read while it changes is not believed."""
    for irq in (True, False):
        b = Board(irq=irq)
        for k in range(50):
            for j in range(1 + k % 7):
                b.wire.put(frame(60 + 31 * j, seed=k + j))
            b.time.sleep_ms(1)
            b.chip.tear_rsr = 1 + k % 3
            b.poll()
        b.sleep(200)
        assert len(b.got) == len(b.wire.waiting), "%d of %d" % (len(b.got), len(b.wire.waiting))
        assert b.got == b.wire.waiting
        assert b.port.count["rx_torn"] > 10
        b.counted(rx_torn=b.port.count["rx_torn"], irq_missed=b.port.count["irq_missed"])


def test_bogus_lengths():
    for bad in (0, 1, 2, 14, 61, 1521, 0x4567, 0xFFFF):
        b = Board()
        b.wire.put(frame(80, seed=1))
        b.sleep(1)
        b.chip.bad_length = bad
        b.chip.bad_lengths = 1
        b.wire.put(frame(90, seed=2), frame(91, seed=3))
        b.sleep(2)
        b.wire.put(frame(92, seed=4))
        b.sleep(2)
        assert b.got == [frame(80, seed=1), frame(92, seed=4)], "length %d" % bad
        assert b.send(frame(60)) and b.port.link()
        b.counted(rx_bad_length=1, reopen=2, setup=1, reset=1)


def test_a_length_beyond_what_waits():
    b = Board()
    b.chip.bad_length = 1400
    b.chip.bad_lengths = 1
    b.wire.put(frame(90))
    b.sleep(1)
    assert b.got == []
    b.counted(rx_bad_length=1, reopen=2)


def test_lengths_that_stay_bad_lead_to_a_reset():
    b = Board()
    b.chip.bad_length = 3
    b.chip.bad_lengths = 8
    for _ in range(8):
        b.wire.put(frame(60))
        b.sleep(1)
    count = b.port.count
    assert count["reset"] == 2 and count["setup"] >= 3 and count["reopen"] >= 5, count
    b.wait_link()
    b.chip.bad_lengths = 0
    b.got.clear()
    b.wire.put(frame(60))
    b.sleep(2)
    assert b.got == [frame(60)]


def test_link_down_and_up():
    b = Board()
    assert b.send(frame(60))
    b.sleep(2)
    b.chip.cable(False)
    for _ in range(3):
        b.send(frame(100))                  # nobody knows yet: these hang in the chip
    b.sleep(600)
    assert b.port.link() is False, "noticed within 500 ms"
    sent = b.port.count["tx"]
    for _ in range(5):
        assert b.send(frame(60)) is True, "dropped, not refused"
    assert b.port.count["tx"] == sent and b.port.count["tx_no_link"] == 5
    b.chip.cable(True)
    b.sleep(2100)
    assert b.port.link() is True
    b.wire.sent.clear()
    assert b.send(frame(200, seed=1)) and b.send(frame(200, seed=2))
    b.wire.put(frame(61))
    b.sleep(2)
    assert b.wire.sent == [frame(200, seed=1), frame(200, seed=2)], "old frames are not glued on"
    assert b.got[-1] == frame(61)
    assert b.port.count["link_down"] == 1 and b.port.count["link_up"] == 2


def test_link_lost_for_a_moment_while_sending():
    """Shorter than the link poll: only the SEND that never ends tells."""
    b = Board(chip={"link_ms": 10})
    b.send(frame(60))
    b.sleep(2)
    b.chip.cable(False)
    assert b.send(frame(100))
    b.chip.cable(True)
    b.sleep(20)
    b.wire.sent.clear()
    assert b.send(frame(101), tries=200), "sends again within 200 ms"
    b.sleep(2)
    assert b.wire.sent == [frame(101)]
    assert b.port.count["tx_stuck"] == 1 and b.port.count["reopen"] == 2


def test_link_down_with_timeout():
    b = Board()
    b.chip.link_down_timeout = True
    b.chip.cable(False)
    assert b.send(frame(60)) and b.send(frame(60))
    assert b.port.count["tx_timeout"] == 1


def test_sendok_lost():
    b = Board()
    b.chip.lost_sendok = 1
    assert b.send(frame(100, seed=1))
    assert b.send(frame(100, seed=2), tries=100)
    b.sleep(2)
    assert b.wire.sent == [frame(100, seed=1), frame(100, seed=2)], "neither twice nor never"
    b.counted(sendok_lost=1, tx_late=b.port.count["tx_late"])


def test_transmitter_stuck():
    b = Board()
    b.chip.tx_stalls = 1
    assert b.send(frame(100, seed=1))
    assert b.send(frame(100, seed=2), tries=100), "within 100 ms"
    b.sleep(2)
    assert b.wire.sent == [frame(100, seed=2)]
    b.counted(tx_stuck=1, tx_late=1, reopen=2, setup=1)


def test_commands_never_accepted():
    b = Board(chip={"strict": "log"}, baudrate=2000000)
    b.chip.cr_stuck = True
    b.send(frame(60))
    b.wire.put(frame(60), frame(60))
    b.sleep(300)
    assert b.port.link() is False, "given up, reset"
    assert b.port.count["command_timeout"] >= 1 and b.port.count["reset"] >= 2
    b.chip.cr_stuck = False
    b.sleep(1000)
    b.wait_link()
    b.wire.put(frame(65))
    b.sleep(3)
    assert b.got[-1] == frame(65) and b.send(frame(60))
    assert b.chip.violations == [], "not even then an illegal access"


def test_slow_commands():
    b = Board(chip={"cr_ns": 30000})
    for k in range(20):
        b.wire.put(frame(60, seed=k), frame(60, seed=k + 100))
        assert b.send(frame(60, seed=k))
        b.sleep(1)
    assert len(b.got) == 40 and len(b.wire.sent) == 20
    b.counted()


def test_chip_reset_under_way():
    """At any point of a drain the chip may lose all its registers."""
    for irq in (True, False):
        for k in range(1, 40, 9 if prim.IMPLEMENTATION == "portable" else 3):
            b = Board(irq=irq, chip={"strict": "log"})
            for j in range(6):
                b.wire.put(frame(300, seed=j))
            b.time.sleep_ms(1)
            fuse = Fuse(b.chip, k)
            b.port._spi = fuse.wrap(b.spi)
            b.poll()
            b.send(frame(100))
            b.poll()
            assert fuse.blown
            b.got.clear()
            assert survives(b)
            for v in b.chip.violations:
                assert v == "in-reset" or v == "send-state", v
            assert b.port.count["setup"] >= 2


class Fuse:
    """An SPI bus on which at the `n`th call the chip loses power, or MISO comes off (`level`)."""

    def __init__(self, chip, n, level=None):
        self.chip = chip
        self.n = n
        self.level = level
        self.blown = False

    def into(self, board):
        self.spi = board.spi
        board.port._spi = self

    def wrap(self, spi):
        self.spi = spi
        return self

    def _count(self):
        self.n -= 1
        if not self.n:
            self.blown = True
            if self.level:
                self.chip.unplug(self.level)
            else:
                self.chip.brown_out()

    def write(self, buf):
        self._count()
        self.spi.write(buf)

    def readinto(self, buf):
        self._count()
        self.spi.readinto(buf)

    def write_readinto(self, out, into):
        self._count()
        self.spi.write_readinto(out, into)


def test_chip_reset_while_idle():
    b = Board()
    b.chip.brown_out()
    b.sleep(600)
    count = b.port.count
    assert count["registers_lost"] + count["rx_pointer"] == 1 and count["setup"] == 2
    assert b.port.link() is False, "the PHY negotiates anew"
    b.wait_link()
    assert survives(b)
    assert b.chip.violations == []


def test_single_registers_upset():
    for addr in (0x00, 0x0A, 0x10, 0x18):
        b = Board()
        b.chip.common[addr] ^= 1
        b.sleep(600)
        assert b.port.count["registers_lost"] == 1, hex(addr)
        assert survives(b)
    for addr in (0x00, 0x03, 0x1E, 0x25, 0x29, 0x2C):
        b = Board()
        b.chip.sockets[0].regs[addr] ^= 1
        b.sleep(600)
        assert b.port.count["socket_lost"] + b.port.count["rx_pointer"] == 1, hex(addr)
        assert survives(b)


def test_a_mode_of_the_phy_that_nobody_asked_for():
    b = Board()
    b.chip.common[0x2E] |= 0x40
    b.sleep(600)
    assert b.port.count["registers_lost"] == 1
    b.wait_link()
    assert survives(b)


def test_memory_taken_by_another_socket():
    b = Board()
    b.chip.sockets[5].regs[0x1E] = 4
    b.chip.layout()
    b.sleep(4000)
    assert b.port.count["registers_lost"] == 1, "each is looked at within 3.5 s"
    assert b.chip.sockets[5].regs[0x1E] == 0 and survives(b)


def quiet(b, ms):
    """`ms` without a frame; the program polls every 50 ms."""
    while ms > 0:
        b.time.sleep_ms(50)
        b.poll()
        ms -= 50


def test_a_deaf_receiver():
    """Until it is opened anew; until the chip is reset."""
    for until, ms in (("open", 16000), ("reset", 107000)):
        b = Board()
        b.wire.put(frame(60))
        b.sleep(2)
        b.chip.deaf = until
        quiet(b, ms)
        assert b.chip.deaf is None and b.port.count["rx_silent"] == (1 if until == "open" else 3)
        assert b.chip.linked, "the cable's other end noticed nothing"
        b.sleep(50)
        assert b.port.link()
        b.wire.put(frame(61))
        b.sleep(2)
        assert b.got[-1] == frame(61)


def test_who_asks_for_the_link_sees_nothing_of_a_reset_in_a_silence():
    """Or DHCP would ask for its address again, hear the answer, and so on for ever."""
    b = Board()
    b.wire.put(frame(60))
    b.sleep(2)
    resets = b.port.count["reset"]
    downs = 0
    for _ in range(2200):
        b.time.sleep_ms(50)
        b.poll()
        downs += not b.port.link()
    assert b.port.count["reset"] == resets + 1, "the third step against a deaf receiver"
    assert downs == 0 and b.port.count["link_down"] == 0 and b.port.count["link_up"] == 1
    b.chip.cable(False)
    b.sleep(1000)
    assert not b.port.link() and b.port.count["link_down"] == 1


def test_a_frame_that_ends_a_long_silence_is_not_lost():
    """It waits in the chip when the program, which polls rarely, looks after the receiver."""
    for k in range(14000, 16500, 250):
        b = Board()
        b.wire.put(frame(60))
        b.sleep(2)
        for _ in range(k // 250):
            b.time.pass_ns(250000000)
            b.port.recv(b.buf)
        b.wire.put(frame(61))
        b.time.advance(1000000)
        b.time.advance(900000000)
        assert b.poll() == 1 and b.got[-1] == frame(61), "after %d ms" % k


def test_silence_is_no_reason_to_lose_the_link():
    """Reset by its pin only if something was sent, and ever more rarely."""
    for talk in (False, True):
        b = Board()
        b.wire.keep = False
        second = 0
        pulses = []

        def pulse(level, pulses=pulses, reset=b.reset):
            if not level:
                pulses.append(second)
            reset(level)

        b.port._reset = pulse
        for half in range(3600 * 2):
            second = half >> 1
            b.time.pass_ns(500000000)
            if talk:
                b.send(frame(60))
            b.poll()
        count = b.port.count
        assert 6 <= count["rx_silent"] <= 9 and count["reset"] <= 5, count
        assert len(pulses) == (2 if talk else 0) and b.port.link(), pulses
        assert not talk or pulses[0] < 70 and pulses[1] > 1000, pulses


def test_a_transmitter_that_only_a_reset_helps():
    """However rarely something is sent, repeated stalls lead to a reset."""
    b = Board()
    b.chip.mute = "reset"
    for k in range(6):
        b.send(frame(60, seed=k))
        b.sleep(1500)
    assert b.chip.mute is None and b.port.count["tx_stuck"] == 5 and b.port.count["reset"] == 2
    b.wait_link()
    assert survives(b)


def test_commands_that_take_a_while():
    """Slower than a look at the register, faster than what means that something is wrong."""
    for us in (500, 3000):
        b = Board()
        b.chip.cr_ns = us * 1000
        for k in range(10):
            b.wire.put(frame(60, seed=k), frame(61, seed=k))
            assert b.send(frame(60, seed=k), tries=20)
            b.sleep(20)
        assert len(b.got) == 20 and len(b.wire.sent) == 10
        b.counted(command_late=b.port.count["command_late"], tx_late=b.port.count["tx_late"])
        assert b.port.count["command_late"]
        b.port._repair("rx_bad_length")
        assert b.port.count["setup"] == 1, "opened anew, though it took its time"


def test_the_wrong_chip():
    for kind in IMPOSTORS:
        b = Board()
        chip = b.cs.chip
        b.cs.chip = Impostor(kind)
        e = raises(OSError, b.driver)
        assert "no W5500" in str(e), str(e)
        b.cs.chip = chip
        b.port = b.driver()
        b.wait_link()
        b.cs.chip = Impostor(kind)
        for _ in range(20):
            b.wire.put(frame(300))
            b.send(frame(60))
            b.sleep(50)
        assert b.port.link() is False and b.port.count["absent"] and not b.got
        b.cs.chip = chip
        b.sleep(3000)
        assert survives(b)


def test_a_flood_does_not_starve_the_rest():
    """However many frames come, one poll takes so many and no more."""
    b = Board(baudrate=33000000)
    stack = Stack(clock=b.time.ticks_ms, random=Random(1))
    stack.add(b.port, "10.0.0.2/24")
    for _ in range(50):
        while len(b.wire.waiting) - b.wire.taken < 300:
            b.wire.put(frame(60, dst=BROADCAST, kind=b"\x88\xb5"))
        before = b.port.count["rx"]
        stack.poll()
        assert b.port.count["rx"] - before <= 32
        assert b.send(frame(99), tries=3), "and what is to go goes"


def test_no_chip():
    for level, text in (("high", "0xff (MISO stuck high?)"), ("low", "0x00 (MISO stuck low")):
        e = raises(OSError, absent, level)
        assert text in str(e), str(e)


def absent(level):
    time = Time()
    chip = Board(instant=True).chip
    chip.unplug(level)
    spi = SPI(time)
    W5500(spi, spi.attach(chip), mac=MAC, clock=time.ticks_ms, sleep=time.sleep_ms)


def test_addresses():
    assert Board(instant=True, mac="02:00:00:00:00:05").port.mac == MAC
    assert Board(instant=True, mac="02-00-00-00-00-05").port.mac == MAC
    assert mac_address(bytearray(MAC)) == MAC
    for bad in (bytes(6), BROADCAST, b"\x01\x00\x5e\x00\x00\x01", b"\x02\x00", "02:00"):
        raises(ValueError, mac_address, bad)
    old = sys.modules.get("machine")
    try:
        sys.modules["machine"] = Machine(b"\xe6\x60\x38\xb7\x13\x78\x6a\x2e")
        one = mac_address(None)
        assert one == mac_address(None) and one[0] == 2 and len(one) == 6
        sys.modules["machine"] = Machine(b"\xe6\x60\x38\xb7\x13\x78\x6a\x2f")
        assert mac_address(None) != one, "neighbouring boards differ"
    finally:
        if old is None:
            del sys.modules["machine"]
        else:
            sys.modules["machine"] = old


class Machine:
    def __init__(self, uid):
        self.uid = uid

    def unique_id(self):
        return self.uid


def test_filters():
    v4, v6, stp = b"\x01\x00\x5e\x00\x00\xfb", b"\x33\x33\x00\x00\x00\xfb", b"\x01\x80\xc2\0\0\0"
    all_hosts = b"\x01\x00\x5e\x00\x00\x01"
    kinds = (frame(60, dst=v4), frame(60, dst=v6, kind=b"\x86\xdd"), frame(60, dst=stp),
             frame(60, dst=PEER))
    table = (
        # groups wanted       v4     v6     stp    others
        ((all_hosts,),       (False, False, False, False)),
        ((all_hosts, v4),    (True, False, False, False)),
        ((v6,),              (False, True, False, False)),
        ((v6, v4, v4),       (True, True, False, False)),
        ((stp, all_hosts),   (True, True, True, True)),
        ((),                 (False, False, False, False)),
    )
    b = Board()
    for groups, expected in table:
        b.port.filter(groups)
        b.sleep(2)
        for k in range(4):
            b.got.clear()
            b.wire.put(kinds[k], frame(60, dst=BROADCAST))
            b.sleep(2)
            assert (len(b.got) == 2) == expected[k], "%r, frame %d: %r" % (groups, k, b.got)
            assert b.got[-1] == frame(60, dst=BROADCAST)
    b.counted()
    reopen = b.port.count["reopen"]
    b.port.filter(())
    b.sleep(600)
    assert b.port.count["reopen"] == reopen, "no change, no frames lost"
    b = Board(promiscuous=True)
    b.port.filter((v4,))
    b.wire.put(*kinds)
    b.sleep(2)
    assert b.got == list(kinds)
    b.port.set_promiscuous(False)
    b.sleep(2)
    b.got.clear()
    other = frame(60, dst=b"\2\0\0\0\0\x77")
    b.wire.put(other, kinds[0])
    b.sleep(2)
    assert not b.port.promiscuous and other not in b.got
    assert b.chip.sockets[0].mode == 0x94, "the group is still wanted"
    b.port.set_promiscuous(True)
    b.sleep(2)
    b.wire.put(other)
    b.sleep(2)
    assert b.got[-1] == other


def test_group_membership_drives_the_filter():
    b = Board()
    link = Ethernet(b.port, Timers(b.time.ticks_ms()))
    group = b"\x01\x00\x5e\x00\x00\xfb"
    for _ in range(2):
        link.join(group)
        b.sleep(2)
        assert b.chip.sockets[0].mode == 0x94, "joined: MMB is off"
    link.leave(group)
    b.sleep(2)
    assert b.chip.sockets[0].mode == 0x94, "joined twice"
    link.leave(group)
    b.sleep(2)
    assert b.chip.sockets[0].mode == 0xB4


def test_two_chips_on_one_bus():
    b = Board()
    wire = Wire()
    chip = W5500Model(wire, b.time)
    port = W5500(b.spi, b.spi.attach(chip), mac=PEER, clock=b.time.ticks_ms,
                 sleep=b.time.sleep_ms)
    b.time.sleep_ms(2000)
    assert port.link() and b.port.link()
    wire.put(frame(60, dst=PEER))
    b.wire.put(frame(70))
    b.time.sleep_ms(1)
    buf = bytearray(1514)
    assert port.recv(buf) == 60 and b.poll() == 1
    b.out[0:100] = frame(100)
    assert port.send(b.out, 100) and b.port.send(b.out, 99)
    b.time.sleep_ms(1)
    assert wire.sent == [frame(100)] and len(b.wire.sent) == 1


def test_closed_and_made_again():
    b = Board()
    for _ in range(5):
        b.port.close()
        b.port.close()
        assert b.port.recv(b.buf) == 0 and b.port.send(b.buf, 60) is True
        assert b.port.link() is False and b.chip.sockets[0].regs[3] == 0
        b.wire.put(frame(60))
        b.time.sleep_ms(2)
        assert b.irq.handler is None
        b.port = b.driver()             # as after a soft reset: nothing of the old one is used
        b.wait_link()
        b.got.clear()
        assert survives(b)
    b = Board(reset=False)
    b.port = b.driver()
    b.wait_link()
    assert survives(b)
    assert b.chip.violations == []


def test_a_phy_left_in_power_down():
    b = Board(reset=False)
    b.chip._phy_write(0x70)
    b.chip._phy_write(0xF0)
    b.port.close()
    b.port = b.driver()
    b.wait_link()


def steady(irq):
    b = Board(irq=irq)
    b.wire.keep = False
    b.wire.put(*[frame(n, seed=n) for n in (60, 1514, 590, 61, 1514, 1500, 64, 65)])
    short = bytearray(42)
    other = bytearray(900)

    def traffic():
        for _ in range(3):
            b.wire.taken = 0
            b.time.advance(2000000)
            k = 0
            while True:
                n = b.port.recv(b.buf)
                if not n:
                    break
                assert b.port.send(b.buf, n)
                k += 1
            assert k == 8
            assert b.port.send(short, 42) and b.port.send(other, 900)
            b.time.sleep_ms(700)
            assert b.port.recv(b.buf) == 0 and b.port.link()

    traffic()
    heap_locked(traffic)
    b.counted()


def test_steady_state_allocates_nothing():
    steady(irq=True)
    steady(irq=False)


def test_repairs_allocate_nothing():
    b = Board()
    b.wire.keep = False
    b.wire.put(frame(60))

    def trouble():
        for _ in range(12):
            b.wire.taken = 0
            b.chip.bad_lengths = 1
            b.time.sleep_ms(50)
            b.port.recv(b.buf)
        b.chip.brown_out()
        b.time.sleep_ms(600)
        b.port.recv(b.buf)
        b.chip.cable(False)
        b.port.send(b.buf, 60)
        b.port.send(b.buf, 60)
        b.time.sleep_ms(60)
        b.port.send(b.buf, 60)

    trouble()
    heap_locked(trouble)
    assert b.port.count["rx_bad_length"] > 3 and b.port.count["reset"] > 1


def test_a_chip_lost_within_a_frame():
    """What was read from a dead chip is not delivered."""
    for level in ("high", "low", None):
        for k in range(1, 8):
            b = Board(chip={"strict": "log"})
            b.wire.put(frame(300, seed=1), frame(301, seed=2))
            b.time.sleep_ms(1)
            fuse = Fuse(b.chip, k, level)
            b.port._spi = fuse.wrap(b.spi)
            b.sleep(600)
            for got in b.got:
                assert got in b.wire.waiting, "call %d, MISO %s" % (k, level)


class Hasty(W5500):
    """Does not wait for commands to be accepted once it is up."""

    def _idle(self):
        if self._state:
            return W5500._idle(self)
        self._state_said[5] = 0x42
        self._command = False
        return True


class Pushy(W5500):
    """Does not wait for SENDOK."""

    def _sent(self):
        return True


class Deaf(W5500):
    """Clears RECV after looking instead of before."""

    def _look(self):
        n = W5500._look(self)
        self._write(b"\x00\x02\x0c\x04")
        self._edge = False
        return n


def test_the_model_catches_careless_drivers():
    b = Board(chip={"cr_ns": 40000})
    b.driver_class = Hasty
    b.port = b.driver()
    b.wait_link()
    b.wire.put(frame(60), frame(60))
    b.time.sleep_ms(1)
    assert raises(Violation, b.poll).rule == "command-busy"
    b = Board(baudrate=80000000)
    b.driver_class = Pushy
    b.port = b.driver()
    b.wait_link()
    assert b.send(frame(1514)) and b.send(frame(60))
    assert raises(Violation, b.time.advance, 10000).rule == "send-before-sendok"
    lost = 0
    for k in range(60):
        b = Board(up=False, chip={"link_ms": 0})
        b.driver_class = Deaf
        b.port = b.driver()
        b.sleep(1)
        b.wire.put(frame(60), frame(60))
        b.time.advance(6500 + k * 300)
        b.poll()
        b.time.advance(30000)
        b.poll()
        lost += len(b.got) < 2
    assert lost, "the lost wake-up shows"


def test_strict_model_is_strict():
    """The tests above would notice: an illegal access raises out of the driver."""
    b = Board()
    raises(Violation, b.port._write, b"\x00\x17\x04\x01")
