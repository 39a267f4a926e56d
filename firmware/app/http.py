"""The board's pages: a microdot application, served by the board's own loop.

microdot parses requests and makes answers.  It expects of a connection two streams like those of
asyncio; a `Client` is both, and what it waits for is its socket, so that the loop that steps every
other service steps this one too, also beside the MicroPython prompt.  Bounded on purpose: of each
header line the first `_LINE` bytes count, a longer request line and a head longer than `_HEAD` are
refused; answers go out piece by piece as the peer takes them.  GET and HEAD only, and one request
for each connection, as microdot has it.
"""
from app.files import opened
from app.server import RD, WR, Slot, ready
from microdot import Microdot, Response
from spinet.errors import ECONNRESET, os_error
from spinet.prim import ticks_diff, ticks_ms

_LINE = 256
_HEAD = 8192
_CHUNK = 1024
_REQUEST_MS = 10000     # from the first byte of a request to the end of its head
_LINGER_MS = 2000       # for the peer to close first after our last byte
_SHY_MS = 3000          # silent before its request: a waiting client may have the slot
_TURN = 16              # waits in one step that end at once, so that others get theirs
_REASON = {400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


def site(root, documents):
    """A microdot application with the files under `root` and generated documents.

    `documents` maps a name to (content type, function); the function returns a generator of
    text pieces, each at most about 500 characters.
    """
    app = Microdot()

    async def index(request):
        return page(request, root, "index.html")

    async def named(request, name):
        if name in documents:
            kind, make = documents[name]
            return Response(make(), 200, headers(kind))
        return page(request, root, name)

    async def malformed(request):
        return refusal(400)

    async def absent(request):
        return refusal(404)

    async def forbidden(request):
        return refusal(405, {"Allow": "GET, HEAD"})

    app.get("/")(index)
    app.get("/<path:name>")(named)
    app.errorhandler(400)(malformed)
    app.errorhandler(404)(absent)
    app.errorhandler(405)(forbidden)
    return app


def page(request, root, name):
    """The answer that is the file `name` under `root`, or says that there is none."""
    if ".." in name or "\\" in name:
        return refusal(404)
    try:
        file = opened(root + "/" + name)
    except OSError:
        return refusal(404)
    kind = Response.types_map.get(name[name.rfind(".") + 1:], "application/octet-stream")
    fields = headers(kind + "; charset=utf-8" if kind.startswith("text/") else kind)
    fields["Content-Length"] = str(file.seek(0, 2))
    file.seek(0)
    if request.method == "HEAD":
        file.close()
        file = b""
    return Response(file, 200, fields)


def headers(kind):
    """The header fields of a document that may be another the next time."""
    return {"Content-Type": kind, "Cache-Control": "no-cache"}


def refusal(status, fields=None):
    """The answer that says that there is none."""
    return Response("%d %s\n" % (status, _REASON[status]), status, fields, _REASON[status])


class Client(Slot):
    """One connection: to microdot a stream for both ways, to the loop a service's slot."""

    # One for all: nothing stays in it from one step to the next.
    scratch = bytearray(_CHUNK)
    view = memoryview(scratch)

    def __init__(self, app):
        Slot.__init__(self)
        self.app = app
        self.task = None

    def begin(self):
        self.task = None        # microdot at work on the request, once that has begun
        self.wants = RD         # what it waits for
        self.turns = 0
        self.patience_ms = 0    # since `started`; 0: no limit
        self.head = 0           # bytes of the head so far
        self.rest = b""         # what was read and not yet asked for
        self.out = b""          # what was written and is not yet sent

    def idle(self, now):
        return (self.task is None and not ready(self.sock, RD)
                and ticks_diff(now, self.since) > _SHY_MS)

    def step(self, now):
        self.turns = _TURN
        if self.task is None:
            if not ready(self.sock, RD):
                return False
            if not self.receive():
                self.close()
                return True
            self.task = self.app.handle_request(self, self)
            self.limit(_REQUEST_MS)
        elif self.patience_ms and ticks_diff(now, self.started) > self.patience_ms:
            self.patience_ms = 0
            self.resume(True)
            return True
        elif not ready(self.sock, self.wants):
            return False
        self.resume(False)
        return True

    def resume(self, failed):
        """Let microdot go on until it waits again, or is done; `failed`: what it waits for will
        not come."""
        task = self.task
        self.task = None
        try:
            if failed:
                task.throw(reset())
            else:
                task.send(None)
        except StopIteration:
            self.close()
        else:
            self.task = task

    def close(self):
        Slot.close(self)
        if self.task is not None:
            self.resume(True)       # so that it closes its file
            self.task = None

    def limit(self, patience_ms):
        """From now on microdot gets an error when this has gone on for so long."""
        self.started = ticks_ms()
        self.patience_ms = patience_ms

    # What is awaited: that the socket is ready.

    def until(self, events):
        """Awaited, it waits until the socket is ready for `events`."""
        self.wants = events
        return self

    def __iter__(self):
        return self

    __await__ = __iter__

    def __next__(self):
        if self.sock is None:
            raise reset()
        if self.turns and ready(self.sock, self.wants):
            self.turns -= 1
            raise StopIteration

    # What microdot asks of a stream.

    def get_extra_info(self, name):
        return self.sock.getpeername() if name == "peername" else None

    async def readline(self):
        line = b""
        whole = False
        while not whole:
            if not self.rest:
                await self.until(RD)
                if not self.receive():
                    break
            end = self.rest.find(b"\n") + 1
            whole = end > 0
            end = end or len(self.rest)
            first = self.head == len(line)
            self.head += end
            if self.head > _HEAD or first and len(line) + end > _LINE:
                raise reset()
            line += self.rest[:min(end, _LINE - len(line))]
            self.rest = self.rest[end:]
        if not sound(line, first):
            raise reset()
        return line

    async def readexactly(self, count):
        if count > _CHUNK:
            raise reset()
        while len(self.rest) < count:
            await self.until(RD)
            if not self.receive():
                raise reset()
        data = self.rest[:count]
        self.rest = self.rest[count:]
        return data

    async def awrite(self, data):
        """Send; what is short waits for more, so that segments are full."""
        self.patience_ms = 0
        self.out += data
        if len(self.out) >= _CHUNK:
            await self.flush()

    async def aclose(self):
        """Send the rest and end the connection.

        To close with unread input would reset it and might take our answer from the peer
        (RFC 9112 9.6): end our side, and drain what comes.
        """
        await self.flush()
        self.sock.shutdown(1)
        self.limit(_LINGER_MS)
        self.rest = b""
        await self.until(RD)
        while self.receive():
            self.rest = b""
            await self.until(RD)

    async def flush(self):
        out = memoryview(self.out)
        at = 0
        while at < len(out):
            await self.until(WR)
            at += self.sock.write(out[at:]) or 0
        self.out = b""

    def receive(self):
        """Take what has come; how many bytes, 0 at the end of the peer's stream."""
        n = self.sock.readinto(self.scratch)
        self.rest += self.view[:n]
        return n


def reset():
    """The error that microdot takes for a connection that ends early."""
    return os_error(ECONNRESET)


def sound(line, first):
    """Whether a line of a head has the shape of one: else microdot reports it as an error of its
    own, on the console."""
    line = line.rstrip()
    if not line:
        return True
    if max(line) > 126:
        return False
    if first:
        return line.count(b" ") == 2 and b" HTTP/1." in line and b" /" in line
    return line.find(b":") > 0
