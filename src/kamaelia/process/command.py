"""Programs of the machine as components.

`Command` puts together what the other modules of this room know: `program` starts and ends the processes,
`pipes` carries bytes between their descriptors and boxes from the loop's callbacks. ``main`` only waits until
something has changed, and decides what that means.

::

        inbox --(outlet)--> PipeWriter ==> stdin           stdout ==> PipeReader --> outbox
                                           (the program)   stderr ==> PipeReader --> errors
"""

from __future__ import annotations

import asyncio
import keyword
import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Any, Literal

from kamaelia.axon import (
    BrokenLink,
    Cancelled,
    Component,
    Inbox,
    KamaeliaError,
    Outbox,
    Signal,
    UsageError,
    VirtualLoop,
    postman,
)
from kamaelia.axon.arguments import check_bytes, check_not_negative
from kamaelia.axon.errors import shorten

from .pipes import PipeReader, PipeWriter, make_pipe
from .program import LOOK, ExitStatus, Program, make_leash, why_not_started

log = logging.getLogger("kamaelia")

Word = str | bytes | os.PathLike[str] | os.PathLike[bytes]

SIZE = "256 KiB"  # what may wait for the program, beside what is in the pipe
KEPT = 4096  # bytes at the end of standard error that are kept for the message of a failure
SHOWN = 10  # lines of them
MOMENT = 0.05  # seconds that a program has to pass on what it has read, before it is ended
PATIENCE = 1.0  # seconds that processes may take to be gone when they have been killed
TAKEN = ("inbox", "outbox", "errors", "status", "failures", "at_work")  # names of boxes


class CommandFailed(KamaeliaError):
    """A program has ended in a way that its `Command` takes for a failure; the message has its last words."""

    def __init__(self, text: str, status: ExitStatus, errors: str) -> None:
        super().__init__(text)
        self.status = status
        """How it has ended."""
        self.errors = errors
        """The last lines that it wrote to standard error."""


