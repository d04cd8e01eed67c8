"""What runs on one emulated host: a process in its network namespace, with an Axon system of its own.

The components are those of a simulation, and so is what is said of them at the end. Their event loop is
asyncio's own, on real sockets. One thing about it is different, for the same reason as in a simulation: a
server that listens on 127.0.0.1, as careful ones do by default, hears the other hosts of its network, too. An
emulated network is closed, so there is nobody to be careful of, and a component can be put into one as it is.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import sys
from asyncio import events
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ...axon.errors import KamaeliaError
from ...observe import measures
from ..addresses import ANY, ANY6, is_loopback
from ..hostrun import HostRun
from . import kernel
from .pipes import Gone, Pipe
from .verbs import Verbs

if TYPE_CHECKING:
    from ..network import Network


E = TypeVar("E", bound=BaseException)


HEAD_START = 0.01
"""Seconds that a host's components have, before the next host begins: servers listen by then."""


class HostReport(NamedTuple):
    """What came of what a host ran."""

    name: str
    result: Any
    error: BaseException | None
    measures: dict[str, dict[str, Any]]
    discarded: dict[str, int] | None


class RemoteFailure(KamaeliaError):
    """A component failed on an emulated host with an error that cannot be brought out of its process.

    The message has that error as text.

    Example:
        >>> from kamaelia.testbed.emulation import RemoteFailure
        >>> issubclass(RemoteFailure, Exception)
        True
    """


class EmulatedHostLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, on which a server hears its network also where it listens on 127.0.0.1 only."""

    async def create_server(self, protocol_factory: Any, host: Any = None, *args: Any, **options: Any) -> Any:
        """See asyncio."""
        if isinstance(host, (str, bytes)):
            host = _opened(host)
        elif host is not None:
            host = list(dict.fromkeys(_opened(one) for one in host))
        return await super().create_server(protocol_factory, host, *args, **options)

    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
    ) -> Any:
        """See asyncio."""
        if isinstance(local_addr, tuple) and remote_addr is None:
            local_addr = (_opened(local_addr[0]), *local_addr[1:])
        return await super().create_datagram_endpoint(protocol_factory, local_addr, remote_addr, **options)


def _opened(host: Any) -> Any:
    name = host.decode("ascii") if isinstance(host, bytes) else host
    if name == "localhost" or (isinstance(name, str) and is_loopback(name)):
        return ANY6 if ":" in name else ANY
    return host


def enter(namespace: int, name: str) -> None:
    """Be on a host: in its network, under its name, and in a group of processes of its own."""
    os.setsid()
    kernel.setns(namespace, kernel.CLONE_NEWNET)
    kernel.unshare(kernel.CLONE_NEWUTS)
    socket.sethostname(name)


def run_host(network: Network, name: str, seed: int | str, grace: float, start: int, pipe: Pipe) -> None:
    """Run what a host runs: the whole life of its process, but for being on the host."""
    events._set_running_loop(None)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    network.simulation = Verbs(network, _asking(pipe))  # type: ignore[assignment]
    run: HostRun | None = None

    async def main() -> None:
        nonlocal run
        loop = asyncio.get_running_loop()
        run = HostRun(name, loop, network.hosts[name].patterns, seed, grace, start)
        loop.add_reader(pipe.fileno(), _obey, run, pipe)
        run.system.start(*run.components)
        await asyncio.sleep(HEAD_START)
        pipe.send("began", name)
        await run.system.wait()
        loop.remove_reader(pipe.fileno())

    error: BaseException | None = None
    try:
        with asyncio.Runner(loop_factory=EmulatedHostLoop) as runner:
            runner.run(main())
        assert run is not None
        run.system.outcome()
    except BaseException as caught:
        error = caught
    result, measured, discarded = None, {}, None
    if run is not None:
        result, measured, discarded = run.result, measures(run.system), run.system.discarded
    try:
        result = _carried(result)
    except Exception as failure:
        error = error or failure
        result = None
    error = None if error is None else _portable(error)
    pipe.send("finished", HostReport(name, result, error, measured, discarded))
    sys.stdout.flush()
    sys.stderr.flush()


def _obey(run: HostRun, pipe: Pipe) -> None:
    try:
        orders = pipe.receive(0)
    except Gone:
        os._exit(1)
    for (order,) in orders:
        if order == "stop" and not run.system.is_over and not run.system.stopping:
            run.system.stop()


def _asking(pipe: Pipe) -> Any:
    """Return what tells the box of a verb that a component of this host has used."""

    def ask(method: str, *arguments: Any) -> None:
        pipe.send("act", 0, method, *arguments)

    return ask


def _carried(result: Any) -> Any:
    """Return a result if it can be brought to another process."""
    try:
        pickle.loads(pickle.dumps(result))
    except Exception as error:
        raise RemoteFailure(
            f"the result {result!r:.200} cannot be brought out of the host's process: {error}; return plain "
            "values, or objects of classes that stand in a module"
        ) from None
    return result


def _portable(error: E) -> E | Exception:
    """Return an error as it can be brought to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return _replaced(error)
    return error


def _replaced(error: BaseException) -> Exception:
    if isinstance(error, ExceptionGroup):
        group: ExceptionGroup[Exception] = error.derive([_portable(one) for one in error.exceptions])
        return group
    other = RemoteFailure(f"{type(error).__name__}: {error}")
    for note in getattr(error, "__notes__", ()):
        other.add_note(note)
    return other


__all__ = ["EmulatedHostLoop", "HostReport", "RemoteFailure", "enter", "run_host"]
