"""Frames: what is new to whom. All in virtual time, on the system's own thread, so each value is exact."""

from __future__ import annotations

import json
import random

from kamaelia import Component, Pipeline, component, run, sleep
from kamaelia.axon import current_component, postman
from kamaelia.axon.clock import VirtualLoop
from kamaelia.chassis import Supervisor
from kamaelia.observe.inspection.frames import EVENTS_A_FRAME, REMEMBERED, Ledger
from kamaelia.observe.inspection.mirror import Mirror
from kamaelia.observe.watch import Watch

from .world import copy, drain, ticks


def look_from(script, *parts):
    """Run a script in a system in virtual time; it is given the ledger."""

    @component
    async def looker(inbox, outbox):
        watch = Watch(current_component().system)
        try:
            return await script(Ledger(watch), watch)
        finally:
            watch.close()
            current_component().system.cancel()

    try:
        run(looker().named("looker"), *parts, loop_factory=VirtualLoop, seed=1)
    except Exception as error:
        assert "cancelled" in str(error), error


def read(ledger, seen):
    return json.loads(b"{" + ledger.since(seen))


def test_the_first_frame_tells_everything():
    async def script(ledger, watch):
        await sleep(1.05)
        watch.look()
        ledger.advance()
        frame = read(ledger, 0)
        assert frame["time"] == 1.05
        assert [one["path"] for one in frame["components"]] == ["looker", "line", "line/ticks", "line/drain"]
        n = {one["path"]: one["n"] for one in frame["components"]}
        line = frame["components"][1]
        assert line == {
            "n": n["line"],
            "path": "line",
            "parent": None,
            "type": "kamaelia.axon.graph.Pipeline",
            "body": "none",
            "boxes": [["outbox", "out", "Any", True]],
        }
        assert frame["components"][3]["parent"] == n["line"]
        links = {(one["from"][0], one["to"][0]): one for one in frame["links"]}
        link = links[n["line/ticks"], n["line/drain"]]
        assert link == {
            "n": link["n"],
            "from": [n["line/ticks"], "outbox"],
            "to": [n["line/drain"], "inbox"],
            "when_full": "wait",
            "feedback": False,
            "outside": False,
        }
        assert frame["c"][str(n["line/ticks"])][0] == "sleeping"
        assert frame["c"][str(n["line/drain"])][0] == "receiving"
        assert frame["l"][str(link["n"])] == [11, None, 0, 100, 0, True]
        assert frame["stuck"] is None

    look_from(script, Pipeline(ticks(0.1), drain()).named("line"))


def test_later_frames_tell_what_has_changed():
    async def script(ledger, watch):
        await sleep(0.05)
        ledger.advance()
        mirror = Mirror()
        assert mirror.apply(read(ledger, 0)) is True
        await sleep(0.25)
        ledger.advance()
        frame = read(ledger, 1)
        assert set(frame) == {"time", "c", "l", "stuck"}
        assert mirror.apply(frame) is False
        still = mirror.at("still/drain")
        moving = mirror.at("line/drain")
        assert str(moving.n) in frame["c"] and str(still.n) not in frame["c"]
        assert (moving.ins[0].passed, still.ins[0].passed) == (3, 1)
        await sleep(0.75)
        ledger.advance()
        mirror.apply(read(ledger, 2))
        assert moving.ins[0].rate == 10
        assert moving.rate_in == 10 and mirror.at("line/ticks").rate_out == 10
        await sleep(0.5)
        ledger.advance()
        mirror.apply(read(ledger, 3))
        assert still.ins[0].rate == 0

    look_from(
        script, Pipeline(ticks(0.1), drain()).named("line"), Pipeline(ticks(1e6), drain()).named("still")
    )


