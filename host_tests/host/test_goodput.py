"""The goodput tool, and the simulator's link in real time."""
import threading
import time

import goodput
from sim.realtime import Realtime

from spinet.ports.datagram import Datagram


def test_what_is_measured():
    clean, timeouts = goodput.bulk(("reno", 1, 0, 2, 65536))
    assert 0.9 * goodput.RATE < clean < goodput.RATE and not timeouts
    lossy, _ = goodput.bulk(("cubic+rack", 1, 5, 2, 65536))
    assert 0.05 * goodput.RATE < lossy < 0.6 * goodput.RATE
    assert goodput.bulk(("reno", 1, 5, 1, 65536)) == goodput.bulk(("reno", 1, 5, 1, 65536))


def test_jains_index():
    assert goodput.jain([3, 3, 3]) == 1
    assert goodput.jain([1, 0, 0, 0]) == 0.25


def test_two_flows_share():
    shares = goodput.fair(("reno", 1, 2, 4))
    assert len(shares) == 2 and goodput.jain(shares) > 0.8
    assert 0.9 * goodput.RATE < sum(shares) < goodput.RATE


def test_the_link_in_real_time_delays_and_carries_both_ways(tmp_path):
    ends = []
    for name in "ab":
        outer, inner = str(tmp_path / (name + "o")), str(tmp_path / (name + "i"))
        ends.append((Datagram(outer, inner), Datagram(inner, outer)))
    link = Realtime(ends[0][1], ends[1][1], delay_us=30000, rate=1000000)
    thread = threading.Thread(target=link.carry)
    thread.start()
    try:
        for near, far in ((0, 1), (1, 0)):
            frame = bytes(range(200)) + bytes((near,))
            began = time.monotonic()
            ends[near][0].send(frame, len(frame))
            buf = bytearray(2000)
            while not (n := ends[far][0].recv(buf)):
                assert time.monotonic() - began < 10, "nothing arrives"
                time.sleep(0.001)
            assert bytes(buf[:n]) == frame and time.monotonic() - began >= 0.030
    finally:
        link.stop()
        thread.join()
        for pair in ends:
            for port in pair:
                port.close()
