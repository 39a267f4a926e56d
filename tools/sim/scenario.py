"""A random network with random users, by seed: `run(seed)`.

A network is *gentle* when what it does to frames is no excuse: then every conversation that both
ends want to bring to its end gets there, with all data.  In any other it may fail, but not
forget to.  In both the invariants of `check.py` and `wire.py` hold after every event, and at the
end nothing is left.
"""
from spinet.testing import loss
from sim.attacker import Attacker
from spinet.testing.boxes import Router, Switch
from sim.check import Broken, Checker, left_behind
from spinet.testing.engine import Sim, Stuck
from spinet.testing.link import cable
from spinet.testing.rand import Rand
from spinet.testing.record import Taps
from sim.users import Conversation, Crossing, Plan, Series, Server
from sim.wire import Wire

EVENTS = 400000         # more is a storm
BOUND_MS = 3000000      # for all users to be done
REST_MS = 1500000       # for all connections to be gone then


class Scenario:
    """The network and the users of one seed.  `facts` says in words what was drawn."""

    def __init__(self, seed):
        self.seed = seed
        self.rand = rand = Rand(seed)
        self.sim = Sim(rand.below(1 << 24))
        self.sim.watch = Checker()
        self.wire = Wire()
        self.sim.tap = self.wire
        self.facts = []
        self.gentle = True
        self.slowest = 0        # the lowest rate on the way, bits per second
        self.rtt_us = 0         # of the whole way, without queues
        self.idle_us = 0        # that users take for themselves
        self.outage_us = 0
        self.life_us = 30000000     # no frame takes longer than that
        self.pipes = []
        self.servers = []
        self.addresses = []
        self.hosts = []
        self._network()
        self.conversations = []
        self.series = []
        self._users()
        if self.rand.below(6) == 0:
            self._attack()

    # -- the network ----------------------------------------------------------

    def _network(self):
        kind = self.rand.choose("cable", "cable", "cable", "ip", "ip", "switch", "router")
        self.facts.append(kind)
        getattr(self, "_" + kind)()
        # Without congestion control a queue that is too short is never let recover.
        for host in self.hosts:
            if host.stack.tcp.congestion.__name__.endswith("none"):
                for pipe in self.pipes:
                    if pipe.drops:
                        self.gentle = False

    def _host(self):
        rand = self.rand
        settings = {
            "rcvbuf": rand.choose(512, 1500, 4096, 4096, 20000, 66000, 200000),
            "sndbuf": rand.choose(512, 1500, 4096, 4096, 30000, 66000),
            "timestamps": rand.below(3) > 0,
            "sack": rand.below(4) > 0,
            "window_scaling": rand.below(3) > 0,
            "rack": rand.below(2) > 0,
            "ecn": rand.below(3) == 0,
            "congestion": rand.choose("reno", "reno", "cubic", "cubic", "none"),
        }
        if rand.below(8) == 0:
            settings["autosize"] = 100000
        if rand.below(8) == 0:
            settings["half_open_max"] = 1 + rand.below(4)
        host = self.sim.host("abcdefgh"[len(self.hosts)], **settings)
        said = ["%s: %s" % (host.name, settings["congestion"])]
        for key in sorted(settings):
            if settings[key] is True:
                said.append(key)
            elif settings[key] and key != "congestion":
                said.append("%s %d" % (key, settings[key]))
        self.facts.append(" ".join(said))
        self.hosts.append(host)
        return host

    def _mtu(self):
        return self.rand.choose(1500, 1500, 1500, 1280, 576, 296, 1006)

    def _pair(self, medium):
        mtu = self._mtu()
        ports = []
        for i in range(2):
            host = self._host()
            ports.append(host.port(mtu, medium))
            self.addresses.append("10.0.0.%d" % (i + 1))
        self._join(ports[0], ports[1], True)
        for i in range(2):
            self.hosts[i].up(ports[i], self.addresses[i] + "/24")
        self.facts.append("mtu %d" % mtu)

    def _cable(self):
        self._pair("ethernet")

    def _ip(self):
        self._pair("ip")

    def _attack(self):
        """Somebody guesses at connections of one host."""
        rand = self.rand
        host = self.hosts[rand.below(len(self.hosts))]
        self.attacker = Attacker(host, host.stack.interfaces[1].id.port, 1 + rand.below(100),
                                 rand.between(1000, 1000000))
        self.facts.append("%s is attacked" % host.name)

    def _switch(self):
        switch = Switch()
        count = 2 + self.rand.below(3)
        worst = self.rand.below(count)
        for i in range(count):
            host = self._host()
            port = host.port()
            address = "10.0.0.%d" % (i + 1)
            self.addresses.append(address)
            self._join(port, switch.port(), i == worst)
            host.up(port, address + "/24")

    def _router(self):
        rand = self.rand
        router = Router(mute=rand.below(4) == 0)
        for i in range(2):
            host = self._host()
            mtu = self._mtu()
            port = host.port(max(mtu, self._mtu()))
            leg = router.leg(bytes((10, 0, i, 254)), 24, mtu)
            address = bytes((10, 0, i, 1))
            self.addresses.append("10.0.%d.1" % i)
            router.know(leg, address, port.mac)
            self._join(port, leg, rand.below(2))
            host.up(port, self.addresses[i] + "/24", "10.0.%d.254" % i)
            self.facts.append("leg mtu %d, host %d" % (mtu, port.mtu))
            if mtu < 552:
                router.mute = False     # nobody looks for so small a path without a word
        if router.mute:
            self.facts.append("the router says nothing")

    def _join(self, a, b, bad):
        """A cable; one that is not `bad` has no faults."""
        rand = self.rand
        rate = rand.choose(0, 64000, 256000, 1000000, 10000000, 10000000, 100000000)
        delay = rand.choose(rand.between(20, 500), rand.between(500, 20000),
                            rand.between(20000, 300000))
        qualities = {"rate": rate, "delay_us": delay}
        self.rtt_us += 2 * delay
        if rate:
            self.slowest = min(self.slowest or rate, rate)
            qualities["queue"] = rand.choose(0, 5000, 20000, 100000)
            qualities["holds"] = rand.below(5) == 0
            if rand.below(3) == 0:
                qualities["mark"] = rand.between(1500, 20000)
        back = {}
        if bad:
            self._faults(qualities, back)
        self.facts.append("%s-%s %s back %s" % (a.host.name, b.host.name, qualities, back))
        self.pipes += cable(self.sim, a, b, back, **qualities)

    def _faults(self, qualities, back):
        rand = self.rand
        for way in (qualities, back):
            kind = rand.below(8)
            if kind < 3:
                ppm = rand.choose(1000, 10000, 30000, 50000)
                way["loss"] = loss.Random(rand.fork(), ppm)
                self.facts.append("loses %d ppm" % ppm)
            elif kind == 3:
                good = rand.between(100000, 900000)
                way["loss"] = loss.Gilbert(rand.fork(), rand.between(500, 10000), good)
                # It leaves the bad state by frames, not by time: one retransmission after the
                # other may be lost.
                if good < 600000:
                    self.gentle = False
                self.facts.append("loses in bursts")
            elif kind == 4:
                numbers = [rand.below(40) for _ in range(1 + rand.below(4))]
                match = rand.choose(loss.syn, loss.fin, loss.pure_ack, loss.data, None)
                if match is None or qualities is way and self.facts[0] != "ip":
                    way["loss"] = loss.Nth(numbers, match)
                    self.facts.append("loses no. %s" % numbers)
            elif kind == 5:
                ppm = rand.choose(100000, 250000)
                way["loss"] = loss.Random(rand.fork(), ppm)
                self.gentle = False
                self.facts.append("loses %d ppm" % ppm)
            else:
                way["loss"] = None
        qualities["corrupt"] = rand.choose(0, 0, 0, 10000, 30000)
        qualities["duplicate"] = rand.choose(0, 0, 0, 10000, 100000)
        qualities["reorder"] = rand.choose(0, 0, 0, 10000, 100000, 300000)
        qualities["reorder_us"] = rand.between(100, 60000)
        qualities["duplicate_us"] = rand.between(100, 20000000)
        qualities["jitter_us"] = rand.choose(0, 0, rand.between(10, 50000))
        self.rtt_us += 2 * (qualities["jitter_us"] + qualities["reorder_us"])
        if rand.below(6) == 0:
            start = rand.between(10000, 5000000)
            length = rand.choose(rand.between(100000, 25000000), rand.between(25000000, 200000000))
            if length > 25000000:
                self.gentle = False
            qualities["down"] = [(start, start + length)]
            self.outage_us = length
        elif rand.below(30) == 0:
            self.gentle = False
            qualities["down"] = [(rand.between(1000, 5000000), 1 << 60)]

    # -- the users ------------------------------------------------------------

    def _plan(self, gentle_peer=None):
        rand = self.rand
        most = 60000 if self.slowest == 0 or self.slowest > 500000 else 12000
        total = rand.choose(0, rand.below(600), rand.between(1, most), rand.below(most),
                            rand.below(most))
        if rand.below(6) == 0:
            total *= 4
        plan = Plan(
            total, chunk=rand.choose(10, 500, 1460, 4096, 16000), gulp=rand.choose(50, 700, 5000),
            ending=rand.choose("read", "read", "read", "read", "reply", "drop", "abort", "unread"))
        if total // plan.chunk > 500:
            plan.chunk = 1460
        if total // plan.gulp > 500:
            plan.gulp = 5000
        if rand.below(4) == 0:
            plan.think_us = rand.between(100, 3000000)
        if rand.below(4) == 0:
            plan.nap_us = rand.between(100, 200000)
        options = []
        if rand.below(3) == 0:
            options.append((6, 1, 1))       # TCP_NODELAY
        if rand.below(10) == 0:
            plan.before.append((6, 2, 100 + rand.below(1300)))          # TCP_MAXSEG
        if rand.below(10) == 0:
            plan.before.append((1, 8, rand.between(300, 30000)))        # SO_RCVBUF
            plan.before.append((1, 7, rand.between(300, 30000)))        # SO_SNDBUF
        if rand.below(5) == 0:
            options += [(1, 9, 1), (6, 4, 5 + rand.below(60)), (6, 5, 1 + rand.below(20)),
                        (6, 6, 3 + rand.below(6))]
            if self.gentle:
                # A link that is down for less is no reason to give up.
                options[-1] = (6, 6, 30)
        plan.options = options
        return plan

    def _users(self):
        rand = self.rand
        kind = rand.below(20)
        if kind < 6:
            (self._storm, self._cross, self._again, self._strangers, self._reboot,
             self._end_of_listening)[kind]()
            return
        count = rand.choose(1, 1, 2, 3)
        for i in range(count):
            self._converse(rand.between(0, 3000000), 80 + i)

    def _pick(self):
        a = self.rand.below(len(self.hosts))
        b = (a + 1 + self.rand.below(len(self.hosts) - 1)) % len(self.hosts)
        return a, b

    def _plans(self):
        plans = self._plan(), self._plan()
        for i in (0, 1):
            if plans[i].ending in ("reply", "unread") and plans[1 - i].ending == "reply":
                plans[i].ending = "read"    # somebody must begin
            if plans[1 - i].ending in ("drop", "abort", "unread") and (1, 9, 1) not in \
                    plans[i].options:
                # Where the peer's reset is lost, and so is ours to his answer, nothing else tells.
                plans[i].options += [(1, 9, 1), (6, 4, 60), (6, 5, 20), (6, 6, 30)]
            # Nobody takes more than a minute to write, or to read.
            for total, most, pause in ((plans[i].total, plans[i].chunk, "think_us"),
                                       (plans[1 - i].total, plans[i].gulp, "nap_us")):
                times = 2 * total // min(most, 512) + 1
                us = min(getattr(plans[i], pause), 60000000 // times)
                setattr(plans[i], pause, us)
                self.idle_us += 2 * times * us
        for p in plans:
            self.facts.append("%s %d bytes, chunk %d think %d gulp %d nap %d %s" % (
                p.ending, p.total, p.chunk, p.think_us, p.gulp, p.nap_us, p.before + p.options))
        return plans

    def _converse(self, when, port):
        a, b = self._pick()
        server = Server(self.hosts[b], port, 1 + self.rand.below(5),
                        self.rand.choose(0, 0, self.rand.between(1000, 1000000)))
        self.servers.append(server)
        plans = self._plans()
        self.conversations.append(Conversation(
            self.hosts[a], self.hosts[b], self.addresses[b], port, plans[0], plans[1], when,
            server))

    def _cross(self):
        a, b = self._pick()
        plans = self._plans()
        apart = self.rand.below(2000)
        # Unless the SYNs cross the second finds nobody.
        self.gentle = False
        self.facts.append("simultaneous open")
        self.conversations.append(Crossing(
            self.hosts[a], self.hosts[b], (self.addresses[a], self.addresses[b]), (4000, 5000),
            plans[0], plans[1], self.rand.below(100000), apart))

    def _storm(self):
        rand = self.rand
        a, b = self._pick()
        server = Server(self.hosts[b], 80, rand.choose(1, 2, 5, 20), rand.choose(0, 0, 20000))
        self.servers.append(server)
        count = 5 + rand.below(30)
        within = rand.choose(1000, 100000, 3000000)
        self.facts.append("storm of %d" % count)
        for _ in range(count):
            plans = Plan(rand.below(2000)), Plan(rand.below(1000), ending=rand.choose(
                "read", "reply"))
            self.conversations.append(Conversation(
                self.hosts[a], self.hosts[b], self.addresses[b], 80, plans[0], plans[1],
                rand.below(within), server))

    def _again(self):
        """The same client port connects to the same server again and again."""
        rand = self.rand
        a, b = self._pick()
        server = Server(self.hosts[b], 80, 3)
        self.servers.append(server)
        self.facts.append("the same ports again")
        conversations = []
        for _ in range(2 + rand.below(5)):
            plans = self._plans()
            conversations.append(Conversation(
                self.hosts[a], self.hosts[b], self.addresses[b], 80, plans[0], plans[1],
                None, server, 4000))
        self.conversations += conversations
        self.series.append(Series(conversations, self.life_us))

    def _strangers(self):
        """Nobody listens, or there is no such host."""
        rand = self.rand
        a, b = self._pick()
        for i in range(1 + rand.below(4)):
            there = rand.choose(self.addresses[b], "10.0.0.99")
            self.conversations.append(Conversation(
                self.hosts[a], self.hosts[b], there, 90 + i, self._plan(), Plan(),
                rand.below(3000000)))
        self.gentle = False     # nothing comes of it
        self.facts.append("strangers")
        self._converse(rand.between(0, 3000000), 80)

    def _reboot(self):
        """One host begins anew in mid-conversation, and connects again from the same port."""
        rand = self.rand
        a, b = self._pick()
        host = self.hosts[a]
        server = Server(self.hosts[b], 80)
        self.servers.append(server)
        self.facts.append("%s is rebooted" % host.name)
        when = rand.between(100000, 10000000)
        for i in (0, 1):
            plans = self._plans()
            plans[1].patience_us = 500000000    # the peer may never be heard of again
            self.conversations.append(Conversation(
                host, self.hosts[b], self.addresses[b], 80, plans[0], plans[1], 2 * when * i,
                server, 4000))
        self.gentle = False
        self.sim.at(when, lambda _: host.reboot(), None)

    def _end_of_listening(self):
        """The server stops to listen, or resets everything, while clients come."""
        rand = self.rand
        self._storm()
        when = rand.between(1000, 3000000)
        self.gentle = False
        if rand.below(2):
            self.facts.append("the server stops to listen")
            self.sim.at(when, self.servers[0].close, None)
        else:
            self.facts.append("TCP is closed")
            self.sim.at(when, self._close_tcp, self.servers[0])

    def _close_tcp(self, server):
        server.host.stack.tcp.close()
        server.close()
        server.host.poll()

    # -- what happens ---------------------------------------------------------

    def run(self):
        """Play it to its end; `Broken` or `Stuck` if something is not as it must be."""
        self._play(self._over, BOUND_MS, "users are not done")
        for server in self.servers:
            server.close()
        for host in self.hosts:
            host.poll()
        self._play(self._gone, REST_MS, "connections are left")
        for host in self.hosts:
            left = left_behind(host)
            if left:
                raise Broken("%s is left with: %s" % (host.name, left))
        # What SYN cookies cost a client in bad luck is told in cookies.py.
        for host in self.hosts:
            if host.stack.tcp.count["cookie_sent"]:
                self.gentle = False
        limit = self.limit_us() if self.gentle else 0
        for conversation in self.conversations:
            why = conversation.verdict(limit) or (
                conversation.left() and "a closed connection holds memory")
            if why:
                raise Broken(why)

    def limit_us(self):
        """The time that a gentle network may take for conversations that both ends want."""
        window = total = 0
        for host in self.hosts:
            tcp = host.stack.tcp
            size = min(tcp.sndbuf, tcp.rcvbuf)
            window = min(window or size, size)
        for conversation in self.conversations:
            total += conversation.plans[0].total + conversation.plans[1].total
            for plan in conversation.plans:
                for _, _, value in plan.before:
                    window = min(window, value)
        limit = 60000000 + self.idle_us + 4 * self.outage_us + 4 * total // window * self.rtt_us
        if self.slowest:
            limit += 4 * total * 8000 // self.slowest * 1000
        return 2 * limit

    def _over(self):
        for series in self.series:
            if not series.over():
                return False
        for conversation in self.conversations:
            if not conversation.over():
                return False
        return True

    def _gone(self):
        for host in self.hosts:
            if host.stack.tcp.table:
                return False
        return True

    def _play(self, condition, ms, why):
        sim = self.sim
        end = sim.now + ms * 1000
        while not condition():
            if sim.now > end:
                raise Stuck("%s after %d s" % (why, ms // 1000))
            if sim.events > EVENTS:
                raise Stuck("a storm: %d events" % sim.events)
            for _ in range(20):
                sim.step()


def run(seed, *taps):
    """Play one seed; the scenario, when it is over."""
    scenario = Scenario(seed)
    if taps:
        scenario.sim.tap = Taps(scenario.wire, *taps)
    scenario.run()
    return scenario
