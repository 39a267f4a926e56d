"""Groups: a bridge of the kernel, with snooping and a querier, sees who of us is in which."""
import json
import socket
import struct

import netns
import pytest
from side import RUNTIMES, THEM, Side, line, wait_for

pytestmark = pytest.mark.slow

GROUP = "239.1.2.3"
IP_RECVTTL = 12


class Bridged(Side):
    """Their interface is a bridge that snoops and queries; our cable is plugged into it."""

    def __init__(self, runtime, version=3):
        Side.__init__(self, runtime, link=False)
        them = self.them
        them.ip("link", "add", "k0", "type", "bridge", "mcast_snooping", "1", "mcast_querier", "1",
                "mcast_igmp_version", str(version), "mcast_query_interval", "300",
                "mcast_query_response_interval", "100", "mcast_startup_query_interval", "100",
                "mcast_last_member_interval", "50")
        netns.veth(them, "port", self.ours, "p0")
        them.ip("link", "set", "port", "master", "k0")
        them.ip("address", "add", THEM + "/24", "brd", "+", "dev", "k0")
        them.ip("link", "set", "k0", "up")

    def members(self):
        """What the bridge knows of our port: {group: entry}."""
        found = json.loads(self.them.run("bridge", "-d", "-j", "mdb", "show"))
        entries = found[0].get("mdb", []) if found else []
        return {e["grp"]: e for e in entries if e.get("port") == "port"}


@pytest.fixture(params=RUNTIMES)
def side(request, need):
    need("bridge")
    made = Bridged(request.param, 2 if "version_2" in request.function.__name__ else 3)
    yield made
    made.close()


JOIN = """
from spinet import socket
s = stack.socket(socket.SOCK_DGRAM)
s.bind(("", 5000))
s.setblocking(False)
group = socket.inet_aton("239.1.2.3") + bytes(4)
"""


def sender(side):
    """A kernel socket that sends to groups by the bridge."""
    sock = side.them.socket(socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(THEM))
    sock.bind((THEM, 0))
    return sock


def test_membership_is_seen_kept_and_given_up(side):
    ours = side.start(JOIN + """
s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, group)
pump(500); say("in")
pump(9000); say("still in")
s.setsockopt(0, socket.IP_DROP_MEMBERSHIP, group)
pump(3000); say("out")
pump(20000)
""")
    assert line(ours) == "in"
    assert GROUP in wait_for(side.members)
    # Longer than a membership lasts without a report, were there no answers to the queries.
    side.them.ip("link", "set", "k0", "type", "bridge", "mcast_membership_interval", "400")
    assert line(ours) == "still in"
    assert GROUP in side.members()
    assert line(ours) == "out"
    wait_for(lambda: GROUP not in side.members())


def test_version_2_querier(side):
    ours = side.start(JOIN + """
from spinet.igmp import igmp
igmp(stack)
side = igmp(stack).side(ip)
pump(8000, lambda: side.version == 2)
say(side.version)
s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, group)
pump(6000); say("in")
s.setsockopt(0, socket.IP_DROP_MEMBERSHIP, group)
pump(500); say("out")
pump(20000)
""")
    assert line(ours) == "2"
    assert line(ours) == "in"
    assert GROUP in side.members()
    assert line(ours) == "out"
    wait_for(lambda: GROUP not in side.members())


def test_traffic_reaches_members_only(side):
    """The bridge forwards by its table: what we did not join does not even come."""
    ours = side.start(JOIN + """
s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, group)
pump(1000); say("in")
got = []
def take():
    data = s.read()
    if data:
        got.append(data)
    return data == b"end"
pump(15000, take)
say(got)
say(ip.id.count["not_for_us"])
s.setsockopt(0, socket.IP_MULTICAST_TTL, 3)
s.sendto(b"from us", ("239.1.2.4", 5001))
pump(1000)
""")
    assert line(ours) == "in"
    assert GROUP in wait_for(side.members)
    listener = side.them.socket(socket.SOCK_DGRAM)
    listener.bind(("", 5001))
    listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                        socket.inet_aton("239.1.2.4") + socket.inet_aton(THEM))
    listener.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    sock = sender(side)
    for data, group in ((b"one", GROUP), (b"other", "239.9.9.9"), (b"two", GROUP)):
        sock.sendto(data, (group, 5000))
    sock.sendto(b"end", (GROUP, 5000))
    assert line(ours) == "[b'one', b'two', b'end']"
    line(ours)
    data, ancillary, _, peer = listener.recvmsg(100, 100)
    assert data == b"from us" and struct.unpack("i", ancillary[0][2]) == (3,)
    sock.close()
    listener.close()


def test_sources(side):
    """The bridge knows whom we want to hear (version 3)."""
    ours = side.start(JOIN + """
a, b = socket.inet_aton("10.55.0.1"), socket.inet_aton("10.55.0.9")
s.setsockopt(0, socket.IP_ADD_SOURCE_MEMBERSHIP, group + a)
pump(1300); say("one"); pump(1500)
s.setsockopt(0, socket.IP_ADD_SOURCE_MEMBERSHIP, group + b)
pump(1300); say("two"); pump(1500)
s.setsockopt(0, socket.IP_DROP_SOURCE_MEMBERSHIP, group + a)
pump(1500); say("less")
pump(20000)
""")

    def sources():
        entry = side.members().get(GROUP)
        return entry and (entry["filter_mode"], sorted(
            s["address"] for s in entry.get("source_list", []) if s["timer"].strip() != "0.00"))

    assert line(ours) == "one"
    assert wait_for(sources) == ("include", [THEM])
    assert line(ours) == "two"
    wait_for(lambda: sources() == ("include", [THEM, "10.55.0.9"]))
    assert line(ours) == "less"
    wait_for(lambda: sources() == ("include", ["10.55.0.9"]))
