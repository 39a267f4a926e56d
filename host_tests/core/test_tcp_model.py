"""The state machine against RFC 9293, figure 5 and section 3.10, written down once more.

The tables here were written from the standard, not from `states.py`; each row says where it
stands.  Every state is brought about (script_peers.py) and every event happens to it: each call
of the user, each timeout, and segments of every combination of flags, with and without data, at
four places in the sequence, with four kinds of acknowledgement.  What follows, the next state and
what is sent, has to be what the tables say.  Where the stack differs from the standard the row
says so with the word "deviation".
"""
from kit import MICROPYTHON
from script import Script, play

from spinet.tcp import states

# How each state is brought about.
STATES = {
    "CLOSED": "",
    "LISTEN": "include listen",
    "SYN_SENT": "include syn_sent",
    "SYN_RECEIVED": "include syn_received",
    "ESTABLISHED": "include established",
    "FIN_WAIT_1": "include fin_wait_1",
    "FIN_WAIT_2": "include fin_wait_2",
    "CLOSE_WAIT": "include close_wait",
    "CLOSING": "include closing",
    "LAST_ACK": "include close_wait\nshutdown WR\n> F. 1:1(0) ack 2\nlet x 2\nstate LAST_ACK",
    "TIME_WAIT": "include time_wait",
}
RECEIVING = "ESTABLISHED FIN_WAIT_1 FIN_WAIT_2"
CLOSED_BY_PEER = "CLOSE_WAIT CLOSING LAST_ACK TIME_WAIT"
SYNCHRONIZED = RECEIVING + " " + CLOSED_BY_PEER
ALL = "SYN_RECEIVED " + SYNCHRONIZED

# Where a segment begins: at RCV.NXT, further on in the window, wholly before it, beyond it.
PLACES = {"next": 0, "window": 100, "old": -20, "beyond": 5000}

# What it acknowledges: less than SND.UNA, SND.UNA, all that was sent, more.
ACKS = ("old", "una", "all", "beyond")

# Replies: "-" nothing; "ACK" <SEQ=SND.NXT><ACK=RCV.NXT>; "RST" <SEQ=SEG.ACK>; "RST,ACK"
# <SEQ=0><ACK=SEG.SEQ+SEG.LEN>; "SYN,ACK"; "text": the segment goes on to the next table.
#
# Rows: states, flags that are set, flags that are not, place, ack, next state ("": the same),
# reply, where it is written.  The first row that fits holds.  "*" is anything.
SEGMENTS = (
    ("CLOSED", "R", "", "*", "*", "", "-", "3.10.7.1: an incoming RST is discarded"),
    ("CLOSED", ".", "", "*", "*", "", "RST", "3.10.7.1: if the ACK bit is on"),
    ("CLOSED", "", "", "*", "*", "", "RST,ACK", "3.10.7.1: if the ACK bit is off"),

    ("LISTEN", "R", "", "*", "*", "", "-", "3.10.7.2, first: check for a RST"),
    ("LISTEN", ".", "", "*", "*", "", "RST", "3.10.7.2, second: check for an ACK"),
    ("LISTEN", "S", "", "*", "*", "SYN_RECEIVED", "SYN,ACK", "3.10.7.2, third; figure 5"),
    ("LISTEN", "", "", "*", "*", "", "-", "3.10.7.2, fourth: drop the segment"),

    ("SYN_SENT", ".R", "", "*", "old una beyond", "", "-", "3.10.7.3, first: unless RST is set"),
    ("SYN_SENT", ".", "R", "*", "old una beyond", "", "RST", "3.10.7.3, first: =< ISS, > SND.NXT"),
    ("SYN_SENT", ".R", "", "*", "all", "CLOSED", "-", "3.10.7.3, second: connection reset"),
    ("SYN_SENT", "R", "", "*", "*", "", "-", "3.10.7.3, second: otherwise (no ACK) drop"),
    ("SYN_SENT", "S.F", "", "*", "all", "CLOSE_WAIT", "ACK", "3.10.7.3, fourth, then the FIN"),
    ("SYN_SENT", "S.", "", "*", "all", "ESTABLISHED", "ACK", "3.10.7.3, fourth; figure 5"),
    ("SYN_SENT", "S", "", "*", "*", "SYN_RECEIVED", "SYN,ACK", "3.10.7.3, fourth: otherwise"),
    ("SYN_SENT", "", "", "*", "*", "", "-", "3.10.7.3, fifth: neither SYN nor RST"),

    (ALL, "R", "", "old beyond", "*", "", "-", "3.10.7.4, first: unless the RST bit is set"),
    ("TIME_WAIT", "S", ".R", "next window beyond", "*", "CLOSED", "RST,ACK",
     "3.6.1, MAY-2: a new SYN ends TIME-WAIT; nobody listens, so 3.10.7.1"),
    (ALL, "", "", "old beyond", "*", "", "ACK", "3.10.7.4, first: an acknowledgment in reply"),
    ("SYN_RECEIVED", "R", "", "next", "*", "LISTEN", "-", "3.10.7.4, second: a passive OPEN"),
    (SYNCHRONIZED, "R", "", "next", "*", "CLOSED", "-", "3.10.7.4, second; RFC 5961, 3.2"),
    (ALL, "R", "", "window", "*", "", "ACK", "3.10.7.4, second: challenge ACK"),
    ("SYN_RECEIVED", "S", "", "*", "*", "", "ACK",
     "3.10.7.4, fourth: to LISTEN; deviation: challenged as in the synchronized states"),
    (SYNCHRONIZED, "S", "", "*", "*", "", "ACK", "3.10.7.4, fourth; RFC 5961, 4.2: challenge ACK"),
    (ALL, "", ".", "*", "*", "", "-", "3.10.7.4, fifth: if the ACK bit is off, drop"),
    ("SYN_RECEIVED", ".", "", "*", "old una beyond", "", "RST", "3.10.7.4, fifth: not acceptable"),
    ("SYN_RECEIVED", ".", "", "*", "all", "ESTABLISHED", "text", "3.10.7.4, fifth; figure 5"),
    (SYNCHRONIZED, ".", "", "*", "beyond", "", "ACK", "3.10.7.4, fifth: not yet sent"),
    ("FIN_WAIT_1", ".", "", "*", "all", "FIN_WAIT_2", "text", "3.10.7.4, fifth; figure 5"),
    ("CLOSING", ".", "", "*", "all", "TIME_WAIT", "text", "3.10.7.4, fifth; figure 5"),
    ("LAST_ACK", ".", "", "*", "all", "CLOSED", "-", "3.10.7.4, fifth; figure 5"),
    (SYNCHRONIZED, ".", "", "*", "*", "", "text", "3.10.7.4, fifth: a duplicate is ignored"),
)

