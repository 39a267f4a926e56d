"""What the Linux kernel makes of the links of goodput.py: a table in its form.  Needs root.

    goodput_kernel.py [--seeds N] [--seconds S] [--loss 0,0.1,1,3,5] [CONGESTION ...]

Kernel sockets at both ends, between them a cable in user space (impair.py) with the same rate,
delay, loss and window.  It takes the time it takes: all losses at once, one seed after the other.
"""
import argparse
import socket
import statistics
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "host_tests"), str(ROOT / "host_tests" / "kernel")]

import netns  # noqa: E402

RATE_KBPS = 10000
DELAY_MS = 10
TCP_WINDOW_CLAMP = 10


def run(congestion, seed, loss, seconds, window):
    """Send for so long; share of the link in per cent."""
    ends = []
    try:
        ends = [netns.Namespace(label) for label in ("left", "middle", "right")]
        left, middle, right = ends
        for end, near, far, address in (
                (left, "k0", "left", "10.55.0.1"), (right, "k1", "right", "10.55.0.2")):
            netns.veth(end, near, middle, far)
            end.ip("address", "add", address + "/24", "dev", near)
            end.run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")
        cable = middle.popen(
            sys.executable, ROOT / "tools/impair.py", "raw:left", "raw:right", "--rate", RATE_KBPS,
            "--delay", DELAY_MS, "--loss", loss, "--seed", seed, stdout=-1, text=True)
        assert cable.stdout.readline() == "ready\n"
        listener = right.listen(address="10.55.0.2")
        listener.setsockopt(socket.IPPROTO_TCP, TCP_WINDOW_CLAMP, window)
        client = left.socket()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        began = time.monotonic()
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        server.settimeout(seconds)
        threading.Thread(target=_send, args=(client,), daemon=True).start()
        got = 0
        while time.monotonic() < began + seconds:
            got += len(server.recv(65536))
        for sock in (client, server, listener):
            sock.close()
        return 100 * got / (seconds * RATE_KBPS * 125 * 1448 / 1514)
    finally:
        for end in ends:
            end.close()


def _send(sock):
    try:
        while True:
            sock.sendall(bytes(65536))
    except OSError:
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--loss", default="0,0.1,1,3,5")
    parser.add_argument("--window", type=int, default=65535)
    parser.add_argument("congestion", nargs="*", default=["cubic"])
    args = parser.parse_args()
    why = netns.why_not()
    if why:
        sys.exit("goodput_kernel.py " + why)
    losses = [float(text) for text in args.loss.split(",")]
    print("%-24s" % "loss, %" + "".join("%9g" % loss for loss in losses))
    for name in args.congestion:
        shares = {loss: [] for loss in losses}

        def one(loss, seed, name=name, shares=shares):
            shares[loss].append(run(name, seed, loss, args.seconds, args.window))

        for seed in range(1, args.seeds + 1):
            threads = [threading.Thread(target=one, args=(loss, seed)) for loss in losses]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        print("%-24s" % ("linux " + name) + "".join(
            "%9.1f" % statistics.median(shares[loss]) for loss in losses), flush=True)


if __name__ == "__main__":
    main()
