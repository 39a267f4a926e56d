"""microdot's requests per second, over spinet and over the runtime's sockets: `make bench-http`.

The server runs in one namespace, four clients with the kernel's sockets in another; each request is
a connection of its own, as microdot closes it.  Needs root, and `make test` once for microdot.
"""
import pathlib
import subprocess
import sys
import tempfile
import textwrap

if __name__ == "__main__":
    _ROOT = pathlib.Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(_ROOT / part) for part in (
        "lib", "tools", "host_tests", "host_tests/core", "host_tests/kernel")]

import lab as lab_module  # noqa: E402
import play  # noqa: E402

SECONDS = 5
APP = """
from microdot import Microdot
app = Microdot()

@app.get("/")
async def index(request):
    return "hello"

"""
SPINET = {
    "micropython": APP + 'app.run(host="0.0.0.0", port=80)',
    "cpython": "from spinet import aio\n" + APP + 'aio.run(app.start_server("%s", 80), stack)'
               % play.OURS,
}
LOAD = """
import socket, threading, time
end = time.monotonic() + %d
count = [0] * 4
def run(k):
    while time.monotonic() < end:
        with socket.create_connection(("%s", 80), 5) as s:
            s.sendall(b"GET / HTTP/1.0\\r\\nHost: board\\r\\n\\r\\n")
            data = b""
            piece = s.recv(4096)
            while piece:
                data += piece
                piece = s.recv(4096)
        assert data.endswith(b"hello"), data
        count[k] += 1
threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sum(count) // %d)
""" % (SECONDS, play.OURS, SECONDS)


def rate(pair, process):
    """Requests per second of the server that `process` is."""
    try:
        pair.until_open(80)
        return max(int(pair.ask(LOAD)[0]) for _ in range(3))
    finally:
        process.kill()
        process.wait()


def main():
    with tempfile.TemporaryDirectory() as folder:
        pair = play.Pair(pathlib.Path(folder))
        try:
            pair.library("microdot")
            print("requests/s       over spinet   over the runtime's own sockets")
            for runtime, name in (("micropython", "MicroPython"), ("cpython", "CPython")):
                over = rate(pair, pair.start(runtime, SPINET[runtime]))
                pair.ours.ip("address", "add", play.OURS + "/24", "dev", "p0")
                file = pair.folder / "own.py"
                file.write_text(textwrap.dedent(APP + 'app.run(host="0.0.0.0", port=80)'))
                command = [str(part) for part in lab_module.command(runtime, file)]
                own = rate(pair, pair.ours.popen(*command, cwd=pair.folder,
                                                 stdout=subprocess.DEVNULL,
                                                 env=lab_module.environment()))
                pair.ours.ip("address", "del", play.OURS + "/24", "dev", "p0")
                print("%-16s %11d %14d" % (name, over, own), flush=True)
        finally:
            pair.close()


if __name__ == "__main__":
    main()
