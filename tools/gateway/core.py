"""The gateway: a stack of our own at 10.0.2.2 at which the boards' links end, and its loop.

It answers ARP and ping for that address, and gives out 10.0.2.15 and following by DHCP.  The
TCP connections, UDP datagrams and pings that a board sends out, to whatever address, are carried
by ordinary sockets of the host; chosen ports of the host lead to ports of a board.  10.0.2.2
itself stands for the host: what a board sends there goes to 127.0.0.1, but for port 53, where
names are answered for.

Flow control is end to end: each direction of a TCP connection has one buffer here, and while it
is full its source is not read, so the window towards the sender closes.  End of stream and reset
are carried over as what they are.
"""
import concurrent.futures
import queue
import selectors
import socket
import threading

from spinet import Stack, addr
from spinet.dhcpd import Dhcpd

from gateway.door import Door
from gateway.flows import Flows
from gateway.forwards import Forwards, parse_forward
from gateway.nameserver import DOMAIN, Nameserver
from gateway.ping import Pings
from gateway.relay import RESET, Relay

LEASES = 15, 31             # the last bytes of the first and the last address given out
SOON_MS = 100               # between two looks at what waits for the host's answer


class Gateway:
    """The gateway on `port`, with the given address and forwards; see the module's text.

    `forwards` are opened at once: OSError (EADDRINUSE) if a port is taken.  `opened`
    is a list of Forward in which host port 0 is the real one.  `count` counts.
    `servers` are the host's servers of names, (address, port) each; None: those it has, none:
    only what its own resolver knows.  `addresses` {host name or MAC: address} are kept for these.
    """

    def __init__(self, port, address="10.0.2.2/24", forwards=(), bind="127.0.0.1", servers=None,
                 addresses=None):
        self.port = port
        self.stack = Stack()
        self.ip = self.stack.add(port, address=address)
        self.ip.transparent = True
        self.own = addr.parse_cidr(address)[0]
        self.broadcast = self.ip.addresses[0].broadcast
        first, last = (addr.fmt(self.own[:3] + bytes([n])) for n in LEASES)
        self.dhcp = Dhcpd(self.ip, first, last, router=addr.fmt(self.own), domain=DOMAIN,
                          dns=[addr.fmt(self.own)], ping_ms=0, reservations=addresses)
        self.selector = selectors.DefaultSelector()
        self.relays = set()
        self.running = False
        self.calls = queue.SimpleQueue()
        self.thread = None
        self.count = dict.fromkeys((
            "tcp_out", "tcp_in", "refused", "reset", "bytes_in", "bytes_out",
            "udp_out", "udp_in", "udp_flows", "udp_expired", "udp_evicted", "udp_dropped",
            "udp_group", "ping_out", "ping_in", "ping_refused", "ping_dropped", "ping_expired",
            "icmp_errors", "dns", "dns_own", "dns_asked", "dns_failed", "dns_malformed",
            "dns_busy"), 0)
        self.stack.tcp.catch_all = True
        self.any = self.stack.tcp.listen(None, 0, 64)
        self.udp = Flows(self)
        self.pings = Pings(self)
        self.door = Door(self)
        self.stack.protocols[1] = self.pings
        self.stack.protocols[6] = self.door
        self.stack.protocols[17] = self.udp
        self.names = Nameserver(self, servers)
        self.forwards = Forwards(self, bind)
        self.opened = self.forwards.opened

        self.wake_up, self.wake = socket.socketpair()
        self.wake.setblocking(False)
        for number in port.filenos() if hasattr(port, "filenos") else [port.fileno()]:
            self.selector.register(number, selectors.EVENT_READ, None)
        self.selector.register(self.wake, selectors.EVENT_READ, self.woken)
        try:
            for forward in forwards:
                self.forwards.add(forward)
        except OSError:
            self.close()
            raise

    # The loop.

    def run(self):
        """Serve until `stop()` is called, from this thread or another."""
        self.thread = threading.current_thread()
        self.running = True
        while self.running:
            self.step()
        self.thread = None
        self.call_all()         # nobody waits for a loop that has ended

    def stop(self):
        """End `run()`.  Thread-safe."""
        self.running = False
        self.poke()

    def poke(self):
        """Have the loop look around.  Thread-safe."""
        try:
            self.wake_up.send(b"x")
        except OSError:         # full: it will; or closed
            pass

    def woken(self, _):
        self.wake.recv(100)
        self.call_all()

    def call_all(self):
        while not self.calls.empty():
            self.calls.get()()

    def call(self, action):
        """Run `action()` in the gateway's own thread; its result, or what it raised.  Thread-safe.
        """
        if self.thread in (None, threading.current_thread()):
            return action()
        done = concurrent.futures.Future()

        def run():
            try:
                done.set_result(action())
            except Exception as error:
                done.set_exception(error)

        self.calls.put(run)
        self.poke()
        return done.result(10)

    def add_forward(self, forward):
        """Add a Forward or Outward, or one in text, while the gateway runs; returns it with the
        port it got.  OSError if that is taken.  Thread-safe."""
        if isinstance(forward, str):
            forward = parse_forward(forward)
        return self.call(lambda: self.forwards.add(forward))

    def remove_forward(self, forward):
        """End a forward that `add_forward` returned, or one of `opened`.  Thread-safe."""
        self.call(lambda: self.forwards.remove(forward))

    def step(self, longest_ms=1000):
        """Do what is due, then wait for the next event, at most `longest_ms`."""
        wait_ms = min(self.stack.poll(), longest_ms)
        busy = self.accept()
        for relay in list(self.relays):
            if relay.move():
                busy = True
        if self.udp.from_board():
            busy = True
        if self.names.accept():
            busy = True
        self.udp.expire()
        self.pings.expire()
        if self.names.expire():
            wait_ms = min(wait_ms, SOON_MS)
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
        self.names.close()
        self.pings.close()
        self.udp.close()
        self.forwards.close()
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
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock

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

    # Where things are.

    def outside(self, address, port=0, protocol="icmp"):
        """Where on the host's side that is what the board calls `address` (4 bytes) and `port`:
        an address in text and a port."""
        if address != self.own:
            return addr.fmt(address), port
        return self.forwards.outward.get((protocol, port), ("127.0.0.1", port))

    def is_inside(self, address):
        """Whether an address (4 bytes) is on the boards' network."""
        return self.ip.on_link(address, 0)

    def serves(self, ip, buf, h, s):
        """Whether a segment `buf[s:]` is for the gateway itself, and not for the host."""
        return buf[s + 2] == 0 and buf[s + 3] == 53 and ip.is_own(buf, h + 16)
