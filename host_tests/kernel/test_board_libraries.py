"""Libraries that boards use, as published, on MicroPython over spinet; their peers the kernel's."""
import contextlib
import json
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from play import KERNEL, OURS


def until_open(pair, port, address=KERNEL, tries=100):
    """Wait until a server of the kernel's listens."""
    for _ in range(tries):
        try:
            pair.kernel.connect((address, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("nothing listens on port %d" % port)


def said(process, word):
    """A script prints the line `word`, after others maybe."""
    lines = []
    while not lines or lines[-1].strip() != word:
        lines.append(process.stdout.readline())
        assert lines[-1], "".join(lines)


# Both write a log, with the time of a clock that the unix port lacks.
CLOCK = """
class machine:
    class RTC:
        def datetime(self, *args):
            return 2026, 1, 1, 0, 0, 0, 0, 0

sys.modules["machine"] = machine
"""


# -- MQTT ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def broker(pair, need):
    """Mosquitto on 1883 and, with TLS, 8883; called, it is begun anew and remembers sessions."""
    need("mosquitto")
    folder = pair.folder
    (folder / "mosquitto.conf").write_text(
        "user root\nallow_anonymous true\npersistence true\npersistence_location %s/\n"
        "listener 1883 %s\nlistener 8883 %s\ncertfile %s/ca.pem\nkeyfile %s/key\n"
        % (folder, KERNEL, KERNEL, folder, folder))
    running = []

    def begin():
        if running:
            running[-1].terminate()
            running[-1].wait()
        running.append(pair.kernel.popen("mosquitto", "-c", folder / "mosquitto.conf",
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until_open(pair, 1883)

    begin()
    return begin


class Watcher:
    """A client of the kernel's at the broker: `got` is what came, topic and payload."""

    def __init__(self, pair, port=1883, topic="#"):
        mqtt = pytest.importorskip("paho.mqtt.client")
        self.got = []
        self.ready = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.on_message = lambda c, u, m: self.got.append((m.topic, m.payload))
        self.client.on_subscribe = lambda *a: self.ready.set()
        with pair.kernel.entered():
            self.client.connect(KERNEL, port)
        self.client.subscribe(topic, 1)
        self.client.loop_start()
        assert self.ready.wait(10)

    def publish(self, topic, payload, qos=1, retain=False):
        self.client.publish(topic, payload, qos, retain).wait_for_publish(10)

    def until(self, count, seconds=10):
        end = time.monotonic() + seconds
        while len(self.got) < count and time.monotonic() < end:
            time.sleep(0.02)
        return self.got

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.client.loop_stop()
        self.client.disconnect()


MQTT = """
    from umqtt.simple import MQTTClient
    c = MQTTClient("board", %r, keepalive=60%s)
    c.set_callback(lambda topic, payload: print(topic.decode(), len(payload), payload[:5].decode()))
    c.set_last_will("will", "gone")
    c.connect()
    c.subscribe("to/board")
    c.publish("a", "zero")
    c.publish("b", b"x" * 3000, qos=1)
    c.ping()
    print("ready")
    for _ in range(4):      # the answer to the ping, three publications
        c.wait_msg()
    if %d:
        c.disconnect()
    else:
        c.sock.close()
"""


def test_umqtt_simple(pair, broker):
    pair.library("micropython-umqtt.simple")
    with Watcher(pair) as watcher:
        process = pair.start("micropython", MQTT % (KERNEL, "", 1))
        said(process, "ready")
        for payload in ("one", "two", "y" * 20000):
            watcher.publish("to/board", payload)
        out = process.communicate(timeout=30)[0]
        assert process.returncode == 0, out
        assert out.split("\n")[:3] == ["to/board 3 one", "to/board 3 two", "to/board 20000 yyyyy"]
        assert watcher.got[:2] == [("a", b"zero"), ("b", b"x" * 3000)]
        assert "will" not in [topic for topic, _ in watcher.got]


def test_the_last_will_of_umqtt_simple(pair, broker):
    pair.library("micropython-umqtt.simple")
    with Watcher(pair, topic="will") as watcher:
        process = pair.start("micropython", MQTT % (KERNEL, "", 0))
        said(process, "ready")
        for _ in range(3):
            watcher.publish("to/board", "x")
        assert process.wait(30) == 0
        assert watcher.until(1) == [("will", b"gone")]


def test_umqtt_simple_with_tls(pair, broker):
    pair.library("micropython-umqtt.simple")
    tls = ', ssl=True, ssl_params={"server_hostname": "board.test", "cadata": CA, "cert_reqs": 2}'
    # `ussl` is the old name, which firmware has not had since 1.23 and this library imports.
    begin = "\n    import ssl; sys.modules['ussl'] = ssl; CA = open('ca.der', 'rb').read()"
    with Watcher(pair) as watcher:
        process = pair.start("micropython", begin + MQTT % (KERNEL, tls, 1))
        said(process, "ready")
        for payload in ("one", "two", "y" * 20000):
            watcher.publish("to/board", payload)
        out = process.communicate(timeout=30)[0]
        assert process.returncode == 0, out
        assert out.split("\n")[:3] == ["to/board 3 one", "to/board 3 two", "to/board 20000 yyyyy"]
        assert watcher.got[:2] == [("a", b"zero"), ("b", b"x" * 3000)]


def test_umqtt_robust_comes_back_when_the_broker_does(pair, broker):
    pair.library("micropython-umqtt.simple", "micropython-umqtt.robust")
    process = pair.start("micropython", """
        import umqtt.robust
        class Client(umqtt.robust.MQTTClient):
            DELAY = 0.2
            def log(self, in_reconnect, e):
                if not in_reconnect:
                    print("lost")
        c = Client("robust", %r)
        c.set_callback(lambda topic, payload: print(payload.decode()))
        c.connect(False)
        c.subscribe("to/robust", 1)
        print("ready")
        c.wait_msg()
        c.publish("from/robust", "1", qos=1)
    """ % KERNEL)
    said(process, "ready")
    broker()
    said(process, "lost")
    with Watcher(pair, topic="from/robust") as watcher:
        watcher.publish("to/robust", "again")
        said(process, "again")
        assert watcher.until(1) == [("from/robust", b"1")]
    assert process.wait(10) == 0


def test_aiomqttc(pair, broker):
    pair.library("aiomqttc")
    with Watcher(pair, topic="from/#") as watcher:
        process = pair.start("micropython", CLOCK + textwrap.dedent("""
            import asyncio
            from aiomqttc import MQTTClient

            async def main():
                got = []
                event = asyncio.Event()

                async def message(client, topic, payload, retain):
                    got.append(payload)
                    if len(got) == 3:
                        event.set()

                c = MQTTClient("asyncio", %r, keepalive=10)
                c.on_message = message
                await c.connect()
                await c.subscribe("to/aio", 1)
                for i in range(20):
                    await c.publish("from/aio", b"%%d" %% i, qos=1)
                print("ready")
                await asyncio.wait_for(event.wait(), 20)
                print("got", [len(one) for one in got])
                await c.disconnect()

            asyncio.run(main())
        """ % KERNEL))
        said(process, "ready")
        for payload in ("one", "four", "z" * 5000):
            watcher.publish("to/aio", payload)
        out = process.communicate(timeout=40)[0]
        assert "got [3, 4, 5000]" in out
        assert watcher.until(20) == [("from/aio", b"%d" % i) for i in range(20)]


# -- Modbus -------------------------------------------------------------------


def test_modbus_client(pair):
    pytest.importorskip("pymodbus")
    pair.library("micropython-modbus")
    process = pair.kernel.popen(
        sys.executable, "-c", """
from pymodbus.server import StartTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
device = SimDevice(1, [SimData(0, values=list(range(100, 200)), datatype=DataType.REGISTERS)])
StartTcpServer(device, address=(%r, 502))
""" % KERNEL)
    assert process
    until_open(pair, 502)
    out = pair.play("micropython", """
        from umodbus.tcp import TCP
        c = TCP(%r)
        print(*c.read_holding_registers(1, 3, 4, False))
        print(c.write_single_register(1, 3, 4242, False))
        print(*c.read_holding_registers(1, 3, 1, False))
        print(c.write_multiple_registers(1, 10, [7, 8, 9], False))
        print(*c.read_holding_registers(1, 9, 5, False))
    """ % KERNEL)
    assert out == "103 104 105 106 True 4242 True 109 7 8 9 113".split()


def test_modbus_server(pair):
    client = pytest.importorskip("pymodbus.client")
    pair.library("micropython-modbus")
    process = pair.start("micropython", """
        from umodbus.tcp import ModbusTCP
        server = ModbusTCP()
        server.bind(%r, 502)
        server.setup_registers({
            "HREGS": {"h": {"register": 20, "len": 5, "val": [1, 2, 3, 4, 5]}},
            "COILS": {"c": {"register": 7, "len": 1, "val": 0}},
            "IREGS": {"i": {"register": 1, "len": 1, "val": 77}}})
        print("ready")
        while server.get_coil(7) != 1:
            server.process()
        print(server.get_hreg(21))
    """ % OURS)
    said(process, "ready")
    with pair.kernel.entered():
        peer = client.ModbusTcpClient(OURS, port=502, timeout=5)
        assert peer.connect()
    assert peer.read_holding_registers(20, count=5).registers == [1, 2, 3, 4, 5]
    assert peer.read_input_registers(1).registers == [77]
    assert not peer.write_register(21, 999).isError()
    assert not peer.write_coil(7, True).isError()
    peer.close()
    out = process.communicate(timeout=20)[0]
    assert process.returncode == 0 and "999" in out, out


# -- the web ------------------------------------------------------------------


@pytest.fixture
def microdot(pair, need):
    need("curl")
    pair.library("microdot")
    process = pair.start("micropython", """
        import asyncio
        from microdot import Microdot, send_file
        from microdot.websocket import with_websocket
        from microdot.sse import with_sse
        app = Microdot()

        @app.get("/")
        async def index(request):
            return "hello " + request.client_addr[0]

        @app.post("/json")
        async def post(request):
            return {"sum": sum(request.json["numbers"])}

        @app.get("/stream")
        async def stream(request):
            def parts():
                for i in range(200):
                    yield ("%d " % i) * 200
            return parts()

        @app.get("/file")
        async def file(request):
            return send_file("ca.der", content_type="application/octet-stream")

        @app.get("/echo")
        @with_websocket
        async def echo(request, ws):
            while True:
                await ws.send(await ws.receive())

        @app.get("/events")
        @with_sse
        async def events(request, sse):
            for i in range(5):
                await sse.send({"n": i}, event="tick")
                await asyncio.sleep_ms(20)

        print("ready")
        app.run(host="0.0.0.0", port=80)
    """)
    said(process, "ready")
    yield "http://" + OURS
    process.kill()
    process.wait()


def curl(pair, *args):
    return subprocess.run(
        ["ip", "netns", "exec", pair.kernel.name, "curl", "-sS", "--max-time", "20",
         "--retry", "5", "--retry-connrefused", *map(str, args)],
        capture_output=True, check=True).stdout


def test_microdot_and_curl(pair, microdot):
    assert curl(pair, microdot) == b"hello " + KERNEL.encode()
    numbers = json.dumps({"numbers": list(range(1000))})
    assert json.loads(curl(pair, microdot + "/json", "-H", "Content-Type: application/json", "-d",
                           numbers)) == {"sum": sum(range(1000))}
    assert curl(pair, microdot + "/stream").split() == [
        b"%d" % i for i in range(200) for _ in range(200)]
    assert curl(pair, microdot + "/file") == (pair.folder / "ca.der").read_bytes()
    assert curl(pair, microdot + "/none", "-o", "/dev/null", "-w", "%{http_code}") == b"404"


def test_microdot_serves_many_at_once(pair, microdot):
    answers = curl(pair, "--parallel", "--parallel-max", 10, *[microdot + "/"] * 30)
    assert answers == (b"hello " + KERNEL.encode()) * 30


def test_microdot_websocket(pair, microdot):
    client = pytest.importorskip("websockets.sync.client")
    sock = pair.kernel.connect((OURS, 80))
    sock.settimeout(None)
    with client.connect("ws://%s/echo" % OURS, sock=sock) as ws:
        for message in ("text", b"binary", "x" * 15000, "äöü"):
            ws.send(message)
            assert ws.recv(timeout=10) == message


def test_microdot_server_sent_events(pair, microdot):
    events = curl(pair, "-N", microdot + "/events").decode().split("\n\n")
    assert events[:5] == ['event: tick\ndata: {"n": %d}' % i for i in range(5)]


def test_websocket_client(pair):
    server = pytest.importorskip("websockets.sync.server")
    pair.library("micropython-websocket")

    def echo(ws):
        for message in ws:
            ws.send(message)

    with contextlib.closing(pair.kernel.listen(8765, KERNEL)) as sock:
        sock.settimeout(None)
        with server.serve(echo, sock=sock) as running:
            threading.Thread(target=running.serve_forever, daemon=True).start()
            out = pair.play("micropython", """
                from micropython_websocket import websocket
                ws = websocket.create_connection("ws://%s:8765/")
                for message in ("text", "x" * 300, "y" * 20000):
                    ws.send(message)
                    print(ws.recv() == message)
                ws.close()
            """ % KERNEL)
            running.shutdown()
    assert out == ["True"] * 3


def test_websocket_server(pair):
    client = pytest.importorskip("websockets.sync.client")
    pair.library("micropython-websocket-server")
    process = pair.start("micropython", """
        from micropython_websocket_server import websocket_server
        server = websocket_server.WebSocketServer("0.0.0.0", 8766)
        server.start()
        print("ready")
        conn, _ = server.accept()
        for _ in range(3):
            conn.send(conn.recv())
        conn.close()
        server.stop()
    """)
    said(process, "ready")
    sock = pair.kernel.connect((OURS, 8766))
    sock.settimeout(None)
    with client.connect("ws://%s/" % OURS, sock=sock) as ws:
        for message in ("text", "x" * 300, "y" * 20000):
            ws.send(message)
            assert ws.recv(timeout=10) == message
    out = process.communicate(timeout=20)[0]
    assert process.returncode == 0, out


# -- others -------------------------------------------------------------------


def test_socks_server(pair, need):
    """A server made of callbacks alone: option 20 of sockets."""
    need("curl")
    pair.library("micropython-socks")
    (pair.folder / "big").write_bytes(bytes(range(256)) * 2000)
    pair.kernel.popen(sys.executable, "-m", "http.server", "8080", "--bind", KERNEL,
                      cwd=pair.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until_open(pair, 8080)
    process = pair.start("micropython", """
        import socks
        socks.start(verbose=0)
        print("ready")
        while True:
            stack.idle()
    """)
    said(process, "ready")
    for _ in range(3):
        assert curl(pair, "--socks5", OURS + ":1080", "http://%s:8080/big" % KERNEL) == bytes(
            range(256)) * 2000
    process.kill()
    process.wait()


def test_phew_dns(pair, need):
    """A server of datagrams that waits in asyncio."""
    need("dig")
    pair.library("micropython-ccrighton-phew")
    process = pair.start("micropython", CLOCK + textwrap.dedent("""
        from phew import dns
        import asyncio
        dns.run_catchall(%r)
        print("ready")
        asyncio.get_event_loop().run_forever()
    """ % OURS))
    said(process, "ready")
    for name in ("a.example", "another.example"):
        out = pair.kernel.run("dig", "+short", "+noedns", "+tries=1", "+time=10", "@" + OURS, name)
        assert out.strip() == OURS
    process.kill()
    process.wait()
