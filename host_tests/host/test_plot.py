"""Plots: what is read out of a transfer, simulated or captured, and that it can be drawn."""
import io

import plot
import pytest
from sim import Sim, cable
from spinet.testing.record import Capture
from sim.users import Sink, Source


def test_a_simulated_transfer_is_read_as_it_was():
    transfer = plot.simulate("reno", drop=(20, 30), seconds=0.5, window=40000)
    again = [part for part in transfer.sent if part[3]]
    assert len(again) == 2
    assert sorted(end for _, _, end, resent in transfer.sent if not resent)[-1] >= 300000
    assert all(a <= b for (_, a), (_, b) in zip(transfer.acks, transfer.acks[1:]))
    assert all(0 <= y <= 40000 for _, y in transfer.flight)
    assert 0.02 < min(y for _, y in transfer.rtts) < 0.023
    assert transfer.sacks and transfer.samples
    # The window is scaled, and what is sent stays in it.
    assert max(y for _, y in transfer.edges) >= max(end for _, _, end, _ in transfer.sent)


@pytest.mark.parametrize("medium", ("ethernet", "ip"))
def test_a_capture_is_read(tmp_path, medium):
    sim = Sim(1)
    a, b = sim.host("a"), sim.host("b")
    ports = a.port(medium=medium), b.port(medium=medium)
    cable(sim, *ports, rate=1000000, delay_us=5000)
    file = io.BytesIO()
    sim.tap = Capture(file, medium)
    a.up(ports[0], "10.0.0.1/24")
    b.up(ports[1], "10.0.0.2/24")
    sink = Sink(b, 80)
    Source(a, "10.0.0.2", 80)
    a.poll()
    sim.run(1000)
    path = tmp_path / "x.pcap"
    path.write_bytes(file.getvalue())
    transfer = plot.transfer_of(plot.read_pcap(path))
    assert not [part for part in transfer.sent if part[3]]
    assert 0 <= transfer.sent[-1][2] - sink.got <= 65536 and transfer.acks[-1][1] > 80000


def test_an_image_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "x.png"
    plot.draw(plot.simulate("cubic", percent=2, seconds=0.5), "title", path)
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 20000


def test_what_is_no_capture_is_said(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\x0a\x0d\x0d\x0a" + bytes(40))
    with pytest.raises(SystemExit, match="no pcap"):
        list(plot.read_pcap(path))
