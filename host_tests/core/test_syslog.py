"""Syslog: what a message looks like."""
from answering import Answering

from spinet import syslog


def test_messages():
    n = Answering()
    log = syslog.Syslog(n.stack, "10.0.0.2", app="green house")
    assert log.warning("pump 2 is dry")
    n.poll()
    (sent,) = n.take()
    assert sent.dst == "10.0.0.2" and sent.dport == 514
    assert sent.data == b"<12>1 - 10.0.0.1 green_house - - - pump 2 is dry"
    log = syslog.Syslog(n.stack, "10.0.0.2", host="board", facility=syslog.LOCAL0,
                        clock=lambda: (951782400 + 3661, 7))
    log.send(syslog.EMERG, "caf\xe9", "ID 1")
    n.poll()
    (sent,) = n.take()
    assert sent.data == (b"<128>1 2000-02-29T01:01:01.007Z board - - ID_1 - \xef\xbb\xbf"
                         + "caf\xe9".encode())
    for method, code in ((log.error, 131), (log.info, 134), (log.debug, 135)):
        method("x")
        n.poll()
        assert n.take()[0].data.startswith(b"<%d>1 " % code)


def test_dates():
    for days, date in ((0, (1970, 1, 1)), (11016, (2000, 2, 29)), (20636, (2026, 7, 2)),
                       (24837, (2038, 1, 1)), (47541, (2100, 3, 1))):
        assert syslog._date(days) == date, days


def test_long_messages_are_cut_between_characters():
    n = Answering()
    log = syslog.Syslog(n.stack, "10.0.0.2")
    for first in ("", "x"):
        log.send(syslog.INFO, first + "\xe9" * 1000)
        n.poll()
        (sent,) = n.take()
        assert len(sent.data) in (1471, 1472)
        sent.data.decode()
    assert log.count["cut"] == 2


def test_what_cannot_be_sent_is_counted():
    n = Answering()
    log = syslog.Syslog(n.stack, "192.0.2.1")
    assert not log.info("nowhere") and log.count == {"tx": 0, "lost": 1, "cut": 0}
    log.close()
