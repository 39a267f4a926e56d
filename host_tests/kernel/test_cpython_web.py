"""The web on CPython, with and without TLS: clients and servers as they are published."""
import hashlib
import subprocess
import sys

import pytest
from play import KERNEL, OURS
from test_cpython_asyncio import ECHO
from test_unmodified import SERVER

DATA = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def pair(pair):
    (pair.folder / "data").write_bytes(DATA)
    pair.program(8000, sys.executable, "-c", SERVER, "8000")
    pair.program(8443, sys.executable, "-c", SERVER, "8443", pair.folder / "both.pem")
    return pair


def curl(pair, *arguments):
    """What curl fetches of `arguments` with the kernel's sockets."""
    done = subprocess.run(
        ["ip", "netns", "exec", pair.kernel.name, "curl", "-sS", "--max-time", "20", "--cacert",
         pair.folder / "ca.pem", "--connect-to", "board.test::%s:" % OURS, *arguments],
        capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_https_of_the_standard_library(pair):
    out = pair.play("cpython", """
        import hashlib, http.client, ssl, urllib.error, urllib.request
        context = ssl.create_default_context(cafile="ca.pem")
        url = "https://%s:8443/data"
        with urllib.request.urlopen(url, timeout=10, context=context) as response:
            print(response.status, hashlib.sha256(response.read()).hexdigest())
        connection = http.client.HTTPSConnection(%r, 8443, timeout=10, context=context)
        connection.request("GET", "/none")
        print(connection.getresponse().status, connection.sock is None)
        try:
            urllib.request.urlopen(url, timeout=10)
        except urllib.error.URLError as e:
            print(type(e.reason).__name__)
    """ % (KERNEL, KERNEL))
    assert out[:3] == ["200", DIGEST, "404"] and out[4] == "SSLCertVerificationError"


def test_requests(pair):
    pytest.importorskip("requests")
    out = pair.play("cpython", """
        import hashlib, requests
        for url in ("http://%s:8000/data", "https://%s:8443/data"):
            with requests.Session() as session:
                for _ in range(3):
                    response = session.get(url, timeout=10, verify="ca.pem")
                    print(response.status_code, hashlib.sha256(response.content).hexdigest())
        try:
            requests.get(url, timeout=10)
        except requests.exceptions.SSLError:
            print("refused")
        try:
            requests.get("http://%s:1/", timeout=10)
        except requests.exceptions.ConnectionError:
            print("nobody")
        print(stack.tcp.count["established"])
    """ % (KERNEL, KERNEL, KERNEL))
    assert out[:-1] == ["200", DIGEST] * 6 + ["refused", "nobody"] and int(out[-1]) >= 7


def test_urllib3(pair):
    pytest.importorskip("urllib3")
    out = pair.play("cpython", """
        import hashlib, urllib3
        with urllib3.PoolManager(ca_certs="ca.pem", timeout=10) as pool:
            for url in ("http://%s:8000/data", "https://%s:8443/data"):
                response = pool.request("GET", url, preload_content=False)
                digest = hashlib.sha256()
                for part in response.stream(10000):
                    digest.update(part)
                response.release_conn()
                print(response.status, digest.hexdigest())
        print(stack.tcp.count["established"])
    """ % (KERNEL, KERNEL))
    assert out == ["200", DIGEST] * 2 + ["2"]


def test_httpx_that_waits(pair):
    pytest.importorskip("httpx")
    out = pair.play("cpython", """
        import hashlib, httpx, ssl
        with httpx.Client(verify=ssl.create_default_context(cafile="ca.pem")) as client:
            for url in ("http://%s:8000/data", "https://%s:8443/data"):
                response = client.get(url)
                print(response.status_code, hashlib.sha256(response.content).hexdigest())
        print(stack.tcp.count["established"])
    """ % (KERNEL, KERNEL))
    assert out == ["200", DIGEST] * 2 + ["2"]


def test_https_is_served_by_the_standard_library(pair, need):
    need("curl")
    process = pair.start("cpython", """
        import http.server, ssl
        http.server.SimpleHTTPRequestHandler.log_message = lambda *args: None
        server = http.server.HTTPServer(("", 443), http.server.SimpleHTTPRequestHandler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("both.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print("ready", flush=True)
        server.serve_forever()
    """)
    assert process.stdout.readline() == "ready\n"
    for version in ("--tls-max", "1.2"), ("--tlsv1.3",), ():
        assert curl(pair, *version, "https://board.test/data") == DATA


@pytest.mark.parametrize("scheme", ("http", "https"))
def test_hypercorn(pair, need, scheme):
    need("curl")
    pytest.importorskip("hypercorn")
    pair.start("cpython", "        import asyncio\n" + ECHO + """
        from hypercorn.asyncio import serve
        from hypercorn.config import Config
        from spinet import aio
        config = Config()
        config.bind = ["%s:8080"]
        config.loglevel = "ERROR"
        if %r == "https":
            config.certfile = config.keyfile = "both.pem"
        aio.run(serve(app, config, shutdown_trigger=asyncio.Event().wait), stack)
    """ % (OURS, scheme))
    pair.until_open(8080)
    got = curl(pair, "--data-binary", "@%s" % (pair.folder / "data"), "--write-out",
               "%{http_version}", "%s://board.test:8080/" % scheme)
    assert got == DATA + (b"2" if scheme == "https" else b"1.1")


def test_openssl_as_a_server(pair, need):
    need("openssl")
    pair.program(4433, "openssl", "s_server", "-accept", "%s:4433" % KERNEL, "-cert",
                 pair.folder / "both.pem", "-rev", "-quiet")
    out = pair.play("cpython", """
        import socket, ssl
        context = ssl.create_default_context(cafile="ca.pem")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            with socket.create_connection((%r, 4433), 10) as sock:
                with context.wrap_socket(sock, server_hostname="board.test") as tls:
                    tls.sendall(b"reverse me\\n" * 1000)
                    with tls.makefile("rb") as file:
                        print(tls.version(), {file.readline() for _ in range(1000)})
    """ % KERNEL)
    assert " ".join(out) == "TLSv1.2 {b'em esrever\\n'} TLSv1.3 {b'em esrever\\n'}"


def test_openssl_as_a_client(pair, need):
    need("openssl")
    process = pair.start("cpython", """
        import socket, ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("both.pem")
        context.verify_mode = ssl.CERT_REQUIRED     # of the client, too
        context.load_verify_locations("ca.pem")
        listening = socket.create_server(("", 4434))
        print("ready", flush=True)
        for _ in range(2):
            sock, _ = listening.accept()
            with context.wrap_socket(sock, server_side=True) as tls:
                line = tls.makefile("rb").readline()
                print(tls.version(), dict(x[0] for x in tls.getpeercert()["subject"]), line)
                tls.sendall(line.upper())
                tls.unwrap()
    """)
    assert process.stdout.readline() == "ready\n"
    for version in ("-tls1_2", "-tls1_3"):
        done = subprocess.run(
            ["ip", "netns", "exec", pair.kernel.name, "openssl", "s_client", "-connect",
             "%s:4434" % OURS, version, "-CAfile", pair.folder / "ca.pem", "-servername",
             "board.test", "-verify_return_error", "-cert", pair.folder / "both.pem", "-key",
             pair.folder / "key", "-quiet"],
            input=b"hello\n", capture_output=True, timeout=30)
        assert done.stdout == b"HELLO\n", done.stderr
    out = process.communicate(timeout=20)[0]
    assert out.splitlines() == [
        "%s {'commonName': 'board.test'} b'hello\\n'" % version for version in ("TLSv1.2",
                                                                                "TLSv1.3")]
