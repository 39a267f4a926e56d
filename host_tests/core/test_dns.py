"""The DNS resolver, against servers that do what each test says."""
from answering import Answering
from kit import Random, raises
from net import Net

from spinet import dns, dnsmsg, socket
from spinet.dnsmsg import A, CNAME, NS, OPT, PTR, SOA, SRV, TXT, Writer, encode

SERVER = b"\x0a\0\0\2"
OTHER = b"\x0a\0\0\3"


def soa(zone, minimum, ttl=3600):
    return (2, zone, SOA, ttl, encode("ns." + zone) + encode("root." + zone) + bytes(16)
            + bytes((0, minimum >> 16, minimum >> 8 & 255, minimum & 255)))


def reply(query, records=(), rcode=0, flags=0x8180, question=None, ident=None):
    """The answer to a query; records are (section, name, type, ttl, data[, target])."""
    w = Writer(1400)
    w.begin(query[0] << 8 | query[1] if ident is None else ident, flags | rcode)
    r = dnsmsg.Record()
    assert r.question(query, 12, len(query))
    name = dnsmsg.read_name(query, 0, 12, len(query))
    w.question(name if question is None else encode(question), r.type)
    for section, owner, kind, ttl, data, *target in records:
        assert w.record(section, encode(owner), kind, 1, ttl, data,
                        encode(target[0]) if target else None)
    return bytes(w.buf[:w.n])


def asked(query):
    """(name, type, whether it offers EDNS) of a query; it must be well formed."""
    r = dnsmsg.Record()
    assert query[2:6] == b"\1\0\0\1" and query[6:10] == bytes(4)
    assert r.question(query, 12, len(query)) and r.klass == 1
    edns = query[11] == 1
    assert query[10] == 0 and len(query) == r.end + 11 * edns
    if edns:
        assert query[r.end:r.end + 5] == b"\0\0\x29\x04\xd0" and query[r.end + 5:] == bytes(6)
    return dnsmsg.text(dnsmsg.read_name(query, 0, 12, len(query))), r.type, edns


class Server:
    """Answers from `records`: (name, type) -> list of records, or a number: the RCODE."""

    def __init__(self, records):
        self.records = records
        self.asked = []

    def __call__(self, sent):
        if sent.dport != 53:
            return None
        name, kind, _ = asked(sent.data)
        self.asked.append((sent.dst, name, kind))
        found = self.records.get((name, kind), 3)
        return [reply(sent.data, rcode=found) if isinstance(found, int)
                else reply(sent.data, found)]


def a(name, last, ttl=300):
    return (1, name, A, ttl, b"\xc0\0\2" + bytes((last,)))


def host(records, servers=(SERVER,)):
    server = Server(records)
    n = Answering(server)
    n.stack.dns_servers = list(servers)
    return n, server, dns.resolver(n.stack)


def test_names_in_text_and_wire_form():
    for text, wire in (("a.bc", b"\1a\2bc\0"), ("a.bc.", b"\1a\2bc\0"), (".", b"\0"), ("", b"\0"),
                       ("a\\.b.c", b"\3a.b\1c\0"), ("a\\032b", b"\3a b\0"), ("\\\\", b"\1\\\0")):
        assert encode(text) == wire, text
        assert encode(dnsmsg.text(wire)) == wire, text
    assert encode("x" * 63 + ".y") == b"\x3f" + b"x" * 63 + b"\1y\0"
    for bad in ("a..b", ".a", "x" * 64, ".".join(["x" * 62] * 5), "..") :
        raises(ValueError, encode, bad)
    assert len(encode(".".join(["x" * 63] * 3 + ["y" * 61]))) == 255
    raises(ValueError, encode, ".".join(["x" * 63] * 3 + ["y" * 62]))


