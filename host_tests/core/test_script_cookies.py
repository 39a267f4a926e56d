"""Scripts: SYN cookies (RFC 4987, 3.6): a flood costs no memory and shuts nobody out."""
from script import play

# Two half-open connections, as many as there may be; 5555 comes after them.
FLOOD = "set half_open_max 1\nsocket L\nL.bind 80\nL.listen 2\n" + "".join(
    "flow %d\n< S 0:0(0) <mss 1460>\n> S. 0:0(0) ack 1\n" % port for port in (7001, 7002)
) + "halfopen 2\nflow 5555\n"


def test_cookie_a_full_half_open_set_still_answers():
    """The SYN,ACK carries all that would have been remembered (RFC 4987, 3.6)."""
    play("""
        < S 0:0(0) win 65535 <mss 1460>
        > S. 0:0(0) ack 1 <mss 1460>
        halfopen 2
        state CLOSED
        count cookie_sent 1
    """, FLOOD)


def test_cookie_that_comes_back_opens_the_connection():
    """The ACK proves that the peer is where it says it is."""
    play("""
        < S 0:0(0) win 65535 <mss 1460>
        > S. 0:0(0) ack 1 <mss 1460>
        +0.2 < . 1:1(0) ack 1
        state ESTABLISHED
        queue 1
        count cookie 1
        L.accept s
        send 10
        > P. 1:11(10) ack 1
        < . 1:11(10) ack 11
        recv 10
        +0.04 > . 11:11(0) ack 11
        info mss 1460
    """, FLOOD)


def test_cookie_with_data():
    """The ACK may carry the first request."""
    play("""
        < S 0:0(0) win 65535 <mss 1460>
        > S. 0:0(0) ack 1
        < P. 1:101(100) ack 1
        L.accept s
        recv 100
        +0.04 > . 1:1(0) ack 101
    """, FLOOD)


def test_cookie_remembers_the_mss_from_a_table():
    """Three bits choose it: the next lower that is in the table."""
    for asked, used in ((1460, 1460), (1459, 1440), (1000, 536), (536, 536), (300, 216), (64, 64)):
        play("""
            < S 0:0(0) <mss asked>
            > S. 0:0(0) ack 1
            < . 1:1(0) ack 1
            info mss used
        """, FLOOD, asked=asked, used=used)


def test_cookie_keeps_sack_and_window_scale_where_there_are_timestamps():
    """They hide in the timestamp that the peer echoes."""
    play("""
        < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 500 ecr 0,wscale 7>
        > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 500,wscale 0>
        < . 1:1(0) ack 1 win 100 <TS val 501 ecr 0>
        info sack 1
        info timestamps 1
        info snd_shift 7
        info snd_wnd 12800
        L.accept s
        < . 101:201(100) ack 1 win 100 <TS val 502 ecr 0>
        > . 1:1(0) ack 1 <TS val * ecr 501,sack 101:201>
    """, FLOOD)


def test_cookie_without_timestamps_has_no_other_options():
    """Nothing to hide them in: the SYN,ACK does not offer them."""
    play("""
        < S 0:0(0) win 65535 <mss 1460,sackOK,wscale 7>
        > S. 0:0(0) ack 1 <mss 1460>
        < . 1:1(0) ack 1
        info sack 0
        info snd_shift 0
    """, FLOOD)


def test_cookie_that_was_made_up_is_reset():
    """24 bits of a keyed hash: a guess is an ACK for no connection (RFC 9293, 3.10.7.2)."""
    play("""
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 2
        > R 2:2(0)
        < . 2:2(0) ack 1
        > R 1:1(0)
        < . 1:1(0) ack 65537
        > R 65537:65537(0)
        state CLOSED
        count cookie 0
    """, FLOOD)


def test_cookie_of_another_port_does_not_fit():
    """Ports are part of what is hashed."""
    play("""
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        let cookie 1
        flow 5556
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 100
        > R 100:100(0)
        count cookie 0
    """, FLOOD)


def test_cookie_grows_old():
    """It is believed in its tick of 65 s and the next."""
    play("""
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        skip 140
        < . 1:1(0) ack 1
        > R 1:1(0)
        state CLOSED
    """, FLOOD)


def test_cookie_is_still_good_after_a_minute():
    """A slow peer gets in."""
    play("""
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        skip 60
        < . 1:1(0) ack 1
        state ESTABLISHED
    """, FLOOD)


def test_cookie_may_be_switched_off():
    """`cookies_max` 0: then the SYN is ignored, and its sender tries again."""
    play("""
        < S 0:0(0) <mss 1460>
        count half_open_full 1
        count cookie_sent 0
    """, "set cookies_max 0\n" + FLOOD)


def test_cookie_where_half_open_connections_take_all_the_room():
    """As many connections as there may be, one of them half open: it makes way for who is there."""
    play("""
        set connections_max 1
        include listen
        flow 6001
        < S 0:0(0)
        > S. 0:0(0) ack 1
        flow 6002
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        count cookie_sent 1
        < . 1:1(0) ack 1
        state ESTABLISHED
        flow 6001
        state CLOSED
    """)


def test_no_cookies_while_there_is_room():
    """What is remembered is better: options, and retransmission of the SYN,ACK."""
    play("""
        include syn_received
        count cookie_sent 0
        halfopen 1
    """)


def test_cookie_and_a_full_queue():
    """The backlog holds also for those who bring a cookie."""
    play("""
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        flow 7001
        < . 1:1(0) ack 1
        flow 7002
        < . 1:1(0) ack 1
        queue 2
        flow 5555
        < . 1:1(0) ack 1
        count backlog_full 1
        state CLOSED
    """, FLOOD)
