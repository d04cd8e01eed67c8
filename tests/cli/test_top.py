"""``kamaelia top``: the table, the screen, and what it prints."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kamaelia import Pipeline, component, sleep
from kamaelia.cli import main
from kamaelia.cli.top_table import Row, Table, clean, headline, printed, verdict
from kamaelia.flow import Source
from kamaelia.observe.inspection import places
from kamaelia.observe.inspection.mirror import Mirror
from kamaelia.observe.snapshot import Snapshot
from kamaelia.testbed import Network, Remote

from ..observe.inspection.test_server import running
from ..observe.inspection.world import copy, drain, ticks, until

pytestmark = [pytest.mark.one_core, pytest.mark.once]

LIMIT = 20.0


@pytest.fixture(autouse=True)
def home(monkeypatch):
    runtime = tempfile.mkdtemp(dir="/tmp", prefix="kt-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    everywhere = places.folders()
    monkeypatch.setattr(places, "folders", lambda: everywhere[:1])
    yield Path(runtime, "kamaelia")
    shutil.rmtree(runtime)


@pytest.fixture
def short_look(monkeypatch):
    monkeypatch.setattr("kamaelia.cli.top.LOOK", 0.3)


@component
async def slow(inbox, outbox):
    """Takes its time."""
    async for _ in inbox:
        await sleep(0.5)


@contextmanager
def shop():
    """Run three pipelines, of which one has a slow end."""
    lines = [Pipeline(ticks(0.001), copy(), drain()).named(f"line-{number}") for number in range(2)]
    stalled = Pipeline(ticks(0), copy().named("price"), slow().named("store")).named("stalled")
    with running(*lines, stalled) as path:
        yield path


# -- the table, without a screen ------------------------------------------------------------------------


def part(n, path, parent=None, boxes=(("inbox", "in"), ("outbox", "out"))):
    return {
        "n": n,
        "path": path,
        "parent": parent,
        "type": "m.C",
        "body": "none" if parent is None and n == 1 else "coroutine",
        "boxes": [[name, direction, "Any", False] for name, direction in boxes],
    }


def link(n, source, target):
    ends = {"from": [source, "outbox"], "to": [target, "inbox"]}
    return {"n": n, **ends, "when_full": "wait", "feedback": False, "outside": False}


@pytest.fixture
def table():
    mirror = Mirror()
    parts = [part(1, "shop"), part(2, "shop/a", 1), part(3, "shop/b", 1), part(4, "other")]
    mirror.apply(
        {
            "frame": 1,
            "time": 1.0,
            "components": parts,
            "links": [link(5, 2, 3), link(6, 4, 3)],
            "c": {
                "1": ["holding", 0, 0, None, 0, 2, 0],
                "2": ["sending", 0.25, 0.9, 3, 10, 0, 0],
                "3": ["sleeping", 0, 0, None, 10, 0, 3],
                "4": ["receiving", 0, 0, None, 10, 0, 0],
            },
            "l": {"5": [500, 12300, 100, 100, 7, True], "6": [50, 0.25, 10, 100, 0, True]},
            "stuck": None,
        }
    )
    return Table(mirror)


def names(table):
    return [table.name(row) for row in table.rows()]


def test_the_table_is_a_tree(table):
    assert list(printed(table)) == [
        "  COMPONENT  DOING            IN/s   OUT/s       QUEUE  RUN%  BLOCKED%  WAITS FOR",
        "  - shop                                                                2 restarted",
        "      a      blocked                 12.3k                25        90  b",
        "      b      sleeps          12.3k             100/100                  3 failed, 7 dropped",
        "    other    waits                    0.25",
    ]
    assert [line[:20] for line in printed(table, 20)] == [line[:20] for line in printed(table)]


def test_it_can_be_sorted(table):
    orders = {}
    for order in ("queue", "blocked", "run", "in", "out"):
        table.order = order
        orders[order] = names(table)
    assert orders == {
        "queue": ["shop/b", "other", "shop/a"],
        "blocked": ["shop/a", "other", "shop/b"],
        "run": ["shop/a", "other", "shop/b"],
        "in": ["shop/b", "other", "shop/a"],
        "out": ["shop/a", "other", "shop/b"],
    }


def test_it_can_be_filtered_by_path_and_by_what_is_done(table):
    table.filter = "SHOP/B"
    assert names(table) == ["- shop", "    b"]
    table.filter = "block"
    assert names(table) == ["- shop", "    a"]
    table.filter = "nothing"
    assert names(table) == []
    table.filter, table.order = "o", "queue"
    assert names(table) == ["shop/b", "other", "shop/a"]


def test_what_is_folded_says_how_many_are_blocked_in_it(table):
    table.folded.add("shop")
    assert names(table) == ["+ shop", "  other"]
    assert table.cells(table.rows()[0])["doing"] == "1 blocked"
    table.filter = "shop/a"
    assert names(table) == ["- shop", "    a"]


def test_the_culprit_is_marked_also_where_it_is_folded_away(table):
    sentence = "shop/b holds up shop/a: it sleeps"
    table.mirror.apply({"diagnosis": {"kind": "slow-consumer", "sentence": sentence, "culprit": "shop/b"}})
    assert [line[:5] for line in printed(table)] == ["  COM", "  - s", "     ", "!    ", "    o"]
    assert verdict(table.mirror) == (True, sentence)
    table.folded.add("shop")
    assert table.guilty(table.rows()) == 0
    table.mirror.apply({"diagnosis": {"kind": "none", "sentence": "nobody", "culprit": None}})
    assert table.guilty(table.rows()) is None
    assert verdict(table.mirror) == (False, "nobody")
    table.mirror.apply({"stuck": {"path": "other", "seconds": 2.5, "where": "a.py:7"}})
    assert verdict(table.mirror) == (True, "other holds up everybody: its step has lasted 2.5 s, at a.py:7")
    assert table.guilty(table.rows()) == 1


def test_nothing_in_a_name_is_obeyed_by_the_terminal():
    mirror = Mirror()
    mirror.apply({"components": [part(1, "a\x1b[31m\x07b")], "links": []})
    shown = "\n".join(printed(Table(mirror)))
    assert "a?[31m?b" in shown
    assert "\x1b" not in headline({"name": "\x1b[0m", "program": "p"}, mirror)
    assert clean("\u202e\x9b") == "??"


def test_a_thousand_components_are_arranged_quickly():
    mirror = Mirror()
    parts = [part(n, f"line/part-{n}", 1 if n > 1 else None) for n in range(1, 1001)]
    mirror.apply({"components": parts, "links": [link(2000 + n, n, n + 1) for n in range(2, 1000)]})
    table = Table(mirror)
    began = time.perf_counter()
    for order in ("tree", "queue", "in"):
        table.order = order
        rows = table.rows()
    assert len(rows) == 999
    assert isinstance(rows[0], Row)
    assert time.perf_counter() - began < 0.2


# -- on the command line ------------------------------------------------------------------------------------


def test_once_prints_the_table(capsys):
    with shop():
        assert main(["top", "--once"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Yard  (__main__.py, process {os.getpid()})  13 components, ")
    assert lines[1].startswith("! Yard/stalled/store holds up Yard/stalled/")
    assert re.search(r": it sleeps, .*at test_top\.py:\d+ in slow: await sleep", lines[1])
    titles = "COMPONENT DOING IN/s OUT/s QUEUE RUN% BLOCKED% WAITS FOR"
    assert " ".join(lines[3].split()) == titles
    rows = {line[1:].replace(" - ", " ").split()[0]: line for line in lines[4:]}
    assert rows["store"].startswith("!")
    assert rows["price"].split()[1] == "blocked" and rows["price"].endswith("  store")
    assert "100/100" in rows["price"]


def test_json_prints_a_snapshot_with_rates_and_the_diagnosis(short_look, capsys):
    with shop():
        assert main(["top", str(os.getpid()), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["diagnosis"]["culprit"] == "Yard/stalled/store"
    shot = Snapshot.from_json(json.dumps(said))
    wire = next(one for one in shot.links if one.target == "Yard/line-0/drain.inbox")
    assert wire.rate > 100
    assert shot.watched >= 0.3


def test_list_names_what_can_be_looked_at(capsys):
    assert main(["top", "--list"]) == 0
    assert capsys.readouterr().out == ""
    with running(copy().named("one")), running(copy().named("two")):
        assert main(["top", "--list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[:3] for line in lines] == [
            [str(os.getpid()), "system", "one"],
            [f"{os.getpid()}-2", "system", "two"],
        ]
        assert main(["top"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("kamaelia top: several systems can be looked at; say which:\n")
        assert f"  {os.getpid()}-2  two (" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no running system can be looked at; start one with run(..., inspect=True)"),
        (["no"], "'no' is no address"),
        (["/no/such.sock"], "there is no socket /no/such.sock"),
        (["--every", "0"], "argument --every: 0: give a number of seconds from 0.1 to 10"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_sentence(words, said, capsys):
    assert main(["top", *words]) == 2
    assert said in capsys.readouterr().err


@contextmanager
def paused_network():
    """Simulate two hosts, and stop after two virtual seconds."""
    network, remote = Network(), Remote(paused=True)
    for name in ("here", "there"):
        network.host(name).run(lambda: Source(range(10**6)) | slow().named("store"))
    network.link("here", "there")
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(network.simulate, 20, remote=remote, inspect=True, errors="collect")
        try:
            remote.run_until(2)
            yield
        finally:
            remote.go()
            future.result(LIMIT)


def test_of_a_simulated_network_it_shows_one_host_also_while_time_stands_still(short_look, capsys):
    with paused_network():
        assert main(["top", "--once"]) == 2
        said = capsys.readouterr().err
        assert "say with --host NAME which host is meant. There are here, there (" in said
        assert main(["top", "--once", "--host", "their"]) == 2
        assert "there is no host 'their'; did you mean" in capsys.readouterr().err
        assert main(["top", "--once", "--host", "there"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("there  (__main__.py, process ")
        assert [line.split()[:2] for line in lines[4:]][1:] == [["Source", "blocked"], ["store", "sleeps"]]
        assert main(["top", "--json", "--host", "here"]) == 0
        shot = json.loads(capsys.readouterr().out)
        assert (shot["time"], shot["seed"]) == (2.0, "0/here")


def test_one_system_has_no_hosts(short_look, capsys):
    with running(copy()):
        assert main(["top", "--once", "--host", "phone"]) == 2
    assert "--host phone: this is one system, and no simulated network" in capsys.readouterr().err


def test_who_may_not_look_is_told_so(capsys):
    from kamaelia.observe.inspection import Server, serve_target

    from ..observe.inspection.test_server import Nothing

    server: Server = serve_target(Nothing(), may_look=lambda peer: False)
    try:
        assert main(["top", server.path, "--once"]) == 2
    finally:
        server.close()
    assert capsys.readouterr().err == "kamaelia top: this system belongs to another user\n"


def test_a_system_that_ends_meanwhile_is_said_to_have_ended(capsys):
    done: list[int] = []
    with shop() as path:
        thread = threading.Thread(target=lambda: done.append(main(["top", path, "--once"])))
        thread.start()
        time.sleep(0.3)
    thread.join()
    assert done == [1]
    assert capsys.readouterr().err.endswith("kamaelia top: the system has ended\n")


def test_without_textual_it_says_what_to_install(monkeypatch, short_look, capsys):
    real = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] == "textual":
            raise ImportError(name)
        return real(name, *rest)

    with running(copy()):
        monkeypatch.setattr(builtins, "__import__", without)
        assert main(["top"]) == 2
        assert "pip install 'kamaelia[tui]'" in capsys.readouterr().err
        assert main(["top", "--once"]) == 0


# -- on the screen ------------------------------------------------------------------------------------------


def screen(path, **options):
    from kamaelia.cli.top_screen import Top
    from kamaelia.observe.inspection import connect

    with connect(path) as inspector:
        greeting = inspector.greeting
    return Top(path, greeting, 0.1, **options)


def shown(app):
    """Return what is on the screen, as text."""
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()
    )


async def shows(app, pilot, text, lacks=False):
    """Wait until some text is on the screen, or is not any more."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        await pilot.pause(0.02)
        if (text in shown(app)) != lacks:
            return
    raise AssertionError(f"{text!r} is {'still' if lacks else 'not'} on the screen:\n{shown(app)}")


