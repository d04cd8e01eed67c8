"""Where two runs part that should be the same.

Theory
------
The same seed gives the same run, unless something in it asks the machine: the order of a set of objects, the
hash of a text, a thread, a counter that an earlier run has left behind. What comes of that, a packet that is
sent a little later, is often seen long after, and somewhere else. So `check` makes two runs and writes down
of each, in one list,

| line | what has happened |
| --- | --- |
| an event | as in a trace (`Event`); of a packet that is sent with a checksum of what it carries |
| ``step`` | a component has had a turn, where in its code it waits now, and how long it sleeps |
| ``message`` | a component has sent something from an outbox |
| ``timer`` | simulated code has asked to be woken at some time |
| ``fault`` | somebody has broken or changed something, such as a link (`faults`) |
| ``result`` | what a host's component has returned; ``failure``, how one has failed |
| ``file`` | what is on a simulated disk in the end |

and beside each line who did it: host, component, and the line of the user's own code. The first line that is
not the same in both is where they part, and who stands beside it has done something that the seed does not
decide. (The cause may lie before, in what it was given: in a builtin order, or in what was there already.)

Both runs are made in this process, so what the first has left in its memory is found. What differs only
between processes, such as the hashes of texts and where objects lie, is found with ``processes=True``: then
the second run is made in another process, with other hashes.

These runs are in the plain form of the core, which tells who runs at each line. They take several times as
long as `Network.simulate` does, and some 500 bytes a line. Both forms do the same things at the same times;
so where the compiled one is in use, a third run is made in it, and its events have to be the same.

Of messages and results it compares numbers, texts and bytes, and what is made of these: lists, dictionaries,
dataclasses. Of other objects there is only the kind.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import sys
import zlib
from _thread import get_ident
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from ..axon import ComponentsFailed, UsageError, core
from ..axon.body import is_users
from ..axon.clock import PlainVirtualClock
from ..axon.outbox import PlainOutbox
from ..axon.process import Process, current_process
from .captures.text import Divergence, compare, event_line
from .network import Host, Network
from .orphans import end_with_parent
from .protocols import DELIVER, REASONS, RESEND, SEND, WORDS
from .record import PlainRecorder, Row

if TYPE_CHECKING:
    from .simulation import Simulation
    from .trace import Trace

CONTEXT = 5  # lines that are shown before the first that differs
LONGEST = 200  # letters of a message or a result that are shown
SHORT = 50  # bytes of one that are shown as they are
HASHES = "PYTHONHASHSEED"
NETWORK = "the network"  # who does what is no host's doing

_ADDRESS = re.compile(r"\b0x[0-9a-f]+\b")
_TIME = re.compile(r"\d+\.\d+")
_CHECKSUM = re.compile(r" crc [0-9a-f]{8}$")


class RunsDiffer(AssertionError):
    """Two runs with the same seed have not done the same. Raised by `check`; as text, where they part."""

    def __init__(
        self,
        number: int,
        first: str | None,
        second: str | None,
        before: tuple[str, ...],
        paths: tuple[str, str],
        places: tuple[str, str],
        seed: int | str,
        remark: str = "",
    ) -> None:
        self.number = number
        """Of the first line that differs, from 1."""
        self.first = first
        """That line in the first run; None if that has ended before."""
        self.second = second
        """The same in the second run."""
        self.before = before
        """Lines before it, which are the same in both."""
        self.path = paths[_earlier(first, second)]
        """Who did what one run has, and the other has not by then: ``host/component``; of a packet that only
        passes by, and of a fault, ``"the network"``."""
        self.paths = paths
        """The same in both runs, one after the other."""
        self.places = places
        """Where in the user's code that was, in both runs, such as ``chat.py:31 in talk``."""
        self.time = _time_of((first, second)[_earlier(first, second)])
        """When it was, in seconds of virtual time; 0 if the runs have not even begun."""
        super().__init__(self._text(seed, remark))

    def _text(self, seed: int | str, remark: str) -> str:
        lines = [f"two runs with seed {seed!r} part at {self.time:g} s (line {self.number}), in {self.path}:"]
        lines += [f"  {same}" for same in self.before]
        for mark, text, path, place in zip(
            "-+", (self.first, self.second), self.paths, self.places, strict=True
        ):
            if text is None:
                lines.append(f"{mark} (no more lines)")
            else:
                lines += [f"{mark} {text}", f"      by {path}" + (f" at {place}" if place else "")]
        if self.first and self.second and _CHECKSUM.sub("", self.first) == _CHECKSUM.sub("", self.second):
            lines.append(
                "Only the bytes differ. Where that is as it should be, as with TLS, say payloads=False"
            )
        if remark:
            lines.append(remark)
        return "\n".join(lines)


