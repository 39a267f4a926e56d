"""`LAN` as MicroPython's documentation has it: addresses, link, callbacks, settings."""
import sys

from dhcpnet import SERVER, Alone, answer, datagram
from kit import heap_locked, raises
from lone import OUR_MAC, PEER_MAC, arp, ether

import spinet
from spinet import dhcpmsg as m
from spinet import network
from spinet.addr import parse
from spinet.lan import LAN, STAT_CONNECTING, STAT_GOT_IP, STAT_IDLE, STAT_NO_LINK

CHECKED_MS = 7100


class Board(Alone):
    """A board with a LAN; a DHCP server answers while it is `served`."""

    def __init__(self):
        self.plugged = True
        self.served = True
        self.said = []
        Alone.__init__(self)
        self.end.link = lambda: self.plugged
        self.neighbours[SERVER] = PEER_MAC

    def make(self):
        self.end.close = lambda: self.said.append("closed")
        self.nic = LAN(self.end, self.stack)
        self.nic.on_link = lambda up: self.said.append(up)
        self.nic.on_address = lambda address: self.said.append(address)
        self.nic.on_conflict = lambda mac: self.said.append(mac)
        return self.nic.ip

    def _sent(self, frame):
        n = len(self.messages)
        Alone._sent(self, frame)
        if self.served and len(self.messages) > n:
            x = self.messages[n]
            kind = {m.DISCOVER: m.OFFER, m.REQUEST: m.ACK, m.INFORM: m.ACK}.get(x.kind)
            if kind:
                self.end.waiting.append(datagram(answer(kind, x.xid, OUR_MAC, "10.0.0.77")))

    def plug(self, on):
        self.plugged = on
        self.run(600)

    def up(self):
        self.nic.active(True)
        self.run(CHECKED_MS)
        return self


def test_dhcp_by_default():
    b = Board()
    nic = b.nic
    assert nic.active() is False and nic.status() == STAT_IDLE and not nic.isconnected()
    b.run(5000)
    assert not b.messages and not b.frames, "silent before"
    nic.active(True)
    assert nic.active() is True and nic.status() == STAT_CONNECTING
    assert nic.ipconfig("dhcp4") is True and nic.ipconfig("has_dhcp4") is False
    b.run(CHECKED_MS)
    assert nic.isconnected() and nic.status() == STAT_GOT_IP
    assert nic.status("dhcp") == "bound" and nic.status("link") is True
    assert nic.ipconfig("has_dhcp4") is True
    assert nic.ifconfig() == ("10.0.0.77", "255.255.255.0", SERVER, SERVER)
    assert nic.ipconfig("addr4") == ("10.0.0.77", "255.255.255.0")
    assert nic.ipconfig("gw4") == SERVER
    assert b.said == [True, "10.0.0.77"]
    assert b.messages[0].options[m.HOSTNAME] == b"spinet"
    assert b.stack.stats()["eth0.dhcp"]["ack"] == 1


def test_off_gives_the_lease_back_and_is_silent():
    b = Board().up()
    b.take()
    b.nic.active(False)
    assert [x.kind for x in b.take()] == [m.RELEASE]
    assert b.nic.ifconfig()[:3] == ("0.0.0.0",) * 3 and b.said[-1] == "0.0.0.0"
    b.frames = []
    b.end.waiting = [ether(arp(1, PEER_MAC, SERVER, bytes(6), "10.0.0.77"), kind=0x0806)]
    b.stack.poll()
    assert len(b.end.waiting) == 1, "not even taken"
    b.end.waiting = []
    b.run(100000)
    assert not b.frames and not b.messages
    b.nic.active(False)
    b.nic.active(True)
    b.nic.active(True)
    b.run(CHECKED_MS)
    assert b.nic.isconnected() and b.take()[0].address(m.WANTED_ADDRESS) == "10.0.0.77"


def test_static_address_before_or_after():
    for before in (True, False):
        b = Board()
        if not before:
            b.served = False
            b.nic.active(True)
            b.run(2000)
            b.take()
        b.nic.ipconfig(addr4="10.0.0.9/24", gw4="10.0.0.1")
        if before:
            assert b.nic.ipconfig("addr4") == ("10.0.0.9", "255.255.255.0")
            b.run(1000)
            assert not b.frames and not b.messages
            b.nic.active(True)
        assert b.nic.isconnected() and b.nic.ipconfig("dhcp4") is False
        assert b.nic.ipconfig("has_dhcp4") is False and b.nic.ipconfig("gw4") == "10.0.0.1"
        b.run(10000)
        assert not b.messages
        probes = [f for _, f in b.frames if f[21] == 1 and f[28:32] == bytes(4)]
        announced = [f for _, f in b.frames if f[21] == 1 and f[28:32] == parse("10.0.0.9")]
        assert len(probes) == 1 and len(announced) in (2, 3), "used at once, and watched over"
        b.nic.active(False)
        assert b.nic.ipconfig("addr4")[0] == "10.0.0.9", "kept for the next time"
        b.nic.active(True)
        assert b.nic.isconnected()


