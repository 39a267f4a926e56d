"""`make run RUNTIME=pico BOARDS=2`: two emulated Picos behind the gateway's switch."""
import re
import subprocess
import sys
import urllib.request

import pytest
from board.launch import REPO
from spinetcli.link import Board
from test_run import start  # noqa: F401

FETCH = """
s = the_board.nic.stack.socket()
s.connect(("10.0.2.16", 80))
s.send(b"GET /status.json HTTP/1.0\\r\\n\\r\\n")
piece = s.recv(1000)
while piece:
    print(piece.decode(), end="")
    piece = s.recv(1000)
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_one_pings_the_other_and_fetches_its_page(start, firmware):  # noqa: F811
    run = start("--boards", "2", "--runtime", "pico")
    run.wait_for(r"Ctrl-C stops it", 150)
    urls = sorted(set(re.findall(r"http://127\.0\.0\.1:\d+/", run.text)))
    assert len(urls) == 2
    for url in urls:
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert answer.read() == (REPO / "firmware/www/index.html").read_bytes()
    line = run.wait_for(r"mpremote connect (\S+)").group(1)
    with Board(line) as board:
        assert board.ask("ping 10.0.2.16 1")[-1]["answered"] == 1
    fetched = subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", line, "resume", "exec", FETCH],
        capture_output=True, text=True, timeout=90)
    assert "200 OK" in fetched.stdout and "board2" in fetched.stdout, fetched
    assert run.end() == 0
