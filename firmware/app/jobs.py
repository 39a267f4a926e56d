"""Commands that take their time: the network and the other services go on meanwhile.

They are generators that the console steps; what they have open they close in a `finally`, so that
Ctrl-C may end them anywhere.
"""
from app import config
from app.commands import at_most, fault, network, number_at
from app.console import Wrong, why
from spinet.addr import fmt, parse, quote

_LOOK_MS = 20
_IPERF = {13: "the other end is busy", 22: "the other end makes no sense"}


def need(c, i, what):
    """Word `i`, or Wrong."""
    if i >= len(c.words):
        raise Wrong("%s is missing; see `help %s`" % (what, c.words[0]))
    return c.words[i]


def check_host(text):
    """Wrong if word 1, `text`, is neither an address nor a name."""
    try:
        config.check_host(text)
    except ValueError as error:
        raise Wrong(str(error), 1, fault(text, str(error)))


def address_of(c, nic, text):
    """Steps: the address that a word says, by DNS if it is a name; text."""
    try:
        return fmt(parse(text))
    except ValueError:
        check_host(text)
    from spinet.dns import resolver

    names = resolver(nic.stack)
    known = names.listed(text)
    if known:
        return known[0]
    try:
        lookup = names.start(text)
    except OSError as error:
        raise Wrong("%s: %s" % (text, why(error)), 1)
    while not lookup.done:
        yield _LOOK_MS
    try:
        return lookup.result()[0]
    except OSError as error:
        raise Wrong("%s: %s" % (text, why(error)), 1)


