"""Errors of expressions point at the word at fault."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap

import pytest

from kamaelia import catalogue
from kamaelia.catalogue import Group, describe, parts
from kamaelia.cli import main, pointing
from kamaelia.cli.pointing import Mark, point
from kamaelia.cli.systems import find_system, look_up

pytestmark = pytest.mark.one_core


def refused(capsys, *words):
    """Return what `kamaelia run` says to systems that cannot be made."""
    assert main(["run", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.removeprefix("kamaelia run: ")


CASES = [
    # a name
    """
    Sorce('ab') | Collect()
    ^^^^^
    'Sorce' is not known; did you mean 'Source' or 'PcapSource'?
    """,
    """
    Source('ab') | Map(lambda n: nn + nn)
                                 ^^
    'nn' is not known; no public part is called like that: see kamaelia list
    """,
    """
    Source('ab') | Map(math.sqr) | Collect()
                            ^^^
    AttributeError: module 'math' has no attribute 'sqr'; did you mean 'sqrt' or 'isqrt'?
    """,
    """
    Source('ab') | math.sqr
                        ^^^
    AttributeError: module 'math' has no attribute 'sqr'; did you mean 'sqrt' or 'isqrt'?
    """,
    """
    Take(3).foo
            ^^^
    Take has no 'foo': its boxes are inbox, outbox
    """,
    # an argument that cannot be meant
    """
    Source('ab') | Map(7) | Collect()
                       ^
    Map(7): give a function of one message
    """,
    """
    Source('ab') | Batch(3, -1)
                            ^^
    Batch(seconds=-1): give how long a message may wait, more than 0
    """,
    """
    Source('ab') | Batch(seconds=-1, size=3)
                         ^^^^^^^^^^
    Batch(seconds=-1): give how long a message may wait, more than 0
    """,
    """
    Source('ab') | Batch(seconds=1, size=0)
                                    ^^^^^^
    Batch(0): give how many messages to a batch, 1 or more
    """,
    """
    Source('ab') | Lines('utf-8', longest=0)
                                  ^^^^^^^^^
    longest=0: give the bytes of the longest line, 1 or more
    """,
    """
    Backplane('news', keep=-1)
                      ^^^^^^^
    Backplane('news', keep=-1): it can keep 0 messages or more
    """,
    """
    TCPServer(Echo, port='x')
                    ^^^^^^^^
    TCPServer(port='x'): give a port from 0 (any that is free) to 65535
    """,
    """
    Range(30, 18)
    ^^^^^^^^^^^^^
    Range(30, 18): nothing is between these; swap them
    """,
    """
    Pipeline(*[Take(n) for n in 'ab'])
                    ^
    Take('a'): give how many messages to pass on, a whole number, 0 or more
    """,
    """
    kamaelia.flow.Take('a')
                       ^^^
    Take('a'): give how many messages to pass on, a whole number, 0 or more
    """,
    # arguments given in a wrong way
    """
    Source('ab') | Batch(sise=3)
                         ^^^^^^
    Batch() has no argument 'sise'; did you mean 'size'?
    """,
    """
    Echo(loud=True)
         ^^^^^^^^^
    Echo() takes no arguments
    """,
    """
    Source('ab') | Batch()
                   ^^^^^^^
    Batch() needs 'size' (how many messages to a batch)
    """,
    """
    TCPClient()
    ^^^^^^^^^^^
    TCPClient() needs 'host' (name or address of the server) and 'port' (of the server)
    """,
    """
    Batch(1, 2, 3)
                ^
    Batch() takes 2 arguments
    """,
    """
    Count(3)
          ^
    Count() takes no arguments
    """,
    """
    PublishTo('a', True)
                   ^^^^
    PublishTo() takes 1 argument by place, and by name 'forward'
    """,
    """
    Batch(1, 2, size=3)
                ^^^^^^
    Batch() is given 'size' twice, once by its place
    """,
    """
    Source(math.sqrt())
           ^^^^^^^^^^^
    math.sqrt() needs 'x'
    """,
    """
    Take(*[1, 2])
    ^^^^^^^^^^^^^
    TypeError: Take.__init__() takes 2 positional arguments but 3 were given
    """,
    """
    math.sqrt(x=1)
    ^^^^^^^^^^^^^^
    TypeError: math.sqrt() takes no keyword arguments
    """,
    """
    Supervisor(Echo, 7, intensity='x')
                        ^^^^^^^^^^^^^
    Supervisor(intensity='x'): give how many restarts, a whole number
    """,
    """
    Supervisor(Echo, intensty=9)
                     ^^^^^^^^^^
    Supervisor(intensty=9): that is no member, and no such argument: did you mean 'intensity'?
    """,
    """
    Batch
    ^^^^^
    Batch() needs 'size' (how many messages to a batch)
    """,
    """
    Source('ab') | Batch | Collect()
                   ^^^^^
    Batch() needs 'size' (how many messages to a batch)
    """,
    # two that do not fit
    """
    Source('ab') | Lines() | Lines() | Collect()
                   ~~~~~~~   ^^^^^^^
    Pipeline/Lines.outbox (str) cannot be linked to Pipeline/Lines-2.inbox (bytes): str does not fit into \
