"""Scripts: what each socket call gives in each state."""
from script import each, play


def test_calls_on_a_socket_without_a_connection():
    """CLOSED: "connection does not exist" (RFC 9293, 3.10.2 to 3.10.5)."""
    play("""
        socket s
        send 1 = ENOTCONN
        recv 1 = ENOTCONN
        shutdown WR = ENOTCONN
        accept = EINVAL
        ready = WR|HUP
        getsockopt ERROR = 0
        close
        close
        send 1 = EBADF
        recv 1 = EBADF
    """)


def test_calls_on_a_listening_socket():
    """LISTEN: no data, no connect (RFC 9293, 3.10.2)."""
    play("""
        include listen
        L.send 1 = ENOTCONN
        L.recv 1 = ENOTCONN
        L.connect = EINVAL
        L.bind 81 = EINVAL
        L.shutdown WR = ENOTCONN
        L.accept s = EAGAIN
        L.ready = 0
        L.listen 7
        socket M
        M.bind 80 = EADDRINUSE
    """)


def test_calls_in_syn_sent_and_syn_received():
    """Not yet open: wait (RFC 9293, 3.10.2, 3.10.3)."""
    each("syn_sent active_syn_received", """
        send 1 = EAGAIN
        recv 1 = EAGAIN
        connect = EALREADY
        ready = 0
        listen 1 = EINVAL
        bind 81 = EINVAL
        getsockopt ERROR = 0
        state unchanged
    """)


def test_send_where_the_user_may_send():
    """ESTABLISHED and CLOSE-WAIT (RFC 9293, 3.10.2)."""
    each("established close_wait", """
        send 10
        > P. 1:11(10) ack n
        state unchanged
    """)


def test_send_after_close_or_shutdown():
    """FIN-WAIT-1 and later: "connection closing" (RFC 9293, 3.10.2)."""
    each("fin_wait_1 fin_wait_2 closing", """
        send 10 = EPIPE
        send 10 = EPIPE
    """)
    each("last_ack", "send 10 = EBADF")
    play("""
        include time_wait
        send 10 = EPIPE
    """)


def test_recv_where_data_may_still_come():
    """ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2: wait (RFC 9293, 3.10.3)."""
    each("established fin_wait_1 fin_wait_2", """
        recv 10 = EAGAIN
        < . n:n+5(5) ack u
        recv 10 = 5
        recv 10 = EAGAIN
        +0.04 > . x:x(0) ack n+5
    """)


def test_recv_after_the_peers_fin():
    """CLOSE-WAIT and later: the end of the stream, again and again (RFC 9293, 3.10.3)."""
    each("close_wait closing time_wait", """
        recv 10 = EOF
        recv 10 = EOF
        peek 10 = EOF
    """)


def test_recv_after_a_reset_and_data_that_were_not_read():
    """RST: "connection reset" once, then the end; what was not read is gone (3.10.7.4, second)."""
    play("""
        include established
        < . 1:11(10) ack 1
        < R 11:11(0)
        recv 10 = ECONNRESET
        recv 10 = EOF
        send 10 = EPIPE
    """)


def test_send_after_a_reset():
    """The error is reported once, to whoever comes first."""
    play("""
        include established
        < R 1:1(0)
        send 10 = ECONNRESET
        send 10 = EPIPE
        recv 10 = EOF
    """)


def test_the_error_of_a_socket_can_be_asked_for():
    """SO_ERROR reports and clears it."""
    play("""
        include established
        < R 1:1(0)
        getsockopt ERROR = ECONNRESET
        getsockopt ERROR = 0
        recv 10 = EOF
    """)


def test_shutdown_in_each_state():
    """CLOSE sends a FIN where none was sent yet (RFC 9293, 3.10.4)."""
    play("""
        include established
        shutdown WR
        > F. 1:1(0) ack 1
        state FIN_WAIT_1
    """)
    play("""
        include close_wait
        shutdown WR
        > F. 1:1(0) ack 2
        state LAST_ACK
    """)
    each("fin_wait_1 fin_wait_2 closing time_wait", """
        shutdown WR
        state unchanged
    """)


