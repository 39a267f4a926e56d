"""Scripts: data out of order, twice, overlapping: what is kept and what is told, SACK, D-SACK."""
from script import cases, play

SACK = "include sacking"


def test_out_of_order_data_are_acknowledged_at_once():
    """A duplicate ACK for each, immediately (RFC 5681, 4.2; SHLD-31)."""
    play("""
        include established
        < . 101:201(100) ack 1
        > . 1:1(0) ack 1 <>
        < . 201:301(100) ack 1
        > . 1:1(0) ack 1 <>
        recv 1 = EAGAIN
        < . 1:101(100) ack 1
        > . 1:1(0) ack 301
        recv 300
    """)


def test_filling_a_part_of_a_gap_is_acknowledged_at_once():
    """An ACK at once when a segment fills in all or part of a gap (RFC 5681, 4.2)."""
    play("""
        include established
        < . 201:301(100) ack 1
        > . 1:1(0) ack 1
        < . 1:101(100) ack 1
        > . 1:1(0) ack 101
        < . 101:201(100) ack 1
        > . 1:1(0) ack 301
        recv 300
    """)


def test_acknowledgements_are_quick_after_a_gap():
    """The sender is in recovery: sixteen segments are acknowledged at once (RFC 5681, 4.2, MAY)."""
    play("""
        include established
        < . 101:201(100) ack 1
        > . 1:1(0) ack 1
        < . 1:101(100) ack 1
        > . 1:1(0) ack 201
        let at 201
        repeat 16
        < . at:at+100(100) ack 1
        > . 1:1(0) ack at+100
        let at at+100
        end
        < . at:at+100(100) ack 1
        +0.04 > . 1:1(0) ack at+100
    """)


def test_overlaps_of_every_kind():
    """Bytes are taken once, wherever segments begin and end (RFC 9293, 3.10.7.4, seventh)."""
    cases("""
        == the same twice
        < . 1:101(100) ack 1
        < . 1:101(100) ack 1
        > . 1:1(0) ack 101
        recv 200 = 100
        == the front is old
        < . 1:101(100) ack 1
        < . 51:151(100) ack 1
        > . 1:1(0) ack 151
        recv 200 = 150
        == the middle of a gap, then all of it
        < . 51:101(50) ack 1
        > . 1:1(0) ack 1
        < . 1:151(150) ack 1
        > . 1:1(0) ack 151
        recv 200 = 150
        == two parts that overlap, then the front
        < . 51:101(50) ack 1
        > . 1:1(0) ack 1
        < . 76:151(75) ack 1
        > . 1:1(0) ack 1
        < . 1:61(60) ack 1
        > . 1:1(0) ack 151
        recv 200 = 150
        == parts that touch
        < . 101:151(50) ack 1
        > . 1:1(0) ack 1
        < . 51:101(50) ack 1
        > . 1:1(0) ack 1
        < . 1:51(50) ack 1
        > . 1:1(0) ack 151
        recv 200 = 150
    """, "include established")


def test_out_of_order_data_count_against_the_window():
    """They lie in the ring already: the window does not grow by them (RFC 9293, 3.8.6)."""
    play("""
        include established
        < . 1001:2001(1000) ack 1
        > . 1:1(0) ack 1 win 4096
        < . 1:1001(1000) ack 1
        > . 1:1(0) ack 2001 win 2096
    """)


def test_out_of_order_data_beyond_the_window_are_cut():
    """Nothing beyond the right edge is kept (RFC 9293, 3.10.7.4, first)."""
    play("""
        set rcvbuf 1000
        include established
        < . 501:1501(1000) ack 1
        > . 1:1(0) ack 1
        < . 1:501(500) ack 1
        > . 1:1(0) ack 1001 win 0
        recv 2000 = 1000
        > . 1:1(0) ack 1001 win 1000
    """)


def test_the_set_of_gaps_is_bounded():
    """More ranges than there is room for are not kept, and counted; the stream survives."""
    play("""
        include established
        let at 101
        repeat 6
        < . at:at+50(50) ack 1
        > . 1:1(0) ack 1
        let at at+100
        end
        count ooo_full 2
        < . 1:101(100) ack 1
        > . 1:1(0) ack 151
        < . 151:701(550) ack 1
        > . 1:1(0) ack 701
        recv 700
    """)


def test_a_gap_right_after_the_initial_sequence_numbers_wrap():
    """Numbers are compared modulo 2**32 (RFC 9293, 3.4)."""
    for isn in (0xFFFFFFFF, 0xFFFFFF00, 0x7FFFFFF0, 0x3FFFFFF0, 0xBFFFFFF0, 0):
        play("""
            include listen
            isn isn0
            < S 0:0(0) <mss 1460>
            > S. 0:0(0) ack 1
            < . 1:1(0) ack 1
            L.accept s
            < . 401:801(400) ack 1
            > . 1:1(0) ack 1
            < . 1:401(400) ack 1
            > . 1:1(0) ack 801
            recv 800
            < F. 801:801(0) ack 1
            > . 1:1(0) ack 802
        """, isn0=isn)


