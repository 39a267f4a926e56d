"""TCP whose peers mean harm, have lost their memory, or never answer as they should."""
from kit import raises
from net import Net, Peer, Random
from test_tcp_options import established as with_options, stamp

from spinet import Stack
from spinet.errors import ECONNABORTED, ECONNRESET, ETIMEDOUT
from spinet.prim import add32
from spinet.tcp import limit, pressure
from spinet.tcp.isn import DAYS_MS
from spinet.tcp.states import NAMES

DAY = 86400000


def state(s):
    return NAMES[s.conn.state]


def three(p):
    """A listening socket of the stack, and a function that opens a connection from a port."""
    server = p.stack.socket()
    server.bind(("", 80))
    server.listen(50)
    server.setblocking(False)

    def open_from(rport, window=65535, mss=1460):
        p.rport = rport
        p.send("S", window=window, options=bytes((2, 4, mss >> 8, mss & 255)))
        p.one("SA")
        p.send("A", 1, 1, window=window)
        s, _ = p.keep(server.accept())
        s.setblocking(False)
        return s, p.iss

    return server, open_from


# -- blind attacks (RFC 5961) -----------------------------------------------


def test_which_resets_are_believed():
    for seq, believed, answered in ((1, True, False), (2, False, True), (4096, False, True),
                                    (4097, False, False), (0, False, False), (-1, False, False)):
        p = Peer()
        s = p.accept()
        p.send("R", seq)
        assert (state(s) == "CLOSED") == believed, seq
        assert len(p.take()) == answered, seq


def test_a_syn_is_challenged_in_every_synchronized_state_wherever_it_stands():
    for seq in (-100, 0, 1, 2, 5000, 1 << 30):
        for close, ack in ((False, 1), (True, 1), (True, 2)):
            p = Peer()
            s = p.accept()
            if close:
                s.shutdown(1)
                p.take()
                p.send("A", 1, ack)
            before = state(s)
            p.send("S", seq)
            p.one("A", 1 + close, 1)
            assert state(s) == before


def test_which_acknowledgements_are_taken():
    p = Peer()
    s = p.accept(window=2000)
    s.send(b"x" * 1000)
    p.take()
    for ack, taken in ((1, True), (-1999, True), (-2000, False), (1001, True), (1002, False)):
        p.send("PA", 1 + s.conn.r_len, ack, b"!", window=2000)
        challenged = [x for x in p.take() if not x.data]
        assert bool(challenged) != taken, ack
        assert s.conn.r_len == (1 if taken else 0), ack
        if taken:
            p = Peer()
            s = p.accept(window=2000)
            s.send(b"x" * 1000)
            p.take()


def test_a_connection_is_challenged_only_so_often_and_no_other_notices():
    p = Peer()
    server, open_from = three(p)
    s, iss = open_from(5001)
    for _ in range(500):
        p.send("R", 100)
    assert len(p.take()) == limit.CHALLENGES
    assert p.stack.tcp.count["challenge_ack"] == limit.CHALLENGES
    assert p.stack.tcp.count["rate_limited"] == 500 - limit.CHALLENGES
    open_from(5002)
    p.send("R", 100)
    p.one("A")
    p.run(1100)
    p.rport, p.iss = 5001, iss
    p.send("R", 100)
    p.one("A")


def test_resets_and_challenges_have_budgets_of_their_own():
    p = Peer()
    server, open_from = three(p)
    open_from(5001)
    p.lport = 81
    for p.rport in range(6000, 6300):
        p.send("S")
    assert 50 <= len(p.take()) <= 100
    p.lport = 80
    p.rport = 5001
    p.send("R", 100)
    p.one("A")


def test_how_many_answers_there_are_in_a_second_cannot_be_foreseen():
    p = Peer()
    p.lport = 81
    seen = set()
    for _ in range(8):
        for p.rport in range(6000, 6120):
            p.send("S")
        seen.add(len(p.take()))
        p.run(1000)
    assert len(seen) > 3 and all(50 <= n <= 100 for n in seen), seen


