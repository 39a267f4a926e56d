"""Scripts: flow control: windows of both ends, silly windows, Nagle."""
from script import play


def test_the_window_follows_the_room_in_the_ring():
    """What has arrived and was not read is missing from the window (RFC 9293, 3.8.6)."""
    play("""
        include established
        < . 1:1461(1460) ack 1
        < . 1461:2921(1460) ack 1
        > . 1:1(0) ack 2921 win 1176
        < . 2921:4097(1176) ack 1
        +0.04 > . 1:1(0) ack 4097 win 0
    """)


def test_a_full_ring_says_so_and_reading_opens_it():
    """A window update follows a read that makes enough room (RFC 9293, 3.8.6.2.2)."""
    play("""
        set rcvbuf 2000
        include established
        < . 1:1001(1000) ack 1
        < . 1001:2001(1000) ack 1
        > . 1:1(0) ack 2001 win 0
        recv 2000
        > . 1:1(0) ack 2001 win 2000
    """)


def test_small_reads_do_not_open_the_window():
    """Silly window avoidance at the receiver: MSS or half the buffer (3.8.6.2.2, MUST-39)."""
    play("""
        include established
        < . 1:1461(1460) ack 1
        < . 1461:2921(1460) ack 1
        > . 1:1(0) ack 2921 win 1176
        < . 2921:4097(1176) ack 1
        +0.04 > . 1:1(0) ack 4097 win 0
        repeat 20
        recv 100
        end
        run 1
        recv 100
        > . 1:1(0) ack 4097 win 2100
    """)


def test_small_reads_do_not_creep_into_other_segments():
    """The same holds for the window in segments that leave anyway (RFC 9293, 3.8.6.2.2)."""
    play("""
        include established
        < . 1:1461(1460) ack 1
        < . 1461:2921(1460) ack 1
        > . 1:1(0) ack 2921 win 1176
        recv 1000
        send 10
        > P. 1:11(10) ack 2921 win 1176
        recv 460
        send 10
        < . 2921:2921(0) ack 11
        > P. 11:21(10) ack 2921 win 2636
    """)


def test_the_right_edge_of_the_window_never_moves_left():
    """Shrinking the window is discouraged (RFC 9293, 3.8.6, SHLD-14)."""
    play("""
        include established
        < . 1:1001(1000) ack 1
        +0.04 > . 1:1(0) ack 1001 win 3096
        < . 1001:2001(1000) ack 1
        +0.04 > . 1:1(0) ack 2001 win 2096
        recv 500
        < . 2001:3001(1000) ack 1
        +0.04 > . 1:1(0) ack 3001 win 1096
        < . 3001:4001(1000) ack 1
        +0.04 > . 1:1(0) ack 4001 win 96
        < . 4001:4097(96) ack 1
        +0.04 > . 1:1(0) ack 4097 win 0
    """)


def test_a_probe_of_our_shut_window_is_answered():
    """RCV.WND = 0: the byte is refused, the ACK is sent (RFC 9293, 3.8.6.1, MUST-66)."""
    play("""
        set rcvbuf 1000
        include established
        < . 1:1001(1000) ack 1
        +0.04 > . 1:1(0) ack 1001 win 0
        < . 1001:1002(1) ack 1
        > . 1:1(0) ack 1001 win 0
        run 5
        < . 1001:1002(1) ack 1
        > . 1:1(0) ack 1001 win 0
        recv 1000
        > . 1:1(0) ack 1001 win 1000
        < . 1001:1002(1) ack 1
        recv 1
        +0.04 > . 1:1(0) ack 1002
    """)


def test_the_peers_window_is_never_exceeded():
    """Nothing is sent beyond SND.UNA+SND.WND (RFC 9293, 3.8.6)."""
    play("""
        include listen
        < S 0:0(0) win 2500 <mss 1000>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1 win 2500
        L.accept s
        send 4000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        < . 1:1(0) ack 2001 win 1500
        > . 2001:3001(1000) ack 1
        < . 1:1(0) ack 3001 win 2500
        > P. 3001:4001(1000) ack 1
    """)


def test_half_of_the_largest_window_is_worth_a_segment():
    """Silly window avoidance at the sender, (3): Fs Max(SND.WND) with Fs = 1/2 (3.8.6.2.1)."""
    play("""
        include listen
        < S 0:0(0) win 600 <mss 1000>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1 win 600
        L.accept s
        send 2000
        > . 1:601(600) ack 1
        < . 1:1(0) ack 601 win 300
        > . 601:901(300) ack 1
        < . 1:1(0) ack 901 win 299
        +0.1~1 > . 901:1200(299) ack 1
    """)


def test_what_silly_window_avoidance_holds_back_leaves_after_a_time():
    """(4): the override timeout is 0.1 to 1 s (RFC 9293, 3.8.6.2.1)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 100
        send 1000
        +0.1~1 > P. 1:101(100) ack 1
        < . 1:1(0) ack 101 win 2000
        > P. 101:1001(900) ack 1
    """)


def test_a_window_that_shrinks_below_what_is_in_flight():
    """The usable window may be negative: wait (RFC 9293, 3.8.6, MUST-34)."""
    play("""
        include plain_1000
        send 3000
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        > P. 2001:3001(1000) ack 1
        send 1000
        > P. 3001:4001(1000) ack 1
        < . 1:1(0) ack 1001 win 500
        send 96
        < . 1:1(0) ack 4001 win 65535
        > P. 4001:4097(96) ack 1
    """)


