"""Several copies of a part share the work.

Theory
------
Each copy sits on a place of its own (`place`), with a queue of its own. A message is not given to a copy
before that asks for one, so none waits behind a slow message while another copy is idle: a queue calls back
when a reader lines up and there is nothing for it (`Queue.on_asked`).

**Order.** To send results in the order of the messages it has to be known which results belong to which
message. They are what a copy sends from being given the message until it is at rest: all that is in it
waits to receive, and nothing is queued. So each copy gets its next message only then, and `_Task` notes where
in its stream the results of each message end. Results of the oldest message are passed on as they come;
those of others wait in an inbox for each copy.

Where it is known how many results each message has, nothing of that is needed: a copy gets a message whenever
it asks, and results are counted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from kamaelia.axon import (
    Component,
    EndOfMessages,
    Failure,
    Inbox,
    KamaeliaError,
    LinkError,
    Outbox,
    SourceFailed,
    UsageError,
    as_part,
    lifecycle,
    make,
    postman,
    select,
)
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.component import offered
from kamaelia.axon.errors import shorten, text_of

from .place import Place

AHEAD = 100  # messages in work, for each copy, whose results wait for those of an older one


class Pool(Component):
    """Copies of a part share the work: each message goes to the copy that has asked for one first.

    The copies are made at the beginning (``copy-1``, ``copy-2``, ...), and each has its own state. What comes
    to another inbox than ``inbox`` goes to every copy.

    Without order, what the copies send comes out as they send it. With ``ordered`` results come out in the
    order of the messages, however many there are for one: they are what a copy sends before it is at rest
    again, that is, all in it waits for a message, with no time limit. What works on several messages at a
    time (a `Map` with concurrency), or where nobody sees it (a worker, a program), is never known to be at
    rest: say how many ``results`` each message has. Then copies need not be at rest, either, before they get
    the next one.

    Ending: when the inbox has ended and the copies are done with what they were given. Failure: a copy that
    fails is logged, told of through ``failures``, with the message that it was working on, and counted, and
    another takes its place and goes on with the next message; one that fails before it has been given a
    message would fail again, and is not replaced. When no copy is left, the pool fails. With
    ``on_failure="stop"`` a failure of a copy is one of the pool. A copy that ends is replaced as well. Stop:
    what was accepted is finished. Back-pressure: while no copy asks, messages wait in the inbox, under its
    mark. It holds open its outboxes, between a copy and the next.

    Arguments:
        part: the part: a component, a class, or a factory; each copy is a new one
        size: how many copies
        ordered: send results in the order of the messages
        results: how many results each message has, if it is always so many; for ``ordered``
        on_failure: ``"isolate"`` or ``"stop"``

    Boxes: those of the part; ``failures``, a `Failure` for each copy that has failed.

    Example:
        >>> from kamaelia import component, run, sleep
        >>> from kamaelia.axon import VirtualLoop
        >>> from kamaelia.chassis import Pool
        >>> from kamaelia.flow import Collect, Source
        >>> @component
        ... async def work(inbox, outbox):
        ...     async for seconds in inbox:
        ...         await sleep(seconds)
        ...         await outbox.send(seconds)
        >>> run(Source([3, 1, 2]) | Pool(work, 2) | Collect(), loop_factory=VirtualLoop)
        [1, 3, 2]
        >>> run(Source([3, 1, 2]) | Pool(work, 2, ordered=True) | Collect(), loop_factory=VirtualLoop)
        [3, 1, 2]
    """

    inbox: Any = None
    outbox: Any = None
    failures = Outbox[Failure]("copies that have failed", optional=True)

    def __init__(
        self,
        part: Any,
        size: int,
        *,
        ordered: bool = False,
        results: int | None = None,
        on_failure: Literal["isolate", "stop"] = "isolate",
    ) -> None:
        check_whole(f"Pool(size={shorten(size)})", size, "how many copies", 1)
        if results is not None:
            check_whole(f"Pool(results={shorten(results)})", results, "how many results a message has", 1)
            if not ordered:
                raise ValueError(f"Pool(results={results}): without ordered=True nobody has to know that")
        if on_failure not in ("isolate", "stop"):
            raise ValueError(f"Pool(on_failure={on_failure!r}): say 'isolate' or 'stop'")
        self._pattern = part
        self._ordered = ordered
        self._results = results
        first = as_part(part) if isinstance(part, (Component, type)) else make(part)
        if "inbox" not in first._axon.boxes:
            raise LinkError(f"Pool({shorten(part)}): it has no inbox, so there is no work to share")
        told: Outbox[_Copy] = self.add_box("_told", Outbox("what becomes of a copy", optional=True))
        self._news: Inbox[_Copy] = self.add_box("_news", Inbox("copies that ask for work, or have ended"))
        self.link(told, self._news)
        self._copies: list[_Copy] = []
        for number in range(1, size + 1):
            watched = ordered and results is None
            copy = _Copy(told, first, watched=watched, isolated=on_failure == "isolate")
            self.add(copy, name=f"copy-{number}")
            self._copies.append(copy)
        for name, box in offered(first._axon).items():
            if name != "failures":
                self._wire(name, box)
        self._free: deque[_Copy] = deque()
        self._tasks: deque[_Task] = deque()  # in order, and those in front done last
        # Messages that were given to a copy which has not taken them, and is not replaced.
        self._returned: deque[tuple[Any, _Task | None]] = deque()
        self._is_over = False  # no more work comes
        self._hopeless: Failure | None = None  # of a copy that was not replaced

    def _wire(self, name: str, like: Any) -> None:
        """Make a box of our own like one of the part's."""
        if name == "inbox":
            size = f"{like.size} B" if like.in_bytes else like.size
            self.inbox = self.add_box(name, Inbox(like.doc, size=size, type=like.type))
        elif like.is_inbox:
            own: Any = self.add_box(name, Inbox(like.doc, type=like.type))
            for copy in self._copies:
                self.link(own, copy._axon.boxes[name])
        else:
            own = self.add_box(name, Outbox(like.doc, type=like.type, optional=like.optional))
            collected = name == "outbox" and self._ordered
            if not collected:
                own.become_boundary()
            for copy in self._copies:
                box = copy._axon.boxes[name]
                if collected:
                    copy.results = self.add_box(f"_{name} of {copy._axon.name}", Inbox(like.doc))
                self.link(box, copy.results if collected and copy.results is not None else own)
        if name == "inbox":
            for copy in self._copies:
                to: Outbox[Any] = self.add_box(f"_to {copy._axon.name}", Outbox(like.doc, optional=True))
                self.link(to, copy._axon.boxes[name])
                copy.work = to

    @property
    def failed(self) -> int:
        """How many copies have failed."""
        return sum(copy.failed for copy in self._copies)

    async def main(self) -> None:
        failed: SourceFailed | None = None
        try:
            for copy in self._copies:
                copy.seat(make(self._pattern))
            while True:
                self._drop_finished_tasks()
                while self._free and self._returned:
                    self._give_out(*self._returned.popleft())
                if self._is_alone():
                    break
                listened = self._boxes_to_listen_to()
                try:
                    box, item = await select(*listened, until=[one for one in listened if one is self.inbox])
                except EndOfMessages:
                    self._no_more_work(None)
                except SourceFailed as error:
                    if self.inbox.failure is not None and failed is None:
                        failed = error
                        self._no_more_work(error.__cause__)
                else:
                    if box is self._news:
                        self._look_at(item)
                    elif box is self.inbox:
                        self._give_out(item)
                    else:
                        if self._tasks and box is self._tasks[0].copy.results:
                            self._tasks[0].got += 1
                        await self.outbox.send(item)
        finally:
            for copy in self._copies:
                copy.give_up(None if failed is None else failed.__cause__)
        if failed is not None:
            raise failed
        if self._hopeless is not None and (self._returned or not self._is_over):
            last = self._hopeless.error
            undone = f", and {len(self._returned)} of those given out are left" if self._returned else ""
            raise KamaeliaError(
                f"{self.path} has no copy left: each has failed before it has taken a message{undone}; at "
                f"last {self._hopeless.path}: {type(last).__name__}: {text_of(last)}"
            ) from last

    def _is_alone(self) -> bool:
        """Say whether all copies have gone, and all that they have sent has been passed on."""
        if self._news.statistics().waiting or not all(copy.done() for copy in self._copies):
            return False
        return not any(copy.results is not None and len(copy.results.queue) for copy in self._copies)

    def _boxes_to_listen_to(self) -> list[Inbox[Any]]:
        """Return where there may be something to do, the most urgent first."""
        boxes = [self._news]
        if self._tasks:
            results = self._tasks[0].copy.results
            assert results is not None
            boxes.append(results)
        if self._ordered:
            # What a copy sends while it has no message belongs to none, and is passed on as it comes.
            busy = {task.copy for task in self._tasks}
            idle = [copy.results for copy in self._copies if copy not in busy and copy.results is not None]
            boxes += [box for box in idle if not box.ended or len(box.queue)]
        if self._free and len(self._tasks) < AHEAD * len(self._copies):
            boxes.append(self.inbox)
        return boxes

    def _give_out(self, message: Any, task: _Task | None = None) -> None:
        copy = self._free.popleft()
        copy.given += 1
        if task is not None:
            task.copy = copy
            copy.tasks.append(task)
        elif self._ordered:
            task = _Task(copy)
            copy.tasks.append(task)
            self._tasks.append(task)
        assert copy.work is not None
        copy.work.send(message)

    def _no_more_work(self, failure: BaseException | None) -> None:
        self._is_over = True
        self._free.clear()
        for copy in self._copies:
            assert copy.work is not None
            copy.work.close(failure)

    # -- what becomes of copies -------------------------------------------------------------------

    def _look_at(self, copy: _Copy) -> None:
        """A copy has asked for work, or has gone."""
        copy.news_sent = False
        queue: Any = copy._axon.boxes["inbox"].queue  # type: ignore[attr-defined]
        if copy.occupant is not None:
            if copy not in self._free and not (copy.watched and not copy.is_at_rest()):
                copy.has_asked = True
                if copy.watched:
                    self._finish_tasks(copy, 0)
                if not self._is_over:
                    self._free.append(copy)
            return
        # What it was given and has not taken yet is for who comes next.
        self._finish_tasks(copy, 0 if copy.done() else len(queue))
        if copy in self._free:
            self._free.remove(copy)
        if copy.done():
            return
        if copy.has_asked or copy.given > len(queue):
            copy.has_asked = False
            copy.given = len(queue)
            copy.seat(make(self._pattern))
        else:
            self._hopeless = copy.failure or self._hopeless
            for message in queue.drain():
                self._returned.append((message, copy.tasks.popleft() if copy.tasks else None))
            copy.give_up()

    # -- order ------------------------------------------------------------------------------------

    def _finish_tasks(self, copy: _Copy, left: int) -> None:
        """A copy is done with the messages that it was given, but for the last so many: their results are
        what it has sent so far."""
        while len(copy.tasks) > left:
            assert copy.results is not None
            queue = copy.results.queue
            copy.tasks.popleft().end = queue.received + len(queue)

    def _drop_finished_tasks(self) -> None:
        """Forget the messages in front whose results have all been passed on."""
        while self._tasks:
            task = self._tasks[0]
            results = task.copy.results
            assert results is not None
            if task.got == self._results:
                if task.end is None:
                    task.copy.tasks.popleft()
            elif task.end is None or results.queue.received < task.end:
                return
            self._tasks.popleft()


