"""``kamaelia run``: what it takes, what it prints, how it ends."""

from __future__ import annotations

import json
import re
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from kamaelia.cli import main

from .programs import kamaelia, start


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own; the modules that are imported from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(name, text):
        (tmp_path / name).write_text(textwrap.dedent(text))

    yield write
    for name in set(sys.modules) - before:
        if not name.startswith("kamaelia."):
            del sys.modules[name]


NUMBERS = """
    from kamaelia.flow import Collect, Source

    numbers = Source([1, 2, 3]) | Collect()

    if __name__ == "__main__":
        raise SystemExit("this is for python, not for kamaelia run")
"""


# -- what it takes ------------------------------------------------------------------------------------


def run(capsys, *words):
    code = main(["run", *words])
    shown = capsys.readouterr()
    return shown.out, shown.err, code


def test_an_expression(capsys, here):
    assert run(capsys, "Source('ab') | Map(str.upper) | Collect()") == ("['A', 'B']\n", "", 0)


def test_a_result_of_none_is_not_printed(capsys, here):
    assert run(capsys, "Source('ab') | ConsoleEchoer()") == ("a\nb\n", "", 0)


def test_lambdas_and_modules_of_the_standard_library(capsys, here):
    text = "Source(['4']) | Map(lambda text: math.sqrt(json.loads(text))) | Collect()"
    assert run(capsys, text) == ("[2.0]\n", "", 0)


def test_names_that_an_expression_binds_itself(capsys, here):
    text = "Source([[x for x in range(n)] for n in (1, 2)]) | Collect()"
    assert run(capsys, text) == ("[[0], [0, 1]]\n", "", 0)


def test_a_class_stands_for_one_made_without_arguments(capsys, here):
    assert run(capsys, "Collect") == ("[]\n", "", 0)


def test_several_side_by_side_find_each_others_names(capsys, here):
    speaker, listener = "Source('ab') | PublishTo('talk')", "SubscribeTo('talk') | Collect()"
    assert run(capsys, speaker, listener) == ("['a', 'b']\n", "", 0)


def test_a_file_with_one_component(capsys, here):
    here("numbers_file.py", NUMBERS)
    assert run(capsys, "numbers_file.py") == ("[1, 2, 3]\n", "", 0)


def test_a_component_of_a_file_by_its_name(capsys, here):
    here(
        "several.py",
        "from kamaelia.flow import *\nother = Source('x') | Collect()\n" + textwrap.dedent(NUMBERS),
    )
    assert run(capsys, "several.py:other") == ("['x']\n", "", 0)
    out, err, code = run(capsys, "several.py")
    assert (out, code) == ("", 2)
    assert "several components at its top level: other, numbers." in err
    assert "several.py:other" in err


def test_system_and_main_are_preferred(capsys, here):
    here("named.py", NUMBERS.replace("if __name__", "system = Source('s') | Collect()\n\n    if __name__"))
    assert run(capsys, "named.py") == ("['s']\n", "", 0)


def test_a_part_of_another_is_not_a_system(capsys, here):
    here(
        "parts.py",
        """
        from kamaelia.flow import Collect, Encode, Map, Source
        from kamaelia.net import TCPServer

        first = Source("a")
        second = Collect()
        both = first | second
        """,
    )
    assert run(capsys, "parts.py") == ("['a']\n", "", 0)


def test_a_pattern_that_a_server_makes_is_not_a_system(here):
    from kamaelia.cli.systems import find_system

    here(
        "server.py",
        """
        from kamaelia.net import TCPServer
        from kamaelia.protocol import Echo

        visitor = Echo()
        chat = TCPServer(visitor, port=0)
        """,
    )
    assert type(find_system("server.py")).__name__ == "TCPServer"


def test_a_file_may_import_its_neighbours_and_have_the_name_of_a_module(capsys, here):
    here("neighbour.py", "items = 'n'")
    here(
        "random.py",
        "from neighbour import items\nfrom kamaelia.flow import *\nit = Source(items) | Collect()",
    )
    assert run(capsys, "random.py") == ("['n']\n", "", 0)
    import random

    assert hasattr(random, "Random")


def test_a_component_of_a_module(capsys, here):
    here("amodule.py", NUMBERS)
    assert run(capsys, "amodule:numbers") == ("[1, 2, 3]\n", "", 0)


SOME = """
    from kamaelia.flow import Source

    it = Source([1])
    number = 7

    class out:
        it = it
"""


