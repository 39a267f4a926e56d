"""Scripts: every timer: retransmission, persist, delayed ACK, keepalive, probes, the ends."""
from script import each, play

# Round trips of 100 ms, by the handshake: SRTT 100, RTTVAR 50, RTO 300 ms.
RTT_100 = """
    include listen
    < S 0:0(0) win 65535 <mss 1000>
    > S. 0:0(0) ack 1
    +0.1 < . 1:1(0) ack 1
    L.accept s
    L.close
    info rto 300
"""

SACK_RTT_100 = """
    set sndbuf 20000
    include listen
    < S 0:0(0) win 65535 <mss 1000,sackOK>
    > S. 0:0(0) ack 1 <mss 1460,sackOK>
    +0.1 < . 1:1(0) ack 1
    L.accept s
    L.close
"""


def test_data_are_retransmitted_with_back_off_and_given_up():
    """RTO doubles up to 60 s (RFC 6298, 5.5, 2.5); R2 after 340 s (RFC 9293, 3.8.3, MUST-20)."""
    play("""
        include established
        send 10
        > P. 1:11(10) ack 1
        +0.2 > P. 1:11(10) ack 1
        +0.4 > P. 1:11(10) ack 1
        +0.8 > P. 1:11(10) ack 1
        +1.6 > P. 1:11(10) ack 1
        +3.2 > P. 1:11(10) ack 1
        +6.4 > P. 1:11(10) ack 1
        +12.8 > P. 1:11(10) ack 1
        +25.6 > P. 1:11(10) ack 1
        +51.2 > P. 1:11(10) ack 1
        +60 > P. 1:11(10) ack 1
        +60 > P. 1:11(10) ack 1
        +60 > P. 1:11(10) ack 1
        +60 > R. 11:11(0) ack 1
        state CLOSED
        count timed_out 1
        recv 1 = ETIMEDOUT
        recv 1 = EOF
    """)


def test_the_timeout_is_srtt_and_four_times_its_variation():
    """RTO = SRTT + 4 RTTVAR (RFC 6298, 2.2)."""
    play("""
        send 10
        > P. 1:11(10) ack 1
        +0.3 > P. 1:11(10) ack 1
        +0.6 > P. 1:11(10) ack 1
    """, RTT_100)


def test_samples_are_smoothed():
    """RTTVAR = 3/4 RTTVAR + 1/4 |SRTT-R'|, SRTT = 7/8 SRTT + 1/8 R' (RFC 6298, 2.3)."""
    play("""
        send 10
        > P. 1:11(10) ack 1
        +0.18 < . 1:1(0) ack 11
        info srtt 110
        info rttvar 57
        info rto 340
        send 10
        > P. 11:21(10) ack 1
        +0.11 < . 1:1(0) ack 21
        info srtt 110
        info rto 283
    """, RTT_100)


def test_the_timeout_has_a_least():
    """Deviation from RFC 6298, 2.4: 200 ms instead of a second."""
    play("""
        include established
        info rto 200
    """)


def test_the_timer_starts_with_the_first_segment_not_the_last():
    """5.1: if it is not running, start it (RFC 6298)."""
    play("""
        send 1000
        > P. 1:1001(1000) ack 1
        +0.1 send 1000
        > P. 1001:2001(1000) ack 1
        +0.2 > . 1:1001(1000) ack 1
    """, RTT_100)


def test_an_ack_of_new_data_restarts_the_timer():
    """5.3: restart, to expire after RTO seconds (RFC 6298)."""
    play("""
        send 2000
        > . 1:1001(1000) ack 1
        > P. 1001:2001(1000) ack 1
        +0.1 < . 1:1(0) ack 1001
        info rto 250
        +0.25 > P. 1001:2001(1000) ack 1
    """, RTT_100)


def test_a_duplicate_ack_does_not_restart_the_timer():
    """Only an ACK of new data does (RFC 6298, 5.3)."""
    play("""
        send 2000
        > . 1:1001(1000) ack 1
        > P. 1001:2001(1000) ack 1
        +0.2 < . 1:1(0) ack 1
        +0.1 > . 1:1001(1000) ack 1
    """, RTT_100)


