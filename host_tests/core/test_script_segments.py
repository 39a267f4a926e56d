"""Scripts: each kind of segment in each synchronized state (RFC 9293, 3.10.7.4)."""
from script import each, play

SYNCHRONIZED = "established fin_wait_1 fin_wait_2 close_wait closing last_ack time_wait"
RECEIVING = "established fin_wait_1 fin_wait_2"
CLOSED_BY_PEER = "close_wait closing last_ack time_wait"


def test_rst_at_the_next_number_ends_it_everywhere():
    """SEG.SEQ = RCV.NXT: reset (RFC 5961, 3.2, step 2), and no answer."""
    each(SYNCHRONIZED, """
        < R n:n(0)
        state CLOSED
        table 0
        count reset_received 1
    """)


def test_rst_with_ack_counts_as_one_whatever_it_acknowledges():
    """The check of RST comes before that of ACK (RFC 9293, 3.10.7.4, second)."""
    each(SYNCHRONIZED, """
        < R. n:n(0) ack x+5000
        state CLOSED
    """)


def test_rst_in_the_window_is_challenged_everywhere():
    """Another place in the window: a challenge ACK (RFC 5961, 3.2, step 3)."""
    each(SYNCHRONIZED, """
        < R n+1:n+1(0)
        > . x:x(0) ack n
        < R n+2000:n+2000(0)
        > . x:x(0) ack n
        state unchanged
        count challenge_ack 2
    """)


def test_rst_outside_the_window_is_dropped_everywhere():
    """Outside of the window: dropped in silence (RFC 5961, 3.2, step 1)."""
    each(SYNCHRONIZED, """
        < R n-1:n-1(0)
        < R n+4096:n+4096(0)
        < R n+70000:n+70000(0)
        < R n-70000:n-70000(0)
        state unchanged
        count out_of_window 4
    """)


def test_rst_at_the_last_byte_of_the_window_is_still_in_it():
    """The window is RCV.NXT =< SEG.SEQ < RCV.NXT+RCV.WND (RFC 9293, 3.10.7.4, first)."""
    play("""
        include established
        < R 4096:4096(0)
        > . 1:1(0) ack 1
        < R 4097:4097(0)
        state ESTABLISHED
    """)


def test_rst_with_a_wrong_checksum_does_nothing():
    """RFC 9293, 3.1, MUST-3."""
    each(SYNCHRONIZED, """
        < R n:n(0) badsum
        state unchanged
    """)


def test_syn_in_the_window_is_challenged_everywhere():
    """A SYN in a synchronized state gets a challenge ACK (RFC 5961, 4.2)."""
    each("established fin_wait_1 fin_wait_2 close_wait closing last_ack", """
        < S n:n(0) <mss 1460>
        > . x:x(0) ack n
        < S n+100:n+100(0)
        > . x:x(0) ack n
        state unchanged
    """)


def test_syn_outside_the_window_is_acknowledged_everywhere():
    """... irrespective of the sequence number (RFC 5961, 4.2)."""
    each("established fin_wait_1 fin_wait_2 close_wait closing last_ack", """
        < S n+70000:n+70000(0)
        > . x:x(0) ack n
        < S n-70000:n-70000(0)
        > . x:x(0) ack n
        state unchanged
    """)


def test_syn_ack_is_challenged_everywhere():
    """Also with ACK, and in TIME-WAIT, where only a SYN alone may begin anew (RFC 5961, 4.2)."""
    each(SYNCHRONIZED, """
        < S. n:n(0) ack x
        > . x:x(0) ack n
        < S. n+70000:n+70000(0) ack x
        > . x:x(0) ack n
        state unchanged
    """)


def test_syn_with_data_and_fin_is_challenged_and_nothing_of_it_taken():
    """The SYN check comes before data and FIN (RFC 9293, 3.10.7.4, fourth)."""
    each(RECEIVING, """
        < SFP. n:n+10(10) ack x
        > . x:x(0) ack n
        state unchanged
        info unread 0
    """)


def test_without_ack_everything_is_dropped_in_silence():
    """Fifth: if the ACK bit is off, drop the segment (RFC 9293, 3.10.7.4)."""
    each(SYNCHRONIZED, """
        < - n:n(0)
        < - n:n+10(10)
        < F n:n(0)
        < PU n:n+10(10)
        state unchanged
        count no_ack 4
    """)


def test_old_data_are_acknowledged_everywhere():
    """Not acceptable: an ACK in reply (RFC 9293, 3.10.7.4, first)."""
    each(SYNCHRONIZED, """
        < . n-10:n(10) ack u
        > . x:x(0) ack n
        < . n-70000:n-69990(10) ack u
        > . x:x(0) ack n
        state unchanged
        count out_of_window 2
    """)


def test_data_beyond_the_window_are_acknowledged_everywhere():
    """Not acceptable on the other side (RFC 9293, 3.10.7.4, first)."""
    each(SYNCHRONIZED, """
        < . n+4096:n+4106(10) ack u
        > . x:x(0) ack n
        < F. n+70000:n+70010(10) ack x
        > . x:x(0) ack n
        state unchanged
    """)


