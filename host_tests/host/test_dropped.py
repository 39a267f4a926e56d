"""Sockets that a program drops without closing them: the stack hears of it, and ends them."""
import gc
import threading

import pytest
from net import Net

import mp_runner
from spinet.socket import SOCK_DGRAM

WASM = mp_runner.RUNTIMES[1]

# WebAssembly collects garbage between the parts.  Its MicroPython has `weakref`.
PLAY = """
import weakref
from net import Net
from spinet.socket import SOCK_DGRAM
n = Net()
clients, servers = [], []
for port in range(100, 108):
    client, server = n.pair(port)
    clients.append(client)
    servers.append(server)
listener = n.b.socket()
listener.bind(("", 200))
listener.listen()
udp = n.b.socket(SOCK_DGRAM)
udp.bind(("", 201))
clients[0].close()
n.run(100)
client = server = listener = udp = None
clients = []
CUT
n.run(100)
print("ended", sum([one.recv(9) == b"" for one in servers]))
print("ports", 200 in n.b.tcp.listeners, 201 in n.b.udp.ports)
""".replace("CUT", mp_runner.CUT)


@pytest.mark.skipif(WASM.why is not None, reason=str(WASM.why))
def test_on_micropython_that_has_weakref():
    out = WASM.run(PLAY).split("\n")
    ended = int(out[0].split()[1])
    assert ended >= 7 and out[1] == "ports False False", out


def lost(call):
    """Call; how many ResourceWarnings there were."""
    gc.collect()        # what other tests have left
    with pytest.warns(ResourceWarning) as seen:
        call()
        gc.collect()
    return len(seen)


def test_a_dropped_connection_ends_with_a_fin_and_a_warning():
    n = Net()
    client, server = n.pair(80)
    client.send(b"last words")

    def drop():
        nonlocal client
        client = None

    assert lost(drop) == 1
    n.run(100)
    assert server.recv(100) == b"last words" and server.recv(100) == b""
    server.close()
    n.run(200000)
    assert n.a.tcp.connections == n.b.tcp.connections == 0


def test_a_file_keeps_its_socket():
    n = Net()
    client, server = n.pair(80)
    file = client.makefile("rwb")
    client = None
    gc.collect()
    n.run(100)
    file.write(b"here")
    file.flush()
    n.run(100)
    assert server.recv(9) == b"here"
    server.close()
    file.close()
    del file
    gc.collect()


def test_garbage_that_is_found_in_the_midst_of_poll_and_in_threads():
    """A cycle holds each socket, so that the collector finds it: in `poll`, in any thread."""
    n = Net()
    before = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for port in range(100, 160):
            client, server = n.pair(port)
            datagrams = n.b.socket(SOCK_DGRAM)
            datagrams.bind(("", port))
            for sock in (client, datagrams):
                cycle = [sock]
                cycle.append(cycle)
            del client, datagrams, cycle, sock
            n.run(50)
            server.close()
            thread = threading.Thread(target=gc.collect)
            thread.start()
            n.run(50)
            thread.join()
    finally:
        gc.set_threshold(*before)
    n.run(300000)
    assert n.a.tcp.connections == n.b.tcp.connections == 0
    assert not n.b.udp.ports


def test_a_socket_that_was_closed_says_nothing(recwarn):
    n = Net()
    client, server = n.pair(80)
    client.close()
    server.close()
    del client, server
    gc.collect()
    assert not [one for one in recwarn if one.category is ResourceWarning]


def test_one_that_could_not_be_made_says_nothing(capsys):
    from spinet.sockstream import StreamSocket

    StreamSocket.__new__(StreamSocket)
    gc.collect()
    assert "Exception ignored" not in capsys.readouterr().err
