"""`JSONRPC` with one peer, alone and in virtual time: what comes out, and how it ends."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from kamaelia.axon import (
    Component,
    Graphline,
    LocalProtocolError,
    UsageError,
    VirtualLoop,
    component,
    current_component,
    run,
    sleep,
)
from kamaelia.chassis import Ask, Calls, NoAnswer, Reply
from kamaelia.flow import Collect, Map, Source
from kamaelia.protocol import JSONRPC, Call, Notification, RPCError, caller
from kamaelia.testing import drive


def request(method: str, params: Any = None, id: Any = None) -> str:
    text: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        text["params"] = params
    if id is not None:
        text["id"] = id
    return json.dumps(text)


def answer(id: Any, result: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "result": result, "id": id}, separators=(",", ":"))


def error_of(text: str) -> tuple[int, str, Any]:
    error = json.loads(text)["error"]
    return error["code"], error["message"], error.get("data")


def add(a: Any, b: Any = 1) -> Any:
    return a + b


async def wait(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


# -- the peer calls -----------------------------------------------------------------------------------


def test_params_are_given_by_position_or_by_name() -> None:
    with drive(JSONRPC({"add": add}), unlinked=["calls", "results"]) as rpc:
        rpc.send(
            request("add", [1, 2], 1), request("add", {"b": 5, "a": 2}, 2), request("add", [1], "x").encode()
        )
        assert rpc.take_all() == [answer(1, 3), answer(2, 7), answer("x", 2)]
        rpc.close("inbox")
        assert (rpc.outcome, rpc.state("outbox")) == ("ended", "ended")


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ([], "missing a required argument: 'a'"),
        ([1, 2, 3], "too many positional arguments"),
        ({"a": 1, "c": 2}, "got an unexpected keyword argument 'c'"),
    ],
)
def test_params_that_do_not_fit_are_refused_and_the_method_is_not_called(params: Any, why: str) -> None:
    with drive(JSONRPC({"add": add})) as rpc:
        rpc.send(request("add", params, 1))
        assert error_of(rpc.take()) == (-32602, "Invalid params", why)


def test_a_function_that_does_not_tell_what_it_takes_is_called_all_the_same() -> None:
    with drive(JSONRPC({"max": max})) as rpc:
        rpc.send(request("max", [1, 2], 1), request("max", [], 2))
        assert rpc.take() == answer(1, 2)
        assert error_of(rpc.take()) == (-32000, "Server error", None)


def test_answers_come_as_they_are_ready() -> None:
    with drive(JSONRPC({"wait": wait, "add": add})) as rpc:
        rpc.send(*(request("wait", [seconds], seconds) for seconds in (3, 1, 2)), request("add", [1], 9))
        got = []
        while not rpc.ended and rpc.skip():
            got += [(rpc.time, text) for text in rpc.take_all()]
        assert got == [(1, answer(9, 2)), (1, answer(1, 1)), (2, answer(2, 2)), (3, answer(3, 3))]


@pytest.mark.parametrize(("tell", "told"), [(False, None), (True, "ValueError: too big")])
def test_what_a_method_raises_is_an_answer_and_is_logged(caplog: Any, tell: bool, told: str | None) -> None:
    def fail(how: str) -> Any:
        if how == "own":
            raise RPCError(-32001, "no such account", {"account": 7})
        if how == "unsendable":
            raise RPCError(-32001, "no", object())
        raise ValueError("too big")

    async def fail_later(how: str) -> Any:
        await sleep(1)
        return fail(how)

    for name in ("now", "later"):
        caplog.clear()
        with (
            drive(JSONRPC({"now": fail, "later": fail_later}, tell_errors=tell)) as rpc,
            caplog.at_level(logging.INFO),
        ):
            for how in ("own", "other", "unsendable"):
                rpc.send(request(name, [how], how))
            rpc.advance(1)
            assert list(map(error_of, rpc.take_all())) == [
                (-32001, "no such account", {"account": 7}),
                (-32000, "Server error", told),
                (-32001, "no", None),
            ]
            assert rpc.component.statistics().failed == 3
        lines = [record.getMessage() for record in caplog.records]
        assert lines[0] == f"JSONRPC: {name} failed: ValueError: too big"
        assert lines[1].startswith(f"JSONRPC: {name}: the data of an error cannot be written as JSON")
        assert len(lines) == 2


def test_a_result_that_is_no_json_is_an_internal_error() -> None:
    methods = {"object": object, "long": lambda: "x" * 300}
    with drive(JSONRPC(methods, longest=250, tell_errors=True)) as rpc:
        rpc.send(request("object", [], 1), request("long", [], 2))
        code, message, data = error_of(rpc.take())
        assert (code, message) == (-32603, "Internal error")
        assert data.startswith(
            "LocalProtocolError: a result cannot be written as JSON: Object of type object"
        )
        why = "LocalProtocolError: an answer has 336 characters, and longest=250 allows no more than that"
        assert error_of(rpc.take()) == (-32603, "Internal error", why)
    with drive(JSONRPC(methods, longest=250)) as rpc:
        rpc.send(request("object", [], 1), request("long", [], 2))
        assert [error_of(text) for text in rpc.take_all()] == [(-32603, "Internal error", None)] * 2


@pytest.mark.parametrize("longest", [100, 1024 * 1024])
def test_there_is_room_for_a_refusal_whatever_the_id_and_the_error(longest: int) -> None:
    def fail() -> None:
        raise RPCError(7, "\n" * longest, "x" * longest)

    id = "x" * min(18, longest)
    methods = {"fail": fail, "long": lambda: "x" * longest}
    with drive(JSONRPC(methods, longest=longest)) as rpc:
        rpc.send(request("fail", id=id), request("long", id=id))
        texts = rpc.take_all()
        assert rpc.outcome == "running"
        short = longest == 100
        assert [error_of(text)[0] for text in texts] == [-32603 if short else 7, -32603]
        assert all(json.loads(text)["id"] == id and len(text) <= longest for text in texts)


def test_an_id_that_is_as_long_as_a_text_harms_nobody() -> None:
    with drive(JSONRPC({"add": add})) as rpc:
        for id in ("x" * 1_000_000, "é" * 200_000):
            rpc.send(request("add", [1], id), request("no", [], id), f"[{request('add', [1], id)}]")
            assert [json.loads(text.strip("[]"))["error"]["code"] for text in rpc.take_all()] == [-32600] * 3
        rpc.send(request("add", [1], 1))
        assert rpc.take() == answer(1, 2)


def test_notifications_are_called_in_order_and_have_no_answer(caplog: Any) -> None:
    seen: list[Any] = []

    def fail() -> None:
        raise ValueError("no")

    with drive(JSONRPC({"note": seen.append, "fail": fail})) as rpc, caplog.at_level(logging.INFO):
        rpc.send(
            *(request("note", [n]) for n in range(3)), request("fail"), request("unknown"), request("note")
        )
        rpc.expect_nothing()
        assert seen == [0, 1, 2]
        seen_of_it = rpc.component.statistics()
        assert (seen_of_it.notified, seen_of_it.called, seen_of_it.failed) == (6, 0, 3)
    assert [record.getMessage() for record in caplog.records] == [
        "JSONRPC: fail failed: ValueError: no",
        "JSONRPC: 'unknown': Method not found (-32601)",
        "JSONRPC: 'note': Invalid params (-32602): \"missing a required argument: 'object'\"",
    ]


def test_a_batch_is_one_text_though_its_methods_take_their_time() -> None:
    with drive(JSONRPC({"wait": wait})) as rpc:
        rpc.send(f"[{request('wait', [2], 1)},{request('wait', [1], 2)},{request('wait', [5])}]")
        rpc.advance(1.5)
        rpc.expect_nothing()
        rpc.advance(1)
        assert rpc.take_all() == [f"[{answer(2, 1)},{answer(1, 2)}]"]


def test_not_more_than_so_many_methods_are_at_work_and_the_rest_hold_back_the_peer() -> None:
    with drive(JSONRPC({"wait": wait}, concurrency=2)) as rpc:
        for number in range(10):
            rpc.send(request("wait", [1], number + 1))
        seen = rpc.component.statistics()
        assert (seen.working, seen.waiting, seen.called) == (2, 1, 3)
        assert rpc.component.inbox.statistics().waiting == 7
        rpc.advance(2.5)
        assert len(rpc.take_all()) == 4
        rpc.close("inbox")
        rpc.finish()
        assert len(rpc.take_all()) == 6 and rpc.time == 5


def test_a_method_that_was_cancelled_by_somebody_else_is_an_answer() -> None:
    async def be_cancelled() -> None:
        raise asyncio.CancelledError

    with drive(JSONRPC({"f": be_cancelled}, tell_errors=True)) as rpc:
        rpc.send(request("f", [], 1))
        assert error_of(rpc.take())[2] == "RuntimeError: what it waited for was cancelled"
        assert rpc.outcome == "running"


def test_methods_are_finished_when_the_peer_has_said_everything() -> None:
    with drive(JSONRPC({"wait": wait})) as rpc:
        rpc.send(request("wait", [5], 1))
        rpc.close("inbox")
        assert rpc.outcome == "running"
        rpc.finish()
        assert (rpc.take_all(), rpc.time) == ([answer(1, 5)], 5)


@pytest.mark.parametrize("how", ["break", "leave", "cancel"])
def test_methods_are_cancelled_when_the_peer_has_gone(how: str) -> None:
    events: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    with drive(JSONRPC({"work": work}, concurrency=2), unlinked=["calls", "results"]) as rpc:
        rpc.send(request("work", [], 1), request("work", [], 2))
        if how == "break":
            rpc.fail(ConnectionResetError())
        elif how == "leave":
            rpc.leave("outbox")
        else:
            rpc.cancel()
        assert (rpc.outcome, rpc.time) == (
            {"break": "broken", "leave": "ended", "cancel": "cancelled"}[how],
            0,
        )
        assert rpc.error is None or how != "leave"
    assert events == ["cancelled", "cancelled"]


def test_a_stop_lets_methods_finish() -> None:
    with drive(JSONRPC({"wait": wait})) as rpc:
        rpc.send(request("wait", [3], 1))
        rpc.stop()
        rpc.advance(3)
        assert (rpc.take_all(), rpc.outcome) == ([answer(1, 3)], "ended")


def test_what_nobody_understands_is_answered_and_said_once(caplog: Any) -> None:
    with drive(JSONRPC()) as rpc, caplog.at_level(logging.INFO):
        rpc.send("nonsense", "[]", answer(7, 1))
        assert [code for code, _, _ in map(error_of, rpc.take_all())] == [-32700, -32600]
        assert rpc.component.statistics().strange == 3
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("JSONRPC: 'the peer has sent what is answered with {")


def test_what_is_no_text_is_a_failure() -> None:
    with drive(JSONRPC()) as rpc:
        rpc.send(7)
        assert str(rpc.error).startswith("JSONRPC: JSONRPC takes str or bytes, but got 7")
    with drive(JSONRPC()) as rpc:
        rpc.send("add", box="calls")
        assert "JSONRPC.calls takes Call(...) and Notification(...), not 'add'" in str(rpc.error)


def test_answers_wait_for_a_peer_that_does_not_read_and_hold_it_back() -> None:
    with drive(JSONRPC({"add": add}, concurrency=3, limit=5), sizes={"outbox": 1}) as rpc:
        for number in range(20):
            rpc.send(request("add", [number], number + 1))
        seen = rpc.component.statistics()
        assert (seen.working, seen.waiting, seen.called) == (0, 0, 7)
        assert rpc.component.inbox.statistics().waiting == 13
        rpc.close("inbox")
        assert rpc.take_all() == [answer(number + 1, number + 1) for number in range(20)]
        assert rpc.outcome == "ended"


# -- we call ------------------------------------------------------------------------------------------


def test_a_call_has_one_reply_and_a_notification_none() -> None:
    with drive(JSONRPC()) as rpc:
        rpc.send(Call("add", [1, 2]), Notification("note", {"n": 1}), Call("name"), box="calls")
        assert rpc.take_all() == [
            '{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}',
            '{"jsonrpc":"2.0","method":"note","params":{"n":1}}',
            '{"jsonrpc":"2.0","method":"name","id":2}',
        ]
        rpc.send(answer(2, "anna"), answer(1, 3))
        assert rpc.take_all("results") == [Reply(Call("name"), "anna"), Reply(Call("add", [1, 2]), 3)]
        rpc.close("calls")
        assert (rpc.outcome, rpc.state("outbox"), rpc.state("results")) == ("ended", "ended", "ended")
        assert rpc.component.statistics().answered == 2


def test_a_refusal_is_in_the_reply() -> None:
    with drive(JSONRPC()) as rpc:
        rpc.send(Call("f"), Call("g"), box="calls")
        rpc.send('{"jsonrpc":"2.0","error":{"code":-32601,"message":"no","data":[1]},"id":1}')
        rpc.send('{"jsonrpc":"2.0","error":7,"id":2}')
        first, second = rpc.take_all("results")
        assert isinstance(first.error, RPCError)
        assert (first.error.code, first.error.message, first.error.data) == (-32601, "no", [1])
        assert str(second.error) == "this is no error: 7"


def test_a_call_that_takes_too_long_and_its_answer_comes_late() -> None:
    with drive(JSONRPC(timeout=5)) as rpc:
        rpc.send(Call("f"), Call("g", timeout=2), box="calls")
        rpc.close("calls")
        got = []
        while not rpc.ended and rpc.skip():
            got += [(rpc.time, str(reply.error)) for reply in rpc.take_all("results")]
            if rpc.time == 2:
                rpc.send(answer(2, "late"))
        assert got == [
            (2, "JSONRPC: no answer to 'g' within 2 s"),
            (5, "JSONRPC: no answer to 'f' within 5 s"),
        ]
        seen = rpc.component.statistics()
        assert (seen.timed_out, seen.late, seen.answered, seen.asked) == (2, 1, 0, 2)
        assert rpc.outcome == "ended"


def test_calls_are_not_answered_when_the_peer_has_ended() -> None:
    with drive(JSONRPC({"wait": wait})) as rpc:
        rpc.send(request("wait", [1], 1))
        rpc.send(Call("f"), box="calls")
        rpc.close("inbox")
        rpc.send(Call("g"), box="calls")
        errors = [reply.error for reply in rpc.take_all("results")]
        assert [type(error) for error in errors] == [NoAnswer, NoAnswer]
        assert str(errors[0]) == "JSONRPC: the peer has ended, and has not answered"
        assert str(errors[1]) == "JSONRPC: the peer has ended, and cannot be called any more"
        rpc.advance(1)
        assert rpc.outcome == "ended" and not rpc.is_read("calls")


def test_all_who_have_asked_are_told_however_many_and_however_slow_they_are() -> None:
    with drive(JSONRPC(limit=3000), sizes={"results": 1, "outbox": 5000}) as rpc:
        for n in range(30):
            rpc.send(*(Call("f", [n, m]) for m in range(100)), box="calls")
        assert rpc.component.statistics().asked == 3000
        rpc.close("inbox")
        rpc.send(Call("g"), box="calls")
        replies = rpc.take_all("results")
        assert len(replies) == 3001 and {type(reply.error) for reply in replies} == {NoAnswer}
        assert rpc.outcome == "ended"


def test_who_has_asked_is_told_when_it_is_over_before_its_time() -> None:
    with drive(JSONRPC(), sizes={"outbox": 1}) as rpc:
        rpc.send(Call("f"), Call("g"), box="calls")
        rpc.component.cancel()
        rpc.advance(0)
        assert [reply.question.method for reply in rpc.take_all("results")] == ["f", "g"]


def test_what_cannot_be_sent_has_a_reply_at_once(caplog: Any) -> None:
    with drive(JSONRPC()) as rpc:
        rpc.send(Call("f", [object()]), Notification("n", [object()]), box="calls")
        rpc.expect_nothing("outbox")
        (reply,) = rpc.take_all("results")
        assert isinstance(reply.error, LocalProtocolError)
    assert "JSONRPC: Notification(method='n'" in caplog.text


def test_so_many_calls_are_open_and_more_wait_with_who_calls() -> None:
    with drive(JSONRPC(batch=2, limit=2)) as rpc:
        rpc.send(*(Call("f", [n]) for n in range(5)), box="calls")
        assert len(rpc.take_all()) == 2 and rpc.component.calls.statistics().waiting == 3
        rpc.send(answer(2, "b"))
        assert len(rpc.take_all()) == 1


def test_who_does_not_take_replies_holds_back_all() -> None:
    with drive(JSONRPC(), sizes={"results": 1}) as rpc:
        rpc.send(*(Call("f", [n]) for n in range(5)), box="calls")
        rpc.take_all()
        rpc.send(*(answer(n + 1, n) for n in range(5)))
        assert rpc.component.inbox.statistics().waiting == 4
        assert [reply.answer for reply in rpc.take_all("results")] == [0, 1, 2, 3, 4]


def test_calls_wait_for_a_peer_that_does_not_read() -> None:
    with drive(JSONRPC(), sizes={"outbox": 1}) as rpc:
        rpc.send(*(Call("f", [n]) for n in range(5)), box="calls")
        assert rpc.component.calls.statistics().waiting == 4
        assert len(rpc.take_all()) == 5


def test_without_anybody_who_wants_replies_others_may_still_call() -> None:
    with drive(JSONRPC({"add": add})) as rpc:
        rpc.send(Call("f"), box="calls")
        rpc.leave("results")
        rpc.send(answer(1, 2), request("add", [1], 1))
        assert rpc.take_all()[1:] == [answer(1, 2)]
        assert not rpc.is_read("calls") and rpc.outcome == "running"


def test_neither_side_keeps_the_other_from_being_heard() -> None:
    texts = [request("add", [n], n + 1) for n in range(400)]
    calls = [Call("f", [n]) for n in range(400)]
    rpc, collect = JSONRPC({"add": add}), Collect()
    run(
        Graphline(
            Source(texts, then="stay").outbox >> rpc.inbox,
            Source(calls).outbox >> rpc.calls,
            rpc.outbox >> collect.inbox,
        ),
        loop_factory=VirtualLoop,
    )
    kinds = ["method" in text for text in collect.messages]
    assert len(kinds) == 800 and 40 <= sum(kinds[200:300]) <= 60


def test_answers_are_heard_also_while_methods_wait_for_their_turn() -> None:
    async def for_ever() -> None:
        await asyncio.sleep(1000)

    with drive(JSONRPC({"f": for_ever}, concurrency=1)) as rpc:
        rpc.send(Call("g"), box="calls")
        rpc.send(*(request("f", [], n) for n in range(5)), answer(1, "heard"))
        assert [reply.answer for reply in rpc.take_all("results")] == ["heard"]
        # And with nothing to hear any more, they hold the peer back.
        rpc.send(request("f", [], 6), answer(2, "strange"))
        seen = rpc.component.statistics()
        assert (seen.working, seen.waiting, seen.strange) == (1, 4, 0)


def test_a_peer_in_the_same_system_that_never_answers_is_no_deadlock() -> None:
    rpc, collect = JSONRPC(timeout=3), Collect()

    class Silent(Component):
        async def main(self) -> None:
            async for _ in self.inbox:
                pass

    silent = Silent()
    parts = Graphline(
        Source([Call("f")]).outbox >> rpc.calls,
        rpc.outbox >> silent.inbox,
        silent.outbox >> rpc.inbox,
        rpc.results >> collect.inbox,
    )
    run(parts, loop_factory=VirtualLoop)
    assert [type(reply.error) for reply in collect.messages] == [TimeoutError]


# -- calling back -------------------------------------------------------------------------------------


async def ask_back(method: str = "name") -> str:
    return f"hello {await caller().call(method)}"


def test_a_method_calls_who_has_called_it() -> None:
    with drive(JSONRPC({"greet": ask_back}, concurrency=1)) as rpc:
        rpc.send(request("greet", [], 1), request("greet", [], 2))
        assert rpc.take_all() == [
            '{"jsonrpc":"2.0","method":"name","id":1}',
            '{"jsonrpc":"2.0","method":"name","id":2}',
        ]
        rpc.send(answer(2, "anna"), answer(1, "bert"))
        assert rpc.take_all() == [answer(2, "hello anna"), answer(1, "hello bert")]


def test_a_method_that_calls_back_gets_what_goes_wrong() -> None:
    seen: list[Any] = []

    async def f(seconds: float) -> None:
        await caller().notify("before", [1])
        try:
            await caller().call("g", timeout=seconds)
        except Exception as error:
            seen.append(error)

    with drive(JSONRPC({"f": f})) as rpc:
        rpc.send(*(request("f", [seconds]) for seconds in (1, 20, 30)))
        rpc.advance(2)
        rpc.send('{"jsonrpc":"2.0","error":{"code":1,"message":"no"},"id":2}')
        rpc.close("inbox")
        assert list(map(type, seen)) == [TimeoutError, RPCError, NoAnswer]
        assert rpc.take() == '{"jsonrpc":"2.0","method":"before","params":[1]}'
        assert rpc.outcome == "ended"


def test_a_method_that_calls_back_several_at_a_time_counts_as_one() -> None:
    async def many() -> list[Any]:
        return await asyncio.gather(*(caller().call("g", [n]) for n in range(3)))

    with drive(JSONRPC({"many": many, "add": add}, concurrency=1)) as rpc:
        rpc.send(request("many", [], 1), request("add", [1], 2))
        assert len(rpc.take_all()) == 4 and rpc.component.statistics().working == 0
        rpc.send(answer(1, "a"), answer(2, "b"))
        assert rpc.component.statistics().working == 0
        rpc.send(answer(3, "c"))
        assert rpc.take_all() == [answer(1, ["a", "b", "c"])]
        assert rpc.component.statistics().working == 0


def test_only_a_method_has_a_caller() -> None:
    with pytest.raises(UsageError, match="ask in a method of JSONRPC"):
        caller()


def linked(one: JSONRPC, other: JSONRPC, *parts: Any) -> Any:
    """Link two peers in one system."""
    return Graphline(one.outbox >> other.inbox, other.outbox >> one.inbox, *parts)


def test_two_peers_whose_methods_call_each_other_do_not_wait_for_each_other() -> None:
    async def down(n: int) -> int:
        return n if n == 0 else 1 + await caller().call("down", [n - 1])

    one, other = JSONRPC({"down": down}, concurrency=1), JSONRPC({"down": down}, concurrency=1)
    source, collect = Source([Call("down", [900])]), Collect()
    parts = linked(one, other, source.outbox >> one.calls, one.results >> collect.inbox)
    run(parts, loop_factory=VirtualLoop)
    (reply,) = collect.messages
    assert (reply.answer, reply.error) == (900, None)


def test_two_peers_who_both_call_much_do_not_wait_for_each_other() -> None:
    count = 3000
    one, other = JSONRPC({"add": add}), JSONRPC({"add": add})
    collects = Collect(), Collect()
    calls = [Call("add", [n, n]) for n in range(count)]
    parts = linked(
        one,
        other,
        Source(calls, then="stay").outbox >> one.calls,
        Source(calls, then="stay").outbox >> other.calls,
        one.results >> collects[0].inbox,
        other.results >> collects[1].inbox,
    )

    @component
    async def stop_at_once(inbox: Any, outbox: Any) -> None:
        await sleep(5)
        current_component().system.stop()

    run(parts, stop_at_once, loop_factory=VirtualLoop)
    for collect in collects:
        replies = sorted(collect.messages, key=lambda reply: reply.question.params)
        assert [(reply.answer, reply.error) for reply in replies] == [(2 * n, None) for n in range(count)]


def test_peers_that_only_wait_for_each_other_end_when_all_is_at_rest() -> None:
    one, other = JSONRPC({"wait": wait}), JSONRPC({"wait": wait})
    source, collect = Source([Call("wait", [3])]), Collect()
    parts = Graphline(
        one.outbox >> other.inbox,
        (other.outbox >> one.inbox),
        source.outbox >> one.calls,
        one.results >> collect.inbox,
    )
    run(parts, loop_factory=VirtualLoop)
    assert [reply.answer for reply in collect.messages] == [3]


# -- services -----------------------------------------------------------------------------------------


def stock() -> Calls:
    have = {"apples": 3}

    def look(pair: tuple[int, Call]) -> Any:
        number, question = pair
        (fruit,) = question.params
        if fruit not in have:
            return number, RPCError(-32001, f"no {fruit}")
        return number, [question.method, have[fruit]]

    return Calls("stock", Map(look))


def test_a_service_answers_for_methods() -> None:
    rpc = JSONRPC({"get": Ask("stock"), "add": add})
    texts = [request("get", ["apples"], 1), request("get", ["pears"], 2), request("add", [1], 3)]
    _, got = run(stock(), Source(texts) | rpc | Collect(), loop_factory=VirtualLoop)
    assert sorted(got) == sorted(
        [
            answer(1, ["get", 3]),
            '{"jsonrpc":"2.0","error":{"code":-32001,"message":"no pears"},"id":2}',
            answer(3, 2),
        ]
    )


def test_one_ask_may_be_there_for_several_methods_and_is_made_again_with_its_peer() -> None:
    ask = Ask("stock")
    rpc = JSONRPC({"get": ask, "look": ask})
    assert len(rpc.children) == 1
    texts = [request("get", ["apples"], 1), request("look", ["apples"], 2)]
    from kamaelia.axon import make

    for part in (make(rpc), rpc):
        _, got = run(stock(), Source(texts) | part | Collect(), loop_factory=VirtualLoop)
        assert got == [answer(1, ["get", 3]), answer(2, ["look", 3])]


def test_a_service_that_has_gone_is_an_error_of_the_call() -> None:
    class Fails(Component):
        async def main(self) -> None:
            await self.inbox.receive()

    texts = [request("get", ["apples"], 1)]
    _, got = run(
        Calls("stock", Fails),
        Source(texts) | JSONRPC({"get": Ask("stock")}, tell_errors=True) | Collect(),
        loop_factory=VirtualLoop,
    )
    code, message, told = error_of(got[0])
    assert (code, message) == (-32000, "Server error") and told.startswith("NoAnswer: ")


def test_a_peer_that_leaves_does_not_wait_for_its_services() -> None:
    rpc = JSONRPC({"get": Ask("nowhere")})
    with drive(rpc, unlinked=["calls", "results"]) as driver:
        driver.send(request("get", [], 1))
        driver.leave("outbox")
        assert (driver.outcome, driver.time) == ("ended", 0)


# -- what cannot be meant -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind", "complaint"),
    [
        (lambda: JSONRPC([add]), TypeError, "give functions by their names"),
        (lambda: JSONRPC({7: add}), TypeError, "the name of a method is a text"),
        (lambda: JSONRPC({"": add}), TypeError, "the name of a method is a text"),
        (lambda: JSONRPC({"rpc.x": add}), ValueError, "names that begin with 'rpc.'"),
        (lambda: JSONRPC({"add": 7}), TypeError, "give a function, or an Ask"),
        (lambda: JSONRPC(timeout=0), ValueError, r"JSONRPC\(timeout=0\): give the seconds"),
        (lambda: JSONRPC(concurrency=0), ValueError, r"JSONRPC\(concurrency=0\): give how many methods"),
        (lambda: JSONRPC(limit=0), ValueError, r"JSONRPC\(limit=0\): give how many calls may be open"),
        (lambda: JSONRPC(longest="1"), TypeError, r"JSONRPC\(longest='1'\): give the characters"),
    ],
)
def test_what_cannot_be_meant_is_said_when_it_is_made(make: Any, kind: Any, complaint: str) -> None:
    with pytest.raises(kind, match=complaint):
        make()


def test_a_method_runs_in_its_component() -> None:
    paths: list[str] = []

    async def f() -> None:
        await sleep(1)
        paths.append(current_component().path)

    with drive(JSONRPC({"f": f})) as rpc:
        rpc.send(request("f"))
        rpc.advance(1)
    assert paths == ["JSONRPC"]
