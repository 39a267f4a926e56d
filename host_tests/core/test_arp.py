"""ARP: resolution, ageing, what is learned from whom."""
from kit import heap_locked, raises
from lone import ALL_MAC, OUR_MAC, PEER_MAC, Lone, arp, ether

from spinet.errors import EHOSTUNREACH

ZERO = b"\0" * 6


def request(target="10.0.0.1", sender="10.0.0.2", mac=PEER_MAC):
    return ether(arp(1, mac, sender, ZERO, target), dst=ALL_MAC, src=mac, kind=0x0806)


def reply(sender="10.0.0.2", mac=PEER_MAC):
    return ether(arp(2, mac, sender, OUR_MAC, "10.0.0.1"), kind=0x0806, src=mac)


def is_request(frame, target):
    from spinet.addr import parse
    return frame[12:14] == b"\x08\6" and frame[21] == 1 and frame[38:42] == parse(target)


def test_request_for_us_is_answered_and_teaches():
    n = Lone()
    n.give(request())
    out, = n.take()
    assert out[:42] == ether(arp(2, OUR_MAC, "10.0.0.1", PEER_MAC, "10.0.0.2"), dst=PEER_MAC,
                             src=OUR_MAC, kind=0x0806)
    s = n.stack.socket(2)
    s.sendto(b"x", ("10.0.0.2", 9))
    assert n.take()[0][:6] == PEER_MAC, "no question was needed"


def test_request_for_others_is_not_answered_and_teaches_nothing():
    n = Lone()
    n.give(request(target="10.0.0.77"))
    assert not n.take() and not n.link.arp.table
    assert n.link.arp.count["not_for_us"] == 1


def test_probe_with_zero_sender_is_answered_and_teaches_nothing():
    n = Lone()
    n.give(request(sender="0.0.0.0"))
    assert len(n.take()) == 1 and not n.link.arp.table


def test_unasked_reply_teaches_nothing_but_an_announcement_changes_what_is_known():
    n = Lone()
    n.give(reply())
    assert not n.link.arp.table
    n.give(request())
    other = b"\x02\0\0\0\0\x22"
    n.give(ether(arp(1, other, "10.0.0.2", ZERO, "10.0.0.2"), dst=ALL_MAC, src=other, kind=0x0806))
    n.take()
    n.stack.socket(2).sendto(b"x", ("10.0.0.2", 9))
    assert n.take()[0][:6] == other


def test_up_to_four_frames_wait_for_the_answer():
    n = Lone()
    s = n.stack.socket(2)
    for i in range(6):
        s.sendto(b"%d" % i, ("10.0.0.2", 9))
    out = n.take()
    assert len(out) == 1 and is_request(out[0], "10.0.0.2")
    n.give(reply())
    assert [f[42:43] for f in n.take()] == [b"2", b"3", b"4", b"5"]
    assert n.link.arp.count["queue_full"] == 2


def test_asked_once_a_second_three_times_then_host_unreachable():
    n = Lone()
    s = n.stack.socket(2)
    s.connect(("10.0.0.9", 9))
    s.send(b"x")
    times = []
    for _ in range(60):
        for f in n.take():
            assert is_request(f, "10.0.0.9")
            times.append(n.clock.now)
        n.run(100)
    assert len(times) == 3, times
    assert all(((b - a) & 0x3FFFFFFF) >= 1000 for a, b in zip(times, times[1:]))
    assert raises(OSError, s.recv, 10).errno == EHOSTUNREACH
    assert n.link.arp.count["unreachable"] == 1


def test_connect_to_nobody_is_host_unreachable():
    n = Lone()
    s = n.stack.socket()
    s.settimeout(10)
    assert raises(OSError, s.connect, ("10.0.0.9", 80)).errno == EHOSTUNREACH
    assert not n.stack.tcp.table


