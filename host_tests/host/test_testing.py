"""`spinet.testing`: the fixture, virtual time, impairments, what is reported."""
import asyncio
import os
import re
import subprocess
import sys
import time

import pytest

import mp_runner
from spinet.testing.engine import Stuck
from spinet.testing.lan import Lan

DOCS = mp_runner.ROOT / "docs/testing.md"


def echo(server, count=1):
    """A server that waits: echoes `count` connections."""
    for _ in range(count):
        sock, _ = server.accept()
        with sock:
            while data := sock.recv(1000):
                sock.sendall(data)


def test_two_hosts_talk(lan):
    a, b = lan.hosts(2)
    server = b.listen(80)
    client = a.connect(b, 80)
    accepted, peer = server.accept()
    assert peer[0] == a.address == "10.0.0.1"
    client.sendall(b"hello")
    assert accepted.recv(10) == b"hello"


def test_an_hour_takes_no_time(lan):
    a, b = lan.hosts(2)
    b.listen(80)
    sock = a.connect(b, 80, timeout=3600)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        sock.recv(1)
    assert 3600 <= lan.time < 3602 and time.monotonic() - began < 10


def test_delay_and_rate(lan):
    a, b = lan.hosts(2, delay=0.1, rate=1000000)
    server = b.listen(80)
    client = a.connect(b, 80)
    assert 0.6 <= lan.time < 0.65       # b has said who it is; SYN and SYN,ACK; two cables each
    reader = lan.start(echo, server)
    began = lan.time
    client.sendall(b"x" * 100000)
    client.shutdown(1)
    got = 0
    while data := client.recv(5000):
        got += len(data)
    reader.result()
    assert got == 100000
    assert lan.time - began > 0.8       # 100000 bytes at 1 Mbit/s


def test_programs_that_wait_for_each_other(lan):
    hosts = lan.hosts(6)
    server = hosts[0].listen(7)
    running = lan.start(echo, server, 5)

    def ask(host):
        with host.connect(hosts[0], 7) as sock:
            sock.sendall(host.name.encode())
            return sock.recv(100)

    asking = [lan.start(ask, host) for host in hosts[1:]]
    assert [one.result() for one in asking] == [b"h2", b"h3", b"h4", b"h5", b"h6"]
    running.result()
    assert running.done()


def test_what_a_program_raises_is_raised(lan):
    a, b = lan.hosts(2)
    with pytest.raises(ConnectionRefusedError):
        lan.start(a.connect, b, 80).result()


def test_a_program_that_never_ends_is_noticed(lan):
    a, b = lan.hosts(2)
    waiting = lan.start(b.listen(80).accept)
    with pytest.raises(Stuck):
        waiting.result(timeout=60)
    a.connect(b, 80)
    waiting.result(timeout=1)


def test_loss_is_survived_and_repeats(lan):
    def play(seed):
        lan = Lan(seed)
        a, b = lan.hosts(2, loss=0.1, delay=0.01)
        server = lan.start(echo, b.listen(80))
        sock = a.connect(b, 80)
        sock.sendall(bytes(range(256)) * 100)
        sock.shutdown(1)
        got = b""
        while data := sock.recv(5000):
            got += data
        server.result()
        assert got == bytes(range(256)) * 100
        return lan.time, a.stack.stats()["tcp"]["retransmit"]

    first = play(5)
    assert first == play(5) and first[1] > 0
    assert first != play(6)


def test_loss_may_be_chosen(lan):
    a, b = lan.hosts(2)
    lost = []
    b.link(loss=lambda frame: b"secret" in frame and len(lost) < 2 and not lost.append(frame))
    server = b.listen(80)
    client = a.connect(b, 80)
    accepted, _ = server.accept()
    client.sendall(b"secret")
    assert accepted.recv(100) == b"secret"
    assert len(lost) == 2 and lan.time > 0.2


def test_a_link_that_is_wrongly_described(lan):
    with pytest.raises(TypeError):
        lan.hosts(1, los=0.1)
    with pytest.raises(ValueError):
        lan.host(loss=10)


def test_partition(lan):
    a, b, c = lan.hosts(3)
    servers = [host.listen(80) for host in (b, c)]
    lan.partition([a, b], [c])
    a.connect(b, 80)
    with pytest.raises(OSError):
        a.connect(c, 80, timeout=5)
    lan.heal()
    a.connect(c, 80, timeout=5)
    assert servers


def test_unplugged(lan):
    a, b = lan.hosts(2)
    server = b.listen(80)
    sock = a.connect(b, 80, timeout=5)
    accepted, _ = server.accept()
    a.unplug()
    sock.send(b"late")
    accepted.settimeout(1)
    with pytest.raises(TimeoutError):
        accepted.recv(10)
    a.plug_in()
    accepted.settimeout(60)
    assert accepted.recv(10) == b"late"


def test_installed(lan):
    a, b = lan.hosts(2)

    def serve():
        sock, _ = b.listen(80).accept()
        with sock:
            assert sock.recv(1000).startswith(b"GET /x HTTP/1.1\r\n")
            sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")

    serving = lan.start(serve)
    lan.sleep(0)
    with a.installed():
        code = "import socket; s = socket.create_connection(('10.0.0.2', 80)); " \
            "s.sendall(b'GET /x HTTP/1.1\\r\\n\\r\\n'); got = s.makefile('rb').read()"
        found = {}
        exec(code, found)
    serving.result()
    assert found["got"].endswith(b"hello")


