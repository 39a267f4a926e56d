"""Multicast DNS and service discovery: a host among scripted neighbours, and two of ours."""
from answering import Answering
from kit import Random, heap_locked, raises
from lone import ether, ipv4
from net import Net

from spinet import dnsmsg, mdns, mdnsown, socket
from spinet.dnsmsg import A, AAAA, ANY, NSEC, PTR, SRV, TXT, Record, Writer, encode

KINDS = {A: "A", PTR: "PTR", SRV: "SRV", TXT: "TXT", NSEC: "NSEC", AAAA: "AAAA", ANY: "ANY"}


class Message:
    """A message: `questions`, and three sections of text, "name TYPE data ttl flush"."""

    def __init__(self, data):
        self.ident = data[0] << 8 | data[1]
        self.flags = data[2] << 8 | data[3]
        self.questions = []
        self.sections = [], [], []
        r = Record()
        i = 12
        for _ in range(data[4] << 8 | data[5]):
            assert r.question(data, i, len(data))
            self.questions.append("%s %s%s" % (self.name(data, r.name), KINDS[r.type],
                                               " QU" if r.flag else ""))
            i = r.end
        for k in range(3):
            for _ in range(data[6 + 2 * k] << 8 | data[7 + 2 * k]):
                assert r.read(data, i, len(data)), (k, i)
                i = r.end
                value = r.value(data, 0)
                assert value is not None
                if r.type == PTR:
                    value = dnsmsg.text(value)
                elif r.type == SRV:
                    value = "%d %s" % (value[2], dnsmsg.text(value[3]))
                elif r.type == TXT:
                    value = b"|".join(value).decode()
                elif r.type == NSEC:
                    value = "-"
                self.sections[k].append("%s %s %s %d%s" % (
                    self.name(data, r.name), KINDS[r.type], value, r.ttl,
                    " flush" if r.flag else ""))
        assert i == len(data)
        self.answers, self.authority, self.additional = self.sections

    def name(self, data, i):
        return dnsmsg.text(dnsmsg.read_name(data, 0, i, len(data)))


def messages(n):
    """What was multicast since the last time: messages."""
    out = []
    for sent in n.take():
        assert sent.dport == 5353 and sent.sport == 5353 and sent.ttl == 255
        assert sent.dst == "224.0.0.251"
        m = Message(sent.data)
        assert m.ident == 0 and m.flags in (0, 0x8400)
        out.append(m)
    return out


def ask(*questions, known=(), authority=(), flags=0, ident=0):
    """A query: ("name", TYPE[, class]); records are ("name", TYPE, ttl, data[, target])."""
    w = Writer(1400)
    w.begin(ident, flags)
    for name, kind, *klass in questions:
        assert w.question(encode(name), kind, klass[0] if klass else 1)
    for section, records in ((1, known), (2, authority)):
        for name, kind, ttl, data, *target in records:
            assert w.record(section, encode(name), kind, 1, ttl, data,
                            encode(target[0]) if target else None)
    return bytes(w.buf[:w.n])


def tell(*records, flush=True):
    """An answer with records ("name", TYPE, ttl, data[, target])."""
    w = Writer(1400)
    w.begin(0, 0x8400)
    for name, kind, ttl, data, *target in records:
        name = name if isinstance(name, bytes) else encode(name)
        assert w.record(1, name, kind, 0x8001 if flush and kind != PTR else 1, ttl, data,
                        encode(target[0]) if target else None)
    return bytes(w.buf[:w.n])


def ready(name="board", *services):
    """A host whose names are announced."""
    n = Answering()
    m = mdns.mdns(n.stack)
    n.host = m.host(name)
    n.services = [m.register(*service) for service in services]
    n.run(5000)
    n.take()
    return n, m


WEB = ("_http._tcp", 80, "My board", {"path": "/", "flag": None, "b": b"\1"})
HERE = "board.local A 10.0.0.1 120 flush"


