"""Modules of tests, run in a process of their own, on simulated loops; of each test comes a line of JSON.

What is to be run comes in as JSON: modules, patterns of the tests that are left out, or that alone are run,
and the names of those that are done already.
"""

from __future__ import annotations

import faulthandler
import fnmatch
import gc
import importlib
import json
import signal
import sys
import time
import unittest
import warnings
from typing import Any

from kamaelia.axon import core

from . import loops, servers, threads

LONGEST = 20.0  # real seconds for one test; of a longer one the process dies


class Tells(unittest.TestResult):
    """Tells what comes of each test as soon as it is known."""

    _outcome, _why, _began = "passed", "", 0.0

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._outcome, self._why = "passed", ""
        self._began = time.perf_counter()
        tell(test=name_of(test))
        signal.setitimer(signal.ITIMER_REAL, LONGEST)

    def stopTest(self, test: unittest.TestCase) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        super().stopTest(test)
        seconds = round(time.perf_counter() - self._began, 3)
        tell(test=name_of(test), outcome=self._outcome, why=self._why, seconds=seconds)

    def _bad(self, test: Any, error: Any) -> None:
        self._outcome = "failed"
        self._why = self._exc_info_to_string(error, test)  # type: ignore[attr-defined]
        if not isinstance(test, unittest.TestCase):  # what a module or class does before its tests
            tell(test=str(test), outcome="failed", why=self._why, seconds=0.0)

    addError = addFailure = _bad

    def addSubTest(self, test: Any, subtest: Any, error: Any) -> None:
        if error is not None:
            self._bad(test, error)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._outcome, self._why = "not for here", reason
        self._began = self._began or time.perf_counter()  # of a class that is skipped nothing is started

    def addExpectedFailure(self, test: Any, error: Any) -> None:
        self._outcome = "passed"

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._outcome, self._why = "failed", "it was expected to fail"


def tell(**facts: Any) -> None:
    """Tell something to who has started this process."""
    print(json.dumps(facts), file=OUTPUT, flush=True)


def name_of(test: unittest.TestCase) -> str:
    """Return the name of a test, beginning with its module's."""
    return test.id().removeprefix("test.test_asyncio.")


def chosen(suite: unittest.TestSuite, order: dict[str, Any]) -> unittest.TestSuite:
    """Return the tests of a suite that are to be run, and tell of those that are not."""
    kept = unittest.TestSuite()
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            kept.addTest(chosen(one, order))
            continue
        name = name_of(one)
        pattern = next((each for each in order["patterns"] if fnmatch.fnmatchcase(name, each)), None)
        if name in order["done"]:
            continue
        if (pattern is not None) == order["run_those"]:
            kept.addTest(one)
        elif pattern is not None:
            tell(test=name, outcome="left out", why=pattern, seconds=0.0)
    return kept


def main() -> None:
    """Run the modules."""
    order = json.load(sys.stdin)
    order["done"] = set(order["done"])
    core.use(order["form"])
    warnings.simplefilter("ignore", DeprecationWarning)
    faulthandler.register(signal.SIGALRM, chain=True)  # show where it stands, then die of it
    for name in order["modules"]:
        tests = importlib.import_module(f"test.test_asyncio.{name}")
        loops.replace_loops(tests)
        servers.replace_sockets(tests)
        threads.replace_threads(tests)
        gc.collect()
        gc.freeze()  # many tests collect garbage, which is quick when there is little to look at
        chosen(unittest.defaultTestLoader.loadTestsFromModule(tests), order).run(Tells())
        tell(module=name, **loops.counted())


if __name__ == "__main__":
    OUTPUT = sys.stdout
    sys.stdout = sys.stderr  # tests print things
    main()
