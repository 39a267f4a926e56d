"""The virtual board: firmware/main.py in a process of its own, reached through the gateway."""
import concurrent.futures
import socket
import time

import pytest

from board import launch
from boards import RUNTIMES, HostServer, Lab, echo, exchange, need_runtime, pattern

MB = 1 << 20


# For tests that move data: on each chip, not only on the W5500.
every_chip = pytest.mark.parametrize(
    "lab", ["%s-%s" % (runtime, chip) for chip in ("w5500", "enc28j60") for runtime in RUNTIMES],
    indirect=True, scope="module")


@pytest.fixture(scope="module", params=["%s-w5500" % runtime for runtime in RUNTIMES])
def lab(request, tmp_path_factory):
    runtime, chip = request.param.split("-")
    need_runtime(runtime)
    with Lab(tmp_path_factory.mktemp("flash"), runtime, chip=chip) as lab:
        lab.wait_up()
        yield lab


def test_page_is_the_file_on_flash(lab):
    status, headers, body = lab.get("/")
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    assert body == (launch.REPO / "firmware/www/index.html").read_bytes()


@every_chip
def test_status_says_what_the_board_is(lab):
    status = lab.status()
    assert status["interface"]["address"] == launch.ADDRESS
    assert status["interface"]["gateway"] == launch.GATEWAY
    assert status["interface"]["chip"] == lab.board.chip.upper()
    assert status["interface"]["link"] is True
    assert int(status["interface"]["mac"][:2], 16) & 3 == 2, "a locally administered unicast MAC"
    assert status["runtime"].startswith(
        {"cpython": "CPython", "micropython": "MicroPython"}[lab.board.runtime])
    assert {"name": "http/tcp", "port": 80}.items() <= status["services"][0].items()
    gateway = [a for a in status["arp"] if a["state"] == "reachable"]
    assert [a["ip"] for a in gateway] == [launch.GATEWAY]
    states = [s["state"] for s in status["sockets"]]
    assert states.count("LISTEN") == 4 and "ESTABLISHED" in states
    assert any(s["type"] == "udp" and s["local"] == "*:7" for s in status["sockets"])


def test_status_counts_move(lab):
    before = lab.status()
    after = lab.status()
    assert after["counters"]["eth0"]["rx"] > before["counters"]["eth0"]["rx"] > 0
    assert after["counters"]["tcp"]["established"] == before["counters"]["tcp"]["established"] + 1
    assert after["uptime_s"] >= before["uptime_s"] >= 0


def test_heap_is_said_where_the_runtime_knows(lab):
    heap = lab.status()["heap"]
    if lab.status()["runtime"].startswith("MicroPython"):
        assert heap["free"] > 10000 and heap["used"] > 10000
    else:
        assert heap == {"free": None, "used": None}


@pytest.mark.parametrize("path, method, wanted", [
    ("/nothing", "GET", 404), ("/../main.py", "GET", 404), ("/main.py", "GET", 404),
    ("/", "POST", 405), ("/status.json", "DELETE", 405)])
def test_http_refuses_with_the_right_status(lab, path, method, wanted):
    status, headers, _ = lab.get(path, method)
    assert status == wanted
    if wanted == 405:
        assert headers["Allow"] == "GET, HEAD"


def test_http_head_has_the_length_and_no_body(lab):
    status, headers, body = lab.get("/", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) == len(lab.get("/")[2])


