"""``kamaelia list`` and ``kamaelia describe``."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from kamaelia import Component, catalogue
from kamaelia.catalogue import Group, Specimen, describe, groups, parts
from kamaelia.chassis import Supervisor
from kamaelia.cli import describe as describing
from kamaelia.cli import listing, main
from kamaelia.flow import Map, Null, Source
from kamaelia.net import TCPServer

pytestmark = pytest.mark.one_core


def run(capsys, *words):
    code = main([*words])
    shown = capsys.readouterr()
    return shown.out, shown.err, code


class Oven(Component):
    """Bake ``what`` comes, see `Pot`."""


BROKEN = Group("bath", "bath.parts", "", (), "bath.parts cannot be used: RuntimeError: no water")


@pytest.fixture
def kitchen(monkeypatch):
    """Another package's parts, and a third one that is broken."""
    oven = describe(Oven, "Oven", "kitchen", __name__)
    foreign = [BROKEN, Group("kitchen", __name__, "Parts for the `kitchen`.", (oven,))]
    monkeypatch.setattr(catalogue, "foreign_groups", lambda: foreign)


# -- list ---------------------------------------------------------------------------------------------


def test_a_group_is_a_heading_and_a_line_for_each_part(capsys):
    assert run(capsys, "list", "axon") == (
        "axon: Axon: components, boxes, links, the postman and the scheduler.\n"
        "  Graphline  Components wired in any way.\n"
        "  Pipeline   Components in a row: each one's outbox goes to the next one's inbox.\n"
        "  Seat       A place that one component after another takes.\n",
        "",
        0,
    )
    assert run(capsys, "list", "kamaelia.protocol") == run(capsys, "list", "protocol")


def test_everything_is_listed_in_groups(capsys):
    out, err, code = run(capsys, "list")
    assert (err, code) == ("", 0)
    blocks = [block.splitlines() for block in out.split("\n\n")]
    assert [block[0].partition(":")[0] for block in blocks] == [group.name for group in groups()]
    listed = [line.split()[0] for block in blocks for line in block[1:]]
    assert listed == [part.name for part in parts()]


def test_a_word_is_looked_for_in_names_and_summaries(capsys):
    out, _, code = run(capsys, "list", "ROOM")
    assert code == 0
    assert out.splitlines()[1:] == [
        "  Backplane    A room: sends what anybody publishes to everybody who listens.",
        "  Join         Be in a room: say there what comes in, and hear what is said.",
        "  PublishTo    Say everything that arrives in a room.",
        "  SubscribeTo  Hear everything that is said in a room.",
    ]


def test_a_word_that_nothing_says_is_a_failure(capsys):
    assert run(capsys, "list", "xyzzy") == (
        "",
        "kamaelia list: no group and no part is called 'xyzzy', or says that in its line\n",
        1,
    )


def test_programs_get_json(capsys):
    out, err, code = run(capsys, "list", "--json")
    assert (err, code) == ("", 0)
    found = json.loads(out)
    assert [group["name"] for group in found] == [group.name for group in groups()]
    assert found[0]["parts"][0] == {"name": "Batch", "summary": parts()[0].summary}
    assert list(found[0]) == ["name", "module", "summary", "problem", "parts"]


def test_others_parts_are_listed_and_what_is_broken_is_named(capsys, kitchen):
    out, err, code = run(capsys, "list")
    assert (err, code) == ("", 0)
    bath, food = out.split("\n\n")[-2:]
    assert bath == "bath\n  bath.parts cannot be used: RuntimeError: no water"
    assert re.fullmatch(r"kitchen: Parts for the kitchen\.\n  Oven +Bake what comes, see Pot\.\n", food)
    assert run(capsys, "list", "bath")[0] == "bath\n  bath.parts cannot be used: RuntimeError: no water\n"
    assert json.loads(run(capsys, "list", "bath", "--json")[0])[0]["problem"] == BROKEN.problem
    assert "bath" not in run(capsys, "list", "oven")[0]


def test_lines_are_cut_to_the_terminal_and_to_nothing_else(capsys, monkeypatch):
    monkeypatch.setattr(listing, "terminal_columns", lambda: 40)
    lines = run(capsys, "list", "axon")[0].splitlines()
    assert [len(line) for line in lines] == [40, 40, 40, 40]
    assert lines[-1] == "  Seat       A place that one compone..."
    lines = run(capsys, "list", "ui")[0].splitlines()
    assert lines[1] == "  ConsoleEchoer  Print what arrives."


# -- describe -----------------------------------------------------------------------------------------


