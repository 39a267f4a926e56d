"""Background pumping: a pump in the middle of a socket call waits for its end, and is not lost."""
from chips.bus import Time
from kit import Random, heap_locked
from lone import OUR_MAC, PEER_MAC, arp, ether, ipv4, udp
from net import Net
from test_icmp import icmp
from test_udp import bound, known, summed
from w5500_kit import Host

from spinet import Stack, background
from spinet.background import Background
from spinet.ports.w5500 import W5500
from spinet.sockbase import SOCK_DGRAM
from spinet.sockdgram import DatagramSocket


class Timer:
    """What is used of `machine.Timer`."""

    def init(self, mode, period, callback):
        self.period = period
        self.callback = callback

    def deinit(self):
        self.callback = None


def in_background(stack, **about):
    timer = Timer()
    return Background(stack, timer=timer, **about), timer


def settle():
    """Let the scheduler run what it has."""
    for _ in range(1000):
        pass


PING = ether(ipv4("10.0.0.1", 1, icmp(8, 0, b"\1\2\3\4", b"ping")))


def test_a_timer_pumps_while_the_program_computes():
    n = known()
    b, timer = in_background(n.stack)
    try:
        assert timer.period == background.PERIOD_MS
        n.end.waiting.append(PING)
        timer.callback(timer)
        settle()
        assert len(n.take()) == 1 and b.pumps == 1
        # A thousand times while it computes.
        for _ in range(1000):
            n.clock.advance(10)
            b.pump()
        assert b.pumps == 1001 and b.deferred == 0
    finally:
        b.stop()
    assert timer.callback is None
    b.stop()


def test_a_pump_within_a_call_is_done_at_its_end():
    n = known()
    s = bound(n)
    s.connect(("10.0.0.2", 5))
    b, timer = in_background(n.stack)
    real = n.stack.udp.send
    seen = []

    def interrupted(*args):
        n.end.waiting.append(PING)
        b.pump()
        b.pump()
        seen.append((len(n.out), len(n.end.waiting)))
        return real(*args)

    try:
        n.take()
        n.stack.udp.send = interrupted
        s.send(b"data")
        assert seen == [(0, 1)], "not in the middle"
        out = n.take()
        assert [f[23] for f in out] == [17, 1], "what was being sent, then the answer to the ping"
        assert b.deferred == 2 and b.pumps == 1
    finally:
        b.stop()


def test_every_way_into_the_stack_is_guarded():
    net = Net()
    client, server = net.pair()
    b, timer = in_background(net.a)
    deferred = []
    real = net.a.tcp.__class__.connect
    try:
        def inside(fn, *args):
            """Whether a pump that comes while `fn` has to do with the stack is deferred."""
            before = b.deferred
            clock = net.a.clock
            net.a.clock = lambda: (b.pump(), clock())[1]
            try:
                fn(*args)
            except OSError:
                pass
            finally:
                net.a.clock = clock
            deferred.append((fn, b.deferred > before))

        inside(client.ioctl, 3, 5)
        inside(client.recv, 5)
        inside(client.close)
        inside(net.a.poll)
        s = net.a.socket()
        s.setblocking(False)
        inside(s.connect, ("10.0.0.2", 81))
        u = net.a.socket(SOCK_DGRAM)
        inside(u.sendto, b"x", ("10.0.0.2", 81))
        assert all([ok for _, ok in deferred]), deferred
    finally:
        b.stop()
    assert net.a.tcp.__class__.connect is real


def test_what_is_being_sent_is_never_overwritten():
    n = known()
    s = bound(n)
    s.connect(("10.0.0.2", 5))
    path = n.stack.path(b"\x0a\0\0\2", 17)
    b, _ = in_background(n.stack)
    real = n.end.send
    deferred = []

    def send(buf, k):
        before = b.deferred
        n.end.waiting.append(PING)
        b.pump()
        deferred.append(b.deferred > before)
        return real(buf, k)

    try:
        for way in (lambda: s.send(b"data"), lambda: s.endpoint.send(b"data", 0, 4),
                    lambda: n.stack.udp.send(path, 7, 5, b"data", 0, 4)):
            n.end.send = send
            n.take()
            del deferred[:]
            way()
            n.end.send = real
            n.give()
            out = n.take()
            assert deferred[0] and out[0][42:46] == b"data" and out[1][23] == 1, deferred
    finally:
        n.end.send = real
        b.stop()