def test_static_address_that_another_host_has():
    b = Board()
    b.nic.ipconfig(addr4="10.0.0.9/24")
    b.neighbours["10.0.0.9"] = PEER_MAC
    b.nic.active(True)
    b.run(100)
    assert PEER_MAC in b.said and b.nic.isconnected(), "reported and kept: somebody chose it"


def test_from_dhcp_to_static_and_back():
    b = Board().up()
    b.take()
    b.nic.ifconfig(("10.0.0.9", "255.255.0.0", "10.0.0.1", "8.8.8.8"))
    assert b.one(m.RELEASE)
    assert b.nic.ifconfig() == ("10.0.0.9", "255.255.0.0", "10.0.0.1", "8.8.8.8")
    b.run(1000)
    b.nic.ifconfig("dhcp")
    assert b.nic.ifconfig()[0] == "10.0.0.77" and len(b.ip.addresses) == 1
    assert b.nic.ipconfig("gw4") == SERVER
    b.nic.ipconfig(dhcp4=False)
    assert b.nic.ipconfig("addr4")[0] == "0.0.0.0" and b.nic.status() == STAT_CONNECTING
    b.nic.ipconfig(dhcp4=True)
    b.run(CHECKED_MS)
    assert b.nic.isconnected()
    b.nic.ipconfig(addr4="0.0.0.0")
    assert not b.ip.addresses and not b.nic.ipconfig("dhcp4")


def test_ifconfig_dhcp_gives_up():
    b = Board()
    b.served = False
    b.nic.active(True)
    assert raises(OSError, b.nic.ifconfig, "dhcp").errno
    assert 20000 <= b.now < 22000
    raises(ValueError, b.nic.ifconfig, "dchp")


def test_link_lost_and_restored():
    b = Board().up()
    b.take()
    b.plug(False)
    assert b.nic.status() == STAT_NO_LINK and not b.nic.isconnected()
    assert b.nic.status("link") is False and b.nic.status("dhcp") == "init-reboot"
    assert b.nic.ipconfig("addr4")[0] == "10.0.0.77"
    b.run(100000)
    assert not b.take()
    b.plug(True)
    assert b.nic.isconnected() and b.nic.status("dhcp") == "bound"
    assert b.one(m.REQUEST).src == "0.0.0.0"
    assert b.said == [True, "10.0.0.77", False, True]


def test_started_without_a_cable():
    b = Board()
    b.plugged = False
    b.nic.active(True)
    b.run(100000)
    assert not b.messages and b.nic.status() == STAT_NO_LINK
    b.plug(True)
    b.run(CHECKED_MS)
    assert b.nic.isconnected()


def test_link_local_while_no_server_answers():
    b = Board()
    b.served = False
    b.nic.active(True)
    b.run(25000)
    assert b.nic.ipconfig("addr4")[0].startswith("169.254.") and b.nic.isconnected()
    assert b.nic.ipconfig("has_dhcp4") is False
    local = b.nic.ipconfig("addr4")[0]
    b.plug(False)
    b.plug(True)
    assert b.nic.ipconfig("addr4")[0] == local
    b.served = True
    b.run(70000)
    assert b.nic.ifconfig()[0] == "10.0.0.77" and len(b.ip.addresses) == 1
    assert b.said == [True, local, False, True, "10.0.0.77"]
    b.nic.active(False)
    assert not b.ip.addresses


def test_disconnect_and_connect():
    b = Board().up()
    b.take()
    b.nic.disconnect()
    assert b.one(m.RELEASE) and not b.ip.addresses and b.nic.active()
    b.run(60000)
    assert not b.take()
    b.nic.connect()
    b.run(CHECKED_MS)
    assert b.nic.isconnected()
    b = Board()
    b.nic.connect()
    b.run(CHECKED_MS)
    assert b.nic.isconnected()


def test_errors_of_ipconfig_and_config():
    nic = Board().nic
    for call in (nic.ipconfig, nic.config):
        assert "must query one param" in str(raises(TypeError, call))
        raises(TypeError, call, "addr4", "gw4")
    try:
        nic.ipconfig("gw4", gw4="10.0.0.1")
        raise AssertionError
    except TypeError as e:
        assert "can't specify pos and kw args" in str(e)
    for key in ("addr6", "nonsense", "dns"):
        assert "unexpected key" in str(raises(ValueError, nic.ipconfig, key))
    for settings in ({"has_dhcp4": True}, {"addr6": "::"}, {"addr4": "10.0.0.300/8"},
                     {"addr4": "10.0.0.3/40"}, {"gw4": "x"},
                     {"addr4": ("10.0.0.3", "255.0.255.0")}):
        try:
            nic.ipconfig(**settings)
            raise AssertionError(settings)
        except ValueError:
            pass
    assert nic.ipconfig("addr4") == ("0.0.0.0", "0.0.0.0") and nic.ipconfig("dhcp4")
    assert "unknown config param" in str(raises(ValueError, nic.config, "txpower"))
    raises(ValueError, nic.status, "rssi")


