"""Libraries that wait, as published, on CPython over spinet.

Their peers are the kernel's; those of PEERS run over a spinet stack of their own, too.
"""
import socket
import subprocess

import pytest
from play import BESIDE, KERNEL, OURS

DATA = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def ftp(pair, need):
    """vsftpd on port 21, for everybody, with TLS for who asks for it; its directory."""
    need("vsftpd")
    root = pair.folder / "ftp"
    (root / "up").mkdir(parents=True)
    (root / "up").chmod(0o777)
    (pair.folder / "empty").mkdir()
    (root / "down").write_bytes(DATA)
    settings = dict(
        listen="YES", listen_address=KERNEL, background="NO", anonymous_enable="YES",
        no_anon_password="YES", anon_root=root, ftp_username="daemon", write_enable="YES",
        anon_upload_enable="YES", anon_umask="022", secure_chroot_dir=pair.folder / "empty",
        seccomp_sandbox="NO", ssl_enable="YES", allow_anon_ssl="YES", require_ssl_reuse="NO",
        force_local_data_ssl="NO", force_local_logins_ssl="NO",
        rsa_cert_file=pair.folder / "both.pem")
    (pair.folder / "vsftpd.conf").write_text(
        "".join("%s=%s\n" % item for item in settings.items()))
    pair.program(21, "vsftpd", pair.folder / "vsftpd.conf")
    return root


@pytest.mark.parametrize("tls", (False, True), ids=("plain", "tls"))
@pytest.mark.parametrize("passive", (True, False), ids=("passive", "active"))
def test_ftplib(pair, ftp, passive, tls):
    name = "file-%d-%d" % (passive, tls)
    out = pair.play("cpython", """
        import ftplib, io, ssl
        if %r:
            ftp = ftplib.FTP_TLS(context=ssl.create_default_context(cafile="ca.pem"))
        else:
            ftp = ftplib.FTP()
        ftp.connect(%r, 21, timeout=10)
        ftp.login()
        if %r:
            ftp.prot_p()
        ftp.set_pasv(%r)
        got = io.BytesIO()
        ftp.retrbinary("RETR down", got.write)
        print(got.getvalue() == bytes(range(256)) * 1000)
        ftp.storbinary("STOR up/%s", io.BytesIO(b"line" * 50000))
        print("down" in ftp.nlst())
        ftp.quit()
    """ % (tls, KERNEL, tls, passive, name))
    assert out == ["True", "True"]
    assert (ftp / "up" / name).read_bytes() == b"line" * 50000


# Servers, each a piece of code with `main(host, port)`, and what asks them, with what it prints.
PEERS = {
    "http.client": """
        import http.server

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *args):
                pass
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[::-1])

        async def main(host, port):
            http.server.HTTPServer((host, port), Handler).serve_forever()
    """,
    "smtplib": """
        import ssl
        from aiosmtpd.smtp import SMTP

        class Keep:
            async def handle_DATA(self, server, session, envelope):
                with open("mail", "wb") as file:
                    file.write(envelope.content)
                return "250 kept"

        async def main(host, port):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("both.pem")
            await asyncio.get_running_loop().create_server(
                lambda: SMTP(Keep(), hostname=host, tls_context=context), host, port)
            await asyncio.sleep(1000)
    """,
    "pymodbus": """
        from pymodbus.server import StartAsyncTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        async def main(host, port):
            values = list(range(100, 200))
            device = SimDevice(1, [SimData(0, values=values, datatype=DataType.REGISTERS)])
            await StartAsyncTcpServer(device, address=(host, port))
    """,
    "paramiko": """
        import asyncssh

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

        async def main(host, port):
            await asyncssh.create_server(
                Server, host, port, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
                process_factory=handle)
            await asyncio.sleep(1000)
    """,
    "ftplib": """
        import pathlib
        import aioftp

        async def main(host, port):
            user = aioftp.User(base_path=pathlib.Path("files").absolute())
            await aioftp.Server([user]).run(host, port)
    """,
}


@pytest.fixture(scope="module")
def running():
    """Which of PEERS the kernel has; they stay until the module's end."""
    return set()


@pytest.fixture(params=("kernel", "stack"))
def peer(pair, running, request):
    """`peer(name, module)`: see to it that the server of PEERS runs; its address and port."""
    def start(name, module):
        pytest.importorskip(module)
        port = 7000 + list(PEERS).index(name)
        code = "        import asyncio\n" + PEERS[name]
        if request.param == "stack":
            pair.serve_beside(port, code + """
        from spinet import aio
        aio.run(main(%r, %d), stack)""" % (BESIDE, port))
            return BESIDE, port
        if name not in running:
            running.add(name)
            pair.serve(port, code + """
        asyncio.run(main(%r, %d))""" % (KERNEL, port))
        return KERNEL, port

    return start


