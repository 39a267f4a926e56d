"""TLS for programs that wait, on CPython: what `ssl.SSLContext.wrap_socket` makes of our sockets.

OpenSSL wants a file descriptor there, which a spinet socket has not.  So a `SecureSocket` stands in
for `ssl.SSLSocket`, with its methods and errors; OpenSSL works on memory, and what it writes and
wants goes through the connection.  `spinet.install()` lets `wrap_socket` of every context make it
where it is given one of ours; without that, `wrap(context, sock)` does.

One TLS record is taken out of the connection at a time, so that after `unwrap` nothing is missing.
"""
import ssl
from ssl import SSLWantReadError, SSLWantWriteError

from spinet.errors import EAGAIN, EINPROGRESS, ENOTCONN, os_error
from spinet.service import public
from spinet.sockbase import RD, WR, Socket, pump
from spinet.sockstream import StreamSocket

_RECORD = 16384     # plaintext in one record, at most
_AROUND = 100       # a record is at most so much longer than what is in it

_system = ssl.SSLContext.wrap_socket


def wrap(context, sock, server_side=False, do_handshake_on_connect=True,
         suppress_ragged_eofs=True, server_hostname=None, session=None):
    """`sock`, of spinet's, under TLS; as `context.wrap_socket`.  `sock` itself is closed."""
    if not isinstance(sock, StreamSocket):
        raise NotImplementedError("only stream sockets are supported")
    if server_side and (server_hostname or session):
        raise ValueError("a server has no server_hostname and no session of its own")
    if context.check_hostname and not server_hostname:
        raise ValueError("check_hostname requires server_hostname")
    return SecureSocket(context, sock, server_side, do_handshake_on_connect, suppress_ragged_eofs,
                        server_hostname, session)


def _either(context, sock, *args, **kwargs):
    return (wrap if isinstance(sock, Socket) else _system)(context, sock, *args, **kwargs)


def patch(on):
    """Whether `SSLContext.wrap_socket` takes spinet's sockets too."""
    ssl.SSLContext.wrap_socket = _either if on else _system


