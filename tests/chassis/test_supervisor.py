"""`Supervisor`: what is started again, when, and what becomes of messages meanwhile (rules 14 and 28)."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, Pipeline, background, clock, component, sleep
from kamaelia.axon import (
    Cancelled,
    ComponentsFailed,
    Failure,
    LinkError,
    SourceFailed,
    UsageError,
    current_component,
    make,
)
from kamaelia.chassis import Backoff, Backplane, PublishTo, RestartsExceeded, SubscribeTo, Supervisor
from kamaelia.flow import Collect, Source
from kamaelia.testing import drive

from ..axon.parts import Stop, collect, copy, later, source, take, virtually

AT_ONCE = Backoff(first=0)
EXACT = Backoff(first=1, factor=2, maximum=5, jitter=0)


@component
async def worker(inbox, outbox, bad=(), log=None, extra=0.0):
    """Pass messages on; fail at a bad one."""
    if log is not None:
        log.append((clock(), "begins"))
    async for message in inbox:
        if message in bad:
            raise ValueError(f"cannot stand {message!r}")
        if extra:
            await sleep(extra)
        await outbox.send(message)


@component
def generator_worker(inbox, outbox, bad=()):
    while True:
        message = yield inbox.receive()
        if message in bad:
            raise ValueError(f"cannot stand {message!r}")
        yield outbox.send(message)


@component
def script_worker(inbox, outbox, bad=()):
    for message in inbox:
        if message in bad:
            raise ValueError(f"cannot stand {message!r}")
        outbox.send(message)


@component
async def every_second(inbox, outbox, items):
    """Send an item each second."""
    for item in items:
        await outbox.send(item)
        await sleep(1)


@component
async def at_times(inbox, outbox, times):
    """Send 'bad' at each of these times, and remain a little longer."""
    for when in times:
        await sleep(when - clock())
        await outbox.send("bad")
    await sleep(10)


class Chatty(Component):
    """Notes when it begins, what it gets, and how it ends; fails at a message that is named after it."""

    inbox = Inbox[Any]("messages")
    outbox = Outbox[Any]("the same, signed")

    def __init__(self, log: list[Any], name: str) -> None:
        self.log, self.label = log, name

    def note(self, what: str) -> None:
        self.log.append((clock(), f"{self.label} {what}"))

    async def main(self):
        self.note("begins")
        try:
            async for message in self.inbox:
                if message == f"kill {self.label}":
                    raise ValueError(message)
                self.note(f"got {message}")
                await self.outbox.send(message)
        except Cancelled:
            self.note("is cancelled")
            raise
        except ValueError:
            self.note("fails")
            raise
        self.note("ends")


# -- one member -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [worker, generator_worker, script_worker])
def test_rule_28_the_message_in_hand_is_not_given_again_and_all_others_arrive_in_order(body):
    supervisor = Supervisor(body(bad=(3, 7)), backoff=AT_ONCE)
    assert virtually(source(range(10)) | supervisor | collect()) == [0, 1, 2, 4, 5, 6, 8, 9]
    assert supervisor.statistics().restarts == 2


def test_rule_28_downstream_sees_no_end_in_between():
    class Reader(Component):
        async def main(self):
            while True:
                try:
                    got.append((await self.inbox.receive(), clock()))
                except Exception as error:
                    got.append((type(error).__name__, clock()))
                    return

    got: list[Any] = []
    virtually(source([1, "bad", 2]) | Supervisor(worker(bad=("bad",)), backoff=EXACT) | Reader())
    assert got == [(1, 0.0), (2, 1.0), ("EndOfMessages", 1.0)]


def test_rule_28_failures_go_to_the_failures_outbox_with_the_message():
    supervisor, told, end = Supervisor(worker(bad=(3, 4)), backoff=EXACT), Collect(), collect()
    virtually(
        Graphline(
            source(range(6)).outbox >> supervisor.inbox,
            supervisor.outbox >> end.inbox,
            supervisor.failures >> told.inbox,
        )
    )
    assert end.result() == [0, 1, 2, 5]
    assert [(one.path, str(one.error), one.message) for one in told.messages] == [
        ("Graphline/Supervisor/worker/life-1", "cannot stand 3", 3),
        ("Graphline/Supervisor/worker/life-2", "cannot stand 4", 4),
    ]
    assert all(isinstance(one, Failure) and one.component.done() for one in told.messages)
    assert supervisor.statistics().last_failure is told.messages[-1]


def test_rule_28_restarts_are_logged_in_one_line(caplog):
    caplog.set_level(logging.INFO, logger="kamaelia")
    virtually(source(range(5)) | Supervisor(worker(bad=(1, 4)), backoff=EXACT) | collect())
    first, last = [record.getMessage() for record in caplog.records]
    assert first.startswith(
        "Pipeline/Supervisor/worker/life-1 failed: ValueError: cannot stand 1 (test_supervisor.py:"
    )
    assert first.endswith(" in worker); it is started again in 1 s")
    assert last.endswith("it is not started again: nothing is left for it to do")


def test_rule_28_back_off_is_exact_and_grows_with_failures_in_a_row():
    log: list[Any] = []
    supervisor = Supervisor(worker(bad=("bad",), log=log), intensity=100, period=10, backoff=EXACT)
    virtually(at_times([0, 0, 0, 0, 30, 41, 42]) | supervisor | collect())
    # 1, 2, 4, and 5 seconds at most; after ten seconds of life it is the first second again
    assert [when for when, _ in log] == [0, 1, 3, 7, 12, 31, 42, 44]


def test_rule_28_jitter_comes_from_the_supervisors_own_random_stream():
    def starts(seed: int) -> list[float]:
        log: list[Any] = []
        supervisor = Supervisor(worker(bad=("bad",), log=log), backoff=Backoff(first=1, jitter=0.5))
        virtually(source(["bad"] * 3 + ["fine"]) | supervisor | collect(), seed=seed)
        return [when for when, _ in log]

    def expected(seed: int) -> list[float]:
        chance = random.Random(f"{seed}/Pipeline/Supervisor")
        times = [0.0]
        for delay in (1, 2, 4):
            times.append(times[-1] + delay * (1 - 0.5 * chance.random()))
        return times

    assert starts(7) == pytest.approx(expected(7), abs=3e-9)
    assert starts(7) == starts(7) != starts(8)


def test_rule_28_each_life_has_a_random_stream_of_its_own():
    from kamaelia import random as chance

    @component
    async def draws(inbox, outbox):
        await inbox.receive()
        drawn.append(chance.random())
        raise ValueError

    drawn: list[float] = []
    virtually(source(range(3)) | Supervisor(draws, backoff=AT_ONCE), seed=3)
    assert len(set(drawn)) == 3


def test_rule_14_senders_are_held_back_while_nobody_sits_there():
    class Small(Component):
        inbox = Inbox[Any]("a few", size=4)

        async def main(self):
            async for message in self.inbox:
                if message == 10:
                    raise ValueError(message)
                await self.outbox.send(message)

    sent: list[Any] = []
    supervisor = Supervisor(Small, backoff=EXACT)
    seen: list[Any] = []

    def look() -> None:
        seen.append((len(sent), supervisor.children[0].inbox.statistics().waiting))

    end = collect()
    virtually(source(range(100), sent) | supervisor | end, later(0.5, look))
    assert end.result() == [n for n in range(100) if n != 10]
    ((count, waiting),) = seen
    assert waiting <= 4
    assert count <= 15


class Chunks(Component):
    inbox = Inbox[bytes]("chunks", size="16 B")
    outbox = Outbox[bytes]("the same")

    async def main(self):
        async for chunk in self.inbox:
            if chunk.startswith(b"bad"):
                raise ValueError(chunk)
            await self.outbox.send(chunk)


@pytest.mark.parametrize("pattern", [Chunks, Chunks() | copy, lambda: Pipeline(Pipeline(Chunks()))])
def test_rule_14_bytes_wait_under_a_mark_in_bytes(pattern):
    chunks = [b"x" * (n % 7) + b"%d" % n for n in range(60)]
    for where in (50, 20, 3):
        chunks.insert(where, b"bad")
    supervisor, end, sent = Supervisor(pattern, backoff=EXACT, period=0.5), collect(), []
    levels: list[int] = []

    def look() -> None:
        levels.append(supervisor.children[0].inbox.statistics().waiting)

    virtually(source(chunks, sent) | supervisor | end, later(0.5, look))
    assert end.result() == [chunk for chunk in chunks if chunk != b"bad"]
    assert 8 < levels[0] < 32  # the sender waits until it is half of the mark
    assert supervisor.statistics().restarts == 3


def test_rule_28_a_member_that_somebody_cancels_is_started_again():
    log: list[Any] = []
    supervisor, told = Supervisor(worker(log=log, extra=1.0), backoff=EXACT), Collect()
    kill = later(2.5, lambda: supervisor.children[0].children[0].cancel())
    end = collect()
    virtually(
        Graphline(
            source(range(5)).outbox >> supervisor.inbox,
            supervisor.outbox >> end.inbox,
            supervisor.failures >> told.inbox,
            kill,
        )
    )
    assert end.result() == [0, 1, 3, 4]
    assert log == [(0.0, "begins"), (3.5, "begins")]
    ((failure,),) = [told.messages]
    assert (type(failure.error), failure.message) == (Cancelled, 2)


def test_rule_28_a_supervisor_returns_what_its_only_part_has_returned():
    @component
    async def sums(inbox, outbox):
        total = 0
        async for number in inbox:
            if number == 3:
                raise ValueError
            total += number
        return total

    assert virtually(source(range(6)) | Supervisor(sums, backoff=AT_ONCE)) == 9


def test_rule_28_a_source_is_started_again_until_nobody_listens():
    @component
    async def ticks(inbox, outbox):
        for _ in range(2):
            await outbox.send(clock())
            await sleep(1)
        raise ValueError("tired")

    assert virtually(Supervisor(ticks, backoff=EXACT) | take(4)) == [0.0, 1.0, 3.0, 4.0]


def test_rule_28_who_waits_for_its_restart_is_told_that_nobody_listens():
    @component
    async def fails(inbox, outbox):
        await outbox.send(1)
        raise ValueError

    supervisor = Supervisor(fails, backoff=Backoff(first=1000, maximum=1000))
    times: list[float] = []
    supervisor.add_done_callback(lambda _: times.append(supervisor.get_loop().time()))
    virtually(supervisor | (take(1) | later(5, lambda: None)))
    assert times == [0.0]


def test_rule_28_a_pattern_that_cannot_be_made_again_has_failed_once_more():
    class Picky(Component):
        def __init__(self) -> None:
            made.append(0)
            if len(made) in (2, 3):
                raise OSError("no room")

        async def main(self):
            async for message in self.inbox:
                if message == "bad":
                    raise ValueError(message)
                await self.outbox.send(message)

    made: list[int] = []
    supervisor = Supervisor(Picky, backoff=EXACT)
    assert virtually(source(["a", "bad", "b"]) | supervisor | collect()) == ["a", "b"]
    assert len(made) == 4
    assert (supervisor.statistics().failures, supervisor.statistics().restarts) == (3, 1)


# -- how often --------------------------------------------------------------------------------------


def times_of_failures(times: list[float], **options: Any) -> Any:
    return virtually(at_times(times) | Supervisor(worker(bad=("bad",)), backoff=AT_ONCE, **options))


def test_rule_28_as_many_restarts_as_the_intensity_are_allowed():
    times_of_failures([1, 2, 3], intensity=3, period=5)


def test_rule_28_one_more_fails_upward_with_the_history():
    with pytest.raises(ComponentsFailed) as failed:
        times_of_failures([1, 2, 3, 6.5, 7, 7.5, 8], intensity=3, period=5)
    (error,) = failed.value.exceptions
    assert isinstance(error, RestartsExceeded)
    assert str(error) == (
        "Pipeline/Supervisor: 4 restarts would have been needed within 5 s, and at most 3 are allowed:\n"
        "  2000-01-01 00:00:02.000 Pipeline/Supervisor/worker/life-2: ValueError: cannot stand 'bad'\n"
        "  2000-01-01 00:00:03.000 Pipeline/Supervisor/worker/life-3: ValueError: cannot stand 'bad'\n"
        "  2000-01-01 00:00:06.500 Pipeline/Supervisor/worker/life-4: ValueError: cannot stand 'bad'\n"
        "  2000-01-01 00:00:07.000 Pipeline/Supervisor/worker/life-5: ValueError: cannot stand 'bad'\n"
        "See to what fails, or allow more: Supervisor(..., intensity=3, period=5)"
    )
    assert error.__notes__ == ["in Pipeline/Supervisor"]
    assert str(error.__cause__) == "cannot stand 'bad'"
    assert "1 component(s) failed: Pipeline/Supervisor (seed" in str(failed.value)


@pytest.mark.parametrize(
    ("times", "period", "fails"),
    [([1, 6], 5, True), ([1, 6.125], 5, False), ([0.1, 0.4], 0.3, True)],  # 0.4 - 0.1 is a little more
)
def test_rule_28_the_period_ends_when_it_says(times, period, fails):
    if fails:
        with pytest.raises(ComponentsFailed):
            times_of_failures(times, intensity=1, period=period)
    else:
        times_of_failures(times, intensity=1, period=period)


def test_rule_28_no_restart_at_all():
    with pytest.raises(ComponentsFailed, match=r"Supervisor") as failed:
        times_of_failures([1], intensity=0)
    assert "1 restarts would have been needed within 5 s, and at most 0" in str(failed.value.exceptions[0])


def test_rule_03_giving_up_breaks_the_outboxes():
    got: list[Any] = []
    end = collect(got)
    with pytest.raises(ComponentsFailed):
        virtually(source([1, "bad", 2]) | Supervisor(worker(bad=("bad",)), intensity=0) | end)
    assert got == [1]
    assert end._axon.outcome == "broken"
    assert isinstance(end._axon.cause, (RestartsExceeded, ValueError))


def test_rule_03_giving_up_breaks_the_outboxes_of_members_that_wait_for_their_restart_too():
    got: list[Any] = []
    end = collect(got)
    supervisor = Supervisor(
        A=worker(bad=("bad",)),
        B=worker(bad=("bad",)),
        linkages={
            ("self", "a"): ("A", "inbox"),
            ("self", "b"): ("B", "inbox"),
            ("A", "outbox"): ("self", "outbox"),
        },
        intensity=1,
        backoff=Backoff(first=1000, maximum=1000),
    )
    with pytest.raises(ComponentsFailed):
        virtually(
            Graphline(
                at_times([1]).outbox >> supervisor.a,
                at_times([2]).outbox >> supervisor.b,
                supervisor.outbox >> end.inbox,
            )
        )
    assert isinstance(end._axon.cause, RestartsExceeded)
    assert end._axon.outcome == "broken"


# -- which members, and which ends ------------------------------------------------------------------


def permanent_trace(policy: str) -> tuple[list[Any], Any]:
    @component
    async def two(inbox, outbox):
        log.append(clock())
        await outbox.send((await inbox.receive(), await inbox.receive()))

    log: list[float] = []
    result = virtually(
        every_second(range(6)) | Supervisor(two, restart=policy, backoff=EXACT, period=1) | collect()
    )
    return log, result


def test_rule_28_a_normal_end_is_final():
    assert permanent_trace("transient") == ([0.0], [(0, 1)])


def test_rule_28_permanent_members_are_started_again_after_a_normal_end_while_there_is_work():
    log, result = permanent_trace("permanent")
    assert result == [(0, 1), (2, 3), (4, 5)]
    assert log[:3] == [0.0, 2.0, 4.0]


def test_rule_28_normal_ends_of_permanent_members_count():
    with pytest.raises(ComponentsFailed) as failed:
        virtually(Supervisor(source([1]), restart="permanent", backoff=AT_ONCE) | collect())
    text = str(failed.value.exceptions[0])
    assert "4 restarts would have been needed within 5 s, and at most 3 are allowed:" in text
    assert "\n  2000-01-01 00:00:00.000 Pipeline/Supervisor/source/life-4 has ended\n" in text


def test_rule_28_temporary_members_stay_away_and_their_outboxes_break():
    got: list[Any] = []
    end = collect(got)
    supervisor = Supervisor(worker(bad=(2,)), restart="temporary")
    virtually(source(range(5)) | supervisor | end)
    assert got == [0, 1]
    assert (end._axon.outcome, str(end._axon.cause)) == ("broken", "cannot stand 2")
    assert supervisor.statistics().members["worker"].last_failure.message == 2


def test_rule_28_policies_for_some_members():
    a, b, end = worker(bad=(1,)), worker(bad=(2,)), collect()
    supervisor = Supervisor(
        "self.inbox" >> a.inbox,
        a.outbox >> b.inbox,
        b.outbox >> "self.outbox",
        restart={"worker-2": "temporary"},
        backoff=AT_ONCE,
    )
    virtually(source(range(5)) | supervisor | end)
    assert end._axon.outcome == "broken"
    assert {name: one.restarts for name, one in supervisor.statistics().members.items()} == {
        "worker": 1,
        "worker-2": 0,
    }


# -- strategies -------------------------------------------------------------------------------------


def three(strategy: Any, log: list[Any], **options: Any) -> Supervisor:
    """Make a supervisor of A, B and C, each of which has an inbox and an outbox of the supervisor."""
    return Supervisor(
        A=Chatty(log, "A"),
        B=Chatty(log, "B"),
        C=Chatty(log, "C"),
        linkages={
            ("self", "inbox"): [("A", "inbox"), ("B", "inbox"), ("C", "inbox")],
            ("A", "outbox"): ("self", "a"),
            ("B", "outbox"): ("self", "b"),
            ("C", "outbox"): ("self", "c"),
        },
        strategy=strategy,
        backoff=options.pop("backoff", EXACT),
        **options,
    )


def trace_of_three(strategy: Any) -> tuple[list[Any], dict[str, Any]]:
    log: list[Any] = []
    supervisor = three(strategy, log)
    ends = {name: collect() for name in "abc"}
    feed = every_second(["x", "kill B", "y"])
    virtually(
        Graphline(feed.outbox >> supervisor.inbox, *(supervisor.boxes[n] >> ends[n].inbox for n in "abc"))
    )
    return log, {name: end.result() for name, end in ends.items()}


BEGINNING = [(0.0, f"{name} {what}") for name in "ABC" for what in ("begins", "got x")]
ENDING = [(3.0, f"{name} ends") for name in "ABC"]
GOT = {"a": ["x", "kill B", "y"], "b": ["x", "y"], "c": ["x", "kill B", "y"]}


def test_rule_28_one_for_one():
    assert trace_of_three("one_for_one") == (
        [
            *BEGINNING,
            (1.0, "A got kill B"),
            (1.0, "B fails"),
            (1.0, "C got kill B"),
            (2.0, "A got y"),
            (2.0, "C got y"),
            (2.0, "B begins"),
            (2.0, "B got y"),
            *ENDING,
        ],
        GOT,
    )


def test_rule_28_rest_for_one():
    assert trace_of_three("rest_for_one") == (
        [
            *BEGINNING,
            (1.0, "A got kill B"),
            (1.0, "B fails"),
            (1.0, "C got kill B"),
            (1.0, "C is cancelled"),
            (2.0, "A got y"),
            (2.0, "B begins"),
            (2.0, "B got y"),
            (2.0, "C begins"),
            (2.0, "C got y"),
            *ENDING,
        ],
        GOT,
    )


def test_rule_28_one_for_all():
    assert trace_of_three("one_for_all") == (
        [
            *BEGINNING,
            (1.0, "A got kill B"),
            (1.0, "B fails"),
            (1.0, "C got kill B"),
            (1.0, "C is cancelled"),
            (1.0, "A is cancelled"),
            (2.0, "A begins"),
            (2.0, "A got y"),
            (2.0, "B begins"),
            (2.0, "B got y"),
            (2.0, "C begins"),
            (2.0, "C got y"),
            *ENDING,
        ],
        GOT,
    )


def test_rule_28_what_members_that_restart_together_had_sent_each_other_is_dropped_and_counted():
    @component
    async def splits(inbox, outbox):
        async for n in inbox:
            if n == 5:
                raise ValueError(n)
            for part in "ab":
                await outbox.send(f"{n}{part}")

    @component
    async def slow(inbox, outbox):
        async for message in inbox:
            await sleep(1)
            await outbox.send(message)

    def run(strategy: Any) -> tuple[Any, Supervisor]:
        supervisor = Supervisor(
            first=splits,
            second=slow,
            linkages={
                ("self", "inbox"): ("first", "inbox"),
                ("first", "outbox"): ("second", "inbox"),
                ("second", "outbox"): ("self", "outbox"),
            },
            strategy=strategy,
            backoff=EXACT,
        )
        return virtually(source(range(8)) | supervisor | collect()), supervisor

    pairs = [f"{n}{part}" for n in range(8) for part in "ab" if n != 5]
    got, supervisor = run("one_for_one")
    assert got == pairs
    assert supervisor.statistics().dropped == 0
    got, supervisor = run("one_for_all")
    # second had 0a in hand when it was cancelled; 0b to 4b were on their way to it
    assert got == ["6a", "6b", "7a", "7b"]
    assert supervisor.statistics().dropped == 9
    assert {name: one.dropped for name, one in supervisor.statistics().members.items()} == {
        "first": 0,
        "second": 9,
    }


class Gathers(Component):
    """Passes on what it has got, a message a second; fails at 'bad'."""

    outbox = Outbox[Any]("the same")

    async def main(self):
        async for message in self.inbox:
            if message == "bad":
                raise ValueError(message)
            await sleep(1)
            await self.outbox.send(message)


@component
async def signs(inbox, outbox, name, bad=None):
    async for message in inbox:
        if message == bad:
            raise ValueError(message)
        await outbox.send((name, message))


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("strategy", "left", "dropped"),
    [
        ("one_for_one", ["A1", "B1", "out1", "A2", "B2", "out2"], 0),
        ("rest_for_one", ["A1", "out1", "A2", "out2"], 2),
        ("one_for_all", ["out1", "out2"], 4),
    ],
)
def test_rule_28_where_several_feed_one_inbox_only_what_members_of_the_group_have_sent_is_dropped(
    strategy, left, dropped, debug
):
    """A, B and somebody outside all send to C; B fails, and with it goes A, or C, or both."""

    @component
    async def pulses(inbox, outbox, name):
        while True:
            await outbox.send([name, await inbox.receive()])

    @component
    async def breaks(inbox, outbox, name):
        while True:
            message = await inbox.receive()
            if message == 3:
                raise ValueError(message)
            await outbox.send([name, message])

    @component
    async def sink(inbox, outbox):
        await sleep(10)
        async for message in inbox:
            await outbox.send("".join(map(str, message)))

    supervisor = Supervisor(
        A=pulses("A"),
        B=breaks("B"),
        C=sink,
        linkages={
            ("self", "to_a"): ("A", "inbox"),
            ("self", "to_b"): ("B", "inbox"),
            ("self", "to_c"): ("C", "inbox"),
            ("A", "outbox"): ("C", "inbox"),
            ("B", "outbox"): ("C", "inbox"),
            ("C", "outbox"): ("self", "outbox"),
        },
        strategy=strategy,
        backoff=EXACT,
    )
    to_a, to_b, to_c, end = (
        Source([1, 2], then="stay"),
        every_second([1, 2, 3]),
        every_second([["out", 1], ["out", 2]]),
        collect(),
    )
    virtually(
        Graphline(
            to_a.outbox >> supervisor.to_a,
            to_b.outbox >> supervisor.to_b,
            to_c.outbox >> supervisor.to_c,
            supervisor.outbox >> end.inbox,
        ),
        debug=debug,
    )
    assert sorted(end.result()) == sorted(left)
    assert supervisor.statistics().dropped == dropped


def test_rule_28_senders_from_outside_are_freed_when_messages_between_members_are_dropped():
    class Small(Component):
        inbox = Inbox[Any]("from a member and from outside", size=4)

        async def main(self):
            await sleep(5)
            async for message in self.inbox:
                await self.outbox.send(message)

    @component
    async def floods(inbox, outbox):
        for n in range(4) if clock() == 0 else ():
            outbox.send(n)
        async for message in inbox:
            raise ValueError(message)

    supervisor = Supervisor(
        flood=floods,
        small=Small,
        linkages={
            ("self", "kill"): ("flood", "inbox"),
            ("flood", "outbox"): ("small", "inbox"),
            ("self", "inbox"): ("small", "inbox"),
            ("small", "outbox"): ("self", "outbox"),
        },
        strategy="one_for_all",
        backoff=EXACT,
    )

    @component
    async def feeds(inbox, outbox):
        await sleep(0.5)
        for letter in "abcdef":
            await outbox.send(letter)
            freed.append(clock())

    freed: list[float] = []
    kill, feed, end = at_times([1]), feeds(), collect()
    virtually(
        Graphline(
            kill.outbox >> supervisor.kill, feed.outbox >> supervisor.inbox, supervisor.outbox >> end.inbox
        )
    )
    assert end.result() == list("abcdef")
    assert supervisor.statistics().dropped == 4
    # After a second flood fails, after two what it has sent is dropped, and Small reads only at seven.
    assert freed == [2.0, 2.0, 2.0, 7.0, 7.0, 7.0]


def test_rule_28_a_member_that_fails_while_others_restart_widens_the_group():
    log: list[Any] = []
    supervisor = three("rest_for_one", log, backoff=Backoff(first=2.5, jitter=0))
    feed = every_second(["kill C", "x", "kill A", "y"])
    ends = {name: collect() for name in "abc"}
    wires = [supervisor.boxes[name] >> ends[name].inbox for name in "abc"]
    restarts: list[list[str]] = []

    def look() -> None:
        restarts.append([one._axon.name for one in supervisor.children if one._axon.has_body])

    virtually(
        Graphline(
            feed.outbox >> supervisor.inbox, *wires, later(1.5, look), later(2.25, look), later(5, look)
        )
    )
    assert restarts == [["restart of C"], ["restart of A"], []]
    assert {name: end.result() for name, end in ends.items()} == {
        "a": ["kill C", "x", "y"],
        "b": ["kill C", "x", "kill A", "y"],
        "c": ["x", "kill A", "y"],
    }
    # C would have come back after 2.5 s; but after 2 s A fails, and B and C wait with it
    assert [entry for entry in log if "begins" in entry[1]] == [
        *((0.0, f"{name} begins") for name in "ABC"),
        *((4.5, f"{name} begins") for name in "ABC"),
    ]


def test_rule_28_a_group_is_started_again_without_those_who_have_nothing_left_to_do():
    supervisor = Supervisor(
        slow=worker(extra=1),
        fails=worker(bad=["bad"], extra=0.25),
        linkages={
            ("self", "first"): ("slow", "inbox"),
            ("slow", "outbox"): ("self", "slow"),
            ("self", "second"): ("fails", "inbox"),
            ("fails", "outbox"): ("self", "outbox"),
        },
        strategy="one_for_all",
        backoff=EXACT,
    )
    first, second, slow, end = source(["only"]), source(["a", "bad", "b"]), collect(), collect()
    virtually(
        Graphline(
            first.outbox >> supervisor.first,
            second.outbox >> supervisor.second,
            supervisor.slow >> slow.inbox,
            supervisor.outbox >> end.inbox,
        )
    )
    # When the second fails, the first has its only message in hand, so with it its work is over.
    assert (slow.result(), end.result()) == ([], ["a", "b"])
    members = supervisor.statistics().members
    assert (members["slow"].restarts, members["fails"].restarts) == (0, 1)


@pytest.mark.parametrize("within", ["a pipeline that has failed", "a member that waits for its restart"])
def test_rule_03_when_a_supervisor_gives_up_what_is_left_undone_is_no_end_to_its_readers(within):
    @component
    async def fails_at_last(inbox, outbox):
        for number in range(4):
            await outbox.send(number)
        raise ValueError("of the member")

    @component
    async def slow(inbox, outbox):
        async for message in inbox:
            await sleep(0.3)
            await outbox.send(message)

    @component
    async def bad(inbox, outbox):
        await sleep(0.7)
        raise ValueError("once too often")

    @component
    async def reader(inbox, outbox):
        try:
            async for message in inbox:
                got.append(message)
            got.append("end")
        except SourceFailed as error:
            got.append(type(error.__cause__).__name__)

    got: list[Any] = []
    if within == "a pipeline that has failed":  # and passes on what is in it, and is cancelled at that
        member: Component = fails_at_last() | slow()
        expected: list[Any] = [0, 1, "RestartsExceeded"]
    else:
        member = Supervisor(fails_at_last(), backoff=EXACT)
        expected = [0, 1, 2, 3, "RestartsExceeded"]
    supervisor = Supervisor(
        bad=bad(), member=member, linkages={("member", "outbox"): ("self", "outbox")}, intensity=0
    )
    with pytest.raises(ComponentsFailed):
        virtually(supervisor | reader())
    assert got == expected


def test_rule_28_temporary_members_of_a_group_go_with_it_and_stay_away():
    log: list[Any] = []
    supervisor = three("one_for_all", log, restart={"C": "temporary"})
    feed = every_second(["kill A", "x"])
    ends = {name: collect() for name in "abc"}
    virtually(
        Graphline(feed.outbox >> supervisor.inbox, *(supervisor.boxes[n] >> ends[n].inbox for n in "abc"))
    )
    assert {name: end.result() for name, end in ends.items()} == {
        "a": ["x"],
        "b": ["kill A", "x"],
        "c": ["kill A"],
    }


def test_rule_28_a_member_that_will_not_go_is_cancelled_for_good():
    class Stubborn(Component):
        async def main(self):
            log.append((clock(), "stubborn begins"))
            try:
                async for message in self.inbox:
                    await self.outbox.send(message)
            except Cancelled:
                await sleep(100)

    log: list[Any] = []
    stubborn, fails = Stubborn(), worker(bad=("bad",), log=log)
    supervisor = Supervisor(
        "self.inbox" >> fails.inbox,
        "self.other" >> stubborn.inbox,
        fails.outbox >> "self.outbox",
        stubborn.outbox >> "self.more",
        strategy="one_for_all",
        backoff=EXACT,
    )
    feed, other, ends = at_times([1]), every_second(range(20)), [collect(), collect()]
    virtually(
        Graphline(
            feed.outbox >> supervisor.inbox,
            other.outbox >> supervisor.other,
            supervisor.outbox >> ends[0].inbox,
            supervisor.more >> ends[1].inbox,
        )
    )
    assert [entry for entry in log if entry[0] > 0] == [(6.0, "begins"), (6.0, "stubborn begins")]
    assert ends[1].result() == list(range(20))


def test_rule_28_a_restart_that_another_takes_over_has_its_patience_from_the_beginning():
    class Stubborn(Component):
        async def main(self):
            while clock() < 8:
                try:
                    await sleep(20)
                except Cancelled:
                    cancelled.append(clock())

    cancelled: list[float] = []
    first, second = worker(bad=("bad",)), worker(bad=("bad",))
    supervisor = Supervisor(
        first,
        second,
        Stubborn(),
        "self.inbox" >> first.inbox,
        "self.other" >> second.inbox,
        first.outbox >> "self.outbox",
        second.outbox >> "self.more",
        strategy="rest_for_one",
        backoff=AT_ONCE,
    )
    feed, other = at_times([3]), at_times([0])
    virtually(
        Graphline(
            feed.outbox >> supervisor.inbox,
            other.outbox >> supervisor.other,
            supervisor.outbox >> collect().inbox,
            supervisor.more >> collect().inbox,
        )
    )
    assert cancelled == [0, 3, 8]


# -- trees ------------------------------------------------------------------------------------------


def test_rule_28_an_outer_supervisor_starts_the_inner_one_again_as_a_whole():
    log: list[Any] = []
    inner = Supervisor(worker(bad=("bad",), log=log), intensity=1, backoff=AT_ONCE)
    outer, told = Supervisor(inner, backoff=EXACT), Collect()
    end = collect()
    feed = every_second([1, "bad", 2, "bad", 3, "bad", 4])
    virtually(Graphline(feed.outbox >> outer.inbox, outer.outbox >> end.inbox, outer.failures >> told.inbox))
    assert end.result() == [1, 2, 3, 4]
    assert log == [(when, "begins") for when in (0.0, 1.0, 4.0, 5.0)]
    (failure,) = told.messages
    assert isinstance(failure.error, RestartsExceeded)
    assert failure.path == "Graphline/Supervisor/Supervisor/life-1"
    assert str(failure.error) == (
        "Graphline/Supervisor/Supervisor/life-1: 2 restarts would have been needed within 5 s, and at most "
        "1 are allowed:\n"
        "  2000-01-01 00:00:01.000 Graphline/Supervisor/Supervisor/life-1/worker/life-1: ValueError: cannot "
        "stand 'bad'\n"
        "  2000-01-01 00:00:03.000 Graphline/Supervisor/Supervisor/life-1/worker/life-2: ValueError: cannot "
        "stand 'bad'\n"
        "See to what fails, or allow more: Supervisor(..., intensity=1, period=5)"
    )


def test_rule_28_failing_through_all_levels_names_each_in_one_flat_group():
    tree: Any = worker(bad=("bad",))
    for _ in range(3):
        tree = Supervisor(tree, intensity=1, backoff=AT_ONCE)
    with pytest.raises(ComponentsFailed) as failed:
        virtually(at_times([1] * 20) | tree.named("tree"))
    (error,) = failed.value.exceptions
    assert str(error).startswith("Pipeline/tree: 2 restarts would have been needed")
    causes = []
    while error is not None:
        causes.append(type(error).__name__)
        error = error.__cause__
    assert causes == ["RestartsExceeded"] * 3 + ["ValueError"]
    assert "1 component(s) failed: Pipeline/tree (seed" in str(failed.value)


def test_rule_28_what_waits_outside_survives_the_inner_supervisor():
    inner = Supervisor(worker(bad=range(10, 20), extra=0.125), intensity=1, backoff=AT_ONCE)
    assert virtually(source(range(50)) | Supervisor(inner, intensity=9) | collect()) == [
        *range(10),
        *range(20, 50),
    ]


def test_rule_28_a_composite_is_started_again_as_a_whole():
    part = copy() | worker(bad=(2,)) | copy()
    feed = every_second(range(5))
    assert virtually(feed | Supervisor(part, backoff=AT_ONCE) | collect()) == [0, 1, 3, 4]


def test_rule_28_a_composite_that_takes_long_to_fail_is_started_again():
    """Its last part still works at what it was sent a second after the first one has failed (rule 26)."""
    part = worker(bad=("bad",)) | worker(extra=0.375)
    supervisor = Supervisor(part, backoff=AT_ONCE)
    end = collect()
    virtually(source([*"abcde", "bad", *"xyz"]) | supervisor | end)
    assert end.result() == ["a", "b", "x", "y", "z"]
    assert supervisor.statistics().restarts == 1


# -- stopping, failing, rest ------------------------------------------------------------------------


def test_rule_25_a_stop_during_back_off_finishes_what_was_accepted_at_once():
    ended: list[float] = []
    end = collect()
    end.add_done_callback(lambda _: ended.append(end.get_loop().time()))
    supervisor = Supervisor(worker(bad=("bad",)), backoff=Backoff(first=1000, maximum=1000))
    virtually(Source(["a", "bad", "b", "c"], then="stay") | supervisor | end, Stop(2))
    assert end.result() == ["a", "b", "c"]
    assert ended == [2.0]


def test_rule_25_a_stop_during_back_off_ends_a_source():
    @component
    async def fails(inbox, outbox):
        await sleep(1)
        raise ValueError

    ended: list[float] = []
    supervisor = Supervisor(fails, backoff=Backoff(first=1000, maximum=1000))
    supervisor.add_done_callback(lambda _: ended.append(supervisor.get_loop().time()))
    virtually(supervisor | collect(), Stop(2))
    assert ended == [2.0]


@pytest.mark.parametrize("how", ["cancel the supervisor", "cancel its seat", "cancel the system"])
def test_rule_25_a_cancelled_supervisor_does_not_wait_for_its_back_off(how):
    supervisor = Supervisor(worker(bad=("bad",)), backoff=Backoff(first=3, jitter=0))
    ended: list[float] = []
    supervisor.add_done_callback(lambda _: ended.append(supervisor.get_loop().time()))

    def cancel() -> None:
        if how == "cancel the supervisor":
            supervisor.cancel()
        elif how == "cancel its seat":
            supervisor.children[0].cancel()
        else:
            supervisor.system.cancel()

    virtually(Source(["bad", "b"], then="stay") | supervisor | collect(), later(1, cancel))
    assert ended == [1.0]


def test_rule_26_a_sibling_that_fails_lets_those_in_back_off_finish():
    @component
    async def fails_at_two(inbox, outbox):
        await sleep(2)
        raise OSError("outside")

    got: list[Any] = []
    supervisor = Supervisor(worker(bad=("bad",)), backoff=Backoff(first=1000, maximum=1000))
    with pytest.raises(ComponentsFailed) as failed:
        virtually(Source(["a", "bad", "b"], then="stay") | supervisor | collect(got), fails_at_two())
    assert [str(one) for one in failed.value.exceptions] == ["outside"]
    assert got == ["a", "b"]


def test_rule_26_a_failure_upstream_passes_through_a_supervisor():
    got: list[Any] = []
    end = collect(got)
    supervisor = Supervisor(copy, backoff=EXACT)
    with pytest.raises(ComponentsFailed):
        virtually(source([1, 2, 3]) | worker(bad=(3,)) | supervisor | end)
    assert got == [1, 2]
    assert end._axon.outcome == "broken"
    assert supervisor.statistics().restarts == 0


def test_rule_29_a_back_off_is_no_deadlock():
    times: list[float] = []
    supervisor = Supervisor(worker(bad=("bad",)), backoff=Backoff(first=500, maximum=500, jitter=0))
    supervisor.add_done_callback(lambda _: times.append(supervisor.get_loop().time()))
    assert virtually(Source(["bad", "fine"], then="stay") | supervisor | collect()) == ["fine"]
    assert times == [500.0]


def test_rule_30_nothing_is_left_after_the_run():
    supervisor = Supervisor(worker(bad=("bad",)), backoff=EXACT)

    async def main() -> list[Any]:
        result = await (source(["bad", 1]) | supervisor | collect()).run()
        assert len(asyncio.all_tasks()) == 1
        return result

    from kamaelia.axon import VirtualLoop

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) == [1]
    assert supervisor.children == []


def test_rule_10_debugging_does_not_mind_restarts():
    lists = [[n] for n in range(6)]
    supervisor = Supervisor(worker(bad=([2],)), backoff=EXACT)
    assert virtually(source(lists) | supervisor | collect(), debug=True) == [[0], [1], [3], [4], [5]]


def test_a_supervisor_in_the_hands_of_a_test():
    with drive(Supervisor(worker(bad=("bad",)), backoff=EXACT)) as supervisor:
        supervisor.send("a", "bad", "b")
        assert supervisor.take_all() == ["a"]
        supervisor.advance(0.5)
        supervisor.expect_nothing("outbox")
        supervisor.advance(0.5)
        assert supervisor.take_all() == ["b"]
        assert supervisor.take("failures").message == "bad"


def test_failures_without_a_reader_that_keeps_up_are_dropped_and_counted():
    class Hesitates(Component):
        outbox = None

        async def main(self):
            await sleep(1)
            async for failure in self.inbox:
                told.append(failure.message)

    told: list[int] = []
    supervisor, end = Supervisor(worker(bad=range(300)), intensity=1000, backoff=AT_ONCE), collect()
    virtually(
        Graphline(
            source(range(301)).outbox >> supervisor.inbox,
            supervisor.outbox >> end.inbox,
            supervisor.failures >> Hesitates().inbox,
        )
    )
    assert (end.result(), told) == ([300], list(range(100)))
    assert supervisor.failures.statistics().dropped == 200


# -- writing them down ------------------------------------------------------------------------------


def test_a_supervisor_mirrors_the_boxes_of_its_part():
    supervisor = Supervisor(Chatty([], "A"))
    assert sorted(supervisor.boxes) == ["failures", "inbox", "outbox"]
    assert sorted(Supervisor(Source([1])).boxes) == ["failures", "outbox"]
    assert [child._axon.name for child in Supervisor(a=copy(), b=copy()).children] == ["a", "b"]
    assert Supervisor(copy, copy).children[1]._axon.path == "Supervisor/copy-2"


def test_rule_15_a_supervisor_is_a_pattern():
    a, b = worker(bad=(2,)), worker(bad=(3,))
    pattern = Supervisor(
        a, b, "self.inbox" >> a.inbox, a.outbox >> b.inbox, b.outbox >> "self.outbox", backoff=AT_ONCE
    )
    for _ in range(2):
        assert virtually(source(range(6)) | make(pattern) | collect()) == [0, 1, 4, 5]
    assert a._axon.parent is b._axon.parent is None


def test_rule_12_links_between_members_are_checked():
    class Speaks(Component):
        outbox = Outbox[bytes]("bytes")

        async def main(self): ...

    class Reads(Component):
        inbox = Inbox[str]("text")

        async def main(self): ...

    speaks, reads = Speaks(), Reads()
    with pytest.raises(LinkError, match=r"put Lines\(\) between"):
        Supervisor(speaks.outbox >> reads.inbox)


def wrong(make_it: Any) -> str:
    with pytest.raises((UsageError, LinkError, ValueError, TypeError)) as raised:
        make_it()
    return str(raised.value)


def test_mistakes_are_named():
    part = copy() | copy()
    inside = part.children[0]
    assert wrong(lambda: Supervisor()) == "Supervisor() needs at least one part to start again when it fails"
    assert "'one_for_none'" in wrong(lambda: Supervisor(copy, strategy="one_for_none"))
    assert "did you mean 'permanent'?" in wrong(lambda: Supervisor(copy, restart="permanant"))
    assert "no member is called 'copi'" in wrong(lambda: Supervisor(copy, restart={"copi": "permanent"}))
    assert "how many restarts" in wrong(lambda: Supervisor(copy, intensity=-1))
    assert "a whole number" in wrong(lambda: Supervisor(copy, intensity=1.5))
    assert "seconds" in wrong(lambda: Supervisor(copy, period="long"))
    assert "give a Backoff" in wrong(lambda: Supervisor(copy, backoff=3))
    assert "a share from 0 to 1" in wrong(lambda: Backoff(jitter=2))
    assert "how many times longer" in wrong(lambda: Backoff(factor=0.5))
    assert "is no component" in wrong(lambda: Supervisor("copy"))
    assert "give the member another name" in wrong(lambda: Supervisor(**{"self": copy()}))
    assert "Link boxes of the members themselves" in wrong(
        lambda: Supervisor(part, "self.inbox" >> inside.inbox)
    )
    server = Supervisor(copy)
    assert "comes out of the failures outbox" in wrong(lambda: Supervisor(server.failures >> "self.outbox"))


def test_a_very_long_row_of_failures_waits_no_longer_than_the_maximum():
    assert Backoff(jitter=0).delay(10_000, random.Random(1)) == 30


# -- with other parts of the house ------------------------------------------------------------------


def test_a_listener_that_is_started_again_hears_the_room_again():
    listener = Supervisor(SubscribeTo("room") | worker(bad=(2,)), backoff=Backoff(first=0.5, jitter=0))
    end = collect()
    virtually(every_second(range(5)) | PublishTo("room"), Backplane("room"), listener | end)
    assert end.result() == [0, 1, 3, 4]


def test_a_bare_listener_that_is_started_again_hears_the_room_again():
    listener = Supervisor(SubscribeTo("room"), backoff=Backoff(first=0.5, jitter=0))
    kill = later(2.25, lambda: listener.children[0].children[0].cancel())
    end = collect()
    virtually(every_second(range(5)) | PublishTo("room"), Backplane("room"), listener | end, kill)
    assert end.result() == [0, 1, 2, 3, 4]
    assert listener.statistics().restarts == 1


def test_rule_17_a_service_goes_and_comes_with_its_member():
    class Service(Component):
        inbox = None
        outbox = None

        async def main(self):
            self.system.names.offer("service", clock(), self)
            await sleep(2)
            raise ValueError("gone")

    @component
    async def asks(inbox, outbox):
        for _ in range(3):
            log.append((await current_component().system.names.ask("service"), clock()))
            await sleep(2)

    log: list[Any] = []
    virtually(Supervisor(Service, backoff=EXACT), asks(), Stop(8))
    assert log == [(0.0, 0.0), (3.0, 3.0), (7.0, 7.0)]


def test_a_supervisor_in_the_background():
    with background(Supervisor(worker(bad=("bad",)), backoff=AT_ONCE)) as handle:
        for message in ("a", "bad", "b"):
            handle.send(message)
        assert [handle.receive(), handle.receive()] == ["a", "b"]


@pytest.mark.parametrize("intensity", [0, 1, 3, 7, 20])
def test_what_fails_every_time_is_given_up_however_long_the_back_off(intensity):
    """Although restarts that are minutes apart are never too many within five seconds."""

    class Hopeless(Component):
        async def main(self) -> None:
            lives.append(clock())
            raise OSError("not plugged in")

    lives: list[float] = []
    with pytest.raises(ComponentsFailed) as raised:
        virtually(Supervisor(Hopeless, intensity=intensity, backoff=Backoff(first=10, maximum=300)))
    (error,) = raised.value.exceptions
    assert isinstance(error, RestartsExceeded)
    assert len(lives) == intensity + 1
    lines = str(error).splitlines()
    needed = (
        f"{intensity + 1} restarts would have been needed within 5 s, and at most {intensity} are allowed:"
    )
    assert lines[0] == f"Supervisor: {needed}"
    assert len(lines) == 1 + (intensity + 1) + 1


def test_what_fails_now_and_then_is_kept_up_however_long_the_back_off():
    class Lives(Component):
        async def main(self) -> None:
            lives.append(clock())
            if len(lives) == 12:
                return
            await sleep(3)
            raise OSError("again")

    lives: list[float] = []
    virtually(Supervisor(Lives, intensity=2, backoff=Backoff(first=100, factor=1, maximum=100, jitter=0)))
    assert lives == [103.0 * n for n in range(12)]


def test_a_wrong_argument_is_not_taken_for_a_member():
    with pytest.raises(TypeError) as raised:
        Supervisor(intesity=3)
    assert str(raised.value) == (
        "Supervisor(intesity=3): that is no member, and no such argument: did you mean 'intensity'?"
    )
    with pytest.raises(ValueError, match="within no time nothing is too often"):
        Supervisor(source([1]), period=0)