def test_a_call_that_fails_leaves_nothing_behind():
    n = known()
    s = n.stack.socket(SOCK_DGRAM)
    s.setblocking(False)
    b, timer = in_background(n.stack)
    try:
        for _ in range(3):
            try:
                s.recv(10)
                raise AssertionError
            except OSError:
                pass
        before = b.pumps
        b.pump()
        assert b.pumps == before + 1 and not background._depth
    finally:
        b.stop()


def test_interrupts_of_a_port():
    n = known()
    n.end.wake = None
    n.end.has_irq = True
    b, timer = in_background(n.stack)
    try:
        assert timer.period == background.PERIOD_IRQ_MS
        n.end.waiting.append(PING)
        n.end.wake(None)
        n.end.wake(None)
        settle()
        assert 1 <= b.pumps <= 2 and len(n.take()) == 1
    finally:
        b.stop()
    assert n.end.wake is None


def test_the_interrupt_line_of_a_chip():
    time = Time()
    host = Host(time)
    port = W5500(host.spi, host.cs, irq=host.irq, reset=host.reset, mac=OUR_MAC,
                 clock=time.ticks_ms, sleep=time.sleep_ms)
    stack = Stack(clock=time.ticks_ms, random=Random(1), wait=time.sleep_ms)
    stack.add(port, "10.0.0.1/24")
    while not port.link():
        time.sleep_ms(10)
    stack.poll()
    host.wire.sent.clear()
    queue = []
    real = background.schedule
    background.schedule = lambda function, argument: queue.append(function)
    b, timer = in_background(stack)
    try:
        assert timer.period == background.PERIOD_IRQ_MS
        host.wire.put(ether(arp(1, PEER_MAC, "10.0.0.2", bytes(6), "10.0.0.1"),
                            dst=b"\xff" * 6, kind=0x0806) + bytes(18))
        time.sleep_ms(2)
        assert len(queue) == 1 and not host.wire.sent, "an interrupt only asks for it"
        queue.pop()(0)
        time.sleep_ms(1)
        assert host.wire.sent[0][21] == 2 and b.pumps == 1
    finally:
        b.stop()
        background.schedule = real
    assert port.wake is None
    port.close()


def test_without_it_nothing_is_wrapped():
    method = DatagramSocket.sendto
    n = known()
    b, _ = in_background(n.stack)
    other, _ = in_background(known().stack)
    assert DatagramSocket.sendto is not method
    b.stop()
    assert DatagramSocket.sendto is not method, "there is another"
    other.stop()
    assert DatagramSocket.sendto is method and not background._wrapped


class Sink:
    pads = True
    pollable = None
    count = {}

    def recv(self, buf):
        return 0

    def send(self, buf, n):
        return True


def test_guarded_calls_and_pumps_take_nothing_from_the_heap():
    n = known()
    s = bound(n)
    s.connect(("10.0.0.2", 5))
    frame = bytearray(ether(ipv4("10.0.0.1", 17, summed(udp(5, 7, b"h" * 50)))))
    end = len(frame)
    link = n.link
    link.port = Sink()
    b, timer = in_background(n.stack)
    buf = bytearray(100)

    def work(link=link, frame=frame, end=end, s=s, buf=buf, b=b):
        for _ in range(5):
            link.input(frame, 0, end)
            b.pump()
            assert s.recv_into(buf) == 50
            assert s.send(buf) == 100
            s.ioctl(3, 5)

    try:
        work()
        heap_locked(work)
    finally:
        b.stop()
