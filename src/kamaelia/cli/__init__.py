"""The command ``kamaelia``: a few verbs, one module each.

A verb's module is imported only when it is asked for, so that ``kamaelia run`` starts quickly. Applications
(``kamaelia present``) are found by the entry-point group ``kamaelia.apps``: whoever installs a package with
such an entry point has another verb. What a verb returns is the exit code:

| exit code | what it says |
| --- | --- |
| 0 | it ended well, also after a first Ctrl-C |
| 1 | something failed while it ran: a component, a deadlock, a stop that took too long |
| 2 | nothing ran: the command line is wrong, or a system could not be made of what it names |
| 130 | it was cancelled by a second Ctrl-C, as shells say it |

>>> from kamaelia.cli import main
>>> main(["--version"])
kamaelia 2.0...
0
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from .output import CannotPrint, complain, flush, say

VERBS = {
    "run": "run Python files, module:name, or one-line expressions",
    "simulate": "run a simulated network, and show what was measured",
    "impair": "run any program behind the links of an emulated network",
    "experiment": "run one with many parameters and seeds, and say what that says",
    "list": "list the parts that are installed",
    "describe": "describe a part: boxes, types, arguments, example, picture",
    "top": "show what the components of a running system do, and who holds it up",
    "studio": "show a running system in the browser",
    "doctor": "show versions, the loop, and which extras are there",
}

MODULES = {"list": "listing"}  # of verbs; in a module that is called list nobody could use Python's own

FAILED = 1  # exit codes; 0 is for all's well
USAGE = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Do what a command line says, and return the exit code.

    Arguments:
        argv: the words after ``kamaelia``; without it, those of this process

    Example:
        >>> from kamaelia.cli import main
        >>> main(["run", "Source('ab') | Map(str.upper) | Collect()"])
        ['A', 'B']
        0
    """
    try:
        code = do(list(sys.argv[1:] if argv is None else argv))
        flush()  # what argparse and the user's own code have printed, too
        return code
    except CannotPrint as error:
        if str(error):
            complain(f"kamaelia: cannot print: {error}")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def do(words: Sequence[str]) -> int:
    """Do what some words say, and return the exit code."""
    verb, rest = (words[0], words[1:]) if words else ("--help", [])
    try:
        if verb in VERBS:
            return int(import_module(f"{__name__}.{MODULES.get(verb, verb)}").main(rest))
        if verb in ("--help", "-h", "help"):
            say(overview())
            return 0 if words else USAGE
        if verb in ("--version", "-V"):
            from kamaelia import __version__

            say(f"kamaelia {__version__}")
            return 0
        from .apps import start

        return start(verb, list(rest))
    except SystemExit as end:  # argparse ends the process; we return
        if end.code is None or isinstance(end.code, int):
            return int(end.code or 0)
        complain(str(end.code))
        return FAILED


def overview() -> str:
    """Return what ``kamaelia --help`` prints.

    >>> print(overview().splitlines()[0])
    usage: kamaelia VERB ...
    """
    from .apps import installed

    lines = ["usage: kamaelia VERB ...", "", "Run systems of small concurrent components.", ""]
    lines += [f"  {verb:<10} {what}" for verb, what in VERBS.items()]
    lines += [f"  {name:<10} an application" for name in sorted(installed()) if name not in VERBS]
    lines += [
        "",
        "'kamaelia VERB --help' says more about each. For example:",
        "",
        "  kamaelia run 'TCPServer(Echo, port=1500)'",
    ]
    return "\n".join(lines)


__all__ = ["main", "overview"]
