"""Taps: what passes a place, for whoever waits for it, and as a part."""

from __future__ import annotations

import asyncio
import gc

import pytest

from kamaelia import Component, Graphline, Inbox, component, run, sleep
from kamaelia.axon import (
    ComponentsFailed,
    Deadlock,
    Seat,
    System,
    UsageError,
    VirtualLoop,
    current_component,
    postman,
)
from kamaelia.flow import Collect, Interval, Map, Null, Source, Take
from kamaelia.net import TCPClient, TCPServer
from kamaelia.observe import Tapped, WireTap, tap
from kamaelia.protocol import Echo
from kamaelia.testbed import Network


def virtually(*systems, **options):
    return run(*systems, loop_factory=VirtualLoop, **options)


@component
async def spaced(inbox, outbox, items, seconds=1.0):
    for item in items:
        await sleep(seconds)
        await outbox.send(item)


@component
async def fails(inbox, outbox):
    async for message in inbox:
        if message == "bad":
            raise RuntimeError("cannot stand it")
        await outbox.send(message)


@component
async def pair(inbox, outbox):
    await outbox.send((await inbox.receive(), await inbox.receive()))


@component
async def stay(inbox, outbox):
    async for _ in inbox:
        pass


@component
async def look_on(inbox, outbox, place, **options):
    """Return what has passed a place: times and messages."""
    looks = tap(place() if callable(place) else place, **options)
    seen = [(one.time, one.message) async for one in looks]
    return seen, looks.dropped, looks.failure


@component
async def look_at_names(inbox, outbox, place, **options):
    looks = tap(place() if callable(place) else place, **options)
    return [(str(one.place), one.message) async for one in looks]


def names(part):
    return part | Map(lambda seen: (str(seen.place), seen.message)) | Collect()


# -- the iteration ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["inbox", "outbox", "link"])
def test_a_tap_gives_what_passes_a_place_with_the_times_and_ends_with_it(place):
    middle = Map(str.upper)
    row = spaced("abc") | middle | Collect()
    at = next(iter(middle.inbox.incoming)) if place == "link" else getattr(middle, place)
    expected = "ABC" if place == "outbox" else "abc"
    result, (seen, dropped, failure) = virtually(row, look_on(at))
    assert result == ["A", "B", "C"]
    assert seen == [(1.0, expected[0]), (2.0, expected[1]), (3.0, expected[2])]
    assert (dropped, failure) == (0, None)


def test_a_tap_gives_the_very_same_object_and_says_where():
    message = {"a": [1]}
    start = spaced([message])

    @component
    async def watch(inbox, outbox):
        async for seen in tap(start.outbox):
            assert seen.message is message
            assert seen.place is start.outbox
            return True

    assert virtually(start | Null(), watch()) == [None, True]


def test_the_end_of_a_tap_tells_a_failure_and_raises_nothing():
    bad = fails()
    row = spaced(["good", "bad"]) | bad | Null()

    @component
    async def watch(inbox, outbox, kept):
        async for seen in (looks := tap(bad.outbox)):
            kept.append(seen.message)
        kept.append(str(looks.failure))
        kept.append(str(current_component().path))

    kept = []
    with pytest.raises(ComponentsFailed) as caught:
        virtually(row, watch(kept))
    assert kept == ["good", "cannot stand it", "watch"]
    assert len(caught.value.exceptions) == 1


def test_what_is_not_looked_at_in_time_is_dropped_and_counted():
    start = Source(range(10))

    @component
    async def lazy(inbox, outbox):
        looks = tap(start.outbox, size=3)
        await sleep(1)
        return [one.message async for one in looks], looks.dropped, len(looks)

    @component
    async def greedy(inbox, outbox):
        looks = tap(start.outbox, size=None)
        await sleep(1)
        return len([one async for one in looks]), looks.dropped

    assert virtually(lazy(), greedy(), start | Null())[:2] == [([7, 8, 9], 7, 0), (10, 0)]


def test_a_tap_holds_up_nobody_and_is_no_reader():
    start = Source(range(1000))

    @component
    async def never_looks(inbox, outbox):
        looks = tap(start.outbox)
        await sleep(100)
        return looks.ended

    @component
    async def leaves(inbox, outbox): ...

    assert virtually(never_looks(), start | leaves) == [True, None]
    assert start._axon.outcome == "ended"


