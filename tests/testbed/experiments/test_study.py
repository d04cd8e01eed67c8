"""What a study says: exact means, pairs, corrections, tables, and what it refuses to say."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan, nan
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.experiments import Run, Study, interval

pytestmark = pytest.mark.one_core


def study(
    value: Callable[[dict[str, Any], int], float | None],
    parameters: dict[str, list[Any]],
    seeds: int = 4,
    **about: Any,
) -> Study:
    """Make a study of two parameters at most, with values that a function gives; None is a failure."""
    points: list[dict[str, Any]] = [{}]
    for name, values in parameters.items():
        points = [{**point, name: one} for point in points for one in values]
    runs = []
    for point in points:
        for seed in range(seeds):
            found = value(point, seed)
            if found is None:
                runs.append(Run(point, seed, error="ValueError: no", replay=f"again {seed}"))
            elif not isnan(found):
                runs.append(Run(point, seed, {"p95": found}, {"links.sent": 10.0 + seed, "all": 1.0}))
    return Study({"name": "made up", **about}, points, list(range(seeds)), runs)


def queue(point: dict[str, Any], seed: int) -> float:
    """Codel takes 2 off, and a little that depends on the seed; the seed itself weighs far more."""
    return 100.0 * seed + (-2 - seed / 10 if point["queue"] == "codel" else 0.0)


QUEUES = {"queue": ["drop-tail", "codel"]}


def test_a_summary_has_a_mean_and_an_interval_for_each_combination() -> None:
    found = study(queue, QUEUES).summary("p95")
    assert found.by == ("queue",)
    assert [one.where for one in found.groups] == [{"queue": "drop-tail"}, {"queue": "codel"}]
    assert found.groups[0].values == {0: 0.0, 1: 100.0, 2: 200.0, 3: 300.0}
    assert found.groups[0].interval == interval([0.0, 100.0, 200.0, 300.0])
    assert str(found).splitlines()[:2] == [
        "queue      runs  failed  mean of p95      interval",
        "drop-tail     4       0          150  -55.4 to 355",
    ]


def test_a_comparison_is_of_pairs() -> None:
    found = study(queue, QUEUES).compare("queue", "drop-tail", "codel", "p95")
    expected = interval([-2.0, -2.1, -2.2, -2.3])
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert found.interval.mean == pytest.approx(-2.15) and found.interval.excludes_zero
    assert found.base == 150.0 and found.relative == pytest.approx(-2.15 / 150)
    assert found.p == pytest.approx(5.948822527e-05, rel=1e-9)  # as SciPy says
    assert str(found) == (
        "p95: codel minus drop-tail (queue) is -2.15 [-2.36, -1.94]: mean of 4 paired differences, with a "
        "95 % interval for that of all seeds (Student's t); that is -1.43 % of 150; p < 0.0001"
    )


def test_the_other_way_round_it_has_the_other_sign() -> None:
    made = study(queue, QUEUES)
    one = made.compare("queue", "drop-tail", "codel", "p95").interval
    other = made.compare("queue", "codel", "drop-tail", "p95").interval
    assert (other.mean, other.low, other.high) == pytest.approx((-one.mean, -one.high, -one.low))


def both(point: dict[str, Any], seed: int) -> float:
    return queue(point, seed) * point["load"]


def test_over_parameters_that_are_not_named_the_mean_is_taken_for_each_seed() -> None:
    made = study(both, {**QUEUES, "load": [1, 3]})
    over_all = made.compare("queue", "drop-tail", "codel", "p95")
    assert over_all.interval.count == 4  # seeds, not eight runs
    assert over_all.interval.mean == pytest.approx(-2.15 * 2)
    at_three = made.compare("queue", "drop-tail", "codel", "p95", where={"load": 3})
    assert at_three.interval.mean == pytest.approx(-2.15 * 3)
    assert ", load=3) is" in str(at_three)
    alone = made.summary("p95", by="load")
    assert [one.interval.count for one in alone.groups] == [4, 4]
    assert alone.groups[1].interval.mean == pytest.approx(3 * (150 - 2.15 / 2))
    assert made.summary("p95", by=[]).groups[0].interval.mean == pytest.approx(2 * (150 - 2.15 / 2))


def test_each_value_is_compared_with_the_first_and_corrected_for_their_number() -> None:
    def value(point: dict[str, Any], seed: int) -> float:
        return seed + point["loss"] * (1 + seed % 2)

    made = study(value, {"loss": [0, 1, 2, 3]})
    found = made.compare_all("loss", "p95")
    assert [(one.first, one.second) for one in found] == [(0, 1), (0, 2), (0, 3)]
    assert {one.family for one in found} == {3}
    assert [one.adjusted for one in found] == pytest.approx(
        [one.p * 3 for one in found]
    )  # all are the same p
    assert "among 3 comparisons (Holm)" in str(found[0])
    backwards = made.compare_all("loss", "p95", baseline=3)
    assert [(one.first, one.second) for one in backwards] == [(3, 0), (3, 1), (3, 2)]


def test_combinations_are_compared_each_by_itself_or_together() -> None:
    made = study(both, {**QUEUES, "load": [1, 3]})
    each = made.compare_all("queue", "p95")
    assert [one.where for one in each] == [{"load": 1}, {"load": 3}]
    assert [one.where for one in made.compare_all("queue", "p95", each=False)] == [{}]


# -- failures and gaps ------------------------------------------------------------------------------------


def test_failed_runs_are_in_no_mean_and_their_partners_in_no_comparison() -> None:
    def value(point: dict[str, Any], seed: int) -> float | None:
        return None if seed == 2 and point["queue"] == "codel" else queue(point, seed)

    made = study(value, QUEUES)
    assert [one.replay for one in made.failures] == ["again 2"]
    plain, codel = made.summary("p95").groups
    assert (plain.interval.count, plain.failed, codel.interval.count, codel.failed) == (4, 0, 3, 1)
    found = made.compare("queue", "drop-tail", "codel", "p95")
    assert found.interval.count == 3 and found.unpaired == 1
    assert "1 seed left out, as a run has failed or is missing" in str(found)
    assert "1 run of 8 failed, and are in no mean" in made.table()
    assert made.rows[6]["error"] == "ValueError: no" and made.rows[0]["error"] is None


def test_a_seed_of_which_a_combination_is_missing_is_in_no_mean_over_both() -> None:
    def value(point: dict[str, Any], seed: int) -> float:
        return nan if seed == 1 and point["load"] == 3 and point["queue"] == "codel" else both(point, seed)

    made = study(value, {**QUEUES, "load": [1, 3]})
    assert made.missing == 1
    assert list(made.summary("p95", by="queue").groups[1].values) == [0, 2, 3]
    assert "1 run still to be made" in made.table()


def test_where_everything_has_failed_there_is_nothing_to_tell() -> None:
    made = study(lambda point, seed: None, QUEUES)
    assert made.measures == []
    assert made.table().endswith("8 runs of 8 failed, and are in no mean\n")
    with pytest.raises(UsageError, match="no run has measured 'p95'"):
        made.summary("p95")


def test_a_study_without_runs_can_be_shown() -> None:
    made = Study({}, [{}], [0, 1], [])
    assert made.table() == "runs\n2 runs still to be made\n"


# -- tables and names -------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_combination() -> None:
    made = study(both, {**QUEUES, "load": [1, 3]})
    assert made.table().splitlines() == [
        "queue      load  runs                p95",
        "drop-tail     1     4   150 [-55.4, 355]",
        "drop-tail     3     4  450 [-166, 1,066]",
        "codel         1     4   148 [-57.4, 353]",
        "codel         3     4  444 [-172, 1,059]",
        "in brackets: 95 % intervals for the mean over all seeds (Student's t)",
    ]


def test_a_row_has_the_parameter_and_the_number_that_is_called_like_it() -> None:
    made = Study(
        {}, [{"loss": 0.1}], [7], [Run({"loss": 0.1}, 7, {"loss": 0.09}, {"links.lost": 4, "seed": 1.0})]
    )
    (row,) = made.rows
    assert (row["loss"], row["outcome loss"], row["seed"], row["outcome seed"]) == (0.1, 0.09, 7, 1.0)
    assert row["links.lost"] == 4 and row["error"] is None


def test_outcomes_are_of_interest_and_without_them_what_varies() -> None:
    made = study(queue, QUEUES)
    assert (made.outcomes, made.interesting()) == (["p95"], ["p95"])
    assert made.measures == ["p95", "links.sent", "all"]
    plain = Study(
        {}, made.points, made.seeds, [Run(one.parameters, one.seed, {}, one.figures) for one in made.runs]
    )
    assert plain.interesting() == ["links.sent"]


def test_values_that_python_takes_for_equal_are_told_apart_where_people_would() -> None:
    made = study(lambda point, seed: float(seed), {"value": [1, True, "1"]})
    assert made.parameters == {"value": [1, True, "1"]}
    assert len(made.summary("p95").groups) == 3
    assert made.compare("value", 1.0, True, "p95").interval.count == 4  # 1.0 is 1


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda made: made.summary("p59"), "no run has measured 'p59'; did you mean 'p95'"),
        (lambda made: made.summary("p95", by="que"), "made up has no parameter 'que'; did you mean 'queue'"),
        (lambda made: made.compare("queue", "drop-tail", "red", "p95"), "queue was never 'red'; it was"),
        (lambda made: made.compare("queue", "red", "codel", "p95"), "queue was never 'red'; it was"),
        (lambda made: made.compare("queue", ["x"], "codel", "p95"), "queue was never"),
        (lambda made: made.compare("queue", "drop-tail", "codel", "p95", where={"l": 1}), "no parameter 'l'"),
        (lambda made: made.summary("p95", method="magic"), "method='magic'"),
        (lambda made: made.summary("p95", confidence=95), "confidence=95"),
    ],
)
def test_names_that_there_are_not_are_refused(ask: Callable[[Study], Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ask(study(queue, QUEUES))
