"""Scripts: how connections end: FIN from either side, half-close, both at once, TIME-WAIT."""
from script import each, play
from script_wire import signed


def test_close_sends_a_fin():
    """CLOSE in ESTABLISHED: FIN, FIN-WAIT-1 (RFC 9293, 3.10.4)."""
    play("""
        include established
        close
        > F. 1:1(0) ack 1
        state FIN_WAIT_1
        timer rexmt on
    """)


def test_close_in_close_wait_sends_a_fin():
    """CLOSE in CLOSE-WAIT: FIN, LAST-ACK (RFC 9293, 3.10.4)."""
    play("""
        include close_wait
        close
        > F. 1:1(0) ack 2
        state LAST_ACK
    """)


def test_the_whole_life_closed_by_us():
    """FIN, ACK, FIN, ACK, 2 MSL (RFC 9293, 3.6, figure 12)."""
    play("""
        include established
        close
        > F. 1:1(0) ack 1
        +0.1 < . 1:1(0) ack 2
        state FIN_WAIT_2
        +0.1 < F. 1:1(0) ack 2
        > . 2:2(0) ack 2
        state TIME_WAIT
        timewait 1
        run 59
        timewait 1
        run 2
        timewait 0
        table 0
    """)


def test_the_whole_life_closed_by_the_peer():
    """The passive closer needs no TIME-WAIT (RFC 9293, 3.6, figure 12)."""
    play("""
        include established
        < F. 1:1(0) ack 1
        > . 1:1(0) ack 2
        recv 10 = EOF
        close
        > F. 1:1(0) ack 2
        < . 2:2(0) ack 2
        state CLOSED
        timewait 0
        table 0
    """)


def test_simultaneous_close():
    """FINs that cross: CLOSING, then TIME-WAIT on both sides (RFC 9293, 3.6, figure 13)."""
    play("""
        include established
        close
        > F. 1:1(0) ack 1
        < F. 1:1(0) ack 1
        > . 2:2(0) ack 2
        state CLOSING
        < . 2:2(0) ack 2
        state TIME_WAIT
        run 61
        table 0
    """)


def test_closing_sends_its_fin_again_until_it_is_acknowledged():
    """CLOSING is left by the ACK of our FIN only, or by giving up (RFC 9293, 3.10.7.4)."""
    play("""
        include closing
        +0.2 > F. 1:1(0) ack 2
        +0.4 > F. 1:1(0) ack 2
        < F. 1:1(0) ack 1
        > . 2:2(0) ack 2
        state CLOSING
        < . 2:2(0) ack 2
        state TIME_WAIT
    """)


def test_data_then_fin():
    """The FIN follows the last byte (RFC 9293, 3.10.4: queue until all SENDs have been
    segmentized).
    """
    play("""
        include plain_1000
        < . 1:1(0) ack 1 win 1500
        send 3000
        > . 1:1001(1000) ack 1
        < . 1:1(0) ack 1001 win 1500
        > . 1001:2001(1000) ack 1
        close
        < . 1:1(0) ack 2001 win 1500
        > FP. 2001:3001(1000) ack 1
        < . 1:1(0) ack 3002 win 1500
        state FIN_WAIT_2
    """)


def test_a_fin_is_not_held_back_by_nagle():
    """Data that are pushed by a close do not wait for an acknowledgement (RFC 9293, 3.7.4)."""
    play("""
        include established
        send 10
        > P. 1:11(10) ack 1
        send 5
        close
        > FP. 11:16(5) ack 1
    """)


def test_a_fin_goes_alone_into_a_shut_window():
    """A FIN without data needs no room in the peer's window (RFC 9293, 3.8.6.1)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        close
        > F. 1:1(0) ack 1
        < . 1:1(0) ack 2 win 0
        state FIN_WAIT_2
    """)


def test_a_fin_behind_data_waits_for_the_window():
    """What precedes it goes first."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 10
        close
        state FIN_WAIT_1
        +0.1 < . 1:1(0) ack 1 win 100
        > FP. 1:11(10) ack 1
    """)


def test_fin_is_retransmitted():
    """A FIN takes a place in the sequence and is retransmitted as data are (RFC 9293, 3.8.1)."""
    each("fin_wait_1 last_ack", """
        +0.2 > F. 1:1(0) ack n
        +0.4 > F. 1:1(0) ack n
        +0.8 > F. 1:1(0) ack n
        state unchanged
        < . n:n(0) ack 2
        timer rexmt off
    """)


def test_data_and_fin_are_retransmitted_together():
    """What is sent again may be filled up with the FIN (RFC 9293, 3.8.1)."""
    play("""
        include established
        send 10
        > P. 1:11(10) ack 1
        close
        > F. 11:11(0) ack 1
        +0.2 > FP. 1:11(10) ack 1
        < . 1:1(0) ack 12
        state FIN_WAIT_2
    """)


