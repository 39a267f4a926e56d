"""The beginnings that scripts include (script.py), by name."""

# The peers of most scripts, by the state that the connection is left in.  `n` is RCV.NXT, `u`
# SND.UNA and `x` SND.NXT.
FRAGMENTS = {
    "listen": """
        socket L
        L.bind 80
        L.listen 5
    """,
    "syn_received": """
        include listen
        < S 0:0(0) win 65535 <mss 1460>
        > S. 0:0(0) ack 1 <mss 1460>
        let n 1
        let u 0
        let x 1
        state SYN_RECEIVED
    """,
    "established": """
        include syn_received
        < . 1:1(0) ack 1
        L.accept s
        L.close
        let u 1
        state ESTABLISHED
    """,
    "syn_sent": """
        socket s
        connect
        > S 0:0(0) <mss 1460,*>
        let u 0
        let x 1
        state SYN_SENT
    """,
    "connected": """
        include syn_sent
        < S. 0:0(0) ack 1 <mss 1460>
        > . 1:1(0) ack 1 <>
        let n 1
        let u 1
        state ESTABLISHED
    """,
    "active_syn_received": """
        include syn_sent
        < S 0:0(0) <mss 1460>
        > S. 0:0(0) ack 1
        let n 1
        state SYN_RECEIVED
    """,
    # The user has shut down its half, and still reads.
    "fin_wait_1": """
        include established
        shutdown WR
        > F. 1:1(0) ack 1
        let x 2
        state FIN_WAIT_1
    """,
    "fin_wait_2": """
        include fin_wait_1
        < . 1:1(0) ack 2
        let u 2
        state FIN_WAIT_2
    """,
    "close_wait": """
        include established
        < F. 1:1(0) ack 1
        > . 1:1(0) ack 2
        let n 2
        state CLOSE_WAIT
    """,
    "closing": """
        include fin_wait_1
        < F. 1:1(0) ack 1
        > . 2:2(0) ack 2
        let n 2
        state CLOSING
    """,
    "last_ack": """
        include close_wait
        close
        > F. 1:1(0) ack 2
        let x 2
        state LAST_ACK
    """,
    "time_wait": """
        include fin_wait_2
        < F. 1:1(0) ack 2
        > . 2:2(0) ack 2
        let n 2
        state TIME_WAIT
    """,
    # A connection on which all options were agreed; TS val 1000 and 1001 have been seen.
    "all_options": """
        include listen
        < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1000 ecr 0,wscale 0>
        > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 1000,wscale 0>
        < . 1:1(0) ack 1 <TS val 1001 ecr 0>
        L.accept s
        L.close
        let n 1
        let u 1
        let x 1
        state ESTABLISHED
    """,
    "timestamps": """
        include listen
        < S 0:0(0) win 65535 <mss 1460,TS val 1000 ecr 0>
        > S. 0:0(0) ack 1 <mss 1460,TS val 0 ecr 1000>
        < . 1:1(0) ack 1 <TS val 1001 ecr 0>
        L.accept s
        L.close
        let n 1
        let u 1
        let x 1
        state ESTABLISHED
    """,
    "sacking": """
        include listen
        < S 0:0(0) win 65535 <mss 1000,sackOK>
        > S. 0:0(0) ack 1 <mss 1460,sackOK>
        < . 1:1(0) ack 1
        L.accept s
        L.close
    """,
    "plain_1000": """
        include listen
        < S 0:0(0) win 65535 <mss 1000>
        > S. 0:0(0) ack 1 <mss 1460>
        < . 1:1(0) ack 1
        L.accept s
        L.close
    """,
}
