"""Several boards on the gateway's switch, forwards both ways while it runs, and records."""
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from board.launch import free_ports
from boards import HostServer, echo
from gateway import Forward, Gateway, Lan, Outward, Recorder
from gateway import record as record_module
from gateway.forwards import Follower
from spinet import Stack, addr, dhcp, dns
from spinet import socket as ss
from spinet.ports.datagram import Datagram

HOST = "10.0.2.2"


class Boards:
    """`n` stacks on one switch with a gateway in a thread; with `ask` their addresses come by
    DHCP, which takes its time to look for conflicts."""

    def __init__(self, n, ask=False, **more):
        ports = free_ports(2 * n)
        links = list(zip(ports[::2], ports[1::2]))
        self.lan = Lan(links, **more)
        self.gateway = Gateway(self.lan, servers=[])
        self.stacks = []
        for i, (ours, theirs) in enumerate(links):
            stack = Stack()
            port = Datagram(("127.0.0.1", theirs), ("127.0.0.1", ours),
                            mac="02:00:00:00:01:%02x" % i)
            stack.ip = ip = stack.add(port)
            if ask:
                stack.client = dhcp.Dhcp(ip, hostname="board%d" % (i + 1))
                stack.client.start()
            else:
                ip.add_address("10.0.2.%d/24" % (15 + i))
                ip.set_ipv4_gateways([HOST])
                stack.dns_servers.append(addr.parse(HOST))
            self.stacks.append(stack)
        self.thread = threading.Thread(target=self.gateway.run, daemon=True)
        self.thread.start()
        self.until(lambda: all(s.ip.addresses for s in self.stacks))
        self.addresses = [s.ip.get_ipv4() for s in self.stacks]

    def until(self, done, seconds=20):
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, "it did not happen"
            for stack in self.stacks:
                stack.poll()
            time.sleep(0.002)

    def socket(self, i, type=ss.SOCK_STREAM):
        sock = self.stacks[i].socket(type)
        sock.settimeout(0)
        return sock

    def receive(self, sock, n=100):
        """What comes first."""
        self.until(lambda: sock.ready() & 1)
        return sock.recv(n)

    def close(self):
        self.gateway.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()
        self.gateway.close()
        for stack in self.stacks:
            stack.close()


@pytest.fixture
def make():
    made = []

    def make(*args, **more):
        made.append(Boards(*args, **more))
        return made[-1]

    yield make
    for boards in made:
        boards.close()


def served(boards, i, port=7):
    """An echo server on board `i` for one connection: what it has got, as it is polled."""
    listener = boards.socket(i)
    listener.bind(("0.0.0.0", port))
    listener.listen(4)
    return listener


def test_three_boards_talk_to_each_other_directly(make):
    boards = make(3, ask=True)
    assert sorted(boards.addresses) == ["10.0.2.15", "10.0.2.16", "10.0.2.17"]
    ears = [boards.socket(i, ss.SOCK_DGRAM) for i in range(3)]
    for ear in ears:
        ear.bind(("0.0.0.0", 99))
    for a in range(3):
        for b in range(3):
            if a != b:
                ears[a].sendto(b"%d to %d" % (a, b), (boards.addresses[b], 99))
                assert boards.receive(ears[b]) == b"%d to %d" % (a, b)
    assert boards.gateway.count["udp_flows"] == 0, "not through the gateway"
    flooded = boards.lan.switch.count["flooded"]
    for _ in range(20):
        ears[0].sendto(b"x", (boards.addresses[1], 99))
        boards.receive(ears[1])
    assert boards.lan.switch.count["flooded"] == flooded, "learnt where each is"


def test_a_broadcast_reaches_every_board_and_not_the_world(make):
    boards = make(3)
    ears = [boards.socket(i, ss.SOCK_DGRAM) for i in range(3)]
    for ear in ears:
        ear.setsockopt(ss.SOL_SOCKET, ss.SO_BROADCAST, 1)
        ear.bind(("0.0.0.0", 99))
    for group in ("255.255.255.255", "10.0.2.255"):
        ears[0].sendto(b"all", (group, 99))
        assert [boards.receive(ear) for ear in ears[1:]] == [b"all"] * 2
    time.sleep(0.1)
    assert boards.gateway.count["udp_flows"] == 0


