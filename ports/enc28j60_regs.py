"""The ENC28J60 behind its driver: instructions, registers, PHY, and what they should hold.

The numbers of registers are their bank times 32 plus their address; "erratum n" is an issue of
Microchip's DS80349.
"""
from spinet.ports.spichip import SpiPort

POLLS = 64          # register polls per wait
END = 0x13FF        # of the receive ring: odd, and it begins at 0 (errata 14, 5)

ESTAT, ECON2, ECON1, EPKTCNT = 0x1D, 0x1E, 0x1F, 0x39
_EHT, _EPMM, EREVID, EIE = 0x20, 0x28, 0x72, 0x1B
_MICMD, _MIREGADR, _MIWR, _MIRD, _MISTAT = 0x52, 0x54, 0x56, 0x58, 0x6A
_MAADR = (0x64, 0x65, 0x62, 0x63, 0x60, 0x61)       # where the six octets are
PHIR = 0x13
_PHCON1, _PHCON2, _PHSTAT2, _PHIE, _PHLCON = 0, 0x10, 0x11, 0x12, 0x14
_LEDS = 0x3476                      # LEDA link, LEDB traffic

REVISIONS = (2, 4, 5, 6)            # B1, B4, B5, B7

_SRC = b"\xff"
_BANK_0 = b"\xbf\x03"
_BANKS = (b"\xbf\x03", b"\x9f\x01", b"\x9f\x02", b"\x9f\x03")
_ASK_EIR = b"\x1c\x00"
AWAKE = b"\xbe\x20"                 # PWRSV off


class EncChip(SpiPort):
    """Base of the driver."""

    def __init__(self, full_duplex, promiscuous):
        self._eth, self._macs = _program(self.mac, full_duplex, promiscuous, self._irq is not None)
        self._phcon1 = 0x0100 if full_duplex else 0
        # HDLDIS, or every frame comes back (erratum 9); PHIE: LINKIF on a change of link
        self._phys = ((_PHCON1, self._phcon1), (_PHCON2, 0x0100), (_PHLCON, _LEDS), (_PHIE, 0x12))
        self._hash = bytearray(8)
        self._cmd = bytearray(2)
        self._two = bytearray(2)
        self._ask = bytearray(3)
        self._said = bytearray(3)
        self._bank = 0
        self._was_reset = False         # SRC was given
        self._revision = 0

    # --- instructions ---

    def _write(self, data):
        cs = self._cs
        cs(0)
        self._spi.write(data)
        cs(1)

    def _to_bank(self, bank):
        """Select a bank.  Bit by bit: writing ECON1 whole could set TXRTS again."""
        cs = self._cs
        if self._bank & ~bank:
            cs(0)
            self._spi.write(_BANK_0)
            cs(1)
        if bank:
            cs(0)
            self._spi.write(_BANKS[bank])
            cs(1)
        self._bank = bank

    def _flags(self):
        """EIR."""
        cs = self._cs
        two = self._two
        cs(0)
        self._spi.write_readinto(_ASK_EIR, two)
        cs(1)
        return two[1]

    def _select(self, reg):
        """The address of a register, its bank selected."""
        if reg & 31 < 0x1B and self._bank != reg >> 5:
            self._to_bank(reg >> 5)
        return reg & 31

    def _get(self, reg):
        """Read an ETH register."""
        ask = self._cmd
        ask[0] = self._select(reg)
        ask[1] = 0
        two = self._two
        cs = self._cs
        cs(0)
        self._spi.write_readinto(ask, two)
        cs(1)
        return two[1]

    def _get_mac(self, reg):
        """Read a MAC or MII register, which comes after a dummy byte."""
        ask = self._ask
        ask[0] = self._select(reg)
        said = self._said
        cs = self._cs
        cs(0)
        self._spi.write_readinto(ask, said)
        cs(1)
        return said[2]

    def _put(self, reg, v):
        """Write a register."""
        cmd = self._cmd
        cmd[0] = 0x40 | self._select(reg)
        cmd[1] = v
        cs = self._cs
        cs(0)
        self._spi.write(cmd)
        cs(1)

    def _put_mac(self, reg, v):
        """Write a MAC register until it reads back (erratum 1).  Did it?"""
        tries = 16
        while tries:
            self._put(reg, v)
            if self._get_mac(reg) == v:
                return True
            self.count["mac_retry"] += 1
            tries -= 1
        return False

    # --- PHY ---

    def _phy_get(self, reg):
        """A PHY register; -1 if the MII stays busy."""
        self._put(_MIREGADR, reg)
        self._put(_MICMD, 1)
        if not self._mii():
            return -1
        self._put(_MICMD, 0)
        return self._get_mac(_MIRD) | self._get_mac(_MIRD + 1) << 8

    def _phy_put(self, reg, v):
        """Write a PHY register until it reads back.  Did it?"""
        tries = 8
        while tries:
            self._put(_MIREGADR, reg)
            self._put(_MIWR, v & 255)
            self._put(_MIWR + 1, v >> 8)
            if not self._mii():
                return False
            # Bit 0 of PHLCON is anything.
            if (self._phy_get(reg) ^ v) & 0xFFFE == 0:
                return True
            self.count["mac_retry"] += 1
            tries -= 1
        return False

    def _mii(self):
        """Wait for the MII: 10.24 us."""
        tries = POLLS
        while self._get_mac(_MISTAT) & 1:
            tries -= 1
            if not tries:
                return False
        return True

    def _phy_link(self):
        """1 or 0; -1 if the PHY does not answer, or has lost the duplex mode."""
        last = -1
        tries = 6
        while tries:
            v = self._phy_get(_PHSTAT2)
            if v >= 0 and (v & 0x0200) >> 1 == self._phcon1:
                v = v >> 10 & 1
                if v == last or v == self._linked:
                    return v
                last = v
            tries -= 1
        return -1

    # --- what the registers should hold ---

    def _write_all(self):
        """Write and verify what stays the same: not EIE, ECON1, the pointers of the ring."""
        self._revision = self._get(EREVID)
        if self._get(ESTAT) & 0x09 != 0x01 or self._revision not in REVISIONS or not self._wires():
            return False
        i = 2
        table = self._eth
        while i < len(table):
            self._put(table[i], table[i + 1])
            i += 2
        self._write_hash()
        i = 0
        table = self._macs
        while i < len(table):
            if not self._put_mac(table[i], table[i + 1]):
                return False
            i += 2
        for reg, v in self._phys:
            if not self._phy_put(reg, v):
                return False
        self._phy_get(PHIR)
        return True

    def _as_it_should_be(self):
        """Compare with what `_set_up` wrote; MAC registers may read wrong (erratum 1)."""
        table = self._eth
        if self._get(EIE) & 0xF7 != table[1] and self._get(EIE) & 0xF7 != table[1]:
            return False
        i = 2
        while i < len(table):
            if self._get(table[i]) != table[i + 1] and self._get(table[i]) != table[i + 1]:
                return False
            i += 2
        i = 0
        table = self._macs
        while i < len(table):
            tries = 8
            while self._get_mac(table[i]) != table[i + 1]:
                tries -= 1
                if not tries:
                    return False
            i += 2
        for i in range(8):
            if self._get(_EHT + i) != self._hash[i]:
                return False
        return self._get(ECON1) & 0xF4 == 0x04

    def _wires(self):
        """Do patterns written to EPMM0..7 read back?"""
        for k in range(1, 4):
            for i in range(8):
                self._put(_EPMM + i, (k * 0x5B ^ i * 0x25) & 255)
            for i in range(8):
                if self._get(_EPMM + i) != (k * 0x5B ^ i * 0x25) & 255:
                    self.count["spi_errors"] += 1
                    return False
        return True

    def _write_hash(self):
        for i in range(8):
            self._put(_EHT + i, self._hash[i])

    def _hash_bit(self, mac):
        """Set the bit of a group: bits 28 to 23 of the CRC-32 of its address.

        Two halves of 16 bits: a word of 32 does not fit a small integer everywhere.
        """
        hi = lo = 0xFFFF
        for v in mac:
            for _ in range(8):
                out = (hi >> 15) ^ (v & 1)
                v >>= 1
                hi = (hi << 1 & 0xFFFF) | lo >> 15
                lo = lo << 1 & 0xFFFF
                if out:
                    hi ^= 0x04C1
                    lo ^= 0x1DB7
        hi = hi >> 7 & 63
        self._hash[hi >> 3] |= 1 << (hi & 7)

    # --- reset ---

    def _soft_reset(self):
        self._write(AWAKE)             # erratum 19: SRC is ignored in power save; `_awake` gives it

    def _awake(self):
        """Has the chip finished its reset?

        CLKRDY does not tell (erratum 2): the time that has passed since the last call does.
        """
        if not self._was_reset:
            self._was_reset = True
            self._write(_SRC)
            self._bank = 0
            return False
        return self._get(ESTAT) & 0x09 == 0x01

    def _complaint(self):
        v = self._get(EREVID)
        return "no ENC28J60: revision register reads 0x%02x%s" % (
            v,
            " (MISO stuck high?)" if v == 255
            else " (MISO stuck low, or held in reset?)" if not v
            else ", but other registers come out wrong (SPI clock?)" if v in REVISIONS
            else " (SPI clock too fast, or another chip?)",
        )


