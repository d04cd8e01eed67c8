"""The inspection socket of a simulated network: what it can be asked beside what systems can.

`kamaelia.observe.inspection` serves it, in a thread of its own. Here is what is looked at: the network, and
the systems of its hosts, each of which a request names with ``system``. All that changes something, and all
that has to do with time, is asked of the simulation's `Remote`; to look, nobody is asked.

Hosts and links are numbered, hosts first, in the order of their making: there are no others in a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ..axon import UsageError, core, units
from ..axon.clock import monotonic, nanoseconds, sleep_for_real
from ..axon.errors import suggestion
from ..observe.inspection import After, Arguments, RequestError, Stream, serve_target
from ..observe.inspection.protocol import body_of
from .errors import SimulationError
from .hostrun import HostRun
from .protocols import CALL
from .remote import checked_events, checked_speed
from .settings import DEFAULTS
from .snapshot import components_of, figures_of, kind_of, state_of, state_of_host

if TYPE_CHECKING:
    from ..axon import System
    from .channel import Channel
    from .remote import Moment
    from .settings import LinkSettings
    from .simulation import Simulation

PATIENCE = 2.0  # real seconds in which a step of the simulation has to end, for what waits for that
SOON = 1.0  # real seconds after which who has asked for a step is told that it goes on
ASK_EVERY = 0.01  # real seconds between two looks whether something has been done
GOODBYE = 0.2  # real seconds in which the last answers are given, when the simulation is over
LEAST, MOST = 0.1, 10.0  # seconds between two frames


def serve_network(simulation: Simulation) -> Callable[[], None]:
    """Open an inspection socket for a simulation, and serve it; return what closes it."""
    target = NetworkTarget(simulation)
    server = serve_target(target)
    simulation.announce(f"{simulation.network!r} can be looked at: kamaelia studio --attach {server.address}")

    def close() -> None:
        target.finish()
        server.close()

    return close


class NetworkTarget:
    """A network that is simulated, as an inspection socket has it (`kamaelia.observe.inspection.Target`)."""

    kind = "network"

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._remote = simulation.remote
        # Weakly: who has asked, and has gone, waits for nothing any more.
        self._unanswered: WeakSet[Future[Any]] = WeakSet()
        self.handlers: Mapping[str, Callable[[Arguments], Any]] = {
            "network": self._network,
            "watch_network": self._watch_network,
            "set_link": self._set_link,
            "cut": lambda given: self._change_link(given, self._remote.cut_soon),
            "mend": lambda given: self._change_link(given, self._remote.mend_soon),
            "crash": lambda given: self._change_host(given, self._remote.crash_soon),
            "restart": lambda given: self._change_host(given, self._remote.restart_soon),
            "pause": self._pause,
            "go": self._go,
            "step": self._step,
            "run_until": self._run_until,
            "stop": self._stop,
        }

    # -- what is looked at --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """How many hosts and links there are."""
        network = self._simulation.network
        return f"network of {len(network.hosts)} hosts and {len(network.links)} links"

    @property
    def core(self) -> str:
        """Which form of the core simulates it."""
        return f"{'compiled' if core.form == 'compiled' else 'plain Python'} core, virtual time"

    def system(self, name: str | None) -> System:
        """Return the system of a host; raises `RequestError` if it has none."""
        if name is None:
            raise RequestError(
                "this is a simulated network: say with 'system' which host is meant, or ask for 'network'"
            )
        stacks = self._simulation.present
        if name not in stacks:
            raise RequestError(f"there is no host {name!r}; {suggestion(name[:50], stacks)}")
        run = stacks[name].run
        if run is None:
            raise RequestError(f"{name} runs nothing (yet): it has no components to look at")
        if run.has_crashed:
            raise RequestError(f"{name} has crashed: it has components again when it is restarted")
        return run.system

    def knows(self, system: object) -> bool:
        """Say whether a system is that of a host, and has not crashed; so is the simulation itself."""
        run = getattr(system, "announce", None)
        if not isinstance(run, HostRun):
            return system is self._simulation
        stack = self._simulation.stacks.get(run.name)
        return stack is not None and stack.run is run and not run.has_crashed

    def host_of(self, system: System) -> str | None:
        """Return the name of the host that a system runs on; None for the simulation itself."""
        run = getattr(system, "announce", None)
        return run.name if isinstance(run, HostRun) else None

    def call(self, system: System, function: Callable[[], object]) -> None:
        """Have something done soon, between two turns, as on the host whose system it is."""
        try:
            self._remote.ask(self._simulation.do_on, system, function)
        except UsageError as error:
            raise RequestError(str(error)) from None

    # -- the whole --------------------------------------------------------------------------------

    def _network(self, given: Arguments) -> Any:
        given.end()
        return self._simulation.snapshot().as_dict()

    def _watch_network(self, given: Arguments) -> Any:
        every = given.number("every", 0.25, LEAST, MOST)
        given.end()
        return Watching(self._simulation, every)

    # -- changes ----------------------------------------------------------------------------------

    def _set_link(self, given: Arguments) -> Any:
        link = self._link(given)
        direction = given.text("direction", "both", needed=True)
        values = given.take("values")
        given.end()
        if not isinstance(values, dict) or not values:
            raise RequestError('\'values\' is an object, such as {"loss": "5 %", "rate": null}')
        changes = {name: _quantity(name, value) for name, value in values.items()}
        future = self._ask(self._remote.set_soon, link, direction, changes)

        def parameters() -> Any:
            found = self._simulation.link_called(link)
            watch = self._simulation.watch
            both = [asdict(watch.parameters_of(one.settings)) for one in self._simulation.channels_of(found)]
            return {"parameters": both[0], "back": both[1] if len(both) > 1 else None}

        return self._when_done(future, parameters)

    def _change_link(self, given: Arguments, change: Callable[[str], Future[Any]]) -> Any:
        link = self._link(given)
        given.end()
        return self._when_done(self._ask(change, link), dict)

    def _change_host(self, given: Arguments, change: Callable[[str], Future[Any]]) -> Any:
        host = given.text("host", needed=True)
        given.end()
        return self._when_done(self._ask(change, host), dict)

    def _stop(self, given: Arguments) -> Any:
        name = given.text("system")
        given.end()
        simulation = self._simulation
        if name is None:
            self._ask(self._remote.ask, simulation.end_soon)
            return {}  # at once: soon nobody is here to say so
        system = self.system(name)

        def stop() -> None:
            if not system.stopping:
                simulation.note_by_hand(CALL, "stop", name)
                simulation.do_on(system, system.stop)

        return self._when_done(self._ask(self._remote.ask, stop), dict)

    def _link(self, given: Arguments) -> str:
        """Return the name of a link, which is given by that or by its number."""
        link = given.take("link")
        links = self._simulation.watch.links
        if isinstance(link, int) and not isinstance(link, bool):
            number = link - len(self._simulation.present) - 1
            if not 0 <= number < len(links):
                raise RequestError(f"no link has the number {link}")
            return links[number][0]
        if not isinstance(link, str):
            raise RequestError("'link' is the name of a link, such as \"server - phone-3\", or its number")
        return link

    # -- time -------------------------------------------------------------------------------------

    def _pause(self, given: Arguments) -> Any:
        given.end()
        return self._command("pause")

    def _go(self, given: Arguments) -> Any:
        speed = given.take("speed")
        given.end()
        speed = self._read(checked_speed, speed)
        self._ask(self._remote.command, "go", speed)
        # At once: it may be over before it could be asked how that went.
        return {"time": self._remote.moment.time, "state": "running", "speed": speed}

    def _step(self, given: Arguments) -> Any:
        events, seconds = given.take("events", 1), given.take("seconds")
        given.end()
        if seconds is not None:
            return self._command("advance", self._read(_length, seconds, "seconds"))
        return self._command("step", self._read(checked_events, events))

    def _run_until(self, given: Arguments) -> Any:
        time = given.take("time")
        given.end()
        return self._command("run_until", self._read(_length, time, "time"))

    def _command(self, name: str, *args: Any) -> Any:
        future: Future[Moment] = self._ask(self._remote.command, name, *args)

        def moment(now: Moment | None = None) -> Any:
            now = now or self._remote.moment
            return {"time": now.time, "state": now.state, "speed": now.speed}

        return self._when_done(future, moment, goes_on=moment)

    # -- answers that take a moment -----------------------------------------------------------------

    def _read(self, read: Callable[..., Any], *args: Any) -> Any:
        try:
            return read(*args)
        except UsageError as error:
            raise RequestError(str(error)) from None

    def _ask(self, ask: Callable[..., Future[Any]], *args: Any) -> Future[Any]:
        try:
            return ask(*args)
        except UsageError as error:
            raise RequestError(str(error)) from None

    def _when_done(
        self,
        future: Future[Any],
        answer: Callable[..., Any],
        goes_on: Callable[[], Any] | None = None,
    ) -> After:
        """Answer when something has been done; what ``goes_on`` for longer is answered meanwhile."""
        began = monotonic()
        self._unanswered.add(future)

        def look() -> Any:
            if future.done():
                self._unanswered.discard(future)
                try:
                    result = future.result()
                except (UsageError, SimulationError) as error:
                    raise RequestError(str(error)) from None
                return answer() if goes_on is None else answer(result)
            waited = monotonic() - began
            if goes_on is not None and waited >= SOON and future.running():
                self._unanswered.discard(future)
                return goes_on()
            if waited >= PATIENCE and future.cancel():
                self._unanswered.discard(future)
                raise RequestError(f"nothing was done: the simulation {self._remote.where()}")
            return After(ASK_EVERY, look)

        return After(0.0, look)

    def finish(self) -> None:
        """The simulation is over: let those hear of it first who wait for an answer and are still here."""
        end = monotonic() + GOODBYE
        while len(self._unanswered) and monotonic() < end:
            sleep_for_real(ASK_EVERY)


def _length(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise RequestError(f'{name!r} is a number of seconds, or a text such as "10 ms"')
    return nanoseconds(units.seconds(_number(value), name))


def _number(value: Any) -> Any:
    """Return a plain number that came as text as a number, for that is how they are shown."""
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value


def _quantity(name: str, value: Any) -> Any:
    """Return what a link is to be given, as people write it in Python."""
    if value is None:
        return DEFAULTS.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        if name == "reordering" and isinstance(value, bool):
            return value
        raise RequestError(f'{name!r} is a number, or a text such as "80 ms", or null')
    return _number(value)


# -- frames ----------------------------------------------------------------------------------------------


class Watching(Stream):
    """The frames of one who watches a network: first all, then what has changed."""

    latest_only = True

    def __init__(self, simulation: Simulation, every: float) -> None:
        self.every = every
        self._simulation = simulation
        self._frame = 0
        self._hosts: list[list[Any]] = []
        self._links: list[list[Any]] = []
        self._settings: list[tuple[LinkSettings, ...]] = []

    @property
    def result(self) -> Any:
        """See `Stream`."""
        return {"every": self.every}

    def lines(self) -> Iterable[Sequence[bytes]]:
        """See `Stream`."""
        yield (body_of(self.frame()),)
        if self._simulation.remote.state == "over":
            self.over = "the simulation is over"

    def frame(self) -> dict[str, Any]:
        """Return the next frame."""
        simulation = self._simulation
        stacks, links = simulation.present, simulation.watch.links
        now = simulation.clock.now
        self._frame += 1
        frame: dict[str, Any] = {"frame": self._frame, "time": now / 1e9}
        frame["state"], frame["speed"] = state_of(simulation), simulation.remote.speed
        first_link = len(stacks) + 1
        if self._frame == 1:
            numbers = {name: number for number, name in enumerate(stacks, 1)}
            frame["seconds"], frame["seed"] = simulation.seconds, str(simulation.seed)
            frame["hosts"] = [
                {"n": numbers[name], "name": name, "kind": kind_of(one), "addresses": one.addresses()}
                for name, one in stacks.items()
            ]
            frame["links"] = [
                {
                    "n": number,
                    "name": name,
                    "ends": [numbers[link.a.name], numbers[link.b.name]],
                    "one_way": len(channels) == 1,
                    **self._parameters(channels),
                }
                for number, (name, link, channels) in enumerate(links, first_link)
            ]
        settings = [tuple(channel.settings for channel in channels) for _, _, channels in links]
        if self._frame > 1 and settings != self._settings:
            changed = [
                {"n": number, **self._parameters(channels)}
                for number, ((_, _, channels), new, old) in enumerate(
                    zip(links, settings, self._settings, strict=True), first_link
                )
                if new != old
            ]
            frame["changed"] = {"links": changed}
        self._settings = settings
        hosts = [
            [
                *(state_of_host(one), components_of(one), one.sent, one.received),
                sum(list((one.losses or {}).values())),
            ]
            for one in stacks.values()
        ]
        figures = [self._figures(channels, now) for _, _, channels in links]
        frame["h"] = _new(hosts, self._hosts, 1)
        frame["l"] = _new(figures, self._links, first_link)
        self._hosts, self._links = hosts, figures
        return frame

    def _parameters(self, channels: tuple[Channel, ...]) -> dict[str, Any]:
        there, *back = [asdict(self._simulation.watch.parameters_of(one.settings)) for one in channels]
        return {"parameters": there, "back": back[0] if back else None}

    def _figures(self, channels: tuple[Channel, ...], now: int) -> list[Any]:
        rates_of = self._simulation.watch.rates_of
        row: list[Any] = []
        for channel in channels:
            figures = figures_of(channel, now)
            packet_rate, byte_rate, _ = rates_of(channel, now)
            row.append([packet_rate, byte_rate, figures.lost, figures.queued, figures.in_flight])
        row.append(channels[0].is_open)
        return row


def _new(rows: list[list[Any]], before: list[list[Any]], first: int) -> dict[int, list[Any]]:
    """Return the rows that have changed, by their numbers."""
    if not before:
        return dict(enumerate(rows, first))
    return {
        number: row for number, (row, old) in enumerate(zip(rows, before, strict=True), first) if row != old
    }


__all__ = ["NetworkTarget", "serve_network"]
