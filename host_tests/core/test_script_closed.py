"""Scripts: segments for which there is no connection, with and without a listener."""
from script import each, play



def test_closed_rst_is_ignored():
    """A segment with RST for no connection is discarded (RFC 9293, 3.10.7.1)."""
    play("""
        < R 5:5(0)
        < R. 5:5(0) ack 7
        < SR 5:5(0)
        count no_socket 3
        count reset_sent 0
        table 0
    """)


def test_closed_ack_is_reset_with_its_own_acknowledgement_number():
    """<SEQ=SEG.ACK><CTL=RST> answers a segment with ACK (RFC 9293, 3.10.7.1)."""
    play("""
        < . 5:5(0) ack 1234
        > R 1234:1234(0) <>
        < P. 5:15(10) ack 99
        > R 99:99(0)
    """)


def test_closed_syn_is_reset_and_acknowledged():
    """<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>; SYN counts as one (RFC 9293, 3.10.7.1)."""
    play("""
        < S 5:5(0) <mss 1460>
        > R. 0:0(0) ack 6 win 0
        count no_listener 1
        table 0
    """)


def test_closed_syn_with_data_is_acknowledged_to_its_end():
    """SEG.LEN counts SYN, data and FIN (RFC 9293, 3.4)."""
    play("""
        < S 5:15(10)
        > R. 0:0(0) ack 16
        < SF 5:15(10)
        > R. 0:0(0) ack 17
    """)


def test_closed_syn_ack_is_reset():
    """A SYN,ACK that nobody asked for is reset, as any other ACK (RFC 9293, 3.5.2)."""
    play("""
        < S. 5:5(0) ack 77
        > R 77:77(0)
    """)


def test_closed_fin_and_null_segments_are_reset():
    """Whatever has neither RST nor ACK is answered with SEQ=0 (RFC 9293, 3.10.7.1)."""
    play("""
        < F 5:8(3)
        > R. 0:0(0) ack 9
        < - 5:15(10)
        > R. 0:0(0) ack 15
        < FPU 5:5(0)
        > R. 0:0(0) ack 6
    """)


def test_closed_resets_are_rate_limited():
    """At most `answers_max` resets a second (RFC 5961, 7)."""
    play("""
        set answers_max 3
        repeat 3
        < . 5:5(0) ack 1
        > R 1:1(0)
        end
        < . 5:5(0) ack 1
        < . 5:5(0) ack 1
        count rate_limited 2
        +1 < . 5:5(0) ack 1
        > R 1:1(0)
    """)


def test_closed_bad_checksum_is_discarded():
    """A segment with a wrong checksum is discarded without a word (RFC 9293, 3.1, MUST-3)."""
    play("""
        < . 5:5(0) ack 1 badsum
        < S 5:5(0) badsum
        count bad_checksum 2
        count reset_sent 0
    """)


def test_group_addresses_get_no_answer():
    """To or from a broadcast or multicast address: dropped (RFC 9293, 3.9.2.3, MUST-57,
    MUST-63).
    """
    play("""
        include listen
        < S 0:0(0) to 10.0.0.255
        < S 0:0(0) to 255.255.255.255
        < S 0:0(0) to 224.0.0.1
        < . 5:5(0) ack 1 to 10.0.0.255
        < S 0:0(0) from 224.0.0.1
        < S 0:0(0) from 255.255.255.255
        < S 0:0(0) from 10.0.0.255
        halfopen 0
        count reset_sent 0
    """)


def test_listen_rst_is_ignored():
    """LISTEN, first: a RST is ignored (RFC 9293, 3.10.7.2)."""
    play("""
        include listen
        < R 0:0(0)
        < SR 0:0(0)
        table 0
        halfopen 0
    """)


def test_listen_ack_is_reset():
    """LISTEN, second: any ACK is answered by <SEQ=SEG.ACK><CTL=RST> (RFC 9293, 3.10.7.2)."""
    play("""
        include listen
        < . 1:1(0) ack 300
        > R 300:300(0)
        < S. 0:0(0) ack 301
        > R 301:301(0)
        < F. 0:0(0) ack 302
        > R 302:302(0)
        halfopen 0
    """)


def test_listen_syn_makes_a_half_open_connection():
    """LISTEN, third: a SYN is answered by <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> (RFC 9293,
    3.10.7.2).
    """
    play("""
        include listen
        < S 0:0(0) win 65535 <mss 1460>
        > S. 0:0(0) ack 1 win 4096 <mss 1460>
        state SYN_RECEIVED
        halfopen 1
        timer rexmt on
    """)


def test_listen_neither_syn_nor_ack_is_dropped():
    """LISTEN, fourth: anything else is dropped, without an answer (RFC 9293, 3.10.7.2)."""
    play("""
        include listen
        < F 0:0(0)
        < - 0:10(10)
        < PU 0:0(0)
        count no_ack 3
        count reset_sent 0
        table 0
    """)


def test_listen_data_in_a_syn_are_accepted_when_they_come_again():
    """What a SYN carries may wait until the connection is open (RFC 9293, 3.10.7.2)."""
    play("""
        include listen
        < S 0:10(10)
        > S. 0:0(0) ack 1
        < . 1:11(10) ack 1
        L.accept s
        recv 10
        +0.04 > . 1:1(0) ack 11
    """)


def test_listen_to_another_port_does_not_help():
    """A SYN for a port to which nobody listens is reset though others are served (RFC 9293,
    3.10.7.1).
    """
    play("""
        include listen
        flow 5555 81
        < S 0:0(0)
        > R. 0:0(0) ack 1
        table 0
    """)


def test_after_close_nothing_is_left_but_resets():
    """A connection that was reset is CLOSED: what comes for it is reset (RFC 9293, 3.10.7.1)."""
    each("established close_wait fin_wait_2", """
        abort
        > R. x:x(0) ack n
        state CLOSED
        < . n:n(0) ack x
        > R x:x(0)
        < R n:n(0)
        table 0
    """)