def test_probes_and_announces():
    n = Answering()
    m = mdns.mdns(n.stack)
    m.host("board")
    times = []
    elapsed = 0
    while len(n.sent) < 5:
        n.run(10)
        elapsed += 10
        assert elapsed < 5000
        while len(times) < len(n.sent):
            times.append(elapsed)
    assert times[0] <= 260
    gaps = [times[i + 1] - times[i] for i in range(4)]
    assert gaps == [250, 250, 250, 1000]
    first, second, third, a1, a2 = messages(n)
    assert first.questions == ["board.local ANY QU"] and second.questions == ["board.local ANY"]
    for probe in (first, second, third):
        assert probe.flags == 0 and probe.authority == ["board.local A 10.0.0.1 120"]
        assert not probe.answers
    for told in (a1, a2):
        assert told.flags == 0x8400 and told.answers == [HERE] and not told.questions
    n.run(100000)
    assert messages(n) == []
    assert b"\xe0\0\0\xfb" in n.ip.groups


def test_waits_for_an_address():
    n = Answering()
    n.ip.remove_address("10.0.0.1")
    m = mdns.mdns(n.stack)
    m.host("board")
    n.run(3000)
    assert messages(n) == []
    n.ip.add_address("10.0.0.1/24")
    n.run(4000)
    assert len(messages(n)) == 5
    n.ip.set_ipv4("10.0.0.7")
    n.run(5000)
    assert [told.answers for told in messages(n)] == [["board.local A 10.0.0.7 120 flush"]] * 2
    m.announce()
    n.run(100)
    assert len(messages(n)) == 1


def test_default_name_is_the_hosts():
    n = Answering()
    m = mdns.mdns(n.stack)
    m.register("_http._tcp", 80)
    n.run(5000)
    assert "spinet._http._tcp.local SRV 80 spinet.local 120 flush" in messages(n)[-1].answers


def test_service_records():
    n, m = ready("board", WEB + (("_printer",),))
    n.group(ask(("_http._tcp.local", PTR)))
    n.run(15)
    assert messages(n) == [], "shared records wait for others"
    n.run(110)
    (told,) = messages(n)
    assert told.answers == ["_http._tcp.local PTR My\\032board._http._tcp.local 4500"]
    srv, txt, address = told.additional
    assert srv == "My\\032board._http._tcp.local SRV 80 board.local 120 flush"
    assert address == HERE
    # (A dictionary of MicroPython has no order.)
    owner, kind, strings, ttl, flush = txt.split(" ")
    assert (owner, kind, ttl, flush) == ("My\\032board._http._tcp.local", "TXT", "4500", "flush")
    assert sorted(strings.split("|")) == ["b=\1", "flag", "path=/"]
    n.run(2000)
    n.group(ask(("_services._dns-sd._udp.local", PTR), ("_printer._sub._http._tcp.local", PTR)))
    n.run(200)
    (told,) = messages(n)
    assert told.answers == ["_services._dns-sd._udp.local PTR _http._tcp.local 4500",
                            "_printer._sub._http._tcp.local PTR My\\032board._http._tcp.local 4500"]
    n.group(ask(("My\\032board._http._tcp.local", SRV)))
    n.run(200)
    (told,) = messages(n)
    assert told.answers == ["My\\032board._http._tcp.local SRV 80 board.local 120 flush"]
    assert told.additional == [HERE]
    m.unregister(n.services[0])
    (bye,) = messages(n)
    assert len(bye.answers) == 5 and all([" 0" in a for a in bye.answers])
    n.run(2000)
    n.group(ask(("_http._tcp.local", PTR)))
    n.run(200)
    assert messages(n) == []
    m.close()
    (bye,) = messages(n)
    assert bye.answers == ["board.local A 10.0.0.1 0 flush"]
    assert not n.stack.udp.ports and n.ip.groups == [b"\xe0\0\0\1"]


