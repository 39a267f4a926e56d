"""Ports as Linux, macOS and Windows name them, and what is said where one cannot be used."""
import errno
import os
import pty

import pytest

from spinetcli import link
from terminal import serial

common = pytest.importorskip("serial.tools.list_ports_common")


def port(device, vid=0x2E8A, pid=5, number=None, about="Board in FS mode"):
    """As pyserial finds it."""
    found = common.ListPortInfo(device, skip_link_detection=True)
    found.vid, found.pid, found.serial_number, found.description = vid, pid, number, about
    return found


@pytest.fixture
def plugged(monkeypatch):
    """Call it with what is plugged in."""
    def plug(*found):
        monkeypatch.setattr(link.list_ports, "comports", lambda: list(found))

    plug()
    return plug


@pytest.mark.parametrize("name, other", [
    ("/dev/ttyACM0", "/dev/ttyS0"), ("/dev/cu.usbmodem1101", "/dev/cu.Bluetooth-Incoming-Port"),
    ("COM12", "COM1")])
def test_the_only_board_is_found(plugged, name, other):
    plugged(port(other, vid=None, pid=None), port(name, number="E660123"))
    assert link.choose(None) == name
    assert link.choose("e660123") == link.choose("2E8A:0005") == name
    assert link.choose(other) == other, "what is named is taken"
    (found,) = link.ports()
    assert found == {"port": name, "id": "2e8a:0005", "serial": "E660123", "likely": True,
                     "maker": "Raspberry Pi", "about": "Board in FS mode"}


@pytest.mark.parametrize("name", ["COM3", "COM12", "/dev/tty.usbmodem1101", "/dev/cu.usbserial-10",
                                  "/dev/ttyUSB0", "rfc2217://10.0.0.2:4000", "E660999"])
def test_a_name_that_is_given_is_taken(plugged, name):
    assert link.choose(name) == name


def test_boards_come_before_others_and_2_before_10(plugged):
    plugged(port("COM12"), port("COM3"), port("COM1", vid=0x1234), port("COM2", vid=0x1A86))
    assert [found["port"] for found in link.ports()] == ["COM2", "COM3", "COM12", "COM1"]


def test_which_of_several(plugged):
    plugged(port("/dev/ttyACM1", number="B"), port("/dev/ttyACM0", number="A"))
    with pytest.raises(link.NoBoard, match="several boards are here .*ACM0, .*ACM1.*--port"):
        link.choose(None)
    with pytest.raises(link.NoBoard, match="several boards are 2e8a:0005"):
        link.choose("2e8a:0005")
    assert link.choose("B") == "/dev/ttyACM1"
    with pytest.raises(link.NoBoard, match="no board is 0483:5740. Here are /dev/ttyACM0"):
        link.choose("0483:5740")


def test_no_board(plugged):
    with pytest.raises(link.NoBoard, match="one for data, not for charging only"):
        link.choose(None)


# What pyserial raises on each system: the error, the system, what is said of it.
ERRORS = [
    (serial.SerialException(errno.ENOENT, "could not open port /dev/ttyACM0: [Errno 2] No such "
                            "file or directory"), "linux", "there is no such port. Here are COM3"),
    (serial.SerialException("could not open port 'COM7': FileNotFoundError(2, 'The system cannot "
                            "find the file specified.', None, 2)"), "win32", "there is no such"),
    (serial.SerialException("could not open port 'COM7': PermissionError(13, 'Access is denied.', "
                            "None, 5)"), "win32", "another program uses it"),
    (serial.SerialException("could not open port 'COM7': OSError(22, 'A device attached to the "
                            "system is not functioning.', None, 31)"), "win32", "COM7"),
    (serial.SerialException(errno.EACCES, "could not open port /dev/ttyACM0: [Errno 13] "
                            "Permission denied"), "linux", "usermod -aG dialout"),
    (serial.SerialException(errno.EACCES, "could not open port /dev/cu.usbmodem1101: [Errno 13] "
                            "Permission denied"), "darwin", "you may not use it"),
    (serial.SerialException(errno.EBUSY, "could not open port /dev/cu.usbmodem1101: [Errno 16] "
                            "Resource busy"), "darwin", "another program uses it"),
    (serial.SerialException(errno.EAGAIN, "Could not exclusively lock port /dev/ttyACM0: [Errno "
                            "11] Resource temporarily unavailable"), "linux", "another program"),
]


@pytest.mark.parametrize("error, system, said", ERRORS)
def test_an_error_in_words(plugged, error, system, said):
    plugged(port("COM3"))
    assert said in link.why(error, system)


def test_two_programs_at_one_port():
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    with link.open_line(name, 0):
        with pytest.raises(link.NoBoard, match="cannot be opened: another program uses it"):
            link.open_line(name, 0)
    link.open_line(name, 0).close()
    os.close(master)
    os.close(slave)


def test_a_port_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    for name in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(link.NoBoard, match="cannot be opened: "):
            link.open_line(str(name), 0)