def _earlier(first: str | None, second: str | None) -> int:
    """Say which of two lines is the earlier one, 0 or 1; the first if both are of one time.

    >>> _earlier("  2.5 step", "  1.5 step"), _earlier(None, "  1.5 step"), _earlier("1.5 step", "1.5 timer")
    (1, 1, 0)
    """
    if first is None or second is None:
        return int(first is None)
    return int(_time_of(second) < _time_of(first))


def _time_of(line: str | None) -> float:
    """Return the time at which a line begins; 0 if it has none, as the failure of a run that never began.

    >>> _time_of("  2.5 step"), _time_of("UsageError: no"), _time_of(None)
    (2.5, 0.0, 0.0)
    """
    word = (line or "").partition(":")[0].split()[:1]
    return float(word[0]) if word and _TIME.fullmatch(word[0]) else 0.0


def check(
    scenario: Network | Callable[[], Network],
    seconds: float | str = 60.0,
    *,
    seed: int | str = 0,
    processes: bool = False,
    payloads: bool = True,
    **options: Any,
) -> Trace:
    """Simulate twice with the same seed, and return the first trace if both runs have done the same.

    Arguments:
        scenario: a network, or a function that describes one, which is called for each run
        seconds: see `Network.simulate`
        seed: likewise
        processes: make the second run in another process, where texts have other hashes; for that, the
            scenario has to be one that can be pickled, such as a function that stands in a module
        payloads: compare the bytes in packets, and the messages of components; else only their sizes
        options: further arguments of `Network.simulate`

    Raises `RunsDiffer`, which says where and by whom; and what both runs have raised, if that is the same.

    Example:
        >>> from kamaelia import component, sleep
        >>> from kamaelia.testbed import Network
        >>> served = []
        >>> @component
        ... async def serve(inbox, outbox):
        ...     served.append("something")  # and there it stays
        ...     await sleep(len(served))
        >>> network = Network()
        >>> server = network.host("server").run(serve)
        >>> try:
        ...     check(network, seed=7)
        ... except RunsDiffer as error:
        ...     error.path
        ...     print(error.first.split(", ")[-1], "/", error.second.split(", ")[-1])
        'server/serve'
        sleeps 1 s / sleeps 2 s
    """
    if isinstance(options.get("until"), Host):
        options["until"] = options["until"].name
    first = _Log(payloads)
    if processes:
        with _elsewhere(scenario, seconds, seed, payloads, options) as answer:
            outcome = first.run(scenario, seconds, seed, options)
            second: _Log = answer()
    else:
        outcome = first.run(scenario, seconds, seed, options)
        second = _Log(payloads)
        second.run(scenario, seconds, seed, options)
    parted = compare(first.lines, second.lines, context=CONTEXT)
    if parted is not None:
        both = (first.who(parted.number), second.who(parted.number))
        raise RunsDiffer(
            parted.number,
            parted.first,
            parted.second,
            parted.before,
            (both[0][0], both[1][0]),
            (both[0][1], both[1][1]),
            seed,
        )
    if isinstance(outcome, Exception):
        raise outcome
    if core.form == "compiled":
        _check_compiled(outcome, scenario, seconds, seed, options)
    return outcome


def _check_compiled(
    plain: Trace,
    scenario: Network | Callable[[], Network],
    seconds: float | str,
    seed: int | str,
    options: dict[str, Any],
) -> None:
    """Make a run in the compiled form, and see whether the same has happened on the network."""
    network = scenario if isinstance(scenario, Network) else scenario()
    if options.get("keep", ...) is None:
        options = {**options, "keep": 0}  # a fingerprint there has to be
    trace = network.simulate(seconds, seed=seed, **options)
    if trace.fingerprint == plain.fingerprint:
        return
    lines = [list(map(row_line, one._recorder.rows)) for one in (plain, trace)]
    parted = compare(*lines, context=CONTEXT)
    if parted is None:  # it is among those that are not kept
        number = len(lines[0]) + 1
        parted = Divergence(number, None, None, tuple(lines[0][-CONTEXT:]))
    hosts = [
        _host_of(one._recorder.rows[parted.number - 1]) if parted.number <= len(text) else ""
        for one, text in zip((plain, trace), lines, strict=True)
    ]
    raise RunsDiffer(
        parted.number,
        parted.first,
        parted.second,
        parted.before,
        (hosts[0], hosts[1]),
        ("", ""),
        seed,
        "The first run was in the plain form of the core, the second in the compiled one; the line is among "
        "the events of the network",
    )


