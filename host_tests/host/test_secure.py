"""TLS on sockets that wait: both ends spinet's, each in a thread of its own."""
import contextlib
import ssl
import sys
import threading
import time

import pytest

from spinet import modules, secure, selecting
from spinet.sockstream import StreamSocket
from spinet.threaded import Threaded

A, B = "10.0.0.1", "10.0.0.2"
DATA = bytes(range(256)) * 2000


@pytest.fixture
def both(hosts):
    threads = [Threaded(host) for host in hosts]
    yield hosts
    for thread in threads:
        thread.stop()


@pytest.fixture(params=("TLSv1_2", "TLSv1_3"))
def contexts(request, certificate):
    file, trust = certificate
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    server.minimum_version = server.maximum_version = ssl.TLSVersion[request.param]
    server.set_alpn_protocols(["spinet"])
    return trust, server


def serve(stack, context, talk):
    """`talk(socket under TLS)` in a thread, for the first who connects; call the result to join."""
    listening = stack.socket()
    listening.bind(("", 443))
    listening.listen(1)
    listening = secure.wrap(context, listening, server_side=True)
    assert isinstance(listening, secure.SecureSocket)
    out = []

    def run():
        try:
            listening.settimeout(10)
            sock, _ = listening.accept()
            sock.settimeout(10)
            with sock:
                out.append(talk(sock))
        except Exception as e:
            out.append(e)
        listening.close()

    thread = threading.Thread(target=run)
    thread.start()

    def join():
        thread.join(20)
        assert len(out) == 1, "the server hangs"
        return out[0]

    return join


def connect(stack, context, name="board.test", **options):
    sock = stack.socket()
    sock.settimeout(10)
    sock.connect((B, 443))
    return secure.wrap(context, sock, server_hostname=name, **options)


def everything(sock):
    got = b""
    while len(got) < len(DATA):
        part = sock.recv(50000)
        assert part, "ends after %d bytes" % len(got)
        got += part
    return got


def test_data_both_ways_and_then_without(both, contexts):
    trust, context = contexts

    def talk(sock):
        got = everything(sock)
        sock.sendall(got)
        sock.sendall(b"a line\n")
        assert sock.recv(1) == b""      # the client ends TLS
        plain = sock.unwrap()
        plain.sendall(b"in clear")
        return plain.recv(100)

    join = serve(both[1], context, talk)
    sock = connect(both[0], trust)
    assert isinstance(sock, ssl.SSLSocket) and isinstance(sock, StreamSocket)
    assert sock.version() == context.maximum_version.name.replace("_", ".")
    assert sock.getpeercert()["subject"] == ((("commonName", "board.test"),),)
    assert sock.getpeercert(True) and sock.cipher()[0] and not sock.session_reused
    assert sock.send(DATA) == len(DATA)
    assert everything(sock) == DATA
    with sock.makefile("rb") as file:
        assert file.readline() == b"a line\n"
    sock.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        sock.unwrap()
    time.sleep(0.3)     # until the end of TLS and what follows it have both come
    plain = sock.unwrap()
    assert plain.recv(100) == b"in clear"
    plain.sendall(b"too")
    assert join() == b"too"
    plain.close()


def test_connect_of_a_wrapped_socket_and_pending(both, contexts):
    trust, context = contexts
    trust.set_alpn_protocols(["spinet"])
    join = serve(both[1], context, lambda sock: sock.sendall(b"0123456789") or sock.recv(1))
    sock = secure.wrap(trust, both[0].socket(), server_hostname="board.test")
    with pytest.raises(OSError):
        sock.do_handshake()
    sock.settimeout(10)
    sock.connect((B, 443))
    assert sock.selected_alpn_protocol() == "spinet"
    assert sock.recv(4) == b"0123" and sock.pending() == 6
    assert selecting.select([sock], [], [], 0)[0] == [sock]     # nothing is in the connection
    buf = bytearray(6)
    assert sock.recv_into(buf) == 6 and buf == b"456789"
    sock.write(b"x")
    assert join() == b"x"
    assert sock.recv(5) == b""      # a ragged end
    sock.close()


