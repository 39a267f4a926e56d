"""What a console shows of a connection: as much of Linux's `TCP_INFO` as there is here."""
from spinet.tcp.states import NAMES, SACK, SND_SHIFT


def info(c):
    """The state of `c` as a dict; times in ms, sizes in bytes."""
    return {
        "state": NAMES[c.state], "mss": c.mss, "srtt": c.srtt >> 3,
        "rttvar": c.rttvar >> 2, "rto": c.rto, "cwnd": c.cwnd,
        "ssthresh": c.loss.ssthresh if c.loss else 0x3FFFFFFF, "timestamps": len(c.head) > 20,
        "sack": bool(c.flags & SACK), "scaling": (c.flags >> SND_SHIFT, c.rcv_shift),
        "snd_wnd": c.snd_wnd, "rcv_wnd": c.rcv_adv,
        "unacked": c.snd_max, "unsent": max(c.s_len - c.snd_nxt, 0),
        "unread": c.r_len, "retries": c.retries, "pmtu": c.path.mtu,
        "soft_error": c.soft_error, "rcvbuf": len(c.rbuf), "sndbuf": len(c.sbuf),
    }
