"""The command line of the gateway: `python3 tools/gateway --help`."""
import argparse
import pathlib
import signal
import sys
import threading
import time

TOOLS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOOLS), str(TOOLS.parent / "lib")]

from gateway import Gateway, Lan, Recorder, parse_forward  # noqa: E402
from gateway.forwards import Follower  # noqa: E402


def endpoint(text):
    """`127.0.0.1:5500` as (host, port)."""
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def link(text):
    """`5501:5500` as a pair of ports."""
    ours, _, theirs = text.partition(":")
    return int(ours), int(theirs)


def follow(follower):
    """Look at the file once a second."""
    while True:
        follower.look()
        time.sleep(1)


def main():
    """Run until a signal."""
    parser = argparse.ArgumentParser(description="A network for virtual boards, without root.")
    add = parser.add_argument
    add("--link", action="append", type=link, metavar="OURS:THEIRS",
        help="the UDP ports of 127.0.0.1 of a board's link (default 5501:5500); once per board")
    add("--address", default="10.0.2.2/24", help="the gateway's own (default 10.0.2.2/24)")
    add("--forward", action="append", type=parse_forward, default=[],
        metavar="[out:]tcp|udp:PORT:[HOST:]PORT", help="a port that leads elsewhere")
    add("--forwards", metavar="FILE", help="of forwards, a line each, that may change")
    add("--bind", default="127.0.0.1", help="host address of forwards (default 127.0.0.1)")
    add("--dns", action="append", type=lambda text: endpoint(
        text if ":" in text else text + ":53"), metavar="ADDRESS[:PORT]",
        help="server of names to ask (default: those of the host)")
    add("--pcap", metavar="FILE", help="record every frame, in a file or a named pipe")
    args = parser.parse_args()
    lan = Lan(args.link or [(5501, 5500)], record=args.pcap and Recorder(args.pcap))
    gateway = Gateway(lan, args.address, args.forward, args.bind, args.dns)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: gateway.stop())
    for forward in gateway.opened:
        print("%s %s:%d -> %s:%d" % (forward.protocol, args.bind, *forward[1:]), flush=True)
    if args.forwards:
        def say(text):
            print(text, flush=True)

        follower = Follower(gateway, args.forwards, say)
        threading.Thread(target=follow, args=(follower,), daemon=True).start()
    gateway.run()
    gateway.close()


if __name__ == "__main__":
    main()
