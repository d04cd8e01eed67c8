"""Rules 1 to 11 of the contract: boxes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, Pipeline, component, run, select, sleep
from kamaelia.axon import (
    BrokenLink,
    ClosedBox,
    ComponentsFailed,
    EndOfMessages,
    Link,
    LinkError,
    SourceFailed,
    VirtualLoop,
    WouldBlock,
    postman,
)

from .parts import Held, Stop, after, collect, copy, fail_at, later, source, stay, take, virtually

# -- rule 1: open and ended ---------------------------------------------------------------------------


def test_rule_01_an_inbox_ends_when_its_last_source_has_after_what_is_queued():
    first, second, end = source("ab"), source("cd"), collect()
    virtually(Graphline(first.outbox >> end.inbox, second.outbox >> end.inbox))
    assert sorted(end._axon.result) == ["a", "b", "c", "d"]


def test_rule_01_a_hold_from_outside_keeps_an_inbox_open_and_puts_messages_in():
    end = collect()
    hold = end.inbox.hold(outside=True)

    class Outside(Component):
        async def main(self):
            loop = asyncio.get_running_loop()
            loop.call_later(1, hold.send, "from a callback")
            loop.call_later(2, hold.release)

    assert virtually(end, Outside())[0] == ["from a callback"]


def test_rule_01_the_last_of_several_holds_ends_the_inbox():
    end = collect()
    holds = [end.inbox.hold(outside=True) for _ in range(3)]
    ended = []

    class Release(Component):
        async def main(self):
            for hold in holds:
                await sleep(1)
                ended.append(end.inbox.ended)
                hold.release()
                hold.release()  # twice is harmless

    virtually(end, Release())
    assert ended == [False, False, False]
    assert end.inbox.ended


# -- rule 2: from the start ---------------------------------------------------------------------------


def test_rule_02_an_inbox_with_no_source_has_ended_from_the_start():
    assert virtually(collect()) == []


def test_rule_02_a_child_may_be_linked_in_the_step_in_which_it_was_added():
    class Parent(Component):
        async def main(self):
            child = self.add(collect())
            self.link(self.outbox_inside, child.inbox)
            await self.outbox_inside.send("in time")
            self.child = child

        outbox_inside = Outbox[str]("to the child")

    parent = Parent()
    virtually(parent)
    assert parent.child._axon.result == ["in time"]


def test_rule_02_a_held_inbox_waits_for_a_later_link_and_release_gives_it_up():
    held = Held()

    class Later(Component):
        async def main(self):
            await sleep(1)
            late = source(["late"])
            self.add(late)
            self.link(late.outbox, held.inbox)
            await sleep(1)
            held.inbox.release()
            held.inbox.release()

    assert virtually(held | collect(), Later())[0] == ["late"]


def test_rule_02_linking_to_an_ended_inbox_is_an_error():
    waiting = stay()

    class Late(Component):
        async def main(self):
            await sleep(1)
            self.link(self.outbox, waiting.inbox)

    with pytest.raises(ComponentsFailed) as failed:
        virtually(waiting, Late())
    (error,) = failed.value.exceptions
    assert isinstance(error, LinkError)
    assert str(error) == (
        "Late.outbox (Any) cannot be linked to stay.inbox (Any): stay.inbox has ended, and an end is final. "
        "An inbox that is to be linked later is declared with Inbox(held=True)"
    )


def test_rule_02_unlinking_the_last_source_is_an_end_and_relinking_is_not():
    seen: list[Any] = []

    class Switch(Component):
        async def main(self):
            end = self.add(collect(into=seen))
            first, second = self.add(stay()), self.add(after(2, "second"))
            wire = self.link(first.outbox, end.inbox)
            await sleep(1)
            wire = postman.relink(wire, source=second.outbox)
            await sleep(2)
            seen.append(("ended", end.inbox.ended))
            third = self.add(stay())
            seen.append(("third fed", bool(third.inbox.incoming)))
            first.cancel()
            third.cancel()

    virtually(Switch())
    assert seen == ["second", ("ended", True), ("third fed", False)]


# -- rule 3: failing is not ending --------------------------------------------------------------------


def test_rule_03_readers_get_what_was_sent_before_and_then_the_first_failure():
    seen: list[Any] = []

    @component
    async def reader(inbox, outbox):
        try:
            async for message in inbox:
                seen.append(message)
        except SourceFailed as error:
            seen.append((type(error.__cause__), str(error.__cause__)))
            raise

    with pytest.raises(ComponentsFailed) as failed:
        virtually(source(range(5)) | fail_at(3) | copy | reader)
    assert seen == [0, 1, 2, (ValueError, "cannot stand 3")]
    assert [str(error) for error in failed.value.exceptions] == ["cannot stand 3"]


def test_rule_03_an_atomic_writer_three_stages_behind_a_crash_commits_nothing(tmp_path):
    @component
    async def write_atomically(inbox, outbox, path):
        temporary = path.with_suffix(".part")
        try:
            with temporary.open("w") as file:
                async for message in inbox:
                    file.write(f"{message}\n")
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)

    with pytest.raises(ComponentsFailed) as failed:
        virtually(source(range(10)) | fail_at(7) | copy | copy | write_atomically(tmp_path / "result"))
    assert list(tmp_path.iterdir()) == []
    assert len(failed.value.exceptions) == 1
    assert failed.value.exceptions[0].__notes__ == ["in Pipeline/fail_at"]


def test_rule_03_an_inbox_with_several_sources_goes_on_with_the_others_and_fails_at_the_end():
    seen: list[Any] = []

    class Isolating(Component):
        async def main(self):
            bad = self.add(fail_at(None), isolated=True)
            good = self.add(source([1, 2]))
            reader = self.add(collect(into=seen))
            start = self.add(source([None]))
            self.link(start.outbox, bad.inbox)
            self.link(bad.outbox, reader.inbox)
            self.link(good.outbox, reader.inbox)
            self.reader = reader

    parent = Isolating()
    virtually(parent)
    assert seen == [1, 2]
    assert parent.reader._axon.outcome == "broken"


def test_rule_03_while_an_inbox_is_held_a_failed_source_counts_as_one_that_ended():
    class Isolating(Component):
        async def main(self):
            bad = self.add(fail_at(1), isolated=True)
            start = self.add(source([0, 1]))
            held = self.add(Held())
            reader = self.add(collect())
            self.link(start.outbox, bad.inbox)
            self.link(bad.outbox, held.inbox)
            self.link(held.outbox, reader.inbox)
            await sleep(1)
            held.inbox.release()
            self.reader = reader

    parent = Isolating()
    virtually(parent)
    assert parent.reader._axon.result == [0]
    assert parent.reader._axon.outcome == "ended"


# -- rule 4: nobody listens ---------------------------------------------------------------------------


def test_rule_04_send_raises_when_every_reader_has_gone():
    seen: list[str] = []

    @component
    async def sender(inbox, outbox):
        await outbox.send(1)
        await asyncio.sleep(1)  # not a wait of ours: it is not interrupted
        seen.append("still here")
        try:
            await outbox.send(2)
        except BrokenLink as error:
            seen.append(str(error))
            raise

    assert virtually(sender | take(1)) == [1]
    assert seen == [
        "still here",
        "Pipeline/sender.outbox: every reader has gone, so nobody would see what is sent",
    ]


def test_rule_04_a_source_that_sleeps_ends_at_once_when_its_reader_goes():
    times: list[float] = []

    @component
    async def hourly(inbox, outbox):
        try:
            while True:
                await outbox.send("tick")
                await sleep(3600)
        finally:
            times.append(asyncio.get_running_loop().time())

    assert virtually(hourly | take(1)) == ["tick"]
    assert times == [0.0]


def test_rule_04_messages_already_there_are_still_received():
    seen: list[Any] = []

    class Reader(Component):
        async def main(self):
            await asyncio.sleep(1)  # the reader of our outbox goes meanwhile
            try:
                while True:
                    seen.append(await self.inbox.receive())
            except BrokenLink:
                seen.append("broken")
                raise

    held = Reader()
    held.inbox.hold()
    virtually(source([1, 2, 3]) | held | take(0))
    assert seen == [1, 2, 3, "broken"]


def test_rule_04_it_is_raised_once():
    seen: list[str] = []

    @component
    async def stubborn(inbox, outbox):
        try:
            await sleep(10)
        except BrokenLink:
            seen.append("broken")
        await sleep(5)
        seen.append("slept")

    virtually(stubborn | take(0))
    assert seen == ["broken", "slept"]


def test_rule_04_it_is_raised_once_also_when_the_chassis_around_the_reader_ends_later():
    @component
    async def hardened(inbox, outbox):
        await outbox.send("hello")
        for _ in range(2):
            try:
                await sleep(20)
            except BrokenLink:
                times.append(asyncio.get_running_loop().time())
        times.append(asyncio.get_running_loop().time())

    times: list[float] = []
    reader = take(1)
    virtually(hardened | Graphline("self.inbox" >> reader.inbox, after(10)))
    assert times == [0.0, 20.0]


@pytest.mark.parametrize("wait", ["room", "message"])
def test_rule_04_who_could_not_be_told_is_told_by_its_next_wait_and_nobody_else(wait):
    """A wait of asyncio's is not disturbed."""
    log: list[str] = []

    class Idle(Component):
        inbox = Inbox[int]("numbers", size=1)

        async def main(self):
            await sleep(10)

    class Busy(Component):
        log = Outbox[int]("progress", optional=True)

        async def main(self):
            await asyncio.sleep(2)
            try:
                await (self.log.send(1) if wait == "room" else self.inbox.receive())
            except BrokenLink:
                log.append("told")

    @component
    async def other(inbox, outbox):
        await asyncio.sleep(2)
        for _ in range(3):
            log.append("other")
            await sleep(0)

    busy, gone, idle, silent = Busy(), take(0), Idle(), after(10)
    virtually(
        Graphline(busy.outbox >> gone.inbox, busy.log >> idle.inbox, silent.outbox >> busy.inbox, other())
    )
    assert log == ["other", "told", "other", "other"]