def test_a_tap_goes_when_its_iteration_is_left():
    start = spaced("abcd")
    was = []

    @component
    async def watch(inbox, outbox):
        async for _ in tap(start.outbox):
            was.append(len(start.outbox.taps))
            break
        was.append(len(start.outbox.taps))
        async with tap(start.outbox) as looks:
            async for _ in looks:
                was.append(len(start.outbox.taps))
                break
            was.append(len(start.outbox.taps))
        was.append(len(start.outbox.taps))
        kept = tap(start.outbox)
        await kept.aclose()
        await kept.aclose()
        assert [one async for one in kept] == []
        was.append(len(start.outbox.taps))
        assert start.outbox.fast is not None  # and costs nothing any more

    virtually(start | Null(), watch())
    assert was == [1, 0, 1, 1, 0, 0]


def test_who_is_cancelled_while_it_looks_leaves_no_tap():
    start = spaced("ab")

    @component
    async def watch(inbox, outbox):
        try:
            async with asyncio.timeout(0.5):
                async for _ in tap(start.outbox):
                    raise AssertionError
        except TimeoutError:
            pass
        await sleep(0)
        gc.collect()  # the exception refers to all that it left, to the end of the step
        return len(start.outbox.taps)

    assert virtually(start | Null(), watch()) == [None, 0]


def test_any_task_of_the_loop_may_look():
    start = Source("ab")
    row = start | Collect()

    async def watch():
        return [one.message async for one in tap(start.outbox)]

    async def main():
        task = asyncio.ensure_future(watch())
        await asyncio.sleep(0)
        result = await row.run()
        return result, await task

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) == (["a", "b"], ["a", "b"])


def test_a_task_of_a_component_may_look():
    start = spaced("ab")

    @component
    async def watch(inbox, outbox):
        async def look():
            return [one.message async for one in tap(start.outbox)]

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(look()), group.create_task(look())]
        return [task.result() for task in tasks]

    assert virtually(start | Null(), watch()) == [None, [["a", "b"], ["a", "b"]]]


def test_two_may_not_wait_in_one_iteration():
    start = spaced("a")

    @component
    async def watch(inbox, outbox):
        looks = tap(start.outbox)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(anext(looks))
            await asyncio.sleep(0.5)
            with pytest.raises(UsageError, match=r"two wait for what passes Pipeline/spaced\.outbox"):
                await anext(looks)
            await first
        return first.result().message

    assert virtually(start | Null(), watch()) == [None, "a"]


def test_a_place_that_has_ended_is_at_its_end():
    start = Source("a")

    @component
    async def late(inbox, outbox):
        await sleep(1)
        return [one async for one in tap(start.outbox)], [one async for one in tap(start)]

    assert virtually(start | Null(), late()) == [None, ([], [])]


@pytest.mark.parametrize("place", [None, 7, "", Component])
def test_what_is_no_place_is_refused(place):
    with pytest.raises(UsageError, match="is no place to look at"):
        tap(place)
    with pytest.raises(UsageError, match="is no place to look at"):
        WireTap(place)


def test_bad_arguments_are_refused():
    with pytest.raises(UsageError, match="size=0"):
        tap(Source("a").outbox, size=0)
    with pytest.raises(UsageError, match="in a system, and here is none"):
        tap("radio/server.outbox")
    with pytest.raises(UsageError, match="only a declaration"):
        tap(Inbox("nobody's"))
    first, second = stay(), stay()
    wire = postman.link(first.outbox, second.inbox)
    postman.unlink(wire)
    with pytest.raises(UsageError, match="is not linked"):
        tap(wire)


def test_a_script_is_told_what_it_can_do_instead():
    start = spaced("a")

    @component
    def script(inbox, outbox):
        with pytest.raises(UsageError, match="WireTap"):
            tap(start.outbox)
        return True

    assert virtually(start | Null(), script()) == [None, True]


# -- systems that end, and are at rest ----------------------------------------------------------------------


def test_who_only_looks_on_keeps_nobody_from_ending():
    @component
    async def look_at_itself(inbox, outbox):
        return [one async for one in tap(current_component().outbox)]

    assert virtually(look_at_itself()) == []
    assert virtually(look_on("nobody.outbox"), Source("a") | Collect()) == [([], 0, None), ["a"]]
    assert virtually(Source("a") | Collect(), WireTap("nobody.outbox")) == [["a"], None]


