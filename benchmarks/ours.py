"""Kamaelia among the contestants: in each form of its core that is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .contest import Contestant, run_line
from .programs import Python

PURE = {"KAMAELIA_PURE": "1"}  # the environment that asks for the plain core, where there is a compiled one


@dataclass(frozen=True)
class Forms:
    """The forms of Kamaelia's core on one Python."""

    version: str  # as in 3.11
    python: str  # as in 3.11.7
    core: str  # the one that users get
    both: bool  # whether it is the compiled one, with the plain one beside it

    @property
    def compiled(self) -> bool:
        return not self.core.startswith("plain")

    def contestants(self, ours: Contestant) -> tuple[Contestant, ...]:
        """Return the contestant, and if there are two cores, its twin on the plain one."""
        if not self.both:
            return (ours,)
        environ = {**ours.environ, **PURE}
        return ours, replace(ours, name=f"{ours.name}, plain core", environ=environ)


def find_forms(version: str) -> Forms:
    """Ask Kamaelia itself, on a Python of that version; raises `Missing` where it cannot be asked."""
    command = Python(version, "about_kamaelia").command()
    usual = run_line(command, {}, None, 60)
    plain = run_line(command, PURE, None, 60)
    return Forms(version, usual["python"], core_of(usual), core_of(usual) != core_of(plain))


def core_of(line: dict[str, Any]) -> str:
    """Return "plain Python core" of "Kamaelia 2.0 (plain Python core, uvloop)"."""
    about: str = line["about"]
    return about.partition("(")[2].partition(",")[0].rstrip(")")
