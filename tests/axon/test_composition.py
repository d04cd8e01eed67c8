"""Rules 10, 12, 15 and 20 of the contract where components are put together, and what errors say then."""

from __future__ import annotations

import asyncio
import collections.abc
import dataclasses
import enum
import sys
import threading
import typing
from typing import Annotated, Any, Literal, LiteralString, NamedTuple, NewType, NoReturn, TypeVar

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, Pipeline, component, select, sleep
from kamaelia.axon import ComponentsFailed, LinkError, Seat, UsageError, make, postman, report, typecheck

from .parts import collect, copy, later, source, take, virtually

# -- rule 12: which types fit ---------------------------------------------------------------------------

UserId = NewType("UserId", int)
T = TypeVar("T")
Text = TypeVar("Text", bound=str)
Either = TypeVar("Either", str, bytes)
Contra = TypeVar("Contra", contravariant=True)


class Movie(typing.TypedDict):
    name: str


class Point(NamedTuple):
    x: int


class Reads(typing.Protocol):
    def read(self) -> bytes: ...


@typing.runtime_checkable
class Closes(typing.Protocol):
    def close(self) -> None: ...


class File:
    def read(self) -> bytes:
        return b""

    def close(self) -> None: ...


class Colour(enum.IntEnum):
    RED = 1


class Eats(typing.Generic[Contra]): ...


class Holds(typing.Generic[T]): ...


ALWAYS = [
    (Annotated[int, "m"], int, True),
    (int, Annotated[int, "m"], True),
    (Annotated[int, "m"], Annotated[int, "n"], True),
    (Annotated[int | None, "m"], int | None, True),
    (Annotated[int, "m"], str, False),
    (bool, float, True),
    (bool, complex, True),
    (Colour, float, True),
    (float, bool, False),
    (LiteralString, str, True),
    (str, LiteralString, True),
    (LiteralString, bytes, False),
    (NoReturn, int, True),
    (typing.Never, int, True),
    (Literal["a"], str, True),
    (Literal["a", 1], str | int, True),
    (Literal["a", 1], str, False),
    (Literal["a"], Literal["a", "b"], True),
    (Literal["a"], Literal["b"], False),
    (str, Literal["a"], True),
    (bytes, Literal["a"], False),
    (Literal[Colour.RED], int, True),
    (Literal[None], None, True),
    (UserId, int, True),
    (int, UserId, True),
    (UserId, float, True),
    (UserId, str, False),
    (T, int, True),
    (int, T, True),
    (Text, str, True),
    (str, Text, True),
    (Text, bytes, False),
    (bytes, Text, False),
    (Either, str, True),
    (Movie, dict, True),
    (Movie, collections.abc.Mapping, True),
    (dict, Movie, True),
    (Movie, list, False),
    (int, Movie, False),
    (Point, tuple, True),
    (tuple, Point, False),
    (Point, tuple[int], True),
    (File, Reads, True),
    (File, Closes, True),
    (int, Closes, False),
    (Reads, File, True),
    (collections.abc.Callable, typing.Callable[[int], str], True),
    (typing.Callable[[object], str], typing.Callable[[int], str], True),
    (typing.Optional[int], int | None, True),  # noqa: UP045
    (typing.Union[int, str], str | int, True),  # noqa: UP007
    (typing.Optional[int], int, False),  # noqa: UP045
    (None, int | None, True),
    (typing.List[int], list, True),  # noqa: UP006
    (list[int], collections.abc.Sequence[int], True),
    (dict[str, int], collections.abc.Iterable[str], True),
    (list[Any], list[int], True),
    (list[bool], list[int], True),
    (list[int], list[float], True),
    (list[UserId], list[int], True),
    (list[int], list[UserId], True),
    (list[int], list[Annotated[int, "m"]], True),
    (list[T], list[int], True),
    (list[int], list[T], True),
    (list["Unknown"], list[int], True),  # noqa: F821
    (list[LiteralString], list[str], True),
    (list[Movie], list[dict], True),
    (dict[str, list[int]], dict[str, list[float]], True),
    (tuple[int, ...], tuple[int, int], True),
    (tuple[int, int], tuple[float, ...], True),
    (Eats[float], Eats[int], True),
    (Holds[int], Holds[float], True),
    (list[int], tuple[int, ...], False),
    (object, int, True),
    (memoryview, str, False),
]

