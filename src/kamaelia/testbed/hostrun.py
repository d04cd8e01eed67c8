"""What the hosts of a network run, in whichever world: one Axon system for each, and what came of them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from ..axon import Component, ComponentsFailed, System, lifecycle, make, report

log = logging.getLogger("kamaelia")


class HostRun:
    """What one host runs in one run of a network: all is made anew from the patterns."""

    def __init__(
        self,
        name: str,
        loop: Any,
        patterns: Sequence[Any],
        seed: int | str,
        grace: float,
    ) -> None:
        self.name = name
        self.loop = loop
        self.has_crashed = False
        self.has_left = False  # it has ended, and so has everything that it has left behind
        self.error: Exception | None = None
        self.system = System(
            loop, seed=f"{seed}/{name}", grace=grace, slow_step=0, announce=self._note_announcement
        )
        self.components: list[Component] = [make(pattern) for pattern in patterns]

    def _note_announcement(self, text: str) -> None:
        """Nobody sits at the terminal of this host, and nobody can try what it says."""
        log.info("%s: %s", self.name, text)

    def bury(self) -> None:
        """End what a crash has left, now that it cannot do anything any more."""
        coroutines = [process.coroutine for process in lifecycle.bodies(self.system.root)]
        for task in list(getattr(self.loop, "_tasks", None) or ()):
            task._log_destroy_pending = False
            coroutines.append(task.get_coro())
        for coroutine in coroutines:
            if coroutine is not None:
                # whatever its finally clauses raise, its host has been gone for long
                with contextlib.suppress(BaseException):
                    coroutine.close()

    @property
    def result(self) -> Any:
        """What its component returned; a list if there are several."""
        results = [component._axon.result for component in self.components]
        return results[0] if len(results) == 1 else results


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
    if failed and errors == "raise":
        raise _one_error(failed, hint)
    return failed


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
