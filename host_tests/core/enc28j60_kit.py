"""What the tests of the ENC28J60 share: bare access to the model, and a board with a driver."""
import w5500_kit
from w5500_kit import BROADCAST, MAC, PEER, Time, Wire, frame

from chips import enc28j60_regs as r
from chips.enc28j60 import ENC28J60Model
from spinet.ports.enc28j60 import ENC28J60

RX_END = 0x13FF     # the FIFO of `Host.setup`


class Host(w5500_kit.Host):
    """A chip with its bus and pins; registers by their numbers (`chips.enc28j60_regs`)."""

    model_class = ENC28J60Model

    def __init__(self, time=None, baudrate=20000000, **options):
        self.bank = None
        w5500_kit.Host.__init__(self, time, baudrate, **options)

    def select(self, i):
        """Select the bank of register `i`; its address."""
        if i & 31 >= 0x1B:
            return i & 31
        bank = i >> 5
        if bank != self.bank:
            self.raw(0xBF, 3)
            self.raw(0x9F, bank)
            self.bank = bank
        return i & 31

    def get(self, i):
        """Read a register the right way for its kind."""
        a = self.select(i)
        if r.KIND[i] in (r.MAC, r.MII):
            return self.raw(a, 0, 0)[2]
        return self.raw(a, 0)[1]

    def put(self, i, v):
        self.raw(0x40 | self.select(i), v)

    def bfs(self, i, v):
        self.raw(0x80 | self.select(i), v)

    def bfc(self, i, v):
        self.raw(0xA0 | self.select(i), v)

    def pair(self, i):
        return self.get(i) | self.get(i + 1) << 8

    def put_pair(self, i, v):
        self.put(i, v & 255)
        self.put(i + 1, v >> 8)

    def src(self, wait_us=2000):
        self.raw(0xFF)
        self.bank = 0
        self.sleep_us(wait_us)

    def phy(self, n, v=None):
        """Read or write a PHY register."""
        self.put(r.MIREGADR, n)
        if v is None:
            self.put(r.MICMD, 1)
        else:
            self.put_pair(r.MIWR, v)
        tries = 2000
        while self.get(r.MISTAT) & 1:
            tries -= 1
            assert tries, "BUSY ends"
        if v is None:
            self.put(r.MICMD, 0)
            return self.pair(r.MIRD)
        return None

    def setup(self, full=False, hdldis=True, end=RX_END, on=True):
        """Everything as it should be, receiver on."""
        self.put_pair(r.ERXST, 0)
        self.put_pair(r.ERXND, end)
        self.put_pair(r.ERXRDPT, end)
        self.put_pair(r.ETXST, 0x1A00)
        self.put(r.MACON1, 0x0D if full else 0x01)
        self.put(r.MACON3, 0x33 if full else 0x32)
        self.put(r.MACON4, 0x40)
        self.put(r.MABBIPG, 0x15 if full else 0x12)
        self.put_pair(r.MAIPG, 0x0C12)
        self.put_pair(r.MAMXFL, 1518)
        for k in range(6):
            self.put(r.MAADR[k], MAC[k])
        self.phy(0, 0x0100 if full else 0)
        self.phy(0x10, 0x0100 if hdldis else 0)
        if on:
            self.bfs(r.ECON1, 4)
        return self

    def link(self):
        if self.time is not None:
            self.time.sleep_ms(150)
        assert self.phy(0x11) & 0x400, "link"
        return self

    def ram(self, at, n):
        """`n` bytes of packet memory, by RBM."""
        self.put_pair(r.ERDPT, at)
        self.cs(0)
        self.spi.write(b"\x3a")
        data = self.spi.read(n)
        self.cs(1)
        return data

    def fill(self, at, data):
        self.put_pair(r.EWRPT, at)
        self.cs(0)
        try:
            self.spi.write(b"\x7a")
            self.spi.write(data)
        finally:
            self.cs(1)

    def take(self, at=0, end=RX_END):
        """The packet at `at`, freed: (next, status bytes 2 to 5, frame with FCS)."""
        head = self.ram(at, 6)
        following = head[0] | head[1] << 8
        n = head[2] | head[3] << 8
        data = self.ram(at + 6 if at + 6 <= end else at + 6 - end - 1, n)
        self.put_pair(r.ERXRDPT, following - 1 if following else end)
        self.bfs(r.ECON2, 0x40)
        return following, head[2:6], data

    def load(self, data, control=0, at=0x1A00):
        """A frame into packet memory, pointers set."""
        self.fill(at, bytes((control,)) + data)
        self.put_pair(r.ETXST, at)
        self.put_pair(r.ETXND, at + len(data))

    def go(self):
        """Send what is loaded; with the pulse that erratum 12 wants."""
        self.bfs(r.ECON1, 0x80)
        self.bfc(r.ECON1, 0x80)
        self.bfc(r.EIR, 0x0A)
        self.bfc(r.ESTAT, 0x12)
        self.bfs(r.ECON1, 8)

    def send(self, data, control=0, us=1500):
        """Send a frame by hand; the status vector."""
        self.load(data, control)
        self.go()
        self.sleep_us(us)
        return self.ram(0x1A00 + len(data) + 1, 7)


class Board(w5500_kit.Board):
    """A driver on a chip in virtual time, with a link."""

    model_class = ENC28J60Model
    driver_class = ENC28J60
    longest = 1518
    quiet = {"rx": None, "tx": None, "link_up": None, "setup": None, "reset": None, "resync": 1}


__all__ = ("BROADCAST", "Board", "Host", "MAC", "PEER", "RX_END", "Time", "Wire", "frame")
