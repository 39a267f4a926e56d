"""What the board knows about itself, as JSON in pieces: `/status.json`.

    name, runtime, version      texts
    interface                   address, gateway, mac, chip, link (true: up)
    uptime_s                    since this program started
    heap                        free, used (bytes; null where the runtime has no such thing)
    counters                    {"layer": {"counter": number}}, from `Stack.stats()`
    arp                         [{"ip", "mac", "state"}]
    sockets                     [{"type", "local", "remote", "state", "rx", "tx"}], queued bytes
    services                    [{"name", "port", "open", "served"}], open connections, all so far
"""
import gc
import json
import sys

import spinet
from spinet.addr import fmt, fmt_mac, parse, prefixlen
from spinet.prim import ticks_diff, ticks_ms

# By the numbers of `spinet.arp`.
_STATES = ("free", "asked for", "reachable", "reachable, asked again", "silent")


class Uptime:
    """Seconds since it was made.  Ask at least once in six days: ticks wrap in twelve."""

    def __init__(self):
        self.last = ticks_ms()
        self.rest_ms = 0
        self.seconds = 0

    def read(self):
        """Whole seconds."""
        now = ticks_ms()
        self.rest_ms += ticks_diff(now, self.last)
        self.last = now
        self.seconds += self.rest_ms // 1000
        self.rest_ms %= 1000
        return self.seconds


def document(nic, settings, running):
    """(content type, function) of the status document for `http.site`."""
    uptime = Uptime()
    return "application/json", lambda: pieces(nic, settings, running, uptime)


def pieces(nic, settings, running, uptime):
    """The document, piece by piece: a table's row or a layer's counters at a time."""
    stack = nic.stack
    address, mask, gateway, _ = nic.ifconfig()
    name = json.dumps(nic.config("hostname"))
    yield '{"name":%s,"runtime":%s,"version":"%s","uptime_s":%d,"interface":' % (
        name, json.dumps(runtime()), spinet.__version__, uptime.read())
    yield json.dumps({
        "address": "%s/%d" % (address, prefixlen(parse(mask))),
        "gateway": "" if gateway == "0.0.0.0" else gateway,
        "mac": fmt_mac(nic.config("mac")),
        "chip": settings["chip"].upper(),
        "link": bool(nic.status("link")),
    })
    yield ',"heap":'
    yield json.dumps(heap())
    yield ',"counters":{'
    comma = ""
    for name, count in stack.stats().items():
        yield '%s"%s":%s' % (comma, name, json.dumps(count))
        comma = ","
    yield '},"arp":['
    for piece in joined(neighbours(nic)):
        yield piece
    yield '],"sockets":['
    for piece in joined(sockets(stack)):
        yield piece
    yield '],"services":['
    for piece in joined(services(running)):
        yield piece
    yield "]}\n"


def joined(rows):
    """JSON of each of `rows`, with commas between."""
    comma = ""
    for row in rows:
        yield comma + json.dumps(row)
        comma = ","


def runtime():
    """Such as "MicroPython 1.29 on rp2"."""
    name = {"micropython": "MicroPython", "cpython": "CPython"}.get(
        sys.implementation.name, sys.implementation.name)
    version = sys.implementation.version
    return "%s %d.%d on %s" % (name, version[0], version[1], sys.platform)


def heap():
    """Free and used bytes, None where the runtime does not say."""
    if hasattr(gc, "mem_free"):
        return {"free": gc.mem_free(), "used": gc.mem_alloc()}
    return {"free": None, "used": None}


def neighbours(nic):
    """The ARP table."""
    for hop in list(nic.ip.id.arp.table.values()):
        yield {"ip": fmt(hop.addr), "mac": fmt_mac(hop.mac) if hop.ok else "",
               "state": _STATES[hop.state]}


def sockets(stack):
    """Listeners, TCP connections and UDP endpoints."""
    for port in sorted(stack.tcp.listeners):
        for listener in stack.tcp.listeners.get(port, ()):
            yield row("tcp", end(listener.addr, listener.port), "", "LISTEN", 0, 0)
    for conn in stack.tcp.all():
        yield row("tcp", end(conn.path.src, conn.lport()), end(conn.path.dst, conn.rport()),
                  conn.info()["state"], conn.r_len, conn.s_len)
    for port in sorted(stack.udp.ports):
        for endpoint in stack.udp.ports.get(port, ()):
            remote = endpoint.remote
            yield row("udp", end(endpoint.addr, port),
                      end(remote, endpoint.remote_port) if remote else "", "",
                      endpoint.next_length, 0)


def row(kind, local, remote, state, rx, tx):
    return {"type": kind, "local": local, "remote": remote, "state": state, "rx": rx, "tx": tx}


def end(address, port):
    """"10.0.2.15:80", with * for every address."""
    return "%s:%d" % (fmt(address) if address else "*", port)


def services(running):
    """What runs, and how much it did."""
    for service in running:
        yield {"name": service.name, "port": service.port, "open": service.open(),
               "served": service.served()}
