"""The rules of JSON-RPC 2.0: texts in, events out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, RemoteProtocolError
from kamaelia.protocol.jsonrpc.machine import (
    BATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    LONGEST,
    LONGEST_ID,
    MESSAGES,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    SERVER_ERROR,
    Answered,
    Call,
    Called,
    Endpoint,
    Late,
    Notification,
    Notified,
    Refused,
    RPCError,
    Send,
    Strange,
)
from tests.fuzz.fuzz_jsonrpc import one_input

pytestmark = pytest.mark.one_core("plain")


def subtract(minuend: Any, subtrahend: Any) -> Any:
    return minuend - subtrahend


METHODS: dict[str, Any] = {
    "subtract": subtract,
    "sum": lambda *numbers: sum(numbers),
    "get_data": lambda: ["hello", 5],
}

INVALID = '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}'

# Every example of the specification: its text, and what has to be sent back (nothing for None).
EXAMPLES = [
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        '{"jsonrpc": "2.0", "result": 19, "id": 1}',
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        '{"jsonrpc": "2.0", "result": -19, "id": 2}',
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        '{"jsonrpc": "2.0", "result": 19, "id": 3}',
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        '{"jsonrpc": "2.0", "result": 19, "id": 4}',
    ),
    ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    (
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        '{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}',
    ),
    (
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
    ),
    ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID),
    (
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"]',
        '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
    ),
    ("[]", INVALID),
    ("[1]", f"[{INVALID}]"),
    ("[1,2,3]", f"[{INVALID}, {INVALID}, {INVALID}]"),
    (
        """[
            {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
            {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
            {"foo": "boo"},
            {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
            {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]""",
        """[
            {"jsonrpc": "2.0", "result": 7, "id": "1"},
            {"jsonrpc": "2.0", "result": 19, "id": "2"},
            {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
            {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
            {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
        ]""",
    ),
    (
        """[
            {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
        ]""",
        None,
    ),
]


def in_some_order(answer: str | None) -> Any:
    """Return what an answer says; of a batch the order is left open by the specification."""
    if answer is None:
        return None
    value = json.loads(answer)
    return sorted(value, key=json.dumps) if isinstance(value, list) else value


def served(endpoint: Endpoint, text: str | bytes) -> str | None:
    """Have an endpoint answer a text, and return the one text that it sends back."""
    sent = []
    for event in endpoint.receive(text):
        if isinstance(event, Send):
            sent.append(event.text)
        elif isinstance(event, Called):
            method = METHODS.get(event.method)
            if method is None:
                answer = endpoint.refuse(event.number, RPCError(METHOD_NOT_FOUND))
            elif isinstance(event.params, dict):
                answer = endpoint.answer(event.number, method(**event.params))
            else:
                answer = endpoint.answer(event.number, method(*event.params))
            if answer is not None:
                sent.append(answer)
        else:
            assert isinstance(event, Notified)
    assert len(sent) <= 1
    return sent[0] if sent else None


@pytest.mark.parametrize(("text", "answer"), EXAMPLES)
def test_the_examples_of_the_specification(text: str, answer: str | None) -> None:
    for form in (text, text.encode()):
        endpoint = Endpoint()
        assert in_some_order(served(endpoint, form)) == in_some_order(answer)
        assert endpoint.open == 0


def request(**members: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": "m", **members})


def refusal(code: int, id: Any = None, data: Any = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": RPCError(code).message}
    return {"jsonrpc": "2.0", "error": error | ({} if data is None else {"data": data}), "id": id}


@pytest.mark.parametrize(
    ("text", "code", "id"),
    [
        ("", PARSE_ERROR, None),
        (" ", PARSE_ERROR, None),
        ("nonsense", PARSE_ERROR, None),
        (b"\xff\xfe", PARSE_ERROR, None),
        ("\ufeff{}", PARSE_ERROR, None),
        (request(id="\udcff").replace("\\udcff", "\udcff"), PARSE_ERROR, None),  # as `JSONRPCLines` has it
        ('{"a":1}{"b":2}', PARSE_ERROR, None),
        ("NaN", PARSE_ERROR, None),
        ("[Infinity]", PARSE_ERROR, None),
        (request(id=1).replace("1", "1e999"), PARSE_ERROR, None),
        ("1" * 5000, PARSE_ERROR, None),
        ("null", INVALID_REQUEST, None),
        ('"text"', INVALID_REQUEST, None),
        ("{}", INVALID_REQUEST, None),
        ('{"id": 7}', INVALID_REQUEST, 7),
        ('{"method": "m", "id": 7}', INVALID_REQUEST, 7),
        (request(jsonrpc="1.0", id=7), INVALID_REQUEST, 7),
        (request(jsonrpc=2.0, id=7), INVALID_REQUEST, 7),
        (request(method=None, id="x"), INVALID_REQUEST, "x"),
        (request(params=None, id="x"), INVALID_REQUEST, "x"),
        (request(params=7, id="x"), INVALID_REQUEST, "x"),
        (request(params="text"), INVALID_REQUEST, None),
        (request(id=True), INVALID_REQUEST, None),
        (request(id=[1]), INVALID_REQUEST, None),
        (request(id={}), INVALID_REQUEST, None),
    ],
)
def test_what_is_wrong_is_answered_at_once(text: str | bytes, code: int, id: Any) -> None:
    endpoint = Endpoint()
    (event,) = endpoint.receive(text)
    assert isinstance(event, Send) and json.loads(event.text) == refusal(code, id)
    assert endpoint.open == 0


@pytest.mark.parametrize("id", [1, 0, -5, 1.5, "", "text", 10**50, None, "\ud800", 'a "quoted" one'])
def test_an_id_comes_back_as_it_was(id: Any) -> None:
    endpoint = Endpoint()
    assert endpoint.receive(request(id=id)) == [Called(1, "m", [])]
    answer = endpoint.answer(1, None)
    assert answer is not None and json.loads(answer) == {"jsonrpc": "2.0", "result": None, "id": id}
    assert answer.isascii()


@pytest.mark.parametrize("longest", [100, 250, LONGEST])
@pytest.mark.parametrize("unit", ["x", "é", "𝄞", "\n", 9])
def test_an_id_that_is_too_long_is_refused_and_to_any_other_an_error_can_be_sent(
    unit: Any, longest: int
) -> None:
    endpoint = Endpoint(longest=longest)
    most = min(LONGEST_ID, longest // 5)

    def id_of(units: int) -> Any:
        return unit * units if isinstance(unit, str) else int(str(unit) * units)

    def ask(id: Any) -> Any:
        text = json.dumps({"jsonrpc": "2.0", "method": "m", "id": id}, ensure_ascii=False)
        (event,) = endpoint.receive(text)
        return event

    fits = max(units for units in range(1, most + 1) if len(json.dumps(id_of(units))) <= most)
    for code in MESSAGES:
        called = ask(id_of(fits))
        assert isinstance(called, Called)
        text = endpoint.refuse(called.number, RPCError(code))
        assert text is not None and len(text) <= longest
        assert json.loads(text) == refusal(code, id_of(fits))
    refused, length = ask(id_of(fits + 1)), len(json.dumps(id_of(fits + 1)))
    assert isinstance(refused, Send) and json.loads(refused.text) == refusal(
        INVALID_REQUEST, None, f"an id has {length} characters, and no more than {most} are taken"
    )


def test_two_calls_with_one_id_are_two_calls() -> None:
    endpoint = Endpoint()
    assert endpoint.receive(request(id=1)) + endpoint.receive(request(id=1, params={"a": 1})) == [
        Called(1, "m", []),
        Called(2, "m", {"a": 1}),
    ]
    assert endpoint.answer(2, "second") == '{"jsonrpc":"2.0","result":"second","id":1}'
    assert endpoint.answer(1, "first") == '{"jsonrpc":"2.0","result":"first","id":1}'
    with pytest.raises(LocalProtocolError, match="no call has the number 1, or it is answered"):
        endpoint.answer(1, "again")


def test_a_batch_is_answered_when_the_last_of_it_is() -> None:
    endpoint = Endpoint()
    batch = f"[{request(id=1)},{request()},{request(id=2)},{request(id=3)}]"
    assert endpoint.receive(batch) == [
        Called(1, "m", []),
        Notified("m", []),
        Called(2, "m", []),
        Called(3, "m", []),
    ]
    assert endpoint.answer(2, "b") is None
    assert endpoint.refuse(3, RPCError(7, "no", [1])) is None
    answer = endpoint.answer(1, "a")
    assert answer == (
        '[{"jsonrpc":"2.0","result":"b","id":2},'
        '{"jsonrpc":"2.0","error":{"code":7,"message":"no","data":[1]},"id":3},'
        '{"jsonrpc":"2.0","result":"a","id":1}]'
    )


def test_answers_in_a_batch_go_to_whom_they_belong_and_are_not_answered() -> None:
    endpoint = Endpoint()
    texts = [endpoint.call(Call("m", [n]))[1] for n in range(3)]
    assert texts[2] == '{"jsonrpc":"2.0","method":"m","params":[2],"id":3}'
    answers = [
        {"jsonrpc": "2.0", "id": 3, "result": "c"},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 5, "message": "no"}},
    ]
    events = endpoint.receive(json.dumps(answers))
    assert events[0] == Answered(3, "c")
    refused = events[1]
    assert isinstance(refused, Refused) and refused.number == 1 and isinstance(refused.error, RPCError)
    assert (refused.error.code, refused.error.message, refused.error.data) == (5, "no", None)
    assert endpoint.asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"id": 1, "result": 1},
        {"jsonrpc": "1.0", "id": 1, "result": 1},
        {"jsonrpc": "2.0", "id": 1, "result": 1, "error": {"code": 1, "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": None},
        {"jsonrpc": "2.0", "id": 1, "error": "text"},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": "1", "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": True, "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": 7}},
    ],
)
def test_an_answer_that_is_wrong_is_a_failure_of_that_call_and_not_answered(answer: Any) -> None:
    endpoint = Endpoint()
    endpoint.call(Call("m"))
    (event,) = endpoint.receive(json.dumps(answer))
    assert isinstance(event, Refused) and event.number == 1
    assert isinstance(event.error, RemoteProtocolError)
    assert endpoint.asked == 0


@pytest.mark.parametrize("id", [2, 0, -1, None, "1", True, 1.5, [1], {}, 10**30])
def test_an_answer_to_nothing_is_strange_and_not_answered(id: Any) -> None:
    endpoint = Endpoint()
    endpoint.call(Call("m"))
    (event,) = endpoint.receive(json.dumps({"jsonrpc": "2.0", "id": id, "result": 1}))
    assert isinstance(event, Strange)
    assert endpoint.asked == 1


def test_what_could_not_be_understood_at_the_other_end_is_told() -> None:
    (event,) = Endpoint().receive(json.dumps(refusal(PARSE_ERROR)))
    assert isinstance(event, Strange) and "Parse error" in event.reason


def test_an_answer_comes_once_and_may_come_late() -> None:
    endpoint = Endpoint()
    endpoint.call(Call("m"))
    endpoint.call(Call("m"))
    endpoint.forget(2)
    assert endpoint.receive('{"jsonrpc":"2.0","id":1.0,"result":1}') == [Answered(1, 1)]
    assert endpoint.receive('{"jsonrpc":"2.0","id":1,"result":1}') == [Late(1)]
    assert endpoint.receive('{"jsonrpc":"2.0","id":2,"result":1}') == [Late(2)]


def test_what_is_sent() -> None:
    endpoint = Endpoint()
    assert endpoint.call(Call("m")) == (1, '{"jsonrpc":"2.0","method":"m","id":1}')
    assert endpoint.call(Call("m", {"a": (1, None)})) == (
        2,
        '{"jsonrpc":"2.0","method":"m","params":{"a":[1,null]},"id":2}',
    )
    assert endpoint.notify(Notification("m", ["ü\n"])) == (
        '{"jsonrpc":"2.0","method":"m","params":["\\u00fc\\n"]}'
    )


@pytest.mark.parametrize("wrong", [object(), float("nan"), {(1, 2): 3}, {1, 2}, b"bytes"])
def test_what_is_no_json_is_refused_before_anything_is_sent(wrong: Any) -> None:
    endpoint = Endpoint()
    endpoint.receive(request(id=1))
    for attempt in (
        lambda: endpoint.call(Call("m", [wrong])),
        lambda: endpoint.notify(Notification("m", [wrong])),
        lambda: endpoint.answer(1, wrong),
        lambda: endpoint.refuse(1, RPCError(1, "no", wrong)),
    ):
        with pytest.raises(LocalProtocolError, match="cannot be written as JSON"):
            attempt()
    assert (endpoint.asked, endpoint.open) == (0, 1)


def test_what_goes_round_and_round_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(LocalProtocolError, match="cannot be written as JSON"):
        Endpoint().call(Call("m", ring))


def test_bounds() -> None:
    endpoint = Endpoint(longest=200, deepest=4, batch=2, limit=3)

    def answer_to(text: str | bytes) -> Any:
        (event,) = endpoint.receive(text)
        assert isinstance(event, Send)
        return json.loads(event.text)

    assert answer_to(" " * 201) == refusal(INVALID_REQUEST, data="a text has more than 200 characters")
    deep = "there are more than 4 lists and objects within each other"
    assert answer_to("[[[[[") == refusal(INVALID_REQUEST, data=deep)
    assert answer_to(request(params=[[[[]]]])) == refusal(INVALID_REQUEST, data=deep)
    assert answer_to("[1,1,1]") == refusal(
        INVALID_REQUEST, data="a batch has 3 members, and no more than 2 are taken"
    )
    assert endpoint.receive(request(params=[[[]], "[[[[[", "\\", '"[[['])) == [
        Notified("m", [[[]], "[[[[[", "\\", '"[[['])
    ]
    for number in range(5):
        assert isinstance(endpoint.receive(request(id=number))[0], Called)
    busy = "5 calls are open, and no more than that are taken"
    assert answer_to(request(id=9)) == refusal(SERVER_ERROR, 9, busy)
    for _ in range(3):
        endpoint.call(Call("m"))
    with pytest.raises(LocalProtocolError, match="3 calls wait for their answers"):
        endpoint.call(Call("m"))
    with pytest.raises(LocalProtocolError, match=r"an answer has 23[0-9] characters, and longest=200"):
        endpoint.answer(1, "x" * 200)
    with pytest.raises(LocalProtocolError, match=r"an error has .* characters, and longest=200"):
        endpoint.refuse(1, RPCError(1, "x" * 200))
    endpoint.forget(1)
    with pytest.raises(LocalProtocolError, match=r"a call of 'm' has .* characters, and longest=200"):
        endpoint.call(Call("m", ["x" * 200]))
    assert (endpoint.open, endpoint.asked) == (5, 2)


def test_the_answers_of_a_batch_are_bounded_together() -> None:
    endpoint = Endpoint(longest=300)
    endpoint.receive(f"[{request(id=1)},{request(id=2)}]")
    assert endpoint.answer(1, "x" * 200) is None
    answer = endpoint.answer(2, "y" * 200)
    assert answer is not None
    first, second = json.loads(answer)
    assert first["result"] == "x" * 200
    assert second == refusal(INTERNAL_ERROR, 2, "the answers to a batch have more than 300 characters")


def test_ids_make_the_answer_to_a_batch_no_longer_than_they_may() -> None:
    endpoint = Endpoint(longest=LONGEST)
    ids = ["x" * (LONGEST_ID - 2), "é" * LONGEST_ID]
    batch = [{"jsonrpc": "2.0", "method": "m", "id": ids[number % 2]} for number in range(BATCH)]
    called = [event for event in endpoint.receive(json.dumps(batch)) if isinstance(event, Called)]
    assert len(called) == BATCH // 2
    for event in called[:-1]:
        assert endpoint.answer(event.number, "y" * (LONGEST // 2)) is None
    answer = endpoint.answer(called[-1].number, "y" * (LONGEST // 2))
    assert answer is not None and len(answer) <= LONGEST + BATCH * (LONGEST_ID + 200)
    told = json.loads(answer)
    assert {one["id"] for one in told} == {None, ids[0]} and len(told) == BATCH


def test_depth_is_found_in_a_time_that_grows_with_the_text_and_no_faster() -> None:
    # With a pattern that tries again what it has matched, this would take minutes.
    endpoint = Endpoint(longest=10**6)
    text = "[" * 101 + "]" * 101 + '\\"' * 400_000
    assert isinstance(endpoint.receive("]" + text)[0], Send)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Call(7),  # type: ignore[arg-type]
        lambda: Call("m", "text"),
        lambda: Call("m", 7),  # type: ignore[arg-type]
        lambda: Notification("m", b"bytes"),
        lambda: Call("m", timeout="soon"),  # type: ignore[arg-type]
        lambda: RPCError("1"),  # type: ignore[arg-type]
        lambda: RPCError(True),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_made(make: Any) -> None:
    with pytest.raises(TypeError, match="give "):
        make()
    for seconds in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="give seconds, more than 0"):
            Call("m", timeout=seconds)


def test_errors_say_what_they_are() -> None:
    assert str(RPCError(INVALID_PARAMS)) == "Invalid params (-32602)"
    assert str(RPCError(3, "no", {"a": 1})) == "no (3): {'a': 1}"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
members = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", None]),
        "method": st.sampled_from(["m", "", 1]),
        "params": st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
        "id": st.integers(-1, 5)
        | st.text(max_size=3)
        | st.integers(1, 250).map(lambda length: "x" * length)
        | st.none()
        | values,
        "result": values,
        "error": values | st.fixed_dictionaries({"code": st.integers(), "message": st.text(max_size=5)}),
    },
)
texts = (members | st.lists(members, max_size=6)).map(json.dumps).map(str.encode) | st.binary(max_size=50)


@given(st.lists(texts, max_size=6))
@settings(max_examples=400, deadline=None)
def test_whatever_comes_nothing_is_raised_and_bounds_are_kept(parts: list[bytes]) -> None:
    one_input(b"\0".join(parts))


@given(values)
@settings(deadline=None)
def test_every_value_survives_the_way_there_and_back(value: Any) -> None:
    here, there = Endpoint(), Endpoint()
    number, text = here.call(Call("echo", [value]))
    (called,) = there.receive(text)
    assert isinstance(called, Called) and called.params == [value]
    answer = there.answer(called.number, value)
    assert answer is not None and here.receive(answer) == [Answered(number, value)]