# Rows: states, FIN set ("F"), not ("-") or either, data ("d", "-", "*"), place, next state, reply,
# how far RCV.NXT moves beyond the data, where it is written.
TEXT = (
    (CLOSED_BY_PEER, "*", "*", "*", "", "-", 0, "3.10.7.4, seventh: ignore the text; and a FIN"),
    ("ESTABLISHED", "F", "*", "next", "CLOSE_WAIT", "ACK", 1, "3.10.7.4, eighth; figure 5"),
    ("FIN_WAIT_1", "F", "*", "next", "CLOSING", "ACK", 1, "3.10.7.4, eighth; figure 5"),
    ("FIN_WAIT_2", "F", "*", "next", "TIME_WAIT", "ACK", 1, "3.10.7.4, eighth; figure 5"),
    (RECEIVING, "*", "d", "*", "", "ACK", 0, "3.10.7.4, seventh: acknowledge the data"),
    (RECEIVING, "F", "-", "window", "", "ACK", 0, "RFC 5681, 4.2: out of order, a FIN like data"),
    (RECEIVING, "-", "-", "*", "", "-", 0, "nothing in it to be acknowledged"),
)

# Rows: states, call, its result, next state, what is sent, where it is written.
CALLS = (
    ("CLOSED", "connect", "EINPROGRESS", "SYN_SENT", "S", "3.10.1, active OPEN; figure 5"),
    ("LISTEN", "connect", "EINVAL", "", "", "3.10.1; deviation: as sockets have it, an error"),
    ("SYN_SENT SYN_RECEIVED", "connect", "EALREADY", "", "", "3.10.1: connection already exists"),
    (SYNCHRONIZED, "connect", "EISCONN", "", "", "3.10.1: connection already exists"),
    ("CLOSED", "listen 1", "OK", "LISTEN", "", "3.10.1, passive OPEN; figure 5"),
    ("LISTEN", "listen 1", "OK", "", "", "3.10.1; the backlog may be changed"),
    ("SYN_SENT SYN_RECEIVED " + SYNCHRONIZED, "listen 1", "EINVAL", "", "", "3.10.1"),
    ("CLOSED LISTEN", "send 10", "ENOTCONN", "", "", "3.10.2: connection does not exist"),
    ("SYN_SENT SYN_RECEIVED", "send 10", "EAGAIN", "", "", "3.10.2: queue, that is: wait"),
    ("ESTABLISHED CLOSE_WAIT", "send 10", "10", "", "P.", "3.10.2: segmentize and send"),
    ("FIN_WAIT_1 FIN_WAIT_2 CLOSING LAST_ACK TIME_WAIT", "send 10", "EPIPE", "", "",
     "3.10.2: connection closing"),
    ("CLOSED LISTEN", "recv 10", "ENOTCONN", "", "", "3.10.3: connection does not exist"),
    ("SYN_SENT SYN_RECEIVED " + RECEIVING, "recv 10", "EAGAIN", "", "", "3.10.3: queue"),
    (CLOSED_BY_PEER, "recv 10", "EOF", "", "", "3.10.3: connection closing"),
    ("CLOSED", "close", "OK", "", "", "3.10.4"),
    ("LISTEN SYN_SENT", "close", "OK", "CLOSED", "", "3.10.4: delete the TCB; figure 5"),
    ("SYN_RECEIVED", "close", "OK", "", "", "3.10.4: queue until ESTABLISHED; see below"),
    ("ESTABLISHED", "close", "OK", "FIN_WAIT_1", "F.", "3.10.4; figure 5"),
    ("CLOSE_WAIT", "close", "OK", "LAST_ACK", "F.", "3.10.4; figure 5"),
    ("FIN_WAIT_1 FIN_WAIT_2 CLOSING LAST_ACK TIME_WAIT", "close", "OK", "", "", "3.10.4"),
    ("CLOSED LISTEN SYN_SENT TIME_WAIT", "abort", "OK", "CLOSED", "", "3.10.5"),
    ("SYN_RECEIVED ESTABLISHED FIN_WAIT_1 FIN_WAIT_2 CLOSE_WAIT", "abort", "OK", "CLOSED", "R.",
     "3.10.5: send a reset segment"),
    ("CLOSING LAST_ACK", "abort", "OK", "CLOSED", "R.",
     "3.10.5; deviation: a reset here too, for the data before our FIN may be on their way"),
)

