"""The catalogue: every part that is installed is described, and wholly."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

import kamaelia
from kamaelia import Component, catalogue, component
from kamaelia.axon import ComponentFunction, Inbox, Outbox, UsageError
from kamaelia.catalogue import Argument, Part, PartBox, Specimen, describe, find, groups, is_part, parts
from kamaelia.chassis import Supervisor
from kamaelia.flow import Lines, Sample, Take

pytestmark = pytest.mark.one_core

SOURCE = Path(kamaelia.__file__).parent
WITHOUT_PARTS = {"apps", "cli", "cluster", "studio", "testing"}
OURS = [part for part in parts() if part.module.startswith("kamaelia.")]

DEFAULT_DOCS = {box.doc for box in Component._box_declarations.values()}

each_part = pytest.mark.parametrize("part", OURS, ids=lambda part: part.name)


# -- ours ---------------------------------------------------------------------------------------------


def test_every_room_with_parts_is_in_the_catalogue() -> None:
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")} - WITHOUT_PARTS
    # What a room has in a folder is known by the room, unless the folder has specimens of its own.
    rooms |= {f"{path.parent.parent.name}.{path.parent.name}" for path in SOURCE.glob("*/*/specimens.py")}
    assert rooms <= set(catalogue.ROOMS), "add it to ROOMS in kamaelia/catalogue.py"
    with_parts = {group.name for group in groups() if group.parts and group.module.startswith("kamaelia.")}
    assert rooms == with_parts


def test_no_two_of_our_parts_have_the_same_name() -> None:
    assert len({part.name for part in OURS}) == len(OURS)


@each_part
def test_the_description_is_complete(part: Part) -> None:
    assert re.fullmatch(r"[A-Z][^\n]*[^.\s]\.", part.summary), "begin the docstring with one sentence"
    assert not re.search(r"\.\s+[A-Z]", part.summary), f"one sentence, not two: {part.summary}"
    assert not part.unknown, f"its docstring tells of arguments that there are not: {part.unknown}"
    without = [argument.name for argument in part.arguments if not argument.meaning]
    assert not without, f"say below 'Arguments:' in its docstring what these mean: {without}"
    silent = [box.name for box in part.boxes if not box.doc or box.doc in DEFAULT_DOCS]
    assert not silent, f"say in the declarations of these boxes what their messages are: {silent}"
    assert ">>> " in part.example, "add an Example: to its docstring"


@each_part
def test_its_example_is_run_with_all_others(part: Part) -> None:
    """What tests/test_docstrings.py runs is what doctest finds in a module; and this is among it."""
    thing = part.thing.component_class if isinstance(part.thing, ComponentFunction) else part.thing
    module = importlib.import_module(thing.__module__)
    run = {
        (example.source, example.want)
        for test in doctest.DocTestFinder(exclude_empty=True).find(module)
        for example in test.examples
    }
    shown = doctest.DocTestParser().get_examples(part.example)
    assert shown
    assert {(example.source, example.want) for example in shown} <= run


@each_part
def test_the_text_says_nothing_of_the_sections_twice(part: Part) -> None:
    assert ">>>" not in part.text
    assert "Arguments:" not in part.text


# -- what is read in a part ---------------------------------------------------------------------------


def of(thing: Any) -> Part:
    return describe(thing, "it", "group", "module")


def test_boxes_are_read_in_their_declarations() -> None:
    class Sorter(Component):
        inbox = Inbox[bytes | str]("things", size=1)
        orders = Inbox[list[int]]("what to do", size="64 KiB", held=True)
        rest = Outbox[Any]("what is left", optional=True)
        _told = Outbox[str]("what nobody else is to link")
        outbox = None

    assert of(Sorter).boxes == (
        PartBox("inbox", True, "bytes | str", "things", size="1 message"),
        PartBox("orders", True, "list[int]", "what to do", size="64 KiB", held=True),
        PartBox("rest", False, "Any", "what is left", optional=True),
    )


@pytest.mark.parametrize(
    ("size", "text"),
    [("2 MiB", "2 MiB"), ("1 KB", "1000 B"), ("1536 KiB", "1536 KiB"), (7, "7 messages")],
)
def test_a_size_is_told_as_one_writes_it(size: Any, text: str) -> None:
    one = type("One", (Component,), {"inbox": Inbox("one", size=size)})
    assert of(one).boxes[0].size == text


def test_arguments_are_read_in_the_signature_and_the_docstring() -> None:
    class Mixer(Component):
        """Mix.

        Arguments:
            first: the one
                and only; see: there
            level: how loud
            **more: others
            gone: is not there any more

        Raises nothing.
        """

        def __init__(
            self, first: int, /, *rest: str, level: Literal["a", "b"] = "a", plain=None, **more: Any
        ) -> None: ...

    part = of(Mixer)
    assert part.arguments == (
        Argument("first", "int", None, "positional-only", "the one and only; see: there"),
        Argument("rest", "str", None, "variadic positional", ""),
        Argument("level", "Literal['a', 'b']", "'a'", "keyword-only", "how loud"),
        Argument("plain", "", "None", "keyword-only", ""),
        Argument("more", "Any", None, "variadic keyword", "others"),
    )
    assert part.unknown == ("gone",)
    assert part.text == "Raises nothing."
    assert (
        part.call()
        == "it(first: int, /, *rest: str, level: Literal['a', 'b'] = 'a', plain=None, **more: Any)"
    )


def test_how_a_part_is_made() -> None:
    def call(signature: str, columns: int | None = None) -> str:
        names: dict[str, Any] = {"Component": Component}
        exec(f"class One(Component):\n    def __init__(self, {signature}): pass", names)
        return of(names["One"]).call(columns)

    assert call("") == "it()"
    assert call("a, /") == "it(a, /)"
    assert call("a, /, b, *, c=1, d") == "it(a, /, b, *, c=1, d)"
    assert call("a, /, *, c: int = 1") == "it(a, /, *, c: int = 1)"
    assert call("*a, c") == "it(*a, c)"
    assert call("a, *, c", columns=10) == "it(a, *, c)".replace("(", "(\n    ").replace(", ", ",\n    ")[
        :-1
    ] + (",\n)")
    assert call("a, *, c", columns=11) == "it(a, *, c)"
    assert call("f=print, kind=ValueError, long='x' * 80") == (
        "it(f=print, kind=ValueError, long='" + "x" * 56 + "...)"
    )


def test_a_part_without_arguments_of_its_own_has_none() -> None:
    class Plain(Component):
        """Do."""

    assert of(Plain).arguments == ()
    assert of(Plain).example == of(Plain).text == ""
    assert of(type("Same", (Plain,), {})).summary == "Do."
    assert of(type("Silent", (Component,), {})).summary == ""


def test_a_dataclass_may_be_a_part() -> None:
    @dataclass
    class Point(Component):
        x: int
        y: int = 0

    assert of(Point).call() == "it(x: int, y: int = 0)"


def test_a_function_may_be_a_part() -> None:
    @component
    async def stir(inbox: Inbox[bytes], outbox, times: int, how: Literal["well"] = "well"):  # type: ignore[no-untyped-def]
        """Stir what comes.

        Arguments:
            times: how often

        Example:
            >>> 1
            1

            >>> 2
            2
        """

    part = of(stir)
    assert part.call() == "it(times: int, how: Literal['well'] = 'well')"
    assert [(box.name, box.type) for box in part.boxes] == [("inbox", "bytes"), ("outbox", "Any")]
    assert (part.summary, part.text, part.arguments[0].meaning) == ("Stir what comes.", "", "how often")
    assert part.example == ">>> 1\n1\n\n>>> 2\n2"


def test_the_text_is_what_is_left() -> None:
    class Talker(Component):
        """Say
        something.

        First::

            code, indented

        Arguments:
            one: two


        Last.

        Example:
            >>> 1
        """

    part = of(Talker)
    assert part.summary == "Say something."
    assert part.text == "First::\n\n    code, indented\n\nLast."
    assert part.example == ">>> 1"


def test_what_is_no_part() -> None:
    assert not any(map(is_part, (Component, Component(), str, None, Lines(), Specimen, test_what_is_no_part)))
    assert all(map(is_part, (Lines, component(lambda inbox: None))))


@each_part
def test_programs_can_read_it(part: Part) -> None:
    about = json.loads(json.dumps(part.about()))
    assert list(about) == [
        *("name", "group", "module", "summary", "call", "boxes", "arguments", "text", "example"),
    ]
    assert getattr(importlib.import_module(about["module"]), about["name"]) is part.thing
    assert about["boxes"] == [
        {
            "name": box.name,
            "is_inbox": box.is_inbox,
            "type": box.type,
            "doc": box.doc,
            "size": box.size,
            "held": box.held,
            "optional": box.optional,
        }
        for box in part.boxes
    ]
    assert [list(one) for one in about["arguments"]] == [
        ["name", "type", "default", "kind", "meaning"] for _ in part.arguments
    ]


# -- finding one --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Lines", "flow.Lines", "kamaelia.flow.Lines"])
def test_a_part_is_found_by_its_name(name: str) -> None:
    assert find(name).thing is Lines


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Lins", "there is no part called 'Lins'; did you mean 'Lines'?"),
        ("suprvisor", "there is no part called 'suprvisor'; did you mean 'Supervisor'?"),
        ("LINES", "there is no part called 'LINES'; did you mean 'Lines'?"),
        ("chassis.Lines", "there is no part called 'chassis.Lines'; did you mean 'Lines'?"),
        ("LineDecoder", "there is no part called 'LineDecoder'; "),  # it is there, but no part
        ("xyzzy", "there is no part called 'xyzzy'; kamaelia list shows those that there are"),
    ],
)
def test_a_name_that_there_is_not_is_answered_with_those_that_are_like_it(name: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        find(name)
    assert str(error.value).startswith(says)


# -- other people's parts -----------------------------------------------------------------------------

KITCHEN = '''
"""Parts for the kitchen."""

from kamaelia import Component, component

class Take(Component):
    """Take a bite."""

@component
def stir(inbox, outbox, times):
    """Stir."""

number = 7
__all__ = ["Take", "stir", "number"]
'''
SPECIMENS_OF_IT = """
from kamaelia.catalogue import Specimen
from . import stir
SPECIMENS = {"stir": (Specimen(lambda: stir(3), holds=3),)}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a package with entry points, and forget it afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def install(entries: dict[str, str], files: dict[str, str]) -> None:
        info = tmp_path / "kitchen-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kitchen\nVersion: 1.0\n")
        lines = [f"{name} = {module}" for name, module in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[kamaelia.parts]", *lines]))
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()

    yield install
    for name in set(sys.modules) - before:
        del sys.modules[name]


Install = Callable[[dict[str, str], dict[str, str]], None]


def test_other_packages_announce_their_parts(install: Install) -> None:
    install(
        {"kitchen": "kitchen"},
        {"kitchen/__init__.py": KITCHEN, "kitchen/specimens.py": SPECIMENS_OF_IT},
    )
    group = groups()[-1]
    assert (group.name, group.module, group.summary) == ("kitchen", "kitchen", "Parts for the kitchen.")
    assert [part.name for part in group.parts] == ["Take", "stir"]
    stir = find("stir")
    assert (stir.group, stir.module, stir.call()) == ("kitchen", "kitchen", "stir(times)")
    (specimen,) = stir.specimens()
    assert (type(specimen.make()).__name__, specimen.holds) == ("stir", 3)
    assert find("kitchen.Take").specimens() == ()


def test_a_name_that_several_have_is_to_be_told_apart(install: Install) -> None:
    install({"kitchen": "kitchen"}, {"kitchen/__init__.py": KITCHEN})
    with pytest.raises(
        UsageError, match=r"several parts are called 'Take': say which, kamaelia.flow.Take or kitchen.Take"
    ):
        find("Take")
    assert find("flow.Take").thing is Take
    assert find("kitchen.Take").thing is not Take


def test_a_plain_module_has_its_specimens_in_itself(install: Install) -> None:
    text = KITCHEN + "from kamaelia.catalogue import Specimen\nSPECIMENS = {'Take': [Specimen(Take)]}"
    install({"kitchen": "kitchen_parts"}, {"kitchen_parts.py": text})
    (specimen,) = find("kitchen.Take").specimens()
    assert type(specimen.make()).__name__ == "Take"


def test_one_that_is_broken_hides_no_other(install: Install) -> None:
    install(
        {
            "a": "kitchen.broken",
            "b": "kitchen.missing",
            "c": "kitchen.unnamed",
            "d": "kitchen.wrong",
            "e": "kitchen",
        },
        {
            "kitchen/__init__.py": KITCHEN,
            "kitchen/broken.py": "raise RuntimeError('no gas')",
            "kitchen/unnamed.py": "",
            "kitchen/wrong.py": "__all__ = ['nothing']",
        },
    )
    before = [group for group in groups() if group.module.startswith("kamaelia.")]
    assert all(group.parts and not group.problem for group in before)
    found = [(group.name, group.problem, len(group.parts)) for group in groups()[len(before) :]]
    assert found == [
        ("a", "kitchen.broken cannot be used: RuntimeError: no gas", 0),
        ("b", "kitchen.missing cannot be used: ModuleNotFoundError: No module named 'kitchen.missing'", 0),
        (
            "c",
            "kitchen.unnamed cannot be used: AttributeError: module 'kitchen.unnamed' has no attribute "
            "'__all__'",
            0,
        ),
        (
            "d",
            "kitchen.wrong cannot be used: AttributeError: module 'kitchen.wrong' has no attribute 'nothing'",
            0,
        ),
        ("e", "", 2),
    ]
    assert {"stir", "Supervisor"} <= {part.name for part in parts()}
    assert find("Supervisor").thing is Supervisor
    assert find("Sample").thing is Sample