# What types are made of is compared only where beartype is installed.
WITH_BEARTYPE = [
    (list[int], list[str], False),
    (list[str], collections.abc.Sequence[int], False),
    (list[float], list[int], False),
    (dict[str, int], dict[str, str], False),
    (dict[str, list[int]], dict[str, list[str]], False),
    (tuple[int, str], tuple[int, int], False),
    (tuple[int, int, int], tuple[int, int], False),
    (tuple[str, ...], tuple[int, int], False),
    (list[int] | None, list[str] | None, False),
    (Holds[int], Holds[str], False),
]


@pytest.mark.parametrize(("given", "wanted", "fits"), ALWAYS)
@pytest.mark.parametrize("beartype", [True, False])
def test_rule_12_which_types_fit(given, wanted, fits, beartype, monkeypatch):
    if beartype:
        pytest.importorskip("beartype")
    else:
        monkeypatch.setitem(sys.modules, "beartype.door", None)
    assert typecheck.fits(given, wanted) is fits


@pytest.mark.parametrize(("given", "wanted", "fits"), WITH_BEARTYPE)
def test_rule_12_what_types_are_made_of_is_compared_with_beartype(given, wanted, fits, monkeypatch):
    pytest.importorskip("beartype")
    assert typecheck.fits(given, wanted) is fits
    monkeypatch.setitem(sys.modules, "beartype.door", None)
    assert typecheck.fits(given, wanted) is True


if sys.version_info >= (3, 12):  # which has the type statement

    def test_rule_12_aliases_of_types_fit_what_they_stand_for():
        names: dict[str, Any] = {}
        exec(
            "type Number = int\ntype Rows = list[Rows] | None\ntype Lost = Nowhere\ntype Row[T] = list[T]",
            names,
        )
        number, rows, lost, row = (names[name] for name in ("Number", "Rows", "Lost", "Row"))
        assert typecheck.fits(number, int)
        assert typecheck.fits(int, number)
        assert typecheck.fits(number, float)
        assert not typecheck.fits(number, str)
        assert typecheck.fits(list[number], list[int])
        assert typecheck.fits(None, rows)
        assert not typecheck.fits(int, rows)
        assert typecheck.fits(lost, int)
        assert typecheck.fits(row[int], list[int])


def test_rule_12_links_of_types_that_fit_are_made():
    class Speaks(Component):
        outbox = Outbox[Annotated[bool, "noted"]]("yes and no")

        async def main(self):
            await self.outbox.send(True)

    class Hears(Component):
        inbox = Inbox[float]("numbers")

        async def main(self):
            return [message async for message in self.inbox]

    assert virtually(Speaks() | Hears()) == [True]


# -- rules 12 and 15: joining pipelines ------------------------------------------------------------------


@component
async def twice(inbox, outbox):
    async for message in inbox:
        await outbox.send(2 * message)


def names_of(whole: Component) -> list[str]:
    return [child._axon.name for child in whole.children]


def test_rule_15_a_pipeline_joined_twice_is_an_error_as_any_component_is():
    a = copy()
    assert isinstance(a | copy(), Pipeline)
    with pytest.raises(
        UsageError, match=r"^Pipeline/copy is part of a chassis already, and a component runs"
    ):
        a | copy()
    middle = twice() | twice()
    first = source([1]) | middle | collect()
    with pytest.raises(UsageError, match=r"Pipeline is part of a chassis already, and a component runs once"):
        source([1]) | middle
    with pytest.raises(UsageError, match="is part of a chassis already"):
        middle | collect()
    with pytest.raises(UsageError, match="is part of a chassis already"):
        virtually(middle)
    with pytest.raises(UsageError, match="is part of a chassis already"):
        Graphline(middle.outbox >> collect().inbox)
    assert names_of(first) == ["source", "twice", "twice-2", "collect"]
    assert virtually(first) == [4]


def test_rule_15_a_pipeline_that_was_joined_is_still_a_pattern():
    middle = twice() | twice()
    first = source([1]) | middle | collect()
    second = source([1]) | make(middle) | collect()
    assert virtually(first, second) == [[4], [4]]


def test_rule_12_a_pipeline_that_was_joined_cannot_be_run_for_nothing():
    start = source([1]) | twice()
    whole = start | collect()
    with pytest.raises(UsageError, match="is part of a chassis already"):
        virtually(start)
    with pytest.raises(UsageError, match=": add <component copy> to the pipeline that came of it"):
        start.add(copy)
    with pytest.raises(LinkError, match=r"were joined with others by \|; link the boxes of the pipeline"):
        postman.link(start.outbox, copy().inbox)
    assert virtually(whole) == [2]


def test_rule_12_a_pipeline_cannot_be_joined_with_itself():
    both = twice() | twice()
    with pytest.raises(UsageError, match="Pipeline/twice is part of a chassis already"):
        both | both


