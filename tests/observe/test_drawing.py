"""Pictures of components."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pytest

from kamaelia import Component, Graphline, component
from kamaelia.chassis import PublishTo, SubscribeTo
from kamaelia.flow import Collect, Encode, Filter, Lines, Map, Source, Tee
from kamaelia.net import TCPServer
from kamaelia.observe import mermaid, parts, svg
from kamaelia.observe.parts import DETAIL, details

ROOT = Path(__file__).resolve().parents[2]


def words(picture):
    return [
        element.text
        for element in ElementTree.fromstring(picture).iter()
        if element.text and element.text.strip()
    ]


def test_the_committed_picture_is_what_the_tool_draws():
    spec = importlib.util.spec_from_file_location("picture", ROOT / "tools" / "picture.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    drawn = tool.chat_picture()
    assert len(drawn) < 200_000
    assert drawn == tool.PICTURE.read_text(), "draw it again: python tools/picture.py"


def test_a_pipeline_is_a_row_of_its_parts():
    assert words(svg(Source("ab") | Map(str.upper) | Collect())) == [
        "Source",
        "'ab'",
        "Map",
        "str.upper",
        "Collect",
    ]


def test_types_stand_at_the_links():
    assert "str" in words(svg(Lines() | Encode()))
    assert "n1 -->|str| n2" in mermaid(Lines() | Encode())


def test_boxes_that_nothing_is_linked_to_are_drawn_on_demand():
    assert mermaid(SubscribeTo("talk") | Encode(), boxes=True).splitlines() == [
        "flowchart LR",
        "    n1[\"SubscribeTo<br/>'talk'\"]",
        '    n2["Encode"]',
        '    n3(["inbox<br/>Any"])',
        '    n4(["outbox<br/>bytes"])',
        "    n1 --> n2",
        "    n2 -->|bytes| n4",
        "    n3 --> n1",
    ]
    assert words(svg(Lines(), boxes=True)) == ["Lines", "inbox", "bytes", "outbox", "str"]
    assert words(svg(Lines())) == ["Lines"]
    assert "outbox" in words(svg(Tee(Collect()), boxes=True))  # linked to what is in it, and to nothing else
    assert svg(Lines(), boxes=True).count("<rect") == 2  # the paper, and the part


def test_a_pipeline_with_a_name_has_a_frame():
    system = Source("ab") | (Map(str.upper) | Filter(str.isupper)).named("shout") | Collect()
    assert mermaid(system).splitlines() == [
        "flowchart LR",
        "    n1[\"Source<br/>'ab'\"]",
        '    subgraph n2["shout"]',
        '        n3["Map<br/>str.upper"]',
        '        n4["Filter<br/>str.isupper"]',
        "    end",
        '    n5["Collect"]',
        "    n1 --> n3",
        "    n3 --> n4",
        "    n4 --> n5",
    ]


def test_a_server_shows_what_it_makes_for_each():
    picture = svg(TCPServer(Lines() | PublishTo("room") | SubscribeTo("room") | Encode(), port=1500))
    assert words(picture)[:2] == ["TCPServer", "port=1500"]
    assert "one for each" in words(picture)
    assert "PublishTo" in words(picture)


def test_loops_and_one_to_many_can_be_drawn():
    @component
    async def echo(inbox, outbox):
        async for message in inbox:
            await outbox.send(message)

    first, second, third = echo(), echo(), echo()
    system = Graphline(
        first.outbox >> second.inbox,
        first.outbox >> third.inbox,
        second.outbox >> first.inbox,
        third.outbox >> first.inbox,
    )
    picture = svg(system)
    assert words(picture) == ["echo", "echo-2", "echo-3"]
    assert picture.count("<path d=") == 5  # four links, and the tip of an arrow


@pytest.mark.parametrize("text", ["<&>", '"', "'", "\n", "ü", "x" * 1000])
def test_any_argument_can_be_shown(text):
    assert ElementTree.fromstring(svg(Source([text]) | Encode(end=text))) is not None
    assert "subgraph" not in mermaid(Source([text]) | Encode(end=text))


def test_drawing_leaves_no_trace():
    system = Source("ab") | Collect()
    assert svg(system) == svg(system)
    from kamaelia import run

    assert run(system) == ["a", "b"]


class Holder(Component):
    """Is given something."""

    def __init__(self, value):
        self.value = value


class Told:
    """Counts how often somebody asks how it is written."""

    asked = 0

    def __repr__(self):
        Told.asked += 1
        return "told"


@pytest.mark.parametrize("kind", [list, tuple, lambda items: dict.fromkeys(items, 1), set, frozenset])
def test_of_a_large_argument_only_the_beginning_is_written(kind):
    Told.asked = 0
    found = details(Holder(kind([Told() for _ in range(1000)])))
    assert "told, " in found or "told: 1, " in found
    assert len(found) == DETAIL
    assert Told.asked <= DETAIL


def test_an_argument_of_megabytes_is_written_as_what_begins_with_the_same_letters():
    assert details(Holder(b"ab" * 10**6)) == details(Holder(b"ab" * 100)) == "b'" + 11 * "ab" + "a…"
    assert details(Holder([10**10_000])).startswith("[0x")


def test_each_of_many_visitors_is_compared_once(monkeypatch):
    shaped = []
    real = parts._shape
    monkeypatch.setattr(parts, "_shape", lambda process: shaped.append(process) or real(process))
    visitors = [
        SimpleNamespace(isolated=True, component=Source([number % 7]), children=()) for number in range(100)
    ]
    lone = SimpleNamespace(isolated=False, component=Source([0]), children=())
    groups = parts._groups([lone, *visitors, lone])
    assert [len(group) for group in groups] == [1, 15, 15, 14, 14, 14, 14, 14, 1]
    assert len(shaped) == 100
