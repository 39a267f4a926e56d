"""An `ssl` module for firmware that has `tls` alone; `spinet.install()` puts it there.

As MicroPython's own `ssl`: `SSLContext`, the constants, and `wrap_socket`.
"""
import tls
from tls import (  # noqa: F401
    CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER,
)


def _bytes_of(what):
    """The bytes of a file, if its name is given."""
    if isinstance(what, str):
        with open(what, "rb") as file:
            return file.read()
    return what


class SSLContext:
    """Settings of TLS, for many connections."""

    def __init__(self, protocol):
        self._context = tls.SSLContext(protocol)
        self._context.verify_mode = CERT_REQUIRED if protocol == PROTOCOL_TLS_CLIENT else CERT_NONE

    @property
    def verify_mode(self):
        """CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED."""
        return self._context.verify_mode

    @verify_mode.setter
    def verify_mode(self, mode):
        self._context.verify_mode = mode

    def load_cert_chain(self, certfile, keyfile):
        """Our certificate and key: names of files, or their bytes (DER)."""
        self._context.load_cert_chain(_bytes_of(certfile), _bytes_of(keyfile))

    def load_verify_locations(self, cafile=None, cadata=None):
        """Whom to trust: the name of a file, or bytes (DER)."""
        self._context.load_verify_locations(_bytes_of(cafile) if cadata is None else cadata)

    def get_ciphers(self):
        """The names of the ciphers there are."""
        return self._context.get_ciphers()

    def set_ciphers(self, ciphers):
        """Allow these only."""
        self._context.set_ciphers(ciphers)

    def wrap_socket(self, sock, server_side=False, do_handshake_on_connect=True,
                    server_hostname=None):
        """`sock` under TLS, a stream."""
        return self._context.wrap_socket(
            sock, server_side=server_side, do_handshake_on_connect=do_handshake_on_connect,
            server_hostname=server_hostname)


def wrap_socket(sock, server_side=False, key=None, cert=None, cert_reqs=CERT_NONE, cadata=None,
                server_hostname=None, do_handshake=True):
    """As MicroPython's `ssl.wrap_socket`: a context for this one connection."""
    context = SSLContext(PROTOCOL_TLS_SERVER if server_side else PROTOCOL_TLS_CLIENT)
    context.verify_mode = cert_reqs
    if cert is not None or key is not None:
        context.load_cert_chain(cert, key)
    if cadata is not None:
        context.load_verify_locations(cadata=cadata)
    return context.wrap_socket(sock, server_side=server_side, do_handshake_on_connect=do_handshake,
                               server_hostname=server_hostname)
