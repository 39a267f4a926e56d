"""Errors: what spinet raises, and the error numbers that sockets use.

`Error` is the root of what `V1.IPV4` calls `error`; everything else that is
raised to a user is a plain `OSError(number)`, as sockets do.  The numbers are
the platform's own where its `errno` has them, else Linux's, which are also
MicroPython's (whose `errno` lacks several: EISCONN, EPIPE, ENETUNREACH ...).
"""
import errno
import os


class Error(OSError):
    """Root of the errors of the IPv4 module."""


class Unknown(Error):
    """An undiagnosed error; the argument says what is known of it."""


class Unimplemented(Error):
    """The operation is not implemented."""


_strerror = getattr(os, "strerror", None)


def os_error(number):
    """The OSError to raise for an error number; on CPython of the subclass that goes with it."""
    return OSError(number, _strerror(number)) if _strerror else OSError(number)


EAI_NONAME = -2     # a name without an address
EPERM = 1
ENOENT = 2
EIO = 5
EBADF = 9
EAGAIN = getattr(errno, "EAGAIN", 11)
EACCES = 13
ENODEV = 19
EINVAL = 22
EPIPE = 32
EDESTADDRREQ = getattr(errno, "EDESTADDRREQ", 89)
EMSGSIZE = getattr(errno, "EMSGSIZE", 90)
EPROTONOSUPPORT = getattr(errno, "EPROTONOSUPPORT", 93)
ENOPROTOOPT = getattr(errno, "ENOPROTOOPT", 92)
EOPNOTSUPP = getattr(errno, "EOPNOTSUPP", 95)
EAFNOSUPPORT = getattr(errno, "EAFNOSUPPORT", 97)
EADDRINUSE = getattr(errno, "EADDRINUSE", 98)
EADDRNOTAVAIL = getattr(errno, "EADDRNOTAVAIL", 99)
ENETUNREACH = getattr(errno, "ENETUNREACH", 101)
ECONNABORTED = getattr(errno, "ECONNABORTED", 103)
ECONNRESET = getattr(errno, "ECONNRESET", 104)
ENOBUFS = getattr(errno, "ENOBUFS", 105)
EISCONN = getattr(errno, "EISCONN", 106)
ENOTCONN = getattr(errno, "ENOTCONN", 107)
ETIMEDOUT = getattr(errno, "ETIMEDOUT", 110)
ECONNREFUSED = getattr(errno, "ECONNREFUSED", 111)
EHOSTUNREACH = getattr(errno, "EHOSTUNREACH", 113)
EALREADY = getattr(errno, "EALREADY", 114)
EINPROGRESS = getattr(errno, "EINPROGRESS", 115)
