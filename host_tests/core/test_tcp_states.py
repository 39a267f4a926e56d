"""The eleven states of RFC 9293, segment by segment against a scripted peer."""
from kit import raises
from net import Peer

from spinet.errors import ECONNREFUSED, ECONNRESET, ETIMEDOUT
from spinet.tcp.states import NAMES


def state(s):
    return NAMES[s.conn.state]


def test_active_open_sends_syn_with_mss_and_acknowledges():
    p = Peer()
    s = p.connect()
    assert state(s) == "ESTABLISHED"
    assert s.getpeername() == ("10.0.0.2", 5555)


def test_syn_carries_our_mss():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    syn = p.one("S", 0)
    assert syn.options[:4] == b"\2\4\x05\xb4"


def test_passive_open():
    p = Peer()
    s = p.accept()
    assert state(s) == "ESTABLISHED"
    assert s.getsockname() == ("10.0.0.1", 80)


def test_peers_mss_bounds_our_segments_and_its_absence_means_536():
    p = Peer()
    s = p.accept(mss=700)
    s.send(b"x" * 2000)
    assert [len(x.data) for x in p.take()] == [700, 700]
    p.send("A", 1, 1401)
    p.one("PA", 1401, 1, 600)
    p = Peer()
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(1)
    p.send("S")
    p.one("SA")
    p.send("A", 1, 1)
    s, _ = server.accept()
    s.send(b"x" * 2000)
    assert len(p.take()[0].data) == 536


def test_connect_refused_by_reset():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    p.one("S")
    p.send("RA", 0, 1)
    e = raises(OSError, s.connect, ("10.0.0.2", 5555))
    assert e.errno == ECONNREFUSED, e
    assert not p.stack.tcp.table


def test_reset_with_a_wrong_ack_does_not_refuse():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    p.one("S")
    p.send("RA", 0, 77)
    p.send("R", 0)
    assert state(s) == "SYN_SENT"
    p.none()


def test_syn_ack_with_a_wrong_ack_is_reset():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    p.one("S")
    p.send("SA", 0, 2)
    p.one("R")
    assert state(s) == "SYN_SENT"


def test_connect_gives_up_after_three_minutes():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(170000)
    assert state(s) == "SYN_SENT"
    assert 6 <= len(p.take()) <= 9
    p.run(80000)
    assert state(s) == "CLOSED"
    assert s.getsockopt(1, 4) == ETIMEDOUT
    assert not p.stack.tcp.table


def test_simultaneous_open():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    p.one("S", 0)
    p.send("S", 0)
    p.one("SA", 0, 1)
    assert state(s) == "SYN_RECEIVED"
    p.send("A", 1, 1)
    assert state(s) == "ESTABLISHED"


def test_peer_closes_first():
    p = Peer()
    s = p.accept()
    p.send("FA", 1, 1)
    p.one("A", 1, 2)
    assert state(s) == "CLOSE_WAIT"
    assert s.recv(10) == b""
    s.send(b"bye")
    p.one("PA", 1, 2, 3)
    c = s.conn
    s.close()
    assert NAMES[c.state] == "LAST_ACK"
    p.one("FPA", 4, 2)
    p.send("A", 2, 5)
    assert NAMES[c.state] == "CLOSED"
    assert not p.stack.tcp.table


def test_we_close_first_and_wait_two_msl():
    p = Peer()
    s = p.accept()
    c = s.conn
    s.close()
    p.one("FPA", 1, 1)
    assert NAMES[c.state] == "FIN_WAIT_1"
    p.send("A", 1, 2)
    assert NAMES[c.state] == "FIN_WAIT_2"
    p.send("FA", 1, 2)
    p.one("A", 2, 2)
    assert NAMES[c.state] == "TIME_WAIT"
    p.run(50000)
    p.send("FA", 1, 2)
    p.one("A", 2, 2)
    p.run(59000)
    assert NAMES[c.state] == "TIME_WAIT", "a FIN again restarts the wait"
    p.run(2000)
    assert NAMES[c.state] == "CLOSED"
    assert not p.stack.tcp.table and not p.stack.tcp.time_wait


def test_fin_and_its_ack_in_one_segment():
    p = Peer()
    s = p.accept()
    c = s.conn
    s.close()
    p.one("FPA", 1, 1)
    p.send("FA", 1, 2)
    p.one("A", 2, 2)
    assert NAMES[c.state] == "TIME_WAIT"


def test_simultaneous_close_passes_through_closing():
    p = Peer()
    s = p.accept()
    c = s.conn
    s.close()
    p.one("FPA", 1, 1)
    p.send("FA", 1, 1)
    p.one("A", 2, 2)
    assert NAMES[c.state] == "CLOSING"
    p.send("A", 2, 2)
    assert NAMES[c.state] == "TIME_WAIT"


