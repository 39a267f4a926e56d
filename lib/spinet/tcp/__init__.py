"""TCP (RFC 9293): the connections of one stack, and which one a segment is for.

    states.py   the states, and how a connection moves between them
    conn.py     one connection: its variables, its timers, what its user calls
    input.py    what is done with a segment that arrives
    output.py   what is sent
    ranges.py   out-of-order data
    rto.py      the retransmission timeout
    reno.py     congestion control
    options.py  window scale, timestamps, SACK
    recovery.py what is done about loss
    isn.py      initial sequence numbers, ephemeral ports, the clock behind them
    limit.py    how many resets and challenges are sent

and, imported when they are first needed or wanted:

    sack.py     what is done about loss with a peer that reports what it has
    rack.py     the same by time
    cubic.py, none.py   other congestion controls, congestion.py finds them
    ecn.py      explicit congestion notification
    listen.py   half-open connections and the accept queue
    cookies.py  SYN cookies
    pressure.py who has to go when there is no room for another connection
    icmp.py     what ICMP errors do to a connection
    pmtu.py     the largest segment that the path takes
    keep.py     keepalive
    days.py     clocks of connections that are silent for days
    sizes.py    rings that change their size
    info.py     what a console shows
"""
from spinet.errors import EADDRINUSE, EADDRNOTAVAIL, ENETUNREACH, os_error
from spinet.prim import BUFFER, MANY, add32, cksum, diff32, eq4, get32
from spinet.tcp import limit, options, output, reno, rto
from spinet.tcp.conn import Conn
from spinet.tcp.input import arrives
from spinet.tcp.isn import Clock, Secret
from spinet.tcp.limit import Budget
from spinet.tcp.output import ACK, RST, SYN
from spinet.tcp.states import ECN, SYN_SENT, TIME_WAIT

PROTO = 6


