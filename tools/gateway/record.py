"""Everything that passes, into a pcapng file or pipe that Wireshark and tshark read.

    record = Recorder("run.pcap")
    record.frame("board1", frame)       # by the name of the interface at which it came

A thread writes, so that a slow disk, or a Wireshark at the other end of a pipe that is not read,
costs frames of the record and never of the traffic: what does not fit its queue is `dropped`.
"""
import os
import queue
import stat
import struct
import threading
import time

WAITING = 8192          # frames that wait to be written
_END = b"\0\0\0\0"      # of the options


def block(kind, body):
    """A block of pcapng: its length stands before and behind it."""
    body += bytes(-len(body) % 4)
    n = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + n + body + n


def option(code, value):
    """An option of a block."""
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def section():
    """The start of a file."""
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(name, mtu=65535):
    """An Ethernet interface with times in nanoseconds."""
    return block(1, struct.pack("<HHI", 1, 0, mtu) + option(2, name.encode()) + option(
        9, b"\x09") + _END)


def packet(number, ns, frame):
    """A frame at an interface."""
    return block(6, struct.pack("<IIIII", number, ns >> 32, ns & 0xFFFFFFFF, len(frame),
                                len(frame)) + frame)


class Recorder:
    """Writes to `path`, a file or a named pipe (then it waits for its reader, in its thread)."""

    def __init__(self, path):
        self.path = path
        self.error = None       # the OSError that ended the recording
        self.dropped = 0
        self.recorded = 0
        self.queue = queue.Queue(WAITING)
        self.closed = False
        self.pipe = os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode)
        self.file = None if self.pipe else open(path, "wb")
        self.thread = threading.Thread(target=self.write, daemon=True)
        self.thread.start()

    def frame(self, name, frame):
        """Record a frame that is at the interface `name` now."""
        if self.error or self.closed:
            return
        try:
            self.queue.put_nowait((name, time.time_ns(), bytes(frame)))
        except queue.Full:
            self.dropped += 1

    def write(self):
        numbers = {}
        try:
            file = self.file or open(self.path, "wb")
            with file:
                file.write(section())
                while True:
                    if self.queue.empty():
                        file.flush()
                    item = self.queue.get()
                    if item is None:
                        return
                    name, ns, frame = item
                    if name not in numbers:
                        numbers[name] = len(numbers)
                        file.write(interface(name))
                    file.write(packet(numbers[name], ns, frame))
                    self.recorded += 1
        except OSError as error:
            self.error = error

    def close(self):
        """Write what waits, and end.  Idempotent."""
        if self.closed:
            return
        self.closed = True
        try:
            self.queue.put(None, timeout=1)
        except queue.Full:
            return              # nobody reads the pipe
        self.thread.join(2)