bytes: put Encode() between (text to bytes)
    """,
    """
    (Source('ab') | Lines()) | (Lines() | Collect())
                    ~~~~~~~     ^^^^^^^
    Pipeline/Lines.outbox (str) cannot be linked to Pipeline/Lines-2.inbox (bytes): str does not fit into \
bytes: put Encode() between (text to bytes)
    """,
    """
    Source('ab') | Collect() | Encode()
                   ^^^^^^^^^
    Collect has no outbox, so nothing can come after it in a pipeline: put it last
    """,
    """
    Collect() | Source('ab')
    ^^^^^^^^^
    Collect has no outbox, so nothing can come after it in a pipeline: put it last
    """,
    """
    Lines() | Source('ab')
    ~~~~~~~   ^^^^^^^^^^^^
    Source has no inbox, so nothing can come before it in a pipeline: put it first
    """,
    """
    TCPServer(Encode() | Encode(), port=0)
              ~~~~~~~~   ^^^^^^^^
    Pipeline/Encode.outbox (bytes) cannot be linked to Pipeline/Encode-2.inbox (str): bytes does not fit \
into str: put Lines() between (bytes to lines of text)
    """,
    # what is no component
    """
    Source('ab') | 7 | Collect()
                   ^
    7, of type int, cannot be joined with |: that is for components, such as Map(function) or Source(items)
    """,
    """
    7 | Source('ab')
    ^
    7, of type int, cannot be joined with |: that is for components, such as Map(function) or Source(items)
    """,
    """
    Collect | 7
              ^
    7, of type int, cannot be joined with |: that is for components, such as Map(function) or Source(items)
    """,
    """
    Source('ab') | [1, 2] | Collect()
                   ^^^^^^
    [1, 2] is no component. A chassis is made of components: Map(function) of a function, Source(items) of a \
list
    """,
    """
    'ab' | Collect()
    ^^^^
    'ab' is no component. A chassis is made of components: Map(function) of a function, Source(items) of a \
list
    """,
    """
    7 | 'ab'
    ^   ^^^^
    7, of type int, and 'ab', of type str, cannot be joined with |: that is for components, such as \
