"""What a frame and a ping cost a Pico, in its cycles, which are the same on every machine."""
import bench_pico
import pytest

# docs/bench-pico.md has the figures; a short transfer has its beginning in it.
BOUNDS = {                  # cycles of a frame in, out; microseconds of a ping, its cycles
    ("w5500", 24): (245000, 230000, 1050, 215000),
    ("enc28j60", 12): (375000, 325000, 1450, 260000),
}
DRIVER = {                  # cycles of a frame of 60 bytes, of 1514, to receive it and to send it
    "w5500": ((43000, 108000), (25000, 90000)),
    "enc28j60": ((48000, 178000), (57000, 186000)),
}


@pytest.mark.parametrize("chip, mhz", BOUNDS)
def test_cycles_of_a_frame_and_a_ping(firmware, chip, mhz):
    bench = bench_pico.Bench(firmware, chip, mhz)
    try:
        (into, out), (ping_us, ping) = bench.transfer(128 * 1024)
    finally:
        bench.close()
    found = into[1], out[1], ping_us, ping
    assert all(n < most for n, most in zip(found, BOUNDS[chip, mhz])), found


@pytest.mark.parametrize("chip, mhz", BOUNDS)
def test_cycles_of_the_driver_alone(firmware, chip, mhz):
    bench = bench_pico.Bench(firmware, chip, mhz)
    try:
        found = bench.bare()
    finally:
        bench.close()
    for cycles, most in zip(found, DRIVER[chip]):
        assert all(n < bound for n, bound in zip(cycles, most)), found