def test_two_ends_out_of_step_do_not_ping_pong():
    net = Net()
    client, server = net.pair()
    net.run(1000)
    for s in (client, server):
        add32(s.conn.head, 8, s.conn.head, 8, 100000)
    client.send(b"is anybody there")
    before = net.sent
    net.run(20000)
    assert net.sent - before < 20 * 2 * (limit.CHALLENGES + 2), net.sent - before


def test_two_ends_that_forgot_a_connection_do_not_exchange_resets():
    net = Net()
    client, server = net.pair()
    net.run(100)
    client.conn.end(0)
    net.run(100)
    before = net.sent
    server.send(b"x")
    net.run(1000)
    assert net.sent - before == 2, "the data and one reset"
    assert raises(OSError, server.recv, 10).errno == ECONNRESET


def test_a_syn_without_timestamps_is_challenged_where_they_were_agreed():
    p, s = with_options(stamp(5), stamp(6))
    p.send("S", 5000)
    p.one("A", 1, 1)
    p.send("A", 1, 1)
    p.none()
    assert p.stack.tcp.count["no_timestamp"] == 1


# -- after a reboot ---------------------------------------------------------


def reboot(net):
    """Host a loses its memory; net.a is what comes up again."""
    net.a = stack = Stack(clock=net.clock, random=Random(77), wait=net.wait)
    stack.add(net.ends[0], "10.0.0.1/24")
    net.hosts = stack, net.b


def test_a_rebooted_host_gets_through_from_the_same_port():
    for timestamps in (True, False):
        net = Net()
        net.b.tcp.timestamps = timestamps
        server = net.b.socket()
        server.bind(("", 80))
        server.listen(5)
        client = net.a.socket()
        client.bind(("", 50000))
        client.connect(("10.0.0.2", 80))
        old, _ = server.accept()
        old.setblocking(False)
        reboot(net)
        again = net.a.socket()
        again.bind(("", 50000))
        began = net.elapsed
        again.connect(("10.0.0.2", 80))
        assert net.elapsed - began < 1500, "one retransmission of the SYN"
        assert net.b.tcp.count["challenge_ack"] == 1 and net.a.tcp.count["reset_sent"] == 1
        assert raises(OSError, old.recv, 10).errno == ECONNRESET
        new, _ = server.accept()
        again.send(b"back")
        net.run(10)
        assert new.recv(10) == b"back"


def test_a_rebooted_host_tells_a_peer_that_still_sends():
    net = Net()
    client, server = net.pair()
    reboot(net)
    server.send(b"hello?")
    net.run(100)
    assert raises(OSError, server.recv, 10).errno == ECONNRESET


def test_the_same_port_again_at_once_whoever_closed_first():
    for timestamps in (True, False):
        for client_first in (True, False):
            net = Net()
            net.b.tcp.timestamps = timestamps
            server = net.b.socket()
            server.bind(("", 80))
            server.listen(5)
            for _ in range(5):
                client = net.a.socket()
                client.bind(("", 50000))
                began = net.elapsed
                client.connect(("10.0.0.2", 80))
                assert net.elapsed - began < 100, (timestamps, client_first)
                other, _ = server.accept()
                client.send(b"x" * 3000)
                net.run(20)
                assert len(other.recv(4000)) == 3000
                first, second = (client, other) if client_first else (other, client)
                first.close()
                net.run(50)
                second.close()
                net.run(50)
            assert len(net.a.tcp.time_wait) + len(net.b.tcp.time_wait) == 1


# -- peers that take what there is ------------------------------------------


