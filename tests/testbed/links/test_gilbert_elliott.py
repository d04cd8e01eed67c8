"""Losses in bursts: exact sequences, closed forms, and run lengths by packets and by time against theory."""

from __future__ import annotations

import math
import re
import statistics
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.links import GilbertElliott, LossModel, RandomStream, UniformLoss

from .chances import ALPHA, SEEDS, chi_square_p, judge, pooled, run_chances, runs

pytestmark = [pytest.mark.one_core, pytest.mark.once]

MS = 10**6
SECOND = 10**9


def pattern(model: LossModel, packets: int, interval: int = 0, seed: int = 7) -> str:
    losses = model.begin(RandomStream(seed, "loss"))
    return "".join("x" if losses.loses(n * interval) else "." for n in range(packets))


# --- exact sequences ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "interval", "expected"),
    [
        (
            GilbertElliott(0.05, 0.25),
            0,
            "....xxxx.....x...............................x...x..........................................xxxxxxxx",
        ),
        (
            GilbertElliott(0.05, 0.25, 0.02, 0.7),
            0,
            "....xx.x.....x..................x............x...x........................................x.xx.xx.xx",
        ),
        (
            GilbertElliott.from_rate("10 %", burst=3),
            0,
            "....x.........x..............................x...x..........................................xxxxxxxx",
        ),
        (
            GilbertElliott.by_time("200 ms", "30 ms"),
            10 * MS,
            "...x.........x.x.....................................................................xx.............",
        ),
        (
            GilbertElliott.by_time("200 ms", "30 ms", 0.01, 0.8),
            10 * MS,
            "...x.........x.x...............................................x......................x.........x...",
        ),
    ],
)
def test_the_same_seed_loses_the_same_packets_for_ever(
    model: LossModel, interval: int, expected: str
) -> None:
    assert pattern(model, 100, interval) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (GilbertElliott(0, 1), "." * 50),
        (GilbertElliott(1, 0), "x" * 50),
        (GilbertElliott(0, 0.5, loss_good=1), "x" * 50),
        (GilbertElliott(0.3, 0.3, loss_bad=0), "." * 50),
    ],
)
def test_chains_that_leave_nothing_to_chance(model: LossModel, expected: str) -> None:
    assert pattern(model, 50) == expected
    assert pattern(GilbertElliott(1, 1), 50) in (".x" * 25, "x." * 25)


# --- closed forms ---------------------------------------------------------------------------------

chance = st.floats(0.01, 1)
share = st.one_of(st.just(0.0), st.floats(1e-9, 1))


@given(chance, chance, share, share)
def test_the_mean_burst_is_the_sum_over_all_lengths(p: float, r: float, g: float, b: float) -> None:
    model = GilbertElliott(p, r, g, b)
    assert model.rate == pytest.approx((r * g + p * b) / (p + r))
    burst = model.mean_burst
    assert (burst is None) == (model.rate == 0)
    assume(burst is not None and burst < 50 and model.rate > 1e-6)  # otherwise the sum would be too long
    chances = run_chances(p, r, g, b, lost=True, longest=2000)
    assert burst == pytest.approx(sum(length * c for length, c in enumerate(chances, 1)), rel=1e-6)


@pytest.mark.parametrize(
    ("model", "rate", "burst"),
    [
        (GilbertElliott(0.01, 0.25), 0.01 / 0.26, 4.0),
        (GilbertElliott("1 %", "25 %"), 0.01 / 0.26, 4.0),
        (GilbertElliott(0.01, 0.25, loss_bad=0.5), 0.005 / 0.26, 1.6),  # 1 / (1 - 0.5 * 0.75)
        (GilbertElliott(0.3, 0.1, 0.2, 0.2), 0.2, 1.25),  # alike in both states: independent
        (GilbertElliott(0.2, 0.8, 0, 1), 0.2, 1.25),  # the next state never depends on this one
        (GilbertElliott(0, 1), 0.0, None),
        (GilbertElliott(1, 0), 1.0, math.inf),
        (GilbertElliott(0.5, 0.5, 0.25, 0.75), 0.5, 2.0),
        (GilbertElliott(1, 1, 0.5, 1), 0.75, 3.0),  # G 0.5 * 0 + B 1 * 0.5 = 0.25 of 0.75
    ],
)
def test_closed_forms(model: GilbertElliott, rate: float, burst: float | None) -> None:
    assert model.rate == pytest.approx(rate)
    assert model.mean_burst == (burst if burst is None else pytest.approx(burst))


