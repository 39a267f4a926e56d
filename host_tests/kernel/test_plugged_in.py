"""Plugged in, it has an address, names and the time: DHCP, DNS and SNTP together, against dnsmasq
and chrony."""
import pytest
from side import RUNTIMES, THEM, Side, line
from test_tools import chronyd


pytestmark = pytest.mark.slow


@pytest.fixture(params=RUNTIMES)
def side(request):
    made = Side(request.param)
    yield made
    made.close()


def test_address_names_and_time_by_themselves(side, need, tmp_path):
    need("dnsmasq", "chronyd")
    side.daemon(
        "dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--local=/home.test/",
        "--conf-file=", "--user=root", "--interface=k0", "--domain=home.test",
        "--host-record=board.home.test,10.1.2.3", "--dhcp-range=10.55.0.100,10.55.0.110,1h",
        "--dhcp-leasefile=%s" % (tmp_path / "leases"), "--dhcp-option=option:ntp-server," + THEM,
        "--dhcp-authoritative", said="started")
    chronyd(side, tmp_path)
    ours = side.start("""
from spinet import LAN, Stack, dns, mdns, network, sntp, socket
import run
port = run.open_port("raw:p0")
network.hostname("garden")
nic = LAN(port, stack)
nic.active(True)
pump(20000, lambda: nic.status() == 3)
say(nic.ifconfig()[0].startswith("10.55.0.1"), nic.ifconfig()[3])
say(socket.getaddrinfo("board.home.test", 80)[0][4])
say(dns.resolver(stack).resolve("board"))       # in the domain that DHCP gave
say(dns.resolver(stack).resolve("garden") == [nic.ifconfig()[0]])   # dnsmasq knows us by name
times = []
c = sntp.Client(stack, (), times.append, 60)
for _ in range(20):
    q = sntp.ask(stack)
    pump(3000, lambda: q.done)
    if q.time:
        break
    pump(1000)
say(q.time.server, abs(q.time.offset_ms()) < 1100)
m = mdns.mdns(stack, nic.ip)
m.host()
pump(3000)
say(dns.resolver(stack).resolve("garden.local") == [nic.ifconfig()[0]])
nic.active(False)
say("off")
""", address="none")
    assert [line(ours, 40) for _ in range(7)] == [
        "True " + THEM, "('10.1.2.3', 80)", "['10.1.2.3']", "True", THEM + " True", "True", "off"]
