"""A small HTTP/1.1 server (RFC 9110, RFC 9112): pages from flash, and one generated document.

Bounded on purpose: a request line and each header line must fit `_LINE` bytes
(longer header lines are skipped, a longer request line is refused), a whole
request head `_HEAD`; answers are streamed piece by piece as the peer takes
them, so no answer is ever whole in memory.  GET and HEAD only.  Connections
stay open between requests; a waiting client may take over an idle one's slot.
"""
from app.files import opened
from app.server import RD, WR, Slot, ready
from spinet.prim import ticks_diff

_LINE = 256
_HEAD = 8192
_BODY = 65536           # of a request that is refused anyway, read and forgotten
_CHUNK = 1024
_REQUEST_MS = 10000     # from the first byte of a request to its end
_TURN = 16              # writes in one step, so that others get theirs
_IDLE_MS = 500          # silent between requests: a waiting client may have the slot
_SHY_MS = 3000          # the same before the first request
_LINGER_MS = 2000       # for the peer to close first after our last byte

_REASON = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 414: "URI Too Long", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 505: "HTTP Version Not Supported",
}
_TYPES = {
    "html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript",
    "json": "application/json", "svg": "image/svg+xml", "png": "image/png",
    "ico": "image/x-icon", "txt": "text/plain; charset=utf-8",
}

# What a connection is doing.
_READ, _SEND, _LINGER = 0, 1, 2


class Site:
    """What there is to serve: files under `root`, and generated documents.

    `documents` maps a path to (content type, function); the function returns
    an iterable of text pieces, each at most about 500 characters.  `served`
    and `refused` count answers.
    """

    def __init__(self, root, documents):
        self.root = root
        self.documents = documents
        self.served = 0
        self.refused = 0

    def slot(self):
        """A connection of this site, for `server.Server`."""
        return Client(self)

    def find(self, path):
        """(content type, open file or None, function or None) for a path, or None."""
        if path in self.documents:
            kind, make = self.documents[path]
            return kind, None, make
        if path.endswith("/"):
            path += "index.html"
        kind = _TYPES.get(path[path.rfind(".") + 1:])
        if kind is None or ".." in path or "\\" in path or "//" in path or "%" in path:
            return None
        try:
            return kind, opened(self.root + path), None
        except OSError:
            return None


