"""What we send, as others see it: every packet of a busy run read by tshark and by scapy."""
import signal
import socket
import subprocess
import time

import pytest
from lab import KERNEL_CLIENT, OURS, Lab, Server, pattern, read_all, sha

CHECKS = [word for name in ("ip.check_checksum", "tcp.check_checksum", "udp.check_checksum")
          for word in ("-o", name + ":TRUE")]
WRONG = (
    "_ws.malformed", "_ws.unreassembled", "_ws.expert.severity == error",
    "ip.checksum.status == 0", "tcp.checksum.status == 0", "udp.checksum.status == 0",
    "icmp.checksum.status == 0", "ip.fragment.overlap", "ip.fragment.error",
    "ip.fragment.toolongfragment",
)


def busy(lab):
    """A bit of everything: ping, UDP in fragments, TCP of all kinds, refusals."""
    udp = lab.kernel.socket(socket.SOCK_DGRAM)
    udp.connect((OURS, 7))
    for size in (0, 1, 1472, 1473, 9000, 65507):
        udp.send(pattern(size))
        assert udp.recv(65536) == pattern(size)
    udp.close()
    udp = lab.kernel.socket(socket.SOCK_DGRAM)
    udp.connect((OURS, 4999))
    udp.send(b"anyone?")
    with pytest.raises(ConnectionRefusedError):
        udp.recv(1)
    udp.close()
    lab.kernel.run("ping", "-c", 5, "-i", 0.01, "-s", 3000, OURS)
    lab.kernel.run("ping", "-c", 5, "-i", 0.01, "-R", OURS)
    lab.kernel.run("ping", "-c", 2, "-i", 0.01, "-T", "tsandaddr", OURS)
    for size in (0, 1, 1460, 100001):
        sock = lab.kernel.connect((OURS, 20))
        sock.sendall(pattern(size))
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).decode() == sha(pattern(size))
        sock.close()
    sock = lab.kernel.connect((OURS, 19))
    sock.recv(1)
    sock.close()
    with pytest.raises(ConnectionRefusedError):
        lab.kernel.connect((OURS, 4999))

    def echo(sock):
        while data := sock.recv(5000):
            sock.sendall(data)

    with Server(lab, echo) as server:
        lab.client("echoes", KERNEL_CLIENT, server.port, 5)
        lab.client("ping", KERNEL_CLIENT, 0, 56, 1473, 65507)
    lab.client("connect", KERNEL_CLIENT, 4999)
    lab.client("connect", "10.55.1.77", 80, "1")


def capture(lab, interface, file):
    process = lab.kernel.popen("tcpdump", "-i", interface, "-U", "-s", "0", "-w", file,
                               stderr=subprocess.PIPE, text=True)
    while "listening on" not in process.stderr.readline():
        assert process.poll() is None
    return process


@pytest.fixture(scope="module", params=["veth-cpython", "veth-micropython", "tap-cpython",
                                        "tun-cpython"])
def recorded(request, tmp_path_factory, need):
    need("tcpdump")
    lab = Lab(*request.param.split("-"))
    files = [tmp_path_factory.mktemp("oracle") / name for name in ("k0.pcap", "k1.pcap")]
    try:
        recorders = [capture(lab, "k%d" % i, files[i]) for i in range(2)]
        busy(lab)
        time.sleep(0.3)
        for process in recorders:
            process.send_signal(signal.SIGINT)
            process.wait(5)
        lab.check()
    finally:
        lab.close()
    return files


def tshark(file, *args):
    done = subprocess.run(["tshark", "-n", "-r", str(file), *CHECKS, *args], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tshark_finds_nothing_wrong(recorded, need):
    need("tshark")
    for file in recorded:
        assert tshark(file).count("\n") > 30
        assert tshark(file, "-Y", " || ".join(WRONG)) == ""


def test_scapy_computes_the_same_checksums(recorded):
    scapy = pytest.importorskip("scapy.all")
    seen = {}
    for file in recorded:
        packets = list(scapy.rdpcap(str(file)))
        for packet in packets:
            if not packet.haslayer(scapy.IP):
                continue
            ip = packet[scapy.IP]
            assert len(ip) >= ip.len
            again = scapy.IP(bytes(ip)[: ip.len])
            fragment = ip.flags.MF or ip.frag
            layers = [scapy.IP] if fragment else [scapy.IP, scapy.TCP, scapy.UDP, scapy.ICMP]
            for layer in layers:
                if again.haslayer(layer) and not (
                        layer is not scapy.IP and again.haslayer(scapy.ICMP)
                        and layer is not scapy.ICMP):
                    was = again[layer].chksum
                    again[layer].chksum = None
                    now = scapy.IP(bytes(again))[layer].chksum
                    assert was == now, packet.summary()
                    seen[layer.__name__] = seen.get(layer.__name__, 0) + 1
        whole = scapy.defragment([p[scapy.IP] for p in packets if p.haslayer(scapy.IP)])
        assert any(len(p) > 65000 for p in whole)
    assert all(seen.get(name, 0) > 5 for name in ("IP", "TCP", "UDP", "ICMP")), seen