def test_an_empty_segment_before_the_window_is_answered():
    """What a keepalive looks like: SEG.SEQ = RCV.NXT-1 (RFC 9293, 3.8.4)."""
    each(SYNCHRONIZED, """
        < . n-1:n-1(0) ack u
        > . x:x(0) ack n
        state unchanged
    """)


def test_an_empty_segment_beyond_the_window_is_answered():
    """RFC 9293, 3.10.7.4, first."""
    each(SYNCHRONIZED, """
        < . n+4096:n+4096(0) ack u
        > . x:x(0) ack n
        state unchanged
    """)


def test_the_same_ack_again_changes_nothing():
    """SEG.ACK = SND.UNA and nothing else: silence (RFC 9293, 3.10.7.4, fifth)."""
    each(SYNCHRONIZED, """
        < . n:n(0) ack u
        < P. n:n(0) ack u
        state unchanged
    """)


def test_an_older_ack_changes_nothing():
    """SEG.ACK < SND.UNA: a duplicate, ignored (RFC 9293, 3.10.7.4, fifth)."""
    each(SYNCHRONIZED, """
        < . n:n(0) ack u-1
        < . n:n(0) ack u-65535
        state unchanged
    """)


def test_an_ack_older_than_any_window_is_challenged():
    """SEG.ACK < SND.UNA - MAX.SND.WND: challenge ACK (RFC 5961, 5.2)."""
    each(SYNCHRONIZED, """
        < . n:n(0) ack u-65536
        > . x:x(0) ack n
        state unchanged
    """)


def test_an_ack_of_what_was_never_sent_is_challenged():
    """SEG.ACK > SND.NXT: an ACK, and the segment is dropped (RFC 9293, 3.10.7.4, fifth)."""
    each(SYNCHRONIZED, """
        < . n:n(0) ack x+1
        > . x:x(0) ack n
        < FP. n:n+10(10) ack x+100000
        > . x:x(0) ack n
        state unchanged
        info unread 0
    """)


def test_unknown_and_malformed_options_do_no_harm():
    """Unknown options are skipped by their length (RFC 9293, 3.1, MUST-6, MUST-7)."""
    each(SYNCHRONIZED, """
        < . n:n(0) ack u win 101 <hex fd04beef>
        < . n:n(0) ack u win 102 <hex fe00>
        < . n:n(0) ack u win 103 <hex 08>
        < . n:n(0) ack u win 104 <hex 05ff>
        < . n:n(0) ack u win 105 <hex 050a>
        < . n:n(0) ack u win 106 <mss 88>
        < . n:n(0) ack u win 107 <wscale 9,sackOK>
        state unchanged
    """)


def test_a_wrong_checksum_is_dropped_everywhere():
    """RFC 9293, 3.1, MUST-3."""
    each(SYNCHRONIZED, """
        < FP. n:n+10(10) ack x badsum
        state unchanged
        info rcv_wnd > 0
        count bad_checksum 1
    """)


def test_data_are_taken_where_the_peer_may_still_send():
    """Seventh: ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2 take data (RFC 9293, 3.10.7.4)."""
    each(RECEIVING, """
        < P. n:n+100(100) ack u
        +0.04 > . x:x(0) ack n+100
        recv 100
        state unchanged
    """)


def test_data_after_the_peers_fin_are_ignored():
    """Seventh: in the other states the text is ignored (RFC 9293, 3.10.7.4)."""
    each(CLOSED_BY_PEER, """
        < P. n:n+100(100) ack u
        state unchanged
        info unread 0
    """)


def test_data_below_the_window_are_trimmed():
    """Only what is new of a segment is taken (RFC 9293, 3.10.7.4, "tailored")."""
    each(RECEIVING, """
        < . n:n+100(100) ack u
        < . n+50:n+150(100) ack u
        > . x:x(0) ack n+150
        recv 150
    """)


def test_data_over_the_end_of_the_window_are_trimmed():
    """... and only what is in the window."""
    each(RECEIVING, """
        < . n:n+1000(1000) ack u
        < . n+1000:n+2000(1000) ack u
        > . x:x(0) ack n+2000
        < . n+2000:n+3000(1000) ack u
        < . n+3000:n+4000(1000) ack u
        > . x:x(0) ack n+4000 win 96
        < . n+4000:n+5000(1000) ack u
        > . x:x(0) ack n+4096 win 0
    """)


def test_the_ack_of_our_fin():
    """FIN-WAIT-1 to FIN-WAIT-2, CLOSING to TIME-WAIT, LAST-ACK to CLOSED (3.10.7.4, fifth)."""
    play("""
        include fin_wait_1
        < . 1:1(0) ack 2
        state FIN_WAIT_2
        timer rexmt off
    """)
    play("""
        include closing
        < . 2:2(0) ack 2
        state TIME_WAIT
        timer rexmt off
    """)
    play("""
        include last_ack
        < . 2:2(0) ack 2
        state CLOSED
        table 0
    """)


