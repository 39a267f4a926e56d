"""`spinet.install()`: programs that import `socket` get spinet's."""
import sys

from kit import raises
from net import End, Net

import spinet

MICROPYTHON = sys.implementation.name == "micropython"
PROGRAM = """
import socket
def fetch(host):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(5)
    s.connect(socket.getaddrinfo(host, 80)[0][-1])
    s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    f = s.makefile("rb")
    first = f.readline()
    rest = f.read()
    f.close()
    s.close()
    return first, rest
"""


def test_a_program_uses_the_stack_without_knowing():
    before = sys.modules.get("socket")
    net = Net()
    server = net.b.socket()
    server.bind(("", 80))
    server.listen(1)
    answered = []

    def answer(stack=net.b):
        if server.listener.queue:
            conn = server.accept()[0]
            conn.setblocking(False)
            answered.append(conn)
        for conn in list(answered):
            data = conn.read(4096)
            if data:
                conn.write(b"HTTP/1.0 200 OK\r\nbody")
                conn.close()
                answered.remove(conn)

    def wait(ms):
        answer()
        net.step(ms)

    net.a.wait = wait
    spinet.install(net.a)
    try:
        names = {}
        exec(PROGRAM, names)
        assert names["fetch"]("10.0.0.2") == (b"HTTP/1.0 200 OK\r\n", b"body")
        assert not net.a.tcp.all() or net.a.tcp.all()[0].state != 4
    finally:
        spinet.uninstall()
        spinet.use(None)
    assert sys.modules.get("socket") is before
    spinet.uninstall()


def test_network_is_there_where_firmware_has_none():
    spinet.install()
    try:
        if MICROPYTHON:
            import network
            import usocket

            assert hasattr(network, "LAN") and usocket.socket is spinet.socket.socket
        else:
            import socket

            assert socket.AF_INET6 and socket.socketpair and not socket.has_ipv6
            assert isinstance(socket.gaierror(), OSError)
    finally:
        spinet.uninstall()


def test_wlan_tells_of_the_wire():
    from spinet import network

    net = Net()
    before = spinet.socket._stack
    spinet.use(net.a)
    try:
        sta = network.WLAN(network.STA_IF)
        sta.active(True)
        sta.config(pm=0xA11140, hostname="wired")
        sta.connect("a network", "its password")
        assert sta.active() and sta.isconnected() and sta.status() == network.STAT_GOT_IP
        assert sta.ifconfig() == ("10.0.0.1", "255.255.255.0", "0.0.0.0", "0.0.0.0")
        assert sta.config("mac") == bytes(net.ends[0].mac)
        assert sta.config("hostname") == network.hostname() == "wired"
        sta.disconnect()
        sta.active(False)
        assert sta.isconnected() and not sta.scan()
        net.ends[0].link = lambda: False
        assert not sta.isconnected() and sta.status() == network.STAT_NO_LINK
        del net.ends[0].link
        net.a.interfaces[1].set_ipv4("0.0.0.0")
        assert not sta.isconnected() and sta.status() == network.STAT_CONNECTING
    finally:
        network.hostname("spinet")
        spinet.use(before)


def test_wlan_is_not_connected_while_the_lan_is_off():
    from spinet import network

    before = spinet.socket._stack
    port = End(b"\x02\0\0\0\0\x01")
    port.send_to = lambda frame: None
    nic = network.LAN(port)
    spinet.use(nic.stack)
    try:
        nic.ifconfig(("10.0.0.9", "255.255.255.0", "10.0.0.1", "10.0.0.2"))
        sta = network.WLAN()
        assert not sta.isconnected()
        nic.active(True)
        assert sta.isconnected() and sta.ifconfig() == nic.ifconfig()
        assert sta.ifconfig()[2:] == ("10.0.0.1", "10.0.0.2")
        nic.active(False)
        assert not sta.isconnected()
    finally:
        nic.deinit()
        spinet.use(before)


def test_wlan_is_no_radio():
    from spinet import network

    net = Net()
    before = spinet.socket._stack
    spinet.use(net.a)
    try:
        ap = network.WLAN(network.AP_IF)
        assert not ap.active() and not ap.isconnected()
        assert ap.ifconfig() == ("0.0.0.0",) * 4
        ap.active(False)
        raises(OSError, ap.active, True)
        raises(OSError, network.WLAN().ifconfig, ("10.0.0.5", "255.0.0.0", "0.0.0.0", "0.0.0.0"))
        assert network.WLAN().ifconfig()[0] == "10.0.0.1"
    finally:
        spinet.use(before)