def ping(c, words):
    from spinet.diag import Ping

    nic = network(c)
    at_most(words, 3)
    host = need(c, 1, "the host")
    count = number_at(c, 2, 1, 1000, 4)
    size = number_at(c, 3, 0, 1472, 56)
    address = yield from address_of(c, nic, host)
    probe = Ping(nic.stack, address, count, size)
    try:
        shown = 0
        while True:
            done = probe.done
            while shown < len(probe.results):
                ms = probe.results[shown]
                if ms is None and not done and shown + 1 >= len(probe.results):
                    break
                shown += 1
                _show_echo(c, probe, address, shown - 1, ms)
            if done:
                break
            yield _LOOK_MS
    finally:
        probe.close()
    times = [ms for ms in probe.results if ms is not None]
    c.put("%d sent, %d answered%s" % (
        len(probe.results), len(times),
        ", %d/%d/%d ms at least/on average/at most" % (
            min(times), sum(times) // len(times), max(times)) if times else ""),
        sent=len(probe.results), answered=len(times),
        ms_min=min(times) if times else None, ms_max=max(times) if times else None)
    if not times:
        local = [e[2] for e in probe.errors if e[1] < 0]
        raise Wrong(why(OSError(local[-1])) if local else "%s does not answer" % address)


def _show_echo(c, probe, address, n, ms):
    if ms is not None:
        c.put("%d: %d bytes from %s in %d ms" % (n + 1, len(probe._out) - 8, address, ms),
              n=n + 1, ms=ms, **{"from": address})
        return
    said = [e for e in probe.errors if e[0] == n]
    if not said:
        text = "no answer"
    elif said[0][1] < 0:
        text = why(OSError(said[0][2]))
    else:
        text = "%s says: %s" % (said[0][3], "took too many hops" if said[0][1] == 11
                                else "cannot be reached (code %d)" % said[0][2])
    c.put("%d: %s" % (n + 1, text), n=n + 1, ms=None, error=text)


def traceroute(c, words):
    from spinet.diag import Trace

    nic = network(c)
    at_most(words, 1)
    address = yield from address_of(c, nic, need(c, 1, "the host"))
    trace = Trace(nic.stack, address)
    try:
        shown = 0
        while True:
            done = trace.done
            # The last hop is still being filled while it runs.
            while shown < len(trace.hops) and (done or shown + 1 < len(trace.hops)):
                hop = trace.hops[shown]
                shown += 1
                where = [a for a, _ in hop if a]
                c.put("%2d  %-15s %s" % (
                    shown, where[0] if where else "*",
                    "  ".join(["*" if ms is None else "%d ms" % ms for _, ms in hop])),
                    hop=shown, address=where[0] if where else None, ms=[ms for _, ms in hop])
            if done:
                break
            yield _LOOK_MS
    finally:
        trace.close()
    if not trace.hops:
        raise Wrong("no route to %s" % address)
    if not trace.reached:
        raise Wrong("%s was not reached" % address)


def resolve(c, words):
    from spinet.dns import resolver

    nic = network(c)
    at_most(words, 1)
    name = need(c, 1, "the name")
    names = resolver(nic.stack)
    try:
        octets = parse(name)
    except ValueError:
        address = yield from address_of(c, nic, name)
        c.put("%s is %s" % (name, address), name=name, address=address)
        return
    from spinet.dnsmsg import PTR

    asked = "%d.%d.%d.%d.in-addr.arpa" % (octets[3], octets[2], octets[1], octets[0])
    query = names.query(wire(asked), PTR)
    while not query.done:
        yield _LOOK_MS
    if not query.values:
        raise Wrong("%s: no name server knows a name of it" % name, 1)
    from spinet.dns import readable

    for value in query.values:
        text = readable(value, PTR)
        c.put("%s is %s" % (name, text), address=name, name=text)


def wire(name):
    """A name in DNS's form."""
    from spinet.dnsmsg import encode

    return encode(name)


def ntp(c, words):
    from app.board import set_clock
    from spinet import sntp

    nic = network(c)
    at_most(words, 1)
    servers = words[1:] or c.board.settings["ntp"] or [fmt(s) for s in nic.stack.ntp_servers]
    if not servers:
        raise Wrong("no server is known: `ntp SERVER`, or `set ntp SERVER`")
    if len(words) > 1:
        check_host(words[1])
    query = sntp.ask(nic.stack, *servers)
    try:
        while not query.done:
            yield _LOOK_MS
    finally:
        query.close()
    t = query.time
    if t is None:
        raise Wrong("no answer from %s" % " or ".join(servers))
    offset = t.offset_ms()
    set_clock(t)
    c.put("%s UTC by %s (stratum %d), %d ms away; this clock was %s" % (
        utc(t.unix), t.server, t.stratum, t.delay_ms, lag(offset)),
        unix=t.unix, server=t.server, stratum=t.stratum, delay_ms=t.delay_ms, offset_ms=offset)


def utc(seconds):
    """"2026-01-31 12:00:00" of seconds since 1970."""
    from spinet.syslog import _date

    days, rest = divmod(seconds, 86400)
    return "%04d-%02d-%02d %02d:%02d:%02d" % (
        _date(days) + (rest // 3600, rest // 60 % 60, rest % 60))


def lag(ms):
    """By how much a clock is wrong, in words."""
    if abs(ms) < 2000:
        return "%d ms %s" % (abs(ms), "slow" if ms >= 0 else "fast")
    return "%d s %s" % (abs(ms) // 1000, "slow" if ms > 0 else "fast")


def iperf(c, words):
    from spinet import iperf as tool

    nic = network(c)
    at_most(words, 4)
    host = need(c, 1, "the host, or `server`,")
    if host == "server":
        at_most(words, 1)
        yield from _serve(c, nic, tool)
        return
    options = {"seconds": 5}
    for i in range(2, len(words)):
        if words[i] in ("udp", "reverse"):
            options[words[i]] = True
        else:
            options["seconds"] = number_at(c, i, 1, 3600, 5)
    host, colon, port = host.partition(":")
    if colon:
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise Wrong("%s is not a port" % quote(port), 1, len(host) + 1)
        options["port"] = int(port)
    address = yield from address_of(c, nic, host)
    c.put("measuring for %d s; Ctrl-C ends it" % options["seconds"], seconds=options["seconds"])
    task = tool.Client(nic.stack, address, **options)
    try:
        while not task.done:
            yield _LOOK_MS
    finally:
        task.close()
    if task.error:
        raise Wrong("%s: %s" % (host, _IPERF.get(task.error) or why(OSError(task.error))))
    _show_result(c, task.result)


def _serve(c, nic, tool):
    results = []
    server = tool.Server(nic.stack, on_result=results.append)
    c.put("serving on port %d; Ctrl-C ends it" % server.port, port=server.port)
    try:
        while True:
            while results:
                _show_result(c, results.pop(0))
            yield _LOOK_MS
    finally:
        server.close()


def _show_result(c, result):
    c.put("%d bytes in %d.%01d s: %d kbit/s%s" % (
        result.bytes, result.ms // 1000, result.ms % 1000 // 100, result.bits_per_second // 1000,
        ", %d of %d packets lost" % (result.lost, result.packets) if result.packets else ""),
        bytes=result.bytes, ms=result.ms, bits_per_second=result.bits_per_second,
        packets=result.packets, lost=result.lost)


def capture(c, words):
    """The frames that pass; in JSON {"pcap": base64, "crc": CRC-32}, the pcap file's header first,
    then a record in each line."""
    from app.tap import Tap
    from spinet.trace import line

    nic = network(c)
    at_most(words, 2)
    count = number_at(c, 1, 1, 1000000, 1000000)
    seconds = number_at(c, 2, 1, 86400, 86400)
    tap = Tap()
    ip = nic.ip
    stack = nic.stack
    began = stack.clock()
    stack.capture(ip, tap)
    try:
        if c.json:
            c.write(Tap.framed(tap.header))
        else:
            c.put("capturing; Ctrl-C ends it")
        sent = 0
        from spinet.prim import ticks_diff

        left_ms = seconds * 1000
        while sent < count and left_ms > 0:
            now = stack.clock()
            left_ms -= ticks_diff(now, began)
            began = now
            while tap.frames and sent < count:
                head, frame = tap.frames.pop(0)
                sent += 1
                if c.json:
                    c.write(Tap.framed(head + frame))
                else:
                    c.put(line(frame, len(frame)))
            yield _LOOK_MS
    finally:
        stack.capture(ip, None)
    c.put("%d frames, %d lost because this line was too slow" % (sent, tap.lost),
          frames=sent, lost=tap.lost)