@pytest.mark.parametrize(
    ("p", "r", "g", "b"),
    [(0.05, 0.25, 0.0, 1.0), (0.05, 0.25, 0.0, 0.6), (0.1, 0.2, 0.05, 0.7), (0.3, 0.6, 0.2, 0.9)],
)
def test_closed_forms_are_what_simulation_gives(p: float, r: float, g: float, b: float) -> None:
    model = GilbertElliott(p, r, g, b)
    for seed in (1, 2, 3):
        losses = model.begin(RandomStream(seed, "simulation"))
        packets = [losses.loses(0) for _ in range(60_000)]
        bursts, _ = runs(packets, 10**9)
        error = statistics.stdev(bursts) / math.sqrt(len(bursts))
        assert abs(statistics.fmean(bursts) - model.mean_burst) < 4 * error, f"seed {seed}"
        # The packets hang together; so many of them are worth one, in the long run.
        worth = (2 - p - r) / (p + r)
        error = math.sqrt(model.rate * (1 - model.rate) * max(1.0, worth) / len(packets))
        assert abs(sum(packets) / len(packets) - model.rate) < 4 * error, f"seed {seed}"


# --- run lengths, clocked by packets --------------------------------------------------------------

# In these each run begins in the same state, so that their lengths are independent, as the test supposes:
# with loss_good=0 all losses are in the bad state, with loss_bad=1 all deliveries in the good one.
RENEWING = [(0.05, 0.25, 0.0, 1.0), (0.08, 0.25, 0.0, 0.6), (0.1, 0.3, 0.1, 1.0)]


def p_values(model: LossModel, theory: GilbertElliott, interval: int = 0) -> tuple[list[float], list[float]]:
    """Return those of bursts and of gaps, each for all seeds."""
    p, r, g, b = theory.p, theory.r, theory.loss_good, theory.loss_bad
    of_bursts = run_chances(p, r, g, b, lost=True, longest=200)
    of_gaps = run_chances(p, r, g, b, lost=False, longest=1000)
    results: tuple[list[float], list[float]] = ([], [])
    for seed in SEEDS:
        losses = model.begin(RandomStream(seed, "runs"))
        bursts, gaps = runs((losses.loses(n * interval) for n in range(10**6)), 800)
        results[0].append(chi_square_p(*pooled(bursts, of_bursts)))
        results[1].append(chi_square_p(*pooled(gaps, of_gaps)))
    return results


@pytest.mark.parametrize(("p", "r", "g", "b"), RENEWING)
def test_run_lengths_are_those_of_theory(p: float, r: float, g: float, b: float) -> None:
    model = GilbertElliott(p, r, g, b)
    bursts, gaps = p_values(model, model)
    judge(bursts)
    judge(gaps)


def test_the_judges_tell_a_chain_from_one_that_is_a_little_different() -> None:
    bursts, gaps = p_values(GilbertElliott(0.05, 0.25), GilbertElliott(0.06, 0.3))
    for values in (bursts, gaps):
        assert min(values) < ALPHA / len(values)
        with pytest.raises(AssertionError):
            judge(values)


# --- from a rate ----------------------------------------------------------------------------------


@given(st.floats(1e-9, 0.79), st.floats(4, 1000))
def test_from_rate_and_back(rate: float, burst: float) -> None:
    model = GilbertElliott.from_rate(rate, burst)
    assert (model.rate, model.mean_burst) == (pytest.approx(rate), pytest.approx(burst))