# Rows: states, what is sent again and after how many seconds, 0: nothing is.
RETRANSMITTED = (
    ("SYN_SENT", "S", 1, "RFC 6298, 2.1 and 5.4"),
    ("SYN_RECEIVED", "S.", 1, "RFC 6298, 2.1 and 5.4"),
    ("FIN_WAIT_1 CLOSING LAST_ACK", "F.", 0.2, "3.8.1: a FIN is retransmitted as data are"),
    ("CLOSED LISTEN ESTABLISHED FIN_WAIT_2 CLOSE_WAIT TIME_WAIT", "", 0, "3.10.8: nothing is owed"),
)

# Rows: states, seconds in which they certainly remain, seconds after which they have ended (0:
# never), how they end, where it is written.
GIVEN_UP = (
    ("SYN_SENT", 180, 190, "CLOSED", "3.8.3, MUST-23: R2 of a SYN is 3 minutes"),
    ("SYN_RECEIVED", 60, 70, "LISTEN", "3.8.3: a half-open connection"),
    ("FIN_WAIT_1 CLOSING LAST_ACK", 100, 400, "CLOSED", "3.8.3, MUST-20: R2 is at least 100 s"),
    ("TIME_WAIT", 59, 61, "CLOSED", "3.10.8: TIME-WAIT timeout; figure 5"),
    ("CLOSED LISTEN ESTABLISHED FIN_WAIT_2 CLOSE_WAIT", 3600, 0, "", "as long as the user likes"),
)


def brought_about(state, more=""):
    """A script that has been played up to `state`, and then `more`."""
    script = Script(more, {"n": 0, "u": 0, "x": 0}, STATES[state])
    while script.next < len(script.lines):
        script.do_next()
    return script


def state_of(script):
    """The state of the script's connection; LISTEN or CLOSED where there is none."""
    if script.stack is None:
        return "CLOSED"
    conn = script.conn()
    if conn is not None:
        return states.NAMES[conn.state]
    return "LISTEN" if script.tcp.listeners else "CLOSED"


