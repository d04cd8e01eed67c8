"""The warden: the first process in a world of its own, which ends with it.

Processes of an emulation::

    whoever emulates --- launcher --- warden --+-- box
                                               +-- a host's components
                                               +-- a host's programs, and what these start

The launcher gives itself namespaces of processes and of mounts, and forks the warden, which so is process 1
of that world. When process 1 ends, the kernel kills all others at once, however far they have gone from their
parents; with them go the network namespaces that nobody else holds, and with the box the devices. No name of
them stands in any file system. So nothing can be left behind, to be swept up later: not by an exception, not
by Ctrl-C, and not when whoever emulates is killed with SIGKILL. Then the connection to it breaks, at which
the warden ends; and the kernel has been told to kill the launcher and the warden with their parents, if even
that should fail.

The launcher is forked, and nothing is loaded anew, because components are made by functions of the scenario,
which may stand anywhere, and cannot be sent to another program. A fork has only the thread that forks: the
others of whoever emulates are not there, and what they have locked stays so. The warden has one thread for
good, and forks all others.

The warden sets up the hosts, starts what runs on them, and passes on what there is to say. It waits for all
at once in one thread.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import warnings
from asyncio import events
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ...axon.clock import monotonic
from . import kernel, rights
from .box import run_box
from .hosts import HostReport, enter, run_host
from .names import addresses_of, files_of, mtu_of
from .pipes import Gone, Pipe
from .programs import RunningProgram
from .sysctls import set_up
from .tun import open_tun

if TYPE_CHECKING:
    from ..network import Network

ALL_STARTS = 2.0  # seconds in which hosts begin one after the other; those that are left then begin at once


class Plan:
    """What is to be emulated."""

    def __init__(
        self,
        network: Network,
        *,
        seed: int | str,
        grace: float,
        keep: int | None,
        measure: frozenset[str],
        captures: dict[str, Any],
        snaplen: int,
    ) -> None:
        self.network = network
        self.seed = seed
        self.grace = grace
        self.keep = keep
        self.measure = measure
        self.captures = captures
        self.snaplen = snaplen


def launch(plan: Plan) -> tuple[int, Pipe]:
    """Start the processes of an emulation; return the number of the launcher, and the pipe to the warden."""
    here, there = Pipe.pair()
    sys.stdout.flush()  # what is still to be written would be written by each process
    sys.stderr.flush()
    parent = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of other threads, from 3.12 on: see above
        launcher = os.fork()
    if launcher:
        there.close()
        return launcher, here
    _and_end(lambda: _be_launcher(plan, here, there, parent))


def _and_end(body: Callable[[], None]) -> NoReturn:
    """Do something, and end this process; nothing of what the starter has set up is run."""
    status = 1
    try:
        body()
        status = 0
    except Gone:
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _be_launcher(plan: Plan, here: Pipe, there: Pipe, parent: int) -> None:
    here.close()
    os.setsid()
    kernel.die_with_parent(parent)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        rights.become_root_of_own_world()
        kernel.unshare(kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWNET)
    except OSError as error:
        there.send("failed", rights.explained(error))
        return
    warden = os.fork()
    if not warden:
        _and_end(lambda: _be_warden(plan, there))
    there.close()
    os.waitpid(warden, 0)


def _be_warden(plan: Plan, pipe: Pipe) -> None:
    kernel.die_with_parent(0)
    events._set_running_loop(None)
    try:
        warden = Warden(plan, pipe)
    except Exception as error:
        pipe.send("failed", rights.explained(error) if isinstance(error, OSError) else error)
        return
    pipe.send("ready", warden.setup)
    warden.serve()


class Warden:
    """Sets up hosts, and starts what runs on them.

    Arguments:
        plan: what is to be emulated
        pipe: to whoever emulates
    """

    def __init__(self, plan: Plan, pipe: Pipe) -> None:
        self._plan = plan
        self._pipe = pipe
        self._network = plan.network
        self._namespaces: dict[str, int] = {}
        self._programs: dict[int, RunningProgram] = {}  # by process
        self._hosts: dict[str, tuple[int, Pipe]] = {}
        self._pids: dict[int, str] = {}  # of processes that run components
        self._starts: dict[str, int] = {}
        self._to_start: list[str] = []
        self._beginning = ""  # the host that has been started last, and has not begun
        self._all_at_once = 0.0  # when those that are left are to begin
        self._crashed: set[str] = set()
        self._is_over = False
        self._selector = selectors.DefaultSelector()
        began = monotonic()
        import resource  # which only Unix has

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        _mount_files(files_of(self._network))
        devices = self._make_hosts()
        self._box = self._start_box(devices)
        for descriptor in devices.values():
            os.close(descriptor)
        for what, *arguments in self._wait_for_box():
            if what == "failed":  # of what it was asked for, and not for want of rights
                self._pipe.send("failed", *arguments)
                raise Gone
        self.setup = monotonic() - began

    def _make_hosts(self) -> dict[str, int]:
        """Make the namespace and the device of each host; return the devices."""
        devices = {}
        network = self._network
        for name, addresses in addresses_of(network).items():
            host = network.hosts[name]
            if host.kind == "switch":
                continue
            kernel.unshare(kernel.CLONE_NEWNET)
            metrics = set_up(host.tcp or network.tcp)
            devices[name] = open_tun(
                addresses, mtu=mtu_of(network, name), number=host.number, metrics=metrics
            )
            self._namespaces[name] = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        kernel.unshare(kernel.CLONE_NEWNET)  # be on none of them
        return devices

    def _start_box(self, devices: dict[str, int]) -> Pipe:
        plan, (here, there) = self._plan, Pipe.pair()

        def body() -> None:
            here.close()
            self._pipe.close()
            run_box(
                plan.network, plan.seed, plan.keep, plan.measure, plan.captures, plan.snaplen, devices, there
            )

        self._fork(body)
        there.close()
        return here

    def _wait_for_box(self) -> list[tuple[Any, ...]]:
        said: list[tuple[Any, ...]] = []
        while not said:
            said = self._box.receive()
        return said

    def _fork(self, body: Callable[[], None]) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _and_end(body)
        return pid

    # -- one thing after the other --------------------------------------------------------------------

    def serve(self) -> None:
        """Do what is asked for, until it is over."""
        wake_here, wake_there = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake_there)
        register = self._selector.register
        register(wake_here, selectors.EVENT_READ, lambda: self._reap(wake_here))
        register(self._pipe.fileno(), selectors.EVENT_READ, self._obey)
        register(self._box.fileno(), selectors.EVENT_READ, self._hear_box)
        while True:
            files = self._selector.get_map()
            for key, _ in self._selector.select(self._until_next()):
                if files.get(key.fd) is key:  # another of these may have closed it
                    key.data()
            now = monotonic()
            while self._to_start and (not self._beginning or now >= self._all_at_once):
                self._beginning = self._to_start.pop(0)
                self._start_host(self._beginning)
            for program in list(self._programs.values()):
                program.look_at_time(now)

    def _until_next(self) -> float | None:
        times = [program.deadline for program in self._programs.values()]
        times += [self._all_at_once] if self._to_start else []
        return max(0.0, min(times) - monotonic()) if times else None

    def _obey(self) -> None:
        for what, *arguments in self._pipe.receive(0):
            getattr(self, f"_do_{what}")(*arguments)

    def _hear_box(self) -> None:
        try:
            said = self._box.receive(0)
        except Gone:
            if not self._is_over:
                self._pipe.send("lost", "the box has ended by itself")
            self._selector.unregister(self._box.fileno())
            return
        for what, *arguments in said:
            heard: Any = getattr(self, f"_box_{what}", None)
            if heard is not None:
                heard(*arguments)
            else:
                self._pipe.send(what, *arguments)

    # -- components -----------------------------------------------------------------------------------

    def _do_begin(self) -> None:
        """Let time begin."""
        self._box.send("go")

    def _box_begun(self) -> None:
        """Packets are carried now: start what hosts run."""
        self._pipe.send("begun")
        self._to_start = [host.name for host in self._network.hosts.values() if host.patterns]
        self._all_at_once = monotonic() + ALL_STARTS

    def _start_host(self, name: str) -> None:
        here, there = Pipe.pair()
        start = self._starts[name] = self._starts.get(name, 0) + 1
        seed = self._plan.seed if start == 1 else f"{self._plan.seed}/start {start}"

        def body() -> None:
            here.close()
            self._selector.close()
            for pipe in (self._pipe, self._box, *(pipe for _, pipe in self._hosts.values())):
                pipe.close()
            enter(self._namespaces[name], name)
            run_host(self._network, name, seed, self._plan.grace, start, there)

        pid = self._fork(body)
        there.close()
        self._hosts[name] = (pid, here)
        self._pids[pid] = name
        self._selector.register(here.fileno(), selectors.EVENT_READ, lambda: self._hear_host(name, here))

    def _hear_host(self, name: str, pipe: Pipe) -> None:
        try:
            said = pipe.receive(0)
        except Gone:
            self._selector.unregister(pipe.fileno())
            pipe.close()
            return
        for what, *arguments in said:
            if what == "act":
                self._box.send("act", *arguments)
                continue
            self._has_begun(name)
            if what != "began":
                self._hosts.pop(name, None)
                self._pipe.send(what, *arguments)

    def _has_begun(self, name: str) -> None:
        """What a host runs has begun, or will not."""
        if self._beginning == name:
            self._beginning = ""
        self._pipe.send("host_began", name)

    def _do_stop(self) -> None:
        """Stop what hosts run, as Ctrl-C would."""
        for name in self._to_start:
            self._pipe.send("finished", HostReport(name, None, None, {}, None))
        self._to_start = []
        for _, pipe in self._hosts.values():
            with contextlib.suppress(Gone):
                pipe.send("stop")

    # -- programs -------------------------------------------------------------------------------------

    def _do_start(self, number: int, host: str, args: tuple[str, ...], options: dict[str, Any]) -> None:
        try:
            program = RunningProgram(number, host, self._namespaces[host], args, **options)
        except (OSError, ValueError) as error:
            self._pipe.send("refused", number, error)
            return
        self._programs[program.pid] = program
        self._pipe.send("started", number)
        for descriptor in program.output:
            self._selector.register(descriptor, selectors.EVENT_READ, self._reading(program, descriptor))

    def _reading(self, program: RunningProgram, descriptor: int) -> Callable[[], None]:
        def read() -> None:
            if not program.read(descriptor):
                self._selector.unregister(descriptor)

        return read

    def _do_signal(self, number: int, what: int) -> None:
        for program in self._programs.values():
            if program.number == number:
                program.tell(what)

    def _do_time(self, number: int) -> None:
        """The time of a program is over."""
        for program in self._programs.values():
            if program.number == number:
                program.deadline = monotonic()

    def _reap(self, descriptor: int) -> None:
        """Processes have ended, ours or those of others, which are left to process 1."""
        with contextlib.suppress(BlockingIOError):
            while os.read(descriptor, 4096):
                pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._has_ended(pid, status)

    def _has_ended(self, pid: int, status: int) -> None:
        program = self._programs.pop(pid, None)
        if program is not None:
            for descriptor in program.output:
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(descriptor)
            self._pipe.send("exited", program.number, program.finish(status))
            return
        name = self._pids.pop(pid, None)
        if name is None:
            return
        found = self._hosts.get(name)
        if found is None or found[0] != pid:
            return
        if found[1].fileno() >= 0:  # what it has said last may still be there
            self._hear_host(name, found[1])
        if name in self._hosts and name not in self._crashed:
            del self._hosts[name]
            code = os.waitstatus_to_exitcode(status)
            why = f"signal {-code}" if code < 0 else f"status {code}"
            self._has_begun(name)
            error = RuntimeError(f"the process of host {name} has ended by itself, with {why}")
            self._pipe.send("finished", HostReport(name, None, error, {}, None))

    # -- what the box says ----------------------------------------------------------------------------

    def _do_act(self, *arguments: Any) -> None:
        self._box.send("act", *arguments)

    def _box_crash(self, name: str) -> None:
        self._crashed.add(name)
        self._signal_all(name, signal.SIGKILL)
        self._hosts.pop(name, None)
        self._pipe.send("crashed", name)

    def _box_restart(self, name: str) -> None:
        self._crashed.discard(name)
        if self._network.hosts[name].patterns:
            self._pipe.send("restarted", name)
            self._start_host(name)

    def _box_pause(self, name: str) -> None:
        self._signal_all(name, signal.SIGSTOP)

    def _box_resume(self, name: str) -> None:
        self._signal_all(name, signal.SIGCONT)

    def _signal_all(self, name: str, number: int) -> None:
        """Send a signal to all processes that are in the network of a host."""
        namespace = os.fstat(self._namespaces[name])
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                other = os.stat(f"/proc/{entry}/ns/net")
                if (other.st_dev, other.st_ino) == (namespace.st_dev, namespace.st_ino):
                    os.kill(int(entry), number)
            except OSError:
                continue  # it has just ended

    def _do_end(self) -> None:
        """It is over: what the box has to say comes yet."""
        self._is_over = True
        self._box.send("end")


def _mount_files(files: dict[str, str]) -> None:
    """Have this world see other files in place of some, and its own processes only in ``/proc``."""
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("kamaelia", "/proc", "tmpfs")  # which the next one will cover: its files stay where they are
    for number, (path, text) in enumerate(files.items()):
        if not Path(path).exists():
            continue
        file = Path(f"/proc/{number}")
        file.write_text(text)
        file.chmod(0o644)
        kernel.mount(str(file), path, "", kernel.MS_BIND)
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


__all__ = ["Plan", "launch"]
