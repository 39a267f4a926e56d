"""Scripts: what ICMP errors do to a connection."""
from script import each, play

OPEN = "established fin_wait_1 fin_wait_2 close_wait closing last_ack"


def test_port_or_protocol_unreachable_refuses_a_connect():
    """Hard errors end a connection that is not yet synchronized (RFC 9293, 3.9.2.2; RFC 5927,
    5.2).
    """
    for kind in ("port", "proto"):
        play("""
            include syn_sent
            < icmp unreachable %s
            state CLOSED
            connect = ECONNREFUSED
            table 0
        """ % kind)


def test_soft_errors_do_not_end_a_connect():
    """Net, host, source route, time exceeded: MUST NOT abort (RFC 9293, 3.9.2.2, MUST-56)."""
    play("""
        include syn_sent
        < icmp unreachable net
        < icmp unreachable host
        < icmp unreachable source_route
        < icmp unreachable admin_prohibited
        < icmp time_exceeded
        state SYN_SENT
        < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1
        state ESTABLISHED
    """)


def test_a_soft_error_tells_why_it_failed_in_the_end():
    """The user may be told at the time-out (RFC 9293, 3.9.2.2, SHLD-25)."""
    for kind, error in (("net", "ENETUNREACH"), ("host", "EHOSTUNREACH"),
                        ("host_prohibited", "EHOSTUNREACH"), ("admin_prohibited", "EHOSTUNREACH")):
        play("""
            include syn_sent
            < icmp unreachable %s
            skip 200
            state CLOSED
            connect = %s
        """ % (kind, error))


def test_every_unreachable_is_soft_once_synchronized():
    """In synchronized states hard errors are soft (RFC 5927, 5.2)."""
    for code in range(16):
        if code != 4:
            each(OPEN, """
                < icmp unreachable %d
                < icmp unreachable %d seq u
                state unchanged
            """ % (code, code))


def test_the_soft_error_of_an_open_connection_is_reported_at_its_end():
    """... when it is given up (RFC 9293, 3.9.2.2)."""
    play("""
        include established
        send 10
        > P. 1:11(10) ack 1
        < icmp unreachable host
        skip 400
        state CLOSED
        recv 1 = EHOSTUNREACH
    """)


def test_source_quench_is_ignored():
    """RFC 6633; RFC 9293, 3.9.2.2, MUST-55."""
    play("""
        include established
        send 10
        > P. 1:11(10) ack 1
        < icmp source_quench
        info cwnd 14600
    """)


def test_an_error_with_a_number_that_is_not_in_flight_is_not_believed():
    """SND.UNA =< SEG.SEQ < SND.NXT (RFC 5927, 4.1)."""
    play("""
        include syn_sent
        < icmp unreachable port seq 5
        < icmp unreachable port seq -1
        < icmp unreachable port seq 100000
        state SYN_SENT
        count bad_icmp 3
    """)
    play("""
        include plain_1000
        send 1000
        > P. 1:1001(1000) ack 1
        < icmp unreachable frag_needed mtu 576 seq 2000
        < icmp unreachable frag_needed mtu 576 seq -2000
        info mss 1000
        count bad_icmp 2
    """)


def test_an_error_for_another_connection_is_not_believed():
    """Addresses and ports of the quoted header decide (RFC 1122, 3.2.2)."""
    play("""
        include syn_sent
        flow 7777 80
        < icmp unreachable port seq 0
        count bad_icmp 1
        flow 5555
        state SYN_SENT
    """)


def test_fragmentation_needed_lowers_the_segments_and_sends_again():
    """Path MTU discovery (RFC 1191, 6.5); data in flight are sent anew in smaller pieces."""
    play("""
        include established
        send 1460
        > P. 1:1461(1460) ack 1
        < icmp unreachable frag_needed mtu 1000
        info mss 960
        > . 1:961(960) ack 1
        > P. 961:1461(500) ack 1
        < . 1:1(0) ack 1461
        send 2000
        > . 1461:2421(960) ack 1
        > . 2421:3381(960) ack 1
        < . 1:1(0) ack 3381
        > P. 3381:3461(80) ack 1
    """)


def test_fragmentation_needed_does_not_raise_and_has_a_least():
    """A larger MTU, or one below 68, is nonsense (RFC 1191, 3)."""
    play("""
        include established
        send 1460
        > P. 1:1461(1460) ack 1
        < icmp unreachable frag_needed mtu 9000
        < icmp unreachable frag_needed mtu 1500
        < icmp unreachable frag_needed mtu 67
        info mss 1460
    """)


def test_fragmentation_needed_beside_timestamps():
    """MSS = MTU - 40 - options (RFC 6691)."""
    play("""
        include timestamps
        send 1448
        > P. 1:1449(1448) ack 1
        < icmp unreachable frag_needed mtu 1000
        info mss 948
        > . 1:949(948) ack 1
        > P. 949:1449(500) ack 1
    """)


def test_fragmentation_needed_in_syn_sent():
    """A SYN is small: only the MTU is remembered, and the MSS follows from it."""
    play("""
        include syn_sent
        < icmp unreachable frag_needed mtu 576
        < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1
        send 1000
        > . 1:537(536) ack 1
    """)


def test_errors_in_time_wait_change_nothing():
    """There is nothing in flight any more (RFC 5927, 4.1)."""
    play("""
        include time_wait
        < icmp unreachable port
        < icmp unreachable net
        state TIME_WAIT
    """)
