"""What tests on this host alone have in common."""
import ssl

import certificates
import pytest

from spinet import Stack
from spinet.ports import wire
from spinet.testing.plugin import lan, pytest_runtest_makereport  # noqa: F401

A, B = "10.0.0.1", "10.0.0.2"


@pytest.fixture
def hosts():
    """Two stacks on a cable."""
    near, far = wire.pair(slots=64)
    a, b = Stack(), Stack()
    a.add(near, A + "/24")
    b.add(far, B + "/24")
    yield a, b
    a.close()
    b.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(file with certificate and key of "board.test", context that trusts it)."""
    folder = tmp_path_factory.mktemp("tls")
    try:
        certificates.make(folder, B)
    except FileNotFoundError:
        pytest.skip("needs the program openssl")
    return folder / "both.pem", ssl.create_default_context(cafile=folder / "ca.pem")
