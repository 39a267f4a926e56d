"""Ports that lead elsewhere: of the host to a board, and of the gateway's address to any host.

    tcp:8080:80                     port 8080 of the host to port 80 of the first board
    udp:7007:10.0.2.16:7            and to another board
    out:tcp:1883:192.168.1.5:1883   port 1883 of the gateway to a host; a board will do as well

They can be added and removed while the gateway runs, and a file of them be followed.
"""
import collections
import os
import selectors
import socket

from spinet import addr

Forward = collections.namedtuple("Forward", "protocol host_port board_address board_port")
Forward.__doc__ = "A port of the host (0: a free one) that leads to the board's; tcp or udp."
Outward = collections.namedtuple("Outward", "protocol gateway_port host host_port")
Outward.__doc__ = "A port of the gateway's address that leads to a host's; tcp or udp."


def parse_forward(text, board="10.0.2.15"):
    """A Forward or Outward from text, as above.  ValueError if it is neither."""
    parts = text.strip().split(":")
    out = parts[0] == "out"
    if out:
        del parts[0]
    elif len(parts) == 3:
        parts.insert(2, board)
    if len(parts) != 4 or parts[0] not in ("tcp", "udp"):
        raise ValueError("%r is not tcp|udp:HOSTPORT:[BOARD:]PORT or out:tcp|udp:PORT:HOST:PORT"
                         % text)
    ports = int(parts[1]), int(parts[3])
    if not (out <= ports[0] < 65536 and 0 < ports[1] < 65536):
        raise ValueError("%r: a port is 1 to 65535" % text)
    if not out:
        addr.parse(parts[2])
        return Forward(parts[0], ports[0], parts[2], ports[1])
    try:
        return Outward(parts[0], ports[0], socket.gethostbyname(parts[2]), ports[1])
    except (OSError, UnicodeError) as error:
        raise ValueError("%r: %s" % (text, error)) from None


class Forwards:
    """The forwards of one gateway; its methods are for the gateway's own thread.

    `opened` is a list of Forward, in which host port 0 is the real one.
    """

    def __init__(self, gateway, bind):
        self.gateway = gateway
        self.bind = bind
        self.opened = []
        self.listeners = {}     # Forward: its socket
        self.outward = {}       # (protocol, port of the gateway): (host, port)
        self.inner = {}         # Outward to a board: the Forward by which it gets there

    def add(self, forward):
        """Start a forward; returns it with the port that the host gave.  OSError if taken."""
        if isinstance(forward, Outward):
            return self.add_outward(forward)
        return self.listen(forward, self.bind)

    def listen(self, forward, bind):
        kind = socket.SOCK_STREAM if forward.protocol == "tcp" else socket.SOCK_DGRAM
        sock = socket.socket(socket.AF_INET, kind)
        try:
            # On Windows the option would let two programs have the port.
            if forward.protocol == "tcp" and os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((bind, forward.host_port))
            sock.setblocking(False)
            if forward.protocol == "tcp":
                sock.listen(64)
        except OSError:
            sock.close()
            raise
        gateway = self.gateway
        action = gateway.accept_host if forward.protocol == "tcp" else gateway.udp.from_host
        forward = forward._replace(host_port=sock.getsockname()[1])
        self.listeners[forward] = sock
        self.opened.append(forward)
        gateway.selector.register(
            sock, selectors.EVENT_READ, lambda listener: action(listener, forward))
        return forward

    def add_outward(self, forward):
        gateway = self.gateway
        key = forward.protocol, forward.gateway_port
        if key in self.outward or forward.gateway_port == 53:
            raise OSError(98, "port %d of the gateway is in use" % forward.gateway_port)
        target = forward.host, forward.host_port
        if gateway.is_inside(addr.parse(forward.host)):
            # To a board: by a port of the host, as any program of the host would.
            inner = self.listen(Forward(forward.protocol, 0, *target), "127.0.0.1")
            self.inner[forward] = inner
            target = "127.0.0.1", inner.host_port
        self.outward[key] = target
        return forward

    def remove(self, forward):
        """End a forward, as `add` returned it; connections that are open stay.  KeyError if it is
        none."""
        if isinstance(forward, Outward):
            del self.outward[forward.protocol, forward.gateway_port]
            if forward not in self.inner:
                return
            forward = self.inner.pop(forward)
        sock = self.listeners.pop(forward)
        self.opened.remove(forward)
        self.gateway.selector.unregister(sock)
        self.gateway.udp.forget(sock)
        sock.close()

    def close(self):
        """End all."""
        for sock in self.listeners.values():
            sock.close()
        self.listeners.clear()


class Follower:
    """Keeps the forwards of `gateway` as the lines of a file say; `#` begins a comment."""

    def __init__(self, gateway, path, say):
        self.gateway = gateway
        self.path = path
        self.say = say
        self.seen = None
        self.active = {}        # line: the forward

    def look(self):
        """Do what has changed in the file; from any thread but the gateway's."""
        try:
            status = os.stat(self.path)
            seen = status.st_mtime_ns, status.st_size
            if seen == self.seen:
                return
            with open(self.path, encoding="utf-8", errors="replace") as file:
                lines = [line.partition("#")[0].strip() for line in file]
        except OSError:
            if self.seen is None:
                return
            seen = None
            lines = []
        self.seen = seen
        for line in [line for line in self.active if line not in lines]:
            self.gateway.remove_forward(self.active.pop(line))
            self.say("forward %s ended" % line)
        for line in lines:
            if not line or line in self.active:
                continue
            try:
                forward = self.active[line] = self.gateway.add_forward(parse_forward(line))
                self.say("forward %s: port %d" % (line, forward[1]))
            except (ValueError, OSError) as error:
                self.say("forward %s: %s" % (line, error))
