"""Scripts: congestion control and recovery from loss, as it shows on the wire."""
from script import play

# Ten segments of 1000 bytes, the initial window, are in flight.
TEN = """
    set sndbuf 60000
    include plain_1000
    send 40000
    > ...
    info unacked 10000
"""
TEN_SACK = TEN.replace("plain_1000", "sacking")


def test_the_initial_window_is_ten_segments():
    """IW = min(10 MSS, max(2 MSS, 14600)) (RFC 6928, 2)."""
    play("""
        set sndbuf 60000
        include plain_1000
        send 40000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
        > . 3001:4001(1000) ack 1
        > . 4001:5001(1000) ack 1
        > . 5001:6001(1000) ack 1
        > . 6001:7001(1000) ack 1
        > . 7001:8001(1000) ack 1
        > . 8001:9001(1000) ack 1
        > . 9001:10001(1000) ack 1
        info cwnd 10000
    """)


def test_the_initial_window_of_small_segments():
    """Ten segments also of 100 bytes (RFC 6928, 2)."""
    play("""
        set sndbuf 60000
        include listen
        < S 0:0(0) win 65535 <mss 100>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        L.accept s
        send 5000
        > ...
        info unacked 1000
    """)


def test_slow_start_doubles_the_window():
    """cwnd += min(N, SMSS) per ACK; with byte counting up to 2 SMSS (RFC 5681, 3.1; RFC 3465)."""
    play("""
        < . 1:1(0) ack 1001
        > . 10001:11001(1000) ack 1
        > . 11001:12001(1000) ack 1
        info cwnd 11000
        < . 1:1(0) ack 3001
        > . 12001:13001(1000) ack 1
        > . 13001:14001(1000) ack 1
        > . 14001:15001(1000) ack 1
        > . 15001:16001(1000) ack 1
        info cwnd 13000
    """, TEN)


def test_an_ack_of_many_segments_opens_two_at_most():
    """L = 2: a stretch ACK does not make a burst of new window (RFC 3465, 2.3)."""
    play("""
        < . 1:1(0) ack 8001
        > ...
        info cwnd 12000
        info unacked 12000
    """, TEN)


def test_splitting_acks_does_not_open_the_window():
    """Bytes are counted, not ACKs (RFC 3465, 1; RFC 5681, 3.1)."""
    play("""
        < . 1:1(0) ack 101
        < . 1:1(0) ack 201
        < . 1:1(0) ack 301
        < . 1:1(0) ack 401
        < . 1:1(0) ack 501
        > . 10001:11001(1000) ack 1
        info cwnd 10500
    """, TEN)


def test_fast_retransmit_at_the_third_duplicate():
    """At once; ssthresh = flight/2, limited transmit not counted (RFC 5681, 3.2, step 2)."""
    play("""
        < . 1:1(0) ack 1
        > . 10001:11001(1000) ack 1
        < . 1:1(0) ack 1
        > . 11001:12001(1000) ack 1
        < . 1:1(0) ack 1
        > . 1:1001(1000) ack 1
        info ssthresh 5000
        count fast_retransmit 1
        count timeout 0
    """, TEN)


def test_limited_transmit_sends_a_new_segment_for_each_of_the_first_two():
    """RFC 3042, 2: and cwnd is not changed."""
    play("""
        < . 1:1(0) ack 1
        > . 10001:11001(1000) ack 1
        info cwnd 10000
        < . 1:1(0) ack 1
        > . 11001:12001(1000) ack 1
        info cwnd 10000
    """, TEN)


def test_limited_transmit_obeys_the_peers_window():
    """... if the receiver's window allows it (RFC 3042, 2)."""
    play("""
        set sndbuf 60000
        include listen
        < S 0:0(0) win 10500 <mss 1000>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1 win 10500
        L.accept s
        send 40000
        > ...
        < . 1:1(0) ack 1 win 10500
        < . 1:1(0) ack 1 win 10500
        < . 1:1(0) ack 1 win 10500
        > . 1:1001(1000) ack 1
    """)


def test_what_is_no_duplicate_ack():
    """Data, another window, nothing in flight, FIN: not a duplicate (RFC 5681, 2)."""
    play("""
        < . 1:11(10) ack 1
        < . 11:21(10) ack 1
        > . 10001:10001(0) ack 21
        < . 21:31(10) ack 1
        < . 31:31(0) ack 1 win 65000
        < . 31:31(0) ack 1 win 64000
        < . 31:31(0) ack 1 win 63000
        count fast_retransmit 0
        skip 0.1
        count retransmit 0
    """, TEN)
    play("""
        include plain_1000
        repeat 5
        < . 1:1(0) ack 1
        end
        count fast_retransmit 0
    """)


