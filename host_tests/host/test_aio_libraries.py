"""Libraries that know only asyncio, as published, with a spinet stack on each end."""
import asyncio

import pytest

from spinet import aio

A, B = "10.0.0.1", "10.0.0.2"


def run(hosts, main):
    """Run `main()` in a loop whose stack is the first host."""
    a, _ = hosts
    aio.run(asyncio.wait_for(main(), 30), a)


async def app(scope, receive, send):
    """An ASGI application: answers with what it was sent and where that came from."""
    assert scope["type"] == "http"
    body = b""
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"x-client", scope["client"][0].encode())]})
    for i in range(0, len(body) or 1, 10000):
        await send({"type": "http.response.body", "body": body[i:i + 10000], "more_body": True})
    await send({"type": "http.response.body"})


async def fetch(url, **options):
    httpx = pytest.importorskip("httpx")
    async with httpx.AsyncClient(**options) as client:
        one, two, three = await asyncio.gather(
            client.get(url), client.post(url, content=bytes(300000)),
            client.post(url, content=b"x"))
        assert one.status_code == 200 and one.headers["x-client"] == A
        assert two.content == bytes(300000) and three.content == b"x"


@pytest.mark.parametrize("scheme", ("http", "https"))
def test_uvicorn_serves_httpx(hosts, certificate, scheme):
    uvicorn = pytest.importorskip("uvicorn")
    file, trust = certificate
    tls = {"ssl_certfile": file} if scheme == "https" else {}

    async def main():
        server = uvicorn.Server(uvicorn.Config(app, host=B, port=80, lifespan="off",
                                               log_level="warning", **tls))
        with aio.using(hosts[1]):
            task = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        await fetch("%s://%s:80/" % (scheme, B), verify=trust)
        server.should_exit = True
        await task

    run(hosts, main)


def test_websockets_both_ends(hosts):
    pytest.importorskip("websockets")
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async def main():
        with aio.using(hosts[1]):
            server = await serve(echo, B, 8001)
        async with connect("ws://%s:8001/" % B, proxy=None) as connection:
            await connection.send("hello")
            assert await connection.recv() == "hello"
            await connection.send(bytes(500000))
            assert await connection.recv() == bytes(500000)
            assert (await asyncio.wait_for(await connection.ping(), 5)) >= 0
        server.close()
        await server.wait_closed()

    run(hosts, main)


def test_asyncssh_both_ends(hosts):
    asyncssh = pytest.importorskip("asyncssh")

    class Server(asyncssh.SSHServer):
        def password_auth_supported(self):
            return True

        def validate_password(self, username, password):
            return (username, password) == ("board", "secret")

    async def process(process):
        process.stdout.write("you said " + process.command + "\n")
        process.exit(3)

    async def main():
        key = asyncssh.generate_private_key("ssh-ed25519")
        with aio.using(hosts[1]):
            server = await asyncssh.create_server(
                Server, B, 22, server_host_keys=[key], process_factory=process)
        async with asyncssh.connect(B, 22, username="board", password="secret", known_hosts=None,
                                    config=None, client_keys=None) as connection:
            result = await connection.run("hello")
            assert (result.stdout, result.exit_status) == ("you said hello\n", 3)
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(B, 22, username="board", password="wrong", known_hosts=None,
                                   config=None, client_keys=None)
        server.close()
        await server.wait_closed()

    run(hosts, main)


def test_aiohttp_both_ends(hosts):
    aiohttp = pytest.importorskip("aiohttp")
    from aiohttp import web

    async def handle(request):
        return web.Response(body=await request.read(), headers={"x-client": request.remote})

    async def main():
        application = web.Application(client_max_size=1 << 20)
        application.router.add_route("*", "/", handle)
        with aio.using(hosts[1]):
            runner = web.AppRunner(application)
            await runner.setup()
            await web.TCPSite(runner, B, 8080).start()

        def factory(info):
            s = hosts[0].socket()
            s.setblocking(False)
            return s

        connector = aiohttp.TCPConnector(socket_factory=factory)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.post("http://%s:8080/" % B, data=bytes(400000)) as response:
                assert response.status == 200 and response.headers["x-client"] == A
                assert await response.read() == bytes(400000)
        await runner.cleanup()

    run(hosts, main)