def row(table, *what):
    """The first row of `table` whose first columns fit `what`."""
    for found in table:
        for i in range(len(what)):
            if found[i] != "*" and what[i] not in found[i].split():
                break
        else:
            return found
    raise AssertionError("no row for %r" % (what,))


def segment_row(state, flags, place, ack):
    """The index of the first row of SEGMENTS that fits."""
    for i in range(len(SEGMENTS)):
        names, those, not_those, places, acks, _, _, _ = SEGMENTS[i]
        if (state in names.split() and all(f in flags for f in those)
                and not any(f in flags for f in not_those)
                and (places == "*" or place in places.split())
                and (acks == "*" or ack in acks.split())):
            return i
    raise AssertionError("no row for %s %s %s %s" % (state, flags, place, ack))


def expected(state, flags, data, place, ack):
    """(next state, reply, how far RCV.NXT moves) of a segment, by the tables."""
    _, _, _, _, _, after, reply, _ = SEGMENTS[segment_row(state, flags, place, ack)]
    if reply != "text":
        if state == "SYN_SENT":     # RCV.NXT follows from where the SYN stands
            return after or state, reply, PLACES[place] + 1 + data + ("F" in flags)
        return after or state, reply, 0
    state = after or state
    _, _, _, _, after, reply, fin, _ = row(
        TEXT, state, "F" if "F" in flags else "-", "d" if data else "-", place)
    moved = data if reply == "ACK" and place == "next" else 0
    return after or state, reply, moved + fin


def segments():
    """Every segment of the walk: (flags, bytes of data, place, ack)."""
    for bits in range(16):
        flags = "".join("SF.R"[i] for i in range(4) if bits >> i & 1)
        for data in (0, 10):
            for place in ("next", "window", "old", "beyond"):
                for ack in ACKS if "." in flags else ("all",):
                    yield flags, data, place, ack


def send(state, flags, data, place, ack, more):
    """What becomes of `state` by a segment: (state, reply, how far RCV.NXT has moved)."""
    script = brought_about(state)
    names = script.names
    n, u, x = names["n"], names["u"], names["x"]
    seq = n + PLACES[place]
    number = {"old": u - 10, "una": u, "all": x, "beyond": x + 10}[ack]
    line = "< %s %d:%d(%d)%s" % (
        flags + more or "-", seq, seq + data, data, " ack %d" % number if "." in flags else "")
    script.lines.append(("", line))
    script.do_next()
    script.pass_time(50)        # for an acknowledgement that is delayed
    after = state_of(script)
    if not script.out:
        return after, "-", None
    assert len(script.out) == 1, "%s %s: %r" % (state, line, script.out)
    got = script.out[0]
    shown = "".join(f for f in got.flags if f != "P")
    end = seq + data + ("S" in flags) + ("F" in flags)
    if shown == "R" and got.seq == number:
        return after, "RST", None
    if shown in ("R.", ".R") and got.ack == end:
        return after, "RST,ACK", None
    if "S" in shown and "." in shown and got.seq == 0 and got.ack == seq + 1:
        return after, "SYN,ACK", None
    if shown == "." and not got.data and got.seq == x:
        return after, "ACK", got.ack - n
    return after, repr(got), None


def walk(state):
    """Send every segment to a connection in `state`."""
    number = 0
    for flags, data, place, ack in segments():
        number += 1
        if MICROPYTHON and number % 5 != len(state) % 5:
            continue    # a part is enough where each takes ten times as long
        # PSH and URG change nothing: every combination has its turn.
        more = ("", "P", "U", "PU")[number % 4]
        want = expected(state, flags, data, place, ack)
        got = send(state, flags, data, place, ack, more)
        if got[2] is None:
            want = want[0], want[1], None
        assert got == want, "%s, segment %s%s of %d bytes, seq %s, ack %s: %r, expected %r" % (
            state, flags, more, data, place, ack, got, want)
    return number


def test_segments_closed():
    assert walk("CLOSED") == 320


def test_segments_listen():
    walk("LISTEN")


def test_segments_syn_sent():
    walk("SYN_SENT")


def test_segments_syn_received():
    walk("SYN_RECEIVED")


def test_segments_established():
    walk("ESTABLISHED")


def test_segments_fin_wait_1():
    walk("FIN_WAIT_1")


def test_segments_fin_wait_2():
    walk("FIN_WAIT_2")


def test_segments_close_wait():
    walk("CLOSE_WAIT")


def test_segments_closing():
    walk("CLOSING")


def test_segments_last_ack():
    walk("LAST_ACK")