def test_a_part_is_described(capsys):
    assert run(capsys, "describe", "Encode") == (
        r"""
Encode: Turn text into bytes, with something at the end of each message if you like.

  from kamaelia.flow import Encode
  Encode(end: str = '', encoding: str = 'utf-8', errors: str = 'replace')

                 +--------+
  inbox: str --> | Encode | --> outbox: bytes
                 +--------+

boxes
  inbox   in   str    text
  outbox  out  bytes  the same, encoded

arguments
  end: str = ''
      is added to each message, such as "\n"
  encoding: str = 'utf-8'
      of the bytes, as Python calls it
  errors: str = 'replace'
      what to do about a character that the encoding does not have, as Python calls it. With
      "replace" it becomes a question mark, and replaced counts the messages; with "strict" the
      component fails with UnicodeEncodeError.

Inbox: inbox, str. Outbox: outbox, bytes. Lines is the way back.

example
  >>> from kamaelia import run
  >>> from kamaelia.flow import Collect, Encode, Source
  >>> run(Source(["one", "two"]) | Encode(end="\r\n") | Collect())
  [b'one\r\n', b'two\r\n']
"""[1:],
        "",
        0,
    )


def test_it_fits_into_the_terminal(capsys, monkeypatch):
    monkeypatch.setattr(describing, "terminal_columns", lambda: 50)
    lines = run(capsys, "describe", "TCPServer")[0].splitlines()
    assert lines[3:6] == ["  TCPServer(", "      protocol: Any,", "      *,"]
    arguments = lines[lines.index("arguments") : lines.index("example")]
    assert all(len(line) <= 50 for line in arguments if line.startswith("      "))


@pytest.mark.parametrize("part", parts(), ids=lambda part: part.name)
def test_every_part_can_be_described(part, capsys):
    out, err, code = run(capsys, "describe", f"{part.group}.{part.name}")
    assert (err, code) == ("", 0)
    assert out.startswith(f"{part.name}: ")
    for box in part.boxes:
        assert f"  {box.name} " in out
    assert out.splitlines()[2] == f"  from {part.module} import {part.name}"
    assert json.loads(run(capsys, "describe", part.name, "--json")[0]) == part.about()
    picture = run(capsys, "describe", part.name, "--svg")[0]
    assert ElementTree.fromstring(picture).tag.endswith("svg")


def test_what_is_unusual_about_a_box_is_said(capsys):
    out, _, _ = run(capsys, "describe", "SubscribeTo")
    assert "  feed    in   Any  what is said in the room (stays open when nothing is linked to it)\n" in out
    out, _, _ = run(capsys, "describe", "Lines")
    assert "  inbox   in   bytes  a stream of bytes (senders wait at 64 KiB)\n" in out
    out, _, _ = run(capsys, "describe", "Ticker")
    assert "  outbox  out  Any  the same, each when it has been shown (need not have a reader)\n" in out


def test_an_unknown_part_is_answered_with_those_that_are_like_it(capsys):
    assert run(capsys, "describe", "carousell") == (
        "",
        "kamaelia describe: there is no part called 'carousell'; did you mean 'Carousel'?\n",
        2,
    )


def test_without_a_specimen_there_is_no_picture(capsys, kitchen):
    out, err, code = run(capsys, "describe", "Oven")
    assert (err, code) == ("", 0)
    assert out.splitlines()[:6] == [
        "Oven: Bake what comes, see Pot.",
        "",
        f"  from {__name__} import Oven",
        "  Oven()",
        "",
        "boxes",
    ]


def test_without_a_specimen_nothing_can_be_drawn(capsys, kitchen):
    assert run(capsys, "describe", "Oven", "--svg") == (
        "",
        "kamaelia describe: there is no specimen of Oven, so there is nothing to draw\n",
        1,
    )


def test_a_specimen_that_cannot_be_had_is_told_of(capsys, kitchen, monkeypatch):
    class Module:
        SPECIMENS = {"Oven": [Specimen(lambda: 1 / 0)]}

    monkeypatch.setitem(sys.modules, __name__, Module)
    out, err, code = run(capsys, "describe", "Oven")
    assert (out.splitlines()[5], code) == ("boxes", 0)
    assert err == "kamaelia describe: no specimen of Oven: ZeroDivisionError: division by zero\n"
    assert run(capsys, "describe", "Oven", "--svg")[2] == 1


@pytest.mark.parametrize(
    ("made", "picture"),
    [
        (
            lambda: Source("a"),
            """
  +--------+
  | Source | --> outbox: Any
  +--------+
""",
        ),
        (
            Null,
            """
                 +------+
  inbox: Any --> | Null |
                 +------+
""",
        ),
        (
            lambda: TCPServer(Map(bytes.upper), port=0),
            """
                           +-----------+
  accepted: Connection --> | TCPServer | --> listening: tuple[str, int]
                           |           | --> failures: Failure
                           +-----------+
""",
        ),
        (
            lambda: Supervisor(Map(str.upper)),
            """
                 +------------+
  inbox: Any --> | Supervisor | --> failures: Failure
                 |            | --> outbox: Any
                 +------------+
""",
        ),
    ],
)
def test_a_part_is_drawn_in_letters(made, picture):
    assert "\n".join(describing.drawing(made())) == picture.strip("\n")
