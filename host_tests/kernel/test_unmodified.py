"""Programs that know nothing of spinet, as they are, against servers of the kernel's."""
import hashlib
import json
import subprocess
import sys

import pytest
from play import KERNEL

SERVER = """
import http.server, ssl, sys
server = http.server.ThreadingHTTPServer(
    (%r, int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
""" % KERNEL


@pytest.fixture(scope="module")
def served(pair):
    """A pair with web servers on 8000 and, with TLS, 8443 of the kernel's."""
    folder = pair.folder
    (folder / "data").write_bytes(bytes(range(256)) * 1000)
    (folder / "module.py").write_text("ANSWER = 42\n")
    (folder / "package.json").write_text(json.dumps(
        {"version": "1", "urls": [["answer/__init__.py", "module.py"]]}))
    for arguments in (["8000"], ["8443", folder / "both.pem"]):
        process = pair.kernel.popen(sys.executable, "-c", SERVER, *arguments, stdout=-1,
                                    stderr=subprocess.DEVNULL, cwd=folder)
        assert process.stdout.readline() == b"ready\n"
    return pair


def digest(served):
    return hashlib.sha256((served.folder / "data").read_bytes()).hexdigest()


def test_requests_on_micropython(served):
    out = served.play("micropython", """
        import requests, hashlib, binascii
        for _ in range(3):
            r = requests.get("http://%s:8000/data")
            print(r.status_code, binascii.hexlify(hashlib.sha256(r.content).digest()).decode())
            r.close()
        print(requests.get("http://%s:8000/none").status_code)
    """ % (KERNEL, KERNEL))
    assert out == ["200", digest(served)] * 3 + ["404"]


def test_requests_with_tls_on_micropython(served):
    out = served.play("micropython", """
        import requests, hashlib, binascii
        r = requests.get("https://%s:8443/data")
        print(r.status_code, binascii.hexlify(hashlib.sha256(r.content).digest()).decode())
    """ % KERNEL)
    assert out == ["200", digest(served)]


def test_ssl_checks_certificates_on_micropython(served):
    out = served.play("micropython", """
        import socket, ssl
        def fetch(name):
            s = socket.socket()
            s.connect((%r, 8443))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=open("ca.der", "rb").read())
            try:
                tls = context.wrap_socket(s, server_hostname=name)
                tls.write(b"GET /module.py HTTP/1.0\\r\\n\\r\\n")
                print(tls.read().split(b"\\r\\n\\r\\n")[1].decode())
                tls.close()
            except (OSError, ValueError) as e:
                print("refused")
        fetch("board.test")
        fetch("other.test")
    """ % KERNEL)
    assert out == ["ANSWER", "=", "42", "refused"]


def test_mip_installs_on_micropython(served, tmp_path):
    out = served.play("micropython", """
        import mip
        mip.install("http://%s:8000/package.json", target=%r)
        sys.path.append(%r)
        import answer
        print(answer.ANSWER)
    """ % (KERNEL, str(tmp_path), str(tmp_path)))
    assert out[-1] == "42"


def test_asyncio_streams_on_micropython(served):
    out = served.play("micropython", """
        import asyncio, hashlib, binascii

        async def fetch(path):
            reader, writer = await asyncio.open_connection(%r, 8000)
            writer.write(b"GET " + path + b" HTTP/1.0\\r\\n\\r\\n")
            await writer.drain()
            while await reader.readline() != b"\\r\\n":
                pass
            body = await reader.read(-1)
            writer.close()
            await writer.wait_closed()
            return binascii.hexlify(hashlib.sha256(body).digest()).decode()

        async def main():
            for one in await asyncio.gather(*[fetch(b"/data") for _ in range(5)]):
                print(one)

        asyncio.run(main())
    """ % KERNEL)
    assert out == [digest(served)] * 5


def test_urllib_and_http_client_on_cpython(served):
    out = served.play("cpython", """
        import hashlib, http.client, urllib.request
        with urllib.request.urlopen("http://%s:8000/data", timeout=10) as response:
            print(response.status, hashlib.sha256(response.read()).hexdigest())
        connection = http.client.HTTPConnection(%r, 8000, timeout=10)
        connection.request("GET", "/none")
        print(connection.getresponse().status)
        connection.close()
        print(stack.tcp.count["established"], stack.tcp.connections)
    """ % (KERNEL, KERNEL))
    assert out[:3] == ["200", digest(served), "404"] and out[3] == "2"
