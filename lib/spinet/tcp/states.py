"""The states of a TCP connection and how it moves between them (RFC 9293, figure 5).

A connection's life is three tables, one per kind of event that moves it once
it is synchronized; each is indexed by the state it is in:

    AFTER_CLOSE      our user has closed: our FIN follows the last byte
    AFTER_FIN        the peer's FIN has been reached in sequence
    AFTER_FIN_ACKED  the peer has acknowledged our FIN

An entry equal to its index means that the event changes nothing there.  The
rest of the figure is how a connection begins, and stands where it happens:

    LISTEN       --SYN-->           SYN_RECEIVED    listen.py
    SYN_SENT     --SYN,ACK-->       ESTABLISHED     input.py
    SYN_SENT     --SYN-->           SYN_RECEIVED    input.py (simultaneous open)
    SYN_RECEIVED --ACK of SYN-->    ESTABLISHED     input.py
    any          --RST, abort, give up--> CLOSED    conn.py
    TIME_WAIT    --2 MSL-->         CLOSED          conn.py
"""

CLOSED = 0
LISTEN = 1
SYN_SENT = 2
SYN_RECEIVED = 3
ESTABLISHED = 4
FIN_WAIT_1 = 5
FIN_WAIT_2 = 6
CLOSE_WAIT = 7
CLOSING = 8
LAST_ACK = 9
TIME_WAIT = 10

NAMES = (
    "CLOSED", "LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1",
    "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT",
)

AFTER_CLOSE = (
    CLOSED, CLOSED, CLOSED, FIN_WAIT_1, FIN_WAIT_1, FIN_WAIT_1,
    FIN_WAIT_2, LAST_ACK, CLOSING, LAST_ACK, TIME_WAIT,
)

AFTER_FIN = (
    CLOSED, LISTEN, SYN_SENT, CLOSE_WAIT, CLOSE_WAIT, CLOSING,
    TIME_WAIT, CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT,
)

AFTER_FIN_ACKED = (
    CLOSED, LISTEN, SYN_SENT, SYN_RECEIVED, ESTABLISHED, FIN_WAIT_2,
    FIN_WAIT_2, CLOSE_WAIT, TIME_WAIT, CLOSED, TIME_WAIT,
)

# What may still happen in a state, as sets of states written as bit masks.
SENDS = 1 << ESTABLISHED | 1 << CLOSE_WAIT                      # the user may send
RECEIVES = 1 << ESTABLISHED | 1 << FIN_WAIT_1 | 1 << FIN_WAIT_2  # data may arrive
OWES_FIN = 1 << FIN_WAIT_1 | 1 << CLOSING | 1 << LAST_ACK       # our FIN is unacknowledged
CARRIES = SENDS | OWES_FIN                                      # data may be unacknowledged

# Bits of a connection's `flags`.
NODELAY = 1         # the user has switched Nagle's algorithm off
ORPHAN = 2          # the user has closed and will read no more
CLOSE_LATER = 4     # the user closed before the handshake was complete
PERSIST = 8         # t_rexmt runs for a zero-window probe, not for data in flight
BLOCKED = 16        # the port was busy: t_ack runs to try again
SACK = 32           # both ends use selective acknowledgements
SCALED = 64         # both ends scale their windows
PROBE = 128         # t_rexmt runs for a tail loss probe or RACK, ahead of the real timeout
RACK = 256          # the scoreboard wants to know what is sent (rack.Board)
ECN = 512           # both ends use explicit congestion notification
DOUBT = 1024        # a timeout may have been for nothing (RFC 5682): the next answer tells
TRIED = 2048        # so new data was sent, and the answer to that tells
QUICKACK = 1 << 12  # acknowledgements are not delayed
STALE = 1 << 13     # TS.Recent is too old to compare with (RFC 7323, 5.5)
WIDE = 1 << 14      # `rcv_shift` is not 0
FIN_SEEN = 1 << 15  # `fin_at` says where the peer's FIN stands
KEPT = 1 << 16      # `keep` looks after the peer
SND_SHIFT = 17      # from here on: by how much the peer scales its window (RFC 7323, 2), at most 14