# -- what it does not take ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "says"),
    [
        (
            "Sorce('ab') | Collect()",
            "'Sorce' is not known; did you mean 'Source' or 'PcapSource'?\n"
            "  Sorce('ab') | Collect()\n  ^^^^^\n",
        ),
        ("nowhere.py", "there is no file nowhere.py"),
        ("nowhere:system", "nowhere:system: there is no module 'nowhere'."),
        ("gibberish", "'gibberish' is no file, no module:name, and no part: see kamaelia list\n"),
        ("Source([", "'Source([' is no file, no module:name and no expression: '[' was never closed"),
        ("1 + 1", "2 is no component."),
        ("empty.py", "empty.py has no component at its top level"),
        ("empty.py:system", "empty.py:system: 'system' is not in empty; there are none"),
        ("emptyy.py", "there is no file emptyy.py; did you mean empty.py?"),
        ("empty", "'empty' is not known; did you mean the file empty.py?\n"),
        (
            "nowhere.run()",
            "'nowhere' is not known; no public part is called like that: see kamaelia list\n"
            "  nowhere.run()\n  ^^^^^^^\n",
        ),
        ("winreg", "'winreg' is no file, no module:name, and no part"),  # it is for Windows
        ("folder.py", "folder.py is a folder: name a Python file in it"),
        ("folders.py", "there is no file folders.py\n"),  # the folder would be no help
        ("folder.py/", "folder.py/ is a folder"),
        ("plain", "plain is a file, but no Python file: its name does not end in .py"),
        ("text.txt", "text.txt is a file, but no Python file"),
        ("text.txt:system", "text.txt is a file, but no Python file"),
        ("folder.py/text.txt", "folder.py/text.txt is a file, but no Python file"),
        (
            "some.py:it.foo",
            "some.py:it.foo: some.it is a component already, and 'foo' is not in it; write some.py:it",
        ),
        (
            "some.py:out.it.a.b",
            "some.py:out.it.a.b: some.out.it is a component already, and 'a' is not in it; "
            "write some.py:out.it\n",
        ),
        ("some.py:out.itt", "some.py:out.itt: 'itt' is not in some.out; did you mean 'it'?"),
        ("some.py:number.x", "some.py:number.x: 'x' is not in some.number; there are none"),
    ],
)
def test_what_is_no_system_is_said_in_one_sentence(system, says, capsys, here, tmp_path):
    here("empty.py", "")
    here("plain", "")
    here("text.py", "raise SystemExit('this is imported')")
    here("text.txt", "")
    (tmp_path / "folder.py").mkdir()
    here("folder.py/text.txt", "")
    here("some.py", SOME)
    out, err, code = run(capsys, system)
    assert (out, code) == ("", 2)
    assert err.startswith(f"kamaelia run: {says}")


def test_an_error_in_the_users_file_shows_the_users_frames_only(capsys, here, tmp_path):
    here("broken.py", "from kamaelia.flow import Map\n\nsystem = Map(7)\n")
    out, err, code = run(capsys, "broken.py")
    assert (out, code) == ("", 2)
    lines = err.splitlines()
    assert lines[0].startswith("TypeError: Map(7)")
    assert lines[1:] == [f'  File "{tmp_path}/broken.py", line 3, in <module>', "    system = Map(7)"]


def test_a_syntax_error_is_shown_where_it_is(capsys, here):
    here("wrong.py", "system = = 3\n")
    _, err, code = run(capsys, "wrong.py")
    assert code == 2
    assert "wrong.py" in err
    assert "SyntaxError: invalid syntax" in err


def test_what_a_file_misses_is_not_the_file_itself(capsys, here):
    here("lacking.py", "import no_such_module_anywhere")
    _, err, code = run(capsys, "lacking:system")
    assert code == 2
    assert err.startswith("ModuleNotFoundError: No module named 'no_such_module_anywhere'")


# -- options ------------------------------------------------------------------------------------------


def test_json(capsys, here):
    out, err, code = run(capsys, "--json", "Source(['a', b'b', {2}]) | Collect()")
    assert (json.loads(out), err, code) == (["a", "b", [2]], "", 0)
    assert run(capsys, "--json", "Source([])")[0] == "null\n"
    assert run(capsys, "--json", "Source([]) | Collect()", "Source([])")[0] == "[[], null]\n"


