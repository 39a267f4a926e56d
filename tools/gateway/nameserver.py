"""The gateway's server of names: port 53 of its own address, UDP and TCP.

Names of the boards and of the gateway it knows (names.py).  All others it asks the host's servers
about, the question passed on as it came; where none is known, and for names without a dot, the
host's own resolver, in a few threads.  Everything is bounded: questions under way, threads, TCP
connections, and the time that each may take.
"""
import queue
import selectors
import socket
import struct
import threading
import time

from spinet import addr
from spinet.dnsmsg import A, AAAA, PTR, encode

from gateway import names

DOMAIN = "lan"
PORT = 53
WAITING = 64            # questions under way
TRY_S = 2               # for a server to answer, before the next is asked
TRIES = 4
RESOLVE_S = 10          # for the host's own resolver
WORKERS = 4
STREAMS = 8             # TCP connections of boards
STREAM_S = 10


def nameservers(path="/etc/resolv.conf"):
    """The host's servers of names, IPv4 ones: (address, port) each."""
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) >= 2 and words[0] == "nameserver":
                    try:
                        addr.parse(words[1])
                        found.append((words[1], PORT))
                    except ValueError:
                        pass                # IPv6
    except OSError:
        pass
    return found[:3]


class Query:
    """A question that waits for somebody else: `reply(message)` takes the answer."""

    def __init__(self, question, message, reply, stream):
        self.question = question
        self.message = bytes(message)
        self.reply = reply
        self.stream = stream        # over TCP, as the board has asked
        self.tries = 0
        self.sock = None
        self.deadline = 0.0
        self.unsent = self.got = b""
        self.done = False


