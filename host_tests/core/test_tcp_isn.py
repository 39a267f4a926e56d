"""Initial sequence numbers and ephemeral ports cannot be guessed and do not repeat."""
from kit import Random

from spinet.prim import diff32, put32
from spinet.tcp.isn import Secret

A, B = b"\x0a\0\0\1", b"\x0a\0\0\2"


def isn(secret, ms, rport=80):
    w = bytearray(4)
    clock = bytearray(4)
    put32(clock, 0, ms)
    secret.isn(w, 0, clock, A, 5000, B, rport)
    return w


def test_one_tuple_advances_by_250_a_millisecond_through_the_clocks_wrap():
    secret = Secret(Random(1))
    for now in (0, 70000, (1 << 30) - 500, (1 << 32) - 500):
        assert diff32(isn(secret, now + 1000), 0, isn(secret, now), 0) == 250000


def test_other_tuples_and_other_secrets_give_other_numbers():
    secret = Secret(Random(1))
    seen = set(bytes(isn(secret, 0, port)) for port in range(50))
    seen.add(bytes(isn(Secret(Random(2)), 0, 0)))
    assert len(seen) == 51


def test_ephemeral_ports_are_spread_and_free():
    secret = Secret(Random(3))
    ports = [secret.port(lambda p: p % 2 == 0) for _ in range(100)]
    assert all(49152 <= p <= 65535 and p % 2 == 0 for p in ports)
    assert len(set(ports)) > 90
    assert secret.port(lambda p: False) == 0
    assert secret.port(lambda p: p == 50000) == 50000
