"""asyncio over a stack, against the kernel: an ASGI server for curl, a client of the kernel's."""
import asyncio
import hashlib

import netns
import pytest

from spinet import Stack, aio
from spinet.ports.tap import Tap

KERNEL, OURS = "10.58.0.1", "10.58.0.2"


@pytest.fixture
def both():
    """(namespace of the kernel's, our stack on a TAP device of it)."""
    namespace = netns.Namespace("aio")
    with namespace.entered():
        tap = Tap("a0")
    namespace.ip("address", "add", KERNEL + "/24", "dev", "a0")
    namespace.ip("link", "set", "a0", "up")
    stack = Stack()
    stack.add(tap, OURS + "/24")
    yield namespace, stack
    stack.close()
    namespace.close()


async def outcome(process):
    """What a process of the namespace prints, while the loop goes on."""
    return await asyncio.get_running_loop().run_in_executor(None, process.communicate)


def test_curl_fetches_from_uvicorn(both, need, tmp_path):
    uvicorn = pytest.importorskip("uvicorn")
    need("curl")
    namespace, stack = both
    upload = tmp_path / "upload"
    upload.write_bytes(bytes(range(256)) * 8192)

    async def app(scope, receive, send):
        digest = hashlib.sha256()
        while True:
            event = await receive()
            digest.update(event.get("body", b""))
            if not event.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": digest.hexdigest().encode()})

    async def main():
        server = uvicorn.Server(uvicorn.Config(app, host=OURS, port=80, lifespan="off",
                                               log_level="warning"))
        task = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        curls = [namespace.popen("curl", "-s", "-m", "20", "-T", upload, "http://%s/" % OURS,
                                 stdout=-1) for _ in range(5)]
        want = hashlib.sha256(upload.read_bytes()).hexdigest().encode()
        assert [out for out, _ in await asyncio.gather(*map(outcome, curls))] == [want] * 5
        server.should_exit = True
        await task

    aio.run(asyncio.wait_for(main(), 60), stack)


def test_streams_to_a_server_of_the_kernels(both):
    namespace, stack = both
    listening = namespace.listen(0, KERNEL)
    port = listening.getsockname()[1]
    data = bytes(range(256)) * 4096

    def serve():
        sock, peer = listening.accept()
        with sock:
            got = b""
            while len(got) < len(data):
                got += sock.recv(65536)
            sock.sendall(got)
            return peer[0]

    async def main():
        served = asyncio.get_running_loop().run_in_executor(None, serve)
        reader, writer = await asyncio.open_connection(KERNEL, port)
        writer.write(data)
        await writer.drain()
        assert await reader.read() == data
        assert await served == OURS
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(KERNEL, 1)

    aio.run(asyncio.wait_for(main(), 60), stack)
