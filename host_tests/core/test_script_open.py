"""Scripts: how connections open: SYN-SENT, SYN-RECEIVED, simultaneous open."""
from script import each, play


def test_syn_offers_all_options():
    """A SYN carries MSS (RFC 9293, 3.7.1), SACK-permitted, timestamps with TSecr 0, window
    scale.
    """
    play("""
        socket s
        connect
        > S 0:0(0) win 4096 <mss 1460,sackOK,TS val 0 ecr 0,wscale 0>
        state SYN_SENT
        timer rexmt on
    """)


def test_active_open():
    """SYN, SYN,ACK, ACK (RFC 9293, 3.5, figure 6)."""
    play("""
        include syn_sent
        connect = EALREADY
        ready = 0
        < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1 <>
        state ESTABLISHED
        connect = EISCONN
        ready = WR
        timer rexmt off
    """)


def test_passive_open():
    """SYN, SYN,ACK, ACK, and the user gets the connection (RFC 9293, 3.5)."""
    play("""
        include listen
        < S 0:0(0) win 65535 <mss 1460>
        > S. 0:0(0) ack 1
        L.accept s = EAGAIN
        < . 1:1(0) ack 1
        L.ready = RD
        L.accept s
        state ESTABLISHED
        timer rexmt off
    """)


def test_blocking_connect_returns_when_it_is_open():
    """`connect` waits for the SYN,ACK."""
    play("""
        socket s
        connect ...
        > S 0:0(0)
        +0.3 < S. 0:0(0) ack 1
        > . 1:1(0) ack 1
        returned
    """)


def test_blocking_connect_obeys_its_time_out_and_leaves_nothing():
    """A `connect` that timed out has given its connection back."""
    play("""
        socket s
        timeout 2.5
        connect ... = ETIMEDOUT
        > S 0:0(0)
        +1 > S 0:0(0)
        +1.5 returned
        table 0
        state CLOSED
    """)


def test_blocking_connect_is_refused():
    """A RST that acknowledges our SYN: "connection reset" (RFC 9293, 3.10.7.3)."""
    play("""
        socket s
        connect ... = ECONNREFUSED
        > S 0:0(0)
        < R. 0:0(0) ack 1
        returned
        table 0
    """)


def test_syn_sent_rst_with_the_right_ack_refuses():
    """SYN-SENT, second: RST with an acceptable ACK enters CLOSED (RFC 9293, 3.10.7.3)."""
    play("""
        include syn_sent
        < R. 0:0(0) ack 1
        state CLOSED
        ready = RD|WR|ERR|HUP
        connect = ECONNREFUSED
        recv 1 = EOF
    """)


def test_syn_sent_rst_with_a_wrong_ack_is_ignored():
    """SYN-SENT, first: an unacceptable ACK with RST is dropped (RFC 9293, 3.10.7.3)."""
    play("""
        include syn_sent
        < R. 0:0(0) ack 0
        < R. 0:0(0) ack 2
        < R. 0:0(0) ack -70000
        state SYN_SENT
        count bad_ack 3
    """)


def test_syn_sent_rst_without_ack_is_ignored():
    """SYN-SENT, second: a RST without ACK is dropped (RFC 9293, 3.10.7.3)."""
    play("""
        include syn_sent
        < R 0:0(0)
        < SR 0:0(0)
        state SYN_SENT
    """)


def test_syn_sent_wrong_ack_is_reset():
    """SYN-SENT, first: SEG.ACK =< ISS or > SND.NXT is answered by a reset (RFC 9293, 3.10.7.3)."""
    play("""
        include syn_sent
        < . 7:7(0) ack 0
        > R 0:0(0)
        < S. 0:0(0) ack 2
        > R 2:2(0)
        < F. 0:0(0) ack 9000
        > R 9000:9000(0)
        state SYN_SENT
    """)


def test_syn_sent_right_ack_without_syn_is_dropped():
    """SYN-SENT, fifth: neither SYN nor RST: drop (RFC 9293, 3.10.7.3)."""
    play("""
        include syn_sent
        < . 1:1(0) ack 1
        < . 1:101(100) ack 1
        < F. 1:1(0) ack 1
        < - 1:1(0)
        < F 1:1(0)
        < PU 1:11(10)
        state SYN_SENT
        count no_syn 6
    """)


def test_syn_sent_bad_checksum_is_dropped():
    """A SYN,ACK with a wrong checksum is no SYN,ACK (RFC 9293, 3.1, MUST-3)."""
    play("""
        include syn_sent
        < S. 0:0(0) ack 1 badsum
        state SYN_SENT
    """)


def test_syn_ack_with_data():
    """Data in a SYN,ACK are processed once the connection is open (RFC 9293, 3.10.7.3, fourth)."""
    play("""
        include syn_sent
        < S. 0:10(10) ack 1 <mss 1460>
        > . 1:1(0) ack 11
        state ESTABLISHED
        recv 10
    """)


