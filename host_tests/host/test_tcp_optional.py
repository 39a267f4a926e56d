"""What is not used is not imported: a board that does without pays nothing for it."""
import subprocess
import sys

import mp_runner

CODE = """
import sys
import net

def transfer(**settings):
    pair = net.Net()
    for host in pair.hosts:
        for name in settings:
            setattr(host.tcp, name, settings[name])
    a, b = pair.pair()
    a.send(b"x" * 3000)
    pair.run(100)
    assert b.recv(3000)
    found = [name for name in ("cubic", "none", "congestion", "ecn", "rack", "sack")
             if "spinet.tcp." + name in sys.modules]
    print(" ".join(found))

transfer(sack=False)
transfer()
transfer(ecn=True)
transfer(congestion="cubic")
transfer(rack=True)
"""


def test_optional_modules_are_imported_when_they_are_wanted():
    paths = [str(mp_runner.ROOT / "lib"), str(mp_runner.ROOT / "host_tests/core")]
    out = subprocess.run([sys.executable, "-c", "import sys; sys.path[:0] = %r\n" % paths + CODE],
                         capture_output=True, text=True, check=True).stdout
    assert out.split("\n") == [
        "", "sack", "ecn sack", "cubic congestion ecn sack", "cubic congestion ecn rack sack", ""]
