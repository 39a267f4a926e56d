"""The side of the benchmark that is measured: one program for CPython and MicroPython unix.

    bench_peer.py INTERFACE ADDRESS/LEN [--buffer BYTES] [--udp N] [--profile FILE]
    bench_peer.py INTERFACE --mirror
    bench_peer.py --kernel

UDP and TCP echo on port 7, TCP discard on 9, source on 19; connections to port 8 are held and left
alone.  `--udp N` binds N further sockets.  `--mirror` instead sends each frame back as it is:
the limit of what a stack on this runtime could do.  `--kernel` has the same services on
the system's own sockets, for comparison.  Says "ready".
"""
import gc
import sys

CHUNK = 16384


def serve(iface, address, buffer, udp):
    """Run the services for ever."""
    from spinet import Stack
    from spinet.ports.rawsocket import RawSocket

    if sys.implementation.name == "micropython":
        # Each frame from the packet socket is an object of 1.5 KB for a while: collected often, the
        # heap stays small and its free places quick to find.
        gc.threshold(262144)
    stack = Stack()
    stack.add(RawSocket(iface), address)
    stack.tcp.connections_max = 20000
    if buffer:
        stack.tcp.rcvbuf = stack.tcp.sndbuf = buffer
    echo = stack.udp.endpoint(65536)
    echo.bind(None, 7)
    bound = []
    for i in range(udp):
        bound.append(stack.udp.endpoint(64))
        bound[i].bind(None, 20000 + i)
    services = [
        (stack.tcp.listen(None, 7, 64), echo_tcp),
        (stack.tcp.listen(None, 8, 64), hold),
        (stack.tcp.listen(None, 9, 64), discard),
        (stack.tcp.listen(None, 19, 64), source),
    ]
    active = []
    held = []
    buf = bytearray(CHUNK)
    poll = stack.poll
    wait = stack.wait
    print("ready")
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
    try:
        while True:
            idle_ms = poll()
            while echo.readable:
                n = echo.recv_into(buf, 0, 2048)
                echo.sendto(buf, 0, n, echo.peer, echo.peer_port)
            for listener, service in services:
                while listener.queue:
                    conn = listener.accept()
                    if conn is None:
                        break
                    if service is hold:
                        held.append(conn)
                    else:
                        active.append(Session(conn, service))
            i = 0
            while i < len(active):
                session = active[i]
                try:
                    alive = session.service(session, buf)
                except OSError:
                    session.conn.close()
                    alive = False
                if alive:
                    i += 1
                else:
                    last = active.pop()
                    if last is not session:
                        active[i] = last
            if idle_ms:
                wait(idle_ms)
    except KeyboardInterrupt:
        pass
    finally:
        show(stack.stats())


class Session:
    """A connection that is served, and what of it could not be echoed yet."""

    def __init__(self, conn, service):
        self.conn = conn
        self.service = service
        self.at = 0
        self.end = 0
        self.rest = bytearray(CHUNK) if service is echo_tcp else None


def echo_tcp(session, buf):
    conn = session.conn
    while True:
        if session.at < session.end:
            session.at += conn.send(session.rest, session.at, session.end)
            if session.at < session.end:
                return True
        n = conn.recv_into(session.rest, 0, CHUNK)
        if n <= 0:
            break
        session.at = 0
        session.end = n
    if n == 0:
        conn.close()
        return False
    return True


def discard(session, buf):
    conn = session.conn
    while True:
        n = conn.recv_into(buf, 0, CHUNK)
        if n <= 0:
            break
    if n == 0:
        conn.close()
        return False
    return True


def source(session, buf):
    conn = session.conn
    while conn.send(buf, 0, CHUNK) == CHUNK:
        pass
    if conn.readable() == 0:
        conn.close()
        return False
    return True


def hold(session, buf):
    return True


def show(stats):
    for layer in sorted(stats):
        seen = {name: n for name, n in stats[layer].items() if n}
        if seen:
            print(layer, seen, file=sys.stderr)


def mirror(iface):
    """Send back what comes as it is (a packet socket takes any address), as fast as can be."""
    import select
    import socket

    if sys.implementation.name == "micropython":
        import struct

        index = int(open("/sys/class/net/" + iface + "/ifindex").read())
        s = socket.socket(17, 3, 3 << 8)
        s.bind(struct.pack("<H", 17) + struct.pack(">H", 3)
               + struct.pack("<iHBB8s", index, 0, 0, 0, b""))
    else:
        s = socket.socket(17, 3, 3 << 8)
        s.bind((iface, 3))
    s.setblocking(False)
    poller = select.poll()
    poller.register(s, 1)
    print("ready")
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
    recv = s.recv
    send = s.send
    while True:
        try:
            frame = recv(2048)
        except OSError:
            poller.poll()
            continue
        try:
            send(frame)
        except OSError:
            pass


def kernel():
    """The services on the kernel's sockets, as a plain program has them."""
    import select
    import socket

    poller = select.epoll()
    found = {}

    def add(s, service):
        s.setblocking(False)
        found[s.fileno()] = (s, service)
        poller.register(s, select.EPOLLOUT if service == 19 else select.EPOLLIN)

    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", 7))
    add(udp, None)
    listening = {}
    for port in (7, 8, 9, 19):
        s = socket.create_server(("", port), backlog=64)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        listening[s.fileno()] = port
        add(s, port)
        poller.modify(s, select.EPOLLIN)
    data = bytes(1 << 16)
    print("ready", flush=True)
    while True:
        for fd, _ in poller.poll():
            s, service = found[fd]
            try:
                if fd in listening:
                    add(s.accept()[0], service)
                elif service is None:
                    while True:
                        datagram, peer = s.recvfrom(2048)
                        s.sendto(datagram, peer)
                elif service == 19:
                    s.send(data)
                else:
                    got = s.recv(1 << 16)
                    if not got:
                        raise ConnectionError
                    if service == 7:
                        s.sendall(got)
            except BlockingIOError:
                pass
            except OSError:
                poller.unregister(s)
                del found[fd]
                s.close()


def main(args):
    iface = args[0]
    if iface == "--kernel":
        return kernel()
    if "--mirror" in args:
        return mirror(iface)

    def option(name, otherwise):
        return args[args.index(name) + 1] if name in args else otherwise

    buffer = int(option("--buffer", 0))
    udp = int(option("--udp", 0))
    profile = option("--profile", None)
    if not profile:
        return serve(iface, args[1], buffer, udp)
    import cProfile
    import signal

    signal.signal(signal.SIGINT, signal.default_int_handler)
    profiler = cProfile.Profile()
    try:
        profiler.runcall(serve, iface, args[1], buffer, udp)
    finally:
        profiler.dump_stats(profile)


if __name__ == "__main__":
    main(sys.argv[1:])
