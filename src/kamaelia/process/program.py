"""A program of the machine, and all that it starts: how the two are begun, watched and ended.

Theory
------
**A group.** The program is the leader of a session, and so of a process group, of its own. What it starts
belongs to that group too, unless it leaves on purpose, as daemons do (``setsid``). A signal goes to the whole
group: so a pipeline of a shell ends as a whole, and Ctrl-C in the terminal reaches us and not the program.

**Watching.** A *pidfd* is a descriptor that the loop watches like any other; it becomes readable when the
program has exited. Then it is reaped, and there is its status. No thread waits, no signal is handled, and it
does not matter which loop runs in which thread. Where there are none (macOS, Linux before 5.3) we look fifty
times a second. The child watchers of asyncio would be a thread for each program (Python 3.11); uvloop forks
with Python code in the child, leaves copies of the pipes open in it, so that nobody can tell when it has
closed them, and refuses to when two loops do so at once. `subprocess.Popen` does all of that well; it holds
the loop up for a millisecond or two.

**The leash.** Who is killed with ``kill -9`` ends nothing in an orderly way, and a program that only notices
the end of its input takes that for a good one. So the program inherits the reading end of a pipe that nobody
writes to, and Linux is asked (``F_SETOWN``, ``F_SETSIG``, ``O_ASYNC``) to send SIGKILL to the group when
something happens to it. What happens is that its writing end is closed, which we alone have: by us when the
program is over, or by the kernel when we are. The kernel closes descriptors in the order of their numbers, or
backwards, as its version has it. So there are two such pipes, one opened before all others and one after
them, and the program is dead before it can see the end of its input. There is no other process for this, no
thread, no code between fork and exec, and unlike ``PR_SET_PDEATHSIG`` it does not depend on which thread has
started the program, and reaches what the program has started. It does not reach daemons, who have left the
group, nor a group in which every process has closed what it inherited (as ``ssh`` and ``sudo`` do) or runs as
another user; nor does it hold in the instant between the start of a program and the putting on of its leash.
On other systems than Linux there is no leash.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

LOOK = 0.02  # seconds between two looks, where nothing tells


@dataclass(frozen=True)
class ExitStatus:
    """How a program has ended.

    >>> str(ExitStatus(code=2)), str(ExitStatus(signal="SIGKILL"))
    ('exit code 2', 'killed by SIGKILL')
    """

    code: int | None = None
    """Its exit code; None if it was killed."""
    signal: str | None = None
    """The name of the signal that has killed it, such as ``"SIGKILL"``."""

    def __str__(self) -> str:
        if self.signal is not None:
            return f"killed by {self.signal}"
        if self.code is not None:
            return f"exit code {self.code}"
        return "an exit status that nobody knows (is SIGCHLD ignored, or does other code wait for processes?)"


class Program:
    """A running program. Raises `OSError` when it cannot be started.

    Arguments:
        words: the program and its arguments
        cwd: the folder to run it in, None for ours
        env: its whole environment
        standard: what it gets as standard input, output and error: descriptors, or `subprocess.DEVNULL`
        inherited: further descriptors, which have the same number in the program
        leashes: from `make_leash`; the reading ends are the program's, the writing ends this object's
        on_exit: called when the program has exited
    """

    def __init__(
        self,
        words: Sequence[str | bytes],
        *,
        cwd: str | bytes | None,
        env: Mapping[str, str],
        standard: tuple[int, int, int],
        inherited: Sequence[int],
        leashes: Sequence[tuple[int, int]],
        on_exit: Callable[[], object],
    ) -> None:
        stdin, stdout, stderr = standard
        self._process = subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(*inherited, *(reading for reading, _ in leashes)),
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.status: ExitStatus | None = None
        """How it has ended; None while it runs."""
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self._leashes = [writing for _, writing in leashes]
        for reading, _ in leashes:
            _attach(reading, self.pid)
        try:
            self._watched = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            self._watched = -1
            self._loop.call_later(LOOK, self._look)
        else:
            self._loop.add_reader(self._watched, self._look)

    def send(self, number: int) -> None:
        """Send a signal to the program and all that it has started; nothing, if there is none of them left.

        Raises `PermissionError` when they run as another user."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    @property
    def has_left_others(self) -> bool:
        """Whether something of its group is left, now that the program itself has been reaped."""
        # A number is not given to another process while there is a group of that number.
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _runs(self.pid)

    def let_go(self) -> None:
        """The program is over, or cannot be ended: close what we have of it."""
        while self._leashes:
            os.close(self._leashes.pop())
        self._unwatch()

    def _look(self) -> None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            self.status = ExitStatus()
        else:
            if not pid:
                if self._watched < 0:
                    self._loop.call_later(LOOK, self._look)
                return
            code = os.waitstatus_to_exitcode(status)
            self.status = ExitStatus(code) if code >= 0 else ExitStatus(signal=_name_of(-code))
        self._process.returncode = 0  # or it would look by itself
        self._unwatch()
        self._on_exit()

    def _unwatch(self) -> None:
        if self._watched >= 0:
            self._loop.remove_reader(self._watched)
            os.close(self._watched)
            self._watched = -1