class SecureSocket(StreamSocket):
    """A TCP socket under TLS: see `ssl.SSLSocket`, which `isinstance` takes it for."""

    __class__ = property(lambda self: ssl.SSLSocket)

    def __init__(self, context, sock, server_side, do_handshake_on_connect, suppress_ragged_eofs,
                 server_hostname, session):
        StreamSocket.__init__(self, sock.stack, sock.conn)
        self.listener, self._local, self._options = sock.listener, sock._local, sock._options
        self.timeout_ms = sock.timeout_ms
        if "mirror" in sock.__dict__:
            sock.mirror.close()     # see descriptor.py
        sock.stack = sock.conn = sock.listener = None
        self._context = context
        self._session = session
        self.server_side = server_side
        self.server_hostname = server_hostname
        self.do_handshake_on_connect = do_handshake_on_connect
        self.suppress_ragged_eofs = suppress_ragged_eofs
        self._sslobj = None         # of the ssl module; None: without TLS, before and after it
        self._head = bytearray()    # of the record that comes
        self._left = 0              # of it, behind the head
        self._unsent = bytearray()  # encrypted, and not yet taken by the connection
        if self.conn is not None:
            try:
                self._secure()
                if do_handshake_on_connect:
                    if self.timeout_ms == 0:
                        raise ValueError("do_handshake_on_connect should not be specified for "
                                         "non-blocking sockets")
                    self.do_handshake()
            except (OSError, ValueError):
                self.close()
                raise

    def _secure(self):
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._sslobj = self._context.wrap_bio(
            self._in, self._out, self.server_side, self.server_hostname, self._session)

    # -- between OpenSSL and the connection ----------------------------------

    def _do(self, call, *args):
        """`call(*args)` of OpenSSL's, as often as it wants more from the peer."""
        began = self._connected()
        while True:
            self._flush(began)
            try:
                result = call(*args)
            except SSLWantReadError:
                self._flush(began)
                self._fill(began)
            except ssl.SSLError:
                self._alert()
                raise
            else:
                try:
                    self._flush(began)
                except SSLWantWriteError:
                    pass    # it is done; what does not fit goes before what is done next
                return result

    def _flush(self, began):
        """Send what OpenSSL has written."""
        unsent = self._unsent
        if self._out.pending:
            unsent += self._out.read()
        while unsent:
            n = self.conn.send(unsent, 0, len(unsent))
            del unsent[:n]
            if n:
                continue
            if self.timeout_ms:
                pump(self, began)
            else:
                raise SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "the send buffer is full")

    def _alert(self):
        # Why it failed goes to the peer, if it can at once.  What has come is of no use any more,
        # but unread it would make `close` reset the connection, and the peer would not hear why.
        try:
            self._flush(self._begin())
        except OSError:
            pass
        if self.conn.readable() > 0:
            self.conn.consume(self.conn.readable())

    def _fill(self, began):
        """Give OpenSSL more of what has come, at most up to the end of a record."""
        conn = self.conn
        while conn.readable() < 0 and not self._deaf:
            if self.timeout_ms:
                pump(self, began)
                continue
            self.stack.poll()
            if conn.readable() < 0:
                raise SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "nothing has come")
        head = self._head
        while True:
            buf = bytearray(self._left or 5 - len(head))
            n = conn.recv_into(buf, 0, len(buf))
            if n < 0 and not self._deaf:
                return
            if n <= 0:
                self._in.write_eof()
                return
            self._in.write(memoryview(buf)[:n])
            if self._left:
                self._left -= n
                if not self._left:
                    return
                continue
            head += buf[:n]
            if len(head) == 5:
                self._left = head[3] << 8 | head[4]
                head.clear()
                if not self._left:
                    return

    # -- the connection ------------------------------------------------------

    def do_handshake(self, block=False):
        """Agree with the peer, and see whether it is who it should be."""
        if self._sslobj is None:
            raise os_error(ENOTCONN)
        before = self.timeout_ms
        if block and not before:
            self.timeout_ms = -1
        try:
            self._do(self._sslobj.do_handshake)
        finally:
            self.timeout_ms = before

    def connect(self, address):
        """Connect, and do the handshake."""
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._sslobj is None:
            self._secure()
        StreamSocket.connect(self, address)
        if self.do_handshake_on_connect:
            self.do_handshake()

    def connect_ex(self, address):
        """As `connect`, but errors of the connection are returned; TLS may begin later."""
        try:
            self.connect(address)
        except ssl.SSLError:
            raise
        except OSError as e:
            return e.errno or EINPROGRESS
        return 0

    def accept(self):
        """`(socket under TLS, (host, port))` of the next connection."""
        sock, address = StreamSocket.accept(self)
        return wrap(self._context, sock, True, self.do_handshake_on_connect,
                    self.suppress_ragged_eofs), address

    def unwrap(self):
        """End TLS, and wait for the peer to do so: the socket, which goes on without."""
        if self._sslobj is None:
            raise ValueError("No SSL wrapper around " + repr(self))
        self._do(self._sslobj.unwrap)
        self._sslobj = None
        return self

    def shutdown(self, how):
        """As of a socket without TLS, which it is from then on."""
        self._sslobj = None
        StreamSocket.shutdown(self, how)

    def really_close(self):
        self._sslobj = None
        StreamSocket.really_close(self)

    # -- data ----------------------------------------------------------------

    def read(self, len=1024, buffer=None):
        """At most `len` bytes, at least one but at the end; into `buffer`, if given."""
        if self._sslobj is None:
            raise ValueError("Read on closed or unwrapped SSL socket.")
        args = (len,) if buffer is None else (len, buffer)
        try:
            return self._do(self._sslobj.read, *args)
        except ssl.SSLError as e:
            if e.args[0] == ssl.SSL_ERROR_EOF and self.suppress_ragged_eofs:
                return b"" if buffer is None else 0
            raise

    def recv(self, n=1024, flags=0):
        if self._sslobj is None:
            return StreamSocket.recv(self, n, flags)
        self._plain(flags)
        return self.read(n)

    def recv_into(self, buf, n=0, flags=0):
        if self._sslobj is None:
            return StreamSocket.recv_into(self, buf, n or 0, flags)
        self._plain(flags)
        return self.read(n or memoryview(buf).nbytes or 1024, buf)

    def _write(self, data, start, end, flags=0):
        """As many bytes as can be taken: all, where that may be waited for."""
        if self._sslobj is None:
            return StreamSocket._write(self, data, start, end, flags)
        self._plain(flags)
        view = memoryview(data).cast("B")
        at = start
        while True:
            most = _RECORD
            if self.timeout_ms == 0:
                # OpenSSL takes no bytes back: give it only what the connection can take.
                room = self._room()
                if room <= 0:
                    self.stack.poll()
                    room = self._room()
                if room <= 0:
                    if at > start:
                        return at - start
                    raise SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "the send buffer is full")
                most = min(most, room)
            at += self._do(self._sslobj.write, view[at:min(end, at + most)])
            if at >= end:
                return at - start

    def _room(self):
        room = self.conn.writable()
        return _RECORD if room < 0 else room - len(self._unsent) - _AROUND

    def send(self, data, flags=0):
        if self._sslobj is None:
            return StreamSocket.send(self, data, flags)
        return self._write(data, 0, memoryview(data).nbytes, flags)

    def write(self, data, start=None, length=None):
        """As `send`."""
        if self._sslobj is None:
            raise ValueError("Write on closed or unwrapped SSL socket.")
        return self.send(data)

    def sendall(self, data, flags=0):
        at, end = 0, memoryview(data).nbytes
        while at < end:
            n = self._write(data, at, end, flags)
            if n is None:
                raise os_error(EAGAIN)
            at += n

    def _plain(self, flags):
        if flags:
            raise ValueError("non-zero flags not allowed on an SSL socket")

    def recvfrom(self, n=1024, flags=0):
        if self._sslobj is not None:
            raise ValueError("recvfrom not allowed on an SSL socket")
        return StreamSocket.recvfrom(self, n, flags)

    def sendto(self, data, *args):
        if self._sslobj is not None:
            raise ValueError("sendto not allowed on an SSL socket")
        return StreamSocket.sendto(self, data, *args)

    def pending(self):
        """Bytes that are decrypted already."""
        return self._sslobj.pending() if self._sslobj is not None else 0

    def ready(self):
        flags = StreamSocket.ready(self)
        if self._sslobj is not None and self.conn is not None:
            if flags & WR and self._room() <= 0:
                flags &= ~WR
            if self._sslobj.pending():
                flags |= RD
        return flags

    # -- who is there ----------------------------------------------------------

    @property
    def context(self):
        return self._context

    @context.setter
    def context(self, context):
        self._context = self._sslobj.context = context

    @property
    def session(self):
        return self._sslobj and self._sslobj.session

    @session.setter
    def session(self, session):
        self._session = session
        if self._sslobj is not None:
            self._sslobj.session = session

    @property
    def session_reused(self):
        return self._sslobj and self._sslobj.session_reused

    def getpeercert(self, binary_form=False):
        if self._sslobj is None:
            self.getpeername()
            raise ValueError("No SSL wrapper around " + repr(self))
        return self._sslobj.getpeercert(binary_form)

    def get_channel_binding(self, cb_type="tls-unique"):
        return self._sslobj and self._sslobj.get_channel_binding(cb_type)

    def selected_alpn_protocol(self):
        return self._sslobj and self._sslobj.selected_alpn_protocol()

    def version(self):
        return self._sslobj and self._sslobj.version()

    def cipher(self):
        return self._sslobj and self._sslobj.cipher()

    def shared_ciphers(self):
        return self._sslobj and self._sslobj.shared_ciphers()

    def compression(self):
        return self._sslobj and self._sslobj.compression()

    def verify_client_post_handshake(self):
        return self._do(self._sslobj.verify_client_post_handshake)


public(SecureSocket, *[name for name, what in vars(SecureSocket).items()
                       if callable(what) and not name.startswith("__")])
