"""Scripts: loss found by time (RACK, RFC 8985)."""
from script import play

# Ten segments in flight, round trips of 100 ms.
BEGIN = """
    set rack 1
    set sndbuf 60000
    include listen
    < S 0:0(0) win 65535 <mss 1000,sackOK>
    > S. 0:0(0) ack 1 <mss 1460,sackOK>
    +0.1 < . 1:1(0) ack 1
    L.accept s
    L.close
    send 40000
    > ...
    info unacked 10000
"""


def test_rack_three_segments_above_it_and_it_is_lost():
    """With DupThresh segments reported and no reordering seen, the window is 0 (RFC 8985,
    6.2.1).
    """
    play("""
        +0.1 < . 1:1(0) ack 1 <sack 1001:2001>
        > . 10001:11001(1000) ack 1
        < . 1:1(0) ack 1 <sack 1001:3001>
        > . 11001:12001(1000) ack 1
        < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1
        count fast_retransmit 1
    """, BEGIN)


def test_rack_one_report_and_a_quarter_of_a_round_trip():
    """RACK.reo_wnd = min_RTT/4, then the timer finds it lost (RFC 8985, 6.2, step 4; 6.3)."""
    play("""
        +0.1 < . 1:1(0) ack 1 <sack 1001:2001>
        > . 10001:11001(1000) ack 1
        +0.025 > . 1:1001(1000) ack 1
        count fast_retransmit 1
        count timeout 0
    """, BEGIN)


def test_rack_what_comes_within_the_window_was_only_reordered():
    """A segment that arrives late by less than the window is not sent again (RFC 8985, 3.1)."""
    play("""
        +0.1 < . 1:1(0) ack 1 <sack 1001:2001>
        > . 10001:11001(1000) ack 1
        +0.01 < . 1:1(0) ack 2001
        > ...
        count retransmit 0
        count fast_retransmit 0
    """, BEGIN)


def test_rack_once_reordering_was_seen_the_window_is_kept_open():
    """RACK.reordering_seen: three reports do not suffice any more (RFC 8985, 6.2.1)."""
    play("""
        +0.1 < . 1:1(0) ack 1 <sack 1001:2001>
        > ...
        < . 1:1(0) ack 2001
        > ...
        < . 1:1(0) ack 2001 <sack 3001:6001>
        > ...
        count retransmit 0
        +0.02~0.03 > . 2001:3001(1000) ack 1
    """, BEGIN)


def test_rack_a_lost_retransmission_is_found():
    """A segment sent after the retransmission arrives, and it does not (RFC 8985, 3.1)."""
    play("""
        +0.1 < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1
        > ...
        +0.01 < . 1:1(0) ack 1 <sack 1001:10001>
        > ...
        +0.1 < . 1:1(0) ack 1 <sack 1001:11001>
        > ...
        count retransmit 2
        count timeout 0
    """, BEGIN)


def test_rack_the_tail_is_found_by_a_probe():
    """TLP, then RACK by the probe's report (RFC 8985, 3.3, 7)."""
    play("""
        +0.1 < . 1:1(0) ack 10001
        > ...
        < . 1:1(0) ack 22001
        > ...
        < . 1:1(0) ack 36001
        > ...
        +0.1~0.3 > . 39001:40001(1000) ack 1
        count tail_probe 1
        +0.1 < . 1:1(0) ack 36001 <sack 39001:40001>
        > . 36001:37001(1000) ack 1
        count timeout 0
    """, BEGIN)


def test_rack_after_a_timeout_everything_is_sent_again():
    """The RTO marks all as lost (RFC 8985, 6.3)."""
    play("""
        +* > . 10001:11001(1000) ack 1
        +* > . 1:1001(1000) ack 1
        count timeout 1
        info cwnd 1000
    """, BEGIN)