def test_rule_04_one_reader_of_any_required_outbox_is_enough():
    class Two(Component):
        second = Outbox[int]("more")

        async def main(self):
            await sleep(5)
            await self.second.send(2)

    two, gone, there = Two(), take(0), collect()
    virtually(Graphline(two.outbox >> gone.inbox, two.second >> there.inbox))
    assert there._axon.result == [2]


def test_rule_04_an_optional_outbox_never_breaks_and_counts():
    class Chatty(Component):
        outbox = Outbox[int]("progress", optional=True)

        async def main(self):
            for number in range(5):
                await self.outbox.send(number)
                await sleep(1)
            return self.outbox.statistics().discarded

    chatty = Chatty()
    virtually(chatty | take(2))
    assert chatty._axon.result == 3


def test_rule_04_readers_of_an_optional_outbox_come_and_go_behind_a_boundary_too():
    class Ticks(Component):
        outbox = Outbox[int]("seconds", optional=True)

        async def main(self):
            for number in range(5):
                await self.outbox.send(number)
                await sleep(1)

    ticks, first, second, end = Pipeline(Ticks()), take(2), Held(), collect()
    virtually(
        Graphline(ticks.outbox >> first.inbox),
        second | end,
        later(2.5, lambda: postman.link(ticks.outbox, second.inbox)),
    )
    assert (first._axon.result, end._axon.result) == ([0, 1], [3, 4])


