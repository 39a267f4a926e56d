"""The prompt over the network: who is let in, telnet, both kinds of prompt."""
from net import Net

from spinet import repl
from spinet.console import Console


class Lent:
    """What `os.dupterm` does with a stream, as far as it is looked at here."""

    def __init__(self):
        self.stream = None

    def __call__(self, stream):
        self.stream = stream


def world(password="secret", dupterm=None, notify=None):
    net = Net()
    repl.dupterm = dupterm
    repl.notify = notify
    prompt = repl.start(net.b, password)
    return net, prompt


def join(net, *typed):
    """A client that types; the socket."""
    s = net.a.socket()
    s.connect(("10.0.0.2", 23))
    s.setblocking(False)
    net.run(300)
    for what in typed:
        s.write(what)
        net.run(300)
    return s


def ended(s):
    try:
        while True:
            if s.recv(100) == b"":
                return True
    except OSError as e:
        return e.errno != 11


def test_who_knows_the_password_gets_the_board_s_own_prompt():
    lent = Lent()
    net, prompt = world(dupterm=lent)
    s = join(net)
    assert s.read(100) == b"\xff\xfb\x01\xff\xfb\x03Password: "
    assert lent.stream is None
    s.write(b"secret\r\n")
    net.run(300)
    assert lent.stream is prompt.session is not None and prompt.count["in"] == 1
    assert s.read(100) == b"\r\n>>> "
    s.write(b"x = 1\r\n")
    net.run(10)
    buf = bytearray(1)
    got = b""
    while lent.stream.readinto(buf):
        got += buf
    assert got == b"x = 1\r" and lent.stream.readinto(buf) is None
    assert lent.stream.write(b"said\xff") == 5
    net.run(10)
    assert s.read(100) == b"said\xff\xff"
    s.close()
    net.run(300)
    assert lent.stream is None and prompt.session is None
    prompt.close()


def test_the_firmware_is_told_what_is_typed_while_a_program_runs():
    lent = Lent()
    heard = bytearray()

    def notify(_):
        buf = bytearray(1)
        while lent.stream.readinto(buf):
            heard.extend(buf)

    net, prompt = world(None, lent, notify)
    s = join(net)
    s.write(b"\x03more")
    net.run(100)
    assert heard == b"\x03more"
    prompt.close()


def test_a_wrong_password_costs_time():
    net, prompt = world(dupterm=Lent())
    s = join(net, b"wrong\r")
    assert ended(s) and prompt.count["wrong_password"] == 1 and prompt.session is None
    s = join(net)
    assert s.read(100) is None          # nobody is let in yet
    net.run(2500)
    assert s.read(100) == b"\xff\xfb\x01\xff\xfb\x03Password: "
    s.write(b"secret\r")
    net.run(300)
    assert prompt.session is not None
    prompt.close()


def test_a_password_without_end_is_kept_short():
    net, prompt = world(dupterm=Lent())
    join(net, b"x" * 2000)
    assert len(prompt._typed) == 64
    prompt.close()


def test_a_guest_that_is_gone_before_the_greeting():
    net, prompt = world()
    for option in (False, True):
        s = net.a.socket()
        s.connect(("10.0.0.2", 23))
        net.run(5)
        if option:
            s.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")     # SO_LINGER 0: a reset
        s.close()
        net.run(500)
    assert prompt.session is None and prompt._guest is None
    assert join(net).read(100).endswith(b"Password: "), "it lets others in"


def test_a_line_that_is_no_text():
    say = console()
    assert b"SyntaxError" in say(b"\xfe\r")
    assert say(b"'\xc3\xa4b\x7f\x7f'\r").endswith(b"\r\n''\r\n>>> "), "a letter of two bytes"
    assert say(b"\x01print('\xfe')\x04").endswith(b"OK?\r\n\x04\x04>")


def test_who_says_nothing_has_to_go():
    net, prompt = world(dupterm=Lent())
    s = join(net)
    net.run(31000)
    assert ended(s) and prompt.count["too_late"] == 1
    prompt.close()


