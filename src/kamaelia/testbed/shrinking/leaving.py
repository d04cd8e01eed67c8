"""For tests and commands: when a run has failed, look for the smallest one, and leave it as files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...axon import UsageError
from ..simulated import Simulated, can_be_written, failure_folder
from .shrunk import NotShrunk, shrink

SHOWN = 10
"""Faults that are shown, at most; all are in the file."""


def shrink_and_leave(
    scenario: Callable[..., Any] | Simulated,
    arguments: Mapping[str, Any],
    seed: int | str,
    where: Path,
    name: str,
    python: str,
    tell: Callable[[Any], object] | None,
    **options: Any,
) -> list[str]:
    """Return what is to be said about the smallest run that fails like one that has, and leave it as files.

    Arguments:
        scenario: what has failed
        arguments: of its call; what cannot be written in a file stays as it is
        seed: with which it has failed
        where: the folder that commands are given in
        name: of the folder of the failure
        python: what a command begins with
        tell: is called with each stage of the search
        options: further arguments of `shrink`
    """
    plain = {one: value for one, value in arguments.items() if can_be_written(value)}
    fixed = {one: value for one, value in arguments.items() if one not in plain}
    try:
        found = shrink(scenario, plain, fixed=fixed, seed=seed, tell=tell, **options)
    except NotShrunk as error:
        return [f"it was not made smaller: {error}"]
    needs = "it still has" if found.ended else "it needs"
    notes = [f"made smaller: {found.title}", *(f"{needs}: {fault}" for fault in found.faults[:SHOWN])]
    if len(found.faults) > SHOWN:
        notes.append(f"{needs} {len(found.faults) - SHOWN} more")
    if found.ended:
        notes.append(f"it may be smaller still: the search has ended early ({found.ended})")
    try:
        path = found.write(failure_folder(where, name) / "failure.py")[0]
    except (OSError, UsageError) as error:
        return [*notes, f"that cannot be written down ({error})"]
    return [*notes, f"to run that: {python} {shlex.quote(os.path.relpath(path, where))}"]