class Through(Component):
    """A chassis whose inbox leads straight to its outbox."""

    def __init__(self) -> None:
        self.link(self.inbox, self.outbox)
        self.add(stay_a_while())


@component
async def stay_a_while(inbox, outbox):
    await sleep(3)


class Logs(Component):
    log = Outbox("what it has passed on")

    async def main(self):
        async for message in self.inbox:
            await self.outbox.send(message)
            await self.log.send(("log", message))


class Merges(Component):
    extra = Inbox("more to pass on")

    async def main(self):
        async for _, message in select(self.inbox, self.extra):
            await self.outbox.send(message)


def test_rule_12_a_part_keeps_its_own_links_when_it_is_joined():
    assert virtually(Pipeline(source([1, 2]), Through(), collect())) == [1, 2]
    assert virtually(source([1, 2]) | Through() | collect()) == [1, 2]
    assert virtually(source([1, 2]) | (Through() | twice()) | collect()) == [2, 4]


def test_rule_12_links_beside_a_row_stay_when_it_is_joined():
    logs, merges = Logs(), Merges()
    row = logs | merges
    postman.link(logs.log, merges.extra)
    whole = source([1]) | row | collect()
    assert names_of(whole) == ["source", "Logs", "Merges", "collect"]
    assert virtually(whole) == [1, ("log", 1)]


def use_name(row: Pipeline) -> None:
    row.named("mine")


def use_hold(row: Pipeline) -> None:
    row.inbox.hold()


def use_tap(row: Pipeline) -> None:
    postman.tap(row.outbox)


def use_callback(row: Pipeline) -> None:
    row.add_done_callback(print)


def use_child(row: Pipeline) -> None:
    row.add(stay_a_while())


def use_box(row: Pipeline) -> None:
    row.add_box("more", Inbox("more"))


def use_link_inside(row: Pipeline) -> None:
    postman.link(row.inbox, row.children[1].inbox)


def use_other_kind_of_link(row: Pipeline) -> None:
    wire = row._between[0]
    postman.unlink(wire)
    postman.link(wire.source, wire.target, when_full="drop-newest")


def use_nothing(row: Pipeline) -> None:
    pass


@pytest.mark.parametrize(
    ("use", "names"),
    [
        (use_nothing, ["copy", "copy-2", "copy-3"]),
        (use_name, ["mine", "copy"]),
        *(
            (use, ["Pipeline", "copy"])
            for use in (
                use_hold,
                use_tap,
                use_callback,
                use_child,
                use_box,
                use_link_inside,
                use_other_kind_of_link,
            )
        ),
    ],
)
def test_rule_12_a_pipeline_that_was_used_otherwise_is_joined_as_it_is(use, names):
    row = copy() | copy()
    use(row)
    assert names_of(row | copy()) == names


def test_rule_12_a_long_pipeline_may_be_joined_part_by_part():
    whole: Any = source([1])
    for _ in range(300):
        whole = whole | copy()
    assert names_of(whole) == ["source", "copy", *(f"copy-{number}" for number in range(2, 301))]
    assert virtually(whole | collect()) == [1]


# -- rule 10: what run(debug=True) checks ----------------------------------------------------------------


class Thing:
    """Compares by identity, as most objects do."""


class Rude:
    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison, please")

    __hash__ = None  # type: ignore[assignment]


class NoCopy:
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("there is only one of me")


@pytest.mark.parametrize("make_content", [Thing, threading.Lock, Rude, NoCopy, lambda: float("nan")])
def test_rule_10_debug_lets_messages_be_that_cannot_be_compared_with_a_copy(make_content):
    content = make_content()
    (got,) = virtually(source([[content, 1]]) | collect(), debug=True)
    assert got[0] is content


@component
async def changes(inbox, outbox, change=None):
    """Send a list, change it, and send another message to be behind it."""
    message = [1, 2]
    await outbox.send(message)
    message.append(3 if change is None else change)
    await outbox.send("after")


@pytest.mark.parametrize("change", [3, Rude()])
def test_rule_10_debug_notices_a_change_whatever_it_was(change):
    with pytest.raises(ComponentsFailed) as failed:
        virtually(changes(change) | collect(), debug=True)
    assert "was changed after it had been sent: it was [1, 2] and is [1, 2, " in str(
        failed.value.exceptions[0]
    )


def test_rule_10_debug_checks_messages_that_wait_in_a_boundary_before_it_is_started():
    end = collect()
    assert virtually(Pipeline(source([[1], [2]]), Graphline("self.inbox" >> end.inbox)), debug=True) is None
    assert end._axon.result == [[1], [2]]


