"""How fast asyncio streams over a stack are, beside asyncio's own over the kernel's sockets.

    python tools/bench_aio.py [SECONDS]         a table; needs root for what is against the kernel

One peer is a program of streams (`spinet.aio`, or asyncio itself), the other bench_load.py on the
kernel's sockets, over a veth pair as in bench.py.  "Within" is two stacks of one process on a wire
in memory, both ends streams of one loop.
"""
import asyncio
import os
import pathlib
import resource
import subprocess
import sys
import time

import bench

TOOLS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TOOLS.parent / "lib"))
CHUNK = bytes(65536)
MEASURED = ("tcp-rx", "tcp-tx", "tcp-echo", "conn8")


async def echo(reader, writer):
    while True:
        data = await reader.read(65536)
        if not data:
            break
        writer.write(data)
        await writer.drain()
    writer.close()


async def discard(reader, writer):
    while await reader.read(262144):
        pass
    writer.close()


async def source(reader, writer):
    try:
        while not reader.at_eof():
            writer.write(CHUNK)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def hold(reader, writer):
    await reader.read()
    writer.close()


async def services(start_server):
    for port, service in ((7, echo), (8, hold), (9, discard), (19, source)):
        await start_server(service, "", port, limit=262144)
    print("ready", flush=True)
    await asyncio.sleep(1e6)


def serve(what):
    """What the peer process does."""
    if what == "asyncio":
        asyncio.run(services(asyncio.start_server))
        return
    from spinet import Stack, aio
    from spinet.ports.rawsocket import RawSocket

    stack = Stack()
    stack.add(RawSocket("veth0"), bench.OURS + "/24")
    stack.tcp.connections_max = 20000
    asyncio.run(services(lambda *args, **options: aio.start_server(*args, stack=stack, **options)))


class Peer(bench.Peer):
    """This file as a server, in our namespace."""

    def __init__(self, network, what):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", network.ours, sys.executable, str(TOOLS / "bench_aio.py"),
             "--serve", what], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError("the peer did not start:\n" + self.process.communicate()[1])


async def within(seconds):
    """MB/s from one stack to another of this process."""
    from spinet import Stack, aio
    from spinet.ports import wire

    near, far = wire.pair(slots=64)
    a, b = Stack(), Stack()
    a.add(near, "10.0.0.1/24")
    b.add(far, "10.0.0.2/24")
    server = await aio.start_server(source, "", 19, stack=b)
    reader, writer = await aio.open_connection("10.0.0.2", 19, stack=a, limit=262144)
    got = 0
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        got += len(await reader.read(262144))
    rate = got / (time.monotonic() - began) / 1e6
    writer.transport.abort()
    server.close()
    await asyncio.sleep(0.1)
    a.close()
    b.close()
    return rate


def median(measure):
    rounds = sorted((measure() for _ in range(3)), key=lambda one: one["rate"])
    return rounds[1]


def main(seconds):
    rate = median(lambda: {"rate": asyncio.run(within(seconds))})["rate"]
    print("within one process: %.1f MB/s" % rate)
    if os.geteuid():
        return print("against the kernel: needs root")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 32768), hard))
    with bench.Network() as network:
        for what in ("spinet.aio", "asyncio"):
            if what == "asyncio":
                bench.run("ip", "-n", network.ours, "address", "add", bench.OURS + "/24", "dev",
                          "veth0")
            with Peer(network, what) as peer:
                for key in MEASURED:
                    title, unit, (name, *numbers) = bench.MEASUREMENTS[key]
                    found = median(lambda: bench.load(network, peer, name,    # noqa: B023
                                                      seconds, *numbers))    # noqa: B023
                    found["unit"] = unit
                    print("%-11s %-40s %s" % (what, title, bench.shown(found)), flush=True)
                with bench.held(network, 100):
                    time.sleep(1)
                    print("%-11s %-40s %s" % (what, "CPU with 100 idle connections",
                                              bench.shown(bench.idle(peer, 3))), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.5)
