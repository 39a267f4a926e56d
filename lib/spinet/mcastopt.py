"""The options of datagram sockets for groups (RFC 1112, RFC 3678): `IP_ADD_MEMBERSHIP` and others.

A membership is bytes, as in C: group, interface; with a source: group, interface, source.  The
interface is given by its address, 0.0.0.0 is that of the route to the group.
"""
from spinet.errors import EINVAL, ENOPROTOOPT, os_error
from spinet.igmp import ANY, igmp
from spinet.sockbase import (
    IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE, IP_DROP_MEMBERSHIP,
    IP_DROP_SOURCE_MEMBERSHIP, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL,
    IP_UNBLOCK_SOURCE,
)


def set_option(stack, endpoint, option, value):
    """Set an option of an endpoint; OSError(EINVAL) for a value that is none."""
    if option == IP_MULTICAST_TTL or option == IP_MULTICAST_LOOP:
        value = _number(value)
        if option == IP_MULTICAST_LOOP:
            endpoint.multicast_loop = bool(value)
        elif 0 <= value < 256:
            endpoint.multicast_ttl = value
        else:
            raise os_error(EINVAL)
        endpoint.repath()
        return
    value = bytes(value)
    protocol = igmp(stack)
    if option == IP_MULTICAST_IF:
        # An ip_mreqn has it in the middle.
        addr = value[4:8] if len(value) >= 8 else value
        if len(addr) != 4:
            raise os_error(EINVAL)
        endpoint.multicast_if = None if addr == ANY else protocol.interface(ANY, addr)
        endpoint.repath()
        return
    source = option in (IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE,
                        IP_UNBLOCK_SOURCE)
    if len(value) < (12 if source else 8):
        raise os_error(EINVAL)
    group = value[:4]
    ip = protocol.interface(group, value[4:8])
    source = value[8:12] if source else None
    if option in (IP_ADD_MEMBERSHIP, 0x400, IP_ADD_SOURCE_MEMBERSHIP):
        protocol.join(endpoint, ip, group, source)
    elif option in (IP_DROP_MEMBERSHIP, 0x401, IP_DROP_SOURCE_MEMBERSHIP):
        protocol.leave(endpoint, ip, group, source)
    elif source is not None:
        protocol.block(endpoint, ip, group, source, option == IP_BLOCK_SOURCE)
    else:
        raise os_error(ENOPROTOOPT)


def _number(value):
    if isinstance(value, int):
        return value
    if len(value) in (1, 4):
        for v in value:
            if v:
                return v        # of whatever byte order
    return 0


def get_option(endpoint, option):
    """An option's value: a number, or for the interface its address in 4 bytes."""
    if option == IP_MULTICAST_TTL:
        return endpoint.multicast_ttl
    if option == IP_MULTICAST_LOOP:
        return int(endpoint.multicast_loop)
    if option == IP_MULTICAST_IF:
        ip = endpoint.multicast_if
        return ip.addresses[0].addr if ip and ip.addresses else ANY
    raise os_error(ENOPROTOOPT)
