"""Chance: the same numbers for the same seed on every runtime."""

_MODULUS = 0x7FFFFFFF
_FACTOR = 48271


class Rand:
    """Lehmer's generator with the factor of Park, Miller and Stockmeyer (1993)."""

    def __init__(self, seed=1):
        # Neighbouring seeds are far apart after two rounds.
        x = (seed * 69621 + 1013904223) % (_MODULUS - 1) + 1
        self._x = x * _FACTOR % _MODULUS * _FACTOR % _MODULUS

    def below(self, n):
        """An integer from 0 to n - 1, n at most 2**24."""
        self._x = x = self._x * _FACTOR % _MODULUS
        return (x >> 6) % n

    def chance(self, ppm):
        """True `ppm` times in a million."""
        self._x = x = self._x * _FACTOR % _MODULUS
        return (x >> 6) % 1000000 < ppm

    def choose(self, *these):
        """One of the arguments."""
        return these[self.below(len(these))]

    def between(self, low, high):
        """An integer from `low` to `high`, small ones as likely as large: even in its logarithm."""
        low += 1
        high += 1
        bits = (high // low).bit_length() if hasattr(high, "bit_length") else _bits(high // low)
        at = low << self.below(bits)
        return min(at + self.below(at), high) - 1

    def bytes(self, n):
        """`n` bytes."""
        out = bytearray(n)
        x = self._x
        for i in range(n):
            x = x * _FACTOR % _MODULUS
            out[i] = x >> 8 & 255
        self._x = x
        return bytes(out)

    def fork(self):
        """A generator of its own, so that what it is used for does not disturb this one."""
        return Rand(self.below(1 << 24))


def _bits(n):
    bits = 0
    while n:
        n >>= 1
        bits += 1
    return bits
