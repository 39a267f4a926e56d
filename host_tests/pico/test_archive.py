"""The archive of compiled modules for the RP2040, on the emulated Pico: loaded from its flash."""
import binascii
import zipfile

import dist
import mpy
import pytest
from test_pico_rom import Board

PUT = """
import os
from binascii import unhexlify
def make(name):
    folder = ""
    for part in name.split("/")[:-1]:
        folder += "/" + part
        try:
            os.mkdir(folder)
        except OSError:
            pass
def put(name, piece):
    with open("/" + name, "ab") as file:
        file.write(unhexlify(piece))
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_archive_runs_on_a_pico(firmware, tmp_path):
    if not mpy.MPY_CROSS.exists():
        pytest.skip("no mpy-cross here")
    board = Board(firmware, "w5500", 24)
    try:
        board.run(PUT)
        with zipfile.ZipFile(dist.archive("armv6m", tmp_path)) as archive:
            for name in archive.namelist():
                if name.startswith("lib/") and not unused(name):
                    data = archive.read(name)
                    board.run("make(%r)\n" % name)
                    for at in range(0, len(data), 4096):
                        board.run("put(%r, %r)\n" % (name, binascii.hexlify(data[at:at + 4096])))
        assert board.run("import spinet\nprint(spinet.__file__)\n") == "/lib/spinet/__init__.mpy\n"
        assert board.run("from spinet import prim\nprint(prim.IMPLEMENTATION)\n") == "viper\n"
        (into, out), ping = board.transfer(100 * 1024)
        print("in %d, out %d KB/s, ping %d us" % (into[0], out[0], ping[0]))
        assert into[0] > 150 and out[0] > 150 and ping[0] < 2500
        # The image has a spinet too: its program says that it is not used.
        board.pico.reset()
        board.pico.expect(b">>> ")
        board.pico.exec("import os; os.remove('main.py')")
        board.pico.reset()
        board.pico.expect(b"/lib/spinet/__init__.mpy is used, not the image's own spinet", 20000)
    finally:
        board.close()


def unused(name):
    """What this test does not import need not be written to a slow flash."""
    return any(word in name for word in ("mdns", "llmnr", "tftp", "iperf", "enc28j60", "repl",
                                         "syslog", "sntp", "dhcpd", "dns", "slip", "microdot"))
