"""The prompt over the network, with the tools that use one."""
import subprocess
import sys
import time

import pytest
from play import OURS

SERVE = """
from spinet import repl
prompt = repl.start(stack, %r, port=2323)
print("ready")
sys.stdout.flush() if hasattr(sys.stdout, "flush") else None
prompt.run()
"""


@pytest.fixture
def serve(pair):
    """`serve(runtime, password)` starts the prompt; it ends with the test."""
    running = []

    def serve(runtime, password):
        running.append(pair.start(runtime, SERVE % (password,)))
        assert running[-1].stdout.readline() == "ready\n"

    yield serve
    for process in running:
        process.kill()
        process.wait()


def mpremote(pair, *args):
    done = subprocess.run(
        ["ip", "netns", "exec", pair.kernel.name, sys.executable, "-m", "mpremote", "connect",
         "socket://%s:2323" % OURS, *args], capture_output=True, text=True, timeout=60,
        cwd=pair.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("runtime", ("micropython", "cpython"))
def test_mpremote(pair, serve, runtime):
    pytest.importorskip("mpremote")
    serve(runtime, None)
    assert mpremote(pair, "exec", "print(6 * 7)").strip() == "42"
    assert mpremote(pair, "exec", "z = 5").strip() == ""
    assert mpremote(pair, "resume", "exec", "print(z)").strip() == "5"
    assert mpremote(pair, "eval", "sum(range(10))").strip() == "45"
    (pair.folder / "script.py").write_text("for i in range(300):\n    print(i, 'x' * 50)\n")
    assert mpremote(pair, "run", "script.py").split() == [
        word for i in range(300) for word in (str(i), "x" * 50)]


def test_mpremote_copies_files(pair, serve):
    pytest.importorskip("mpremote")
    serve("micropython", None)
    data = bytes(range(256)) * 20
    (pair.folder / "from").write_bytes(data)
    mpremote(pair, "fs", "cp", "from", ":" + str(pair.folder / "to"))
    assert (pair.folder / "to").read_bytes() == data
    mpremote(pair, "fs", "cp", ":" + str(pair.folder / "to"), "back")
    assert (pair.folder / "back").read_bytes() == data


def test_by_hand_with_a_password(pair, serve):
    serve("micropython", "secret")
    sock = pair.kernel.connect((OURS, 2323))

    def until(what):
        got = b""
        while what not in got:
            part = sock.recv(1000)
            assert part, got
            got += part
        return got

    until(b"Password: ")
    sock.sendall(b"secret\r\n")
    until(b">>> ")
    sock.sendall(b"6 * 7\r\n")
    assert b"\r\n42\r\n" in until(b"\r\n>>> ")
    sock.close()
    time.sleep(0.3)
    sock = pair.kernel.connect((OURS, 2323))
    until(b"Password: ")
    sock.sendall(b"guess\r\n")
    assert until(b"no\r\n") and sock.recv(10) == b""
    sock.close()