def test_who_has_missed_frames_is_told_all_that_is_new_since():
    async def script(ledger, watch):
        ledger.advance()
        quick, slow = Mirror(), Mirror()
        quick.apply(read(ledger, 0))
        slow.apply(read(ledger, 0))
        for number in range(1, 6):
            await sleep(0.1)
            ledger.advance()
            quick.apply(read(ledger, number))
        slow.apply(read(ledger, 1))
        assert slow.parts == quick.parts and slow.wires == quick.wires

    look_from(script, Pipeline(ticks(0.03), copy(), drain()))


def test_the_same_bytes_are_for_all_who_have_seen_the_same():
    async def script(ledger, watch):
        ledger.advance()
        await sleep(1)
        ledger.advance()
        assert ledger.since(1) is ledger.since(1)
        assert ledger.since(0) is ledger.since(0)
        assert ledger.since(1) != ledger.since(0)

    look_from(script, Pipeline(ticks(0.1), drain()))


class Yard(Component):
    """Has parts that come and go."""

    inbox = None
    outbox = None

    def put(self, number):
        """Add a pipeline, linked inside."""
        parts = [copy() for _ in range(number)]
        return self.add(Pipeline(ticks(0.01), *parts, drain()).named(f"line{number}"))

    async def main(self):
        await sleep(1e6)


def test_mirrors_are_right_however_parts_come_and_go_and_frames_are_missed():
    yard = Yard()

    async def script(ledger, watch):
        chance = random.Random(7)
        mirrors = [(Mirror(), pace) for pace in (1, 2, 5, 17)]
        seen = [0] * len(mirrors)
        lines = []
        await sleep(0.01)
        for turn in range(60):
            for _ in range(chance.randrange(3)):
                if lines and chance.random() < 0.5:
                    lines.pop(chance.randrange(len(lines))).cancel()
                else:
                    lines.append(yard.put(chance.randrange(4)))
            await sleep(0.05)
            watch.look()
            ledger.advance()
            whole = Mirror()
            whole.apply(read(ledger, 0))
            for index, (mirror, pace) in enumerate(mirrors):
                if turn % pace == 0:
                    mirror.apply(read(ledger, seen[index]))
                    seen[index] = ledger.number
                    assert mirror.parts.keys() == whole.parts.keys()
                    assert mirror.parts == whole.parts
                    assert mirror.wires == whole.wires
        assert len(whole.parts) >= 10

    look_from(script, yard)


def test_who_takes_the_place_of_another_has_a_new_number_and_names_the_old_one():
    yard = Yard()

    async def script(ledger, watch):
        await sleep(0.5)
        line = yard.put(0)
        await sleep(0.5)
        ledger.advance()
        mirror = Mirror()
        mirror.apply(read(ledger, 0))
        old = {part.path: part.n for part in mirror.parts.values()}
        line.cancel()
        await sleep(0.5)
        yard.put(0)
        await sleep(0.5)
        ledger.advance()
        frame = read(ledger, 1)
        paths = ["Yard/line0", "Yard/line0/ticks", "Yard/line0/drain"]
        added = frame["added"]["components"]
        assert [(one["path"], one["after"]) for one in added] == [(path, old[path]) for path in paths]
        assert frame["removed"]["components"] == [old[path] for path in paths]
        assert min(one["n"] for one in added) > max(old.values())

    look_from(script, yard)


def test_failures_and_restarts_are_counted_where_they_happen():
    @component
    async def fails(inbox, outbox):
        await sleep(1)
        raise ValueError("no")

    async def script(ledger, watch):
        await sleep(0.5)
        ledger.advance()
        watch.look()
        mirror = Mirror()
        await sleep(1)
        watch.look()
        ledger.advance()
        mirror.apply(read(ledger, 0))
        supervisor = mirror.at("Supervisor")
        assert (supervisor.restarts, supervisor.failures) == (1, 1)
        happened = [(event[2], event[3]) for event in mirror.events]
        assert ("failed", "Supervisor/fails/life-1") in happened
        assert ("started", "Supervisor/fails/life-2") in happened
        assert any(event[4].startswith("ValueError: no") for event in mirror.events)

    look_from(script, Supervisor(fails()))


