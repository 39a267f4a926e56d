"""A network for a virtual board, on any host, without root.

The board's link ends here in a stack of our own at 10.0.2.2.  It answers ARP
and ping for that address, and gives out 10.0.2.15 and following by DHCP.  The
TCP connections and UDP datagrams that the board sends out, to whatever address,
are carried by ordinary sockets of the host; chosen ports of the host lead to
ports of the board.  10.0.2.2 itself stands for the host: what the board sends
there goes to 127.0.0.1.

A connection of the board opens when the real one has (`door.py`).  Flow
control is end to end: each direction of a TCP connection has one buffer
here, and while it is full its source is not read, so the window towards the
sender closes.  End of stream and reset are carried over as what they are.

    from gateway import Forward, Gateway
    gateway = Gateway(port, forwards=[Forward("tcp", 8080, "10.0.2.15", 80)])
    gateway.run()           # until gateway.stop(), from any thread

    python3 tools/gateway.py --listen 127.0.0.1:5501 --peer 127.0.0.1:5500 --forward tcp:8080:80
"""
import argparse
import collections
import selectors
import signal
import socket
import time

from door import Door
from relay import RESET, Relay
from spinet import Stack, addr
from spinet.dhcpd import Dhcpd

UDP_FLOWS = 256             # at most; the one used longest ago makes room
UDP_IDLE_S = 60
LEASES = 15, 31             # the last bytes of the first and the last address given out

Forward = collections.namedtuple("Forward", "protocol host_port board_address board_port")
Forward.__doc__ = "A port of the host (0: a free one) that leads to the board's; tcp or udp."


def parse_forward(text, board="10.0.2.15"):
    """`tcp:8080:80` or `udp:7007:10.0.2.15:7` as a Forward.  ValueError if it is neither."""
    parts = text.split(":")
    if len(parts) == 3:
        parts.insert(2, board)
    if len(parts) != 4 or parts[0] not in ("tcp", "udp"):
        raise ValueError("%r is not tcp|udp:HOSTPORT:[BOARD:]PORT" % text)
    addr.parse(parts[2])
    return Forward(parts[0], int(parts[1]), parts[2], int(parts[3]))


class Flow:
    """UDP between one port of the board and one address outside, over a kernel socket."""

    def __init__(self, key, sock, peer=None):
        self.key = key              # (board address, board port, outside address, outside port)
        self.sock = sock
        self.peer = peer            # who on the host began it; None: the board did
        self.used = 0.0

    def send(self, data):
        """A datagram towards the outside."""
        if self.peer is None:
            self.sock.send(data)
        else:
            self.sock.sendto(data, self.peer)


