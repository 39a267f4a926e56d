"""The gateway's server of names: its messages, its bounds, and dig, dnsmasq and spinet.dns."""
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from gateway import names, nameserver
from spinet import dns, dnsmsg
from spinet.dnsmsg import encode
from test_gateway import HOST, Net

ZONE = names.Zone("lan", lambda: {"gateway": b"\x0a\0\2\2", "board1": b"\x0a\0\2\x0f"},
                  lambda address: address[:3] == b"\x0a\0\2")


def question(name, kind=dnsmsg.A, ident=0x1234, klass=1):
    return struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + encode(name) + struct.pack(
        "!HH", kind, klass)


def own(name, kind=dnsmsg.A, klass=1):
    found, rcode = names.read(question(name, kind, klass=klass))
    assert rcode == 0
    return ZONE.answer(found)


def rcode_of(message):
    return message[3] & 15


@pytest.mark.parametrize("name, kind, rcode, data", [
    ("board1.lan", 1, 0, b"\x0a\0\2\x0f"), ("BOARD1.Lan", 1, 0, b"\x0a\0\2\x0f"),
    ("board1", 1, 0, b"\x0a\0\2\x0f"), ("gateway", 1, 0, b"\x0a\0\2\2"),
    ("board1.lan", 28, 0, None), ("lan", 1, 0, None),
    ("board2.lan", 1, 3, None), ("www.board1.lan", 1, 3, None),
    ("15.2.0.10.in-addr.arpa", 12, 0, encode("board1.lan")),
    ("99.2.0.10.in-addr.arpa", 12, 3, None), ("15.2.0.10.in-addr.arpa", 1, 0, None)])
def test_own_names(name, kind, rcode, data):
    message = own(name, kind)
    assert message[:2] == b"\x12\x34" and message[2] & 0x84 == 0x84, "an answer, authoritative"
    assert rcode_of(message) == rcode
    assert message[7] == (data is not None)
    if data:
        assert message.endswith(data)


@pytest.mark.parametrize("name", [
    "example.com", "other", "1.1.168.192.in-addr.arpa", "x.in-addr.arpa", "notlan", "a.notlan",
    "1.2.3.256.in-addr.arpa"])
def test_names_of_others(name):
    assert own(name) is None


def test_another_class_is_refused():
    assert rcode_of(own("board1.lan", 16, klass=3)) == names.REFUSED


@pytest.mark.parametrize("message, rcode", [
    (b"", None), (b"\0" * 11, None), (question("a.b")[:2] + b"\x81" + question("a.b")[3:], None),
    (question("a.b")[:-1], names.FORMERR), (question("a.b")[:4] + bytes(8), names.FORMERR),
    (question("a.b")[:5] + b"\2" + question("a.b")[6:], names.FORMERR),
    (question("a.b")[:12] + b"\xc0\x0c\0\1\0\1", names.FORMERR),
    (question("a.b")[:12] + b"\x40a\0\0\1\0\1", names.FORMERR),
    (question("a.b")[:12] + b"\x3fa\0\0\1\0\1", names.FORMERR),
    (question("a.b")[:2] + b"\x10" + question("a.b")[3:], names.NOTIMP)])
def test_malformed_questions(message, rcode):
    assert names.read(message) == (None, rcode)
    if rcode:
        assert rcode_of(names.failure(message, rcode)) == rcode


def test_every_cut_and_every_changed_byte_is_survived():
    whole = question("board1.lan", 12)
    for i in range(len(whole)):
        names.read(whole[:i])
        for value in (0, 1, 63, 64, 192, 255):
            found, _ = names.read(whole[:i] + bytes([value]) + whole[i + 1:])
            if found is not None:
                ZONE.answer(found)
                names.by_resolver(found, [b"\1\2\3\4"] * 40)


def test_the_longest_answer_fits_plain_dns():
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    found, _ = names.read(question(longest))
    message = names.by_resolver(found, [bytes(4)] * 40)
    assert len(message) <= 512 and message[7] == names.MOST


class Upstream:
    """A server of names on 127.0.0.1 whose answers the test decides: UDP and TCP, one port."""

    def __init__(self, answer):
        self.answer = answer
        self.heard = []
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))

    def __enter__(self):
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()
        return self

    def serve_udp(self):
        while True:
            try:
                message, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if not message:
                return
            self.heard.append(("udp", message))
            answer = self.answer("udp", message)
            if answer:
                self.udp.sendto(answer, peer)

    def serve_tcp(self):
        while True:
            try:
                sock, _ = self.tcp.accept()
            except OSError:
                return
            with sock:
                message = sock.recv(4096)[2:]
                self.heard.append(("tcp", message))
                answer = self.answer("tcp", message)
                if answer:
                    sock.sendall(struct.pack("!H", len(answer)) + answer)

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()
        time.sleep(0.05)
        self.udp.close()


def say(message, address=b"\x0a\1\2\3"):
    found, _ = names.read(message)
    return names.answer(found, 0, [address], own=False)