def test_hostile_names_are_no_names():
    head = bytes(12)
    for name in (b"\xc0\x0c", b"\1a\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\xc0", b"\x40a", b"\x80a",
                 b"\3ab", b"", b"\xc0\4", b"\xc0\x20", b"\xff\xff"):
        message = head + name
        end = len(message)
        assert dnsmsg.read_name(message, 0, 12, end) is None, name
        assert not dnsmsg.same_name(message, 0, 12, end, b"\1a\0"), name
    # A pointer to a pointer, each further back, is right; one that leads forward is not.
    good = head + b"\1a\0\xc0\x0c\xc0\x0f"
    assert dnsmsg.read_name(good, 0, 17, len(good)) == b"\1a\0"
    assert dnsmsg.same_name(good, 0, 17, len(good), b"\1A\0")
    assert not dnsmsg.same_name(good, 0, 17, len(good), b"\1b\0")
    long = head + b"\x3f" * 1 + b"x" * 63
    for _ in range(4):
        long += b"\x3f" + b"y" * 63
    assert dnsmsg.read_name(long + b"\0", 0, 12, len(long) + 1) is None
    assert dnsmsg.skip_name(long + b"\0", 12, len(long) + 1) == -1
    # Each label points to the one before: the whole is too long.
    chain = head + b"\x3fx" + b"x" * 62 + b"\0"
    for _ in range(5):
        at = 12 if len(chain) == 77 else len(chain) - 66
        chain += b"\x3f" + b"z" * 63 + bytes((0xC0 | at >> 8, at & 255))
    assert dnsmsg.read_name(chain, 0, len(chain) - 66, len(chain)) is None


def test_resolves_and_remembers_for_the_ttl():
    n, server, r = host({("example.com", A): [a("example.com", 1, 60), a("example.com", 2, 30)]})
    assert r.resolve("example.com") == ["192.0.2.1", "192.0.2.2"]
    assert r.resolve("EXAMPLE.com.") == ["192.0.2.1", "192.0.2.2"]
    assert len(server.asked) == 1 and r.count["cached"] == 1
    n.run(29000)
    r.resolve("example.com")
    assert len(server.asked) == 1
    n.run(2000)
    assert not r.cache, "forgotten by itself"
    r.resolve("example.com")
    assert len(server.asked) == 2
    first, second = n.take()
    assert first.sport != second.sport and first.data[:2] != second.data[:2]


def test_nothing_is_remembered_across_half_a_wrap_of_the_ticks():
    n, server, r = host({("example.com", A): [a("example.com", 1, 0xFFFFFF)]})
    r.resolve("example.com")
    n.clock.advance(86400000 + 1000)
    n.poll()
    assert not r.cache and r.due is None


def test_literals_hosts_and_special_names_ask_nobody():
    n, server, r = host({})
    r.hosts["printer"] = "10.0.0.9"
    r.hosts["two.lan"] = ["10.0.0.7", "10.0.0.8"]
    assert r.resolve("10.1.2.3") == ["10.1.2.3"]
    assert r.resolve("Printer") == ["10.0.0.9"]
    assert r.resolve("two.lan") == ["10.0.0.7", "10.0.0.8"]
    assert r.resolve("localhost") == r.resolve("a.localhost.") == ["127.0.0.1"]
    for bad in ("x.invalid.", "abc.onion.", "1.2.3", "1.2.3.4.5", "300.1.2.3", "a..b", "x" * 64):
        assert raises(OSError, r.resolve, bad).errno == -2, bad
    assert not n.sent


