"""Names of services: how components find each other that nobody has linked.

A name belongs to one system, never to the process. So two systems in one program, or two simulated hosts,
each have their own ``"room"``.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .errors import NameTaken
from .queue import Wait

if TYPE_CHECKING:
    from .component import Component
    from .system import System


class Parked:
    """Awaiting this parks whoever runs, until the wait is woken."""

    def __init__(self, wait: Wait) -> None:
        self.wait = wait

    def __await__(self) -> Generator[Any, None, None]:
        yield from self.wait.park()


class Names:
    """The services of one system: ``self.system.names`` in a component."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._services: dict[str, Any] = {}
        self._owners: dict[str, Component] = {}
        self._waiting: dict[str, list[Wait]] = {}

    def offer(self, name: str, service: Any, owner: Component) -> None:
        """Offer something under a name, until the component ends. Raises `NameTaken`."""
        if name in self._services:
            other = self._owners[name]._axon.path
            raise NameTaken(
                f"{owner._axon.path} offers the service {name!r}, but {other} offers it already: "
                "a name belongs to one component of a system"
            )
        self._services[name] = service
        self._owners[name] = owner
        owner._axon.names = (*owner._axon.names, name)
        for wait in self._waiting.pop(name, ()):
            wait.wake()

    async def ask(self, name: str) -> Any:
        """Return what is offered under a name; wait for it if it is not there yet."""
        while name not in self._services:
            # Nobody's wait, as only waits on boxes and sleeps are told that nobody listens. But it is rest.
            wait = Wait(self._system.scheduler, None, "ask for", (repr(name),))
            self._waiting.setdefault(name, []).append(wait)
            try:
                await Parked(wait)
            finally:
                waiting = self._waiting.get(name, [])
                if wait in waiting:
                    waiting.remove(wait)
        return self._services[name]

    def find(self, name: str) -> Any:
        """Return what is offered under a name now, or None."""
        return self._services.get(name)

    def withdraw(self, name: str) -> None:
        """Take an offer back; the end of its component does."""
        if self._services.pop(name, None) is not None:
            process = self._owners.pop(name)._axon
            process.names = tuple(one for one in process.names if one != name)
