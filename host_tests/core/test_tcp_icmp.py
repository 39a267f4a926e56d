"""What ICMP errors do to a connection: little, and only if they quote what is in flight."""
from kit import raises
from net import Peer

from spinet.errors import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH
from spinet.tcp.states import NAMES


def quote(p, seq):
    """The IPv4 header and 8 bytes of a segment that the stack sent, as an ICMP error has it."""
    seq = p.iss + seq & 0xFFFFFFFF
    return (b"\x45\0\0\x28\0\0\x40\0\x40\6\0\0\x0a\0\0\1\x0a\0\0\2"
            + bytes((p.lport >> 8, p.lport & 255, p.rport >> 8, p.rport & 255,
                     seq >> 24, seq >> 16 & 255, seq >> 8 & 255, seq & 255)))


def icmp(p, type, code, seq, info=0):
    from net import checksum

    body = bytes((type, code, 0, 0, 0, 0, info >> 8, info & 255)) + quote(p, seq)
    k = checksum(body)
    p.raw(1, body[:2] + bytes((k >> 8, k & 255)) + body[4:])
    p.run(0)


def syn_sent():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    p.one("S")
    return p, s


def test_port_unreachable_refuses_a_connect():
    p, s = syn_sent()
    icmp(p, 3, 3, 0)
    assert s.getsockopt(1, 4) == ECONNREFUSED
    assert not p.stack.tcp.table


def test_network_unreachable_is_soft_but_tells_why_it_timed_out():
    p, s = syn_sent()
    icmp(p, 3, 0, 0)
    assert NAMES[s.conn.state] == "SYN_SENT"
    p.run(300000)
    assert s.getsockopt(1, 4) == ENETUNREACH


def test_a_wrong_sequence_number_is_not_believed():
    p, s = syn_sent()
    icmp(p, 3, 3, 5)
    assert NAMES[s.conn.state] == "SYN_SENT"
    assert p.stack.tcp.count["bad_icmp"] == 1


def test_an_open_connection_survives_every_unreachable():
    p = Peer()
    s = p.accept()
    s.send(b"data")
    for code in range(16):
        if code != 4:
            icmp(p, 3, code, 1)
    assert NAMES[s.conn.state] == "ESTABLISHED"


def test_fragmentation_needed_lowers_the_segment_size_and_sends_again():
    p = Peer()
    s = p.accept()
    s.send(b"m" * 1460)
    p.one("PA", 1, 1, 1460)
    icmp(p, 3, 4, 1, 576)
    assert s.conn.mss == 536
    assert [len(x.data) for x in p.take()][:2] == [536, 536]
    icmp(p, 3, 4, 1, 20)
    assert s.conn.mss == 536, "nonsense is not believed"


def test_source_quench_is_ignored_and_other_errors_are_soft():
    p = Peer()
    s = p.accept()
    s.send(b"data")
    p.take()
    icmp(p, 4, 0, 1)
    assert s.conn.soft_error == 0
    p.none()
    icmp(p, 11, 0, 1)
    assert s.conn.soft_error == s.conn.info()["soft_error"] == EHOSTUNREACH
    assert NAMES[s.conn.state] == "ESTABLISHED"