def test_config():
    b = Board()
    nic = b.nic
    assert nic.config("mac") == OUR_MAC
    try:
        nic.config(hostname="board-9")
        assert nic.config("hostname") == network.hostname() == "board-9"
        b.up()
        assert b.take()[0].options[m.HOSTNAME] == b"board-9"
        for wrong in ("", "a" * 33, "a b", "-a", "a..b", "\xe4"):
            raises(ValueError, network.hostname, wrong)
    finally:
        network.hostname("spinet")
    raises(ValueError, nic.config, "promiscuous")
    b.end.promiscuous = False
    b.end.set_promiscuous = lambda on: setattr(b.end, "promiscuous", on)
    nic.config(promiscuous=True)
    assert b.end.promiscuous is True and nic.config("promiscuous") is True


def test_trace_prints_and_changes_nothing():
    from spinet import trace

    b = Board()
    seen = []
    b.nic.config(trace=7)
    assert b.nic.config("trace") == 7
    printed = trace.line(ether(arp(1, PEER_MAC, SERVER, bytes(6), "10.0.0.77"), kind=0x0806), 60)
    assert printed == ("02:00:00:00:00:02 > 02:00:00:00:00:01 ARP request 10.0.0.254 for 10.0.0.77")
    frame = datagram(b"x")
    assert trace.line(frame, len(frame)).endswith(
        "10.0.0.254 > 255.255.255.255 UDP 67 > 68, 43 bytes")
    assert trace.line(b"short", 5) == "5 bytes"
    b.nic.config(trace=0)
    b.up()
    b.nic.config(trace=6)
    assert type(b.ip.id.port) is trace.Trace and b.ip.id.port.link()
    b.nic.config(trace=0)
    assert b.ip.id.port is b.end and not seen and b.nic.isconnected()


def test_module_functions():
    b = Board()
    spinet.use(b.stack)
    assert network.ipconfig("dns") == "0.0.0.0" and network.ipconfig("prefer") == 4
    network.ipconfig(dns="9.9.9.9", prefer=4)
    assert network.ipconfig("dns") == "9.9.9.9" and b.stack.dns_servers == [b"\x09" * 4]
    network.ipconfig(dns=["9.9.9.9", "8.8.8.8"])
    assert len(b.stack.dns_servers) == 2
    raises(ValueError, network.ipconfig, "gw4")
    raises(TypeError, network.ipconfig)
    for settings in ({"prefer": 6}, {"dns": "nine"}, {"gw": 1}):
        try:
            network.ipconfig(**settings)
            raise AssertionError(settings)
        except ValueError:
            pass
    spinet.use(None)


def test_a_mistake_in_a_callback_does_no_harm():
    b = Board()
    b.nic.on_address = lambda address: 1 // 0
    b.nic.on_link = b.nic.on_conflict = None
    b.up()
    assert b.nic.isconnected()


def test_callback_that_switches_off():
    b = Board()
    b.nic.on_address = lambda address: b.nic.active(False)
    b.up()
    b.run(5000)
    assert not b.nic.active() and not b.ip.addresses and not b.stack.udp.ports


def test_deinit():
    b = Board().up()
    b.nic.deinit()
    assert b.said[-1] == "closed" and b.ip not in b.stack.interfaces
    assert not b.stack.services, "nor is the DHCP client kept"
    b.nic.deinit()
    assert b.said.count("closed") == 1
    for close in (LAN.deinit, lambda nic: nic.stack.close()):
        end = Alone().end
        closed = []
        end.close = lambda closed=closed: closed.append(1)
        nic = LAN(end)
        close(nic)
        nic.deinit()
        assert len(closed) == 1


def test_up_and_idle_takes_nothing_from_the_heap():
    b = Board().up()
    b.run(5000)
    b.end.link = linked
    stack = b.stack
    clock = b.clock
    nic = b.nic

    def work(stack=stack, clock=clock, nic=nic):
        for _ in range(600):
            clock.advance(stack.poll())
            assert nic.isconnected()

    work()
    heap_locked(work)
    assert b.nic.status("dhcp") == "bound"


def linked():
    return True


def test_groups_joined_while_it_is_off_are_for_later():
    end = Alone().end
    seen = []
    end.filter = seen.append
    nic = LAN(end)
    nic.ip.id.join(b"\x01\0\x5e\0\0\xfb")
    assert len(seen) == 1 and b"\x01\0\x5e\0\0\xfb" in seen[0]


def test_static_needs_no_dhcp_client():
    for name in ("spinet.dhcp", "spinet.lease", "spinet.linklocal", "spinet.dhcpmsg"):
        saved = sys.modules.pop(name, None)
        try:
            b = Board()
            b.nic.ipconfig(addr4="10.0.0.9/24")
            b.nic.active(True)
            b.run(3000)
            b.nic.active(False)
            b.nic.deinit()
            assert name not in sys.modules, name
        finally:
            if saved:
                sys.modules[name] = saved
