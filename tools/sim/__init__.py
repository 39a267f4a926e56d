"""A network in virtual time: stacks, links, switches and routers, all driven by one event queue.

    sim = Sim(seed=1)
    a, b = sim.host("a"), sim.host("b")
    cable(sim, a.port(), b.port(), rate=10000000, delay_us=10000, queue=50000)
    a.up("10.0.0.1/24"), b.up("10.0.0.2/24")
    ...
    sim.run(ms=1000)

Runs on CPython and on MicroPython, and repeats to the byte: all chance comes from the seed.

    engine.py      virtual time, hosts
    rand.py        chance
    link.py        ports, and the two directions of a cable: rate, delay, queue, faults
    loss.py        which frames a link loses
    boxes.py       switch and router
    users.py       programs that use the stacks' sockets
    check.py       what must hold of every connection after every event
    wire.py        what must hold of every segment on the wire
    record.py      what is written down of a run: a trace, a pcap, a digest
    scenario.py    a random network with random users, by seed
"""
from sim.engine import Host, Sim
from sim.link import Pipe, Port, cable
from sim.rand import Rand

__all__ = ["Host", "Pipe", "Port", "Rand", "Sim", "cable"]
