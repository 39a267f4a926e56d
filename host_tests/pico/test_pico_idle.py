"""Hours in which nothing happens but renewals of the address, on real firmware, in its own time.

Half an hour, unless told otherwise: HOURS=24 takes a day, of which it sleeps 99 %.
"""
import os

import pytest
from bench_pico import BOARD, Bench
from pico.device import configure
from pico.emulator import Pico
from pico.peer import Peer
from spinet.diag import Ping
from spinet.wait import until

HOURS = float(os.environ.get("HOURS") or 0.5)
LEASE_S = 600
ECHO = """
spinet.install(stack)
import asyncio

async def serve(reader, writer):
    while True:
        writer.write(await reader.read(100))
        await writer.drain()

async def main():
    for port in (80, 81):
        await asyncio.start_server(serve, "0.0.0.0", port)
    print("READY")
    while True:
        await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(120 + 240 * HOURS)
@pytest.mark.parametrize("chip, asleep_at_least", (("w5500", 0.99), ("enc28j60", 0.98)))
def test_hours_of_idle(firmware, chip, asleep_at_least):
    peer = Peer(lease_s=LEASE_S)
    with Pico(firmware, chip, peer.cable, [peer], time=peer.time) as pico:
        configure(pico, {"chip": chip, "services": {"http": 80}})
        pico.expect(b"spinet at 10.0.0.15", 20000)
        pico.run(10000)
        offered, acked = peer.dhcp.count["offer"], peer.dhcp.count["ack"]
        cycles, asleep = pico.cycles, pico.asleep
        free = []
        for n in range(round(6 * HOURS)):
            for _ in range(10):
                pico.run(60000)
            free.append(memory(pico))
            print("%d min: %d acks, %d bytes free, awake %.2f %%" % (
                10 * (n + 1), peer.dhcp.count["ack"] - acked, free[-1],
                100 - 100 * (pico.asleep - asleep) / (pico.cycles - cycles)), flush=True)
        # A lease is renewed at half of its time.
        assert abs(peer.dhcp.count["ack"] - acked - HOURS * 3600 / (LEASE_S / 2)) <= 1
        assert peer.dhcp.count["offer"] == offered, "the lease was lost"
        assert (pico.asleep - asleep) / (pico.cycles - cycles) > asleep_at_least
        assert len(free) > 2 and len(set(free[1:])) == 1, free  # to the byte, once all was loaded
        assert b"no address" not in pico.output and b"link down" not in pico.output
        peer.drive(pico)
        ping = Ping(peer.stack, "10.0.0.15", count=3, interval_ms=100)
        assert until(peer.stack, ping, 5000) and ping.received == 3


@pytest.mark.parametrize("irq, awake", ((True, 0.01), (False, 0.6)), ids=("irq", "polled"))
def test_idle_sockets_in_asyncio(firmware, irq, awake):
    """Two listeners and a connection: the core sleeps, and answers still."""
    bench = Bench(firmware, "w5500", 24, irq=irq)
    try:
        pico, peer = bench.pico, bench.peer
        pico.write((bench.source + ECHO).encode() + b"\x04")
        pico.expect(b"READY", 40000)
        peer.drive(pico)
        sock = peer.stack.socket()
        sock.settimeout(5)
        sock.connect((BOARD, 80))
        sock.send(b"one")
        assert sock.recv(10) == b"one"
        pico.run(2000)
        cycles, asleep = pico.cycles, pico.asleep
        pico.run(10000)
        share = 1 - (pico.asleep - asleep) / (pico.cycles - cycles)
        began = pico.nanos
        sock.send(b"two")
        assert sock.recv(10) == b"two"
        print("awake %.2f %%, answers in %.1f ms" % (100 * share, (pico.nanos - began) / 1e6))
        assert share < awake
    finally:
        bench.close()


def memory(pico):
    """Bytes free after a collection, by way of the prompt; the console is there again then."""
    del pico.output[:]
    said = pico.exec("import gc; gc.collect(); print(gc.mem_free())")
    pico.write(b"console()\r")
    pico.expect(b"spinet> ")
    return int(said)
