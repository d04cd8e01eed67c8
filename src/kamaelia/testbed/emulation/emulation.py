"""An emulation, seen by whoever started it: begin it, use it, and have what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...axon import UsageError, report, units
from ...axon.clock import monotonic, sleep_for_real
from ..errors import EmulationError
from ..hostrun import conclude
from ..measures_network import Metrics
from ..trace import Trace
from . import rights
from .hosts import HostReport
from .lateness import EmulationReport
from .pipes import Gone, Pipe
from .programs import Finished
from .verbs import Verbs
from .warden import Plan, launch

if TYPE_CHECKING:
    from ..network import Host

TIMEOUT = 60.0
"""Seconds that a program may take by default."""
PATIENCE = 10.0
"""Seconds that those have, beyond their grace, who were told to end."""


class EmulationWarning(RuntimeWarning):
    """An emulation was asked for more than is guaranteed, so its times may not be what they should."""


class Kept:
    """The events of a network that were written down in another process."""

    def __init__(self, rows: list[Any], count: int, fingerprint: str) -> None:
        self.rows = rows
        self.count = count
        self._fingerprint = fingerprint

    def fingerprint(self) -> str:
        """Return the hash over all events; no two emulations have the same."""
        return self._fingerprint


class Program:
    """A program that runs on an emulated host. Made by `Emulation.start`."""

    def __init__(self, emulation: Emulation, number: int, host: str, args: tuple[str, ...]) -> None:
        self._emulation = emulation
        self._number = number
        self.host = host
        """On which it runs."""
        self.args = args
        """The command."""
        self.finished: Finished | None = None
        """What came of it, when that is known."""
        self.error: Exception | None = None
        """Why it could not be started."""
        self.has_started = False

    def poll(self) -> Finished | None:
        """Return what came of it, or None if it still runs."""
        self._emulation._hear_now()
        return self.finished

    def wait(self, timeout: float | str | None = None) -> Finished:
        """Wait for its end, and return what came of it.

        Arguments:
            timeout: seconds, or text, after which `TimeoutError` is raised; the program goes on
        """
        length = None if timeout is None else units.seconds(timeout, "timeout")
        self._emulation._pump(lambda: self.finished, length)
        if self.finished is None:
            raise TimeoutError(f"{self!r} has not ended within {length:g} s")
        return self.finished

    def signal(self, number: int) -> None:
        """Send a signal to it, and to all of its group."""
        self._emulation._tell("signal", self._number, number)

    def stop(self) -> Finished:
        """End it (SIGTERM, and SIGKILL two seconds later), and return what came of it."""
        if self.finished is None:
            self._emulation._tell("time", self._number)
        return self.wait()

    def __repr__(self) -> str:
        return f"<program {' '.join(self.args)} on {self.host}>"


class Emulation:
    """A network in namespaces of this machine, while it lasts. Made by `Network.emulation`.

    Entered, all hosts are there, and what they run has begun; left, all of it ends and is gone, whatever has
    happened. Use it from one thread.
    """

    def __init__(self, plan: Plan, errors: str) -> None:
        self._plan = plan
        self.network = plan.network
        """What is emulated."""
        self._errors = errors
        self._pipe: Pipe | None = None
        self._launcher = 0
        self._began = 0.0
        self._programs: dict[int, Program] = {}
        self._next = 0
        self._reports: dict[str, HostReport] = {}
        self._running: set[str] = set()
        self._beginning: set[str] = set()  # hosts whose components have not begun
        self._is_idle = self._has_failed = False  # nothing is due that was said before; a script
        self._answers: dict[int, Any] = {}
        self._outcome: tuple[Any, ...] | None = None
        self.setup = 0.0
        """Seconds that it took to set up the hosts."""
        self.trace: Trace | None = None
        """What came of it, when it is over."""

    # -- beginning ------------------------------------------------------------------------------------

    def __enter__(self) -> Emulation:
        self._check()
        rights.check()
        self._launcher, self._pipe = launch(self._plan)
        try:
            self._pump(lambda: self.setup > 0)
            self._running = {host.name for host in self.network.hosts.values() if host.patterns}
            self._beginning = set(self._running)
            self._tell("begin")
            self._pump(lambda: self._began > 0)
            self._pump(lambda: not self._beginning, PATIENCE)
        except BaseException:
            self._abandon()
            raise
        self.network.simulation = Verbs(self.network, self._ask)  # type: ignore[assignment]
        return self

    def _check(self) -> None:
        if self._launcher or self.trace is not None:
            raise UsageError("this emulation has been used already; make another one")
        if self.network.simulation is not None:
            raise UsageError(f"{self.network!r} runs already")
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            raise UsageError(
                "an emulation cannot be begun in a running event loop: it forks processes, which would have "
                "that loop; call it in a thread of its own (asyncio.to_thread), or without a loop"
            )
        for host in self.network.hosts.values():
            if host.has_disk:
                raise UsageError(
                    f"{host.name}.disk: emulated hosts have the machine's files; simulate it instead"
                )
            if host.kind == "switch" and host.patterns:
                raise UsageError(f"{host.name}.run(): an emulated switch has no address, so it runs nothing")

    # -- using it -------------------------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Seconds since it has begun."""
        return monotonic() - self._began

    def wait(self, seconds: float | str | None = None, *, until: Host | str | None = None) -> bool:
        """Wait until the components of all hosts have ended, or of one; say whether they have.

        Of all, it waits for scripts, too, and for what is to happen at some time (`Network.at`); not if one
        of these fails.

        Arguments:
            seconds: how long at most, counted from now, or text; None for however long that takes
            until: the host that is waited for
        """
        name = None if until is None else self.network.find(until).name
        length = None if seconds is None else units.seconds(seconds, "seconds")

        def is_over() -> bool:
            if self._has_failed:
                return True
            return name not in self._running if name is not None else self._is_idle and not self._running

        return self._pump(is_over, length)

    def start(
        self,
        host: Host | str,
        command: Sequence[str | PathLike[str]],
        *,
        timeout: float | str = TIMEOUT,
        input: bytes | None = None,
        capture: bool = True,
        cwd: str | PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Program:
        """Start a program of this machine on a host, and let it run.

        It finds the other hosts by name, and nobody else; it sees the files of this machine, and only the
        processes of the emulation. What has not ended when the emulation ends is killed.

        Arguments:
            host: on which; a switch runs nothing
            command: the program, and its arguments
            timeout: after so long it is ended (SIGTERM to all of its group, SIGKILL two seconds later)
            input: what it reads from its standard input; nothing by default
            capture: keep what it writes, up to 16 MiB of each of its two streams; otherwise its standard
                input, output and error are those of this process
            cwd: the directory in which it runs
            env: its environment

        Raises `OSError` if it cannot be started, `UsageError` for a host that is not there.
        """
        name = self._host(host)
        args = _arguments(command)
        self._next += 1
        program = self._programs[self._next] = Program(self, self._next, name, args)
        options = {
            "stdin": input,
            "timeout": units.seconds(timeout, "timeout"),
            "capture": capture,
            "cwd": None if cwd is None else os.fspath(Path(cwd).absolute()),
            "env": env,
        }
        self._tell("start", self._next, name, args, options)
        self._pump(lambda: program.has_started or program.error)
        if program.error is not None:
            raise program.error
        return program

    def command(
        self, host: Host | str, command: Sequence[str | PathLike[str]], *, check: bool = True, **options: Any
    ) -> Finished:
        """Run a program on a host, wait for its end, and return what came of it.

        Arguments, beside those of `start`:
            check: raise `EmulationError` if it was ended for want of time, or does not return 0

        Raises `OSError` if it cannot be started.
        """
        finished = self.start(host, command, **options).wait()
        if check and (finished.returncode or finished.timed_out):
            raise EmulationError(_failure(finished, self._host(host)))
        return finished

    def _host(self, host: Host | str) -> str:
        found = self.network.find(host)
        if found.kind == "switch":
            raise UsageError(f"{found.name} is a switch, and runs nothing; give a host or a router")
        return found.name

    # -- ending ---------------------------------------------------------------------------------------

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon()
            return
        try:
            self._finish()
        finally:
            self._abandon()
        self._conclude()

    def _finish(self) -> None:
        """Stop what still runs, and have the box say what has been."""
        self._tell("stop")
        self._pump(lambda: not self._running, self._plan.grace + PATIENCE)
        self._tell("end")
        if not self._pump(lambda: self._outcome is not None, PATIENCE):
            raise EmulationError("the box does not answer")

    def _abandon(self) -> None:
        """End everything at once; when this returns it is gone."""
        if isinstance(self.network.simulation, Verbs):
            self.network.simulation = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if not self._launcher:
            return
        launcher, self._launcher = self._launcher, 0
        _await_end(launcher)

    def _conclude(self) -> None:
        assert self._outcome is not None
        metrics, rows, captures, load, problem = self._outcome
        failed: dict[str, Exception] = {}
        for name in self._running:
            failed[name] = EmulationError(f"{name}: what it ran has not ended {PATIENCE:g} s after its grace")
        for name, told in self._reports.items():
            if told.error is not None:
                if not isinstance(told.error, Exception):
                    raise told.error
                failed[name] = told.error
            report.warn_about_discarded(told.discarded)
        if problem is not None:
            raise problem
        for text in load.warnings:
            warnings.warn(text, EmulationWarning, stacklevel=3)
        if self._errors == "raise":
            conclude(failed, f"seed {self._plan.seed!r}, emulated")
        self.trace = Trace(
            seed=self._plan.seed,
            recorder=None if rows is None else Kept(*rows),
            metrics=Metrics(
                metrics.seconds,
                metrics.links,
                metrics.hosts,
                {name: told.measures for name, told in self._reports.items() if told.measures},
            ),
            results={
                host.name: self._reports[host.name].result if host.name in self._reports else None
                for host in self.network.hosts.values()
                if host.patterns
            },
            errors=failed,
            captures=captures,
            emulation=load,
        )

    # -- what is said ---------------------------------------------------------------------------------

    def _tell(self, what: str, *arguments: Any) -> None:
        if self._pipe is None:
            raise UsageError("this emulation does not run: use it in its with block")
        try:
            self._pipe.send(what, *arguments)
        except Gone:
            raise EmulationError("the emulation has ended by itself") from None

    def _ask(self, method: str, *arguments: Any) -> None:
        """Have the box do something; raise what it raises."""
        self._next += 1
        number = self._next
        self._tell("act", number, method, *arguments)
        self._pump(lambda: number in self._answers)
        error = self._answers.pop(number)
        if error is not None:
            raise error

    def _hear_now(self) -> None:
        self._pump(lambda: False, 0)

    def _pump(self, done: Callable[[], object], seconds: float | None = None) -> bool:
        """Hear what there is until something is so; say whether it is, or the time was over before."""
        deadline = None if seconds is None else monotonic() + seconds
        while not done():
            left = None if deadline is None else deadline - monotonic()
            if self._pipe is None:
                raise UsageError("this emulation does not run: use it in its with block")
            try:
                said = self._pipe.receive(None if left is None else max(0.0, left))
            except Gone:
                raise EmulationError("the emulation has ended by itself") from None
            for what, *arguments in said:
                getattr(self, f"_on_{what}")(*arguments)
            if not said and left is not None and left <= 0:
                return bool(done())
        return True

    def _on_ready(self, setup: float) -> None:
        self.setup = setup

    def _on_host_began(self, name: str) -> None:
        self._beginning.discard(name)

    def _on_begun(self) -> None:
        self._began = monotonic()

    def _on_failed(self, error: Exception) -> None:
        raise error

    def _on_lost(self, text: str) -> None:
        raise EmulationError(text)

    def _on_finished(self, told: HostReport) -> None:
        self._reports[told.name] = told
        self._running.discard(told.name)

    def _on_crashed(self, name: str) -> None:
        self._beginning.discard(name)
        self._running.discard(name)

    def _on_restarted(self, name: str) -> None:
        self._running.add(name)

    def _on_started(self, number: int) -> None:
        self._programs[number].has_started = True

    def _on_idle(self, has_failed: bool) -> None:
        self._is_idle, self._has_failed = True, has_failed

    def _on_exited(self, number: int, finished: Finished) -> None:
        self._programs[number].finished = finished

    def _on_refused(self, number: int, error: Exception) -> None:
        self._programs[number].error = error

    def _on_done(self, number: int, error: Exception | None) -> None:
        self._answers[number] = error

    def _on_outcome(self, *outcome: Any) -> None:
        self._outcome = outcome


def _arguments(command: Sequence[str | PathLike[str]]) -> tuple[str, ...]:
    if isinstance(command, (str, bytes)) or not command:
        raise UsageError(
            f"command={command!r}: give the program and its arguments, as in ['ping', '-c', '1']"
        )
    return tuple(os.fspath(one) for one in command)


def _failure(finished: Finished, host: str) -> str:
    why = "was ended, as its time was over" if finished.timed_out else f"has returned {finished.returncode}"
    said = (finished.stderr or finished.stdout).decode(errors="replace").strip()
    return f"{' '.join(finished.args)} on {host} {why}: {said[-2000:] or 'it has written nothing'}"


def _await_end(launcher: int) -> None:
    """Wait until the launcher has ended, and with it all else; kill it if that takes too long."""
    deadline = monotonic() + PATIENCE
    while monotonic() < deadline:
        if _has_ended(launcher):
            return
        sleep_for_real(0.002)
    os.kill(launcher, signal.SIGKILL)
    while not _has_ended(launcher):
        sleep_for_real(0.002)


def _has_ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] != 0
    except ChildProcessError:  # somebody else waits for all children of this process
        return True


__all__ = ["Emulation", "EmulationReport", "EmulationWarning", "Program"]
