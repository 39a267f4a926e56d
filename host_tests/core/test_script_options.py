"""Scripts: options of a SYN and of the segments after it."""
from script import cases, each, play


def test_mss_of_the_peer_bounds_our_segments():
    """Eff.snd.MSS = min(SendMSS, MMS_S) (RFC 9293, 3.7.1, MUST-16)."""
    play("""
        include listen
        < S 0:0(0) <mss 700>
        > S. 0:0(0) ack 1 <mss 1460>
        < . 1:1(0) ack 1
        L.accept s
        getsockopt MAXSEG = 700
        send 1500
        > . 1:701(700) ack 1
        > . 701:1401(700) ack 1
        < . 1:1(0) ack 1401
        > P. 1401:1501(100) ack 1
    """)


def test_mss_is_536_where_the_peer_does_not_say():
    """RFC 9293, 3.7.1, MUST-15."""
    play("""
        include listen
        < S 0:0(0)
        > S. 0:0(0) ack 1 <mss 1460>
        < . 1:1(0) ack 1
        L.accept s
        send 1000
        > . 1:537(536) ack 1
    """)


def test_mss_is_bounded_by_our_own_mtu():
    """What the interface cannot carry is not sent (RFC 9293, 3.7.1)."""
    play("""
        set mtu 576
        include listen
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1 <mss 536>
        < . 1:1(0) ack 1
        L.accept s
        send 1000
        > . 1:537(536) ack 1
    """)


def test_mss_of_an_active_open():
    """Both ends say it, each in its SYN (RFC 9293, 3.7.1, MUST-14)."""
    play("""
        include syn_sent
        < S. 0:0(0) ack 1 <mss 600>
        > . 1:1(0) ack 1 <>
        send 700
        > . 1:601(600) ack 1
    """)


def test_a_ridiculous_mss_is_not_obeyed():
    """Segments of a few bytes would be an attack on us: at least 64."""
    for mss in (0, 1, 63):
        play("""
            include listen
            < S 0:0(0) <mss m>
            > S. 0:0(0) ack 1
            < . 1:1(0) ack 1
            L.accept s
            send 100
            > . 1:65(64) ack 1
        """, m=mss)


def test_malformed_options_of_a_syn_cost_nothing_but_themselves():
    """An illegal length must not confuse (RFC 9293, 3.1, MUST-7)."""
    text = ""
    for options in ("02", "0200", "0201", "020305b4", "0205", "0300", "080a0000", "04", "05ff",
                    "fe", "feff", "00020405b4", "0101010101", "01010102"):
        text += """
            == %s
            < S 0:0(0) <hex %s>
            > S. 0:0(0) ack 1 <mss 1460>
            < . 1:1(0) ack 1
            L.accept s
            info mss 536
        """ % (options, options)
    cases(text, "include listen")


def test_unknown_options_of_a_syn_are_skipped():
    """By their length, wherever they stand (RFC 9293, 3.1, MUST-6)."""
    cases("""
        == before the MSS
        < S 0:0(0) <hex fd06000102030204,hex 0400>
        > S. 0:0(0) ack 1 <mss 1460>
        == fast open, which is not ours
        < S 0:0(0) <mss 900,hex 2202>
        > S. 0:0(0) ack 1 <mss 1460>
        info mss 900
        == MD5
        < S 0:0(0) <hex 131200000000000000000000000000000000,mss 900>
        > S. 0:0(0) ack 1 <mss 1460>
        info mss 900
        == multipath
        < S 0:0(0) <hex 1e0c00810102030405060708,mss 900>
        > S. 0:0(0) ack 1 <mss 1460>
        info mss 900
    """, "include listen")


def test_options_after_the_end_of_the_list_do_not_exist():
    """Kind 0 ends the list (RFC 9293, 3.2)."""
    play("""
        include listen
        < S 0:0(0) <hex 00,mss 900>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        info mss 536
    """)