def test_peers_that_shut_their_windows_make_room_under_pressure_only():
    p = Peer()
    server, open_from = three(p)
    tcp = p.stack.tcp
    idle, _ = open_from(4000)
    held = []
    for rport in range(4001, 4005):
        s, iss = open_from(rport, window=0)
        s.send(b"never taken")
        held.append((s, rport, iss))
    tcp.connections_max = 5

    def answer():
        for _, p.rport, p.iss in held:
            p.send("A", 1, 1, window=0)

    for _ in range(50):
        p.run(2000)
        p.take()
        answer()
    assert all(state(s) == "ESTABLISHED" for s, _, _ in held), "there was no pressure"
    tried = 0
    while True:
        p.rport = 9999
        p.send("S")
        if tcp.count["evicted"]:
            break
        tried += 1
        p.run(2000)
        p.take()
        answer()
        p.take()
    assert tried == 15, "half a minute"
    assert sorted(x.flags for x in p.take()) == ["RA"] * 4 + ["SA"]
    assert tcp.count["evicted"] == 4 and tcp.count["too_many"] == 15
    assert state(idle) == "ESTABLISHED", "idle ones are the program's business"
    for s, _, _ in held:
        assert raises(OSError, s.recv, 1).errno == ECONNABORTED
    assert pressure.PATIENCE_MS <= 32000


def test_a_peer_that_reads_slowly_goes_and_one_that_reads_goes_not():
    p = Peer()
    server, open_from = three(p)
    tcp = p.stack.tcp
    slow, slow_iss = open_from(4000, window=10)
    good, good_iss = open_from(4001, window=100)
    tcp.connections_max = 2
    taken = 1
    for turn in range(40):
        for s in (slow, good):
            try:
                s.send(b"x" * 4000)
            except OSError:
                pass
        p.take()
        p.rport, p.iss = 4000, slow_iss
        if turn % 2 and turn < 33:
            p.send("A", 1, 1 + 10 * (turn + 1) // 2, window=10)
        p.rport, p.iss = 4001, good_iss
        taken += 100
        p.send("A", 1, taken, window=100)
        p.run(1000)
        p.rport = 9999
        p.send("S")
        if tcp.count["evicted"]:
            break
    assert turn >= 29 and tcp.count["evicted"] == 1
    assert state(slow) == "CLOSED" and state(good) == "ESTABLISHED"


def test_orphans_that_wait_only_for_a_fin_go_first():
    p = Peer()
    server, open_from = three(p)
    tcp = p.stack.tcp
    s, _ = open_from(4000)
    c = s.conn
    s.close()
    p.take()
    p.send("A", 1, 2)
    assert state_of(c) == "FIN_WAIT_2"
    tcp.connections_max = 1
    p.rport = 9999
    p.send("S")
    assert [x.flags for x in p.take()] == ["RA", "SA"]
    assert state_of(c) == "CLOSED"


def state_of(c):
    return NAMES[c.state]


def test_pressure_is_looked_at_once_in_a_second_and_survives_without_memory():
    p = Peer()
    tcp = p.stack.tcp
    assert not tcp.relieve()
    looked = [0]

    def everybody():
        looked[0] += 1
        raise MemoryError

    tcp.all = everybody
    for _ in range(10):
        assert not tcp.relieve()
    assert looked[0] == 0
    p.clock.advance(1000)
    p.stack.poll()
    assert not tcp.relieve() and looked[0] == 1


def test_an_orphan_ends_in_bounded_time_whatever_its_peer_does():
    for take in (0, 1):
        p = Peer()
        s = p.accept(window=1)
        c = s.conn
        s.send(b"d" * 4000)
        s.close()
        got = 1
        minutes = 0
        while c.state:
            for _ in range(60):
                p.run(1000)
                if p.take():
                    got += take
                    p.send("A", 1, got, window=take)
            minutes += 1
            assert minutes < 16, NAMES[c.state]
        assert not p.stack.tcp.table


def test_orphans_in_closing_and_last_ack_end_though_the_peer_goes_on_talking():
    for rounds in ("closing", "last_ack"):
        p = Peer()
        s = p.accept()
        c = s.conn
        if rounds == "last_ack":
            p.send("FA", 1, 1)
        s.close()
        if rounds == "closing":
            p.send("FA", 1, 1)
        p.take()
        assert NAMES[c.state] == rounds.upper()
        for _ in range(700):
            p.run(1000)
            p.take()
            p.send("A", 2, 1)
            if not c.state:
                break
        assert not p.stack.tcp.table


def test_closed_while_half_open_is_an_orphan_too():
    p = Peer()
    s = p.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("10.0.0.2", 5555))
    p.run(0)
    p.one("S")
    p.send("S", 0)
    p.one("SA")
    c = s.conn
    s.close()
    p.send("A", 1, 1)
    assert NAMES[c.state] == "FIN_WAIT_1" and c.t_idle is not None