async def tap(app, pilot, path):
    """Choose a component, and look at the messages of the first of its boxes."""
    await pilot.press("home")
    while app.view.chosen.path != path:
        await pilot.press("down")
    await pilot.press("t")
    await shows(app, pilot, "which box")
    await pilot.press("enter")


@pytest.mark.needs("module:textual")
def test_the_screen_shows_the_culprit_folds_sorts_filters_and_freezes():
    async def use(path):
        app = screen(path)
        async with app.run_test(size=(120, 30)) as pilot:
            await shows(app, pilot, "! Yard/stalled/store holds up")
            assert app.view.chosen.path == "Yard/stalled/store"  # where it goes by itself
            assert "g Culprit" in shown(app)
            await pilot.press("home", "left")
            await shows(app, pilot, "line-0", lacks=True)
            await pilot.press("g")
            await shows(app, pilot, "line-0")
            assert app.view.chosen.path == "Yard/stalled/store"
            await pilot.press("f")
            await shows(app, pilot, "+ Yard")
            await pilot.press("right", "f")
            await shows(app, pilot, "stalled")
            for order in ("queue", "blocked", "run", "in", "out"):
                await pilot.press("s")
                await shows(app, pilot, f"[sorted by {order}]")
            await pilot.press("s", "slash", *"price")
            await shows(app, pilot, "[only price]")
            await shows(app, pilot, "line-0", lacks=True)
            await pilot.press("enter")
            assert app.focused is app.view
            await pilot.press("escape")
            await shows(app, pilot, "line-0")
            await pilot.press("space")
            await shows(app, pilot, "[FROZEN]")
            steps = app.table.mirror.at("Yard/line-0/ticks").steps
            await pilot.pause(0.3)
            assert app.table.mirror.at("Yard/line-0/ticks").steps == steps
            await pilot.press("space")
            await shows(app, pilot, "[FROZEN]", lacks=True)
            while app.table.mirror.at("Yard/line-0/ticks").steps == steps:
                await pilot.pause(0.02)
            await pilot.press("q")
        assert app.return_code == 0

    with shop() as path:
        asyncio.run(use(path))