class WiredLate(Component):
    """Wires its inbox inside after a second, when messages have come already."""

    outbox = None

    def __init__(self, into: list[Any]) -> None:
        self.into = into
        self.add(later(1, self.wire))

    def wire(self) -> None:
        self.link(self.inbox, self.add(collect(self.into)).inbox)


def test_rule_10_debug_checks_messages_that_waited_for_a_boundary_to_be_wired():
    got: list[Any] = []
    virtually(source([[1], [2]]) | WiredLate(got), debug=True)
    assert got == [[1], [2]]


def test_rule_10_debug_checks_what_each_occupant_of_a_seat_receives():
    took: list[Any] = []

    def fill(occupant: Component, failure: Any) -> None:
        took.append(occupant._axon.result)
        seat.fill(take(1))

    seat = Seat(take(1), on_vacant=fill)
    virtually(source([[1], [2], [3]]) | seat, debug=True)
    assert took == [[[1]], [[2]]]
    assert seat.children == []


def test_rule_10_debug_keeps_checking_in_a_seat():
    seat = Seat(take(2), on_vacant=lambda occupant, failure: seen.append(failure))
    seen: list[Any] = []
    virtually(changes() | seat, debug=True)
    assert "was changed after it had been sent: it was [1, 2]" in str(seen[0].error)


# -- rule 15: the recipe ---------------------------------------------------------------------------------


class Crowd(Component):
    """Has all the components that it is given, in a list or in whatever else."""

    def __init__(self, parts: Any, shared: Any = None) -> None:
        self.shared = shared
        for part in parts.values() if isinstance(parts, dict) else parts:
            self.add(*part) if isinstance(part, list) else self.add(part)


@pytest.mark.parametrize(
    ("make_parts", "change"),
    [
        (lambda: [copy(), copy], lambda parts: parts.append(collect())),
        (lambda: {"a": copy(), "b": copy()}, lambda parts: parts.update(c=collect())),
        (lambda: ([copy()], [copy()]), lambda parts: parts[0].clear()),
    ],
)
def test_rule_15_the_recipe_has_the_list_of_components_as_it_was(make_parts, change):
    parts = make_parts()
    shared = [1, 2]
    crowd = Crowd(parts, shared)
    change(parts)
    again = make(crowd)
    assert names_of(again) == names_of(crowd) == ["copy", "copy-2"]
    assert again.shared is crowd.shared is shared


def test_rule_15_links_in_a_list_are_part_of_the_recipe_as_they_were():
    links = [source([1]).outbox >> collect().inbox]
    graph = Graphline(links)
    links.clear()
    assert names_of(make(graph)) == ["source", "collect"]


# -- rule 20: classes of all kinds, and what they are told -------------------------------------------------


@dataclasses.dataclass
class Ticks(Component):
    count: int
    ticks: Outbox[int] = Outbox[int]("one number after the other")  # noqa: RUF009
    start: int = 0

    async def main(self):
        for number in range(self.start, self.start + self.count):
            await self.ticks.send(number)


def test_rule_20_a_component_may_be_a_dataclass_and_its_boxes_are_no_fields():
    assert [field.name for field in dataclasses.fields(Ticks)] == ["count", "start"]
    ticks, end = Ticks(2, 5), collect()
    virtually(Graphline(ticks.ticks >> end.inbox))
    assert end._axon.result == [5, 6]
    assert len({Ticks(1), Ticks(1)}) == 2  # as tasks, components are told apart by who they are