class Nameserver:
    """For the boards of `gateway`; `servers` as in `Gateway`."""

    def __init__(self, gateway, servers):
        self.gateway = gateway
        self.count = gateway.count
        self.servers = nameservers() if servers is None else list(servers)
        self.zone = names.Zone(DOMAIN, self.hosts, gateway.is_inside)
        self.waiting = set()
        self.streams = set()
        self.jobs = queue.Queue(WAITING)
        self.workers = []
        self.ear = gateway.stack.udp.endpoint(1 << 16)
        self.ear.bind(gateway.own, PORT)
        self.listener = gateway.stack.tcp.listen(gateway.own, PORT, STREAMS)
        self.buffer = bytearray(1 << 16)

    def hosts(self):
        """The names of this network."""
        found = {"gateway": self.gateway.own}
        for address, _, hostname, _ in self.gateway.dhcp.leases():
            name = hostname.lower().partition(".")[0]
            try:
                encode(name)
            except ValueError:
                continue
            if name:
                found.setdefault(name, addr.parse(address))
        return found

    # Boards.

    def accept(self):
        """Take what boards ask; True if there was something."""
        took = False
        for _ in range(64):
            n = self.ear.recv_into(self.buffer, 0, len(self.buffer))
            if n < 0:
                break
            took = True
            peer, port = bytes(self.ear.peer), self.ear.peer_port
            self.ask(self.buffer[:n], lambda message, p=peer, q=port: self.to_board(message, p, q))
        inner = self.listener.accept()
        while inner is not None:
            took = True
            if len(self.streams) >= STREAMS:
                self.count["dns_busy"] += 1
                inner.abort()
            else:
                self.streams.add(Stream(self, inner))
            inner = self.listener.accept()
        for stream in list(self.streams):
            took = stream.move() or took
        return took

    def to_board(self, message, peer, port):
        try:
            self.ear.sendto(message, 0, len(message), peer, port)
        except OSError:
            self.count["dns_failed"] += 1

    def ask(self, message, reply, stream=False):
        """Answer a message by calling `reply(message)`, at once or later; or never, if it is none.
        """
        self.count["dns"] += 1
        question, rcode = names.read(message)
        if question is None:
            self.count["dns_malformed"] += 1
            if rcode is not None:
                reply(names.failure(message, rcode))
            return
        own = self.zone.answer(question)
        if own is not None:
            self.count["dns_own"] += 1
            reply(own)
            return
        if len(self.waiting) >= WAITING:
            self.count["dns_busy"] += 1
            reply(names.answer(question, names.SERVFAIL))
            return
        self.count["dns_asked"] += 1
        query = Query(question, message, reply, stream)
        self.waiting.add(query)
        if self.servers and "." in question.name:
            self.next(query)
        else:
            self.resolve(query)

    def finish(self, query, message=None):
        """The end of a query: its answer, None if there is none."""
        if query.done:
            return
        query.done = True
        self.waiting.discard(query)
        self.hush(query)
        if message is None:
            self.count["dns_failed"] += 1
            message = names.answer(query.question, names.SERVFAIL)
        query.reply(message)

    # The host's servers.

    def hush(self, query):
        if query.sock is not None:
            self.gateway.selector.unregister(query.sock)
            query.sock.close()
            query.sock = None

    def next(self, query):
        """Ask the next server, from a new port."""
        self.hush(query)
        if query.tries >= min(TRIES, 2 * len(self.servers)):
            self.finish(query)
            return
        server = self.servers[query.tries % len(self.servers)]
        query.tries += 1
        query.deadline = time.monotonic() + TRY_S
        sock = None
        try:
            sock = self.gateway.host_socket(
                socket.SOCK_STREAM if query.stream else socket.SOCK_DGRAM)
            if query.stream:
                sock.connect_ex(server)
                query.unsent = struct.pack("!H", len(query.message)) + query.message
                query.got = b""
                self.gateway.selector.register(
                    sock, selectors.EVENT_WRITE, lambda _: self.write(query))
            else:
                sock.connect(server)
                sock.send(query.message)
                self.gateway.selector.register(
                    sock, selectors.EVENT_READ, lambda _: self.heard(query))
            query.sock = sock
        except OSError:
            if sock is not None:
                sock.close()        # `expire` asks the next

    def heard(self, query):
        """A datagram for a query, or an error."""
        if query.done or query.sock is None:
            return
        try:
            message = query.sock.recv(65535)
        except BlockingIOError:
            return
        except OSError:
            self.next(query)
            return
        self.judge(query, message)

    def judge(self, query, message):
        """Take an answer; what is no answer to this question is ignored."""
        asked = query.message
        if len(message) >= 12 and message[:2] == asked[:2] and message[2] & 0x80:
            if message[3] & 15 in (names.SERVFAIL, names.REFUSED) and (
                    query.tries < len(self.servers)):
                self.next(query)
            else:
                self.finish(query, message)

    def write(self, query):
        """Over TCP: the question goes, then its answer is read."""
        if query.done or query.sock is None:
            return
        try:
            query.unsent = query.unsent[query.sock.send(query.unsent):]
            if not query.unsent:
                self.gateway.selector.modify(
                    query.sock, selectors.EVENT_READ, lambda _: self.read(query))
        except BlockingIOError:
            pass
        except OSError:
            self.next(query)

    def read(self, query):
        if query.done or query.sock is None:
            return
        try:
            part = query.sock.recv(65537)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        query.got += part
        if len(query.got) >= 2 and len(query.got) - 2 >= query.got[0] << 8 | query.got[1]:
            end = 2 + (query.got[0] << 8 | query.got[1])
            message = query.got[2:end]
            query.got = b""
            self.judge(query, message)
        elif not part:
            self.next(query)

    # The host's resolver.

    def resolve(self, query):
        """Ask the host itself; an answer that comes too late is dropped."""
        if query.question.kind not in (A, AAAA, PTR):
            self.finish(query, names.answer(query.question, names.NOERROR, own=False))
            return
        query.deadline = time.monotonic() + RESOLVE_S
        try:
            self.jobs.put_nowait(query)
        except queue.Full:
            self.count["dns_busy"] += 1
            self.finish(query)
            return
        if len(self.workers) < WORKERS:
            worker = threading.Thread(target=self.work, daemon=True)
            self.workers.append(worker)
            worker.start()

    def work(self):
        """In a thread: what may take long."""
        while True:
            query = self.jobs.get()
            if query is None:
                return
            if query.done:
                continue
            message = look_up(query.question, self.gateway.own)
            self.gateway.calls.put(lambda q=query, m=message: self.finish(q, m))
            self.gateway.poke()

    # Time.

    def expire(self):
        """Give up what takes too long; True while something waits."""
        if not self.waiting and not self.streams:
            return False
        now = time.monotonic()
        for query in [q for q in self.waiting if q.deadline <= now or (
                q.sock is None and q.tries)]:
            if query.tries:
                self.next(query)
            else:
                self.finish(query)
        for stream in [s for s in self.streams if s.deadline <= now]:
            stream.close(abort=True)
        return True

    def close(self):
        """Stop."""
        for query in list(self.waiting):
            query.done = True
            self.hush(query)
        self.waiting.clear()
        for stream in list(self.streams):
            stream.close(abort=True)
        for _ in self.workers:
            try:
                self.jobs.put_nowait(None)
            except queue.Full:
                break
        self.ear.close()


