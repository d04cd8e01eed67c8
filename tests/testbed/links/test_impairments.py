"""Packets that come twice, out of turn, or changed."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.links import Corruption, Duplication, RandomStream, Reordering
from kamaelia.testbed.links.impairments import checksum_sees

from .chances import SEEDS, chi_square_p, judge, pooled

pytestmark = [pytest.mark.one_core, pytest.mark.once]

MS = 10**6


def stream(seed: int = 7) -> RandomStream:
    return RandomStream(seed, "impairment")


# --- duplication ----------------------------------------------------------------------------------


def test_the_same_seed_duplicates_the_same_packets_for_ever() -> None:
    duplicates = Duplication("10 %").begin(stream())
    assert [n for n in range(1, 101) if duplicates.duplicates()] == [
        8,
        18,
        19,
        32,
        36,
        60,
        63,
        68,
        77,
        80,
        82,
    ]


def test_all_and_none_are_duplicated() -> None:
    for share, expected in ((0, False), (1, True)):
        duplicates = Duplication(share).begin(stream())
        assert {duplicates.duplicates() for _ in range(100)} == {expected}


# --- reordering -----------------------------------------------------------------------------------


def chosen(reordering: Reordering, packets: int, seed: int = 7) -> list[int]:
    reorders = reordering.begin(stream(seed))
    return [n for n in range(1, packets + 1) if reorders.delay(10 * MS) is not None]


@pytest.mark.parametrize(
    ("reordering", "expected"),
    [
        (Reordering(1), list(range(1, 31))),
        (Reordering(1, gap=5), [5, 10, 15, 20, 25, 30]),  # as netem: every fifth
        (Reordering(0, gap=5), []),
        (Reordering("25 %"), [3, 8, 13, 18, 19, 21]),
        (Reordering("25 %", gap=5), [7, 16, 25]),
    ],
)
def test_which_packets_are_reordered(reordering: Reordering, expected: list[int]) -> None:
    assert chosen(reordering, 30) == expected


@pytest.mark.parametrize(
    ("late", "usual", "delay"), [(None, 10 * MS, 0), ("5 ms", 10 * MS, 15 * MS), (0.001, 0, MS), (None, 0, 0)]
)
def test_they_get_ahead_or_are_held_back(late: Any, usual: int, delay: int) -> None:
    assert Reordering(1, late=late).begin(stream()).delay(usual) == delay


@pytest.mark.parametrize(("share", "gap"), [(0.25, 1), (0.25, 5), (1, 4), (0.9, 2), (0, 3)])
def test_how_many_are_reordered(share: float, gap: int) -> None:
    reordering = Reordering(share, gap)
    packets = 50_000
    expected = reordering.rate * packets
    # From one to the next there are gap - 1 packets, and then as many as it takes.
    assert reordering.rate == (1 / (gap - 1 + 1 / share) if share else 0)
    deviation = math.sqrt(packets * (1 - share) * share) if share else 0
    for seed in (1, 2, 3):
        assert abs(len(chosen(reordering, packets, seed)) - expected) <= 4 * deviation + 1, f"seed {seed}"


def test_the_distance_from_one_to_the_next_is_what_theory_says() -> None:
    p_values = []
    for seed in SEEDS:
        numbers = chosen(Reordering(0.3, gap=4), 6000, seed)
        distances = [after - before - 3 for before, after in itertools.pairwise(numbers)][:800]
        p_values.append(chi_square_p(*pooled(distances, [0.3 * 0.7**k for k in range(60)])))
    judge(p_values)


# --- corruption -----------------------------------------------------------------------------------


def test_the_same_seed_corrupts_the_same_bits_for_ever() -> None:
    corruptions = Corruption("10 %", bits=3).begin(stream())
    assert [n for n in range(1, 101) if corruptions.corrupts()] == [6, 16, 17, 30, 34, 58, 61, 66, 75, 78, 80]
    assert corruptions.corrupt(bytes(8)).hex() == "9000800000000000"


def test_which_packets_are_corrupted_does_not_depend_on_their_size() -> None:
    small, large = (Corruption("10 %", bits=3).begin(stream()) for _ in range(2))
    for _ in range(500):
        corrupts = small.corrupts()
        assert large.corrupts() is corrupts
        if corrupts:
            small.corrupt(b"x")
            large.corrupt(bytes(1400))


@given(st.binary(max_size=40), st.integers(1, 400), st.integers(0, 1000))
def test_so_many_bits_are_inverted(data: bytes, bits: int, seed: int) -> None:
    changed = Corruption(1, bits=bits).begin(stream(seed)).corrupt(data)
    assert len(changed) == len(data)
    difference = int.from_bytes(data, "big") ^ int.from_bytes(changed, "big")
    assert difference.bit_count() == min(bits, len(data) * 8)


@pytest.mark.parametrize(("bits", "size", "sets"), [(1, 3, 24), (2, 2, 120), (3, 1, 56)])
def test_each_set_of_bits_is_as_likely_as_any_other(bits: int, size: int, sets: int) -> None:
    numbers = [
        sum(1 << place for place in chosen) for chosen in itertools.combinations(range(size * 8), bits)
    ]
    assert len(numbers) == sets
    p_values = []
    for seed in SEEDS:
        corruptions, counts = Corruption(1, bits=bits).begin(stream(seed)), dict.fromkeys(numbers, 0)
        for _ in range(10 * sets):
            counts[int.from_bytes(corruptions.corrupt(bytes(size)), "big")] += 1
        p_values.append(chi_square_p(list(counts.values()), [10.0] * sets))
    judge(p_values)


# --- the checksum ---------------------------------------------------------------------------------


def internet_checksum(data: bytes) -> int:
    """Return the checksum of a datagram with this payload, as RFC 1071 and RFC 768 say."""
    datagram = bytes.fromhex("c0000201 c0000202 0011") + (len(data) + 8).to_bytes(2, "big")  # pseudo header
    datagram += bytes.fromhex("1389 138a") + (len(data) + 8).to_bytes(2, "big") + data
    datagram += bytes(len(data) % 2)
    total = 0
    for n in range(0, len(datagram), 2):
        total += datagram[n] << 8 | datagram[n + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF or 0xFFFF


@given(st.binary(min_size=1, max_size=30), st.integers(1, 40), st.integers(0, 1000))
def test_the_checksum_is_that_of_udp(data: bytes, bits: int, seed: int) -> None:
    changed = Corruption(1, bits=bits).begin(stream(seed)).corrupt(data)
    assert checksum_sees(data, changed) == (internet_checksum(data) != internet_checksum(changed))


def test_two_bits_that_the_checksum_overlooks() -> None:
    data = bytes(range(16, 26))  # five words
    size = len(data) * 8
    number = int.from_bytes(data, "big")
    overlooked = 0
    for a, b in itertools.combinations(range(size), 2):
        changed = (number ^ 1 << a ^ 1 << b).to_bytes(len(data), "big")
        sees = checksum_sees(data, changed)
        assert sees == (internet_checksum(data) != internet_checksum(changed))
        same_place = a % 16 == b % 16 and (number >> a & 1) != (number >> b & 1)
        assert sees != same_place
        overlooked += not sees
    assert overlooked > 0
    for a in range(size):
        assert checksum_sees(data, (number ^ 1 << a).to_bytes(len(data), "big"))


def test_how_often_the_checksum_overlooks_two_bits() -> None:
    words = 20
    data = bytes.fromhex("aaaa5555") * (words // 2)  # in each place half of the bits are 1
    corruptions = Corruption(1, bits=2).begin(stream())
    found = [corruptions.receive(data) for _ in range(20_000)]
    # Two bits have the same place with the chance (n - 1) / (16 n - 1). In a place of 20 words with ten 1,
    # 100 of the 190 pairs differ; where bits are 1 or 0 by chance, it is half of the pairs.
    chance = 100 / 190 * (words - 1) / (16 * words - 1)
    overlooked = sum(payload is not None for payload in found)
    assert abs(overlooked - 20_000 * chance) < 4 * math.sqrt(20_000 * chance)
    assert all(payload != data for payload in found)


def test_what_the_receiver_gets() -> None:
    checked, unchecked = (Corruption(1, checksum=checksum).begin(stream()) for checksum in (True, False))
    for _ in range(200):
        assert checked.receive(b"hello world") is None
        payload = unchecked.receive(b"hello world")
        assert payload is not None and payload != b"hello world"
    assert checked.receive(b"") is None  # it was in a header
    assert unchecked.receive(b"") == b""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Duplication(2), "share=2 is more than all"),
        (lambda: Reordering("often"), "share='often': write a number"),
        (lambda: Reordering(0.5, gap=0), "gap=0: give a whole number from 1 on"),
        (lambda: Reordering(0.5, gap=2.5), "gap=2.5: give a whole number"),
        (lambda: Reordering(0.5, late=0), "late=0: give a time that is more than nothing"),
        (lambda: Corruption(-1), "share=-1 is no quantity"),
        (lambda: Corruption(0.5, bits=True), "bits=True: give a whole number from 1 on"),
        (lambda: Corruption(0.5, checksum="udp"), "checksum='udp': there are True and False"),
    ],
)
def test_what_users_should_not_write(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        make()