def test_the_peers_fin():
    """Eighth: ESTABLISHED to CLOSE-WAIT, FIN-WAIT-1 to CLOSING, FIN-WAIT-2 to TIME-WAIT."""
    play("""
        include established
        < F. 1:1(0) ack 1
        > . 1:1(0) ack 2
        state CLOSE_WAIT
        recv 1 = EOF
        recv 1 = EOF
    """)
    play("""
        include fin_wait_1
        < F. 1:1(0) ack 1
        > . 2:2(0) ack 2
        state CLOSING
    """)
    play("""
        include fin_wait_2
        < F. 1:1(0) ack 2
        > . 2:2(0) ack 2
        state TIME_WAIT
    """)


def test_the_peers_fin_with_the_ack_of_ours():
    """FIN-WAIT-1 goes straight to TIME-WAIT (RFC 9293, 3.10.7.4, eighth)."""
    play("""
        include fin_wait_1
        < F. 1:1(0) ack 2
        > . 2:2(0) ack 2
        state TIME_WAIT
    """)


def test_the_peers_fin_with_data():
    """The FIN stands behind the data of its segment (RFC 9293, 3.4)."""
    each(RECEIVING, """
        < FP. n:n+10(10) ack u
        > . x:x(0) ack n+11
        recv 10
        recv 1 = EOF
    """)


def test_the_peers_fin_before_its_data():
    """A FIN is not processed before what precedes it (RFC 9293, 3.10.7.4, eighth)."""
    each(RECEIVING, """
        < F. n+10:n+20(10) ack u
        > . x:x(0) ack n
        state unchanged
        < . n:n+10(10) ack u
        > . x:x(0) ack n+21
        recv 20
        recv 1 = EOF
    """)


def test_the_peers_fin_again_is_acknowledged_again():
    """A FIN that comes again means that our ACK was lost (RFC 9293, 3.10.7.4)."""
    each(CLOSED_BY_PEER, """
        < F. n-1:n-1(0) ack u
        > . x:x(0) ack n
        < F. n-1:n-1(0) ack u
        > . x:x(0) ack n
        state unchanged
    """)


def test_a_second_fin_further_on_changes_nothing():
    """Eighth: CLOSE-WAIT, CLOSING, LAST-ACK and TIME-WAIT remain (RFC 9293, 3.10.7.4)."""
    each(CLOSED_BY_PEER, """
        < F. n:n(0) ack u
        state unchanged
    """)


def test_a_fin_right_behind_a_full_window_is_taken():
    """It needs no room in the ring; strictly it lies beyond (RFC 9293, 3.10.7.4, first)."""
    play("""
        set rcvbuf 100
        include established
        < F. 1:101(100) ack 1
        > . 1:1(0) ack 102 win 0
        state CLOSE_WAIT
        recv 200 = 100
        recv 1 = EOF
    """)


def test_a_fin_beyond_the_window_is_not_believed():
    """A FIN that does not fit the window is not there (RFC 9293, 3.10.7.4, first)."""
    play("""
        set rcvbuf 100
        include established
        < F. 1:102(101) ack 1
        > . 1:1(0) ack 101 win 0
        state ESTABLISHED
        recv 100
        > . 1:1(0) ack 101 win 100
        < F. 101:102(1) ack 1
        > . 1:1(0) ack 103
        state CLOSE_WAIT
    """)


def test_an_ack_opens_and_shuts_the_window_everywhere_data_may_be_owed():
    """SND.WND is set by what is newer (RFC 9293, 3.10.7.4, fifth)."""
    each("established fin_wait_1 close_wait closing last_ack", """
        < . n:n(0) ack u win 7
        info snd_wnd 7
        < . n:n(0) ack u win 700
        info snd_wnd 700
        state unchanged
    """)


def test_a_zero_window_does_not_stop_acks_and_resets_from_being_read():
    """With RCV.WND = 0 only empty segments at RCV.NXT are acceptable, ACK and RST count
    (MUST-66).
    """
    play("""
        set rcvbuf 100
        include established
        send 10
        > P. 1:11(10) ack 1
        < . 1:101(100) ack 1
        +0.04 > . 11:11(0) ack 101 win 0
        < . 101:101(0) ack 6
        info unacked 5
        < . 101:201(100) ack 11
        > . 11:11(0) ack 101 win 0
        info unacked 0
        timer rexmt off
        < R 101:101(0)
        state CLOSED
    """)


def test_urgent_data_stay_in_the_stream():
    """URG is processed as ordinary data (RFC 9293, 3.8.5; RFC 6093); deviation: not reported."""
    each(RECEIVING, """
        < PU. n:n+10(10) ack u urg 5
        recv 10
        +0.04 > . x:x(0) ack n+10
        < U. n+10:n+20(10) ack u urg 65535
        recv 10
        +0.04 > . x:x(0) ack n+20
        < U. n+20:n+20(0) ack u urg 1
        state unchanged
    """)


def test_ecn_flags_that_were_not_agreed_are_ignored():
    """ECE and CWR mean nothing without an agreement (RFC 3168, 6.1.1)."""
    each(RECEIVING, """
        < EW. n:n(0) ack u
        < EWP. n:n+10(10) ack u
        +0.04 > . x:x(0) ack n+10
        state unchanged
    """)