def test_aliases_are_followed():
    n, server, r = host({
        ("www.example.com", A): [(1, "www.example.com", CNAME, 20, b"", "b.example.net"),
                                 a("c.example.org", 9),
                                 (1, "B.example.net", CNAME, 300, b"", "c.example.org"),
                                 a("evil.example.com", 66)],
        ("apart.example.com", A): [(1, "apart.example.com", CNAME, 300, b"", "far.example.org")],
        ("far.example.org", A): [a("far.example.org", 10)],
        ("loop.example.com", A): [(1, "loop.example.com", CNAME, 9, b"", "pool.example.com"),
                                  (1, "pool.example.com", CNAME, 9, b"", "loop.example.com")],
    })
    assert r.resolve("www.example.com") == ["192.0.2.9"]
    assert r.resolve("apart.example.com") == ["192.0.2.10"]
    assert [q[1] for q in server.asked] == ["www.example.com", "apart.example.com",
                                            "far.example.org"]
    assert raises(OSError, r.resolve, "loop.example.com").errno == -2
    n.run(21000)
    r.resolve("www.example.com")
    assert len(server.asked) == 5, "the least TTL of the chain counts"


def test_endless_alias_chain_over_many_answers_ends():
    def serve(sent):
        name = asked(sent.data)[0]
        return [reply(sent.data, [(1, name, CNAME, 9, b"", "x" + name)])]

    n = Answering(serve)
    n.stack.dns_servers = [SERVER]
    r = dns.resolver(n.stack)
    assert raises(OSError, r.resolve, "example.com").errno == -2
    assert len(n.sent) == dns.CHAIN + 1


def test_other_types():
    n, server, r = host({
        ("4.3.2.10.in-addr.arpa", PTR): [(1, "4.3.2.10.in-addr.arpa", PTR, 9, b"", "h.example")],
        ("_x._tcp.example", SRV): [
            (1, "_x._tcp.example", SRV, 9, b"\0\1\0\2\x1f\x90", "h.example")],
        ("t.example", TXT): [(1, "t.example", TXT, 9, b"\3one\0\5two=2")],
        ("n.example", NS): [(1, "n.example", NS, 9, b"", "ns.example")],
    })
    assert r.reverse("10.2.3.4") == ["h.example"]
    assert r.ask("_x._tcp.example", SRV) == [(1, 2, 8080, "h.example")]
    assert r.ask("t.example", TXT) == [[b"one", b"", b"two=2"]]
    assert r.ask("n.example", NS) == ["ns.example"]
    assert r.ask("none.example", TXT) == []


def test_negative_answers_are_remembered_as_the_soa_says():
    n, server, r = host({})
    n.serve = lambda sent: Server.__call__(server, sent) and [reply(
        sent.data, [soa("example", 30)], 3 if b"gone" in sent.data else 0)]
    for name in ("gone.example", "empty.example"):
        server.asked.clear()
        for _ in range(3):
            assert raises(OSError, r.resolve, name).errno == -2
        assert len(server.asked) == 1
        n.run(31000)
        raises(OSError, r.resolve, name)
        assert len(server.asked) == 2
    # Without a SOA, or with that of another zone, it holds for this once.
    n.serve = lambda sent: Server.__call__(server, sent) and [reply(
        sent.data, [soa("other", 30)] if b"else" in sent.data else [], 3)]
    for name in ("bare.example", "else.example"):
        server.asked.clear()
        raises(OSError, r.resolve, name)
        raises(OSError, r.resolve, name)
        assert len(server.asked) == 2, name


def test_only_the_right_answer_counts():
    right = []

    def serve(sent):
        q = sent.data
        ident = q[0] << 8 | q[1]
        good = reply(q, [a("example.com", 1)])
        right.append(good)
        bad = [a("example.com", 66)]
        return [reply(q, bad, ident=ident ^ 1), reply(q, bad, question="example.org"),
                reply(q, bad, flags=0x0180), reply(q, bad, flags=0x8980), good[:11], b"", good]

    n = Answering(serve)
    n.stack.dns_servers = [SERVER]
    r = dns.resolver(n.stack)
    found = r.start("example.com")
    assert not found.done and raises(OSError, found.result).errno == -2
    # From another host, from another port, to another port.
    n.poll()
    assert found.done and found.result() == ["192.0.2.1"]
    assert r.count["mismatch"] == 6
    n.serve = None
    found = r.start("example.net")
    n.poll()
    sent = n.sent[-1]
    evil = reply(sent.data, [a("example.net", 66)])
    n.give(evil, "10.0.0.3", 53, sent.sport)
    n.give(evil, "10.0.0.2", 54, sent.sport)
    n.give(evil, "10.0.0.2", 53, sent.sport ^ 1)
    n.poll()
    assert not found.done
    n.give(reply(sent.data, [a("example.net", 7)]), "10.0.0.2", 53, sent.sport)
    n.poll()
    assert found.result() == ["192.0.2.7"]