class Client(Slot):
    """One connection: reads a request head line by line, streams the answer."""

    # One for all: nothing stays in it from one step to the next.
    scratch = bytearray(_CHUNK)
    view = memoryview(scratch)

    def __init__(self, site):
        Slot.__init__(self)
        self.site = site
        self.file = None
        self.pieces = None
        self.line = bytearray(_LINE)
        # What was read behind the end of a request: the start of the next.
        self.rest = b""

    def begin(self):
        self.answered = False   # a request was answered on this connection
        self.rest = b""
        self.out = b""
        self.sent = 0
        self.expect_request()

    def expect_request(self):
        self.state = _READ
        self.fill = 0           # bytes in `line`
        self.skip = False       # the current line is too long: drop it to its end
        self.head = 0           # bytes of the head so far; 0: between requests
        self.request = None     # (method, path, version) once the first line is in
        self.body = 0           # bytes of the request's body still to come
        self.keep = True
        self.named = False      # there was a Host header
        self.status = 0         # an error found while reading the head
        self.file_at = 0
        self.chunked = False

    def idle(self, now):
        if self.state != _READ or self.head or ready(self.sock, RD):
            return False
        silent = ticks_diff(now, self.since)
        return silent > (_IDLE_MS if self.answered else _SHY_MS)

    def close(self):
        self.drop_answer()
        Slot.close(self)

    def drop_answer(self):
        if self.file is not None:
            self.file.close()
            self.file = None
        self.pieces = None

    # The head of a request.

    def step(self, now):
        if self.state == _READ:
            return self.read(now)
        if self.state == _SEND:
            return self.send(now)
        return self.linger(now)

    def read(self, now):
        if self.rest:
            data = self.rest
            self.rest = b""
        else:
            if not ready(self.sock, RD):
                if self.head and ticks_diff(now, self.started) > _REQUEST_MS:
                    self.refuse(408)
                    return True
                return False
            n = self.sock.readinto(self.scratch)
            if n == 0:
                self.close()
                return True
            data = bytes(self.view[:n])
        if self.head == 0:
            self.started = now
        self.parse(data)
        return True

    def parse(self, data):
        """Take the bytes of `data` up to the end of the head; what is behind it is kept."""
        at = 0
        end = len(data)
        while at < end:
            cut = data.find(b"\n", at)
            stop = end if cut < 0 else cut
            self.add(data, at, stop)
            self.head += stop - at + 1
            if self.head > _HEAD:
                self.refuse(431)
                return
            at = stop + 1
            if cut >= 0 and self.end_of_line():
                if at < end:
                    self.rest = data[at:]
                self.answer()
                return

    def add(self, data, at, stop):
        """Append data[at:stop] to the line, or mark the line as too long."""
        n = stop - at
        if self.fill + n > _LINE:
            self.skip = True
        else:
            self.line[self.fill:self.fill + n] = data[at:stop]
            self.fill += n

    def end_of_line(self):
        """A line is complete; True if it was the empty one that ends the head."""
        fill = self.fill
        if fill and self.line[fill - 1] == 13:
            fill -= 1
        line = bytes(self.line[:fill])
        skipped = self.skip
        self.fill = 0
        self.skip = False
        if self.request is None:
            if skipped:
                self.status = 414
                self.request = ("", "", "")
            elif line:      # RFC 9112 2.2: empty lines before a request are ignored
                self.request_line(line)
            return False
        if not line and not skipped:
            return True
        if not skipped:
            self.header(line)
        return False

    def request_line(self, line):
        parts = line.split(b" ")
        try:
            method, target, version = [str(part, "ascii") for part in parts]
        except ValueError:      # also UnicodeError: not three words, or not ASCII
            self.status = 400
            method = target = version = ""
        if not self.status:
            if not version.startswith("HTTP/"):
                self.status = 400
            elif not version.startswith("HTTP/1."):
                self.status = 505
            elif method not in ("GET", "HEAD"):
                self.status = 405
            elif not target.startswith("/"):
                self.status = 400
        self.keep = version == "HTTP/1.1"
        self.request = (method, target.split("?")[0], version)

    def header(self, line):
        colon = line.find(b":")
        if colon <= 0 or line[0] in b" \t":
            self.status = self.status or 400
            return
        name = line[:colon].lower()
        value = line[colon + 1:].strip()
        if name == b"host":
            self.named = True
        elif name == b"connection":
            value = value.lower()
            if b"close" in value:
                self.keep = False
            elif b"keep-alive" in value:
                self.keep = True
        elif name == b"content-length":
            try:
                self.body = int(value)
            except ValueError:
                self.body = -1
            if not 0 <= self.body <= _BODY:
                self.body = 0
                self.status = 400
        elif name == b"transfer-encoding":
            self.status = self.status or 400

    # The answer.

    def refuse(self, status):
        """Answer with an error and close afterwards, however far the request got."""
        self.status = status
        self.rest = b""
        if self.request is None:
            self.request = ("", "", "")
        self.keep = False
        self.answer()

    def answer(self):
        """The head is complete: start the answer."""
        method, path, version = self.request
        if version == "HTTP/1.1" and not self.named:
            self.status = self.status or 400        # RFC 9112 3.2
        if self.body:
            self.keep = False       # simpler, and safe: the rest is drained on the way out
        status = self.status
        found = None
        if not status:
            found = self.site.find(path)
            status = 200 if found else 404
        if status in (400, 408, 414, 431, 505):
            self.keep = False
        head = "HTTP/1.1 %d %s\r\nServer: spinet\r\n" % (status, _REASON[status])
        if found:
            kind, self.file, make = found
            head += "Content-Type: %s\r\nCache-Control: no-cache\r\n" % kind
            if self.file:
                head += "Content-Length: %d\r\n" % self.file.seek(0, 2)
                self.file.seek(0)
            elif version == "HTTP/1.0":
                self.keep = False
            else:
                self.chunked = True
                head += "Transfer-Encoding: chunked\r\n"
            if method == "HEAD":
                self.drop_answer()
            elif make:
                self.pieces = iter(make())
            text = ""
            self.site.served += 1
        else:
            text = "%d %s\n" % (status, _REASON[status])
            head += "Content-Type: text/plain\r\nContent-Length: %d\r\n" % len(text)
            if status == 405:
                head += "Allow: GET, HEAD\r\n"
            if method == "HEAD":
                text = ""
            self.site.refused += 1
        if not self.keep:
            head += "Connection: close\r\n"
        elif version == "HTTP/1.0":
            head += "Connection: keep-alive\r\n"
        self.out = (head + "\r\n" + text).encode()
        self.sent = 0
        self.state = _SEND

    def send(self, now):
        """Send what the peer takes; True if it took anything."""
        moved = False
        sock = self.sock
        for _ in range(_TURN):
            if not ready(sock, WR):
                return moved
            if self.sent < len(self.out):
                self.sent += sock.write(memoryview(self.out)[self.sent:]) or 0
                moved = True
            elif self.file is not None:
                n = self.file.readinto(self.scratch)
                if not n:
                    self.drop_answer()
                    continue
                taken = sock.write(self.view[:n]) or 0
                self.file_at += taken
                if taken < n:
                    self.file.seek(self.file_at)
                moved = True
            elif self.pieces is not None:
                self.next_piece()
            else:
                self.finish(now)
                return True
        return True

    def next_piece(self):
        """Put the next piece of a generated document into `out`."""
        self.sent = 0
        for piece in self.pieces:
            if piece:
                piece = piece.encode()
                if self.chunked:
                    piece = b"%x\r\n%s\r\n" % (len(piece), piece)
                self.out = piece
                return
        self.pieces = None
        self.out = b"0\r\n\r\n" if self.chunked else b""

    def finish(self, now):
        """The answer is sent: wait for the next request, or end the connection."""
        self.out = b""
        self.sent = 0
        if self.keep:
            self.answered = True
            self.expect_request()
            return
        # To close with unread input would reset the connection and might take
        # our answer from the peer (RFC 9112 9.6): end our side and drain first.
        self.sock.shutdown(1)
        self.state = _LINGER
        self.started = now

    def linger(self, now):
        if ready(self.sock, RD):
            if self.sock.readinto(self.scratch) == 0:
                self.close()
            return True
        if ticks_diff(now, self.started) > _LINGER_MS:
            self.close()
        return False
