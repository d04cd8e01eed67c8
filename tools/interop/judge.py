"""Judges and cases.

A judge is somebody else's program or library. A case is a function that is given a `Workshop`, has the judge
do something with a part of ours, and compares what came of it with what must be seen: `Wrong` is raised where
that is something else. What is tried and what must be seen is said in words as well, for the table.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .workshop import Workshop, Wrong


class Missing(Exception):
    """Something is not there that a judge needs; the message says what."""


@dataclass(frozen=True)
class Case:
    """One thing that is tried."""

    judge: Judge
    ours: str
    """The part of ours that is judged."""
    tried: str
    seen: str
    """What must be seen."""
    do: Callable[[Workshop], Any]
    quick: bool
    """It takes a fraction of a second, so that `make test` runs it too."""

    @property
    def name(self) -> str:
        return f"{self.judge.name}-{self.do.__name__}"

    def run(self, folder: Path) -> str | None:
        """Try it; return None, or words of the judge that belong into the table. Raises what goes wrong."""
        with Workshop(folder) as shop:
            said: str | None = self.do(shop)
            return said


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    case: Case
    failed: str | None = None
    not_run: str | None = None
    said: str | None = None

    def __str__(self) -> str:
        if self.failed is not None:
            return f"FAILED: {self.failed}"
        if self.not_run is not None:
            return f"not run: {self.not_run}"
        return self.said or "yes"


@dataclass(eq=False)
class Judge:
    """Somebody else's program or library.

    Arguments:
        name: as people know it
        programs: that must be there
        modules: of Python that must be there
        version: a command that says it, where the name of a distribution of Python does not tell
    """

    name: str
    programs: Sequence[str] = ()
    modules: Sequence[str] = ()
    version: Sequence[str] = ()
    needs: Callable[[], str | None] = lambda: None
    """Says what else is missing, if something is."""
    cases: list[Case] = field(default_factory=list)

    def case(self, ours: str, tried: str, seen: str, *, quick: bool = False) -> Callable[[Any], Any]:
        """Make a case of a function."""

        def add(do: Callable[[Workshop], Any]) -> Any:
            self.cases.append(Case(self, ours, tried, seen, do, quick))
            return do

        return add

    def quick(self, ours: str, tried: str, seen: str) -> Callable[[Any], Any]:
        """Make a quick case of a function: `make test` runs it too."""
        return self.case(ours, tried, seen, quick=True)

    def missing(self) -> str | None:
        """Say what is missing, if something is."""
        for program in self.programs:
            if shutil.which(program) is None:
                return f"no program {program}"
        for module in self.modules:
            if importlib.util.find_spec(module) is None:
                return f"no module {module}"
        return self.needs()

    def about(self) -> str:
        """Return its version, as it says it itself."""
        if not self.version:
            return importlib.metadata.version(self.modules[0]) if self.modules else ""
        done = subprocess.run(list(self.version), capture_output=True, text=True, timeout=20)
        found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
        return found[0] if found else ""


def attempt(case: Case) -> Outcome:
    """Try a case, and return what came of it, whatever that was."""
    missing = case.judge.missing()
    if missing is not None:
        return Outcome(case, not_run=missing)
    with tempfile.TemporaryDirectory(prefix="interop-", ignore_cleanup_errors=True) as folder:
        try:
            return Outcome(case, said=case.run(Path(folder)))
        except Wrong as error:
            return Outcome(case, failed=str(error))
        except Missing as error:
            return Outcome(case, not_run=str(error))
        except Exception as error:  # a case that breaks is no reason not to try the next
            return Outcome(case, failed="; ".join(_leaves(error)))


def _leaves(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [text for one in error.exceptions for text in _leaves(one)]
    return [f"{type(error).__name__}: {error}"]
