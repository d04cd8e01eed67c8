"""``kamaelia run``: make systems of what the command line names, and run them side by side."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from . import FAILED, INTERRUPTED, USAGE
from .output import CannotPrint, complain, say
from .parser import Parser

EPILOG = r"""
a SYSTEM is one of
  chat.py          a file: its component called system or main, or else the only one at its top level
  chat.py:lobby    the component called lobby of that file
  package.chat:lobby
                   the same of a module that can be imported from here
  'Echo() | ...'   an expression, in which every part that 'kamaelia list' lists, and what else is public
                   beside it, may be used by name, and the modules of the standard library

Several run side by side, and find each other's names. What a system returns is printed as Python's own
prompt would print it: nothing for None.

examples
  kamaelia run chat.py
  kamaelia run 'Source("abc") | Map(str.upper) | Collect()'
  kamaelia run 'ConsoleReader() | PublishTo("talk")' \
               'TCPServer(SubscribeTo("talk") | Encode(end="\n"), port=1500)'
  kamaelia run --capture=talk.capture chat.py
  kamaelia run 'Replay("talk.capture", "TCPServer/*.inbox") | Lines() | ConsoleEchoer()'

exit codes
  0    it ended, also after a first Ctrl-C, which stops it: what was accepted is finished
  1    a component failed, all of them waited for each other, or a stop took too long
  2    nothing ran: the command line is wrong, or no system could be made of it
  130  cancelled by a second Ctrl-C

What is logged goes to standard error, one line an event: time, level, component, text. A file that sets
logging up has its own way.

KAMAELIA_TRACEBACK=full shows every frame of an error.
"""

LEVELS = ("debug", "info", "warning", "error")


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia run",
        description="Run components: from files, from modules, or written on the command line.",
        epilog=EPILOG,
    )
    made.add_argument("systems", metavar="SYSTEM", nargs="+", help="a file, module:name, or an expression")
    made.add_argument("--seed", help="of every random stream, to run the same again (a failure shows it)")
    made.add_argument(
        "--grace", type=seconds, default=5.0, metavar="SECONDS", help="to finish in, after a stop (5)"
    )
    made.add_argument("--debug", action="store_true", help="check messages, and turn asyncio's own checks on")
    made.add_argument(
        "--capture", metavar="FILE", help="keep what passes all boxes in a file; Replay plays it again"
    )
    made.add_argument("--json", action="store_true", help="print the result as JSON, null for none")
    made.add_argument(
        "--log",
        type=str.lower,
        choices=LEVELS,
        metavar="LEVEL",
        help=f"log what is as grave as that: {', '.join(LEVELS)}",
    )
    made.add_argument("--watch", action="store_true", help="start again whenever a Python file here changes")
    return made


def seconds(text: str) -> float:
    """Read a time of the command line."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: give a number of seconds, 0 or more")
    return value


def main(words: Sequence[str]) -> int:
    """Run what the command line says; returns the exit code."""
    options = parser().parse_args(words)
    if options.watch:
        from .watch import watch

        return watch([word for word in words if word != "--watch"], options.systems)
    return run_systems(options)


def run_systems(options: argparse.Namespace) -> int:
    """Make the systems and run them, once."""
    from kamaelia.axon import run

    from .show import show
    from .systems import NotASystem, find_system, import_standard

    if options.json:
        # Now, and not when the folder of a system, where another json.py may be, is on Python's path.
        import_standard("json")
    seed = int(options.seed) if options.seed and options.seed.isdecimal() else options.seed
    try:
        systems = [find_system(text) for text in options.systems]
    except NotASystem as error:
        complain(f"kamaelia run: {error}")
        return USAGE
    except Exception as error:  # the user's file may raise anything, and so may the making of a component
        show(error)
        return USAGE
    if options.capture:
        from kamaelia.observe import capture

        try:
            capture(systems, options.capture)
        except OSError as error:
            complain(f"kamaelia run: cannot write the capture: {error}")
            return USAGE
    end_lines = _log(options.log)
    try:
        result = run(*systems, seed=seed, grace=options.grace, debug=options.debug)
        return print_results(result if len(systems) > 1 else [result], options.json)
    except CannotPrint:
        raise  # for the command itself, which says the same for every verb
    except KeyboardInterrupt:
        complain("kamaelia run: cancelled by the second Ctrl-C")
        return INTERRUPTED
    except Exception as error:  # ours and, where something foreign has failed, whatever that raised
        show(error)
        return FAILED
    finally:
        end_lines()


def _log(level: str | None) -> Callable[[], None]:
    """Have lines on standard error of what is logged, unless the user's file sees to that; return what ends
    it."""
    import logging

    least = logging.WARNING
    root = logging.getLogger()
    if level is not None and not root.handlers:
        root.setLevel(level.upper())
        least = root.level

    class OnDemand(logging.Handler):
        """Stands for the one that prints, whose room is not needed before something is logged."""

        def handle(self, record: logging.LogRecord) -> bool:
            from kamaelia.observe.logs import log_lines

            log_lines(least)
            assert logging.lastResort is not None
            return bool(logging.lastResort.handle(record))

    before, logging.lastResort = logging.lastResort, OnDemand(least)

    def end() -> None:
        logging.lastResort = before

    return end


def print_results(results: list[Any], as_json: bool) -> int:
    """Print what the systems returned."""
    if not as_json:
        shown = [repr(result) for result in results if result is not None]
        if shown:
            say("\n".join(shown))
        return 0
    import json

    try:
        text = json.dumps(results if len(results) > 1 else results[0], default=plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        complain(f"kamaelia run --json: the result cannot be written as JSON: {error}")
        return FAILED
    say(text)
    return 0


def plain(value: Any) -> Any:
    """Say what stands in JSON for something that JSON has no word for.

    >>> plain(b"abc"), plain({2, 1})
    ('abc', [1, 2])
    """
    import dataclasses

    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode(errors="backslashreplace")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} is not JSON")
