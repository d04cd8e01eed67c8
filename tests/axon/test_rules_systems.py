"""Rules 12 to 18 of the contract: links and systems."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, Pipeline, clock, component, sleep
from kamaelia.axon import (
    BrokenLink,
    ComponentsFailed,
    Link,
    LinkError,
    NameTaken,
    Seat,
    UsageError,
    make,
    postman,
    select,
)

from .parts import Held, Stop, after, collect, copy, fail_at, later, source, stay, take, virtually

# -- rule 12: links -----------------------------------------------------------------------------------


def test_rule_12_pipeline_and_bar_are_the_same():
    assert virtually(Pipeline(source([1, 2]), copy, collect())) == [1, 2]
    assert virtually(source([1, 2]) | copy | collect) == [1, 2]
    bar = source([1]) | copy() | copy() | collect()
    assert [child._axon.name for child in bar.children] == ["source", "copy", "copy-2", "collect"]


def test_rule_12_one_to_one_one_to_many_many_to_one():
    a, b, one, two, both = source([1]), source([2]), collect(), collect(), collect()
    virtually(
        Graphline(a.outbox >> [one.inbox, both.inbox], b.outbox >> [two.inbox, both.inbox]),
    )
    assert (one._axon.result, two._axon.result, both._axon.result) == ([1], [2], [1, 2])


def test_rule_12_the_saved_form_with_names_and_self():
    graph = Graphline(
        first=copy(),
        second=copy(),
        linkages={
            ("self", "inbox"): ("first", "inbox"),
            ("first", "outbox"): [("second", "inbox"), ("self", "log")],
            ("second", "outbox"): ("self", "outbox"),
        },
    )
    start, end, log = source([1, 2]), collect(), collect()
    virtually(
        Graphline(start.outbox >> graph.inbox, graph.outbox >> end.inbox, graph.log >> log.inbox),
    )
    assert end._axon.result == log._axon.result == [1, 2]
    assert graph._axon.path == "Graphline/Graphline"


def test_rule_12_own_boxes_in_the_form_with_links():
    inner = copy()
    graph = Graphline("self.inbox" >> inner.inbox, inner.outbox >> "self.outbox")
    assert virtually(source([1, 2]) | graph | collect()) == [1, 2]


def test_rule_12_a_chain_of_links_costs_one_delivery():
    depth: Any = copy()
    for _ in range(20):
        depth = Pipeline(depth)
    start = source([1, 2, 3])
    whole = start | depth | collect()
    assert [len(route.links) for route in start.outbox.routes] == [20]
    assert virtually(whole) == [1, 2, 3]


def test_rule_12_declared_types_are_checked_and_the_error_says_what_would_fit():
    class Speaks(Component):
        outbox = Outbox[bytes]("bytes")

        async def main(self): ...

    class Reads(Component):
        inbox = Inbox[str]("text")

        async def main(self): ...

    with pytest.raises(LinkError) as wrong:
        Speaks() | Reads()
    assert str(wrong.value) == (
        "Pipeline/Speaks.outbox (bytes) cannot be linked to Pipeline/Reads.inbox (str): "
        "bytes does not fit into str: put Lines() between (bytes to lines of text)"
    )


@pytest.mark.parametrize(
    ("given", "wanted", "fits"),
    [
        (bytes, bytes, True),
        (bytes, str, False),
        (bool, int, True),
        (int, float, True),
        (float, int, False),
        (int, int | str, True),
        (int | str, int, False),
        (int | None, int | None, True),
        (Any, int, True),
        (int, Any, True),
        (list[int], list, True),
        (list, tuple, False),
        ("forward reference", int, True),
    ],
)
def test_rule_12_which_types_fit(given, wanted, fits):
    from kamaelia.axon import typecheck

    assert typecheck.fits(given, wanted) is fits


def test_rule_12_links_change_at_run_time():
    seen: list[Any] = []

    class Rewire(Component):
        async def main(self):
            sender, first, second = self.add(Held()), self.add(collect()), self.add(collect())
            feed = sender.inbox.hold(outside=True)
            one = self.link(sender.outbox, first.inbox)
            self.link(sender.outbox, second.inbox)
            feed.send("both")
            await sleep(1)
            postman.unlink(one)
            feed.send("second only")
            await sleep(1)
            feed.release()
            sender.inbox.release()
            await sleep(1)
            seen.extend([first._axon.result, second._axon.result])

    virtually(Rewire())
    assert seen == [["both"], ["both", "second only"]]


# -- rule 13: boundaries ------------------------------------------------------------------------------


def test_rule_13_a_boundary_ends_when_what_is_wired_to_it_has_ended():
    assert virtually(Pipeline(source([1])) | Pipeline(copy) | Pipeline(collect)) == [1]


def test_rule_13_messages_for_a_boundary_wait_until_something_is_wired_behind():
    class Late(Component):
        async def main(self):
            await sleep(1)
            self.inner = self.add(collect())
            self.link(self.inbox_of_others, self.inner.inbox)

        inbox_of_others = Inbox[int]("wired inward later")

        def __init__(self) -> None:
            self._axon.boxes["inbox_of_others"].own = False

    late, start = Late(), source([1, 2, 3])
    virtually(Graphline(start.outbox >> late.inbox_of_others))
    assert late.inner._axon.result == [1, 2, 3]


def test_rule_13_an_unlinked_outbox_boundary_discards():
    virtually(source(range(1000)) | copy)


def test_rule_13_once_what_was_wired_has_gone_the_reader_has_gone():
    log: list[str] = []

    @component
    async def short(inbox, outbox):
        await inbox.receive()

    @component
    async def sender(inbox, outbox):
        await outbox.send(1)
        try:
            await sleep(100)
        except BaseException as error:
            log.append(type(error).__name__)
            raise

    virtually(sender | Pipeline(Pipeline(short)))
    assert log == ["BrokenLink"]


class Hall(Component):
    """A chassis whose children come and go, and stays for ten seconds."""

    inbox = Inbox[Any]("for whoever is in the hall")
    outbox = None

    def __init__(self, first: Component) -> None:
        self.add(after(10))
        self.enter(first)

    def enter(self, child: Component) -> None:
        self.add(child)
        self.link(self.inbox, child.inbox)


def test_rule_13_who_is_wired_to_a_boundary_later_gets_the_rest_and_sees_its_end():
    @component
    async def goes_on(inbox, outbox):
        for number in range(4):
            try:
                await outbox.send(number)
            except BrokenLink:
                told.append(number)
            await asyncio.sleep(1)

    told: list[int] = []
    hall, second = Hall(take(1)), collect()
    virtually(goes_on | hall, later(1.5, lambda: hall.enter(second)))
    assert told == [1]
    assert second._axon.result == [2, 3]


def test_rule_13_a_reader_wired_later_may_leave_as_the_first_did():
    @component
    async def goes_on(inbox, outbox):
        for number in range(2):
            await outbox.send(number)
            try:
                await sleep(1e9)
            except BrokenLink:
                told.append(clock())
            await asyncio.sleep(2)

    told: list[float] = []
    hall, second = Hall(take(1)), take(1)
    virtually(goes_on | hall, later(1, lambda: hall.enter(second)))
    assert second._axon.result == [1]
    assert told == [0.0, 2.0]


def test_rule_13_a_held_boundary_ends_when_later_sources_have_and_its_hold():
    class HeldHall(Hall):
        inbox = Inbox[Any]("for whoever is in the hall", held=True)

    def visit():
        hall.enter(second)
        postman.link(visitor.outbox, hall.inbox)
        hall.inbox.release()

    @component
    async def earlier_visitor(inbox, outbox):
        await outbox.send("good morning")
        await sleep(1e9)  # until the only one who listened has gone

    hall, second, visitor = HeldHall(take(1)), collect(), after(2, "hello")
    virtually(earlier_visitor() | hall, later(1, visit), visitor)
    assert second._axon.result == ["hello"]


def test_rule_13_a_chassis_ends_when_its_main_and_all_children_have():
    times: dict[str, float] = {}

    class Parent(Component):
        async def main(self):
            self.add(after(5)).add_done_callback(lambda _: times.update(child=self.get_loop().time()))
            await sleep(1)
            times["main"] = self.get_loop().time()

    parent = Parent()
    parent.add_done_callback(lambda _: times.update(parent=parent.get_loop().time()))
    virtually(parent)
    assert times == {"main": 1.0, "child": 5.0, "parent": 5.0}


# -- rule 14: seats -----------------------------------------------------------------------------------


@component
async def pair(inbox, outbox, bad=None):
    first = await inbox.receive()
    if first == bad:
        raise ValueError(f"cannot stand {first}")
    await outbox.send((first, await inbox.receive()))


def test_rule_14_the_next_occupant_goes_on_where_the_last_one_stopped():
    seat = Seat(pair, on_vacant=lambda occupant, failure: seat.fill(pair))
    assert virtually(source(range(6)) | seat | collect()) == [(0, 1), (2, 3), (4, 5)]


def test_rule_14_the_message_in_hand_is_not_given_again_but_goes_with_the_failure():
    failures: list[Any] = []

    def again(occupant, failure):
        failures.append(failure)
        seat.fill(pair(bad=2))

    seat = Seat(pair(bad=2), on_vacant=again)
    assert virtually(source(range(7)) | seat | collect()) == [(0, 1), (3, 4), (5, 6)]
    (failure,) = [one for one in failures if one is not None]
    assert (failure.message, str(failure.error), failure.path) == (2, "cannot stand 2", "Pipeline/Seat/pair")


def test_rule_14_senders_notice_nothing_and_stay_paced():
    levels: list[int] = []

    class Small(Component):
        inbox = Inbox[int]("a few", size=4)
        outbox = Outbox[int]("the same")

        async def main(self):
            for _ in range(10):
                await self.outbox.send(await self.inbox.receive())
                levels.append(self.inbox.statistics().waiting)

    seat = Seat(Small, on_vacant=lambda occupant, failure: seat.fill(Small))
    assert virtually(source(range(100)) | seat | collect()) == list(range(100))
    assert max(levels) <= 4


def test_rule_14_an_occupant_that_is_a_chassis_reads_from_the_seat_with_its_innermost_inbox():
    def double():
        return Pipeline(Pipeline(pair()))

    seat = Seat(double(), on_vacant=lambda occupant, failure: seat.fill(double))
    assert virtually(source(range(6)) | seat | collect()) == [(0, 1), (2, 3), (4, 5)]


@component
async def persistent(inbox, outbox, items, times):
    """Send an item a second, then wait to be told that nobody listens."""
    for item in items:
        await outbox.send(item)
        await sleep(1)
    try:
        await sleep(1e9)
    except BrokenLink:
        times.append(clock())


def test_rule_14_a_seat_listens_until_it_ends_although_the_first_part_of_its_occupant_has_gone():
    @component
    async def lingers(inbox, outbox):
        async for message in inbox:
            await outbox.send(message)
        await sleep(5)

    def occupant():
        return pair() | lingers()

    times: list[float] = []
    others = [occupant]
    seat = Seat(occupant(), on_vacant=lambda one, failure: others and seat.fill(others.pop()))
    assert virtually(persistent(range(4), times) | seat | collect()) == [(0, 1), (2, 3)]
    assert times == [11.0]


def test_rule_14_what_the_first_part_of_an_occupant_has_left_stays_in_the_seat():
    @component
    async def latecomer(inbox, outbox):
        messages = [message async for message in inbox]
        log.append((messages, clock()))

    log: list[Any] = []
    hall, times = Hall(take(1)), []
    seat = Seat(hall)
    virtually(persistent([1, 2, 3], times) | seat, later(0.5, lambda: hall.enter(latecomer())))
    assert log == [([], 0.5)]
    assert seat.inbox.unread == 2
    assert times == [10.0]


def test_rule_14_closing_by_its_occupant_ends_the_occupants_use_not_the_box():
    @component
    async def first_only(inbox, outbox):
        message = await inbox.receive()
        inbox.close()
        await outbox.send(message)
        outbox.close()
        await sleep(1)

    seat = Seat(first_only, on_vacant=lambda occupant, failure: seat.fill(first_only))
    assert virtually(source("abc") | seat | collect()) == ["a", "b", "c"]


def test_rule_14_a_seat_with_nothing_left_is_not_filled_again():
    calls: list[Any] = []
    seat = Seat(copy, on_vacant=lambda occupant, failure: calls.append(failure))
    assert virtually(source([1]) | seat | collect()) == [1]
    assert calls == []
    with pytest.raises(UsageError, match="with nothing left"):
        seat.fill(copy)


def test_rule_14_a_vacant_seat_ends_at_rest():
    seat = Seat(pair, on_vacant=lambda occupant, failure: None)
    assert virtually(source(range(6)) | seat | collect()) == [(0, 1)]


def test_rule_14_a_seat_whose_readers_have_gone_is_not_filled_again():
    class Ticks(Component):
        inbox = None

        async def main(self):
            started.append(clock())
            while True:
                await self.outbox.send("tick")
                await sleep(1)

    started: list[float] = []
    seat = Seat(Ticks, on_vacant=lambda occupant, failure: seat.fill(Ticks))
    assert virtually(seat | take(3)) == ["tick"] * 3
    assert started == [0.0]
    with pytest.raises(UsageError, match="every reader has gone"):
        seat.fill(Ticks)


def seat_of_one_who_stays() -> tuple[Seat, list[float]]:
    """Make a seat that is filled again and again, and a list of the times at which that was done."""

    class Stays(Component):
        inbox = None

        async def main(self):
            started.append(clock())
            await sleep(1e9)

    started: list[float] = []
    seat = Seat(Stays, on_vacant=lambda occupant, failure: seat.fill(Stays))
    return seat, started


def test_rule_14_a_seat_is_not_filled_again_when_its_occupant_was_cancelled_by_a_stop():
    seat, started = seat_of_one_who_stays()
    virtually(seat | collect(), Stop(1))
    assert started == [0.0]


def test_rule_14_a_cancelled_seat_is_not_filled_again_a_cancelled_occupant_is():
    seat, started = seat_of_one_who_stays()
    virtually(seat | collect(), later(1, lambda: seat.children[0].cancel()), later(2, seat.cancel))
    assert started == [0.0, 1.0]


def test_rule_14_a_failure_upstream_goes_through_a_seat_as_a_failure():
    @component
    async def writer(inbox, outbox):
        async for _ in inbox:
            pass
        log.append("committed")

    log: list[str] = []
    seat = Seat(copy, on_vacant=lambda occupant, failure: seat.fill(copy))
    with pytest.raises(ComponentsFailed):
        virtually(source([1, 2, 3]) | fail_at(3) | seat | writer())
    assert log == []


def test_rule_14_a_failure_that_nobody_makes_good_breaks_the_outboxes_of_the_seat():
    got: list[Any] = []
    seat = Seat(fail_at(2), on_vacant=lambda occupant, failure: None)
    end = collect(got)
    virtually(source([1, 2, 3]) | seat | end)
    assert got == [1]
    assert (end._axon.outcome, str(end._axon.cause)) == ("broken", "cannot stand 2")


def test_rule_14_a_failure_at_the_last_message_is_no_more_than_any_other():
    seat = Seat(fail_at(3), on_vacant=lambda occupant, failure: seat.fill(fail_at(3)))
    assert virtually(source([1, 2, 3]) | seat | collect()) == [1, 2]


def test_rule_14_an_inbox_that_was_never_linked_does_not_keep_a_seat_from_being_filled():
    @component
    async def once(inbox, outbox):
        await outbox.send(clock())
        await sleep(1)
        raise ValueError("after a second")

    seat = Seat(once, on_vacant=lambda occupant, failure: seat.fill(once))
    assert virtually(seat | take(3)) == [0.0, 1.0, 2.0]


def test_rule_14_a_seat_may_be_kept_and_filled_later():
    @component
    async def host(inbox, outbox):
        await sleep(5)
        levels.append(seat.inbox.statistics().waiting)
        seat.fill(pair)
        await sleep(5)
        seat.vacate()

    levels: list[int] = []
    seat = Seat(pair, on_vacant=lambda occupant, failure: seat.keep())
    assert virtually(source(range(200)) | seat | collect(), host()) == [[(0, 1), (2, 3)], None]
    assert levels == [98]  # the sender that met the mark of 100 waits until the level is half of that
    assert seat.inbox.unread == 96


@pytest.mark.parametrize("wrap", [lambda: fail_at(2), lambda: Pipeline(Pipeline(fail_at(2)))])
def test_rule_14_who_comes_after_the_failure_upstream_reads_what_is_left_and_then_is_told(wrap):
    @component
    async def breaks(inbox, outbox):
        for number in range(5):
            await outbox.send(number)
        raise OSError("upstream")

    got: list[Any] = []
    seat, end = Seat(wrap(), on_vacant=lambda occupant, failure: seat.fill(wrap)), collect(got)
    with pytest.raises(ComponentsFailed):
        virtually(breaks() | seat | end)
    assert got == [0, 1, 3, 4]
    assert (end._axon.outcome, str(end._axon.cause)) == ("broken", "upstream")


class Bytes(Component):
    """Passes bytes on, a message at a time, and goes after three of them, or at a bad one."""

    inbox = Inbox[bytes]("chunks", size="8 B")
    outbox = Outbox[bytes]("the same")

    async def main(self):
        for _ in range(3):
            chunk = await self.inbox.receive()
            if chunk == b"bad":
                raise ValueError("bad")
            await self.outbox.send(chunk)


def test_rule_14_a_composite_whose_innermost_inbox_counts_bytes_reads_from_the_seats_queue_too():
    def composite():
        return Pipeline(Pipeline(Bytes()), copy())

    seat = Seat(composite(), on_vacant=lambda occupant, failure: seat.fill(composite))
    chunks = [bytes([65 + n]) * (n % 4) for n in range(26)]
    assert virtually(source(chunks) | seat | collect()) == chunks
    assert seat.inbox.statistics().size == 8


def nested(lost: list[Any], inner: Any) -> tuple[Seat, list[Seat]]:
    """Make a seat whose occupants are seats of two occupants each."""

    made: list[Seat] = []

    def vacant(seat, lives):
        def decide(occupant, failure):
            lost.append(failure and failure.message)
            lives.pop()
            if lives:
                seat[0].fill(inner)

        return decide

    def make_inner():
        seat: list[Seat] = []
        seat.append(Seat(inner, on_vacant=vacant(seat, [1, 2])))
        made.append(seat[0])
        return Pipeline(seat[0])

    outer = Seat(make_inner(), on_vacant=lambda occupant, failure: outer.fill(make_inner))
    return outer, made


def test_rule_14_a_seat_in_a_seat_reads_from_the_outermost_queue():
    lost: list[Any] = []
    outer, made = nested(lost, pair)
    assert virtually(source(range(12)) | outer | collect()) == [(n, n + 1) for n in range(0, 12, 2)]
    assert len(made) >= 3
    assert set(lost) == {None}


def test_rule_14_in_a_seat_in_a_seat_the_innermost_knows_the_message_in_hand():
    lost: list[Any] = []
    outer, _ = nested(lost, Bytes)
    chunks = [b"a", b"bad", b"b", b"c", b"d", b"e"]
    assert virtually(source(chunks) | outer | collect()) == [b"a", b"b", b"c", b"d", b"e"]
    assert lost[0] == b"bad"
    assert not any(lost[1:])


def test_rule_14_taps_see_through_a_seat_in_a_seat():
    outer, _ = nested([], pair)
    whole = source(range(6)) | outer | collect()
    seen = postman.tap(outer.inbox)
    virtually(whole)
    assert [one.message for one in seen] == list(range(6))


def test_rule_14_who_comes_while_the_system_stops_is_stopped_too():
    class Door(Component):
        """Has an inbox held from outside, as a server has, and fails at a message."""

        guests = Inbox[Any]("from outside")

        def __init__(self) -> None:
            self.hold = self.guests.hold(outside=True)

        async def main(self):
            entered.append(clock())
            async for _, message in select(self.inbox, self.guests):
                await sleep(1)
                if message == "bad":
                    raise ValueError(message)

    entered: list[float] = []
    seat = Seat(Door, on_vacant=lambda occupant, failure: seat.fill(Door))
    virtually(source(["fine", "fine", "bad", "fine"]) | seat, Stop(0.5, grace=60))
    assert entered == [0.0, 3.0]


# -- rule 15: patterns --------------------------------------------------------------------------------


def test_rule_15_a_component_remembers_its_class_and_arguments():
    pattern = source([1, 2])
    assert virtually(make(pattern) | collect()) == [1, 2]
    assert virtually(make(pattern) | collect()) == [1, 2]  # the pattern itself was not run
    assert pattern._axon.state == "new"


def test_rule_15_components_among_the_arguments_are_remade_each_once():
    a, b = source([1]), collect()
    graph = Graphline(a.outbox >> b.inbox)
    again = make(graph)
    names = sorted(child._axon.name for child in again.children)
    assert names == ["collect", "source"]
    assert all(child not in (a, b) for child in again.children)
    virtually(again)
    assert [child._axon.state for child in (a, b)] == ["new", "new"]

    class Takes(Component):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.args, self.kwargs = args, kwargs

    part, shared = copy(), object()
    new = make(Takes(part, [part, (part, {"in": part})], other=shared))
    first = new.args[0]
    assert first is not part
    assert new.args[1] == [first, (first, {"in": first})]
    assert new.kwargs["other"] is shared


def test_rule_15_what_was_changed_after_construction_is_no_part_of_the_recipe():
    class Counter(Component):
        def __init__(self) -> None:
            self.count = 0

    counter = Counter()
    counter.count = 5
    assert make(counter).count == 0


def test_rule_15_running_the_same_one_twice_is_an_error():
    end = collect()
    virtually(end)
    with pytest.raises(
        UsageError, match=r"collect has been run already, and a component runs once\. Make another"
    ):
        virtually(end)


def test_rule_15_class_factory_or_component():
    class Echo(Component):
        async def main(self): ...

    assert isinstance(make(Echo), Echo)
    assert isinstance(make(lambda: Echo()), Echo)
    assert isinstance(make(Echo()), Echo)
    assert type(make(copy)).__name__ == "copy"
    with pytest.raises(UsageError, match="was to make a component, but returned 5"):
        make(lambda: 5)
    with pytest.raises(UsageError, match="5 is no component"):
        make(5)


# -- rule 17: names -----------------------------------------------------------------------------------


class Offers(Component):
    def __init__(self, name: str, seconds: float) -> None:
        self.service, self.seconds = name, seconds

    async def main(self):
        await sleep(self.seconds)
        self.system.names.offer(self.service, self, self)
        await sleep(1)


class Asks(Component):
    def __init__(self, name: str) -> None:
        self.service = name

    async def main(self):
        service = await self.system.names.ask(self.service)
        return service._axon.path, self.get_loop().time()


def test_rule_17_asking_for_a_name_that_is_not_there_yet_waits():
    assert virtually(Asks("room"), Offers("room", 3))[0] == ("Offers", 3.0)


def test_rule_17_one_taken_twice_is_an_error():
    with pytest.raises(ComponentsFailed) as failed:
        virtually(Offers("room", 0), Offers("room", 0.5))
    (error,) = failed.value.exceptions
    assert isinstance(error, NameTaken)
    assert "Offers-2 offers the service 'room', but Offers offers it already" in str(error)


def test_rule_17_it_goes_with_its_component():
    assert virtually(Offers("room", 0), Offers("room", 1.5)) == [None, None]


def test_rule_17_names_belong_to_one_run():
    for _ in range(2):
        assert virtually(Offers("room", 0)) is None


# -- rule 18: taps ------------------------------------------------------------------------------------


def test_rule_18_a_tap_gets_the_same_objects_with_times_and_the_end():
    messages = [object(), object()]

    @component
    async def spaced(inbox, outbox):
        for message in messages:
            await sleep(1)
            await outbox.send(message)

    middle = copy()
    whole = spaced | middle | collect()
    taps = [postman.tap(box) for box in (middle.inbox, middle.outbox)]
    (wire,) = middle.outbox.outgoing
    taps.append(postman.tap(wire))
    virtually(whole)
    for tap in taps:
        seen = list(tap)
        assert [one.time for one in seen] == [1.0, 2.0]
        assert [one.message for one in seen] == messages
        assert all(one.message is message for one, message in zip(seen, messages, strict=True))
        assert tap.ended and tap.failure is None


def test_rule_18_a_tap_is_told_of_a_failure():
    bad = fail_at(1)
    whole = source([0, 1]) | bad | collect()
    tap = postman.tap(bad.outbox)
    with pytest.raises(ComponentsFailed):
        virtually(whole)
    assert [one.message for one in tap] == [0]
    assert str(tap.failure) == "cannot stand 1"


def test_rule_18_a_tap_is_lossy_and_counts():
    start = source(range(10))
    whole = start | collect()
    tap = postman.tap(start.outbox, size=3)
    virtually(whole)
    assert ([one.message for one in tap], tap.dropped) == ([7, 8, 9], 7)
    everything = postman.tap(make(start).outbox, size=None)
    assert everything.size is None


def test_rule_18_a_tap_is_no_reader_and_fails_alone(caplog):
    short, start = copy(), source(range(5))
    whole = start | short | collect()

    def complain(seen):
        raise RuntimeError("the tap's own trouble")

    tap = postman.tap(start.outbox, callback=complain)
    assert virtually(whole) == [0, 1, 2, 3, 4]
    assert tap.ended
    assert "the callback of the tap on" in caplog.text

    lonely = stay()
    postman.tap(lonely.outbox)

    @component
    async def leaves(inbox, outbox): ...

    virtually(lonely | leaves)  # although it is tapped, nobody listens
    assert lonely._axon.outcome == "ended"


def test_rule_18_taps_cost_nothing_when_there_are_none():
    start = source([1])
    whole = start | collect()
    assert start.outbox.fast is not None
    tap = postman.tap(start.outbox)
    assert start.outbox.fast is None
    postman.untap(tap)
    assert start.outbox.fast is not None
    virtually(whole)


# -- the errors of wiring -----------------------------------------------------------------------------


def test_wrong_ends_are_named():
    a, b = copy(), copy()
    with pytest.raises(LinkError, match=r"copy.inbox is where copy receives; link what it sends"):
        postman.link(a.inbox, b.inbox)
    with pytest.raises(LinkError, match=r"copy.outbox is where copy sends from; link to its inbox instead"):
        postman.link(a.outbox, b.outbox)
    postman.link(a.outbox, b.inbox)
    with pytest.raises(LinkError, match="the two are linked already"):
        postman.link(a.outbox, b.inbox)
    with pytest.raises(LinkError, match="there is no part called 'frist'; did you mean 'first'"):
        Graphline(first=copy(), linkages={("frist", "outbox"): ("self", "outbox")})
    with pytest.raises(LinkError, match="has no box called 'outbx'; did you mean 'outbox'"):
        Graphline(first=copy(), linkages={("first", "outbx"): ("self", "outbox")})


def test_a_stop_ends_what_is_held():
    held = Held()
    assert virtually(held | collect(), Stop(1))[0] == []


# -- what a review has found -----------------------------------------------------------------------------


def test_rule_03_a_boundary_that_failed_before_it_was_wired_has_failed():
    log: list[Any] = []

    @component
    async def bad(inbox, outbox):
        await outbox.send(1)
        await sleep(1)
        raise ValueError("boom")

    @component
    async def writer(inbox, outbox):
        async for message in inbox:
            log.append(message)
        log.append("COMMIT")

    class Late(Component):
        outbox = None

        def __init__(self):
            self.add(later(2, lambda: self.link(self.inbox, self.add(writer()).inbox)))

    class Top(Component):
        def __init__(self):
            self.link(self.add(bad(), isolated=True).outbox, self.add(Late()).inbox)

    virtually(Top())
    assert log == [1]


class TwoReaders(Component):
    """A chassis whose boundary leads to two inboxes."""

    inbox = Inbox[int]("to both")
    outbox = None

    def __init__(self):
        for _ in range(2):
            self.link(self.inbox, self.add(take(2)).inbox)


def test_rule_14_a_sender_survives_an_occupant_whose_boundary_leads_to_several_inboxes():
    sent, filled = [], []

    @component
    async def slow(inbox, outbox):
        for number in range(6):
            await outbox.send(number)
            sent.append(number)
            await sleep(1)

    seat = Seat(TwoReaders, on_vacant=lambda occupant, failure: filled.append(seat.fill(TwoReaders)))
    virtually(slow() | seat)
    assert sent == list(range(6))
    assert len(filled) == 3  # for 2 and 3, for 4 and 5, and for what might still have come


def test_rule_14_what_came_between_two_such_occupants_waits_for_the_next():
    got: list[Any] = []

    class Two(Component):
        inbox = Inbox[int]("to both")
        outbox = None

        def __init__(self):
            for _ in range(2):
                self.link(self.inbox, self.add(gather()).inbox)

    @component
    async def gather(inbox, outbox):
        got.append(await inbox.receive())

    @component
    async def burst(inbox, outbox):
        for number in range(3):
            await outbox.send(number)
            await sleep(1)

    seat = Seat(Two, on_vacant=lambda occupant, failure: seat.fill(Two))
    virtually(burst() | seat)
    assert got == [0, 0, 1, 1, 2, 2]


def test_rule_14_an_occupants_boundary_may_be_wired_at_run_time():
    got: list[Any] = []

    class Late(Component):
        inbox = Inbox("in")
        outbox = None

        def __init__(self):
            self.add(later(1, lambda: self.link(self.inbox, self.add(collect(got)).inbox)))

    @component
    async def many(inbox, outbox):
        for number in range(150):
            await outbox.send(number)
            await sleep(0.1)

    virtually(many() | Seat(Late))
    assert got == list(range(150))


def test_rule_14_the_message_in_hand_is_the_one_taken_last_from_whichever_inbox():
    class Chooses(Component):
        other = Inbox("other")

        async def main(self):
            async for _, message in select(self.inbox, self.other):
                if message == "bad":
                    raise ValueError(message)
                await self.outbox.send(message)

    def vacant(occupant, failure):
        lost.append(failure.message if failure else None)
        seat.fill(Chooses)

    lost: list[Any] = []
    seat = Seat(Chooses, on_vacant=vacant)
    x, y, end = source(["fine"]), source([1, 2, "bad", 3]), collect()
    virtually(Graphline(x.outbox >> seat.inbox, y.outbox >> seat.other, seat.outbox >> end.inbox))
    assert lost == ["bad"]
    assert end.result() == ["fine", 1, 2, 3]


def test_rule_04_a_reader_that_comes_before_the_sender_was_told_is_in_time():
    log: list[Any] = []

    @component
    async def sender(inbox, outbox):
        await outbox.send(1)
        await asyncio.sleep(3)  # foreign: nobody tells it here that nobody listens
        await sleep(1)
        await outbox.send(2)

    class Top(Component):
        inbox = None
        outbox = None

        def __init__(self):
            sends = self.add(sender())
            self.link(sends.outbox, self.add(take(1)).inbox)
            self.add(later(1, lambda: self.link(sends.outbox, self.add(collect(log)).inbox)))

    virtually(Top())
    assert log == [2]


def test_rule_10_drop_oldest_needs_the_inbox_to_itself_also_through_a_boundary():
    end, a, b = collect(), source([1]), source([2])
    inner = Graphline(Link("self.inbox", end.inbox, when_full="drop-oldest"))
    postman.link(a.outbox, inner.inbox)
    with pytest.raises(LinkError, match=r"drop-oldest.*needs the inbox to itself"):
        postman.link(b.outbox, inner.inbox)
    plain = Graphline("self.inbox" >> collect().inbox)
    postman.link(b.outbox, plain.inbox)
    with pytest.raises(LinkError, match=r"drop-oldest.*needs the inbox to itself"):
        postman.link(source([3]).outbox, plain.inbox, when_full="drop-oldest")


def test_rule_13_a_chassis_with_a_main_may_wire_its_inbox_inward():
    class Own(Component):
        async def main(self):
            inner = self.add(collect())
            self.link(self.inbox, inner.inbox)
            return inner

    own = Own()
    virtually(source([1, 2]) | own)
    assert own.result().result() == [1, 2]


def test_rule_13_an_inbox_that_main_has_received_from_is_not_wired_any_more():
    class Own(Component):
        async def main(self):
            await self.inbox.receive()
            with pytest.raises(LinkError, match=r"Own\.inbox .* is where Own receives"):
                self.link(self.inbox, self.add(collect()).inbox)

    virtually(source([1]) | Own())


def test_rule_12_boundaries_make_no_ring_of_their_own():
    class Ring(Component):
        pass

    ring = Ring()
    ring.link(ring.inbox, ring.outbox)
    with pytest.raises(LinkError, match="would make a ring with no component in it"):
        postman.link(ring.outbox, ring.inbox)


def test_rule_17_a_name_of_a_chassis_without_a_main_goes_when_the_chassis_has_ended():
    found = []

    class Offers(Component):
        def __init__(self):
            self.add(later(1, lambda: self.system.names.offer("service", self, self)))

    class Looks(Component):
        async def main(self):
            await sleep(1.5)
            found.append(self.system.names.find("service"))

    virtually(Offers(), Looks())
    assert found == [None]


def test_rule_18_a_tap_on_a_link_sees_the_end_when_its_reader_leaves():
    first, second = source([1, 2, 3]), take(1)
    tap = postman.tap(postman.link(first.outbox, second.inbox))
    virtually(first, second)
    assert [seen.message for seen in tap] == [1, 2, 3]
    assert tap.ended and tap.failure is None


def test_rule_18_taps_in_and_behind_a_seat_see_what_its_occupant_gets():
    occupant = collect()
    seat = Seat(occupant)
    tap = postman.tap(occupant.inbox)
    virtually(source([1, 2]) | seat)
    assert [seen.message for seen in tap] == [1, 2]


def test_rule_18_a_tap_behind_a_boundary_sees_what_had_waited_there():
    end = collect()

    class Late(Component):
        outbox = None

        def __init__(self):
            self.add(later(2, lambda: self.link(self.inbox, self.add(end).inbox)))

    tap = postman.tap(end.inbox)
    virtually(source([1, 2]) | Late())
    assert [(seen.time, seen.message) for seen in tap] == [(2, 1), (2, 2)]
