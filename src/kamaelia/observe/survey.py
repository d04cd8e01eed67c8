"""A survey: taps on all boxes of a component and of all that is in it, now and later.

A component that joins, such as the part that a server makes for a visitor, is tapped before its first step,
and a box when it is linked; the taps on a box that has ended are forgotten. What passes several boxes at once
(it leaves one component and is in the inbox of the next) is told once for each.

Boxes whose names begin with ``_`` are their component's own affair, and are left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from kamaelia.axon import Component, postman
from kamaelia.axon.lifecycle import family
from kamaelia.axon.tap import Tap, Tapped

from .subscription import subscribe

if TYPE_CHECKING:
    from kamaelia.axon.box import Box
    from kamaelia.axon.process import Process
    from kamaelia.axon.scheduler import Scheduler

log = logging.getLogger("kamaelia")

MOST_BOXES = 10_000


def ignore(box: Box[Any], failure: BaseException | None) -> None:
    """Be told of an end, and do nothing."""


class Survey:
    """Taps on all boxes of a component and of all that is in it.

    Arguments:
        root: the component's process, or that of a whole system; it runs
        callback: called with all that passes
        boxes: only those, in the manner of file names: ``"*.inbox"``, ``"radio/server*.outbox"``
        on_box_end: called with a box that nothing will pass any more, and the failure that it ended with
        on_end: called once when the component has ended, or only those are left in it that look on
        without: a component that is left out, and whatever hears it: who looks on does not see itself
        most: boxes; what comes above that is left out, and counted
    """

    def __init__(
        self,
        root: Process,
        scheduler: Scheduler,
        callback: Callable[[Tapped], object],
        *,
        boxes: Iterable[str] = ("*",),
        on_box_end: Callable[[Box[Any], BaseException | None], object] = ignore,
        on_end: Callable[[], object] = lambda: None,
        without: Component | None = None,
        most: int = MOST_BOXES,
    ) -> None:
        self.root = root
        self.left_out = 0
        """Boxes that are not tapped because they were too many."""
        self._callback = callback
        self._patterns = tuple(boxes)
        self._on_box_end = on_box_end
        self._on_end = on_end
        self._scheduler = scheduler
        self._without = without
        self._most = most
        self._taps: dict[Box[Any], Tap] = {}
        self.closed = False
        for process in family(root):
            self._tap_boxes_of(process)
        self._unsubscribe = subscribe(scheduler, self._told)

    def __len__(self) -> int:
        return len(self._taps)

    def close(self) -> None:
        """Take all taps away. Twice is harmless."""
        if not self.closed:
            self.closed = True
            self._unsubscribe()
            taps, self._taps = self._taps, {}
            for one in taps.values():
                postman.untap(one)

    # -- what is tapped -------------------------------------------------------------------------------

    def _tap_boxes_of(self, process: Process) -> None:
        for box in process.each_box():
            self._tap(box)

    def _tap(self, box: Any) -> None:
        if box in self._taps or box.name.startswith("_") or box.ended or (box.is_inbox and box.gone):
            return
        if not any(fnmatchcase(str(box), pattern) for pattern in self._patterns):
            return
        if self._without is not None and self._is_of_who_looks(box):
            return
        if len(self._taps) >= self._most:
            if not self.left_out:
                log.warning("%s and other boxes are not looked at: there are %d already", box, self._most)
            self.left_out += 1
            return
        self._taps[box] = postman.tap(
            box, callback=self._callback, on_end=lambda failure: self._box_over(box, failure)
        )

    def _is_of_who_looks(self, box: Any) -> bool:
        component = self._without
        assert component is not None
        owner = box.owner.component
        if owner is component:
            return True
        return any(postman.hears(owner, outbox) for outbox in component._axon.outboxes)

    def _box_over(self, box: Box[Any], failure: BaseException | None) -> None:
        if self._taps.pop(box, None) is not None:
            self._on_box_end(box, failure)

    # -- what comes and goes --------------------------------------------------------------------------

    def _told(self, what: str, subject: Any) -> None:
        if what == "linked":
            for box in (subject.source, subject.target):
                if self._contains(box.owner) and box.owner.boxes.get(box.name) is box:
                    self._tap(box)
        elif what == "started" and self._contains(subject):
            self._tap_boxes_of(subject)
        elif what == "ended" and self._contains(subject):
            is_all = self._without is not None and self._is_all_that_is_left(subject)
            if is_all or subject is self.root:
                self._scheduler.call_soon(self._over)  # its boxes have yet to end

    def _over(self) -> None:
        if not self.closed:
            self._on_end()

    def _contains(self, process: Process | None) -> bool:
        while process is not None and process is not self.root:
            process = process.parent
        return process is not None

    def _is_all_that_is_left(self, ended: Process) -> bool:
        """Say whether nobody is left in there but who looks on: it would wait for its own end."""
        assert self._without is not None
        left = list(self._left(self.root, ended))
        return bool(left) and all(one.component is self._without for one in left)

    def _left(self, process: Process, ended: Process) -> Iterator[Process]:
        if process is ended:
            return
        if process.has_body and not process.body_done:
            yield process
        for child in list(process.children):
            yield from self._left(child, ended)
