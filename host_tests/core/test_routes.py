"""Routes: longest prefix, several gateways, and what happens when one is dead."""
from kit import raises
from lone import ALL_MAC, Lone, arp, ether

from spinet.addr import parse


def hop(n, dst):
    path = n.stack.path(parse(dst), 17)
    return None if path is None else ".".join(str(b) for b in path.hop.addr)


def answer(n, addr):
    mac = b"\x02\0\0\0\1" + parse(addr)[3:]
    n.give(ether(arp(1, mac, addr, b"\0" * 6, "10.0.0.1"), dst=ALL_MAC, src=mac, kind=0x0806))


def test_longest_prefix_wins():
    n = Lone(gateway="10.0.0.254")
    n.ip.add_route("172.16.0.0/12", "10.0.0.3")
    n.ip.add_route("172.16.5.0/24", "10.0.0.4")
    n.ip.add_route("172.16.5.7/32", "10.0.0.5")
    n.ip.add_route("192.168.0.0/16")
    assert hop(n, "10.0.0.9") == "10.0.0.9"
    assert hop(n, "8.8.8.8") == "10.0.0.254"
    assert hop(n, "172.20.1.1") == "10.0.0.3"
    assert hop(n, "172.16.5.9") == "10.0.0.4"
    assert hop(n, "172.16.5.7") == "10.0.0.5"
    assert hop(n, "192.168.3.4") == "192.168.3.4"
    n.ip.remove_route("172.16.5.0/24", "10.0.0.4")
    assert hop(n, "172.16.5.9") == "10.0.0.3"
    raises(ValueError, n.ip.remove_route, "172.16.5.0/24", "10.0.0.4")


def test_no_route_is_network_unreachable():
    n = Lone()
    assert hop(n, "8.8.8.8") is None
    s = n.stack.socket()
    assert raises(OSError, s.connect, ("8.8.8.8", 80)).errno == 101
    assert hop(n, "240.0.0.1") is None and hop(n, "0.1.2.3") is None


def test_gateway_that_does_not_answer_is_replaced_and_tried_again():
    n = Lone()
    n.ip.set_ipv4_gateways(["10.0.0.253", "10.0.0.254"])
    answer(n, "10.0.0.254")
    path = n.stack.path(parse("8.8.8.8"), 17)
    assert path.hop.addr == parse("10.0.0.253")
    path.send(8)
    n.run(3500)
    assert path.gen != n.ip.gen, "the path knows that it is out of date"
    assert hop(n, "8.8.8.8") == "10.0.0.254"
    n.run(61000)
    assert hop(n, "8.8.8.8") == "10.0.0.253"


def test_a_dead_gateway_that_is_heard_of_lives():
    n = Lone()
    n.ip.set_ipv4_gateways(["10.0.0.253", "10.0.0.254"])
    n.ip.dead(n.link.hop(parse("10.0.0.253")))
    assert hop(n, "8.8.8.8") == "10.0.0.254"
    answer(n, "10.0.0.253")
    assert hop(n, "8.8.8.8") == "10.0.0.253"


def test_when_all_are_dead_the_first_is_used():
    n = Lone()
    n.ip.set_ipv4_gateways(["10.0.0.253", "10.0.0.254"])
    for g in ("10.0.0.253", "10.0.0.254"):
        n.ip.dead(n.link.hop(parse(g)))
    assert hop(n, "8.8.8.8") == "10.0.0.253"


def test_tcp_moves_to_another_gateway_when_nothing_gets_through():
    n = Lone()
    n.ip.set_ipv4_gateways(["10.0.0.253", "10.0.0.254"])
    answer(n, "10.0.0.253")
    answer(n, "10.0.0.254")
    n.take()
    s = n.stack.socket()
    s.setblocking(False)
    raises(OSError, s.connect, ("8.8.8.8", 80))
    assert n.take()[0][5] == 253
    n.run(20000)
    frames = [f for f in n.take() if f[12:14] == b"\x08\0"]
    assert frames[-1][5] == 254


def test_static_neighbour_routes_survive_a_change_of_gateways():
    n = Lone(gateway="10.0.0.254")
    n.ip.add_route("172.16.0.0/12", "10.0.0.3")
    n.ip.set_ipv4_gateways(["10.0.0.252"])
    assert hop(n, "172.16.1.1") == "10.0.0.3" and hop(n, "1.1.1.1") == "10.0.0.252"
