"""iperf3: our client and our server; what the other end must not be able to do."""
from kit import Random, raises
from net import Net

from spinet import iperf, iperfdata


def test_tcp_both_ways():
    net = Net(delay_ms=80)
    server = iperf.Server(net.b)
    for reverse in (False, True):
        r = iperf.client(net.a, "10.0.0.2", seconds=1, reverse=reverse, parallel=2)
        assert r.bytes > 5000 and r.sent >= r.bytes and 1000 <= r.ms < 1100
        net.run(100)
        assert server.result.sent >= server.result.bytes > 5000
    assert server.tests == 2 and server.failed == 0


def test_udp_both_ways():
    drop = [0]

    def treat(frame, to_b):
        if len(frame) > 1000:
            drop[0] += 1
            if drop[0] % 10 == 0:
                return []
        return [frame]

    net = Net(treat)
    server = iperf.Server(net.b)
    for reverse in (False, True):
        r = iperf.client(net.a, "10.0.0.2", seconds=2, udp=True, bandwidth=400000, reverse=reverse)
        assert 55 <= r.packets <= 75 and 4 <= r.lost <= 8, r
        assert 80000 < r.bytes < 100000 and r.jitter_ms < 3
        net.run(100)
    assert server.tests == 2 and not net.a.udp.ports and not net.b.udp.ports


def test_no_burst_of_datagrams_is_too_long():
    """30 frames at once, to sockets whose queue takes two."""
    held = []

    def treat(frame, to_b):
        if len(frame) < 1000:
            return [frame]
        held.append(bytes(frame))
        if len(held) < 30:
            return []
        burst = held[:]
        del held[:]
        return burst

    for reverse in (False, True):
        net = Net(treat)
        net.a.udp.rcvbuf = net.b.udp.rcvbuf = 4096
        iperf.Server(net.b)
        r = iperf.client(net.a, "10.0.0.2", seconds=1, udp=True, bandwidth=2000000, reverse=reverse)
        assert r.lost == 0 and r.bytes >= 120 * 1460, r
        del held[:]


def test_server_is_for_one_at_a_time():
    net = Net(delay_ms=20)
    server = iperf.Server(net.b)
    one = iperf.Client(net.a, "10.0.0.2", seconds=2)
    net.run(500)
    two = iperf.Client(net.a, "10.0.0.2", seconds=1)
    net.run(5000)
    assert one.result and not one.error and two.error in (13, 104, 54) and server.refused == 1
    r = iperf.client(net.a, "10.0.0.2", seconds=1)
    assert r.bytes
    server.close()
    net.run(1000)
    assert raises(OSError, iperf.client, net.a, "10.0.0.2").errno in (111, 61)


def test_nonsense_ends_a_test_and_not_the_server():
    net = Net(delay_ms=20)
    server = iperf.Server(net.b)
    cookie = b"c" * 36 + b"\0"
    for said in (b"", b"short", cookie, cookie + b"\0\0\0\4nope", cookie + b"\xff\xff\xff\xff",
                 cookie + b"\0\0\0\2[]", cookie + b"\0\0\0\x0e{\"parallel\":99}",
                 cookie + b"\0\0\0\x0d{\"len\":\"x\"}  ", cookie + b"\0\0\0\2{}"):
        s = net.a.socket()
        s.connect(("10.0.0.2", 5201))
        s.send(said) if said else None
        net.run(500)
        s.close()
        net.run(25000)
    assert not server.done and server.failed + server.tests == 9
    assert iperf.client(net.a, "10.0.0.2", seconds=1).bytes
    # And a server that talks nonsense to our client.
    server.close()
    listener = net.b.socket()
    listener.bind(("", 5202))
    listener.listen(5)
    for said in (b"\xff", b"\xfe", b"\x63", b"\x09\x02\x04", b"\x0e", b"\x0d"):
        task = iperf.Client(net.a, "10.0.0.2", 5202, 1)
        s, _ = listener.accept()
        s.send(said)
        net.run(1000)
        s.close()
        net.run(20000)
        assert task.done and task.error, said
    net.run(200000)
    assert not net.a.tcp.table


def test_fuzz():
    """A client that says anything at all."""
    rand = Random(8)
    net = Net(delay_ms=5)
    server = iperf.Server(net.b)
    cookie = b"c" * 36 + b"\0"
    texts = (b'{"tcp":true,"time":1,"parallel":1,"len":1000}', b'{"udp":true,"bandwidth":1e999}',
             b'{"streams":[{"id":1,"bytes":9,"jitter":"x"}]}', b'{"streams":7}',
             b'{"parallel":1e999}', b'{"streams":[1]}')
    for _ in range(12):
        s = net.a.socket()
        s.settimeout(1)
        t = net.a.socket()
        t.setblocking(False)
        try:
            s.connect(("10.0.0.2", 5201))
            s.send(cookie)
            for _ in range(rand.below(4)):
                text = bytearray(texts[rand.below(6)])
                for _ in range(rand.below(3)):
                    text[rand.below(len(text))] = rand.below(128)
                s.send(bytes((0, 0, 0, len(text))) + bytes(text))
                if rand.below(3) == 0:
                    t.connect_ex(("10.0.0.2", 5201))
                    net.run(50)
                    t.write(cookie)
                net.run(50)
                if rand.below(2):
                    s.send(bytes((rand.below(20),)))
        except OSError:
            pass
        s.close()
        t.close()
        net.run(25000)
    assert not server.done
    assert iperf.client(net.a, "10.0.0.2", seconds=1).bytes


def test_ids_and_options():
    assert [iperfdata.stream_id(i) for i in range(4)] == [1, 3, 4, 5]
    net = Net()
    raises(ValueError, lambda: iperf.Client(net.a, "10.0.0.2", parallel=99))
    raises(ValueError, lambda: iperf.Client(net.a, "10.0.0.2", udp=True, length=8))
