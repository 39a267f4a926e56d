"""ICMP (RFC 792, RFC 1122 3.2.2): echo, errors in both directions.

Errors are sent within a rate limit, and never about an ICMP error, a broadcast
or multicast, a fragment other than the first, or a packet whose source is no
single host.
"""
from spinet.prim import cksum, copy, eq4, ticks_diff

PROTO = 1
ECHO_REPLY = 0
UNREACHABLE = 3
REDIRECT = 5
ECHO = 8
TIME_EXCEEDED = 11
PARAMETER_PROBLEM = 12


class Icmp:
    """ICMP of one stack.

    `errors_max` bounds the errors sent in a second; `redirects` lets a
    redirect from the gateway in use change a route to a host; `echo_broadcast`
    answers pings to all.
    """

    errors_max = 50
    redirects = False
    echo_broadcast = False

    def __init__(self, stack):
        self.stack = stack
        self._second = stack.timers.now
        self._sent = 0
        self._back = None       # the path of the last echo reply
        self.count = {
            "rx": 0, "runt": 0, "bad_checksum": 0, "echo": 0, "echo_group": 0, "error_received": 0,
            "bad_error": 0, "redirect": 0, "redirect_ignored": 0, "error_sent": 0,
            "suppressed": 0, "rate_limited": 0, "port_busy": 0,
        }

    def input(self, ip, buf, h, s, end):
        """A message `buf[s:end]` whose IPv4 header begins at `buf[h]`."""
        count = self.count
        if end - s < 8:
            count["runt"] += 1
            return
        if cksum(buf, s, end) != 0xFFFF:
            count["bad_checksum"] += 1
            return
        count["rx"] += 1
        kind = buf[s]
        if kind == ECHO:
            self._echo(ip, buf, h, s, end)
        elif kind in (UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM):
            self._error(ip, buf, s, end)
        elif kind == REDIRECT:
            self._redirect(ip, buf, h, s, end)
        if self.stack.raw.endpoints:
            self.stack.raw.input(ip, buf, h, s, end)

    # -- echo ---------------------------------------------------------------

    def _echo(self, ip, buf, h, s, end):
        group = ip.rx_group
        if group and not self.echo_broadcast:
            self.count["echo_group"] += 1
            return
        n = end - s
        path = self._back
        if path is None or path.gen != path.ip.gen or not eq4(buf, h + 12, path.dst, 0) or (
                group or not eq4(buf, h + 16, path.src, 0)):
            path = self.stack.path(bytes(buf[h + 12:h + 16]), PROTO,
                                   None if group else bytes(buf[h + 16:h + 20]))
            if path is None:
                return
            self._back = path
        self.count["echo"] += 1
        if n + 20 <= path.mtu:
            out = path.ip.tx
            t = path.ip.hdr
            copy(out, t, buf, s, n)
        else:
            out = bytearray(n)
            t = 0
            copy(out, 0, buf, s, n)
        out[t] = ECHO_REPLY
        # Only the type has changed, from 8 to 0 (RFC 1624).
        k = (out[t + 2] << 8 | out[t + 3]) + 0x0800
        k = (k & 0xFFFF) + (k >> 16)
        out[t + 2] = k >> 8
        out[t + 3] = k & 255
        sent = path.send(n) if t else path.send_large(out, 0, n)
        if not sent:
            self.count["port_busy"] += 1

    # -- errors received ----------------------------------------------------

    def _error(self, ip, buf, s, end):
        h = s + 8
        start = h + ((buf[h] & 15) << 2) if h + 20 <= end else end
        if start >= end or buf[h] >> 4 != 4 or start < h + 20 or (
                buf[h + 6] & 0x1F or buf[h + 7]) or not ip.is_own(buf, h + 12):
            self.count["bad_error"] += 1
            return
        handler = self.stack.protocols.get(buf[h + 9])
        if handler is None or handler is self:
            self.count["bad_error"] += 1
            return
        self.count["error_received"] += 1
        handler.error(ip, buf[s], buf[s + 1], buf[s + 6] << 8 | buf[s + 7], buf, h, start, end)

    def unreachable_local(self, ip, buf, h, end):
        """A packet of ours, `buf[h:end]`, could not be delivered: its neighbour is silent."""
        handler = self.stack.protocols.get(buf[h + 9])
        if handler is not None and handler is not self and not (buf[h + 6] & 0x1F or buf[h + 7]):
            handler.error(ip, UNREACHABLE, 1, -1, buf, h, h + ((buf[h] & 15) << 2), end)

    def error(self, ip, type, code, info, buf, h, s, end):
        """An error about an ICMP message of ours: nobody waits for it."""

    def _redirect(self, ip, buf, h, s, end):
        """RFC 1122, 3.2.2.2: from the gateway in use, to another on the same link."""
        q = s + 8
        if self.redirects and end - q >= 20 and not ip.rx_group:
            dst = bytes(buf[q + 16:q + 20])
            route = ip.routes.lookup(dst)
            if (route is not None and route.gateway == bytes(buf[h + 12:h + 16])
                    and ip.on_link(buf, s + 4) and not ip.is_own(buf, s + 4)
                    and len(ip.routes.entries) < 64):
                self.count["redirect"] += 1
                ip.routes.remove(lambda r: r.length == 32 and r.prefix == dst)
                ip.routes.add(dst, 32, bytes(buf[s + 4:s + 8]))
                return
        self.count["redirect_ignored"] += 1

    # -- errors sent --------------------------------------------------------

    def send_error(self, ip, type, code, info, buf, h, end):
        """Send an error about the packet `buf[h:end]`, if the rules allow it.

        `info` is the next hop's MTU, or for a parameter problem the offset of
        the offending byte.
        """
        if not self._may_send(ip, buf, h, end):
            return
        path = self.stack.path(bytes(buf[h + 12:h + 16]), PROTO, bytes(buf[h + 16:h + 20]))
        if path is None:
            return
        out = path.ip.tx
        t = path.ip.hdr
        # As much as fits in 576 bytes (RFC 1812, 4.3.2.3).
        n = min(end - h, 548)
        copy(out, t + 8, buf, h, n)
        for i in range(t + 2, t + 8):
            out[i] = 0
        out[t] = type
        out[t + 1] = code
        if type == PARAMETER_PROBLEM:
            out[t + 4] = info
        else:
            out[t + 6] = info >> 8
            out[t + 7] = info & 255
        k = cksum(out, t, t + 8 + n) ^ 0xFFFF
        out[t + 2] = k >> 8
        out[t + 3] = k & 255
        self.count["error_sent"] += 1
        if not path.send(8 + n):
            self.count["port_busy"] += 1

    def _may_send(self, ip, buf, h, end):
        count = self.count
        start = h + ((buf[h] & 15) << 2)
        if (ip.rx_group or ip.id.rx_group or buf[h + 6] & 0x1F or buf[h + 7]
                or buf[h + 12] >= 224 or buf[h + 12] == 0
                or buf[h + 12] == 127 and not ip.id.loopback
                or buf[h + 9] == PROTO and (end <= start or buf[start] not in (ECHO, ECHO_REPLY))):
            count["suppressed"] += 1
            return False
        now = self.stack.timers.now
        if not 0 <= ticks_diff(now, self._second) < 1000:
            self._second = now
            self._sent = 0
        if self._sent >= self.errors_max:
            count["rate_limited"] += 1
            return False
        self._sent += 1
        return True
