"""A recording as other programs read it: scapy, and tshark where it is installed."""
import shutil
import subprocess

import pytest
from spinet.ports.pcap import Pcap

scapy_all = pytest.importorskip("scapy.all")


class Null:
    mac = b"\x02\x00\x00\x00\x00\x01"
    mtu = 1500

    def __init__(self, medium):
        self.medium = medium

    def recv(self, buf):
        return 0

    def send(self, buf, n):
        return True

    def close(self):
        pass


def record(path, medium):
    ip = scapy_all.IP(src="10.0.0.1", dst="10.0.0.2") / scapy_all.UDP(sport=1, dport=2) / b"payload"
    ether = scapy_all.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    frame = ip if medium == "ip" else ether / ip
    now = iter([1500000000, 1500001000])
    with open(path, "wb") as file:
        tap = Pcap(Null(medium), file, clock_ns=lambda: next(now), epoch_s=1700000000)
        data = bytearray(bytes(frame))
        tap.send(data, len(data))
        tap.send(data, len(data))
        tap.close()
    return frame


@pytest.mark.parametrize("medium, first", [("ethernet", "Ether"), ("ip", "IP")])
def test_scapy_reads_it(tmp_path, medium, first):
    frame = record(tmp_path / "a.pcap", medium)
    packets = scapy_all.rdpcap(str(tmp_path / "a.pcap"))
    assert [bytes(p) for p in packets] == [bytes(frame)] * 2
    assert packets[0].__class__.__name__ == first
    assert packets[0][scapy_all.UDP].load == b"payload"
    assert packets[0].time == 1700000001.5
    assert round((packets[1].time - packets[0].time) * 10**9) == 1000


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("medium", ["ethernet", "ip"])
def test_tshark_reads_it(tmp_path, medium):
    record(tmp_path / "a.pcap", medium)
    command = ["tshark", "-r", str(tmp_path / "a.pcap"), "-T", "fields",
               "-e", "frame.time_epoch", "-e", "ip.dst", "-e", "udp.length"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    lines = done.stdout.split("\n")
    assert lines[0] == "1700000001.500000000\t10.0.0.2\t15"
    assert lines[1] == "1700000001.500001000\t10.0.0.2\t15"