def test_an_older_segment_does_not_set_the_window():
    """An ACK below SND.UNA says nothing of the window any more (3.10.7.4: SND.WL1, SND.WL2)."""
    play("""
        include plain_1000
        send 1000
        > P. 1:1001(1000) ack 1
        < . 1:1(0) ack 1001 win 3000
        < . 1:1(0) ack 500 win 7
        info snd_wnd 3000
    """)
    play("""
        include established
        < . 1:101(100) ack 1 win 3000
        < . 51:151(100) ack 1 win 7
        > . 1:1(0) ack 151
        info snd_wnd 3000
    """)


def test_a_window_update_alone_lets_data_go():
    """SEG.ACK = SND.UNA with another window (RFC 9293, 3.10.7.4, fifth)."""
    play("""
        include plain_1000
        < . 1:1(0) ack 1 win 0
        send 2000
        +0.1 < . 1:1(0) ack 1 win 5000
        > . 1:1001(1000) ack 1
        > P. 1001:2001(1000) ack 1
    """)


def test_window_updates_are_no_duplicate_acks():
    """A changed window is not a duplicate ACK (RFC 5681, 2)."""
    play("""
        include plain_1000
        send 4000
        > ...
        < . 1:1(0) ack 1 win 60000
        < . 1:1(0) ack 1 win 59000
        < . 1:1(0) ack 1 win 58000
        < . 1:1(0) ack 1 win 57000
        count fast_retransmit 0
    """)


def test_nagle_holds_a_small_segment_back():
    """While data are unacknowledged, a short segment waits (RFC 9293, 3.7.4, SHLD-7)."""
    play("""
        include established
        send 1
        > P. 1:2(1) ack 1
        send 1
        send 1
        send 1
        +0.1 < . 1:1(0) ack 2
        > P. 2:5(3) ack 1
    """)


def test_nagle_lets_full_segments_go():
    """A full-sized segment may leave at any time (RFC 9293, 3.7.4)."""
    play("""
        include plain_1000
        send 100
        > P. 1:101(100) ack 1
        send 1500
        > . 101:1101(1000) ack 1
        < . 1:1(0) ack 101
        run 0.01
        < . 1:1(0) ack 1101
        > P. 1101:1601(500) ack 1
    """)


def test_nagle_counts_a_segment_with_timestamps_as_full():
    """The effective MSS is what fits beside the options (RFC 9293, 3.7.1, MUST-16)."""
    play("""
        include timestamps
        send 100
        > P. 1:101(100) ack 1
        send 1448
        > P. 101:1549(1448) ack 1
    """)


def test_nagle_can_be_switched_off():
    """TCP_NODELAY (RFC 9293, 3.7.4, MUST-17)."""
    play("""
        include established
        setsockopt NODELAY 1
        send 1
        > P. 1:2(1) ack 1
        send 1
        > P. 2:3(1) ack 1
        getsockopt NODELAY = 1
    """)


def test_nodelay_set_while_data_wait():
    """What Nagle has held back leaves with the next event."""
    play("""
        include established
        send 1
        > P. 1:2(1) ack 1
        send 1
        setsockopt NODELAY 1
        send 1
        > P. 2:4(2) ack 1
    """)


def test_push_stands_on_the_last_segment():
    """PSH when the queue is emptied (RFC 9293, 3.9.1.2, MUST-60, MUST-61)."""
    play("""
        include plain_1000
        send 2500
        > . 1:1001(1000) ack 1
        > . 1001:2001(1000) ack 1
        < . 1:1(0) ack 2001
        > P. 2001:2501(500) ack 1
    """)


def test_a_full_send_ring_takes_a_part_and_then_says_eagain():
    """`send` of a socket that does not wait takes what there is room for."""
    play("""
        set sndbuf 1000
        include established
        < . 1:1(0) ack 1 win 0
        send 1500 = 1000
        send 1 = EAGAIN
        ready = 0
        < . 1:1(0) ack 1 win 5000
        > P. 1:1001(1000) ack 1
        < . 1:1(0) ack 1001 win 5000
        ready = WR
        send 1500 = 1000
        > P. 1001:2001(1000) ack 1
    """)


def test_a_blocking_send_waits_for_room():
    """It returns once a part was taken."""
    play("""
        set sndbuf 1000
        include established
        send 1000
        > P. 1:1001(1000) ack 1
        send 500 ...
        +0.1 < . 1:1(0) ack 1001
        > P. 1001:1501(500) ack 1
        returned
    """)


def test_a_blocking_send_obeys_its_time_out():
    """ETIMEDOUT when there was no room for so long."""
    play("""
        set sndbuf 1000
        include established
        send 1000
        > P. 1:1001(1000) ack 1
        timeout 0.15
        send 500 ... = ETIMEDOUT
        +0.15 returned
    """)


def test_rings_wrap_in_both_directions():
    """Bytes keep their order when the rings go round."""
    play("""
        set rcvbuf 3000
        set sndbuf 3000
        include plain_1000
        let at 1
        repeat 12
        < . at:at+700(700) ack at
        recv 700
        send 700
        > P. at:at+700(700) ack at+700
        let at at+700
        < . at:at(0) ack at
        end
    """)


def test_a_window_of_zero_from_the_start():
    """A peer that opens with an empty window is probed (RFC 9293, 3.8.6.1)."""
    play("""
        include listen
        < S 0:0(0) win 0 <mss 1000>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1 win 0
        L.accept s
        send 10
        +0.2 > P. 1:2(1) ack 1
        < . 1:1(0) ack 2 win 10
        > P. 2:11(9) ack 1
    """)