def test_rule_04_a_visitor_who_leaves_a_silent_room_leaves_nothing_behind():
    silent = Held()  # waits for messages that never come
    virtually(silent | take(0))
    assert silent._axon.outcome == "ended"


# -- rule 5: unlinked outboxes; closing ---------------------------------------------------------------


def test_rule_05_an_unlinked_outbox_discards_and_counts_and_gives_others_a_turn():
    order: list[str] = []

    @component
    async def chatter(inbox, outbox, name):
        for _ in range(2):
            order.append(name)
            await outbox.send(name)
        return outbox.statistics().discarded

    assert virtually(chatter("a"), chatter("b")) == [2, 2]
    assert order == ["a", "b", "a", "b"]


def test_rule_05_run_says_when_results_went_nowhere(caplog):
    virtually(source(range(1000)) | copy)
    assert [record.getMessage() for record in caplog.records] == [
        "1000 messages from copy went nowhere: add | Collect()"
    ]


def test_rule_05_closing_does_early_what_the_end_does_and_twice_is_harmless():
    times: list[tuple[str, float]] = []

    @component
    async def early(inbox, outbox):
        await outbox.send("last")
        outbox.close()
        outbox.close()
        await sleep(5)
        with pytest.raises(ClosedBox, match="has been closed"):
            outbox.send("too late")

    @component
    async def reader(inbox, outbox):
        async for message in inbox:
            times.append((message, asyncio.get_running_loop().time()))
        times.append(("end", asyncio.get_running_loop().time()))

    virtually(early | reader)
    assert times == [("last", 0.0), ("end", 0.0)]


