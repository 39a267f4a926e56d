"""The status page in a real browser: headless Chromium, through the gateway, at the virtual board.

`SPINET_SCREENSHOT=docs/status-page.png` keeps the picture.
"""
import os
import re
import shutil
import socket

import pytest

from boards import Lab, need_runtime

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which(
    "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
WIDE = {"width": 1100, "height": 800}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    need_runtime("micropython")
    with Lab(tmp_path_factory.mktemp("flash"), "micropython") as lab:
        lab.wait_up()
        yield lab


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(lab, browser):
    """Open the board's page; at the end there must have been no script error."""
    errors = []
    pages = []

    def open_page(viewport, scheme="light"):
        page = browser.new_page(viewport=viewport, color_scheme=scheme)
        pages.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("http://127.0.0.1:%d/" % lab.port(80))
        page.wait_for_function("document.getElementById('age').textContent == 'live'")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert errors == []


def number(page, selector):
    return int(re.sub(r"\D", "", page.locator(selector).inner_text()))


def test_shows_the_board(open_page):
    page = open_page(WIDE)
    assert page.title() == "spinet 10.0.2.15/24"
    assert page.locator("#address").inner_text() == "10.0.2.15/24"
    assert re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", page.locator("#mac").inner_text())
    assert page.locator("#link").inner_text() == "up"
    assert page.locator("#chip").inner_text() == "W5500"
    assert re.search("[KM]iB$", page.locator("#heap").inner_text())
    assert "10.0.2.2" in page.locator("#arp").inner_text()
    sockets = page.locator("#sockets").inner_text()
    assert "LISTEN" in sockets and "ESTABLISHED" in sockets and "*:7" in sockets


def test_values_change_by_themselves(open_page):
    page = open_page(WIDE)
    counter = "#counters [data-k=eth0] [data-k=rx] b"
    page.wait_for_selector(counter)
    before = number(page, counter), page.locator("#uptime").inner_text()
    page.wait_for_function(
        "old => parseInt(document.querySelector(%r).textContent.replace(/\\D/g, '')) > old"
        % counter, arg=before[0], timeout=5000)
    page.wait_for_function(
        "old => document.getElementById('uptime').textContent != old", arg=before[1], timeout=5000)
    assert page.locator("#rxline").get_attribute("d").startswith("M")


def test_shows_traffic_as_it_happens(lab, open_page):
    page = open_page(WIDE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", lab.port(7, "udp")))
        for _ in range(50):
            sock.send(b"x")
            sock.recv(10)
    row = page.locator("#services tr", has_text="echo/udp")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#services tr')].some("
        "r => r.textContent.includes('echo/udp') && parseInt(r.cells[3].textContent) >= 50)",
        timeout=5000)
    assert row.count() == 1


def test_does_not_rebuild_what_did_not_change(open_page):
    page = open_page(WIDE)
    page.wait_for_selector("#sockets tbody tr")
    page.evaluate("document.querySelector('#sockets tbody tr').dataset.mark = 'same'")
    page.wait_for_timeout(2500)
    assert page.evaluate("document.querySelector('#sockets tbody tr').dataset.mark") == "same"


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_the_screen(open_page, viewport, scheme):
    page = open_page(viewport, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    dark = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).reduce((a, b) => a + +b, 0)"
    ) < 300
    assert dark == (scheme == "dark")


def test_keeps_a_picture(open_page, tmp_path):
    page = open_page({"width": 1000, "height": 700})
    page.wait_for_timeout(6000)
    path = os.environ.get("SPINET_SCREENSHOT") or str(tmp_path / "page.png")
    page.screenshot(path=path, full_page=True)
    assert 20000 < os.path.getsize(path) < 150000


def test_says_when_the_board_is_gone_and_when_it_is_back(lab, open_page):
    page = open_page(WIDE)
    lab.board.stop()
    page.wait_for_function(
        "document.getElementById('age').textContent.startsWith('no answer for')", timeout=15000)
    assert page.evaluate("document.body.classList.contains('stale')")
    lab.board.start()
    page.wait_for_function("document.getElementById('age').textContent == 'live'", timeout=20000)
    assert not page.evaluate("document.body.classList.contains('stale')")