def test_boards_have_names(make):
    boards = make(2, ask=True)
    stack = boards.stacks[0]
    assert [addr.fmt(a) for a in stack.dns_servers] == [HOST], "from DHCP"
    resolver = dns.resolver(stack)
    assert resolver.resolve("board2.lan") == [boards.addresses[1]]
    assert resolver.resolve("gateway") == [HOST]
    assert resolver.reverse(boards.addresses[1]) == ["board2.lan"]


def test_the_table_of_stations_is_bounded(make):
    boards = make(2)
    size = len(boards.lan.switch._table)
    port = boards.stacks[1].ip.id.port
    for i in range(2000):
        frame = b"\xff" * 6 + struct.pack("!HI", 0x0200, i) + b"\x88\xb5" + bytes(46)
        port.send(frame, len(frame))
        if i % 50 == 0:
            boards.stacks[0].poll()
            time.sleep(0.001)
    assert len(boards.lan.switch._table) == size
    assert dns.resolver(boards.stacks[0]).resolve("gateway.lan") == [HOST]


def test_forwards_come_and_go_while_it_runs(make):
    boards = make(2)
    listener = served(boards, 1)
    forward = boards.gateway.add_forward("tcp:0:%s:7" % boards.addresses[1])
    with socket.create_connection(("127.0.0.1", forward.host_port)) as sock:
        sock.sendall(b"hello")
        boards.until(lambda: listener.ready() & 1)
        inner, peer = listener.accept()
        assert boards.receive(inner) == b"hello" and peer[0] == HOST
        boards.gateway.remove_forward(forward)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", forward.host_port))
        inner.settimeout(5)
        inner.send(b"still")
        assert boards_recv(boards, sock) == b"still", "what is open stays"
    with pytest.raises(KeyError):
        boards.gateway.remove_forward(forward)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        boards.gateway.add_forward(Forward("tcp", taken.getsockname()[1], HOST, 7))


def boards_recv(boards, sock):
    got = []
    thread = threading.Thread(target=lambda: got.append(sock.recv(100)))
    thread.start()
    boards.until(lambda: got)
    thread.join()
    return got[0]


def test_a_udp_forward_that_ends_takes_its_flows_along(make):
    boards = make(1)
    ear = boards.socket(0, ss.SOCK_DGRAM)
    ear.bind(("0.0.0.0", 7))
    forward = boards.gateway.add_forward("udp:0:7")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", forward.host_port))
        assert boards.receive(ear) == b"x"
        assert len(boards.gateway.udp.flows) == 1
        boards.gateway.remove_forward(forward)
        assert not boards.gateway.udp.flows and not boards.gateway.udp.forwarded


def test_from_a_board_to_a_host_by_the_gateways_address(make):
    boards = make(1)
    with HostServer(echo) as server:
        forward = boards.gateway.add_forward("out:tcp:1883:127.0.0.1:%d" % server.port)
        sock = boards.socket(0)
        sock.settimeout(5)
        sock.connect((HOST, 1883))
        sock.sendall(b"hello")
        assert sock.recv(10) == b"hello"
        with pytest.raises(OSError):
            boards.gateway.add_forward(Outward("tcp", 1883, "127.0.0.1", 1))
        with pytest.raises(OSError):
            boards.gateway.add_forward(Outward("udp", 53, "127.0.0.1", 1))
        boards.gateway.remove_forward(forward)
        assert not boards.gateway.forwards.outward


