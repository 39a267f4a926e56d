"""Multicast DNS against avahi and python-zeroconf, both ways."""
import os
import sys

import pytest
from side import RUNTIMES, THEM, US, Side, line, wait_for

pytestmark = pytest.mark.slow

BUS = """<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow eavesdrop="true"/><allow receive_sender="*"/></policy></busconfig>"""

CONF = """[server]
host-name=penguin
use-ipv6=no
allow-interfaces=k0
[publish]
publish-workstation=no
publish-hinfo=no
[wide-area]
enable-wide-area=no
"""

BOARD = """
from spinet import mdns
m = mdns.mdns(stack)
host = m.host("board")
web = m.register("_http._tcp", 80, "My board", {"path": "/x"}, ("_printer",))
pump(10000, lambda: host.state == 2 and web.state == 2)
say(host.name_text, web.name_text)
pump(60000)
"""


class Avahi:
    """avahi-daemon with a message bus of its own, in the kernel's namespace."""

    def __init__(self, side, tmp_path):
        self.side = side
        bus = "unix:path=%s/bus" % tmp_path
        (tmp_path / "bus.conf").write_text(BUS % (tmp_path / "bus"))
        (tmp_path / "avahi.conf").write_text(CONF)
        self.env = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=bus)
        side.daemon("dbus-daemon", "--nofork", "--config-file=%s" % (tmp_path / "bus.conf"))
        wait_for((tmp_path / "bus").exists)
        # Its files in /run are in a file system of its own, which the namespace's mounts allow.
        side.daemon(
            "sh", "-c", "mount -t tmpfs tmpfs /run && mkdir -p /run/avahi-daemon && "
            "exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f %s"
            % (tmp_path / "avahi.conf"), said="startup complete", env=self.env)

    def run(self, *command):
        """What one of its tools says."""
        return self.side.them.run(*command, env=self.env, timeout=30)

    def publish(self, *args):
        """Offer a service by avahi-publish, until the end."""
        self.side.daemon("avahi-publish", *args, said="Established", env=self.env)


@pytest.fixture(params=RUNTIMES)
def side(request):
    made = Side(request.param)
    yield made
    made.close()


@pytest.fixture
def avahi(side, need, tmp_path):
    need("avahi-daemon", "avahi-browse", "avahi-resolve", "avahi-publish", "dbus-daemon")
    return Avahi(side, tmp_path)


def test_avahi_finds_us(side, avahi):
    ours = side.start(BOARD)
    assert line(ours) == "board My board"
    assert avahi.run("avahi-resolve", "-4", "-n", "board.local").split() == ["board.local", US]
    found = avahi.run("avahi-browse", "-rpt", "_http._tcp").splitlines()
    (resolved,) = [row for row in found if row.startswith("=")]
    fields = resolved.split(";")
    assert fields[3] == r"My\032board" and fields[6:9] == ["board.local", US, "80"]
    assert '"path=/x"' in fields[9]
    assert "_http._tcp" in avahi.run("avahi-browse", "-aptk")
    assert r"My\032board" in avahi.run("avahi-browse", "-pt", "_printer._sub._http._tcp")


def test_we_find_avahi(side, avahi):
    avahi.publish("-s", "Files & more", "_webdav._tcp", "8080", "u=me", "path=/dav")
    assert side.run("""
from spinet import dns, mdns
say(dns.resolver(stack).resolve("penguin.local"))
m = mdns.mdns(stack)
b = m.browse("_webdav._tcp")
pump(10000, lambda: b.found)
say(b.found)
host, port, txt, addresses = m.service("Files & more", "_webdav._tcp")
say(host, port, sorted(txt), addresses)
try:
    dns.resolver(stack).resolve("nobody.local")
except OSError as e:
    say(e.errno)
""") == ["['%s']" % THEM, "['Files & more']",
         "penguin.local 8080 [b'path=/dav', b'u=me'] ['%s']" % THEM, "-2"]


def test_name_that_avahi_has(side, avahi):
    avahi.publish("-s", "Same", "_http._tcp", "81")
    ours = side.start(BOARD.replace('"board"', '"penguin"').replace('"My board"', '"Same"'))
    assert line(ours) == "penguin-2 Same (2)"
    assert avahi.run("avahi-resolve", "-4", "-n", "penguin-2.local").split()[1] == US
    assert avahi.run("avahi-resolve", "-4", "-n", "penguin.local").split()[1] == THEM
    found = avahi.run("avahi-browse", "-rpt", "_http._tcp")
    assert r"Same\032\0402\041" in found and ";Same;" in found


def test_goodbyes(side, avahi):
    """What goes is gone at once on either side, not when its time is up."""
    browse = side.daemon("avahi-browse", "-p", "_http._tcp", env=avahi.env)
    ours = side.start("""
from spinet import mdns
m = mdns.mdns(stack)
m.host("board")
web = m.register("_http._tcp", 80, "Short")
pump(4000)
m.unregister(web)
changes = []
b = m.browse("_ipp._tcp", lambda *change: say(*change))
say("browsing")
pump(30000)
""")
    assert line(browse).startswith("+;k0;IPv4;Short;")
    assert line(browse).startswith("-;k0;IPv4;Short;")
    assert line(ours) == "browsing"
    publisher = side.daemon("avahi-publish", "-s", "Paper", "_ipp._tcp", "631", env=avahi.env,
                            said="Established")
    assert line(ours) == "Paper True"
    publisher.terminate()
    assert line(ours, 10) == "Paper False"


ZEROCONF = """
import socket, sys, time
from zeroconf import ServiceBrowser, ServiceInfo, Zeroconf
z = Zeroconf(interfaces=["%s"])
mine = ServiceInfo("_x._tcp.local.", "Zero._x._tcp.local.", addresses=[socket.inet_aton("%s")],
                   port=99, properties={"k": "v"}, server="zero.local.")
z.register_service(mine)
print("ready", flush=True)
info = None
for _ in range(10):
    info = info or z.get_service_info("_http._tcp.local.", "My board._http._tcp.local.", 2000)
print(info.server, info.port, info.parsed_addresses(), info.properties, flush=True)
time.sleep(60)
""" % (THEM, THEM)


def test_zeroconf_both_ways(side):
    pytest.importorskip("zeroconf")
    theirs = side.daemon(sys.executable, "-c", ZEROCONF, said="ready")
    ours = side.start(BOARD.replace("pump(60000)", """
b = m.browse("_x._tcp")
pump(10000, lambda: b.found)
say(b.found)
say(m.service("Zero", "_x._tcp"))
pump(60000)
"""))
    assert line(ours) == "board My board"
    assert line(theirs) == "board.local. 80 ['%s'] {b'path': b'/x'}" % US
    assert line(ours) == "['Zero']"
    assert line(ours) == "('zero.local', 99, [b'k=v'], ['%s'])" % THEM


def test_dig_as_a_simple_resolver(side, need):
    need("dig")
    ours = side.start(BOARD)
    assert line(ours) == "board My board"
    said = side.them.run("dig", "+short", "+time=2", "+tries=2", "-p", "5353", "@" + US,
                         "board.local", timeout=20)
    assert said.strip() == US
    with pytest.raises(RuntimeError):
        side.them.run("dig", "+short", "+time=1", "+tries=1", "-p", "5353", "@" + US,
                      "none.local", timeout=20)
