"""Messages from anything that can be iterated over."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from typing import Any, Literal

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.errors import shorten

Items = Iterable[Any] | AsyncIterable[Any]


class Source(Component):
    """Send the items of an iterable, one after the other, then end.

    Outbox: ``outbox``, the items. There is no inbox.

    An asynchronous iterable may wait for whatever it likes; that nobody listens any more the source then
    notices at its next item. An exception that the iterable raises is a failure of the source.

    Arguments:
        items: an iterable, an asynchronous iterable, or a function that returns one. Where a source is a
            pattern that is made anew for each visitor, a generator would be used up by the first of them:
            give a list, or the generator function itself.
        then: what comes after the last item. With ``"end"`` the source ends, and so its readers see the
            end. With ``"stay"`` it keeps the line open until nobody listens any more, the system is
            stopped, or everything else is at rest too: for a client that sends a request and waits for the
            answer, with something behind it that has enough some time, such as `Take`. (A server that has
            said all may still listen.)

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Source
        >>> run(Source(range(3)) | Collect())
        [0, 1, 2]
    """

    inbox = None
    outbox = Outbox[Any]("the items")

    def __init__(self, items: Items | Callable[[], Items], then: Literal["end", "stay"] = "end") -> None:
        if isinstance(items, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"Source({shorten(items)}) would send the numbers of its bytes: "
                f"write Source([{shorten(items)}])"
            )
        if not callable(items):
            _check_items(items, lambda: f"Source({shorten(items)})")
        if then not in ("end", "stay"):
            raise ValueError(f"Source(then={then!r}): say 'end' or 'stay'")
        self.items = items
        self.then = then

    async def main(self) -> None:
        items = self.items
        if callable(items):
            items = items()
            _check_items(items, lambda: f"{self.path}: {shorten(self.items)} has returned {shorten(items)}")
        if isinstance(items, AsyncIterable):
            iterator: Any = aiter(items)
            try:
                async for item in iterator:
                    await self.outbox.send(item)
            finally:  # a generator may have something to clean up when the source ends before it does
                if hasattr(iterator, "aclose"):
                    await iterator.aclose()
        else:
            for item in items:
                await self.outbox.send(item)
        if self.then == "stay":
            await self._stay()

    async def _stay(self) -> None:
        """Wait on an inbox that is held only from inside: a stop ends it, rest ends it, and rule 4 ends the
        wait.

        It is made only now. A source with an inbox would count as fed while it still sends its items,
        and a stop cancels what nothing feeds.
        """
        stay = self.add_box("_stay", Inbox[Any]("nothing comes here: it keeps the line open", held=True))
        await stay.receive()


def _check_items(items: object, what: Callable[[], str]) -> None:
    """Raise TypeError for what has no items to send. (To show them may take seconds, if they are many.)"""
    if isinstance(items, (Iterable, AsyncIterable)):
        return
    try:
        iter(items)  # type: ignore[call-overload]  # it takes more: also what has only __getitem__
    except TypeError:
        if isinstance(items, Coroutine):
            items.close()  # or Python would warn that nobody has awaited it
        raise TypeError(f"{what()}: {type(items).__name__} has no items; give a list of them") from None


__all__ = ["Source"]