def test_close_in_each_state_without_data_to_lose():
    """After it the socket is closed to all calls, and the rest happens by itself."""
    each("fin_wait_1 fin_wait_2 closing time_wait", """
        close
        state unchanged
        recv 1 = EBADF
        send 1 = EBADF
        close
    """)


def test_ready_through_a_life():
    """What poll() is told: readable, writable, hung up, error."""
    play("""
        include syn_sent
        ready = 0
        < S. 0:0(0) ack 1
        > . 1:1(0) ack 1
        ready = WR
        < . 1:11(10) ack 1
        ready = RD|WR
        recv 10
        ready = WR
        < F. 11:11(0) ack 1
        > . 1:1(0) ack 12
        ready = RD|WR
        < R 12:12(0)
        ready = RD|WR|ERR|HUP
        recv 1 = ECONNRESET
        ready = RD|WR|HUP
    """)


def test_ready_after_our_own_shutdown():
    """A write would raise, and so does not wait; a read waits."""
    play("""
        include fin_wait_2
        ready = WR
        < . 1:11(10) ack 2
        ready = RD|WR
    """)


def test_blocking_recv_returns_with_data():
    """It returns what there is, not all that was asked for."""
    play("""
        include established
        recv 100 ... = 10
        +2 < . 1:11(10) ack 1
        returned
        +0.04 > . 1:1(0) ack 11
    """)


def test_blocking_recv_is_woken_by_a_fin():
    """The end of the stream."""
    play("""
        include established
        recv 100 ... = EOF
        +2 < F. 1:1(0) ack 1
        > . 1:1(0) ack 2
        returned
    """)


def test_blocking_recv_is_woken_by_a_reset():
    """A blocked call learns that the connection died (RFC 9293, 3.10.7.4, second)."""
    play("""
        include established
        recv 100 ... = ECONNRESET
        +2 < R 1:1(0)
        returned
    """)


def test_blocking_recv_is_woken_when_the_peer_is_given_up():
    """... also when it is us who give up."""
    play("""
        include established
        setsockopt KEEPIDLE 10
        setsockopt KEEPINTVL 5
        setsockopt KEEPCNT 1
        setsockopt KEEPALIVE 1
        recv 100 ... = ETIMEDOUT
        +10 > . 0:0(0) ack 1
        +5 > R. 1:1(0) ack 1
        returned
    """)


def test_blocking_recv_obeys_its_time_out():
    """ETIMEDOUT, and the connection lives on."""
    play("""
        include established
        timeout 1.5
        recv 100 ... = ETIMEDOUT
        +1.5 returned
        state ESTABLISHED
    """)


def test_blocking_send_is_woken_by_a_reset():
    """A full ring will never drain again."""
    play("""
        set sndbuf 100
        include established
        send 100
        > P. 1:101(100) ack 1
        send 100 ... = ECONNRESET
        +0.1 < R 1:1(0)
        returned
    """)


def test_connect_to_a_group_is_refused():
    """OPEN to a broadcast or multicast address is an error (RFC 9293, 3.9.2.3, MUST-46)."""
    play("""
        socket s
        connect 224.0.0.1 = ENETUNREACH
        connect 255.255.255.255 = ENETUNREACH
        connect 10.0.0.255 = ENETUNREACH
        connect 240.0.0.1 = ENETUNREACH
        table 0
    """)


def test_connect_twice():
    """EISCONN once open; EALREADY before."""
    play("""
        include syn_sent
        connect = EALREADY
        < S. 0:0(0) ack 1
        > . 1:1(0) ack 1
        connect = EISCONN
        listen 1 = EINVAL
    """)


def test_a_socket_that_failed_to_connect_without_waiting_says_why_once():
    """A non-blocking connect's error."""
    play("""
        include syn_sent
        < R. 0:0(0) ack 1
        getsockopt ERROR = ECONNREFUSED
        getsockopt ERROR = 0
        recv 1 = EOF
        send 1 = EPIPE
    """)


def test_a_blocking_connect_that_failed_may_be_tried_again():
    """The socket is as new."""
    play("""
        socket s
        connect ... = ECONNREFUSED
        > S 0:0(0)
        < R. 0:0(0) ack 1
        returned
        flow 5556
        connect
        > S 0:0(0)
        < S. 0:0(0) ack 1
        > . 1:1(0) ack 1
        state ESTABLISHED
    """)
