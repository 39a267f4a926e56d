"""Background pumping on CPython: a thread keeps a stack going, sockets are used from several."""
import threading
import time

import pytest

from board import launch
from spinet import Stack, socket, threaded
from spinet.ports.datagram import Datagram
from spinet.prim import cksum


@pytest.fixture
def hosts():
    """Two stacks, 10.0.0.1 with a thread of its own and 10.0.0.2 without."""
    ports = launch.free_ports(2)
    stacks = []
    for i in range(2):
        stack = Stack()
        stack.add(Datagram(("127.0.0.1", ports[i]), ("127.0.0.1", ports[1 - i]),
                           mac=b"\2\0\0\0\0" + bytes([i + 1])), "10.0.0.%d/24" % (i + 1))
        stacks.append(stack)
    background = threaded.Threaded(stacks[0])
    yield stacks[0], stacks[1], background
    background.stop()
    for stack in stacks:
        stack.close()


def ping(stack, host, timeout=2):
    with stack.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(timeout)
        message = bytearray(b"\x08\0\0\0spinet\0\1")
        message[2:4] = (cksum(message, 0, 12) ^ 0xFFFF).to_bytes(2, "big")
        sock.sendto(message, (host, 0))
        return sock.recv(100)


def test_ping_is_answered_while_the_program_computes(hosts):
    a, b, background = hosts
    answers = []
    asker = threading.Thread(target=lambda: answers.append(ping(b, "10.0.0.1")))
    asker.start()
    end = time.monotonic() + 1
    n = 0
    while time.monotonic() < end:       # and does not call the stack
        n += 1
    asker.join(3)
    assert len(answers) == 1 and background.pumps


def test_blocking_calls_of_several_threads_do_not_wait_for_each_other(hosts):
    a, b, background = hosts
    got = {}

    def serve(port):
        with a.socket() as listener:
            listener.settimeout(10)
            listener.bind(("", port))
            listener.listen()
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(10)
                got[port] = sock.recv(100)
                sock.sendall(got[port] * 2)
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)

    threads = [threading.Thread(target=serve, args=(port,)) for port in (1001, 1002, 1003)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    for port in (1003, 1001, 1002):     # not the order in which they wait
        with b.socket() as sock:
            sock.settimeout(10)
            sock.connect(("10.0.0.1", port))
            sock.sendall(b"%d" % port)
            assert sock.recv(100) == b"%d" % port * 2
    took = time.monotonic() - began
    for thread in threads:
        thread.join(10)
    assert got == {port: b"%d" % port for port in (1001, 1002, 1003)}
    assert took < 5, took


def test_stop_takes_everything_back(hosts):
    a, b, background = hosts
    wait = a.wait
    assert socket.StreamSocket.send.__name__ == "inside"
    background.stop()
    background.stop()
    assert socket.StreamSocket.send.__name__ == "send" and a.wait is not wait
    assert not any(thread.name == "spinet" for thread in threading.enumerate())
