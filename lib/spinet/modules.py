"""`spinet.install()`: programs that know nothing of spinet find it under the names they import.

`socket` (and `usocket`) become spinet's sockets, `select` and with it `asyncio` what waits for them
(polling.py); `network`, and `ssl` where the firmware has `tls` but not that, are added where they
are missing.  Modules that have imported `socket` before keep what they have, so install first: in
`boot.py`, right behind the lines that make the interface.

On CPython `socket` becomes a copy of the system's module with spinet's functions in it; what is
asked of that copy and not of spinet's concern (`AF_UNIX`, `socketpair` ...) is the system's.
`select` and `selectors` become copies that wait for both kinds of sockets, and `wrap_socket` of the
contexts of `ssl` takes both.
"""
import sys

from spinet import socket

_before = {}        # name: what stood there, None for nothing


def install(stack=None):
    """Put spinet where others look for it; `stack`, if given, becomes the default one (`use`)."""
    if stack is not None:
        socket.use(stack)
    if sys.implementation.name != "micropython":
        from spinet import secure
        from spinet.cpython import module
        from spinet.selecting import modules

        _put("socket", module())
        for one in modules():
            _put(one.__name__, one)
        secure.patch(True)
        return
    from spinet import polling

    _put("socket", socket)
    _put("usocket", socket)
    _put("select", polling)
    _put("uselect", polling)
    _tell_asyncio(polling)
    if not _exists("network"):
        from spinet import network

        _put("network", network)
    if _exists("tls") and not _exists("ssl"):
        from spinet import ssl

        _put("ssl", ssl)


def uninstall():
    """Undo `install`; idempotent.  Modules that imported in between keep spinet's."""
    if sys.implementation.name != "micropython" and _before:
        from spinet import secure

        secure.patch(False)
    if "select" in _before and sys.implementation.name == "micropython":
        from spinet.polling import runtime

        _tell_asyncio(runtime)
    for name in list(_before):
        module = _before.pop(name)
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module


def _tell_asyncio(select):
    """An `asyncio` that has been imported waits by this module from now on."""
    core = sys.modules.get("asyncio.core")
    if core is not None:
        core.select = select
        if not core._io_queue.map:
            core._io_queue.poller = select.poll()


def _put(name, module):
    if name not in _before:
        _before[name] = sys.modules.get(name)
    sys.modules[name] = module


def _exists(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True