def test_all_acknowledged_stops_the_timer():
    """5.2: when all outstanding data are acknowledged, turn it off (RFC 6298)."""
    play("""
        send 2000
        > . 1:1001(1000) ack 1
        > P. 1001:2001(1000) ack 1
        timer rexmt on
        +0.1 < . 1:1(0) ack 2001
        timer rexmt off
        run 100
    """, RTT_100)


def test_a_backed_off_timeout_stays_until_there_is_a_sample():
    """Karn: no sample of what was sent twice, RTO stays doubled (RFC 6298, 3 and 5.5)."""
    play("""
        send 10
        > P. 1:11(10) ack 1
        +0.3 > P. 1:11(10) ack 1
        < . 1:1(0) ack 11
        info srtt 100
        info rto 600
        send 10
        > P. 11:21(10) ack 1
        +0.6 > P. 11:21(10) ack 1
        < . 1:1(0) ack 21
        send 10
        > P. 21:31(10) ack 1
        +0.1 < . 1:1(0) ack 31
        info srtt 100
        info rto < 300
    """, RTT_100)


def test_with_timestamps_there_is_a_sample_of_what_was_sent_twice():
    """The echo tells which transmission arrived (RFC 7323, 4.1)."""
    play("""
        include timestamps
        send 10
        > P. 1:11(10) ack 1 <TS val a ecr 1001>
        +0.2 > P. 1:11(10) ack 1 <TS val b ecr 1001>
        +0.05 < . 1:1(0) ack 11 <TS val 1250 ecr b>
        info srtt 7
    """)


def test_retransmission_is_of_one_segment():
    """5.4: retransmit the earliest segment that is not acknowledged (RFC 6298)."""
    play("""
        send 3000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > P. 2001:3001(1000) ack 1
        +0.3 > . 1:1001(1000) ack 1
        run 0.5
        +0.1 > . 1:1001(1000) ack 1
    """, RTT_100)


def test_small_segments_are_sent_again_as_one():
    """What follows in the queue may fill the retransmission (RFC 9293, 3.8.1; RFC 1122,
    4.2.2.15).
    """
    play("""
        setsockopt NODELAY 1
        send 10
        > P. 1:11(10) ack 1
        send 10
        > P. 11:21(10) ack 1
        +0.3 > P. 1:21(20) ack 1
        < . 1:1(0) ack 21
        timer rexmt off
    """, RTT_100)


def test_an_acknowledgement_is_delayed_by_40_ms():
    """Less than half a second (RFC 9293, 3.8.6.3, MUST-40)."""
    play("""
        include established
        < . 1:11(10) ack 1
        +0.04 > . 1:1(0) ack 11
    """)


def test_every_second_segment_is_acknowledged_at_once():
    """At least every second full-sized segment (RFC 9293, 3.8.6.3, SHLD-19)."""
    play("""
        include established
        < . 1:1461(1460) ack 1
        < . 1461:2921(1460) ack 1
        > . 1:1(0) ack 2921
        recv 4096 = 2920
        > . 1:1(0) ack 2921 win 4096
        < . 2921:4381(1460) ack 1
        +0.04 > . 1:1(0) ack 4381
    """)


def test_an_acknowledgement_travels_with_data():
    """Data that leave in the meantime carry it (RFC 9293, 3.8.6.3)."""
    play("""
        include established
        < . 1:11(10) ack 1
        +0.02 send 5
        > P. 1:6(5) ack 11
        timer ack off
        < . 11:11(0) ack 6
        run 1
    """)


def test_a_shut_window_is_probed_with_back_off():
    """The first probe after RTO, then doubled (RFC 9293, 3.8.6.1, SHLD-29, SHLD-30)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 10
        timer rexmt on
        +0.2 > P. 1:2(1) ack 1
        +0.4 > P. 1:2(1) ack 1
        +0.8 > P. 1:2(1) ack 1
        +1.6 > P. 1:2(1) ack 1
        count probe 4
    """)


def test_a_shut_window_is_probed_as_long_as_the_peer_answers():
    """A sender must not give up while probes are answered (RFC 9293, 3.8.6.1, MUST-37)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 10
        repeat 30
        +0.1~60 > P. 1:2(1) ack 1
        < . 1:1(0) ack 1 win 0
        end
        state ESTABLISHED
        < . 1:1(0) ack 1 win 100
        > P. 1:11(10) ack 1
    """)


