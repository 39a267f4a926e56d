"""What a frame and a ping cost a Pico, in its cycles, which are the same on every machine."""
import bench_pico


def test_cycles_of_a_frame_and_a_ping(firmware):
    bench = bench_pico.Bench(firmware, "w5500", 24)
    try:
        (into, out), ping_us = bench.transfer(128 * 1024)
    finally:
        bench.close()
    # docs/bench-pico.md: 315,000, 303,000 and 1,280; a short transfer has its beginning in it.
    assert into[1] < 350000, into
    assert out[1] < 340000, out
    assert ping_us < 1500
