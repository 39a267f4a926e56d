"""asyncio of MicroPython over spinet: how little it costs when idle, and microdot in a browser."""
import os
import shutil
import stat
import time

import pytest
from play import OURS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which(
    "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
IDLE = """
import asyncio

async def serve(reader, writer):
    while await reader.read(100):
        pass

async def main():
    for port in (80, 81):
        await asyncio.start_server(serve, "0.0.0.0", port)
    print("ready")
    while True:
        await asyncio.sleep(3600)

%s
"""
RUN = {"micropython": "asyncio.run(main())",
       "cpython": "from spinet import aio\naio.run(main(), stack)"}
PAGE = """
<body><p id=ws></p><p id=sse></p><script>
const say = (id, text) => { document.getElementById(id).textContent += text + ';'; };
const ws = new WebSocket('ws://' + location.host + '/echo');
const messages = ['hello', 'x'.repeat(15000), '\\u00e4\\u00f6'];
ws.onopen = () => messages.forEach(m => ws.send(m));
let n = 0;
ws.onmessage = e => { say('ws', e.data === messages[n] ? 'same' : 'other');
                      if (++n === messages.length) ws.close(1000); };
ws.onclose = e => say('ws', 'closed ' + e.code);
const source = new EventSource('/events');
source.addEventListener('tick', e => { const d = JSON.parse(e.data); say('sse', d.n);
                                       if (d.n === 4) source.close(); });
</script>
"""
APP = '''
import asyncio
from microdot import Microdot
from microdot.websocket import with_websocket
from microdot.sse import with_sse
app = Microdot()

@app.get("/")
async def index(request):
    return PAGE, 200, {"Content-Type": "text/html"}

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
        await asyncio.sleep(0.02)

'''
SERVE = {"micropython": 'app.run(host="0.0.0.0", port=80)',
         "cpython": 'from spinet import aio\naio.run(app.start_server("%s", 80), stack)' % OURS}


def cpu(process):
    """Seconds of processor that a process has had."""
    with open("/proc/%d/stat" % process.pid) as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("runtime", RUN)
def test_three_idle_sockets_cost_nothing(pair, runtime):
    """Two listeners and a connection: at most 1 % of a processor."""
    process = pair.start(runtime, IDLE % RUN[runtime])
    pair.until_open(81)
    with pair.kernel.connect((OURS, 81)) as sock:
        sock.sendall(b"x")
        time.sleep(1)
        before = cpu(process)
        time.sleep(5)
        used = (cpu(process) - before) / 5
        sock.sendall(b"y")
    assert process.poll() is None
    print("%s: %.2f %% of a processor" % (runtime, 100 * used))
    assert used <= 0.01, "%.1f %% of a processor" % (100 * used)


@pytest.mark.parametrize("runtime", SERVE)
def test_microdot_in_a_browser(pair, runtime, need):
    """WebSocket and server-sent events of microdot, as it is published."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    pair.library("microdot")
    process = pair.start(runtime, "PAGE = %r\n%s%s" % (PAGE, APP, SERVE[runtime]))
    pair.until_open(80)
    # A browser of the namespace in which the peer is.
    program = pair.folder / "browser"
    program.write_text('#!/bin/sh\nexec ip netns exec %s %s "$@"\n' % (pair.kernel.name, CHROMIUM))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=str(program), args=FLAGS)
        try:
            page = browser.new_page()
            errors = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto("http://%s/" % OURS)
            page.wait_for_function(
                "document.getElementById('ws').textContent.includes('closed')", timeout=30000)
            page.wait_for_function(
                "document.getElementById('sse').textContent.includes('4;')", timeout=30000)
            assert page.locator("#ws").inner_text() == "same;same;same;closed 1005;"
            assert page.locator("#sse").inner_text() == "0;1;2;3;4;"
            assert errors == []
        finally:
            browser.close()
    assert process.poll() is None
