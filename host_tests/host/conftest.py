"""What tests on this host alone have in common."""
import ssl
import subprocess

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
    file = folder / "both.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=board.test", "-addext",
         "subjectAltName=DNS:board.test,IP:" + B, "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"], capture_output=True)
    if made.returncode:
        pytest.skip("needs the program openssl")
    file.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    context = ssl.create_default_context(cafile=folder / "cert.pem")
    return file, context
