"""All numbers of a run: their names, sums, details, and bounds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from kamaelia import component
from kamaelia.axon import UsageError
from kamaelia.observe import count, level, measure
from kamaelia.testbed import Network
from kamaelia.testbed.experiments import figures as module
from kamaelia.testbed.experiments.figures import checked_outcome, figures

from .scenarios import line


@component
async def work(inbox: Any, outbox: Any, number: Any) -> Any:
    """Measure something of each kind."""
    count("done", number)
    measure("size", number, "B")
    level("full", number)
    return number


def hosts(*numbers: Any) -> Network:
    network = Network()
    for place, number in enumerate(numbers):
        network.host(f"host-{place}").run(work(number))
    return network


def test_links_and_hosts_are_added_up() -> None:
    found = figures(line(loss=1.0, others=1).simulate(2))
    assert (found["links.sent"], found["links.lost"], found["links.loss"]) == (50, 50, 1.0)
    assert found["server > phone: lost"] == 50 and found["phone > server: sent"] == 0
    assert found["hosts.sent"] == 50 and found["server: sent"] == 50 and found["phone: received"] == 0
    assert found["seconds"] == 1.0


def test_measures_are_added_up_by_their_names() -> None:
    found = figures(hosts(1, 5).simulate(1))
    assert (found["done.total"], found["done.calls"]) == (6, 2)
    assert (found["size.mean"], found["size.max"], found["size.p95"]) == (3, 5, 5)
    assert found["host-1/work: done.total"] == 5
    assert (found["full.min"], found["full.max"]) == (1, 5)


def test_results_that_are_numbers_are_figures() -> None:
    found = figures(hosts(1, 2.5, 3.5).simulate(1))
    assert (found["results.count"], found["results.mean"]) == (3, pytest.approx(7 / 3))
    assert (found["results.min"], found["results.max"], found["host-1: result"]) == (1, 3.5, 2.5)


def test_results_that_are_mappings_of_numbers_are_too() -> None:
    @component
    async def tell(inbox: Any, outbox: Any) -> Any:
        return {"glitches": 3, "of": {"all": 7.5}, "name": "seven", "flag": True}

    network = Network()
    network.host("phone").run(tell)
    found = figures(network.simulate(1))
    named = {name: value for name, value in found.items() if "result" in name}
    assert named == {"phone: result.glitches": 3, "phone: result.of.all": 7.5, "phone: result.flag": 1}


def test_of_many_there_are_sums_only() -> None:
    found = figures(hosts(*range(1, 31)).simulate(1))
    assert found["done.total"] == 465 and found["results.count"] == 30
    assert not [name for name in found if ": " in name]
    assert figures(hosts(1, 2).simulate(1), details=1).keys() == found.keys()
    more = figures(hosts(*range(1, 31)).simulate(1), details=30)
    assert more["host-29: result"] == 30


def test_there_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    found = figures(hosts(1, 2).simulate(1))
    assert len(found) == 11 and found["figures left out"] > 10


def test_all_kinds_of_numbers_are_numbers() -> None:
    assert checked_outcome({"a": Fraction(1, 4), "b": True, "c": 2**62, "d": None, "e": float("nan")}) == {
        "a": 0.25,
        "b": 1,
        "c": 2**62,
    }


@pytest.mark.parametrize(
    "outcome", [None, 7, {"a": "7"}, {"a": b""}, {7: 7}, {"": 1}, {"a": {}}, {"a": 2**70}, {"a": 1j}, ["a"]]
)
def test_what_is_no_numbers_by_names_is_refused(outcome: Any) -> None:
    with pytest.raises(UsageError, match="outcome= returned"):
        checked_outcome(outcome)
