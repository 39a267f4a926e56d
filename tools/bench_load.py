"""The other side of the benchmark: load from the kernel's own sockets, in a network namespace.

    bench_load.py MEASUREMENT ADDRESS SECONDS [NUMBER ...]     prints one line of JSON
"""
import json
import select
import socket
import struct
import sys
import threading
import time


def windowed(send, receive, window, seconds, lost_s=0.2):
    """Keep `window` packets on the way for `seconds`; (answers, duration, times all were lost)."""
    lost = answers = 0
    start = time.perf_counter()
    end = start + seconds
    while True:
        for _ in range(window):
            send()
        now = time.perf_counter()
        try:
            while now < end:
                # A look at the clock for each would be a good part of the work.
                for _ in range(64):
                    receive()
                    send()
                answers += 64
                now = time.perf_counter()
            return answers, now - start, lost
        except socket.timeout:
            lost += 1
            if time.perf_counter() > end or lost * lost_s > seconds:
                return answers, time.perf_counter() - start, lost


def rate(answers, took, lost):
    return {"rate": answers / took, "packets": answers, "lost": lost, "took_s": took}


def udp(address, seconds, size, window):
    """UDP echo, `window` datagrams of `size` bytes outstanding; answers per second."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, 7))
    s.settimeout(0.2)
    data = bytes(size)
    s.send(data)
    s.recv(2048)
    return rate(*windowed(lambda: s.send(data), lambda: s.recv(2048), window, seconds))


def checksum(data):
    return ~(int.from_bytes(data, "big") % 65535) & 0xFFFF


def ping(address, seconds, size, window):
    """Echo requests with `size` bytes, `window` outstanding; answers per second."""
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.setsockopt(255, 1, struct.pack("=I", ~1 & 0xFFFFFFFF))    # SOL_RAW, ICMP_FILTER: replies only
    s.connect((address, 0))
    s.settimeout(0.2)
    packet = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + bytes(size)
    packet = packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]
    s.send(packet)
    s.recv(2048)
    return rate(*windowed(lambda: s.send(packet), lambda: s.recv(2048), window, seconds))


def frames(interface, seconds, size, window):
    """Bare frames, mirrored by the other side; frames per second."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    s.bind((interface, 0x88B5))
    s.settimeout(0.2)
    frame = bytes.fromhex("02000000000a02000000000b88b5") + bytes(size - 14)
    return rate(*windowed(lambda: s.send(frame), lambda: s.recv(2048), window, seconds))


def connect(address, port):
    """A TCP connection whose congestion control is CUBIC, whatever this kernel's default is."""
    s = socket.create_connection((address, port), timeout=10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    return s


def tcp_to(address, seconds):
    """Send to the discard service for `seconds`; MB/s until it has closed."""
    s = connect(address, 9)
    data = bytes(65536)
    total = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        total += s.send(data)
    s.shutdown(socket.SHUT_WR)
    rest = s.recv(1)
    took = time.perf_counter() - start
    if rest != b"":
        raise RuntimeError("discard answered")
    return {"rate": total / took / 1e6, "bytes": total, "took_s": took}


def tcp_from(address, seconds):
    """Read from the source service for `seconds`; MB/s."""
    s = connect(address, 19)
    buf = bytearray(1 << 18)
    total = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        n = s.recv_into(buf)
        if not n:
            raise RuntimeError("the source ended")
        total += n
    took = time.perf_counter() - start
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    return {"rate": total / took / 1e6, "bytes": total, "took_s": took}


def connections(address, seconds, clients):
    """Connect, one byte there and back, close: connections per second of `clients` in parallel."""
    source = address.rsplit(".", 1)[0] + ".%d" % (100 + int(time.time()) % 60)
    end = time.perf_counter() + seconds
    done = []
    failed = []

    def client():
        n = bad = 0
        while time.perf_counter() < end:
            try:
                s = socket.socket()
                s.settimeout(5)
                s.setsockopt(socket.IPPROTO_IP, 24, 1)      # IP_BIND_ADDRESS_NO_PORT
                s.bind((source, 0))
                s.connect((address, 7))
                s.sendall(b"x")
                n += s.recv(1) == b"x"
                s.close()
            except OSError:
                bad += 1
        done.append(n)
        failed.append(bad)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.perf_counter() - start
    return {"rate": sum(done) / took, "failed": sum(failed), "took_s": took}


def tcp_echo(address, seconds, size, window):
    """Messages of `size` bytes over one connection, `window` outstanding; messages per second."""
    s = socket.create_connection((address, 7), timeout=1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = bytes(size)

    def receive():
        n = size
        while n:
            n -= len(s.recv(n))

    return rate(*windowed(lambda: s.sendall(data), receive, window, seconds))


def hold(address, seconds, n):
    """Open `n` connections to the service that holds them, say so, keep them until input ends."""
    held = []
    for _ in range(n):
        s = socket.create_connection((address, 8), timeout=10)
        held.append(s)
    print(json.dumps({"held": len(held)}), flush=True)
    select.select([sys.stdin], [], [])
    for s in held:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    return {}


MEASUREMENTS = {
    "udp": udp, "ping": ping, "frames": frames, "tcp-rx": tcp_to, "tcp-tx": tcp_from,
    "connections": connections, "tcp-echo": tcp_echo, "hold": hold,
}


def main():
    name, address, seconds = sys.argv[1:4]
    numbers = [int(n) for n in sys.argv[4:]]
    print(json.dumps(MEASUREMENTS[name](address, float(seconds), *numbers)), flush=True)


if __name__ == "__main__":
    main()
