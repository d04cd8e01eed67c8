"""What an experiment runs: combinations, seeds, the same chance for all; and what becomes of failures."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.cli.scenarios import parameters
from kamaelia.testbed import Network, Trace
from kamaelia.testbed.experiments import Experiment, InlineExecutor, Standing
from kamaelia.testbed.experiments.experiment import label
from kamaelia.testbed.links import UniformLoss

from .scenarios import coin, drawn, endless, heard, line

INLINE = InlineExecutor()


def run(experiment: Experiment, **options: Any) -> Any:
    return experiment.run(folder=None, executor=INLINE, **options)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- what is run ------------------------------------------------------------------------------------------


def test_all_combinations_are_run_with_all_seeds() -> None:
    experiment = Experiment(line, loss=[0, 0.1], others=range(3), packets=5, seeds=2, seconds=2)
    assert experiment.points == [
        {"loss": loss, "others": others, "packets": 5} for loss in (0, 0.1) for others in (0, 1, 2)
    ]
    assert experiment.total == 12
    done = [(one.parameters["loss"], one.parameters["others"], one.seed) for one in experiment.tasks()]
    assert done[:7] == [(0, 0, 0), (0, 1, 0), (0, 2, 0), (0.1, 0, 0), (0.1, 1, 0), (0.1, 2, 0), (0, 0, 1)]
    assert len(set(done)) == 12


def test_points_are_run_as_they_are_listed() -> None:
    points = [{"loss": 0, "delay": 0.1}, {"loss": 0.5, "delay": 0.2}]
    experiment = Experiment(line, points=points, packets=[1, 2], seeds=[7, "storm"])
    assert experiment.points == [{"packets": packets, **one} for packets in (1, 2) for one in points]
    assert experiment.seeds == [7, "storm"]


def test_there_are_twenty_seeds_unless_somebody_says_otherwise() -> None:
    assert Experiment(coin).seeds == list(range(20))
    assert Experiment(coin, seeds="100:103").seeds == [100, 101, 102]


def test_exact_values_come_of_a_network_without_chance() -> None:
    study = run(Experiment(line, loss=UniformLoss(0), packets=[10, 50], seeds=3, seconds=2, outcome=heard))
    assert [one.outcome for one in study.runs] == [{"heard": 10, "sum": 45}] * 3 + [
        {"heard": 50, "sum": 1225}
    ] * 3
    assert {one.parameters["loss"] for one in study.runs} == {label(UniformLoss(0))}
    assert [one.figures["links.sent"] for one in study.runs] == [10] * 3 + [50] * 3
    assert all(one.figures["heard.total"] == one.outcome["heard"] for one in study.runs)


def test_the_same_run_is_the_same_again() -> None:
    experiment = Experiment(line, loss=0.3, seeds=3, seconds=2, outcome=heard)
    first, second = run(experiment), run(experiment)
    assert [one.fingerprint for one in first.runs] == [one.fingerprint for one in second.runs]
    assert len({one.fingerprint for one in first.runs}) == 3
    assert [one.values for one in first.runs] == [one.values for one in second.runs]


def test_options_reach_the_simulation() -> None:
    study = run(
        Experiment(line, seeds=1, seconds=5, until="server", measure="queues", keep=10, queue="64 KiB")
    )
    figures = study.runs[0].figures
    assert figures["seconds"] == pytest.approx(0.5)
    assert "server > phone: queue.delay.p95" in figures


# -- common random numbers --------------------------------------------------------------------------------


def losses(trace: Trace) -> dict[str, float]:
    """Return which of the packets were lost, as one number."""
    came = set(trace.results["phone"])
    return {"lost": sum(1 << number for number in range(50) if number not in came)}


def test_variants_lose_the_same_packets_with_the_same_seed() -> None:
    """The loss of a link draws from a stream of its own: a queue, a delay, other hosts change nothing."""
    experiment = Experiment(
        line,
        loss=0.2,
        seeds=5,
        seconds=3,
        outcome=losses,
    )
    plain = [one.outcome["lost"] for one in run(experiment).runs]
    assert len(set(plain)) == 5
    variants: list[dict[str, Any]] = [{"queue": "codel"}, {"delay": 0.2}, {"others": 7}]
    for variant in variants:
        other = Experiment(line, loss=0.2, seeds=5, seconds=3, outcome=losses, **variant)
        assert [one.outcome["lost"] for one in run(other).runs] == plain, variant


@pytest.mark.one_core
def test_what_is_lost_at_five_percent_is_lost_at_ten() -> None:
    """With the same stream, more loss only adds to what is lost."""
    study = run(Experiment(line, loss=[0.05, 0.1, 0.4], seeds=10, seconds=2, outcome=losses))
    lost = {(one.parameters["loss"], one.seed): int(one.outcome["lost"]) for one in study.runs}
    for seed in range(10):
        low, middle, high = (lost[loss, seed] for loss in (0.05, 0.1, 0.4))
        assert low & ~middle == 0
        assert middle & ~high == 0
    assert sum(lost[0.4, seed].bit_count() for seed in range(10)) > 150


# -- failures ---------------------------------------------------------------------------------------------


def test_a_host_that_fails_is_a_row_with_its_error_and_its_command() -> None:
    study = run(Experiment(coin, fails=0.5, add=1, seeds=10, seconds=2, outcome=drawn))
    failed = study.failures
    assert len(study.runs) == 10 and 0 < len(failed) < 10
    for one in failed:
        assert one.error is not None and "table: ValueError: unlucky <b>&amp;</b> (scenarios.py:" in one.error
        assert one.replay == (
            f"kamaelia simulate {study.about['scenario']} --seed={one.seed} --seconds=2 --param=fails=0.5 "
            "--param=add=1"
        )
        assert one.figures["seconds"] > 0
    counts = study.summary("number").groups[0]
    assert (counts.failed, counts.interval.count) == (len(failed), 10 - len(failed))


@pytest.mark.one_core
def test_a_text_that_reads_as_a_number_is_given_as_a_text() -> None:
    (task,) = Experiment(cannot, kind="7", seeds=1, seconds=2).tasks()
    words = shlex.split(task.replay)
    assert parameters([words[-1].removeprefix("--param=")]) == {"kind": "7"}


@pytest.mark.one_core
def test_what_no_command_can_say_is_said_in_python() -> None:
    (task,) = Experiment(line, loss=UniformLoss("5 %"), seeds=[3]).tasks()
    assert task.replay == "line(loss=UniformLoss(share=0.05)).simulate(60, seed=3)"


def cannot(kind: str = "raises") -> Any:
    """Do what a scenario must not."""
    if kind == "raises":
        raise RuntimeError("no network today")
    return kind


def test_a_scenario_that_raises_or_returns_something_else_is_a_row() -> None:
    study = run(Experiment(cannot, kind=["raises", "other"], seeds=1))
    assert "RuntimeError: no network today (test_experiment.py:" in study.runs[0].error
    assert "has returned 'other', and no Network" in study.runs[1].error
    assert study.runs[0].fingerprint == ""


@pytest.mark.parametrize("outcome", [lambda trace: 7, lambda trace: {"a": "b"}, lambda trace: {7: 7}])
def test_an_outcome_that_is_no_numbers_is_a_row(outcome: Any) -> None:
    (one,) = run(Experiment(coin, seeds=1, outcome=outcome)).runs
    assert one.error is not None and "outcome= returned" in one.error
    assert one.outcome == {} and one.figures["results.count"] == 1  # what was measured is there all the same


def test_a_run_that_takes_too_long_is_given_up() -> None:
    (one,) = run(Experiment(endless, seeds=1, seconds="1 h", within=0.2)).runs
    assert one.error is not None and "given up" in one.error and "after 0.2 s of real time" in one.error
    assert 0 < one.figures["seconds"] < 3600


# -- what is refused --------------------------------------------------------------------------------------


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Experiment(line, los=[0]), "line takes no 'los'; did you mean 'loss'"),
        (lambda: Experiment(lambda size: Network()), "needs 'size': give Experiment"),
        (lambda: Experiment(line, loss=[]), r"loss=\[\]: give values"),
        (lambda: Experiment(line, loss=[0, 0.0]), "is there twice|0.0"),
        (lambda: Experiment(line, points=[]), r"points=\[\]"),
        (lambda: Experiment(line, points=[{"loss": 0}, {"delay": 1}]), "the same parameters"),
        (lambda: Experiment(line, points=[{"loss": 0}], loss=1), "both a parameter and in points"),
        (lambda: Experiment(line, loss=[object()]), "has no name by which results could be found"),
        (lambda: Experiment(line, loss=[lambda time: 0]), "has no name by which results could be found"),
        (lambda: Experiment(coin, seeds=0), "seeds"),
        (lambda: Experiment(coin, seeds=[1, 1]), "twice"),
        (lambda: Experiment(coin, seconds=-1), "seconds"),
        (lambda: Experiment(coin, seeds=2_000_000), "make it several experiments"),
        (lambda: Experiment(7), "give a function"),  # type: ignore[arg-type]
        (lambda: Experiment(coin).run(jobs=0), "jobs"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()


@pytest.mark.one_core
def test_values_are_written_down_as_people_would() -> None:
    values = [True, 1, 1.5, "codel", None, UniformLoss("5 %"), (1, 2)]
    assert [label(value) for value in values] == [
        True,
        1,
        1.5,
        "codel",
        None,
        "UniformLoss(share=0.05)",
        "(1, 2)",
    ]
    assert label(coin) == "coin"


# -- how far it has come ----------------------------------------------------------------------------------


def test_progress_is_told_and_what_is_asked_to_stop_stops() -> None:
    told: list[Standing] = []
    experiment = Experiment(coin, add=[0, 1], fails=0.5, seeds=5, seconds=1)
    study = run(experiment, progress=told.append, stop=lambda: bool(told) and told[-1].done >= 4)
    assert [one.done for one in told] == [0, 1, 2, 3, 4]
    assert (told[-1].total, told[-1].known, told[-1].left) == (10, 0, 6)
    assert told[-1].failed == len(study.failures)
    assert (len(study.runs), study.missing) == (4, 6)
    assert [one.seed for one in study.runs] == [0, 1, 0, 1]  # two seeds of both combinations