def test_what_is_not_json_is_said(capsys, here):
    out, err, code = run(capsys, "--json", "Source([object]) | Collect()")
    assert (out, code) == ("", 1)
    assert "cannot be written as JSON: type is not JSON" in err


def test_a_seed_runs_the_same_again(capsys, here):
    text = "Source(range(3)) | Map(lambda n: random.random()) | Collect()"
    first = run(capsys, "--seed", "7", text)
    assert first[1:] == ("", 0)
    assert first == run(capsys, "--seed", "7", text)
    assert first != run(capsys, "--seed", "8", text)


def test_what_passes_is_captured_and_played_again(capsys, here):
    systems = ("Source('ab') | Map(str.upper) | Collect()", "Source('z') | Null()")
    assert run(capsys, "--capture=x.capture", *systems) == ("['A', 'B']\n", "", 0)
    again = "Replay('x.capture', '*/Map.inbox', speed=None) | Collect()"
    assert run(capsys, again) == ("['a', 'b']\n", "", 0)
    assert run(capsys, "Replay('x.capture', '*/Source.outbox', speed=None) | Collect()")[2] == 1


def test_a_capture_that_cannot_be_written_is_said_before_anything_runs(capsys, here):
    assert run(capsys, "--capture=nowhere/x", "Source('ab') | ConsoleEchoer()") == (
        "",
        "kamaelia run: cannot write the capture: [Errno 2] No such file or directory: 'nowhere/x'\n",
        2,
    )


@pytest.mark.parametrize("number", ["inf", "nan"])
def test_numbers_that_json_does_not_have_are_not_json(number, capsys, here):
    out, err, code = run(capsys, "--json", f"Source([float('{number}')]) | Collect()")
    assert (out, code) == ("", 1)
    assert err.startswith("kamaelia run --json: the result cannot be written as JSON: ")


def forget(monkeypatch, name):
    """Have a module imported anew, and as it was afterwards."""
    for module in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, module)


def test_a_file_called_json_does_not_take_the_result_away(capsys, here, monkeypatch):
    here("numbers_file.py", NUMBERS)
    here("json.py", "")
    forget(monkeypatch, "json")
    assert run(capsys, "--json", "numbers_file.py") == ("[1, 2, 3]\n", "", 0)


@pytest.mark.parametrize("before", [[], ["numbers_file.py"], ["amodule:numbers"]])
def test_a_file_does_not_take_the_place_of_a_module_in_an_expression(
    before, capsys, here, monkeypatch, tmp_path
):
    here("numbers_file.py", NUMBERS)
    here("amodule.py", NUMBERS)
    here("colorsys.py", "")
    forget(monkeypatch, "colorsys")
    monkeypatch.syspath_prepend(tmp_path)  # as `python -m kamaelia` does
    out, err, code = run(
        capsys, *before, "Source([0.5]) | Map(lambda x: colorsys.hsv_to_rgb(0, 0, x)) | Collect()"
    )
    assert (out.splitlines()[-1], err, code) == ("[(0.5, 0.5, 0.5)]", "", 0)


def test_an_error_that_python_gives_no_file_for_is_given_one(capsys, here):
    here("nul.py", "x = 1\0")
    out, err, code = run(capsys, "nul.py")
    assert (out, code) == ("", 2)
    assert "null bytes (nul.py)" in err


# -- how it ends --------------------------------------------------------------------------------------


def test_a_failure_is_a_line_and_the_users_frames(capsys, here):
    out, err, code = run(capsys, "Source([0]) | Map(lambda n: 1 / n) | Collect()")
    assert (out, code) == ("", 1)
    assert err.splitlines() == [
        "Pipeline/Map: ZeroDivisionError: division by zero",
        '  File "<command line>", line 1, in <lambda>',
        "    Source([0]) | Map(lambda n: 1 / n) | Collect()",
    ]


def test_everything_is_shown_on_demand(capsys, here, monkeypatch):
    monkeypatch.setenv("KAMAELIA_TRACEBACK", "full")
    _, err, code = run(capsys, "Source([0]) | Map(lambda n: 1 / n) | Collect()")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert "map.py" in err


def test_a_deadlock_is_a_failure(capsys, here):
    here(
        "ring.py",
        """
        from kamaelia import Graphline, component

        @component
        async def echo(inbox, outbox):
            async for message in inbox:
                await outbox.send(message)

        a, b = echo(), echo()
        system = Graphline(a.outbox >> b.inbox, b.outbox >> a.inbox)
        """,
    )
    _, err, code = run(capsys, "ring.py")
    assert code == 1
    assert "Deadlock: every component waits" in err