def _host_of(row: Row) -> str:
    """Return which host an event is about.

    >>> packet = "udp", "server:5004", "phone:5004", 1344, "", 0
    >>> _host_of((0, SEND, 1, *packet)), _host_of((0, DELIVER, 1, *packet))
    ('server', 'phone')
    """
    end = row[5] if row[1] == DELIVER else row[4]
    return end.rpartition(":")[0] or end


def row_line(row: Row) -> str:
    """Return a row of a recorder as a line of text.

    >>> row_line((80_000_000, 3, 12, "udp", "server:5004", "phone:5004", 1344, "server > phone", 2)).split()[
    ...     -5:
    ... ]
    ['server', '>', 'phone,', 'random', 'loss']
    """
    time, what, number, kind, source, target, size, where, why = row
    remark = ", ".join(text for text in (where, REASONS[why]) if text)
    return event_line(time, WORDS[what], kind, source, target, number=number, size=size, where=remark)


# -- what one run does -----------------------------------------------------------------------------------


class _Log:
    """What one run does, line by line, and who does it."""

    def __init__(self, payloads: bool) -> None:
        self.lines: list[str] = []
        self.payloads = payloads
        self._makers: list[tuple[str, str]] = []
        self._hosts: dict[Any, str] = {}  # by scheduler
        self._simulation: Any = None  # kept: while it is there, another's objects lie at other addresses

    def run(
        self,
        scenario: Network | Callable[[], Network],
        seconds: float | str,
        seed: int | str,
        options: dict[str, Any],
    ) -> Trace | Exception:
        """Make the run, and return its trace or what it has raised."""
        form = core.form
        if form == "compiled":
            core.use("plain")
        try:
            network = scenario if isinstance(scenario, Network) else scenario()
            if not isinstance(network, Network):
                raise UsageError(f"check({scenario!r}): it returned {network!r}, and no Network")
            network.script_of_runs.insert(0, self._watch)
            outbox: Any = PlainOutbox
            send = outbox.send
            outbox.send = self._watched(send)
            try:
                trace = network.simulate(seconds, seed=seed, **options)
            except Exception as error:
                self._add_failures(error)
                return error
            finally:
                outbox.send = send
                network.script_of_runs.remove(self._watch)
            for host, result in trace.results.items():
                self._add("result", host, _plainly(result), (host, ""))
            for host, disk in trace.disks.items():
                for name, content in disk.items():
                    self._add("file", host, f"{name} {len(content)} B{_checksum(content)}", (host, ""))
            for failure in trace.errors.values():
                self._add_failures(failure)
            return trace
        finally:
            core.use(form)

    def who(self, number: int) -> tuple[str, str]:
        """Return by whom a line is, and where in the user's code; lines count from 1."""
        return self._makers[number - 1] if number <= len(self._makers) else ("", "")

    def add_row(self, row: Row, remark: str) -> None:
        """Write an event down, and who runs now."""
        self.lines.append(row_line(row) + remark)
        self._makers.append(_who())

    def _add(self, what: str, path: str, remark: str, maker: tuple[str, str]) -> None:
        self.lines.append(event_line(self._simulation.clock.now, what, "", path, where=remark))
        self._makers.append(maker)

    def _add_failures(self, error: Exception) -> None:
        for one in error.exceptions if isinstance(error, ComponentsFailed) else (error,):
            notes = [note for note in getattr(one, "__notes__", ()) if note.startswith("in ")]
            path = notes[-1].removeprefix("in ") if notes else ""
            said = _ADDRESS.sub("0x...", f"{type(one).__name__}: {one}")
            if self._simulation is None:  # it has not even begun
                self.lines.append(said)
                self._makers.append(("", ""))
            else:
                self._add("failure", path, said, (path, ""))

    # -- looking at a run --

    def _watch(self, simulation: Simulation) -> None:
        """A simulation begins: have everything pass by here."""
        self._simulation = simulation
        clock: Any = simulation.clock
        before: Any = simulation.fabric.recorder
        simulation.fabric.recorder = _Recorder(clock, 0 if before is None else before.keep, self)
        add_timer, start_host = clock.add_timer, simulation._start_host

        def add(when: int, happening: Any) -> None:
            if happening._loop is not None:
                path, place = _who()
                self._add("timer", path, f"at {when / 1e9:g}", (path, place))
            add_timer(when, happening)

        def start(*args: Any) -> None:
            start_host(*args)
            self._watch_steps(simulation._runs[-1])

        for owner, name in (
            *((simulation, name) for name in ("crash", "restart", "pause", "cut", "change")),
            *((simulation.faults, name) for name in ("partition", "hold", "open", "open_all")),
        ):
            self._watch_calls(owner, name)
        clock.add_timer = add
        simulation._start_host = start  # type: ignore[assignment, method-assign]
        for run in simulation._runs:
            self._watch_steps(run)

    def _watch_calls(self, owner: Any, name: str) -> None:
        call = getattr(owner, name)

        def watched(*args: Any, **options: Any) -> Any:
            given = (*args, *(f"{key}={value}" for key, value in options.items()))
            self._add("fault", " ".join((name, *map(_named, given))), "", _who())
            return call(*args, **options)

        setattr(owner, name, watched)

    def _watched(self, send: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return what writes down what a component sends, and sends it."""

        def watched(outbox: Any, message: Any) -> Any:
            scheduler: Any = getattr(outbox.owner, "scheduler", None)
            host = self._hosts.get(scheduler)
            if host is not None and get_ident() == scheduler.thread:
                path, place = f"{host}/{outbox.owner.path}".rstrip("/"), _who()[1]
                said = _plainly(message) if self.payloads else _sized(message)
                self._add("message", f"{path}.{outbox.name}", said, (path, place))
            return send(outbox, message)

        return watched

    def _watch_steps(self, run: Any) -> None:
        def stepped(process: Process) -> None:
            path, place = f"{run.name}/{process.path}".rstrip("/"), _place_of(process)
            seconds = getattr(process.wait, "seconds", None)
            sleeps = "" if seconds is None else f", sleeps {seconds:.9g} s"
            self._add("step", path, place + sleeps, (path, place))
            if also is not None:
                also(process)

        self._hosts[run.system.scheduler] = run.name
        also = run.system.scheduler.on_step
        run.system.scheduler.on_step = stepped

    def __getstate__(self) -> dict[str, Any]:  # for another process
        return {**self.__dict__, "_simulation": None, "_hosts": {}}


class _Recorder(PlainRecorder):
    """Writes each event into a log as well."""

    def __init__(self, clock: Any, keep: int, log: _Log) -> None:
        super().__init__(clock, keep)
        self._log = log
        self._remark = ""

    def record(self, what: int, packet: Any, where: Any, why: int) -> None:
        if self._log.payloads and what in (SEND, RESEND):
            data = getattr(packet.data, "data", packet.data)
            if isinstance(data, (bytes, bytearray)) and data:
                self._remark = _checksum(data)
        super().record(what, packet, where, why)
        self._remark = ""

    def write(
        self, what: int, number: int, kind: str, source: str, target: str, size: int, where: str, why: int
    ) -> None:
        super().write(what, number, kind, source, target, size, where, why)
        row = (self.clock.now, what, number, kind, source, target, size, where, why)
        self._log.add_row(row, self._remark)


# -- who does it ------------------------------------------------------------------------------------------

_TURNS = (PlainVirtualClock.turns.__code__, PlainVirtualClock._run_ready.__code__)  # what lets things happen


def _who() -> tuple[str, str]:
    """Return whose code runs, host and component, and where it is."""
    place = ""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code not in _TURNS:  # type: ignore[redundant-expr]
        if not place and is_users(frame.f_code.co_filename):
            place = _place(frame)
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None:  # it has not begun
        return NETWORK, ""
    loop = frame.f_locals["happening"]._loop
    if loop is None:
        return NETWORK, place
    stack = getattr(loop, "stack", None)
    path = "a script" if stack is None else stack.name
    process = current_process.get(None)
    if process is None or process.scheduler is None or process.scheduler.loop is not loop:
        return path, place
    return f"{path}/{process.path}", place or _place_of(process)


def _place_of(process: Process) -> str:
    """Return where a component waits: the innermost line of the user's own, or else of anybody's."""
    one: Any = process.coroutine
    users = anybodys = None
    while one is not None:
        frame = getattr(one, "cr_frame", None) or getattr(one, "gi_frame", None)
        if frame is not None:
            anybodys = frame
            if is_users(frame.f_code.co_filename):
                users = frame
        one = getattr(one, "cr_await", None) or getattr(one, "gi_yieldfrom", None)
    found = users or anybodys
    return "" if found is None else _place(found)


def _place(frame: Any) -> str:
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}"


def _named(value: Any) -> str:
    """Return what a host, some, or anything else is called.

    >>> _named([3, "a"])
    '3,a'
    """
    if isinstance(value, (list, tuple)):
        return ",".join(map(_named, value))
    name = getattr(value, "name", value)
    return name if isinstance(name, str) else str(value)


def _plainly(value: Any) -> str:
    """Return a result as text that is the same for equal results.

    >>> _plainly([1, "a", {3, 2}, object()])
    "[1, 'a', {2, 3}, <object>]"
    >>> _plainly(bytes(1000))
    '<bytes of 1000 B crc 060b1780>'
    """
    text = _text_of(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}...{_checksum(text.encode())}"


def _checksum(data: bytes | bytearray | memoryview) -> str:
    return f" crc {zlib.crc32(data):08x}"


def _sized(value: Any) -> str:
    """Return the kind of a message, and how long it is if it is bytes.

    >>> _sized(b"abc"), _sized("abc")
    ('<bytes of 3 B>', '<str>')
    """
    size = f" of {len(value)} B" if isinstance(value, (bytes, bytearray, memoryview)) else ""
    return f"<{type(value).__qualname__}{size}>"


def _text_of(value: Any) -> str:
    kind = type(value)
    if isinstance(value, (bytes, bytearray, memoryview)) and len(value) > SHORT:
        return f"{_sized(value)[:-1]}{_checksum(value)}>"
    if value is None or kind in (bool, int, float, complex, str, bytes):
        return repr(value)
    if isinstance(value, (list, tuple)):
        inside = ", ".join(map(_text_of, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(_text_of, value))) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text_of(key)}: {_text_of(one)}" for key, one in value.items()) + "}"
    if is_dataclass(value):
        inside = ", ".join(f"{one.name}={_text_of(getattr(value, one.name))}" for one in fields(value))
        return f"{kind.__qualname__}({inside})"
    return f"<{kind.__qualname__}>"


# -- in another process -----------------------------------------------------------------------------------


@contextmanager
def _elsewhere(
    scenario: Any, seconds: float | str, seed: int | str, payloads: bool, options: dict[str, Any]
) -> Iterator[Callable[[], _Log]]:
    """Make a run in another process, whose texts have other hashes, and give what waits for its log."""
    try:
        pickle.dumps((scenario, options))
    except Exception as error:
        raise UsageError(
            f"check({scenario!r}, processes=True): another process cannot be told of it ({error}); give a "
            "function that stands at the top level of a module and describes the network"
        ) from None
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    job = (theirs, scenario, seconds, seed, payloads, options)
    process = context.Process(target=_run_for_another, args=job, daemon=True)
    before = os.environ.get(HASHES)
    number = int(before) + 1 if before is not None and before.isdecimal() else 1
    os.environ[HASHES] = str(number)
    try:
        process.start()
    finally:
        if before is None:
            del os.environ[HASHES]
        else:
            os.environ[HASHES] = before
    theirs.close()

    def answer() -> _Log:
        try:
            log = ours.recv()
        except EOFError:
            process.join()
            raise RuntimeError(
                f"the process of the second run has ended with code {process.exitcode}, and without an answer"
            ) from None
        process.join()
        if isinstance(log, Exception):
            raise log
        return log  # type: ignore[no-any-return]

    try:
        yield answer
    finally:
        process.kill()
        process.join()
        ours.close()


def _run_for_another(
    connection: Connection,
    scenario: Any,
    seconds: float | str,
    seed: int | str,
    payloads: bool,
    options: dict[str, Any],
) -> None:
    end_with_parent()
    log = _Log(payloads)
    try:
        log.run(scenario, seconds, seed, options)
        connection.send(log)
    except Exception as error:  # in the making of the network, which may raise anything
        connection.send(RuntimeError(f"in the process of the second run: {type(error).__name__}: {error}"))


__all__ = ["RunsDiffer", "check", "row_line"]
