"""Many seeds, and what is to be known of one that failed: `play(first, last)`, `explain(seed)`."""
import io
import sys

from sim import scenario
from spinet.testing import record
from spinet.testing.engine import Stuck

LINES = 80      # of the trace that are shown


def play(first, last, done=None):
    """Play the seeds `first` to `last` - 1; how many.  `done(scenario)` is called after each.

    The first that fails is explained and raises what it raised.
    """
    for seed in range(first, last):
        try:
            played = scenario.run(seed)
        except Exception as e:
            print(explain(seed, e))
            raise
        if done:
            done(played)
    return last - first


def explain(seed, error=None, lines=LINES, pcap=None):
    """Play `seed` once more and write everything down: the trace's end, as text.

    Every frame goes into the binary file `pcap`, if one is given (frames of the link's own kind:
    the link type is bare IPv4 where the scenario has one).  `error` is what the first run raised.
    """
    said = ["seed %d" % seed]
    if error is not None:
        said.append("%s: %s" % (type(error).__name__, error))
    trace = record.Trace(lines)
    played = scenario.Scenario(seed)
    taps = [played.wire, trace]
    if pcap:
        taps.append(record.Capture(pcap, "ip" if played.facts[0] == "ip" else "ethernet"))
    played.sim.tap = record.Taps(*taps)
    for host in played.hosts:
        trace.watch(host)
    again = None
    try:
        played.run()
    except Exception as e:
        again = e
    if again is not None and not isinstance(again, (AssertionError, Stuck)):
        said.append(_traceback(again))
    if error is not None and str(again) != str(error):
        said.append("IT DID NOT REPEAT: the second time it was %r" % (again,))
    said += ["    " + fact for fact in played.facts]
    said.append("    the network is %sgentle; it is %d ms, after %d events" % (
        "" if played.gentle else "not ", played.sim.now // 1000, played.sim.events))
    for conversation in played.conversations:
        for end in conversation.ends:
            said.append("    %s: sent %d, read %d, error %s%s%s" % (
                end.host.name, end.sent, end.got, end.error, ", shut" * end.shut,
                "" if end.done else ", NOT DONE"))
    said += trace.lines()
    for host in played.hosts:
        count = host.stack.tcp.count
        said.append("%s: %s" % (host.name, ", ".join(
            ["%s %d" % (key, count[key]) for key in sorted(count) if count[key]])))
    return "\n".join(said)


def _traceback(error):
    out = io.StringIO()
    if hasattr(sys, "print_exception"):
        sys.print_exception(error, out)
    else:
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__, file=out)
    return out.getvalue()