def test_only_the_fin_is_retransmitted_when_the_data_have_arrived():
    """A partial acknowledgement leaves the FIN (RFC 9293, 3.8.1)."""
    play("""
        include established
        send 10
        > P. 1:11(10) ack 1
        close
        > F. 11:11(0) ack 1
        < . 1:1(0) ack 11
        +0.2 > F. 11:11(0) ack 1
        state FIN_WAIT_1
    """)


def test_fin_is_given_up():
    """R2: about five minutes, then a reset and CLOSED (RFC 9293, 3.8.3)."""
    each("fin_wait_1 closing last_ack", """
        skip 260
        state unchanged
        skip 100
        state CLOSED
        table 0
    """)


def test_half_close_the_peer_goes_on_sending():
    """After shutdown(WR) the other direction lives (RFC 9293, 3.6: half-close)."""
    each("fin_wait_1 fin_wait_2", """
        repeat 3
        < . n:n+1000(1000) ack u
        < . n+1000:n+2000(1000) ack u
        > . x:x(0) ack n+2000
        recv 2000
        let n n+2000
        end
        < F. n:n(0) ack 2
        > . x:x(0) ack n+1
        recv 1 = EOF
        state TIME_WAIT
    """)


def test_half_close_we_go_on_sending():
    """In CLOSE-WAIT the user may send (RFC 9293, 3.6)."""
    play("""
        include close_wait
        recv 10 = EOF
        send 100
        > P. 1:101(100) ack 2
        < . 2:2(0) ack 101
        send 100
        > P. 101:201(100) ack 2
        +0.2 > P. 101:201(100) ack 2
        < . 2:2(0) ack 201
        close
        > F. 201:201(0) ack 2
        < . 2:2(0) ack 202
        state CLOSED
    """)


def test_half_closed_the_window_is_still_opened():
    """The receiver's half keeps its rules after our FIN (RFC 9293, 3.8.6.2.2)."""
    play("""
        set rcvbuf 2000
        include fin_wait_2
        < . 1:1001(1000) ack 2
        < . 1001:2001(1000) ack 2
        > . 2:2(0) ack 2001 win 0
        recv 2000
        > . 2:2(0) ack 2001 win 2000
    """)


def test_half_closed_waits_as_long_as_the_user_does():
    """FIN-WAIT-2 of a user who still reads has no time-out."""
    play("""
        include fin_wait_2
        run 1000
        state FIN_WAIT_2
        < . 1:11(10) ack 2
        recv 10
        +0.04 > . 2:2(0) ack 11
    """)


def test_fin_wait_2_of_an_orphan_ends_after_a_minute():
    """Nobody will read what comes, and the peer may be gone for good."""
    play("""
        include fin_wait_2
        close
        run 59
        state FIN_WAIT_2
        run 2
        state CLOSED
        table 0
        < F. 1:1(0) ack 2
        > R 2:2(0)
    """)


def test_data_for_an_orphan_reset_it():
    """Data after close: a reset says that they are lost (RFC 9293, 3.6.1; RFC 1122, 4.2.2.13)."""
    each("fin_wait_1 fin_wait_2", """
        close
        < P. n:n+10(10) ack 2
        > R. 2:2(0) ack n
        state CLOSED
        table 0
    """)


def test_close_with_unread_data_resets():
    """Unread data at close: a reset (RFC 1122, 4.2.2.13; RFC 2525, 2.17)."""
    each("established fin_wait_1 fin_wait_2", """
        < . n:n+10(10) ack u
        close
        > R. x:x(0) ack n+10
        state CLOSED
        table 0
    """)


def test_close_with_read_data_does_not_reset():
    """All was read: an orderly close."""
    play("""
        include established
        < . 1:11(10) ack 1
        recv 10
        close
        > F. 1:1(0) ack 11
        state FIN_WAIT_1
    """)


def test_abort_resets_everywhere():
    """ABORT sends <SEQ=SND.NXT><CTL=RST> (RFC 9293, 3.10.5)."""
    each("established fin_wait_1 fin_wait_2 close_wait", """
        abort
        > R. x:x(0) ack n
        state CLOSED
        table 0
    """)


def test_abort_when_nothing_is_owed_to_the_peer_sends_nothing():
    """ABORT in TIME-WAIT just deletes the TCB (RFC 9293, 3.10.5)."""
    play("""
        include time_wait
        abort
        state CLOSED
        table 0
    """)


def test_abort_drops_what_was_not_sent():
    """ABORT flushes the queues (RFC 9293, 3.10.5)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 10
        abort
        > R. 1:1(0) ack 1
        run 10
    """)


def test_shutdown_twice_and_close_send_one_fin():
    """CLOSE in FIN-WAIT-1 and FIN-WAIT-2 sends no second FIN (RFC 9293, 3.10.4)."""
    each("fin_wait_1 fin_wait_2", """
        shutdown WR
        shutdown RDWR
        close
        state unchanged
    """)


