"""One module of tests, run in a process of its own; what comes of each test is a line of JSON.

    python -m tools.conformance.child MODULE CORE FILE

FILE has the names of the tests that are not to be run, one a line, or is ``-`` for standard input.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import sys
import time
import unittest
from collections.abc import Iterator
from typing import Any

from kamaelia.axon import core

from . import loops, servers

LONGEST = 20.0  # real seconds for one test; the process dies of a longer one


class Tellers(unittest.TestResult):
    """Tells what comes of each test as soon as it is known."""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._outcome, self._why = "passed", ""
        self._began = time.perf_counter()
        tell(test=name_of(test))
        faulthandler.dump_traceback_later(LONGEST, exit=True)

    def stopTest(self, test: unittest.TestCase) -> None:
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        seconds = round(time.perf_counter() - self._began, 3)
        tell(test=name_of(test), outcome=self._outcome, why=self._why, seconds=seconds)

    def _bad(self, test: Any, error: Any) -> None:
        self._outcome = "failed"
        self._why = self._exc_info_to_string(error, test)  # type: ignore[attr-defined]
        if not isinstance(test, unittest.TestCase):  # the fixture of a module or class
            tell(test=str(test), outcome="failed", why=self._why, seconds=0.0)

    addError = addFailure = _bad

    def addSubTest(self, test: Any, subtest: Any, error: Any) -> None:
        if error is not None:
            self._bad(test, error)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._outcome, self._why = "skipped", reason

    def addExpectedFailure(self, test: Any, error: Any) -> None:
        self._outcome = "passed"

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._outcome, self._why = "failed", "it was expected to fail"


def tell(**facts: Any) -> None:
    print(json.dumps(facts), file=OUTPUT, flush=True)


def name_of(test: unittest.TestCase) -> str:
    return test.id().removeprefix("test.test_asyncio.")


def without(suite: unittest.TestSuite, left_out: set[str]) -> unittest.TestSuite:
    """Return the tests of a suite but those that are left out."""
    kept = unittest.TestSuite()
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            kept.addTest(without(one, left_out))
        elif name_of(one) not in left_out:
            kept.addTest(one)
    return kept


def each_of(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yield the tests of a suite."""
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from each_of(one)
        else:
            yield one


def main(module: str, form: str) -> None:
    """Run the tests of a module but those whose names come in."""
    core.use(form)
    left_out = set(sys.stdin.read().split())
    tests = importlib.import_module(f"test.test_asyncio.{module}")
    loops.replace_loops(tests)
    servers.replace_sockets(tests)
    without(unittest.defaultTestLoader.loadTestsFromModule(tests), left_out).run(Tellers())
    tell(loops=loops.made)


if __name__ == "__main__":
    OUTPUT = sys.stdout
    sys.stdout = sys.stderr  # tests print things
    main(*sys.argv[1:])