class OwnEcho:
    """ICMP of a gateway: it takes every address, but a ping only for its own."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.icmp = gateway.stack.icmp
        self.error = self.icmp.error

    def input(self, ip, buf, h, s, end):
        """A message `buf[s:end]` whose IPv4 header begins at `buf[h]`."""
        if buf[s] == 8 and not ip.is_own(buf, h + 16):
            self.gateway.count["ping_elsewhere"] += 1
        else:
            self.icmp.input(ip, buf, h, s, end)


class Gateway:
    """The gateway on `port`, with the given address and forwards; see the module's text.

    `forwards` are opened at once: OSError (EADDRINUSE) if a port is taken.  `opened`
    is a list of Forward in which host port 0 is the real one.  `count` counts.
    """

    def __init__(self, port, address="10.0.2.2/24", forwards=(), bind="127.0.0.1"):
        self.port = port
        self.stack = Stack()
        self.ip = self.stack.add(port, address=address)
        self.ip.transparent = True
        self.own = addr.parse_cidr(address)[0]
        first, last = (addr.fmt(self.own[:3] + bytes([n])) for n in LEASES)
        self.dhcp = Dhcpd(self.ip, first, last, router=addr.fmt(self.own),
                          dns=nameservers() or [addr.fmt(self.own)], ping_ms=0)
        self.bind = bind
        self.selector = selectors.DefaultSelector()
        self.relays = set()
        self.flows = collections.OrderedDict()      # the one used longest ago first
        self.forwarded = {}     # (listener, host peer): its flow
        self.opened = []
        self.listeners = []
        self.next_port = 49152
        self.running = False
        self.count = dict.fromkeys((
            "tcp_out", "tcp_in", "refused", "reset", "bytes_in", "bytes_out",
            "udp_out", "udp_in", "udp_flows", "udp_expired", "udp_evicted", "udp_dropped",
            "ping_elsewhere"), 0)
        self.stack.protocols[1] = OwnEcho(self)
        self.stack.protocols[6] = self.door = Door(self)

        self.stack.tcp.catch_all = True
        self.any = self.stack.tcp.listen(None, 0, 64)
        self.any_udp = self.stack.udp.bind_any(1 << 18)
        self.datagram = bytearray(65536)
        self.view = memoryview(self.datagram)

        self.wake_up, self.wake = socket.socketpair()
        self.wake.setblocking(False)
        self.selector.register(port.fileno(), selectors.EVENT_READ, None)
        self.selector.register(self.wake, selectors.EVENT_READ, self.woken)
        try:
            for forward in forwards:
                self.open(forward)
        except OSError:
            self.close()
            raise

    # The loop.

    def run(self):
        """Serve until `stop()` is called, from this thread or another."""
        self.running = True
        while self.running:
            self.step()

    def stop(self):
        """End `run()`.  Thread-safe."""
        self.running = False
        try:
            self.wake_up.send(b"x")
        except OSError:
            pass

    def woken(self, _):
        self.wake.recv(100)

    def step(self, longest_ms=1000):
        """Do what is due, then wait for the next event, at most `longest_ms`."""
        wait_ms = min(self.stack.poll(), longest_ms)
        busy = self.accept()
        for relay in list(self.relays):
            if relay.move():
                busy = True
        if self.udp_from_board():
            busy = True
        self.expire()
        if self.door.connected:
            self.door.sweep()
        events = self.selector.select(0 if busy else wait_ms / 1000)
        # What the events lead to arms timers, and it may be long since the stack saw the clock.
        self.stack.timers.now = self.stack.clock()
        for key, _ in events:
            if key.data:
                key.data(key.fileobj)

    def watch(self, sock, before, events, action):
        """Change what a kernel socket is watched for, from `before` to `events`."""
        if not before and events:
            self.selector.register(sock, events, action)
        elif before and events:
            self.selector.modify(sock, events, action)
        elif before:
            self.selector.unregister(sock)

    def close(self):
        """Close everything, the port too.  Idempotent."""
        if self.selector is None:
            return
        for relay in list(self.relays):
            relay.abort()
        self.door.close()
        for flow in self.flows.values():
            flow.sock.close()
        for sock in self.listeners:
            sock.close()
        self.stack.poll()       # the last resets leave
        self.stack.close()
        self.port.close()
        self.wake.close()
        self.wake_up.close()
        self.selector.close()
        self.selector = None

    # TCP.

    def accept(self):
        """Take the board's new connections; True if there was one."""
        took = False
        inner = self.any.accept()
        while inner is not None:
            took = True
            outer = self.door.take(inner)
            if outer is None:
                inner.abort()
            else:
                self.relays.add(Relay(self, outer, inner, False))
            inner = self.any.accept()
        return took

    def carried_in(self, n):
        self.count["bytes_in"] += n

    def carried_out(self, n):
        self.count["bytes_out"] += n

    @staticmethod
    def host_socket(kind):
        sock = socket.socket(socket.AF_INET, kind)
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def open(self, forward):
        """Start one forward; returns it with the port that the host gave."""
        kind = socket.SOCK_STREAM if forward.protocol == "tcp" else socket.SOCK_DGRAM
        sock = socket.socket(socket.AF_INET, kind)
        try:
            if forward.protocol == "tcp":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.bind, forward.host_port))
            sock.setblocking(False)
            if forward.protocol == "tcp":
                sock.listen(64)
        except OSError:
            sock.close()
            raise
        action = self.accept_host if forward.protocol == "tcp" else self.udp_from_host
        forward = forward._replace(host_port=sock.getsockname()[1])
        self.listeners.append(sock)
        self.opened.append(forward)
        self.selector.register(
            sock, selectors.EVENT_READ, lambda listener: action(listener, forward))
        return forward

    def accept_host(self, listener, forward):
        """A client of the host asks for a port of the board."""
        try:
            outer, _ = listener.accept()
        except OSError:
            return
        outer.setblocking(False)
        outer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.count["tcp_in"] += 1
        try:
            inner = self.stack.tcp.connect(
                addr.parse(forward.board_address), forward.board_port)
        except OSError:
            self.count["refused"] += 1
            outer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            outer.close()
            return
        self.relays.add(Relay(self, outer, inner, True))

    def outside(self, address):
        """The host's text address that stands behind the 4 bytes that the board used."""
        return "127.0.0.1" if address == self.own else addr.fmt(address)

    # UDP.

    def udp_from_board(self):
        """Carry datagrams of the board to the outside; True if there was one."""
        end = self.any_udp
        took = False
        for _ in range(64):
            n = end.recv_into(self.datagram, 0, len(self.datagram))
            if n < 0:
                break
            took = True
            key = (bytes(end.peer), end.peer_port, bytes(end.local), end.local_port)
            flow = self.flows.get(key) or self.new_flow(key)
            if flow:
                self.used(flow)
                try:
                    flow.send(self.view[:n])
                    self.count["udp_out"] += 1
                except OSError:     # full, or refused by the far end
                    self.count["udp_dropped"] += 1
        return took

    def new_flow(self, key):
        """A flow for the first datagram from the board to an address outside."""
        sock = self.host_socket(socket.SOCK_DGRAM)
        try:
            sock.connect((self.outside(key[2]), key[3]))
        except OSError:
            sock.close()
            self.count["udp_dropped"] += 1
            return None
        flow = self.add_flow(Flow(key, sock))
        self.selector.register(sock, selectors.EVENT_READ, lambda _: self.udp_reply(flow))
        return flow

    def add_flow(self, flow):
        if len(self.flows) >= UDP_FLOWS:
            self.drop_flow(next(iter(self.flows.values())))
            self.count["udp_evicted"] += 1
        self.flows[flow.key] = flow
        if flow.peer is not None:
            self.forwarded[flow.sock, flow.peer] = flow
        self.count["udp_flows"] += 1
        return flow

    def used(self, flow):
        flow.used = time.monotonic()
        self.flows.move_to_end(flow.key)

    def drop_flow(self, flow):
        del self.flows[flow.key]
        if flow.peer is not None:
            del self.forwarded[flow.sock, flow.peer]
        else:
            self.selector.unregister(flow.sock)
            flow.sock.close()

    def expire(self):
        """Drop the flows that were idle too long."""
        now = time.monotonic()
        while self.flows:
            flow = next(iter(self.flows.values()))
            if now - flow.used < UDP_IDLE_S:
                return
            self.drop_flow(flow)
            self.count["udp_expired"] += 1

    def udp_reply(self, flow):
        """Datagrams from the outside for a flow that the board began."""
        for _ in range(64):
            try:
                n = flow.sock.recv_into(self.datagram)
            except BlockingIOError:
                return
            except OSError:         # the far end refused an earlier one
                self.count["udp_dropped"] += 1
                return
            self.used(flow)
            self.to_board(flow, n)

    def udp_from_host(self, sock, forward):
        """Datagrams of the host for a forwarded port: each of its senders is a flow."""
        board = addr.parse(forward.board_address)
        for _ in range(64):
            try:
                n, peer = sock.recvfrom_into(self.datagram)
            except OSError:
                return
            flow = self.forwarded.get((sock, peer))
            if flow is None:
                key = (board, forward.board_port, self.own, self.free_port())
                flow = self.add_flow(Flow(key, sock, peer))
            self.used(flow)
            self.to_board(flow, n)

    def free_port(self):
        """The next source port for a forwarded flow: far apart in time from its last use."""
        self.next_port = 49152 if self.next_port >= 65535 else self.next_port + 1
        return self.next_port

    def to_board(self, flow, n):
        board, board_port, remote, remote_port = flow.key
        try:
            self.any_udp.send_as(remote, remote_port, board, board_port, self.datagram, 0, n)
            self.count["udp_in"] += 1
        except OSError:
            self.count["udp_dropped"] += 1


