"""The engine that plays scripts: what it lets pass, and how it says what is wrong."""
from kit import raises
from script import Script, ScriptFailed, cases, each, play


def fails(text, *words):
    """Playing `text` must fail, with all of `words` in the message."""
    said = str(raises(ScriptFailed, play, text))
    for word in words:
        assert word in said, "%r is not in: %s" % (word, said)


def test_the_example_of_the_documentation():
    play("""
        socket L
        L.bind 80
        L.listen 5
        < S 0:0(0) win 65535 <mss 1460,sackOK>
        > S. 0:0(0) ack 1 <mss 1460,sackOK>
        < . 1:1(0) ack 1 win 1000
        L.accept s
        send 100
        > P. 1:101(100) ack 1
        +0.2 > P. 1:101(100) ack 1  # nobody has answered
        count retransmit 1
    """)


def test_a_wrong_segment_is_shown_with_its_line_what_was_expected_and_what_came():
    begin = "include established\nsend 10\n"
    for line, words in (
            ("> . 1:12(11) ack 1", "the length"),
            ("> . 2:12(10) ack 1", "the sequence number"),
            ("> . 1:11(10) ack 2", "ack"),
            ("> . 1:11(10) ack 1 win 7", "win"),
            ("> F. 1:11(10) ack 1", "the flags"),
            ("> . 1:11(10) ack 1 <mss 1>", "the options"),
            ("+0.2 > . 1:11(10) ack 1", "the time")):
        fails(begin + line, "line 3: " + line, "expected: " + line.split("> ", 1)[1],
              "got:      P. 1:11(10) ack 1 win ", "differs in " + words)


def test_several_differences_are_all_named_and_the_dump_shows_what_went_before():
    fails("include established\nsend 10\n> F. 1:12(11) ack 1",
          "differs in the flags, the length\n", "0.000 < S 0:0(0)", "0.000 - send 10")


def test_silence_where_a_segment_was_expected():
    fails("include established\n> . 1:1(0) ack 1", "line 2", "got:      nothing")
    fails("include established\n+5 > . 1:1(0) ack 1", "line 2", "got:      nothing")


def test_a_segment_that_was_not_expected():
    for after in ("", "run 1", "send 1", "< . 1:1(0) ack 1", "state ESTABLISHED\nrun 0"):
        fails("include established\nsend 10\n" + after, "expected: nothing more to be sent",
              "got:      P. 1:11(10)")


def test_a_segment_too_early_or_too_late():
    begin = "include established\nsend 10\n> ...\n"
    fails(begin + "+2 > P. 1:11(10)", "line 4", "the time (0.200 s after the line before)")
    fails(begin + "+0.1 > P. 1:11(10)", "got:      nothing")
    play(begin + "+0.1~0.3 > P. 1:11(10)")
    play(begin + "+* > P. 1:11(10)")


def test_ranges_and_stars():
    play("include established\nsend 10\n> * *:*(1..10) ack 0..1 win 4096.. <*>")
    fails("include established\nsend 10\n> P. 1:11(10) ack 2..9", "differs in ack")


def test_states_counters_timers_and_what_info_says():
    for line, expected, got in (
            ("state CLOSED", "CLOSED", "ESTABLISHED"),
            ("close\n> F. 1:1(0)\nstate unchanged", "ESTABLISHED", "FIN_WAIT_1"),
            ("info mss 1461", "mss == 1461", "1460"),
            ("info mss > 1460", "mss > 1460", "1460"),
            ("count retransmit >= 1", "retransmit >= 1", "0"),
            ("table 2", "connections == 2", "1"),
            ("timer rexmt on", "the timer on", "off")):
        fails("include established\n" + line, ": " + line.split("\n")[-1], "expected: " + expected,
              "got:      " + got)
    play("""
        include established
        info mss 1460
        info mss != 1459
        count established 1
        table 1
        timewait 0
        timer idle off
    """)


def test_results_of_calls():
    fails("include established\nrecv 10", "expected: 10", "got:      EAGAIN")
    fails("include established\nsend 10 = EPIPE\n> ...", "expected: EPIPE", "got:      10")
    fails("include established\nnobody.close", "there is no socket nobody")
    play("include established\nrecv 10 = EAGAIN\nsend 10 = 10\n> ...\nready = WR")


def test_data_are_compared_at_both_ends():
    script = play("include established\n< . 1:11(10) ack 1")
    assert script.sockets["s"].recv(10) == bytes(range(10))
    play("""
        include established
        < . 1:301(300) ack 1
        peek 300
        recv 100
        recv 1000 = 200
        send 300
        > P. 1:301(300) ack 301
    """)


def test_wrong_data_are_noticed_in_both_directions():
    script = play("include established")
    raises(ScriptFailed, script.sockets["s"].send, b"not of the stream")
    script = Script("recv 10", {}, "include established\n< . 1:11(10) ack 1")
    while len(script.lines) > script.next + 1:
        script.do_next()
    script.sockets["s"].conn.rbuf[3] ^= 1
    assert "the data read are wrong" in str(raises(ScriptFailed, script.do_next))


def test_blocking_calls():
    play("""
        include established
        recv 5 ...
        +3 < . 1:6(5) ack 1
        returned
        +0.04 > . 1:1(0) ack 6
    """)
    play("""
        include established
        timeout 2
        recv 5 ... = ETIMEDOUT
        +2 returned
    """)
    fails("include established\nrecv 5 ...", "without `returned`")
    fails("include established\nrecv 5 ...\nreturned", "still blocked")
    fails("include established\nrecv 5 ...\n< . 1:6(5) ack 1\n+1 < . 6:7(1) ack 1\nreturned",
          "the call has returned already")
    fails("include established\nreturned", "no call is blocked")


def test_what_cannot_be_meant():
    for line in ("send 1\n> . 1:2(1) ack tea", "< . 1:1(0) ack 1 <tea>", "s.tea"):
        fails("include established\n" + line, "what is ", "tea")
    for line in ("< . 1:1(5) ack 1", "< X 1:1(0)", "count tea 1", "set rcvbuf 1", "info tea 1",
                 "include tea", "repeat 2\nrun 1"):
        raises((AssertionError, LookupError, AttributeError), play, "include established\n" + line)


def test_names_and_repetition():
    script = play("""
        include established
        let at 1
        repeat 3
        < . at:at+10(10) ack u
        +0.04 > . x:x(0) ack at+10
        let at at+10
        end
        count rx 5
        info unread 30
    """)
    assert script.elapsed == 120


def test_two_flows_are_told_apart():
    play("""
        include listen
        < S 0:0(0)
        > S. 0:0(0) ack 1
        flow 6666
        < S 0:0(0)
        > S. 0:0(0) ack 1
        halfopen 2
        flow 5555
        < . 1:1(0) ack 1
        queue 1
    """)
    fails("""
        include listen
        < S 0:0(0)
        flow 6666
        > S. 0:0(0) ack 1
    """, "differs in the port (5555)")


def test_each_and_cases_say_which():
    said = str(raises(ScriptFailed, each, "listen established", "state ESTABLISHED"))
    assert "after listen, line 1: state ESTABLISHED" in said, said
    said = str(raises(ScriptFailed, cases, """
        == good
        state ESTABLISHED
        == bad
        state CLOSED
    """, "include established"))
    assert "bad, line 5: state CLOSED" in said, said
    raises(AssertionError, cases, "state CLOSED", "include established")


def test_begin_is_named_as_such():
    said = str(raises(ScriptFailed, play, "state CLOSED", "include established\nstate CLOSED"))
    assert "line begin:2: state CLOSED" in said, said