class Command(Component):
    r"""Runs a program of the machine: bytes in, bytes out.

    ``Command("grep", "-c", "foo")`` takes the words of a command line one by one, and no shell has a look at
    them: quotes, ``*`` and ``;`` mean nothing. ``Command(shell="grep foo | sort")`` gives a line to
    ``/bin/sh``; words before it are its ``$1``, ``$2``, ..., which is how to put in a name that somebody else
    has chosen: ``Command(name, shell='sort < "$1" | uniq')``. The program starts with the component, and is
    the leader of a session of its own, without a terminal.

    Inbox: ``inbox``, bytes for standard input; without a source that is ``/dev/null``. Outbox: ``outbox``,
    the bytes of standard output in pieces of at most 64 KiB, in which lines begin and end anywhere: put
    `Lines` behind it. ``errors``, the bytes of standard error, and ``status``, an `ExitStatus` once the
    program has ended; both are optional. If nothing is linked to ``errors``, its last lines are in the
    message of a failure, and otherwise logged at the end. More pipes can be had by name, see ``pipes``.

    Ending: the end of the inbox is the end of standard input. The Command ends when the program has, and
    everything that it wrote has been sent, also if it was killed; its result is the `ExitStatus`. A program
    that has closed its standard input is told no more: what waits in the inbox is counted as unread. What it
    leaves behind in its process group is ended with it: at once, or, while that holds one of the pipes open,
    after ``grace`` seconds in which it may finish. A daemon (that has called ``setsid``) is left alone, and
    the pipes that it holds open are given up then.

    When nobody listens any more, the reading ends are closed, so the program gets SIGPIPE when it goes on
    writing, and the Command ends without a failure; one that is silent is ended after ``grace`` seconds.

    Failure: a program that exits with another code than 0, or is killed, is a `CommandFailed`, see ``check``.
    When what feeds the inbox has failed, the program is ended before it can take that for the end of its
    input, and the outboxes break.

    Stop: a program that was given something goes on to the end of that and to its own; others are ended, as
    when the Command is cancelled. Then the whole process group gets ``stop_signal`` and, if it is not gone
    ``grace`` seconds later, SIGKILL; what it has written until then is sent. If the process of Kamaelia
    itself is killed, so is, on Linux, the program with what it has started, but for daemons and processes of
    other users.

    Back-pressure: what the program does not take waits in the inbox, under its mark of 256 KiB (the pipe
    holds as much, and one message may be half written); while the readers of a box are at their mark, its
    pipe is not read, and the program has to wait.

    It runs on Unix, and in real time only.

    Arguments:
        words: the program, looked up on ``PATH`` unless there is a "/" in it, and its arguments: str, bytes
            or paths
        shell: a line for ``/bin/sh`` instead of a program; ``words`` are its parameters then
        cwd: the folder to run it in
        env: variables to add to the environment of this process; one that is None is taken away
        keep_env: False leaves nothing in the environment but ``env``
        pipes: more pipes by name, ``"in"`` or ``"out"`` as the program sees it, and a box of that name for
            each: in ``Command("mix", "{music}", pipes={"music": "in"})`` the program reads what comes into
            the inbox ``music`` from a file whose name (``/dev/fd/5``, say) is put in place of ``{music}``
        check: True for the only good exit code being 0; the good ones, as in ``{0, 1}`` for grep; False if
            no end of the program is a failure
        stop_signal: what asks it to end, such as ``signal.SIGINT``
        grace: seconds that it has then, before it is killed

    Raises `FileNotFoundError`, `PermissionError` and other `OSError` when the program cannot be started;
    `CommandFailed`; `TypeError` for messages that are not bytes; `UsageError` in virtual time; `TypeError`
    and `ValueError` for arguments that cannot be meant.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Lines, Source
        >>> from kamaelia.process import Command
        >>> run(Source([b"pear\napp", b"le\n"]) | Command("sort") | Lines() | Collect())
        ['apple', 'pear']
    """

    inbox = Inbox[bytes]("bytes for the program's standard input", size=SIZE)
    outbox = Outbox[bytes]("bytes of the program's standard output")
    errors = Outbox[bytes]("bytes of the program's standard error", optional=True)
    status = Outbox[ExitStatus]("how the program has ended, once", optional=True)

    def __init__(
        self,
        *words: Word,
        shell: str | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str | None] | None = None,
        keep_env: bool = True,
        pipes: Mapping[str, Literal["in", "out"]] | None = None,
        check: bool | Collection[int] = True,
        stop_signal: int = signal.SIGTERM,
        grace: float = 2.0,
    ) -> None:
        if shell is not None:
            words = ("/bin/sh", "-c", _checked_shell(shell), "sh", *words)
        elif not words:
            raise TypeError('Command(): give a program, as in Command("sort", "-n")')
        self._words = [_checked_word(word) for word in words]
        if not self._words[0]:
            raise ValueError(f"Command({shorten(words[0])}): give the name of a program")
        self._cwd = _checked_cwd(cwd)
        self._env = _checked_env(env)
        given: Any = keep_env
        if not isinstance(given, bool):
            raise TypeError(f"Command(keep_env={shorten(given)}): give True or False")
        self._keep_env = keep_env
        self._good = _checked_check(check)
        self._stop_signal = _checked_signal(stop_signal)
        check_not_negative(f"Command(grace={shorten(grace)})", grace, "the seconds before it is killed")
        self._grace = grace
        self._pipes = _checked_pipes(pipes, self._words)
        for name, way in self._pipes.items():
            box: Inbox[bytes] | Outbox[bytes]
            if way == "in":
                box = Inbox[bytes](f"bytes that the program reads from {{{name}}}", size=SIZE)
            else:
                box = Outbox[bytes](f"bytes that the program writes to {{{name}}}")
            setattr(self, name, self.add_box(name, box))
        self._program: Program | None = None
        self._readers: list[PipeReader] = []
        self._writers: list[PipeWriter] = []
        self._changed = Signal("hear from its program")
        self._trouble: Inbox[bytes] | Exception | None = None  # what feeds it has failed, or it has itself
        self._unheard = False  # nobody listens any more
        self._stopped = False  # the system stops, and the program was given nothing that it could finish
        self._out_of_reach: str | None = None  # why the program could not be ended
        self._last_words = b""
        self._complaints = 0  # bytes of standard error

    @property
    def pid(self) -> int | None:
        """The number of the program's process, and of its group, while it runs; else None."""
        program = self._program
        return program.pid if program is not None and program.status is None else None

    async def main(self) -> ExitStatus:
        """Run the program."""
        self._refuse_other_worlds()
        inputs = [self.inbox, *(self.boxes[name] for name, way in self._pipes.items() if way == "in")]
        for box in inputs:
            if box.failure is not None and box.ended and not box.statistics().waiting:
                box.raise_end(None)  # before the program has done anything
        fed = [box for box in inputs if postman.is_linked(box)]
        heard = self.errors.statistics().readers > 0
        program = self._program = self._start(with_input=self.inbox in fed)
        if fed:
            # Held from outside, as the program may go on by itself when its input is over. So a stop does not
            # take us for a source, which it would cancel, and we hear of it.
            at_work = self.add_box("at_work", Inbox[None]("nothing comes here: the program works", held=True))
            at_work.asked = True
            at_work.hold(outside=True).on_release = self.input_ended
            at_work.release()
        try:
            await self._until(lambda: self._is_over(program))
            if self._unheard:
                await self._until(lambda: program.status is not None, self._grace)
            elif program.status is not None:
                await self._until(lambda: all(reader.ended for reader in self._readers), self._grace)
        finally:
            await self._end(program)
        return self._judge(program, heard)

    # -- from beginning to end --------------------------------------------------------------------

    def _refuse_other_worlds(self) -> None:
        if os.name != "posix":
            raise UsageError(f"{self.path}: Command runs programs on Unix only (Linux, macOS)")
        if isinstance(asyncio.get_running_loop(), VirtualLoop):
            raise UsageError(
                f"{self.path} is to run {self._shown}, but a program runs in real time, and this system in "
                "virtual time: put a component in its place that does the like"
            )

    def _start(self, with_input: bool) -> Program:
        """Start the program, and have bytes flow."""
        env = dict(os.environ) if self._keep_env else {}
        for name, value in self._env.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value
        words = self._words
        ours: dict[str, int] = {}
        leashes: list[tuple[int, int]] = []
        with ExitStack() as theirs, ExitStack() as on_failure:

            def lay(name: str, way: str) -> int:
                reading, writing = os.pipe() if name == "errors" else make_pipe()
                here, there = (writing, reading) if way == "in" else (reading, writing)
                ours[name] = here
                on_failure.callback(os.close, here)
                theirs.callback(os.close, there)
                return there

            def add_leash() -> None:
                for reading, writing in make_leash():
                    leashes.append((reading, writing))
                    theirs.callback(os.close, reading)
                    on_failure.callback(os.close, writing)

            try:
                add_leash()  # one before the pipes and one after them, see `program`
                stdin = lay("inbox", "in") if with_input else subprocess.DEVNULL
                standard = (stdin, lay("outbox", "out"), lay("errors", "out"))
                inherited = {name: lay(name, way) for name, way in self._pipes.items()}
                for name, descriptor in inherited.items():
                    words = [_put_in(word, name, f"/dev/fd/{descriptor}") for word in words]
                add_leash()
                program = Program(
                    words,
                    cwd=self._cwd,
                    env=env,
                    standard=standard,
                    inherited=[*inherited.values()],
                    leashes=leashes,
                    on_exit=self._exited,
                )
            except OSError as error:
                name = os.fsdecode(words[0])
                why = why_not_started(error, name, self._cwd, env.get("PATH"))
                refused = type(error)(f"{self.path}: {why}")
                refused.errno = error.errno
                raise refused from error
            on_failure.pop_all()
        for name, descriptor in ours.items():
            box = self.boxes[name]
            if isinstance(box, Inbox):
                self._writers.append(PipeWriter(descriptor, box, self))
            elif isinstance(box, Outbox):
                look = self._note if name == "errors" else None
                self._readers.append(PipeReader(descriptor, box, self, look))
        return program

    def _is_over(self, program: Program) -> bool:
        """Say whether there is no more to wait for."""
        if self._unheard or self._stopped or self._trouble is not None:
            return True
        return program.status is not None and all(reader.complete for reader in self._readers)

    async def _end(self, program: Program) -> None:
        """See to it that nothing is left of the program, in no more time than that takes."""
        again: Cancelled | None = None
        try:
            await self._end_in_time(program)
        except Cancelled as error:
            again = error
        if self._send(program, signal.SIGKILL):
            while program.status is None:  # the operating system is about to say so
                try:
                    await self._until(lambda: program.status is not None)
                except Cancelled as error:
                    again = error
        for writer in self._writers:
            writer.close()
        for reader in self._readers:
            reader.close()
        program.let_go()
        if program.status is not None:
            self.status.send(program.status)
        if again is not None:
            raise again

    async def _end_in_time(self, program: Program) -> None:
        if isinstance(self._trouble, Inbox):  # rule 3: what was sent before the failure is received
            await self._until(lambda: all(writer.delivered for writer in self._writers), self._grace, LOOK)
            await self._until(lambda: program.status is not None, MOMENT)
        for writer in self._writers:
            writer.stop()
        if program.status is None:
            if self._send(program, self._stop_signal):
                await self._until(lambda: program.status is not None, self._grace)
        elif program.has_left_others:
            log.warning("%s: %s has left processes behind, which are ended now", self.path, self._shown)
            self._send(program, self._stop_signal)
        if program.status is not None:
            await self._until(lambda: not program.has_left_others, self._grace, LOOK)
        if self._send(program, signal.SIGKILL):
            await self._until(
                lambda: program.status is not None and not program.has_left_others, PATIENCE, LOOK
            )
            await self._until(lambda: all(reader.complete for reader in self._readers), self._grace)

    def _send(self, program: Program, number: int) -> bool:
        """Send a signal to the group; say whether that is allowed."""
        if self._out_of_reach is None:
            try:
                program.send(number)
            except PermissionError:
                self._out_of_reach = (
                    f"{self.path}: {self._shown} (process {program.pid}) runs as another user, and cannot be "
                    f"sent {signal.Signals(number).name}: it is left to itself"
                )
                log.error("%s", self._out_of_reach)
        return self._out_of_reach is None

    def _judge(self, program: Program, heard: bool) -> ExitStatus:
        """Say what the end of the program means."""
        if isinstance(self._trouble, Inbox):
            self._trouble.raise_end(None)
        if self._trouble is not None:
            raise self._trouble
        status = program.status
        if status is None:
            raise PermissionError(self._out_of_reach)
        last = _lines_of(self._last_words)
        if self._unheard or self._stopped:
            return status
        if not self._is_good(status):
            text = f"{self.path}: {self._shown} has ended: {status}"
            if last:
                text += f"; its last words: {last}"
            text += f". If that is no failure, say so: check={self._proposal(status)}"
            raise CommandFailed(text, status, last)
        if self._complaints and not heard:
            text = "%s: %s has ended well, but wrote %d bytes to standard error: %s"
            log.warning(text, self.path, self._shown, self._complaints, last)
        return status

    def _is_good(self, status: ExitStatus) -> bool:
        if self._good is None or status.code in self._good:
            return True
        # Of a pipe that nobody listens to any more, while somebody listens to another.
        closed_by_us = any(reader.box.lost for reader in self._readers if not reader.box.optional)
        return closed_by_us and (status.signal == "SIGPIPE" or status.code == 128 + signal.SIGPIPE)

    def _proposal(self, status: ExitStatus) -> str:
        if self._good is None or status.code is None:
            return "False"
        return "{" + ", ".join(map(str, sorted({*self._good, status.code}))) + "}"

    # -- waiting ----------------------------------------------------------------------------------

    async def _until(
        self, done: Callable[[], bool], seconds: float | None = None, look: float | None = None
    ) -> None:
        """Wait until something is so, or the time is over; with ``look`` nobody tells, so look now and
        then."""
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        while not done():
            timer = None
            if end is not None:
                left = end - loop.time()
                if left <= 0:
                    return
                timer = loop.call_later(min(left, look or left), self._changed.set)
            try:
                await self._changed
            except BrokenLink:
                self._stop_listening()
            finally:
                if timer is not None:
                    timer.cancel()

    def _stop_listening(self) -> None:
        """Nobody listens to us any more: the program is to notice, and who feeds us."""
        self._unheard = True
        for reader in self._readers:
            if not reader.box.optional:
                reader.close()
        for writer in self._writers:
            writer.stop()

    # -- what the program, and its pipes, tell us ------------------------------------------------------

    def _exited(self) -> None:
        for writer in self._writers:
            writer.close()
        for reader in self._readers:
            reader.expect()
        self._changed.set()

    def _note(self, data: bytes) -> None:
        self._complaints += len(data)
        self._last_words = (self._last_words + data)[-KEPT:]

    def pipe_ended(self) -> None:
        """See `kamaelia.process.pipes.Listener`."""
        self._changed.set()

    def input_ended(self) -> None:
        """See `kamaelia.process.pipes.Listener`; also, the system is being stopped."""
        if self.system.stopping and all(writer.closed and not writer.amount for writer in self._writers):
            self._stopped = True
            self._changed.set()

    def source_failed(self, inbox: Inbox[bytes]) -> None:
        """See `kamaelia.process.pipes.Listener`."""
        self._trouble = self._trouble or inbox
        self._changed.set()

    def pipe_failed(self, error: Exception, message: Any = b"") -> None:
        """See `kamaelia.process.pipes.Listener`."""
        try:
            check_bytes(self, message)
        except TypeError as wrong:
            error = wrong
        self._trouble = self._trouble or error
        self._changed.set()

    @property
    def _shown(self) -> str:
        """The command line as somebody would type it, shortened."""
        words = [os.fsdecode(word) for word in self._words]
        if words[:2] == ["/bin/sh", "-c"]:
            del words[3:4]
        text = shlex.join(words)
        return text if len(text) <= 60 else text[:57] + "..."


