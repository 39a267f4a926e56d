"""Scripts: explicit congestion notification (RFC 3168).  `tos` 2 is ECT(0), 3 is CE."""
from script import cases, play

AGREED = """
    set ecn 1
    set sndbuf 60000
    include listen
    < SEW 0:0(0) win 65535 <mss 1000>
    > SE. 0:0(0) ack 1 tos 0 <mss 1460>
    < . 1:1(0) ack 1
    L.accept s
    L.close
"""


def test_ecn_is_off_by_default():
    """Nobody asks for it, and nobody answers."""
    cases("""
        == active
        socket s
        connect
        > S 0:0(0) tos 0
        == passive
        include listen
        < SEW 0:0(0)
        > S. 0:0(0) ack 1
    """)


def test_ecn_is_asked_for_in_the_syn():
    """ECE and CWR in the SYN, not ECN-capable itself (RFC 3168, 6.1.1)."""
    cases("""
        == the peer agrees
        < SE. 0:0(0) ack 1 <mss 1000>
        > . 1:1(0) ack 1 tos 0
        send 10
        > P. 1:11(10) ack 1 tos 2
        == it does not
        < S. 0:0(0) ack 1 <mss 1000>
        > . 1:1(0) ack 1 tos 0
        send 10
        > P. 1:11(10) ack 1 tos 0
        == it just reflects the flags
        < SEW. 0:0(0) ack 1 <mss 1000>
        > . 1:1(0) ack 1 tos 0
        send 10
        > P. 1:11(10) ack 1 tos 0
    """, """
        set ecn 1
        socket s
        connect
        > SEW 0:0(0) tos 0
    """)


def test_ecn_data_are_capable_acknowledgements_are_not():
    """ECT on new data only (RFC 3168, 6.1.4)."""
    play("""
        send 10
        > P. 1:11(10) ack 1 tos 2
        < . 1:11(10) ack 11
        +0.04 > . 11:11(0) ack 11 tos 0
    """, AGREED)


def test_ecn_retransmissions_and_probes_are_not_capable():
    """No ECT on a retransmission, nor on a window probe (RFC 3168, 6.1.5, 6.1.6)."""
    play("""
        send 10
        > P. 1:11(10) ack 1 tos 2
        +0.2 > P. 1:11(10) ack 1 tos 0
        < . 1:1(0) ack 11 win 0
        send 10
        +* > P. 11:12(1) ack 1 tos 0
    """, AGREED)


def test_ecn_a_mark_is_echoed_until_the_peer_has_slowed_down():
    """ECE in every ACK until CWR (RFC 3168, 6.1.3)."""
    play("""
        < . 1:1001(1000) ack 1 tos 3
        < . 1001:2001(1000) ack 1 tos 2
        > E. 1:1(0) ack 2001
        < . 2001:3001(1000) ack 1 tos 2
        < . 3001:4001(1000) ack 1 tos 2
        > E. 1:1(0) ack 4001
        recv 4000
        > E. 1:1(0) ack 4001
        < W. 4001:5001(1000) ack 1 tos 2
        < . 5001:6001(1000) ack 1 tos 2
        > . 1:1(0) ack 6001
    """, AGREED)


def test_ecn_cwr_with_a_new_mark_begins_anew():
    """A CE on the segment with CWR is echoed again (RFC 3168, 6.1.3)."""
    play("""
        < . 1:1001(1000) ack 1 tos 3
        +0.04 > E. 1:1(0) ack 1001
        < W. 1001:2001(1000) ack 1 tos 3
        +0.04 > E. 1:1(0) ack 2001
    """, AGREED)


def test_ecn_an_echo_halves_the_window_once_per_round_trip():
    """As after a loss, but nothing is sent again; CWR in the next new data (RFC 3168, 6.1.2)."""
    play("""
        send 40000
        > ...
        < E. 1:1(0) ack 1001
        info ssthresh 5000
        info cwnd <= 6000
        count ecn 1
        < E. 1:1(0) ack 2001
        count ecn 1
        < E. 1:1(0) ack 8001
        > W. 10001:11001(1000) ack 1 tos 2
        > . 11001:12001(1000) ack 1 tos 2
        > ...
        count ecn 1
        count retransmit 0
    """, AGREED)


def test_ecn_a_loss_is_told_by_cwr_too():
    """Whatever reduces the window sets CWR (RFC 3168, 6.1.2)."""
    play("""
        send 40000
        > ...
        < . 1:1(0) ack 1
        > ...
        < . 1:1(0) ack 1
        > ...
        < . 1:1(0) ack 1
        > . 1:1001(1000) ack 1 tos 0
        < . 1:1(0) ack 12001
        > W. 12001:13001(1000) ack 1 tos 2
        > ...
    """, AGREED)


def test_ecn_an_echo_that_was_not_agreed_does_nothing():
    """Without an agreement ECE and CE are noise (RFC 3168, 6.1.1)."""
    play("""
        set sndbuf 60000
        include plain_1000
        send 10000
        > ...
        < E. 1:1(0) ack 1001 tos 3
        info cwnd >= 10000
        < . 1:11(10) ack 1001 tos 3
        +0.04 > . 10001:10001(0) ack 11 tos 0
    """)