def test_sack_names_the_newest_block_first():
    """The first block holds the segment that caused the ACK (RFC 2018, 4)."""
    play("""
        < . 101:201(100) ack 1
        > . 1:1(0) ack 1 <sack 101:201>
        < . 301:401(100) ack 1
        > . 1:1(0) ack 1 <sack 301:401 101:201>
        < . 501:601(100) ack 1
        > . 1:1(0) ack 1 <sack 501:601 * *>
        < . 151:251(100) ack 1
        > . 1:1(0) ack 1 <sack 101:251 * *>
    """, SACK)


def test_sack_is_sent_with_every_ack_while_there_are_gaps():
    """... in all ACKs that do not acknowledge the highest number (RFC 2018, 4)."""
    play("""
        < . 101:201(100) ack 1
        > . 1:1(0) ack 1 <sack 101:201>
        send 10
        > P. 1:11(10) ack 1 <sack 101:201>
        < . 301:401(100) ack 11
        > . 11:11(0) ack 1 <sack 301:401 101:201>
        < . 1:101(100) ack 11
        > . 11:11(0) ack 201 <sack 301:401>
        < . 201:301(100) ack 11
        > . 11:11(0) ack 401 <>
    """, SACK)


def test_no_sack_without_sack_permitted():
    """Not to a peer that has not asked for it (RFC 2018, 2)."""
    play("""
        include established
        < . 101:201(100) ack 1
        > . 1:1(0) ack 1 <>
    """)


def test_at_most_four_blocks_three_beside_timestamps():
    """40 bytes of options hold so many (RFC 2018, 3)."""
    play("""
        include all_options
        let at 101
        repeat 3
        < . at:at+50(50) ack 1 <TS val 1002 ecr 0>
        > . 1:1(0) ack 1
        let at at+100
        end
        < . 401:451(50) ack 1 <TS val 1002 ecr 0>
        > . 1:1(0) ack 1 <TS val * ecr 1001,sack 401:451 * *>
    """)
    play("""
        let at 101
        repeat 3
        < . at:at+50(50) ack 1
        > . 1:1(0) ack 1
        let at at+100
        end
        < . 401:451(50) ack 1
        > . 1:1(0) ack 1 <sack 401:451 * * *>
    """, SACK)


def test_d_sack_below_the_acknowledgement():
    """A segment that was here before is reported first (RFC 2883, 4.1)."""
    play("""
        < . 1:101(100) ack 1
        < . 101:201(100) ack 1
        > . 1:1(0) ack 201 <>
        < . 1:101(100) ack 1
        > . 1:1(0) ack 201 <sack 1:101>
        < . 201:301(100) ack 1
        +0.04 > . 1:1(0) ack 301 <>
    """, SACK)


def test_d_sack_of_a_block_above_the_acknowledgement():
    """The duplicate, then the block it lies in (RFC 2883, 4.1.2)."""
    play("""
        < . 101:201(100) ack 1
        > . 1:1(0) ack 1 <sack 101:201>
        < . 201:301(100) ack 1
        > . 1:1(0) ack 1 <sack 101:301>
        < . 101:201(100) ack 1
        > . 1:1(0) ack 1 <sack 101:201 101:301>
    """, SACK)


def test_d_sack_of_a_part():
    """Of a segment that is partly old just that part is reported (RFC 2883, 4.2)."""
    play("""
        < . 1:101(100) ack 1
        +0.04 > . 1:1(0) ack 101
        < . 51:151(100) ack 1
        > . 1:1(0) ack 151 <sack 51:101>
        < FP. 101:201(100) ack 1
        > . 1:1(0) ack 202 <sack 101:151>
    """, SACK)


def test_no_d_sack_without_sack_permitted():
    """RFC 2883 rests on RFC 2018."""
    play("""
        include established
        < . 1:101(100) ack 1
        +0.04 > . 1:1(0) ack 101
        < . 1:101(100) ack 1
        > . 1:1(0) ack 101 <>
    """)


def test_sack_of_data_before_a_fin():
    """A FIN out of order is no part of a block."""
    play("""
        < F. 101:201(100) ack 1
        > . 1:1(0) ack 1 <sack 101:201>
        < . 1:101(100) ack 1
        > . 1:1(0) ack 202 <>
    """, SACK)


def test_data_and_acknowledgement_in_one_segment_out_of_order():
    """The ACK of a segment counts although its data are early (RFC 9293, 3.10.7.4, fifth)."""
    play("""
        include established
        send 100
        > P. 1:101(100) ack 1
        < . 101:201(100) ack 101
        > . 101:101(0) ack 1
        timer rexmt off
        info unacked 0
    """)


def test_peeking_leaves_the_data():
    """MSG_PEEK neither takes data nor moves the window."""
    play("""
        include established
        < . 1:101(100) ack 1
        +0.04 > . 1:1(0) ack 101 win 3996
        peek 50
        peek 200 = 100
        recv 100
        peek 1 = EAGAIN
    """)