def test_two_who_look_at_each_other_end():
    first, second = WireTap("WireTap-2.outbox"), WireTap("WireTap.outbox")
    assert virtually(first, second) == [None, None]


def test_a_tap_keeps_no_chassis_open_that_is_over_but_for_it():
    class Watched(Component):
        inbox = outbox = None

        def __init__(self):
            self.add(Source("ab") | Map(str.upper) | Null())
            self.watcher = self.add(look_at_names(lambda: self, boxes="*Map.inbox"))

    watched = Watched()

    @component
    async def goes_on(inbox, outbox):
        await sleep(10)
        return watched.done()

    assert virtually(watched, goes_on()) == [None, True]
    assert watched.watcher.result() == [
        ("Watched/Pipeline/Map.inbox", "a"),
        ("Watched/Pipeline/Map.inbox", "b"),
    ]


def test_holds_end_before_looks_do():
    """What a hold's end lets somebody send is still seen."""

    class Room(Component):
        inbox = Inbox("from whoever comes", held=True)

        async def main(self):
            async for _ in self.inbox:
                pass
            await self.outbox.send("closing")

    room = Room()
    assert virtually(room | Collect(), WireTap(room.outbox) | Collect()) == [
        ["closing"],
        [Tapped(0.0, "closing")],
    ]


def test_a_deadlock_is_found_beside_who_looks_on_and_does_not_name_it():
    first, second = stay(), stay()
    ring = Graphline(first.outbox >> second.inbox, second.outbox >> first.inbox)
    with pytest.raises(Deadlock) as caught:
        virtually(ring, WireTap(first.outbox) | Null())
    assert "stay" in str(caught.value)
    assert "WireTap" not in str(caught.value)


def test_a_stop_ends_who_looks_on():
    start = Interval(1)

    @component
    async def end(inbox, outbox):
        await sleep(3.5)
        current_component().system.stop()

    assert virtually(WireTap(start) | Map(lambda seen: seen.time) | Collect(), start | Null(), end())[0] == [
        0.0,
        1.0,
        2.0,
        3.0,
    ]


def test_a_wire_tap_whose_readers_have_gone_ends():
    start = Interval(1)

    @component
    async def goes_on(inbox, outbox):
        await sleep(10)
        return part.done(), len(start.outbox.taps), current_component().system.stop()

    part = WireTap(start.outbox)
    assert virtually(part | Take(2) | Collect(), goes_on(), start | Null())[1] == (True, 0, None)


# -- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("row/Map.inbox", "ab"),
        ("row/Map.outbox", "AB"),
        ("row/Map.outbox >> row/Collect.inbox", "AB"),
        ("row/Map.outbox>>row/Collect.inbox", "AB"),
        ("row/Mop.outbox", ""),
        ("row/Map.outbos", ""),
        ("row/Map.outbox >> row/Map.inbox", ""),
        ("Map.outbox", ""),
    ],
)
def test_a_place_may_be_named(place, expected):
    row = (Source("ab") | Map(str.upper) | Collect()).named("row")
    assert virtually(row, WireTap(place) | Map(lambda seen: seen.message) | Collect())[1] == list(expected)
    row = (spaced("ab") | Map(str.upper) | Collect()).named("row")
    assert [message for _, message in virtually(row, look_on(place))[1][0]] == list(expected)


def test_a_place_that_is_not_there_yet_is_waited_for():
    class Late(Component):
        inbox = outbox = None

        async def main(self):
            await sleep(5)
            self.add((spaced("ab") | Map(str.upper) | Null()).named("row"))

    late = Late()
    box, link, part = virtually(
        look_on("Late/row/Map.outbox"),
        look_on("Late/row/Map.outbox >> Late/row/Null.inbox"),
        look_at_names("Late/row"),
        late,
    )[:3]
    assert box == link == ([(6.0, "A"), (7.0, "B")], 0, None)
    assert part == [
        (f"Late/row/{one}", letter.upper() if "Map.out" in one or "Null" in one else letter)
        for letter in "ab"
        for one in ("spaced.outbox", "Map.inbox", "Map.outbox", "Null.inbox")
    ]
    assert late.system.scheduler.observer is None


def test_the_search_for_a_name_is_given_up_with_the_iteration():
    @component
    async def watch(inbox, outbox):
        scheduler = current_component().system.scheduler
        looks = tap("nobody")
        assert scheduler.observer is not None
        del looks
        gc.collect()
        return scheduler.observer

    assert virtually(watch()) is None


