"""Time, files, logs, ping and iperf, against the programs that everybody has."""
import os
import time

import netns
import pytest
from side import RUNTIMES, THEM, US, Side, line, wait_for


pytestmark = pytest.mark.slow

DATA = bytes((i * 31 + (i >> 8) * 7) & 255 for i in range(300000))


@pytest.fixture(params=RUNTIMES)
def side(request):
    made = Side(request.param)
    yield made
    made.close()


# -- time ---------------------------------------------------------------------

def chronyd(side, tmp_path, *lines):
    """chronyd as a server that leaves the machine's clock alone."""
    conf = tmp_path / "chrony.conf"
    conf.write_text("\n".join(("allow", "local stratum 8", "cmdport 0", "bindcmdaddress /",
                               "pidfile %s/pid" % tmp_path, *lines)) + "\n")
    side.daemon("chronyd", "-d", "-x", "-U", "-u", "root", "-f", conf, said="chronyd version")
    wait_for(lambda: ":123 " in side.them.run("ss", "-lun"))


def test_time_from_chrony(side, need, tmp_path):
    need("chronyd")
    chronyd(side, tmp_path)
    said = side.run("""
from spinet import sntp
from spinet.addr import parse
for _ in range(15):
    # chronyd takes a while to believe itself.
    q = sntp.ask(stack, "10.55.0.1")
    pump(2000, lambda: q.done)
    if q.time:
        break
    pump(1000)
stack.ntp_servers = [parse("10.55.0.77"), parse("10.55.0.1")]
t = sntp.get(stack)
say(t.server, t.stratum, t.delay_ms < 50)
say(t.offset_ms())
times = []
c = sntp.Client(stack, ("10.55.0.1",), times.append)
pump(3000, lambda: times)
say(len(times))
""")
    assert said[0] == THEM + " 8 True" and said[2] == "1"
    # MicroPython's clock here has whole seconds only.
    assert abs(int(said[1])) < 1100, said


def test_time_for_chrony(side, need, tmp_path):
    need("chronyd")
    ours = side.start("""
import time
from spinet import sntp, sntpd
base = int(time.time()) + sntp.epoch() + 100
began = stack.clock()
def now():
    ms = stack.clock() - began
    return base + ms // 1000, ms % 1000
sntpd.Server(stack, now, 3)
say("ready")
pump(30000)
""")
    assert line(ours) == "ready"
    conf = tmp_path / "q.conf"
    conf.write_text("server %s iburst maxsamples 4\npidfile %s/pid\ncmdport 0\n" % (US, tmp_path))
    said = side.them.run("sh", "-c", "chronyd -x -U -u root -Q -t 20 -f %s 2>&1" % conf,
                         timeout=40)
    # "System clock wrong by 99.873 seconds (ignored)"
    words = said.split("wrong by ")[1].split()
    assert 98 < float(words[0]) < 102, said


# -- files --------------------------------------------------------------------

def tftpd(side, tmp_path, *options):
    root = tmp_path / "tftp"
    root.mkdir(exist_ok=True)
    os.chmod(root, 0o777)
    side.daemon("in.tftpd", "--foreground", "--listen", "--address", THEM + ":69", "--user", "root",
                "--secure", "--create", "--permissive", *options, root)
    # It says nothing when it is ready; a request is repeated after a second anyway.
    time.sleep(0.3)
    return root


TFTP = """
from spinet import tftp
try:
    import hashlib, binascii
    got = tftp.get(stack, "10.55.0.1", "file")
    say(len(got), binascii.hexlify(hashlib.sha256(got).digest()).decode())
    say(tftp.put(stack, "10.55.0.1", "back", got))
    say(tftp.put(stack, "10.55.0.1", "empty", b""))
    say(len(tftp.get(stack, "10.55.0.1", "empty")), len(tftp.get(stack, "10.55.0.1", "even")))
    tftp.get(stack, "10.55.0.1", "missing")
except OSError as e:
    say(e.errno)
"""


@pytest.mark.parametrize("refused", (None, "blksize", "tsize"))
def test_files_by_tftp(side, need, tmp_path, refused):
    import hashlib

    need("in.tftpd")
    root = tftpd(side, tmp_path, *(("--refuse", refused) if refused else ()))
    data = DATA[:60000] if refused else DATA
    (root / "file").write_bytes(data)
    (root / "even").write_bytes(data[:1428 * 4])
    digest = hashlib.sha256(data).hexdigest()
    assert side.run(TFTP) == ["%d %s" % (len(data), digest), str(len(data)), "0", "0 5712", "2"]
    wait_for(lambda: (root / "back").exists() and (root / "back").read_bytes() == data)


# -- logs ---------------------------------------------------------------------

