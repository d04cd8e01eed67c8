"""What all descriptions have in common: they are compared, shared, sent to other processes, and never
change."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from typing import Any

import pytest

from kamaelia.testbed import links
from kamaelia.testbed.links import (
    ConstantRate,
    Corruption,
    Duplication,
    Empirical,
    Exponential,
    GilbertElliott,
    LossList,
    LossTrace,
    Normal,
    Pareto,
    RandomStream,
    RateFunction,
    RateTrace,
    Reordering,
    Uniform,
    UniformLoss,
)
from kamaelia.testbed.links.quantities import as_text

pytestmark = [pytest.mark.one_core, pytest.mark.once]


def rate(seconds: float) -> float:
    return 1e6 + seconds


DESCRIPTIONS = [
    lambda: UniformLoss("5 %"),
    lambda: GilbertElliott(0.1, 0.2, 0.01, 0.9),
    lambda: GilbertElliott.by_time("2 s", "50 ms"),
    lambda: LossList([1, 5]),
    lambda: LossTrace("0110", repeat=True),
    lambda: LossTrace.by_time([(1, 2)], period=5),
    lambda: Uniform("2 ms", 0.5),
    lambda: Normal("2 ms"),
    lambda: Exponential("2 ms"),
    lambda: Pareto("2 ms", 4),
    lambda: Empirical([0.1, 0.2]),
    lambda: ConstantRate("2 Mbit/s"),
    lambda: RateTrace([(0, 5), (1, 6)], period=2),
    lambda: RateFunction(rate),
    lambda: Duplication(0.1),
    lambda: Reordering(0.1, gap=5, late="5 ms"),
    lambda: Corruption(0.1, bits=2, checksum=False),
]


@pytest.mark.parametrize("make", DESCRIPTIONS, ids=lambda make: repr(make()))
def test_descriptions(make: Any) -> None:
    one, other = make(), make()
    assert one == other and hash(one) == hash(other) and one is not other
    assert pickle.loads(pickle.dumps(one)) == one
    assert not hasattr(one, "__dict__")
    for field in dataclasses.fields(one):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, field.name, None)
    with pytest.raises((AttributeError, TypeError)):
        one.other = 5


@pytest.mark.parametrize(
    "make", [make for make in DESCRIPTIONS if hasattr(make(), "begin")], ids=lambda make: repr(make())
)
def test_a_description_is_shared_and_what_is_begun_is_not(make: Any) -> None:
    def use(begun: Any) -> list[Any]:
        ask = {"loses": (0,), "draw": (), "duplicates": (), "delay": (10,), "corrupts": (), "send": (0, 9)}
        name = next(name for name in ask if hasattr(begun, name))
        return [getattr(begun, name)(*ask[name]) for _ in range(50)]

    shared = make()
    chance = () if hasattr(shared, "finish") else (RandomStream(7, "a"), RandomStream(7, "b"))
    first, second = (shared.begin(*chance[n : n + 1]) for n in range(2))
    assert not hasattr(first, "__dict__")
    assert sys.getsizeof(first) <= 100
    alone = make().begin(*[RandomStream(7, "b")][: len(chance)])
    use(first)
    assert use(second) == use(alone)


def test_all_public_names_are_there_and_described() -> None:
    assert sorted(links.__all__) == sorted(set(links.__all__))
    for name in links.__all__:
        assert getattr(links, name).__doc__, name


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1 us"),
        (1_500_000, "1.5 ms"),
        (90_000_000_000, "90 s"),
        (123_456_789, "123.456789 ms"),
    ],
)
def test_times_as_text(time: int, text: str) -> None:
    assert as_text(time) == text