def test_syn_ack_with_fin():
    """A FIN in the SYN,ACK is reached at once (RFC 9293, 3.10.7.3, fourth)."""
    play("""
        include syn_sent
        < SF. 0:10(10) ack 1 <mss 1460>
        > . 1:1(0) ack 12
        state CLOSE_WAIT
        recv 10
        recv 1 = EOF
    """)


def test_syn_ack_again_is_acknowledged_again():
    """A SYN,ACK that comes again means that our ACK was lost (RFC 9293, 3.5.1; RFC 5961, 4.2)."""
    play("""
        include connected
        < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1
        state ESTABLISHED
    """)


def test_syn_is_retransmitted_with_back_off_for_three_minutes():
    """The SYN's R2 is at least 3 minutes (RFC 9293, 3.8.3, MUST-23); the timer starts at 1 s."""
    play("""
        include syn_sent
        +1 > S 0:0(0) <mss 1460,*>
        +2 > S 0:0(0)
        +4 > S 0:0(0)
        +8 > S 0:0(0)
        +16 > S 0:0(0)
        +32 > S 0:0(0)
        +60 > S 0:0(0)
        run 59
        state SYN_SENT
        run 2
        state CLOSED
        connect = ETIMEDOUT
        table 0
    """)


def test_after_a_lost_syn_the_timeout_is_three_seconds():
    """A SYN that was sent twice gives no sample; RTO begins at 3 s (RFC 6298, 5.7)."""
    play("""
        include syn_sent
        +1 > S 0:0(0)
        < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1
        send 10
        > P. 1:11(10) ack 1
        +3 > P. 1:11(10) ack 1
    """)


def test_the_handshake_is_a_round_trip_sample():
    """R = 0.3 s: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 RTTVAR (RFC 6298, 2.2)."""
    play("""
        include syn_sent
        +0.3 < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1
        info srtt 300
        info rttvar 150
        info rto 900
        send 10
        > P. 1:11(10) ack 1
        +0.9 > P. 1:11(10) ack 1
    """)


def test_data_written_while_blocked_leave_with_the_open():
    """SEND in SYN-SENT is queued until ESTABLISHED (RFC 9293, 3.10.2): a blocking one waits."""
    play("""
        include syn_sent
        send 10 = EAGAIN
        send 10 ...
        < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1
        > P. 1:11(10) ack 1
        returned
    """)


def test_close_in_syn_sent_sends_nothing():
    """CLOSE in SYN-SENT deletes the TCB (RFC 9293, 3.10.4); a late SYN,ACK is reset."""
    play("""
        include syn_sent
        close
        state CLOSED
        table 0
        < S. 0:0(0) ack 1
        > R 1:1(0)
        run 10
    """)


def test_abort_in_syn_sent_sends_nothing():
    """ABORT in SYN-SENT needs no RST (RFC 9293, 3.10.5)."""
    play("""
        include syn_sent
        abort
        state CLOSED
        run 10
    """)


def test_simultaneous_open():
    """SYNs that cross: SYN,ACK from both, ESTABLISHED at the other's ACK (RFC 9293, 3.5, figure
    7).
    """
    play("""
        include syn_sent
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        state SYN_RECEIVED
        connect = EALREADY
        < . 1:1(0) ack 1
        state ESTABLISHED
        connect = EISCONN
    """)


def test_simultaneous_open_with_a_syn_ack_from_the_peer():
    """The peer's SYN,ACK acknowledges our SYN, and is not answered by ours again (RFC 9293,
    figure 7).
    """
    play("""
        include active_syn_received
        < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1
        state ESTABLISHED
        connect = EISCONN
        send 10
        > P. 1:11(10) ack 1
    """)


def test_simultaneous_open_syn_ack_with_a_wrong_ack_is_reset():
    """SYN-RECEIVED, fifth: an unacceptable ACK is answered by a reset (RFC 9293, 3.10.7.4)."""
    play("""
        include active_syn_received
        < . 1:1(0) ack 5
        > R 5:5(0)
        state SYN_RECEIVED
    """)


def test_simultaneous_open_refused():
    """SYN-RECEIVED after an active open: RST is "connection refused" (RFC 9293, 3.10.7.4,
    second).
    """
    play("""
        include active_syn_received
        < R 1:1(0)
        state CLOSED
        connect = ECONNREFUSED
    """)


def test_simultaneous_open_retransmits_syn_ack():
    """In SYN-RECEIVED it is the SYN,ACK that is sent again (RFC 6298, 5.4)."""
    play("""
        include active_syn_received
        +* > S. 0:0(0) ack 1 <mss 1460,*>
        < . 1:1(0) ack 1
        state ESTABLISHED
    """)


