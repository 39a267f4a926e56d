"""Scripts: blind attacks (RFC 5961), storms, and peers that mean harm."""
from script import each, play

SYNCHRONIZED = "established fin_wait_1 fin_wait_2 close_wait closing last_ack time_wait"


def test_challenge_acks_are_rate_limited():
    """ACK throttling (RFC 5961, 7): `answers_max` a second for the whole stack."""
    play("""
        set answers_max 5
        include established
        repeat 5
        < R 100:100(0)
        > . 1:1(0) ack 1
        end
        < R 100:100(0)
        < S 100:100(0)
        < . 1:1(0) ack 999
        count rate_limited 3
        +1 < R 100:100(0)
        > . 1:1(0) ack 1
    """)


def test_the_limit_is_one_for_all_connections():
    """Another connection's challenges count too (RFC 5961, 7)."""
    play("""
        set answers_max 1
        include listen
        flow 6001
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        flow 6002
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        < R 100:100(0)
        > . 1:1(0) ack 1
        flow 6001
        < R 100:100(0)
        count rate_limited 1
    """)


def test_each_connection_is_challenged_eight_times_a_second():
    """A limit of its own: what one uses up no other can notice (RFC 5961, 10)."""
    play("""
        include listen
        flow 6001
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        flow 6002
        < S 0:0(0)
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        repeat 8
        < R 100:100(0)
        > . 1:1(0) ack 1
        end
        < R 100:100(0)
        < S 100:100(0)
        flow 6001
        < R 100:100(0)
        > . 1:1(0) ack 1
        flow 6002
        +1.1 < R 100:100(0)
        > . 1:1(0) ack 1
    """)


def test_blind_reset_needs_the_exact_number():
    """A RST anywhere else in the window does not end it (RFC 5961, 3)."""
    play("""
        include established
        let at 2
        repeat 20
        +0.2 < R at:at(0)
        > . 1:1(0) ack 1
        let at at+200
        end
        state ESTABLISHED
    """)


def test_blind_syn_does_not_end_it():
    """The peer that really restarted answers the challenge with an exact RST (RFC 5961, 4)."""
    play("""
        include established
        < S 1:1(0)
        > . 1:1(0) ack 1
        state ESTABLISHED
        < R 1:1(0)
        state CLOSED
    """)


def test_blind_data_need_a_plausible_ack():
    """SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT (RFC 5961, 5)."""
    play("""
        include established
        < P. 1:11(10) ack -65535
        > . 1:1(0) ack 1
        < P. 1:11(10) ack 2
        > . 1:1(0) ack 1
        < P. 1:11(10) ack 2000000000
        > . 1:1(0) ack 1
        < P. 1:11(10) ack -2000000000
        > . 1:1(0) ack 1
        info unread 0
        < P. 1:11(10) ack -65534
        info unread 10
        +0.04 > . 1:1(0) ack 11
    """)


def test_two_ends_out_of_step_do_not_make_a_storm():
    """Empty segments out of the window are answered, but not without end (RFC 5961, 7)."""
    play("""
        set answers_max 5
        include established
        repeat 5
        < . 9000:9000(0) ack 1
        > . 1:1(0) ack 1
        end
        repeat 50
        < . 9000:9000(0) ack 1
        end
        state ESTABLISHED
    """)


def test_a_reset_is_never_answered():
    """Neither by a reset nor by anything else (RFC 9293, 3.10.7.1), but for a challenge."""
    play("""
        < R 5:5(0)
        < R. 5:5(0) ack 5
        < SFR. 5:15(10) ack 5
        count reset_sent 0
    """)
    each(SYNCHRONIZED, """
        < R n:n(0)
        < R n:n(0)
        < R. n:n(0) ack x
        state CLOSED
        count reset_sent 0
    """)


def test_every_flag_at_once():
    """A segment with all flags is a reset first (RFC 9293, 3.10.7.4, second)."""
    each(SYNCHRONIZED, """
        < SFRPUEW. n+1:n+11(10) ack x
        > . x:x(0) ack n
        state unchanged
        < SFRPUEW. n:n+10(10) ack x
        state CLOSED
    """)


def test_no_flags_at_all():
    """A null segment does nothing to a connection, and closed ports reset it (3.10.7.1)."""
    each(SYNCHRONIZED, """
        < - n:n(0)
        < - n+70000:n+70010(10)
        > ...
        state unchanged
    """)


def test_half_open_connections_hold_no_rings():
    """A flood of SYNs costs no receive buffers: they come with the handshake's ACK."""
    script = play("include syn_received")
    assert len(script.conn().rbuf) == 0


def test_a_port_scan_leaves_nothing_behind():
    """A closed port keeps no state."""
    text = ""
    for port in range(1, 40):
        text += """
            flow 5555 %d
            < S 0:0(0)
            > R. 0:0(0) ack 1
        """ % port
    play(text + "table 0")


def test_a_peer_that_never_reads_holds_an_orphan_only_so_long():
    """A shut window and a user who has gone: it ends (RFC 9293, 3.8.6.1)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 100
        close
        repeat 20
        skip 30
        < . 1:1(0) ack 1 win 0
        > ...
        end
        table 0
    """)


def test_a_peer_that_acknowledges_every_byte():
    """Tiny ACKs neither open the congestion window fast nor break anything (RFC 3465)."""
    play("""
        set sndbuf 60000
        include plain_1000
        send 40000
        > ...
        let at 1
        repeat 100
        let at at+1
        < . 1:1(0) ack at
        > ...
        end
        info cwnd <= 10100
    """)


def test_optimistic_acks_are_refused():
    """An ACK beyond SND.NXT opens nothing (RFC 9293, 3.10.7.4, fifth)."""
    play("""
        include plain_1000
        send 3000
        > ...
        < . 1:1(0) ack 3002
        > . 3001:3001(0) ack 1
        info unacked 3000
        info cwnd 10000
    """)


def test_a_window_that_opens_and_shuts_by_one_byte_makes_no_silly_segments():
    """Silly window avoidance against a hostile receiver (RFC 9293, 3.8.6.2.1)."""
    play("""
        include plain_1000
        send 4000
        > ...
        < . 1:1(0) ack 4001 win 0
        send 1000
        repeat 10
        < . 1:1(0) ack 4001 win 1
        < . 1:1(0) ack 4001 win 0
        end
        count retransmit 0
        info unacked 0
    """)


def test_overlapping_fragments_of_a_stream_cannot_change_what_was_taken():
    """The first copy of a byte that could be read stays (RFC 9293, 3.10.7.4, seventh)."""
    play("""
        include established
        < . 1:101(100) ack 1
        +0.04 > . 1:1(0) ack 101
        < . 1:101(100) ack 1
        > . 1:1(0) ack 101
        recv 200 = 100
    """)