def test_fails_over_and_stays_with_the_server_that_works():
    n, server, r = host({("a.example", A): [a("a.example", 1)], ("b.example", A): [
        a("b.example", 2)]}, (OTHER, SERVER))
    answer = n.serve
    n.serve = lambda sent: answer(sent) if sent.dst == "10.0.0.2" else None
    began = n.clock.now
    assert r.resolve("a.example") == ["192.0.2.1"]
    assert 900 < n.clock.now - began & 0x3FFFFFFF < 1200
    assert [s.dst for s in n.take()] == ["10.0.0.3", "10.0.0.2"]
    assert r.resolve("b.example") == ["192.0.2.2"]
    assert [s.dst for s in n.take()] == ["10.0.0.2"]


def test_refusals_and_closed_ports_do_not_wait():
    for rcode in (2, 4, 5):
        n, server, r = host({("a.example", A): rcode}, (OTHER, SERVER))
        answer = n.serve
        good = Server({("a.example", A): [a("a.example", 1)]})
        n.serve = lambda sent: good(sent) if sent.dst == "10.0.0.2" else answer(sent)
        began = n.clock.now
        assert r.resolve("a.example") == ["192.0.2.1"]
        assert n.clock.now == began and r.count["refused"] == 1
    n, server, r = host({("a.example", A): 2}, (OTHER, SERVER))
    began = n.clock.now
    assert raises(OSError, r.resolve, "a.example").errno == -2
    assert n.clock.now == began and len(server.asked) == 2, "all refuse: that is the answer"
    assert not r.cache and not r.pending and not n.stack.udp.ports
    n, server, r = host({("a.example", A): [a("a.example", 1)]}, (OTHER, SERVER))
    answer = n.serve
    n.serve = lambda sent: answer(sent) if sent.dst == "10.0.0.2" else n.icmp(
        3, 3, sent.frame, "10.0.0.3")
    began = n.clock.now
    assert r.resolve("a.example") == ["192.0.2.1"]
    assert n.clock.now == began


def test_no_memory_for_a_question_is_a_try_lost():
    n, server, r = host({("example.com", A): [a("example.com", 1)]})
    random = n.stack.random

    def once(size):
        n.stack.random = random
        raise MemoryError

    n.stack.random = once
    assert r.resolve("example.com") == ["192.0.2.1"]
    assert r.count["no_memory"] == 1 and len(server.asked) == 1


def test_gives_up_after_all_rounds():
    n = Answering()
    n.stack.dns_servers = [SERVER, OTHER]
    r = dns.resolver(n.stack)
    began = n.clock.now
    assert raises(OSError, r.resolve, "example.com").errno == -2
    assert n.clock.now - began & 0x3FFFFFFF == 2 * (1000 + 2000 + 4000)
    assert [s.dst[-1] for s in n.take()] == ["2", "3"] * 3
    assert r.count["timeout"] == 1 and not r.pending
    n.stack.dns_servers = []
    assert raises(OSError, r.resolve, "example.com").errno == -2
    assert raises(OSError, r.resolve, "example.com", 100).errno == -2
    assert r.count["no_server"] == 2 and not n.sent
    n.stack.dns_servers = [SERVER]
    began = n.clock.now
    raises(OSError, r.resolve, "example.com", 700)
    assert n.clock.now - began & 0x3FFFFFFF == 700, "the caller's own limit"


