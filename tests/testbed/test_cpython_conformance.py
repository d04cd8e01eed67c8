"""Python's own tests of asyncio, on the event loop of a simulated host: all but those with a reason."""

from __future__ import annotations

import fnmatch
import pkgutil
import platform
import re
import tomllib
from typing import Any

import pytest

from tools.conformance import __main__ as conformance
from tools.conformance import report
from tools.conformance.modules import NOT_RUN

pytestmark = [pytest.mark.slow, pytest.mark.needs("module:test.test_asyncio"), pytest.mark.timeout(300)]

PYTHON = platform.python_version()


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Any]:
    """What has come of all modules, by the form of the core."""
    return {}


# What other modules test is written once for both forms of the core. `make conformance` runs all on both.
ON_PLAIN = [
    "test_base_events",
    "test_buffered_proto",
    "test_context",
    "test_runners",
    "test_sendfile",
    "test_server",
    "test_sock_lowlevel",
    "test_ssl",
    "test_streams",
    "test_threads",
    "test_timeouts",
    "test_waitfor",
]


def outcomes_on(form: str, known: dict[str, Any]) -> dict[str, conformance.Outcome]:
    if form not in known:
        names = conformance.modules() if form == "compiled" else ON_PLAIN
        known[form] = conformance.run(names, form, list(conformance.skips()))
    return known[form]  # type: ignore[no-any-return]


def test_all_pass_that_are_not_skipped(core_form: str, outcomes: dict[str, Any]) -> None:
    bad = {name: why for one in outcomes_on(core_form, outcomes).values() for name, why in one.bad.items()}
    assert not bad, "\n\n".join(f"{name}\n{why}" for name, why in bad.items())


def test_none_goes_missing(core_form: str, outcomes: dict[str, Any]) -> None:
    found = report.counts(outcomes_on(core_form, outcomes), conformance.skips())
    known = report.known()
    if PYTHON in known:
        assert found == {name: known[PYTHON][name] for name in found}, "if that is right: make conformance"
        return
    # A release of Python that nobody has counted yet: its tests are about as many as those of its sibling.
    (sibling,) = [one for one in known if one.startswith(conformance.VERSION + ".")]
    few = {
        name
        for name, one in known[sibling].items()
        if name in found and found[name]["passed"] < 0.9 * one["passed"]
    }
    assert not few, f"of these modules fewer tests pass than on Python {sibling}: {few}, here {found}"


def test_each_loop_is_a_simulated_one(core_form: str, outcomes: dict[str, Any]) -> None:
    loops = {name: one.loops for name, one in outcomes_on(core_form, outcomes).items()}
    assert {name: one["real"] for name, one in loops.items() if one["real"]} == {}
    assert {name for name, one in loops.items() if not one["simulated"]} <= {
        "test_protocols",
        "test_transports",
    }


@pytest.mark.one_core("compiled")
def test_each_skip_skips_something(outcomes: dict[str, Any]) -> None:
    used = {pattern for one in outcomes_on("compiled", outcomes).values() for pattern in one.patterns}
    assert set(conformance.skips()) == used


@pytest.mark.one_core
def test_each_module_is_run_or_left_out_for_a_reason() -> None:
    test_asyncio = pytest.importorskip("test.test_asyncio")
    there = {one.name for one in pkgutil.iter_modules(test_asyncio.__path__) if one.name.startswith("test_")}
    assert there - set(NOT_RUN) == set(conformance.modules())
    assert set(NOT_RUN) <= there


@pytest.mark.one_core
def test_the_page_says_what_is_known() -> None:
    page = report.PAGE.read_text()
    assert report.with_counts(page) == page, "write it again: make conformance"


@pytest.mark.one_core
def test_reasons_are_sentences_and_none_is_a_hang() -> None:
    entries = tomllib.loads(conformance.LIST.read_text())["skip"]
    for entry in entries:
        assert 20 < len(entry["reason"]) < 120, entry
        assert not re.search(r"\bhang(s|ing)?\b", entry["reason"]), entry
        assert set(entry) <= {"reason", "tests", "versions"}, entry
    patterns = [pattern for entry in entries for pattern in entry["tests"]]
    assert len(set(patterns)) == len(patterns)
    assert not [one for one in patterns for other in patterns if one != other and fnmatch.fnmatch(one, other)]


@pytest.mark.one_core
def test_all_pass_on_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are about connections, where these are packets, as Linux sends them."""
    monkeypatch.setenv("KAMAELIA_CONFORMANCE_PACKETS", "1")
    names = ["test_buffered_proto", "test_sendfile", "test_server", "test_sock_lowlevel", "test_streams"]
    outcomes = conformance.run(names, "compiled", list(conformance.skips()))
    assert {test: why for one in outcomes.values() for test, why in one.bad.items()} == {}
    known, found = report.known(), report.counts(outcomes, conformance.skips())
    if PYTHON in known:
        assert found == {name: known[PYTHON][name] for name in names}
