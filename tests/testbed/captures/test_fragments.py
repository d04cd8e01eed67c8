"""Fragments: cut, and put together in any order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.captures.fragments import PATIENCE, Reassembly, fragments
from kamaelia.testbed.captures.headers import FRAGMENT, UDP, ip, ipv4, ipv6, ipv6_fragment
from kamaelia.testbed.captures.parsing import parse

pytestmark = [pytest.mark.one_core, pytest.mark.once]

V4, V6 = ("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")
DATA = bytes(n * 31 & 255 for n in range(4000))


def piece(start: int, end: int, *, more: bool = True, identification: int = 7, data: bytes = DATA) -> bytes:
    """A fragment of ours by hand."""
    return ipv4(*V4, UDP, data[start:end], identification=identification, more_fragments=more, offset=start)


@pytest.mark.parametrize(
    ("ends", "mtu", "size", "lengths"),
    [
        (V4, 1500, 1480, [1500]),
        (V4, 1500, 1481, [1500, 21]),
        (V4, 1500, 2960, [1500, 1500]),
        (V4, 1499, 2960, [1492, 1492, 36]),  # pieces are multiples of 8 bytes
        (V4, 68, 100, [68, 68, 24]),
        (V6, 1500, 1460, [1500]),
        (V6, 1500, 1461, [1496, 61]),
        (V6, 1280, 3000, [1280, 1280, 584]),
    ],
)
def test_fragments_are_as_long_as_they_may_be(
    ends: tuple[str, str], mtu: int, size: int, lengths: list[int]
) -> None:
    pieces = fragments(ip(*ends, UDP, DATA[:size], identification=7), mtu, identification=7)
    assert [len(one) for one in pieces] == lengths
    if len(pieces) > 1:
        found = [parse(one) for one in pieces]
        assert b"".join(one.payload for one in found) == DATA[:size]
        assert [one.more_fragments for one in found] == [True] * (len(found) - 1) + [False]
        assert {one.identification for one in found} == {7}


def test_fragments_keep_what_the_packet_said() -> None:
    pieces = fragments(ip(*V4, 99, DATA, hops=9, dscp=46, ecn=2, identification=0x1234), 1500)
    for found in map(parse, pieces):
        assert (found.protocol, found.hops, found.dscp, found.ecn) == (99, 9, 46, 2)
        assert found.identification == 0x1234
    pieces = fragments(ip(*V6, 99, DATA, hops=9, dscp=46, ecn=2, flow_label=5), 1500, identification=1 << 31)
    for found in map(parse, pieces):
        assert (found.protocol, found.hops, found.dscp, found.ecn, found.flow_label) == (99, 9, 46, 2, 5)
        assert found.identification == 1 << 31


def test_a_fragment_is_cut_again() -> None:
    """A router with a smaller MTU cuts what another has cut."""
    first = fragments(ip(*V4, UDP, DATA, identification=7), 1500)
    reassembly = Reassembly()
    found = [reassembly.add(0, parse(small)) for one in first for small in fragments(one, 576)]
    assert found[:-1] == [None] * (len(found) - 1) and found[-1] == (UDP, DATA)


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (ip(*V4, UDP, DATA, dont_fragment=True), "may not be cut"),
        (ip(*V6, UDP, DATA), "give it whole, with identification="),
        (ipv6(*V6, FRAGMENT, ipv6_fragment(UDP, DATA, identification=1)), "give it whole"),
        (ip(*V4, UDP, DATA)[:2000], "2000 bytes of a packet of 4020"),
        (b"\x46" + ip(*V4, UDP, DATA)[1:], "4 bytes of options"),
        (bytes(2000), "no IP packet"),
    ],
)
def test_what_cannot_be_cut(packet: bytes, words: str) -> None:
    identification = 1 if packet[6:7] == bytes([FRAGMENT]) else None
    with pytest.raises(UsageError, match=words):
        fragments(packet, 1500, identification=identification)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([V4, V6]),
    st.integers(1, 20000),
    st.integers(1280, 3000),
    st.randoms(use_true_random=False),
)
def test_whatever_the_order_of_its_pieces_a_packet_comes_together_once(
    ends: tuple[str, str], size: int, mtu: int, chance: random.Random
) -> None:
    data = (DATA * 5)[:size]
    pieces = fragments(ip(*ends, UDP, data), mtu, identification=9)
    if len(pieces) == 1:
        return
    last = pieces.pop(chance.randrange(len(pieces)))
    pieces += chance.choices(pieces, k=3) if pieces else []  # copies change nothing
    chance.shuffle(pieces)
    reassembly = Reassembly()
    assert [reassembly.add(0, parse(one)) for one in pieces] == [None] * len(pieces)
    assert reassembly.incomplete == 1
    assert reassembly.add(0, parse(last)) == (UDP, data)
    assert (reassembly.incomplete, reassembly.given_up) == (0, 0)


def test_pieces_of_different_packets_do_not_mix() -> None:
    reassembly = Reassembly()
    assert reassembly.add(0, parse(piece(0, 800))) is None
    others = [
        (piece(800, 1000, more=False, identification=8), None),
        (piece(800, 1000, more=False), "elsewhere"),
        (ipv4(*V4, 99, DATA[800:1000], identification=7, offset=800), None),
        (ipv4("10.0.0.3", "10.0.0.2", UDP, DATA[800:1000], identification=7, offset=800), None),
        (ipv4("10.0.0.1", "10.0.0.3", UDP, DATA[800:1000], identification=7, offset=800), None),
    ]
    for packet, where in others:
        assert reassembly.add(0, parse(packet), where=where) is None
    assert reassembly.incomplete == 6
    assert reassembly.add(0, parse(piece(800, 1000, more=False))) == (UDP, DATA[:1000])


def test_over_ipv6_the_first_piece_says_what_the_packet_is() -> None:
    reassembly = Reassembly()
    for start, protocol, more in ((8, 99, False), (0, UDP, True)):
        part = ipv6_fragment(
            protocol, DATA[start : start + 8], identification=1, offset=start, more_fragments=more
        )
        whole = reassembly.add(0, parse(ipv6(*V6, FRAGMENT, part)))
    assert whole == (UDP, DATA[:16])


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, 800), piece(0, 800, data=DATA[1:])],  # another text at the same place
        [piece(0, 800), piece(792, 1600), piece(1600, 1700, more=False)],  # more than there is room for
        [piece(0, 16), piece(8, 16), piece(24, 32, more=False)],  # as many bytes as it takes, and a hole
        [piece(800, 1000, more=False), piece(1600, 1700, more=False)],  # two ends
        [piece(800, 1000, more=False), piece(0, 8), piece(3000, 3800)],  # a piece after the end
        [ipv4(*V4, UDP, DATA[:9], identification=7, more_fragments=True)],  # no multiple of 8
        [ipv4(*V4, UDP, b"", identification=7, more_fragments=True)],
        [ipv4(*V4, UDP, DATA[:16], identification=7, offset=65528)],  # longer than any packet
    ],
)
def test_pieces_that_do_not_fit_are_given_up(pieces: list[bytes]) -> None:
    reassembly = Reassembly()
    found = [reassembly.add(0, parse(one)) for one in pieces]
    assert found == [None] * len(pieces)
    assert (reassembly.given_up, reassembly.incomplete) == (1, 0)


def test_patience_ends() -> None:
    reassembly = Reassembly()
    reassembly.add(5, parse(piece(0, 800)))
    assert reassembly.add(5 + PATIENCE, parse(piece(800, 1000, more=False))) == (UDP, DATA[:1000])
    reassembly.add(5, parse(piece(0, 800)))
    assert reassembly.add(6 + PATIENCE, parse(piece(800, 1000, more=False))) is None
    assert (reassembly.given_up, reassembly.incomplete) == (1, 1)


def test_memory_is_bounded() -> None:
    reassembly = Reassembly(limit=10)
    for number in range(25):
        assert reassembly.add(number, parse(piece(0, 800, identification=number))) is None
    assert (reassembly.incomplete, reassembly.given_up) == (10, 15)
    assert reassembly.add(30, parse(piece(800, 1000, more=False, identification=15))) == (UDP, DATA[:1000])
    assert reassembly.add(30, parse(piece(800, 1000, more=False, identification=14))) is None
    with pytest.raises(UsageError, match="limit=0"):
        Reassembly(limit=0)
