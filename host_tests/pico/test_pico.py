"""Real firmware on an emulated Pico, against a peer in its own time: a run repeats to the cycle."""
import contextlib
import hashlib
import pathlib

import pytest
from pico.device import configure
from pico.emulator import Pico
from pico.peer import Peer
from spinet.diag import Ping
from spinet.wait import until

CHIPS = ("w5500", "enc28j60")
BOARD = "10.0.0.15"
WWW = pathlib.Path(__file__).resolve().parents[2] / "firmware/www"

# A program without the firmware's: an interface, a listener, `total` bytes each way.
TRANSFER = """
import hashlib, json, sys
from app import board, config
nic = board.bring_up(config.load())
s = nic.stack.socket()
s.bind(("", 5000))
s.listen(1)
print("listening")
c, _ = s.accept()
buf = bytearray(2048)
view = memoryview(buf)
sha = hashlib.sha256()
n = c.readinto(buf)
while n:
    sha.update(view[:n])
    n = c.readinto(buf)
for k in range(len(buf)):
    buf[k] = k * 7 & 255
sent = 0
while sent < %(total)d:
    c.write(view[:min(2048, %(total)d - sent)])
    sent += 2048
c.close()
while nic.stack.tcp.all():      # what is not sent yet, nobody would send after the program's end
    nic.stack.wait(nic.stack.poll() or 1)
print(sha.digest().hex())
"""


# The primitives of this processor beside those in bytecode; prints how many cases there were.
PRIMITIVES = """
import os
from spinet import prim, prim_portable, prim_thumb
assert prim.IMPLEMENTATION == "viper"
blank, to, want = (bytearray(b"\\xa5" * 1600) for _ in range(3))
cases = 0
for data in (bytearray(os.urandom(1540)), bytearray(b"\\xff" * 1540), bytearray(1540)):
    for n in (0, 1, 15, 16, 63, 64, 65, 66, 67, 79, 80, 95, 96, 128, 333, 1448, 1535):
        for i in range(4):
            acc = (0, 0xFFFF, 0x54321)[(i + n) % 3]
            a = prim.cksum(data, i, i + n, acc)
            b = prim_portable.cksum(data, i, i + n, acc)
            assert a == b, (i, n, acc, a, b)
            for k in range(4):
                to[:] = want[:] = blank
                prim.copy(to, k, data, i, n)
                want[k:k + n] = data[i:i + n]
                assert to == want, (i, k, n)
                cases += 1
print(cases)
"""


@contextlib.contextmanager
def board(firmware, chip="w5500", lease_s=3600, **settings):
    """A Pico with its firmware's own program and an address, and its peer."""
    peer = Peer(lease_s=lease_s)
    with Pico(firmware, chip, peer.cable, [peer], time=peer.time) as pico:
        if chip != "w5500" or settings:
            configure(pico, dict(settings, chip=chip))
        pico.expect(b"spinet at " + BOARD.encode(), 20000)
        yield pico, peer


def test_primitives_in_assembly_do_what_those_in_bytecode_do(firmware):
    with Pico(firmware, chip=None) as pico:
        pico.expect(b"spinet> ")
        assert int(pico.exec(PRIMITIVES, 60000)) == 3 * 17 * 4 * 4


@pytest.mark.parametrize("chip", CHIPS)
def test_it_boots_gets_an_address_and_answers_pings(firmware, chip):
    with board(firmware, chip) as (pico, peer):
        assert [row[0] for row in peer.dhcp.leases()] == [BOARD]
        peer.drive(pico)
        ping = Ping(peer.stack, BOARD, count=5, interval_ms=100)
        assert until(peer.stack, ping, 5000)
        assert ping.received == 5 and max(ping.results) < 20, ping.results


@pytest.mark.parametrize("chip", CHIPS)
def test_the_page_has_the_right_bytes(firmware, chip):
    with board(firmware, chip) as (pico, peer):
        peer.drive(pico)
        assert get(peer, "/")[1] == (WWW / "index.html").read_bytes()
        head, body = get(peer, "/status.json")
        assert b" 200 " in head and b"on rp2" in body
        assert b" 404 " in get(peer, "/nothing")[0]


def get(peer, path, address=(BOARD, 80)):
    """(head, body) of a GET."""
    s = peer.stack.socket()
    s.settimeout(20)
    s.connect(address)
    s.sendall(b"GET %s HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n" % path.encode())
    data = b""
    piece = s.recv(4096)
    while piece:
        data += piece
        piece = s.recv(4096)
    s.close()
    head, _, body = data.partition(b"\r\n\r\n")
    if b"chunked" in head:
        whole = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            whole, body = whole + body[:int(size, 16)], body[int(size, 16) + 2:]
        body = whole
    return head, body


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("chip, irq", [
    ("w5500", 21), ("enc28j60", 21), ("w5500", -1), ("enc28j60", -1)])
