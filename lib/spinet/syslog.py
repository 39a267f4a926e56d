"""Syslog (RFC 5424) by UDP (RFC 5426).

    log = syslog.Syslog(stack, "10.0.0.1", app="greenhouse")
    log.send(syslog.WARNING, "pump 2 is dry")
    log.warning("the same")
"""
from spinet.addr import parse
from spinet.service import public

EMERG, ALERT, CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = range(8)
KERN, USER, DAEMON = 0, 1, 3
LOCAL0 = 16         # to LOCAL0 + 7

PORT = 514
_NIL = "-"


class Syslog:
    """Sends messages to one server; what cannot be sent at once is lost and counted.

    `host` is how we call ourselves, by default our address.  `clock()`, if given, returns (seconds
    since 1970, ms), as `now` of an SNTP client's time does; without, messages carry no time.
    """

    def __init__(self, stack, server, port=PORT, app=_NIL, host=None, facility=USER, clock=None):
        public(Syslog, "send", "error", "warning", "info", "debug")
        self.stack = stack
        try:
            self.server = parse(server)
        except ValueError:
            from spinet.sockbase import lookup

            self.server = parse(lookup(stack, server)[0])
        self.port = port
        self.app = _word(app, 48)
        self.host = host and _word(host, 255)
        self.facility = facility
        self.clock = clock
        self.count = {"tx": 0, "lost": 0, "cut": 0}
        self._endpoint = stack.udp.endpoint(1)
        stack.services["syslog"] = self

    def send(self, severity, text, msgid=_NIL):
        """Send a message of `severity` (EMERG to DEBUG); whether it was."""
        try:
            path = self._endpoint.path_to(self.server)
            host = self.host or "%d.%d.%d.%d" % tuple(path.src)
            head = "<%d>1 %s %s %s - %s - " % (
                self.facility << 3 | severity, self._time(), host, self.app, _word(msgid, 32))
            data = text.encode()
            if len(data) != len(text):
                data = b"\xef\xbb\xbf" + data       # RFC 5424, 6.4: that it is UTF-8
            data = head.encode() + data
            # RFC 5426, 3.2: in fragments it is likely to be lost.
            room = path.mtu - 28
            if len(data) > room:
                self.count["cut"] += 1
                while data[room] & 0xC0 == 0x80:
                    room -= 1
                data = data[:room]
            self._endpoint.sendto(data, 0, len(data), self.server, self.port)
        except OSError:
            self.count["lost"] += 1
            return False
        self.count["tx"] += 1
        return True

    def _time(self):
        if self.clock is None:
            return _NIL
        seconds, ms = self.clock()
        days, rest = divmod(seconds, 86400)
        year, month, day = _date(days)
        return "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
            year, month, day, rest // 3600, rest // 60 % 60, rest % 60, ms)

    def error(self, text):
        """Send an error."""
        return self.send(ERR, text)

    def warning(self, text):
        """Send a warning."""
        return self.send(WARNING, text)

    def info(self, text):
        """Send an information."""
        return self.send(INFO, text)

    def debug(self, text):
        """Send what only a developer wants to know."""
        return self.send(DEBUG, text)

    def close(self):
        """Send no more."""
        self._endpoint.close()


def _word(text, most):
    """What may stand in a header: printable ASCII without spaces."""
    return "".join([c if "!" <= c <= "~" else "_" for c in text[:most]]) or _NIL


def _date(days):
    """(year, month, day) of a number of days since 1970, in the Gregorian calendar.

    `time.gmtime` would do, but for its epoch, and its range on 32 bits.
    """
    days += 719468          # from the first of March of the year 0
    era, day = divmod(days, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    year += era * 400
    month += 3 if month < 10 else -9
    return year + (month <= 2), month, day + 1
