r"""A presentation: what is typed, or piped in, goes to everybody who connects.

::

    speaker --> "talk" --+--> ticker, here
                         |
                         +--> listeners: everybody who has connected

The room "talk" keeps the last lines for those who come late. Who listens slowly misses lines, but never holds
the talk up; what listeners type is counted and ignored (`SubscribeTo`). The ticker shows the talk at reading
speed, and a long text that is piped in goes no faster than that. The usher says where the talk is, and when
it is over sends everybody home.
"""

from __future__ import annotations

import argparse
import errno
from collections.abc import Callable, Sequence
from typing import Any

from kamaelia import Component, Graphline, Inbox, run
from kamaelia.axon import ComponentsFailed
from kamaelia.chassis import Backplane, PublishTo, SubscribeTo
from kamaelia.cli import FAILED, INTERRUPTED
from kamaelia.cli.output import complain
from kamaelia.cli.parser import Parser
from kamaelia.cli.show import show
from kamaelia.flow import Encode, Filter
from kamaelia.flow.lines import LONGEST
from kamaelia.net import CannotListen, TCPServer
from kamaelia.ui import ConsoleReader, Ticker

LAST_PORT = 65535
STALLED = 2.0  # seconds for which somebody takes nothing, although megabytes wait, until they are left out


def present(
    words: Component | None = None,
    *,
    host: str | None = "127.0.0.1",
    port: int = 1500,
    keep: int = 10,
    longest: int = LONGEST,
    quiet: bool = False,
) -> Component:
    """Return the whole presentation as one component.

    Arguments:
        words: where the talk comes from; by default it is typed at the console
        host: to listen on; None for every address of this machine
        port: to listen on; 0 for any that is free
        keep: how many of the last lines those get who come late
        longest: bytes of the longest line that is typed; what is longer is cut
        quiet: do not show the talk here, and do not say where it is

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.apps.present import present
        >>> from kamaelia.flow import Source
        >>> run(present(Source(["Good evening."]), port=0, quiet=True))
    """
    speaker = (words or ConsoleReader(longest=longest)) | PublishTo("talk")
    ticker = SubscribeTo("talk") | (Filter(nothing) if quiet else Ticker())
    listeners = TCPServer(
        SubscribeTo("talk", when_full="drop-oldest") | Encode(end="\n"),
        host=host,
        port=port,
        idle_timeout=None,  # a speaker may pause for thought
        stall_timeout=STALLED,
        quiet=True,  # the usher says it
    )
    usher = Usher(quiet)
    return Graphline(
        Backplane("talk", keep=keep),
        speaker.outbox >> usher.spoken,
        ticker.outbox >> usher.shown,
        listeners.listening >> usher.listening,
    ).named("present")


def nothing(message: object) -> bool:
    """Let no message pass a `Filter`, which counts them.

    >>> nothing("what somebody typed")
    False
    """
    return False


class Usher(Component):
    """Says where the talk is, and when it is over closes the room and sends everybody home.

    Arguments:
        quiet: do not say where it is
    """

    inbox = None
    outbox = None
    listening = Inbox[tuple[str, int]]("where the talk is")
    spoken = Inbox[Any]("nothing; its end is the end of the talk")
    shown = Inbox[Any]("nothing; its end is the end of what was shown here")

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    async def main(self) -> None:
        address = await self.listening.receive()
        if not self.quiet:
            self.tell(*address)
        async for _ in self.spoken:
            pass
        # What has been said still goes to everybody; then the ticker sees the end.
        self.system.names.find("talk").inbox.release()
        async for _ in self.shown:
            pass
        if not self.system.stopping:  # by Ctrl-C, which has ended all this: a second stop would cancel
            self.system.stop()

    def tell(self, host: str, port: int) -> None:
        """Say how to listen."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        text = f"What you type is read by everybody who connects with: nc {host} {port}"
        end = "Ctrl-D (end of file) or Ctrl-C ends it."
        self.system.announce(f"{text}\n{end}")


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    made = Parser(
        prog="kamaelia present",
        description="What you type, or pipe in, goes to everybody who connects, and is shown here. "
        "Those who come late get the last lines.",
        epilog="examples\n  kamaelia present\n  fortune | kamaelia present --host 0.0.0.0 --port 1501\n\n"
        "exit codes\n  0    the talk was over (end of file), or Ctrl-C ended it\n"
        "  1    it failed, for instance because another program has the port\n  2    a wrong command line\n"
        "  130  cancelled by a second Ctrl-C",
    )
    made.add_argument("--host", default="127.0.0.1", help="to listen on (127.0.0.1: this machine only)")
    made.add_argument(
        "--port",
        type=number_from(0, LAST_PORT),
        default=1500,
        help="to listen on (1500; 0 for any that is free)",
    )
    made.add_argument(
        "--keep", type=number_from(0), default=10, metavar="LINES", help="for those who come late (10)"
    )
    made.add_argument(
        "--longest",
        type=number_from(1),
        default=LONGEST,
        metavar="BYTES",
        help=f"of a line; what is longer is cut ({LONGEST})",
    )
    made.add_argument("--quiet", action="store_true", help="neither show the talk here nor say where it is")
    return made


def number_from(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number of the command line.

    >>> number_from(0)("12")
    12
    """

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            limits = f"{least} or more" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text}: give a whole number, {limits}")
        return number

    return read


def is_taken(error: Exception) -> bool:
    """Say whether it is for another program's sake that there is no talk: then another port would help."""
    failures = error.exceptions if isinstance(error, ComponentsFailed) else ()
    causes = [one.__cause__ for one in failures if isinstance(one, CannotListen)]
    return any(isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE for cause in causes)


def main(words: Sequence[str] | None = None) -> int:
    """Give a presentation, as the command line says; return the exit code."""
    options = parser().parse_args(words)
    try:
        run(
            present(
                host=options.host,
                port=options.port,
                keep=options.keep,
                longest=options.longest,
                quiet=options.quiet,
            )
        )
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # whatever failed, a user wants to read one line about it
        show(error)
        if is_taken(error):
            other = options.port + 1 if options.port < LAST_PORT else options.port - 1
            complain(f"For another port: kamaelia present --port {other}")
        return FAILED
    return 0
