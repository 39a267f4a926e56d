"""What scripts (script.py) may call on a socket."""
from script_wire import stream

from spinet import errors, sockbase


def perform(script, name, s, verb, args):
    """Call `verb` of the socket `s`, which the script calls `name`; the result as it is written."""
    offsets = script.offsets
    if verb == "bind":
        s.bind(("", script.number(args[0])))
    elif verb == "listen":
        s.listen(script.number(args[0]))
    elif verb == "accept":
        child, peer = s.accept()
        if peer != ("10.0.0.2", script.flow.rport):
            script.fail("accepted was %r" % (peer,))
        child.setblocking(False)
        script.sockets[args[0] if args else "s"] = child
    elif verb == "connect":
        s.connect((args[0] if args else "10.0.0.2", script.flow.rport))
    elif verb == "send":
        at = offsets.get(name + ">", 0)
        n = s.send(stream(at, script.number(args[0])))
        offsets[name + ">"] = at + n
        return n
    elif verb == "recv" or verb == "peek":
        at = offsets.get(name + "<", 0)
        got = s.recv(script.number(args[0]), 2 if verb == "peek" else 0)
        if got != stream(at, len(got)):
            script.fail("the data read are wrong: %r" % got)
        if verb == "recv":
            offsets[name + "<"] = at + len(got)
        return len(got) or "EOF"
    elif verb == "shutdown":
        s.shutdown({"RD": 0, "WR": 1, "RDWR": 2}[args[0]])
    elif verb == "close":
        s.close()
    elif verb == "linger" or verb == "abort":
        seconds = script.number(args[0]) if args else 0
        s.setsockopt(sockbase.SOL_SOCKET, sockbase.SO_LINGER, bytes((1, 0, 0, 0, seconds, 0, 0, 0)))
        if verb == "abort":
            s.close()
    elif verb == "timeout":
        s.settimeout(float(args[0]))
    elif verb == "setsockopt":
        level, option = option_number(args[0])
        s.setsockopt(level, option, script.number(args[1]))
    elif verb == "getsockopt":
        level, option = option_number(args[0])
        got = s.getsockopt(level, option)
        if args[0] == "ERROR" and got:
            return errno_name(got)
        return got
    elif verb == "ready":
        flags = s.ready()
        return "|".join(n for n, f in (
            ("RD", sockbase.RD), ("WR", sockbase.WR), ("ERR", sockbase.ERR),
            ("HUP", sockbase.HUP)) if flags & f) or "0"
    else:
        script.fail("what is %s?" % verb)
    return "OK"


def option_number(name):
    """(level, option) of an option's name without its prefix."""
    number = getattr(sockbase, "SO_" + name, None)
    if number is not None:
        return sockbase.SOL_SOCKET, number
    return sockbase.IPPROTO_TCP, getattr(sockbase, "TCP_" + name)


def errno_name(number):
    for name in dir(errors):
        if name[0] == "E" and name.upper() == name and getattr(errors, name) == number:
            return name
    return str(number)
