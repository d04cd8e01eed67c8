"""Snapshots: what a system is made of and how it is doing, exactly."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time

import jsonschema
import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, background, component, run, sleep
from kamaelia.axon import Link, Seat, System, VirtualLoop, core, current_component
from kamaelia.chassis import Supervisor
from kamaelia.flow import Collect, Interval, Null, Source, Take
from kamaelia.net import TCPClient, TCPServer
from kamaelia.observe import tap
from kamaelia.observe.snapshot import Snapshot, StuckSnapshot, from_dict, schema, take
from kamaelia.protocol import Echo
from kamaelia.testbed import Network


def virtually(*systems, **options):
    return run(*systems, loop_factory=VirtualLoop, **options)


@component
async def look(inbox, outbox, *times):
    """Take snapshots at these times, and end everything."""
    system = current_component().system
    shots = []
    for when in times:
        await sleep(when - asyncio.get_running_loop().time())
        shots.append(system.snapshot())
    system.cancel()
    return shots


def shots_of(*parts, at):
    return virtually(*parts, look(*at).named("look"), seed=7)[-1]


def shot_of(*parts, at=3.5):
    return shots_of(*parts, at=(at,))[-1]


@component
async def echo(inbox, outbox):
    async for message in inbox:
        await outbox.send(message)


@component
async def slow(inbox, outbox, seconds=10):
    async for message in inbox:
        await sleep(seconds)
        await outbox.send(message)


@component
def doubled(inbox, outbox):
    while True:
        number = yield inbox.receive()
        yield outbox.send(2 * number)


@component
def scripted(inbox, outbox):
    for message in inbox:
        outbox.send(message)


@component
async def stay(inbox, outbox):
    async for _ in inbox:
        pass


@component
async def fails_at(inbox, outbox, what):
    async for message in inbox:
        if message == what:
            raise ValueError(f"cannot stand {what}")
        await outbox.send(message)


@component
async def send_all(inbox, outbox, items):
    for item in items:
        await outbox.send(item)
    await asyncio.Event().wait()


def lines(shot):
    """Write a snapshot, but for the part that looks, as lines that one can read."""
    text = []
    for one in shot.components:
        if one.path == "look":
            continue
        words = [one.path, one.state]
        if one.waits_at:
            words.append(f"at {' '.join(one.waits_at)}")
        if one.waits_for:
            words.append(f"for {' '.join(one.waits_for)}")
        words += [f"{name} {getattr(one, name)}" for name in ("restarts", "failures") if getattr(one, name)]
        text.append(", ".join(words))
        for box in one.boxes:
            words = [f"  .{box.name} {box.state}", f"{box.passed} passed"]
            if box.waiting or box.peak:
                words.append(f"{box.waiting}/{box.size} {box.unit}, peak {box.peak}")
            words += [
                f"{getattr(box, name)} {name}" for name in ("dropped", "discarded") if getattr(box, name)
            ]
            words += [name for name in ("linked", "boundary") if getattr(box, name)]
            text.append(", ".join(words))
    for wire in shot.links:
        words = [f"{wire.source} >> {wire.target}", f"{wire.passed} passed", f"{wire.waiting}/{wire.size}"]
        words += [wire.when_full] * (wire.when_full != "wait")
        words += [f"{wire.dropped} dropped"] * bool(wire.dropped)
        words += [name for name in ("feedback", "outside") if getattr(wire, name)]
        words += ["closed"] * (not wire.open)
        text.append(", ".join(words))
    return text


# -- whole systems ------------------------------------------------------------------------------------------


def pipeline():
    return (Interval(1) | slow() | Null()).named("row")


def full():
    return (Source(range(1000)) | slow() | echo() | Null()).named("row")


def nested():
    inner = (echo() | doubled()).named("inner")
    start, log = Interval(1), Null().named("log")
    return Graphline(start.outbox >> [inner.inbox, log.inbox], inner.outbox >> "self.outbox").named("outer")


def fan_in():
    first, second, end = Interval(1).named("first"), Interval(2).named("second"), Null()
    return Graphline(first.outbox >> end.inbox, second.outbox >> end.inbox).named("both")


def dropping():
    start = send_all(range(10)).named("start")
    new, old = slow().named("new"), slow().named("old")
    new.inbox.resize(3)
    old.inbox.resize(3)
    return Graphline(
        Link(start.outbox, new.inbox, when_full="drop-newest"),
        Link(start.outbox, old.inbox, when_full="drop-oldest"),
    ).named("drops")


def in_bytes():
    class Sink(Component):
        inbox = Inbox[bytes]("bytes", size="1 KiB")
        outbox = None

        async def main(self):
            await self.inbox.receive()
            await sleep(100)

    return (send_all([b"x" * 100] * 20) | Sink().named("sink")).named("row")


def looped():
    first, second = echo().named("first"), slow(1).named("second")
    return Graphline(
        Source([1, 2], then="stay").outbox >> first.inbox,
        first.outbox >> second.inbox,
        Link(second.outbox, first.inbox, feedback=True),
    ).named("ring")


def supervised():
    return (Interval(1) | Supervisor(fails_at(2).named("weak")) | Null()).named("row")


def seated():
    seat = Seat(fails_at(2), on_vacant=lambda occupant, failure: seat.fill(fails_at(4)))
    return (Interval(1) | seat | Null()).named("row")


SYSTEMS = {
    "pipeline": (
        pipeline,
        [
            "row, holding",
            "row/Interval, sleeping",
            "  .outbox open, 4 passed, linked",
            "row/slow, sleeping",
            "  .inbox open, 4 passed, 3/100 messages, peak 3, linked",
            "  .outbox open, 0 passed, linked",
            "row/Null, receiving, at row/Null.inbox",
            "  .inbox open, 0 passed, linked",
            "row/Interval.outbox >> row/slow.inbox, 4 passed, 3/100",
            "row/slow.outbox >> row/Null.inbox, 0 passed, 0/100",
        ],
    ),
    "full": (
        full,
        [
            "row, holding",
            "row/Source, sending, at row/slow.inbox, for row/slow",
            "  .outbox open, 100 passed, linked",
            "row/slow, sleeping",
            "  .inbox open, 100 passed, 99/100 messages, peak 100, linked",
            "  .outbox open, 0 passed, linked",
            "row/echo, receiving, at row/echo.inbox",
            "  .inbox open, 0 passed, linked",
            "  .outbox open, 0 passed, linked",
            "row/Null, receiving, at row/Null.inbox",
            "  .inbox open, 0 passed, linked",
            "row/Source.outbox >> row/slow.inbox, 100 passed, 99/100",
            "row/slow.outbox >> row/echo.inbox, 0 passed, 0/100",
            "row/echo.outbox >> row/Null.inbox, 0 passed, 0/100",
        ],
    ),
    "nested": (
        nested,
        [
            "outer, holding",
            "  .outbox open, 0 passed, boundary",
            "outer/Interval, sleeping",
            "  .outbox open, 8 passed, linked",
            "outer/inner, holding",
            "  .inbox open, 4 passed, linked, boundary",
            "  .outbox open, 0 passed, linked, boundary",
            "outer/inner/echo, receiving, at outer/inner/echo.inbox",
            "  .inbox open, 4 passed, 0/100 messages, peak 1, linked",
            "  .outbox open, 4 passed, linked",
            "outer/inner/doubled, receiving, at outer/inner/doubled.inbox",
            "  .inbox open, 4 passed, 0/100 messages, peak 1, linked",
            "  .outbox open, 0 passed, 4 discarded, linked",
            "outer/log, receiving, at outer/log.inbox",
            "  .inbox open, 4 passed, 0/100 messages, peak 1, linked",
            "outer/Interval.outbox >> outer/inner.inbox, 4 passed, 0/100",
            "outer/Interval.outbox >> outer/log.inbox, 4 passed, 0/100",
            "outer/inner.inbox >> outer/inner/echo.inbox, 4 passed, 0/100",
            "outer/inner.outbox >> outer.outbox, 0 passed, 0/0",
            "outer/inner/echo.outbox >> outer/inner/doubled.inbox, 4 passed, 0/100",
            "outer/inner/doubled.outbox >> outer/inner.outbox, 0 passed, 0/0",
        ],
    ),
    "fan in": (
        fan_in,
        [
            "both, holding",
            "both/first, sleeping",
            "  .outbox open, 4 passed, linked",
            "both/Null, receiving, at both/Null.inbox",
            "  .inbox open, 6 passed, 0/100 messages, peak 2, linked",
            "both/second, sleeping",
            "  .outbox open, 2 passed, linked",
            "both/first.outbox >> both/Null.inbox, 4 passed, 0/100",
            "both/second.outbox >> both/Null.inbox, 2 passed, 0/100",
        ],
    ),
    "dropping": (
        dropping,
        [
            "drops, holding",
            "drops/start, awaiting",
            "  .inbox ended, 0 passed",
            "  .outbox open, 14 passed, 12 dropped, linked",
            "drops/new, sleeping",
            "  .inbox open, 4 passed, 3/3 messages, peak 3, linked",
            "  .outbox open, 0 passed",
            "drops/old, sleeping",
            "  .inbox open, 10 passed, 3/3 messages, peak 3, 6 dropped, linked",
            "  .outbox open, 0 passed",
            "drops/start.outbox >> drops/new.inbox, 4 passed, 3/3, drop-newest, 6 dropped",
            "drops/start.outbox >> drops/old.inbox, 10 passed, 3/3, drop-oldest, 6 dropped",
        ],
    ),
    "in bytes": (
        in_bytes,
        [
            "row, holding",
            "  .inbox ended, 0 passed, boundary",
            "row/send_all, sending, at row/sink.inbox, for row/sink",
            "  .inbox ended, 0 passed, linked",
            "  .outbox open, 12 passed, linked",
            "row/sink, sleeping",
            "  .inbox open, 12 passed, 1100/1024 bytes, peak 1100, linked",
            "row.inbox >> row/send_all.inbox, 0 passed, 0/0, closed",
            "row/send_all.outbox >> row/sink.inbox, 12 passed, 1100/1024",
        ],
    ),
    "looped": (
        looped,
        [
            "ring, holding",
            "ring/Source, receiving, at ring/Source._stay",
            "  .outbox open, 2 passed, linked",
            "  ._stay open, 0 passed",
            "ring/first, receiving, at ring/first.inbox",
            "  .inbox open, 5 passed, 0/100 messages, peak 1, linked",
            "  .outbox open, 5 passed, linked",
            "ring/second, sleeping",
            "  .inbox open, 5 passed, 1/100 messages, peak 2, linked",
            "  .outbox open, 3 passed, linked",
            "ring/Source.outbox >> ring/first.inbox, 2 passed, 0/100",
            "ring/first.outbox >> ring/second.inbox, 5 passed, 1/100",
            "ring/second.outbox >> ring/first.inbox, 3 passed, 0/100, feedback",
        ],
    ),
    "supervised": (
        supervised,
        [
            "row, holding, restarts 1",
            "row/Interval, sleeping",
            "  .outbox open, 4 passed, linked",
            "row/Supervisor, holding, restarts 1",
            "  .failures open, 0 passed, 1 discarded",
            "  .inbox open, 4 passed, linked, boundary",
            "  .outbox open, 3 passed, linked, boundary",
            "row/Supervisor/weak, holding, restarts 1",
            "  .inbox open, 4 passed, 0/100 messages, peak 1, linked, boundary",
            "  .outbox open, 3 passed, linked, boundary",
            "row/Supervisor/weak/life-2, receiving, at row/Supervisor/weak/life-2.inbox",
            "  .inbox open, 4 passed, 0/100 messages, peak 1, linked",
            "  .outbox open, 1 passed, linked",
            "row/Null, receiving, at row/Null.inbox",
            "  .inbox open, 3 passed, 0/100 messages, peak 1, linked",
            "row/Interval.outbox >> row/Supervisor.inbox, 4 passed, 0/100",
            "row/Supervisor.inbox >> row/Supervisor/weak.inbox, 4 passed, 0/100",
            "row/Supervisor.outbox >> row/Null.inbox, 3 passed, 0/100",
            "row/Supervisor/weak.inbox >> row/Supervisor/weak/life-2.inbox, 1 passed, 0/100",
            "row/Supervisor/weak.outbox >> row/Supervisor.outbox, 3 passed, 0/100",
            "row/Supervisor/weak/life-2.outbox >> row/Supervisor/weak.outbox, 1 passed, 0/100",
        ],
    ),
    "seated": (
        seated,
        [
            "row, holding, restarts 1",
            "row/Interval, sleeping",
            "  .outbox open, 4 passed, linked",
            "row/Seat, holding, restarts 1",
            "  .inbox open, 4 passed, 0/100 messages, peak 1, linked, boundary",
            "  .outbox open, 3 passed, linked, boundary",
            "row/Seat/fails_at, receiving, at row/Seat/fails_at.inbox",
            "  .inbox open, 4 passed, 0/100 messages, peak 1, linked",
            "  .outbox open, 1 passed, linked",
            "row/Null, receiving, at row/Null.inbox",
            "  .inbox open, 3 passed, 0/100 messages, peak 1, linked",
            "row/Interval.outbox >> row/Seat.inbox, 4 passed, 0/100",
            "row/Seat.inbox >> row/Seat/fails_at.inbox, 1 passed, 0/100",
            "row/Seat.outbox >> row/Null.inbox, 3 passed, 0/100",
            "row/Seat/fails_at.outbox >> row/Seat.outbox, 1 passed, 0/100",
        ],
    ),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_snapshot_is_exact(name):
    make, expected = SYSTEMS[name]
    assert lines(shot_of(make())) == expected


@pytest.mark.one_core
@pytest.mark.parametrize("name", SYSTEMS)
def test_both_forms_of_the_core_give_the_same_snapshots(name):
    make, _ = SYSTEMS[name]
    found = []
    for form in ("compiled", "plain"):
        core.use(form)
        found.append([shot.as_dict() for shot in shots_of(make(), at=(0.5, 1.5, 3.5))])
    names = {shot.pop("core") for shots in found for shot in shots}
    assert names == {"compiled core, virtual time", "plain Python core, virtual time"}
    assert found[0] == found[1]


def test_a_whole_snapshot():
    shot = shot_of(pipeline())
    assert dataclasses.replace(shot, components=(), links=(), pid=0, core="") == Snapshot(
        version=1,
        name="row, look",
        pid=0,
        seed="7",
        core="",
        state="running",
        time=3.5,
        calendar=946684803.5,
        watched=0.0,
        steps=shot.steps,
        started=0,
        ended=0,
        failed=0,
        stuck=None,
        components=(),
        links=(),
    )
    row, first, second = shot["row"], shot["row/Interval"], shot["row/slow"]
    assert (row.parent, row.body, row.type, row.name) == (None, "none", "kamaelia.axon.graph.Pipeline", "row")
    assert (first.parent, first.body, first.steps) == ("row", "coroutine", 4)
    assert (second.type, second.steps) == ("tests.observe.test_snapshot.slow", 1)
    box = second.box("inbox")
    assert (box.name, box.direction, box.type, box.rate) == ("inbox", "in", "Any", None)
    assert second.box("outbox").direction == "out"
    with pytest.raises(KeyError):
        second.box("other")
    with pytest.raises(KeyError):
        shot["row/other"]


# -- what is counted ----------------------------------------------------------------------------------------


def test_what_somebody_sends_to_nobody_is_discarded():
    start = send_all(range(5)).named("start")
    assert lines(shot_of(start)) == [
        "start, awaiting",
        "  .inbox ended, 0 passed",
        "  .outbox open, 0 passed, 5 discarded",
    ]


def test_what_is_left_unread_is_discarded():
    @component
    async def closes(inbox, outbox):
        await inbox.receive()
        inbox.close()
        await sleep(100)

    closing = closes().named("closing")
    shot = shot_of((send_all(range(5)) | closing).named("row"))
    assert [line for line in lines(shot) if "send_all" not in line and "row/closing" not in line] == [
        "row, holding",
        "  .inbox ended, 0 passed, boundary",
        "  .outbox open, 0 passed, boundary",
        "  .inbox ended, 0 passed, linked",
        "  .outbox lost, 5 passed",
        "  .inbox closed, 5 passed, 4/100 messages, peak 5, 4 discarded",
        "  .outbox open, 0 passed, linked",
    ]


def test_an_outbox_all_whose_readers_have_gone_is_lost():
    class Stubborn(Component):
        async def main(self):
            await self.outbox.send("a")
            await asyncio.Event().wait()

    shot = shot_of((Stubborn() | Take(1)).named("row"))
    assert shot["row/Stubborn"].box("outbox").state == "lost"
    assert shot["row/Stubborn"].box("outbox").passed == 1
    assert "row/Take" not in shot.index


def test_boxes_say_why_they_are_not_open():
    @component
    async def late(inbox, outbox):
        await sleep(100)

    failing = (Source(["bad"]) | fails_at("bad") | late()).named("row")

    class Isolating(Component):
        inbox = outbox = None

        def __init__(self):
            self.add(failing, isolated=True)
            self.add((Source("a") | late()).named("good"))

        async def main(self):
            await sleep(100)

    shot = shot_of(Isolating().named("all"), at=0.5)
    assert shot["all/row/late"].box("inbox").state == "failed"
    assert shot["all/good/late"].box("inbox").state == "ended"
    assert shot["all/good/late"].box("inbox").waiting == 1
    assert (shot.failed, shot["all"].failures) == (0, 0)  # nobody had looked yet when it happened


def test_failures_are_counted_since_somebody_looks():
    seat = Seat(fails_at(2), on_vacant=lambda occupant, failure: seat.fill(fails_at(4)))
    _, shot = shots_of((Interval(1) | seat | Null()).named("row"), at=(0.5, 6.5))
    assert (shot.started, shot.ended, shot.failed) == (2, 2, 2)
    assert (shot["row"].failures, shot["row/Seat"].failures) == (2, 2)
    assert (shot["row"].restarts, shot["row/Seat"].restarts) == (2, 2)


def test_messages_that_wait_for_the_next_on_a_seat_are_counted_to_its_link():
    seat = Seat(Take(1), on_vacant=lambda occupant, failure: seat.keep())

    @component
    async def fill(inbox, outbox):
        await sleep(2.2)
        seat.fill(stay)

    row = (Interval(1) | seat | Null()).named("row")
    first, second, third = shots_of(row, fill(), at=(0.5, 2.1, 3.5))
    links = [
        {f"{wire.source} >> {wire.target}": wire for wire in shot.links} for shot in (first, second, third)
    ]
    assert first["row/Seat"].state == "vacant"
    assert second["row/Seat"].box("inbox").waiting == 2
    assert third["row/Seat/stay"].box("inbox").waiting == 0
    assert links[2]["row/Seat.inbox >> row/Seat/stay.inbox"].passed == 3
    assert [one["row/Interval.outbox >> row/Seat.inbox"].passed for one in links] == [1, 3, 4]


def test_counts_of_a_room_go_on_when_its_visitors_have_gone():
    class Room(Component):
        inbox = None
        outbox = Outbox("to all", optional=True)

        async def main(self):
            for number in range(10):
                await sleep(1)
                reader = self.add(Take(2))
                self.link(self.outbox, reader.inbox)
                await self.outbox.send(number)

    shots = shots_of(Room().named("room"), at=(1.5, 2.5, 3.5, 4.5))
    assert [shot["room"].box("outbox").passed for shot in shots] == [1, 3, 5, 7]
    assert len(shots[-1].links) == 1


# -- what everybody does ------------------------------------------------------------------------------------


def test_every_state_is_seen():
    class Vacant(Component):
        inbox = outbox = None

        def __init__(self):
            self.seat = self.add(Seat(None, on_vacant=lambda occupant, failure: None, like=[echo()]))
            self.holder = self.seat.inbox.hold()

    early = []

    @component
    async def adds(inbox, outbox):
        await sleep(0.5)
        me = current_component()
        me.add(stay().named("fresh"))
        early.append(me.system.snapshot())
        await asyncio.Event().wait()

    numbers = (Interval(1) | doubled().named("generator") | Null()).named("numbers")
    shot = shot_of(full(), numbers, Vacant().named("empty"), adds().named("adds"))
    assert {one.path: one.state for one in shot.components} == {
        "row": "holding",
        "row/Source": "sending",
        "row/slow": "sleeping",
        "row/echo": "receiving",
        "row/Null": "receiving",
        "numbers": "holding",
        "numbers/Interval": "sleeping",
        "numbers/generator": "receiving",
        "numbers/Null": "receiving",
        "empty": "holding",
        "empty/Seat": "vacant",
        "adds": "awaiting",
        "look": "running",
    }
    assert shot["numbers/generator"].body == "generator"
    assert early[0]["adds/fresh"].state == "ready"


def test_a_component_that_has_yet_to_begin_is_new():
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        system = System(runner.get_loop(), seed=7)
        system.start(pipeline())
        shot = take(system)
        assert {one.path: one.state for one in shot.components} == {
            "row": "new",
            "row/Interval": "new",
            "row/slow": "new",
            "row/Null": "new",
        }
        assert shot.watched is None
        assert shot["row/slow"].running is None
        assert shot.links[0].rate is None


def test_a_script_works_where_it_makes_no_box_call():
    at_work, done = threading.Event(), threading.Event()

    @component
    def works(inbox, outbox):
        next(iter(inbox))
        at_work.set()
        done.wait(30)

    with background((Source("ab", then="stay") | works()).named("row")) as handle:
        assert at_work.wait(30)
        deadline = time.monotonic() + 30
        while handle._system.snapshot()["row/works"].state != "working" and time.monotonic() < deadline:
            pass
        shot = handle._system.snapshot()
        assert (shot["row/works"].state, shot["row/works"].body) == ("working", "script")
        assert shot["row/works"].box("inbox").waiting == 1
        done.set()


def test_who_looks_at_a_tap_waits_for_a_message():
    start = send_all("a").named("start")

    @component
    async def watch(inbox, outbox):
        async for _ in tap(start.outbox):
            pass

    shot = shot_of(start, watch())
    assert (shot["watch"].state, shot["watch"].waits_at) == ("receiving", ())


def test_a_step_that_is_being_taken_is_that_of_who_runs():
    shot = shot_of(pipeline())
    assert [one.path for one in shot.components if one.state == "running"] == ["look"]


# -- outsiders ----------------------------------------------------------------------------------------------


def test_a_hold_from_outside_is_a_link():
    class Held(Component):
        inbox = Inbox("from outside")
        outbox = None

        def __init__(self):
            self.outside = self.inbox.hold(outside=True)

        async def main(self):
            async for _ in self.inbox:
                pass

    held = Held()

    @component
    async def feed(inbox, outbox):
        await sleep(1)
        await held.outside.send("hello")

    assert lines(shot_of(held, feed()))[:3] == [
        "Held, receiving, at Held.inbox",
        "  .inbox open, 1 passed, 0/100 messages, peak 1, linked",
        "Held.inbox (from outside) >> Held.inbox, 1 passed, 0/100, outside",
    ]


def test_connections_of_a_server_are_in_a_snapshot():
    network = Network()
    kept = []

    @component
    async def watch(inbox, outbox):
        await sleep(2)
        kept.append(current_component().system.snapshot())

    network.host("server").run(TCPServer(Echo(), port=7))
    network.hosts["server"].run(watch())
    for number in (1, 2):
        client = network.host(f"client-{number}")
        client.run(Source([b"hello"] * number, then="stay") | TCPClient("server", 7) | Collect())
        network.link("server", client, delay="10 ms")
    network.simulate(seconds=3, seed=1)
    (shot,) = kept
    assert lines(shot) == [
        "TCPServer, receiving, at TCPServer.accepted",
        "  .accepted open, 2 passed, 0/1001 messages, peak 2, linked",
        "  .listening ended, 0 passed, 1 discarded",
        "  .failures open, 0 passed",
        "TCPServer/client-1, receiving, at TCPServer/client-1.inbox",
        "  .inbox open, 1 passed, 0/262144 bytes, peak 5, linked",
        "  .outbox open, 1 passed, linked",
        "TCPServer/client-2, receiving, at TCPServer/client-2.inbox",
        "  .inbox open, 1 passed, 0/262144 bytes, peak 10, linked",
        "  .outbox open, 1 passed, linked",
        "watch, running",
        "  .inbox ended, 0 passed",
        "  .outbox open, 0 passed",
        "TCPServer.accepted (from outside) >> TCPServer.accepted, 2 passed, 0/1001, outside",
        "TCPServer/client-1.inbox (from outside) >> TCPServer/client-1.inbox, 1 passed, 0/262144, outside",
        "TCPServer/client-1.outbox >> TCPServer/client-1.outbox (to outside), 1 passed, 0/196608, outside",
        "TCPServer/client-2.inbox (from outside) >> TCPServer/client-2.inbox, 1 passed, 0/262144, outside",
        "TCPServer/client-2.outbox >> TCPServer/client-2.outbox (to outside), 1 passed, 0/196608, outside",
    ]


# -- times and rates ----------------------------------------------------------------------------------------


def test_rates_are_those_since_the_last_looks():
    shots = shots_of((Interval(0.1) | echo() | Null()).named("row"), at=(1.05, 1.15, 1.55, 3.55))
    assert [shot.links[0].rate for shot in shots] == [None, None, 10.0, 10.0]
    assert [shot["row/echo"].box("inbox").rate for shot in shots] == [None, None, 10.0, 10.0]
    assert [shot.links[0].passed for shot in shots] == [11, 12, 16, 36]


def test_times_are_those_since_the_first_look():
    at = [round(0.25 * number, 2) for number in range(1, 41)]
    shots = shots_of(full(), at=at)
    last = shots[-1]
    assert last.watched == 9.75
    assert last["row/Source"].blocked == 9.75
    assert last["row/Source"].blocked_on == "row/slow"
    assert last["row/slow"].blocked == 0.0
    assert last["row/slow"].blocked_on is None
    assert [shot["row/Source"].blocked for shot in shots[:3]] == [0.0, 0.25, 0.5]


def test_a_snapshot_may_be_taken_from_any_thread():
    row = (Interval(0.001) | echo() | Null()).named("row")
    with background(row) as handle:
        deadline = time.monotonic() + 30
        seen = []
        while len(seen) < 50 or (not seen[-1].links[0].passed and time.monotonic() < deadline):
            seen.append(handle._system.snapshot())
    assert {shot["row/echo"].state for shot in seen} <= {"new", "ready", "running", "receiving", "sending"}
    counts = [shot.links[0].passed for shot in seen]
    assert counts == sorted(counts)
    assert counts[-1] > 0
    after = handle._system.snapshot()
    assert (after.state, after.components, after.links) == ("over", (), ())


# -- as JSON ------------------------------------------------------------------------------------------------


def every_shot():
    return [shot for make, _ in SYSTEMS.values() for shot in shots_of(make(), at=(0.5, 3.5))]


def test_a_snapshot_comes_back_from_json_as_it_was():
    for shot in every_shot():
        stuck = dataclasses.replace(shot, stuck=StuckSnapshot("a/b", 1.5, "x.py:7"))
        for one in (shot, stuck):
            assert Snapshot.from_json(one.to_json()) == one
            assert Snapshot.from_json(one.to_json().encode()) == one
            assert from_dict(Snapshot, one.as_dict()) == one
            assert json.loads(one.to_json()) == one.as_dict()


def test_every_snapshot_is_what_the_schema_says():
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    judge = jsonschema.Draft202012Validator(made)
    for shot in every_shot():
        judge.validate(shot.as_dict())
        judge.validate(dataclasses.replace(shot, stuck=StuckSnapshot("a/b", 1.5, "x.py:7")).as_dict())


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda shot: shot.pop("links"), "the snapshot has no 'links'"),
        (lambda shot: shot.update(links={}), "the snapshot: links: {} is no list"),
        (lambda shot: shot.update(time="now"), "the snapshot: time: 'now' is no float"),
        (lambda shot: shot.update(pid=True), "the snapshot: pid: True is no int"),
        (lambda shot: shot.update(name=None), "the snapshot: name: None is no str"),
        (
            lambda shot: shot["components"][1]["boxes"][0].update(passed=1.5),
            "the snapshot: components[1]: boxes[0]: passed: 1.5 is no int",
        ),
        (
            lambda shot: shot["links"].append(7),
            "the snapshot: links[2]: int stands where there should be an object",
        ),
        (
            lambda shot: shot["components"][0]["waits_at"].append(7),
            "the snapshot: components[0]: waits_at[0]: 7 is no str",
        ),
        (
            lambda shot: shot.update(stuck=[]),
            "the snapshot: stuck: list stands where there should be an object",
        ),
        (lambda shot: shot.update(version=2), "the snapshot is of version 2, and this Kamaelia reads 1"),
        (lambda shot: shot.pop("version"), "the snapshot has no 'version'"),
    ],
)
def test_what_is_no_snapshot_is_refused_with_a_sentence_and_by_the_schema(change, where):
    values = json.loads(shot_of(pipeline()).to_json())
    change(values)
    with pytest.raises(ValueError, match="snapshot") as caught:
        Snapshot.from_json(json.dumps(values))
    assert str(caught.value) == where
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, schema())


@pytest.mark.parametrize("text", ["", "7", "[]", "null", "{", '{"version": 1}', "[" * 100_000])
def test_other_json_is_refused(text):
    with pytest.raises(ValueError):
        Snapshot.from_json(text)


def test_names_that_are_not_known_yet_are_passed_over():
    shot = shot_of(pipeline())
    values = shot.as_dict()
    values["new"] = 1
    values["components"][0]["new"] = [2]
    assert from_dict(Snapshot, values) == shot


# -- how long it takes --------------------------------------------------------------------------------------


@pytest.mark.once
def test_a_snapshot_of_a_thousand_components_is_taken_in_a_twentieth_of_a_second():
    def group():
        first, second, third, end = Interval(1), echo(), echo(), Null()
        return Graphline(
            first.outbox >> [second.inbox, third.inbox, end.inbox],
            second.outbox >> [third.inbox, end.inbox],
            third.outbox >> end.inbox,
        )

    @component
    async def measure(inbox, outbox):
        system = current_component().system
        took = []
        for _ in range(5):
            await sleep(1)
            before = time.thread_time()
            shot = system.snapshot()
            took.append(time.thread_time() - before)
        system.cancel()
        return min(took), len(shot.components), len(shot.links)

    took, components, links = virtually(*[group() for _ in range(250)], measure())[-1]
    assert (components, links) == (1251, 1500)
    assert took < 0.05
