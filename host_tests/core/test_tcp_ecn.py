"""Explicit congestion notification (RFC 3168): negotiation, marks, and what follows from them."""
from kit import Random
from net import Net, Peer, checksum
from test_tcp_alloc import locked
from test_tcp_loss import transfer
from test_tcp_options import MSS, blocks

ECE = 64
CWR = 128


class EcnPeer(Peer):
    """A peer that sees the last bits of the type of service and ECE and CWR, and can set them."""

    def __init__(self, on=True, **more):
        Peer.__init__(self, **more)
        self.stack.tcp.ecn = on
        self.seen = []      # (ECE and CWR, bits of the type of service) of each segment

    def _sent(self, frame):
        if frame[12:14] == b"\x08\0" and frame[23] == 6:
            self.seen.append((frame[47] & (ECE | CWR), frame[15] & 3))
        Peer._sent(self, frame)

    def bits(self):
        seen = self.seen
        self.seen = []
        self.take()
        return seen

    def raw(self, proto, s, at=None):
        Peer.raw(self, proto, s, at)
        if self.marks:
            frame = bytearray(self.end.waiting.pop())
            frame[15] |= self.marks & 3
            frame[24:26] = b"\0\0"
            k = checksum(bytes(frame[14:34]))
            frame[24:26] = bytes((k >> 8, k & 255))
            frame[47] |= self.marks & (ECE | CWR)
            frame[50:52] = b"\0\0"
            n = len(frame) - 34
            k = checksum(bytes(frame[26:34]) + bytes((0, 6, n >> 8, n & 255)) + bytes(frame[34:]))
            frame[50:52] = bytes((k >> 8, k & 255))
            self.end.waiting.append(bytes(frame))
            self.marks = 0

    marks = 0

    def marked(self, marks, *args, **more):
        """As `send`, with these bits of ECE, CWR and the type of service."""
        self.marks = marks
        self.send(*args, **more)


def accepted(answer=ECE | CWR, on=True, **more):
    p = EcnPeer(on, **more)
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(1)
    p.marked(answer, "S", options=MSS + b"\4\2")
    p.syn_ack = p.bits()
    p.send("A", 1, 1)
    s, _ = server.accept()
    s.setblocking(False)
    p.bits()
    return p, s


def test_offered_only_when_it_is_on_and_only_in_the_first_syn():
    for on, bits in ((False, 0), (True, ECE | CWR)):
        p = EcnPeer(on)
        s = p.stack.socket()
        s.setblocking(False)
        s.connect_ex(("10.0.0.2", 5555))
        p.run(0)
        assert p.bits() == [(bits, 0)]
        p.run(1100)
        assert p.bits() == [(0, 0)], "a network that drops such a SYN lets another through"


def test_agreed_by_the_answer():
    for answer, ect in ((ECE, 2), (0, 0), (ECE | CWR, 0)):
        p = EcnPeer()
        s = p.stack.socket()
        s.setblocking(False)
        s.connect_ex(("10.0.0.2", 5555))
        p.run(0)
        p.bits()
        p.marked(answer, "SA", 0, 1, options=MSS)
        assert p.bits() == [(0, 0)]
        s.send(b"data")
        assert p.bits() == [(0, ect)], answer
    for offer, on, answer in ((ECE | CWR, True, ECE), (ECE, True, 0), (0, True, 0),
                              (ECE | CWR, False, 0)):
        p, s = accepted(offer, on)
        assert p.syn_ack == [(answer, 0)]
        s.send(b"data")
        assert p.bits() == [(0, 2 if answer else 0)]


def test_only_new_data_is_ecn_capable():
    p, s = accepted(sndbuf=20000)
    s.send(b"e" * 2920)
    assert p.bits() == [(0, 2), (0, 2)]
    p.run(300)
    assert p.bits()[-1] == (0, 0), "a retransmission is not"
    p.send("A", 1, 2921)
    p.send("PA", 1, 2921, b"data")
    p.run(100)
    assert p.bits() == [(0, 0)], "an acknowledgement is not"
    p.send("A", 5, 2921, window=0)
    s.send(b"e" * 100)
    p.run(1000)
    bits = p.bits()
    assert bits and all([b == (0, 0) for b in bits]), "a window probe is not"
    p.send("A", 5, 2922, window=5000)
    assert p.bits() == [(CWR, 2)], "the first after the timeout"
    s.close()
    assert p.bits() == [(0, 0)], "nor is a FIN by itself"