def test_a_syn_ack_offers_only_what_the_syn_did():
    """Window scale, timestamps and SACK need both ends (RFC 7323, 1.3; RFC 2018, 2)."""
    cases("""
        == nothing
        < S 0:0(0)
        > S. 0:0(0) ack 1 <mss 1460>
        == window scale
        < S 0:0(0) <wscale 5>
        > S. 0:0(0) ack 1 <mss 1460,wscale 0>
        == timestamps
        < S 0:0(0) <TS val 77 ecr 0>
        > S. 0:0(0) ack 1 <mss 1460,TS val 0 ecr 77>
        == SACK
        < S 0:0(0) <sackOK>
        > S. 0:0(0) ack 1 <mss 1460,sackOK>
        == all
        < S 0:0(0) <mss 1460,sackOK,TS val 77 ecr 0,wscale 7>
        > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 77,wscale 0>
    """, "include listen")


def test_what_is_switched_off_is_neither_offered_nor_accepted():
    """`timestamps`, `sack` and `window_scaling` of the stack."""
    cases("""
        == passive
        include listen
        < S 0:0(0) <mss 1460,sackOK,TS val 77 ecr 0,wscale 7>
        > S. 0:0(0) ack 1 <mss 1460>
        == active
        socket s
        connect
        > S 0:0(0) <mss 1460>
        < S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 77 ecr 0,wscale 7>
        > . 1:1(0) ack 1 <>
        info snd_shift 0
    """, "set timestamps 0\nset sack 0\nset window_scaling 0")


def test_options_of_a_syn_mean_nothing_later():
    """MSS, window scale and SACK-permitted count in a SYN only (RFC 9293, 3.2; RFC 7323, 2.1)."""
    play("""
        include established
        < . 1:1(0) ack 1 win 100 <wscale 7>
        info snd_wnd 100
        < . 1:1(0) ack 1 win 101 <mss 200>
        info mss 1460
        < . 1:1(0) ack 1 win 102 <sackOK>
        < . 101:201(100) ack 1 win 102
        > . 1:1(0) ack 1 <>
    """)


def test_the_peers_window_is_scaled():
    """SND.WND = SEG.WND << Snd.Wind.Shift, but not in a SYN (RFC 7323, 2.2, 2.3)."""
    play("""
        set sndbuf 20000
        include listen
        < S 0:0(0) win 500 <mss 1000,wscale 3>
        > S. 0:0(0) ack 1 <mss 1460,wscale 0>
        info snd_wnd 0
        < . 1:1(0) ack 1 win 500
        L.accept s
        info snd_wnd 4000
        send 5000
        > ...
        info unacked 4000
    """)


def test_the_window_of_a_syn_ack_is_not_scaled():
    """RFC 7323, 2.2: the window field of a segment with SYN is never scaled."""
    play("""
        include syn_sent
        < S. 0:0(0) ack 1 win 500 <mss 1000,wscale 3>
        > . 1:1(0) ack 1
        info snd_wnd 500
        < . 1:1(0) ack 1 win 500
        info snd_wnd 4000
    """)


def test_the_window_of_a_crossing_syn_ack_is_not_scaled_either():
    """Also not of the SYN,ACK of a simultaneous open (RFC 7323, 2.2)."""
    play("""
        include syn_sent
        < S 0:0(0) win 500 <mss 1000,wscale 3>
        > S. 0:0(0) ack 1
        < S. 0:0(0) ack 1 win 500 <mss 1000,wscale 3>
        > . 1:1(0) ack 1
        info snd_wnd 500
    """)


def test_a_shift_of_more_than_14_counts_as_14():
    """RFC 7323, 2.3: log an error and use 14."""
    play("""
        include listen
        < S 0:0(0) <wscale 15>
        > S. 0:0(0) ack 1
        info snd_shift 14
    """)


def test_our_window_is_scaled():
    """SEG.WND = RCV.WND >> Rcv.Wind.Shift, but not in the SYN (RFC 7323, 2.2, 2.3)."""
    play("""
        set rcvbuf 200000
        include listen
        < S 0:0(0) <mss 1460,wscale 0>
        > S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 2>
        < . 1:1(0) ack 1
        L.accept s
        < . 1:1001(1000) ack 1
        +0.04 > . 1:1(0) ack 1001 win 49750
        recv 1000
        < . 1001:1002(1) ack 1
        +0.04 > . 1:1(0) ack 1002 win 49750
    """)


