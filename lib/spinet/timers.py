"""Timers: one heap of deadlines, lazily ordered, that allocates nothing when armed.

Most timers of a network stack are pushed back before they expire: each
acknowledgement re-arms a retransmission, each use an ARP entry.  So a timer
that is armed *later* than the place it has in the heap just notes its new
deadline; only when its place comes up is it moved.  Arming earlier moves it
at once.  Cancelling notes that there is no deadline.

Times are ticks in milliseconds modulo 2**30 (`prim.ticks_diff`).
"""
from spinet.prim import keep, ticks_add, ticks_diff


class Timer:
    """Something with a deadline.  Subclass it and give it `expire(now)`.

    `due` is the deadline in ticks, or None when the timer is not armed.
    """

    def __init__(self):
        self.due = None
        self._at = 0        # the deadline this timer is filed under
        self._pos = -1      # its index in the heap, -1 when it is not filed

    def expire(self, now):
        """The deadline has passed and the timer is no longer armed."""
        raise NotImplementedError


class Timers:
    """All timers of one stack, and its idea of the present (`now`, ticks in ms)."""

    def __init__(self, now=0):
        self.now = now
        self.heap = []      # never shrinks, lest it allocate when it grows again
        self._n = 0         # how many timers are filed in it
        self.worked = False     # a timer has expired, or a frame has come; whoever waits clears it
        keep(self, "run")

    def arm(self, timer, delay_ms):
        """(Re)arm `timer` to expire `delay_ms` (0 to 2**29 - 1) after `now`."""
        due = ticks_add(self.now, delay_ms)
        timer.due = due
        if timer._pos < 0:
            timer._at = due
            n = self._n
            if n == len(self.heap):
                self.heap.append(timer)
            self._n = n + 1
            self._up(timer, n)
        elif ticks_diff(due, timer._at) < 0:
            timer._at = due
            self._up(timer, timer._pos)

    def cancel(self, timer):
        """Disarm `timer`; it may stay filed until its place comes up."""
        timer.due = None

    def remove(self, timer):
        """Disarm `timer` and drop the heap's reference to it at once."""
        timer.due = None
        pos = timer._pos
        if pos < 0:
            return
        timer._pos = -1
        self._n = n = self._n - 1
        last = self.heap[n]
        self.heap[n] = None
        if last is not timer:
            self._up(last, pos)
            self._down(last, last._pos)

    def run(self, now):
        """Expire all that is due; the ms until the next deadline, or None."""
        self.now = now
        heap = self.heap
        while self._n:
            timer = heap[0]
            wait = ticks_diff(timer._at, now)
            due = timer.due
            if due is None:
                self.remove(timer)
            elif wait > 0:
                return wait
            elif ticks_diff(due, now) <= 0:
                self.remove(timer)
                self.worked = True
                timer.expire(now)
            else:
                timer._at = due
                self._down(timer, 0)
        return None

    def _up(self, timer, pos):
        heap = self.heap
        at = timer._at
        while pos:
            parent = heap[(pos - 1) >> 1]
            if ticks_diff(at, parent._at) >= 0:
                break
            heap[pos] = parent
            parent._pos = pos
            pos = (pos - 1) >> 1
        heap[pos] = timer
        timer._pos = pos

    def _down(self, timer, pos):
        heap = self.heap
        at = timer._at
        end = self._n
        child = 2 * pos + 1
        while child < end:
            if child + 1 < end and ticks_diff(heap[child + 1]._at, heap[child]._at) < 0:
                child += 1
            least = heap[child]
            if ticks_diff(at, least._at) <= 0:
                break
            heap[pos] = least
            least._pos = pos
            pos = child
            child = 2 * pos + 1
        heap[pos] = timer
        timer._pos = pos
