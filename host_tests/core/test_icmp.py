"""ICMP: echo, errors sent and received, redirects."""
from kit import heap_locked, raises
from lone import ALL_MAC, OUR_MAC, PEER_MAC, ether, ipv4, udp
from net import checksum
from test_udp import Sink, bound, known

from spinet import socket
from spinet.errors import ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH


def icmp(type, code=0, rest=b"\0\0\0\0", data=b""):
    m = bytes((type, code, 0, 0)) + rest + data
    k = checksum(m)
    return m[:2] + bytes((k >> 8, k & 255)) + m[4:]


def message(frame):
    """The ICMP message in a frame; its checksums are right."""
    assert frame[23] == 1 and checksum(frame[14:34]) == 0
    m = frame[34:14 + (frame[16] << 8 | frame[17])]
    assert checksum(m) == 0
    return m


def test_echo_is_answered():
    n = known()
    for size in (0, 1, 56, 1471, 1472):
        data = bytes([i * 3 & 255 for i in range(size)])
        n.give(ether(ipv4("10.0.0.1", 1, icmp(8, 0, b"\1\2\3\4", data))))
        f, = n.take()
        assert f[:6] == PEER_MAC and f[26:34] == b"\x0a\0\0\1\x0a\0\0\2"
        assert message(f) == icmp(0, 0, b"\1\2\3\4", data)