def test_without_scaling_a_large_ring_shows_65535_bytes():
    """The field has 16 bits (RFC 9293, 3.1)."""
    play("""
        set rcvbuf 200000
        include listen
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1 win 65535 <mss 1460>
        < . 1:1(0) ack 1
        L.accept s
        < . 1:1001(1000) ack 1
        +0.04 > . 1:1(0) ack 1001 win 65535
    """)


def test_timestamps_stand_in_every_segment():
    """Once agreed, in every segment but a RST (RFC 7323, 3.2)."""
    play("""
        include timestamps
        +1 send 10
        > P. 1:11(10) ack 1 <TS val 1000 ecr 1001>
        < . 1:1(0) ack 11 <TS val 1002 ecr 1000>
        < . 1:11(10) ack 11 <TS val 1003 ecr 1000>
        +0.04 > . 11:11(0) ack 11 <TS val 1040 ecr 1003>
        recv 10
        close
        > F. 11:11(0) ack 11 <TS val 1040 ecr 1003>
        +0.2 > F. 11:11(0) ack 11 <TS val 1240 ecr 1003>
    """)


def test_our_clock_ticks_in_milliseconds():
    """Between 1 ms and 1 s a tick (RFC 7323, 5.4), through the wrap of the stack's own clock."""
    play("""
        include timestamps
        let at 1
        let t 0
        repeat 8
        let t t+1000
        +1 send 1
        > P. at:at+1(1) ack 1 <TS val t ecr 1001>
        let at at+1
        < . 1:1(0) ack at <TS val 1001 ecr t>
        end
    """)


def test_a_segment_without_the_agreed_timestamp_is_dropped():
    """SHOULD drop silently (RFC 7323, 3.2)."""
    play("""
        include timestamps
        < . 1:11(10) ack 1
        < F. 1:1(0) ack 1
        state ESTABLISHED
        info unread 0
        count no_timestamp 2
    """)


def test_a_reset_needs_no_timestamp():
    """RFC 7323, 3.2 and 5.3: RST is processed without one, and with an old one."""
    cases("""
        == none
        < R 1:1(0)
        state CLOSED
        == old
        < R 1:1(0) <TS val 5 ecr 0>
        state CLOSED
        == in the window
        < R 2:2(0)
        > . 1:1(0) ack 1
        state ESTABLISHED
    """, "include timestamps")


def test_paws_drops_an_old_duplicate_and_acknowledges():
    """R1: SEG.TSval < TS.Recent: an ACK, and drop it (RFC 7323, 5.3)."""
    play("""
        include timestamps
        < . 1:11(10) ack 1 <TS val 1000 ecr 0>
        > . 1:1(0) ack 1 <TS val * ecr 1001>
        < F. 1:1(0) ack 1 <TS val 0 ecr 0>
        > . 1:1(0) ack 1
        < . 1:1(0) ack 1 <TS val 500 ecr 0>
        > . 1:1(0) ack 1
        state ESTABLISHED
        info unread 0
        count paws 3
    """)


def test_paws_compares_modulo_2_32():
    """Timestamps wrap as sequence numbers do (RFC 7323, 5.2)."""
    play("""
        include listen
        < S 0:0(0) win 65535 <mss 1460,TS val 4294967290 ecr 0>
        > S. 0:0(0) ack 1 <mss 1460,TS val 0 ecr 4294967290>
        < . 1:1(0) ack 1 <TS val 4294967295 ecr 0>
        L.accept s
        < . 1:11(10) ack 1 <TS val 5 ecr 0>
        +0.04 > . 1:1(0) ack 11 <TS val * ecr 5>
        < . 11:21(10) ack 1 <TS val 4294967295 ecr 0>
        > . 1:1(0) ack 11
        count paws 1
    """)


def test_paws_takes_the_same_timestamp_again():
    """Equal is not old (RFC 7323, 5.3)."""
    play("""
        include timestamps
        < . 1:11(10) ack 1 <TS val 1001 ecr 0>
        < . 11:21(10) ack 1 <TS val 1001 ecr 0>
        > . 1:1(0) ack 21
        recv 20
    """)


def test_the_echo_is_of_the_earliest_unacknowledged_segment():
    """Delayed ACKs: TS.Recent moves by Last.ACK.sent (RFC 7323, 4.3)."""
    play("""
        include timestamps
        < . 1:11(10) ack 1 <TS val 2000 ecr 0>
        < . 11:21(10) ack 1 <TS val 3000 ecr 0>
        > . 1:1(0) ack 21 <TS val * ecr 2000>
        < . 21:31(10) ack 1 <TS val 4000 ecr 0>
        +0.04 > . 1:1(0) ack 31 <TS val * ecr 4000>
    """)


