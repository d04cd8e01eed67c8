"""The disk of a simulated host, and what can be wrong with it: full, slow, hanging, failing, torn by a crash.

Theory
------
The parts of `kamaelia.file` ask whatever ``disk`` the event loop that they run on has. A host whose
`HostDisk` was mentioned (``host.disk``) has one of its own: an empty file system in memory (`filesystem`),
with the files that were put there. The parts do not know, and the machine's files are not touched. A host
without one goes on using the machine's, at once and in no time.

**Time.** A disk does one call after the other, in the order in which they were made, whoever makes them. A
call takes the ``latency`` and, if bytes are read or written, these at the ``rate``. What it does, it does at
its end. Meanwhile other parts go on. Bytes take their time when they are written, as if no memory stood in
between; to sync takes the latency only. What is known of an open file, and to close it, takes no time. So
``rate=None`` and ``latency=0``, what a disk has if nothing is said, take none at all.

**Faults.** All of them can be switched on and off at any time, before a run or while it is under way. Calls
that are under way then end as they would have, except that they wait for the end of a ``hang``.

| fault | what happens | as on Linux |
| --- | --- | --- |
| ``capacity``, ``full`` | a write takes what there is room for; the next one is refused | ENOSPC |
| ``rate``, ``latency`` | calls take virtual time | |
| ``hang`` | no call comes back, until it is over | a process in state D |
| ``read_only`` | whatever would change something is refused | EROFS |
| ``fail`` | chosen calls are refused, and do nothing | EIO, or another |
| a crash of the host | what was not synced is lost, torn, or there (``unsynced``) | |

**A crash** loses the memory of the host. What is left is drawn from the random stream ``HOST/disk`` of the
seed: which of the last changes of names have got to the disk, all up to some one; and then for each file with
bytes that are not safe, whether of those none, some or all have: one time in three each. Where it is some,
the file is torn at a byte that is drawn too. A write that is under way counts among those that are not safe.
Programs that are cancelled by the crash find that all calls fail (EIO) and change nothing any more.

What is not modelled is said in `filesystem`. Besides: seeks, and calls that overtake each other; metadata
that needs room; a sync that has failed leaves everything as it was, and may be tried again. What a paused
host has asked for is done when it goes on.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import coroutine
from typing import Any, NamedTuple, TypeVar

from ..axon import UsageError, units
from ..axon.arguments import check_whole
from ..axon.clock import EPOCH, calendar, nanoseconds
from ..axon.errors import shorten, suggestion
from .faults import note
from .filesystem import FileSystem, Node, canonical, error
from .links import RandomStream

R = TypeVar("R")

KEEP = 10_000  # calls that are written down
FIRST_NUMBER = 2**29  # of an open file: more than the machine has open

CALLS = ("open", "read", "write", "sync", "stat", "list", "rename", "remove", "mkdir")
FATES = ("drawn", "lost", "torn", "kept")

_WRITES = os.O_WRONLY | os.O_RDWR


class DiskCall(NamedTuple):
    """Something that a part has asked of a disk.

    >>> print(DiskCall(3, 0.25, "write", "out.ts", 512))
    0.250000 write  out.ts 512 B
    >>> print(DiskCall(4, 0.26, "write", "out.ts", 0, "ENOSPC"))
    0.260000 write  out.ts: ENOSPC
    """

    number: int
    """Counted from 1 on, on each disk."""
    time: float
    """When it was over, in seconds of virtual time."""
    call: str
    """``open``, ``read``, ``write``, ``sync``, ``stat``, ``list``, ``rename``, ``remove`` or ``mkdir``; or
    ``crash``, which nobody has asked for."""
    name: str
    """Of the file or folder; of a rename both, ``"old > new"``."""
    size: int
    """Bytes that were read or written; those that a crash has taken away."""
    error: str = ""
    """Why it has failed, such as ``"ENOSPC"``; nothing if it has not."""

    def __str__(self) -> str:
        size = f" {self.size} B" if self.size else ""
        why = f": {self.error}" if self.error else ""
        return f"{self.time:.6f} {self.call:<6} {self.name}{size}{why}".rstrip()


@dataclass(frozen=True)
class DiskSettings:
    """What a disk is like. Made by `HostDisk.set`, which says what the words mean."""

    capacity: int | None = None
    """In bytes."""
    rate: float | None = None
    """In bytes a second."""
    latency: int = 0
    """In nanoseconds."""
    full: bool = False
    hang: bool = False
    read_only: bool = False
    unsynced: str = "drawn"

    def changed(self, changes: Mapping[str, Any]) -> DiskSettings:
        """Return settings of which some are others. Raises `UsageError`.

        >>> DiskSettings().changed({"latency": "5 ms", "rate": "1 MB/s"}).rate
        1000000.0
        """
        names = [field.name for field in fields(self)]
        made = {}
        for name, value in changes.items():
            if name not in names:
                raise UsageError(f"disk.set({name}=...): a disk has no {name!r}; {suggestion(name, names)}")
            made[name] = _checked(name, value)
        return replace(self, **made)


def _checked(name: str, value: Any) -> Any:
    if name == "capacity":
        return None if value is None else units.size(value, name)
    if name == "rate":
        rate = None if value is None else units.bytes_per_second(value, name)
        if rate == 0:
            raise UsageError(f"rate={value!r}: no call would ever end; say hang=True; rate=None is no limit")
        return rate
    if name == "latency":
        return nanoseconds(units.seconds(value, name))
    if name == "unsynced":
        if value not in FATES:
            raise UsageError(f"unsynced={value!r}: what was not synced is {', '.join(map(repr, FATES))}")
    elif not isinstance(value, bool):
        raise UsageError(f"{name}={value!r}: say True or False")
    return value


@dataclass(frozen=True)
class Failing:
    """Which calls fail. Made by `HostDisk.fail`."""

    calls: tuple[str, ...]
    pattern: str
    after: int
    times: int | None
    error: int

    @classmethod
    def make(cls, calls: tuple[str, ...], name: str, after: int, times: int | None, why: str) -> Failing:
        """Return it if it makes sense. Raises `UsageError`."""
        for call in calls:
            if call not in CALLS:
                raise UsageError(f"disk.fail({call!r}): no part calls that; {suggestion(call, CALLS)}")
        check_whole(f"disk.fail(after={shorten(after)})", after, "how many calls go well before", 0)
        if times is not None:
            check_whole(f"disk.fail(times={shorten(times)})", times, "how many calls fail", 1)
        number = getattr(errno, str(why), None)
        if not isinstance(number, int):
            raise UsageError(f"disk.fail(error={why!r}): give the name of an error, such as 'EIO'")
        return cls(calls or CALLS, canonical(name), after, times, number)

    def concerns(self, call: str, *paths: str) -> bool:
        """Say whether it is about such a call.

        >>> Failing.make(("write",), "rec/*", 0, None, "EIO").concerns("write", "/rec/out.ts")
        True
        """
        return call in self.calls and any(fnmatchcase(path, self.pattern) for path in paths)


class HostDisk:
    """The disk of a host: in a scenario its description, and while a simulation runs, the disk in it.

    It is ``host.disk``; who mentions it gives the host one. All paths begin at its root, so ``"talk.ts"`` and
    ``"/talk.ts"`` are the same file. What is said before a run holds for each run; what is said while one is
    under way, by something that is called in it, holds until its end. On loopback it means nothing.

    Example:
        >>> from kamaelia.testbed import Network
        >>> disk = Network().host("recorder").disk
        >>> disk.put("talk.ts", bytes(1000))
        >>> disk.set(capacity="1 GB", rate="20 MB/s", latency="5 ms")
        >>> disk.fail("read", name="talk.ts", after=3)
        >>> disk
        <disk of recorder: 1 file, 1000 bytes>
    """

    __slots__ = ("_draft", "_find", "_steps", "name")

    def __init__(self, name: str, find: Callable[[], SimulatedDisk | None] = lambda: None) -> None:
        self.name = name
        """Of its host."""
        self._find = find
        self._draft = SimulatedDisk(name, _Stopped(), 0)  # so that what makes no sense is told at once
        self._steps: list[Callable[[SimulatedDisk], None]] = []

    def put(self, name: str, data: bytes | os.PathLike[str]) -> None:
        """Have a file, in place of one that there may be, and the folders that it is in. It takes no time.

        Arguments:
            name: of the file
            data: what is in it, or the Path of a file of this machine that has it

        Raises `UsageError` for what is neither, and when there is no room for it.
        """
        content = _content(name, data)
        self._do(lambda disk: disk.put(name, content), "put", name, content)

    def make_folder(self, name: str) -> None:
        """Have a folder, and those that it is in."""
        self._do(lambda disk: disk.make_folder(name), "make_folder", name)

    def remove(self, name: str) -> None:
        """Take a file away. Raises `FileNotFoundError` when there is none."""
        self._do(lambda disk: disk.remove(name), "remove", name)

    def truncate(self, name: str, size: int | str) -> None:
        """Cut a file, as somebody does who writes it anew. Raises `FileNotFoundError` when there is none.

        Arguments:
            name: of the file
            size: bytes that it keeps, or text such as ``"1 kB"``
        """
        self._do(lambda disk: disk.truncate(name, size), "truncate", name, size)

    def set(self, **changes: Any) -> None:
        """Change the disk; what is not named stays as it is.

        - ``capacity``: bytes that it has room for, or text such as ``"1 GB"``; None for any number
        - ``rate``: bytes that it reads or writes in a second, or text such as ``"20 MB/s"``; None for no
          limit
        - ``latency``: seconds that each call takes, or text such as ``"5 ms"``
        - ``full``: there is room for not a byte more, whatever is removed
        - ``hang``: no call comes back, until it is False again
        - ``read_only``: nothing can be changed
        - ``unsynced``: what a crash leaves of what was not synced: ``"drawn"``; ``"lost"``, nothing;
          ``"torn"``, all names and of each file's bytes some, the worst that can be; ``"kept"``, all

        Raises `UsageError` for quantities that are none.
        """
        self._do(lambda disk: disk.set(**changes), "set", **changes)

    def fail(
        self, *calls: str, name: str = "*", after: int = 0, times: int | None = None, error: str = "EIO"
    ) -> None:
        """Have calls fail, and do nothing.

        Arguments:
            calls: which, such as ``"read"`` and ``"write"``, see `DiskCall`; all if none is named
            name: of the file, or a pattern as in `fnmatch`, whose ``*`` stands for ``/``, too. What
                `FileWriter` writes to until the end is ``".NAME.0.partial"``
            after: so many of these calls go well before
            times: so many fail; if it is not said, all from then on
            error: the name of the error

        Raises `UsageError` for calls and errors that there are not.
        """
        failing = Failing.make(calls, name, after, times, error)
        said = {"name": name, "after": after, "times": times, "error": error}
        self._do(lambda disk: disk.fail(failing), "fail", *calls, **said)

    def repair(self) -> None:
        """No call fails any more, and the disk is neither full nor hanging nor read-only."""
        self._do(lambda disk: disk.repair(), "repair")

    def after_each(self, call: Callable[[DiskCall], object]) -> None:
        """Have something called after each call, before anything else happens: to break things just then.

        Arguments:
            call: with what was called
        """
        self._do(lambda disk: disk.after_each(call), "after_each", call)

    def begin(self, clock: Any, seed: int | str, keep: int = KEEP) -> SimulatedDisk:
        """Return the disk for one run, in which so many calls are written down."""
        disk = SimulatedDisk(self.name, clock, seed, keep)
        for step in self._steps:
            step(disk)
        return disk

    def _do(self, step: Callable[[SimulatedDisk], None], verb: str, /, *args: Any, **options: Any) -> None:
        running = self._find()
        if running is not None:
            note(self, verb, *args, **options)
            step(running)
        else:
            step(self._draft)
            self._steps.append(step)

    def __repr__(self) -> str:
        return repr(self._draft)


class SimulatedDisk:
    """A disk in one run. The verbs are those of `HostDisk`.

    Arguments:
        name: of its host
        clock: whose time it is
        seed: of what a crash leaves
        keep: so many calls are written down

    Example:
        >>> from kamaelia.axon import VirtualClock
        >>> disk = SimulatedDisk("recorder", VirtualClock(), seed=7)
        >>> disk.put("log", b"safe")
        >>> disk.crash()
        >>> disk.calls
        [DiskCall(number=1, time=0.0, call='crash', name='', size=0, error='')]
    """

    def __init__(self, name: str, clock: Any, seed: int | str, keep: int = KEEP) -> None:
        self.name = name
        self.clock = clock
        self.settings = DiskSettings()
        self.files = FileSystem()
        self.calls: list[DiskCall] = []
        """What was asked of it, as far as it was written down."""
        self.count = 0
        """How many calls there were."""
        self._keep_calls = keep
        self._stream = RandomStream(seed, f"{name}/disk")
        self._mount: MountedDisk | None = None
        self._idle = 0  # when it has done everything that it was asked for
        self._failing: list[_Counted] = []
        self._listeners: list[Callable[[DiskCall], object]] = []
        self._sleepers: dict[_Sleeper, int] = {}  # and until when
        self._hanging: list[_Sleeper] = []
        self._writes: list[_Write] = []  # that are under way

    # -- verbs ----------------------------------------------------------------------------------------

    def put(self, name: str, data: bytes | os.PathLike[str]) -> None:
        """See `HostDisk`, as for all of these."""
        content, path = _content(name, data), canonical(name)
        capacity = self.settings.capacity
        before = len(self.files.find(path).content) if self.files.exists(path) else 0
        if capacity is not None and self.files.used - before + len(content) > capacity:
            raise UsageError(
                f"disk.put({name!r}): {len(content)} bytes do not fit on the disk of {self.name}, which has "
                f"{self.files.used} of {capacity} taken; set a larger capacity"
            )
        self.files.put(path, content, self.now)

    def make_folder(self, name: str) -> None:
        self.files.make_folders(canonical(name), self.now)
        self.files.sync_names()

    def remove(self, name: str) -> None:
        self.files.remove(canonical(name), self.now)
        self.files.sync_names()

    def truncate(self, name: str, size: int | str) -> None:
        self.files.truncate(self.files.find(canonical(name)), units.size(size, "size"), self.now)

    def set(self, **changes: Any) -> None:
        self.settings = self.settings.changed(changes)
        self.files.capacity = 0 if self.settings.full else self.settings.capacity
        if not self.settings.hang:
            for sleeper in self._hanging:
                self.clock.add_ready(sleeper)
            self._hanging.clear()

    def fail(self, failing: Failing) -> None:
        self._failing.append(_Counted(failing))

    def repair(self) -> None:
        self._failing.clear()
        self.set(full=False, hang=False, read_only=False)

    def after_each(self, call: Callable[[DiskCall], object]) -> None:
        self._listeners.append(call)

    # -- beginning and end ----------------------------------------------------------------------------

    def mount(self, loop: Any) -> MountedDisk:
        """Return what the parts ask that run on an event loop: to be its ``disk``.

        After a crash it can be mounted again.
        """
        self._mount = MountedDisk(self, loop)
        return self._mount

    def crash(self) -> None:
        """The host has lost its memory, at this instant. Calls that are under way will fail.

        It may be called at any time, also by something that was given to `after_each`.
        """
        before = self.files.used
        if not self.settings.hang:
            for write in self._writes:
                if write.start <= self.clock.now:
                    self._write_under_way(write)
        self._writes.clear()
        self.files.crash(self._surviving_names, self._surviving_bytes)
        self._idle = self.clock.now
        self.end()
        self._wake_all()
        self._keep("crash", "", before - self.files.used, "")

    def end(self) -> None:
        """The run is over: whoever is left and cleans up finds nothing to clean."""
        if self._mount is not None:
            self._mount.is_dead = True

    def _wake_all(self) -> None:
        """Let all calls go on that wait, to find that there is nothing more to do."""
        for sleeper, when in [*self._sleepers.items()]:
            if when > self.clock.now:  # else it is about to go on by itself
                sleeper._cancelled = True
                self.clock.forget_timer()
                self.forget(sleeper)
                self.clock.add_ready(_Sleeper(self, sleeper._loop, sleeper._wake))
        for sleeper in self._hanging:
            self.clock.add_ready(sleeper)
        self._hanging.clear()

    def trace(self) -> DiskTrace:
        """Return what is to be known of it after the run."""
        return DiskTrace(self)

    def _write_under_way(self, write: _Write) -> None:
        try:
            self.files.write(write.node, write.data, self.now)
        except OSError:  # it would have found no room
            pass

    def _surviving_names(self, count: int) -> int:
        if self.settings.unsynced == "drawn":
            return self._stream.below(count + 1)
        return 0 if self.settings.unsynced == "lost" else count

    def _surviving_bytes(self, count: int) -> int:
        fate = self.settings.unsynced
        if fate == "drawn":
            fate = FATES[1 + self._stream.below(3)]
        if fate == "torn":
            return 1 + self._stream.below(count - 1) if count > 1 else 0
        return 0 if fate == "lost" else count

    # -- what calls need ------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The time of the calendar, in nanoseconds since 1970."""
        return int(EPOCH) * 10**9 + int(self.clock.now)

    def reserve(self, size: int) -> tuple[int, int]:
        """Take a place in the line; return when a call will begin and end, in nanoseconds."""
        settings = self.settings
        begin = max(self.clock.now, self._idle)
        self._idle = begin + settings.latency
        if settings.rate is not None:
            self._idle += round(size * 1e9 / settings.rate)
        return begin, self._idle

    def wake_at(self, when: int, sleeper: _Sleeper) -> None:
        """Have a call go on at a time, or when there is a crash."""
        self._sleepers[sleeper] = when
        self.clock.add_timer(when, sleeper)

    def wake_when_it_goes_on(self, sleeper: _Sleeper) -> None:
        """Have a call go on when the disk hangs no more, or when there is a crash."""
        self._hanging.append(sleeper)

    def check(self, call: str, *paths: str) -> None:
        """Raise the error of a call that is to fail."""
        for counted in self._failing:
            if counted.failing.concerns(call, *paths) and counted.strikes():
                raise error(counted.failing.error, paths[0])

    def note(self, call: str, name: str, size: int, why: str) -> None:
        """Write down a call, and tell who wants to know."""
        made = self._keep(call, name, size, why)
        for listener in self._listeners:
            listener(made)

    def _keep(self, call: str, name: str, size: int, why: str) -> DiskCall:
        self.count += 1
        made = DiskCall(self.count, self.clock.now / 1e9, call, name, size, why)
        if self.count <= self._keep_calls:
            self.calls.append(made)
        return made

    def forget(self, sleeper: _Sleeper) -> None:
        """A call goes on."""
        self._sleepers.pop(sleeper, None)

    def begin_write(self, write: _Write) -> None:
        """A write is under way."""
        self._writes.append(write)

    def end_write(self, write: _Write) -> None:
        """It is over, in one way or another."""
        if write in self._writes:
            self._writes.remove(write)

    def __repr__(self) -> str:
        count = len(self.files.paths())
        return f"<disk of {self.name}: {count} file{'s'[: count != 1]}, {self.files.used} bytes>"


