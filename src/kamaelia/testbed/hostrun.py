"""What the hosts of a network run, in whichever world: one Axon system for each, and what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from asyncio import events
from collections.abc import Sequence
from typing import Any

from ..axon import Component, ComponentsFailed, System, lifecycle, make, report

log = logging.getLogger("kamaelia")

MOST_WAITS = 1000  # of code that is to end


class _HostSystem(System):
    """The system of a host, which has a seed of its own."""

    __slots__ = ()

    @property
    def seed(self) -> str:
        """That of the run, and the host's name."""
        run: Any = self.announce
        return f"{self._seed}/{run.name}"


class HostRun:
    """What one host runs in one run of a network: all is made anew from the patterns."""

    # There may be a million: what few need is in a dictionary, which is made then.
    __slots__ = ("__dict__", "_components", "has_left", "name", "system")

    start = 1
    """Its number among those of this host."""
    has_crashed = False
    error: Exception | None = None
    measures: dict[str, dict[str, Any]] | None = None
    """What had been measured when it crashed."""

    def __init__(
        self,
        name: str,
        loop: Any,
        patterns: Sequence[Any],
        seed: int | str,
        grace: float,
        start: int = 1,
    ) -> None:
        self.name = name
        if start != 1:
            self.start = start
        self.has_left = False  # it has ended, and so has everything that it has left behind
        # What is announced comes to this object itself: there may be 100,000, and a method is one more.
        self.system: System = _HostSystem(loop, seed=seed, grace=grace, slow_step=0, announce=self)
        components = [make(pattern) for pattern in patterns]
        self._components = components[0] if len(components) == 1 else tuple(components)

    @property
    def loop(self) -> Any:
        """The loop of its host."""
        return self.system.loop

    @property
    def components(self) -> Sequence[Component]:
        """What it runs."""
        several = self._components
        return several if isinstance(several, tuple) else (several,)

    def __call__(self, text: str) -> None:
        """Log what is announced: nobody sits at this host's terminal, and nobody can try what it says."""
        log.info("%s: %s", self.name, text)

    def bury(self) -> None:
        """End what a crash has left, now that it cannot do anything any more."""
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)  # nobody will end the generators that begin now
        running = events._get_running_loop()
        events._set_running_loop(self.loop)  # what runs now is this host's code still
        try:
            for process in list(lifecycle.bodies(self.system.root)):
                if process.coroutine is not None:
                    _end(process.coroutine)
            buried: dict[Any, None] = {}
            while left := [task for task in self.loop._tasks or () if task not in buried]:
                for task in left:  # which may begin others
                    buried[task] = None
                    task._log_destroy_pending = False
                    _end(task.get_coro())
        finally:
            events._set_running_loop(running)
            sys.set_asyncgen_hooks(*hooks)

    @property
    def result(self) -> Any:
        """What its component returned; a list if there are several."""
        results = [component._axon.result for component in self.components]
        return results[0] if len(results) == 1 else results


def _end(coroutine: Any) -> None:
    """Cancel a coroutine, however often it wants to wait for something before it ends."""
    try:
        for _ in range(MOST_WAITS):
            coroutine.throw(asyncio.CancelledError())
    except BaseException:
        pass  # it has ended; whatever its finally clauses raise, its host has been gone for long
    with contextlib.suppress(BaseException):
        coroutine.close()


def judge(runs: list[HostRun], errors: str, hint: str) -> dict[str, Exception]:
    """Return what has failed, by host; or raise it all as one error, with a hint how to see it again."""
    failed: dict[str, Exception] = {}
    for run in runs:
        try:
            if run.error is not None:
                raise run.error
            run.system.outcome()
        except Exception as error:
            failed[run.name] = error
        report.warn_about_discarded(run.system.discarded)
    if errors == "raise":
        conclude(failed, hint)
    return failed


def conclude(failed: dict[str, Exception], hint: str) -> None:
    """Raise what has failed, by host, as one error with a hint how to see it again; if anything has."""
    if failed:
        raise _one_error(failed, hint)


def _one_error(failed: dict[str, Exception], hint: str) -> ComponentsFailed:
    """Make one error of those of several hosts; each gets a note with the host and the path."""
    leaves: list[Exception] = []
    paths: list[str] = []
    for host, error in failed.items():
        for leaf in error.exceptions if isinstance(error, ComponentsFailed) else [error]:
            notes = [note for note in getattr(leaf, "__notes__", ()) if note.startswith("in ")]
            path = f"{host}/{notes[-1].removeprefix('in ')}" if notes else host
            leaf.add_note(f"in {path}")
            leaves.append(leaf)
            paths.append(path)
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    return ComponentsFailed(f"{len(paths)} component(s) failed: {shown} ({hint})", leaves)