def test_answers_to_all_at_once_but_not_twice_a_second():
    n, m = ready()
    n.group(ask(("BOARD.Local", A)))
    n.poll()
    (told,) = messages(n)
    assert told.answers == [HERE] and not told.questions
    n.group(ask(("board.local", A)))
    n.run(900)
    assert messages(n) == []
    n.run(200)
    n.group(ask(("board.local", ANY)))
    n.poll()
    assert messages(n)[0].answers == [HERE]
    for query in (ask(("other.local", A)), ask(("board.local.x", A)), ask(("board.local", A, 3))):
        n.run(2000)
        n.group(query)
        n.run(500)
        assert messages(n) == []


def test_types_that_we_have_not():
    n, m = ready()
    n.group(ask(("board.local", AAAA)))
    n.poll()
    assert messages(n)[0].answers == ["board.local NSEC - 120 flush"]
    n.group(ask(("board.local", A), ("board.local", AAAA)))
    n.run(2000)
    assert messages(n)[0].answers == [HERE, "board.local NSEC - 120 flush"]


def test_known_answers_are_not_repeated():
    n, m = ready("board", WEB)
    pointer = ("_http._tcp.local", PTR, 4000, b"", "My board._http._tcp.local")
    old = ("_http._tcp.local", PTR, 2000, b"", "My board._http._tcp.local")
    n.group(ask(("_http._tcp.local", PTR), known=[pointer]))
    n.run(500)
    assert messages(n) == [] and m.count["suppressed"] == 1
    n.group(ask(("_http._tcp.local", PTR), known=[old]))
    n.run(500)
    assert len(messages(n)) == 1, "it is about to forget"
    n.run(2000)
    n.group(ask(("board.local", A), known=[("board.local", A, 120, b"\x0a\0\0\1")]))
    n.run(100)
    assert messages(n) == []
    n.group(ask(("board.local", A), known=[("board.local", A, 120, b"\x0a\0\0\2")]))
    n.run(100)
    assert len(messages(n)) == 1
    n.run(2000)
    # What it knows comes in a second message.
    n.group(ask(("_http._tcp.local", PTR), flags=0x0200))
    n.run(300)
    n.group(ask(known=[pointer]))
    n.run(500)
    assert messages(n) == []
    n.group(ask(("_http._tcp.local", PTR), flags=0x0200))
    n.run(350)
    assert messages(n) == []
    n.run(200)
    assert len(messages(n)) == 1


def test_another_says_what_we_were_about_to():
    n, m = ready("board", WEB)
    n.group(ask(("_http._tcp.local", PTR)))
    n.poll()
    n.group(tell(("_http._tcp.local", PTR, 4500, b"", "My board._http._tcp.local")))
    n.run(500)
    assert messages(n) == []


def test_unicast_answers():
    n, m = ready()
    n.group(ask(("board.local", A, 0x8001)))
    n.poll()
    (sent,) = n.take()
    assert sent.dst == "10.0.0.2" and sent.dport == 5353
    assert Message(sent.data).answers == [HERE]
    n.run(35000)
    n.group(ask(("board.local", A, 0x8001)))
    n.poll()
    assert messages(n)[0].answers == [HERE], "the others have not heard it for long"
    # A simple resolver: the question is repeated, and the id; it does not know of flushing.
    n.group(ask(("board.local", A), ident=0x1234), port=5353, sport=40000)
    n.poll()
    (sent,) = n.take()
    assert sent.dst == "10.0.0.2" and sent.dport == 40000 and sent.sport == 5353
    told = Message(sent.data)
    assert told.ident == 0x1234 and told.questions == ["board.local A"]
    assert told.answers == ["board.local A 10.0.0.1 10"]