def test_a_box_that_comes_later_is_told():
    class Grows(Component):
        async def main(self):
            await sleep(1e6)

    grows = Grows()

    async def script(ledger, watch):
        await sleep(0.01)
        ledger.advance()
        mirror = Mirror()
        mirror.apply(read(ledger, 0))
        from kamaelia import Inbox

        box = grows.add_box("more", Inbox("more", held=True))
        postman.link(current_component().outbox, box)
        ledger.advance()
        mirror.apply(read(ledger, 1))
        assert [box[0] for box in mirror.at("Grows").boxes] == ["inbox", "outbox", "more"]
        assert [wire.target[1] for wire in mirror.at("Grows").ins] == ["more"]

    look_from(script, grows)


def test_who_has_missed_too_much_is_told_everything_again():
    async def script(ledger, watch):
        ledger.advance()
        for _ in range(REMEMBERED):
            ledger.advance()
        assert "components" not in read(ledger, 2)
        ledger.advance()
        ledger.advance()
        assert "components" in read(ledger, 1)

    look_from(script, Pipeline(ticks(0.1), drain()))


def test_a_frame_has_so_many_events_and_counts_the_others():
    yard = Yard()

    async def script(ledger, watch):
        await sleep(0.01)
        ledger.advance()
        for _ in range(30):
            yard.put(1)
        await sleep(0.01)
        ledger.advance()
        frame = read(ledger, 1)
        assert len(frame["events"]) == EVENTS_A_FRAME
        assert frame["events_left_out"] == 120 - EVENTS_A_FRAME
        assert frame["events"][-1][0] == watch.events[-1].number
        assert "events" not in read(ledger, 2)

    look_from(script, yard)


def test_a_diagnosis_is_told_when_it_has_changed():
    from kamaelia.observe.diagnosis import Diagnosis

    async def script(ledger, watch):
        ledger.advance()
        one = Diagnosis("none", "nobody", None, None, (), ())
        ledger.note(one)
        ledger.advance()
        assert read(ledger, 1)["diagnosis"]["sentence"] == "nobody"
        ledger.note(Diagnosis("none", "nobody", None, None, (), ()))
        ledger.advance()
        assert "diagnosis" not in read(ledger, 2)
        assert "diagnosis" in read(ledger, 0)

    look_from(script)


def test_after_a_pause_rates_begin_anew():
    async def script(ledger, watch):
        for _ in range(5):
            ledger.advance()
            await sleep(0.5)
        mirror = Mirror()
        mirror.apply(read(ledger, 0))
        assert mirror.at("Pipeline/drain").ins[0].rate == 10
        await sleep(100)
        watch.resume()
        ledger.resume()
        watch.look()
        ledger.advance()
        mirror.apply(read(ledger, 0))
        assert mirror.at("Pipeline/drain").ins[0].rate is None or mirror.at("Pipeline/drain").ins[0].rate == 0
        assert watch.watched < 5
        await sleep(0.5)
        ledger.advance()
        mirror.apply(read(ledger, 0))
        assert mirror.at("Pipeline/drain").ins[0].rate == 10

    look_from(script, Pipeline(ticks(0.1), drain()))


def test_in_virtual_time_how_much_one_runs_is_its_share_of_the_computing(monkeypatch):
    real = [1000.0]
    monkeypatch.setattr("kamaelia.observe.watch.monotonic", lambda: real[0])

    async def script(ledger, watch):
        for _ in range(12):  # all in this very step
            real[0] += 0.02
            watch.sample()
        ledger.advance()
        await sleep(3600)
        watch.look()
        ledger.advance()
        mirror = Mirror()
        mirror.apply(read(ledger, 0))
        assert [(one.path, one.running) for one in mirror.parts.values()] == [("looker", 1.0)]
        (shot, *_) = watch.snapshot().components
        assert (shot.path, shot.running, shot.blocked) == ("looker", None, 0.0)

    look_from(script)