@pytest.mark.parametrize(
    ("arguments", "p", "r"),
    [
        (("1 %",), 0.01 / 0.99 / 4, 0.25),
        ((0.01, 5), 0.01 / 0.99 / 5, 0.2),
        ((0.5, 1), 1.0, 1.0),
        ((0.8, 4), 1.0, 0.25),
        ((0, 4), 0.0, 0.25),
        ((0.2, 1.25), 0.2, 0.8),  # independent: the mean burst is 1 / (1 - rate)
    ],
)
def test_from_rate(arguments: Any, p: float, r: float) -> None:
    model = GilbertElliott.from_rate(*arguments)
    assert (model.p, model.r) == (pytest.approx(p), r)
    assert (model.loss_good, model.loss_bad) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GilbertElliott.from_rate(0.81, 4), "rate=0.81 can't be had with burst=4: with one packet"),
        (lambda: GilbertElliott.from_rate(1.0, 1000), "rate=1.0 can't be had with burst=1000"),
        (lambda: GilbertElliott.from_rate(5), "rate=5 is more than all"),
        (lambda: GilbertElliott.from_rate("1 %", 0.5), "burst=0.5: give the mean number of packets"),
        (lambda: GilbertElliott.from_rate("1 %", "4"), "burst='4'"),
        (lambda: GilbertElliott.from_rate("1 %", math.inf), "burst=inf"),
        (lambda: GilbertElliott(0, 0), "GilbertElliott(p=0, r=0) would never change"),
        (lambda: GilbertElliott(1.5, 0.5), "p=1.5 is more than all"),
        (lambda: GilbertElliott(0.5, "half"), "r='half': write a number"),
        (lambda: GilbertElliott(0.5, 0.5, loss_bad=-1), "loss_bad=-1 is no quantity"),
        (lambda: GilbertElliott.by_time(0, "50 ms"), "good=0: give a time that is more than nothing"),
        (lambda: GilbertElliott.by_time("2 s", "50 meters"), "bad='50 meters': write a number"),
        (lambda: GilbertElliott.by_time("2 s", 1, loss_good=2), "loss_good=2 is more than all"),
    ],
)
def test_what_can_not_be(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        make()


# --- clocked by time ------------------------------------------------------------------------------

BY_TIME = GilbertElliott.by_time(good="200 ms", bad="40 ms")


@pytest.mark.parametrize(
    ("model", "interval"),
    [
        (BY_TIME, "10 ms"),
        (BY_TIME, "70 ms"),  # longer than a bad time
        (GilbertElliott.by_time("100 ms", "40 ms", loss_good=0, loss_bad=0.6), "10 ms"),
    ],
)
def test_packets_at_regular_times_see_the_sampled_chain(model: Any, interval: str) -> None:
    bursts, gaps = p_values(model, model.sampled(interval), int(interval.split()[0]) * MS)
    judge(bursts)
    judge(gaps)


def test_the_sampled_chain() -> None:
    chain = BY_TIME.sampled("10 ms")
    change = 1 - math.exp(-10 / 200 - 10 / 40)
    assert chain.p == pytest.approx(change / 6)
    assert chain.r == pytest.approx(change * 5 / 6)
    assert (chain.rate, BY_TIME.rate) == (pytest.approx(1 / 6), pytest.approx(1 / 6))
    # Packets that are far apart are independent of each other.
    far = BY_TIME.sampled("10 s")
    assert far.mean_burst == pytest.approx(UniformLoss(1 / 6).mean_burst)
    assert BY_TIME.mean_burst is None


def test_the_rate_does_not_depend_on_how_packets_are_sent() -> None:
    model = GilbertElliott.by_time("200 ms", "40 ms", loss_good=0.02, loss_bad=0.9)
    assert model.rate == pytest.approx(0.02 * 5 / 6 + 0.9 / 6)
    shares = []
    for seed in SEEDS:
        losses, times = model.begin(RandomStream(seed, "loss")), RandomStream(seed, "times")
        now, count = 0, 0
        for _ in range(5000):
            now += round(times.exponential(50 * MS))
            count += losses.loses(now)
        shares.append(count / 5000)
    error = statistics.stdev(shares) / math.sqrt(len(shares))
    assert abs(statistics.fmean(shares) - model.rate) < 4 * error


def test_bad_times_do_not_depend_on_what_is_sent() -> None:
    for loss_bad in (1.0, 0.5):
        model = GilbertElliott.by_time("200 ms", "40 ms", loss_bad=loss_bad)
        often, seldom = (model.begin(RandomStream(7, "x")) for _ in range(2))
        dense = [often.loses(ms * MS) for ms in range(20_000)]
        sparse = [seldom.loses(ms * MS) for ms in range(0, 20_000, 50)]
        if loss_bad == 1:
            assert sparse == dense[::50]
            assert 0 < sum(sparse) < len(sparse)
        else:  # what is lost differs, but only in bad times
            bad = GilbertElliott.by_time("200 ms", "40 ms").begin(RandomStream(7, "x"))
            is_bad = [bad.loses(ms * MS) for ms in range(20_000)]
            assert all(bad for bad, lost in zip(is_bad, dense, strict=True) if lost)
            assert all(bad for bad, lost in zip(is_bad[::50], sparse, strict=True) if lost)


def test_it_begins_when_it_is_told_to() -> None:
    early, late = (BY_TIME.begin(RandomStream(7, "x"), now) for now in (0, 10**6 * SECOND))
    assert [early.loses(ms * MS) for ms in range(2000)] == [
        late.loses(10**6 * SECOND + ms * MS) for ms in range(2000)
    ]


def test_it_begins_in_either_state_as_often_as_it_is_in_it() -> None:
    for model in (BY_TIME, GilbertElliott(0.05, 0.25)):
        first = sum(model.begin(RandomStream(seed, "first")).loses(0) for seed in range(6000))
        assert abs(first - 1000) < 4 * math.sqrt(6000 * 5 / 36), model


# --- chains that stick ----------------------------------------------------------------------------


def time_to_deliver(model: LossModel, packets: int, seed: int) -> float:
    """Return the seconds that a sender takes that backs off: a packet every 10 ms, and when one is lost again
    after 200 ms, twice that, and so on up to a minute."""
    losses = model.begin(RandomStream(seed, "loss"))
    now = 0
    for _ in range(packets):
        now += 10 * MS
        wait = 200 * MS
        while losses.loses(now):
            now += wait
            wait = min(2 * wait, 60 * SECOND)
    return now / SECOND


def test_a_packet_clocked_chain_sticks_when_the_sender_backs_off() -> None:
    by_time = GilbertElliott.by_time(good="2.4 s", bad="100 ms")
    by_packets = by_time.sampled("10 ms")  # for packets sent regularly they are the same
    timed = statistics.fmean(time_to_deliver(by_time, 3000, seed) for seed in SEEDS)
    stuck = statistics.fmean(time_to_deliver(by_packets, 3000, seed) for seed in SEEDS)
    assert 30 < timed < 40  # 30 s without losses, and at most 0.2 s for each of the dozen bad times
    assert stuck > 10 * timed


@pytest.mark.parametrize(
    ("model", "warned"),
    [
        (GilbertElliott(0.01, 0.25), True),
        (GilbertElliott(0.01, 0.25, loss_bad=0.5), True),
        (GilbertElliott(0.01, 1), False),
        (GilbertElliott(0, 0.5), False),
        (BY_TIME, False),
    ],
)
def test_chains_that_stick_have_a_warning(model: LossModel, warned: bool) -> None:
    warning = model.warning
    if warned:
        assert warning is not None
        assert warning.startswith(f"{model!r} is clocked by packets")
        assert "GilbertElliott.by_time(good='2 s', bad='50 ms')" in warning
    else:
        assert warning is None


def test_how_they_look() -> None:
    assert repr(BY_TIME) == "<good for 200 ms losing 0 %, bad for 40 ms losing 100 %>"
    assert repr(GilbertElliott(0.01, 0.25)) == "GilbertElliott(p=0.01, r=0.25, loss_good=0.0, loss_bad=1.0)"
