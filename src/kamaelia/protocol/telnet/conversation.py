"""A conversation with a person at a terminal: ask, say, let choose.

Theory
------
A `Conversation` is one component, which speaks telnet with the client (`machine`) and calls one function of
the user's, ``talk``, that leads the conversation. ``talk`` waits where it asks. Lines that were typed ahead
wait here: those of one chunk from the network, and the next chunk is not read before they are used up.

What ends a conversation from outside is raised where ``talk`` asks, and passes through it: that the person
has gone (`EndOfMessages`, as from any inbox), has been silent for too long, or has given too many wrong
answers. The last two are told to the person before the end, and are no failures.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from kamaelia.axon import Component, EndOfMessages, Inbox, KamaeliaError, Outbox, UsageError, clock
from kamaelia.axon.arguments import check_bytes, check_positive, check_whole
from kamaelia.axon.errors import shorten

from .machine import LONGEST, Leave, Line, Send, Terminal

ATTEMPTS = 3  # answers that may be wrong, before a conversation is given up


class ConversationOver(KamaeliaError):
    """A conversation that leads nowhere: the person is silent, or gives only wrong answers.

    It is raised where something is asked. Let it pass: its text is told to the person, and that is the end.
    """


class Conversation(Component):
    r"""Talk with a person at a terminal, who comes by telnet, or just ``nc``.

    A function leads the conversation, `ask` by `ask`. What is typed comes without anything that telnet adds,
    and without control characters; what is said goes with the line ends that a terminal wants. Nothing of
    telnet is sent before it is needed, which is for an answer that is to stay ``hidden``.

    Inbox: ``inbox``, bytes from the client. Outbox: ``outbox``, bytes for it. What ``talk`` returns is the
    result.

    Ending: when ``talk`` returns; when the person goes, or has been silent for ``idle`` seconds, where it
    asks. Failure: what ``talk`` raises; what breaks the connection. Stop: what was typed may be answered.
    Back-pressure: who types ahead waits; who does not read holds up ``talk``. It holds nothing open.

    Arguments:
        talk: an ``async`` function of the conversation
        idle: seconds that a person may take for an answer
        longest: bytes of the longest line; more is cut, and counted in `cut`
        encoding: of the text, both ways

    Example:
        >>> from kamaelia.protocol import Conversation
        >>> from kamaelia.testing import drive
        >>> async def talk(visitor):
        ...     name = await visitor.ask("Your name? ")
        ...     await visitor.say(f"Hello {name}!")
        >>> with drive(Conversation(talk)) as visitor:
        ...     visitor.send(b"Anna\r\n")
        ...     visitor.take_all()
        [b'Your name? ', b'Hello Anna!\r\n']
    """

    inbox = Inbox[bytes]("bytes from the client")
    outbox = Outbox[bytes]("bytes for the client")

    def __init__(
        self,
        talk: Callable[[Conversation], Coroutine[Any, Any, Any]],
        *,
        idle: float = 300.0,
        longest: int = LONGEST,
        encoding: str = "utf-8",
    ) -> None:
        if not callable(talk):
            raise TypeError(f"Conversation({shorten(talk)}): give an async function of the conversation")
        check_positive(f"Conversation(idle={shorten(idle)})", idle, "the seconds that an answer may take")
        check_whole(f"Conversation(longest={shorten(longest)})", longest, "the bytes of the longest line", 1)
        self.talk = talk
        self.idle = idle
        self._terminal = Terminal(encoding=encoding, longest=longest)
        self._lines: deque[str] = deque()  # that were typed ahead
        self._leaves = False  # when these are used up

    @property
    def cut(self) -> int:
        """Lines that were too long and were cut."""
        return self._terminal.cut

    @property
    def window(self) -> tuple[int, int]:
        """How wide and high the person's window is, in characters; 0 as long as it is not known."""
        return tuple(self._terminal.window)  # type: ignore[return-value]

    async def main(self) -> Any:
        talking = self.talk(self)
        if not inspect.isawaitable(talking):
            raise UsageError(
                f"{self.path}: an async function leads a conversation, and {shorten(self.talk)} is none"
            )
        try:
            return await talking
        except ConversationOver as over:
            await self.say(f"\n{over}")

    # -- what `talk` does -------------------------------------------------------------------------

    async def say(self, text: str = "", end: str = "\n") -> None:
        """Show a text, with the end of a line after it."""
        if not isinstance(text, str):
            raise TypeError(f"{self.path}: say({shorten(text)}): give text, such as str(...) makes of it")
        await self._send(self._terminal.encode(text + end))

    async def ask(
        self,
        question: str = "",
        *,
        hidden: bool = False,
        check: Callable[[str], Any] | None = None,
        attempts: int = ATTEMPTS,
    ) -> Any:
        """Ask for a line, and return it.

        Arguments:
            question: shown before
            hidden: ask the client not to show what is typed
            check: a function of the line, whose result is returned instead; if it raises ValueError, its text
                is shown, and the question is asked again. One that has to wait is ``async``
            attempts: how many wrong answers are too many

        Raises `ConversationOver` after too many of them, or a silence that is too long, `EndOfMessages` when
        the person has gone.
        """
        for _ in range(attempts):
            await self.say(question, end="")
            line = await (self._read_hidden() if hidden else self._read())
            if check is None:
                return line
            try:
                checked = check(line)
                return await checked if inspect.isawaitable(checked) else checked
            except ValueError as error:
                await self.say(str(error))
        raise ConversationOver("That was wrong too often. Good bye!")

    async def choose(self, question: str, options: Iterable[str], *, attempts: int = ATTEMPTS) -> str:
        """Let the person choose one of several texts, by its number or its beginning; return it."""
        every = list(options)
        if not every:
            raise ValueError(f"choose({question!r}): give one text to choose, or more")
        await self.say(question)
        width = len(str(len(every)))
        for number, option in enumerate(every, 1):
            await self.say(f"  {number:{width}}  {option}")

        def chosen(line: str) -> str:
            typed = line.strip()
            if typed.isdecimal() and len(typed) <= width and 1 <= int(typed) <= len(every):
                return every[int(typed) - 1]
            low = typed.lower()
            if same := [option for option in every if option.lower() == low]:
                return same[0]
            found = [option for option in every if low and option.lower().startswith(low)]
            if len(found) == 1:
                return found[0]
            if found:
                raise ValueError(f"That may be {' or '.join(map(repr, found))}.")
            raise ValueError(f"Type a number from 1 to {len(every)}, or how it begins.")

        answer: str = await self.ask("? ", check=chosen, attempts=attempts)
        return answer

    async def ask_window(self) -> None:
        """Ask the client how large its window is; what it answers, if it does, is then in `window`."""
        await self._send(self._terminal.ask_size())

    # -- lines ------------------------------------------------------------------------------------

    async def _read_hidden(self) -> str:
        await self._send(self._terminal.hide())
        try:
            return await self._read()
        finally:
            was_hidden = self._terminal.hidden
            await self._send(self._terminal.show())
            if was_hidden:  # so was the end of the line
                await self.say()

    async def _read(self) -> str:
        due = clock() + self.idle
        while not self._lines:
            if self._leaves:
                raise self._end()
            try:
                data = await self.inbox.receive(timeout=max(0.0, due - clock()))
            except TimeoutError:
                raise ConversationOver(
                    f"You have said nothing for {self.idle:g} seconds. Good bye!"
                ) from None
            except EndOfMessages:
                self._leaves = True
                await self._note(self._terminal.end())
                continue
            check_bytes(self, data)
            await self._note(self._terminal.feed(data))
        return self._lines.popleft()

    async def _note(self, events: Iterable[Any]) -> None:
        for event in events:
            if self._leaves and not isinstance(event, Line):
                continue
            if isinstance(event, Line):
                self._lines.append(event.text)
            elif isinstance(event, Leave):
                self._leaves = True
                return
            elif isinstance(event, Send):
                await self._send(event.data)

    def _end(self) -> EndOfMessages:
        end = EndOfMessages(f"{self.path}: the person has gone")
        end.owner = self._axon
        return end

    async def _send(self, data: bytes) -> None:
        if data:
            await self.outbox.send(data)


__all__ = ["Conversation", "ConversationOver"]
