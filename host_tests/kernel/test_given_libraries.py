"""Libraries as their repositories have them (given.py), over spinet, against real servers."""
import contextlib
import datetime
import hashlib
import json
import shutil
import subprocess
import textwrap
import threading
import time

import lab as lab_module
import pytest
from given import given
from play import BEGIN, KERNEL, OURS, Pair
from spinet.ports.rawsocket import RawSocket
from test_board_libraries import Watcher, broker, said  # noqa: F401


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    made = Pair(tmp_path_factory.mktemp("given"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nothing_runs_on(pair):
    yield
    pair.end()


def give(pair, *files):
    """Put files of GIVEN where the scripts find them."""
    for file in files:
        to = pair.folder / file
        to.parent.mkdir(exist_ok=True)
        shutil.copyfile(given(file), to)


# -- time ---------------------------------------------------------------------


@pytest.fixture
def chrony(pair, need):
    need("chronyd")
    conf = pair.folder / "chrony.conf"
    conf.write_text("allow\nlocal stratum 8\ncmdport 0\nbindcmdaddress /\npidfile %s/chrony.pid\n"
                    % pair.folder)
    server = pair.kernel.popen("chronyd", "-d", "-x", "-U", "-u", "root", "-f", conf,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield server
    server.terminate()
    server.wait()


def test_ntptime(pair, chrony):
    give(pair, "ntptime.py")
    out = pair.play("micropython", """
        import ntptime, time
        class machine:
            class RTC:
                def datetime(self, to): print("set", *to)
        sys.modules["machine"] = machine
        ntptime.host = %r
        for _ in range(40):     # until chronyd has begun
            try:
                print("off", ntptime.time() - int(time.time()))
                ntptime.settime()
                break
            except OSError as e:
                time.sleep(0.2)
    """ % KERNEL)
    assert out[0] == "off" and abs(int(out[1])) <= 1, out
    year, month, day, weekday, *clock = map(int, out[3:])
    now = time.gmtime()
    assert (year, month, day, weekday) == (now[0], now[1], now[2], now[6] + 1)
    assert len(clock) == 4 and clock[3] == 0


def test_ntptime_when_nobody_answers(pair):
    give(pair, "ntptime.py")
    with contextlib.closing(pair.kernel.socket(2)) as sock:     # SOCK_DGRAM
        sock.bind((KERNEL, 123))
        out = pair.play("micropython", """
            import errno, ntptime, time
            ntptime.host = %r
            began = time.ticks_ms()
            try:
                ntptime.time()
            except OSError as e:
                took = time.ticks_diff(time.ticks_ms(), began)
                print(e.errno == errno.ETIMEDOUT, 900 < took < 3000)
        """ % KERNEL)
        assert out == ["True"] * 2 and len(sock.recv(100)) == 48


# -- aiohttp ------------------------------------------------------------------


@pytest.fixture(scope="module")
def nginx(pair, need):
    need("nginx")
    root = pair.folder / "served"
    root.mkdir()
    (root / "data").write_bytes(bytes(range(256)) * 400)
    (root / "numbers.json").write_text(json.dumps(list(range(3000))))
    (root / "part.html").write_text("part of it\n")
    (root / "whole.shtml").write_text('begin <!--#include virtual="/part.html" --> end\n' * 40)
    (pair.folder / "nginx.conf").write_text("""
daemon off; user root; worker_processes 1; pid %(f)s/nginx.pid; error_log %(f)s/nginx.log;
events {}
http {
  access_log off; root %(f)s/served; types { application/json json; text/html shtml html; }
  client_body_temp_path %(f)s/t1; proxy_temp_path %(f)s/t2; fastcgi_temp_path %(f)s/t3;
  uwsgi_temp_path %(f)s/t4; scgi_temp_path %(f)s/t5; client_body_in_single_buffer on;
  gzip on; gzip_types application/json; gzip_http_version 1.0; ssi on;
  server { listen %(k)s:80; location /moved { return 302 http://%(k)s/data; }
           location /echo { proxy_pass http://%(k)s:81; } }
  server { listen %(k)s:81; gzip off; location /echo {
             return 200 "$request_method $content_type $content_length $http_x_mine $args"; } }
  server { listen %(k)s:443 ssl; ssl_certificate %(f)s/ca.pem; ssl_certificate_key %(f)s/key; }
}
""" % {"f": pair.folder, "k": KERNEL})
    pair.program(443, "nginx", "-p", pair.folder, "-c", pair.folder / "nginx.conf")
    return root


HTTP = """
    import asyncio, hashlib, binascii, aiohttp

    async def fetch(url, **more):       # a session has one connection at a time
        async with aiohttp.ClientSession() as session:
            async with session.get(url, **more) as response:
                body = await response.read()
                return "%d %s" % (response.status,
                                  binascii.hexlify(hashlib.sha256(body).digest()).decode())
"""


def test_aiohttp(pair, nginx):
    give(pair, "aiohttp/__init__.py", "aiohttp/aiohttp_ws.py")
    out = pair.play("micropython", HTTP + """
    async def main():
        tasks = [fetch("http://%(k)s/" + path) for path in ("data", "moved") * 4 + ("none",)]
        for one in await asyncio.gather(*tasks):
            print(one)
        async with aiohttp.ClientSession("http://%(k)s") as session:
            zipped = {"Accept-Encoding": "gzip"}
            async with session.get("/numbers.json", headers=zipped) as response:
                print(response.headers["Content-Encoding"], sum(await response.json()))
            async with session.post("/echo", json={"a": 1}, params={"q": 5},
                                    headers={"X-Mine": "yes"}) as response:
                print(await response.text())
            async with session.put("/echo", data=b"x" * 9000) as response:
                print(await response.text())
    asyncio.run(main())
    """ % {"k": KERNEL})
    named = hashlib.sha256((nginx / "data").read_bytes()).hexdigest()
    assert out[:16] == ["200", named] * 8 and out[16] == "404"
    assert out[18:20] == ["gzip", str(sum(range(3000)))]
    assert out[20:] == ["POST", "application/json", "8", "yes", "q=5",
                        "PUT", "application/octet-stream", "9000"]


def test_aiohttp_reads_chunks(pair, nginx):
    give(pair, "aiohttp/__init__.py", "aiohttp/aiohttp_ws.py")
    out = pair.play("micropython", HTTP + """
    async def main():
        async with aiohttp.ClientSession(version=aiohttp.HttpVersion11) as session:
            async with session.get("http://%s/whole.shtml") as response:
                print(response.headers["Transfer-Encoding"])
                whole = b""
                while part := await response.read():
                    whole += part
                print(whole.count(b"begin part of it"), len(whole))
    asyncio.run(main())
    """ % KERNEL)
    assert out == ["chunked", "40", str(40 * len("begin part of it\n end\n"))]


def test_aiohttp_with_tls(pair, nginx):
    give(pair, "aiohttp/__init__.py", "aiohttp/aiohttp_ws.py")
    out = pair.play("micropython", HTTP + """
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_NONE

    async def main():
        print(await fetch("https://%s/data", ssl=context))
    asyncio.run(main())
    """ % KERNEL)
    assert out == ["200", hashlib.sha256((nginx / "data").read_bytes()).hexdigest()]


def test_aiohttp_websocket(pair):
    """With a server that does not look at the client's key: it has b'' around it."""
    pytest.importorskip("microdot")
    give(pair, "aiohttp/__init__.py", "aiohttp/aiohttp_ws.py")
    pair.serve(8768, """
        from microdot import Microdot
        from microdot.websocket import with_websocket
        app = Microdot()

        @app.get("/echo")
        @with_websocket
        async def echo(request, ws):
            while True:
                message = await ws.receive()
                await ws.send(b"", ws.PING)
                await ws.send(message)

        app.run(%r, 8768)
    """ % KERNEL)
    out = pair.play("micropython", """
        import asyncio, aiohttp

        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect("ws://%s:8768/echo") as ws:
                    for one in ("text", "x" * 300, "y" * 900):
                        await ws.send_str(one)
                        print(await ws.receive_str() == one)
                    await ws.send_bytes(b"z" * 500)
                    print(await ws.receive_bytes() == b"z" * 500)
                    await ws.send_json({"a": [1, 2]})
                    print((await ws.receive_json())["a"])
                    await ws.send_str("enough")
                    async for message in ws:
                        print(message.data)
                        await ws.close()
            print("closed")

        asyncio.run(main())
    """ % KERNEL)
    assert out == ["True"] * 4 + ["[1,", "2]", "enough", "closed"]


# -- aiorepl ------------------------------------------------------------------


@pytest.fixture
def terminal(pair):
    """`terminal(code)` runs `code` behind the lines that install spinet, in a terminal."""
    pexpect = pytest.importorskip("pexpect")
    running = []

    def terminal(code):
        file = pair.folder / "terminal.py"
        file.write_text(BEGIN + textwrap.dedent(code))
        command = " ".join(map(str, lab_module.command("micropython", file)))
        running.append(pexpect.spawn(
            "ip", ["netns", "exec", pair.ours.name, "sh", "-c", "stty raw -echo; exec " + command],
            env=lab_module.environment(), cwd=pair.folder, encoding="utf-8", timeout=20))
        return running[-1]

    yield terminal
    for child in running:
        child.close(force=True)


def test_aiorepl_beside_servers(pair, terminal):
    """A prompt in the program's own loop, that uses its connections while it goes on serving."""
    give(pair, "aiorepl.py")
    with contextlib.closing(pair.kernel.listen(7007, KERNEL)) as sock:
        child = terminal("""
            import asyncio, aiorepl
            served = []

            async def serve(reader, writer):
                served.append(await reader.readline())
                writer.write(b"%%d\\n" %% len(served))
                await writer.drain()
                writer.close()
                await writer.wait_closed()

            async def ask(text):
                reader, writer = await asyncio.open_connection(%r, 7007)
                writer.write(text)
                await writer.drain()
                answer = await reader.readline()
                writer.close()
                return answer

            async def main():
                await asyncio.start_server(serve, "0.0.0.0", 7)
                await aiorepl.task(globals())

            asyncio.run(main())
            print("over")
        """ % KERNEL)

        def do(line, answer):
            child.send(line + "\n")
            child.expect_exact(answer)
            child.expect_exact("--> ")

        def serves(number):
            with contextlib.closing(pair.kernel.connect((OURS, 7))) as client:
                client.sendall(b"hello %d\n" % number)
                assert client.recv(10) == b"%d\n" % number

        child.expect_exact("--> ")
        do("6 * 7", "42")
        serves(1)
        do("served", "[b'hello 1\\n']")
        child.send("answer = await ask(b'how much?\\n')\n")
        waiting = sock.accept()[0]
        assert waiting.recv(100) == b"how much?\n"
        serves(2)                           # while the prompt waits
        waiting.sendall(b"4711\n")
        child.expect_exact("--> ")
        do("answer", "b'4711\\n'")
        child.send("await ask(b'?')\n")      # nobody answers that
        other = sock.accept()[0]
        child.send("\x03")
        child.expect_exact("--> ")
        serves(3)
        do("len(served)", "3")
        do("\x1b[A", "3")                  # the last command again
        waiting.close()
        other.close()
        child.send("\x04")
        child.expect_exact("over")


# -- MQTT ---------------------------------------------------------------------

MQTT_AS = """
class machine:
    unique_id = lambda: b"board"
sys.modules["machine"] = machine        # the unix port's has no number of its own
import asyncio
from %(module)s import MQTTClient, config
config.update(server=%(server)r, keepalive=%(keepalive)d, response_time=4,
              will=("will", "gone", False, 0), **%(more)s)
got = []

async def up(client):       # after each connect
    await client.subscribe("to/board", 1)
    print("subscribed")

async def until(count):
    while len(got) < count:
        await asyncio.sleep_ms(20)
    print("got", [len(one) for one in got])

async def main():
    client = MQTTClient(config)
    await client.connect(quick=True)
    while not got:
        await client.publish("from/none", b"0", qos=0)
        await asyncio.sleep_ms(200)
    for i in range(10):
        await client.publish("from/one", b"%%d" %% i, qos=1)
    await client.publish("from/big", b"x" * 9000, qos=1)
    await until(3)
    await asyncio.sleep(4)      # longer than the broker's patience: it gets pings
    await client.publish("from/later", str(await client.broker_up()), qos=1)
    await until(4)
    await client.publish("from/again", "back", retain=True, qos=1)
    await client.%(end)s

config["subs_cb"] = lambda topic, message, retained, *_: got.append(message)
config["connect_coro"] = up
asyncio.run(main())
"""


def mqtt_as(pair, broker, module, more, end):  # noqa: F811
    """A board's life with a broker that is begun anew; its last wills that were published."""
    give(pair, module + "/__init__.py")
    broker()
    with Watcher(pair, topic="from/#") as watcher:
        process = pair.start("micropython", MQTT_AS % {
            "module": module, "server": KERNEL, "keepalive": 2, "more": more, "end": end})
        said(process, "subscribed")
        for payload in ("one", "four", "z" * 5000):
            watcher.publish("to/board", payload)
        said(process, "got [3, 4, 5000]")
        until = time.monotonic() + 40
        while not watcher.got or watcher.got[-1][0] != "from/later":
            assert time.monotonic() < until, watcher.got
            time.sleep(0.1)
        one = [payload for topic, payload in watcher.got if topic == "from/one"]
        assert one == [b"%d" % i for i in range(10)]
        assert ("from/none", b"0") in watcher.got and ("from/big", b"x" * 9000) in watcher.got
        assert watcher.got[-1][1] == b"True"
    broker()
    with Watcher(pair, topic="from/again") as watcher, Watcher(pair, topic="will") as wills:
        said(process, "subscribed")
        watcher.publish("to/board", "more")
        assert watcher.until(1, 20) == [("from/again", b"back")]
        out = process.communicate(timeout=20)[0]
        assert process.returncode == 0 and "got [3, 4, 5000, 4]" in out, out
        return wills.until(1, 2)


@pytest.mark.parametrize("module", ("mqtt_as", "mqtt_as_eth"))
def test_mqtt_as_and_its_last_will(pair, broker, module):  # noqa: F811
    assert mqtt_as(pair, broker, module, "{}", "_kill_tasks(True)") == [("will", b"gone")]


@pytest.mark.parametrize("module", ("mqtt_as", "mqtt_as_eth"))
def test_mqtt_as_with_tls(pair, broker, module):  # noqa: F811
    more = """{"ssl": True, "ssl_params": {"server_hostname": "board.test", "cert_reqs": 2,
                                           "cadata": open("ca.der", "rb").read()}}"""
    assert mqtt_as(pair, broker, module, more, "disconnect()") == []


# -- on real firmware ---------------------------------------------------------


class Board:
    """An emulated Pico in the place of the scripts: 32 bits, `sys.platform` "rp2"."""

    def __init__(self, device):
        self.device = device
        self.lines = []
        device.on_line = self.lines.append
        device.start()

    def run(self, code, *files):
        """Put files of GIVEN on its flash, and start `code` behind what a boot.py has."""
        started = threading.Event()

        def work(pico):
            say, pico.on_output = pico.on_output, None      # to be read here
            pico.run(1000)
            pico.write(b"\r\x03\x01")
            pico.expect(b"raw REPL; CTRL-B to exit\r\n>")
            pico.write(b"import machine\nmachine.soft_reset()\n\x04")     # without main.py
            pico.expect(b"raw REPL; CTRL-B to exit\r\n>")
            pico.write(b"\x02")
            pico.expect(b">>> ")
            for file in files:
                source = given(file).read_bytes()
                folder = file.rpartition("/")[0]
                if folder:
                    pico.exec("import os\nos.mkdir(%r)" % folder)
                for i in range(0, len(source), 2048):
                    pico.exec("with open(%r, 'ab') as f: f.write(%r)" % (file, source[i:i + 2048]))
            pico.write(b"\x01")
            pico.expect(b"raw REPL; CTRL-B to exit\r\n>")
            pico.write((BOOT + textwrap.dedent(code)).encode() + b"\x04")
            pico.on_output = say
            started.set()

        self.device.wish(work)
        assert started.wait(60), self.device.failed or self.lines

    def says(self, text, seconds=60):
        """Wait for a line that has `text`; that line."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)
            assert not self.device.failed and "Traceback" not in str(self.lines), self.lines
            for line in self.lines:
                if text in line:
                    return line
        raise AssertionError("%r is not said, but %s" % (text, self.lines))


BOOT = """
import spinet
from app import board, config
nic = board.bring_up(config.load())
spinet.install(nic.stack)
"""


@pytest.fixture
def pico(pair):
    from pico import device, emulator

    given("ntptime.py")         # or a skip, before anything is started
    if not emulator.ROM.exists() or not emulator.NODE.exists():
        pytest.skip("the emulated Pico is not here: tools/env.py could not install it")
    if not device.IMAGE.exists():
        pytest.skip("no firmware for the emulated Pico: make test-pico builds it")
    with pair.ours.entered():
        port = RawSocket("p0")
    made = device.Device(port, image=device.IMAGE,
                         settings={"chip": "w5500", "address": OURS + "/24"})
    board = Board(made)
    yield board
    made.stop()


def test_ntptime_on_a_pico(pair, pico, chrony):
    pico.run("""
        import machine, ntptime
        ntptime.host = %r
        for _ in range(20):     # until chronyd has begun
            try:
                ntptime.settime()
                print("set", *machine.RTC().datetime())
                break
            except OSError as e:
                pass
    """ % KERNEL, "ntptime.py")
    year, month, day, _, *clock = map(int, pico.says("set").split()[1:8])
    off = datetime.datetime(year, month, day, *clock) - datetime.datetime(*time.gmtime()[:6])
    assert abs(off.total_seconds()) <= 2


def test_mqtt_as_on_a_pico(pair, pico, broker):  # noqa: F811
    broker()
    with Watcher(pair, topic="from/#") as watcher:
        pico.run(MQTT_AS.partition("# the unix")[2].partition("\n")[2] % {
            "module": "mqtt_as", "server": KERNEL, "keepalive": 60, "more": "{}",
            "end": "disconnect()"},
            "mqtt_as/__init__.py")
        pico.says("subscribed")
        for payload in ("one", "four", "z" * 5000):
            watcher.publish("to/board", payload)
        pico.says("got [3, 4, 5000]")
        end = time.monotonic() + 60
        while not watcher.got or watcher.got[-1] != ("from/later", b"True"):
            assert time.monotonic() < end, watcher.got
            time.sleep(0.1)
        one = [payload for topic, payload in watcher.got if topic == "from/one"]
        assert one == [b"%d" % i for i in range(10)]
        assert ("from/big", b"x" * 9000) in watcher.got
    pico.lines.clear()
    broker()
    with Watcher(pair, topic="from/again") as watcher:
        pico.says("subscribed")
        watcher.publish("to/board", "more")
        assert watcher.until(1, 30) == [("from/again", b"back")]
