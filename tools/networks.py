"""The networks that `make run` puts boards on: behind the gateway, or on a TAP device."""
import os
import shutil
import socket
import subprocess
import threading

from board import launch
from gateway import Forward, Gateway, Lan, Recorder
from gateway.forwards import Follower
from spinet.ports.datagram import Datagram

BOARD = launch.ADDRESS.split("/")[0]


class Failed(Exception):
    """The run cannot start or go on; the argument says why, to a person."""


class GatewayNetwork:
    """The boards behind the gateway, their ports forwarded from 127.0.0.1.

    `names` are the boards' host names, `links` (board's port, our port) for each.
    """

    name = "gateway"

    def __init__(self, links, names, port, exact, pcap=None, forwards=None):
        self.addresses = [BOARD[:-2] + str(15 + i) for i in range(len(links))]
        self.recorders = []
        lan = self.lan(links, names, pcap)
        self.gateway = self.open(lan, dict(zip(names, self.addresses)), port, exact)
        tcp = {f.board_port: f.host_port for f in self.gateway.opened
               if f.protocol == "tcp" and f.board_address == BOARD}
        udp = {f.board_port: f.host_port for f in self.gateway.opened if f.protocol == "udp"}
        self.urls = ["http://127.0.0.1:%d/" % f.host_port for f in self.gateway.opened
                     if f.board_port == 80]
        self.url = self.urls[0]
        self.page_port = tcp[80]
        self.follower = forwards and Follower(self.gateway, forwards, print)
        self.hints = [("the page, in a browser", self.url)]
        for name, address, url in list(zip(names, self.addresses, self.urls))[1:]:
            self.hints.append(("the page of %s" % name, "%s   (%s, %s.lan)" % (
                url, address, name)))
        self.hints += [
            ("the same as data", "curl %sstatus.json" % self.url),
            ("TCP echo (type, Ctrl-C)", "nc 127.0.0.1 %d" % tcp[7]),
            ("UDP echo", "echo hello | nc -u -w1 127.0.0.1 %d" % udp[7]),
            ("receive speed", "head -c 10M /dev/zero | nc -N 127.0.0.1 %d" % tcp[9]),
            ("send speed", "nc 127.0.0.1 %d | head -c 10M | wc -c" % tcp[19]),
            ("on a board, names", "the host's, and gateway.lan, %s" % ", ".join(
                name + ".lan" for name in names)),
            ("on a board, ping", "ping gateway.lan, or any address"),
            ("ping to a board", "needs a real interface: make run TAP=spinet0 (root)"),
        ]
        if forwards:
            self.hints.append(("more ports", "tcp:2323:23 or out:tcp:1883:HOST:1883, a line each "
                               "in %s" % os.path.relpath(forwards)))
        for recorder in self.recorders:
            self.hints.append(("every frame", recorder.path))
        self.thread = threading.Thread(target=self.gateway.run, daemon=True)
        self.thread.start()

    def lan(self, links, names, pcap):
        """The switch, and who records what passes it."""
        record = records = None
        try:
            if pcap and "{}" in pcap:
                records = []
                for name in names:
                    records.append(Recorder(pcap.replace("{}", name)))
            elif pcap:
                record = Recorder(pcap)
        except OSError as error:
            raise Failed("cannot record: %s" % error) from None
        self.recorders = records or ([record] if record else [])
        return Lan([(ours, boards) for boards, ours in links], record=record, records=records,
                   names=names)

    def look(self):
        """Once a second: have the forwards changed, does recording go on?"""
        if self.follower:
            self.follower.look()

    def alive(self):
        """True while it works."""
        return self.thread.is_alive()

    @staticmethod
    def open(lan, addresses, port, exact):
        boards = list(addresses.values())
        for page in [port] if exact else range(port, port + 20):
            forwards = [Forward("tcp", page + i, board, 80) for i, board in enumerate(boards)] + [
                Forward(protocol, 0, BOARD, number)
                for protocol, number in (("tcp", 7), ("udp", 7), ("tcp", 9), ("tcp", 19))]
            taken = None
            for forward in forwards[:len(boards)]:
                taken = taken or in_use(forward.host_port)
            if not taken:
                try:
                    return Gateway(lan, forwards=forwards, addresses=addresses)
                except OSError as error:        # between the look and now
                    raise Failed("ports of 127.0.0.1: %s" % error) from None
            reason = taken
        lan.close()
        if exact:
            raise Failed("port %d of 127.0.0.1 cannot be used (%s); choose another: "
                         "make run PORT=%d" % (port, reason.strerror, port + 1))
        raise Failed("no free port from %d to %d: %s" % (port, port + 19, reason.strerror))

    def summary(self):
        """One line of counters of the gateway."""
        count = self.gateway.count
        text = "TCP connections %d in, %d out, %s in, %s out; UDP %d in, %d out; names %d" % (
            count["tcp_in"], count["tcp_out"], size(count["bytes_in"]), size(count["bytes_out"]),
            count["udp_in"], count["udp_out"], count["dns"])
        for recorder in self.recorders:
            text += "; %s: %d frames%s%s" % (
                os.path.basename(recorder.path), recorder.recorded,
                ", %d not" % recorder.dropped if recorder.dropped else "",
                ", ended: %s" % recorder.error if recorder.error else "")
        return text

    def close(self):
        self.gateway.stop()
        self.thread.join(3)
        self.gateway.close()


