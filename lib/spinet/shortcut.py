"""Header prediction: a short way through the layers for the frame that is most likely to come.

In a transfer that is the next segment of the connection that the last one was for, with nothing
special about it.  `prim.foresee` compares the whole frame with what
it would have to be; what the layers would find out step by step is known then.
"""
from spinet.prim import cksum, foresee
from spinet.tcp.input import take
from spinet.tcp.states import SENDS


def foreseen(link, buf, start, end):
    """Take a frame that has just the segment that is expected next; False: it has another."""
    c = link.expected
    if not c or not SENDS >> c.state & 1:
        return False
    path = c.path
    head = c.head
    n = foresee(buf, start, end, link.mac, path.head, head)
    if n < 0 or n > c.rcv_adv:
        return False
    s = start + 34
    p = s + (head[12] >> 2)
    end = p + n
    if cksum(buf, s, end, path.pseudo + end - s) != 0xFFFF:
        return False
    link.count["rx"] += 1
    path.ip.count["rx"] += 1
    c.tcp.count["rx"] += 1
    take(c, buf, s, p, end, 0, s + 24 if p - s > 20 else 0)
    if c.waiter:
        c.waiter()
    return True
