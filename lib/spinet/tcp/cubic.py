"""Congestion control: CUBIC (RFC 9438), for `stack.tcp.congestion = "cubic"` (see reno.py).

After a loss the window climbs back to where it was along a cubic function of
time, which is flat there, and goes on beyond; where NewReno would be faster it
does as that.  Integers stay below 2**30 for windows of up to 700 KB of
1460-byte segments: the function is computed in steps of 16 ms and hundredths
of a segment.
"""
from spinet.prim import ticks_diff
from spinet.tcp import reno

# C = 0.4 segments/s**3: u steps of 16 ms from the plateau are u**3 / 6104 hundredths.
_SCALE = 6104
_FAR = 1023         # steps: the largest whose cube is a small integer


class Cubic:
    """What CUBIC knows of a connection; windows in bytes, the names of RFC 9438, 4.1."""

    def __init__(self):
        self.w_max = 0          # the window before the last loss: the plateau
        self.k = 0              # when the plateau is reached, in steps after the epoch
        self.epoch = None       # when this congestion avoidance began, in ticks
        self.prior = 0          # cwnd_prior
        self.w_est = 0          # the window that NewReno would have
        self.est_acked = 0      # bytes acknowledged since that last grew
        self.friendly = False   # it is the larger one
        self.step = 0           # so many bytes acknowledged let `cwnd` grow by a segment
        self.at = 0             # when that was computed
        self.old_w_max = self.old_k = self.old_est = self.old_prior = 0
        self.old_epoch = None


def start(c):
    """The connection is established, or from now on under this control."""
    reno.start(c)
    c.cc_state = Cubic()


def acked(c, n):
    """`n` new bytes were acknowledged, and no loss is being recovered from."""
    cwnd = c.cwnd
    loss = c.loss
    if loss is None or cwnd < loss.ssthresh:
        reno.acked(c, n)        # slow start
        return
    s = c.cc_state
    if cwnd > c.snd_max + n << 1:
        s.epoch = None          # time in which the user sends little does not count (5.8)
        return
    now = c.tcp.timers.now
    if s.epoch is None:
        _begin(c, s, now)
    elif now != s.at:
        _aim(c, s, now)
    # Equation 4: alpha is 9/17 up to where the loss was, then 1.
    need = cwnd if s.w_est >= s.prior else cwnd * 17 // 9
    s.est_acked += n
    if s.est_acked >= need:
        s.est_acked -= need
        s.w_est += c.mss
    if s.friendly:
        if s.w_est > cwnd:
            c.cwnd = s.w_est
        return
    n += loss.cc_acked
    if n >= s.step:
        n = 0
        c.cwnd = cwnd + c.mss
    loss.cc_acked = n


def _begin(c, s, now):
    """Congestion avoidance begins: where the plateau is, and when it is reached (4.2)."""
    cwnd = c.cwnd
    s.epoch = now
    s.w_est = cwnd
    s.est_acked = c.loss.cc_acked = 0
    s.k = 0
    if cwnd < s.w_max:
        s.k = _cube_root((s.w_max - cwnd) * 100 // c.mss * _SCALE)
    else:
        s.w_max = cwnd
    _aim(c, s, now)


def _aim(c, s, now):
    """How fast to grow now (4.4, 4.5)."""
    s.at = now
    cwnd = c.cwnd
    t = ticks_diff(now, s.epoch)
    s.friendly = _window(s, t, c.mss) < s.w_est
    gain = _window(s, t + (c.srtt >> 3), c.mss) - cwnd
    if gain > cwnd >> 1:
        gain = cwnd >> 1
    s.step = cwnd * c.mss // gain if gain > 0 else 0x3FFFFFFF


def _window(s, t, mss):
    """Equation 1: the window `t` ms after the epoch."""
    u = (t >> 4) - s.k
    if u > _FAR or u < -_FAR:
        u = _FAR        # also when the clock has come round since
    return s.w_max + u * u * u // _SCALE * mss // 100


def _cube_root(n):
    """The integer cube root, at most 1023."""
    root = 0
    bit = 512
    while bit:
        root |= bit
        if root * root * root > n:
            root -= bit
        bit >>= 1
    return root


def lost(c):
    """Data was lost, or marked on its way, first in this window: sets `loss.ssthresh`."""
    flight = c.snd_max
    if flight > c.cwnd:
        flight = c.cwnd
    _reduce(c, flight)


def timeout(c):
    """The retransmission timer has expired."""
    if not c.retries:
        _reduce(c, c.snd_max)
        c.cc_state.w_max = 0        # there is no plateau to return to (4.8)
    c.cwnd = c.mss


def _reduce(c, flight):
    """Multiplicative decrease by 0.7 and fast convergence (4.6, 4.7)."""
    s = c.cc_state
    s.old_w_max = s.w_max
    s.old_k = s.k
    s.old_est = s.w_est
    s.old_prior = s.prior
    s.old_epoch = s.epoch
    s.prior = flight
    s.w_max = flight * 17 // 20 if flight < s.w_max else flight
    s.epoch = None
    if c.loss:
        c.loss.ssthresh = max(flight * 7 // 10, 2 * c.mss)


def undo(c):
    """There was no loss: `cwnd` and `ssthresh` are again what they were before `lost` (4.9)."""
    s = c.cc_state
    s.w_max = s.old_w_max
    s.k = s.old_k
    s.w_est = s.old_est
    s.prior = s.old_prior
    s.epoch = s.old_epoch


def idle(c):
    """Nothing was sent for longer than the retransmission timeout."""
    c.cc_state.epoch = None
    reno.idle(c)
