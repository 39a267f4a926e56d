"""asyncio over a stack of your own, in this process: real transports, no thread, no root.

    reader, writer = await aio.open_connection("10.0.0.1", 80, stack=stack)
    server = await aio.start_server(client, "", 80, stack=stack)
    transport, protocol = await aio.create_connection(Protocol, "10.0.0.1", 80, stack=stack)

have the signatures of asyncio's functions of these names, and `stack`, which is, when it is not
given, that of the running loop, or else the default stack (`spinet.use`).  For programs and
libraries that call asyncio's own functions there is a whole event loop whose connections go
through a stack:

    asyncio.run(main(), loop_factory=lambda: aio.EventLoop(stack))      # Python 3.12
    aio.run(main(), stack)                                              # any
    with aio.using(other): ...                                          # a second stack in it

For CPython; on MicroPython `asyncio` finds the sockets by itself.
"""
from spinet.aio.endpoints import (
    create_connection, create_datagram_endpoint, create_server, open_connection, start_server,
)
from spinet.aio.loop import EventLoop, run, using
from spinet.aio.pump import pump_of

__all__ = (
    "EventLoop", "create_connection", "create_datagram_endpoint", "create_server",
    "open_connection", "pump_of", "run", "start_server", "using",
)