def make_leash() -> list[tuple[int, int]]:
    """Return the two ends of a pipe that is to be a program's leash; an empty list where there are none."""
    try:
        from fcntl import F_SETSIG  # noqa: F401  # Linux has it
    except ImportError:
        return []
    return [os.pipe()]


def _attach(reading_end: int, group: int) -> None:
    """Have a process group killed when the writing end of a pipe is closed, if it has the reading end."""
    import fcntl

    try:
        fcntl.fcntl(reading_end, fcntl.F_SETOWN, -group)
        fcntl.fcntl(reading_end, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(reading_end, fcntl.F_GETFL)
        fcntl.fcntl(reading_end, fcntl.F_SETFL, flags | os.O_ASYNC)
    except OSError:  # a sandbox that knows no such thing, or a program that is over already
        pass


def _runs(group: int) -> bool:
    """Say whether a process of a group, of which there are some, is more than a zombie.

    Who reaps them is not our business, and in a container may be nobody's.
    """
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:  # another system than Linux
        return True
    for number in numbers:
        try:
            if os.getpgid(number) == group:
                with open(f"/proc/{number}/stat", "rb") as stream:
                    state = stream.read().rpartition(b") ")[2][:1]
                if state not in (b"Z", b"X"):
                    return True
        except OSError:  # it is gone by now
            pass
    return False


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals
        return f"signal {number}"


# -- why it could not be started --------------------------------------------------------------------


def why_not_started(error: OSError, program: str, cwd: str | None, path: str | None) -> str:
    """Say why a program could not be started, and what to do.

    Arguments:
        error: what the operating system said
        program: the first of its words
        cwd: the folder that it was to run in, None for ours
        path: the variable ``PATH`` of its environment

    >>> why_not_started(FileNotFoundError(), "/opt/radio/play", None, None)
    "there is no file '/opt/radio/play': check how it is spelt"
    """
    if cwd is not None and not os.path.isdir(cwd):
        what = "is no folder" if os.path.lexists(cwd) else "is not there"
        return f"the folder to run it in, {cwd!r}, {what}: check cwd="
    if cwd is not None and not os.access(cwd, os.X_OK):
        return f"this user may not enter the folder to run it in, {cwd!r}: check cwd= and its rights"
    file = os.path.join(cwd or "", program) if "/" in program else _search(program, path)
    if isinstance(error, PermissionError) and file is not None:
        if os.path.isdir(file):
            return f"{file!r} is a folder, and no program"
        return f"this user may not run {file!r}: make it executable (chmod +x), or check its rights"
    if isinstance(error, FileNotFoundError):
        if file is not None and os.path.isfile(file):
            return f"{file!r} is there, but what is to run it is not: see its first line, {_first_line(file)}"
        if "/" in program:
            return f"there is no file {program!r}: check how it is spelt"
        if " " in program.strip():
            words = ", ".join(map(repr, program.split()))
            return (
                f"there is no program {program!r} on PATH: give its words one by one, Command({words}), or "
                f"have a shell read them, Command(shell={program!r})"
            )
        import difflib  # here, because most programs never need it and it takes a millisecond

        near = difflib.get_close_matches(program, _programs_on(path), n=2, cutoff=0.75)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "install it, or give its path"
        return f"there is no program {program!r} on PATH: {hint}"
    if file is not None and error.errno == errno.ENOEXEC:
        return f"{file!r} is nothing that this machine can run; a script begins with a line such as #!/bin/sh"
    return f"{program!r} cannot be started: {error.strerror or error}"


def _folders(path: str | None) -> list[str]:
    return (os.defpath if path is None else path).split(os.pathsep)


def _search(program: str, path: str | None) -> str | None:
    """Return the first file of that name on PATH, whether or not it can be run."""
    files = (os.path.join(folder, program) for folder in _folders(path))
    return next((file for file in files if os.path.lexists(file)), None)


def _programs_on(path: str | None) -> set[str]:
    found: set[str] = set()
    for folder in _folders(path):
        try:
            found.update(os.listdir(folder))
        except OSError:  # PATH often names folders that are not there
            pass
    return found


def _first_line(file: str) -> str:
    try:
        with open(file, "rb") as stream:
            return repr(stream.readline(100).decode(errors="replace").rstrip())
    except OSError as error:
        return f"which cannot be read ({error.strerror})"


__all__ = ["LOOK", "ExitStatus", "Program", "make_leash", "why_not_started"]
