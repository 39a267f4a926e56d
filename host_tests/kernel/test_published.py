"""More libraries for boards, as they are published: MQTT, FTP, OSC and WebSocket."""
import contextlib
import ftplib
import io
import struct
import threading

import pytest
from play import KERNEL, OURS
from test_board_libraries import CLOCK, Watcher, broker, said  # noqa: F401


# The machine's part of a board: an interface that is up, and a number of its own.
BOARD = """
import network
class machine:
    unique_id = lambda: b"board"
sys.modules["machine"] = machine
class WLAN:
    def isconnected(self): return True
    def disconnect(self): pass
network.STA_IF = 0
network.WLAN = lambda which: WLAN()
"""

ASYNC_MQTT = BOARD + """
import asyncio
from mqtt_async import MQTTClient, config
config.server = %r
config.response_time = 2
got = []

async def main():
    client = MQTTClient(config)
    await client.connect()
    await client.subscribe("to/async", 1)
    for i in range(20):
        await client.publish("from/async", b"%%d" %% i, qos=1)
    print("ready")
    while len(got) < 3:
        await asyncio.sleep_ms(10)
    print("got", [len(one) for one in got])
    print("again")
    while len(got) < 4:
        await asyncio.sleep_ms(10)
    await client.publish("from/async", "back", qos=1)
    await client.disconnect()

config.subs_cb = lambda topic, message, retained, qos: got.append(message)
asyncio.run(main())
"""


def test_mqtt_async_comes_back_when_the_broker_does(pair, broker):  # noqa: F811
    """A descendant of mqtt_as, as that is not to be had from PyPI."""
    pair.library("micropython-mqtt-async")
    with Watcher(pair, topic="from/#") as watcher:
        process = pair.start("micropython", ASYNC_MQTT % KERNEL)
        said(process, "ready")
        for payload in ("one", "four", "z" * 5000):
            watcher.publish("to/async", payload)
        said(process, "got [3, 4, 5000]")
        said(process, "again")
        assert watcher.until(20) == [("from/async", b"%d" % i) for i in range(20)]
    broker()
    with Watcher(pair, topic="from/#") as watcher:
        watcher.publish("to/async", "more")
        assert watcher.until(1, 20) == [("from/async", b"back")]
    assert process.wait(10) == 0


def test_ftp_server(pair):
    """uaioftp: control connection served, data connections opened, by asyncio."""
    pair.library("micropython-uaioftp", "micropython-logging")
    files = pair.folder / "files"
    files.mkdir()
    (files / "there").write_bytes(bytes(range(256)) * 500)
    process = pair.start("micropython", """
        import asyncio, os, uaioftp
        os.chdir("files")

        async def main():
            await asyncio.start_server(uaioftp.uaioftpd().server, "0.0.0.0", 21)
            print("ready")
            await asyncio.sleep(60)

        asyncio.run(main())
    """)
    said(process, "ready")
    with pair.kernel.entered():
        client = ftplib.FTP(timeout=20)
        client.connect(OURS)
        assert client.login("anybody", "x").startswith("230")
        client.set_pasv(False)
        got = []
        client.retrbinary("LIST", got.append)       # text is a type that it does not know
        assert b"".join(got).split()[-1] == b"there" and b" 128000 " in b"".join(got)
        got.clear()
        client.retrbinary("RETR there", got.append)
        assert b"".join(got) == bytes(range(256)) * 500
        client.storbinary("STOR new", io.BytesIO(b"abc" * 30000))
        client.sendcmd("DELE there")
        client.quit()
    assert (files / "new").read_bytes() == b"abc" * 30000
    assert [file.name for file in files.iterdir()] == ["new"]


def osc(address, *arguments):
    """A packet of OSC 1.0, made from the specification."""
    def text(value):
        data = value.encode() + b"\0"
        return data + bytes(-len(data) % 4)

    types = "".join({int: "i", float: "f", str: "s"}[type(one)] for one in arguments)
    return text(address) + text("," + types) + b"".join(
        text(one) if isinstance(one, str) else struct.pack(">" + "if"[isinstance(one, float)], one)
        for one in arguments)


def test_osc(pair):
    """microosc, its server and client."""
    pair.library("circuitpython-microosc")
    with contextlib.closing(pair.kernel.socket(2)) as sock:     # SOCK_DGRAM
        sock.bind((KERNEL, 9000))
        process = pair.start("micropython", """
            import microosc, socket
            client = microosc.OSCClient(socket, %r, 9000)

            def turn(msg):
                print(msg.addr, msg.args)
                client.send(microosc.OscMsg("/back", msg.args, msg.types))

            server = microosc.OSCServer(socket, "0.0.0.0", 8000, {"/fader": turn})
            print("ready")
            while True:
                server.poll()
        """ % KERNEL)
        said(process, "ready")
        for arguments in ((7,), (1, 0.5), (-3, "text"), (2.25, "four", 1 << 30)):
            sock.sendto(osc("/fader/1", *arguments), (OURS, 8000))
            assert sock.recv(1000) == osc("/back", *arguments)


def test_websocket_client_in_asyncio(pair):
    """It writes without waiting and does not look how much was taken: what it sends must fit."""
    server = pytest.importorskip("websockets.sync.server")
    pair.library("micropython-async-websocket-client")

    def echo(ws):
        for message in ws:
            ws.send(message * 10)

    with contextlib.closing(pair.kernel.listen(8767, KERNEL)) as sock:
        sock.settimeout(None)
        with server.serve(echo, sock=sock) as running:
            threading.Thread(target=running.serve_forever, daemon=True).start()
            out = pair.play("micropython", """
                import asyncio
                from async_websocket_client import AsyncWebsocketClient

                async def main():
                    ws = AsyncWebsocketClient()
                    await ws.handshake("ws://%s:8767/")
                    for message in ("text", "x" * 300, "y" * 3000):
                        await ws.send(message)
                        print(await ws.recv() == message * 10)
                    await ws.close()

                asyncio.run(main())
            """ % KERNEL)
            running.shutdown()
    assert out == ["True"] * 3
