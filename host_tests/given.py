"""Libraries that no package index has: who runs the tests gives them, LIBRARIES names where.

`make test-libraries LIBRARIES=DIR`: a directory with the files of GIVEN, as MicroPython would find
them.  Each must be the version that is listed here, to the byte.  (The sums are of copies that were
written down from a text index of the repositories: docs/sockets.md.)
"""
import hashlib
import os
from pathlib import Path

import pytest

LIB = "micropython/micropython-lib"
MQTT = "peterhinch/micropython-mqtt"
# File: repository, path and commit on GitHub, sha256.
GIVEN = {
    "ntptime.py": (LIB, "micropython/net/ntptime/ntptime.py", "0274eda2848c",
                   "d95252f784bfc09607656777ff0e5117233e8c06e5deeedd40841d99455f6a0b"),
    "aiorepl.py": (LIB, "micropython/aiorepl/aiorepl.py", "06592f824608",
                   "b879f5735c5a38279d79aca6bf1dcaa44d455f82f9681fe20f936c12010e8aa0"),
    "aiohttp/__init__.py": (LIB, "python-ecosys/aiohttp/aiohttp/__init__.py", "00fc3fd37b44",
                            "3019f20283624c9d8eacb36cbc4b6f93122de89466f980935a2c42ea20a5af1f"),
    "aiohttp/aiohttp_ws.py": (LIB, "python-ecosys/aiohttp/aiohttp/aiohttp_ws.py", "06592f824608",
                              "73862d86611e074cd96d5dc477e97313a2f953c82d9492838ebcf63511296d79"),
    "mqtt_as/__init__.py": (MQTT, "mqtt_as/__init__.py", "0be42aaa1a81",
                            "c56ba5a7436cdd16c8840b3e42997519a8ba36e5468ba722c49b793b93ad1917"),
    "mqtt_as_eth/__init__.py": (MQTT, "mqtt_as_eth/__init__.py", "6a40818d5ce1",
                                "bccfd1f901b76c488ce174afbe1898b4cc2d11c868931546d15253fd50d40d88"),
    "webrepl.py": (LIB, "micropython/net/webrepl/webrepl.py", "0d0b57b5d47c",
                   "d2c54f1df9257b47e84b77c7c52e1f81405004f531019c5219e725956371292a"),
    "webrepl_cli.py": ("micropython/webrepl", "webrepl_cli.py", "0e1209aefd51",
                       "ac54df4832d1ef93dfbddaf73862f6db017f3417f48b1ac36082476adcd4f940"),
    "websocket_helper.py": ("pfalcon/uremi", "websocket_helper.py", "dba14a072265",
                            "0b59af2e472da43daa259c7cf0cd44d5ed7957e3a9fa40c43ef3636296717713"),
}


def given(file):
    """The path of a file of GIVEN; a skip that says what is missing."""
    repository, path, commit, digest = GIVEN[file]
    what = "%s (%s of %s at commit %s, sha256 %s)" % (file, path, repository, commit, digest)
    source = Path(os.environ.get("LIBRARIES", ""), file)
    if not source.is_file():
        pytest.skip("set LIBRARIES to a directory that has " + what)
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    assert found == digest, "%s is not %s, but has sha256 %s" % (source, what, found)
    return source