def test_shutdown_of_reading_sends_nothing():
    """SHUT_RD is the user's own affair."""
    play("""
        include established
        shutdown RD
        state ESTABLISHED
    """)


def test_fin_with_the_ack_of_ours_while_data_are_missing():
    """Our FIN is acknowledged, the peer's waits for its data: FIN-WAIT-2, then TIME-WAIT."""
    play("""
        include fin_wait_1
        < F. 11:11(0) ack 2
        > . 2:2(0) ack 1
        state FIN_WAIT_2
        < . 1:11(10) ack 2
        > . 2:2(0) ack 12
        state TIME_WAIT
        recv 10
        recv 1 = EOF
    """)


def test_unread_data_survive_the_end():
    """What arrived before the FIN can be read in TIME-WAIT and after it."""
    play("""
        include fin_wait_2
        < F. 1:101(100) ack 2
        > . 2:2(0) ack 102
        state TIME_WAIT
        recv 50
        run 61
        state CLOSED
        recv 50
        recv 1 = EOF
    """)


def test_time_wait_starts_anew_with_each_fin():
    """A retransmitted FIN is acknowledged and 2 MSL start again (RFC 9293, 3.10.7.4, eighth)."""
    play("""
        include time_wait
        +50 < F. 1:1(0) ack 2
        > . 2:2(0) ack 2
        run 59
        state TIME_WAIT
        run 2
        state CLOSED
    """)


def test_time_wait_is_not_prolonged_by_acks():
    """Only a FIN starts 2 MSL again."""
    play("""
        include time_wait
        +50 < . 2:2(0) ack 2
        run 11
        state CLOSED
    """)


def test_time_wait_an_older_syn_gets_an_ack():
    """An old SYN in TIME-WAIT is a duplicate: ACK (RFC 9293, 3.6.1; 3.10.7.4, fourth)."""
    play("""
        include time_wait
        < S -1000:-1000(0)
        > . 2:2(0) ack 2
        state TIME_WAIT
    """)


def test_time_wait_a_newer_syn_begins_a_new_connection():
    """MAY-2: a SYN with a larger sequence number reopens (RFC 9293, 3.6.1)."""
    play("""
        include time_wait
        socket L
        L.bind 80
        L.listen 5
        < S 1000:1000(0)
        > S. 0:0(0) ack 1001
        state SYN_RECEIVED
        timewait 0
        < . 1001:1001(0) ack 1
        state ESTABLISHED
    """)


def test_time_wait_the_new_connection_begins_beyond_the_old_one():
    """Its ISN is larger than what the previous incarnation has used (RFC 9293, 3.6.1, MAY-2)."""
    begin = """
        include listen
        < S 0:0(0) <mss 1000>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        L.accept s
        send 3000
        > ...
        < . 1:1(0) ack 3001
        close
        > F. 3001:3001(0) ack 1
        < F. 1:1(0) ack 3002
        > . 3002:3002(0) ack 2
    """
    old = play(begin + "state TIME_WAIT").flow.iss
    new = play(begin + """
        < S 5000:5000(0)
        > S. 0:0(0) ack 5001
    """).flow.iss
    assert signed(new - old) > 3002


def test_time_wait_a_newer_syn_without_a_listener_is_reset():
    """Nobody listens any more: as in CLOSED (RFC 9293, 3.10.7.1)."""
    play("""
        include time_wait
        < S 1000:1000(0)
        > R. *:*(0) ack 1001
        state CLOSED
    """)


def test_time_wait_holds_no_rings():
    """Memory is given back when no more data can come."""
    conn = play("include time_wait").conn()
    assert len(conn.rbuf) == len(conn.sbuf) == 0


def test_time_wait_of_many_is_bounded():
    """The oldest goes where there are more than `time_wait_max`."""
    text = "set time_wait_max 2\ninclude listen\n"
    for port in (7001, 7002, 7003):
        text += """
            flow %d
            < S 0:0(0)
            > S. 0:0(0) ack 1
            < . 1:1(0) ack 1
            L.accept s
            close
            > F. 1:1(0) ack 1
            < F. 1:1(0) ack 2
            > . 2:2(0) ack 2
        """ % port
    play(text + """
        timewait 2
        count time_wait_full 1
        flow 7001
        state CLOSED
        flow 7003
        state TIME_WAIT
    """)


def test_reset_after_we_closed_is_silent():
    """CLOSING, LAST-ACK, TIME-WAIT: RST enters CLOSED, the user is not told (3.10.7.4, second)."""
    each("closing last_ack time_wait", """
        < R n:n(0)
        state CLOSED
        run 10
    """)


def test_last_ack_is_silent_after_its_end():
    """What comes after CLOSED was reached is for no connection (RFC 9293, 3.10.7.1)."""
    play("""
        include last_ack
        < . 2:2(0) ack 2
        state CLOSED
        < . 2:2(0) ack 2
        > R 2:2(0)
    """)