def test_conflict_while_probing_finds_another_name():
    n = Answering()
    m = mdns.mdns(n.stack)
    entry = m.host("board")
    renamed = []
    m.own.on_rename = lambda old, new: renamed.append((old, new))
    n.run(300)
    n.group(tell(("board.local", A, 120, b"\x0a\0\0\2")))
    n.run(400)
    n.group(tell(("board-2.local", A, 120, b"\x0a\0\0\3")))
    n.run(5000)
    assert entry.name_text == "board-3" and renamed == [("board", "board-2"), ("board-2",
                                                                              "board-3")]
    assert messages(n)[-1].answers == ["board-3.local A 10.0.0.1 120 flush"]
    web = m.register(*WEB)
    n.run(500)
    n.group(tell(("My board._http._tcp.local", SRV, 120, b"\0\0\0\0\0\x50", "other.local")))
    n.run(5000)
    assert web.name_text == "My board (2)"
    assert "My\\032board\\032(2)._http._tcp.local SRV 80 board-3.local 120 flush" in messages(
        n)[-1].answers


def test_conflict_later_probes_again():
    n, m = ready()
    n.group(tell(("board.local", A, 120, b"\x0a\0\0\1")))
    n.run(3000)
    assert messages(n) == [], "the same record is no conflict"
    n.group(tell(("board.local", A, 120, b"\x0a\0\0\2")))
    n.run(300)
    assert messages(n)[0].questions == ["board.local ANY QU"]
    n.run(4000)
    assert n.host.name_text == "board", "the other did not defend it"
    n.group(tell(("board.local", A, 120, b"\x0a\0\0\2")))
    n.run(300)
    n.group(tell(("board.local", A, 120, b"\x0a\0\0\2")))
    n.run(4000)
    assert n.host.name_text == "board-2"


def test_who_has_the_later_records_wins():
    for last, wins in ((2, False), (0, True)):
        n = Answering()
        mdns.mdns(n.stack).host("board")
        n.run(300)
        assert messages(n)
        n.group(ask(("board.local", ANY), authority=[("board.local", A, 120, b"\x0a\0\0"
                                                      + bytes((last,)))]))
        n.run(600)
        assert bool(messages(n)) == wins


def test_we_defend_our_name():
    n, m = ready()
    n.group(ask(("board.local", A)))
    n.run(300)
    n.take()
    n.group(ask(("board.local", ANY), authority=[("board.local", A, 120, b"\x0a\0\0\2")]))
    n.poll()
    assert messages(n)[0].answers == [HERE]


def test_many_conflicts_make_us_patient():
    n = Answering()
    m = mdns.mdns(n.stack)
    m.host("board")

    def serve(sent):
        if Message(sent.data).questions:
            n.group(tell((dnsmsg.text(m.own.entries[0].name), A, 120, b"\x0a\0\0\2")))

    n.serve = serve
    n.run(60000)
    assert 15 <= m.count["conflict"] <= 30


def test_two_hosts_of_one_name():
    net = Net()
    a = mdns.mdns(net.a).host("board")
    b = mdns.mdns(net.b).host("board")
    net.run(10000)
    assert sorted([a.name_text, b.name_text]) == ["board", "board-2"]
    assert dns_lookup(net.a, b.name_text + ".local") == ["10.0.0.2"]


def dns_lookup(stack, host):
    from spinet.dns import resolver

    return resolver(stack).resolve(host)


def test_resolves_local_names():
    net = Net()
    mdns.mdns(net.b).host("board")
    net.run(3000)
    assert dns_lookup(net.a, "board.local") == ["10.0.0.2"]
    sent = net.a.udp.count["tx"]
    assert dns_lookup(net.a, "Board.local.") == ["10.0.0.2"]
    assert net.a.udp.count["tx"] == sent, "from the cache"
    assert dns_lookup(net.b, "board.local") == ["10.0.0.2"], "our own"
    began = net.elapsed
    assert raises(OSError, dns_lookup, net.a, "nobody.local").errno == -2
    assert 4900 < net.elapsed - began < 5200
    began = net.elapsed
    assert mdns.mdns(net.a).ask("board.local", AAAA) == [] and net.elapsed - began < 500
    net.run(121000)
    assert dns_lookup(net.a, "board.local") == ["10.0.0.2"]
    m = mdns.mdns(net.b)
    m.close()
    assert mdns.mdns(net.b) is not m, "a closed one is of no use"
    net.run(100)
    assert raises(OSError, dns_lookup, net.a, "board.local").errno == -2
    assert not mdns.mdns(net.a).queries
    s = net.a.socket(socket.SOCK_DGRAM)
    assert raises(OSError, s.connect, ("gone.local", 80)).errno == -2