@pytest.mark.needs("module:textual")
def test_the_screen_shows_details_and_the_messages_of_a_box():
    async def use(path):
        app = screen(path)
        async with app.run_test(size=(120, 40)) as pilot:
            await shows(app, pilot, "! Yard/stalled/store holds up")
            await pilot.press("enter")
            await shows(app, pilot, "Takes its time.")
            await shows(app, pilot, "it is at    test_top.py:")
            await pilot.press("up")
            await shows(app, pilot, "Pass on what comes.")
            await pilot.press("t")
            await shows(app, pilot, "The messages of which box of Yard/stalled/price?")
            await pilot.press("escape")
            await shows(app, pilot, "which box", lacks=True)
            await tap(app, pilot, "Yard/line-0/drain")
            await shows(app, pilot, "messages of Yard/line-0/drain.inbox")
            await shows(app, pilot, "int ")
            await shows(app, pilot, "more")
            await pilot.press("t")
            await shows(app, pilot, "messages of", lacks=True)
            await tap(app, pilot, "Yard/stalled/store")
            await shows(app, pilot, "wait in Yard/stalled/store.inbox, of which the newest are:")
            await shows(app, pilot, "waiting int ")

    with shop() as path:
        asyncio.run(use(path))


@pytest.mark.needs("module:textual")
def test_the_screen_outlives_the_system():
    manager = shop()
    path = manager.__enter__()

    async def use():
        app = screen(path)
        async with app.run_test(size=(120, 30)) as pilot:
            await shows(app, pilot, "! Yard/stalled/store holds up")
            await asyncio.to_thread(manager.__exit__, None, None, None)
            await shows(app, pilot, "[OVER]")
            await shows(app, pilot, "q quits")
            assert "COMPONENT" in shown(app)
            await pilot.press("down", "s", "q")

    asyncio.run(use())


