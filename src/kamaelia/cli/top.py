"""``kamaelia top``: a live table of a running system, and what holds it up."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from kamaelia.axon.errors import UsageError
from kamaelia.observe.inspection import InspectionError, Inspector, find, running

from . import FAILED, USAGE
from .output import complain, say, terminal_columns
from .parser import Parser
from .top_table import Table, headline, printed, verdict

EPILOG = """
a system can be looked at that was started with run(..., inspect=True), or with KAMAELIA_INSPECT=1 in its
environment. ADDRESS is what it announced then: the number of its process, such as 4711; 4711-2 for the second
system of a process; or the path of its socket. Without one, it is the only system that there is.

keys, while it shows the table
  up, down       choose a component              left, right    fold it, unfold it
  enter          all about it, below             t              the messages of one of its boxes, below
  g              go to who holds up the others   /              show only what has some text in its path
  s              sort by the next column         space          freeze, go on
  f              fold all, unfold all            q              quit

examples
  kamaelia top
  kamaelia top 4711 --once
  kamaelia top --json | python -m json.tool

exit codes
  0    it was shown
  1    the system ended before there was anything to show
  2    nothing was shown: no system can be looked at, it is not said which, or the command line is wrong
"""

LOOK = 1.5  # seconds that --once and --json look before they show what they have seen


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia top",
        description="Show what the components of a running system do, and which of them holds up the others.",
        epilog=EPILOG,
    )
    made.add_argument("address", metavar="ADDRESS", nargs="?", help="which system: the number of its process")
    made.add_argument("--list", action="store_true", help="list the systems that can be looked at, and end")
    made.add_argument("--once", action="store_true", help="print the table once, as plain text")
    made.add_argument(
        "--json", action="store_true", help="print a snapshot and the diagnosis as JSON, and end"
    )
    made.add_argument(
        "--every", type=pace, default=0.5, metavar="SECONDS", help="between two pictures (0.5; 0.1 to 10)"
    )
    return made


def pace(text: str) -> float:
    """Read how often the table is to be drawn."""
    value = float(text)
    if not 0.1 <= value <= 10:
        raise argparse.ArgumentTypeError(f"{text}: give a number of seconds from 0.1 to 10")
    return value


def main(words: Sequence[str]) -> int:
    """Show what the command line asks for; returns the exit code."""
    options = parser().parse_args(words)
    try:
        if options.list:
            return list_all()
        path = find(options.address)
        if options.json:
            return print_json(path)
        if options.once:
            return print_once(path)
        return show(path, options.every)
    except (InspectionError, UsageError) as error:
        complain(f"kamaelia top: {error}")
        return USAGE


def list_all() -> int:
    """Print the systems that can be looked at."""
    for one in running():
        say(f"{one.address:<10}  {one.kind:<7}  {one.name}  ({one.program})")
    return 0


def print_json(path: str) -> int:
    """Print a snapshot, with rates, and the diagnosis."""
    with Inspector(path) as inspector:
        inspector.ask("snapshot")  # what has passed until then, for the rates
        if not watch(inspector, Table.empty(), LOOK):
            return ended()
        try:
            taken = inspector.ask("snapshot") | {"diagnosis": inspector.ask("diagnose")}
        except InspectionError:
            return ended()
    say(json.dumps(taken, ensure_ascii=False))
    return 0


def print_once(path: str) -> int:
    """Print the table, as plain text."""
    with Inspector(path) as inspector:
        table = Table.empty()
        if not watch(inspector, table, LOOK):
            return ended()
        say(headline(inspector.greeting, table.mirror))
        is_held_up, sentence = verdict(table.mirror)
        say(f"{'! ' if is_held_up else ''}{sentence}\n")
        say("\n".join(printed(table, terminal_columns())))
    return 0


def watch(inspector: Inspector, table: Table, seconds: float) -> bool:
    """Watch a system for some time; say whether it was there all the while."""
    first = None
    try:
        for frame in inspector.stream("watch", every=0.1):
            assert frame is not None
            table.mirror.apply(frame)
            first = frame["time"] if first is None else first
            if frame["time"] - first >= seconds and table.mirror.diagnosis is not None:
                return True
    except InspectionError:
        pass
    return False


def ended() -> int:
    """Say that there is nothing to show any more."""
    complain("kamaelia top: the system has ended")
    return FAILED


def show(path: str, every: float) -> int:
    """Show the table until the user has seen enough."""
    try:
        import rich  # noqa: F401
        import textual  # noqa: F401
    except ImportError:
        complain(
            "kamaelia top needs a package: pip install 'kamaelia[tui]' (kamaelia top --once prints the table "
            "without it)"
        )
        return USAGE
    from .top_screen import Top

    with Inspector(path) as inspector:  # before the screen is taken: who may not look is told so
        greeting = inspector.greeting
    Top(path, greeting, every).run()
    return 0
