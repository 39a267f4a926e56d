"""The states of the DHCP client (RFC 2131, 4.4), and what each sends and listens to.

    INIT ──> SELECTING ──offer──> REQUESTING ──ack──> CHECKING ──free──> BOUND
     ^           ^                     │nak              │in use           │T1
     │           └───────── INIT <─────┴─────────────────┘                 v
     │                                                                  RENEWING ──ack──> BOUND
     │                                                                     │T2
     │                                                                     v
     └────────────────── nak, or the lease has ended ────────────────── REBINDING ──ack──> BOUND

    INIT_REBOOT ──link──> REBOOTING ──ack, or nobody answers──> BOUND

In INIT it waits: for the link, or a while after a NAK or a conflict. From any state with an
address it goes to INIT_REBOOT when the link is lost. CHECKING is RFC 2131's check whether the
address is in use (4.4.1), by RFC 5227. INFORMING (3.4) and RELEASING (4.4.6) stand apart.
"""
from spinet.dhcpmsg import ACK, DECLINE, DISCOVER, INFORM, NAK, OFFER, RELEASE, REQUEST

IDLE = 0
INIT = 1
SELECTING = 2
REQUESTING = 3
CHECKING = 4
BOUND = 5
RENEWING = 6
REBINDING = 7
INIT_REBOOT = 8
REBOOTING = 9
INFORMING = 10
RELEASING = 11

_ALL = b"\xff\xff\xff\xff"

# One row for each state (RFC 2131, tables 4 and 5):
#   name; type of the message that is sent; whether our address is its ciaddr and its sender;
#   whether the address wanted is an option, and the server's; to whom it goes, None being the
#   server; the types of the answers.
ROWS = (
    ("idle", 0, False, False, False, None, ()),
    ("init", 0, False, False, False, None, ()),
    ("selecting", DISCOVER, False, True, False, _ALL, (OFFER,)),
    ("requesting", REQUEST, False, True, True, _ALL, (ACK, NAK)),
    ("checking", DECLINE, False, True, True, _ALL, ()),
    ("bound", 0, False, False, False, None, ()),
    ("renewing", REQUEST, True, False, False, None, (ACK, NAK)),
    ("rebinding", REQUEST, True, False, False, _ALL, (ACK, NAK)),
    ("init-reboot", 0, False, False, False, None, ()),
    ("rebooting", REQUEST, False, True, False, _ALL, (ACK, NAK)),
    ("informing", INFORM, True, False, False, _ALL, (ACK,)),
    ("releasing", RELEASE, True, False, True, None, ()),
)
