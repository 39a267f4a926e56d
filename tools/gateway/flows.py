"""UDP through the gateway: a flow for each pair of ports, over a socket of the host.

There are at most FLOWS; the one used longest ago makes room for a new one, and one that is idle
for IDLE_S goes.  What the host's kernel says about a datagram (refused, no route) the board gets
as the ICMP error that it would have got from the far end.
"""
import collections
import errno
import selectors
import socket
import time

from spinet import addr

from gateway.errors import TIME_EXCEEDED, ask_for_errors, pass_on, quote, send_error

FLOWS = 256
IDLE_S = 60
FEW = 32            # hops to live that are carried over; no program but traceroute sends less


class Flow:
    """UDP between one port of the board and one address outside, over a kernel socket."""

    def __init__(self, key, sock, peer=None):
        self.key = key              # (board address, board port, outside address, outside port)
        self.sock = sock
        self.peer = peer            # who on the host began it; None: the board did
        self.used = 0.0
        self.ttl = None             # as the socket has it, when not by default

    def hop(self, ttl):
        """Let the next datagram live for `ttl` hops, None: as many as usual."""
        if ttl != self.ttl and self.peer is None:
            self.ttl = ttl
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl or 64)

    def send(self, data):
        """A datagram towards the outside."""
        if self.peer is None:
            self.sock.send(data)
        else:
            self.sock.sendto(data, self.peer)


class Flows:
    """All UDP of one gateway."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.count = gateway.count
        self.flows = collections.OrderedDict()      # the one used longest ago first
        self.forwarded = {}     # (listener, host peer): its flow
        self.next_port = 49152
        self.any = gateway.stack.udp.bind_any(1 << 18)
        self.datagram = bytearray(65536)
        self.view = memoryview(self.datagram)
        self.ttls = {}          # of datagrams with few hops to live, until they are sent
        self.udp = gateway.stack.udp
        self.error = self.udp.error

    def input(self, ip, buf, h, s, end):
        """UDP as the handler of protocol 17: the gateway is a hop on the way to others."""
        if buf[h + 8] < FEW and end - s >= 8 and not ip.rx_group and not ip.is_own(buf, h + 16):
            if buf[h + 8] <= 1:
                send_error(self.gateway, self.gateway.own, TIME_EXCEEDED, 0, buf[h:end])
                return
            if len(self.ttls) < FLOWS:
                self.ttls[bytes(buf[h + 12:h + 20]) + bytes(buf[s:s + 4])] = buf[h + 8] - 1
        self.udp.input(ip, buf, h, s, end)

    def from_board(self):
        """Carry datagrams of the board to the outside; True if there was one."""
        end = self.any
        took = False
        for _ in range(64):
            n = end.recv_into(self.datagram, 0, len(self.datagram))
            if n < 0:
                break
            took = True
            if end.local[0] >= 224 or end.local == self.gateway.broadcast:
                self.count["udp_group"] += 1        # for its neighbours, not for the world
                continue
            key = (bytes(end.peer), end.peer_port, bytes(end.local), end.local_port)
            flow = self.flows.get(key) or self.begin(key)
            if flow:
                self.use(flow)
                if self.ttls or flow.ttl:
                    flow.hop(self.ttls.pop(key[0] + key[2] + key[1].to_bytes(2, "big")
                                           + key[3].to_bytes(2, "big"), None))
                self.send(flow, n)
        self.ttls.clear()
        return took

    def send(self, flow, n):
        # The first call may only bring the refusal of an earlier datagram.
        for _ in range(2):
            try:
                flow.send(self.view[:n])
                self.count["udp_out"] += 1
                return
            except OSError as error:
                self.failed(flow.key, flow.sock, error.errno)
                if error.errno != errno.ECONNREFUSED:
                    return

    def failed(self, key, sock, code):
        """A datagram did not reach the outside, or there was no room."""
        self.count["udp_dropped"] += 1
        pass_on(self.gateway, sock, key[2], code, quote(17, *key))

    def begin(self, key):
        """A flow for the first datagram from the board to an address outside, None without one."""
        sock = None
        try:
            sock = self.gateway.host_socket(socket.SOCK_DGRAM)
            ask_for_errors(sock)
            sock.connect(self.gateway.outside(key[2], key[3], "udp"))
        except OSError as error:
            if sock is None:        # too many files
                self.count["udp_dropped"] += 1
            else:
                self.failed(key, sock, error.errno)
                sock.close()
            return None
        flow = self.add(Flow(key, sock))
        self.gateway.selector.register(
            sock, selectors.EVENT_READ, lambda _: self.replied(flow))
        return flow

    def add(self, flow):
        """Keep a new flow."""
        if len(self.flows) >= FLOWS:
            self.drop(next(iter(self.flows.values())))
            self.count["udp_evicted"] += 1
        self.flows[flow.key] = flow
        if flow.peer is not None:
            self.forwarded[flow.sock, flow.peer] = flow
        self.count["udp_flows"] += 1
        return flow

    def use(self, flow):
        flow.used = time.monotonic()
        self.flows.move_to_end(flow.key)

    def drop(self, flow):
        """Forget a flow."""
        del self.flows[flow.key]
        if flow.peer is not None:
            del self.forwarded[flow.sock, flow.peer]
        else:
            self.gateway.selector.unregister(flow.sock)
            flow.sock.close()

    def forget(self, listener):
        """The forward with this socket is no more."""
        for flow in [flow for flow in self.flows.values() if flow.sock is listener]:
            self.drop(flow)

    def expire(self):
        """Drop the flows that were idle too long."""
        now = time.monotonic()
        while self.flows:
            flow = next(iter(self.flows.values()))
            if now - flow.used < IDLE_S:
                return
            self.drop(flow)
            self.count["udp_expired"] += 1

    def replied(self, flow):
        """Datagrams from the outside for a flow that the board began."""
        for _ in range(64):
            if self.flows.get(flow.key) is not flow:
                return              # it made room, in this same turn of the loop
            try:
                n = flow.sock.recv_into(self.datagram)
            except BlockingIOError:
                return
            except OSError as error:        # the far end refused an earlier one
                self.failed(flow.key, flow.sock, error.errno)
                return
            self.use(flow)
            self.to_board(flow, n)

    def from_host(self, sock, forward):
        """Datagrams of the host for a forwarded port: each of its senders is a flow."""
        board = addr.parse(forward.board_address)
        for _ in range(64):
            try:
                n, peer = sock.recvfrom_into(self.datagram)
            except OSError:
                return
            flow = self.forwarded.get((sock, peer))
            if flow is None:
                port = self.free_port(board, forward.board_port)
                flow = self.add(Flow((board, forward.board_port, self.gateway.own, port),
                                     sock, peer))
            self.use(flow)
            self.to_board(flow, n)

    def free_port(self, board, board_port):
        """The next source port for a forwarded flow: far apart in time from its last use."""
        while True:
            self.next_port = 49152 if self.next_port >= 65535 else self.next_port + 1
            if (board, board_port, self.gateway.own, self.next_port) not in self.flows:
                return self.next_port

    def to_board(self, flow, n):
        board, board_port, remote, remote_port = flow.key
        try:
            self.any.send_as(remote, remote_port, board, board_port, self.datagram, 0, n)
            self.count["udp_in"] += 1
        except OSError:
            self.count["udp_dropped"] += 1

    def close(self):
        """Close all."""
        for flow in list(self.flows.values()):
            self.drop(flow)