# -- windows that shrink ----------------------------------------------------


def test_a_window_that_shrinks_is_obeyed_and_nothing_is_counted_as_taken():
    p = Peer(sndbuf=16384)
    s = p.accept(window=8000)
    s.send(b"s" * 12000)
    assert sum(len(x.data) for x in p.take()) == 7300
    p.send("A", 1, 1461, window=1000)
    p.none()
    assert s.conn.s_len == 12000 - 1460 and s.conn.snd_max == 7300 - 1460
    p.run(2000)
    again = [x for x in p.take() if x.data]
    assert again and all(x.seq == 1461 and len(x.data) <= 1000 for x in again), again
    p.send("A", 1, 7301, window=8000)
    assert s.conn.s_len == 4700, "what had arrived before counts after all"


def test_a_window_shrunk_to_nothing_is_probed_for_as_long_as_it_is_answered():
    p = Peer(sndbuf=16384)
    s = p.accept(window=8000)
    s.send(b"s" * 4000)
    p.take()
    p.send("A", 1, 1, window=0)
    sizes = set()
    for _ in range(1800):
        p.run(1000)
        for x in p.take():
            sizes.add((x.seq, len(x.data)))
            p.send("A", 1, 1, window=0)
    assert sizes == {(1, 1)}, sizes
    assert state(s) == "ESTABLISHED", "half an hour is no reason"
    p.send("A", 1, 1, window=8000)
    assert p.take()[0].seq == 1
    for ack in (1461, 2921, 4001):
        p.send("A", 1, ack, window=8000)
    assert s.conn.s_len == 0 and s.conn.t_rexmt is None


def test_a_window_shrunk_to_nothing_by_a_peer_that_then_dies():
    p = Peer()
    s = p.accept(window=8000)
    s.send(b"s" * 4000)
    p.send("A", 1, 1, window=0)
    p.run(900000)
    assert not p.stack.tcp.table
    assert raises(OSError, s.recv, 1).errno == ETIMEDOUT


# -- days later -------------------------------------------------------------


def pass_days(p, periods):
    for _ in range(periods):
        p.clock.advance(DAYS_MS)
        p.stack.poll()


def test_after_24_days_an_old_looking_timestamp_is_taken():
    p, s = with_options(stamp(0x70000000), stamp(0x70000000))
    p.send("PA", 1, 1, b"a", options=stamp(0x60000000))
    assert p.stack.tcp.count["paws"] == 1
    pass_days(p, 7)
    p.send("PA", 1, 1, b"a", options=stamp(0x60000000))
    assert p.stack.tcp.count["paws"] == 2, "three weeks are not enough"
    pass_days(p, 2)
    p.send("PA", 900, 1, b"a", options=stamp(0x60000000))
    assert p.stack.tcp.count["paws"] == 3, "not the next segment"
    p.send("PA", 1, 1, b"a", options=stamp(0x60000000))
    assert p.stack.tcp.count["paws"] == 3 and s.recv(10) == b"a"
    p.send("PA", 2, 1, b"b", options=stamp(0x5FFFFFFF))
    assert p.stack.tcp.count["paws"] == 4, "from here on it protects again"


def test_our_clock_does_not_stand_still_while_a_connection_is_silent():
    p, s = with_options(stamp(1), stamp(1))

    def clock():
        s.send(b"x")
        p.run(1)
        return int.from_bytes(p.take()[0].options[4:8], "big")

    before = clock()
    p.send("A", 1, 2, options=stamp(2))
    pass_days(p, 5)
    assert (clock() - before & 0xFFFFFFFF) - 5 * DAYS_MS in (0, 1, 2)


def test_the_watch_over_days_ends_with_the_last_connection():
    p, s = with_options(stamp(1), stamp(1))
    p.send("R", 1)
    pass_days(p, 1)
    assert p.stack.tcp.clock.due is None
