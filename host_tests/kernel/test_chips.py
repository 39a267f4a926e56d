"""The transfers of the tests against the kernel, through each modelled chip and its driver."""
import socket

import lab as lab_module
import pytest
from lab import KERNEL_CLIENT, OURS, pattern, sha
from test_tcp import (
    MB,
    curl,
    test_50_connections_at_once,
    test_50_connections_opened_in_one_go,
    test_echo_in_pieces_of_all_sizes,
    test_echo_of_a_megabyte_at_once,
    test_nothing_is_left,
    test_our_client_connects_often_and_many_times_at_once,
    test_our_client_downloads_and_uploads,
)

from chips.rig import CHIPS

# What is imported here runs here, on this `lab`.
__all__ = (
    "test_50_connections_at_once", "test_50_connections_opened_in_one_go",
    "test_echo_in_pieces_of_all_sizes", "test_echo_of_a_megabyte_at_once",
    "test_nothing_is_left", "test_our_client_connects_often_and_many_times_at_once",
    "test_our_client_downloads_and_uploads",
)
# Up to three fragments: more at once than the smaller chip's memory takes is the chip's to lose.
SIZES = (0, 1, 17, 18, 19, 56, 1000, 1471, 1472, 1473, 2953, 4000)


@pytest.fixture(scope="module", params=[
    (chip, runtime) for chip in sorted(CHIPS) for runtime in ("cpython", "micropython")],
    ids="-".join)
def lab(request):
    """Our servers behind a modelled chip on a veth link, on each runtime."""
    made = lab_module.Lab(*request.param)
    yield made
    made.close()


def test_10_mb_each_way(lab, need, tmp_path):
    """Only 3 MB on MicroPython, where the model itself takes most of the time."""
    need("curl")
    data = pattern((10 if lab.runtime == "cpython" else 3) * MB)
    curl(lab, "-o", tmp_path / "got", "http://%s/%d" % (OURS, len(data)))
    assert sha((tmp_path / "got").read_bytes()) == sha(data)
    (tmp_path / "file").write_bytes(data)
    assert curl(lab, "-T", tmp_path / "file", "http://%s/" % OURS) == sha(data)


def test_pings_both_ways(lab, need):
    need("ping")
    for size in SIZES:
        # Once answered, ping waits for the rest twice as long as that took; or as -w says.
        out = lab.kernel.run("ping", "-c", "3", "-i", "0.02", "-w", "10", "-s", size, OURS)
        assert int(out.split(" received")[0].split()[-1]) >= 3, out
    assert lab.client("ping", KERNEL_CLIENT, *SIZES) == "ok"


def test_datagrams(lab):
    sock = lab.kernel.socket(socket.SOCK_DGRAM, timeout=5)
    sock.connect((OURS, 7))
    for size in SIZES:
        sock.send(pattern(size))
        assert sock.recv(10000) == pattern(size), size
    sock.close()