def test_a_full_heap_costs_a_question_only():
    n = Answering()
    m = mdns.mdns(n.stack)
    n.run(1000)
    n.take()
    send = m.send

    def full(w):
        m.send = send
        raise MemoryError

    m.send = full
    query = m.query(encode("x.local"), A)
    n.run(2000)
    assert not query.done and len(n.take()) == 1
    n.run(4000)
    assert query.done
    n.take()
    m.browse("_http._tcp")
    m.send = full
    n.run(500)
    assert not n.take()
    n.run(1500)
    assert len(n.take()) == 1 and m.count["no_memory"] == 2
    m.send = full
    m.host("board")
    n.run(5000)
    assert "board.local A 10.0.0.1 120 flush" in messages(n)[-1].answers


def test_browsing():
    net = Net()
    changes = []
    browser = mdns.mdns(net.a).browse("_http._tcp", lambda *change: changes.append(change))
    net.run(5000)
    m = mdns.mdns(net.b)
    m.host("board")
    one = m.register(*WEB)
    m.register("_http._tcp", 8080, "Caf\xe9")
    net.run(5000)
    assert sorted(browser.found) == ["Caf\xe9", "My board"]
    host, port, txt, addresses = mdns.mdns(net.a).service("My board", "_http._tcp")
    assert (host, port, addresses) == ("board.local", 80, ["10.0.0.2"])
    assert sorted(txt) == [b"b=\1", b"flag", b"path=/"]
    assert raises(OSError, mdns.mdns(net.a).service, "None", "_http._tcp").errno == -2
    m.unregister(one)
    net.run(2000)
    assert browser.found == ["Caf\xe9"]
    # Kept alive by asking in time; gone when nobody answers.
    net.run(6000000)
    assert browser.found == ["Caf\xe9"]
    net.treat = lambda frame, to_b: []
    net.run(4600000)
    assert browser.found == []
    assert sorted(changes) == sorted([("My board", True), ("Caf\xe9", True), ("My board", False),
                                      ("Caf\xe9", False)])
    browser.close()
    assert not mdns.mdns(net.a).browsers


def test_browsing_asks_less_and_less_and_says_what_it_knows():
    n = Answering()
    m = mdns.mdns(n.stack)
    m.browse("_x._udp")
    n.run(3600000)
    assert len(messages(n)) in (12, 13)
    n.group(tell(("_x._udp.local", PTR, 4500, b"", "one._x._udp.local")))
    n.run(3600000)
    asked = messages(n)
    assert any([q.answers and q.answers[0].startswith("_x._udp.local PTR one._x._udp.local")
                for q in asked])
    n.run(3600000)
    messages(n)
    n.group(tell(("_x._udp.local", PTR, 100, b"", "two._x._udp.local")))
    n.run(79000)
    assert messages(n) == []
    n.run(2000)
    assert len(messages(n)) == 1, "before it is out of date"
    n.run(20000)
    assert len(messages(n)) == 4 and m.browsers[0].found == []


def test_from_beyond_the_link_or_another_port():
    n, m = ready()
    n.group(ask(("board.local", A)), "192.0.2.1")
    n.group(tell(("board.local", A, 120, b"\x0a\0\0\2")), "192.0.2.1")
    n.group(tell(("board.local", A, 120, b"\x0a\0\0\2")), sport=999)
    n.group(ask(("board.local", A), flags=0x0800))
    n.group(b"short")
    n.group(ask(("board.local", A))[:-3])
    n.run(3000)
    assert messages(n) == []
    assert (m.count["off_link"], m.count["ignored"], m.count["malformed"]) == (2, 2, 2)


