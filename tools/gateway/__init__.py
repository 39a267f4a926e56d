"""A network for virtual boards, on any host, without root; see docs/gateway.md.

    from gateway import Forward, Gateway
    gateway = Gateway(port, forwards=[Forward("tcp", 8080, "10.0.2.15", 80)])
    gateway.run()           # until gateway.stop(), from any thread

    python3 tools/gateway --listen 127.0.0.1:5501 --peer 127.0.0.1:5500 --forward tcp:8080:80

core.py is the gateway and its loop; door.py and relay.py carry TCP, flows.py UDP, ping.py ICMP
echo; nameserver.py answers for names; forwards.py has the ports that lead elsewhere, lan.py
joins several boards, record.py writes down what passes.
"""
from gateway.core import Gateway
from gateway.forwards import Forward, Outward, parse_forward
from gateway.lan import Lan
from gateway.record import Recorder

__all__ = ("Forward", "Gateway", "Lan", "Outward", "Recorder", "parse_forward")
