"""Rooms: who hears what, who comes and goes, and what is left."""

from __future__ import annotations

import itertools
import random as random_module
from typing import Any

import pytest

from kamaelia.axon import (
    Component,
    ComponentsFailed,
    Graphline,
    Inbox,
    NameTaken,
    Outbox,
    Pipeline,
    UsageError,
    VirtualLoop,
    clock,
    component,
    make,
    run,
    sleep,
)
from kamaelia.chassis import Backplane, Join, PublishTo, SubscribeTo
from kamaelia.testing import Driver, drive


def virtually(*parts: Any, **options: Any) -> Any:
    return run(*parts, loop_factory=VirtualLoop, **options)


# `flow` is above this room, so these are our own.


@component
async def say(
    inbox: Inbox[Any], outbox: Outbox[Any], *messages: Any, after: float = 0, every: float = 0
) -> None:
    if after:
        await sleep(after)
    for message in messages:
        await outbox.send(message)
        if every:
            await sleep(every)


@component
async def collect(inbox: Inbox[Any]) -> list[Any]:
    return [message async for message in inbox]


@component
async def copy(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    async for message in inbox:
        await outbox.send(message)


def nested(part: Component, depth: int) -> Component:
    for _ in range(depth):
        part = Pipeline(part)
    return part


# --- who hears what -------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("depth", [0, 1, 10])
def test_whoever_starts_first_nothing_is_lost(order: tuple[int, ...], depth: int) -> None:
    parts = [
        nested(say(*range(500)) | PublishTo("talk"), depth if order[0] else 0),
        nested(SubscribeTo("talk") | collect(), depth if order[0] != 1 else 0),
        nested(SubscribeTo("talk") | collect(), depth if order[0] == 2 else 0),
    ]
    results = virtually(*(parts[n] for n in order))
    heard = [result for result in results if result is not None]
    assert list(range(500)) in heard  # the first who comes misses nothing
    if depth == 0:
        assert heard == [list(range(500))] * 2


def test_every_listener_hears_every_speaker_in_the_order_of_each() -> None:
    @component
    async def start(inbox: Inbox[Any]) -> Any:
        return None

    speakers = [say(*((n, k) for k in range(50)), after=1) | PublishTo("talk") for n in range(5)]
    results = virtually(*speakers, *(SubscribeTo("talk") | collect() for _ in range(3)))[5:]
    assert results[0] == results[1] == results[2]
    for n in range(5):
        assert [message for message in results[0] if message[0] == n] == [(n, k) for k in range(50)]
    assert len(results[0]) == 250


def test_rooms_of_different_names_do_not_hear_each_other() -> None:
    assert virtually(
        say("a") | PublishTo("one"),
        say("b") | PublishTo("two"),
        SubscribeTo("one") | collect(),
        SubscribeTo("two") | collect(),
    )[2:] == [["a"], ["b"]]


def test_a_room_belongs_to_one_run() -> None:
    assert virtually(say("a") | PublishTo("talk")) is None
    assert virtually(SubscribeTo("talk") | collect()) == []


def test_publish_passes_on_only_if_it_is_asked_to() -> None:
    with drive(PublishTo("talk")) as publish:
        publish.send(1, 2)
        publish.expect_nothing()
        publish.close()
        assert (publish.outcome, publish.state("outbox")) == ("ended", "ended")
    with drive(PublishTo("talk", forward=True)) as publish:
        publish.send(1, 2)
        assert publish.take_all() == [1, 2]
        publish.leave("outbox")  # it is optional
        publish.send(3)
        assert publish.outcome == "running"


def two_ways() -> Graphline:
    """A speaker and a listener in one room, each with boxes of its own."""
    speaker, listener = PublishTo("talk"), SubscribeTo("talk", forward=True)
    return Graphline(
        "self.say" >> speaker.inbox, "self.pass_on" >> listener.inbox, listener.outbox >> "self.heard"
    )


def test_subscribe_counts_what_is_not_for_the_room_and_ends_with_its_own_inbox() -> None:
    listener = SubscribeTo("talk")
    with drive(listener) as subscribe:
        subscribe.send("from the visitor", "again")
        subscribe.send("from the room", box="feed")
        assert (subscribe.take_all(), listener.ignored) == (["from the room"], 2)
        subscribe.close()
        assert subscribe.outcome == "ended"


def test_subscribe_may_pass_on_both() -> None:
    with drive(two_ways()) as room:
        room.send("hello", box="say")
        room.send("mine", box="pass_on")
        assert room.take_all("heard") == ["hello", "mine"]
        room.close("pass_on")
        assert room.state("heard") == "ended"
        assert room.state("say") == "open"  # nobody else's line is closed


def test_a_subscriber_that_nobody_speaks_to_listens_until_rest() -> None:
    with drive(SubscribeTo("talk"), unlinked=["inbox", "feed"]) as subscribe:
        subscribe.advance(3600)
        assert (subscribe.outcome, subscribe.waiting) == ("running", "receive from SubscribeTo.feed")
        subscribe.rest()
        assert subscribe.outcome == "ended"


def test_an_inbox_that_has_ended_before_the_first_step_was_linked_all_the_same() -> None:
    assert virtually(say() | SubscribeTo("talk") | collect(), say("a", after=1) | PublishTo("talk"))[0] == []


def test_an_unlinked_boundary_is_no_link() -> None:
    assert virtually(nested(SubscribeTo("talk"), 3) | collect(), say("a", after=1) | PublishTo("talk"))[
        0
    ] == ["a"]


def test_one_who_leaves_does_not_disturb_the_others() -> None:
    @component
    async def first(inbox: Inbox[Any]) -> Any:
        return await inbox.receive()

    results = virtually(
        say(*range(10), after=1, every=1) | PublishTo("talk"),
        SubscribeTo("talk") | first(),
        SubscribeTo("talk") | collect(),
    )
    assert results == [None, 0, list(range(10))]


# --- who comes late -------------------------------------------------------------------------------


def late_listener(*, after: float, keep: int | None) -> Component:
    @component
    async def come(inbox: Inbox[Any]) -> Any:
        await sleep(after)
        return await (SubscribeTo("talk") | collect()).run()

    speak = say("a", "b", "c", every=1) | PublishTo("talk")
    both = [speak, come()] if keep is None else [Backplane("talk", keep=keep), speak, come()]
    return virtually(*both)[-1]  # type: ignore[no-any-return]


def test_who_is_the_first_to_come_hears_what_was_said_in_the_first_second() -> None:
    assert late_listener(after=0.5, keep=None) == ["a", "b", "c"]
    assert late_listener(after=1.5, keep=None) == ["a", "b", "c"]
    assert late_listener(after=2.5, keep=None) == []  # by now the room has stopped keeping


@pytest.mark.parametrize(("keep", "heard"), [(0, []), (1, ["c"]), (2, ["b", "c"]), (9, ["a", "b", "c"])])
def test_a_room_keeps_the_last_messages_for_who_comes_late(keep: int, heard: list[str]) -> None:
    assert late_listener(after=2.5, keep=keep) == heard


def test_kept_messages_come_before_new_ones() -> None:
    @component
    async def come(inbox: Inbox[Any]) -> Any:
        await sleep(4.5)
        return await (SubscribeTo("talk") | collect()).run()

    parts = Backplane("talk", keep=3), say(*range(10), every=1) | PublishTo("talk"), come()
    assert virtually(*parts)[-1] == [2, 3, 4, 5, 6, 7, 8, 9]


# --- whose room it is -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_written_room_takes_over_from_one_that_was_made_by_itself(order: tuple[int, ...]) -> None:
    parts = [Backplane("talk", keep=5), say(*range(300)) | PublishTo("talk"), SubscribeTo("talk") | collect()]
    assert list(range(300)) in virtually(*(parts[n] for n in order))


def test_a_written_room_that_comes_later_takes_over() -> None:
    @component
    async def open_later(inbox: Inbox[Any]) -> Any:
        await sleep(2.5)
        await Backplane("talk", keep=2).run()

    @component
    async def come(inbox: Inbox[Any]) -> Any:
        await sleep(6.5)
        return await (SubscribeTo("talk") | collect()).run()

    parts = (
        say(*range(10), every=1) | PublishTo("talk"),
        SubscribeTo("talk") | collect(),
        open_later(),
        come(),
    )
    results = virtually(*parts)
    assert (results[1], results[3]) == (list(range(10)), [5, 6, 7, 8, 9])


def test_who_listened_before_a_room_was_taken_over_hears_who_speaks_after() -> None:
    parts = (
        SubscribeTo("talk") | collect(),
        nested(Backplane("talk"), 2),
        say("a", after=1) | nested(PublishTo("talk"), 3),
    )
    assert virtually(*parts)[0] == ["a"]
    with drive(Graphline(SubscribeTo("talk") | copy(), nested(Backplane("talk"), 2))) as driver:
        system = driver.component.system
        room = system.names.find("talk")
        assert not room._by_itself
        # its own boundary, and the listener
        assert [wire.target.name for wire in room.outbox.outgoing] == ["outbox", "feed"]
        assert [child.name for child in system.root.children] == [""]  # the room that made itself has gone


def test_two_written_rooms_of_one_name_are_an_error() -> None:
    with pytest.raises(ComponentsFailed) as caught:
        virtually(Backplane("talk"), Backplane("talk"))
    (error,) = caught.value.exceptions
    assert isinstance(error, NameTaken)
    assert str(error) == (
        "Backplane-2 offers the service 'talk', but Backplane offers it already: "
        "a name belongs to one component of a system"
    )


def test_a_name_of_something_else_is_refused() -> None:
    for part in (PublishTo("talk"), SubscribeTo("talk")):
        with drive(part, names={"talk": 42}) as driver:
            assert isinstance(driver.error, UsageError)
            assert "'talk' is no room in this system, but the name of 42" in str(driver.error)


def test_wrong_arguments_are_refused() -> None:
    for kind in (PublishTo, SubscribeTo, Backplane, Join):
        with pytest.raises(TypeError, match="the name of a room is a text"):
            kind("")
    for kind in (SubscribeTo, Backplane, Join):
        with pytest.raises(ValueError, match=r"'talk', when_full='drop'.*: say 'wait', 'drop-oldest'"):
            kind("talk", when_full="drop")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Backplane\('talk', key=7\): give a function of a message"):
        Backplane("talk", key=7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="0 messages or more"):
        Backplane("talk", keep=-1)
    for keep in (2.5, "3", None):
        with pytest.raises(TypeError, match=r"keep=.*: give how many messages to keep, a whole number"):
            Backplane("talk", keep=keep)  # type: ignore[arg-type]


# --- slow listeners -------------------------------------------------------------------------------


def slow_and_quick(when_full: Any) -> tuple[list[Any], list[Any]]:
    @component
    async def slow(inbox: Inbox[Any]) -> list[Any]:
        heard = []
        async for message in inbox:
            heard.append(message)
            await sleep(1)
        return heard

    results = virtually(
        say(*range(1000), after=1) | PublishTo("talk"),
        SubscribeTo("talk", when_full=when_full) | slow(),
        SubscribeTo("talk") | collect(),
    )
    return results[1], results[2]


def test_everybody_waits_for_a_slow_listener() -> None:
    assert slow_and_quick("wait") == (list(range(1000)), list(range(1000)))


def test_a_slow_listener_may_miss_messages() -> None:
    slow, quick = slow_and_quick("drop-newest")
    assert quick == list(range(1000))
    assert slow[:100] == list(range(100)) and len(slow) < 500 and slow == sorted(slow)
    slow, quick = slow_and_quick("drop-oldest")
    assert quick == list(range(1000))
    assert slow[-100:] == list(range(900, 1000)) and len(slow) < 500 and slow == sorted(slow)


# --- ends -----------------------------------------------------------------------------------------


def test_what_a_room_had_said_before_a_stop_is_passed_on() -> None:
    @component
    async def visitor(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        await sleep(3600)  # and never says anything; the stop cancels it

    class Slow(Component):
        inbox = Inbox[int]("what is heard", size=1)

        async def main(self) -> list[int]:
            heard = []
            async for message in self.inbox:
                heard.append(message)
                await sleep(0.5)
            return heard

    @component
    async def janitor(inbox: Inbox[Any]) -> None:
        await sleep(1)
        assert listener.feed.statistics().waiting == 5
        listener.system.stop()

    listener = SubscribeTo("talk")
    parts = [visitor() | listener | Slow(), say(*range(8)) | PublishTo("talk"), janitor()]
    assert virtually(*parts)[0] == list(range(8))


def test_a_stop_ends_a_room_and_who_is_in_it() -> None:
    chat = Pipeline(copy(), PublishTo("talk"), SubscribeTo("talk"), copy())
    with drive(chat) as visitor:
        visitor.send("hello")
        assert visitor.take_all() == ["hello"]
        visitor.stop()
        assert (visitor.outcome, visitor.state("outbox"), visitor.time) == ("ended", "ended", 0)


def test_a_robot_in_the_room_closes_a_loop_and_does_not_keep_the_system_alive() -> None:
    @component
    async def robot(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        async for message in inbox:
            if message.endswith("?"):
                await outbox.send("42")

    for robot_first in (True, False):
        parts = [
            say("what?", "so", after=1) | PublishTo("talk"),
            SubscribeTo("talk") | nested(robot() | copy(), 2) | PublishTo("talk"),
            SubscribeTo("talk") | collect(),
        ]
        if robot_first:
            parts.reverse()
        assert sorted(next(filter(None, virtually(*parts)))) == ["42", "so", "what?"]
    with drive(SubscribeTo("talk") | robot() | PublishTo("talk"), unlinked=["inbox"]) as part:
        part.stop()
        assert (part.outcome, part.time) == ("ended", 0)


def test_a_loop_is_a_loop_whichever_end_of_it_is_linked_first() -> None:
    @component
    async def shorten(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        async for message in inbox:
            if len(message) > 1:
                await outbox.send(message[1:])

    parts = (
        say("abc", after=1) | PublishTo("talk"),
        nested(SubscribeTo("talk"), 5) | shorten() | PublishTo("talk"),
        SubscribeTo("talk") | collect(),
    )
    assert virtually(*parts)[2] == ["abc", "bc", "c"]


def test_who_listens_ends_when_the_room_does() -> None:
    class Janitor(Component):
        async def main(self) -> None:
            room = self.add(Backplane("talk"))
            await sleep(10)
            room.cancel()
            await sleep(90)

    times = []

    @component
    async def note_end(inbox: Inbox[Any]) -> None:
        async for _ in inbox:
            pass
        times.append(clock())

    virtually(Janitor(), SubscribeTo("talk") | note_end())
    assert times == [10]


def test_robots_in_two_rooms_that_talk_to_each_other_end_at_rest() -> None:
    results = virtually(
        say("hello", after=1) | PublishTo("one"),
        SubscribeTo("one") | PublishTo("two"),
        SubscribeTo("two") | collect(),
    )
    assert results[2] == ["hello"]

    @component
    async def once(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
        async for message in inbox:
            if len(message) < 3:
                await outbox.send(message + "!")

    results = virtually(
        say("a", after=1) | PublishTo("one"),
        SubscribeTo("one") | once() | PublishTo("two"),
        SubscribeTo("two") | once() | PublishTo("one"),
        SubscribeTo("one") | collect(),
        SubscribeTo("two") | collect(),
    )
    assert results[3:] == [["a", "a!!"], ["a!"]]


def test_a_failure_in_the_system_breaks_the_listeners() -> None:
    @component
    async def fail(inbox: Inbox[Any]) -> None:
        await sleep(1)
        raise ValueError("no good")

    listener = SubscribeTo("talk")
    with pytest.raises(ComponentsFailed, match="fail"):
        virtually(fail(), listener | collect())
    assert listener._axon.outcome in ("broken", "cancelled")


# --- nothing remains ------------------------------------------------------------------------------


class Visitors(Component):
    """Makes visitors and lets them go, as a server does."""

    inbox = None
    come = Inbox[Any]("how many visitors come", held=True)

    async def main(self) -> None:
        self.visitors: list[tuple[Component, Any]] = []
        async for change in self.come:
            if change > 0:
                for _ in range(change):
                    visitor = self.add(copy() | PublishTo("talk") | SubscribeTo("talk") | copy())
                    self.visitors.append((visitor, visitor.inbox.hold(outside=True)))
            else:
                for _ in range(-change):
                    self.visitors.pop(0)[1].release()


def counts(driver: Driver[Any]) -> tuple[int, int, int, int]:
    """Return how many links lead into and out of the room, routes of it, and people in it."""
    system = driver.component.system
    room = system.names.find("talk")
    return len(room.inbox.incoming), len(room.outbox.outgoing), len(room.outbox.routes), room._people


def test_who_leaves_a_silent_room_leaves_nothing_behind() -> None:
    with drive(Visitors()) as driver:
        driver.send(10, box="come")
        assert counts(driver) == (10, 10, 10, 20)
        driver.send(-4, box="come")
        assert counts(driver) == (6, 6, 6, 12)
        assert len(driver.component.children) == 6


def test_nothing_remains_of_many_who_come_and_go(seed: int) -> None:
    chance = random_module.Random(seed)
    with drive(Visitors()) as driver:
        visitors = driver.component
        for _ in range(200):
            driver.send(chance.randint(1, 5), box="come")
            for _, hold in chance.sample(visitors.visitors, min(3, len(visitors.visitors))):
                hold.send("hello")
            driver.send(-chance.randint(0, len(visitors.visitors)), box="come")
            there = len(visitors.visitors)
            if there:
                assert counts(driver) == (there, there, there, 2 * there)
        driver.send(-len(visitors.visitors), box="come")
        system = visitors.system
        assert visitors.children == []
        driver.advance(1)  # the room closes a second after the last has left
        assert system.names.find("talk") is None
        assert [child.name for child in system.root.children] == [""]  # the harness itself
        assert not system.scheduler.loops
        # and it opens again for the next
        driver.send(1, box="come")
        assert counts(driver) == (1, 1, 1, 2)


def test_a_room_that_is_empty_for_less_than_a_second_stays() -> None:
    with drive(Visitors()) as driver:
        driver.send(1, -1, box="come")
        room = driver.component.system.names.find("talk")
        driver.advance(0.5)
        driver.send(1, box="come")
        driver.advance(10)
        assert driver.component.system.names.find("talk") is room
        assert counts(driver) == (1, 1, 1, 2)


# --- what a room says to who comes late, and of who does not keep up --------------------------------


class ComeLate(Component):
    """Listen from a time on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.heard: list[Any] = []

    async def main(self) -> None:
        await sleep(self.seconds)
        listener = SubscribeTo("talk") | collect()
        await listener.run()
        self.heard = listener._axon.result


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"keep": 1}, [("b", 4)]),
        ({"keep": 3}, [("a", 2), ("a", 3), ("b", 4)]),
        ({"key": lambda pair: pair[0]}, [("c", 1), ("a", 3), ("b", 4)]),
        ({"key": lambda pair: pair[0], "keep": 2}, [("b", 0), ("c", 1), ("a", 2), ("a", 3), ("b", 4)]),
    ],
)
def test_who_comes_late_is_told_what_was_kept_in_order(options: Any, expected: Any) -> None:
    listener = ComeLate(10)
    said = [("b", 0), ("c", 1), ("a", 2), ("a", 3), ("b", 4)]
    somebody = SubscribeTo("talk") | collect()  # or the first words would be kept for the first who comes
    virtually(Backplane("talk", **options), say(*said, after=5) | PublishTo("talk"), somebody, listener)
    assert listener.heard == expected


def test_how_many_subjects_are_kept_is_bounded() -> None:
    listener = ComeLate(10)
    said = [(n, "first") for n in range(1500)] + [(900, "again")]
    virtually(
        Backplane("talk", key=lambda pair: pair[0]),
        say(*said, after=5) | PublishTo("talk"),
        SubscribeTo("talk") | collect(),
        listener,
    )
    assert listener.heard == [(n, "first") for n in range(500, 1500) if n != 900] + [(900, "again")]


def test_a_key_that_fails_is_a_failure_of_the_room() -> None:
    with pytest.raises(ComponentsFailed, match="Backplane"):
        virtually(Backplane("talk", key=lambda pair: pair[0]), say(7, after=5) | PublishTo("talk"))


def test_the_room_says_what_happens_when_somebody_does_not_keep_up() -> None:
    @component
    async def slow(inbox: Inbox[Any]) -> list[Any]:
        heard = []
        async for message in inbox:
            heard.append(message)
            await sleep(1)
        return heard

    for room, own, expected in (
        ("drop-newest", None, list(range(101))),
        ("drop-oldest", None, [0, *range(900, 1000)]),
        ("drop-newest", "wait", list(range(1000))),
    ):
        results = virtually(
            Backplane("talk", when_full=room),  # type: ignore[arg-type]
            say(*range(1000), after=1) | PublishTo("talk"),
            SubscribeTo("talk", when_full=own) | slow(),  # type: ignore[arg-type]
        )
        heard = results[2]
        if own is None:  # the listener's own outbox has a queue before the slow one
            assert len(heard) < 400
            assert heard[-1] == (999 if room == "drop-oldest" else heard[-1])
            assert heard == sorted(heard)
        else:
            assert heard == expected


# --- Join -----------------------------------------------------------------------------------------


def test_who_is_in_a_room_says_and_hears() -> None:
    first = say("a", after=1, every=1) | Join("talk") | collect()
    second = say("b", after=1.5, every=1) | Join("talk") | collect()
    assert virtually(first, second) == [["a", "b"], ["a", "b"]]


def test_without_echo_one_hears_only_the_others() -> None:
    first = say("a", "b", after=1, every=1) | Join("talk", echo=False) | collect()
    second = say("c", "a", after=1.5, every=1) | Join("talk", echo=False) | collect()
    assert virtually(first, second) == [["c", "a"], ["a", "b"]]


def test_the_same_object_said_by_two_is_heard_once_by_each() -> None:
    word = "word"
    visitors = [say(word, after=1, every=1) | Join("talk", echo=False) | collect() for _ in range(3)]
    assert virtually(*visitors) == [[word] * 2] * 3


def test_what_was_dropped_on_the_way_back_does_not_hide_the_rest() -> None:
    with drive(Join("talk", echo=False, when_full="drop-oldest"), sizes={"outbox": 1}) as join:
        join.send(*[f"own {n}" for n in range(500)])
        join.expect_nothing()
        other = join.component.add(say("theirs", after=1) | PublishTo("talk"))
        join.advance(1)
        assert (join.take_all(), other._axon.state) == (["theirs"], "ended")


def test_one_in_a_room_ends_with_its_inbox_and_is_remade_with_its_own_memory() -> None:
    with drive(Join("talk")) as join:
        join.send("a")
        join.close()
        assert (join.take_all(), join.outcome) == (["a"], "ended")
    pattern = Join("talk", echo=False)
    visitors = [say(n, after=1, every=1) | make(pattern) | collect() for n in range(2)]
    assert virtually(*visitors) == [[1], [0]]