# -- arguments --------------------------------------------------------------------------------------


def _checked_word(word: Any) -> str | bytes:
    """Return a word of a command line; refuse what cannot be one."""
    if not isinstance(word, (str, bytes, os.PathLike)):
        raise TypeError(
            f"Command(..., {shorten(word)}): a word of a command line is str, bytes or a path; "
            f"write {shorten(str(word))}"
        )
    text: str | bytes = os.fspath(word)
    if (b"\0" if isinstance(text, bytes) else "\0") in text:  # type: ignore[operator]
        raise ValueError(f"Command(..., {shorten(word)}): no word of a command line has a null byte in it")
    return text


def _checked_shell(shell: Any) -> str:
    if not isinstance(shell, str):
        raise TypeError(f"Command(shell={shorten(shell)}): give a line for /bin/sh, as in 'grep foo | sort'")
    if not shell.strip():
        raise ValueError(f"Command(shell={shorten(shell)}): give a line for /bin/sh, as in 'grep foo | sort'")
    return shell


def _checked_cwd(cwd: Any) -> str | None:
    if cwd is None:
        return None
    folder = os.fspath(cwd) if isinstance(cwd, (str, os.PathLike)) else None
    if not isinstance(folder, str):
        raise TypeError(f"Command(cwd={shorten(cwd)}): give a folder, as str or path")
    if not folder or "\0" in folder:
        raise ValueError(f"Command(cwd={shorten(cwd)}): give a folder")
    return folder