@pytest.mark.slow
def test_the_first_ctrl_c_finishes_what_was_accepted_and_is_no_failure():
    program = start("run", "ConsoleReader() | ConsoleEchoer()")
    program.stdin.write("hello\n")
    assert program.stdout.readline() == "hello\n"
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=30)
    assert (out, err, program.returncode) == ("", "", 0)


STUBBORN = """
    import time
    from kamaelia import component

    @component
    async def stubborn(inbox, outbox):
        from kamaelia import sleep
        print("ready", flush=True)
        try:
            await sleep(60)
        finally:
            print("stopping", flush=True)
            await sleep(60)

    system = stubborn()
"""


@pytest.mark.slow
def test_the_second_ctrl_c_cancels_with_another_exit_code(here, tmp_path):
    here("stubborn.py", STUBBORN)
    program = start("run", "stubborn.py", folder=tmp_path)
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    assert program.stdout.readline() == "stopping\n"
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=30)
    assert (err, program.returncode) == ("kamaelia run: cancelled by the second Ctrl-C\n", 130)


@pytest.mark.slow
def test_a_stop_that_takes_too_long_names_who_took_it(here, tmp_path):
    here("stubborn.py", STUBBORN)
    program = start("run", "--grace", "0.1", "stubborn.py", folder=tmp_path)
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGTERM)
    _, err = program.communicate(timeout=30)
    assert program.returncode == 1
    assert "GraceExceeded" in err
    assert "stubborn.py:13" in err


@pytest.mark.slow
def test_the_reader_of_a_result_may_go():
    program = start("run", "ConsoleReader() | Collect()")
    program.stdout.close()
    program.stdin.write("hello\n")
    program.stdin.close()
    assert program.stderr.read() == ""
    assert program.wait(30) == 1
    program.stderr.close()


# -- watching -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_watch_starts_again_when_a_file_changes(here, tmp_path):
    text = (
        "from kamaelia.ui import *\nfrom kamaelia.flow import *\nsystem = Source([{!r}]) | ConsoleEchoer()\n"
    )
    here("watched.py", text.format("one"))
    program = start("run", "--watch", "watched.py", folder=tmp_path)
    try:
        assert program.stdout.readline() == "one\n"
        assert program.stderr.readline() == "kamaelia run --watch: watching 1 Python files in .\n"
        assert "ended with exit code 0" in program.stderr.readline()
        here("watched.py", text.format("another"))
        assert program.stderr.readline() == "kamaelia run --watch: watched.py has changed: starting again\n"
        assert program.stdout.readline() == "another\n"
    finally:
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=30)
    assert program.returncode == 0


LOGS = """
import logging

from kamaelia import component
from kamaelia.flow import Source

log = logging.getLogger("weather")


@component
async def station(inbox, outbox):
    async for degrees in inbox:
        log.info("%d degrees", degrees)
        if degrees > 40:
            log.warning("%d degrees:\\nhot", degrees)


system = Source([20, 45]) | station()
"""

LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} "


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [r"WARNING Pipeline/station 45 degrees:\\nhot"]),
        (["--log", "error"], []),
        (["--log", "ERROR"], []),
        (
            ["--log", "info"],
            [
                "INFO Pipeline/station 20 degrees",
                "INFO Pipeline/station 45 degrees",
                r"WARNING Pipeline/station 45 degrees:\\nhot",
            ],
        ),
    ],
)
def test_what_is_logged_is_a_line_on_standard_error_with_the_component(words, expected, here):
    Path("logs.py").write_text(LOGS)
    done = kamaelia("run", *words, "logs.py")
    assert (done.out, done.code) == ("", 0)
    lines = done.err.splitlines()
    assert len(lines) == len(expected)
    for line, wanted in zip(lines, expected, strict=True):
        assert re.fullmatch(LINE + wanted, line)


@pytest.mark.slow
@pytest.mark.once
def test_a_file_that_sets_logging_up_has_its_own_way(here):
    Path("logs.py").write_text("import logging\nlogging.basicConfig(format='mine: %(message)s')\n" + LOGS)
    assert kamaelia("run", "--log", "info", "logs.py").err == "mine: 45 degrees:\nhot\n"
