"""The verbs of faults, used while a network is emulated: they are told to the box, which is another process.

This stands where a `Simulation` stands while one runs (``network.simulation``), for all that `Host`,
`Network` and `NetworkLink` ask of it. What was said before the emulation is not told: the box was forked with
it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from ...axon import UsageError
from ..settings import changed

if TYPE_CHECKING:
    from ..network import Network, NetworkLink


class Verbs:
    """What can be done to a network that is being emulated.

    Arguments:
        network: which
        ask: is called with the name of what to do, and its arguments
    """

    def __init__(self, network: Network, ask: Callable[..., object]) -> None:
        self._network = network
        self._ask = ask
        self.stacks = {name: name for name in network.hosts}
        self.faults = Walls(ask)
        self.disks: dict[str, Any] = {}

    def change(self, link: NetworkLink, direction: str, changes: dict[str, Any]) -> None:
        """See `Simulation`. Raises `UsageError` for what is no quantity."""
        if direction != "back":
            changed(link.settings, changes)
        if direction != "there":
            changed(link.settings_back, changes)
        self._ask("change", self._network.links.index(link), direction, changes)

    def cut(self, link: NetworkLink, *, repaired: bool) -> None:
        """See `Simulation`."""
        self._ask("cut", self._network.links.index(link), repaired)

    def crash(self, name: str) -> None:
        """See `Simulation`: the host's processes are killed, and its packets dropped."""
        self._ask("crash", name)

    def restart(self, name: str) -> None:
        """See `Simulation`: what the host runs begins anew; programs that were started by hand do not."""
        self._ask("restart", name)

    def pause(self, name: str, length: int) -> None:
        """See `Simulation`: the host's processes are stopped for so long (SIGSTOP)."""
        self._ask("pause", name, length)

    def loop_of(self, stack: Any) -> NoReturn:
        """See `Simulation`."""
        raise UsageError(
            f"{stack}.set_clock(): the clocks of an emulated host are the machine's; simulate it to set them"
        )

    def run_script(self, body: Any) -> NoReturn:
        """See `Simulation`."""
        raise _too_late("script()")

    def snapshot(self) -> NoReturn:
        """See `Simulation`."""
        raise UsageError("snapshot(): an emulated network has none; look at trace.metrics afterwards")

    @property
    def remote(self) -> NoReturn:
        """See `Simulation`."""
        raise UsageError("remote: an emulated network goes on by itself, in real time")


class Walls:
    """What can be done to packets between hosts."""

    def __init__(self, ask: Callable[..., object]) -> None:
        self._ask = ask

    def partition(self, a: list[str], b: list[str], *, one_way: bool) -> None:
        """See `Faults`."""
        self._ask("partition", a, b, {"one_way": one_way})

    def hold(self, a: list[str], b: list[str], *, one_way: bool) -> None:
        """See `Faults`."""
        self._ask("hold", a, b, {"one_way": one_way})

    def open(self, a: list[str], b: list[str], *, one_way: bool, held: bool) -> None:
        """See `Faults`."""
        self._ask("open", a, b, {"one_way": one_way, "held": held})

    def open_all(self) -> None:
        """See `Faults`."""
        self._ask("open_all")

    def call_at(self, when: int, call: Callable[[], object]) -> NoReturn:
        """See `Faults`."""
        raise _too_late("at()")

    def call_when(self, condition: Callable[[], bool], every: int, call: Callable[[], object]) -> NoReturn:
        """See `Faults`."""
        raise _too_late("when()")


def _too_late(what: str) -> UsageError:
    return UsageError(
        f"{what}: the emulation runs already, in another process; say this before it begins, or wait and "
        "use the verb itself, such as link.cut()"
    )


__all__ = ["Verbs"]