def test_closing_has_an_exit_when_the_peer_is_gone():
    p = Peer()
    s = p.accept()
    c = s.conn
    s.close()
    p.send("FA", 1, 1)
    p.take()
    p.run(600000)
    assert NAMES[c.state] == "CLOSED"
    assert not p.stack.tcp.table


def test_orphan_in_fin_wait_2_is_reaped():
    p = Peer()
    s = p.accept()
    c = s.conn
    s.close()
    p.send("A", 1, 2)
    assert NAMES[c.state] == "FIN_WAIT_2"
    p.run(61000)
    assert NAMES[c.state] == "CLOSED"
    assert not p.stack.tcp.table


def test_half_closed_by_us_still_receives_for_as_long_as_it_takes():
    p = Peer()
    s = p.accept()
    s.shutdown(1)
    p.one("FPA", 1, 1)
    p.send("A", 1, 2)
    p.run(300000)
    assert state(s) == "FIN_WAIT_2"
    p.send("PA", 1, 2, b"late")
    assert s.recv(10) == b"late"


def test_data_and_fin_in_one_segment_and_data_after_our_fin():
    p = Peer()
    s = p.accept()
    s.shutdown(1)
    p.take()
    p.send("FPA", 1, 2, b"last words")
    assert state(s) == "TIME_WAIT"
    assert s.recv(100) == b"last words"
    assert s.recv(100) == b""


def test_fin_that_arrives_before_its_data():
    p = Peer()
    s = p.accept()
    p.send("FPA", 4, 1, b"def")
    p.one("A", 1, 1)
    assert state(s) == "ESTABLISHED"
    p.send("PA", 1, 1, b"abc")
    p.one("A", 1, 8)
    assert state(s) == "CLOSE_WAIT"
    assert s.recv(10) == b"abcdef" and s.recv(10) == b""


def test_close_with_unread_data_resets():
    p = Peer()
    s = p.accept()
    p.send("PA", 1, 1, b"never read")
    s.close()
    p.one("RA", 1, 11)
    assert not p.stack.tcp.table


def test_data_after_close_resets():
    p = Peer()
    s = p.accept()
    s.close()
    p.one("FPA")
    p.send("PA", 1, 2, b"too late")
    p.one("RA")
    assert not p.stack.tcp.table


def test_reset_received_wakes_the_user_once_and_then_it_is_the_end():
    p = Peer()
    s = p.accept()
    p.send("R", 1)
    assert raises(OSError, s.recv, 10).errno == ECONNRESET
    assert s.recv(10) == b""
    p.none()


def test_segment_for_no_connection_is_reset_by_the_rules():
    p = Peer()
    p.iss = 0
    p.lport = 9
    p.send("A", 5, 1234)
    rst = p.one("R")
    assert rst.seq == 1234
    p.send("S", 5)
    rst = p.one("RA")
    assert rst.ack == 6 and rst.seq == 0
    p.send("FPA", 7, 99, b"xyz")
    assert p.one("R").seq == 99


def test_reset_is_never_answered_by_a_reset():
    p = Peer()
    p.lport = 9
    p.send("R", 5)
    p.send("RA", 5, 7)
    p.none()


def test_blocking_calls_raise_when_the_connection_dies():
    p = Peer()
    s = p.accept()
    s.setblocking(True)
    s.settimeout(5)
    p.raw(6, bytes((5555 >> 8, 5555 & 255, 0, 80)) + b"\xff\xff\xff\xf1"
          + b"\0\0\0\0\x50\4\0\0\0\0\0\0", 16)
    assert raises(OSError, s.recv, 10).errno == ECONNRESET


def test_time_wait_lets_a_newer_syn_in_and_an_older_not():
    p = Peer(isn=1000)
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(5)
    p.send("S")
    p.take()
    p.send("A", 1, 1)
    s, _ = server.accept()
    s.close()
    p.send("FA", 1, 2)
    p.take()
    p.send("S", -500)
    assert p.one("A").ack == 2, "an old SYN gets an ACK"
    p.send("S", 5000)
    p.one("SA", 0)
    assert len(p.stack.tcp.time_wait) == 0


def test_time_wait_is_recycled_under_pressure():
    p = Peer()
    p.stack.tcp.time_wait_max = 3
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(5)
    for i in range(10):
        p.rport = 6000 + i
        p.send("S")
        p.take()
        p.send("A", 1, 1)
        s, _ = server.accept()
        s.close()
        p.send("FA", 1, 2)
        p.take()
    assert len(p.stack.tcp.time_wait) == 3
    assert len(p.stack.tcp.table) == 3
    assert p.stack.tcp.count["time_wait_full"] == 7
