"""MicroPython's WebREPL over spinet on an emulated Pico, with its own client (given.py)."""
import contextlib
import importlib.util
import sys

import pytest
from given import given
from pico.device import configure
from pico.emulator import Pico
from pico.peer import Peer

import spinet

BOARD = "10.0.0.15"
# What a boot.py has that wants WebREPL on a board with spinet.
START = """
import spinet, sys
from app import board, config
nic = board.bring_up(config.load())
nic.background()
spinet.install(nic.stack)
import webrepl
webrepl.start(password="secret")
"""


@pytest.fixture(params=("w5500", "enc28j60"))
def repl(request, firmware):
    """(the Pico, its peer) with WebREPL started."""
    source = given("webrepl.py").read_text()
    peer = Peer()
    with Pico(firmware, request.param, peer.cable, [peer], time=peer.time) as pico:
        configure(pico, {"chip": request.param, "address": BOARD + "/24"})
        pico.expect(b"spinet> ")
        pico.write(b"\r\x03\x01")
        pico.expect(b"raw REPL; CTRL-B to exit\r\n>")
        pico.write(b"import machine\nmachine.soft_reset()\n\x04")     # without main.py
        pico.expect(b"raw REPL; CTRL-B to exit\r\n>")
        pico.write(b"\x02")
        pico.expect(b">>> ")
        pico.exec("with open('webrepl.py', 'w') as f: f.write(%r)" % source)
        assert "WebREPL server started on http://%s:8266/" % BOARD in pico.exec(START)
        peer.drive(pico)
        yield pico, peer


@pytest.fixture
def client(repl, monkeypatch):
    """webrepl_cli.py as a module, over the peer's stack."""
    monkeypatch.syspath_prepend(given("websocket_helper.py").parent)
    monkeypatch.setattr("getpass.getpass", lambda: "secret")
    spinet.install(repl[1].stack)
    try:
        spec = importlib.util.spec_from_file_location("webrepl_cli", given("webrepl_cli.py"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        spinet.uninstall()


def copy(client, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["webrepl_cli.py", *map(str, arguments)])
    client.main()


def test_files_there_and_back(repl, client, monkeypatch, tmp_path):
    data = bytes(range(256)) * 80
    (tmp_path / "data").write_bytes(data)
    copy(client, monkeypatch, tmp_path / "data", BOARD + ":/data")
    copy(client, monkeypatch, BOARD + ":/data", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_a_prompt(repl, client):
    pico, peer = repl

    def login(password):
        sock = peer.stack.socket()
        sock.settimeout(20)
        sock.connect((BOARD, 8266))
        client.websocket_helper.client_handshake(sock)
        client.login(client.websocket(sock), password)
        return sock

    def until(sock, what):
        got = b""
        while what not in got:
            part = sock.recv(1000)
            assert part, got
            got += part
        return got

    with contextlib.closing(login("guess")) as sock:
        assert b"Access denied" in until(sock, b"denied")
    with contextlib.closing(login("secret")) as sock:
        until(sock, b">>> ")
        sock.sendall(b"\x81\x09n = 6*7\r\n")
        sock.sendall(b"\x81\x08print(n)\x81\x02\r\n")
        until(sock, b"42")
        # There is one prompt, and it has the one that was there first.
        with contextlib.closing(peer.stack.socket()) as other:
            other.settimeout(20)
            other.connect((BOARD, 8266))
            client.websocket_helper.client_handshake(other)
            assert other.recv(100) == b""
        sock.sendall(b"\x81\x09print(-n)\x81\x02\r\n")
        until(sock, b"-42")
    assert pico.exec("print(n)") == "42\n"
