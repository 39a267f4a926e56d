"""The memory of a DHCP server: a file."""
import json
import os

from spinet.addr import fmt, parse
from spinet.addr import mac as six


class File:
    """`load` and `save` of a server's leases as a JSON file at `path`."""

    def __init__(self, path):
        self.path = path

    def load(self):
        """What was saved; [] if that cannot be read."""
        try:
            with open(self.path) as file:
                return [(_bytes(key), six(_bytes(mac)), fmt(parse(addr)), str(hostname))
                        for key, mac, addr, hostname in json.load(file)]
        except (OSError, ValueError, TypeError):
            return []

    def save(self, leases):
        """Replace the file; what fails is tried again with the next change."""
        try:
            with open(self.path + ".new", "w") as file:
                json.dump([[_hex(key), _hex(mac), addr, hostname]
                           for key, mac, addr, hostname in leases], file)
            os.rename(self.path + ".new", self.path)
        except OSError:
            pass


def _hex(data):
    return "".join(["%02x" % b for b in data])


def _bytes(digits):
    return bytes([int(digits[i:i + 2], 16) for i in range(0, len(digits), 2)])