def test_syslog(side, need, tmp_path):
    need("rsyslogd")
    out = tmp_path / "out"
    conf = tmp_path / "rsyslog.conf"
    conf.write_text("""
global(workDirectory="%s")
module(load="imudp")
template(name="all" type="string" string="%%pri%% %%timestamp:::date-rfc3339%% %%hostname%% """
                    """%%app-name%% %%msgid%% [%%msg%%]\\n")
input(type="imudp" address="%s" port="514")
action(type="omfile" file="%s" template="all")
""" % (tmp_path, THEM, out))
    side.daemon("rsyslogd", "-n", "-f", conf, "-i", tmp_path / "pid")
    wait_for(lambda: "514" in side.them.run("ss", "-lun"))
    side.run("""
from spinet import syslog
log = syslog.Syslog(stack, "10.55.0.1", app="greenhouse", host="board",
                    clock=lambda: (1783000000, 125))
log.warning("pump 2 is dry")
log.send(syslog.CRIT, "caf\\u00e9", "ID7")
pump(300)
""")
    wait_for(lambda: out.exists() and out.read_text().count("\n") == 2)
    assert out.read_text().splitlines() == [
        "12 2026-07-02T13:46:40.125+00:00 board greenhouse - [pump 2 is dry]".replace(
            "+00:00", out.read_text().split()[1][23:]),
        "10 2026-07-02T13:46:40.125Z board greenhouse ID7 [\ufeffcafé]".replace(
            "Z", out.read_text().split()[1][23:]),
    ]


# -- ping, traceroute, arping -------------------------------------------------

def test_ping_and_traceroute_through_a_router(side, need):
    """us - them (a router) - far."""
    far = side.namespace("far")
    netns.veth(side.them, "k1", far, "f0")
    side.them.ip("address", "add", "10.56.0.1/24", "dev", "k1")
    far.ip("address", "add", "10.56.0.2/24", "dev", "f0")
    far.ip("route", "add", "default", "via", "10.56.0.1")
    side.them.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0",
                  "net.ipv4.icmp_msgs_per_sec=10000")
    far.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv4.icmp_msgs_per_sec=10000")
    mac = side.them.run("cat", "/sys/class/net/k0/address").strip()
    said = side.run("""
from spinet import diag
from spinet.addr import fmt_mac
p = diag.ping(stack, "10.56.0.2", 3, 1000, 50)
say(p.received, p.errors)
p = diag.ping(stack, "10.56.0.2", 1, 4000)
say(p.received)
p = diag.ping(stack, "10.56.0.2", 1, ttl=1, timeout_ms=500)
say(p.received, p.errors)
p = diag.ping(stack, "10.56.0.77", 1, timeout_ms=6000)
say(p.received, p.errors[:1])
t = diag.traceroute(stack, "10.56.0.2")
say(t.reached, [hop[0][0] for hop in t.hops], [len(hop) for hop in t.hops])
t = diag.traceroute(stack, "10.57.0.2", 3)
say(t.reached, sorted(set([a for hop in t.hops for a, ms in hop if a])))
say(fmt_mac(diag.arping(stack, "10.55.0.1").mac))
say(diag.arping(stack, "10.55.0.99", 1).mac)
""", address=US + "/24," + THEM)
    assert said == [
        "3 []", "1", "0 [(0, 11, 0, '10.55.0.1')]", "0 [(0, 3, 1, '10.55.0.1')]",
        "True ['10.55.0.1', '10.56.0.2'] [3, 3]", "False ['10.55.0.1']", mac, "None"]


def test_their_traceroute_and_arping_find_us(side, need):
    need("traceroute", "arping")
    ours = side.start("say('ready')\npump(20000)\n")
    assert line(ours) == "ready"
    assert US in side.them.run("traceroute", "-n", "-m", "3", US, timeout=20).splitlines()[1]
    said = side.them.run("arping", "-c", "2", "-I", "k0", US, timeout=20)
    assert "Received 2 response" in said or "2 packets received" in said


# -- iperf --------------------------------------------------------------------

@pytest.mark.parametrize("options", (
    "", "reverse=True", "parallel=3", "udp=True, bandwidth=4000000",
    "udp=True, bandwidth=4000000, reverse=True"))
def test_our_iperf_and_their_server(side, need, options):
    need("iperf3")
    side.daemon("iperf3", "-s", "-B", THEM, "--forceflush", said="Server listening")
    said = side.run("""
from spinet import iperf
r = iperf.client(stack, "10.55.0.1", seconds=1, %s)
say(r.bytes > 400000, r.lost * 10 <= r.packets, 900 < r.ms < 1500, r)
""" % options)
    assert said[0].startswith("True True True"), said


@pytest.mark.parametrize("options", ("", "-R", "-P 3", "-u -b 4M", "-u -b 4M -R",
                                     "-u -b 4M --udp-counters-64bit"))
def test_their_iperf_and_our_server(side, need, options):
    import json

    need("iperf3")
    ours = side.start("""
from spinet import iperf
s = iperf.Server(stack, on_result=lambda r: say(r.bytes > 400000, r.lost * 10 <= r.packets, r))
say("ready")
pump(30000)
""")
    assert line(ours) == "ready"
    out = json.loads(side.them.run("iperf3", "-c", US, "-t", "1", "-J", *options.split(),
                                   timeout=30))
    end = out["end"]
    summed = end.get("sum_received") or end["sum"]
    assert summed["bytes"] > 400000, end
    assert line(ours).startswith("True True")