def test_a_tap_may_be_given_the_system():
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def main():
            system = System(asyncio.get_running_loop())
            system.start((Source("ab") | Collect()).named("row"))
            looks = tap("row/Source.outbox", system=system)
            everything = tap(system, boxes=["*/Source.*", "*.inbox"])
            await system.wait()
            return [one.message async for one in looks], [str(one.place) async for one in everything]

        assert runner.run(main()) == (
            ["a", "b"],
            ["row/Source.outbox", "row/Collect.inbox", "row/Source.outbox", "row/Collect.inbox"],
        )


# -- all that is in a component -----------------------------------------------------------------------------


def test_all_boxes_of_a_component_are_seen_also_of_those_who_come_later():
    network = Network()
    watcher = names(WireTap("TCPServer", boxes=["*box"]))
    network.host("server").run(TCPServer(Echo(), port=7))
    network.hosts["server"].run(watcher)
    network.host("client").run(Source([b"hello"]) | TCPClient("server", 7) | Collect())
    network.link("server", "client", delay="10 ms")
    trace = network.simulate(seconds=5, seed=1, until="client")
    assert trace.results["client"] == [b"hello"]
    assert trace.results["server"][1] == [
        ("TCPServer/client-1.inbox", b"hello"),
        ("TCPServer/client-1.outbox", b"hello"),
    ]


def test_nested_components_are_seen_through_their_boundaries():
    inner = (Map(str.upper) | Map(str.strip)).named("inner")
    outer = (inner | Collect()).named("outer")
    seen = virtually(Source([" a"]) | outer, names(WireTap(outer)))[1]
    assert seen == [
        ("Pipeline/outer.inbox", " a"),
        ("Pipeline/outer/inner.inbox", " a"),
        ("Pipeline/outer/inner/Map.inbox", " a"),
        ("Pipeline/outer/inner/Map.outbox", " A"),
        ("Pipeline/outer/inner/Map-2.inbox", " A"),
        ("Pipeline/outer/inner/Map-2.outbox", "A"),
        ("Pipeline/outer/inner.outbox", "A"),
        ("Pipeline/outer/Collect.inbox", "A"),
    ]


def test_only_the_boxes_that_are_asked_for_are_tapped():
    row = spaced("ab") | Map(str.upper) | Collect()
    assert virtually(row, look_at_names(row, boxes=["*/Map.inbox", "*/Collect.*"]))[1] == [
        ("Pipeline/Map.inbox", "a"),
        ("Pipeline/Collect.inbox", "A"),
        ("Pipeline/Map.inbox", "b"),
        ("Pipeline/Collect.inbox", "B"),
    ]


def test_who_looks_at_the_whole_system_does_not_see_itself():
    part = WireTap("Source", boxes="*")

    @component
    async def watch(inbox, outbox):
        system = current_component().system
        async for seen in tap(system):
            await outbox.send(str(seen.place))

    row = (spaced("a") | Map(str.upper) | Null()).named("row")
    assert virtually(watch() | Map(str.upper) | Collect(), row, part)[0] == [
        "ROW/SPACED.OUTBOX",
        "ROW/MAP.INBOX",
        "ROW/MAP.OUTBOX",
        "ROW/NULL.INBOX",
    ]


def test_a_place_that_one_after_another_takes_is_one_place():
    seat = Seat(pair, on_vacant=lambda occupant, failure: seat.fill(pair))
    result, seen = virtually(Source([1, 2, 3, 4]) | seat | Collect(), names(WireTap(seat)))
    assert result == [(1, 2), (3, 4)]
    assert [message for name, message in seen if name == "Pipeline/Seat.inbox"] == [1, 2, 3, 4]
    assert [one for one in seen if one[0] == "Pipeline/Seat/pair.outbox"] == [
        ("Pipeline/Seat/pair.outbox", (1, 2)),
        ("Pipeline/Seat/pair.outbox", (3, 4)),
    ]


def test_all_taps_are_taken_away_when_somebody_has_seen_enough():
    row = spaced("ab") | Map(str.upper) | Collect()

    @component
    async def watch(inbox, outbox):
        scheduler = current_component().system.scheduler
        async for _ in tap(row):
            break
        boxes = [box for part in (row, *row.children) for box in part.boxes.values() if not box.ended]
        return len(boxes), sum(len(box.taps) for box in boxes), scheduler.observer

    assert virtually(row, watch())[1] == (4, 0, None)