def test_who_is_not_trusted_is_told(both, contexts):
    _, context = contexts
    join = serve(both[1], context, lambda sock: sock.recv(1))
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(both[0], ssl.create_default_context())
    told = join()
    assert isinstance(told, ssl.SSLError) and "UNKNOWN_CA" in str(told).upper().replace(" ", "_")


def test_wrong_name_and_bad_arguments(both, contexts):
    trust, context = contexts
    join = serve(both[1], context, lambda sock: sock.recv(1))
    with pytest.raises(ssl.SSLCertVerificationError, match="ostname"):
        connect(both[0], trust, "other.test")
    join()
    sock = both[0].socket()
    with pytest.raises(ValueError):
        secure.wrap(trust, sock)        # a name to check is missing
    with pytest.raises(ValueError):
        secure.wrap(context, sock, server_side=True, server_hostname="x")
    with pytest.raises(NotImplementedError):
        secure.wrap(trust, both[0].socket(2), server_hostname="x")


def test_a_time_out(both, contexts):
    trust, context = contexts
    join = serve(both[1], context, lambda sock: sock.recv(1))
    sock = connect(both[0], trust)
    sock.settimeout(0.1)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        sock.recv(1)
    assert 0.09 <= time.monotonic() - began < 5
    sock.send(b"x")     # and it goes on
    assert join() == b"x"
    sock.close()


def test_without_waiting(both, contexts):
    trust, context = contexts
    join = serve(both[1], context, lambda sock: sock.sendall(everything(sock)) or sock.recv(1))
    sock = connect(both[0], trust, do_handshake_on_connect=False)
    sock.setblocking(False)

    def until_done(call, *args):
        while True:
            try:
                return call(*args)
            except ssl.SSLWantReadError:
                assert selecting.select([sock], [], [], 10)[0]
            except ssl.SSLWantWriteError:
                assert selecting.select([], [sock], [], 10)[1]

    until_done(sock.do_handshake)
    with pytest.raises(ssl.SSLWantReadError):
        while True:
            sock.recv(1)
    at = 0
    while at < len(DATA):
        at += until_done(sock.send, DATA[at:])
    got = b""
    while len(got) < len(DATA):
        got += until_done(sock.recv, 100000)
    assert got == DATA
    sock.send(b"x")
    assert join() == b"x"
    sock.close()


def test_what_was_taken_without_waiting_arrives_by_itself(both, contexts):
    """No later call on the socket is needed: it is with the connection, not in OpenSSL."""
    trust, context = contexts
    full = threading.Event()

    def talk(sock):
        assert full.wait(10)
        got = 0
        try:
            sock.settimeout(1)
            while True:
                got += len(sock.recv(100000))
        except TimeoutError:
            return got

    join = serve(both[1], context, talk)
    sock = connect(both[0], trust)
    sock.setblocking(False)
    sent = 0
    while selecting.select([], [sock], [], 0.3)[1]:
        with contextlib.suppress(ssl.SSLWantWriteError):
            sent += sock.send(DATA)
    full.set()
    assert sent == join() > 10000
    sock.close()


def test_install_and_uninstall(hosts):
    before = ssl.SSLContext.wrap_socket
    modules.install(hosts[0])
    try:
        import socket

        context = ssl.create_default_context()
        ours = context.wrap_socket(socket.socket(), server_hostname="x")
        assert isinstance(ours, secure.SecureSocket)
        one, two = socket.socketpair()
        with one, two, context.wrap_socket(
                one, server_hostname="x", do_handshake_on_connect=False) as theirs:
            assert not isinstance(theirs, StreamSocket)
    finally:
        modules.uninstall()
    assert ssl.SSLContext.wrap_socket is before and "socket" in sys.modules
