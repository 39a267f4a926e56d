"""Short fault campaigns on each modelled chip, and that a campaign notices what it is there for."""
from chips.rig import CHIPS, load
from fault_campaign import Campaign, campaign
from kit import raises
from spinet import prim

# `make faults` is the long one.
SEEDS, MINUTES = {"portable": (1, 3), "viper": (1, 8), "cpython": (3, 20)}[prim.IMPLEMENTATION]


def test_campaigns():
    for name in sorted(CHIPS):
        for seed in range(SEEDS):
            result = campaign(name, seed, MINUTES)
            print(name, seed, result["bytes"])      # a sign of life on a busy machine
            assert result["bytes"] > 50000 and len(result["met"]) > 5, (name, seed, result)


def test_faults_say_what_shows():
    for name in sorted(CHIPS):
        c = Campaign(name, 1)
        for fault in c.faults:
            for key in fault.shows:
                assert key in c.world.port.count, "%s: no counter %s" % (fault.name, key)


def doctored(name, wrap):
    """A short run on a chip `name` whose driver's `recv` is `wrap(recv)`; what it complains of."""
    c = Campaign(name, 3)
    c.faults = [fault for fault in load(CHIPS[name].faults) if fault.name == "flood"]
    watched = c.world.watched
    watched.port = Doctored(watched.port, wrap)
    return str(raises(AssertionError, c.run, 3))


class Doctored:
    def __init__(self, port, wrap):
        self.recv = wrap(port.recv)
        self.send = port.send
        self.sendv = port.sendv
        self.filter = port.filter


def twice(recv):
    kept = []

    def again(buf):
        if kept and len(kept) % 50 == 0:
            frame = kept[-1]
            kept.append(b"")
            buf[0:len(frame)] = frame
            return len(frame)
        n = recv(buf)
        if n:
            kept.append(bytes(buf[0:n]))
        return n

    return again


def altered(recv):
    def change(buf):
        n = recv(buf)
        if n > 1000:
            buf[n - 1] ^= 1
        return n

    return change


def test_a_campaign_notices_frames_delivered_twice_or_altered():
    for name in sorted(CHIPS):
        for wrap in (twice, altered):
            assert "or twice" in doctored(name, wrap), name


def test_a_campaign_notices_what_does_not_show():
    for name in sorted(CHIPS):
        c = Campaign(name, 4)
        c.faults = [fault for fault in c.faults if fault.name == "brown-out"]
        c.faults[0].shows, shows = ("bus_busy",), c.faults[0].shows
        try:
            assert "does not show" in str(raises(AssertionError, c.run, 10)), name
        finally:
            c.faults[0].shows = shows


def test_a_chip_that_is_looked_at_once_a_second_comes_back():
    for name in sorted(CHIPS):
        c = Campaign(name, 5)
        rig, port = c.world.rig, c.world.port
        c.world.until(port.link, 10000)
        buf = bytearray(1600)
        fault = [fault for fault in c.faults if fault.name == "chip absent"][0]
        fault.begin(rig, c.rand)
        for second in range(40):
            rig.time.sleep_ms(1000)
            port.recv(buf)
            if second == 9:
                assert not port.link()
                fault.end(rig)
        assert port.link(), name
