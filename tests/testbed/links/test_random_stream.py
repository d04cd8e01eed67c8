"""Streams: the same numbers as Java's SplittableRandom, and the same on every machine."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.links import RandomStream
from kamaelia.testbed.links.random_stream import mix_gamma

from .chances import SEEDS, chi_square_p, judge

pytestmark = [pytest.mark.one_core, pytest.mark.once]

GOLDEN = 0x9E3779B97F4A7C15  # the gamma of a SplittableRandom that was made from a seed


def java(seed: int) -> RandomStream:
    """Return the stream of ``new SplittableRandom(seed)``."""
    stream = RandomStream(0, "")
    stream.state, stream.gamma = seed % 2**64, GOLDEN
    return stream


# What OpenJDK 17 says: four of nextLong(); from a split of that, three; one more of the first; two of
# nextDouble() of the split; and one of a split of a split of it. The first four of 1234567 are also those
# that are published for SplitMix64 elsewhere (6457827717110365317, 3203168211198807973, ...).
JAVA = [
    (
        0,
        [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC],
        [0x0FB91397EBF3D900, 0xB2CC499E0B2FD1CF, 0xDB26A36513E69D6C],
        0x2C829ABE1F4532E1,
        ["0x1.945ce630bc542p-2", "0x1.797803458d9b3p-1"],
        0x949C1F5BBFA56567,
    ),
    (
        42,
        [0xBDD732262FEB6E95, 0x28EFE333B266F103, 0x47526757130F9F52, 0x581CE1FF0E4AE394],
        [0x950D05035AC16587, 0xB7C6BCD0F1AB3967, 0x65E4CC9D19E205C6],
        0x37E9671C45376D5D,
        ["0x1.1ffbf803e2220p-3", "0x1.c1f702393d0c2p-1"],
        0xFE4FEEDD392629D8,
    ),
    (
        1234567,
        [0x599ED017FB08FC85, 0x2C73F08458540FA5, 0x883EBCE5A3F27C77, 0x3FBEF740E9177B3F],
        [0x3FD7D72D3B4F3DBB, 0x47391ABCFDE9923E, 0xC9E638ADA47DDB0B],
        0x9734AED70F5D5E85,
        ["0x1.8d87d81bf1c8cp-3", "0x1.aadd7945572b2p-1"],
        0xB4494FB9D7A4D98F,
    ),
    (
        -1,
        [0xE4D971771B652C20, 0xE99FF867DBF682C9, 0x382FF84CB27281E9, 0x6D1DB36CCBA982D2],
        [0x503B2EAD0ABC892C, 0x256FFBC4204240A2, 0x7EE4B685E6A10253],
        0xF14F2CF802083FA5,
        ["0x1.f581df0c027eep-1", "0x1.36d769fab8c6ap-1"],
        0x9EECB89E6402067C,
    ),
]


@pytest.mark.parametrize(("seed", "first", "of_split", "after", "doubles", "deep"), JAVA)
def test_the_numbers_are_those_of_java(
    seed: int, first: list[int], of_split: list[int], after: int, doubles: list[str], deep: int
) -> None:
    stream = java(seed)
    assert [stream.bits() for _ in first] == first
    split = stream.split()
    assert [split.bits() for _ in of_split] == of_split
    assert stream.bits() == after
    assert [split.random().hex() for _ in doubles] == doubles
    assert split.split().split().bits() == deep


def test_many_gammas_are_those_of_java() -> None:
    # h = 31 h + (a xor b), where a and b are the first two of nextLong() of each of 20,000 splits of seed 7
    stream, total = java(7), 0
    for _ in range(20_000):
        split = stream.split()
        total = (31 * total + (split.bits() ^ split.bits())) % 2**64
    assert total == 0x17746B5182BFAC28


def test_gammas_are_odd_and_change_often_enough() -> None:
    for n in range(5000):
        gamma = mix_gamma(n * GOLDEN % 2**64)
        assert gamma % 2 == 1 and gamma < 2**64
        assert (gamma ^ (gamma >> 1)).bit_count() >= 24
    assert mix_gamma(0) == 0xAAAAAAAAAAAAAAAA ^ 1  # the mixed number is 1: weak, so it is changed


# --- names ----------------------------------------------------------------------------------------


def test_a_name_has_the_same_numbers_for_ever() -> None:
    stream = RandomStream(7, "server > phone/loss")
    assert (stream.state, stream.gamma) == (0xF3F6859D8E5DD165, 0x1A61D67C06B62CD9)
    assert [stream.bits() for _ in range(3)] == [0x4697B1F5A95FF777, 0xA5F491D7B5BF4158, 0xCB61AC0BD61A4BD7]


def test_the_start_and_the_gamma_are_a_hash_of_seed_and_name() -> None:
    digest = hashlib.blake2b(b"7/a > b/loss", digest_size=16).hexdigest()
    stream = RandomStream(7, "a > b/loss")
    assert f"{stream.state:016x}" == digest[:16]
    assert stream.gamma == mix_gamma(int(digest[16:], 16))
    assert RandomStream("7", "a > b/loss").bits() == RandomStream(7, "a > b/loss").bits()


def test_names_and_seeds_have_numbers_of_their_own() -> None:
    streams = [RandomStream(seed, name) for seed in range(50) for name in ("a", "b", "a > b/loss", "")]
    assert len({stream.bits() for stream in streams}) == 200
    assert len({stream.gamma for stream in streams}) == 200


def test_streams_of_neighbouring_names_have_nothing_in_common() -> None:
    p_values = []
    for seed in SEEDS:
        one, other = RandomStream(seed, "link 1"), RandomStream(seed, "link 2")
        table = [0] * 64
        for _ in range(2000):
            table[8 * one.below(8) + other.below(8)] += 1
        p_values.append(chi_square_p(table, [2000 / 64] * 64))
    judge(p_values)


def test_a_stream_is_small() -> None:
    assert not hasattr(RandomStream(1, "x"), "__dict__")


# --- what is made of the bits ---------------------------------------------------------------------


def test_each_method_has_the_same_numbers_for_ever() -> None:
    def stream() -> RandomStream:
        return RandomStream(7, "example")

    assert stream().random().hex() == "0x1.a423b4b669e9bp-1"
    assert stream().inside().hex() == "0x1.a423b4b669e9bp-1"
    assert stream().uniform(-3, 5).hex() == "0x1.c847696cd3d36p+1"
    assert stream().exponential(10).hex() == "0x1.12e375fbffef8p+4"
    assert stream().normal(10, 2).hex() == "0x1.7ab9e68253ecdp+3"
    one = stream()
    assert [one.below(10) for _ in range(20)] == [8, 4, 9, 5, 1, 7, 7, 0, 0, 1, 6, 5, 1, 8, 3, 2, 0, 0, 1, 8]


def test_every_method_takes_one_step() -> None:
    for draw in ("bits", "random", "inside", "normal"):
        stream, steps = RandomStream(7, "x"), RandomStream(7, "x")
        getattr(stream, draw)()
        steps.bits()
        assert stream.state == steps.state, draw


class Fixed(RandomStream):
    """A stream of given bits."""

    __slots__ = ("given",)

    def __init__(self, *given: int) -> None:
        super().__init__(0, "")
        self.given = iter(given)

    def bits(self) -> int:
        return next(self.given)


def test_the_ends_of_the_range() -> None:
    assert Fixed(0).random() == 0.0
    assert Fixed(2**64 - 1).random() == 1 - 2**-53
    assert Fixed(0).inside() == 2**-53
    assert Fixed(2**64 - 1).inside() == 1 - 2**-53
    assert Fixed(0).exponential(1) == pytest.approx(2**-53, rel=1e-12)
    assert Fixed(2**64 - 1).exponential(1) == pytest.approx(53 * math.log(2), rel=1e-15)
    assert Fixed(0).normal() == -Fixed(2**64 - 1).normal() == pytest.approx(-8.2095, abs=1e-4)


def test_below_draws_again_what_would_make_some_numbers_likelier() -> None:
    # 2**64 = 3 * 6148914691236517205 + 1: one product of 2**64 is too many, that of 0.
    assert Fixed(0, 2**63).below(3) == 1
    assert Fixed(1).below(3) == 0
    assert Fixed(2**64 - 1).below(3) == 2
    assert Fixed(0).below(4) == 0  # divides evenly: none is too many
    assert Fixed(2**64 - 1).below(2**64) == 2**64 - 1
    assert Fixed(12345).below(1) == 0


@pytest.mark.parametrize("n", [0, -1, 2**64 + 1])
def test_below_refuses_what_it_can_not_do(n: int) -> None:
    with pytest.raises(UsageError, match=r"below\(.*give a whole number from 1 up to 2\*\*64"):
        RandomStream(1, "x").below(n)


@pytest.mark.parametrize("n", [2, 3, 6, 10, 37])
def test_below_is_even(n: int) -> None:
    p_values = []
    for seed in SEEDS:
        stream, counts = RandomStream(seed, "below"), [0] * n
        for _ in range(1500):
            counts[stream.below(n)] += 1
        p_values.append(chi_square_p(counts, [1500 / n] * n))
    judge(p_values)


@pytest.mark.parametrize(
    ("draw", "share_below"),
    [
        ("random", lambda x: x),
        ("inside", lambda x: x),
        ("uniform", lambda x: (x + 3) / 8),
        ("exponential", lambda x: 1 - math.exp(-x / 10)),
        ("normal", statistics.NormalDist(10, 2).cdf),
    ],
)
def test_the_distributions_are_what_they_are_called(draw: str, share_below: Callable[[float], float]) -> None:
    arguments = {"uniform": (-3, 5), "exponential": (10,), "normal": (10, 2)}.get(draw, ())
    p_values = []
    for seed in SEEDS:
        stream, counts = RandomStream(seed, draw), [0] * 40
        for _ in range(2000):
            counts[int(share_below(getattr(stream, draw)(*arguments)) * 40)] += 1
        p_values.append(chi_square_p(counts, [50.0] * 40))
    judge(p_values)


def test_numbers_that_follow_one_another_are_independent() -> None:
    p_values = []
    for seed in SEEDS:
        stream, table = RandomStream(seed, "pairs"), [0] * 64
        numbers = [stream.below(8) for _ in range(4000)]
        for one, other in zip(numbers[::2], numbers[1::2], strict=True):
            table[8 * one + other] += 1
        p_values.append(chi_square_p(table, [2000 / 64] * 64))
    judge(p_values)