def test_udp_from_a_board_by_the_gateways_address(make):
    boards = make(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        boards.gateway.add_forward("out:udp:514:127.0.0.1:%d" % server.getsockname()[1])
        sock = boards.socket(0, ss.SOCK_DGRAM)
        sock.sendto(b"log", (HOST, 514))
        boards.until(lambda: boards.gateway.count["udp_out"])
        server.settimeout(5)
        data, peer = server.recvfrom(100)
        server.sendto(data * 2, peer)
        boards.until(lambda: sock.ready() & 1)
        assert sock.recvfrom(100) == (b"loglog", (HOST, 514))


def test_from_a_board_to_a_board_by_the_gateways_address(make):
    boards = make(2)
    listener = served(boards, 1)
    forward = boards.gateway.add_forward("out:tcp:77:%s:7" % boards.addresses[1])
    sock = boards.socket(0)
    with pytest.raises(OSError):
        sock.connect((HOST, 77))
    boards.until(lambda: listener.ready() & 1)
    inner, peer = listener.accept()
    assert peer[0] == HOST
    inner.settimeout(0)
    boards.until(lambda: sock.ready() & 4)
    sock.send(b"over there")
    assert boards.receive(inner) == b"over there"
    boards.gateway.remove_forward(forward)
    assert not boards.gateway.opened and not boards.gateway.forwards.inner


def test_a_file_of_forwards_is_followed(make, tmp_path):
    boards = make(1)
    said = []
    path = tmp_path / "forwards"
    follower = Follower(boards.gateway, str(path), said.append)
    follower.look()
    path.write_text("# a comment\ntcp:0:7   # echo\nout:tcp:99:127.0.0.1:9\nnonsense\n")
    follower.look()
    assert len(boards.gateway.opened) == 1 and len(boards.gateway.forwards.outward) == 1
    assert len(said) == 3 and "nonsense" in said[2]
    follower.look()
    assert len(said) == 3, "nothing has changed"
    path.write_text("out:tcp:99:127.0.0.1:9\n")
    follower.look()
    assert not boards.gateway.opened and boards.gateway.forwards.outward
    path.unlink()
    follower.look()
    assert not boards.gateway.forwards.outward


def tshark(path, *options):
    if not shutil.which("tshark"):
        pytest.skip("needs tshark")
    done = subprocess.run(["tshark", "-r", str(path), *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_tshark_reads_everything_by_the_boards_names(make, tmp_path):
    path = tmp_path / "all.pcap"
    boards = make(3, ask=True, record=Recorder(str(path)))
    ears = [boards.socket(i, ss.SOCK_DGRAM) for i in range(3)]
    for ear in ears:
        ear.bind(("0.0.0.0", 99))
    ears[0].sendto(b"only these two", (boards.addresses[2], 99))
    boards.receive(ears[2])
    assert dns.resolver(boards.stacks[1]).resolve("board3.lan") == [boards.addresses[2]]
    boards.lan.record.close()
    rows = [row.split("\t") for row in tshark(
        path, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.protocols",
        "-e", "ip.dst", "-e", "dns.a", "-e", "_ws.malformed")]
    assert {row[0] for row in rows} == {"board1", "board2", "board3", "gateway"}
    assert [row for row in rows if row[0] == "board1" and row[2] == boards.addresses[2]
            and ":udp" in row[1]], "board to board"
    assert [row for row in rows if row[0] == "gateway" and row[3] == boards.addresses[2]]
    assert not [row for row in rows if len(row) > 4 and row[4]]
    assert len(rows) == boards.lan.record.recorded


def test_one_record_for_each_board(make, tmp_path):
    paths = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    boards = make(2, records=[Recorder(str(path)) for path in paths])
    dns.resolver(boards.stacks[0]).resolve("gateway.lan")
    for record in boards.lan.records:
        record.close()
    names = [tshark(path, "-Y", "dns && !mdns") for path in paths]
    assert len(names[0]) == 2 and len(names[1]) == 0, "question and answer, at one board only"


def test_a_pipe_and_a_reader_that_goes_away(make, tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes (POSIX)")
    path = tmp_path / "pipe"
    os.mkfifo(path)
    record = Recorder(str(path))
    boards = make(1, record=record)
    with open(path, "rb") as pipe:
        assert pipe.read(4) == b"\n\r\r\n"
        boards.until(lambda: record.recorded)
    resolver = dns.resolver(boards.stacks[0])
    for i in range(200):
        with pytest.raises(OSError):
            resolver.resolve("n%d.lan" % i)
        if record.error:
            break
    assert record.error and boards.thread.is_alive()


def test_what_the_writer_cannot_take_is_counted(tmp_path, monkeypatch):
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes (POSIX)")
    monkeypatch.setattr(record_module, "WAITING", 5)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    record = Recorder(str(path))        # nobody reads
    for _ in range(9):
        record.frame("x", bytes(60))
    assert record.dropped == 4


def test_a_board_that_goes_away_disturbs_nobody(make):
    boards = make(2)
    boards.stacks[1].ip.id.port.close()
    resolver = dns.resolver(boards.stacks[0])
    for i in range(5):
        with pytest.raises(OSError):
            resolver.resolve("x%d.lan" % i)
    assert resolver.resolve("gateway.lan") == [HOST] and boards.thread.is_alive()
