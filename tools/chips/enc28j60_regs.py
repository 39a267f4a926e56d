"""The registers of the ENC28J60: addresses, kinds, reset values, which bits can be written.

A register's number is its bank times 32 plus its address; those common to all banks count as
bank 0.
"""
# Kinds: reading one of MAC or MII puts a dummy byte first, and single bits cannot be set there.
NONE, ETH, MAC, MII, RESERVED = 0, 1, 2, 3, 4

ERDPT, EWRPT, ETXST, ETXND, ERXST, ERXND, ERXRDPT, ERXWRPT = 0, 2, 4, 6, 8, 10, 12, 14
EDMAST, EDMAND, EDMADST, EDMACS = 16, 18, 20, 22
EIE, EIR, ESTAT, ECON2, ECON1 = 0x1B, 0x1C, 0x1D, 0x1E, 0x1F
EHT0, EPMM0, EPMCS, EPMO, ERXFCON, EPKTCNT = 0x20, 0x28, 0x30, 0x34, 0x38, 0x39
MACON1, MACON2, MACON3, MACON4, MABBIPG, MAIPG = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46
MACLCON1, MACLCON2, MAMXFL = 0x48, 0x49, 0x4A
MICMD, MIREGADR, MIWR, MIRD = 0x52, 0x54, 0x56, 0x58
MAADR5, MAADR6, MAADR3, MAADR4, MAADR1, MAADR2 = 0x60, 0x61, 0x62, 0x63, 0x64, 0x65
EBSTSD, EBSTCON, EBSTCS, MISTAT, EREVID = 0x66, 0x67, 0x68, 0x6A, 0x72
ECOCON, EFLOCON, EPAUS = 0x75, 0x77, 0x78

# Where the six octets of the station's address are (22).
MAADR = bytes((MAADR1, MAADR2, MAADR3, MAADR4, MAADR5, MAADR6))

# (first, last, kind, mask of the bits that can be written, reset value); masks and values of a
# pair of registers alternate low, high.
_TABLE = (
    (ERDPT, ERDPT + 1, ETH, 0x1FFF, 0x05FA), (EWRPT, EWRPT + 1, ETH, 0x1FFF, 0),
    (ETXST, ETXND + 1, ETH, 0x1FFF, 0), (ERXST, ERXST + 1, ETH, 0x1FFF, 0x05FA),
    (ERXND, ERXND + 1, ETH, 0x1FFF, 0x1FFF), (ERXRDPT, ERXRDPT + 1, ETH, 0x1FFF, 0x05FA),
    (ERXWRPT, ERXWRPT + 1, ETH, 0, 0), (EDMAST, EDMADST + 1, ETH, 0x1FFF, 0),
    (EDMACS, EDMACS + 1, ETH, 0, 0),
    (EIE, EIE, ETH, 0xFB, 0), (EIR, EIR, ETH, 0x2B, 0), (ESTAT, ESTAT, ETH, 0x52, 0),
    (ECON2, ECON2, ETH, 0xE8, 0x80), (ECON1, ECON1, ETH, 0xFF, 0),
    (EHT0, EPMM0 + 7, ETH, 0xFFFF, 0), (EPMCS, EPMCS + 1, ETH, 0xFFFF, 0),
    (EPMO, EPMO + 1, ETH, 0x1FFF, 0), (ERXFCON, ERXFCON, ETH, 0xFF, 0xA1),
    (EPKTCNT, EPKTCNT, ETH, 0, 0),
    (MACON1, MACON1, MAC, 0x0F, 0), (MACON2, MACON2, MAC, 0, 0), (MACON3, MACON3, MAC, 0xFF, 0),
    (MACON4, MACON4, MAC, 0x70, 0), (MABBIPG, MABBIPG, MAC, 0x7F, 0),
    (MAIPG, MAIPG + 1, MAC, 0x7F7F, 0), (MACLCON1, MACLCON1, MAC, 0x0F, 0x0F),
    (MACLCON2, MACLCON2, MAC, 0x3F, 0x37), (MAMXFL, MAMXFL + 1, MAC, 0xFFFF, 0x0600),
    (MICMD, MICMD, MII, 0x03, 0), (MIREGADR, MIREGADR, MII, 0x1F, 0),
    (MIWR, MIWR + 1, MII, 0xFFFF, 0), (MIRD, MIRD + 1, MII, 0, 0),
    (MAADR5, MAADR2, MAC, 0xFFFF, 0), (EBSTSD, EBSTCON, ETH, 0xFFFF, 0),
    (EBSTCS, EBSTCS + 1, ETH, 0, 0), (MISTAT, MISTAT, MII, 0, 0), (EREVID, EREVID, ETH, 0, 0),
    (ECOCON, ECOCON, ETH, 0x07, 0), (EFLOCON, EFLOCON, ETH, 0x03, 0),
    (EPAUS, EPAUS + 1, ETH, 0xFFFF, 0x1000),
)

KIND = bytearray(128)
MASK = bytearray(128)
RESET = bytearray(128)


def _fill():
    # Reserved ones that the old data sheets gave names are still of the group they stand in.
    for i in range(0x40, 0x5A):
        KIND[i] = MAC if i < 0x50 else MII
    for i in range(0x1A, 128, 32):
        KIND[i] = RESERVED
    for first, last, kind, mask, value in _TABLE:
        for i in range(first, last + 1):
            shift = 8 if (i - first) & 1 else 0
            KIND[i] = kind
            MASK[i] = mask >> shift & 255
            RESET[i] = value >> shift & 255


_fill()


class Dice:
    """Seeded chance that needs no large integers (Wichmann and Hill's generators)."""

    def __init__(self, seed=1):
        self.a = seed % 30268 + 1
        self.b = seed * 7 % 30306 + 1

    def below(self, n):
        """0 to n - 1, for n up to 30000."""
        self.a = a = 171 * self.a % 30269
        self.b = b = 172 * self.b % 30307
        return (a + b) % n
