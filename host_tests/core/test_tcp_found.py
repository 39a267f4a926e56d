"""What the campaign of random networks has found (tools/sim), each as the few segments it takes."""
from kit import raises
from net import Net, Peer
from test_tcp_cookies import full
from test_tcp_options import sacking
from test_tcp_pmtu import sending

from spinet.prim import diff32
from spinet.tcp import output, rto
from spinet.tcp.states import PERSIST, PROBE


def test_a_syn_ack_that_crosses_ours_opens_the_connection():
    # Answered with another SYN,ACK it would have come back for ever.
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    p.one("S", 0)
    p.send("S", 0)
    p.one("SA", 0, 1)
    p.send("SA", 0, 1, window=500)
    p.one("A", 1, 1)
    assert s.conn.info()["state"] == "ESTABLISHED" and s.conn.snd_wnd == 500
    p.send("SA", 0, 1)
    p.one("A", 1, 1)


def test_both_ends_connect_to_each_other():
    net = Net(delay_ms=20)
    ends = []
    for host, there in ((net.a, "10.0.0.2"), (net.b, "10.0.0.1")):
        s = host.socket()
        s.setblocking(False)
        s.bind(("", 4000))
        s.connect_ex((there, 4000))
        ends.append(s)
    net.until(lambda: ends[0].conn.connect_error() == 0 and ends[1].conn.connect_error() == 0)
    assert net.sent < 20, net.sent
    ends[0].send(b"there")
    ends[1].send(b"back")
    net.run(200)
    assert ends[0].recv(9) == b"back" and ends[1].recv(9) == b"there"


def test_acknowledgements_stay_inside_a_window_that_is_shut():
    # The probe's byte is beyond it: after that a peer would refuse every acknowledgement of ours,
    # and with both windows shut neither end could tell the other that its own is open again.
    p = Peer()
    s = p.accept(window=0)
    s.send(b"abc")
    p.run(300)
    assert p.one("PA", 1, 1).data == b"a"
    p.send("PA", 1, 1, b"x" * 10, window=0)
    p.run(50)
    p.one("A", 1, 11)
    assert s.recv(20) == b"x" * 10
    s.setsockopt(1, 13, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
    s.close()
    p.one("RA", 1)


def test_after_a_tail_loss_probe_with_new_data_comes_the_timeout():
    # And not one more probe with more new data, each a timeout later.
    p, s = sacking(sndbuf=20000)
    s.send(b"t" * 1460)
    p.run(20)
    p.take()
    p.send("A", 1, 1461)
    s.conn.cwnd = 2920      # room for two: only a probe may send more
    s.send(b"t" * 7300)
    assert [x.seq for x in p.take()] == [1461, 2921]
    p.run(300)
    count = p.stack.tcp.count
    assert count["tail_probe"] == 1 and count["timeout"] == 1, count
    assert p.take()[-1].seq == 1461


def test_a_socket_that_is_closed_holds_no_unread_data():
    p = Peer()
    s = p.accept()
    p.send("FPA", 1, 1, b"never read")
    s.shutdown(1)
    p.send("A", 12, 2)
    c = s.conn
    assert c.info()["state"] == "CLOSED" and c.r_len
    s.close()
    assert not c.rbuf and not c.sbuf


def test_an_acknowledgement_that_gets_out_does_not_strand_data_that_did_not():
    p = Peer()
    s = p.accept()
    send = p.end.send
    p.end.send = lambda buf, n: False
    s.send(b"stays")
    p.send("FA", 1, 1)      # its acknowledgement is held back as well
    p.end.send = send
    p.send("FA", 1, 1)      # and this is answered before anything else is tried
    p.one("A", 1, 2)
    p.run(5)
    assert p.one("PA", 1, 2).data == b"stays"


def test_a_later_segment_of_a_peer_with_a_cookie_does_not_reset_it():
    # Its first was lost, or found the backlog full: it will come again.
    p, server = full()
    p.send("S")
    p.one("SA", 0, 1)
    p.send("PA", 101, 1, b"y" * 100)
    p.send("FA", 201, 1)
    p.none()
    p.send("PA", 1, 1, b"x" * 100)
    s, _ = server.accept()
    assert s.recv(500) == b"x" * 100


def test_ecn_flags_of_a_handshake_say_nothing_about_congestion():
    # No window is open yet that could be reduced.
    for congestion in ("reno", "cubic"):
        p = Peer()
        p.stack.tcp.ecn = True
        p.stack.tcp.congestion = congestion
        server = p.stack.socket()
        server.bind(("", 80))
        server.listen()
        p.send("SEC", options=b"\2\4\5\xb4")
        p.take()
        p.send("AE", 1, 1)
        s, _ = server.accept()
        p.send("SAE", 0, 1)
        assert s.conn.cwnd == 14600 and p.stack.tcp.count["ecn"] == 0


def test_a_reused_port_begins_above_what_its_last_connection_has_sent():
    # The clock of initial sequence numbers ticks 250 times in a millisecond: data goes faster.
    net = Net(delay_ms=0, rcvbuf=60000, sndbuf=60000)
    server = net.b.socket()
    server.bind(("", 80))
    server.listen()
    ends = []
    for _ in range(2):
        s = net.a.socket()
        s.bind(("", 4000))
        s.connect(("10.0.0.2", 80))
        ends.append(s.conn)
        other, _ = server.accept()
        first = bytes(s.conn.head[4:8])
        if len(ends) == 2:
            assert diff32(first, 0, ends[0].head, 4) > 0
        s.sendall(bytes(50000))
        assert len(other.read(50000)) == 50000
        s.close()
        other.close()
        net.until(lambda: ends[-1].info()["state"] == "TIME_WAIT")


def test_a_probe_is_no_longer_than_a_segment():
    # What had been held back by a port that was busy went at once, in one frame of 4 KB.
    p = Peer()
    s = p.accept(mss=500)
    s.conn.flags |= PERSIST
    s.send(bytes(3000))
    p.take()
    s.conn.snd_nxt = 0
    output.probe(s.conn)
    assert [len(sent.data) for sent in p.take()] == [500]


def test_larger_segments_are_not_tried_before_smaller_ones_had_an_answer():
    # With a timeout beyond the half minute after which a guess is looked at again.
    p, s = sending()
    s.conn.rto = 3000
    s.conn.t_rexmt = rto.arm(s.conn, 3000)
    s.conn.flags &= ~PROBE
    p.run(100000)
    sizes = [len(x.data) for x in p.take()]
    assert sizes[-1] == 512 and sizes == sorted(sizes, reverse=True), sizes


def test_a_tuple_used_again_in_the_same_millisecond_begins_elsewhere():
    # Else an old SYN and an old ACK, both duplicates, would open a connection with nobody.
    p = Peer()
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen()
    p.send("S")
    p.one("SA", 0, 1)
    first = p.iss
    p.send("A", 1, 1)
    p.send("R", 1)
    p.send("S")
    p.one("SA", 0, 1)
    assert p.iss != first
    p.send("A", 1, absolute_ack=(first + 1) & 0xFFFFFFFF)
    p.one("R")


def test_a_segment_that_is_not_full_may_be_too_large_as_well():
    p = Peer()
    s = p.accept()
    s.send(b"m" * 1000)
    sizes = []
    for _ in range(100):
        p.run(1000)
        sizes += [len(x.data) for x in p.take()]
    assert sizes[0] == 1000 and sizes[-1] == 512, sizes
