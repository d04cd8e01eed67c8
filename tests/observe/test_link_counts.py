"""What is counted of a link is what has passed it, whatever becomes of the links around it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia import Component, Inbox, run, sleep
from kamaelia.axon import LinkError, Seat, VirtualLoop, postman
from kamaelia.observe.snapshot import figures_of

SIZE = 3  # of every inbox: so that some are full


class Part(Component):
    """Sends and receives what the test has it do."""

    inbox = Inbox("from others", size=SIZE, held=True)

    def __init__(self):
        self.leave = asyncio.Event()

    async def main(self):
        await self.leave.wait()


class Shell(Component):
    """A chassis of two parts, whose boundaries lead to either, both, or none of them."""

    inbox = Inbox("from others", size=SIZE, held=True)

    def __init__(self):
        self.parts = [self.add(Part()) for _ in range(2)]


class Lab(Component):
    """Does what it is told to links, and looks after each step whether all is counted."""

    inbox = outbox = None

    def __init__(self, steps):
        self.steps = steps
        self.senders = [self.add(Part()) for _ in range(3)]
        self.readers = [self.add(Part()) for _ in range(2)]
        self.shells = [self.add(Shell()) for _ in range(2)]
        self.seat = self.add(Seat(Part, on_vacant=lambda occupant, failure: self.refill()))
        self.is_over = False
        postman.link(self.senders[0].outbox, self.seat.inbox)
        postman.link(self.senders[1].outbox, self.shells[0].inbox)
        postman.link(self.shells[0].inbox, self.shells[0].parts[0].inbox)
        postman.link(self.shells[0].inbox, self.shells[0].parts[1].inbox)
        postman.link(self.shells[1].parts[0].outbox, self.shells[1].outbox)
        postman.link(self.shells[1].outbox, self.readers[0].inbox)
        self.hold = self.seat.inbox.hold()
        self.taps = {}  # link -> the tap on it, and what was counted when it was put there
        self.fans = set()  # links that lead, or have led, to several queues
        self.lossy = set()  # links where it is not theirs alone what is dropped, or was not
        self.sent = 0

    async def main(self):
        await sleep(0)
        self.look_at_new()
        for name, *numbers in self.steps:
            try:
                getattr(self, name)(*numbers)
            except LinkError:
                pass
            for _ in range(4):
                await sleep(0)
            self.look()
        for one in (*self.senders, *self.readers, *(part for shell in self.shells for part in shell.parts)):
            one.leave.set()
        for shell in self.shells:
            shell.inbox.close()
        self.is_over = True
        self.hold.release()
        for child in self.seat.children:
            child.leave.set()

    def refill(self):
        if not self.is_over:
            self.seat.fill(Part)

    # -- what is linked

    def sources(self):
        inner = [part.outbox for shell in self.shells for part in shell.parts]
        return [
            *(part.outbox for part in self.senders),
            *(shell.outbox for shell in self.shells),
            *(shell.inbox for shell in self.shells),
            *inner,
        ]

    def targets(self):
        inner = [part.inbox for shell in self.shells for part in shell.parts]
        return [
            *(part.inbox for part in self.readers),
            self.seat.inbox,
            *(shell.inbox for shell in self.shells),
            *(shell.outbox for shell in self.shells),
            *inner,
        ]

    def links(self):
        boxes = [*self.sources(), self.seat.inbox]
        return list(dict.fromkeys(wire for box in boxes for wire in box.outgoing))

    def do_link(self, number, when_full):
        pairs = [
            (source, target)
            for source in self.sources()
            for target in self.targets()
            if not is_apart(source, target) and all(wire.target is not target for wire in source.outgoing)
        ]
        if pairs:
            postman.link(*pairs[number % len(pairs)], when_full=when_full)
            self.look_at_new()

    def do_unlink(self, number):
        links = [wire for wire in self.links() if wire.lends_to is None]
        if links:
            postman.unlink(links[number % len(links)])

    def do_relink(self, number, target):
        links = [wire for wire in self.links() if wire.lends_to is None]
        targets = self.targets()
        if links:
            wire = links[number % len(links)]
            target = targets[target % len(targets)]
            if not is_apart(wire.source, target):
                postman.relink(wire, target=target)
                self.look_at_new()

    # -- what passes

    def do_send(self, number, count):
        boxes = [box for box in self.sources() if not box.is_inbox and box.own and box.routes]
        for _ in range(count if boxes else 0):
            self.sent += 1
            boxes[number % len(boxes)].send(self.sent)

    def do_receive(self, number, count):
        inboxes = [box for box in self.targets() if box.is_inbox and not box.wired]
        inboxes += [child.inbox for child in self.seat.children]
        box = inboxes[number % len(inboxes)]
        for _ in range(count):
            if len(box.queue) and not box.gone and not box.wired:
                box.queue.take()

    def do_leave(self):
        for child in self.seat.children:
            child.leave.set()

    def do_close(self, number):
        part = self.readers[number % len(self.readers)]
        part.inbox.close()

    # -- what is counted

    def look_at_new(self):
        for wire in self.links():
            if wire not in self.taps:
                self.taps[wire] = postman.tap(wire, size=None), counted(wire), wire.passed

    def look(self):
        links = self.links()
        self.fans.update(wire for wire in links if len(wire.routes) > 1)
        self.lossy.update(wire for wire in links if lossy_before(wire) or lossy_otherwise(wire))
        for wire in list(self.taps):
            if wire not in links:
                del self.taps[wire]
        for wire in links:
            if wire in self.taps and wire not in self.lossy:
                tap, before, passed = self.taps[wire]
                what = f"{wire}: {counted(wire)} - {before}, {wire.passed} - {passed}, {len(tap)}"
                if wire in self.fans and wire.when_full == "drop-newest":
                    # A message may be dropped at one queue and not at another: then it counts as both.
                    assert wire.passed - passed <= len(tap) <= counted(wire) - before, what
                else:
                    assert counted(wire) - before == len(tap), what
        self.look_at_new()


def is_apart(source, target):
    """Say whether two boxes are not side by side, nor one in the other's component."""
    if source.is_inbox or (not target.is_inbox):
        chassis = source if source.is_inbox else target
        other = target if source.is_inbox else source
        return other.owner.parent is not chassis.owner
    return source.owner.parent is not target.owner.parent


