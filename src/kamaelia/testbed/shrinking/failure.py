"""Which failure it is: what two failing runs have in common when they fail for the same reason.

The text of an error has numbers and names in it, which change when the network gets smaller. So two errors
count as the same when their type is, and the line of the user's code that they come from, and, of errors of
components, the role of the component: its path, with ``#`` for each number (``node-17/Node`` and
``node-3/Node`` have one role). Of a run in which several components have failed, one that is the same is
enough.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass

from ...axon import ComponentsFailed
from ...axon.body import is_users

LONGEST = 200
"""Letters of what an error says that are shown."""
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Failure:
    """How a run has failed."""

    said: str
    """What the error says, or what the function ``fails`` has said."""
    marks: frozenset[tuple[str, str, str]]
    """By which it is known: types of errors, lines of code, roles of components."""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return how a run has failed that has raised something.

        >>> Failure.of(ValueError("too big")).said
        'ValueError: too big'
        """
        leaves = error.exceptions if isinstance(error, ComponentsFailed) else (error,)
        shown = leaves[0]
        said = f"{type(shown).__name__}: {str(shown).strip().partition(chr(10))[0]}".rstrip(": ")
        return cls(said, frozenset(map(_mark, leaves)))

    @classmethod
    def by_word(cls, said: object) -> Failure:
        """Return how a run has failed of which a function says so.

        >>> Failure.by_word("two leaders").is_like(Failure.by_word(True))
        True
        """
        return cls(said if isinstance(said, str) else "it fails", frozenset({("fails", "", "")}))

    @property
    def is_event(self) -> bool:
        """Whether it happens in the run, to a component, and is not a judgement of the whole run."""
        return any(role for _, _, role in self.marks)

    def is_like(self, other: Failure) -> bool:
        """Say whether it is the same failure."""
        return not self.marks.isdisjoint(other.marks)

    def __str__(self) -> str:
        return self.said if len(self.said) <= LONGEST else f"{self.said[:LONGEST]}..."


def _mark(error: BaseException) -> tuple[str, str, str]:
    frames = traceback.extract_tb(error.__traceback__)
    users = [one for one in frames if is_users(one.filename)] or list(frames)
    where = f"{users[-1].filename}:{users[-1].lineno}" if users else ""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("in ")]
    role = _DIGITS.sub("#", notes[-1].removeprefix("in ")) if notes else ""
    return type(error).__name__, where, role
