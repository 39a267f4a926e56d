"""What `show` shows."""
from app import config, log, status
from app.board import clock
from app.commands import network
from spinet.addr import fmt, fmt_mac, parse, prefixlen


def table(c, heads, rows, nothing):
    """Rows (dicts) in columns: `heads` are the names of the keys, and their widths."""
    found = False
    for row in rows:
        if not c.json and not found:
            c.put("  ".join(["%-*s" % (width, name) for name, width in heads]).rstrip())
        found = True
        c.put("  ".join(["%-*s" % (width, row[name]) for name, width in heads]).rstrip()
              if not c.json else "", **row)
    if not found and not c.json:
        c.put(nothing)


def interfaces(c):
    nic = network(c)
    stack = nic.stack
    for name, ip in zip(stack.names, stack.interfaces):
        if ip is stack.lo:
            continue
        address = ip.get_ipv4()
        length = prefixlen(parse(ip.get_ipv4_netmask()))
        gateways = ip.get_ipv4_gateways()
        link = bool(nic.status("link"))
        how = "DHCP, " + nic.status("dhcp") if nic.ipconfig("dhcp4") else "static"
        count = ip.id.count
        c.put("%s: %s, link %s, %s\n"
              "    address  %s (%s)\n    gateway  %s\n    received %d frames, sent %d" % (
                  name, c.board.settings["chip"].upper(), "up" if link else "down",
                  fmt_mac(ip.id.mac),
                  "%s/%d" % (address, length) if ip.addresses else "none", how,
                  " ".join(gateways) or "none", count["rx"], count["tx"]),
              interface=name, chip=c.board.settings["chip"], link=link, mac=fmt_mac(ip.id.mac),
              address="%s/%d" % (address, length) if ip.addresses else "", how=how,
              gateway=gateways[0] if gateways else "", rx=count["rx"], tx=count["tx"])


def arp(c):
    table(c, (("ip", 15), ("mac", 17), ("state", 0)), status.neighbours(network(c)),
          "no neighbour is known")


def routes(c):
    stack = network(c).stack
    rows = []
    for name, ip in zip(stack.names, stack.interfaces):
        for route in ip.routes.entries:
            rows.append({
                "to": "%s/%d" % (fmt(route.prefix), route.length),
                "by": fmt(route.gateway) if route.gateway else "directly",
                "interface": name, "state": "silent" if route.dead else ""})
    table(c, (("to", 18), ("by", 15), ("interface", 9), ("state", 0)), rows, "no routes")


def sockets(c):
    table(c, (("type", 4), ("local", 21), ("remote", 21), ("state", 12), ("rx", 6), ("tx", 0)),
          status.sockets(network(c).stack), "no sockets")


def counters(c):
    """Those that are not 0."""
    for layer, count in network(c).stack.stats().items():
        some = {name: count[name] for name in count if count[name]}
        if some:
            c.put("%-10s %s" % (layer, "  ".join(["%s %s" % (n, some[n]) for n in sorted(some)])),
                  layer=layer, counters=some)


def dhcp(c):
    nic = network(c)
    client = nic.dhcp
    if not nic.ipconfig("dhcp4") or client is None:
        c.put("the address is a static one; `ip dhcp` changes that", state="static")
        return
    lease = client.lease
    if lease is None:
        c.put("%s: no lease" % client.state_name, state=client.state_name)
        return
    left = lease.time - client.clock.count(nic.stack.clock()) if lease.time >= 0 else -1
    dns = [fmt(server) for server in lease.dns]
    ntp = [fmt(server) for server in lease.ntp]
    c.put("%s: %s/%d from %s\n"
          "    gateway  %s\n    dns      %s\n    ntp      %s\n    domain   %s\n"
          "    lease    %s" % (
              client.state_name, fmt(lease.addr), lease.length, fmt(lease.server),
              " ".join([fmt(router) for router in lease.routers]) or "none",
              " ".join(dns) or "none", " ".join(ntp) or "none", lease.domain or "none",
              "for ever" if left < 0 else "%d s, of which %d are left" % (lease.time, left)),
          state=client.state_name, address="%s/%d" % (fmt(lease.addr), lease.length),
          server=fmt(lease.server), dns=dns, ntp=ntp, domain=lease.domain,
          lease_s=lease.time, left_s=left)


def log_lines(c):
    for seconds, text in log.lines:
        c.put("%6d s  %s" % (seconds, text), s=seconds, text=text)


def services(c):
    table(c, (("name", 12), ("port", 5), ("open", 4), ("served", 0)),
          status.services(c.board.running), "no services")


def memory(c):
    heap = status.heap()
    c.put("free %s, used %s bytes" % (heap["free"], heap["used"]), **heap)


def board(c):
    from binascii import hexlify

    import machine

    import spinet
    from app.board import hides_image

    settings = c.board.settings
    up = log.seconds()
    number = hexlify(machine.unique_id()).decode()
    unsaved = ", not saved" if c.changed else ""
    hertz = settings["spi"]["baudrate"]
    if c.board.nic:
        hertz = clock(c.board.nic.port._spi, hertz)
    c.put("spinet %s, %s\n    profile  %s\n    chip     %s at %d Hz, %s\n"
          "    up       %d s\n    id       %s\n    settings %s%s" % (
              spinet.__version__, status.runtime(), settings["board"] or "none",
              settings["chip"].upper(), hertz,
              "up" if c.board.nic else c.board.why, up, number, config.FILE, unsaved),
          id=number,
          version=spinet.__version__, runtime=status.runtime(), profile=settings["board"],
          chip=settings["chip"], spi_hz=hertz, hides_image=hides_image(),
          network="up" if c.board.nic else c.board.why, up_s=up, saved=not c.changed)


SUBJECTS = {
    "interfaces": interfaces, "arp": arp, "routes": routes, "sockets": sockets,
    "counters": counters, "dhcp": dhcp, "log": log_lines, "services": services, "memory": memory,
    "board": board,
}