def _program(mac, full, promiscuous, irq):
    """What `_set_up` writes: (ETH registers, MAC registers), each register, value, ...

    The first is EIE, which is written last.
    """
    eth = (
        # INTIE, PKTIE, LINKIE, TXERIE, RXERIE; and TXIE, while a frame waits for another to leave.
        (EIE, 0xD3 if irq else 0), (ECON2, 0x80),
        (0x08, 0), (0x09, 0), (0x0A, END & 255), (0x0B, END >> 8),    # ERXST, ERXND
        (0x04, 0),                                                      # ETXSTL
        (0x38, 0x20 if promiscuous else 0xA5),      # ERXFCON: CRCEN, and UCEN, HTEN, BCEN
    )
    macs = [
        (0x40, 0x0D if full else 0x01),             # MACON1: MARXEN, and TXPAUS, RXPAUS
        (0x42, 0x33 if full else 0x32),             # MACON3: pad to 60, CRC, length check, duplex
        (0x43, 0x00 if full else 0x40),             # MACON4: DEFER
        (0x44, 0x15 if full else 0x12), (0x46, 0x12), (0x47, 0x0C),     # MABBIPG, MAIPG
        (0x48, 0x0F), (0x49, 0x3F),     # MACLCON1, 2: a collision counts as late later (erratum 13)
        (0x4A, 1522 & 255), (0x4B, 1522 >> 8),      # MAMXFL: room for a VLAN tag
    ]
    for i in range(6):
        macs.append((_MAADR[i], mac[i]))
    return _flat(eth), _flat(macs)


def _flat(pairs):
    out = bytearray()
    for reg, v in pairs:
        out.append(reg)
        out.append(v)
    return bytes(out)