def test_rule_20_a_frozen_dataclass_may_be_a_component():
    @dataclasses.dataclass(frozen=True)
    class Frozen(Component):
        text: str

        async def main(self):
            async with asyncio.timeout(1):
                await self.outbox.send(self.text)

    assert virtually(Frozen("a") | collect()) == ["a"]
    assert Frozen("a") == Frozen("a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Frozen("a").text = "b"


def test_rule_20_a_dataclass_with_slots_may_be_a_component():
    @dataclasses.dataclass(slots=True)
    class Slotted(Component):
        text: str
        log: Outbox[str] = Outbox[str]("unused")  # noqa: RUF009

        async def main(self):
            await self.outbox.send(self.text)

    assert virtually(Slotted("a") | collect()) == ["a"]


@pytest.mark.parametrize("name", ["run", "cancel", "uncancel", "done", "add_done_callback", "get_coro"])
@pytest.mark.parametrize("value", [lambda self: None, Outbox("a box"), 3])
def test_rule_23_what_asyncio_asks_of_a_task_is_no_name_for_something_else(name, value):
    with pytest.raises(UsageError, match=f"^Mine.{name}: this name is Axon's; give your method another one$"):
        type("Mine", (Component,), {name: value})
    with pytest.raises(UsageError, match=f"^Mine.{name}: this name is Axon's"):
        type("Mine", (type("Mixin", (), {name: value}), Component), {})


class TakesNames(Component):
    """Calls its own things as a task calls others."""

    get_stack = "mine"

    def __init__(self) -> None:
        self.done = True
        self.name = "mine"
        self.cancelled = "mine"

    def result(self, at: int) -> None: ...

    def exception(self, at: int) -> None: ...

    def get_loop(self, at: int) -> None: ...

    def get_name(self, at: int) -> None: ...

    def set_name(self, at: int, to: str) -> None: ...

    async def main(self):
        async with asyncio.timeout(1):
            await sleep(0.5)
        return "well"


def test_rule_23_other_names_of_tasks_may_be_taken():
    @component
    async def asks(inbox, outbox):
        return await TakesNames().run()

    assert virtually(asks()) == "well"
    ended = TakesNames()
    virtually(ended)
    assert Component.result(ended) == "well"
    assert Component.exception(ended) is None
    assert Component.done(ended)
    assert not Component.cancelled(ended)
    Component.print_stack(ended)


def test_rule_20_a_box_cannot_be_replaced_by_something_else():
    class Replaces(Component):
        def __init__(self) -> None:
            self.inbox = []

    with pytest.raises(UsageError) as wrong:
        virtually(Replaces())
    assert str(wrong.value) == (
        "Replaces.inbox is a box, and [] cannot take its place: give that attribute another name, or write "
        "inbox = None in the class, for no such box"
    )

    class HasNone(Component):
        inbox = None

        def __init__(self) -> None:
            self.inbox = []

    assert HasNone().inbox == []


def test_rule_20_a_component_that_axon_has_not_made_says_so():
    class Odd(Component):
        def __new__(cls):
            return object.__new__(cls)

    with pytest.raises(
        UsageError, match=r"^this Odd is no component, as Component.__new__ has not made it: in"
    ):
        virtually(Odd())


def test_rule_20_arguments_may_have_any_name():
    class Names(Component):
        def __init__(self, **names: int) -> None:
            self.names = names

    assert Names(cls=1, args=2).names == {"cls": 1, "args": 2}


def test_rule_12_no_part_of_a_graphline_is_called_self():
    with pytest.raises(UsageError, match=r"^Graphline\(self=1\): in its links, self is the graphline itself"):
        Graphline(self=1)


@pytest.mark.parametrize("size", [1.5, None, True, 0, "many", b"1 KiB"])
def test_rule_09_the_size_of_an_inbox_is_a_number_of_messages_or_bytes(size):
    with pytest.raises(ValueError, match=r"^size=.* of inbox 'x': give a number of messages"):
        Inbox("x", size=size)


@pytest.mark.parametrize("at_once", [False, True])
def test_rule_09_what_has_no_length_is_refused_before_any_reader_has_it(at_once):
    class Bytes(Component):
        inbox = Inbox("chunks", size="1 KiB")

        async def main(self):
            return [message async for message in self.inbox]

    @component
    async def number(inbox, outbox):
        await outbox.send(b"first")
        with pytest.raises(TypeError) as wrong:
            if at_once:
                outbox.send_nowait(5)
            else:
                await outbox.send(5)
        assert str(wrong.value) == (
            "Graphline/number.outbox sends 5 to Graphline/Bytes.inbox, whose size is in bytes, and int has "
            "no length: send bytes, or give it a size in messages"
        )

    start, first, second = number(), collect(), Bytes()
    virtually(Graphline(start.outbox >> [first.inbox, second.inbox]))
    assert first._axon.result == second._axon.result == [b"first"]


# -- rule 26: the report -----------------------------------------------------------------------------------


def test_rule_26_one_error_raised_by_two_components_is_told_of_both():
    shared = ValueError("shared")

    @component
    async def early(inbox, outbox):
        raise shared

    @component
    async def late(inbox, outbox):
        try:
            await sleep(9)
        finally:
            raise shared

    for _ in range(2):  # its notes of the first time do not count in the second
        with pytest.raises(ComponentsFailed) as failed:
            virtually(late() | early(), seed=1)
        assert str(failed.value) == (
            "2 component(s) failed: Pipeline/early, Pipeline/late (seed 1) (2 sub-exceptions)"
        )
        assert [line for line in report.describe(failed.value).splitlines() if "shared" in line][:1] == [
            "Pipeline/early: ValueError: shared"
        ]
        assert "\nPipeline/late: ValueError: shared\n" in report.describe(failed.value)
