"""``kamaelia top``: a live table of a running system, and what holds it up."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kamaelia.axon.clock import monotonic
from kamaelia.axon.errors import UsageError, suggestion
from kamaelia.observe.inspection import InspectionError, Inspector, find, running

from . import FAILED, USAGE
from .output import complain, say, terminal_columns
from .parser import Parser
from .top_table import Table, headline, printed, verdict

EPILOG = """
a system can be looked at that was started with run(..., inspect=True), or with KAMAELIA_INSPECT=1 in its
environment. ADDRESS is what it announced then: the number of its process, such as 4711; 4711-2 for the second
system of a process; or the path of its socket. Without one, it is the only system that there is. Of a network
that is simulated, --host says which of its hosts is meant.

keys, while it shows the table
  up, down       choose a component              left, right    fold it, unfold it
  enter          all about it, below             t              the messages of one of its boxes, below
  g              go to who holds up the others   /              show only what has some text in its path
  s              sort by the next column         space          freeze, go on
  f              fold all, unfold all            q              quit

examples
  kamaelia top
  kamaelia top 4711 --once
  kamaelia top 4711 --host phone-3
  kamaelia top --json | python -m json.tool

exit codes
  0    it was shown
  1    the system ended before there was anything to show
  2    nothing was shown: no system can be looked at, it is not said which, or the command line is wrong
"""

LOOK = 1.5  # seconds that --once and --json look before they show what they have seen
MOST_NAMES = 10  # of hosts that an error lists


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia top",
        description="Show what the components of a running system do, and which of them holds up the others.",
        epilog=EPILOG,
    )
    made.add_argument("address", metavar="ADDRESS", nargs="?", help="which system: the number of its process")
    made.add_argument("--host", metavar="NAME", help="of a simulated network: the host to look at")
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
            return print_json(path, options.host)
        if options.once:
            return print_once(path, options.host)
        return show(path, options.every, options.host)
    except (InspectionError, UsageError) as error:
        complain(f"kamaelia top: {error}")
        return USAGE


def list_all() -> int:
    """Print the systems that can be looked at."""
    for one in running():
        say(f"{one.address:<10}  {one.kind:<7}  {one.name}  ({one.program})")
    return 0


def meant(inspector: Inspector, host: str | None) -> dict[str, str]:
    """Return what each request says about which system is meant.

    Arguments:
        inspector: that is connected
        host: the name of a host, if one was given

    Raises `InspectionError` if that is not clear.
    """
    if inspector.greeting.get("kind") != "network":
        if host is not None:
            raise InspectionError(f"--host {host}: this is one system, and no simulated network with hosts")
        return {}
    hosts = [one["name"] for one in inspector.ask("network")["hosts"]]
    if host is None:
        raise InspectionError(
            f"this is a simulated network: say with --host NAME which host is meant. {_there_are(hosts)} "
            f"(kamaelia studio --attach {inspector.path} shows all of it)"
        )
    if host not in hosts:
        raise InspectionError(f"there is no host {host!r}; {suggestion(host, hosts)}")
    return {"system": host}


def _there_are(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"There are {', '.join(names[:MOST_NAMES])}{more}"


def print_json(path: str, host: str | None = None) -> int:
    """Print a snapshot, with rates, and the diagnosis."""
    with Inspector(path) as inspector:
        which = meant(inspector, host)
        inspector.ask("snapshot", **which)  # what has passed until then, for the rates
        if not watch(inspector, Table.empty(), LOOK, which):
            return ended()
        try:
            taken = inspector.ask("snapshot", **which)
            taken |= {"diagnosis": inspector.ask("diagnose", **which)}
        except InspectionError:
            return ended()
    say(json.dumps(taken, ensure_ascii=False))
    return 0


def print_once(path: str, host: str | None = None) -> int:
    """Print the table, as plain text."""
    with Inspector(path) as inspector:
        which = meant(inspector, host)
        table = Table.empty()
        if not watch(inspector, table, LOOK, which):
            return ended()
        say(headline(called(inspector.greeting, host), table.mirror))
        is_held_up, sentence = verdict(table.mirror)
        say(f"{'! ' if is_held_up else ''}{sentence}\n")
        say("\n".join(printed(table, terminal_columns())))
    return 0


def called(greeting: Mapping[str, Any], host: str | None) -> Mapping[str, Any]:
    """Return the greeting of a system; that of a host is called as the host is."""
    return greeting if host is None else {**greeting, "name": host}


def watch(inspector: Inspector, table: Table, seconds: float, which: Mapping[str, Any]) -> bool:
    """Watch a system for some time; say whether it was there all the while."""
    frames = inspector.stream("watch", every=0.1, **which)
    end = monotonic() + seconds  # its own time may be virtual, and stand still
    try:
        for frame in frames:
            assert frame is not None
            table.mirror.apply(frame)
            if monotonic() >= end and table.mirror.diagnosis is not None:
                return True
    except InspectionError:
        pass
    return False


def ended() -> int:
    """Say that there is nothing to show any more."""
    complain("kamaelia top: the system has ended")
    return FAILED


def show(path: str, every: float, host: str | None = None) -> int:
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
        which = meant(inspector, host)
        greeting = called(inspector.greeting, host)
    Top(path, greeting, every, which).run()
    return 0