class DiskTrace(Mapping[str, bytes]):
    """A disk at the end of a run: what programs would find there, by name. In ``trace.disks``.

    Example:
        >>> disk = HostDisk("recorder").begin(_Stopped(), seed=7)
        >>> disk.put("rec/out.ts", b"new")
        >>> dict(disk.trace())
        {'rec/out.ts': b'new'}
    """

    def __init__(self, disk: SimulatedDisk) -> None:
        self._disk = disk

    @property
    def calls(self) -> list[DiskCall]:
        """What the parts have asked of it, in order: the first 10,000 calls."""
        return self._disk.calls

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        return self._disk.files.used

    def __getitem__(self, name: str) -> bytes:
        files, path = self._disk.files, canonical(name)
        if not files.exists(path) or files.find(path).is_folder:
            raise KeyError(
                f"there is no file {name!r} on the disk of {self._disk.name}; {suggestion(name, list(self))}"
            )
        return files.content(path)

    def __iter__(self) -> Iterator[str]:
        return (path[1:] for path in self._disk.files.paths())

    def __len__(self) -> int:
        return len(self._disk.files.paths())

    def __repr__(self) -> str:
        return repr(self._disk)


class MountedDisk:
    """A disk as the parts of one host see it, from one boot to the next: the `Disk` of `kamaelia.file`."""

    def __init__(self, disk: SimulatedDisk, loop: Any) -> None:
        self.is_dead = False
        """The host has crashed since, or the run is over."""
        self._disk = disk
        self._files = disk.files
        self._loop = loop
        self._handles: dict[int, _Handle] = {}
        self._last_number = FIRST_NUMBER

    async def open(self, path: str, flags: int, mode: int = 0o666) -> int:
        """See `kamaelia.file.disk.Disk`, as for all of these."""
        path = canonical(path)
        node = await self._do("open", path, lambda: self._open(path, flags))
        self._last_number += 1
        self._handles[self._last_number] = _Handle(node, path, bool(flags & _WRITES))
        if not self.is_dead:  # else whoever waits for this has crashed just now
            self._files.hold(node)
        return self._last_number

    def _open(self, path: str, flags: int) -> Node:
        writes, creates = flags & _WRITES, flags & os.O_CREAT
        try:
            node = self._files.find(path)
        except FileNotFoundError:
            if not creates:
                raise
            self._check_writable(path)
            return self._files.create(path, self._now)
        if creates and flags & os.O_EXCL:
            raise error(errno.EEXIST, path)
        if writes:
            if node.is_folder:
                raise error(errno.EISDIR, path)
            self._check_writable(path)
            if flags & os.O_TRUNC or not flags & os.O_APPEND:
                raise OSError(errno.EINVAL, "a simulated disk writes at the ends of files only", path)
        return node

    async def fstat(self, fd: int) -> os.stat_result:
        return self._handle(fd).node.status()

    async def read(self, fd: int, size: int) -> bytes:
        raise error(errno.ESPIPE, self._handle(fd).path)  # there are no pipes

    async def pread(self, fd: int, size: int, position: int) -> bytes:
        handle = self._handle(fd)
        node = handle.node

        def read() -> bytes:
            if node.is_folder:
                raise error(errno.EISDIR, handle.path)
            return bytes(memoryview(node.content)[position : position + size])

        there = max(min(size, len(node.content) - position), 0)
        return await self._do("read", handle.path, read, there)

    def preadv(self, fd: int, buffers: list[bytearray], position: int, flags: int) -> int:
        raise error(errno.EOPNOTSUPP)  # the parts do not ask for what is in memory where time is virtual

    async def write(self, fd: int, data: bytes | memoryview) -> int:
        handle = self._handle(fd)
        if not handle.writes:
            raise error(errno.EBADF, handle.path)

        def write() -> int:
            self._check_writable(handle.path)
            return self._files.write(handle.node, data, self._now)

        under_way = _Write(handle.node, data)
        self._disk.begin_write(under_way)
        try:
            return await self._do("write", handle.path, write, len(data), under_way)
        finally:
            self._disk.end_write(under_way)

    async def fsync(self, fd: int) -> None:
        handle = self._handle(fd)
        await self._do("sync", handle.path, lambda: self._files.sync(handle.node))

    async def fchown(self, fd: int, uid: int, gid: int) -> None:
        self._handle(fd)  # there are no users

    async def fchmod(self, fd: int, mode: int) -> None:
        node = self._handle(fd).node
        node.mode = node.mode & ~0o7777 | mode & 0o7777

    async def close(self, fd: int) -> None:
        handle = self._handles.pop(fd, None)
        if self.is_dead:  # nothing is open any more
            return
        if handle is None:
            raise error(errno.EBADF)
        self._files.release(handle.node)

    async def stat(self, path: str) -> os.stat_result:
        path = canonical(path)
        return await self._do("stat", path, lambda: self._files.find(path).status())

    async def lstat(self, path: str) -> os.stat_result:
        return await self.stat(path)

    async def listdir(self, path: str) -> list[str]:
        path = canonical(path)
        return await self._do("list", path, lambda: self._files.names_in(path))

    async def realpath(self, path: str) -> str:
        return canonical(path)

    async def replace(self, old: str, new: str) -> None:
        old, new = canonical(old), canonical(new)

        def rename() -> None:
            self._check_writable(old)
            self._files.rename(old, new, self._now)

        await self._do("rename", old, rename, 0, None, new)

    async def unlink(self, path: str) -> None:
        path = canonical(path)

        def remove() -> None:
            self._check_writable(path)
            self._files.remove(path, self._now)

        await self._do("remove", path, remove)

    async def makedirs(self, path: str) -> None:
        path = canonical(path)

        def make() -> None:
            if not self._files.exists(path):
                self._check_writable(path)
            self._files.make_folders(path, self._now)

        await self._do("mkdir", path, make)

    # -- what all have in common ----------------------------------------------------------------------

    @property
    def _now(self) -> int:
        """What the host's calendar shows, in nanoseconds since 1970."""
        return round(calendar(self._loop) * 1e9)

    async def _do(
        self,
        call: str,
        path: str,
        effect: Callable[[], R],
        size: int = 0,
        write: _Write | None = None,
        other_path: str | None = None,
    ) -> R:
        """Do something when its time has come, write it down, and return or raise what comes of it."""
        disk = self._disk
        await self._not_hanging(path)
        begin, end = disk.reserve(size)
        if write is not None:
            write.start = begin
        if end > disk.clock.now:
            await _sleep(lambda wake: disk.wake_at(end, _Sleeper(disk, self._loop, wake)))
            await self._not_hanging(path)
        paths = [path] if other_path is None else [path, other_path]
        name = " > ".join(one[1:] or "/" for one in paths)
        if write is not None:
            disk.end_write(write)
        try:
            disk.check(call, *paths)
            result = effect()
        except OSError as failure:
            disk.note(call, name, 0, errno.errorcode.get(failure.errno or 0, "?"))
            raise
        moved = len(result) if isinstance(result, bytes) else result if isinstance(result, int) else 0
        disk.note(call, name, moved, "")
        return result

    async def _not_hanging(self, path: str) -> None:
        disk = self._disk
        self._check_alive(path)
        while disk.settings.hang:
            await _sleep(lambda wake: disk.wake_when_it_goes_on(_Sleeper(disk, self._loop, wake)))
            self._check_alive(path)

    def _handle(self, fd: int) -> _Handle:
        handle = self._handles.get(fd)
        if handle is None:
            raise error(errno.EBADF)
        self._check_alive(handle.path)
        return handle

    def _check_alive(self, path: str) -> None:
        if self.is_dead:
            raise OSError(errno.EIO, "the host has crashed", path)

    def _check_writable(self, path: str) -> None:
        if self._disk.settings.read_only:
            raise error(errno.EROFS, path)