def test_newreno_a_partial_ack_retransmits_the_next_hole():
    """3.2, step 3: without waiting for duplicates (RFC 6582)."""
    play("""
        repeat 2
        < . 1:1(0) ack 1
        > ...
        end
        < . 1:1(0) ack 1
        > . 1:1001(1000) ack 1
        < . 1:1(0) ack 3001
        > . 3001:4001(1000) ack 1
        > ...
        < . 1:1(0) ack 5001
        > . 5001:6001(1000) ack 1
        > ...
        info recover > 0
        count fast_retransmit 1
    """, TEN)


def test_newreno_a_full_ack_ends_recovery():
    """cwnd = min(ssthresh, max(flight, SMSS) + SMSS) (RFC 6582, 3.2, step 3, option 1)."""
    play("""
        set sndbuf 60000
        include plain_1000
        send 10000
        > ...
        repeat 2
        < . 1:1(0) ack 1
        end
        < . 1:1(0) ack 1
        > . 1:1001(1000) ack 1
        < . 1:1(0) ack 10001
        info recover 0
        info cwnd 2000
        timer rexmt off
        send 10000
        > . 10001:11001(1000) ack 1
        > . 11001:12001(1000) ack 1
    """)


def test_newreno_each_further_duplicate_lets_one_segment_go():
    """cwnd is inflated by a segment for each that has left the network (RFC 5681, 3.2, step 4)."""
    play("""
        < . 1:1(0) ack 1
        > . 10001:11001(1000) ack 1
        < . 1:1(0) ack 1
        > . 11001:12001(1000) ack 1
        < . 1:1(0) ack 1
        > . 1:1001(1000) ack 1
        repeat 4
        < . 1:1(0) ack 1
        end
        < . 1:1(0) ack 1
        > . 12001:13001(1000) ack 1
        < . 1:1(0) ack 1
        > . 13001:14001(1000) ack 1
    """, TEN)


def test_newreno_does_not_begin_again_for_the_echoes_of_a_recovery():
    """After a timeout duplicates up to `recover` begin nothing (RFC 6582, 3.2, step 1; 4)."""
    play("""
        +0.2 > . 1:1001(1000) ack 1
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1
        count fast_retransmit 0
        info cwnd 1000
    """, TEN)


def test_after_a_timeout_slow_start_begins_with_one_segment():
    """cwnd = LW, ssthresh = flight/2 (RFC 5681, 3.1, equation 4)."""
    play("""
        +0.2 > . 1:1001(1000) ack 1
        info cwnd 1000
        info ssthresh 5000
        < . 1:1(0) ack 1001
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
        info cwnd 2000
        < . 1:1(0) ack 3001
        > . 3001:4001(1000) ack 1
        > . 4001:5001(1000) ack 1
        > . 5001:6001(1000) ack 1
        > . 6001:7001(1000) ack 1
        info cwnd 4000
    """, TEN)


def test_a_second_timeout_does_not_halve_again():
    """ssthresh is set once for the same segment (RFC 5681, 3.1)."""
    play("""
        +0.2 > . 1:1001(1000) ack 1
        +0.4 > . 1:1001(1000) ack 1
        info ssthresh 5000
        info cwnd 1000
    """, TEN)


def test_congestion_avoidance_opens_by_a_segment_per_round_trip():
    """Above ssthresh cwnd += SMSS*SMSS/cwnd per ACK (RFC 5681, 3.1, equation 3)."""
    play("""
        +0.2 > . 1:1001(1000) ack 1
        < . 1:1(0) ack 1001
        > ...
        < . 1:1(0) ack 3001
        > ...
        < . 1:1(0) ack 10001
        > ...
        info cwnd 6000
        let at 10001
        repeat 6
        let at at+1000
        < . 1:1(0) ack at
        > ...
        end
        info cwnd >= 6900
        info cwnd <= 7000
    """, TEN)


def test_after_a_timeout_what_arrived_in_the_meantime_is_not_sent_again():
    """An ACK beyond SND.NXT moves it (RFC 9293, 3.8.1)."""
    play("""
        +0.2 > . 1:1001(1000) ack 1
        < . 1:1(0) ack 9001
        > . 9001:10001(1000) ack 1
        > . 10001:11001(1000) ack 1
        > . 11001:12001(1000) ack 1
        info cwnd 3000
    """, TEN)


def test_sack_recovery_sends_just_the_hole():
    """DupThresh: three segments above it are reported (RFC 6675, 5)."""
    play("""
        < . 1:1(0) ack 1 <sack 1001:2001>
        > . 10001:11001(1000) ack 1
        < . 1:1(0) ack 1 <sack 1001:3001>
        > . 11001:12001(1000) ack 1
        < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1
        < . 1:1(0) ack 12001
        > ...
        count retransmit 1
        count timeout 0
        info recover 0
    """, TEN_SACK)


