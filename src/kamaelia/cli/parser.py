"""The parser of a verb's command line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from .output import complain, say


class Parser(argparse.ArgumentParser):
    """Python's own, with our layout kept, no abbreviations, and help that does not get lost unnoticed.

    Raises `CannotPrint` where the help that was asked for cannot be printed; argparse passes over that.

    >>> Parser(prog="kamaelia list", description="Show them.").print_help()
    usage: kamaelia list [-h]
    ...
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def print_help(self, file: Any = None) -> None:
        """Print the help, by default on standard output."""
        if file is None:
            say(self.format_help().removesuffix("\n"))
        else:
            super().print_help(file)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end."""
        # Not on standard output, which argparse takes where there is no standard error.
        complain(f"{self.format_usage()}{self.prog}: error: {message}")
        self.exit(2)


__all__ = ["Parser"]