class Tcp:
    """All TCP of one stack.

    `rcvbuf` and `sndbuf` are the ring sizes of new connections in bytes (of one that its user
    has not set, the port's `window` is the most to receive),
    `time_wait_max` bounds the connections kept in TIME-WAIT (the oldest makes
    room), `connections_max` all others.  With `catch_all` a listener bound to
    port 0 accepts connections to every port.  `timestamps`, `sack` and
    `window_scaling` are offered to peers and accepted from them; so is `ecn`
    (ecn.py), which is off.  With `rack` loss is found by time (rack.py).

    `answers_max` bounds the resets sent in a second for no connection,
    `cookies_max` the SYN cookies, 0: none.  `autosize`, if not 0, is how far
    rings may grow by themselves (`sizes.py`).
    """

    def __init__(self, stack):
        self.stack = stack
        self.timers = stack.timers
        self.rcvbuf = self.sndbuf = BUFFER
        self.connections_max = MANY
        self.time_wait_max = MANY >> 2
        self.half_open_max = max(MANY >> 6, 8)
        self.catch_all = False
        self.timestamps = self.sack = self.window_scaling = True
        self.rack = self.ecn = False
        self._congestion = reno
        self.trace = None
        self.table = {}
        self.connections = 0
        self.listeners = {}
        self.time_wait = []
        self.answers_max = 100
        self.cookies_max = 16 * MANY
        self.autosize = 0
        self.spares = {}    # what a loss calls for, by kind, for when there is no memory for others
        self.cookies = None         # cookies.Cookies, once the half-open set was full
        self.secret = Secret(stack.random)
        self._resets = Budget(self.timers, stack.random)
        self._challenges = Budget(self.timers, stack.random)
        self.clock = Clock(self)
        self._pressure = None
        self._path = None           # the last that was made
        self._before = None     # the header of one in TIME-WAIT that makes way for a new one
        self.count = {
            "rx": 0, "connect": 0, "established": 0, "retransmit": 0, "timeout": 0,
            "fast_retransmit": 0, "probe": 0, "keepalive": 0, "reset_sent": 0,
            "reset_received": 0, "challenge_ack": 0, "timed_out": 0, "keepalive_dead": 0,
            "runt": 0, "bad_checksum": 0, "group": 0, "no_listener": 0, "no_socket": 0,
            "out_of_window": 0, "no_ack": 0, "bad_ack": 0, "no_syn": 0, "ooo_full": 0,
            "backlog_full": 0, "half_open_full": 0, "too_many": 0, "no_memory": 0,
            "time_wait_full": 0, "rate_limited": 0, "bad_icmp": 0, "paws": 0,
            "no_timestamp": 0, "tail_probe": 0, "sack_ignored": 0, "spurious": 0, "ecn": 0,
            "cookie_sent": 0, "cookie": 0, "evicted": 0, "smaller": 0, "larger": 0,
        }

    @property
    def congestion(self):
        """The congestion control of new connections, a module as `reno`; may be set by its name."""
        return self._congestion

    @congestion.setter
    def congestion(self, control):
        if isinstance(control, str):
            from spinet.tcp.congestion import named

            control = named(control)
        self._congestion = control

    # -- from below ---------------------------------------------------------

    def input(self, ip, buf, h, s, end):
        """A segment `buf[s:end]` of a datagram whose IPv4 header begins at `buf[h]`."""
        count = self.count
        count["rx"] += 1
        n = end - s
        if n < 20:
            count["runt"] += 1
            return
        p = s + (buf[s + 12] >> 4 << 2)
        if p < s + 20 or p > end:
            count["runt"] += 1
            return
        # Source and destination stand right before the segment when there are no IP options.
        if h + 20 == s:
            n = cksum(buf, s - 8, end, n + PROTO)
        else:
            n = cksum(buf, s, end, cksum(buf, h + 12, h + 20, n + PROTO))
        if n != 0xFFFF:
            count["bad_checksum"] += 1
            return
        if ip.rx_group:
            count["group"] += 1
            return
        c = self.table.get(((buf[s + 2] << 8 | buf[s + 3]) ^ (buf[h + 12] << 8 | buf[h + 13])) << 14
                           ^ (buf[s] << 8 | buf[s + 1]) ^ (buf[h + 14] << 8 | buf[h + 15]))
        while c is not None:
            # Same bucket, same address and same port of the peer: then our port is the same too.
            n = c.head
            if (n[3] == buf[s + 1] and n[2] == buf[s] and eq4(buf, h + 12, c.path.dst, 0)
                    and eq4(buf, h + 16, c.path.src, 0)):
                if c.state == TIME_WAIT and self._reopens(c, buf, s, p):
                    break
                if (buf[s + 13] > 63 or buf[h + 1] & 3 == 3) and c.ecn:
                    c.ecn.arrives(c, buf, h, s)
                ip.id.expected = c
                arrives(c, buf, s, p, end)
                if c.waiter:
                    c.waiter()
                return
            c = c.next
        self._unmatched(ip, buf, h, s, p, end)
        self._before = None

    def _reopens(self, c, buf, s, p):
        """A newer SYN ends TIME-WAIT: by its timestamp (RFC 6191) or sequence number (MAY-2)."""
        if buf[s + 13] & (SYN | RST | ACK) != SYN:
            return False
        newer = diff32(buf, s + 4, c.head, 8) >= 0
        i = options.stamps(buf, s, p)
        if i and len(c.head) > 20:
            stamp = diff32(buf, i, c.head, 28)
            newer = stamp > 0 or stamp == 0 and newer
        if not newer:
            return False
        self._before = c.head
        c.end(0)
        return True

    def _unmatched(self, ip, buf, h, s, p, end):
        """No connection: a SYN for a listener, or a reset in answer."""
        flags = buf[s + 13]
        if flags & RST:
            self.count["no_socket"] += 1
            return
        if flags & (SYN | ACK) == SYN:
            listener = self.listener(buf, h + 16, buf[s + 2] << 8 | buf[s + 3])
            if listener is not None:
                try:
                    path = self.back(buf, h)
                    if path is not None and buf[s] | buf[s + 1]:
                        listener.syn(path, buf, s, p)
                except MemoryError:
                    self.count["no_memory"] += 1
                return
            self.count["no_listener"] += 1
        elif not flags & ACK and self.listener(
                buf, h + 16, buf[s + 2] << 8 | buf[s + 3]) is not None:
            self.count["no_ack"] += 1   # RFC 9293, 3.10.7.2, fourth
            return
        else:
            cookies = self.cookies
            if cookies and flags & ACK and cookies.returned(buf, h, s, p, end):
                return
            self.count["no_socket"] += 1
        if self._may_answer(self._resets):
            path = self.back(buf, h)
            if path is not None:
                self.count["reset_sent"] += 1
                output.refuse(path, buf, s, p, end)

    def back(self, buf, h):
        """The path back to the sender of the datagram at `buf[h]`, or None."""
        path = self._path
        if path and not self.ecn and path.gen == path.ip.gen and eq4(buf, h + 12, path.dst, 0) and (
                eq4(buf, h + 16, path.src, 0)):
            return path
        return self._find_path(bytes(buf[h + 12:h + 16]), bytes(buf[h + 16:h + 20]))

    def _find_path(self, remote, local):
        # Connections to the same peer share one path for as long as they want the same of it.
        path = self._path
        if path is None or self.ecn or path.gen != path.ip.gen or path.dst != remote or (
                local is not None and path.src != local):
            path = self.stack.path(remote, PROTO, local, df=True)
            if path is not None and not self.ecn:
                self._path = path       # ECN writes into its own
        return path

    def listener(self, buf, i, port):
        """Who listens to `port` at the address `buf[i:i + 4]`, or None."""
        found = None
        for key in (port, 0) if self.catch_all else (port,):
            for listener in self.listeners.get(key, ()):
                if listener.addr is None:
                    found = found or listener
                elif eq4(buf, i, listener.addr, 0):
                    return listener
        return found

    def error(self, ip, type, code, info, buf, h, s, end):
        """An ICMP error about a segment of ours whose IPv4 header is at `buf[h]` (icmp.py).

        `info` is the next hop's MTU, or -1 when this host itself found the peer unreachable.
        """
        try:
            from spinet.tcp.icmp import error

            error(self, type, code, info, buf, h, s, end)
        except ImportError:
            pass        # left out of this board
        except MemoryError:     # a clause each: a tuple of exceptions would have to be made
            self.count["no_memory"] += 1

    def shrink(self, c):
        """Segments of `c` vanish, large ones perhaps: try smaller ones."""
        try:
            from spinet.tcp import pmtu

            pmtu.black_hole(c)
        except ImportError:
            pass
        except MemoryError:
            self.count["no_memory"] += 1

    # -- for the rest of TCP ------------------------------------------------

    def remember(self, c):
        """Enter `c` into the table of connections."""
        key = _key(c.path.dst, c.lport(), c.rport())
        other = self.table.get(key)
        if other is not None:
            c.next = other
        self.table[key] = c
        self.connections += 1

    def forget(self, c, state):
        """`c` has become CLOSED out of `state`: drop every reference to it but its user's."""
        key = _key(c.path.dst, c.lport(), c.rport())
        at = self.table.get(key)
        if at is c:
            if c.next is None:
                del self.table[key]
            else:
                self.table[key] = c.next
        else:
            while at is not None and at.next is not c:
                at = at.next
            if at is not None:
                at.next = c.next
        if c.next is not None:
            c.next = None
        c.path.ip.id.expected = None
        self.timers.remove(c)
        if c.pmtu:
            self.timers.remove(c.pmtu)
            c.pmtu = None
        if state == TIME_WAIT:
            self.time_wait.remove(c)
        else:
            self.connections -= 1
        if c.listener:
            c.listener.forget(c)

    def enter_time_wait(self, c):
        """`c` enters TIME-WAIT: where too many wait, the oldest goes."""
        self.connections -= 1
        self.time_wait.append(c)
        if len(self.time_wait) > self.time_wait_max:
            self.count["time_wait_full"] += 1
            self.time_wait[0].end(0)

    def find(self, remote, rport, local, lport):
        """The connection of these addresses (4 bytes each) and ports, or None."""
        c = self.table.get(_key(remote, lport, rport))
        while c is not None:
            if c.rport() == rport and c.path.dst == remote and c.path.src == local:
                return c
            c = c.next
        return None

    def room(self):
        """Whether there may be one connection more; where there are too many, some have to go."""
        if self.connections < self.connections_max or self.relieve():
            return True
        self.count["too_many"] += 1
        return False

    def relieve(self):
        """Memory or connections have run out: end those that waste them; whether there were any."""
        try:
            if self._pressure is None:
                from spinet.tcp.pressure import Pressure

                self._pressure = Pressure(self)
            return self._pressure.relieve()
        except ImportError:
            return False
        except MemoryError:
            return False

    def draw_isn(self, c):
        """Give `c` its initial sequence number."""
        path = c.path
        self.secret.isn(c.head, 4, self.clock.ms(), path.src, c.lport(), path.dst, c.rport())
        before = self._before
        if before is not None:
            # Beyond what the connection used that this one replaces (RFC 9293, 3.6.1).
            if diff32(c.head, 4, before, 4) <= 0:
                add32(c.head, 4, before, 4, 64000)
            self._before = None

    def draw_clock(self, c):
        """Give `c` timestamps, from an offset of its own (RFC 7323, 5.4).

        The next connection of the same tuple goes on from there, lest its SYN look old to a
        peer that is still in TIME-WAIT (RFC 6191).
        """
        path = c.path
        base = self.secret.offset(path.src, c.lport(), path.dst, c.rport())
        options.begin_clock(c, base, 0, self.timers.now)
        add32(c.head, 24, c.head, 24, get32(self.clock.ms(), 0))

    def ring(self, c):
        """The size of the receive ring of `c`: what its user wants, or what its port can take."""
        return c.rcvbuf or min(self.rcvbuf, c.path.ip.id.window)

    def rcv_shift(self, c):
        """The window scale that makes the receive ring of `c`, at its largest, fit 16 bits."""
        size = max(self.ring(c), self.autosize)
        shift = 0
        while size >> shift > 65535:
            shift += 1
        return shift

    def repath(self, c):
        """Routes or addresses have changed: the new path of `c`, or None if there is none."""
        old = c.path
        path = self.stack.path(old.dst, PROTO, old.src, c.ttl, c.tos, df=old.df)
        if path is not None:
            if old.mtu < path.mtu:
                path.mtu = old.mtu
            c.path = path
        return path

    def refuse(self, c, buf, s, p):
        """Reset whoever sent the segment at `buf[s]` to `c`, which keeps its state."""
        if self._may_answer(self._resets):
            self.count["reset_sent"] += 1
            output.refuse(c.path, buf, s, p, p)

    def challenge(self, c):
        """A challenge ACK, or nothing where there were too many (RFC 5961, 7)."""
        if not limit.may_challenge(c):
            self.count["rate_limited"] += 1
        elif self._may_answer(self._challenges):
            self.count["challenge_ack"] += 1
            output.ack(c)

    def _may_answer(self, budget):
        if budget.take(self.answers_max):
            return True
        self.count["rate_limited"] += 1
        return False

    # -- from above ---------------------------------------------------------

    def connect(self, remote, rport, local=None, lport=0, ttl=64, tos=0, rcvbuf=0, sndbuf=0,
                maxseg=0):
        """Begin to open a connection to `remote` (4 bytes); returns it in SYN-SENT.

        `rcvbuf` and `sndbuf` are the sizes of its rings, `maxseg` the most in a segment, in bytes;
        0: as usual.

        Raises OSError: ENETUNREACH without a route, EADDRINUSE when the pair of
        addresses is taken, EADDRNOTAVAIL when no ephemeral port is free.
        """
        if ttl == 64 and not tos:
            path = self._find_path(remote, local)
        else:
            path = self.stack.path(remote, PROTO, local, ttl, tos, df=True)
        if path is None or remote[0] >= 224 or remote in [a.broadcast for a in path.ip.addresses]:
            raise os_error(ENETUNREACH)     # RFC 9293, 3.9.2.3: one peer, not many
        if not lport:
            lport = self.secret.port(
                lambda port: port not in self.listeners
                and self.find(remote, rport, path.src, port) is None)
            if not lport:
                raise os_error(EADDRNOTAVAIL)
            old = None
        else:
            old = self.find(remote, rport, path.src, lport)
            if old is not None:
                if old.state != TIME_WAIT:
                    raise os_error(EADDRINUSE)
                self._before = old.head
                old.end(0)
        c = Conn(self, path, lport, rport)
        if ttl != 64:
            c.ttl = ttl
        if tos:
            c.tos = tos
        c.prefer(rcvbuf, sndbuf, maxseg)
        self.draw_isn(c)
        if old is not None and diff32(c.head, 4, old.head, 4) <= 0:
            # It sent faster than the clock ticks: what is still under way must not look new.
            add32(c.head, 4, old.head, 4, 65536)
        if self.timestamps:
            self.draw_clock(c)
        if self.ecn:
            c.flags |= ECN
        self.remember(c)
        c.set_state(SYN_SENT)
        c.snd_nxt = c.snd_max = 1
        self.count["connect"] += 1
        output.send_syn(c)
        c.t_rexmt = rto.arm(c, c.rto)
        return c

    def listen(self, addr, port, backlog=5):
        """Accept connections to `port` (0: a free one) at `addr` (4 bytes, None: any).

        Raises OSError(EADDRINUSE) when somebody else listens there.
        """
        if not port and not self.catch_all:
            port = self.secret.port(lambda p: p not in self.listeners)
        self.check_free(addr, port)
        from spinet.tcp.listen import Listener

        listener = Listener(self, addr, port, backlog)
        self.listeners.setdefault(port, []).append(listener)
        return listener

    def check_free(self, addr, port):
        """OSError(EADDRINUSE) when somebody listens to `port` at an address that `addr` covers."""
        for other in self.listeners.get(port, ()):
            if other.addr is None or addr is None or other.addr == addr:
                raise os_error(EADDRINUSE)

    def unlisten(self, listener):
        """Stop listening; idempotent."""
        others = self.listeners.get(listener.port, [])
        if listener in others:
            others.remove(listener)
            if not others:
                del self.listeners[listener.port]

    def all(self):
        """Every connection, as a list."""
        found = []
        for c in self.table.values():
            while c is not None:
                found.append(c)
                c = c.next
        return found

    def close(self):
        """Reset every connection and stop listening."""
        for listeners in list(self.listeners.values()):
            for listener in list(listeners):
                listener.close()
        for c in self.all():
            c.abort()


def _key(remote, lport, rport):
    """The bucket of a connection: a small integer, even where those have 31 bits."""
    return (lport ^ (remote[0] << 8 | remote[1])) << 14 ^ rport ^ (remote[2] << 8 | remote[3])