def test_sack_recovery_of_two_holes():
    """NextSeg, rule 1: the next hole below the highest report (RFC 6675, 4)."""
    play("""
        < . 1:1(0) ack 1 <sack 1001:2001>
        > . 10001:11001(1000) ack 1
        < . 1:1(0) ack 1 <sack 3001:4001 1001:2001>
        > . 11001:12001(1000) ack 1
        < . 1:1(0) ack 1 <sack 3001:5001 1001:2001>
        > . 1:1001(1000) ack 1
        < . 1:1(0) ack 1 <sack 3001:6001 1001:2001>
        < . 1:1(0) ack 1 <sack 3001:7001 1001:2001>
        < . 1:1(0) ack 1 <sack 3001:8001 1001:2001>
        < . 1:1(0) ack 1 <sack 3001:9001 1001:2001>
        > . 2001:3001(1000) ack 1
        < . 1:1(0) ack 1 <sack 3001:10001 1001:2001>
        > . 12001:13001(1000) ack 1
        < . 1:1(0) ack 2001 <sack 3001:10001>
        > ...
        count retransmit 2
        < . 1:1(0) ack 13001
        > ...
        info recover 0
        count timeout 0
    """, TEN_SACK)


def test_sack_recovery_starts_early_by_bytes_reported():
    """More than two segments above a hole, in one report: it is lost (RFC 6675, 4, IsLost)."""
    play("""
        < . 1:1(0) ack 1 <sack 1001:5001>
        > . 1:1001(1000) ack 1
        count fast_retransmit 1
        > ...
    """, TEN_SACK)


def test_sack_a_duplicate_ack_without_a_block_counts_nothing():
    """With SACK only an ACK that reports something new is a duplicate (RFC 6675, 2)."""
    play("""
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1
        < . 1:1(0) ack 1 <sack 1001:2001>
        > . 10001:11001(1000) ack 1
        < . 1:1(0) ack 1 <sack 1001:2001>
        < . 1:1(0) ack 1 <sack 1001:2001>
        < . 1:1(0) ack 1 <sack 1001:2001>
        count fast_retransmit 0
    """, TEN_SACK)


def test_sack_blocks_that_cannot_be_are_ignored():
    """Below SND.UNA, beyond what was sent, turned round, empty (RFC 2018, 5.1; RFC 2883)."""
    play("""
        < . 1:1(0) ack 1 <sack 10001:12001>
        < . 1:1(0) ack 1 <sack 5001:4001>
        < . 1:1(0) ack 1 <sack 3001:3001>
        < . 1:1(0) ack 1 <sack -999:3001>
        count sack_ignored 4
        info cwnd 10000
        count fast_retransmit 0
    """, TEN_SACK)


def test_a_timeout_forgets_the_reports():
    """The receiver may have dropped what it reported (RFC 2018, 8)."""
    play("""
        set sndbuf 60000
        include sacking
        send 3000
        > ...
        < . 1:1(0) ack 1 <sack 1001:2001>
        +* > . *:*(1000) ack 1
        +* > . 1:1001(1000) ack 1
        count timeout 1
        < . 1:1(0) ack 1001
        > . 1001:2001(1000) ack 1
        > . 2001:3001(1000) ack 1
    """)


def test_recovery_ends_with_the_window_halved():
    """PRR: cwnd converges to ssthresh (RFC 9937, 6)."""
    play("""
        < . 1:1(0) ack 1 <sack 1001:2001>
        > ...
        < . 1:1(0) ack 1 <sack 1001:3001>
        > ...
        < . 1:1(0) ack 1 <sack 1001:4001>
        > ...
        let at 4001
        repeat 8
        let at at+1000
        < . 1:1(0) ack 1 <sack 1001:at>
        > ...
        end
        < . 1:1(0) ack 12001
        > ...
        info ssthresh 5000
        info cwnd 5000
        count timeout 0
    """, TEN_SACK)


def test_nothing_is_sent_beyond_the_peers_window_in_recovery():
    """The inflated window is bounded by SND.WND (RFC 9293, 3.8.6)."""
    play("""
        set sndbuf 60000
        include listen
        < S 0:0(0) win 5000 <mss 1000>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1 win 5000
        L.accept s
        send 40000
        > ...
        info unacked 5000
        repeat 2
        < . 1:1(0) ack 1 win 5000
        end
        < . 1:1(0) ack 1 win 5000
        > . 1:1001(1000) ack 1
        repeat 10
        < . 1:1(0) ack 1 win 5000
        end
        info unacked 5000
    """)