def nameservers(path="/etc/resolv.conf"):
    """The host's servers of names that a board can reach through the gateway too."""
    found = []
    try:
        with open(path) as file:
            for line in file:
                words = line.split()
                if len(words) >= 2 and words[0] == "nameserver" and ":" not in words[1] and (
                        not words[1].startswith("127.")):
                    found.append(words[1])
    except OSError:
        pass
    return found


def endpoint(text):
    """`127.0.0.1:5500` as (host, port)."""
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def main():
    """The command line."""
    from spinet.ports.datagram import Datagram

    parser = argparse.ArgumentParser(description="A network for a virtual board, without root.")
    add = parser.add_argument
    add("--listen", type=endpoint, default=("127.0.0.1", 5501), metavar="HOST:PORT",
        help="our end of the link (default 127.0.0.1:5501)")
    add("--peer", type=endpoint, default=("127.0.0.1", 5500), metavar="HOST:PORT",
        help="the board's end (default 127.0.0.1:5500)")
    add("--address", default="10.0.2.2/24", help="the gateway's own (default 10.0.2.2/24)")
    add("--forward", action="append", type=parse_forward, default=[],
        metavar="tcp|udp:HOSTPORT:[BOARD:]PORT", help="lead a port of this host to the board")
    add("--bind", default="127.0.0.1", help="host address of forwards (default 127.0.0.1)")
    add("--pcap", metavar="FILE", help="record every frame")
    args = parser.parse_args()
    link = Datagram(local=args.listen, remote=args.peer)
    gateway = Gateway(link, args.address, args.forward, args.bind)
    if args.pcap:
        gateway.stack.capture(gateway.ip, open(args.pcap, "wb"))
    signal.signal(signal.SIGTERM, lambda *_: gateway.stop())
    signal.signal(signal.SIGINT, lambda *_: gateway.stop())
    for forward in gateway.opened:
        print("%s %s:%d -> %s:%d" % (forward.protocol, args.bind, *forward[1:]), flush=True)
    gateway.run()
    gateway.close()


if __name__ == "__main__":
    main()
