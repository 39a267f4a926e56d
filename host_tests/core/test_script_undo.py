"""Scripts: what looked like loss and was none is undone; restart after idle; other controls."""
from script import cases, play

# Ten segments in flight, round trips of 100 ms.
BEGIN = """
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
STAMPED = """
    set sndbuf 60000
    include all_options
    send 5792
    > . 1:1449(1448) ack 1 <TS val a ecr 1001>
    > ...
"""


def test_a_spurious_timeout_is_undone_by_its_timestamp():
    """Eifel: the first ACK after it echoes the original's timestamp (RFC 3522, 3.2; RFC 4015)."""
    play("""
        +* > . 4345:5793(1448) ack 1
        +* > . 1:1449(1448) ack 1 <TS val b ecr 1001>
        count timeout 1
        +0.01 < . 1:1(0) ack 1449 <TS val 1300 ecr a>
        count spurious 1
        info recover 0
        info cwnd >= 14480
        < . 1:1(0) ack 5793 <TS val 1300 ecr a>
        count retransmit 2
    """, STAMPED)


def test_a_timeout_that_was_right_stays():
    """The echo is of the retransmission: no undo (RFC 3522, 3.2)."""
    play("""
        +* > . 4345:5793(1448) ack 1
        +* > . 1:1449(1448) ack 1 <TS val b ecr 1001>
        +0.01 < . 1:1(0) ack 1449 <TS val 1300 ecr b>
        > ...
        count spurious 0
        info cwnd <= 2896
    """, STAMPED)


def test_f_rto_sends_new_data_to_find_out():
    """Without timestamps: two new segments after the first ACK (RFC 5682, 2.1, step 2b)."""
    play("""
        +* > . 10001:11001(1000) ack 1
        +* > . 1:1001(1000) ack 1
        count timeout 1
        < . 1:1(0) ack 1001
        > . 11001:12001(1000) ack 1
        > . 12001:13001(1000) ack 1
        < . 1:1(0) ack 2001
        count spurious 1
        > ...
        count retransmit 1
        info cwnd >= 10000
    """, BEGIN)


def test_f_rto_goes_back_if_the_timeout_was_right():
    """A duplicate ACK for the second: retransmit from there (RFC 5682, 2.1, step 3a)."""
    play("""
        +* > . 10001:11001(1000) ack 1
        +* > . 1:1001(1000) ack 1
        < . 1:1(0) ack 1001
        > . 11001:12001(1000) ack 1
        > . 12001:13001(1000) ack 1
        < . 1:1(0) ack 1001 <sack 11001:12001>
        > . 1001:2001(1000) ack 1
        > ...
        count spurious 0
    """, BEGIN)


def test_a_fast_retransmit_of_what_was_only_late_is_undone():
    """D-SACK reports all that was sent again: it was reordering (RFC 3708; RFC 4015)."""
    play("""
        < . 1:1(0) ack 1 <sack 1001:2001>
        > . 10001:11001(1000) ack 1
        < . 1:1(0) ack 1 <sack 1001:3001>
        > . 11001:12001(1000) ack 1
        < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1
        info ssthresh 5000
        < . 1:1(0) ack 4001
        > ...
        < . 1:1(0) ack 4001 <sack 1:1001>
        > ...
        count spurious 1
        info cwnd >= 10000
    """, BEGIN)


def test_a_fast_retransmit_of_what_was_lost_stays():
    """No D-SACK, no undo."""
    play("""
        < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1
        > ...
        < . 1:1(0) ack 4001
        > ...
        < . 1:1(0) ack 10001
        > ...
        count spurious 0
        info cwnd 5000
    """, BEGIN)


def test_after_an_idle_time_the_window_is_the_initial_one():
    """cwnd = min(IW, cwnd) after more than an RTO without sending (RFC 5681, 4.1)."""
    play("""
        set sndbuf 60000
        include plain_1000
        let at 1
        repeat 8
        send 10000
        > ...
        let at at+10000
        < . 1:1(0) ack at
        > ...
        end
        info cwnd > 15000
        run 5
        send 40000
        > ...
        info unacked 10000
    """)


def test_a_short_pause_does_not_shrink_the_window():
    """Less than an RTO is no idle time (RFC 5681, 4.1)."""
    play("""
        set sndbuf 60000
        include plain_1000
        let at 1
        repeat 8
        send 10000
        > ...
        let at at+10000
        < . 1:1(0) ack at
        > ...
        end
        run 0.1
        send 40000
        > ...
        info unacked > 10000
    """)


def test_a_window_that_is_not_used_does_not_grow():
    """A user who sends little does not learn what the path can carry (RFC 7661, 4.1)."""
    play("""
        include plain_1000
        let at 1
        repeat 30
        send 500
        > P. at:at+500(500) ack 1
        let at at+500
        < . 1:1(0) ack at
        end
        info cwnd <= 11000
    """)


def test_without_congestion_control_only_the_peers_window_counts():
    """`congestion = "none"`, for a link that nobody shares."""
    play("""
        set congestion none
        set sndbuf 60000
        include plain_1000
        send 40000
        > ...
        info unacked 40000
    """)


def test_without_congestion_control_loss_is_repaired_all_the_same():
    """Recovery is another matter."""
    play("""
        set congestion none
        set sndbuf 60000
        include sacking
        send 20000
        > ...
        < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1
        < . 1:1(0) ack 20001
        timer rexmt off
    """)


def test_cubic_reduces_to_seven_tenths():
    """beta_cubic = 0.7 (RFC 9438, 4.6)."""
    play("""
        set congestion cubic
        set sndbuf 60000
        include sacking
        send 40000
        > ...
        < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1
        > ...
        info ssthresh 7000
    """)


def test_cubic_begins_as_reno_does():
    """Slow start and initial window are the same (RFC 9438, 4.10; RFC 6928)."""
    cases("""
        == cubic
        set congestion cubic
        set sndbuf 60000
        include plain_1000
        send 40000
        > ...
        info unacked 10000
        < . 1:1(0) ack 2001
        > . 10001:11001(1000) ack 1
        > . 11001:12001(1000) ack 1
        > . 12001:13001(1000) ack 1
        > . 13001:14001(1000) ack 1
        info cwnd 12000
        == after a timeout
        set congestion cubic
        set sndbuf 60000
        include plain_1000
        send 40000
        > ...
        +0.2 > . 1:1001(1000) ack 1
        info cwnd 1000
        info ssthresh 7000
    """)


def test_cubic_climbs_back_to_where_the_loss_was():
    """Concave growth towards W_max (RFC 9438, 4.4): in steps, back at it after K seconds."""
    play("""
        < . 1:1(0) ack 1 <sack 1001:4001>
        > . 1:1001(1000) ack 1
        > ...
        < . 1:1(0) ack 10001
        > ...
        info cwnd 7000
        let at 10001
        repeat 6
        +0.1 < . 1:1(0) ack at+3000
        > ...
        < . 1:1(0) ack at+6000
        > ...
        let at at+6000
        end
        info cwnd >= 9000
        info cwnd <= 11000
        count timeout 0
    """, "set congestion cubic\n" + BEGIN)
