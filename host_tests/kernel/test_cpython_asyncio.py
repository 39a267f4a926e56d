"""Libraries of asyncio, as published, with the kernel as their peer, either way round, and with a
stack on each end.

Each is a piece of code with `serve(host, port)` and `ask(host, port)`; the first is run over spinet
and the second over the kernel's sockets, then the other way, then both over spinet.
"""
import pytest
from play import BESIDE, KERNEL, OURS

# An ASGI application that answers with what it was sent, and what asks it.
ECHO = """
        import httpx, ssl

        async def app(scope, receive, send):
            if scope["type"] != "http":
                return      # declined
            body = b""
            more = True
            while more:
                event = await receive()
                body += event.get("body", b"")
                more = event.get("more_body", False)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})

        async def ask(host, port):
            context = ssl.create_default_context(cafile="ca.pem")
            async with httpx.AsyncClient(verify=context, trust_env=False, http2=True) as client:
                url = "https://%s:%d/" % (host, port)
                answers = await asyncio.gather(*[
                    client.post(url, content=bytes(n)) for n in (1, 100000, 300000)])
                print(*[len(answer.content) for answer in answers], answers[0].http_version)
"""
LIBRARIES = {
    "websockets": ("websockets", """
        from websockets.asyncio.client import connect
        from websockets.asyncio.server import serve as listen

        async def echo(connection):
            async for message in connection:
                await connection.send(message)

        async def serve(host, port):
            async with listen(echo, host, port) as server:
                await server.serve_forever()

        async def ask(host, port):
            async with connect("ws://%s:%d/" % (host, port), proxy=None) as connection:
                for message in ("hello", bytes(500000)):
                    await connection.send(message)
                    print(await connection.recv() == message)
    """, "True True"),
    "asyncssh": ("asyncssh", """
        import asyncssh

        class Server(asyncssh.SSHServer):
            def password_auth_supported(self):
                return True
            def validate_password(self, username, password):
                return (username, password) == ("board", "secret")

        async def process(process):
            data = await process.stdin.read()
            process.stdout.write("%s %d" % (process.command, len(data)))
            process.exit(3)

        async def serve(host, port):
            key = asyncssh.generate_private_key("ssh-ed25519")
            await asyncssh.create_server(Server, host, port, server_host_keys=[key],
                                         process_factory=process)
            await asyncio.sleep(1000)

        async def ask(host, port):
            options = dict(username="board", known_hosts=None, config=None, client_keys=None)
            async with asyncssh.connect(host, port, password="secret", **options) as ssh:
                done = await ssh.run("hello", input="x" * 300000)
                print(done.stdout, done.exit_status)
            try:
                await asyncssh.connect(host, port, password="wrong", **options)
            except asyncssh.PermissionDenied:
                print("denied")
    """, "hello 300000 3 denied"),
    "aiohttp": ("aiohttp", """
        import aiohttp
        from aiohttp import web

        async def handle(request):
            return web.Response(body=await request.read())

        async def serve(host, port):
            application = web.Application(client_max_size=1 << 20)
            application.router.add_route("*", "/", handle)
            runner = web.AppRunner(application)
            await runner.setup()
            await web.TCPSite(runner, host, port).start()
            await asyncio.sleep(1000)

        async def ask(host, port):
            async with aiohttp.ClientSession() as session:
                for data in (b"x", bytes(400000)):
                    async with session.post("http://%s:%d/" % (host, port), data=data) as answer:
                        print(answer.status, await answer.read() == data)
    """, "200 True 200 True"),
    "httpx and uvicorn": ("uvicorn", ECHO + """
        import uvicorn

        async def serve(host, port):
            await uvicorn.Server(uvicorn.Config(
                app, host=host, port=port, lifespan="off", log_level="warning",
                ssl_certfile="both.pem")).serve()
    """, "1 100000 300000 HTTP/1.1"),
    "httpx and hypercorn": ("hypercorn", ECHO + """
        from hypercorn.asyncio import serve as hypercorn
        from hypercorn.config import Config

        async def serve(host, port):
            config = Config()
            config.bind = ["%s:%d" % (host, port)]
            config.certfile = config.keyfile = "both.pem"
            config.loglevel = "ERROR"
            await hypercorn(app, config, shutdown_trigger=asyncio.Event().wait)
    """, "1 100000 300000 HTTP/2"),
    "pymodbus": ("pymodbus", """
        from pymodbus.client import AsyncModbusTcpClient
        from pymodbus.server import StartAsyncTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        async def serve(host, port):
            values = list(range(100, 200))
            device = SimDevice(1, [SimData(0, values=values, datatype=DataType.REGISTERS)])
            await StartAsyncTcpServer(device, address=(host, port))

        async def ask(host, port):
            client = AsyncModbusTcpClient(host, port=port, timeout=5)
            print(await client.connect())
            print(*(await client.read_holding_registers(5, count=3)).registers)
            print((await client.write_registers(5, [7, 8])).isError())
            print(*(await client.read_holding_registers(5, count=3)).registers)
            client.close()
    """, "True 105 106 107 False 7 8 107"),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_served_by_us(pair, name):
    module, code, want = LIBRARIES[name]
    pytest.importorskip(module)
    code = "        import asyncio\n" + code
    pair.start("cpython", code + """
        from spinet import aio
        aio.run(serve(%r, 8000), stack)
    """ % OURS)
    pair.until_open(8000)
    assert " ".join(pair.ask(code + """
        asyncio.run(asyncio.wait_for(ask(%r, 8000), 40))
    """ % OURS)) == want


@pytest.mark.parametrize("name", LIBRARIES)
def test_served_by_the_kernel(pair, name):
    module, code, want = LIBRARIES[name]
    pytest.importorskip(module)
    port = 9000 + list(LIBRARIES).index(name)
    code = "        import asyncio\n" + code
    pair.serve(port, code + "\n        asyncio.run(serve(%r, %d))" % (KERNEL, port))
    assert " ".join(pair.play("cpython", code + """
        from spinet import aio
        aio.run(asyncio.wait_for(ask(%r, %d), 40), stack)
        assert stack.tcp.count["established"]
    """ % (KERNEL, port))) == want


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_stack_on_each_end(pair, name):
    module, code, want = LIBRARIES[name]
    pytest.importorskip(module)
    code = "        import asyncio\n        from spinet import aio\n" + code
    pair.serve_beside(8000, code + "\n        aio.run(serve(%r, 8000), stack)" % BESIDE)
    assert " ".join(pair.play("cpython", code + """
        aio.run(asyncio.wait_for(ask(%r, 8000), 40), stack)
    """ % BESIDE)) == want
