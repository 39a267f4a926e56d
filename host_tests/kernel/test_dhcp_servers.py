"""DHCP with real programs: our client with dnsmasq and ISC's server, our server with real clients.

A bridge in a namespace of its own joins the hosts, each in a namespace. DHCP is mostly waiting,
so what is to be tested is played several at a time; a test waits for the end of its own.
"""
import concurrent.futures
import contextlib
import os
import re
import select
import signal
import socket
import time

import lab
import netns
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

RUNTIMES = ("cpython", "micropython")
AT_ONCE = 6
MAC = "02:00:00:00:77:01"


class Talker:
    """A program of ours in a namespace, by lines."""

    def __init__(self, namespace, runtime, *args):
        self.process = namespace.popen(
            *lab.command(runtime, "dhcp_peer.py", *args), stdin=-1, stdout=-1, stderr=-2,
            bufsize=0, env=lab.environment())
        self.buffer = b""
        self.lines = []
        self.wait("ready")

    def wait(self, pattern, seconds=30):
        """The match of the next line that `pattern` fits; earlier ones are passed over."""
        end = time.monotonic() + seconds
        while True:
            while b"\n" in self.buffer:
                line, _, self.buffer = self.buffer.partition(b"\n")
                self.lines.append(line.decode())
                found = re.fullmatch(pattern, self.lines[-1])
                if found:
                    return found
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                pytest.fail("no %r; it said:\n%s" % (pattern, "\n".join(self.lines)))
            data = os.read(self.process.stdout.fileno(), 4096)
            if not data:
                pytest.fail("it ended:\n%s" % "\n".join(self.lines))
            self.buffer += data

    def say(self, word):
        self.process.stdin.write(word.encode() + b"\n")


class Net:
    """Namespaces on one bridge: `net["a"]` has the interface `a`."""

    def __init__(self, tmp_path, *names):
        self.tmp = tmp_path
        self.hosts = {}
        self.serial = 0
        self.bridge = netns.Namespace("bridge")
        try:
            self.build(names)
        except BaseException:
            self.close()
            raise

    def build(self, names):
        self.bridge.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.bridge.ip("link", "set", "br0", "up")
        for name in names:
            host = self.hosts[name] = netns.Namespace(name)
            netns.veth(self.bridge, "to-" + name, host, name)
            self.bridge.ip("link", "set", "to-" + name, "master", "br0")

    def close(self):
        for host in self.hosts.values():
            # dhcpcd leaves processes behind.
            for pid in netns.run("ip", "netns", "pids", host.name).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            host.close()
        self.bridge.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __getitem__(self, name):
        return self.hosts[name]

    def address(self, name, cidr):
        self[name].ip("address", "add", cidr, "dev", name)

    def file(self, name, text=""):
        self.serial += 1
        path = self.tmp / ("%d-%s" % (self.serial, name))
        path.write_text(text)
        os.chmod(path, 0o666)
        return path

    def cable(self, name, plugged):
        """Pull the cable of a host, or plug it in: at the bridge's end."""
        self.bridge.ip("link", "set", "to-" + name, "up" if plugged else "down")


class Daemon:
    """A server started in a namespace; `log()` is what it has written."""

    def __init__(self, host, log, command):
        self.path = log
        self.process = host.popen(*command, stdout=log.open("ab"), stderr=-2)

    def log(self):
        return self.path.read_text(errors="replace")

    def wait(self, text, seconds=20):
        end = time.monotonic() + seconds
        while text not in self.log():
            assert self.process.poll() is None and time.monotonic() < end, self.log()
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(5)


def dnsmasq(net, name, first, last, *options, lease="2m"):
    leases = net.file("dnsmasq.leases")
    daemon = Daemon(net[name], net.file("dnsmasq.log"), [
        "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=" + name,
        "--bind-interfaces", "--except-interface=lo", "--log-dhcp", "--no-ping", "--user=root",
        "--dhcp-leasefile=%s" % leases, "--dhcp-range=%s,%s,%s" % (first, last, lease), *options])
    daemon.leases = leases
    daemon.wait("DHCP, IP range")
    return daemon