def test_never_more_than_one_request_a_second_for_an_address():
    n = Lone()
    s = n.stack.socket(2)
    times = []
    for _ in range(3000):
        s.sendto(b"x", ("10.0.0.9", 9))
        n.run(10)
        times += [n.clock.now] * len(n.take())
    assert all(((b - a) & 0x3FFFFFFF) >= 990 for a, b in zip(times, times[1:]))
    assert 20 <= len(times) <= 30


def resolved(n):
    s = n.stack.socket(2)
    s.sendto(b"x", ("10.0.0.2", 9))
    n.give(reply())
    n.take()
    return s


def test_entry_in_use_is_refreshed_by_unicast_before_it_expires():
    n = Lone()
    s = resolved(n)
    s.sendto(b"x", ("10.0.0.2", 9))
    n.take()
    n.run(60100)
    out, = n.take()
    assert is_request(out, "10.0.0.2") and out[:6] == PEER_MAC
    s.sendto(b"x", ("10.0.0.2", 9))
    assert n.take()[0][12:14] == b"\x08\0", "it is still good meanwhile"
    n.give(reply())
    n.run(30000)
    assert not n.take()


def test_entry_in_use_that_no_longer_answers_is_given_up():
    n = Lone()
    s = resolved(n)
    s.sendto(b"x", ("10.0.0.2", 9))
    n.take()
    n.run(65000)
    assert len(n.take()) == 3
    s.sendto(b"x", ("10.0.0.2", 9))
    n.run(2000)
    assert n.take()[0][:6] == ALL_MAC, "asked again, of all"


def test_unused_entry_is_forgotten():
    n = Lone()
    resolved(n)
    n.run(130000)
    assert not n.link.arp.table


def test_table_is_bounded_and_a_kept_neighbour_comes_back():
    n = Lone()
    n.link.arp.most = 4
    s = resolved(n)
    path = n.stack.path(b"\x0a\0\0\2", 17)
    for i in range(20, 40):
        n.run(1)
        n.give(request(sender="10.0.0.%d" % i, mac=bytes((2, 0, 0, 0, 0, i))))
    assert len(n.link.arp.table) == 4
    n.take()
    assert not path.hop.ok
    s.sendto(b"again", ("10.0.0.2", 9))
    assert is_request(n.take()[0], "10.0.0.2")
    n.give(reply())
    assert n.take()[0][42:47] == b"again"
    assert len(n.link.arp.table) == 4


def test_new_address_is_announced():
    n = Lone()
    n.ip.add_address("10.0.0.50/24")
    out, = n.take()
    assert out[:6] == ALL_MAC and out[28:32] == out[38:42] == b"\x0a\0\0\x32"


def test_conflict_is_counted_and_teaches_nothing():
    n = Lone()
    n.give(request(sender="10.0.0.1", target="10.0.0.1"))
    assert n.link.arp.count["conflict"] == 1
    assert not n.take() and not n.link.arp.table


def test_senders_that_cannot_be():
    n = Lone()
    n.give(ether(arp(1, b"\x03\0\0\0\0\1", "10.0.0.2", ZERO, "10.0.0.1"), dst=ALL_MAC, kind=0x0806))
    n.give(request(sender="224.0.0.1"))
    n.give(request(sender="127.0.0.1"))
    assert n.link.arp.count["bad_sender"] == 3
    n.give(request(sender="192.168.7.7"))
    assert not n.link.arp.table, "not on our network: answered, not learned"


def test_malformed_packets():
    n = Lone()
    good = request()
    for i, v in ((14, 9), (15, 6), (16, 9), (18, 7), (19, 5), (20, 1), (21, 0), (21, 3)):
        n.give(good[:i] + bytes((v,)) + good[i + 1:])
    n.give(good[:30])
    assert n.link.arp.count["malformed"] == 9 and not n.take()


def test_answering_takes_nothing_from_the_heap():
    n = Lone()
    n.give(request())
    frame = request()
    buf = bytearray(frame)
    end = len(frame)

    class Sink:
        pads = True

        def send(self, buf, n):
            return True

    n.link.port = Sink()
    link = n.link
    heap_locked(lambda: link.input(buf, 0, end))
    assert n.link.arp.count["tx_reply"] == 2