class TapNetwork:
    """The board on a TAP device: threads carry frames between it and the board's link."""

    name = "bridge"

    def __init__(self, link, name):
        from spinet.ports.tap import Tap

        board_port, our_port = link
        if shutil.which("ip") is None:
            raise Failed("TAP needs the `ip` program (package iproute2)")
        try:
            self.tap = Tap(name)
        except OSError as error:
            raise Failed("cannot open TAP device %s: %s (it needs root)" % (name, error)) from None
        for command in (["address", "replace", launch.GATEWAY + "/24", "dev", name],
                        ["link", "set", name, "up"]):
            subprocess.run(["ip"] + command, check=True)
        self.link = Datagram(local=("127.0.0.1", our_port), remote=("127.0.0.1", board_port))
        self.url = "http://%s/" % BOARD
        self.urls = [self.url]
        self.hints = [
            ("the page, in a browser", self.url),
            ("the same as data", "curl %sstatus.json" % self.url),
            ("ping", "ping %s" % BOARD),
            ("TCP echo (type, Ctrl-C)", "nc %s 7" % BOARD),
            ("UDP echo", "echo hello | nc -u -w1 %s 7" % BOARD),
            ("send speed", "nc %s 19 | head -c 10M | wc -c" % BOARD),
            ("every frame", "tcpdump -ni %s" % name),
        ]
        self.bridge = Bridge(self.tap, self.link)

    def look(self):
        """Nothing changes."""

    def summary(self):
        """One line of counters of the bridge."""
        return "frames to the board %d, from it %d" % tuple(self.bridge.carried)

    def alive(self):
        """True while it works."""
        return all(thread.is_alive() for thread in self.bridge.threads)

    def close(self):
        self.bridge.close()
        self.tap.close()
        self.link.close()


def in_use(port):
    """Why no server can have this port of 127.0.0.1, None if one can."""
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except (OSError, OverflowError) as error:
            return error
    return None


def size(n):
    """Bytes in text: 3.4 MB."""
    if n < 1000:
        return "%d B" % n
    n /= 1000
    for unit in ("KB", "MB"):
        if n < 1000:
            return "%.1f %s" % (n, unit)
        n /= 1000
    return "%.1f GB" % n


class Bridge:
    """Carries frames between two ports, each way, until closed."""

    def __init__(self, a, b):
        self.carried = [0, 0]
        self.running = True
        self.threads = [
            threading.Thread(target=self.carry, args=(a, b, 0), daemon=True),
            threading.Thread(target=self.carry, args=(b, a, 1), daemon=True)]
        for thread in self.threads:
            thread.start()

    def carry(self, source, sink, way):
        import select

        ready = select.poll()
        ready.register(source.fileno(), select.POLLIN)
        buf = bytearray(2048)
        while self.running:
            n = source.recv(buf)
            if n:
                sink.send(buf, n)
                self.carried[way] += 1
            else:
                ready.poll(500)

    def close(self):
        self.running = False
        for thread in self.threads:
            thread.join(2)
