"""The modelled W5500's hardware sockets (36): UDP on the wire, the states of TCP."""
from chips.w5500 import Violation
from kit import raises
from w5500_kit import BROADCAST, MAC, PEER, Host, Time

CON, DISCON, RECV, TIMEOUT, SENDOK = 1, 2, 4, 8, 16
OURS, THEIRS, GATEWAY = b"\x0a\0\0\x05", b"\x0a\0\0\x01", b"\x0a\0\0\xfe"


class Sockets(Host):
    """A chip with an address, 10.0.0.5/24, and a link; registers of socket `n` by name."""

    def __init__(self, time=True, **options):
        Host.__init__(self, Time() if time else None, **options)
        self.write(0x01, 0x04, GATEWAY)
        self.write(0x05, 0x04, 255, 255, 255, 0)
        self.write(0x09, 0x04, MAC)
        self.write(0x0F, 0x04, OURS)
        self.link()

    def reg(self, n, addr, k=1):
        return self.read(addr, 0x08 | n << 5, k)

    def put(self, n, addr, *data):
        self.write(addr, 0x0C | n << 5, *data)

    def state(self, n):
        return self.reg(n, 3)[0]

    def events(self, n):
        """Sn_IR, cleared."""
        v = self.reg(n, 2)[0]
        self.put(n, 2, 0xFF)
        return v

    def open(self, n, mode, port=0x1234):
        self.put(n, 0, mode)
        self.put(n, 4, port >> 8, port & 255)
        self.command(0x01, n)
        return self

    def to(self, n, addr, port):
        self.put(n, 0x0C, addr)
        self.put(n, 0x10, port >> 8, port & 255)

    def fill(self, n, data):
        """Data for SEND."""
        wr = self.word(0x24, 0x08 | n << 5)
        self.write(wr, 0x14 | n << 5, data)
        self.put_word(0x24, (wr + len(data)) & 0xFFFF, 0x0C | n << 5)

    def take(self, n):
        """All that waits."""
        k = self.word(0x26, 0x08 | n << 5)
        rd = self.word(0x28, 0x08 | n << 5)
        data = self.read(rd, 0x18 | n << 5, k)
        self.put_word(0x28, (rd + k) & 0xFFFF, 0x0C | n << 5)
        self.command(0x40, n)
        return data


def answer_arp(h, who, mac=PEER):
    """The ARP request that was sent, answered."""
    ask = h.wire.sent.pop()
    assert ask[0:14] == BROADCAST + MAC + b"\x08\x06" and ask[20:22] == b"\0\1"
    assert ask[22:32] == MAC + OURS and ask[38:42] == who, "who has it"
    h.wire.put(MAC + mac + ask[12:20] + b"\0\2" + mac + who + MAC + OURS + bytes(18))
    h.time.sleep_ms(1)
    h.time.sleep_ms(1)


def datagram(data, port=0x1234, dst=OURS, mac=MAC):
    n = 28 + len(data)
    out = mac + PEER + b"\x08\0\x45\0" + bytes((n >> 8, n & 255)) + bytes(4) + b"\x40\x11\0\0"
    out += THEIRS + dst + b"\x56\x78" + bytes((port >> 8, port & 255, n - 20 >> 8, n - 20 & 255))
    return out + b"\0\0" + data


def test_36_udp_asks_for_the_neighbour_and_sends():
    h = Sockets().open(1, 2)
    assert h.state(1) == 0x22
    h.to(1, THEIRS, 0x5678)
    h.fill(1, b"hello")
    h.command(0x20, 1)
    assert h.reg(1, 1) == b"\0" and not h.events(1), "accepted, not sent"
    answer_arp(h, THEIRS)
    assert h.events(1) == SENDOK
    assert h.reg(1, 6, 6) == PEER, "Sn_DHAR is filled by ARP"
    out = h.wire.sent.pop()
    assert len(out) == 60 and out[0:14] == PEER + MAC + b"\x08\0"
    assert out[14] == 0x45 and out[16:18] == b"\0\x21" and out[20:24] == b"\x40\0\x80\x11"
    assert out[26:42] == OURS + THEIRS + b"\x12\x34\x56\x78\0\x0d" + out[40:42]
    assert out[42:47] == b"hello" and words(out, 14, 34) == 0xFFFF
    assert words(out[26:34] + b"\0\x11" + out[38:40] + out[34:48], 0, 26) == 0xFFFF, "checksum"


