"""Questions and answers: each answer finds its way back to who has asked.

Theory
------
A service is one component, `Calls`, around the part that answers. Who asks is an `Ask`, which finds the
service by its name, when it has its first question, and is linked to it by the postman, both ways. `Calls`
gives each question a number of its own, remembers who has asked it and when, and passes ``(number,
question)`` to the part; the part answers ``(number, answer)``, in any order, at any time, or not at all.

So that nobody can be held up by anybody else, nobody here waits to send. An `Ask` has so many questions open
at most, and room for as many replies; `Calls` has so many, and room for their answers. What is more waits in
the inboxes before them.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from typing import Any

from kamaelia.axon import (
    Component,
    Inbox,
    KamaeliaError,
    LinkError,
    Outbox,
    UsageError,
    as_part,
    clock,
    select,
)
from kamaelia.axon.arguments import check_name, check_positive, check_whole
from kamaelia.axon.clock import ROUNDING
from kamaelia.axon.errors import shorten

log = logging.getLogger("kamaelia")

OPEN = 100  # questions of one `Ask` that may be open at a time


class NoAnswer(KamaeliaError):
    """A question will not be answered: the service has gone."""


@dataclass(frozen=True)
class Reply:
    """What an `Ask` sends for each question: the answer, or why there is none."""

    question: Any
    """What was asked."""
    answer: Any = None
    """The answer; None when there is none."""
    error: Exception | None = None
    """`TimeoutError` when no answer came in time, `NoAnswer` when the service has gone; None otherwise."""


@dataclass(frozen=True)
class CallStatistics:
    """What a `Calls` has done so far."""

    asked: int
    """Questions that were passed on."""
    answered: int
    """Answers that found who had asked."""
    open: int
    """Questions that have no answer yet."""
    timed_out: int
    """Questions for which no answer came in time."""
    late: int
    """Answers that came after that, or when who had asked was gone, or for a second time."""
    strange: int
    """What the part has sent and is no answer to anything that was asked."""


class Calls(Component):
    """A service of a name: passes questions to a part, and its answers back to who has asked.

    The part takes pairs ``(number, question)`` and sends ``(number, answer)``, in any order, and as late as
    it likes; a list of two is a pair as well, so the part may be a connection to somewhere else::

        Calls("stock", Serialise(JSON()) | TCPClient("shop", 1500) | Deserialise(JSON()))

    (A connection is never at rest, so a system with such a one goes on until it is stopped.)

    Whoever wants to ask is an `Ask` of that name. A question has an answer, a `TimeoutError` after
    ``timeout`` seconds, or `NoAnswer` when the part has gone. An answer that nobody waits for any more is
    counted, and dropped. What is no answer to anything is logged, counted, and dropped.

    Ending: it ends when its part has, at a stop, or when all else is at rest. Failure: that of its part is
    its own; those who wait get `NoAnswer`, and may ask again when there is such a service again. (Inside, a
    `Supervisor` around the part keeps the other questions open.) Stop: what has been asked may be answered.
    Back-pressure: ``limit`` questions are open at a time, and others wait with who asks. It holds the way to
    ask open until then.

    Arguments:
        name: of the service
        part: what answers
        timeout: seconds that an answer may take
        limit: how many questions may be open at a time

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.chassis import Ask, Calls
        >>> from kamaelia.flow import Collect, Map, Source
        >>> squares = Calls("squares", Map(lambda pair: (pair[0], pair[1] ** 2)))
        >>> _, replies = run(squares, Source([3, 4]) | Ask("squares") | Collect())
        >>> [reply.answer for reply in replies]
        [9, 16]
    """

    inbox = None
    outbox = None
    questions = Inbox[Any]("from everybody who asks", held=True)

    def __init__(self, name: str, part: Any, *, timeout: float = 10.0, limit: int = 1000) -> None:
        check_name("Calls", name, "service")
        check_positive(f"Calls(timeout={shorten(timeout)})", timeout, "the seconds that an answer may take")
        check_whole(f"Calls(limit={shorten(limit)})", limit, "how many questions may be open", 1)
        self.name = name
        self.timeout = timeout
        self.limit = limit
        self.part = as_part(part)
        """What answers."""
        boxes = self.part._axon.boxes
        if "inbox" not in boxes or "outbox" not in boxes:
            raise LinkError(f"Calls({name!r}, {shorten(part)}): it needs an inbox and an outbox to answer")
        self.add(self.part)
        self._requests: Outbox[Any] = self.add_box("_requests", Outbox("questions with their numbers"))
        self._answers: Inbox[Any] = self.add_box(
            "_answers", Inbox("answers with the numbers of their questions", size=limit + 1)
        )
        self.link(self._requests, boxes["inbox"])
        self.link(boxes["outbox"], self._answers)
        self._numbers = itertools.count(1)
        self._open: dict[int, _Question] = {}  # the oldest first
        self._asked = self._answered = self._timed_out = self._late = self._strange = 0

    def statistics(self) -> CallStatistics:
        """Return what has been done so far."""
        return CallStatistics(
            self._asked, self._answered, len(self._open), self._timed_out, self._late, self._strange
        )

    async def main(self) -> None:
        self.system.names.offer(self.name, self, self)
        try:
            while True:
                self._give_up_old_ones()
                boxes = [self._answers]
                if len(self._open) < self.limit:
                    boxes.append(self.questions)
                if self._open:
                    oldest = next(iter(self._open.values()))
                    receiving = select(*boxes, until=self._answers, timeout=max(0.0, oldest.due - clock()))
                else:
                    receiving = select(*boxes, until=boxes)
                try:
                    box, message = await receiving
                except TimeoutError:
                    continue
                if box is self._answers:
                    self._answer(message)
                else:
                    await self._ask(message)
        finally:
            self._leave_unanswered()

    async def _ask(self, question: _Question) -> None:
        number = next(self._numbers)
        question.due = clock() + self.timeout
        self._open[number] = question
        self._asked += 1
        await self._requests.send((number, question.question))

    def _answer(self, message: Any) -> None:
        number = message[0] if isinstance(message, (tuple, list)) and len(message) == 2 else None
        if not isinstance(number, int) or not 0 < number <= self._asked:
            self._strange += 1
            log.warning("%s: this is no answer (number, answer): %s", self.path, shorten(message))
            return
        question = self._open.pop(number, None)
        if question is not None and question.reply(answer=message[1]):
            self._answered += 1
        else:
            self._late += 1

    def _give_up_old_ones(self) -> None:
        now = clock() + ROUNDING
        for number, question in list(self._open.items()):
            if question.due > now:
                return
            del self._open[number]
            self._timed_out += 1
            question.reply(error=TimeoutError(f"{self.path} has not answered within {self.timeout:g} s"))

    def _leave_unanswered(self) -> None:
        """Nobody answers any more: tell all who have asked."""
        self.system.names.withdraw(self.name)
        left = list(self._open.values())
        self._open.clear()
        while self.questions.statistics().waiting:
            left.append(self.questions.receive_nowait())
        for question in left:
            question.reply(error=NoAnswer(f"{self.path} has ended, and has not answered"))


class Ask(Component):
    """Asks the service of a name: passes each question on to its `Calls`, and sends a `Reply` for each.

    Inbox: ``inbox``, the questions. Outbox: ``outbox``, a `Reply` for each, in the order in which they are
    answered, which need not be that of the questions.

    Ending: it ends when its inbox has and all that was asked is answered, or nobody listens any more. Before
    there is such a service it waits for it; when there is none any more, questions get `NoAnswer`. Failure:
    when what feeds it fails, so has what it sends. Stop: what it was sent is asked. Back-pressure: no more
    than 100 questions are open at a time. It holds nothing open.

    Arguments:
        name: of the service

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.chassis import Ask, Calls
        >>> from kamaelia.flow import Collect, Map, Source
        >>> lengths = Calls("lengths", Map(lambda pair: (pair[0], len(pair[1]))))
        >>> run(lengths, Source(["hello"]) | Ask("lengths") | Collect())
        [None, [Reply(question='hello', answer=5, error=None)]]
    """

    inbox = Inbox[Any]("questions")
    outbox = Outbox[Reply]("a reply to each")

    def __init__(self, name: str) -> None:
        check_name("Ask", name, "service")
        self.name = name
        self._way_back: Outbox[Reply] = self.add_box("_way_back", Outbox("replies", optional=True))
        self._replies: Inbox[Reply] = self.add_box("_replies", Inbox("replies", size=OPEN + 1))
        self.link(self._way_back, self._replies)
        self._service: Calls | None = None
        self._was_there = False
        self._to_service: Outbox[Any] | None = None

    async def main(self) -> None:
        count = 0  # questions that are open
        while True:
            if not count:
                box, message = self.inbox, await self.inbox.receive()
            elif count < OPEN:
                box, message = await select(self._replies, self.inbox)
            else:
                box, message = self._replies, await self._replies.receive()
            if box is self.inbox:
                count += 1
                await self._ask(_Question(message, self._way_back))
            else:
                count -= 1
                await self.outbox.send(message)

    async def _ask(self, question: _Question) -> None:
        await self._connect()
        if self._to_service is not None:
            await self._to_service.send(question)
        else:
            question.reply(error=NoAnswer(f"{self.path}: nobody offers {self.name!r} any more"))

    async def _connect(self) -> None:
        """Be linked to the service as it is now."""
        names = self.system.names
        service = names.find(self.name)
        if service is None and not self._was_there:
            service = await names.ask(self.name)
        self._was_there = True
        if service is self._service:
            return
        if service is not None and not isinstance(service, Calls):
            raise UsageError(f"{self.path}: {self.name!r} is no service that answers, but {shorten(service)}")
        self._service = service
        if service is None:
            self._to_service = None
            return
        if self._to_service is None:
            self._to_service = self.add_box("_to_service", Outbox("questions", optional=True))
        self.link(self._to_service, service.questions)


class _Question:
    """A question, with the way back to who has asked it."""

    __slots__ = ("due", "question", "way_back")

    def __init__(self, question: Any, way_back: Outbox[Reply]) -> None:
        self.question = question
        self.way_back = way_back
        self.due = 0.0

    def reply(self, answer: Any = None, error: Exception | None = None) -> bool:
        """Tell who has asked; say whether that is still there."""
        if self.way_back.closed:
            return False
        # There is room: nobody has more questions open than replies fit in.
        self.way_back.send(Reply(self.question, answer, error))
        return True


__all__ = ["Ask", "CallStatistics", "Calls", "NoAnswer", "Reply"]