def test_rule_05_closing_an_inbox_tells_the_sender():
    @component
    async def reader(inbox, outbox):
        inbox.close()
        inbox.close()
        with pytest.raises(ClosedBox):
            await inbox.receive()
        await sleep(5)
        return asyncio.get_running_loop().time()

    log: list[str] = []
    assert virtually(stay(log) | reader) == 5.0
    assert log == ["BrokenLink"]


# -- rule 6: what escapes -----------------------------------------------------------------------------


def test_rule_06_the_end_of_its_own_boxes_is_a_normal_end_also_out_of_a_task_group():
    @component
    async def grouped(inbox, outbox):
        async with asyncio.TaskGroup() as group:
            group.create_task(forward(inbox, outbox))

    async def forward(inbox, outbox):
        while True:
            await outbox.send(await inbox.receive())

    assert virtually(source([1, 2]) | grouped | collect) == [1, 2]


def test_rule_06_a_cancellation_that_nobody_asked_for_is_a_failure():
    @component
    async def awaits_cancelled(inbox, outbox):
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, future.cancel)
        await future

    with pytest.raises(ComponentsFailed) as failed:
        virtually(awaits_cancelled())
    assert "nobody had asked for it" in str(failed.value.exceptions[0])


def test_rule_06_unread_messages_are_counted():
    reader = take(2)
    virtually(source(range(5)) | reader)
    assert reader.inbox.unread == 3


def test_rule_06_the_end_of_another_components_box_is_a_failure():
    other = collect()

    @component
    async def meddler(inbox, outbox):
        await sleep(1)
        raise EndOfMessages("of something else")

    with pytest.raises(ComponentsFailed):
        virtually(other, meddler())


# -- rule 7: receiving --------------------------------------------------------------------------------


def test_rule_07_timing_out_and_cancelling_never_lose_a_message():
    @component
    async def impatient(inbox, outbox):
        got, timeouts = [], 0
        while True:
            try:
                got.append(await inbox.receive(timeout=0.4))
            except TimeoutError:
                timeouts += 1
            except EndOfMessages:
                return got, timeouts

    @component
    async def slow(inbox, outbox):
        for number in range(5):
            await sleep(1)
            await outbox.send(number)

    assert virtually(slow | impatient) == ([0, 1, 2, 3, 4], 10)


def test_rule_07_a_message_given_to_a_reader_that_is_cancelled_goes_to_the_next():
    @component
    async def two_readers(inbox, outbox):
        got: list[Any] = []

        async def read(name):
            got.append((name, await inbox.receive()))

        first = asyncio.create_task(read("first"))
        second = asyncio.create_task(read("second"))
        await asyncio.sleep(1)
        # A message comes and is given to the first, which is cancelled before it resumes.
        hold.send("the message")
        first.cancel()
        await second
        hold.release()
        return got

    readers = two_readers()
    hold = readers.inbox.hold(outside=True)
    assert virtually(readers) == [("second", "the message")]


def test_rule_07_several_readers_are_served_in_order_of_asking():
    @component
    async def readers(inbox, outbox):
        got: list[Any] = []

        async def read(name):
            async for message in inbox:
                got.append((name, message))

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(read(name))
        return got

    assert virtually(source(range(7)) | readers) == list(zip("abcabca", range(7), strict=True))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_rule_07_two_readers_share_evenly(size):
    class Readers(Component):
        inbox = Inbox[int]("messages", size=size)

        async def main(self):
            counts = {"a": 0, "b": 0}
            worst = 0

            async def read(name):
                nonlocal worst
                async for _ in self.inbox:
                    counts[name] += 1
                    worst = max(worst, abs(counts["a"] - counts["b"]))

            async with asyncio.TaskGroup() as group:
                group.create_task(read("a"))
                group.create_task(read("b"))
            return counts, worst

    counts, worst = virtually(source(range(3000)) | Readers())
    assert counts == {"a": 1500, "b": 1500}
    assert worst <= 1