def test_http_client(pair, peer):
    out = pair.play("cpython", """
        import http.client
        connection = http.client.HTTPConnection(%r, %d, timeout=10)
        for n in (1, 300000):
            connection.request("POST", "/", bytes(n) + b"z")
            answer = connection.getresponse()
            print(answer.status, answer.read() == b"z" + bytes(n))
        connection.close()
        print(stack.tcp.count["established"])
    """ % peer("http.client", "http.server"))
    assert out == ["200", "True"] * 2 + ["1"]


@pytest.mark.parametrize("tls", (False, True), ids=("plain", "tls"))
def test_smtplib(pair, peer, tls):
    out = pair.play("cpython", """
        import smtplib, ssl
        from email.message import EmailMessage
        message = EmailMessage()
        message["Subject"] = "a board writes"
        message["From"], message["To"] = "board@example.test", "you@example.test"
        message.set_content("text\\n" * 5000)
        with smtplib.SMTP(%r, %d, timeout=10) as smtp:
            if %r:
                smtp.starttls(context=ssl.create_default_context(cafile="ca.pem"))
            smtp.send_message(message)
            print("sent")
    """ % (*peer("smtplib", "aiosmtpd"), tls))
    assert out == ["sent"]
    mail = pair.folder / "mail"
    text = mail.read_bytes()
    mail.unlink()
    assert b"Subject: a board writes" in text and text.count(b"text") >= 5000


def test_pymodbus(pair, peer):
    out = pair.play("cpython", """
        from pymodbus.client import ModbusTcpClient
        client = ModbusTcpClient(%r, port=%d, timeout=5)
        print(client.connect())
        print(*client.read_holding_registers(5, count=3).registers)
        print(client.write_registers(5, [7, 8]).isError())
        print(*client.read_holding_registers(5, count=3).registers)
        client.close()
    """ % peer("pymodbus", "pymodbus"))
    assert out == "True 105 106 107 False 7 8 107".split()


def test_paramiko(pair, peer):
    pytest.importorskip("paramiko")
    out = pair.play("cpython", """
        import paramiko
        from spinet.threaded import Threaded
        threaded = Threaded(stack)      # paramiko reads in a thread of its own
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(%r, %d, "user", "word", look_for_keys=False, allow_agent=False, timeout=20)
        stdin, stdout, stderr = client.exec_command("hello", timeout=20)
        stdin.write(b"z" * 200000)
        stdin.channel.shutdown_write()
        print(stdout.read().decode(), stdout.channel.recv_exit_status())
        client.close()
    """ % peer("paramiko", "asyncssh"))
    assert out == "you said hello 200000 7".split()


def test_ftplib_and_aioftp(pair, peer):
    files = pair.folder / "files"
    files.mkdir(exist_ok=True)
    (files / "down").write_bytes(DATA)
    out = pair.play("cpython", """
        import ftplib, io
        ftp = ftplib.FTP()
        ftp.connect(%r, %d, timeout=10)
        ftp.login()
        got = io.BytesIO()
        ftp.retrbinary("RETR down", got.write)
        print(got.getvalue() == bytes(range(256)) * 1000)
        ftp.storbinary("STOR up", io.BytesIO(b"line" * 50000))
        ftp.quit()
    """ % peer("ftplib", "aioftp"))
    up = files / "up"
    text = up.read_bytes()
    up.unlink()
    assert out == ["True"] and text == b"line" * 50000


def test_paramiko_as_a_server(pair):
    pytest.importorskip("paramiko")
    pytest.importorskip("asyncssh")
    pair.start("cpython", """
        import paramiko, socket
        from spinet.threaded import Threaded
        threaded = Threaded(stack)

        class Server(paramiko.ServerInterface):
            def check_auth_password(self, username, password):
                return paramiko.AUTH_SUCCESSFUL if password == "word" else paramiko.AUTH_FAILED
            def get_allowed_auths(self, username):
                return "password"
            def check_channel_request(self, kind, number):
                return paramiko.OPEN_SUCCEEDED
            def check_channel_exec_request(self, channel, command):
                self.command = command
                return True

        listening = socket.create_server(("", 2223))
        while True:
            client, _ = listening.accept()
            transport = paramiko.Transport(client)
            transport.add_server_key(paramiko.RSAKey.generate(2048))
            server = Server()
            try:
                transport.start_server(server=server)
                channel = transport.accept(10)
            except (paramiko.SSHException, EOFError):
                continue    # who only looked whether somebody listens
            if channel is None:
                continue
            got = b""
            while True:
                part = channel.recv(65536)
                if not part:
                    break
                got += part
            channel.sendall(b"you said %s %d" % (server.command, len(got)))
            channel.send_exit_status(7)
            channel.close()
    """)
    pair.until_open(2223)
    out = pair.ask("""
        import asyncio, asyncssh

        async def main():
            async with asyncssh.connect(%r, 2223, username="user", password="word",
                                        known_hosts=None, config=None, client_keys=None) as ssh:
                done = await ssh.run("hello", input="z" * 200000)
                print(done.stdout, done.exit_status)

        asyncio.run(asyncio.wait_for(main(), 40))
    """ % OURS)
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