def words(b, i, end):
    s = 0
    while i < end:
        s += b[i] << 8 | b[i + 1]
        i += 2
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def test_36_udp_beyond_the_subnet_goes_by_the_gateway():
    h = Sockets().open(2, 2)
    h.to(2, b"\xc0\0\x02\x01", 53)
    h.fill(2, b"?")
    h.command(0x20, 2)
    answer_arp(h, GATEWAY)
    out = h.wire.sent.pop()
    assert out[0:6] == PEER and out[30:34] == b"\xc0\0\x02\x01"


def test_36_udp_without_an_answer_times_out():
    """(RCR + 1) times RTR: 1.8 s by default."""
    h = Sockets().open(1, 2)
    h.to(1, THEIRS, 7)
    h.fill(1, b"x")
    h.command(0x20, 1)
    h.time.sleep_ms(1790)
    assert not h.events(1) and len(h.wire.sent) == 9
    h.time.sleep_ms(20)
    assert h.events(1) == TIMEOUT and h.state(1) == 0x22
    assert h.word(0x20, 0x28) == 2048, "the buffer is free again"


def test_36_udp_broadcast_multicast_and_send_mac():
    h = Sockets().open(1, 2)
    h.to(1, b"\xff\xff\xff\xff", 67)
    h.fill(1, b"discover")
    h.command(0x20, 1)
    h.time.sleep_ms(1)
    assert h.events(1) == SENDOK and h.wire.sent.pop()[0:6] == BROADCAST
    h.put(1, 6, b"\x02\0\0\0\0\x77")
    h.to(1, THEIRS, 7)
    h.fill(1, b"direct")
    h.command(0x21, 1)
    h.time.sleep_ms(1)
    assert h.wire.sent.pop()[0:6] == b"\x02\0\0\0\0\x77", "SEND_MAC asks nobody"
    group, mac = b"\xe0\0\0\xfb", b"\x01\0\x5e\0\0\xfb"
    h.put(2, 6, mac)
    h.to(2, group, 5353)
    h.open(2, 0x82, 5353)
    h.fill(2, b"query")
    h.command(0x20, 2)
    h.time.sleep_ms(1)
    assert h.wire.sent.pop()[0:6] == mac
    h.wire.put(datagram(b"mdns", 5353, group, mac), datagram(b"other", 5353, b"\xe0\0\0\xfc", mac))
    h.time.sleep_ms(1)
    h.time.sleep_ms(1)
    assert h.take(2) == THEIRS + b"\x56\x78\0\x04mdns", "only its own group"
    e = raises(Violation, tcp_send_mac)
    assert e.rule == "send-state"


def tcp_send_mac():
    h = Sockets().open(0, 1)
    h.command(0x21)


def test_36_udp_receives_behind_an_8_byte_header():
    h = Sockets().open(1, 2).open(2, 2, 99)
    h.wire.put(datagram(b"hello"), datagram(b"", 99), datagram(b"nobody", 98),
               datagram(b"not ours", dst=THEIRS))
    h.time.sleep_ms(1)
    h.time.sleep_ms(1)
    assert h.events(1) == RECV and h.events(2) == RECV
    assert h.take(1) == THEIRS + b"\x56\x78\0\x05hello", "source, port, length without the header"
    assert h.take(2) == THEIRS + b"\x56\x78\0\0"
    h.open(3, 0xD2, 77)             # MULTI, BCASTB, UCASTB: neither broadcast nor unicast
    h.wire.put(datagram(b"a", 77), datagram(b"b", 77, b"\xff\xff\xff\xff", BROADCAST))
    h.time.sleep_ms(1)
    h.time.sleep_ms(1)
    assert not h.events(3)


def test_36_udp_without_a_clock():
    h = Sockets(time=False).open(1, 2)
    h.to(1, b"\xff\xff\xff\xff", 67)
    h.fill(1, b"discover")
    h.command(0x20, 1)
    assert h.events(1) == SENDOK and h.wire.sent.pop()[42:50] == b"discover"


def test_36_unreachable_and_wake_on_lan():
    h = Sockets().open(1, 2)
    inside = datagram(b"x")[14:]
    ip = b"\x45\0\0\x38" + bytes(4) + b"\x40\x01\0\0" + THEIRS + OURS
    icmp = b"\x03\x03" + bytes(6) + inside[0:12] + OURS + THEIRS + b"\x12\x34\0\x07\0\x09\0\0"
    h.wire.put(MAC + PEER + b"\x08\0" + ip + icmp)
    h.time.sleep_ms(1)
    h.time.sleep_ms(1)
    assert h.read(0x15, 0) == b"\x40" and h.read(0x28, 0, 6) == THEIRS + b"\0\x07"
    h.write(0x15, 0x04, 0x40)
    magic = datagram(b"\xff" * 6 + MAC * 16, 9)
    for mr, expected in ((0, b"\0"), (0x20, b"\x10")):
        h.write(0, 0x04, mr)
        h.wire.put(magic)
        h.time.sleep_ms(1)
        h.time.sleep_ms(1)
        assert h.read(0x15, 0) == expected


