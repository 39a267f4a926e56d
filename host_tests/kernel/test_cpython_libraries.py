"""Libraries that wait, as published, on CPython over spinet; their peers the kernel's."""
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from play import BOARD, KERNEL, OURS, Pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    made = Pair(tmp_path_factory.mktemp("cpython"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nothing_runs_on(pair):
    yield
    pair.end()


def serve(pair, port, code):
    """Start a server of the kernel's and wait until it listens."""
    pair.kernel.popen(sys.executable, "-c", textwrap.dedent(code), cwd=pair.folder,
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            return pair.kernel.connect((KERNEL, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("nothing listens on port %d" % port)


@pytest.mark.parametrize("passive", (True, False))
def test_ftplib(pair, passive):
    server = next(BOARD.glob("pyftpdlib-*"), None)
    if server is None:
        pytest.skip("needs pyftpdlib, of tools/requirements.txt")
    if sys.version_info >= (3, 12):
        pytest.importorskip("pyasyncore")
        pytest.importorskip("pyasynchat")
    port = 2121 + passive
    serve(pair, port, """
        import sys
        sys.path.insert(0, %r)
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.servers import FTPServer
        authorizer = DummyAuthorizer()
        authorizer.add_user("user", "word", ".", perm="elradfmw")
        FTPHandler.authorizer = authorizer
        FTPServer((%r, %d), FTPHandler).serve_forever()
    """ % (str(server), KERNEL, port))
    (pair.folder / "down").write_bytes(bytes(range(256)) * 1000)
    out = pair.play("cpython", """
        import ftplib, io
        ftp = ftplib.FTP()
        ftp.connect(%r, %d, timeout=10)
        ftp.login("user", "word")
        ftp.set_pasv(%r)
        got = io.BytesIO()
        ftp.retrbinary("RETR down", got.write)
        print(got.getvalue() == bytes(range(256)) * 1000)
        ftp.storbinary("STOR up%d", io.BytesIO(b"line" * 50000))
        print("down" in ftp.nlst())
        ftp.quit()
    """ % (KERNEL, port, passive, port))
    assert out == ["True", "True"]
    assert (pair.folder / ("up%d" % port)).read_bytes() == b"line" * 50000


def test_smtplib(pair):
    pytest.importorskip("aiosmtpd")
    serve(pair, 2525, """
        import time
        from aiosmtpd.controller import Controller

        class Keep:
            async def handle_DATA(self, server, session, envelope):
                with open("mail", "wb") as file:
                    file.write(envelope.content)
                return "250 kept"

        Controller(Keep(), hostname=%r, port=2525).start()
        time.sleep(1000)
    """ % KERNEL)
    out = pair.play("cpython", """
        import smtplib
        from email.message import EmailMessage
        message = EmailMessage()
        message["Subject"] = "a board writes"
        message["From"], message["To"] = "board@example.test", "you@example.test"
        message.set_content("text\\n" * 5000)
        with smtplib.SMTP(%r, 2525, timeout=10) as smtp:
            smtp.send_message(message)
            print("sent")
    """ % KERNEL)
    assert out == ["sent"]
    mail = (pair.folder / "mail").read_bytes()
    assert b"Subject: a board writes" in mail and mail.count(b"text") >= 5000


def test_pymodbus(pair):
    pytest.importorskip("pymodbus")
    serve(pair, 502, """
        from pymodbus.server import StartTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice
        values = list(range(100, 200))
        device = SimDevice(1, [SimData(0, values=values, datatype=DataType.REGISTERS)])
        StartTcpServer(device, address=(%r, 502))
    """ % KERNEL)
    out = pair.play("cpython", """
        from pymodbus.client import ModbusTcpClient
        client = ModbusTcpClient(%r, port=502, timeout=5)
        print(client.connect())
        print(*client.read_holding_registers(5, count=3).registers)
        print(client.write_registers(5, [7, 8]).isError())
        print(*client.read_holding_registers(5, count=3).registers)
        client.close()
    """ % KERNEL)
    assert out == "True 105 106 107 False 7 8 107".split()


def test_paho_mqtt(pair, need):
    need("mosquitto")
    pytest.importorskip("paho.mqtt.client")
    (pair.folder / "conf").write_text("allow_anonymous true\nlistener 1883 %s\n" % KERNEL)
    pair.kernel.popen("mosquitto", "-c", pair.folder / "conf", stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL)
    serve(pair, 1883, "")
    out = pair.play("cpython", """
        import paho.mqtt.client as mqtt
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        got = []

        def subscribed(client, *args):
            for i in range(10):
                client.publish("a/b", b"x" * i * 1000, qos=1)

        def message(client, userdata, message):
            got.append(len(message.payload))
            if len(got) == 10:
                client.disconnect()

        client.on_connect = lambda client, *args: client.subscribe("a/#", 1)
        client.on_subscribe = subscribed
        client.on_message = message
        client.connect(%r, 1883)
        client.loop_forever()
        print(sorted(got) == [1000 * i for i in range(10)])
    """ % KERNEL)
    assert out == ["True"]


def test_paramiko(pair):
    pytest.importorskip("paramiko")
    pytest.importorskip("asyncssh")
    serve(pair, 2222, """
        import asyncio, asyncssh

        class Server(asyncssh.SSHServer):
            def begin_auth(self, username):
                return True
            def password_auth_supported(self):
                return True
            def validate_password(self, username, password):
                return (username, password) == ("user", "word")

        async def handle(process):
            process.stdout.write("you said " + (process.command or "") + "\\n")
            data = await process.stdin.read()
            process.stdout.write(str(len(data)))
            process.exit(7)

        async def main():
            await asyncssh.create_server(
                Server, %r, 2222, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
                process_factory=handle)
            await asyncio.sleep(1000)

        asyncio.run(main())
    """ % KERNEL)
    out = pair.play("cpython", """
        import paramiko
        from spinet.threaded import Threaded
        threaded = Threaded(stack)      # paramiko reads in a thread of its own
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(%r, 2222, "user", "word", look_for_keys=False, allow_agent=False, timeout=20)
        stdin, stdout, stderr = client.exec_command("hello", timeout=20)
        stdin.write(b"z" * 200000)
        stdin.channel.shutdown_write()
        print(stdout.read().decode(), stdout.channel.recv_exit_status())
        client.close()
    """ % KERNEL)
    assert out == "you said hello 200000 7".split()


def test_http_server(pair, need):
    need("curl")
    process = pair.start("cpython", """
        import http.server
        http.server.SimpleHTTPRequestHandler.log_message = lambda *args: None
        server = http.server.HTTPServer(("", 80), http.server.SimpleHTTPRequestHandler)
        print("ready", flush=True)
        server.serve_forever()
    """)
    assert process.stdout.readline() == "ready\n"
    (pair.folder / "page").write_bytes(b"page" * 30000)
    for _ in range(3):
        got = subprocess.run(
            ["ip", "netns", "exec", pair.kernel.name, "curl", "-sS", "--max-time", "20",
             "http://%s/page" % OURS], capture_output=True, check=True).stdout
        assert got == b"page" * 30000
    process.kill()
    process.wait()


def test_art_net(pair):
    pytest.importorskip("stupidArtnet")
    sock = pair.kernel.socket(socket.SOCK_DGRAM)
    sock.bind((KERNEL, 6454))
    out = pair.play("cpython", """
        import time
        from stupidArtnet import StupidArtnet
        from spinet.threaded import Threaded
        threaded = Threaded(stack)      # the library sends and never waits
        lamp = StupidArtnet(%r, universe=3, packet_size=512)
        lamp.set_single_value(1, 200)
        lamp.set_single_value(512, 9)
        for _ in range(3):
            lamp.show()
            time.sleep(0.1)
        print("shown")
    """ % KERNEL)
    assert out == ["shown"]
    packets = [sock.recv(2000) for _ in range(3)]
    assert all(p[:8] == b"Art-Net\0" and len(p) == 530 for p in packets)
    assert packets[0][18] == 200 and packets[0][529] == 9 and packets[0][14] == 3
