"""DHCP messages (RFC 2131, 2; RFC 2132): what client and server have in common.

A message is the fixed fields of BOOTP, whose offsets are here, and options. They are
parsed into a dictionary of bytes by code; an option in several pieces is one (RFC 3396).
"""
from spinet.prim import copy, eq4

SERVER_PORT = 67
CLIENT_PORT = 68

REQUEST_OP = 1
REPLY_OP = 2

# Offsets of fields.
XID = 4
SECS = 8
FLAGS = 10
CIADDR = 12
YIADDR = 16
SIADDR = 20
GIADDR = 24
CHADDR = 28
SNAME = 44
FILE = 108
COOKIE = 236
OPTIONS = 240

# Message types (option 53).
DISCOVER = 1
OFFER = 2
REQUEST = 3
DECLINE = 4
ACK = 5
NAK = 6
RELEASE = 7
INFORM = 8

# Options.
MASK = 1
ROUTERS = 3
DNS = 6
HOSTNAME = 12
DOMAIN = 15
MTU = 26
BROADCAST = 28
STATIC_ROUTES = 33
NTP = 42
VENDOR = 43
WANTED_ADDRESS = 50
LEASE_TIME = 51
OVERLOAD = 52
TYPE = 53
SERVER_ID = 54
WANTED_OPTIONS = 55
TEXT = 56
MOST = 57
T1 = 58
T2 = 59
VENDOR_CLASS = 60
CLIENT_ID = 61
FQDN = 81
AGENT = 82
SEARCH = 119
ROUTES = 121
END = 255

INFINITE = b"\xff\xff\xff\xff"
LONGEST = 1500          # bytes of a message; a longer one is refused
_LEAST = 300            # what a BOOTP relay may insist on (RFC 1542, 2.1)
_MAGIC = b"\x63\x82\x53\x63"


class Inlet:
    """A port of UDP whose datagrams go, as they come, to `takers`: `heard(buf, start, end)`.

    Stands among the endpoints of `Udp` as one of them.
    """

    addr = remote = None
    reuse = bound = readable = False
    port = remote_port = next_length = error = 0

    def __init__(self):
        self.takers = []

    def hears(self, ip, buf, h):
        """Whether it takes what is sent to a multicast group: never."""
        return False

    def push(self, buf, h, start, end, sport, dport):
        """A datagram's payload is `buf[start:end]`."""
        for taker in self.takers:
            taker.heard(buf, start, end)
        return True


def listen(udp, port, taker):
    """Give `taker` what comes to `port`; OSError(EADDRINUSE) if that is a socket's."""
    for inlet in udp.ports.get(port, ()):
        if isinstance(inlet, Inlet):
            inlet.takers = inlet.takers + [taker]
            return
    inlet = Inlet()
    udp.enter(inlet, None, port)
    inlet.takers = [taker]


def unlisten(udp, port, taker):
    """Undo `listen`; idempotent."""
    for inlet in list(udp.ports.get(port, ())):
        if isinstance(inlet, Inlet) and taker in inlet.takers:
            inlet.takers = [t for t in inlet.takers if t is not taker]
            if not inlet.takers:
                udp.leave(inlet)


def begin(op, kind, xid, mac):
    """A message with an Ethernet address and its type, to which `put` appends options."""
    message = bytearray(OPTIONS)
    message[0] = op
    message[1] = 1
    message[2] = 6
    copy(message, XID, xid, 0, 4)
    copy(message, CHADDR, mac, 0, 6)
    copy(message, COOKIE, _MAGIC, 0, 4)
    put(message, TYPE, bytes((kind,)))
    return message


def put(message, code, data):
    """Append an option, in as many pieces as its length needs."""
    i = 0
    while True:
        piece = data[i:i + 255]
        message.extend(bytes((code, len(piece))))
        message.extend(piece)
        i += 255
        if i >= len(data):
            return


def finish(message):
    """Append the end, and padding up to what every relay carries."""
    message.append(END)
    if len(message) < _LEAST:
        message.extend(bytes(_LEAST - len(message)))
    return message