def test_the_last_who_comes_has_it():
    lent = Lent()
    net, prompt = world(dupterm=lent)
    first = join(net, b"secret\r")
    one = lent.stream
    second = join(net, b"secret\r")
    assert one is not None and lent.stream is not one and ended(first) and not ended(second)
    prompt.close()
    net.run(100)
    assert ended(second) and lent.stream is None and "repl" not in net.b.services


def test_commands_of_telnet_are_left_out():
    lent = Lent()
    net, prompt = world(None, lent)
    s = join(net)
    for part in (b"a\xff\xfd\x01b\xff\xfa\x1f\0\x50\0\x18\xff\xf0c", b"\xff",
                 b"\xffd\xff\xf1e\r\0\r\nf"):
        s.write(part)
        net.run(100)
    got = b""
    buf = bytearray(3)
    for _ in range(20):
        n = lent.stream.readinto(buf)
        got += buf[:n or 0]
    assert got == b"abc\xffde\r\rf"
    prompt.close()


def test_a_peer_that_takes_nothing_is_cut_off():
    lent = Lent()
    net, prompt = world(None, lent)
    deaf = join(net)
    began = net.elapsed
    for _ in range(100):
        lent.stream.write(b"x" * 1000)
    assert 2000 <= net.elapsed - began < 5000 and not prompt.session.open
    net.run(300)
    assert prompt.session is None
    prompt.close()
    deaf.close()


def serve(net, prompt, s, typed, ms=50):
    s.write(typed)
    for _ in range(ms):
        net.run(1)
        prompt.step()
    net.run(5)
    return s.read(4096) or b""


def test_a_prompt_of_python():
    net, prompt = world()
    s = join(net, b"secret\r")
    s.read(1000)
    assert serve(net, prompt, s, b"1 + 2\r") == b"1 + 2\r\n3\r\n>>> "
    assert serve(net, prompt, s, b"x = 5\r") == b"x = 5\r\n>>> "
    assert serve(net, prompt, s, b"print('x', x)\r").endswith(b"\r\nx 5\r\n>>> ")
    assert b"ZeroDivisionError" in serve(net, prompt, s, b"1/0\r")
    assert serve(net, prompt, s, b"for i in range(2):\r    print(i)\r\r").endswith(
        b"0\r\n1\r\n>>> ")
    assert serve(net, prompt, s, b"12\x7f\x083\r").endswith(b"3\r\n>>> ")
    assert serve(net, prompt, s, b"junk\x03").endswith(b"\r\n>>> ")
    s.close()
    net.run(300)
    assert not prompt.step()
    s = join(net, b"secret\r")
    s.read(1000)
    assert serve(net, prompt, s, b"x\r") == b"x\r\n5\r\n>>> "
    prompt.close()


def console():
    out = []
    c = Console(lambda data: out.append(bytes(data)), {})

    def say(text):
        del out[:]
        for one in text:
            c.feed(one)
        return b"".join(out)

    return say


def test_the_raw_mode_of_tools():
    say = console()
    assert say(b"\r\x03\x01").endswith(b"raw REPL; CTRL-B to exit\r\n>")
    assert say(b"\x05A\x01") == b"R\x00"
    assert say(b"y = 3\nprint(y * 2)\x04") == b"OK6\r\n\x04\x04>"
    assert say(b"print(y)\x04") == b"OK3\r\n\x04\x04>"
    error = say(b"1/0\x04")
    assert error.startswith(b"OK\x04Traceback") and error.endswith(b"\x04>")
    assert b"ZeroDivisionError" in error
    assert say(b"\x04") == b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>"
    assert b"NameError" in say(b"y\x04")
    assert say(b"\x02").endswith(b">>> ")


def test_a_program_that_leaves_ends_only_itself():
    say = console()
    assert b"SystemExit" in say(b"import sys; sys.exit()\r")
    assert say(b"1\r").endswith(b"1\r\n>>> ")
    assert b"SyntaxError" in say(b"a b\r")
