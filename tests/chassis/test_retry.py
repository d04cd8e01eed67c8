"""`Retry`: one part, run again until it ends well."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from kamaelia import Component, Graphline, component, sleep
from kamaelia.axon import ComponentsFailed, make
from kamaelia.chassis import Backoff, RestartsExceeded, Retry, Supervisor
from kamaelia.flow import Collect, Source

from ..axon.parts import Stop, collect, later, source, take, virtually

EXACT = Backoff(first=1, factor=2, maximum=5, jitter=0)


class Attempts:
    """A pattern whose attempts go as planned: an exception is raised, anything else returned."""

    def __init__(self, *plan: Any, send: Any = None) -> None:
        self.plan = list(plan)
        self.send = send
        self.times: list[float] = []

    def __call__(self) -> Component:
        return attempt(self)


@component
async def attempt(inbox, outbox, attempts):
    from kamaelia import clock

    attempts.times.append(clock())
    step = attempts.plan.pop(0)
    if isinstance(step, tuple):
        step, message = step
        await outbox.send(message)
        await sleep(1)
    if isinstance(step, Exception):
        raise step
    return step


def failed(run: Any) -> Exception:
    with pytest.raises(ComponentsFailed) as raised:
        run()
    (error,) = raised.value.exceptions
    return error


def test_it_is_run_again_until_it_ends_well_and_returns_what_that_returns():
    attempts = Attempts(OSError("no"), OSError("not yet"), "the page")
    retry = Retry(attempts, backoff=EXACT)
    assert virtually(retry) == "the page"
    assert attempts.times == [0.0, 1.0, 3.0]
    assert retry.statistics().restarts == 2


def test_after_the_last_attempt_it_fails_with_the_history():
    errors = [OSError("one"), OSError("two"), ValueError("three")]
    error = failed(lambda: virtually(Retry(Attempts(*errors), backoff=EXACT).named("download")))
    assert isinstance(error, RestartsExceeded)
    assert str(error) == (
        "download: given up after 3 failures in a row:\n"
        "  2000-01-01 00:00:00.000 download/attempt/life-1: OSError: one\n"
        "  2000-01-01 00:00:01.000 download/attempt/life-2: OSError: two\n"
        "  2000-01-01 00:00:03.000 download/attempt/life-3: ValueError: three\n"
        "See to what fails, or allow more: Retry(..., attempts=3)"
    )
    assert error.__cause__ is errors[-1]


def test_one_attempt_is_no_retry():
    error = failed(lambda: virtually(Retry(Attempts(OSError("no")), attempts=1)))
    assert "given up after 1 failures in a row" in str(error)


def test_errors_that_are_not_to_be_retried_are_the_retrys_own():
    problem = ValueError("a bad argument")
    attempts = Attempts(OSError("no"), problem)
    assert failed(lambda: virtually(Retry(attempts, on=(OSError, EOFError), backoff=EXACT))) is problem
    assert problem.__notes__ == ["in Retry/attempt/life-2"]


def test_an_attempt_that_has_sent_something_has_got_somewhere():
    no = OSError("no")
    attempts = Attempts(no, no, (OSError("lost"), "a"), no, no, (None, "b"))
    assert virtually(Retry(attempts, attempts=4, backoff=EXACT) | collect()) == ["a", "b"]
    # 1 s, 2 s; then one second of work, and it is the first failure in a row again
    assert attempts.times == [0, 1, 3, 5, 7, 11]


def test_the_failure_of_an_attempt_that_has_sent_something_counts_as_the_first():
    no = OSError("no")
    attempts = Attempts(no, no, (OSError("lost"), "a"), no, no)
    got: list[Any] = []
    error = failed(lambda: virtually(Retry(attempts, attempts=3, backoff=EXACT) | collect(got)))
    assert got == ["a"]
    assert "OSError: lost" in str(error).splitlines()[1]


def test_the_message_in_hand_is_not_given_again_but_goes_with_the_failure():
    @component
    async def passes(inbox, outbox):
        async for message in inbox:
            if message == "bad":
                raise ValueError(message)
            await outbox.send(message)

    retry, end, told = Retry(passes, attempts=2, backoff=EXACT), collect(), Collect()
    feed = source(["a", "bad", "b", "bad", "c"])
    virtually(Graphline(feed.outbox >> retry.inbox, retry.outbox >> end.inbox, retry.failures >> told.inbox))
    assert end.result() == ["a", "b", "c"]
    assert [failure.message for failure in told.messages] == ["bad", "bad"]


def test_a_failure_with_nothing_left_is_the_retrys_own():
    @component
    async def fails_at_the_end(inbox, outbox):
        async for message in inbox:
            await outbox.send(message)
        raise OSError("the disk is full")

    got: list[Any] = []
    end = collect(got)
    error = failed(lambda: virtually(source([1, 2]) | Retry(fails_at_the_end, backoff=EXACT) | end))
    assert str(error) == "the disk is full"
    assert (got, end._axon.outcome) == ([1, 2], "broken")


def test_a_part_that_somebody_cancels_is_not_run_again():
    @component
    async def waits(inbox, outbox):
        await sleep(1e9)

    retry = Retry(waits)
    virtually(retry, later(1, lambda: retry.children[0].children[0].cancel()))
    assert retry.statistics().restarts == 0


def test_a_stop_during_back_off_makes_no_further_attempt():
    attempts = Attempts(OSError("no"), "never")
    virtually(Retry(attempts, backoff=Backoff(first=1000, maximum=1000)), Stop(1))
    assert attempts.times == [0.0]


def test_a_stop_during_back_off_finishes_what_was_accepted():
    @component
    async def passes(inbox, outbox):
        async for message in inbox:
            if message == "bad":
                raise ValueError(message)
            await outbox.send(message)

    end = collect()
    feed = Source(["bad", "a", "b"], then="stay")
    virtually(feed | Retry(passes, backoff=Backoff(first=1000, maximum=1000)) | end, Stop(1))
    assert end.result() == ["a", "b"]


def test_back_off_is_shortened_by_chance_that_a_seed_repeats():
    def times(seed: int) -> list[float]:
        attempts = Attempts(OSError(), OSError(), "done")
        virtually(Retry(attempts, backoff=Backoff(first=1, jitter=0.5)), seed=seed)
        return attempts.times

    assert times(1) == times(1) != times(2)
    assert all(0.5 <= second - first <= 2 for first, second in zip(times(1), times(1)[1:], strict=False))


def test_a_pattern_that_cannot_be_made_is_one_more_failure():
    made: list[int] = []

    def factory() -> Component:
        made.append(0)
        if len(made) == 2:
            raise OSError("no room")
        return attempt(attempts)

    attempts = Attempts(OSError("no"), "done")
    retry = Retry(factory, backoff=EXACT)
    assert virtually(retry) == "done"
    assert attempts.times == [0.0, 3.0]
    made.clear()
    attempts.plan = [OSError("no")]
    error = failed(lambda: virtually(Retry(factory, on=ConnectionError, backoff=EXACT)))
    assert str(error) == "no"


def test_a_pattern_that_cannot_be_made_may_be_no_error_to_retry():
    made: list[int] = []

    def factory() -> Component:
        made.append(0)
        if len(made) == 2:
            raise TypeError("not any more")
        return attempt(Attempts(OSError("no")))

    error = failed(lambda: virtually(Retry(factory, on=OSError, backoff=EXACT)))
    assert str(error) == "not any more"
    assert error.__notes__ == ["in Retry/attempt/life-2"]


def test_who_waits_for_an_attempt_is_told_that_nobody_listens():
    @component
    async def fails(inbox, outbox):
        await outbox.send(1)
        raise ValueError

    retry = Retry(fails, backoff=Backoff(first=1000, maximum=1000))
    times: list[float] = []
    retry.add_done_callback(lambda _: times.append(retry.get_loop().time()))
    virtually(retry | take(1))
    assert times == [0.0]


def test_a_supervisor_keeps_a_retry_up():
    no = OSError("no")
    attempts = Attempts(no, no, no, no, "done")
    supervisor = Supervisor(Retry(attempts, attempts=2, backoff=EXACT), backoff=EXACT)
    assert virtually(supervisor) == "done"
    assert attempts.times == [0, 1, 2, 3, 5]
    assert supervisor.statistics().restarts == 2


def test_rule_15_a_retry_is_a_pattern():
    attempts = Attempts(OSError("no"), "done")
    assert virtually(make(Retry(attempts, backoff=EXACT))) == "done"


def test_attempts_are_logged(caplog):
    caplog.set_level(logging.INFO, logger="kamaelia")
    virtually(Retry(Attempts(OSError("no"), "done"), backoff=EXACT))
    (record,) = caplog.records
    assert record.getMessage().startswith("Retry/attempt/life-1 failed: OSError: no (test_retry.py:")
    assert record.getMessage().endswith("; it is started again in 1 s")


def test_mistakes_are_named():
    for options, error in (
        ({"attempts": 0}, "how many attempts"),
        ({"attempts": "3"}, "a whole number"),
        ({"on": OSError("no")}, "exception classes"),
        ({"on": ()}, "exception classes"),
        ({"on": BaseException}, "exception classes"),
        ({"backoff": 1.0}, "give a Backoff"),
    ):
        with pytest.raises((TypeError, ValueError), match=error):
            Retry(attempt, **options)


def test_thousands_of_attempts_leave_nothing_behind_but_the_ends_of_their_history():
    class Silent(Component):
        async def main(self) -> None:
            raise OSError("no")

    retry = Retry(Silent, attempts=2000, backoff=Backoff(first=1, factor=1, jitter=0))
    error = failed(lambda: virtually(retry | Collect()))
    assert isinstance(error, RestartsExceeded)
    lines = str(error).splitlines()
    assert lines[0].startswith("Pipeline/Retry: given up after 2000 failures in a row:")
    assert [line.strip() for line in lines[11:12]] == ["... 1980 more ..."]
    assert len(lines) == 1 + 10 + 1 + 10 + 1
    assert sum(len(box.taps) for box in retry._members[0]._axon.outboxes) <= 1