def test_rule_07_receive_nowait():
    @component
    async def reader(inbox, outbox):
        with pytest.raises(WouldBlock, match="no message just now"):
            inbox.receive_nowait()
        await sleep(1)
        got = [inbox.receive_nowait(), inbox.receive_nowait()]
        with pytest.raises(EndOfMessages):
            inbox.receive_nowait()
        return got

    @component
    async def later(inbox, outbox):
        await sleep(0.5)
        await outbox.send("x")
        await outbox.send("y")

    assert virtually(later | reader) == ["x", "y"]


# -- rule 8: select -----------------------------------------------------------------------------------


class Both(Component):
    """Records what `select` gives."""

    other = Inbox[Any]("a second inbox")

    def __init__(self, until: bool = False, wait: float = 0) -> None:
        self.until, self.wait = until, wait

    async def main(self):
        got = []
        await asyncio.sleep(self.wait)
        chosen = select(self.inbox, self.other, until=self.inbox if self.until else None)
        try:
            async for box, message in chosen:
                got.append((box.name, message))
        except SourceFailed as error:
            got.append(("failed", str(error.__cause__)))
            async for box, message in chosen:
                got.append((box.name, message))
        return got


def test_rule_08_listed_order_is_priority_and_ended_boxes_are_skipped():
    both, first, second = Both(wait=1), source([1, 2]), source("ab")
    virtually(Graphline(first.outbox >> both.inbox, second.outbox >> both.other))
    assert both._axon.result == [("inbox", 1), ("inbox", 2), ("other", "a"), ("other", "b")]


def test_rule_08_several_boxes_may_each_be_the_end_of_it():
    class Three(Component):
        other = Inbox[Any]("a second inbox")
        third = Inbox[Any]("a third one")

        async def main(self):
            got = []
            boxes = [self.inbox, self.other, self.third]
            async for box, message in select(*boxes, until=boxes[:2]):
                got.append((box.name, message))
            return got, self.system.loop.time()

    for times, end in (((1, 2, 3), 1), ((2, 1, 3), 1), ((2, 3, 1), 2)):
        three = Three()
        sources = [after(seconds, seconds) for seconds in times]
        boxes = (three.inbox, three.other, three.third)
        virtually(Graphline(*[one.outbox >> box for one, box in zip(sources, boxes, strict=True)]))
        got, when = three._axon.result
        assert (sorted(message for _, message in got), when) == (list(range(1, end + 1)), end)


def test_rule_08_it_takes_one_message_and_touches_no_other_box():
    class One(Component):
        other = Inbox[Any]("a second inbox")

        async def main(self):
            await asyncio.sleep(1)
            box, message = await select(self.inbox, self.other)
            return (
                box is self.inbox,
                message,
                self.inbox.statistics().waiting,
                self.other.statistics().waiting,
            )

    one, first, second = One(), source([1, 2]), source("ab")
    virtually(Graphline(first.outbox >> one.inbox, second.outbox >> one.other))
    assert one._axon.result == (True, 1, 1, 2)


def test_rule_08_until_ends_it_whatever_the_others_hold():
    both, first, second = Both(until=True), after(1, 1), after(5, "late")
    virtually(Graphline(first.outbox >> both.inbox, second.outbox >> both.other))
    assert both._axon.result == [("inbox", 1)]


def test_rule_08_a_failure_is_the_last_message_of_its_box_and_raised_once():
    class Parent(Component):
        async def main(self):
            both = self.add(Both(wait=1))
            bad, good = self.add(fail_at(2), isolated=True), self.add(source("ab"))
            start = self.add(source([1, 2]))
            self.link(start.outbox, bad.inbox)
            self.link(bad.outbox, both.inbox)
            self.link(good.outbox, both.other)
            self.both = both

    parent = Parent()
    virtually(parent)
    assert parent.both._axon.result == [
        ("inbox", 1),
        ("failed", "cannot stand 2"),
        ("other", "a"),
        ("other", "b"),
    ]


