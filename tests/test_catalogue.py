"""The catalogue: every part that is installed is described, wholly, and its specimens do what they say."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import sys
import textwrap
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import kamaelia
from kamaelia import Component, catalogue, component
from kamaelia.axon import ComponentFunction, Inbox, Outbox, ScriptInbox, UsageError
from kamaelia.catalogue import Part, PartBox, Specimen, describe, find, groups, is_part, parts
from kamaelia.testing import drive

SOURCE = Path(kamaelia.__file__).parent
WITHOUT_PARTS = {"apps", "cli", "cluster", "observe", "studio", "testbed", "testing"}
OURS = [part for part in parts() if part.module.startswith("kamaelia.")]
SPECIMENS = [
    pytest.param(part, specimen, id=f"{part.name}-{number}")
    for part in OURS
    for number, specimen in enumerate(part.specimens())
]
TIME = 300.0  # virtual seconds in which the beginning of an endless specimen has come

each_part = pytest.mark.parametrize("part", OURS, ids=lambda part: part.name)


# -- ours ---------------------------------------------------------------------------------------------


@pytest.mark.one_core
def test_every_room_with_parts_is_in_the_catalogue() -> None:
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")} - WITHOUT_PARTS
    assert rooms <= set(catalogue.ROOMS), "add it to ROOMS in kamaelia/catalogue.py"
    with_parts = {group.name for group in groups() if group.parts and group.module.startswith("kamaelia.")}
    assert rooms == with_parts


@pytest.mark.one_core
def test_no_two_of_our_parts_have_the_same_name() -> None:
    assert len({part.name for part in OURS}) == len(OURS)


@pytest.mark.one_core
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


DEFAULT_DOCS = {box.doc for box in Component._box_declarations.values()}


@pytest.mark.one_core
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


@pytest.mark.one_core
@each_part
def test_the_text_says_nothing_of_the_sections_twice(part: Part) -> None:
    assert ">>>" not in part.text
    assert "Arguments:" not in part.text


# -- specimens ----------------------------------------------------------------------------------------


@pytest.mark.one_core
@each_part
def test_there_is_a_specimen(part: Part) -> None:
    assert part.specimens(), (
        f'write one into SPECIMENS of {part.module}.specimens: "{part.name}": (Specimen(lambda: '
        f"{part.name}(...), {{inbox: messages}}, {{outbox: what comes of them}}),)"
    )


@pytest.mark.one_core
@pytest.mark.parametrize(("part", "specimen"), SPECIMENS)
def test_a_specimen_is_of_its_part(part: Part, specimen: Specimen) -> None:
    made = specimen.make()
    assert isinstance(
        made, part.thing.component_class if isinstance(part.thing, ComponentFunction) else part.thing
    )
    assert specimen.make() is not made
    assert specimen.feed.keys() <= {name for name, box in made.boxes.items() if box.is_inbox}
    assert (specimen.gives or {}).keys() <= {name for name, box in made.boxes.items() if not box.is_inbox}
    if not specimen.outside:
        assert specimen.gives is not None or specimen.returns is None


@pytest.mark.one_core
def test_there_are_no_specimens_of_what_is_no_part() -> None:
    for group in groups():
        if group.module.startswith("kamaelia."):
            specimens = importlib.import_module(f"{group.module}.specimens").SPECIMENS
            assert specimens.keys() <= {part.name for part in group.parts}
            assert list(specimens) == sorted(specimens)


@pytest.mark.parametrize(("part", "specimen"), SPECIMENS)
def test_a_specimen_gives_what_it_says(part: Part, specimen: Specimen) -> None:
    if specimen.outside:
        return
    made = specimen.make()
    outboxes = [name for name, box in made.boxes.items() if not box.is_inbox]
    with drive(made) as driven:
        for box, messages in specimen.feed.items():
            driven.send(*messages, box=box)
        if specimen.endless:
            assert specimen.gives is not None
            driven.advance(TIME)
            for name, expected in specimen.gives.items():
                assert tuple(driven.take(name) for _ in expected) == expected
            assert not driven.ended
            return
        driven.close()
        result = driven.finish()
        assert driven.outcome == "ended"
        given = {name: tuple(messages) for name in outboxes if (messages := driven.take_all(name))}
        if specimen.gives is not None:
            assert (given, result) == (specimen.gives, specimen.returns)
