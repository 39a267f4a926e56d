"""What the host's kernel says, as ICMP errors for a board (RFC 792, RFC 1812 5.2.7)."""
import errno
import socket
import struct
import sys

from spinet.prim import cksum

UNREACHABLE = 3
TIME_EXCEEDED = 11
# The errors that tell something about the way there; all others are the host's own trouble.
CODES = {
    errno.ENETUNREACH: 0, errno.EHOSTUNREACH: 1, errno.ETIMEDOUT: 1, errno.ECONNREFUSED: 3,
    errno.EACCES: 13, errno.EPERM: 13, errno.EADDRNOTAVAIL: 0,
}
if hasattr(errno, "EHOSTDOWN"):
    CODES[errno.EHOSTDOWN] = 1


def quote(proto, src, sport, dst, dport):
    """A packet as an error about it quotes it: an IPv4 header and the ports behind it."""
    packet = bytearray(28)
    packet[0] = 0x45
    packet[3] = 28
    packet[8] = 64
    packet[9] = proto
    packet[12:16] = src
    packet[16:20] = dst
    packet[20:24] = bytes((sport >> 8, sport & 255, dport >> 8, dport & 255))
    packet[25] = 8
    k = cksum(packet, 0, 20) ^ 0xFFFF
    packet[10:12] = bytes((k >> 8, k & 255))
    return packet


def icmp_error(gateway, source, code, packet):
    """Tell the sender of `packet` what the errno `code` means, in the name of `source`."""
    if code in CODES:
        send_error(gateway, source, UNREACHABLE, CODES[code], packet)


def send_error(gateway, source, kind, code, packet):
    """An ICMP error from `source` (4 bytes) about `packet`, as bytes from its IPv4 header on."""
    data = bytearray(8)
    data[0] = kind
    data[1] = code
    data += packet[:548]
    to_board(gateway, source, packet[12:16], data)
    gateway.count["icmp_errors"] += 1


def to_board(gateway, source, board, message):
    """Send an ICMP message to a board, its checksum still missing, in the name of `source`."""
    message[2] = message[3] = 0
    k = cksum(message, 0, len(message)) ^ 0xFFFF
    message[2] = k >> 8
    message[3] = k & 255
    path = gateway.stack.path(bytes(board), 1, bytes(source))
    if path is not None:
        path.send_large(message, 0, len(message))


# Linux tells more than an errno: the ICMP error itself, and who sent it, by a queue of errors.
_RECVERR = 11 if sys.platform == "linux" else None
_ERRQUEUE = 0x2000


def ask_for_errors(sock):
    """Have the kernel keep ICMP errors about what `sock` sends, where it can."""
    if _RECVERR is not None:
        sock.setsockopt(socket.IPPROTO_IP, _RECVERR, 1)


def errors_of(sock):
    """The ICMP errors that were kept: (sender as 4 bytes, type, code), oldest first."""
    found = []
    while _RECVERR is not None and len(found) < 16:
        try:
            _, notes, _, _ = sock.recvmsg(64, 256, _ERRQUEUE)
        except OSError:
            break
        for level, kind, note in notes:
            # struct sock_extended_err, then the address of who sent the error.
            if (level, kind) == (socket.IPPROTO_IP, _RECVERR) and len(note) >= 24:
                number, origin, icmp_type, icmp_code = struct.unpack_from("=IBBB", note)
                if origin == 2:
                    found.append((note[20:24], icmp_type, icmp_code))
                elif number in CODES:
                    found.append((b"\x7f\0\0\1", UNREACHABLE, CODES[number]))
    return found


def pass_on(gateway, sock, source, code, packet):
    """Tell the sender of `packet` what became of it: all that the kernel knows of `sock`, else
    what the errno `code` says.  An error of this host is the gateway's own."""
    kept = errors_of(sock) if sock is not None else []
    for sender, kind, icmp_code in kept:
        if kind in (UNREACHABLE, TIME_EXCEEDED):
            if (kind, icmp_code) == (UNREACHABLE, 3):
                sender = source
            elif sender[0] == 127:
                sender = gateway.own
            send_error(gateway, sender, kind, icmp_code, packet)
    if not kept:
        icmp_error(gateway, source if code == errno.ECONNREFUSED else gateway.own, code, packet)
