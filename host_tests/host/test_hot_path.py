"""What must not creep into classes whose attributes change for every frame."""
import ast

import pytest

import mp_runner

# In a class with a property (or its bases) MicroPython looks through all of its members, one by
# one, whenever an attribute is set: on an RP2040 that took a third of all cycles of a segment.
HOT = {
    "lib/spinet/ethernet.py": ("Link", "Ethernet"), "lib/spinet/arp.py": ("Arp",),
    "lib/spinet/ipv4.py": ("IPv4",), "lib/spinet/tcp/conn.py": ("Conn",),
    "lib/spinet/timers.py": ("Timers", "Timer"), "lib/spinet/stack.py": ("Stack",),
    "ports/spichip.py": ("SpiPort",), "ports/w5500_chip.py": ("Chip",),
    "ports/w5500.py": ("W5500",), "ports/enc28j60.py": ("ENC28J60",),
    "ports/enc28j60_tx.py": ("Sender",), "ports/enc28j60_regs.py": ("EncChip",),
}


@pytest.mark.parametrize("path", HOT)
def test_no_property_in_a_class_that_every_frame_changes(path):
    classes = {node.name: node for node in ast.parse((mp_runner.ROOT / path).read_text()).body
               if isinstance(node, ast.ClassDef)}
    for name in HOT[path]:
        for node in classes[name].body:
            decorators = [ast.unparse(d) for d in getattr(node, "decorator_list", ())]
            assert not [d for d in decorators if d == "property" or "setter" in d], node.name
            assert getattr(node, "name", "") not in ("__getattr__", "__setattr__"), path