def test_echo_in_fragments_is_answered_in_fragments():
    n = known()
    n.ip.fragments().bytes_max = 80000
    for size in (1473, 4000, 65507):
        data = bytes(range(256)) * (size // 256 + 1)
        m = icmp(8, 0, b"\1\2\3\4", data[:size])
        for at in range(0, len(m), 1480):
            more = 0x2000 if at + 1480 < len(m) else 0
            n.give(ether(ipv4("10.0.0.1", 1, m[at:at + 1480], ident=7, frag=at >> 3 | more)))
        got = bytearray(len(m))
        for f in n.take():
            at = (f[20] << 8 | f[21]) * 8 & 0xFFFF
            part = f[34:14 + (f[16] << 8 | f[17])]
            got[at:at + len(part)] = part
        assert got == icmp(0, 0, b"\1\2\3\4", data[:size]), size


def test_echo_to_all_is_not_answered():
    n = known()
    n.give(ether(ipv4("10.0.0.255", 1, icmp(8)), dst=ALL_MAC))
    n.give(ether(ipv4("224.0.0.1", 1, icmp(8)), dst=b"\x01\0\x5e\0\0\x01"))
    assert not n.take() and n.stack.icmp.count["echo_group"] == 2
    n.stack.icmp.echo_broadcast = True
    n.give(ether(ipv4("10.0.0.255", 1, icmp(8)), dst=ALL_MAC))
    assert n.take()[0][26:30] == b"\x0a\0\0\1", "from an address of ours"


def test_bad_messages_are_counted():
    n = known()
    n.give(ether(ipv4("10.0.0.1", 1, b"\x08\0\0")))
    n.give(ether(ipv4("10.0.0.1", 1, b"\x08\0\0\0\0\0\0\0")))
    assert n.stack.icmp.count["runt"] == 1 and n.stack.icmp.count["bad_checksum"] == 1
    assert not n.take()


def test_protocol_unreachable():
    n = known()
    packet = ipv4("10.0.0.1", 77, b"payload")
    n.give(ether(packet))
    m = message(n.take()[0])
    assert m[:2] == b"\3\2" and m[8:] == packet


def test_errors_quote_at_most_what_fits_in_576_bytes():
    n = known()
    n.give(ether(ipv4("10.0.0.1", 77, b"p" * 1400)))
    f, = n.take()
    assert f[16] << 8 | f[17] == 576


def test_parameter_problem_points_at_the_byte():
    n = known()
    n.give(ether(ipv4("10.0.0.1", 77, b"p", options=b"\1\x07\xff\0")))
    m = message(n.take()[0])
    assert m[0] == 12 and m[4] == 22


def test_no_error_is_sent_about_these():
    n = known()
    bad = b"p" * 20
    n.give(ether(ipv4("10.0.0.255", 77, bad), dst=ALL_MAC))
    n.give(ether(ipv4("10.0.0.1", 77, bad, frag=100)))
    n.give(ether(ipv4("255.255.255.255", 77, bad, src="0.0.0.0"), dst=ALL_MAC))
    n.give(ether(ipv4("224.0.0.1", 77, bad), dst=b"\x01\0\x5e\0\0\x01"))
    # An ICMP error with options that are malformed.
    n.give(ether(ipv4("10.0.0.1", 1, icmp(3, 3), options=b"\x07\xff\0\0")))
    assert not n.take()
    assert n.stack.icmp.count["error_sent"] == 0


def test_errors_are_rate_limited():
    n = known()
    for _ in range(200):
        n.give(ether(ipv4("10.0.0.1", 77, b"p")))
    assert len(n.take()) == n.stack.icmp.errors_max
    assert n.stack.icmp.count["rate_limited"] == 150
    n.run(1100)
    n.give(ether(ipv4("10.0.0.1", 77, b"p")))
    assert len(n.take()) == 1


def test_time_exceeded_when_reassembly_takes_too_long():
    n = known()
    first = ipv4("10.0.0.1", 17, udp(1, 2, b"f" * 56), ident=9, frag=0x2000)
    n.give(ether(first))
    n.run(31000)
    out = [f for f in n.take() if f[12:14] == b"\x08\0"]
    m = message(out[0])
    assert m[:2] == b"\x0b\1" and m[8:28] [:2] == b"\x45\0"
    n.give(ether(ipv4("10.0.0.1", 17, b"l" * 64, ident=10, frag=8)))
    n.run(31000)
    assert not [f for f in n.take() if f[12:14] == b"\x08\0"], "not without the first fragment"
    assert n.ip.count["reassembly_timeout"] == 2


def quote(sport, dport, proto=17, src="10.0.0.1", dst="10.0.0.2", frag=0):
    return ipv4(dst, proto, udp(sport, dport, b"q"), src=src, frag=frag)


def test_errors_reach_the_connected_udp_socket():
    for code, error in ((0, ENETUNREACH), (1, EHOSTUNREACH), (2, ECONNREFUSED), (3, ECONNREFUSED),
                        (4, EMSGSIZE), (13, EHOSTUNREACH)):
        n = known()
        s = bound(n)
        s.connect(("10.0.0.2", 5))
        n.give(ether(ipv4("10.0.0.1", 1, icmp(3, code, data=quote(7, 5)))))
        assert raises(OSError, s.recv, 10).errno == error
        s.setblocking(False)
        assert raises(OSError, s.recv, 10).errno == 11


def test_errors_that_quote_nothing_of_ours_are_counted():
    n = known()
    s = bound(n)
    s.connect(("10.0.0.2", 5))
    cases = (quote(7, 5, src="10.0.0.3"), quote(7, 5)[:20], quote(7, 5)[:10], b"",
             b"\x65" + quote(7, 5)[1:], b"\x41" + quote(7, 5)[1:], quote(7, 5, frag=5),
             quote(7, 5, proto=1), quote(7, 5, proto=200))
    for q in cases:
        n.give(ether(ipv4("10.0.0.1", 1, icmp(3, 3, data=q))))
    assert n.stack.icmp.count["bad_error"] == len(cases)
    n.give(ether(ipv4("10.0.0.1", 1, icmp(3, 3, data=quote(7, 6)))))
    assert n.stack.udp.count["bad_icmp"] == 1
    assert raises(OSError, s.recv, 10).errno == 11


def test_redirect_is_off_by_default_and_only_the_gateway_in_use_is_believed():
    n = known(gateway="10.0.0.2")
    q = ipv4("8.8.8.8", 17, udp(1, 2, b"q"), src="10.0.0.1")
    redirect = icmp(5, 1, b"\x0a\0\0\x09", q)
    n.give(ether(ipv4("10.0.0.1", 1, redirect)))
    assert n.stack.icmp.count["redirect_ignored"] == 1
    n.stack.icmp.redirects = True
    n.give(ether(ipv4("10.0.0.1", 1, redirect, src="10.0.0.3")))
    n.give(ether(ipv4("10.0.0.1", 1, icmp(5, 1, b"\x0b\0\0\x09", q))))
    assert n.stack.icmp.count["redirect_ignored"] == 3
    n.give(ether(ipv4("10.0.0.1", 1, redirect)))
    assert n.stack.path(b"\x08\x08\x08\x08", 17).hop.addr == b"\x0a\0\0\x09"
    assert n.stack.path(b"\x08\x08\x08\x09", 17).hop.addr == b"\x0a\0\0\x02"


def test_raw_socket_pings_and_reads_whole_packets():
    n = known()
    s = n.stack.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.setblocking(False)
    ping = icmp(8, 0, b"\0\1\0\1", b"data")
    s.sendto(ping, ("10.0.0.2", 0))
    f, = n.take()
    assert message(f) == ping
    reply = ipv4("10.0.0.1", 1, icmp(0, 0, b"\0\1\0\1", b"data"))
    n.give(ether(reply))
    assert s.recvfrom(100) == (reply, ("10.0.0.2", 0))
    s.sendto(ping, ("127.0.0.1", 0))
    n.give()
    got = s.recv(100)
    assert got[20] == 8, "loopback: the request"
    assert s.recv(100)[20] == 0, "and its answer"
    s.close()
    n.give(ether(reply))
    assert not n.stack.raw.endpoints


def test_raw_queue_is_bounded():
    n = known()
    s = n.stack.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    e = s.endpoint
    n.stack.raw.endpoints[0] = e
    reply = ether(ipv4("10.0.0.1", 1, icmp(0, 0, b"\0\1\0\1", b"d" * 1400)))
    for _ in range(60):
        n.give(reply)
    assert n.stack.raw.count["queue_full"] > 0


def test_answering_a_ping_takes_nothing_from_the_heap():
    n = known()
    frame = bytearray(ether(ipv4("10.0.0.1", 1, icmp(8, 0, b"\1\2\3\4", b"p" * 1400))))
    end = len(frame)
    n.give(bytes(frame))
    link = n.link
    sink = link.port = Sink()
    heap_locked(lambda: link.input(frame, 0, end))
    assert sink.sent == 1
    assert OUR_MAC