def test_segments_time_wait():
    walk("TIME_WAIT")


def test_user_calls_in_every_state():
    for state in STATES:
        for call in ("connect", "listen 1", "send 10", "recv 10", "close", "abort"):
            begin = STATES[state]
            name = "L" if state == "LISTEN" else "s"
            if state == "CLOSED":
                begin = "socket s"
            elif state == "SYN_RECEIVED":
                begin = "include active_syn_received"
            _, _, result, after, sent, where = row(
                [(r[0], r[1].replace(" ", "_")) + r[2:] for r in CALLS], state,
                call.replace(" ", "_"))
            script = Script("%s.%s = %s" % (name, call, result), {}, begin)
            try:
                while script.next < len(script.lines):
                    script.do_next()
                got = "".join("".join(f for f in "SFRP." if f in s.flags) for s in script.out)
                assert got == sent or got == sent.replace(".", "P."), "sent %r" % got
                assert state_of(script) == (after or state), state_of(script)
            except AssertionError as e:
                raise AssertionError("%s in %s (%s): %s" % (call, state, where, e))


def test_status_in_every_state():
    """STATUS (RFC 9293, 3.10.6) names the state."""
    for state in STATES:
        script = brought_about(state)
        if state not in ("CLOSED", "LISTEN"):
            assert script.conn().info()["state"] == state
        assert state_of(script) == state


def test_a_close_in_syn_received_becomes_fin_wait_1():
    """What was queued by CLOSE happens with the ACK of our SYN (3.10.4; figure 5)."""
    play("""
        include active_syn_received
        close
        < . 1:1(0) ack 1
        > F. 1:1(0) ack 1
        state FIN_WAIT_1
    """)


def test_retransmission_timeouts_in_every_state():
    for states_, flags, seconds, where in RETRANSMITTED:
        for state in states_.split():
            script = brought_about(state)
            if state != "CLOSED":
                script.pass_time(int(seconds * 1000) - 1 if seconds else 30000)
                assert not script.out, "%s: %r too early (%s)" % (state, script.out, where)
                script.pass_time(2)
                got = [s.flags for s in script.out]
                assert len(got) == (1 if flags else 0) and all(f in got[0] for f in flags), (
                    state, got, where)
            assert state_of(script) == state


def test_states_end_by_themselves_or_never():
    for states_, least, most, end, where in GIVEN_UP:
        for state in states_.split():
            if state != "CLOSED":
                script = brought_about(state)
                script.pass_time(least * 1000)
                assert state_of(script) == state, (state, where)
                if most:
                    script.pass_time((most - least) * 1000)
                    assert state_of(script) == end, (state, state_of(script), where)
                    assert script.tcp.connections == 0 and not script.tcp.time_wait


def test_an_orphan_in_fin_wait_2_ends():
    """3.10.8 has no such timeout; a peer that is gone would hold the connection for ever."""
    script = brought_about("FIN_WAIT_2", "close")
    script.pass_time(61000)
    assert state_of(script) == "CLOSED"


def test_every_row_is_used():
    """A row that never fits would be one that is not tested."""
    used = set()
    for state in STATES:
        for flags, _, place, ack in segments():
            used.add(segment_row(state, flags, place, ack))
    assert len(used) == len(SEGMENTS), [
        SEGMENTS[i] for i in range(len(SEGMENTS)) if i not in used]


def test_the_tables_of_states_agree_with_figure_5():
    """`states.py` itself, entry by entry, with what figure 5 draws."""
    close = {"SYN_RECEIVED": "FIN_WAIT_1", "ESTABLISHED": "FIN_WAIT_1", "CLOSE_WAIT": "LAST_ACK",
             "LISTEN": "CLOSED", "SYN_SENT": "CLOSED"}
    fin = {"ESTABLISHED": "CLOSE_WAIT", "FIN_WAIT_1": "CLOSING", "FIN_WAIT_2": "TIME_WAIT",
           "SYN_RECEIVED": "CLOSE_WAIT"}
    acked = {"FIN_WAIT_1": "FIN_WAIT_2", "CLOSING": "TIME_WAIT", "LAST_ACK": "CLOSED"}
    for table, figure in ((states.AFTER_CLOSE, close), (states.AFTER_FIN, fin),
                          (states.AFTER_FIN_ACKED, acked)):
        assert len(table) == 11
        for i in range(11):
            name = states.NAMES[i]
            assert states.NAMES[table[i]] == figure.get(name, name), name