def test_rule_08_a_time_out_and_cancellation_lose_nothing():
    class Waiting(Component):
        other = Inbox[Any]("a second inbox")

        async def main(self):
            got: list[Any] = []
            while True:
                try:
                    box, message = await select(self.inbox, self.other, timeout=0.4)
                    got.append((box.name, message))
                except TimeoutError:
                    got.append("time-out")
                except EndOfMessages:
                    return got

    waiting, first, second = Waiting(), after(1, 1), after(0.5, 2)
    virtually(Graphline(first.outbox >> waiting.inbox, second.outbox >> waiting.other))
    assert waiting._axon.result == ["time-out", ("other", 2), "time-out", ("inbox", 1)]


def test_rule_08_all_three_bodies():
    class Generator(Component):
        other = Inbox[Any]("a second inbox")

        def main(self):
            got = []
            while True:
                try:
                    box, message = yield select(self.inbox, self.other)
                except EndOfMessages:
                    return got
                got.append((box.name, message))

    class Script(Component):
        other = Inbox[Any]("a second inbox")

        def main(self):
            box, message = select(self.inbox, self.other).receive()
            return [(box.name, message)] + [
                (box.name, message) for box, message in select(self.inbox, self.other)
            ]

    for kind in (Generator, Script):
        both, first, second = kind(), source([1]), after(1, 2)
        virtually(Graphline(first.outbox >> both.inbox, second.outbox >> both.other))
        assert both._axon.result == [("inbox", 1), ("other", 2)], kind


# -- rule 9: sending ----------------------------------------------------------------------------------


def test_rule_09_the_message_is_there_at_once_and_the_mark_is_a_hundred():
    class Sender(Component):
        async def main(self):
            levels = []
            for number in range(100):
                waiting = self.outbox.send(number)
                levels.append(self.reader.inbox.statistics().waiting)
            self.full = self.outbox.full
            await waiting
            levels.append(self.reader.inbox.statistics().waiting)
            return levels

    sender, reader = Sender(), collect()
    sender.reader = reader
    virtually(sender | reader)
    assert sender._axon.result[:100] == list(range(1, 101))
    assert sender.full
    assert sender._axon.result[100] == 0  # freed at half, and resumed when the reader's step was over


def test_rule_09_bytes_are_counted_when_the_size_is_in_bytes():
    class Bytes(Component):
        inbox = Inbox[bytes]("chunks", size="10 B")

        async def main(self):
            await sleep(1)
            self.level = self.inbox.statistics().waiting
            return [chunk async for chunk in self.inbox]

    reader = Bytes()
    assert virtually(source([b"1234"] * 7) | reader) == [b"1234"] * 7
    assert reader.level == 12  # the chunk that reaches the mark is in


def test_rule_09_small_messages_cannot_fill_the_memory_where_bytes_are_counted():
    class Bytes(Component):
        inbox = Inbox[bytes]("chunks", size="256 KiB")

        async def main(self):
            await sleep(1)
            self.level = self.inbox.statistics()
            return [chunk async for chunk in self.inbox]

    reader = Bytes()
    assert virtually(source([b"1"] * 10_000) | reader) == [b"1"] * 10_000
    assert (reader.level.waiting, reader.level.peak) == (4096, 4096)  # bytes, and a message for each


def test_rule_09_a_sender_that_never_awaits_is_told_after_a_thousand_past_the_mark():
    @component
    async def careless(inbox, outbox):
        for number in range(10_000):
            try:
                outbox.send(number)
            except WouldBlock as error:
                return number, str(error)

    seen: list[int] = []
    sender = careless()
    virtually(sender | collect(into=seen))
    number, text = sender._axon.result
    assert number == 1100
    assert "write 'await' (in a generator 'yield') before send(...)" in text
    assert seen == list(range(1100))  # the refused one goes to no reader


def test_rule_09_awaiting_once_starts_the_count_again():
    @component
    async def lazy(inbox, outbox):
        for number in range(5000):
            waiting = outbox.send(number)
            if number % 900 == 899:
                await waiting

    assert virtually(lazy | collect) == list(range(5000))


