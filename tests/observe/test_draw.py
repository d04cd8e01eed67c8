"""Pictures of systems that run: as text, for Graphviz, in notebooks; and of those with many parts."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import xml.etree.ElementTree as ElementTree

import pytest

from kamaelia import Component, Graphline, Pipeline, background, component, run, sleep
from kamaelia.axon import Seat, System, UsageError, VirtualLoop, current_component
from kamaelia.axon import services as axon_services
from kamaelia.chassis import Parallel
from kamaelia.flow import Collect, Encode, Interval, Lines, Map, Null, Source, Tee
from kamaelia.net import TCPClient, TCPServer
from kamaelia.observe import draw, graphviz, mermaid, outline, svg
from kamaelia.protocol import Echo
from kamaelia.testbed import Network


def virtually(*systems, **options):
    return run(*systems, loop_factory=VirtualLoop, **options)


@component
async def slow(inbox, outbox):
    async for message in inbox:
        await sleep(1)
        await outbox.send(message)


@component
async def echo(inbox, outbox):
    async for message in inbox:
        await outbox.send(message)


def nested(depth, width=2):
    if depth == 0:
        return Map(str)
    return Pipeline(*[nested(depth - 1, width) for _ in range(width)]).named(f"level-{depth}")


def dot(text):
    done = subprocess.run(["dot", "-Tsvg"], input=text.encode(), capture_output=True, timeout=60)
    return done.stdout.decode(), done.stderr.decode(), done.returncode


def titles(picture):
    tree = ElementTree.fromstring(picture)
    return [one.text for one in tree.iter("{http://www.w3.org/2000/svg}title")]


# -- text ---------------------------------------------------------------------------------------------------


def test_text_has_a_line_for_each_part_and_where_it_sends_to():
    start, log, seen = Source("ab"), echo().named("log"), Null().named("seen")
    inner = (Map(str.upper) | Encode(end="\n")).named("shout")
    system = Graphline(
        start.outbox >> inner.inbox, inner.outbox >> [log.inbox, seen.inbox], log.outbox >> "self.outbox"
    ).named("row")
    assert outline(system).splitlines() == [
        "row",
        "  Source 'ab'         -> Map",
        "  shout",
        "    Map str.upper     -> Encode",
        "    Encode end='\\n'   -> log",
        "                      -> seen",
        "  log                 -> ../outbox",
        "  seen",
    ]


def test_text_names_boxes_other_than_the_usual_and_ways_back():
    first, second = echo().named("first"), echo().named("second")
    ring = Graphline(first.outbox >> second.inbox, feedback(second.outbox, first.inbox)).named("ring")
    assert outline(ring).splitlines() == [
        "ring",
        "  first    -> second",
        "  second   -> first (back)",
    ]
    tee = Tee(Collect())
    assert outline(Graphline(Source("a").outbox >> tee.inbox)).splitlines() == [
        "Source 'a'   -> Tee",
        "Tee          -> Collect",
        "  Collect",
    ]


def feedback(source, target):
    from kamaelia.axon import Link

    return Link(source, target, feedback=True)


def test_names_that_several_have_are_told_apart():
    left = (Map(str) | Map(len)).named("left")
    right = (Map(str) | Map(len)).named("right")
    text = outline(Graphline(left.outbox >> right.inbox).named("both"))
    assert text.splitlines() == [
        "both",
        "  left          -> Map",
        "    Map str     -> Map-2",
        "    Map-2 len   -> right/Map",
        "  right",
        "    Map str     -> Map-2",
        "    Map-2 len   -> ../outbox",
    ]


def test_fifty_parts_fit_into_eighty_columns():
    rows = [
        (Source([n] * 100) | Map(lambda one: one).named(f"a-rather-long-name-for-a-part-{n}") | Null()).named(
            f"row-number-{n}"
        )
        for n in range(12)
    ]
    system = Parallel(*rows)
    text = outline(system)
    assert len(text.splitlines()) == 1 + 12 * 4
    assert max(map(len, text.splitlines())) <= 80
    with background(
        Parallel(*[(Interval(0.01) | echo() | Null()).named(f"row-{n}") for n in range(12)])
    ) as one:
        running = one._system.draw()
    assert len(running.splitlines()) == 1 + 12 * 4
    assert max(map(len, running.splitlines())) <= 80


def test_text_of_a_running_system_says_what_everybody_does():
    row = (Interval(0.1) | slow() | Null()).named("row")

    @component
    async def watch(inbox, outbox):
        system = current_component().system
        await sleep(5.05)
        before = draw(row)
        system.snapshot()
        await sleep(10)
        system.snapshot()
        pictures = before, draw(row), system.draw()
        system.cancel()
        return pictures

    before, after, whole = virtually(row, watch())[1]
    assert before.splitlines() == [
        "row",
        "  Interval 0.1   -> slow  sleeping",
        "  slow           -> Null  sleeping, inbox 45/100",
        "  Null                    receiving",
    ]
    assert after.splitlines() == [
        "row",
        "  Interval 0.1   -> slow  sending, 6/s",
        "  slow           -> Null  sleeping, inbox 96/100, 6/s",
        "  Null                    receiving, 1/s",
    ]
    assert whole.splitlines()[:4] == after.splitlines()
    assert whole.splitlines()[4].split() == ["watch", "running"]


def test_what_many_visitors_do_is_summed_up():
    network = Network()
    texts = []

    @component
    async def watch(inbox, outbox):
        await sleep(2)
        texts.append(current_component().system.draw())

    server = network.host("server")
    server.run(TCPServer(Lines() | echo() | Encode(), port=7))
    server.run(watch())
    for number in range(3):
        client = network.host(f"client-{number}")
        client.run(Source([b"hello\n"], then="stay") | TCPClient("server", 7) | Collect())
        network.link("server", client, delay="10 ms")
    network.simulate(seconds=3, seed=1)
    assert texts[0].splitlines() == [
        "TCPServer port=7                    receiving",
        "  client-1 \u2026 client-3               3 holding",
        "    Lines               <- outside  3 receiving",
        "                        -> echo",
        "    echo                -> Encode   3 receiving",
        "    Encode              -> outside  3 receiving",
        "watch                               running",
    ]


def test_an_empty_system_is_an_empty_picture():
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        system = System(runner.get_loop())
        assert system.draw() == ""
        assert system.draw("mermaid") == "flowchart LR"


# -- forms --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "mermaid", "graphviz", "svg"])
def test_every_form_may_be_had_of_a_component_a_system_and_a_handle(form):
    row = Source("ab", then="stay") | echo() | Null()
    before = draw(row, form)
    assert before == {"text": outline, "mermaid": mermaid, "graphviz": graphviz, "svg": svg}[form](row)
    with background(row) as handle:
        if form == "text":
            assert draw(handle, form).startswith(before.splitlines()[0])
        else:
            assert draw(handle, form) == draw(row, form) == before
        assert "echo" in handle._system.draw(form)


def test_a_form_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match=r"draw\(form='mermiad'\): did you mean 'mermaid'"):
        draw(Null(), "mermiad")
    with pytest.raises(UsageError, match=r"draw\(form=3\)"):
        draw(Null(), 3)


@pytest.mark.needs("program:dot")
@pytest.mark.parametrize(
    ("make", "nodes"),
    [
        (lambda: Source("ab") | Map(str.upper) | Collect(), 3),
        (lambda: Source([1]) | nested(3) | Collect(), 2 + 8 + 7),
        (lambda: TCPServer(Lines() | Encode(), port=1500), 4),
        (lambda: Graphline(Source("a").outbox >> Tee(Collect()).inbox).named("row"), 4),
        (lambda: Source(['a "quoted" \\ thing\n\x00<b>&amp;']) | Encode(end='"];\n}') | Null(), 3),
        (lambda: Seat(Echo), 2),
    ],
)
def test_graphviz_draws_what_we_write_in_its_language(make, nodes):
    text = graphviz(make(), boxes=False)
    picture, complaints, code = dot(text)
    assert (complaints, code) == ("", 0)
    found = [title for title in titles(picture) if title.startswith("n")]
    assert len(set(found)) >= nodes
    arrows = [line for line in text.splitlines() if " -> " in line and not line.lstrip().startswith("n0")]
    assert sum("->" in title for title in titles(picture)) == len(arrows)


@pytest.mark.needs("program:dot")
def test_graphviz_draws_boxes_frames_and_feedback():
    first, second = echo().named("first"), echo().named("second")
    ring = Graphline(first.outbox >> second.inbox, feedback(second.outbox, first.inbox)).named("ring")
    text = graphviz(ring, boxes=True)
    assert "    n3 -> n2 [style=dashed, constraint=false];" in text.splitlines()
    assert dot(text)[1:] == ("", 0)
    seat = Seat(Echo)
    text = graphviz(Source([b"a"]) | seat | Null(), boxes=True)
    assert dot(text)[1:] == ("", 0)


# -- many parts ---------------------------------------------------------------------------------------------


def test_what_would_be_too_many_is_folded_and_says_so():
    system = Source([1]) | nested(5) | Collect()  # 2 + 63 parts
    everything = outline(system)
    assert len(everything.splitlines()) == 2 + 63
    assert "not shown" not in everything
    text = outline(system, most=20)
    assert text.splitlines() == [
        "Source [1]                 -> level-4/level-3/level-2",
        "level-5",
        "  level-4",
        "    level-3",
        "      level-2 6 inside     -> level-2-2",
        "      level-2-2 6 inside   -> level-3-2/level-2",
        "    level-3-2",
        "      level-2 6 inside     -> level-2-2",
        "      level-2-2 6 inside   -> level-4-2/level-3/level-2",
        "  level-4-2",
        "    level-3",
        "      level-2 6 inside     -> level-2-2",
        "      level-2-2 6 inside   -> level-3-2/level-2",
        "    level-3-2",
        "      level-2 6 inside     -> level-2-2",
        "      level-2-2 6 inside   -> Collect",
        "Collect",
        "(48 parts in 8 others are not shown: it would be more than 20)",
    ]


@pytest.mark.parametrize("form", ["text", "mermaid", "graphviz", "svg"])
@pytest.mark.parametrize("most", [1, 2, 3, 10, 64, 65])
def test_a_picture_never_has_more_parts_than_it_may(form, most):
    system = (Source([1]) | nested(5) | Collect()).named("whole")
    picture = draw(system, form, most=most)
    if form == "mermaid":
        shown = sum("[" in line and "-->" not in line for line in picture.splitlines())
        assert 1 <= shown <= most
        assert "not shown" in picture
    if form == "svg":
        assert ElementTree.fromstring(picture) is not None
    if form == "text":
        assert len(picture.splitlines()) <= most + 1


def test_too_many_side_by_side_are_cut_off():
    system = Parallel(*[Map(str).named(f"part-{number}") for number in range(500)])
    text = outline(*system.children, most=10).splitlines()
    assert text[:2] == ["part-0 str", "part-1 str"]
    assert text[-2:] == ["491 more not shown", "(491 parts are not shown: it would be more than 10)"]
    assert len(text) == 11


def test_a_thousand_parts_are_drawn_in_time():
    system = nested(9)  # 1023 parts
    for form in ("text", "mermaid", "graphviz", "svg"):
        picture = draw(system, form)
        assert "inside" in picture


# -- notebooks ----------------------------------------------------------------------------------------------


def test_a_notebook_shows_components_systems_and_handles():
    row = Source("ab", then="stay") | Null()
    shown = row._repr_mimebundle_()
    assert shown == {"text/plain": repr(row), "image/svg+xml": svg(row)}
    with background(row) as handle:
        for one in (row, handle, handle._system):
            shown = one._repr_mimebundle_(include=None, exclude=None)
            assert ElementTree.fromstring(shown["image/svg+xml"]) is not None
            assert "Source" in shown["image/svg+xml"]
            assert shown["text/plain"] == repr(one)


def test_a_notebook_shows_the_words_where_nothing_can_be_drawn(monkeypatch):
    def refuse(name):
        raise UsageError("not installed")

    monkeypatch.setattr(axon_services, "load", refuse)
    assert Null()._repr_mimebundle_() == {"text/plain": "Null()"}


def test_a_component_may_be_drawn_from_another_thread_while_it_changes():
    class Busy(Component):
        inbox = outbox = None

        async def main(self):
            while not done.is_set():
                children = [self.add(Source("a") | Null()) for _ in range(5)]
                while not all(child.done() for child in children):
                    await sleep(0)

    done = threading.Event()
    busy = Busy()
    with background(busy):
        for _ in range(100):
            assert draw(busy).startswith("Busy")
            assert draw(busy, "svg").startswith("<svg")
        done.set()