def test_syn_received_rst_at_the_next_number_returns_to_listen():
    """After a passive open the user is not told (RFC 9293, 3.10.7.4, second)."""
    play("""
        include syn_received
        < R 1:1(0)
        state CLOSED
        halfopen 0
        L.accept s = EAGAIN
        < S 0:0(0)
        > S. 0:0(0) ack 1
    """)


def test_syn_received_rst_in_the_window_is_challenged():
    """A RST that is not exact gets an ACK (RFC 5961, 3.2)."""
    each("syn_received active_syn_received", """
        < R 100:100(0)
        > . 1:1(0) ack 1
        state unchanged
        < R 70000:70000(0)
        < R 0:0(0)
        state unchanged
    """)


def test_syn_received_the_syn_again_gets_the_syn_ack_again():
    """The peer's SYN once more means that our SYN,ACK was lost (RFC 9293, 3.8.1)."""
    each("syn_received active_syn_received", """
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        state unchanged
    """)


def test_syn_received_another_syn_in_the_window_is_challenged():
    """Instead of returning to LISTEN (RFC 9293, 3.10.7.4): its sender, if it exists, will reset."""
    each("syn_received active_syn_received", """
        < S 100:100(0)
        > . 1:1(0) ack 1
        state unchanged
    """)


def test_syn_received_wrong_ack_is_reset():
    """SYN-RECEIVED, fifth: SND.UNA < SEG.ACK =< SND.NXT or a reset (RFC 9293, 3.10.7.4)."""
    each("syn_received active_syn_received", """
        < . 1:1(0) ack 0
        > R 0:0(0)
        < . 1:11(10) ack 2
        > R 2:2(0)
        < F. 1:1(0) ack 2
        > R 2:2(0)
        state unchanged
        count bad_ack 3
    """)


def test_syn_received_without_ack_is_dropped():
    """Fifth: a segment without ACK is dropped (RFC 9293, 3.10.7.4)."""
    each("syn_received active_syn_received", """
        < - 1:11(10)
        < F 1:1(0)
        < PU 1:11(10)
        state unchanged
        count no_ack 3
    """)


def test_syn_received_data_out_of_the_window_get_an_ack():
    """First: not acceptable: an ACK in reply (RFC 9293, 3.10.7.4)."""
    each("syn_received active_syn_received", """
        < . 70001:70011(10) ack 1
        > . 1:1(0) ack 1
        state unchanged
    """)


def test_syn_received_data_with_the_ack():
    """The segment that opens the connection may carry data (RFC 9293, 3.10.7.4)."""
    play("""
        include syn_received
        < P. 1:11(10) ack 1
        L.accept s
        recv 10
        +0.04 > . 1:1(0) ack 11
    """)


def test_syn_received_fin_with_the_ack():
    """... and a FIN (RFC 9293, 3.10.7.4, eighth)."""
    play("""
        include syn_received
        < FP. 1:11(10) ack 1
        > . 1:1(0) ack 12
        state CLOSE_WAIT
        L.accept s
        recv 10
        recv 1 = EOF
    """)


def test_syn_received_the_window_comes_with_the_ack():
    """SND.WND is what the segment says that enters ESTABLISHED (RFC 9293, 3.10.7.4, fifth)."""
    play("""
        include syn_received
        < . 1:1(0) ack 1 win 5
        L.accept s
        send 10
        > . 1:6(5) ack 1
    """)


def test_syn_received_syn_ack_is_retransmitted_and_given_up():
    """SYN,ACK: 1, 2, 4, 8, 16 s, then the half-open connection goes (RFC 9293, 3.8.3)."""
    play("""
        include syn_received
        +1 > S. 0:0(0) ack 1 <mss 1460>
        +2 > S. 0:0(0) ack 1
        +4 > S. 0:0(0) ack 1
        +8 > S. 0:0(0) ack 1
        +16 > S. 0:0(0) ack 1
        run 33
        state CLOSED
        halfopen 0
        table 0
    """)


def test_close_in_active_syn_received_sends_the_fin_after_the_open():
    """CLOSE in SYN-RECEIVED: FIN-WAIT-1, here once the SYN is acknowledged (RFC 9293, 3.10.4)."""
    play("""
        include active_syn_received
        close
        < . 1:1(0) ack 1
        > F. 1:1(0) ack 1
        state FIN_WAIT_1
    """)


def test_abort_in_syn_received_resets():
    """ABORT in SYN-RECEIVED sends <SEQ=SND.NXT><CTL=RST> (RFC 9293, 3.10.5)."""
    play("""
        include active_syn_received
        abort
        > R. 1:1(0) ack 1
        state CLOSED
    """)


def test_connecting_to_two_ports_makes_two_connections():
    """A connection is named by both ends' addresses and ports (RFC 9293, 3.4)."""
    play("""
        include connected
        flow 7777 81
        < . 1:1(0) ack 55
        > R 55:55(0)
        flow 5555
        send 3
        > P. 1:4(3) ack 1
    """)
