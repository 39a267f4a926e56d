"""Scripts: listening sockets: backlog, half-open connections, children that die."""
from script import play


def test_connections_are_accepted_in_the_order_of_their_handshakes():
    """First established, first accepted."""
    play("""
        include listen
        flow 6001
        < S 0:0(0)
        > S. 0:0(0) ack 1
        flow 6002
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        flow 6001
        < . 1:1(0) ack 1
        flow 6002
        L.accept a
        flow 6001
        L.accept b
        L.accept c = EAGAIN
    """)


def test_a_full_backlog_ignores_the_syn():
    """No reset: the peer will try again, and succeed once somebody accepts (RFC 9293, 3.10.1)."""
    play("""
        socket L
        L.bind 80
        L.listen 1
        flow 6001
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        queue 1
        flow 6002
        < S 0:0(0)
        count backlog_full 1
        flow 6001
        L.accept a
        flow 6002
        < S 0:0(0)
        > S. 0:0(0) ack 1
    """)


def test_a_client_that_was_answered_gets_in_though_the_backlog_filled_up():
    """What was promised by a SYN,ACK is kept."""
    play("""
        socket L
        L.bind 80
        L.listen 1
        flow 6001
        < S 0:0(0)
        > S. 0:0(0) ack 1
        flow 6002
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        flow 6001
        < . 1:1(0) ack 1
        queue 2
    """)


def test_half_open_connections_are_bounded():
    """The oldest makes room once it has been silent for a second."""
    text = "set cookies_max 0\nset half_open_max 3\ninclude listen\n"
    for port in (6001, 6002, 6003, 6004, 6005):
        text += "flow %d\n< S 0:0(0)\n> S. 0:0(0) ack 1\n" % port
    play(text + """
        halfopen 5
        flow 6006
        < S 0:0(0)
        count half_open_full 1
        halfopen 5
        skip 1.1
        < S 0:0(0)
        > S. 0:0(0) ack 1
        halfopen 5
        flow 6001
        state CLOSED
    """)


def test_a_child_that_is_reset_leaves_the_queue():
    """A connection that died before anybody accepted it is not handed out."""
    play("""
        include syn_received
        < . 1:1(0) ack 1
        queue 1
        < R 1:1(0)
        queue 0
        table 0
        L.accept s = EAGAIN
        L.ready = 0
    """)


def test_a_child_with_data_that_was_closed_by_the_peer_is_still_accepted():
    """Data and the end of the stream wait to be read."""
    play("""
        include syn_received
        < FP. 1:11(10) ack 1
        > . 1:1(0) ack 12
        queue 1
        L.accept s
        recv 10
        recv 1 = EOF
        close
        > F. 1:1(0) ack 12
    """)


def test_a_child_may_be_written_to_at_once():
    """The accepted connection is open."""
    play("""
        include syn_received
        < . 1:1(0) ack 1
        L.accept s
        send 10
        > P. 1:11(10) ack 1
    """)


def test_closing_the_listener_resets_those_who_wait():
    """Nobody will accept them: half open or in the queue (RFC 9293, 3.10.4)."""
    play("""
        include listen
        flow 6001
        < S 0:0(0)
        > S. 0:0(0) ack 1
        flow 6002
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        L.close
        flow 6001
        > R. 1:1(0) ack 1
        flow 6002
        > R. 1:1(0) ack 1
        table 0
        flow 6003
        < S 0:0(0)
        > R. 0:0(0) ack 1
    """)


def test_closing_the_listener_leaves_the_accepted_alone():
    """An accepted connection belongs to its user."""
    play("""
        include syn_received
        < . 1:1(0) ack 1
        L.accept s
        L.close
        state ESTABLISHED
        send 1
        > P. 1:2(1) ack 1
    """)


def test_the_same_port_again_while_the_old_one_is_closing():
    """A new connection from the same peer port in LAST-ACK is challenged, then reset, then
    opened.
    """
    play("""
        include listen
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        L.accept s
        < F. 1:1(0) ack 1
        > . 1:1(0) ack 2
        close
        > F. 1:1(0) ack 2
        state LAST_ACK
        < S 5000:5000(0)
        > . 2:2(0) ack 2
        < R 2:2(0)
        state CLOSED
        < S 5000:5000(0)
        > S. 0:0(0) ack 5001
    """)


def test_a_peer_that_restarted_gets_in():
    """A half-open connection is discovered: challenge ACK, RST, SYN (RFC 9293, 3.5.1; RFC 5961,
    4).
    """
    play("""
        include listen
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        L.accept s
        < S 70000:70000(0)
        > . 1:1(0) ack 1
        < R 1:1(0)
        state CLOSED
        recv 1 = ECONNRESET
        < S 70000:70000(0)
        > S. 0:0(0) ack 70001
        state SYN_RECEIVED
    """)


def test_too_many_connections_are_not_opened():
    """`connections_max` bounds all but TIME-WAIT."""
    play("""
        set connections_max 1
        include listen
        flow 6001
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        flow 6002
        < S 0:0(0)
        count too_many 1
        flow 6001
        < R 1:1(0)
        flow 6002
        < S 0:0(0)
        > S. 0:0(0) ack 1
    """)


def test_catch_all_listens_to_every_port():
    """A listener on port 0 with `catch_all` accepts what others do not."""
    play("""
        set catch_all 1
        socket L
        L.bind 0
        L.listen 5
        flow 6001 81
        < S 0:0(0)
        > S. 0:0(0) ack 1
        flow 6001 82
        < S 0:0(0)
        > S. 0:0(0) ack 1
        halfopen 2
    """)


def test_blocking_accept_waits():
    """`accept` returns with the handshake's ACK."""
    play("""
        include listen
        L.accept s ...
        +1 < S 0:0(0)
        > S. 0:0(0) ack 1
        +0.1 < . 1:1(0) ack 1
        returned
        state ESTABLISHED
    """)


def test_blocking_accept_obeys_its_time_out():
    """ETIMEDOUT when nobody came."""
    play("""
        include listen
        L.timeout 3
        L.accept s ... = ETIMEDOUT
        +3 returned
    """)


def test_options_of_the_listener_are_inherited():
    """What was set on the listener holds for the accepted."""
    play("""
        socket L
        L.setsockopt NODELAY 1
        L.bind 80
        L.listen 5
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        L.accept s
        getsockopt NODELAY = 1
        send 1
        > P. 1:2(1) ack 1
        send 1
        > P. 2:3(1) ack 1
    """)