@pytest.mark.parametrize("request_", [
    b"nonsense\r\n\r\n", b"\xff\xfe / HTTP/1.1\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 1025\r\n\r\n" + bytes(1025),
    b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n"])
def test_http_malformed_requests_are_answered_and_closed(lab, request_):
    said = len(lab.lines)
    assert ask(lab, request_).startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert lab.lines[said:] == [], "nothing is printed about it"


def ask(lab, request_):
    """All that the board answers to these bytes, to the end of the connection."""
    with lab.connect(80) as sock:
        sock.sendall(request_)
        answer = b""
        while part := sock.recv(4096):
            answer += part
    return answer


@pytest.mark.parametrize("request_", [
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: b\r\nCookie: " + b"c" * 4000 + b"\r\nAccept: *\r\n\r\n",
    b"GET /?a=1 HTTP/1.1\nHost: b\n\n",
    b"GET / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
    b"GET / HTTP/1.1\r\nHost: b\r\n\r\nGET /nothing HTTP/1.1\r\nHost: b\r\n\r\n"])
def test_http_answers_what_is_unusual(lab, request_):
    answer = ask(lab, request_)
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert answer.endswith((launch.REPO / "firmware/www/index.html").read_bytes())


def test_many_clients_at_once(lab):
    page = (launch.REPO / "firmware/www/index.html").read_bytes()
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        bodies = list(pool.map(lambda _: lab.get("/")[2], range(48)))
    assert all(body == page for body in bodies)


def test_slow_client_does_not_hold_up_others(lab):
    with lab.connect(80) as slow:
        slow.sendall(b"GET / HT")
        assert lab.get("/")[0] == 200
        slow.sendall(b"TP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
        assert slow.recv(12) == b"HTTP/1.0 200"


@pytest.mark.slow
def test_a_request_that_never_ends_is_given_up(lab):
    with lab.connect(80) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost")
        assert sock.recv(4096).startswith(b"HTTP/1.0 400 Bad Request\r\n")
        assert sock.recv(1) == b""


def test_waiting_clients_take_over_idle_connections(lab):
    idle = [lab.connect(80) for _ in range(8)]
    try:
        begun = time.monotonic()
        assert lab.get("/")[0] == 200
        assert time.monotonic() - begun < 5
    finally:
        for sock in idle:
            sock.close()


@every_chip
def test_tcp_echo_returns_one_megabyte_unchanged(lab):
    data = pattern(MB)
    with lab.connect(7) as sock:
        assert exchange(sock, data) == data


@every_chip
def test_tcp_echo_serves_several_at_once(lab):
    data = pattern(50000)

    def one(_):
        with lab.connect(7) as sock:
            return exchange(sock, data)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(answer == data for answer in pool.map(one, range(12)))


@every_chip
def test_discard_takes_one_megabyte(lab):
    with lab.connect(9) as sock:
        sock.sendall(bytes(MB))
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b"", "it closes when we have"


@every_chip
def test_source_sends_bytes_in_order(lab):
    got = bytearray()
    with lab.connect(19) as sock:
        while len(got) < MB:
            got += sock.recv(65536)
    assert got == (bytes(range(256)) * (len(got) // 256 + 1))[:len(got)]


@pytest.mark.parametrize("size", [0, 1, 64, 1400, 1472])
@every_chip
def test_udp_echo(lab, size):
    data = pattern(size)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", lab.port(7, "udp")))
        sock.send(data)
        assert sock.recv(2000) == data


@every_chip
def test_udp_echo_keeps_senders_apart(lab):
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
    for i, sock in enumerate(socks):
        sock.settimeout(5)
        sock.connect(("127.0.0.1", lab.port(7, "udp")))
        sock.send(b"sender %d" % i)
    for i, sock in enumerate(socks):
        with sock:
            assert sock.recv(100) == b"sender %d" % i


@every_chip
def test_board_is_idle_when_nothing_happens(lab):
    def cpu():
        with open("/proc/%d/stat" % lab.board.process.pid) as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    try:
        cpu()
    except OSError:
        pytest.skip("needs /proc")
    lab.status()
    time.sleep(0.5)
    before = cpu()
    time.sleep(2)
    assert cpu() - before <= 0.1, "at most 5 % of a processor; a busy loop takes 100"


OUTGOING = '''
from app import board, config
from spinet import socket

nic = board.bring_up(config.load())
host, port, udp_port, refused = %r
s = socket.socket()
s.settimeout(10)
s.connect((host, port))
sent = bytes(i & 255 for i in range(20000))
s.sendall(sent)
s.shutdown(socket.SHUT_WR)
back = b""
while True:
    part = s.recv(4096)
    if not part:
        break
    back += part
s.close()
print("tcp", back == sent)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(10)
u.sendto(b"a datagram", (host, udp_port))
data, peer = u.recvfrom(100)
print("udp", data == b"a datagram echoed", peer[0] == host, peer[1] == udp_port)
s = socket.socket()
s.settimeout(10)
try:
    s.connect((host, refused))
    print("not refused")
except OSError as error:
    print("refused", error.errno == 111)
print("done")
'''


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_board_reaches_servers_of_the_host(tmp_path, runtime):
    need_runtime(runtime)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed = socket.create_server(("127.0.0.1", 0))
    refused = closed.getsockname()[1]
    closed.close()
    with udp, HostServer(echo) as server:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(20)
        names = ("10.0.2.2", server.port, udp.getsockname()[1], refused)
        with Lab(tmp_path, runtime, program=OUTGOING % (names,), forwards=()) as lab:
            data, peer = udp.recvfrom(100)
            udp.sendto(data + b" echoed", peer)
            lab.wait_line("done")
            assert "tcp True" in lab.lines
            assert "udp True True True" in lab.lines
            assert "refused True" in lab.lines


@pytest.mark.parametrize("text, complaint", [
    ("{", "not valid JSON"), ('{"adress": 1}', "unknown setting 'adress'"),
    ('{"address": "10.0.0.300/24"}', "'address': "),
    ('{"hostname": 5}', "'hostname': not a text"), ("[]", "expected an object")])
def test_a_broken_configuration_is_reported_and_the_board_comes_up(tmp_path, text, complaint):
    lab = Lab(tmp_path, "cpython")
    (tmp_path / "netcfg.json").write_text(text)
    with lab:
        assert complaint in lab.wait_line("netcfg.json")
        lab.wait_line("spinet at 10.0.2.15/24")     # by DHCP
        assert lab.board.alive()


@pytest.mark.parametrize("runtime", ("cpython", "micropython"))
def test_the_address_comes_by_dhcp(tmp_path, runtime):
    need_runtime(runtime)
    with Lab(tmp_path, runtime, {"address": "dhcp", "gateway": "", "hostname": "desk-7"}) as lab:
        lab.wait_line("desk-7 at 10.0.2.15/24")
        status = lab.status()
        assert status["interface"]["address"] == launch.ADDRESS
        assert status["interface"]["gateway"] == launch.GATEWAY
        assert status["counters"]["eth0.dhcp"]["ack"] == 1
        assert lab.gateway.dhcp.leases()[0][2] == "desk-7"


BACKGROUND = """
import time
import spinet
from app import board, config

settings = config.load()
nic = board.bring_up(settings)
server = board.services(nic, settings)
nic.background()
echo = nic.stack.socket()
echo.bind(("", 5000))
echo.listen(1)
end = time.time() + 8
n = 0
print("computing")
while time.time() < end:
    n += 1
print("computed", nic._background.pumps > 50)
sock, peer = echo.accept()
sock.settimeout(10)
print("said", sock.recv(100))
sock.close()
nic.background(False)
"""


@pytest.mark.parametrize("runtime", ("cpython", "micropython"))
def test_dhcp_and_connections_go_on_while_the_board_computes(tmp_path, runtime):
    need_runtime(runtime)
    settings = {"address": "dhcp", "gateway": "", "services": {}}
    with Lab(tmp_path, runtime, settings, BACKGROUND, (("tcp", 5000),)) as lab:
        lab.wait_line("computing")
        assert lab.wait_line("spinet at 10.0.2.15/24", 10)
        assert not [line for line in lab.lines if line.startswith("computed")], "not meanwhile"
        with lab.connect(5000) as sock:
            sock.sendall(b"hello")
            assert not [line for line in lab.lines if line.startswith("computed")]
            lab.wait_line("computed True")
            lab.wait_line("said b'hello'")