def _checked_env(env: Any) -> dict[str, str | None]:
    if env is None:
        return {}
    what = f"Command(env={shorten(env)})"
    if not isinstance(env, Mapping):
        raise TypeError(f"{what}: give variables and their values, as in {{'LANG': 'C'}}")
    for name, value in env.items():
        if not isinstance(name, str) or not (value is None or isinstance(value, str)):
            raise TypeError(f"{what}: {shorten(name)}: {shorten(value)} is not two str (or None for none)")
        if not name or "=" in name or "\0" in name or "\0" in (value or ""):
            raise ValueError(f"{what}: {shorten(name)}: {shorten(value)} can be no variable and its value")
    return dict(env)


def _checked_check(check: Any) -> frozenset[int] | None:
    """Return the good exit codes; None if everything is good."""
    if isinstance(check, bool):
        return frozenset([0]) if check else None
    if not isinstance(check, Collection) or not all(type(code) is int for code in check):
        raise TypeError(f"Command(check={shorten(check)}): give True, False, or good codes, as in {{0, 1}}")
    if not check or not all(0 <= code <= 255 for code in check):
        raise ValueError(f"Command(check={shorten(check)}): give one code or more, from 0 to 255")
    return frozenset(check)


def _checked_signal(number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"Command(stop_signal={shorten(number)}): give a signal, such as signal.SIGINT")
    try:
        return signal.Signals(number)
    except ValueError:
        raise ValueError(
            f"Command(stop_signal={number}): there is no such signal; give signal.SIGINT, for example"
        ) from None


