"""Names and groups from several threads at once, while a thread of its own pumps each stack."""
import sys
import threading
import time

import pytest

from spinet import diag, dns, socket
from spinet.threaded import Threaded

SECONDS = 2


@pytest.fixture
def restless():
    """Threads take turns as often as they can; what a thread raises is in the list."""
    raised = []
    interval, hook = sys.getswitchinterval(), threading.excepthook
    sys.setswitchinterval(1e-5)
    threading.excepthook = lambda about: raised.append(about.exc_value)
    yield raised
    sys.setswitchinterval(interval)
    threading.excepthook = hook


def answer(sock):
    """A server of names that knows them all, for a second each."""
    while True:
        try:
            data, peer = sock.recvfrom(500)
        except OSError:
            return
        question = data[12:data.index(b"\0", 12) + 5]
        sock.sendto(data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question
                    + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x0a\0\0\2", peer)


def test_resolver_from_several_threads(hosts, restless):
    a, b = hosts
    sock = b.socket(socket.SOCK_DGRAM)
    sock.bind(("", 53))
    a.dns_servers = [b"\x0a\0\0\2"]
    names = dns.resolver(a)
    names.cache_max = 5
    end = time.monotonic() + SECONDS
    done = []

    def resolve(k):
        i = 0
        while time.monotonic() < end:
            assert names.resolve("h%d.t%d.test" % (i % 9, k)) == ["10.0.0.2"]
            i += 1
            if i % 5 == 0:
                names.flush()
        done.append(i)

    def group():
        while time.monotonic() < end:
            s = a.socket(socket.SOCK_DGRAM)
            s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, b"\xef\1\1\1\0\0\0\0")
            s.close()
            assert diag.ping(a, "10.0.0.2", 1, 10).received == 1
        done.append(1)

    pumps = [Threaded(a), Threaded(b)]
    try:
        threading.Thread(target=answer, args=(sock,), daemon=True).start()
        threads = [threading.Thread(target=resolve, args=(k,)) for k in range(3)]
        threads.append(threading.Thread(target=group))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not restless and len(done) == 4 and sum(done) > 30, (restless, done)
    finally:
        for pump in pumps:
            pump.stop()
