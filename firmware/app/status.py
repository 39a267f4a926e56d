"""What the board knows about itself, as JSON in pieces: `/status.json`.

    name, runtime, version      texts
    interface                   address, gateway, mac, chip, link (true: up)
    uptime_s                    since this program started
    heap                        free, used (bytes; null where the runtime has no such thing)
    counters                    {"layer": {"counter": number}}, from `Stack.stats()`
    arp                         [{"ip", "mac", "state"}]
    sockets                     [{"type", "local", "remote", "state", "rx", "tx"}], queued bytes
    services                    [{"name", "port", "open", "accepted"}]
"""
import gc
import json
import sys

from spinet.prim import ticks_diff, ticks_ms


class Uptime:
    """Seconds since it was made.  Ask at least once in six days: ticks wrap in twelve."""

    def __init__(self):
        self.last = ticks_ms()
        self.rest_ms = 0
        self.seconds = 0

    def read(self):
        """Whole seconds."""
        now = ticks_ms()
        self.rest_ms += ticks_diff(now, self.last)
        self.last = now
        self.seconds += self.rest_ms // 1000
        self.rest_ms %= 1000
        return self.seconds