def isc(net, name, first, last, times=(3, 6, 15), subnet="10.66.0.0", more=""):
    config = net.file("dhcpd.conf", """
        authoritative; ping-check false;
        min-lease-time %d; default-lease-time %d; max-lease-time %d;
        option dhcp-renewal-time %d; option dhcp-rebinding-time %d;
        option routers 10.66.0.1; option domain-name-servers 10.66.0.1, 10.66.0.2;
        option domain-name "lab.example"; option ntp-servers 10.66.0.3;
        option interface-mtu 1400; option domain-search "one.example", "two.example";
        option rfc3442-classless-static-routes code 121 = array of integer 8;
        %s
        subnet %s netmask 255.255.255.0 { range %s %s; }
        """ % (times[2], times[2], times[2], times[0], times[1], more, subnet, first, last))
    leases = net.file("dhcpd.leases")
    daemon = Daemon(net[name], net.file("dhcpd.log"), [
        "dhcpd", "-f", "-4", "-d", "--no-pid", "-user", "root", "-group", "root",
        "-cf", config, "-lf", leases, name])
    daemon.leases = leases
    daemon.wait("Sending on   Socket")
    return daemon


def until(condition, daemon, seconds=30):
    """Wait until the condition holds; what the daemon has written if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, daemon.log()
        time.sleep(0.1)


def ping(host, address):
    return host.run("ping", "-c", "1", "-W", "3", address)


def dnsmasq_lease_hostname_reboot_and_release(tmp_path, need, runtime):
    need("dnsmasq", "ping")
    with Net(tmp_path, "srv", "board") as net:
        net.address("srv", "10.66.0.1/24")
        server = dnsmasq(net, "srv", "10.66.0.50", "10.66.0.59", "--domain=lab.example",
                         "--dhcp-option=option:mtu,1300",
                         "--dhcp-option=option:ntp-server,10.66.0.9",
                         "--dhcp-option=option:dns-server,10.66.0.1",
                         "--dhcp-option=119,a.example,b.a.example",
                         "--dhcp-option=121,192.168.9.0/24,10.66.0.8")
        board = Talker(net["board"], runtime, "client", "board", "desk-7")
        address = board.wait(r"address (10\.66\.0\.5\d)")[1]
        # Option 121 takes the place of the router.
        assert board.wait("about .*")[0] == (
            "about 0.0.0.0 10.66.0.1 lab.example a.example,b.a.example 10.66.0.9 1300")
        board.wait(r"route 192\.168\.9\.0/24 by 10\.66\.0\.8")
        board.wait("server 10.66.0.1")
        ping(net["srv"], address)
        assert " %s desk-7 " % address in server.leases.read_text()
        assert "client provides name: desk-7" in server.log()
        # INIT-REBOOT: the cable is pulled, the connection stays.
        sock = net["srv"].connect((address, 7))
        sock.sendall(b"before")
        assert sock.recv(100) == b"before"
        net.cable("board", False)
        board.wait("link down")
        board.wait("state init-reboot")
        net.cable("board", True)
        board.wait("state bound")
        sock.settimeout(20)
        sock.sendall(b"after")
        assert sock.recv(100) == b"after"
        assert not [line for line in board.lines if line == "address 0.0.0.0"]
        # A release, seen by the server.
        board.say("off")
        board.wait(r"address 0\.0\.0\.0")
        server.wait("DHCPRELEASE(srv) " + address)
        until(lambda: not server.leases.read_text().strip(), server)
        board.say("on")
        assert board.wait(r"address (10\.66\.0\.5\d)")[1] == address, "asked for again"
        board.say("quit")
        board.wait("bye")


def isc_renewals_then_rebinding_to_dnsmasq_then_nak(tmp_path, need, runtime):
    need("dnsmasq", "dhcpd", "ping")
    with Net(tmp_path, "one", "two", "board") as net:
        net.address("one", "10.66.0.1/24")
        net.address("two", "10.66.0.2/24")
        first = isc(net, "one", "10.66.0.50", "10.66.0.59", (3, 6, 20))
        board = Talker(net["board"], runtime, "client", "board", "desk-8")
        address = board.wait(r"address (10\.66\.0\.5\d)")[1]
        assert board.wait("about .*")[0] == (
            "about 10.66.0.1 10.66.0.1,10.66.0.2 lab.example one.example,two.example 10.66.0.3"
            " 1400")
        board.wait("server 10.66.0.1")
        until(lambda: first.log().count("DHCPACK on %s" % address) >= 4, first)
        assert 'client-hostname "desk-8"' in first.leases.read_text()
        # The server dies; another one answers the rebinding.
        first.stop()
        second = dnsmasq(net, "two", "10.66.0.50", "10.66.0.59", "--dhcp-authoritative",
                         "--dhcp-option=58,00:00:00:04", "--dhcp-option=59,00:00:00:08")
        board.wait("server 10.66.0.2")
        assert "DHCPREQUEST(two) %s" % address in second.log()
        assert not [line for line in board.lines if line == "address 0.0.0.0"], "the address stays"
        ping(net["two"], address)
        # Moved to another network: NAK, and an address there.
        net.cable("board", False)
        board.wait("link down")
        second.stop()
        net.address("one", "10.67.0.1/24")
        net["one"].ip("address", "del", "10.66.0.1/24", "dev", "one")
        other = isc(net, "one", "10.67.0.50", "10.67.0.59", (30, 60, 120), subnet="10.67.0.0")
        net.cable("board", True)
        board.wait(r"address 0\.0\.0\.0")
        address = board.wait(r"address (10\.67\.0\.5\d)")[1]
        assert "DHCPNAK" in other.log()
        board.wait("about .*")
        ping(net["one"], address)


def pool_exhausted_link_local_then_a_lease(tmp_path, need, runtime):
    need("dnsmasq", "ping")
    with Net(tmp_path, "srv", "board") as net:
        net.address("srv", "10.66.0.1/24")
        server = dnsmasq(net, "srv", "10.66.0.50", "10.66.0.50")
        server.stop()
        server.leases.write_text("%d 02:00:00:00:99:99 10.66.0.50 other *\n" % (time.time() + 20))
        again = Daemon(net["srv"], server.path, server.process.args[4:])
        board = Talker(net["board"], runtime, "client", "board", "desk-9")
        again.wait("no address available")
        board.wait(r"address 169\.254\.\d+\.\d+", 40)
        board.wait(r"address 10\.66\.0\.50", 100)
        assert not board.buffer.startswith(b"address 169")
        ping(net["srv"], "10.66.0.50")


def conflict_is_declined(tmp_path, need, runtime):
    need("dnsmasq", "ping")
    with Net(tmp_path, "srv", "squatter", "board") as net:
        net.address("srv", "10.66.0.1/24")
        net.address("squatter", "10.66.0.50/24")
        net["board"].ip("link", "set", "board", "address", MAC)
        server = dnsmasq(net, "srv", "10.66.0.50", "10.66.0.51", "--dhcp-sequential-ip")
        board = Talker(net["board"], runtime, "client", "board", "desk-10")
        board.wait("conflict")
        server.wait("DHCPDECLINE(srv) 10.66.0.50 " + MAC)
        board.wait(r"address 10\.66\.0\.51", 40)
        # Somebody takes the address later: it is defended, and the owner hears of it.
        net["squatter"].ip("address", "flush", "dev", "squatter")
        with net["squatter"].entered():
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
        raw.settimeout(5)
        raw.bind(("squatter", 0x0806))
        claim = b"\0\1\x08\0\6\4\0\1\2\0\0\0\0\x55\x0a\x42\0\x33" + bytes(6) + b"\x0a\x42\0\x33"
        raw.send(b"\xff" * 6 + b"\2\0\0\0\0\x55\x08\x06" + claim)
        board.wait("conflict")
        mine = bytes.fromhex(MAC.replace(":", ""))
        while True:
            frame = raw.recv(100)
            if frame[6:12] == mine and frame[28:32] == frame[38:42] == b"\x0a\x42\0\x33":
                break
        raw.close()


def pings_and_renewals_while_it_computes(tmp_path, need, runtime):
    need("dhcpd", "ping")
    with Net(tmp_path, "srv", "board") as net:
        net.address("srv", "10.66.0.1/24")
        server = isc(net, "srv", "10.66.0.50", "10.66.0.59", (3, 6, 9))
        board = Talker(net["board"], runtime, "client", "board", "desk-11")
        address = board.wait(r"address (10\.66\.0\.5\d)")[1]
        board.wait("state bound")
        board.say("compute")
        board.wait("computing")
        before = server.log().count("DHCPACK on %s" % address)
        net["srv"].run("ping", "-c", "40", "-i", "0.2", "-W", "2", address)
        # The lease is for nine seconds.
        assert server.log().count("DHCPACK on %s" % address) >= before + 2, server.log()
        assert not select.select([board.process.stdout], [], [], 0)[0], "it computes on"
        board.wait("computed")
        assert "address 0.0.0.0" not in board.lines


# What dhclient and udhcpc call, with $reason or $1, to configure the interface.
SCRIPT = """#!/bin/sh
case "$reason$1" in
BOUND|REBOOT|bound) ip address add $new_ip_address$ip/24 dev $interface;;
EXPIRE|RELEASE|STOP|deconfig) ip address flush dev $interface; ip link set $interface up;;
esac
exit 0
"""


def commands(net, client, name):
    """How a real client is started on the interface `name`, and told to give its lease back: by
    another command, or a signal."""
    script = net.file("script", SCRIPT)
    os.chmod(script, 0o755)
    if client == "dhclient":
        files = ["-4", "-sf", script, "-lf", net.file("leases"), "-pf", net.tmp / "pid", name]
        config = net.file("dhclient.conf", 'send host-name "real";\n')
        return ["dhclient", "-d", "-cf", config, *files], ["dhclient", "-r", *files]
    if client == "udhcpc":
        return ["busybox", "udhcpc", "-f", "-R", "-a", "-i", name, "-s", script,
                "-x", "hostname:real"], signal.SIGTERM
    return ["dhcpcd", "-4", "-B", "-d", "-f", net.file("dhcpcd.conf", "hostname real\n"),
            "--script", "/bin/true", name], ["dhcpcd", "-4", "--release", name]


def our_server_and_real_clients(tmp_path, need, runtime, client):
    need("busybox" if client == "udhcpc" else client, "ping")
    # dhcpcd has files in /run and /var, named after the interface.
    name = "c%s%d" % (runtime[0], os.getpid() % 100000)
    with Net(tmp_path, "srv", name) as net:
        net[name].ip("link", "set", name, "address", MAC)
        server = Talker(net["srv"], runtime, "server", "srv", "10.66.0.1/24", "10.66.0.50",
                        "10.66.0.59", "12")
        start, release = commands(net, client, name)
        log = net.file("client.log")
        process = net[name].popen(*start, stdout=log.open("ab"), stderr=-2)
        server.wait(r"leases 1 10\.66\.0\.50/%s/real" % MAC)
        deadline = time.monotonic() + 15
        while "10.66.0.50/24" not in net[name].ip("address", "show", "dev", name):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        ping(net[name], "10.66.0.1")
        server.wait(r"leases [2-9] 10\.66\.0\.50/%s/real" % MAC)     # renewed
        time.sleep(2)       # dhcpcd dies, without a release, if told so while it renews
        if isinstance(release, list):
            net[name].popen(*release, stdout=log.open("ab"), stderr=-2)
        else:
            process.send_signal(release)
        server.wait(r"leases \d+ ")
    with contextlib.suppress(FileNotFoundError):
        os.unlink("/var/lib/dhcpcd/%s.lease" % name)


def our_server_real_client_asks_for_the_wrong_network(tmp_path, need, runtime):
    need("busybox")
    with Net(tmp_path, "srv", "c") as net:
        net["c"].ip("link", "set", "c", "address", MAC)
        server = Talker(net["srv"], runtime, "server", "srv", "10.66.0.1/24", "10.66.0.50",
                        "10.66.0.59")
        start, _ = commands(net, "udhcpc", "c")
        net["c"].popen(*start, "-r", "192.168.5.5", stdout=net.file("client.log").open("ab"),
                       stderr=-2)
        server.wait(r"leases 1 10\.66\.0\.50/%s/real" % MAC)


SCENARIOS = {
    "dnsmasq_lease_hostname_reboot_and_release": dnsmasq_lease_hostname_reboot_and_release,
    "isc_renewals_then_rebinding_to_dnsmasq_then_nak":
        isc_renewals_then_rebinding_to_dnsmasq_then_nak,
    "pool_exhausted_link_local_then_a_lease": pool_exhausted_link_local_then_a_lease,
    "conflict_is_declined": conflict_is_declined,
    "pings_and_renewals_while_it_computes": pings_and_renewals_while_it_computes,
    "our_server_and_dhclient": lambda *args: our_server_and_real_clients(*args, "dhclient"),
    "our_server_and_udhcpc": lambda *args: our_server_and_real_clients(*args, "udhcpc"),
    "our_server_and_dhcpcd": lambda *args: our_server_and_real_clients(*args, "dhcpcd"),
    "our_server_real_client_asks_for_the_wrong_network":
        our_server_real_client_asks_for_the_wrong_network,
}


@pytest.fixture(scope="module")
def running(request, tmp_path_factory, need):
    """What was selected of this module, under way: {(scenario, runtime): future}."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {}
        for item in request.session.items:
            if item.path == request.path:
                scenario, runtime = (item.callspec.params[k] for k in ("scenario", "runtime"))
                futures[scenario, runtime] = pool.submit(
                    SCENARIOS[scenario], tmp_path_factory.mktemp("dhcp"), need, runtime)
        yield futures
        for future in futures.values():
            future.cancel()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_dhcp(running, scenario, runtime):
    running[scenario, runtime].result()
