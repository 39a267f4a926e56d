"""Random networks, options, buffers and users: data is equal, and nothing is left behind.

Each seed is one conversation, the same every time.  To see one alone:
`PYTHONPATH=lib:host_tests/core python host_tests/core/test_tcp_campaign.py FIRST LAST`.
"""
import sys

from kit import Random
from net import Net

SEEDS = 40


class Bad:
    """A cable that loses, repeats, delays and corrupts, at rates of its own."""

    def __init__(self, rand):
        self.rand = rand
        self.lose = (0, 0, 1, 3, 8)[rand.below(5)]
        self.repeat = (0, 0, 2)[rand.below(3)]
        self.corrupt = (0, 0, 2)[rand.below(3)]
        self.late = (0, 0, 5, 20)[rand.below(4)]
        self.cut = (0, 0, 300, 5000)[rand.below(4)]     # ms without any frame
        self.net = None

    def __call__(self, frame, to_b):
        below = self.rand.below
        if self.net and (below(100) < self.lose or 0 <= self.net.elapsed - 1000 < self.cut):
            return []
        if below(100) < self.corrupt and frame[12:14] == b"\x08\0":     # ARP has no checksum
            i = 14 + below(len(frame) - 14)
            frame = frame[:i] + bytes((frame[i] ^ (1 << below(8)),)) + frame[i + 1:]
        late = below(60) if below(100) < self.late else 0
        if below(100) < self.repeat:
            return [(frame, late), (frame, late + below(30))]
        return [(frame, late)]


class User:
    """One end's program: sends `data`, reads what comes, in pieces of its own sizes."""

    def __init__(self, sock, data, rand):
        self.sock = sock
        self.data = data
        self.rand = rand
        self.sent = 0
        self.got = bytearray()
        self.shut = self.ended = False

    def turn(self):
        below = self.rand.below
        sock = self.sock
        if below(3) and self.sent < len(self.data):
            n = sock.write(self.data, self.sent, min(1 + below(3000), len(self.data) - self.sent))
            self.sent += n or 0
        elif self.sent == len(self.data) and not self.shut:
            self.shut = True
            sock.shutdown(1)
        if not self.ended and below(3):
            part = sock.read(1 + below(3000))
            if part:
                self.got.extend(part)
            elif part is not None:
                self.ended = True
        return self.ended and self.shut


def check(c):
    """What holds of a connection at all times."""
    assert 0 <= c.snd_nxt <= c.snd_max <= c.s_len + 1, c.info()
    assert 0 <= c.s_len <= max(len(c.sbuf), 0), c.info()
    assert 0 <= c.r_len <= len(c.rbuf), c.info()
    assert c.rcv_adv >= 0 and c.r_len + c.rcv_adv <= max(len(c.rbuf), c.tcp.rcvbuf) + 3, c.info()
    if c.snd_max and 3 < c.state != 10:
        assert c.t_rexmt is not None, "data in flight and no timer"


def conversation(seed):
    rand = Random(seed)
    size = (512, 1500, 4096, 20000, 66000, 200000)[rand.below(6)]
    bad = Bad(rand)
    net = Net(bad, delay_ms=1 + rand.below(40), seed=seed, rcvbuf=size,
              sndbuf=(512, 4096, 30000)[rand.below(3)])
    bad.net = net
    for host in net.hosts:
        tcp = host.tcp
        tcp.timestamps = rand.below(3) > 0
        tcp.sack = rand.below(3) > 0
        tcp.window_scaling = rand.below(3) > 0
    listener = net.b.socket()
    listener.bind(("", 80))
    listener.listen(2)
    listener.setblocking(False)
    client = net.a.socket()
    client.setblocking(False)
    client.connect_ex(("10.0.0.2", 80))
    net.until(lambda: listener.listener.queue, 300000)
    server, _ = listener.accept()
    server.setblocking(False)
    listener.close()
    blob = Random(seed + 1)(1009) * 60
    users = (User(client, blob[:rand.below(60000)], rand),
             User(server, blob[:rand.below(60000)], rand))

    def turn():
        done = [user.turn() for user in users]
        for user in users:
            check(user.sock.conn)
        return all(done)

    net.until(turn, 3000000)
    assert users[0].got == users[1].data and users[1].got == users[0].data, "data differ"
    client.close()
    server.close()
    net.until(lambda: len(net.a.tcp.table) == len(net.a.tcp.time_wait)
              and len(net.b.tcp.table) == len(net.b.tcp.time_wait), 3000000)
    net.run(62000)
    for host in net.hosts:
        assert not host.tcp.table and host.tcp.connections == 0, host.tcp.table


def campaign(first, last):
    for seed in range(first, last):
        try:
            conversation(seed)
        except BaseException:
            print("seed", seed)
            raise


def test_conversations():
    campaign(0, SEEDS)


if __name__ == "__main__":
    campaign(int(sys.argv[1]), int(sys.argv[2]))
