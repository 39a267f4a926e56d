"""`spinet.install()`: programs that import `socket` get spinet's."""
import sys

from net import Net

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