def test_long_names_and_bad_arguments():
    n = Answering()
    m = mdns.mdns(n.stack)
    raises(ValueError, m.host, "a.b")
    raises(ValueError, m.host, "")
    raises(ValueError, m.register, "_http._tcp", 80, "x" * 64)
    raises(ValueError, m.register, "_http._tcp", 80, "x", {"k": "v" * 300})
    entry = m.register("_http._tcp", 80, "x" * 63)
    for _ in range(12):
        entry.conflict()
    assert len(entry.name_text) <= 63 and entry.name_text.endswith("(13)")
    many = mdnsown.MANY >> 2
    for i in range(1, min(many, 100) - len(m.own.entries) + 1):
        m.register("_http._tcp", 80, "x%d" % i)
    if many < 100:
        raises(OSError, m.register, "_http._tcp", 80, "one more")


def test_queries_of_others_allocate_nothing():
    n, m = ready("board", WEB)
    frames = [ether(ipv4("224.0.0.251", 17, udp_of(data), src="10.0.0.2", ttl=255),
                    dst=b"\x01\0\x5e\0\0\xfb")
              for data in (ask(("other.local", A), ("_ipp._tcp.local", PTR), known=[
                  ("_ipp._tcp.local", PTR, 4500, b"", "p._ipp._tcp.local")]),
                  tell(("other.local", A, 120, b"\x0a\0\0\2")))]
    rx = n.ip.id.rx

    def turn():
        for frame in frames:
            for i in range(len(frame)):
                rx[i] = frame[i]
            n.ip.id.input(rx, 0, len(frame))

    turn()
    before = m.count["rx_query"], m.count["rx_response"]
    heap_locked(turn)
    assert (m.count["rx_query"], m.count["rx_response"]) == (before[0] + 1, before[1] + 1)


def udp_of(data):
    from lone import udp

    return udp(5353, 5353, data)


def test_fuzz():
    rand = Random(11)
    n, m = ready("board", WEB)
    b = m.browse("_http._tcp")
    names = ("board.local", "My board._http._tcp.local", "_http._tcp.local", "x.local",
             "_services._dns-sd._udp.local")
    kinds = (A, PTR, SRV, TXT, ANY, AAAA, NSEC)
    for i in range(600):
        w = Writer(1400)
        w.begin(rand.below(3), (0, 0x0200, 0x8400, 0x8400)[rand.below(4)])
        for _ in range(rand.below(3)):
            w.question(encode(names[rand.below(5)]), kinds[rand.below(7)],
                       (1, 0x8001, 255)[rand.below(3)])
        for _ in range(rand.below(5)):
            w.record(1 + rand.below(3), encode(names[rand.below(5)]), kinds[rand.below(7)],
                     (1, 0x8001)[rand.below(2)], (0, 9, 9999)[rand.below(3)], rand(rand.below(20)),
                     encode(names[rand.below(5)]) if rand.below(2) else None)
        data = bytearray(w.buf[:w.n])
        for _ in range(rand.below(4)):
            data[rand.below(len(data))] = (rand.below(256), 0xC0, 0, 255)[rand.below(4)]
        if rand.below(4) == 0:
            data = data[:rand.below(len(data))]
        n.group(bytes(data), sport=(5353, 5353, 999)[rand.below(3)])
        if i % 50 == 0:
            m.query(encode("x.local"), kinds[rand.below(7)])
        n.run(rand.below(700))
        n.take()
    count = m.count
    assert 600 == sum([count[k] for k in ("rx_query", "rx_response", "malformed", "off_link",
                                          "ignored", "no_memory")])
    assert len(m.cache) <= mdnsown.MANY and len(b.found) <= mdnsown.MANY
    n.stack.close()
