"""The steady state of TCP takes nothing from the heap, wherever sequence numbers stand."""
from kit import heap_locked
from net import Net, Peer


class Slots:
    """A port of preallocated frames: what is sent is kept, what is queued is received, no heap."""

    medium = "ethernet"
    mtu = 1500
    pads = True
    pollable = None

    def __init__(self, mac):
        self.mac = mac
        self.count = {}
        self.frames = []
        self.at = 0
        self.sent = 0

    def recv(self, buf):
        if self.at == len(self.frames):
            return 0
        frame = self.frames[self.at]
        self.at += 1
        n = len(frame)
        for i in range(n):
            buf[i] = frame[i]
        return n

    def send(self, buf, n):
        self.sent += 1
        return True

    def link(self):
        return True

    def close(self):
        pass


def locked(p, fn):
    """Poll with the frames that `fn` made the peer send, on a port that takes no memory."""
    end = p.end
    p.stack.poll()
    run = p.run
    p.run = lambda ms: None
    fn()
    p.run = run
    slots = Slots(end.mac)
    slots.frames = end.waiting
    end.waiting = []
    p.ip.id.port = slots
    stack = p.stack

    def work():
        stack.poll()

    heap_locked(work)
    p.ip.id.port = end
    assert slots.at == len(slots.frames)
    return slots.sent


ISNS = (0x7FFFFFF0, 0xFFFFFF00, 0x3FFFFFFA, 5)


def test_data_in_sequence_is_received_and_acknowledged():
    for isn in ISNS:
        p = Peer(isn=isn)
        s = p.accept()
        p.send("A", 1, 1, b"w" * 100)
        p.run(100)
        sent = locked(p, lambda: (p.send("A", 101, 1, b"x" * 1000),
                                  p.send("PA", 1101, 1, b"y" * 500)))
        assert sent == 1
        buf = bytearray(2000)

        def read():
            assert s.recv_into(buf) == 1600

        heap_locked(read)
        assert bytes(buf[100:1600]) == b"x" * 1000 + b"y" * 500


def test_data_out_of_order():
    p = Peer(isn=0xFFFFFF00)
    s = p.accept()
    sent = locked(p, lambda: (p.send("A", 201, 1, b"c" * 100), p.send("A", 401, 1, b"e" * 100),
                              p.send("A", 101, 1, b"b" * 100), p.send("A", 1, 1, b"a" * 100),
                              p.send("A", 301, 1, b"d" * 100)))
    assert sent == 5
    assert s.recv(1000) == b"".join(bytes([c]) * 100 for c in b"abcde")


def test_sending_and_its_acknowledgement():
    for isn in ISNS:
        p = Peer(isn=isn)
        s = p.accept(mss=500)
        s.send(b"warm")
        p.send("A", 1, 5)
        data = b"z" * 1500
        slots = Slots(p.end.mac)
        p.ip.id.port = slots

        def work():
            assert s.send(data) == 1500

        heap_locked(work)
        assert slots.sent == 3
        p.ip.id.port = p.end
        locked(p, lambda: (p.send("A", 1, 505), p.send("A", 1, 1505)))
        assert s.conn.snd_max == 0


def test_fast_retransmit_and_recovery():
    p = Peer(isn=0x7FFFFFF0, sndbuf=8192)
    s = p.accept(mss=500)
    s.send(b"r" * 8000)
    p.take()
    sent = locked(p, lambda: [p.send("A", 1, 1) for _ in range(5)])
    assert sent >= 3
    locked(p, lambda: (p.send("A", 1, 501), p.send("A", 1, 1001), p.send("A", 1, 6001)))
    assert s.conn.loss.recover == 0 and s.conn.loss.dupacks == 0


def test_retransmission_timer_delayed_ack_and_idle():
    p = Peer(isn=0xFFFFFFF0)
    s = p.accept()
    s.send(b"timer")
    p.take()
    p.send("A", 1, 1, b"delay me")
    slots = Slots(p.end.mac)
    p.ip.id.port = slots
    clock = p.clock
    stack = p.stack

    def work():
        for _ in range(40):
            clock.advance(200)
            stack.poll()

    heap_locked(work)
    assert slots.sent >= 4
    assert stack.tcp.count["timeout"] >= 3


def test_zero_window_probe():
    p = Peer()
    s = p.accept(window=0)
    s.send(b"probe me")
    slots = Slots(p.end.mac)
    p.ip.id.port = slots
    clock = p.clock
    stack = p.stack

    def work():
        for _ in range(20):
            clock.advance(500)
            stack.poll()

    heap_locked(work)
    assert stack.tcp.count["probe"] >= 2
    assert s.conn.s_len == 8


def test_a_connection_keeps_to_a_table_of_37_attributes():
    # The next larger one of MicroPython's takes 80 bytes more, and would be made in `poll`.
    n = Net()
    server = n.b.socket()
    server.bind(("", 80))
    server.listen(1)
    client = n.a.socket()
    client.connect(("10.0.0.2", 80))
    client.send(b"all")
    client.close()
    n.run(10)
    c = n.b.tcp.all()[0]
    found = [len(c.__dict__)]       # it still waits for `accept`, and the peer has said its last
    s = server.accept()[0]
    assert s.recv(10) == b"all" and s.recv(10) == b""
    found.append(len(c.__dict__))
    c.losses()
    c.late()
    s.close()
    found.append(len(c.__dict__))
    for end in n.a.tcp.all():
        end.abort()
        found.append(len(end.__dict__))
    n.run(10)
    assert c.error
    found.append(len(c.__dict__))
    assert max(found) <= 37, found