def test_the_echo_does_not_move_for_data_out_of_order():
    """A segment beyond a gap does not update TS.Recent (RFC 7323, 4.3)."""
    play("""
        include timestamps
        < . 11:21(10) ack 1 <TS val 2000 ecr 0>
        > . 1:1(0) ack 1 <TS val * ecr 1001>
        < . 1:11(10) ack 1 <TS val 2001 ecr 0>
        > . 1:1(0) ack 21 <TS val * ecr 2001>
    """)


def test_an_echo_that_cannot_be_is_no_sample():
    """A TSecr from the future, or ages ago, measures nothing (RFC 7323, 4.1)."""
    play("""
        include timestamps
        send 10
        > P. 1:11(10) ack 1
        < . 1:1(0) ack 11 <TS val 1002 ecr 50000>
        info srtt 1
        send 10
        > P. 11:21(10) ack 1
        < . 1:1(0) ack 21 <TS val 1003 ecr -5000000>
        info srtt 1
    """)


def test_timestamps_of_an_active_open():
    """TSecr is the peer's; without them in the SYN,ACK there are none (RFC 7323, 3.2)."""
    play("""
        include syn_sent
        < S. 0:0(0) ack 1 <mss 1460,TS val 555 ecr 0>
        > . 1:1(0) ack 1 <TS val 0 ecr 555>
        info timestamps 1
        info mss 1448
    """)
    play("""
        include connected
        info timestamps 0
        send 1
        > P. 1:2(1) ack 1 <>
    """)


def test_time_wait_reopens_by_timestamp():
    """A SYN with a newer timestamp is new whatever its number (RFC 6191, 2)."""
    begin = """
        include timestamps
        close
        > F. 1:1(0) ack 1
        < F. 1:1(0) ack 2 <TS val 1005 ecr 0>
        > . 2:2(0) ack 2
        state TIME_WAIT
        socket L
        L.bind 80
        L.listen 5
    """
    cases("""
        == newer timestamp, older number
        < S -5000:-5000(0) <TS val 1006 ecr 0>
        > S. 0:0(0) ack -4999
        == older timestamp, newer number
        < S 5000:5000(0) <TS val 1000 ecr 0>
        > . 2:2(0) ack 2
        state TIME_WAIT
        == the same timestamp, newer number
        < S 5000:5000(0) <TS val 1005 ecr 0>
        > S. 0:0(0) ack 5001
        == the same timestamp, older number
        < S -5000:-5000(0) <TS val 1005 ecr 0>
        > . 2:2(0) ack 2
        == no timestamp, newer number
        < S 5000:5000(0)
        > S. 0:0(0) ack 5001
    """, begin)


def test_sack_blocks_without_an_agreement_are_ignored():
    """SACK of a peer that was never asked (RFC 2018, 2)."""
    play("""
        include plain_1000
        send 3000
        > ...
        < . 1:1(0) ack 1 <sack 1001:2001>
        < . 1:1(0) ack 1 <sack 1001:3001>
        info unacked 3000
        count fast_retransmit 0
        count retransmit 0
    """)


def test_options_leave_less_room_for_data():
    """MSS does not count options: data are fewer beside them (RFC 9293, 3.7.1; RFC 6691)."""
    each("all_options timestamps", """
        info mss 1448
        send 1460
        > . 1:1449(1448) ack 1
    """)


def test_sack_blocks_beside_data_shorten_the_data_or_go():
    """A segment with blocks is never longer than the MSS allows (RFC 6691)."""
    play("""
        include sacking
        < . 101:201(100) ack 1
        > . 1:1(0) ack 1 <sack 101:201>
        send 2000
        > . 1:1001(1000) ack 1 <>
        > P. 1001:2001(1000) ack 1 <>
        < . 301:401(100) ack 2001
        > . 2001:2001(0) ack 1 <sack 301:401 101:201>
        send 900
        > P. 2001:2901(900) ack 1 <sack 301:401 101:201>
    """)