def test_search_list():
    n, server, r = host({("a.b.example", A): [a("a.b.example", 1)],
                         ("dotted.x", A): [a("dotted.x", 2)], ("a.x.c.example", A): [
                             a("a.x.c.example", 3)]})
    n.stack.domain = "b.example"
    assert r.resolve("a") == ["192.0.2.1"]
    assert [q[1] for q in server.asked] == ["a.b.example"]
    n.stack.search = ["c.example", "b.example"]
    server.asked.clear()
    assert r.resolve("a") == ["192.0.2.1"]
    assert [q[1] for q in server.asked] == ["a.c.example"], "the other is remembered"
    server.asked.clear()
    assert r.resolve("dotted.x") == ["192.0.2.2"]
    assert r.resolve("a.x") == ["192.0.2.3"]
    assert [q[1] for q in server.asked] == ["dotted.x", "a.x", "a.x.c.example"]
    server.asked.clear()
    raises(OSError, r.resolve, "a.")
    assert [q[1] for q in server.asked] == ["a"]


def test_server_that_does_not_know_edns():
    def serve(sent):
        name, _, edns = asked(sent.data)
        if edns:
            return [sent.data[:2] + b"\x81\x81" + sent.data[4:]]
        return [reply(sent.data, [a(name, 1)])]

    n = Answering(serve)
    n.stack.dns_servers = [SERVER]
    assert dns.resolver(n.stack).resolve("example.com") == ["192.0.2.1"]
    assert len(n.sent) == 2


def test_referral_is_no_answer():
    def serve(sent):
        name = asked(sent.data)[0]
        if sent.dst == "10.0.0.3":
            return [reply(sent.data, [(2, "example.com", NS, 99, b"", "ns.example.com")])]
        return [reply(sent.data, [a(name, 1)])]

    n = Answering(serve)
    n.stack.dns_servers = [OTHER, SERVER]
    assert dns.resolver(n.stack).resolve("example.com") == ["192.0.2.1"]


def test_malformed_answers():
    def serve(sent):
        name = asked(sent.data)[0]
        good = reply(sent.data, [a(name, 1)])
        if sent.dst == "10.0.0.2":
            return [good]
        cuts = len(n.sent)
        return [good[:-1] if cuts == 1 else good[:-6] + b"\0\5" + good[-4:]]

    n = Answering(serve)
    n.stack.dns_servers = [OTHER, OTHER, SERVER]
    r = dns.resolver(n.stack)
    assert r.resolve("example.com") == ["192.0.2.1"]
    assert r.count["malformed"] == 2


def test_bounds():
    n, server, r = host({("h%d.example" % i, A): [a("h%d.example" % i, i)] for i in range(20)})
    r.cache_max = 8
    r.queries_max = 4
    for i in range(20):
        r.resolve("h%d.example" % i)
    assert len(r.cache) == 8 and r.count["evicted"] == 12
    n.serve = None
    found = [r.start("z%d.example" % i) for i in range(4)]
    same = r.start("z1.example")
    assert len(r.pending) == 4, "one question, asked once"
    raises(OSError, r.start, "z5.example")
    n.run(8000)
    assert same.done and all([f.done for f in found]) and not r.pending
    assert len(n.stack.udp.ports) == 0
    # An answer of hundreds of addresses is cut off.
    n.serve = lambda sent: [reply(sent.data, [a("big", i) for i in range(60)])]
    assert len(r.resolve("big.")) == dns.VALUES


