"""What the driver of either chip does alike, on its strict model."""
import enc28j60_kit
import w5500_kit
from chips.bus import ChipSelect
from chips.rig import Lock
from kit import raises
from w5500_kit import frame, survives


def each(test):
    """A test of both drivers; `test(Board)` gets the class of one chip's boards."""
    def run():
        for board in (w5500_kit.Board, enc28j60_kit.Board):
            test(board)

    return run


@each
def test_frames_both_ways(Board):
    for irq in (True, False):
        for instant in (True, False):
            b = Board(irq=irq, instant=instant)
            for k in list(range(60, Board.longest, 97)) + [Board.longest]:
                data = frame(k, seed=k)
                b.wire.put(data)
                if instant:
                    b.chip.service()
                else:
                    b.time.sleep_ms(2)
                assert b.poll() == 1 and b.got.pop() == data, "%d bytes in" % k
                assert b.send(data)
                if not instant:
                    b.time.sleep_ms(2)
                assert b.wire.sent.pop() == data, "%d bytes out" % k
            assert b.wire.sent == []
            b.counted()


@each
def test_short_frames_are_padded_with_zeros(Board):
    b = Board(instant=True)
    b.out[0:1514] = frame(1514, seed=9)
    for n in (14, 42, 59, 60):
        assert b.port.send(b.out, n)
        assert b.wire.sent.pop() == frame(1514, seed=9)[0:n] + bytes(60 - n), "no old data leaks"
    b.counted(tx=4)


@each
def test_sizes_refused(Board):
    b = Board(instant=True)
    big = bytearray(1600)
    assert b.port.send(big, Board.longest + 1) is True and b.port.send(big, 13) is True
    assert b.port.sendv((big,)) is True
    assert b.wire.sent == []
    b.counted(tx_bad_size=3)


@each
def test_pieces(Board):
    b = Board(instant=True)
    head = frame(54)
    for n in (0, 5, 6, 7, 100, 1460):
        body = frame(1460, seed=3)[0:n]
        assert b.port.sendv((head, body))
        data = head + body
        assert b.wire.sent.pop() == data + bytes(max(0, 60 - len(data)))
    b.counted(tx=6)


@each
def test_buffers_come_and_go(Board):
    """Any buffer may be sent from or received into; a large one does not reach beyond its slot."""
    b = Board(instant=True)
    others = [bytearray(frame(n, seed=n)) for n in (64, 61, 1514, 700, 121)]
    for _ in range(3):
        for o in others:
            assert b.port.send(o, len(o)) and b.wire.sent.pop() == bytes(o)
            assert b.send(frame(900)) and b.wire.sent.pop() == frame(900)
    large = bytearray(4000)
    large[0:1514] = frame(1514, seed=8)
    for _ in range(4):
        assert b.port.send(large, 1514) and b.wire.sent.pop() == frame(1514, seed=8)
    small = bytearray(100)
    b.wire.put(frame(100, seed=1), frame(101, seed=2), frame(99, seed=3))
    assert b.port.recv(small) == 100 and bytes(small) == frame(100, seed=1)
    assert b.port.recv(small) == 0, "does not fit"
    assert b.port.recv(small) == 99 and bytes(small[0:99]) == frame(99, seed=3)
    b.counted(rx_too_long=1, rx=2)


@each
def test_nothing_on_the_bus_while_the_line_is_high(Board):
    b = Board(irq=True)
    b.poll()
    b.spi.bytes = 0
    for _ in range(50):
        assert b.port.recv(b.buf) == 0
    assert b.spi.bytes == 0, "the interrupt line says that there is nothing"
    b.wire.put(frame(60))
    b.time.advance(200000)
    assert b.port.recv(b.buf) == 60 and b.spi.bytes


@each
def test_the_interrupt_handler_touches_no_bus(Board):
    b = Board(irq=True)
    b.poll()
    calls = b.spi.calls
    assert not b.port._edge
    b.wire.put(frame(60))
    b.time.advance(200000)
    assert b.port._edge and b.spi.calls == calls


@each
def test_unplugged_and_plugged_in_again(Board):
    for level in ("high", "low"):
        for reset in (True, False):
            b = Board(reset=reset)
            b.wire.put(frame(60))
            b.sleep(2)
            b.chip.unplug(level)
            for _ in range(30):
                assert b.send(frame(60), tries=100)
                b.sleep(100)
            assert b.port.link() is False and b.port.count["absent"] >= 2
            assert len(b.got) == 1, "noise is not a frame"
            b.chip.replug()
            b.sleep(2500)
            b.wait_link()
            assert survives(b)
            assert b.chip.count["violations"] == 0, "reset %s, MISO %s" % (reset, level)


@each
def test_clock_too_fast(Board):
    b = Board(chip={"strict": False})
    b.chip.shift_above = 15000000
    assert "too fast" in str(raises(OSError, b.driver))
    b.spi.init(10000000)
    b.port = b.driver()
    b.wait_link()
    assert survives(b)


class Display:
    """Another device on the bus; wants its own clock."""

    def __init__(self):
        self.got = b""
        self.rates = []

    def select(self):
        pass

    def deselect(self):
        pass

    def service(self):
        pass

    def transfer(self, out, into, n, fill, baudrate):
        self.got += bytes(out)
        self.rates.append(baudrate)


@each
def test_shared_bus(Board):
    lock = Lock()
    b = Board(lock=lock, spi_init={"baudrate": 20000000})
    display = Display()
    cs = ChipSelect(b.spi, display)
    for k in range(20):
        assert lock.acquire()
        b.spi.init(4000000)
        cs(0)
        b.spi.write(b"pixels")
        b.wire.put(frame(100, seed=k))
        b.time.sleep_ms(1)
        assert b.port.recv(b.buf) == 0 and b.send(frame(60)) is False, "the bus is busy"
        b.port.link()
        cs(1)
        lock.release()
        assert b.poll() == 1 and b.got.pop() == frame(100, seed=k)
        assert b.send(frame(60, seed=k))
        b.time.sleep_ms(1)
        assert b.port.sendv((frame(60, seed=k), b"tail"))
        b.time.sleep_ms(1)
        assert not lock.held
    assert display.got == b"pixels" * 20 and set(display.rates) == {4000000}
    assert len(b.wire.sent) == 40
    b.counted(bus_busy=b.port.count["bus_busy"])
    assert b.port.count["bus_busy"] >= 40
    b.spi.write(bytes(100))         # nobody is selected
    b.port.close()
    assert not lock.held
