"""The transfers of the other tests against the kernel, through each modelled chip and its driver."""
import pytest
from lab import Lab, pattern, sha
from test_ip import test_kernel_pings_us, test_we_ping_the_kernel
from test_tcp import (
    MB,
    curl,
    test_50_connections_at_once,
    test_50_connections_opened_in_one_go,
    test_echo_in_pieces_of_all_sizes,
    test_nothing_is_left,
    test_our_client_downloads_and_uploads,
)

from chips.rig import CHIPS

# What is imported here runs here, on this `lab`.
__all__ = (
    "test_50_connections_at_once", "test_50_connections_opened_in_one_go",
    "test_echo_in_pieces_of_all_sizes", "test_kernel_pings_us", "test_nothing_is_left",
    "test_our_client_downloads_and_uploads", "test_we_ping_the_kernel",
)


@pytest.fixture(scope="module", params=[
    (chip, runtime) for chip in sorted(CHIPS) for runtime in ("cpython", "micropython")],
    ids="-".join)
def lab(request):
    """Our servers behind a modelled chip on a veth link, on each runtime."""
    chip, runtime = request.param
    made = Lab("veth", runtime, chip=chip)
    yield made
    made.close()


def test_10_mb_each_way(lab, need, tmp_path):
    need("curl")
    data = pattern(10 * MB)
    curl(lab, "-o", tmp_path / "got", "http://10.55.0.2/%d" % len(data))
    assert sha((tmp_path / "got").read_bytes()) == sha(data)
    (tmp_path / "file").write_bytes(data)
    assert curl(lab, "-T", tmp_path / "file", "http://10.55.0.2/") == sha(data)
