"""A transparent gateway's door: a TCP connection comes in only once the outside has accepted it.

A SYN from the board is held back while an ordinary socket of the host connects
to where it wants to go.  When that succeeds, the SYN is given to our TCP as if
it had just come, so the board's connection opens exactly when the real one has;
when it is refused the board gets a reset, and when nobody answers an ICMP error
(errors.py), as if it had asked the far end itself.
"""
import collections
import errno
import selectors
import socket

from spinet.prim import cksum
from spinet.tcp import output

from gateway.errors import CODES

MOST = 64               # that knock at once; the one that has waited longest makes room
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_PROTO = 6


def key_of(conn):
    """The same key for an accepted connection as for its SYN: addresses and ports as they came."""
    head = conn.head
    return bytes(conn.path.dst) + bytes(conn.path.src) + bytes(head[2:4]) + bytes(head[0:2])


class Knock:
    """A SYN that waits for its outside connection: the packet, and the kernel socket."""

    def __init__(self, key, ip, packet, start, outer):
        self.key = key
        self.ip = ip
        self.packet = packet        # from the IPv4 header on
        self.start = start          # of the segment
        self.outer = outer


class Door:
    """Stands before `gateway`'s TCP as the handler of protocol 6."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.tcp = gateway.stack.tcp
        self.error = self.tcp.error
        self.knocking = collections.OrderedDict()
        self.connected = {}         # key: kernel socket; the board's handshake is under way

    def input(self, ip, buf, h, s, end):
        """A segment `buf[s:end]` of a datagram whose IPv4 header begins at `buf[h]`."""
        if (end - s >= 20 and buf[s + 13] & (_FIN | _SYN | _RST | _ACK) == _SYN
                and not ip.rx_group and not self.gateway.serves(ip, buf, h, s)):
            key = bytes(buf[h + 12:h + 20]) + bytes(buf[s:s + 4])
            if key in self.knocking:
                return              # it has sent its SYN again
            if key not in self.connected and self.is_new(key) and self.is_whole(buf, h, s, end):
                self.knock(Knock(key, ip, bytearray(buf[h:end]), s - h, None))
                return
        self.tcp.input(ip, buf, h, s, end)

    def is_new(self, key):
        """True if no connection of ours has these addresses and ports, but for one that is over."""
        return self.tcp.find(
            key[0:4], key[8] << 8 | key[9], key[4:8], key[10] << 8 | key[11]) is None

    @staticmethod
    def is_whole(buf, h, s, end):
        """Is the checksum right?"""
        return cksum(buf, s, end, cksum(buf, h + 12, h + 20, end - s + _PROTO)) == 0xFFFF

    def knock(self, knock):
        """Start the outside connection."""
        key = knock.key
        self.gateway.count["tcp_out"] += 1
        try:
            knock.outer = outer = self.gateway.host_socket(socket.SOCK_STREAM)
        except OSError:         # too many files: it will send its SYN again
            self.gateway.count["refused"] += 1
            return
        try:
            code = outer.connect_ex(self.gateway.outside(key[4:8], key[10] << 8 | key[11], "tcp"))
        except OSError as error:
            code = error.errno
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            self.turn_away(knock, code)
            return
        if len(self.knocking) >= MOST:
            oldest = next(iter(self.knocking.values()))
            self.forget(oldest)
            oldest.outer.close()
        self.knocking[key] = knock
        self.gateway.selector.register(
            outer, selectors.EVENT_WRITE, lambda _: self.answered(knock))

    def forget(self, knock):
        self.gateway.selector.unregister(knock.outer)
        del self.knocking[knock.key]

    def answered(self, knock):
        """The outside connection is open, or will never be."""
        if self.knocking.get(knock.key) is not knock:
            return
        self.forget(knock)
        code = knock.outer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.turn_away(knock, code)
            return
        self.connected[knock.key] = knock.outer
        knock.ip.rx_group = False
        self.tcp.input(knock.ip, knock.packet, 0, knock.start, len(knock.packet))

    def turn_away(self, knock, code):
        """Tell the board what became of its connection."""
        knock.outer.close()
        self.gateway.count["refused"] += 1
        packet = knock.packet
        stack = self.gateway.stack
        if code == errno.ECONNREFUSED:
            path = stack.path(knock.key[0:4], _PROTO, knock.key[4:8])
            if path is not None:
                output.refuse(path, packet, knock.start, len(packet), len(packet))
        else:
            knock.ip.rx_group = False
            stack.icmp.send_error(knock.ip, 3, CODES.get(code, 1), 0, packet, 0, len(packet))

    def take(self, conn):
        """The kernel socket of a connection that our TCP has accepted, None if it is gone."""
        return self.connected.pop(key_of(conn), None)

    def sweep(self):
        """Close outside connections whose inside was given up before it was accepted."""
        for key in [key for key in self.connected if self.is_new(key)]:
            self.connected.pop(key).close()

    def close(self):
        """Close what waits."""
        for knock in list(self.knocking.values()):
            self.forget(knock)
            knock.outer.close()
        for outer in self.connected.values():
            outer.close()
        self.connected.clear()