def _checked_pipes(pipes: Any, words: list[str | bytes]) -> dict[str, str]:
    if pipes is None:
        return {}
    what = f"Command(pipes={shorten(pipes)})"
    if not isinstance(pipes, Mapping):
        raise TypeError(f"{what}: give names with 'in' or 'out', as in {{'music': 'in'}}")
    for name, way in pipes.items():
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"{what}: {shorten(name)} is to be the name of a box, and is no name")
        if hasattr(Command, name) or name in TAKEN or name.startswith("_"):
            raise ValueError(f"{what}: {name!r} is something else of a Command: choose another name")
        if way not in ("in", "out"):
            raise ValueError(f"{what}: {name} is {shorten(way)}: say 'in' if the program reads it, or 'out'")
        if all(_put_in(word, name, "") == word for word in words):
            raise ValueError(
                f"{what}: no word of the command has {{{name}}} in it, which stands for the file that the "
                "program is to open"
            )
    return dict(pipes)


def _put_in(word: str | bytes, name: str, file: str) -> str | bytes:
    if isinstance(word, bytes):
        return word.replace(f"{{{name}}}".encode(), file.encode())
    return word.replace(f"{{{name}}}", file)


def _lines_of(data: bytes) -> str:
    """Return the last lines of what a program has complained of, on one line and fit to be printed."""
    lines = [line.strip() for line in data.decode(errors="replace").splitlines()]
    shown = " | ".join([line for line in lines if line][-SHOWN:])
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)


__all__ = ["Command", "CommandFailed"]