PROGRAM = """
from kamaelia import Pipeline, component, run, sleep

@component
async def numbers(inbox, outbox):
    number = 0
    while True:
        await outbox.send(number)
        number += 1
        await sleep(0.01)

@component
async def store(inbox, outbox):
    async for number in inbox:
        await sleep(100)

run(Pipeline(numbers(), store()), inspect=True)
"""


@pytest.mark.slow
@pytest.mark.needs("program:tmux", "module:textual")
def test_it_runs_in_a_real_terminal(tmp_path):
    name = f"kamaelia-{os.getpid()}"
    program = tmp_path / "shop.py"
    program.write_text(PROGRAM)
    system = subprocess.Popen([sys.executable, str(program)], stderr=subprocess.PIPE, text=True)
    tmux = ["tmux", "-L", name, "-f", "/dev/null"]

    def look():
        done = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True)
        return done.stdout

    def press(*keys):
        subprocess.run([*tmux, "send-keys", *keys], check=True)

    try:
        assert system.stderr.readline() == f"Pipeline can be looked at: kamaelia top {system.pid}\n"
        command = (
            f"env -u COLUMNS -u LINES {sys.executable} -m kamaelia top {system.pid}; echo it ended: $?; cat"
        )
        subprocess.run([*tmux, "new-session", "-d", "-x", "80", "-y", "30", command], check=True)
        until(lambda: "! Pipeline/store holds up" in look(), "the sentence")
        until(lambda: "q Quit" in look())
        press("Enter")
        until(lambda: "it is at    shop.py:" in look())
        system.kill()
        until(lambda: "the system has ended" in look() and "[OVER]" in look())
        press("q")
        until(lambda: "it ended: 0" in look())
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True)
        system.kill()
        system.wait()
        system.stderr.close()
