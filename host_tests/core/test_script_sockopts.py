"""Scripts: what options of a socket do on the wire: user timeout, linger, MAXSEG, ring sizes."""
from script import each, play


def test_user_timeout_of_unacknowledged_data():
    """UTO: how long data may stay unacknowledged (RFC 5482; RFC 9293, 3.8.3)."""
    play("""
        include established
        setsockopt USER_TIMEOUT 3000
        send 10
        > P. 1:11(10) ack 1
        skip 2.98
        state ESTABLISHED
        skip 0.1
        state CLOSED
        recv 1 = ETIMEDOUT
    """)


def test_user_timeout_ends_with_a_reset():
    """The peer is told."""
    play("""
        include established
        setsockopt USER_TIMEOUT 1000
        send 10
        > P. 1:11(10) ack 1
        +0.2 > P. 1:11(10) ack 1
        +0.4 > P. 1:11(10) ack 1
        +0.4 > R. *:*(0) ack 1
        state CLOSED
    """)


def test_user_timeout_an_acknowledgement_begins_it_anew():
    """Progress is progress."""
    play("""
        include plain_1000
        setsockopt USER_TIMEOUT 2000
        send 3000
        > ...
        skip 1.5
        < . 1:1(0) ack 1001
        > ...
        skip 1.5
        < . 1:1(0) ack 2001
        > ...
        skip 1.5
        state ESTABLISHED
    """)


def test_user_timeout_says_nothing_of_an_idle_connection():
    """Without data there is nothing to wait for."""
    play("""
        include established
        setsockopt USER_TIMEOUT 1000
        run 100
        state ESTABLISHED
    """)


def test_user_timeout_of_connect():
    """It holds for the SYN as well."""
    play("""
        socket s
        setsockopt USER_TIMEOUT 5000
        connect
        > S 0:0(0)
        +1 > S 0:0(0)
        +2 > S 0:0(0)
        run 2.1
        state CLOSED
        connect = ETIMEDOUT
    """)


def test_user_timeout_of_a_shut_window():
    """Probes that are answered do not count as progress."""
    play("""
        include established
        setsockopt USER_TIMEOUT 5000
        < . 1:1(0) ack 1 win 0
        send 10
        repeat 4
        +0.1~2 > P. 1:2(1) ack 1
        < . 1:1(0) ack 1 win 0
        end
        skip 2.5
        state CLOSED
    """)


def test_user_timeout_longer_than_the_usual_one():
    """Retransmission goes on for as long as the user wants."""
    play("""
        include established
        setsockopt USER_TIMEOUT 1000000
        send 10
        > ...
        skip 990
        state ESTABLISHED
        skip 70
        state CLOSED
    """)


def test_linger_zero_resets():
    """SO_LINGER of 0 s: close aborts (RFC 9293, 3.10.5)."""
    each("established close_wait", """
        linger 0
        close
        > R. 1:1(0) ack n
        state CLOSED
    """)


def test_linger_waits_until_everything_is_acknowledged():
    """`close` returns when the data and the FIN have arrived."""
    play("""
        include established
        send 10
        > P. 1:11(10) ack 1
        linger 5
        close ...
        > F. 11:11(0) ack 1
        +0.1 < . 1:1(0) ack 12
        returned
        state FIN_WAIT_2
    """)


def test_linger_waits_no_longer_than_it_may():
    """The rest is delivered in the background."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 10
        linger 2
        close ...
        +0.2 > P. 1:2(1) ack 1
        < . 1:1(0) ack 1 win 0
        +0.4 > P. 1:2(1) ack 1
        < . 1:1(0) ack 1 win 0
        +0.8 > P. 1:2(1) ack 1
        < . 1:1(0) ack 1 win 0
        +0.6 returned
        < . 1:1(0) ack 1 win 100
        > FP. 1:11(10) ack 1
        < . 1:1(0) ack 12
        state FIN_WAIT_2
    """)


def test_maxseg_bounds_both_directions():
    """TCP_MAXSEG: what is asked for in the SYN, and what is sent."""
    play("""
        socket s
        setsockopt MAXSEG 700
        connect
        > S 0:0(0) <mss 700,*>
        < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1
        send 1000
        > . 1:701(700) ack 1
        getsockopt MAXSEG = 700
    """)


def test_maxseg_of_an_open_connection_only_lowers():
    """No more than was agreed."""
    play("""
        include plain_1000
        setsockopt MAXSEG 500
        send 1000
        > . 1:501(500) ack 1
        > P. 501:1001(500) ack 1
        setsockopt MAXSEG 1400
        < . 1:1(0) ack 1001
        send 500
        > P. 1001:1501(500) ack 1
    """)


def test_sizes_of_the_rings():
    """SO_RCVBUF is what the window shows, SO_SNDBUF what `send` takes."""
    play("""
        socket s
        setsockopt RCVBUF 1000
        setsockopt SNDBUF 2000
        connect
        > S 0:0(0) win 1000
        < S. 0:0(0) ack 1 win 0 <mss 1460>
        > . 1:1(0) ack 1 win 1000
        send 5000 = 2000
    """)


def test_a_larger_ring_opens_the_window():
    """SO_RCVBUF of an open connection."""
    play("""
        set rcvbuf 1000
        include established
        < . 1:1001(1000) ack 1
        +0.04 > . 1:1(0) ack 1001 win 0
        setsockopt RCVBUF 4000
        > . 1:1(0) ack 1001 win 3000
        < . 1001:2001(1000) ack 1
        recv 2000
        +0~0.05 > . 1:1(0) ack 2001
    """)


def test_a_smaller_ring_does_not_take_back_what_was_promised():
    """The window does not shrink (RFC 9293, 3.8.6, SHLD-14)."""
    play("""
        include established
        setsockopt RCVBUF 256
        < . 1:1001(1000) ack 1
        +0.04 > . 1:1(0) ack 1001 win 3096
        < . 1001:2001(1000) ack 1
        +0.04 > . 1:1(0) ack 2001 win 2096
        recv 2000
    """)


def test_quickack_does_not_delay():
    """TCP_QUICKACK: each segment is acknowledged at once."""
    play("""
        include established
        setsockopt QUICKACK 1
        < . 1:11(10) ack 1
        > . 1:1(0) ack 11
        < . 11:21(10) ack 1
        > . 1:1(0) ack 21
    """)
