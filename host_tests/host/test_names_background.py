"""Pumps between any two lines of the modules above UDP, as an interrupt's callback would come.

A trace function of CPython's stands for the scheduler: at random lines it pumps the stack, which
may bring the answer to what was asked a line ago.
"""
import random
import sys

import pytest
from answering import Answering
from test_background import in_background
from test_dns import Server, a
from test_mdns import tell

from spinet import diag, dns, igmp, mdns, sntp, socket, syslog, tftp
from spinet.dnsmsg import A, encode

FILES = ("dns.py", "mdns.py", "mdnsown.py", "mdnsentry.py", "mdnsbrowse.py", "igmp.py",
         "igmpside.py", "sntp.py", "tftp.py", "diag.py", "task.py", "llmnr.py", "wait.py",
         "syslog.py", "mcastopt.py", "service.py", "timers.py", "udp.py", "sockdgram.py")


class Interrupts:
    """While it is entered, pumps at random lines; `pumps` counts them."""

    def __init__(self, background, seed):
        self.background = background
        self.random = random.Random(seed)
        self.pumps = 0
        self.inside = False

    def trace(self, frame, event, arg):
        if frame.f_code.co_filename.rsplit("/", 1)[-1] not in FILES:
            return None
        if event == "line" and not self.inside and self.random.random() < 0.3:
            self.inside = True
            sys.settrace(None)
            try:
                self.pumps += 1
                self.background.pump()
            finally:
                self.inside = False
                sys.settrace(self.trace)
        return self.trace

    def __enter__(self):
        sys.settrace(self.trace)
        return self

    def __exit__(self, *exc):
        sys.settrace(None)


@pytest.mark.parametrize("seed", range(12))
def test_interrupted_at_any_line(seed):
    names = Server({("h%d.test" % i, A): [a("h%d.test" % i, i)] for i in range(20)})
    n = Answering()

    def serve(sent):
        if sent.dport == 53:
            return names(sent)
        if sent.dport == 5353 and b"\4peer\5local\0\0\1" in sent.data:
            n.group(tell(("peer.local", A, 120, b"\x0a\0\0\2")))
        return None

    n.serve = serve
    n.stack.dns_servers = [b"\x0a\0\0\2"]
    background, _ = in_background(n.stack)
    r = dns.resolver(n.stack)
    r.cache_max = 8
    try:
        with Interrupts(background, seed) as interrupts:
            for i in range(20):
                assert r.resolve("h%d.test" % i) == ["192.0.2.%d" % i]
                assert r.start("h%d.test" % (i // 2)) is not None
            assert r.ask("h1.test", 99) == []
            m = mdns.mdns(n.stack)
            m.host("board")
            entry = m.register("_http._tcp", 80, "Mine", {"k": "v"})
            assert m.ask("peer.local", A) == ["10.0.0.2"]
            browser = m.browse("_http._tcp")
            groups = igmp.igmp(n.stack)
            for i in range(5):
                s = n.stack.socket(socket.SOCK_DGRAM)
                member = socket.inet_aton("239.1.1.%d" % i) + bytes(4)
                s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, member)
                if i & 1:
                    s.setsockopt(0, socket.IP_DROP_MEMBERSHIP, member)
                s.close()
            p = diag.ping(n.stack, "127.0.0.1", 3, 10, 10)
            query = sntp.ask(n.stack, "h1.test")
            client = sntp.Client(n.stack, ("10.0.0.3",))
            get = tftp.Get(n.stack, "10.0.0.2", "x", tftp._Bytes())
            syslog.Syslog(n.stack, "10.0.0.2").info("x")
            m.unregister(entry)
            browser.close()
            client.close()
            n.run(60000)
    finally:
        background.stop()
    assert interrupts.pumps > 500
    assert p.received == 3 and query.done and get.done and not r.pending
    assert len(groups.side(n.ip).groups) == 1, "mDNS's alone"
    assert m.own.values(encode("board.local"), A) == ["10.0.0.1"]
    timers = n.stack.timers
    for i in range(timers._n):
        assert timers.heap[i]._pos == i
