"""Loss models without states: independent, listed and recorded losses, and what users write."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.links import (
    GilbertElliott,
    LossIntervals,
    LossList,
    LossModel,
    LossTrace,
    RandomStream,
    Uniform,
    UniformLoss,
    loss_model,
)

from .chances import SEEDS, chi_square_p, judge, pooled, runs

pytestmark = [pytest.mark.one_core, pytest.mark.once]

MS = 10**6
SECOND = 10**9


def lost(model: LossModel, packets: int, seed: int = 7) -> list[int]:
    """Return the numbers of the packets that a model loses."""
    losses = model.begin(RandomStream(seed, "loss"))
    return [number for number in range(1, packets + 1) if losses.loses(0)]


# --- independent losses ---------------------------------------------------------------------------


def test_the_same_seed_loses_the_same_packets_for_ever() -> None:
    assert lost(UniformLoss("5 %"), 200) == [9, 27, 29, 66, 91, 99, 101, 112, 114, 182, 185]
    assert lost(UniformLoss("5 %"), 200, seed=8) == [50, 57, 75, 96, 164]


def test_both_directions_lose_on_their_own() -> None:
    model = UniformLoss(0.5)
    there, back = (model.begin(RandomStream(7, name)) for name in ("a > b", "b > a"))
    alone = model.begin(RandomStream(7, "a > b"))
    both = [(there.loses(0), back.loses(0)) for _ in range(100)]
    assert [one for one, _ in both] == [alone.loses(0) for _ in range(100)]
    assert len(set(both)) == 4


def test_a_smaller_share_loses_some_of_the_same_packets() -> None:
    shares = [0.0, 0.01, 0.05, 0.2, 1.0]
    all_lost = [set(lost(UniformLoss(share), 2000)) for share in shares]
    for fewer, more in pairwise(all_lost):
        assert fewer < more
    assert (len(all_lost[0]), len(all_lost[-1])) == (0, 2000)


@pytest.mark.parametrize(
    ("share", "rate", "burst"),
    [(0, 0.0, None), ("20 %", 0.2, 1.25), (0.5, 0.5, 2.0), (1, 1.0, math.inf)],
)
def test_the_figures_of_independent_losses(share: Any, rate: float, burst: float | None) -> None:
    model = UniformLoss(share)
    assert (model.rate, model.mean_burst, model.warning) == (rate, burst, None)


def test_runs_of_independent_losses_are_geometric() -> None:
    for_lost, for_delivered = [], []
    for seed in SEEDS:
        losses = UniformLoss(0.3).begin(RandomStream(seed, "geometric"))
        bursts, gaps = runs((losses.loses(0) for _ in range(100_000)), 1000)
        assert len(bursts) == len(gaps) == 1000
        for_lost.append(chi_square_p(*pooled(bursts, [0.7 * 0.3**k for k in range(50)])))
        for_delivered.append(chi_square_p(*pooled(gaps, [0.3 * 0.7**k for k in range(50)])))
    judge(for_lost)
    judge(for_delivered)


# --- just these packets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "burst"),
    [([], None), ([1], 1.0), ([3, 1, 2, 2], 3.0), ([1, 2, 5, 7, 8, 9], 2.0), ((n for n in (4, 6)), 1.0)],
)
def test_a_list_loses_just_these(numbers: Any, burst: float | None) -> None:
    model = LossList(numbers)
    assert tuple(lost(model, 20)) == model.numbers
    assert (model.rate, model.mean_burst, model.warning) == (None, burst, None)


@pytest.mark.parametrize("numbers", [[0], [1, -1], [1.5], ["1"], [True], "12", 12])
def test_what_are_no_numbers_of_packets(numbers: Any) -> None:
    with pytest.raises(UsageError, match=r"LossList.*give a (list|whole number)"):
        LossList(numbers)


# --- recorded losses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packets", "repeat", "expected", "rate", "burst"),
    [
        ("00110", False, [3, 4], None, 2.0),
        ("00110", True, [3, 4, 8, 9], 0.4, 2.0),
        ("1001 1\n1", False, [1, 4, 5, 6], None, 2.0),
        ("100111", True, [1, 4, 5, 6, 7, 10], 4 / 6, 4.0),  # the run goes on at the beginning
        ([True, False], True, [1, 3, 5, 7, 9], 0.5, 1.0),
        ((1, 0, 0), False, [1], None, 1.0),
        (["1", "0"], False, [1], None, 1.0),
        ("1", True, list(range(1, 11)), 1.0, math.inf),
        ("1", False, [1], None, 1.0),
        ("0", True, [], 0.0, None),
    ],
)
def test_a_trace_is_played_again(
    packets: Any, repeat: bool, expected: list[int], rate: float | None, burst: float | None
) -> None:
    model = LossTrace(packets, repeat)
    assert lost(model, 10) == expected
    assert (model.rate, model.mean_burst) == (rate, burst)
    assert (model.warning is not None) == (burst is not None and burst > 1)


@pytest.mark.parametrize(
    ("packets", "message"),
    [
        ("0012", "packet 4 is '2': say 1 for lost, 0 for delivered"),
        ([0, 0.5], "packet 2 is 0.5"),
        ([None], "packet 1 is None"),
        ("", "says nothing of any packet"),
        ([], "says nothing of any packet"),
        (5, "give a sequence of 0 and 1"),
    ],
)
def test_what_is_no_trace(packets: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        LossTrace(packets)


def test_a_trace_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "loss.txt"
    path.write_text("# of a walk\n0011\n\n0 1 # the corner\n")
    assert LossTrace.read(path, repeat=True) == LossTrace("001101", repeat=True)
    path.write_text("001\n0x1\n")
    with pytest.raises(UsageError, match=r"loss\.txt, line 2: '0x1': a line has to be 1 for lost"):
        LossTrace.read(path)
    path.write_text("# nothing\n")
    with pytest.raises(UsageError, match="says nothing of any packet"):
        LossTrace.read(str(path))
    path.write_bytes(b"\xff\xfe0")
    with pytest.raises(UsageError, match="is no text"):
        LossTrace.read(path)
    with pytest.raises(FileNotFoundError):
        LossTrace.read(tmp_path / "other")


@pytest.mark.parametrize(
    ("time", "once", "again"),
    [
        (0, False, False),
        (999_999_999, False, False),
        (SECOND, True, True),
        (1_499_999_999, True, True),
        (1_500_000_000, False, False),
        (2_000_000_000, True, True),
        (2_500_000_000, True, True),  # one ends when the next begins
        (3_000_000_000, False, False),
        (11 * SECOND, False, True),
        (1_000_000 * SECOND + 1_250 * MS, False, True),
    ],
)
def test_times_of_loss(time: int, once: bool, again: bool) -> None:
    intervals = [("1 s", 1.5), (2, "2500 ms"), (2.5, 3)]
    stream = RandomStream(7, "x")
    assert LossTrace.by_time(intervals).begin(stream).loses(time) is once
    assert LossTrace.by_time(intervals, period="10 s").begin(stream).loses(time) is again


def test_the_figures_of_times_of_loss() -> None:
    once, again = LossTrace.by_time([(1, 2)]), LossTrace.by_time([(1, 2), (3, 3.5)], "10 s")
    assert (once.rate, again.rate) == (None, 0.15)
    assert once.mean_burst is once.warning is None
    assert repr(again) == "<2 times of loss in 10 s>"


@pytest.mark.parametrize(
    ("intervals", "period", "message"),
    [
        ([(1, 1)], None, "(1, 1) is empty"),
        ([(2, 1)], None, "(2, 1) is empty"),
        ([(1, 3), (2, 4)], None, "(2, 4) is empty, or begins before the last one ends"),
        ([("1 h", "soon")], None, "to='soon': write a number"),
        ([(-1, 1)], None, "from=-1"),
        ([], None, "give at least one pair"),
        ([(1, 2)], 1.5, "period=1.5 ends before the last time of loss, at 2 s"),
        ([(1, 2)], 0, "period=0: give a time that is more than nothing"),
    ],
)
def test_what_are_no_times_of_loss(intervals: Any, period: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        LossTrace.by_time(intervals, period)


def test_times_of_loss_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "outages.txt"
    path.write_text("1 1.5\n2.25,3  # the tunnel\n")
    assert LossIntervals.read(path, period=5) == LossTrace.by_time([(1, 1.5), (2.25, 3)], period=5)
    for line in ("1", "1 2 3", "1 two", "1/0 2"):
        path.write_text(f"0 1\n{line}\n")
        with pytest.raises(UsageError, match=r"outages\.txt, line 2: .*: a line has to be from and to"):
            LossIntervals.read(path)


# --- what users write -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "model"),
    [
        (None, None),
        (0, None),
        (0.0, None),
        ("0 %", None),
        (0.05, UniformLoss(0.05)),
        (1, UniformLoss(1)),
        ("5 %", UniformLoss(0.05)),
        (Fraction(1, 4), UniformLoss(0.25)),
        (UniformLoss(0), UniformLoss(0)),
        (LossList([1]), LossList([1])),
        (GilbertElliott(0.1, 0.2), GilbertElliott(0.1, 0.2)),
    ],
)
def test_what_users_write(value: Any, model: LossModel | None) -> None:
    assert loss_model(value) == model


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "loss=5 is more than all: give a share from 0 to 1, or text such as '5 %'"),
        (-0.1, "loss=-0.1 is no quantity"),
        ("five", "loss='five': write a number and one of %"),
        (math.nan, "loss=nan is no quantity"),
        (True, "loss=True: give a share"),
        ([1, 2], "loss=[1, 2]: give a share such as 0.05 or '5 %', or a model such as Gilbert"),
        (Uniform("1 ms"), "loss=Uniform(range=1000000, correlation=0.0): give a share"),
        (GilbertElliott, "loss=GilbertElliott is a kind of model: make one, GilbertElliott(...)"),
    ],
)
def test_what_users_should_not_write(value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        loss_model(value)
