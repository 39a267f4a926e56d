"""Scripts: what a path carries, told by routers and found out without them."""
from script import play


def test_pmtu_a_router_that_does_not_say_how_much():
    """MTU 0 (before RFC 1191): the next lower plateau (RFC 1191, 5, 7)."""
    play("""
        include established
        send 1460
        > P. 1:1461(1460) ack 1
        < icmp unreachable frag_needed mtu 0
        info mss < 1460
        > ...
        < . 1:1(0) ack 1461
        timer rexmt off
    """)


def test_pmtu_is_looked_at_again_after_ten_minutes():
    """An increase is tried not sooner than 10 minutes after a decrease (RFC 1191, 6.3)."""
    play("""
        include established
        send 1460
        > P. 1:1461(1460) ack 1
        < icmp unreachable frag_needed mtu 1006
        > ...
        < . 1:1(0) ack 1461
        run 595
        info mss 966
        run 10
        info mss > 966
        send 1240
        > P. 1461:2701(1240) ack 1
    """)


def test_pmtu_nobody_gets_us_below_552():
    """A forged error must not make tiny segments; what is too large may be fragmented."""
    play("""
        include established
        send 1460
        > P. 1:1461(1460) ack 1
        < icmp unreachable frag_needed mtu 68
        info mss 512
        > . 1:513(512) ack 1
        > . 513:1025(512) ack 1
        > P. 1025:1461(436) ack 1
    """)


def test_pmtu_black_hole_is_found_by_timeouts():
    """Full segments vanish and no router says why: smaller ones (RFC 8899, 4.4; RFC 2923, 2.1)."""
    play("""
        include established
        send 4000
        > ...
        +* > . 1:1461(1460) ack 1
        +* > . 1:1461(1460) ack 1
        +* > . 1:1241(1240) ack 1
        +* > . 1:1241(1240) ack 1
        +* > . 1:513(512) ack 1
        < . 1:1(0) ack 513
        > . 513:1025(512) ack 1
        > ...
        info mss 512
    """)


def test_pmtu_small_segments_that_vanish_are_no_black_hole():
    """Timeouts of small segments say nothing of the path's MTU."""
    play("""
        include established
        send 400
        > ...
        skip 30
        info mss 1460
    """)


def test_pmtu_a_guess_is_looked_at_again_after_half_a_minute():
    """It may have been loss: the larger size is tried, and given up at the first timeout."""
    play("""
        include established
        send 1460
        > ...
        +* > . 1:1461(1460) ack 1
        +* > . 1:1461(1460) ack 1
        +* > . 1:1241(1240) ack 1
        < . 1:1(0) ack 1461
        info mss 1240
        run 35
        info mss > 1240
    """)


def test_pmtu_it_is_no_congestion():
    """Data are sent again at once, and the window stays (RFC 1191, 6.5)."""
    play("""
        include established
        send 2920
        > ...
        < icmp unreachable frag_needed mtu 1000
        > . 1:961(960) ack 1
        > ...
        info cwnd 14600
        count timeout 0
    """)
