"""TFTP client (RFC 1350) with block size, size and time-out options (RFC 2347 to 2349).

    data = tftp.get(stack, "10.0.0.1", "firmware.bin")      waits; or, into a file:
    tftp.get(stack, "10.0.0.1", "firmware.bin", open("new.bin", "wb"))
    tftp.put(stack, "10.0.0.1", "log.txt", b"...")          or an open file
    t = tftp.Get(stack, address, "name", file)              does not wait: `t.done`, `t.error`

Failures raise OSError: ENOENT, EACCES and others for what the server says, ETIMEDOUT if nothing.
"""
from spinet.addr import parse
from spinet.errors import EACCES, EINVAL, ETIMEDOUT, os_error
from spinet.prim import eq4
from spinet.service import Service, counters, public
from spinet.sockbase import lookup
from spinet.timers import Timer
from spinet.wait import until

PORT = 69
RRQ, WRQ, DATA, ACK, ERROR, OACK = 1, 2, 3, 4, 5, 6
TRIES = 6
FIRST_MS = 1000         # until a packet is repeated, then twice that, up to
LONGEST_MS = 8000
BLOCK = 1428            # bytes asked for: with its headers a block fits into any frame of 1500
ENOENT, EEXIST, ENOSPC, EIO = 2, 17, 28, 5
_ERRORS = {1: ENOENT, 2: EACCES, 3: ENOSPC, 6: EEXIST, 8: EINVAL}


class Transfer(Timer):
    """What reading and writing have in common.  `error` is 0, or an errno; `count` bytes so far.

    `size` is what the server says the file has, -1 if it does not; `message` its last error.
    """

    def __init__(self, stack, server, name, file, request, size, block=BLOCK):
        public(Transfer, "finish")
        words = [name, "octet", "blksize", str(block), "timeout", "1"]
        if size >= 0:
            words += "tsize", str(size)
        head = bytes((0, request))
        for word in words:
            head += word.encode() + b"\0"
        if len(head) > 512:
            raise ValueError("the name is too long")
        Timer.__init__(self)
        self.stack = stack
        self.file = file
        self.server = parse(server)
        self.done = False
        self.error = 0
        self.message = ""
        self.count = 0
        self.size = -1
        self.block = 512        # unless the server agrees to another
        self.number = 0         # of the last block, modulo 2**16
        self._asked = block
        self._last = False      # the last block has come, or gone
        self._tries = 0
        self._ear = ear = _Ear(self)
        ear.bind(None, 0)
        self._tid = 0           # the server's port, once it has answered
        self._out = bytearray(4 + max(block, 512))
        stack.timers.now = stack.clock()
        self._send(head, len(head))

    # -- sending ------------------------------------------------------------

    def _send(self, packet, n):
        """Send a packet, which is repeated until an answer comes."""
        self._packet = packet
        self._n = n
        self._tries = 0
        self._again()

    def _again(self):
        self.stack.timers.arm(self, min(FIRST_MS << self._tries, LONGEST_MS))
        if self._tries:
            self._ear.count["repeated"] += 1
        self._tries += 1
        self._transmit()

    def _transmit(self):
        try:
            self._ear.sendto(self._packet, 0, self._n, self.server, self._tid or PORT)
            self._ear.count["tx"] += 1
        except OSError:
            self._ear.count["not_sent"] += 1        # it will be repeated

    def expire(self, now):
        """No answer in time."""
        if self._tries < TRIES:
            self._again()
        else:
            self.finish(ETIMEDOUT)

    def finish(self, error=0, code=0, text=b""):
        """The transfer is over; with `code` the server is told why."""
        if not self.done:
            if code and self._tid:
                self._packet = bytes((0, ERROR, 0, code)) + text + b"\0"
                self._n = len(self._packet)
                self._transmit()
            self.error = error
            self.done = True
        self.stack.timers.remove(self)
        self._ear.close()

    # -- receiving ----------------------------------------------------------

    def heard(self, buf, h, s, end, sport):
        """A packet, perhaps from the server."""
        count = self._ear.count
        if end - s < 4 or buf[s] or not eq4(buf, h + 12, self.server, 0):
            count["ignored"] += 1
            return
        if not self._tid:
            self._tid = sport
        elif sport != self._tid:
            # RFC 1350, 4: a stranger is told so, and changes nothing.
            count["ignored"] += 1
            packet = bytes((0, ERROR, 0, 5)) + b"unknown transfer\0"
            self._ear.sendto(packet, 0, len(packet), self.server, sport)
            return
        count["rx"] += 1
        kind = buf[s + 1]
        number = buf[s + 2] << 8 | buf[s + 3]
        if kind == ERROR:
            text = bytes(buf[s + 4:end]).split(b"\0")[0]
            self.message = "".join([chr(c) if 32 <= c < 127 else "?" for c in text[:80]])
            self.finish(_ERRORS.get(number, EIO))
        elif kind == OACK:
            if self.number == 0 and not self.count:
                self._options(bytes(buf[s + 2:end]))
        elif kind == DATA or kind == ACK:
            self.packet(kind, number, buf, s + 4, end)

    def _options(self, data):
        """The options that the server agrees to; nothing else may be among them (RFC 2347)."""
        words = data.split(b"\0")
        if len(words) % 2 == 0 or words[-1]:
            self.finish(EIO, 8, b"malformed options")
            return
        block = 512
        for i in range(0, len(words) - 1, 2):
            option = words[i].lower()
            value = int(words[i + 1]) if words[i + 1].isdigit() and len(words[i + 1]) < 10 else -1
            if option == b"blksize" and 8 <= value <= self._asked:
                block = value
            elif option == b"tsize" and value >= 0:
                self.size = value
            elif option != b"timeout" or value != 1:
                self.finish(EIO, 8, b"not what was asked for")
                return
        self.block = block
        self.agreed()


