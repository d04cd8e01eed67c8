"""The pytest plugin: fixtures ``drive`` and ``seed``, there without an import once Kamaelia is installed.

    def test_echo(drive):
        echo = drive(Echo())
        echo.send(b"x")
        assert echo.take() == b"x"

    def test_anything(drive, seed):
        part = drive(Shuffle(), seed=seed)

``seed`` is another number in every run, so that randomised tests look at something new; when a test that
asked for it fails, the report says the number, and ``KAMAELIA_SEED=number`` runs it again in the same way.

This is the only module of Kamaelia that imports pytest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from kamaelia.axon.clock import fresh_seed

from . import driver

SEED = pytest.StashKey[int]()


@pytest.fixture(name="drive")
def fixture_drive() -> Iterator[Callable[..., driver.Driver[Any]]]:
    """Drive components by hand, as `kamaelia.testing.drive` does, until the test is over.

    At the end of the test, each is stopped, and a failure that the test has not noticed is raised.
    """
    with ExitStack() as stack:

        def drive(component: Any, **options: Any) -> driver.Driver[Any]:
            return stack.enter_context(driver.drive(component, **options))

        yield drive


@pytest.fixture(name="seed")
def fixture_seed(request: pytest.FixtureRequest) -> int:
    """Return a seed for random streams: a new one each time, or that of the environment's
    ``KAMAELIA_SEED``."""
    text = os.environ.get("KAMAELIA_SEED")
    try:
        seed = fresh_seed() if text is None else int(text)
    except ValueError:
        raise pytest.UsageError(
            f"KAMAELIA_SEED={text!r} is no number: give the one that a failed test has shown"
        ) from None
    request.node.stash[SEED] = seed
    return seed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the seed to the report of a test that has failed."""
    report = yield
    if report.failed and SEED in item.stash:
        seed = item.stash[SEED]
        report.sections.append(
            ("seed", f"seed={seed}; to run it again: KAMAELIA_SEED={seed} pytest {item.nodeid!r}")
        )
    return report