def test_a_peer_that_answers_no_probe_is_given_up():
    """Probes that nobody answers are bounded as other retransmissions are (RFC 9293, 3.8.3)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 10
        skip 300
        state ESTABLISHED
        skip 50
        state CLOSED
        recv 1 = ETIMEDOUT
    """)


def test_a_probe_byte_that_was_taken_counts():
    """The byte of the probe may be accepted (RFC 9293, 3.8.6.1)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 10
        +0.2 > P. 1:2(1) ack 1
        < . 1:1(0) ack 2 win 0
        +* > P. 2:3(1) ack 1
        < . 1:1(0) ack 3 win 100
        > P. 3:11(8) ack 1
    """)


def test_the_window_may_shut_with_data_in_flight():
    """What was sent into a window that shrank to zero is retransmitted as a probe is (MUST-34)."""
    play("""
        include established
        send 10
        > P. 1:11(10) ack 1
        < . 1:1(0) ack 1 win 0
        +0.2 > . 1:2(1) ack 1
        < . 1:1(0) ack 1 win 100
        > P. 1..2:11(9..10) ack 1
        < . 1:1(0) ack 11 win 100
        timer rexmt off
    """)


def test_persist_is_off_once_the_window_opens():
    """No probe is left armed behind."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 10
        +0.1 < . 1:1(0) ack 1 win 100
        > P. 1:11(10) ack 1
        < . 1:1(0) ack 11 win 100
        timer rexmt off
        run 10
    """)


def test_an_orphan_with_a_shut_window_ends():
    """A user who has gone does not probe for ever (RFC 9293, 3.8.6.1, the resource attack)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 0
        send 10
        close
        repeat 12
        +0.1~61 > P. 1:2(1) ack 1
        < . 1:1(0) ack 1 win 0
        end
        +* > R. 1:1(0) ack 1
        state CLOSED
        table 0
    """)


def test_keepalive_is_off_by_default():
    """MUST-25 (RFC 9293, 3.8.4)."""
    play("""
        include established
        run 20000
        state ESTABLISHED
        timer idle off
    """)


def test_keepalive_probes_and_gives_up():
    """SEG.SEQ = SND.NXT-1, no data (RFC 9293, 3.8.4; RFC 1122, 4.2.3.6)."""
    play("""
        include established
        setsockopt KEEPIDLE 10
        setsockopt KEEPINTVL 5
        setsockopt KEEPCNT 3
        setsockopt KEEPALIVE 1
        +10 > . 0:0(0) ack 1
        +5 > . 0:0(0) ack 1
        +5 > . 0:0(0) ack 1
        +5 > R. 1:1(0) ack 1
        state CLOSED
        recv 1 = ETIMEDOUT
        count keepalive_dead 1
    """)


def test_keepalive_an_answer_begins_anew():
    """An ACK of any kind shows that the peer is alive (RFC 9293, 3.8.4)."""
    play("""
        include established
        setsockopt KEEPIDLE 10
        setsockopt KEEPINTVL 5
        setsockopt KEEPCNT 3
        setsockopt KEEPALIVE 1
        repeat 3
        +10 > . 0:0(0) ack 1
        +5 > . 0:0(0) ack 1
        < . 1:1(0) ack 1
        end
        +6 < . 1:11(10) ack 1
        +0.04 > . 1:1(0) ack 11
        +9.96 > . 0:0(0) ack 11
        state ESTABLISHED
    """)


def test_keepalive_a_reset_in_answer_ends_it():
    """The peer has restarted (RFC 9293, 3.8.4)."""
    play("""
        include established
        setsockopt KEEPIDLE 10
        setsockopt KEEPALIVE 1
        +10 > . 0:0(0) ack 1
        < R 1:1(0)
        state CLOSED
        recv 1 = ECONNRESET
    """)


def test_keepalive_defaults_to_two_hours():
    """MUST-28 (RFC 9293, 3.8.4)."""
    play("""
        include established
        setsockopt KEEPALIVE 1
        run 7199
        +1 > . 0:0(0) ack 1
    """)


