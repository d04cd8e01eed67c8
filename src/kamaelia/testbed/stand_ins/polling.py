"""Asking sockets in simulated code whether they are ready: `select.poll` and `select.select`.

They are answered at once, which is all that a library needs that wants to know whether somebody has closed a
connection meanwhile. To wait is refused: it would hold up all hosts, and no virtual time would pass.

A number that is no simulated socket's is that of a file of the machine; who asks only about files asks the
machine, and may wait. ``select.epoll`` and its like know only the machine's files.
"""

from __future__ import annotations

import select
from typing import Any

from ..errors import SimulationError
from ..options import FIRST_NUMBER, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI
from .places import StandIn


class Poll:
    """What ``select.poll()`` returns on a simulated host.

    Arguments:
        loop: the host's
        real: what makes the machine's
    """

    def __init__(self, loop: Any, real: Any) -> None:
        self._loop = loop
        self._real = real
        self._wanted: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = POLLIN | POLLPRI | POLLOUT) -> None:
        """See `select`."""
        self._wanted[number_of(fd)] = eventmask

    def modify(self, fd: Any, eventmask: int) -> None:
        """See `select`."""
        number = number_of(fd)
        if number not in self._wanted:
            raise FileNotFoundError(2, "No such file or directory")
        self._wanted[number] = eventmask

    def unregister(self, fd: Any) -> None:
        """See `select`."""
        del self._wanted[number_of(fd)]

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """See `select`. Raises `SimulationError` where it would wait for a simulated socket, or nothing."""
        files = {number: wanted for number, wanted in self._wanted.items() if number < FIRST_NUMBER}
        only_files = bool(files) and len(files) == len(self._wanted)
        if timeout != 0 and not only_files:
            raise _no_waiting(self._loop, f"poll({'' if timeout is None else repr(timeout)})", "poll(0)")
        found = []
        for number, wanted in self._wanted.items():
            if number >= FIRST_NUMBER:
                state = self._loop.poll(number) & (wanted | POLLERR | POLLHUP | POLLNVAL)
                if state:
                    found.append((number, state))
        if files:
            real = self._real()
            for number, wanted in files.items():
                real.register(number, wanted)
            found += real.poll(timeout)
        return found


def number_of(fd: Any) -> int:
    """Return the number of a file or socket."""
    number: int = fd if isinstance(fd, int) else fd.fileno()
    if number < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({number})")
    return number


def _no_waiting(loop: Any, what: str, instead: str) -> SimulationError:
    return SimulationError(
        f"{what} on simulated host {loop.stack.name}: it would hold up all hosts, and no virtual time would "
        f"pass. Write {instead} to ask without waiting, or `await loop.sock_recv(...)`, or "
        "`loop.add_reader(...)`"
    )


def of_select() -> list[Any]:
    """Return the stand-ins of `select`."""
    real_select = select.select
    real_poll = getattr(select, "poll", None)  # which not all systems have

    def simulated_select(
        loop: Any, rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None
    ) -> tuple[list[Any], list[Any], list[Any]]:
        asked = [(list(rlist), POLLIN | POLLHUP), (list(wlist), POLLOUT | POLLERR), (list(xlist), POLLPRI)]
        files: list[list[Any]] = [[one for one in ones if number_of(one) < FIRST_NUMBER] for ones, _ in asked]
        only_files = any(files) and sum(map(len, files)) == sum(len(ones) for ones, _ in asked)
        if timeout != 0 and not only_files:
            raise _no_waiting(loop, f"select.select(..., {timeout!r})", "select.select(..., 0)")
        ready: Any = real_select(files[0], files[1], files[2], timeout) if any(files) else files
        found = []
        for (ones, wanted), from_files in zip(asked, ready, strict=True):
            found.append([one for one in ones if one in from_files or _is_ready(loop, one, wanted)])
        return found[0], found[1], found[2]

    made = [StandIn("select", "select", real_select, simulated_select)]
    if real_poll is not None:
        made.append(StandIn("select", "poll", real_poll, lambda loop: Poll(loop, real_poll)))
    return made


def _is_ready(loop: Any, one: Any, wanted: int) -> bool:
    number = number_of(one)
    if number < FIRST_NUMBER:
        return False
    state: int = loop.poll(number)
    if state & POLLNVAL:
        raise OSError(9, "Bad file descriptor")
    return bool(state & wanted)


__all__ = ["Poll", "number_of", "of_select"]
