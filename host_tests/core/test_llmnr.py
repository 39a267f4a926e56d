"""LLMNR: a responder, a resolver, and what others say."""
from answering import Answering
from kit import Random, raises
from net import Net
from test_dns import reply

from spinet import dnsmsg, llmnr
from spinet.dnsmsg import A, AAAA, PTR, Writer, encode


def ask(name, kind, flags=0, ident=7):
    w = Writer(300)
    w.begin(ident, flags)
    w.question(encode(name), kind)
    return bytes(w.buf[:w.n])


def answers(sent):
    r = dnsmsg.Record()
    d = sent.data
    assert d[:2] == b"\0\7" and d[2] == 0x80 and r.question(d, 12, len(d))
    found = []
    for _ in range(d[7]):
        assert r.read(d, r.end, len(d)) and r.ttl == 30
        found.append(r.value(d, 0))
    return found


def test_responder():
    n = Answering()
    llmnr.Responder(n.stack, "board")
    n.run(50)
    n.group(ask("board", A), port=5355, group="224.0.0.252", sport=4000)
    n.poll()
    assert len([s for s in n.sent if s.dport == 4000]) == 0, "not before it is known to be ours"
    n.run(1000)
    assert [s.dst for s in n.take()] == ["224.0.0.252"] * 3
    for name, kind, wanted in (("BOARD", A, ["10.0.0.1"]), ("board", AAAA, []),
                               ("1.0.0.10.in-addr.arpa", PTR, [b"\5board\0"])):
        n.group(ask(name, kind), port=5355, group="224.0.0.252", sport=4000)
        n.poll()
        (sent,) = n.take()
        assert sent.dst == "10.0.0.2" and sent.dport == 4000 and answers(sent) == wanted
    for query in (ask("other", A), ask("board.x", A), ask("board", A, 0x8000), b"x",
                  ask("2.0.0.10.in-addr.arpa", PTR), ask("board", A)[:-2]):
        n.group(query, port=5355, group="224.0.0.252", sport=4000)
        n.poll()
        assert n.take() == []
    count = n.stack.services["llmnr"].count
    assert (count["rx"], count["tx"], count["ignored"], count["malformed"]) == (3, 3, 5, 2)


def test_an_address_that_is_lost():
    n = Answering()
    llmnr.Responder(n.stack, "board")
    n.run(1000)
    n.take()
    n.ip.set_ipv4("0.0.0.0")
    for name, kind in (("board", A), ("1.0.0.10.in-addr.arpa", PTR)):
        n.group(ask(name, kind), port=5355, group="224.0.0.252", sport=4000)
        n.poll()
    assert n.take() == [] and n.stack.services["llmnr"].count["ignored"] == 2


def test_a_full_heap_costs_a_try_only():
    n = Answering()
    query = llmnr.Query(n.stack, "x")
    query.sendto = full
    n.run(150)
    assert not n.take() and query.count["no_memory"] == 2
    del query.sendto
    n.run(1000)
    assert len(n.take()) == 1 and query.done


def full(*args):
    raise MemoryError


def test_two_of_ours():
    net = Net()
    b = llmnr.Responder(net.b, "desk")
    net.run(1000)
    assert b.ready and llmnr.resolve(net.a, "desk") == ["10.0.0.2"]
    a = llmnr.Responder(net.a, "desk")
    net.run(1000)
    assert a.taken and not a.ready
    began = net.elapsed
    assert raises(OSError, llmnr.resolve, net.a, "nobody").errno == -2
    assert net.elapsed - began < 400
    assert llmnr.resolve(net.a, "10.1.1.1") == ["10.1.1.1"]
    raises(ValueError, llmnr.resolve, net.a, "a.b")
    a.close()
    b.close()
    net.run(100)
    assert not net.a.udp.ports and not net.b.udp.ports


def test_fuzz():
    rand = Random(3)
    n = Answering()
    llmnr.Responder(n.stack, "board")
    n.run(1000)
    for _ in range(200):
        query = llmnr.Query(n.stack, "x")
        n.poll()
        sent = n.take()[-1]
        for port in (sent.sport, 5355):
            data = bytearray(reply(ask("x", A, ident=sent.data[0] << 8 | sent.data[1]), [
                (1, "x", A, 9, rand(4))], flags=0x8000))
            for _ in range(rand.below(4)):
                data[2 + rand.below(len(data) - 2)] = rand.below(256)
            n.give(bytes(data[:rand.below(60)]), "10.0.0.2", 5355, port)
        n.run(1000)
        assert query.done
    assert list(n.stack.udp.ports) == [5355]
