"""Ten planted failures in networks of fifty hosts: the few hosts and faults that are needed are found."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterator

import pytest

from kamaelia.testbed.shrinking.running import watched
from kamaelia.testbed.shrinking.shrunk import _subject
from tests.testbed.shrinking.planted import PLANTED, TOTAL, names, scenario_of, shrunk, wrong_with

pytestmark = pytest.mark.one_core
QUICK = ("two_leaders",)


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_there_are_ten() -> None:
    assert len(names()) == 10 and sorted(PLANTED) == names()
    assert all(1 <= len(one.needed) <= 3 for one in PLANTED.values())
    assert statistics.median(one.hosts for one in PLANTED.values()) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_it_fails_with_its_bug_and_all_is_well_without(name: str) -> None:
    scenario, fails = scenario_of(name)
    subject = _subject(scenario, PLANTED[name].seed, None if fails is None else 30, fails, {})
    with_bug, _, journal, network = watched(subject, {"faulty": True})
    without, *_ = watched(subject, {"faulty": False})
    assert with_bug.failure is not None and without.failure is None
    assert journal is not None and network is not None and len(network.hosts) == TOTAL
    assert 10 <= sum(map(bool, journal.acts)) <= 30


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_the_needed_hosts_and_faults_are_found(name: str) -> None:
    found = shrunk(name, within=None)
    assert wrong_with(name, found) == ""
    assert 10 <= found.whole.fault_count <= 30 and found.whole.host_count == TOTAL


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [name for name in names() if name not in QUICK])
def test_the_needed_hosts_and_faults_of_all_are_found(name: str) -> None:
    assert wrong_with(name, shrunk(name, within=None)) == ""
