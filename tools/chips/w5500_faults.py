"""What can go wrong with a W5500 besides what can with any chip: its field quirks, on demand."""
from chips.faults import Fault, common

# A chip that lost its registers shows by whichever is looked at first.
_LOST = ("registers_lost", "socket_lost", "rx_pointer", "rx_bad_length", "command_timeout",
         "absent", "tx_stuck", "spi_errors")


def _tear(rig, rand):
    rig.chip.tear_rsr = 1 + rand.below(3)


def _torn(rig):
    rig.chip.tear_rsr = 0
    return False


def _bad_length(rig, rand):
    rig.chip.bad_lengths = 1 + rand.below(3)
    rig.chip.bad_length = (0, 1, 2, 61, 1521, 0x4567, 0xFFFF)[rand.below(7)]


def _plausible_length(rig, rand):
    rig.chip.bad_lengths = 1
    rig.chip.bad_length = 62 + rand.below(1453)


def _good(rig):
    rig.chip.bad_lengths = rig.chip.overruns_damage = 0
    return False


def _overrun(rig, rand):
    rig.chip.overruns_damage = 1 + rand.below(3)
    rig.chip.bad_length = (0, 13, 2000, 0xFFFF)[rand.below(4)]
    rig.flood(100 + rand.below(300))


def _lose_sendok(rig, rand):
    rig.chip.lost_sendok = 1 + rand.below(2)


def _sendok_back(rig):
    rig.chip.lost_sendok = 0
    return False


def _stall(rig, rand):
    rig.chip.tx_stalls = 1 + rand.below(3)


def _stall_over(rig):
    rig.chip.tx_stalls = 0
    return False


def _mute(rig, rand):
    rig.chip.mute = ("open", "reset")[rand.below(2)]


def _deafen(rig, rand):
    rig.chip.deaf = ("open", "reset")[rand.below(2)]


def _ignore_commands(rig, rand):
    rig.chip.cr_stuck = True


def _heed_commands(rig):
    rig.chip.cr_stuck = False
    return rig.chip.sockets[0].regs[1] != 0


def _slow_commands(rig, rand):
    rig.chip.cr_ns = 2000 << rand.below(12)     # to 4 ms


def _quick_commands(rig):
    rig.chip.cr_ns = 2000
    return False


def _upset(rig, rand):
    """A bit of a register that matters falls over, as by radiation or a spike."""
    chip = rig.chip
    if rand.below(2):
        chip.common[(0x00, 0x0A, 0x10, 0x18)[rand.below(4)]] ^= 1 << rand.below(8)
    else:
        addr = (0x00, 0x03, 0x1E, 0x25, 0x29, 0x2C)[rand.below(6)]
        chip.sockets[0].regs[addr] ^= 1 << rand.below(8)


def _shift(rig, rand):
    rig.chip.shift_above = 1


def _no_shift(rig):
    rig.chip.shift_above = 0


FAULTS = common(_LOST) + (
    Fault("torn size", _tear, _torn),
    Fault("impossible length", _bad_length, _good),
    Fault("wrong length", _plausible_length, _good, alters=True),
    Fault("damage by overrun", _overrun, _good),
    Fault("SENDOK lost", _lose_sendok, _sendok_back),
    Fault("transmitter stalls", _stall, _stall_over),
    Fault("transmitter dead", _mute, least_ms=1000),
    Fault("receiver deaf", _deafen, least_ms=1000),
    Fault("commands ignored", _ignore_commands, _heed_commands, shows=_LOST + ("reset",),
          least_ms=5000, most_ms=20000),
    Fault("commands slow", _slow_commands, _quick_commands),
    Fault("register upset", _upset),
    Fault("clock one bit late", _shift, _no_shift, shows=_LOST, least_ms=1600),
)