def test_truncated_answer_comes_by_tcp():
    net = Net(rcvbuf=8192, sndbuf=8192)
    net.a.dns_servers = [SERVER]
    udp = net.b.socket(socket.SOCK_DGRAM)
    udp.bind(("", 53))
    udp.setblocking(False)
    tcp = net.b.socket()
    tcp.bind(("", 53))
    tcp.listen(2)
    tcp.setblocking(False)
    many = [a("big.example", i) for i in range(25)]
    got = []

    def serve():
        if udp.endpoint.readable:
            query, peer = udp.recvfrom(512)
            udp.sendto(reply(query, many[:1], flags=0x8380), peer)
        if tcp.listener.queue:
            got.append(tcp.accept()[0])
            got[-1].setblocking(False)
        for s in got:
            data = s.read(600)
            if data:
                q = data[2:]
                assert data[0] << 8 | data[1] == len(q)
                out = reply(q, many)
                # In pieces, the length torn in two.
                s.send(bytes((len(out) >> 8,)))
                net.run(50)
                s.send(bytes((len(out) & 255,)) + out[:20])
                net.run(50)
                s.send(out[20:])
                return True
        return False

    found = dns.resolver(net.a).start("big.example")
    net.until(lambda: serve() or found.done)
    net.until(lambda: found.done)
    assert len(found.result()) == 25 and dns.resolver(net.a).count["tcp"] == 1
    # Somebody accepts and says nothing: the next try asks by UDP again, and all ends.
    net.a.services["dns"].flush()
    got.clear()
    found = dns.resolver(net.a).start("big.example")

    def mute():
        if udp.endpoint.readable:
            query, peer = udp.recvfrom(512)
            udp.sendto(reply(query, flags=0x8380), peer)
        return found.done

    net.until(mute)
    raises(OSError, found.result)
    assert not net.a.udp.ports


def test_sockets_take_names():
    n, server, r = host({("peer.example", A): [a("peer.example", 1)]})
    r.hosts["peer"] = "10.0.0.2"
    s = n.stack.socket(socket.SOCK_DGRAM)
    s.sendto(b"hello", ("peer", 9))
    n.poll()
    assert n.sent[-1].dst == "10.0.0.2"
    s.settimeout(1)
    assert raises(OSError, s.connect, ("nobody.example", 9)).errno == -2
    socket.use(n.stack)
    try:
        assert socket.getaddrinfo("peer.example", 80) == [(2, 1, 0, "", ("192.0.2.1", 80))]
        assert raises(OSError, socket.getaddrinfo, "peer.example", 80, 0, 0, 0, 4).errno == -2
    finally:
        socket.use(None)
    t = n.stack.socket()
    t.setblocking(False)
    assert t.connect_ex(("peer", 80)) in (115, 36)


def test_fuzz():
    """Whatever a server says, nothing raises, every question ends, and the bounds hold."""
    rand = Random(42)

    def serve(sent):
        records = []
        for _ in range(rand.below(5)):
            kind = (A, CNAME, SRV, TXT, SOA, NS, PTR, OPT)[rand.below(8)]
            owner = ("x.example", "y.example", "")[rand.below(3)]
            target = ("x.example", "y.example", None)[rand.below(3)]
            data = rand(rand.below(30))
            records.append((1 + rand.below(3), owner, kind, rand.below(99), data)
                           + ((target,) if target else ()))
        out = bytearray(reply(sent.data, records, rand.below(16) if rand.below(3) == 0 else 0))
        for _ in range(rand.below(4)):
            i = 2 + rand.below(len(out) - 2)
            out[i] = (rand.below(256), 0xC0, 0, 255)[rand.below(4)]
        if rand.below(4) == 0:
            out = out[:rand.below(len(out))]
        return [bytes(out)]

    n = Answering(serve)
    n.stack.dns_servers = [SERVER, OTHER]
    r = dns.resolver(n.stack)
    for i in range(300):
        try:
            query = r.query(encode("x.example"), (A, SRV, TXT, PTR)[i & 3])
        except OSError:
            assert len(r.pending) >= r.queries_max
        n.run(rand.below(3000))
        if i % 10 == 0:
            r.flush()
        n.take()
    n.run(60000)
    assert query.done and not r.pending and not n.stack.udp.ports
