"""A network in virtual time: stacks, links, switches and routers, all driven by one event queue.

    sim = Sim(seed=1)
    a, b = sim.host("a"), sim.host("b")
    cable(sim, a.port(), b.port(), rate=10000000, delay_us=10000, queue=50000)
    a.up("10.0.0.1/24"), b.up("10.0.0.2/24")
    ...
    sim.run(ms=1000)

Runs on CPython and on MicroPython, and repeats to the byte: all chance comes from the seed.

The engine, with links, switch and router, is `spinet.testing`, which is installed with the
package; here is what tries spinet itself:

    users.py       programs that use the stacks' sockets
    check.py       what must hold of every connection after every event
    wire.py        what must hold of every segment on the wire
    attacker.py    frames that a stranger makes up
    scenario.py    a random network with random users, by seed
    campaign.py    many seeds
    realtime.py    the same links in real time
"""
from spinet.testing import loss
from spinet.testing.engine import Host, Sim
from spinet.testing.link import Pipe, Port, cable
from spinet.testing.rand import Rand

__all__ = ["Host", "Pipe", "Port", "Rand", "Sim", "cable", "loss"]