def test_select_waits_in_virtual_time(lan):
    from spinet import selecting

    a, b = lan.hosts(2)
    server = b.listen(80)
    client = a.connect(b, 80)
    accepted, _ = server.accept()
    began = lan.time
    assert selecting.select([accepted], [], [], 3600) == ([], [], [])
    assert 3600 <= lan.time - began < 3602
    client.send(b"x")
    assert selecting.select([accepted], [], [], 3600) == ([accepted], [], [])
    assert lan.time - began < 3602


def test_asyncio(lan):
    a, b = lan.hosts(2, delay=0.5)

    async def main():
        from spinet import aio

        async def serve(reader, writer):
            writer.write((await reader.readline()).upper())
            await asyncio.sleep(600)
            writer.close()

        await aio.start_server(serve, "", 80, stack=b.stack)
        with a.using():
            reader, writer = await asyncio.open_connection(b.address, 80)
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"
        assert 5 <= lan.time < 5.1
        assert await reader.read() == b""
        return lan.time

    began = time.monotonic()
    assert lan.run(main) > 600
    assert time.monotonic() - began < 10


def test_asyncio_sleeps_in_order_and_times_out(lan):
    async def main():
        said = []

        async def say(seconds):
            await asyncio.sleep(seconds)
            said.append((seconds, lan.time))

        await asyncio.gather(say(3), say(1), say(2))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 1000)
        return said

    lan.hosts(1)
    assert lan.run(main()) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert 1003 <= lan.time < 1003.001


def test_asyncio_that_waits_for_nothing_is_noticed(lan):
    async def main():
        await asyncio.Event().wait()

    lan.hosts(1)
    with pytest.raises(Stuck):
        lan.run(main(), timeout=600)
    assert 600 <= lan.time < 602


def test_asyncio_under_loss(lan):
    a, b = lan.hosts(2, loss=0.05, delay=0.01)

    async def main():
        from spinet import aio

        async def serve(reader, writer):
            writer.write(await reader.readexactly(50000))
            writer.close()

        await aio.start_server(serve, "", 80, stack=b.stack)
        reader, writer = await aio.open_connection(b.address, 80, stack=a.stack)
        writer.write(b"x" * 50000)
        return await reader.read()

    assert lan.run(main) == b"x" * 50000


def test_a_library_notices_that_its_peer_is_gone(lan):
    websockets = pytest.importorskip("websockets")
    a, b = lan.hosts(2, delay=0.05)

    async def main():
        async def echo(ws):
            async for message in ws:
                await ws.send(message)

        with b.using():
            await websockets.serve(echo, b.address, 80)
        with a.using():
            ws = await websockets.connect("ws://%s/" % b.address)
        await ws.send("hello")
        assert await ws.recv() == "hello"
        lan.partition([a], [b])
        began = lan.time
        with pytest.raises(websockets.ConnectionClosedError):
            await ws.recv()
        return lan.time - began

    # It pings after 20 seconds, and waits as long for the answer.
    assert 35 <= lan.run(main) <= 55


def test_datagrams(lan):
    a, b = lan.hosts(2, loss=0.3)
    server, client = b.socket(2), a.socket(2)
    server.bind(("", 9))
    server.settimeout(1)
    client.sendto(b"wake", (b.address, 9))
    lan.sleep(5)
    got = 0
    for _ in range(100):
        client.sendto(b"x", (b.address, 9))
        lan.sleep(0.01)
    try:
        while True:
            got += server.recv(10) == b"x"
    except TimeoutError:
        pass
    assert 30 <= got <= 70      # two cables, 0.7 each


FAILING = """
import pytest

@pytest.mark.lan(seed=77)
def test_fails(lan):
    a, b = lan.hosts(2)
    b.listen(80)
    a.connect(b, 80).send(b"the data")
    lan.sleep(1)
    assert False

def test_passes(lan):
    lan.hosts(2)
"""


def inner(tmp_path, text, *args):
    """Run pytest on a file of its own, as somebody else would."""
    (tmp_path / "test_inner.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "spinet.testing.plugin", "-p",
         "no:cacheprovider", *args], cwd=tmp_path, capture_output=True, text=True,
        env=dict(os.environ, PYTHONPATH=str(mp_runner.ROOT / "lib")))


def test_a_failure_leaves_a_capture_and_says_what_was_on_the_wire(tmp_path):
    done = inner(tmp_path, FAILING)
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    (file,) = (tmp_path / "lan-pcap").iterdir()
    assert file.name == "test_inner.py-test_fails.pcap"
    assert b"the data" in file.read_bytes()
    assert "seed 77, " in done.stdout and str(file.name) in done.stdout
    assert re.search(r"h1>switch +sent +\d+>80 S", done.stdout)


def test_the_examples_of_the_documentation(tmp_path):
    text = DOCS.read_text()
    examples = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(examples) >= 3 and len(examples[0].strip().splitlines()) <= 10
    done = inner(tmp_path, "\n\n".join(examples))
    assert re.search(r"^[0-9]+ passed", done.stdout, re.M), done.stdout
