"""What can go wrong with an ENC28J60 besides what can with any chip: its errata, on demand."""
from chips.faults import Fault, common

# A chip that lost its registers shows by whichever is looked at first.
_LOST = ("chip_lost", "registers_lost", "rx_bad_header", "rx_phantom", "phy_timeout",
         "absent")


def _good(rig):
    chip = rig.chip
    chip.bad_next = chip.tx_stalls = chip.lost_txif = 0
    chip.tx.collisions = chip.tx.late = chip.tx.defer = chip.tx.pulse = 0
    return False


def _bad_next(rig, rand):
    rig.chip.bad_next = 1 + rand.below(3)


def _overrun(rig, rand):
    rig.flood(100 + rand.below(300))
    rig.chip.bad_next = rand.below(2)


def _stall(rig, rand):
    rig.chip.tx_stalls = 1 + rand.below(4)


def _collide(rig, rand):
    rig.chip.tx.collisions = 1 + rand.below(30)


def _late(rig, rand):
    rig.chip.tx.late = 1 + rand.below(20)


def _defer(rig, rand):
    rig.chip.tx.defer = 1 + rand.below(4)


def _pulse(rig, rand):
    rig.chip.tx.pulse = 1 + rand.below(20)


def _lose_txif(rig, rand):
    rig.chip.lost_txif = 1 + rand.below(3)


def _deafen(rig, rand):
    rig.chip.deaf = 1 + rand.below(3 if rig.reset else 2)


def _upset(rig, rand):
    """A bit of a register that matters falls over, as by radiation or a spike."""
    regs = (0x1B, 0x1F, 0x38, 0x40, 0x4B, 0x60, 0x65)
    rig.chip.regs[regs[rand.below(len(regs))]] ^= 1 << rand.below(8)


def _upset_worse(rig, rand):
    """The same where it changes frames, for half a second: in the bounds of the ring old frames may
    look like new ones, in MACON3 padding or checksum are missing."""
    rig.chip.regs[(0x09, 0x0B, 0x0D, 0x42)[rand.below(4)]] ^= 1 << rand.below(5)
    rig.chip.rx.load()


def _shift(rig, rand):
    rig.chip.shift_above = 1


def _no_shift(rig):
    rig.chip.shift_above = 0


def _doze(rig, rand):
    rig.chip.doze()


def _weak(rig, rand):
    """The signal is poor: frames get lost both ways (as with the wrong resistor, erratum 8)."""
    rig.chip.rbias = 1000


def _strong(rig):
    rig.chip.rbias = None
    return False


FAULTS = common(_LOST) + (
    Fault("next pointer wrong", _bad_next, _good),
    Fault("overrun", _overrun, _good),
    Fault("transmitter stalls", _stall, _good),
    Fault("collisions", _collide, _good),
    Fault("late collisions", _late, _good),
    Fault("line busy", _defer, _good),
    Fault("link pulse in a frame", _pulse, _good),
    Fault("TXIF lost", _lose_txif, _good),
    Fault("receiver deaf", _deafen, least_ms=1000),
    Fault("register upset", _upset),
    Fault("register upset, worse", _upset_worse, alters=True),
    Fault("put to sleep", _doze, shows=_LOST, least_ms=1600),
    Fault("clock one bit late", _shift, _no_shift, shows=_LOST, least_ms=1600),
    Fault("poor signal", _weak, _strong, most_ms=5000),
)