def test_rule_09_ten_thousand_well_behaved_senders_into_one_inbox_are_well():
    end = collect()
    senders = [source([number]) for number in range(10_000)]
    virtually(Graphline(*[sender.outbox >> end.inbox for sender in senders]))
    assert end._axon.result == list(range(10_000))


def test_rule_09_send_nowait_refuses_at_the_mark():
    class Small(Component):
        inbox = Inbox[int]("a few", size=3)

        async def main(self):
            return [message async for message in self.inbox]

    @component
    async def sender(inbox, outbox):
        for number in range(3):
            outbox.send_nowait(number)
        with pytest.raises(WouldBlock, match="would have to wait"):
            outbox.send_nowait(3)

    assert virtually(sender | Small()) == [0, 1, 2]


def test_rule_09_a_sender_cancelled_after_it_was_freed_passes_its_room_on():
    class Small(Component):
        inbox = Inbox[str]("one at a time", size=1)

        async def main(self):
            await sleep(1)
            return [message async for message in self.inbox]

    @component
    async def sender(inbox, outbox):
        async def put(name, count):
            for number in range(count):
                await outbox.send(f"{name}{number}")

        first, second = asyncio.create_task(put("a", 3)), asyncio.create_task(put("b", 3))
        await asyncio.sleep(0.5)
        asyncio.get_running_loop().call_at(1.0, first.cancel)
        await asyncio.wait([first, second])

    got = virtually(sender | Small())
    assert [message for message in got if message[0] == "b"] == ["b0", "b1", "b2"]


# -- rule 10: one to many -----------------------------------------------------------------------------


def test_rule_10_delivered_to_all_at_once_and_paced_by_the_slowest():
    times: list[float] = []

    @component
    async def sender(inbox, outbox):
        for number in range(4):
            await outbox.send(number)
            times.append(asyncio.get_running_loop().time())

    class Slow(Component):
        inbox = Inbox[int]("one at a time", size=1)

        async def main(self):
            got = []
            async for message in self.inbox:
                await sleep(1)
                got.append(message)
            return got

    start, slow, fast = sender(), Slow(), collect()
    virtually(Graphline(start.outbox >> [slow.inbox, fast.inbox]))
    assert slow._axon.result == fast._axon.result == [0, 1, 2, 3]
    assert times == [0.0, 1.0, 2.0, 3.0]


def test_rule_10_a_reader_that_ends_drops_out():
    start, short, long = source(range(300)), take(2), collect()
    virtually(Graphline(start.outbox >> [short.inbox, long.inbox]))
    assert long._axon.result == list(range(300))


class OneByOne(Component):
    """Takes a message a second, with room for two."""

    inbox = Inbox[int]("a few", size=2)

    async def main(self):
        got = []
        await sleep(1)
        async for message in self.inbox:
            got.append(message)
            await sleep(1)
        return got


@pytest.mark.parametrize(("policy", "expected"), [("drop-oldest", [8, 9]), ("drop-newest", [0, 1])])
def test_rule_10_lossy_links_drop_and_count(policy, expected):
    start, end = source(range(10)), OneByOne()
    virtually(Graphline(Link(start.outbox, end.inbox, when_full=policy)))
    assert end._axon.result == expected
    assert start.outbox.statistics().dropped == 8


def test_rule_10_what_is_dropped_may_have_been_given_to_a_reader_already():
    class TwoReaders(Component):
        inbox = Inbox[int]("one", size=1)

        async def main(self):
            got = []

            async def read():
                async for number in self.inbox:
                    got.append(number)

            async with asyncio.TaskGroup() as group:
                group.create_task(read())
                group.create_task(read())
            return got

    @component
    async def burst(inbox, outbox):
        await sleep(1)
        for number in range(3):
            outbox.send(number)  # all in one step, while two readers wait

    start, end = burst(), TwoReaders()
    virtually(Graphline(Link(start.outbox, end.inbox, when_full="drop-oldest")))
    assert end._axon.result == [2]
    assert start.outbox.statistics().dropped == 2


def test_rule_10_drop_oldest_needs_the_inbox_to_itself():
    first, second, end = source("a"), source("b"), collect()
    with pytest.raises(LinkError, match="needs the inbox to itself"):
        Graphline(first.outbox >> end.inbox, Link(second.outbox, end.inbox, when_full="drop-oldest"))


