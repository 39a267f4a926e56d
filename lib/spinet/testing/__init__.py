"""Networks in virtual time, for tests of programs: `docs/testing.md`.

    def test_greeting(lan):
        a, b = lan.hosts(2)
        ...

    plugin.py      the fixture `lan` for pytest, and what it reports of a test that failed
    lan.py         hosts on a switch, impairments, programs that wait
    loop.py        an asyncio loop in which time jumps to what happens next

Below it an engine that runs on MicroPython too, and repeats to the byte:

    engine.py      virtual time, hosts
    link.py        ports, and the two directions of a cable: rate, delay, queue, faults
    loss.py        which frames a link loses
    boxes.py       switch and router
    record.py      what is written down of a run: a trace, a pcap, a digest
    rand.py        chance: the same on every runtime for the same seed
"""
