"""Where the rows of `test_conformance.py` are played: spinet's sockets, and the runtime's own.

Both worlds have the same methods; what a runtime's own sockets lack is left out by `needs`.
"""
import gc
import select
import sys
import time

from net import Net

from spinet.errors import EAGAIN, ETIMEDOUT

MICROPYTHON = sys.implementation.name == "micropython"
IN, OUT, ERR, HUP, NVAL = 1, 4, 8, 16, 32
ALL = IN | OUT | ERR | HUP


class Missing(Exception):
    """This world's sockets cannot do what the row is about."""


class Spinet:
    """Two hosts on a cable, in virtual time."""

    name = "spinet"
    ours = True
    host = "10.0.0.2"           # where servers are
    client_host = "10.0.0.1"
    elsewhere = "192.0.2.1"     # an address that is not the host's
    late = ETIMEDOUT            # the error of a time-out
    much = 20000                # more than all buffers take

    def __init__(self):
        from spinet import socket

        self.module = socket
        self.net = Net()
        self.stream = socket.SOCK_STREAM
        self.datagram = socket.SOCK_DGRAM

    def socket(self, kind=None, server=False):
        return (self.net.b if server else self.net.a).socket(kind or self.stream)

    def address(self, port, host=None):
        return host or self.host, port

    def settle(self):
        """Let what was sent arrive."""
        self.net.run(20)

    def ms(self):
        return self.net.elapsed

    def poll(self, sock, asked=ALL):
        """The flags that `select.poll` reports of `sock`."""
        if not MICROPYTHON:
            return sock.ioctl(3, asked)
        poller = select.poll()
        poller.register(sock, asked)
        found = poller.poll(0)
        return found[0][1] if found else 0

    def needs(self, *names):
        """What a row uses beyond what every world has."""

    def close(self):
        pass


class BuiltIn:
    """The runtime's own sockets, over its loopback interface."""

    name = "built-in"
    ours = False
    host = client_host = "127.0.0.1"
    elsewhere = "192.0.2.1"
    late = EAGAIN if MICROPYTHON else ETIMEDOUT     # of `recv` and `send`, by the unix port
    much = 8000000

    def __init__(self):
        import socket

        self.module = socket
        self.stream = socket.SOCK_STREAM
        self.datagram = socket.SOCK_DGRAM
        self.made = []

    def socket(self, kind=None, server=False):
        sock = self.module.socket(self.module.AF_INET, kind or self.stream)
        self.made.append(sock)
        return sock

    def address(self, port, host=None):
        # MicroPython's unix port takes addresses as `getaddrinfo` makes them only.
        return self.module.getaddrinfo(host or self.host, port)[0][-1]

    def settle(self):
        time.sleep(0.02)

    def ms(self):
        return int(time.time() * 1000)

    def poll(self, sock, asked=ALL):
        poller = select.poll()
        poller.register(sock, asked)
        found = poller.poll(0)
        return found[0][1] if found else 0

    def needs(self, *names):
        for name in names:
            if not hasattr(self.module.socket, name) and not hasattr(self.module, name):
                raise Missing(name)

    def close(self):
        for sock in self.made:
            sock.close()


def kit_of(world):
    """Methods made of the others, for either world."""
    world.number = getattr(world, "number", 0)

    def listener(backlog=1):
        """A listening socket, and its address."""
        for port in range(20000 + world.number, 20100):
            world.number += 1
            sock = world.socket(server=True)
            sock.setsockopt(world.module.SOL_SOCKET, world.module.SO_REUSEADDR, 1)
            try:
                sock.bind(world.address(port))
            except OSError:
                sock.close()
                continue
            sock.listen(backlog)
            return sock, world.address(port)
        raise AssertionError("no free port")

    def pair():
        """A connected client and server's socket, both waiting at most a second."""
        server, address = listener()
        client = world.socket()
        client.connect(address)
        accepted = server.accept()[0]
        server.close()
        for sock in (client, accepted):
            sock.settimeout(1)
            if not world.ours:
                world.made.append(sock)
        return client, accepted

    def fill(sock):
        """Send without waiting until no more is taken, nor will be."""
        sock.setblocking(False)
        part = b"x" * 4000
        refused = 0
        while refused < 5:      # acknowledgements may be late
            if error(sock.send, part):
                refused += 1
                world.settle()
            else:
                refused = 0

    def forget(socks):
        """Keep none of these for `close`."""
        if not world.ours:
            world.made = [sock for sock in world.made if sock not in socks]

    def collect():
        """Collect garbage, and let what comes of it arrive."""
        gc.collect()
        world.settle()

    world.forget = forget
    world.collect = collect
    world.listener = listener
    world.pair = pair
    world.fill = fill
    return world


def error(call, *args):
    """The number of the OSError that a call raises; 0 if it raises none."""
    try:
        call(*args)
    except OSError as e:
        # A time-out of CPython's has no number.
        return e.errno or ETIMEDOUT
    return 0


def row(play):
    """A test of one row of the table, in each world there is."""
    def test():
        play(kit_of(Spinet()))
        try:
            built_in = BuiltIn()
        except ImportError:
            return
        try:
            play(kit_of(built_in))
        except Missing:
            pass
        finally:
            built_in.close()

    return test


def row_of_spinet(play):
    """A test of a row in which the runtimes' own sockets differ, or cannot be brought to it."""
    def test():
        play(kit_of(Spinet()))

    return test


