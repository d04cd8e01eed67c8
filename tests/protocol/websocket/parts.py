"""Handlers for the tests."""

from __future__ import annotations

from typing import Any

from kamaelia import Component, Inbox, Outbox, component


class Repeat(Component):
    """Sends back what comes, text as text."""

    inbox = Inbox[str | bytes]("messages")
    outbox = Outbox[str | bytes]("the same")

    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(message)


class Tell(Repeat):
    """The same, and puts into a list what has come, and how that ended."""

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    async def main(self) -> None:
        try:
            async for message in self.inbox:
                self.told.append(message)
                await self.outbox.send(message)
        except BaseException as error:
            self.told.append(error.__cause__ or error)
            raise
        self.told.append("end")


@component
async def gather(inbox: Any, outbox: Any) -> Any:
    """Return everything, in a list."""
    return [message async for message in inbox]


def kinds(told: list[Any]) -> list[Any]:
    """Return what was told, with errors by the names of their types."""
    return [type(one).__name__ if isinstance(one, BaseException) else one for one in told]
