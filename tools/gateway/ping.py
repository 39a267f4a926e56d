"""ICMP echo through the gateway: a board's ping goes out by a socket of the host.

Linux (where ping_group_range lets the user) and macOS have ICMP sockets for everybody; root and
Windows' administrators have raw ones.  Where there is neither the board hears "administratively
prohibited", as from any router that lets no ping through.  The time to live is carried over, less
one for the gateway; the errors that come back are, on Linux, whose kernel shows them.

A flow is a board's address, identifier and destination.  There are at most FLOWS, each for IDLE_S.
"""
import collections
import errno
import selectors
import socket
import time

from spinet.prim import cksum

from gateway.errors import TIME_EXCEEDED, ask_for_errors, pass_on, quote, send_error, to_board

FLOWS = 64
IDLE_S = 30


class Flow:
    """Echo between a board and an address outside."""

    def __init__(self, key, sock, raw):
        self.key = key          # (board's address, outside address, identifier)
        self.sock = sock
        self.raw = raw
        self.ident = 0          # ours on the wire, where we choose it
        self.ttl = None
        self.used = 0.0


class Pings:
    """The handler of protocol 1: pings of the gateway's own address are its stack's."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.count = gateway.count
        self.icmp = gateway.stack.icmp
        self.error = self.icmp.error
        self.flows = collections.OrderedDict()
        self.next_ident = 0
        self.buffer = bytearray(65536)

    def input(self, ip, buf, h, s, end):
        """A message `buf[s:end]` whose IPv4 header begins at `buf[h]`."""
        if (end - s < 8 or buf[s] != 8 or buf[s + 1] or ip.rx_group or ip.is_own(buf, h + 16)
                or cksum(buf, s, end) != 0xFFFF):
            self.icmp.input(ip, buf, h, s, end)
            return
        packet = bytes(buf[h:end])
        if packet[8] <= 1:
            self.count["ping_expired"] += 1
            send_error(self.gateway, self.gateway.own, TIME_EXCEEDED, 0, packet)
            return
        self.out(packet, bytearray(buf[s:end]), packet[8] - 1)

    def out(self, packet, message, ttl):
        """Send an echo request to the outside."""
        key = packet[12:16], packet[16:20], bytes(message[4:6])
        flow = self.flows.get(key)
        try:
            flow = flow or self.begin(key)
            if flow is None:
                self.count["ping_refused"] += 1
                send_error(self.gateway, self.gateway.own, 3, 13, packet)
                return
            flow.used = time.monotonic()
            self.flows.move_to_end(key)
            if ttl != flow.ttl:
                flow.ttl = ttl
                flow.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            if flow.raw:
                message[4:6] = flow.ident.to_bytes(2, "big")
            message[2] = message[3] = 0
            message[2:4] = (cksum(message, 0, len(message)) ^ 0xFFFF).to_bytes(2, "big")
            self.send(flow, message)
            self.count["ping_out"] += 1
        except OSError as error:
            self.count["ping_dropped"] += 1
            if flow:
                pass_on(self.gateway, flow.sock, key[1], error.errno, packet)
            else:
                pass_on(self.gateway, None, key[1], error.errno, packet)

    @staticmethod
    def send(flow, message):
        # The first call may only bring the error of an earlier one.
        try:
            flow.sock.send(message)
        except OSError as error:
            if error.errno not in (errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.ENETUNREACH):
                raise
            flow.sock.send(message)

    def begin(self, key):
        """A flow, None where the system has no socket for us."""
        sock, raw = icmp_socket()
        if sock is None:
            return None
        try:
            sock.setblocking(False)
            ask_for_errors(sock)
            sock.connect((self.gateway.outside(key[1])[0], 0))
        except OSError:
            sock.close()
            raise
        if len(self.flows) >= FLOWS:
            self.drop(next(iter(self.flows.values())))
        flow = Flow(key, sock, raw)
        # By chance: another program's raw pings come to our raw socket too.
        self.next_ident = (self.next_ident or self.gateway.stack.random(1)[0] << 8) + 1 & 0xFFFF
        flow.ident = self.next_ident
        self.flows[key] = flow
        self.gateway.selector.register(
            sock, selectors.EVENT_READ, lambda _: self.replied(flow))
        return flow

    def replied(self, flow):
        """Answers from the outside."""
        board, outside, ident = flow.key
        for _ in range(64):
            if self.flows.get(flow.key) is not flow:
                return
            try:
                n = flow.sock.recv_into(self.buffer)
            except BlockingIOError:
                return
            except OSError as error:
                packet = quote(1, board, 0x0800, outside, 0)
                packet[24:26] = ident
                packet[26:28] = b"\0\0"
                pass_on(self.gateway, flow.sock, outside, error.errno, packet)
                return
            # macOS, and all raw sockets, give the IPv4 header too; an echo reply begins with 0.
            start = (self.buffer[0] & 15) << 2 if n and self.buffer[0] >> 4 == 4 else 0
            message = self.buffer[start:n]
            if len(message) < 8 or message[0] or flow.raw and (
                    message[4] << 8 | message[5]) != flow.ident:
                continue
            message[4:6] = ident
            self.count["ping_in"] += 1
            to_board(self.gateway, outside, board, message)

    def drop(self, flow):
        """Forget a flow."""
        del self.flows[flow.key]
        self.gateway.selector.unregister(flow.sock)
        flow.sock.close()

    def expire(self):
        """Drop the flows that were idle too long."""
        now = time.monotonic()
        while self.flows:
            flow = next(iter(self.flows.values()))
            if now - flow.used < IDLE_S:
                return
            self.drop(flow)

    def close(self):
        """Close all."""
        for flow in list(self.flows.values()):
            self.drop(flow)


def icmp_socket():
    """A socket for echo and whether it is a raw one; (None, False) where there is none for us."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            return socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP), kind == socket.SOCK_RAW
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
    return None, False