class Get(Transfer):
    """Reads `name` and writes what comes to `file`, anything with `write(bytes)`."""

    def __init__(self, stack, server, name, file, block=BLOCK):
        Transfer.__init__(self, stack, server, name, file, RRQ, 0, block)

    def agreed(self):
        """The options are settled: acknowledge them, as block 0."""
        self._acknowledge()

    def _acknowledge(self):
        out = self._out
        out[0] = 0
        out[1] = ACK
        out[2] = self.number >> 8
        out[3] = self.number & 255
        self._send(out, 4)

    def packet(self, kind, number, buf, i, end):
        """A block."""
        if kind != DATA:
            return
        if number == self.number and self._packet is self._out:
            self._transmit()        # it has not heard that we have it
            return
        if number != (self.number + 1) & 0xFFFF or self._last:
            return
        n = end - i
        if n > self.block:
            self.finish(EIO, 4, b"block too long")
            return
        try:
            self.file.write(memoryview(buf)[i:end])
        except (OSError, MemoryError) as e:
            self.finish(getattr(e, "errno", None) or ENOSPC, 3, b"cannot write")
            return
        self.number = number
        self.count += n
        self._last = n < self.block
        self._acknowledge()
        if self._last:
            # All is here.  RFC 1350, 6: stay for a while, in case the server has not heard that.
            self.done = True
            self._tries = TRIES
            self.stack.timers.arm(self, 3 * FIRST_MS)


class Put(Transfer):
    """Writes `name` with what `file.readinto(buf)` gives; `size` bytes, if that is known."""

    def __init__(self, stack, server, name, file, size=-1, block=BLOCK):
        Transfer.__init__(self, stack, server, name, file, WRQ, size, block)

    def agreed(self):
        """The options are settled: send the first block."""
        self.packet(ACK, 0, None, 0, 0)

    def packet(self, kind, number, buf, i, end):
        """A block was acknowledged; an old acknowledgement is answered by nothing (RFC 1123,
        4.2.3.1), or each packet would be sent twice from then on."""
        if kind != ACK or number != self.number:
            return
        if self._last:
            self.finish()
            return
        out = self._out
        try:
            n = self._fill(memoryview(out)[4:4 + self.block])
        except (OSError, MemoryError) as e:
            self.finish(getattr(e, "errno", None) or EIO, 0, b"cannot read")
            return
        self._last = n < self.block
        self.number = number = (number + 1) & 0xFFFF
        self.count += n
        out[0] = 0
        out[1] = DATA
        out[2] = number >> 8
        out[3] = number & 255
        self._send(out, 4 + n)

    def _fill(self, view):
        """Read as much as goes into `view`: only the last block may be short."""
        n = 0
        while n < len(view):
            k = self.file.readinto(view[n:])
            if not k:
                break
            n += k
        return n


class _Ear(Service):
    """Our end."""

    def __init__(self, transfer):
        Service.__init__(self, transfer.stack, counters(
            transfer.stack, "tftp", "rx", "tx", "repeated", "ignored", "malformed", "no_memory",
            "not_sent"))
        self.transfer = transfer

    def datagram(self, buf, h, start, end, sport):
        self.transfer.heard(buf, h, start, end, sport)


class _Bytes:
    """A file in memory."""

    def __init__(self, data=b""):
        self.parts = []
        self.data = memoryview(data)

    def write(self, data):
        self.parts.append(bytes(data))

    def readinto(self, buf):
        n = min(len(buf), len(self.data))
        buf[:n] = self.data[:n]
        self.data = self.data[n:]
        return n


def _address(stack, host):
    try:
        return parse(host)
    except ValueError:
        return lookup(stack, host)[0]


def _wait(transfer):
    if not until(transfer.stack, transfer):
        transfer.finish(ETIMEDOUT)      # called from within `poll`, where nothing can come
    if transfer.error:
        raise os_error(transfer.error)


def get(stack, host, name, file=None, block=BLOCK):
    """Wait for the file `name`; its bytes, or if they go to `file`, how many they are."""
    into = file or _Bytes()
    transfer = Get(stack, _address(stack, host), name, into, block)
    _wait(transfer)
    return transfer.count if file is not None else b"".join(into.parts)


def put(stack, host, name, data, block=BLOCK):
    """Wait until the file `name` is written with `data`, bytes or an open file; how many."""
    file = data if hasattr(data, "readinto") else _Bytes(data)
    size = -1 if file is data else len(data)
    transfer = Put(stack, _address(stack, host), name, file, size, block)
    _wait(transfer)
    return transfer.count