class _Handle(NamedTuple):
    """An open file."""

    node: Node
    path: str
    writes: bool


class _Write:
    """A write that is under way."""

    __slots__ = ("data", "node", "start")

    def __init__(self, node: Node, data: bytes | memoryview) -> None:
        self.node = node
        self.data = data
        self.start = 2**63  # not yet


class _Sleeper:
    """A call that waits: something that happens on a clock."""

    __slots__ = ("_cancelled", "_disk", "_loop", "_wake")

    def __init__(self, disk: SimulatedDisk, loop: Any, wake: Callable[[], None]) -> None:
        self._disk = disk
        self._loop = loop
        self._wake = wake
        self._cancelled = False

    def _run(self) -> None:
        self._disk.forget(self)
        self._wake()


class _Counted:
    """How often calls that are to fail have been made."""

    __slots__ = ("_left", "_spared", "failing")

    def __init__(self, failing: Failing) -> None:
        self.failing = failing
        self._spared = failing.after
        self._left = failing.times

    def strikes(self) -> bool:
        """Count a call; say whether it fails."""
        if self._spared:
            self._spared -= 1
            return False
        if self._left is None:
            return True
        if not self._left:
            return False
        self._left -= 1
        return True


@coroutine
def _sleep(arrange: Callable[[Callable[[], None]], None]) -> Generator[Any, None, None]:
    """Wait; what is yielded is told how to wake who waits (`kamaelia.file.disk`)."""
    yield arrange


class _Stopped:
    """The clock of a disk in a description: it stands still."""

    now = 0


def _content(name: str, data: Any) -> bytes:
    if isinstance(data, os.PathLike):
        return Path(data).read_bytes()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise UsageError(
            f"disk.put({name!r}, {shorten(data)}): give bytes, or the Path of a file that has them"
        )
    return bytes(data)


__all__ = ["DiskCall", "DiskSettings", "DiskTrace", "Failing", "HostDisk", "MountedDisk", "SimulatedDisk"]
