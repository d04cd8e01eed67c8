"""What can go wrong, named after whose fault it is.

| whose fault | error |
| --- | --- |
| you wired it wrong | `LinkError` |
| you closed it | `ClosedBox` |
| the other side ... | ... ended: `EndOfMessages`; went away: `BrokenLink`; failed: `SourceFailed` |
| too fast | `WouldBlock` |
| you were stopped | `Cancelled` (asyncio's own) |
| a name | `NameTaken` |
| the whole system | `ComponentsFailed`, `Deadlock`, `GraceExceeded` |
| a protocol | `LocalProtocolError` (you broke the rules), `RemoteProtocolError` (the peer did) |

Each message names the component's path (like ``radio/server/client-3``), the offending value and what
to do about it.
"""

from __future__ import annotations

from asyncio import CancelledError as Cancelled
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "BrokenLink",
    "Cancelled",
    "ClosedBox",
    "ComponentsFailed",
    "Deadlock",
    "EndOfMessages",
    "GraceExceeded",
    "KamaeliaError",
    "LinkError",
    "LocalProtocolError",
    "NameTaken",
    "ProtocolError",
    "RemoteProtocolError",
    "SourceFailed",
    "UsageError",
    "WouldBlock",
]


class KamaeliaError(Exception):
    """The base of every error that Kamaelia itself raises."""


class UsageError(KamaeliaError):
    """Axon was asked for something that it does not do; the message says what to write instead.

    Also raised for a component that was started twice, and for a component class that is put
    together in a way that cannot work.
    """


class LinkError(KamaeliaError):
    """Two boxes were wired that do not fit: the message names both ends and both types."""


class ClosedBox(KamaeliaError):
    """You closed this box yourself and then used it again."""


class EndOfMessages(KamaeliaError):
    """Everything that will ever arrive in this inbox has been received.

    A component that lets it escape has ended normally.
    """

    owner: object = None  # whose box it was: an error that escapes its own component is its normal end


class BrokenLink(KamaeliaError):
    """Every reader of this outbox has gone, so nobody would ever see what you send.

    A component that lets it escape has ended normally.
    """

    owner: object = None


class SourceFailed(BrokenLink):
    """What fed this inbox failed; ``__cause__`` is the first failure.

    A component that lets it escape is not a second failure, but its own readers get it in turn.
    """


class WouldBlock(KamaeliaError):
    """This cannot be done without waiting: await it, or use the waiting form."""


class NameTaken(KamaeliaError):
    """Two components of one system offer a service under the same name."""


class Deadlock(KamaeliaError):
    """Every component of the system waits for another; the message says who waits for what."""


class GraceExceeded(KamaeliaError):
    """These components had not ended when the grace of a stop ran out, and were cancelled."""


class ProtocolError(KamaeliaError):
    """A rule of a protocol was broken; always one of the two below."""


class LocalProtocolError(ProtocolError):
    """You broke the rules of the protocol, so nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The other side broke the rules of the protocol."""


class ComponentsFailed(ExceptionGroup[Exception], KamaeliaError):
    """Components failed; ``exceptions`` holds every failure, however deep in the system, in one flat group.

    Each exception keeps its traceback and carries a note with the path of the component it came from.
    """

    def derive(self, excs: Sequence[Exception], /) -> ComponentsFailed:  # type: ignore[override]
        """Make the same kind of group of other exceptions (`except*` and `split` use it)."""
        return ComponentsFailed(self.message, excs)


LIKENESS = 0.65  # from 0 to 1, of a name that is proposed; with less, "nowhere" would be taken for "Answer"


LISTED = 40  # names that are listed where none is proposed


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return a sentence that proposes the names nearest to a wrong one, or lists what there is.

    >>> suggestion("inbx", ["inbox", "control"])
    "did you mean 'inbox'?"
    >>> suggestion("xyz", ["inbox", "control"])
    "there are 'control' and 'inbox'"
    """
    names = sorted(known)
    import difflib  # here, because most programs never need it and it takes a millisecond

    near = difflib.get_close_matches(wrong, names, n=2, cutoff=LIKENESS)
    if near:
        return f"did you mean {' or '.join(repr(name) for name in near)}?"
    if not names:
        return "there are none"
    if len(names) == 1:
        return f"there is only {names[0]!r}"
    if len(names) > LISTED:
        shown = ", ".join(repr(name) for name in names[: LISTED // 4])
        return f"there are {shown} and {len(names) - LISTED // 4:,} others"
    return f"there are {', '.join(repr(name) for name in names[:-1])} and {names[-1]!r}"


def text_of(error: BaseException) -> str:
    """Return an exception's text, also of one whose own ``__str__`` fails.

    >>> text_of(ValueError("too big"))
    'too big'
    """
    try:
        return str(error)
    except Exception as failed:  # somebody else's code; we are reporting, and want to say what we can
        return f"(no text: {type(failed).__name__} in its __str__)"


def shorten(value: Any, limit: int = 60) -> str:
    """Return the repr of a value, cut to a length that fits into an error message."""
    text = _beginning(value, limit)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _beginning(value: Any, limit: int, depth: int = 0) -> str:
    """Return how the repr of a value begins, or all of one that is not longer than the limit.

    To make all of it would take seconds where megabytes are in it.
    """
    kind = type(value)
    if kind in (str, bytes, bytearray):
        return repr(value[: limit + 1])
    if kind is int and value.bit_length() > 4 * limit:
        return hex(value)  # Python refuses to write thousands of decimal digits
    if kind not in (list, tuple) or not value:
        return repr(value)
    if depth > limit:  # the brackets before it are too many already; it may be in itself
        return "..."
    text = "[" if kind is list else "("
    for one in value:
        text += _beginning(one, limit, depth + 1) + ", "
        if len(text) > limit + 2:
            return text
    return text[:-2] + ("]" if kind is list else ",)" if len(value) == 1 else ")")
