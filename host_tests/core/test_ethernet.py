"""Ethernet II: filters, tags, padding."""
from kit import raises
from lone import ALL_MAC, OUR_MAC, PEER_MAC, Lone, arp, ether, ipv4, udp
from net import End

from spinet.ethernet import Ethernet

DATAGRAM = ipv4("10.0.0.1", 17, udp(7, 9, b"x"))


def test_unicast_broadcast_and_joined_groups_are_taken_others_counted():
    n = Lone()
    count = n.link.count
    n.give(ether(DATAGRAM))
    assert count["rx"] == 1
    n.give(ether(DATAGRAM, dst=b"\x02\0\0\0\0\x09"))
    assert count["rx"] == 1 and count["not_for_us"] == 1
    n.give(ether(DATAGRAM, dst=b"\x01\0\x5e\0\0\x09"))
    assert count["rx"] == 1 and count["not_for_us"] == 2
    n.link.join(b"\x01\0\x5e\0\0\x09")
    n.give(ether(DATAGRAM, dst=b"\x01\0\x5e\0\0\x09"))
    assert count["rx"] == 2
    n.link.leave(b"\x01\0\x5e\0\0\x09")
    n.give(ether(DATAGRAM, dst=b"\x01\0\x5e\0\0\x09"))
    assert count["rx"] == 2 and count["not_for_us"] == 3
    n.give(ether(DATAGRAM, dst=ALL_MAC))
    assert count["rx"] == 3


def test_what_is_wrong_with_a_frame_is_counted():
    n = Lone()
    count = n.link.count
    n.give(OUR_MAC + PEER_MAC + b"\x08")
    assert count["runt"] == 1
    n.give(ether(b"\0" * 46, kind=0x86DD))
    assert count["bad_type"] == 1
    n.give(ether(b"\0" * 46, kind=100))
    assert count["bad_type"] == 2, "802.3 with a length is not Ethernet II"
    n.give(ether(DATAGRAM, src=b"\x03\0\0\0\0\x02"))
    assert count["bad_source"] == 1, "a source is never a group"
    assert count["rx"] == 0


def test_without_a_vlan_tags_are_refused_but_for_priority_tags():
    n = Lone()
    n.give(ether(DATAGRAM, tag=5))
    assert n.link.count["bad_vlan"] == 1
    n.give(ether(DATAGRAM, tag=0xE000))
    assert n.link.count["rx"] == 1


def test_with_a_vlan_only_its_tag_is_taken_and_sent():
    n = Lone(vlan=100)
    n.give(ether(DATAGRAM))
    n.give(ether(DATAGRAM, tag=101))
    n.give(OUR_MAC + PEER_MAC + b"\x81\0\0")
    assert n.link.count["bad_vlan"] == 3
    n.give(ether(arp(1, PEER_MAC, "10.0.0.2", b"\0" * 6, "10.0.0.1"), kind=0x0806, tag=100,
                 dst=ALL_MAC))
    reply, = n.take()
    assert reply[:18] == PEER_MAC + OUR_MAC + b"\x81\0\0\x64\x08\6"
    assert reply[24:26] == b"\0\2"
    s = n.stack.socket(2)
    s.sendto(b"tagged", ("10.0.0.2", 9))
    frame, = n.take()
    assert frame[12:18] == b"\x81\0\0\x64\x08\0" and frame[18] == 0x45
    assert frame[-6:] == b"tagged"


def test_short_frames_are_padded_with_zeros_where_the_port_does_not():
    n = Lone(pads=False, answers=True)
    s = n.stack.socket(2)
    s.sendto(b"L" * 40, ("10.0.0.2", 9))
    n.give()
    n.run(10)
    assert len(n.take()[0]) == 82
    s.sendto(b"s", ("10.0.0.2", 9))
    frame, = n.take()
    assert len(frame) == 60
    assert frame[43:] == b"\0" * 17, "not what the last frame left in the buffer"


def test_a_bad_mac_or_vlan_is_refused():
    for mac in (b"\x01\0\0\0\0\x01", b"\0" * 6, b"\x02\0\0"):
        raises(ValueError, Ethernet, End(mac))
    raises(ValueError, Ethernet, End(OUR_MAC), None, None, 4095)


def test_a_busy_port_is_counted_and_nothing_lost():
    n = Lone(answers=True)
    s = n.stack.socket(2)
    s.sendto(b"first", ("10.0.0.2", 9))
    n.give()
    n.run(5)
    n.take()
    n.end.send = lambda buf, k: False
    s.setblocking(False)
    e = raises(OSError, s.sendto, b"second", ("10.0.0.2", 9))
    assert e.errno == 11
    assert n.link.count["port_busy"] >= 1
