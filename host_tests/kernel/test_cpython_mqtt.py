"""MQTT on CPython, as published: paho and aiomqtt over spinet, plain and with TLS."""
import pytest
from play import BESIDE, KERNEL


@pytest.fixture(scope="module")
def pair(pair, need):
    need("mosquitto")
    folder = pair.folder
    # mosquitto does not stay root, so it may not read what only root may.
    (folder / "key").chmod(0o644)
    (folder / "conf").write_text(
        "user root\nallow_anonymous true\nlistener 1883 %s\nlistener 8883 %s\ncafile %s\n"
        "certfile %s\nkeyfile %s\n" % (KERNEL, KERNEL, folder / "ca.pem", folder / "ca.pem",
                                       folder / "key"))
    pair.program(8883, "mosquitto", "-c", folder / "conf")
    return pair


PAHO = """
import paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
got = []

def subscribed(client, *args):
    for i in range(10):
        client.publish("a/b", b"x" * i * 1000, qos=1)

def message(client, userdata, message):
    got.append(len(message.payload))
    if len(got) == 10:
        client.disconnect()

client.on_connect = lambda client, *args: client.subscribe("a/#", 1)
client.on_subscribe = subscribed
client.on_message = message
"""


@pytest.mark.parametrize("tls", (False, True))
def test_paho(pair, tls):
    pytest.importorskip("paho.mqtt.client")
    out = pair.play("cpython", PAHO + """
if %r:
    client.tls_set("ca.pem")
client.connect(%r, %d)
client.loop_forever()
print(sorted(got) == [1000 * i for i in range(10)])
""" % (tls, KERNEL, 8883 if tls else 1883))
    assert out == ["True"]


def test_paho_in_its_own_thread_with_tls(pair):
    """Read in a thread, written to by another."""
    pytest.importorskip("paho.mqtt.client")
    out = pair.play("cpython", PAHO + """
from spinet.threaded import Threaded
threaded = Threaded(stack)
import threading
ended = threading.Event()
client.on_disconnect = lambda *args: ended.set()
client.tls_set("ca.pem")
client.connect(%r, 8883)
client.loop_start()
print(ended.wait(20), sorted(got) == [1000 * i for i in range(10)])
client.loop_stop()
""" % KERNEL)
    assert out == ["True", "True"]


AIOMQTT = """
import asyncio, ssl
import aiomqtt
from spinet import aio
from spinet.threaded import Threaded
threaded = Threaded(stack)      # paho, below aiomqtt, connects in a thread of its own

async def main(host, port, context):
    async with aiomqtt.Client(host, port, tls_context=context) as client:
        await client.subscribe("a/#", 1)
        for i in range(20):
            await client.publish("a/b", b"x" * i * 1000, qos=1)
        got = []
        async for message in client.messages:
            got.append(len(message.payload))
            if len(got) == 20:
                break
        print(sorted(got) == [1000 * i for i in range(20)])
"""


@pytest.mark.parametrize("tls", (False, True), ids=("plain", "tls"))
@pytest.mark.parametrize("loop", ("asyncio.run(%s)", "aio.run(%s, stack)"))
def test_aiomqtt(pair, loop, tls):
    pytest.importorskip("aiomqtt")
    out = pair.play("cpython", AIOMQTT + loop % (
        "asyncio.wait_for(main(%r, %d, ssl.create_default_context(cafile='ca.pem') if %r else None)"
        ", 30)" % (KERNEL, 8883 if tls else 1883, tls)))
    assert out == ["True"]


def test_aiomqtt_with_a_broker_on_a_stack(pair):
    pytest.importorskip("aiomqtt")
    pytest.importorskip("amqtt")
    pair.serve_beside(1883, """
        import asyncio
        from amqtt.broker import Broker
        from spinet import aio

        async def main():
            await Broker({
                "listeners": {"default": {"type": "tcp", "bind": "%s:1883"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin":
                            {"allow_anonymous": True}},
            }).start()
            await asyncio.sleep(1000)

        aio.run(main(), stack)
    """ % BESIDE)
    out = pair.play("cpython", AIOMQTT + "asyncio.run(asyncio.wait_for(main(%r, 1883, None), 30))"
                    % BESIDE)
    assert out == ["True"]