@pytest.fixture
def make():
    nets = []

    def make(**more):
        net = Net(**more)
        net.stack.dns_servers[:] = [HOST]
        net.ping(HOST)          # several datagrams at once do not wait for ARP
        nets.append(net)
        return net

    yield make
    for net in nets:
        net.close()


def test_a_question_is_passed_on_as_it_came(make):
    with Upstream(lambda how, message: say(message)) as server:
        net = make(servers=[("127.0.0.1", server.port)])
        assert dns.resolver(net.stack).resolve("example.test") == ["10.1.2.3"]
        assert names.read(server.heard[0][1])[0].name == "example.test"
        assert server.heard[0][1][-11:-8] == b"\0\0\x29", "EDNS too"


def test_a_truncated_answer_leads_to_tcp_all_the_way(make):
    def answer(how, message):
        whole = say(message)
        return whole[:2] + bytes([whole[2] | 2]) + whole[3:] if how == "udp" else whole

    with Upstream(answer) as server:
        net = make(servers=[("127.0.0.1", server.port)])
        assert dns.resolver(net.stack).resolve("long.test") == ["10.1.2.3"]
        assert [how for how, _ in server.heard] == ["udp", "tcp"]


def test_a_silent_server_is_followed_by_the_next(make, monkeypatch):
    monkeypatch.setattr(nameserver, "TRY_S", 0.2)
    with Upstream(lambda *_: None) as silent, Upstream(lambda _, m: say(m)) as server:
        net = make(servers=[("127.0.0.1", silent.port), ("127.0.0.1", server.port)])
        assert dns.resolver(net.stack).resolve("example.test") == ["10.1.2.3"]
        assert silent.heard and server.heard


def test_servers_that_are_silent_are_given_up(make, monkeypatch):
    monkeypatch.setattr(nameserver, "TRY_S", 0.1)
    with Upstream(lambda *_: None) as silent:
        net = make(servers=[("127.0.0.1", silent.port)])
        with pytest.raises(OSError):
            dns.resolver(net.stack).resolve("example.test")
        assert len(silent.heard) >= 2
    assert net.gateway.count["dns_failed"] >= 1 and not net.gateway.names.waiting


def test_an_answer_to_another_question_is_ignored(make, monkeypatch):
    monkeypatch.setattr(nameserver, "TRY_S", 0.2)
    with Upstream(lambda _, m: b"\xff\xff" + say(m)[2:]) as liar:
        net = make(servers=[("127.0.0.1", liar.port)])
        with pytest.raises(OSError):
            dns.resolver(net.stack).resolve("example.test")
    assert net.gateway.count["dns_failed"] >= 1, "it is the gateway that would not have it"


def test_questions_under_way_are_bounded(make, monkeypatch):
    monkeypatch.setattr(nameserver, "WAITING", 3)
    with Upstream(lambda *_: None) as silent:
        net = make(servers=[("127.0.0.1", silent.port)])
        sock = net.socket(2)
        for i in range(8):
            sock.sendto(question("n%d.test" % i, ident=i), (HOST, 53))
        net.pump_until(lambda: net.gateway.count["dns"] == 8)
        assert len(net.gateway.names.waiting) == 3 and net.gateway.count["dns_busy"] == 5
        assert rcode_of(sock.recv(512)) == names.SERVFAIL