def client(far):
    h = Sockets().open(0, 1)
    assert h.state(0) == 0x13
    h.to(0, THEIRS, 80)
    h.chip.sockets[0].far = far
    h.command(0x04)
    assert h.state(0) == 0x15
    return h


def test_36_tcp_client():
    h = client("answers")
    before = h.word(0x24)
    h.time.sleep_ms(3)
    assert h.state(0) == 0x17 and h.events(0) == CON
    assert h.word(0x24) != before, "TX_WR begins anew"
    h.fill(0, b"GET")
    h.command(0x20)
    assert h.word(0x20) == 2045 and not h.events(0)
    h.time.sleep_ms(3)
    assert h.word(0x20) == 2048 and h.events(0) == SENDOK
    h.chip.sockets[0].peer_data(b"200")
    assert h.events(0) == RECV and h.take(0) == b"200", "no header"
    h.command(0x22)
    h.command(0x08)
    assert h.state(0) == 0x18
    h.time.sleep_ms(3)
    assert h.state(0) == 0x00 and h.events(0) == DISCON


def test_36_tcp_refused_and_timed_out():
    h = client("refuses")
    h.time.sleep_ms(3)
    assert h.state(0) == 0x00 and not h.events(0) & CON
    h = client("silent")
    h.time.sleep_ms(31700)
    assert h.state(0) == 0x15
    h.time.sleep_ms(200)
    assert h.state(0) == 0x00 and h.events(0) == TIMEOUT, "after 31.8 s"


def test_36_tcp_send_without_an_answer_closes():
    h = client("answers")
    h.time.sleep_ms(3)
    h.events(0)
    h.write(0x19, 0x04, 0, 100)         # RTR 10 ms
    h.write(0x1B, 0x04, 2)
    h.chip.sockets[0].far = "silent"
    h.fill(0, b"x")
    h.command(0x20)
    h.time.sleep_ms(69)
    assert h.state(0) == 0x17
    h.time.sleep_ms(3)
    assert h.state(0) == 0x00 and h.events(0) == TIMEOUT


def test_36_tcp_server():
    h = Sockets().open(3, 1)
    h.command(0x02, 3)
    assert h.state(3) == 0x14
    s = h.chip.sockets[3]
    s.peer_syn(THEIRS, 0x9999)
    assert h.state(3) == 0x16 and h.reg(3, 0x0C, 6) == THEIRS + b"\x99\x99", "the peer shows"
    s.establish()
    assert h.state(3) == 0x17 and h.events(3) == CON
    s.peer_data(b"bye")
    s.peer_fin()
    assert h.state(3) == 0x1C and h.events(3) == RECV | DISCON
    assert h.take(3) == b"bye"
    s.far = "answers"
    h.fill(3, b"bye too")
    h.command(0x20, 3)
    h.time.sleep_ms(3)
    assert h.events(3) == SENDOK, "CLOSE_WAIT still sends"
    h.command(0x08, 3)
    assert h.state(3) == 0x1D
    h.time.sleep_ms(3)
    assert h.state(3) == 0x00
    h.open(3, 1)
    h.command(0x02, 3)
    assert h.state(3) == 0x14, "no backlog: it must listen again"
    h.chip.sockets[3].peer_reset()
    assert h.state(3) == 0x00 and h.events(3) & DISCON


def test_36_close_and_commands_in_the_wrong_state():
    h = client(None)
    h.command(0x10)
    assert h.state(0) == 0x00 and h.wire.sent == [], "closed at once, nothing sent"
    for v, n in ((0x20, 0), (0x02, 0), (0x04, 0), (0x22, 0), (0x08, 5)):
        e = raises(Violation, h.command, v, n)
        assert e.rule in ("command", "send-state")
    h.open(4, 3)
    assert h.state(4) == 0x32, "IPRAW"


def test_36_interrupts_of_all_sockets_meet_in_sir():
    h = Sockets().open(1, 2).open(7, 2, 99)
    h.write(0x18, 0x04, 0x80)
    h.wire.put(datagram(b"one"))
    h.time.sleep_ms(1)
    h.time.sleep_ms(1)
    assert h.read(0x17, 0) == b"\x02" and h.irq() == 1, "socket 1 is not enabled in SIMR"
    h.wire.put(datagram(b"seven", 99))
    h.time.sleep_ms(1)
    h.time.sleep_ms(1)
    assert h.read(0x17, 0) == b"\x82" and h.irq() == 0
    h.events(7)
    assert h.read(0x17, 0) == b"\x02" and h.irq() == 1
