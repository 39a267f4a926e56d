"""Our side of the DHCP tests, for CPython and MicroPython unix.

    dhcp_peer.py client INTERFACE HOSTNAME
    dhcp_peer.py server INTERFACE ADDRESS/LEN FIRST LAST [SECONDS]

Prints a line for each thing that happens and obeys words on standard input, a line each:
`on`, `off`, `compute` (for ten seconds, with the stack in the background) and `quit`. The
client also echoes TCP on port 7.
"""
import select
import sys
import time

from spinet import LAN, Stack, lan
from spinet.addr import fmt
from spinet.ports.rawsocket import RawSocket


def say(*words):
    print(*words)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


class Client:
    def __init__(self, interface, hostname):
        lan.hostname(hostname)
        self.nic = LAN(RawSocket(interface))
        self.nic.on_address = self.changed
        self.nic.on_link = lambda up: say("link", "up" if up else "down")
        self.nic.on_conflict = lambda mac: say("conflict")
        self.stack = self.nic.stack
        self.state = ""
        self.server = ""
        self.listener = self.stack.socket()
        self.listener.setblocking(False)
        self.listener.bind(("", 7))
        self.listener.listen(4)
        self.clients = []
        self.nic.active(True)

    def changed(self, address):
        stack = self.stack
        say("address", address)
        if self.nic.dhcp.lease:
            say("about", self.nic.ipconfig("gw4"), ",".join([fmt(a) for a in stack.dns_servers]),
                stack.domain or "-", ",".join(stack.search) or "-",
                ",".join([fmt(a) for a in stack.ntp_servers]) or "-", self.nic.ip.id.mtu)
            for prefix, length, gateway in self.nic.dhcp.lease.routes:
                say("route %s/%d by %s" % (fmt(prefix), length, fmt(gateway)))

    def step(self):
        state = self.nic.status("dhcp")
        if state != self.state:
            self.state = state
            say("state", state)
        lease = self.nic.dhcp.lease
        server = fmt(lease.server) if lease else ""
        if server != self.server:
            self.server = server
            say("server", server or "none")
        try:
            sock, _ = self.listener.accept()
            sock.setblocking(False)
            self.clients.append(sock)
        except OSError:
            pass
        for sock in list(self.clients):
            data = sock.read(1000)
            if data:
                sock.write(data)
            elif data == b"":
                sock.close()
                self.clients.remove(sock)

    def obey(self, word):
        if word == "compute":
            self.compute()
            return
        self.nic.active(word == "on")
        if word == "quit":
            self.nic.deinit()


    def compute(self):
        if sys.implementation.name == "micropython":
            # The unix port has no timers: those of the virtual board.
            sys.path.append(sys.argv[0].rsplit("/", 3)[0] + "/tools")
            from board import standin

            sys.modules["machine"] = standin
        self.nic.background()
        say("computing")
        end = time.time() + 10
        n = 0
        while time.time() < end:
            n += 1
        say("computed")
        self.nic.background(False)


class Server:
    def __init__(self, interface, address, first, last, lease="3600"):
        from spinet.dhcpd import Dhcpd

        self.stack = Stack()
        ip = self.stack.add(RawSocket(interface), address)
        self.server = Dhcpd(ip, first, last, int(lease), router=address.split("/")[0],
                            dns=["8.8.8.8"], domain="home.arpa", mtu=1400)
        self.before = None

    def step(self):
        now = [x[:3] for x in self.server.leases()], self.server.count["ack"]
        if now != self.before:
            self.before = now
            say("leases", now[1], " ".join(["/".join(x) for x in now[0]]))
        if self.server.count["decline"]:
            self.server.count["decline"] = 0
            say("declined")

    def obey(self, word):
        pass


def main(args):
    host = {"client": Client, "server": Server}[args[0]](*args[1:])
    say("ready")
    commands = select.poll()
    commands.register(sys.stdin, select.POLLIN)
    while True:
        host.step()
        host.stack.idle(50)
        if commands.poll(0):
            word = sys.stdin.readline().strip()
            host.obey(word)
            if word in ("quit", ""):
                say("bye")
                break


if __name__ == "__main__":
    main(sys.argv[1:])
