"""When to look again: as soon as the operating system tells of something, and every so often anyway.

Theory
------
Who watches files can ask again and again (polling), which is slow to notice and busy when there is nothing,
or be told (`inotify`), which notices in a fraction of a millisecond and costs nothing meanwhile, but exists
on Linux only, does not see what others do on a network drive, has few places (128 watchers to a user,
usually), and loses what comes too fast. So a component here always *looks* to find out what is the case; a
`Lookout` only says when. Where it is told, it looks at once, at what it was told of, and besides every so
many intervals for what nobody tells of. Where it is not (no inotify, no place left, virtual time, an event
loop that cannot watch descriptors), it looks once in an interval.
"""

from __future__ import annotations

import contextvars
import logging

from kamaelia.axon import Component, Signal, VirtualLoop, clock

from .inotify import Inotify

log = logging.getLogger("kamaelia")

MANY = 10_000  # names; of more it is only remembered that everything may have changed


class Lookout:
    """Says when to look again. To be made in the body of a component.

    Arguments:
        component: that looks
        interval: seconds between two looks where nobody tells
        relaxed: so many intervals between two looks without reason where somebody does
    """

    def __init__(self, component: Component, interval: float, relaxed: int) -> None:
        self._path = component.path
        self._loop = component.get_loop()
        self._interval = interval
        self._relaxed = relaxed
        self._period = interval
        self._due = clock() + interval  # when to look at everything, although nobody has told of anything
        self._names: set[str] = set()
        self._signal = Signal("see something new")
        self._channel: Inotify | None = None
        if not isinstance(self._loop, VirtualLoop):
            try:
                self._channel = Inotify()
                self._loop.add_reader(self._channel.fd, self._on_news)
            except (NotImplementedError, OSError) as error:
                self._log(error)
                self.close()

    @property
    def is_told(self) -> bool:
        """Whether there is somebody who can tell."""
        return self._channel is not None

    def watch(self, path: str, mask: int) -> int | None:
        """Have it told of a folder or file, if that can be; may take long. Return a number for `forget`."""
        channel = self._channel
        if channel is None:
            return None
        try:
            number = channel.watch(path, mask)
        except OSError as error:
            self._log(error)
            self._period = self._interval
            return None
        self._period = self._interval * self._relaxed
        return number

    def forget(self, number: int | None) -> None:
        """Have it told of that no longer."""
        if self._channel is not None and number is not None:
            self._channel.forget(number)

    def _on_news(self) -> None:
        assert self._channel is not None
        self._names |= self._channel.read()
        if len(self._names) > MANY:
            self._names = {""}
        self._signal.set()

    async def wait(self, until: float | None = None) -> set[str] | None:
        """Wait until there is reason to look; return the names at which, or None for everything.

        With ``until``, a time, not longer than that: then there may be no name at all.
        """
        everything = clock() >= self._due
        if not (everything or self._names):
            soon = until is not None and until < self._due
            told = await self._hear(until if until is not None and soon else self._due)
            everything = not (told or soon)
        names, self._names = self._names, set()
        if not (everything or "" in names):
            return names
        self._due = clock() + self._period
        return None

    async def _hear(self, until: float) -> bool:
        """Wait until something is told, or until a time; say whether it was."""
        over = False

        def ring() -> None:
            nonlocal over
            over = True
            self._signal.set()

        timer = self._loop.call_at(until, ring, context=contextvars.Context())
        try:
            while not (self._names or over):
                await self._signal
        finally:
            timer.cancel()
        return bool(self._names)

    def close(self) -> None:
        """Be told nothing any more."""
        channel, self._channel = self._channel, None
        if channel is not None:
            try:
                self._loop.remove_reader(channel.fd)
            except NotImplementedError:
                pass
            channel.close()

    def _log(self, error: Exception) -> None:
        log.info("%s looks every %g s, as nobody tells it: %s", self._path, self._interval, error)


__all__ = ["Lookout"]