Map(function) or Source(items)
    """,
    """
    1 + 1
    ^^^^^
    2 is no component. A chassis is made of components: Map(function) of a function, Source(items) of a list
    """,
    """
    Echo | Collect
    ^^^^^^^^^^^^^^
    Echo | Collect joins two classes into a type: write parentheses, as in Echo() | Collect()
    """,
    # anything else
    """
    Take(1 / 0)
         ^^^^^
    ZeroDivisionError: division by zero
    """,
    """
    Source(['日本']) | Batch(0)
                             ^
    Batch(0): give how many messages to a batch, 1 or more
    """,
    """
    Source([
        1,
    ]) | Batch(
        0,
        ^
        seconds=9,
    )
    Batch(0): give how many messages to a batch, 1 or more
    """,
]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_word_at_fault_is_pointed_at(case, capsys):
    *lines, says = textwrap.dedent(case).strip("\n").splitlines()
    where = next(number for number, line in enumerate(lines) if set(line) <= set(" ^~"))
    source = "\n".join([*lines[:where], *lines[where + 1 :]])
    assert refused(capsys, source).splitlines() == [says, f"  {lines[where - 1]}", f"  {lines[where]}"]


def test_what_goes_over_several_lines_is_marked_on_each(capsys):
    assert refused(capsys, "Source('ab')\n  | Range(30,\n       18)\n  | Collect()") == (
        "Range(30, 18): nothing is between these; swap them\n"
        "    | Range(30,\n"
        "      ^^^^^^^^^\n"
        "         18)\n"
        "         ^^^\n"
    )


def test_two_on_different_lines_are_both_marked(capsys):
    assert refused(capsys, "Source('ab') | Lines()\n| Lines()").splitlines()[1:] == [
        "  Source('ab') | Lines()",
        "                 ~~~~~~~",
        "  | Lines()",
        "    ^^^^^^^",
    ]


def test_an_expression_may_begin_a_line_with_a_bar(capsys):
    assert main(["run", "\n  Source('ab')\n  | Map(str.upper)  # loudly\n  | Collect()\n"]) == 0
    assert capsys.readouterr().out == "['A', 'B']\n"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("Take(5", "'(' was never closed\n  Take(5\n      ^\n"),
        ("Take 5", "invalid syntax\n  Take 5\n       ^\n"),
        ("Echo()\n| Take(5))", "unmatched ')'\n  | Take(5))\n           ^\n"),
        (
            "Echo()\n| Take 5\n| Echo()",
            "invalid syntax\n  | Take 5\n         ^\n",
        ),
        ("Source('日本' | )", "invalid syntax\n  Source('日本' | )\n                  ^\n"),
    ],
)
def test_a_syntax_error_is_pointed_at(source, says, capsys):
    error = refused(capsys, source)
    assert error == f"{source!r} is no file, no module:name and no expression: {says}"


# -- other people's functions -------------------------------------------------------------------------


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A module of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "tools_of_mine.py").write_text(
        "from kamaelia import component\n"
        "from kamaelia.flow import Map\n\n\n"
        "def double(factor):\n    return Map(factor)\n\n\n"
        "def broken():\n    try:\n        {}['a']\n"
        "    except KeyError as error:\n        raise OSError('no table') from error\n\n\n"
        "@component\ndef shout(inbox, outbox, times, *, loud=True):\n    pass\n"
    )
    yield tmp_path / "tools_of_mine.py"
    sys.modules.pop("tools_of_mine", None)


def test_a_function_of_the_users_shows_its_own_frames_too(capsys, tools):
    assert refused(capsys, "Source('ab') | tools_of_mine.double(7)").splitlines() == [
        "Map(7): give a function of one message",
        "  Source('ab') | tools_of_mine.double(7)",
        "                 ^^^^^^^^^^^^^^^^^^^^^^^",
        f'  File "{tools}", line 6, in double',
        "    return Map(factor)",
    ]


def test_a_cause_is_told(capsys, tools):
    assert refused(capsys, "tools_of_mine.broken()").splitlines() == [
        "OSError: no table",
        "  tools_of_mine.broken()",
        "  ^^^^^^^^^^^^^^^^^^^^^^",
        f'  File "{tools}", line 13, in broken',
        "    raise OSError('no table') from error",
        "  because of KeyError: 'a'",
    ]


@pytest.mark.parametrize(
    ("source", "says", "marks"),
    [
        ("tools_of_mine.shout()", "tools_of_mine.shout() needs 'times'", "^^^^^^^^^^^^^^^^^^^^^"),
        (
            "tools_of_mine.shout(1, 2)",
            "tools_of_mine.shout() takes 1 argument by place, and by name 'loud'",
            "                       ^",
        ),
        (
            "tools_of_mine.shout(1, lout=2)",
            "tools_of_mine.shout() has no argument 'lout'; did you mean 'loud'?",
            "                       ^^^^^^",
        ),
    ],
)
def test_a_component_function_is_told_of_in_its_own_words(source, says, marks, capsys, tools):
    assert refused(capsys, source).splitlines() == [says, f"  {source}", f"  {marks}"]


def test_another_packages_parts_can_be_used_by_name(capsys, tools, monkeypatch):
    import tools_of_mine

    part = describe(tools_of_mine.shout, "shout", "tools", "tools_of_mine")
    group = Group("tools", "tools_of_mine", "", (part,))
    monkeypatch.setattr(catalogue, "foreign_groups", lambda: [group])
    assert type(find_system("shout(3)")) is tools_of_mine.shout.component_class
    assert refused(capsys, "Source('ab') | shuot(3)").splitlines() == [
        "'shuot' is not known; did you mean 'shout'?",
        "  Source('ab') | shuot(3)",
        "                 ^^^^^",
    ]


# -- otherwise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", parts(), ids=lambda part: part.name)
def test_every_part_can_be_used_by_name(part):
    assert look_up(part.name, used_as_module=False, alone=False) is part.thing


def test_everything_is_shown_on_demand(capsys, monkeypatch):
    monkeypatch.setenv("KAMAELIA_TRACEBACK", "full")
    shown = refused(capsys, "Source('ab') | Map(7)")
    assert shown.startswith("Traceback (most recent call last):\n")
    assert shown.endswith("TypeError: Map(7): give a function of one message\n")


def test_what_fails_when_it_runs_has_the_usual_report(capsys):
    assert main(["run", "Source([0]) | Map(lambda n: 1 / n)"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "Pipeline/Map: ZeroDivisionError: division by zero"


@pytest.mark.slow
def test_without_the_places_that_python_keeps_the_whole_is_at_fault():
    command = [sys.executable, "-X", "no_debug_ranges", "-m", "kamaelia", "run", "Source('ab') | Map(7)"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [
            "kamaelia run: Map(7): give a function of one message",
            "  Source('ab') | Map(7)",
            "  ^^^^^^^^^^^^^^^^^^^^^",
        ],
    )


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (None, ["  a_rather_long_name() | Take('x') | Collect()", "                              ^^^"]),
        (47, ["  a_rather_long_name() | Take('x') | Collect()", "                              ^^^"]),
        (30, ["  ...) | Take('x') | Collect()", "              ^^^"]),
        (24, ["  ...ake('x') | Colle...", "         ^^^"]),
    ],
)
def test_in_a_terminal_the_marks_stay_below_their_words(columns, shown, monkeypatch):
    monkeypatch.setattr(pointing, "terminal_columns", lambda stream: columns)
    source = "a_rather_long_name() | Take('x') | Collect()"
    assert list(point(source, [Mark(1, 28, 1, 31)])) == shown


def test_a_terminal_knows_how_wide_it_is(monkeypatch):
    from kamaelia.cli.output import terminal_columns

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "33")
    assert terminal_columns(Terminal()) == 33
    assert terminal_columns(io.StringIO()) is None
    closed = io.StringIO()
    closed.close()
    assert terminal_columns(closed) is None
    monkeypatch.setattr(sys, "stdout", None)
    assert terminal_columns() is None