def counted(wire):
    passed, dropped, _, _ = figures_of(wire)
    return passed + (dropped if wire.when_full == "drop-newest" else 0)


def lossy_before(wire):
    """Say whether some of what is sent this way may be dropped before it comes to a link."""
    todo = list(wire.source.incoming)
    while todo:
        one = todo.pop()
        if one.when_full != "wait":
            return True
        todo += one.source.incoming
    return False


def lossy_otherwise(wire):
    """Say whether a link drops messages, and one behind it has it drop others than it would."""
    return wire.when_full != "wait" and any(route.when_full != wire.when_full for route in wire.routes)


number = st.integers(0, 200)
few = st.integers(1, 6)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("do_link"), number, st.sampled_from(["wait", "wait", "drop-newest", "drop-oldest"])
        ),
        st.tuples(st.just("do_link"), number, st.just("wait")),
        st.tuples(st.just("do_unlink"), number),
        st.tuples(st.just("do_relink"), number, number),
        st.tuples(st.just("do_send"), number, few),
        st.tuples(st.just("do_send"), number, few),
        st.tuples(st.just("do_receive"), number, few),
        st.tuples(st.just("do_leave")),
        st.tuples(st.just("do_close"), number),
    ),
    max_size=40,
)


@pytest.fixture(scope="module", autouse=True)
def quiet():
    log = logging.getLogger("kamaelia")
    before = log.level
    log.setLevel(logging.ERROR)  # of thousands of messages that go nowhere
    yield
    log.setLevel(before)


@settings(deadline=None)
@given(steps)
def test_the_count_of_a_link_is_what_its_tap_has_seen(steps):
    run(Lab(steps), loop_factory=VirtualLoop)