def test_the_hosts_own_resolver(make, monkeypatch):
    def resolve(name, *_):
        if name != "known.test":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(2, 1, 6, "", ("10.9.8.7", 0)), (2, 1, 6, "", ("127.0.1.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    net = make(servers=[])
    resolver = dns.resolver(net.stack)
    assert resolver.resolve("known.test") == ["10.9.8.7", HOST], "127.0.1.1 is the host"
    with pytest.raises(OSError):
        resolver.resolve("unknown.test")
    assert resolver.ask("known.test", 28) == []


def test_a_resolver_that_hangs_holds_nobody_up(make, monkeypatch):
    go = threading.Event()

    def resolve(name, *_):
        go.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(nameserver, "RESOLVE_S", 0.3)
    net = make(servers=[])
    sock = net.socket(2)
    for i in range(10):
        sock.sendto(question("n%d.test" % i, ident=i), (HOST, 53))
    assert [rcode_of(sock.recv(512)) for _ in range(10)] == [names.SERVFAIL] * 10
    assert len(net.gateway.names.workers) == nameserver.WORKERS
    assert dns.resolver(net.stack).resolve("gateway.lan") == [HOST]
    go.set()


def test_tcp_questions_in_pieces_and_nonsense(make):
    net = make(servers=[])
    sock = net.connect(53)
    message = question("gateway.lan")
    whole = struct.pack("!H", len(message)) + message
    for i in range(0, len(whole), 7):
        sock.sendall(whole[i:i + 7])
        net.stack.poll()
    answer = sock.recv(512)
    assert answer[2:4] == b"\x12\x34" and answer.endswith(b"\x0a\0\2\2")
    sock.sendall(b"\0\1x")
    with pytest.raises(OSError):
        sock.recv(1)
    net.pump_until(lambda: not net.gateway.names.streams)


def test_tcp_connections_are_bounded_and_time_out(make, monkeypatch):
    monkeypatch.setattr(nameserver, "STREAM_S", 3)
    net = make(servers=[])
    socks = [net.connect(53) for _ in range(nameserver.STREAMS)]
    net.pump_until(lambda: len(net.gateway.names.streams) == nameserver.STREAMS)
    with pytest.raises(OSError):        # the reset may come while it still connects
        net.connect(53).recv(1)
    assert net.gateway.count["dns_busy"] == 1
    net.pump_until(lambda: not net.gateway.names.streams)
    for sock in socks:
        with pytest.raises(OSError):
            sock.recv(1)


def test_dnsmasq_answers_through_the_gateway(make, tmp_path):
    if not shutil.which("dnsmasq"):
        pytest.skip("needs dnsmasq")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([
        "dnsmasq", "-k", "-p", str(port), "-h", "-R", "-a", "127.0.0.1", "--bind-interfaces",
        "-C", "/dev/null", "-x", str(tmp_path / "pid"), "--user=root",
        "--host-record=real.test,10.1.2.3", "--txt-record=real.test,hello",
        *("--host-record=many.test,10.2.%d.%d" % (i, j) for i in range(3) for j in range(40))])
    try:
        end = time.monotonic() + 10
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", port))
            probe.settimeout(0.2)
            while True:
                assert time.monotonic() < end, "dnsmasq does not start"
                try:
                    probe.send(question("real.test"))
                    probe.recv(512)
                    break
                except OSError:
                    time.sleep(0.05)
        net = make(servers=[("127.0.0.1", port)])
        resolver = dns.resolver(net.stack)
        assert resolver.resolve("real.test") == ["10.1.2.3"]
        assert resolver.ask("real.test", dns.TXT) == [[b"hello"]]
        assert resolver.reverse("10.1.2.3") == ["real.test"]
        assert len(resolver.ask("many.test", dns.A)) >= 30, "more than fits a datagram: TCP"
        with pytest.raises(OSError):
            resolver.resolve("none.test")
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("tcp", [False, True])
def test_dig_asks_the_gateway(make, tcp):
    """From another board's side: its port 53 of the host leads to the gateway's."""
    if not shutil.which("dig"):
        pytest.skip("needs dig (bind9-dnsutils)")
    net = make(servers=[])
    # A board that passes what dig says on to the gateway: dig is no stack of ours.
    relay = Passing(net, tcp)
    try:
        def dig(*words):
            run = subprocess.Popen(
                ["dig", "@127.0.0.1", "-p", str(relay.port), "+tries=1", "+time=5",
                 *(["+tcp"] if tcp else []), *words], stdout=subprocess.PIPE, text=True)
            relay.pass_until(lambda: run.poll() is not None)
            return run.stdout.read()

        assert dig("+short", "gateway.lan").strip() == HOST
        text = dig("gateway.lan", "AAAA")
        assert "status: NOERROR" in text and "ANSWER: 0" in text
        assert "status: NXDOMAIN" in dig("nobody.lan")
        assert dig("+short", "-x", HOST).strip() == "gateway.lan."
        assert "malformed" not in text.lower() and "warning" not in text.lower().replace(
            "recursion requested", "")
    finally:
        relay.close()


class Passing:
    """Carries dig's messages to the gateway's port 53 through the board's stack."""

    def __init__(self, net, tcp):
        self.net = net
        self.tcp = tcp
        self.outer = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.outer.bind(("127.0.0.1", 0))
        if tcp:
            self.outer.listen(4)
        self.outer.settimeout(0)
        self.port = self.outer.getsockname()[1]

    def pass_until(self, done):
        end = time.monotonic() + 15
        while not done():
            assert time.monotonic() < end
            self.net.stack.wait(min(self.net.stack.poll(), 5))
            try:
                if self.tcp:
                    sock, _ = self.outer.accept()
                    with sock:
                        sock.settimeout(5)
                        inner = self.net.connect(53)
                        inner.sendall(sock.recv(4096))
                        sock.sendall(inner.recv(4096))
                        inner.close()
                else:
                    message, peer = self.outer.recvfrom(4096)
                    inner = self.net.socket(2)
                    inner.sendto(message, (HOST, 53))
                    self.outer.sendto(inner.recv(4096), peer)
                    inner.close()
            except BlockingIOError:
                pass

    def close(self):
        self.outer.close()


def test_resolv_conf(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("# x\nnameserver 127.0.0.53\nnameserver ::1\nnameserver\nsearch a\n"
                    "nameserver 9.9.9.9 # y\nnameserver fe80::1%eth0\n")
    assert nameserver.nameservers(path) == [("127.0.0.53", 53), ("9.9.9.9", 53)]
    assert nameserver.nameservers(tmp_path / "none") == []


def test_dhcp_hands_out_the_gateway_as_name_server(make):
    net = make(servers=[])
    settings = dict(net.gateway.dhcp.settings)
    assert settings[6] == b"\x0a\0\2\2" and settings[15] == b"lan"
