"""Header prediction: it is taken where it may be, and what it takes comes to the same."""
from kit import Random, skip
from net import Net

from spinet import prim

SIZE = 30000


def transfer(short, treat=None):
    """(what came, frames that went the short way, TCP's counters, connection) of one transfer."""
    net = Net(treat=treat, rcvbuf=8192, sndbuf=8192)
    link = net.b.interfaces[1].id
    way = link.foreseen
    taken = []

    def count(*frame):
        took = short and way(*frame)
        if took:
            taken.append(frame[3] - frame[2])
        return took

    if way is None:
        skip("no native code here, so no prediction")
    link.foreseen = count
    server = net.b.socket()
    server.bind(("", 80))
    server.listen(1)
    near = net.a.socket()
    near.connect(("10.0.0.2", 80))
    far, _ = server.accept()
    data = Random(3)(SIZE)
    near.setblocking(False)
    far.setblocking(False)
    got = b""
    at = 0
    while len(got) < SIZE:
        if at < SIZE:
            at += near.write(memoryview(data)[at:]) or 0
        net.step()
        got += far.read(4096) or b""
    assert got == data
    return len(taken), net.b.stats()["tcp"], far.conn.info()


def test_most_segments_go_the_short_way():
    taken, _, _ = transfer(True)
    assert taken >= SIZE // 1460 - 3, taken


def test_what_comes_is_the_same():
    assert transfer(True)[1:] == transfer(False)[1:]


def test_what_is_special_does_not():
    """A wrong bit anywhere in the headers or the data, and each frame twice: as without it."""
    for treat in (spoil, twice):
        short, long = transfer(True, treat()), transfer(False, treat())
        assert short[1:] == long[1:] and short[0]


def spoil():
    """Every ninth frame has a wrong bit, each time one further on."""
    count = [0]

    def treat(frame, to_b):
        count[0] += 1
        if count[0] % 9 or count[0] < 20:
            return [frame]
        wrong = bytearray(frame)
        bit = count[0] * 5 % (min(len(frame), 80) * 8)
        wrong[bit >> 3] ^= 1 << (bit & 7)
        return [bytes(wrong)]

    return treat


def twice():
    return lambda frame, to_b: [frame, frame]


def test_a_runtime_without_it_has_none():
    if prim.IMPLEMENTATION == "viper":
        assert prim.foresee is not None
    else:
        assert prim.foresee is None
