"""What ICMP errors do to a connection (RFC 9293, 3.9.2.2; RFC 5927)."""
from spinet.errors import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH
from spinet.prim import diff32
from spinet.tcp.states import SYN_SENT

_UNREACHABLE = 3
_TOO_BIG = 4


def error(tcp, type, code, info, buf, h, s, end):
    """An error about a segment of ours whose IPv4 header is at `buf[h]` and which begins at `s`.

    Believed only if it quotes a sequence number that is in flight (RFC 5927, 4).
    """
    c = tcp.find(bytes(buf[h + 16:h + 20]), buf[s + 2] << 8 | buf[s + 3],
                 bytes(buf[h + 12:h + 16]), buf[s] << 8 | buf[s + 1])
    if c is None or end - s < 8 or not 0 <= diff32(buf, s + 4, c.head, 4) <= c.snd_max:
        tcp.count["bad_icmp"] += 1
    elif type == _UNREACHABLE and code == _TOO_BIG:
        from spinet.tcp import pmtu

        pmtu.too_big(c, info, buf[h + 2] << 8 | buf[h + 3])
    else:
        refused = type == _UNREACHABLE and 2 <= code <= 3
        why = ECONNREFUSED if refused else ENETUNREACH if (
            type == _UNREACHABLE and code in (0, 4, 6, 8, 9, 11, 14, 15)) else EHOSTUNREACH
        # Once synchronized every error is a soft one (RFC 5927, 5.2).
        if c.state == SYN_SENT and (refused or info == -1):
            c.end(why)
        else:
            c.soft_error = why
