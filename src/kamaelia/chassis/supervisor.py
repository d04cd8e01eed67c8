"""Supervisors: parts that are kept up.

How members are started again is told in `restart`; here is who is, and when that is given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Literal, get_args

from kamaelia.axon import Component, Failure
from kamaelia.axon.clock import ROUNDING
from kamaelia.axon.errors import shorten, suggestion

from .restart import BACKOFF, Backoff, Restarting, _End, _Member, check_number

Strategy = Literal["one_for_one", "rest_for_one", "one_for_all"]
Policy = Literal["transient", "permanent", "temporary"]


class Supervisor(Restarting):
    """Keeps parts up: a member that fails, or that somebody cancels, is started again and goes on.

    It goes on with the next message. The one that it was working on is not given again, as it might be what
    made it fail; it goes with the failure to ``failures``. Everything else arrives at the successor, in
    order, and who reads from the member sees no end in between. Where `Retry` gives up after some failures in
    a row, however long that takes, and is over when its part has ended well, a supervisor counts failures in
    time, and keeps its members up as long as there is work.

    ``Supervisor(part)`` has the boxes of the part, and returns what the part returned. Several members are
    wired as in a `Graphline`, in either of its forms, with the boxes of the supervisor itself as
    ``"self.inbox"``. A member is a component, a class, or a factory, of which a new one is made for each
    life (``life-1``, ``life-2``, ...). All run at once; their order is that in which they are given, and
    matters where they restart together.

    | ``strategy`` | who is started again when one fails |
    | --- | --- |
    | ``"one_for_one"`` | that one |
    | ``"rest_for_one"`` | that one and those given after it |
    | ``"one_for_all"`` | all |

    Those that restart because of another are cancelled, the last first; then all are started, the first
    first. What is on its way from one of them to another is dropped and counted, as nobody is left who knows
    what it was about. What comes from outside is kept. (One that has not ended 5 s after that is cancelled
    for good, as at the end of a grace.) A pipeline may be a member: what is between its parts goes with it.

    | ``restart`` | a member is started again |
    | --- | --- |
    | ``"transient"`` | after a failure; its normal end is final |
    | ``"permanent"`` | after its normal end, too |
    | ``"temporary"`` | never: its failure breaks its outboxes, and concerns no other member |

    Whatever it says, a member is not started again when nothing is left to do: its linked inboxes have ended
    and hold no message, or nobody listens to it any more. So a failure at the very last message is reported,
    and then the member has ended.

    Ending: it ends when all members have. Failure: see above; more than ``intensity`` restarts within
    ``period`` seconds are too many, and the supervisor fails with `RestartsExceeded`, which has the history
    in its message. A supervisor around it then starts it again as a whole. Stop: members finish what they
    were sent, and one that waits for its restart is started at once for that; so is it, for a second, when
    a sibling of the supervisor fails. Back-pressure: messages wait for the next life in the queue of the
    member's place, under its mark, so senders are held back. It holds nothing open but the outboxes of
    members that may come again.

    Arguments:
        parts: the members, and links between them; see `Graphline`
        linkages: links by the names of members
        strategy: who is started again together
        restart: when members are; for some of them, as ``{"name": "permanent"}``
        intensity: how many restarts within ``period`` are not too many yet; 0 for none at all
        period: in seconds, not counting those in which members wait for their restarts
        backoff: how long to wait before a restart; failures are in a row when a member has lived for less
            than ``period`` in between
        members: members by name; for the name of an argument above, give ``part.named(name)`` instead

    Boxes: those of the part, or those that the links name. ``failures`` sends a `Failure` for each, with
    path, error, component and message (of a pipeline, what its first part had taken last); it is optional,
    and drops what its reader has no room for. Of a member's own box ``failures`` nothing comes out.

    Example:
        >>> from kamaelia import component, run
        >>> from kamaelia.axon import VirtualLoop
        >>> from kamaelia.chassis import Supervisor
        >>> from kamaelia.flow import Collect, Source
        >>> @component
        ... async def invert(inbox, outbox):
        ...     async for number in inbox:
        ...         await outbox.send(1 / number)
        >>> inverter = Supervisor(invert)
        >>> run(Source([1, 2, 0, 4]) | inverter | Collect(), loop_factory=VirtualLoop)
        [1.0, 0.5, 0.25]
        >>> inverter.statistics().restarts, inverter.statistics().last_failure.message
        (1, 0)
    """

    def __init__(
        self,
        /,
        *parts: Any,
        linkages: dict[Any, Any] | None = None,
        strategy: Strategy = "one_for_one",
        restart: Policy | Mapping[str, Policy] = "transient",
        intensity: int = 3,
        period: float = 5.0,
        backoff: Backoff = BACKOFF,
        **members: Any,
    ) -> None:
        _check_one_of("strategy", strategy, get_args(Strategy))
        given: Any = intensity
        if not isinstance(given, Integral) or isinstance(given, bool):
            raise TypeError(
                f"Supervisor(intensity={shorten(intensity)}): give how many restarts, a whole number"
            )
        check_number("Supervisor(intensity=...)", intensity, 0, "how many restarts are not too many")
        check_number("Supervisor(period=...)", period, 0, "seconds")
        if not period:
            raise ValueError("Supervisor(period=0): within no time nothing is too often: give seconds")
        self._strategy = strategy
        self._intensity = intensity
        self._period = period
        self._history: deque[tuple[float, _End]] = deque()  # with the time at which nobody waited
        for name, part in members.items():
            if not callable(part) and not isinstance(part, Component):
                options = ("linkages", "strategy", "restart", "intensity", "period", "backoff")
                raise TypeError(
                    f"Supervisor({name}={shorten(part)}): that is no member, and no such argument: "
                    f"{suggestion(name, options)}"
                )
        super().__init__(parts, linkages, members, backoff)
        self._set_policies(restart)
        if strategy != "one_for_one":
            self._keep_origins()

    def _set_policies(self, restart: Policy | Mapping[str, Policy]) -> None:
        if not isinstance(restart, Mapping):
            restart = {member._axon.name: restart for member in self._members}
        known = {member._axon.name: member for member in self._members}
        for name, policy in restart.items():
            _check_one_of("restart", policy, get_args(Policy))
            if name not in known:
                raise ValueError(
                    f"Supervisor(restart=...): no member is called {name!r}; {suggestion(name, known)}"
                )
            known[name]._policy = policy

    # -- see `Restarting` -------------------------------------------------------------------------

    def _why_not(self, member: _Member, failure: Failure | None) -> str | None:
        if member._policy == "temporary":
            return "it is temporary"
        if member._policy == "transient" and failure is None:
            return "it has ended well"
        return None

    def _too_many(self, member: _Member, end: _End) -> str | None:
        lived = None if member._since is None else end.time - member._since
        member._row = member._row + 1 if lived is None or lived < self._period else 1
        # What fails every time would never fail too often, once the back-off is longer than the period.
        awake = self._awake(end.time)
        history = self._history
        history.append((awake, end))
        while awake - history[0][0] > self._period + ROUNDING:
            history.popleft()
        if len(history) <= self._intensity:
            return None
        lines = "".join(f"\n  {one.line}" for _, one in history)
        return (
            f"{len(history)} restarts would have been needed within {self._period:g} s, and at most "
            f"{self._intensity} are allowed:{lines}\nSee to what fails, or allow more: "
            f"Supervisor(..., intensity={self._intensity}, period={self._period:g})"
        )

    def _group(self, member: _Member) -> list[_Member]:
        if self._strategy == "one_for_one":
            return [member]
        if self._strategy == "rest_for_one":
            return self._members[self._members.index(member) :]
        return list(self._members)


def _check_one_of(what: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        hint = suggestion(value, choices) if isinstance(value, str) else f"one of {', '.join(choices)}"
        raise ValueError(f"Supervisor({what}={shorten(value)}): {hint}")


__all__ = ["Supervisor"]
