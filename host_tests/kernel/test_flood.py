"""A flood of SYNs from addresses that answer nothing, while real clients of the kernel's call."""
import socket
import sys
import time

from lab import OURS, pattern

# How many, and how long to wait after 20: a board answers no more than 512 in a second for sure.
FLOODS = {"cpython": (6000, 0.01), "micropython": (1200, 0.05)}
FLOOD = """
import random, socket, struct, sys, time

def total(data):
    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    n = (n & 0xFFFF) + (n >> 16)
    return ~(n + (n >> 16)) & 0xFFFF

raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.bind(("10.55.0.1", 0))
there = socket.inet_aton("10.55.0.2")
rand = random.Random(1)
for i in range(int(sys.argv[1])):
    here = bytes((10, 55, 0, rand.randrange(100, 250)))
    syn = struct.pack("!HHIIBBHHHBBH", rand.randrange(1024, 65536), 7, rand.getrandbits(32), 0,
                      0x60, 2, 65535, 0, 0, 2, 4, 1460)
    k = total(here + there + struct.pack("!HH", 6, len(syn)) + syn)
    syn = syn[:16] + struct.pack("!H", k) + syn[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(syn), 0, 0x4000, 64, 6, 0) + here + there
    raw.sendto(head + syn, ("10.55.0.2", 0))
    if i % 20 == 19:
        time.sleep(float(sys.argv[2]))
"""


def test_a_syn_flood_does_not_keep_clients_out(lab):
    flood = lab.kernel.popen(sys.executable, "-c", FLOOD, *map(str, FLOODS[lab.runtime]))
    served = 0
    try:
        while flood.poll() is None or served < 5:
            sock = lab.kernel.connect((OURS, 7))
            sock.settimeout(10)
            data = pattern(20000)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            got = b""
            while len(got) < len(data):
                part = sock.recv(65536)
                assert part, "closed after %d bytes" % len(got)
                got += part
            assert got == data
            sock.close()
            served += 1
            time.sleep(0.05)
    finally:
        flood.kill()
        flood.wait()
    assert served >= 5