def is_for(buf, start, end, op, xid, mac):
    """Whether `buf[start:end]` is a message with these; looks only, takes no memory."""
    if end - start < OPTIONS or buf[start] != op or buf[start + 1] != 1 or buf[start + 2] != 6:
        return False
    i = 0
    while i < 6:
        if buf[start + CHADDR + i] != mac[i]:
            return False
        i += 1
    return eq4(buf, start + XID, xid, 0)


def parse(buf, start, end):
    """The options of the message `buf[start:end]`, `{code: bytes}`; None if it is malformed."""
    if not OPTIONS <= end - start <= LONGEST or not eq4(buf, start + COOKIE, _MAGIC, 0):
        return None
    found = {}
    if not _collect(found, buf, start + OPTIONS, end):
        return None
    overload = found.get(OVERLOAD)
    if overload is not None:
        if len(overload) != 1 or not 1 <= overload[0] <= 3:
            return None
        # The order is RFC 3396's, 5.
        if overload[0] & 1 and not _collect(found, buf, start + FILE, start + COOKIE):
            return None
        if overload[0] & 2 and not _collect(found, buf, start + SNAME, start + FILE):
            return None
    kind = found.get(TYPE)
    return None if kind is None or len(kind) != 1 else found


def _collect(found, buf, i, end):
    """Add the options in `buf[i:end]`; False if one does not end there."""
    while i < end:
        code = buf[i]
        i += 1
        if code == END:
            return True
        if code:
            if i == end or i + 1 + buf[i] > end:
                return False
            piece = bytes(buf[i + 1:i + 1 + buf[i]])
            found[code] = found[code] + piece if code in found else piece
            i += 1 + len(piece)
    return True


def u32(data):
    """The number in an option of four bytes, None in any other."""
    return int.from_bytes(data, "big") if data is not None and len(data) == 4 else None


def addresses(data, most=4):
    """At most so many addresses out of an option; those that no host can have are left out."""
    found = []
    if data is not None and len(data) % 4 == 0:
        for i in range(0, len(data), 4):
            address = data[i:i + 4]
            if is_host(address) and len(found) < most:
                found.append(address)
    return found


def is_host(address):
    """Whether a host elsewhere can have the address (4 bytes)."""
    return 0 < address[0] < 224 and address[0] != 127


def text(data):
    """A name or domain out of an option, "" if there is none or it is not one."""
    name = ""
    for c in data or b"":
        if c == 0:
            break
        c = chr(c)
        if not ("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in "-_."):
            return ""
        name += c
    return name if len(name) <= 253 else ""


def domains(data, most=6):
    """The domains of a search list, in DNS's form with its compression (RFC 3397), as text.

    What is wrong ends the list; pointers lead back only, so that there is no loop.
    """
    found = []
    i = 0
    while data is not None and i < len(data) and len(found) < most:
        labels = []
        size = 0
        after = -1          # where the next name begins, once a pointer was followed
        while True:
            n = data[i] if i < len(data) else 64
            if n == 0:
                break
            if n >= 192 and i + 1 < len(data):
                to = (n & 63) << 8 | data[i + 1]
                if to >= i:
                    return found
                if after < 0:
                    after = i + 2
                i = to
                continue
            label = text(data[i + 1:i + 1 + n]) if n < 64 else ""
            size += n + 1
            if len(label) != n or "." in label or size > 254:
                return found
            labels.append(label)
            i += n + 1
        if labels:
            found.append(".".join(labels))
        i = i + 1 if after < 0 else after
    return found


def name_in_dns_form(name):
    """The name as DNS writes it; ValueError if a label is empty or too long."""
    out = bytearray()
    for label in name.rstrip(".").split("."):
        if not 0 < len(label) < 64:
            raise ValueError("a label of a name is 1 to 63 characters: %s" % name)
        out.append(len(label))
        out.extend(label.encode())
    out.append(0)
    return bytes(out)
