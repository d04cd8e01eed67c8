"""``kamaelia studio``: show a running system in the browser."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import FAILED, INTERRUPTED, USAGE
from .output import complain
from .parser import Parser

if TYPE_CHECKING:
    from kamaelia.studio import Studio

EPILOG = """
a SYSTEM is what 'kamaelia run' takes. It runs in a process of its own, and the Studio ends with it. Without
one, the Studio shows what runs already: the system of ADDRESS (the number of a process, 4711-2 for the second
system in it, or the path of an inspection socket), or the only one that there is. A program can be looked at
that was started with run(..., inspect=True), or with KAMAELIA_INSPECT=1 in its environment.

The address that is printed has a token in it, without which nobody sees anything: whoever has it can read
every message of the system.

examples
  kamaelia studio chat.py
  kamaelia studio 'Interval(0.1) | Collect()'
  KAMAELIA_INSPECT=1 python chat.py &
  kamaelia studio --no-open

exit codes
  0    it ended, also after a first Ctrl-C
  1    the system failed
  2    nothing ran: the command line is wrong, or there is nothing to look at
  130  cancelled by a second Ctrl-C
"""

STARTING = 20.0  # seconds in which a system has to open its inspection socket
ENDING = 7.0  # seconds in which a system has to end when nobody looks any more: its grace, and some
LOOKS = 0.05  # seconds between two looks whether it has
GRACE = 1.0  # seconds in which the pages have to go, when the Studio ends


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia studio",
        description="Show a system in the browser, as it runs.",
        epilog=EPILOG,
    )
    made.add_argument("systems", metavar="SYSTEM", nargs="*", help="what to run, as for kamaelia run")
    made.add_argument(
        "--attach",
        metavar="ADDRESS",
        nargs="?",
        const="",
        help="show what runs already, as without SYSTEM",
    )
    made.add_argument("--port", type=int, default=0, help="to listen on (any that is free)")
    made.add_argument("--host", default="127.0.0.1", help="to listen on (127.0.0.1)")
    made.add_argument(
        "--open", action=argparse.BooleanOptionalAction, default=None,
        help="open the page in the browser (if this is a terminal of a desktop)",
    )  # fmt: skip
    made.add_argument("--until-eof", action="store_true", help="end when standard input, a pipe, does")
    return made


def main(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    options = parser().parse_args(words)
    if options.systems and options.attach is not None:
        complain("kamaelia studio: a SYSTEM is run, and --attach shows one that runs: give one of them")
        return USAGE
    from kamaelia.axon import UsageError
    from kamaelia.observe.inspection import InspectionError, find
    from kamaelia.protocol.websocket.machine import need_websockets

    try:
        need_websockets()  # before anything runs
    except UsageError as error:
        complain(f"kamaelia studio: {error}")
        return USAGE
    if not is_loopback(options.host):
        complain(
            f"kamaelia studio: {options.host} is reached from other machines: whoever learns the address "
            "with its token, which passes the network unprotected, can read all messages of the system"
        )
    if options.systems:
        return run_and_show(options)
    try:
        path = find(options.attach or None)
    except InspectionError as error:
        complain(f"kamaelia studio: {error}")
        return USAGE
    return show(path, options)


def run_and_show(options: argparse.Namespace) -> int:
    """Run the systems in a process of their own, and show them until they end."""
    from kamaelia.axon.clock import monotonic
    from kamaelia.observe.inspection import InspectionError, find

    command = [sys.executable, "-m", "kamaelia", "run", *options.systems]
    process = subprocess.Popen(command, env={**os.environ, "KAMAELIA_INSPECT": "1"})
    try:
        end = monotonic() + STARTING
        while True:
            try:
                path = find(process.pid)
                break
            except InspectionError as error:
                if process.poll() is not None:
                    return process.returncode  # it has said why
                if monotonic() > end:
                    complain(f"kamaelia studio: {error}")
                    return FAILED
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOKS)
        code = show(path, options, process.poll)
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(ENDING)
        return code or process.poll() or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        if process.poll() is None:
            process.kill()
            process.wait()


def show(path: str, options: argparse.Namespace, ended: Callable[[], Any] = lambda: None) -> int:
    """Serve the Studio for a socket until the system has ended, or somebody ends this."""
    from kamaelia.axon import ComponentsFailed, Graphline, KamaeliaError, component, run, sleep
    from kamaelia.studio import Studio

    from .show import show as show_error

    studio = Studio(path, options.port, options.host)

    @component
    def opened(inbox: Any, outbox: Any) -> None:
        for _ in inbox:
            with opening(studio, options.open):
                while ended() is None and os.path.exists(path):
                    sleep(0.2)
        studio.system.stop(GRACE)

    @component
    async def until_eof(inbox: Any, outbox: Any) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.read(4096):
            pass
        studio.system.stop(GRACE)

    whole = Graphline(studio.listening >> opened().inbox)
    try:
        run(*([whole, until_eof()] if options.until_eof else [whole]))
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ComponentsFailed, KamaeliaError) as error:
        show_error(error)
        return FAILED
    return 0


@contextmanager
def opening(studio: Studio, wanted: bool | None) -> Iterator[None]:
    """Open the page in the browser, if that is wanted; None wants it on a desktop.

    The browser is given a file, which only we can read, and which leads there: what stands on a command line,
    such as an address with a token, all users of the machine can see.
    """
    import webbrowser

    if wanted is None:
        desktop = sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
        wanted = bool(desktop) and sys.stderr is not None and sys.stderr.isatty()
    if not wanted:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="kamaelia-studio-") as folder:
        page = Path(folder, "studio.html")
        page.touch(0o600)
        page.write_text(f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={studio.url}">\n')
        try:
            if not webbrowser.open(page.as_uri()):
                complain(f"kamaelia studio: no browser could be opened; the page is {studio.url}")
        except webbrowser.Error as error:
            complain(f"kamaelia studio: {error}; the page is {studio.url}")
        yield


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


__all__ = ["main"]
