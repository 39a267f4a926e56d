"""What the tests on the emulated Pico share: its firmware, built once."""
import fcntl

import pytest
from pico import device, emulator


@pytest.fixture(scope="session")
def firmware():
    """The image, or a skip that says what is missing."""
    if not emulator.ROM.exists() or not emulator.NODE.exists():
        pytest.skip("the emulated Pico is not here: tools/env.py could not install it")
    emulator.BUILD.mkdir(exist_ok=True)
    with open(emulator.BUILD / ".firmware.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)        # one worker builds
        try:
            return device.firmware()
        except device.image.Missing as error:
            pytest.skip("no firmware for the emulated Pico: %s" % error)
