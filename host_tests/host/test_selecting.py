"""`select` and `selectors` for sockets without a descriptor, mixed with the system's."""
import selectors
import socket as system
import sys
import time

import pytest

from spinet import modules, selecting
from spinet.sockbase import NVAL

A, B = "10.0.0.1", "10.0.0.2"


@pytest.fixture
def pair(hosts):
    a, b = hosts
    server = b.socket()
    server.bind(("", 80))
    server.listen(1)
    client = a.socket()
    client.setblocking(False)
    client.connect_ex((B, 80))
    for _ in range(10):
        a.poll()
        b.poll()
    return client, server.accept()[0]


def test_select_finds_both_kinds(pair):
    client, server = pair
    one, two = system.socketpair()
    with one, two:
        assert selecting.select([server, one], [], [], 0) == ([], [], [])
        client.send(b"x")
        assert selecting.select([server, one], [], [], 5) == ([server], [], [])
        two.send(b"y")
        assert selecting.select([server, one], [server, one], [], 5) == (
            [server, one], [server, one], [])


def test_select_ends_when_the_time_is_over(pair):
    _, server = pair
    began = time.monotonic()
    assert selecting.select([server], [], [], 0.1) == ([], [], [])
    assert 0.1 <= time.monotonic() - began < 2


def test_select_of_the_system_s_alone():
    one, two = system.socketpair()
    with one, two:
        began = time.monotonic()
        assert selecting.select([one], [], [], 0.05) == ([], [], [])
        assert time.monotonic() - began >= 0.05
        two.send(b"x")
        assert selecting.select([one], [], [], None) == ([one], [], [])


def test_poll(pair):
    client, server = pair
    poller = selecting.Poll()
    poller.register(server, 1)
    assert poller.poll(10) == []
    client.send(b"x")
    assert poller.poll(1000) == [(server, 1)]
    poller.modify(server, 4)
    assert poller.poll() == [(server, 4)]
    server.close()
    assert poller.poll() == [(server, NVAL)]
    poller.unregister(server)
    with pytest.raises(FileNotFoundError):
        poller.modify(server, 1)


def test_selector(pair):
    client, server = pair
    with selecting.Selector() as selector:
        key = selector.register(server, selectors.EVENT_READ, "data")
        assert key.fileobj is server and key.fd == -1 and selector.get_key(server) is key
        assert selector.select(0.01) == []
        client.send(b"x")
        assert selector.select(5) == [(key, selectors.EVENT_READ)]
        key = selector.modify(server, selectors.EVENT_WRITE | selectors.EVENT_READ)
        assert selector.select() == [(key, selectors.EVENT_WRITE | selectors.EVENT_READ)]
        with pytest.raises(KeyError):
            selector.register(server, selectors.EVENT_READ)
        selector.unregister(server)
        assert selector.select(0) == []


def test_install_and_uninstall(hosts):
    before = [sys.modules[name] for name in ("select", "selectors", "socket")]
    modules.install(hosts[0])
    import select

    assert select.select is selecting.select and sys.modules["selectors"] is not before[1]
    assert sys.modules["selectors"].DefaultSelector is selecting.Selector
    modules.uninstall()
    assert [sys.modules[name] for name in ("select", "selectors", "socket")] == before