class Stream:
    """A board's TCP connection: questions and answers, each after its length (RFC 7766)."""

    def __init__(self, server, inner):
        self.server = server
        self.inner = inner
        self.got = bytearray()
        self.unsent = bytearray()
        self.asked = 0              # questions whose answers are missing
        self.ended = self.closed = False
        self.buffer = bytearray(4096)
        self.deadline = time.monotonic() + STREAM_S

    def move(self):
        """Do what can be done now; True if anything was."""
        moved = False
        try:
            if len(self.unsent) < 65536 and self.asked < STREAMS and not self.ended:
                n = self.inner.recv_into(self.buffer, 0, len(self.buffer))
                self.ended = n == 0
                moved = n >= 0
                self.got += self.buffer[:max(0, n)]
            while len(self.got) >= 2 and self.asked < STREAMS:
                n = self.got[0] << 8 | self.got[1]
                if len(self.got) < n + 2:
                    break
                message = self.got[2:n + 2]
                del self.got[:n + 2]
                if len(message) < 12:
                    raise ValueError("no message")
                self.deadline = time.monotonic() + STREAM_S
                self.asked += 1
                self.server.ask(message, self.answered, True)
            if self.unsent:
                n = self.inner.send(self.unsent, 0, len(self.unsent))
                moved = moved or n > 0
                del self.unsent[:n]
        except (OSError, ValueError):
            self.close(abort=True)
            return True
        if self.ended and not self.asked and not self.unsent:
            self.close()
        return moved

    def answered(self, message):
        self.asked -= 1
        if not self.closed:
            self.unsent += struct.pack("!H", len(message)) + message

    def close(self, abort=False):
        """End it."""
        if not self.closed:
            self.closed = True
            self.server.streams.discard(self)
            if abort:
                self.inner.abort()
            else:
                self.inner.close()


def look_up(question, own):
    """The answer of the host's resolver as a message, None if it fails.  Blocks."""
    if question.kind == PTR:
        address = names.reverse_of(question.name)
        if address is None:
            return names.answer(question, names.NXDOMAIN, own=False)
        try:
            name = socket.gethostbyaddr(addr.fmt(address))[0]
            return names.answer(question, names.NOERROR, [encode(name)], own=False)
        except (OSError, ValueError):
            return names.answer(question, names.NXDOMAIN, own=False)
    try:
        found = socket.getaddrinfo(question.name, None, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == getattr(socket, "EAI_AGAIN", None):
            return None
        found = []
    except (OSError, UnicodeError):
        found = []
    addresses = []
    for entry in found:
        address = addr.parse(entry[4][0])
        # The host itself, which boards know by the gateway's address.
        address = own if address[0] == 127 else address
        if address not in addresses:
            addresses.append(address)
    return names.by_resolver(question, addresses)