def test_a_megabyte_each_way(firmware, chip, irq):
    total = 1000000 if irq >= 0 else 200000
    pins = {"cs": 17, "reset": 20, "irq": irq}
    peer = Peer()
    with Pico(firmware, chip, peer.cable, [peer], time=peer.time) as pico:
        configure(pico, {"chip": chip, "pins": pins, "address": BOARD + "/24"})
        pico.expect(b"spinet> ")
        pico.write(b"\r\x03\x01")
        pico.expect(b"raw REPL; CTRL-B to exit\r\n>")
        pico.write(b"import machine\nmachine.soft_reset()\n\x04")     # without main.py
        pico.expect(b"raw REPL; CTRL-B to exit\r\n>")
        pico.write((TRANSFER % {"total": total}).encode() + b"\x04")
        pico.expect(b"listening")
        peer.drive(pico)
        s = peer.stack.socket()
        s.settimeout(30)
        s.connect((BOARD, 5000))
        data = hashlib.sha256(b"x").digest() * (total // 32)
        began = pico.nanos
        s.sendall(data)
        s.shutdown(1)
        got = bytearray()
        piece = s.recv(8192)
        turned = pico.nanos
        while piece:
            got += piece
            piece = s.recv(8192)
        ended = pico.nanos
        s.close()
        pico.expect(hashlib.sha256(data).hexdigest().encode(), 20000)
        assert bytes(got) == bytes(k * 7 & 255 for k in range(2048)) * (total // 2048) + bytes(
            k * 7 & 255 for k in range(total % 2048))
        print("%s: %.0f KB/s in, %.0f out" % (
            chip, total * 1e6 / (turned - began), total * 1e6 / (ended - turned)))


@pytest.mark.parametrize("chip", CHIPS)
def test_the_same_input_gives_the_same_cycles(firmware, chip):
    def run():
        with board(firmware, chip) as (pico, peer):
            peer.drive(pico)
            get(peer, "/status.json")
            return pico.nanos, pico.cycles, pico.asleep

    assert run() == run()


def test_a_soft_reset_and_a_hard_one(firmware):
    with board(firmware) as (pico, peer):
        pico.write(b"\x03")
        pico.expect(b">>> ")
        pico.write(b"\x04")
        pico.expect(b"soft reboot")
        pico.expect(b"spinet at " + BOARD.encode(), 20000)
        pico.write(b"reboot\r")
        pico.until(lambda: pico.resets == 1)
        pico.expect(b"spinet at " + BOARD.encode(), 20000)
        peer.drive(pico)
        assert b" 200 " in get(peer, "/status.json")[0]


def test_what_is_set_at_the_console_is_so_after_a_reboot_and_another_image(firmware):
    with board(firmware) as (pico, peer):
        for command, answer in (("set hostname bench-7", b"hostname"),
                                ("ip 10.0.0.40/24 10.0.0.1", b"gateway 10.0.0.1"),
                                ("set services.http 8080", b"is set"),
                                ("save", b"saved in netcfg.json"), ("reboot", b"\n")):
            pico.write(command.encode() + b"\r")
            pico.expect(command.encode() + b"\r\n")
            pico.expect(answer)
        pico.until(lambda: pico.resets)
        pico.expect(b"bench-7 at 10.0.0.40/24", 20000)
        flash = pico.flash()
    peer = Peer()
    # The flash of that board, and the firmware written to it once more.
    with Pico(firmware, "w5500", peer.cable, [peer], flash=flash, time=peer.time) as pico:
        pico.expect(b"bench-7 at 10.0.0.40/24", 20000)
        peer.drive(pico)
        assert b" 200 " in get(peer, "/status.json", ("10.0.0.40", 8080))[0]
        pico.write(b"factory-reset yes\r")
        peer.pump(lambda: pico.resets, 3000)
        pico.peers.append(peer)
        pico.expect(b"spinet at " + BOARD.encode(), 20000)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_cable_is_pulled_and_put_back(firmware, chip):
    with board(firmware, chip) as (pico, peer):
        pico.chip.cable(False)
        pico.expect(b"link down", 5000)
        pico.run(3000)
        pico.chip.cable(True)
        pico.expect(b"link up", 8000)
        peer.drive(pico)
        assert b" 200 " in get(peer, "/status.json")[0]


@pytest.mark.parametrize("chip", CHIPS)
def test_on_a_silent_network_it_keeps_link_and_lease(firmware, chip):
    with board(firmware, chip) as (pico, peer):
        acks = peer.dhcp.count["ack"]
        pico.run(200000)
        assert peer.dhcp.count["ack"] == acks and b"link down" not in pico.output


def test_idle_it_sleeps_and_renews_its_lease(firmware):
    with board(firmware, lease_s=60) as (pico, peer):
        pico.run(5000)
        cycles, asleep = pico.cycles, pico.asleep
        acks = peer.dhcp.count["ack"]
        for _ in range(4):
            pico.run(60000)
        assert 7 <= peer.dhcp.count["ack"] - acks <= 10
        assert (pico.asleep - asleep) / (pico.cycles - cycles) > 0.9
        peer.drive(pico)
        assert b" 200 " in get(peer, "/status.json")[0]


def test_without_a_chip_the_console_works_and_says_so(firmware):
    with Pico(firmware, None) as pico:
        pico.expect(b"spinet> ")
        pico.run(1000)
        pico.write(b"show interfaces\r")
        pico.run(2000)
        assert b"w5500" in bytes(pico.output).lower(), pico.output
