"""The same links in real time, between two ports of this machine: what is compared in both worlds
goes through the same code."""
import select
import time

from spinet.testing.engine import Sim
from spinet.testing.link import Pipe


class Realtime(Sim):
    """Carries frames between the pollable ports `a` and `b` through two pipes until `stop()`.

    Qualities as of `Pipe`, both ways.
    """

    def __init__(self, a, b, seed=1, **qualities):
        Sim.__init__(self, seed)
        self._began = time.monotonic()
        self._stopped = False
        self.carried = 0
        self.late_us = 0        # by how much frames came out later than they should, in total,
        self.latest_us = 0      # and the one that was the latest
        self.ways = []
        for source, sink in ((a, b), (b, a)):
            pipe = Pipe(self, self._out(sink), medium=a.medium, **qualities)
            self.ways.append((source, pipe))

    def _out(self, port):
        def out(frame):
            # A port that is busy drops, as a line would.
            port.send(frame, len(frame))

        return out

    def _tell(self):
        self.now = int((time.monotonic() - self._began) * 1000000)

    def carry(self):
        """Carry until stopped, from another thread or by a signal."""
        poller = select.poll()
        for source, _ in self.ways:
            poller.register(source.pollable, select.POLLIN)
        buf = bytearray(2048)
        heap = self._heap
        while not self._stopped:
            self._tell()
            for source, pipe in self.ways:
                for _ in range(64):
                    n = source.recv(buf)
                    if not n:
                        break
                    pipe.carry(bytes(buf[:n]))
            while heap and heap[0][0] <= self.now:
                # It is sent now, and not at a time that has passed.
                now = self.now
                late = now - heap[0][0]
                self.carried += 1
                self.late_us += late
                if late > self.latest_us:
                    self.latest_us = late
                self.step()
                self.now = now
            wait = heap[0][0] - self.now if heap else 100000
            # Whole milliseconds are too coarse: the last one is slept through in smaller pieces.
            if not poller.poll(wait // 1000) and 0 < wait < 1000:
                time.sleep(min(wait, 200) / 1000000)

    def stop(self, *_):
        """End `carry`."""
        self._stopped = True