@dataclass(eq=False)
class _Task:
    """A message that has been given to a copy."""

    copy: _Copy
    got: int = 0  # results that have been passed on
    end: int | None = None  # how many results the copy had sent altogether when it was done


class _Copy(Place):
    """The place of one copy."""

    def __init__(self, told: Outbox[Any], like: Component, *, watched: bool, isolated: bool) -> None:
        super().__init__(told, [like], isolated=isolated)
        self.watched = watched  # whether it gets a message only when it is at rest
        self.work: Outbox[Any] | None = None  # through which it is given messages
        self.results: Inbox[Any] | None = None  # to which its results go, if order is kept
        self.tasks: deque[_Task] = deque()  # what it works on, if order is kept
        self.has_asked = False  # it has been ready for work
        self.given = 0  # messages that were given to this occupant, or left to it
        self.news_sent = False

    def seat(self, occupant: Component) -> None:
        """Let a copy take the place, and watch for it to ask for work."""
        super().seat(occupant)
        boxes = [self._axon.boxes["inbox"]]
        if self.watched:
            boxes = [box for one in lifecycle.family(occupant._axon) for box in one.inboxes]
        for box in boxes:
            for inner in postman.inboxes_behind(box):
                inner.queue.on_asked = self._tell_news

    def _tell_news(self) -> None:
        if not self.news_sent:
            self.news_sent = True
            self._tell_chassis()

    def is_at_rest(self) -> bool:
        """Say whether all in the copy that is fed waits to receive, for as long as it takes, with nothing
        queued."""
        assert self.occupant is not None
        for process in lifecycle.family(self.occupant._axon):
            inboxes = [box for box in process.inboxes if not box.wired]
            if any(len(box.queue) for box in inboxes):
                return False
            if process.body_done or all(box.ended for box in inboxes):
                continue  # what nothing feeds does not wait for a message
            wait = process.wait
            if wait is None or wait.verb != "receive from" or wait.timed:
                elsewhere = process.future is not None or (wait is not None and wait.verb != "receive from")
                if elsewhere and any(box.queue.readers for box in inboxes):
                    raise UsageError(
                        f"{process.path} takes messages while it does something else, so it cannot be seen "
                        "when it is done with one: say how many results each has, Pool(..., ordered=True, "
                        "results=1), or let results come as they are ready, without ordered"
                    )
                return False
        return True


__all__ = ["Pool"]