def test_keepalive_can_be_switched_off():
    """An application must be able to turn it off (RFC 9293, 3.8.4, MUST-24)."""
    play("""
        include established
        setsockopt KEEPIDLE 10
        setsockopt KEEPALIVE 1
        setsockopt KEEPALIVE 0
        run 100
    """)


def test_tail_loss_probe_of_the_last_segment():
    """PTO = 2 SRTT: the last segment again, before the RTO (RFC 8985, 7.2, 7.3)."""
    play("""
        send 3000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > P. 2001:3001(1000) ack 1
        +0.205 > . 2001:3001(1000) ack 1
        count tail_probe 1
        count timeout 0
    """, SACK_RTT_100)


def test_tail_loss_probe_of_new_data():
    """A probe takes new data, if the window allows (RFC 8985, 7.3)."""
    play("""
        send 11000
        > ...
        +0.205 > . 10001:11001(1000) ack 1
        count tail_probe 1
        +0.3 > . 1:1001(1000) ack 1
        count tail_probe 1
        count timeout 1
    """, SACK_RTT_100)


def test_no_second_tail_loss_probe_while_one_is_out():
    """A probe that was not answered yet is followed by the RTO, not by another (RFC 8985, 7.3)."""
    play("""
        send 3000
        > ...
        +0.205 > . 2001:3001(1000) ack 1
        +0.05 < . 1:1(0) ack 1001
        +0.3 > . 1001:2001(1000) ack 1
        count tail_probe 1
        count timeout 1
    """, SACK_RTT_100)


def test_no_tail_loss_probe_in_recovery():
    """In fast recovery it is the RTO that comes next (RFC 8985, 7.2)."""
    play("""
        send 10000
        > ...
        +0.1 < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1
        > ...
        +0.2~0.4 > . 1:1001(1000) ack 1
        count tail_probe 0
        count timeout 1
    """, SACK_RTT_100)


def test_tail_loss_probe_a_sack_of_it_starts_recovery():
    """The probe's SACK shows that what is before it was lost (RFC 8985, 7.4)."""
    play("""
        send 3000
        > ...
        +0.205 > . 2001:3001(1000) ack 1
        +0.1 < . 1:1(0) ack 1 <sack 2001:3001>
        > . 1:1001(1000) ack 1
        > ...
        +0.1 < . 1:1(0) ack 1001 <sack 2001:3001>
        > ...
        +0.1 < . 1:1(0) ack 3001
        count timeout 0
        count fast_retransmit 1
    """, SACK_RTT_100)


def test_tail_loss_probe_then_the_timeout():
    """One probe; then the RTO (RFC 8985, 7.3)."""
    play("""
        send 2000
        > ...
        +0.205 > . 1001:2001(1000) ack 1
        +0.3 > . 1:1001(1000) ack 1
        count timeout 1
    """, SACK_RTT_100)


def test_tail_loss_probe_waits_for_the_delayed_ack_of_a_single_segment():
    """With one segment in flight its ACK may be delayed: the RTO comes first (RFC 8985, 7.2)."""
    play("""
        send 500
        > P. 1:501(500) ack 1
        +0.3 > P. 1:501(500) ack 1
        count tail_probe 0
        count timeout 1
    """, SACK_RTT_100)


def test_no_tail_loss_probe_without_sack():
    """RFC 8985 needs SACK (RFC 8985, 4)."""
    play("""
        send 2000
        > ...
        +0.3 > . 1:1001(1000) ack 1
        count tail_probe 0
    """, RTT_100)


def test_an_idle_connection_has_no_timer_at_all():
    """Nothing is polled but by the stack's longest pause of a second."""
    each("established fin_wait_2 close_wait", """
        timer rexmt off
        timer ack off
        timer idle off
        run 600
        polls < 610
    """)


def test_no_timer_spins():
    """Each timer fires when it is due, and not again and again before."""
    each("established fin_wait_1 close_wait closing last_ack time_wait", """
        skip 100
        polls < 130
    """)


def test_time_wait_and_its_timer():
    """2 MSL are 60 s (RFC 9293, 3.4.2)."""
    play("""
        include time_wait
        timer rexmt off
        timer ack off
        timer idle on
        run 59.9
        state TIME_WAIT
        run 0.2
        state CLOSED
    """)