def test_rule_10_debug_notices_a_message_that_was_changed_after_it_was_sent():
    @component
    async def reuses(inbox, outbox):
        buffer: list[int] = []
        for number in range(3):
            buffer.append(number)
            await outbox.send(buffer)

    with pytest.raises(ComponentsFailed) as failed:
        virtually(reuses | collect, debug=True)
    assert "was changed after it had been sent: it was [0] and is [0, 1, 2]" in str(
        failed.value.exceptions[0]
    )


# -- rule 11: turns -----------------------------------------------------------------------------------


def test_rule_11_send_never_runs_another_components_code():
    order: list[str] = []

    @component
    async def sender(inbox, outbox):
        for _ in range(2):
            order.append("before")
            waiting = outbox.send(1)
            order.append("after")
            await waiting

    @component
    async def reader(inbox, outbox):
        async for _ in inbox:
            order.append("reader")

    virtually(sender | reader)
    assert order == ["before", "after", "before", "after", "reader", "reader"]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_rule_11_three_producers_share_an_inbox_evenly(size):
    class Reader(Component):
        inbox = Inbox[str]("from all", size=size)

        async def main(self):
            counts = dict.fromkeys("abc", 0)
            worst = 0
            for _ in range(3000):
                counts[await self.inbox.receive()] += 1
                worst = max(worst, max(counts.values()) - min(counts.values()))
            return counts, worst

    @component
    async def endless(inbox, outbox, name):
        while True:
            await outbox.send(name)

    reader = Reader()
    virtually(Graphline(*[endless(name).outbox >> reader.inbox for name in "abc"]))
    counts, worst = reader._axon.result
    assert counts == {"a": 1000, "b": 1000, "c": 1000}
    assert worst <= 1


def test_rule_11_the_same_inputs_give_the_same_steps():
    def trace():
        events: list[Any] = []

        @component
        async def noted(inbox, outbox, name):
            async for message in inbox:
                events.append((name, message))
                await outbox.send(message)

        start, a, b, end = source(range(250)), noted("a"), noted("b"), collect()
        steps = virtually(
            Graphline(start.outbox >> [a.inbox, b.inbox], a.outbox >> end.inbox, b.outbox >> end.inbox)
        )
        return events, end._axon.result, steps

    assert trace() == trace()


def test_rule_11_a_busy_pair_does_not_starve_the_loop():
    @component
    async def ping(inbox, outbox):
        while True:
            await outbox.send(await inbox.receive())

    @component
    async def start(inbox, outbox):
        await outbox.send("ball")
        async for message in inbox:
            await outbox.send(message)

    first, second = start(), ping()
    pair = Graphline(first.outbox >> second.inbox, Link(second.outbox, first.inbox, feedback=True))
    run(pair, Stop(0.05))  # in real time: the timer comes through although somebody is always ready
    assert (first._axon.outcome, second._axon.outcome) == ("ended", "ended")


def test_rule_11_a_component_that_feeds_itself_does_not_starve_others():
    class Loop(Component):
        async def main(self):
            await self.outbox.send(0)
            async for number in self.inbox:
                if number > 5000:
                    return "far enough"
                await self.outbox.send(number + 1)

    ticks: list[float] = []

    @component
    async def other(inbox, outbox):
        for _ in range(10):
            await asyncio.sleep(0)
            ticks.append(1)

    loop = Loop()
    virtually(Graphline(Link(loop.outbox, loop.inbox, feedback=True)), other())
    assert loop._axon.result == "far enough"
    assert len(ticks) == 10


def test_boxes_of_a_running_system_work_from_other_threads():
    @component
    async def uses_threads(inbox, outbox):
        def work():
            for message in iter(inbox.receive, "never"):
                outbox.send(message * 2)

        try:
            await asyncio.to_thread(work)
        except EndOfMessages:
            pass

    assert run(source([1, 2, 3]) | uses_threads | collect) == [2, 4, 6]
    assert threading.active_count() == 1


def test_a_loop_with_its_own_time_is_used():
    assert run(after(3600, "an hour") | collect, loop_factory=VirtualLoop) == ["an hour"]