def test_a_mark_is_echoed_until_the_sender_has_slowed_down():
    p, s = accepted()
    p.marked(3, "A", 1, 1, b"a" * 100)
    p.send("A", 101, 1, b"b" * 100)
    assert p.bits() == [(ECE, 0)]
    p.send("A", 201, 1, b"c" * 100)
    p.send("A", 301, 1, b"d" * 100)
    s.send(b"x")
    assert p.bits() == [(ECE, 0), (ECE, 2)], "in data as well"
    p.marked(CWR, "A", 401, 1, b"e" * 100)
    p.send("A", 501, 1, b"f" * 100)
    assert p.bits()[-1] == (0, 0)
    p.marked(CWR | 3, "A", 601, 1, b"g" * 100)
    p.send("A", 701, 1, b"h" * 100)
    assert p.bits()[-1] == (ECE, 0), "the one that says so was marked itself"


def test_an_echo_slows_down_once_in_a_window_and_is_answered():
    p, s = accepted(sndbuf=60000)
    s.send(b"s" * 60000)
    assert p.bits() == [(0, 2)] * 10
    c = s.conn
    c.losses().ssthresh = 14600
    p.marked(ECE, "A", 1, 2921)
    assert c.cwnd == c.loss.ssthresh == 7300 and p.stack.tcp.count["ecn"] == 1
    p.marked(ECE, "A", 1, 5841)
    p.marked(ECE, "A", 1, 8761)
    assert c.cwnd == 7300, "the same window"
    bits = p.bits()
    assert bits[0] == (CWR, 2) and bits[1:] == [(0, 2)] * (len(bits) - 1)
    p.marked(ECE, "A", 1, 14601)
    assert p.stack.tcp.count["ecn"] == 1, "the end of it"
    p.marked(ECE, "A", 1, 16061)
    assert p.stack.tcp.count["ecn"] == 2 and c.cwnd < 7300


def test_loss_is_answered_with_cwr_and_an_echo_in_recovery_changes_nothing():
    p, s = accepted(sndbuf=60000)
    s.send(b"s" * 60000)
    p.bits()
    for k in (1, 2, 3):
        p.marked(ECE if k == 3 else 0, "A", 1, 1, options=blocks(p, 1461, 1461 + 1460 * k))
    assert s.conn.loss.ssthresh == 7300, "once for both"
    p.marked(ECE, "A", 1, 1, options=blocks(p, 1461, 1461 + 1460 * 10))
    assert s.conn.loss.ssthresh == 7300
    assert sum([b[0] == CWR for b in p.bits()]) == 1


def test_a_segment_outside_the_window_changes_nothing():
    p, s = accepted(sndbuf=60000)
    s.send(b"s" * 60000)
    p.marked(ECE, "A", 1, 50000)
    p.marked(3, "A", -5000, 1, b"old")
    assert p.stack.tcp.count["ecn"] == 0 and not s.conn.ecn.echo


def test_a_marked_transfer_loses_nothing():
    rand = Random(2)

    def mark(frame, to_b):
        if frame[12:14] == b"\x08\0" and frame[15] & 3 == 2 and rand.below(20) == 0:
            frame = bytearray(frame)
            frame[15] |= 3
            frame[24:26] = b"\0\0"
            k = checksum(bytes(frame[14:34]))
            frame[24:26] = bytes((k >> 8, k & 255))
            return [bytes(frame)]
        return [frame]

    net = Net(mark, delay_ms=5, rcvbuf=32768, sndbuf=32768)
    for host in net.hosts:
        host.tcp.ecn = True
    transfer(net, 400000)
    assert net.a.tcp.count["retransmit"] == 0 and net.a.tcp.count["ecn"] > 5


def test_no_heap_with_marks_and_echoes():
    p, s = accepted(isn=0x7FFFFFF0, sndbuf=60000)
    s.send(b"n" * 60000)
    sent = locked(p, lambda: (p.marked(3, "A", 1, 2921, b"a" * 100),
                              p.marked(ECE, "A", 101, 5841, b"b" * 100),
                              p.marked(CWR | 3 | ECE, "A", 201, 8761, b"c" * 100),
                              p.send("A", 301, 14601, b"d" * 100)))
    assert sent >= 3 and p.stack.tcp.count["ecn"] == 1
