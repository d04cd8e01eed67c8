"""Run every listing in README.md and docs/, in the way that a reader would.

A page is one session: its listings run in order, in one empty folder. What a fence says:

```` ```python ````                    a script; it has to end well
```` ```python title="chat.py" ````    a file of the reader's; a later listing has to use it
```` ```pycon ````                     an interpreter session, compared as doctest does
```` ```console ````                   commands after `$ ` and below each what it prints, compared
```` ```sh ````                        a shell script; it has to end well

In console listings

- `...` stands for anything within a line, and on a line of its own for any number of lines;
- a command with nothing below it may print what it likes;
- `$ command &` goes on in the background until the end of the page. The page waits for the lines that
  stand below it, so give a server the line in which it says that it listens;
- `^C` as the last line below a command presses Ctrl-C once the lines above it have been printed.

Attributes: `no-run="reason"` shows a listing without running it; `exit="2"` is the exit code of its last
command; `timeout="60"` is how many seconds each of its commands may take. The site does not show these.

A listing that has no title and is not one of these languages (toml, text, mermaid, ...) is only shown.
"""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.exists()]

RUN = {"python", "pycon", "console", "sh"}
# Other names for the same languages would only be ways to escape being run.
ALIASES = {
    "py": "python",
    "python3": "python",
    "bash": "sh",
    "shell": "sh",
    "zsh": "sh",
    "shell-session": "console",
}
ATTRIBUTES = {"title", "no-run", "exit", "timeout", "hl_lines", "linenums"}

# A fence may stand in a list or a quotation; what stands before it stands before each line of the listing.
FENCE = re.compile(r"^(?P<margin>[> ]*(?:(?:[-*+]|\d+[.)]) +)?)(?P<fence>`{3,}|~{3,})[ ]*(?P<info>.*)$")
ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
LIMIT = 30.0  # seconds for one command

# The whole page may take longer than one test usually does; each command has its own limit.
# Which form of the core it is, no page speaks of, and the contract suite sees that both do the same.
pytestmark = [pytest.mark.slow, pytest.mark.one_core(), pytest.mark.timeout(600)]


class ListingError(Exception):
    """A listing is not true: it fails, prints something else, or can't be understood."""


# --- reading pages --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listing:
    """One fenced block of a page."""

    page: str
    line: int  # of the opening fence, counted from 1
    language: str
    attributes: dict[str, str]
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def limit(self) -> float:
        return float(self.attributes.get("timeout", LIMIT))


def read_listings(page: str, text: str) -> Iterator[Listing]:
    """Yield the listings of a page that are to be run or written, wherever they are indented."""
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        opening = FENCE.match(line)
        if opening is None:
            continue
        margin, fence, info = len(opening["margin"]), opening["fence"], opening["info"]
        body: list[str] = []
        for _, inner in lines:
            inner = inner.lstrip() if inner[:margin].strip("> ") else inner[margin:]
            # Only a fence as long as the opening one closes it, so that a listing may show fences.
            if set(inner.strip()) == {fence[0]} and len(inner.strip()) >= len(fence):
                break
            body.append(inner)
        else:
            raise ListingError(f"{page}:{number}: this listing is never closed")
        word = info.partition(" ")[0].lower()
        language = ALIASES.get(word, word)
        attributes = dict(ATTRIBUTE.findall(info))
        if language in RUN or "title" in attributes:
            yield Listing(page, number, language, attributes, "\n".join(body) + "\n")


def check_attributes(listing: Listing) -> None:
    unknown = set(listing.attributes) - ATTRIBUTES
    if unknown:
        raise ListingError(f"unknown attributes: {', '.join(sorted(unknown))}")
    if "no-run" in listing.attributes and not listing.attributes["no-run"].strip():
        raise ListingError("no-run needs a reason")


# --- running them ---------------------------------------------------------------------------------


@dataclass
class Command:
    """A command of a console listing and what should come of it."""

    text: str
    expected: list[str] = field(default_factory=list)
    background: bool = False
    interrupt: bool = False


def read_commands(text: str) -> list[Command]:
    """Split a console listing; `> ` below a command that ends in a backslash continues it."""
    commands: list[Command] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append(Command(line[2:].rstrip()))
        elif not commands:
            raise ListingError("a console listing begins with `$ ` and a command")
        elif line.startswith("> ") and commands[-1].text.endswith("\\") and not commands[-1].expected:
            commands[-1].text += "\n" + line[2:]
        else:
            commands[-1].expected.append(line.rstrip())
    for command in commands:
        while command.expected and not command.expected[-1]:
            command.expected.pop()  # an empty line before the next command is for the eye
        if command.expected and command.expected[-1] == "^C":
            command.interrupt = True
            command.expected.pop()
        if command.text.endswith("&"):
            command.background = True
            command.text = command.text[:-1].rstrip()
    return commands


def pattern_of(expected: list[str]) -> re.Pattern[str]:
    """Make a pattern of the expected lines, in which `...` matches anything."""
    pattern = ""
    for line in expected:
        if line == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.split("...")) + r"[ \t]*\n"
    return re.compile(pattern)


def with_newline(output: str) -> str:
    return output if output.endswith("\n") or not output else output + "\n"


def is_as_expected(expected: list[str], output: str) -> bool:
    # Empty lines at the end can't be seen on a page, so they don't count.
    return pattern_of(expected).fullmatch(with_newline(output.rstrip("\n"))) is not None


def begins_as_expected(expected: list[str], output: str) -> bool:
    return pattern_of(expected).match(output) is not None


def both(command: Command, output: str) -> str:
    wanted = "\n".join(f"    {line}" for line in command.expected)
    printed = "\n".join(f"    {line}" for line in output.splitlines())
    return f"the page says:\n{wanted}\nit printed:\n{printed}"


class Running:
    """A process in a group of its own, whose output goes to a file."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self.output_file = tempfile.TemporaryFile()  # noqa: SIM115  # close() does
        environment = {
            **os.environ,
            # the reader is in an environment that Kamaelia is installed in
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONHASHSEED": "0",  # or the order of a set would be another each time
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),  # where the sockets of other systems are not
            # the same output whatever terminal the tests run in
            "COLUMNS": "110",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }
        for name in ("PYTHONPATH", "PYTHONWARNINGS", "KAMAELIA_ALL", "KAMAELIA_TEST_REPORT"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.output_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group, so that what it starts goes with it
        )

    def output(self) -> str:
        # pread, because the process writes through the same file position that seek would move
        size = os.fstat(self.output_file.fileno()).st_size
        return os.pread(self.output_file.fileno(), size, 0).decode(errors="replace").replace("\r\n", "\n")

    def signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def wait(self, seconds: float) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise ListingError(
                f"it had not ended after {seconds:g} s; it printed:\n{self.output()}"
            ) from None

    def end(self) -> None:
        """End the whole group, politely first."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                pass
        self.signal(signal.SIGKILL)  # also for children that outlived their parent
        self.process.wait()

    def close(self) -> None:
        self.end()
        self.output_file.close()


class Page:
    """The session of one page: its folder, its background processes, and how far it has come."""

    def __init__(self, listings: list[Listing]) -> None:
        self.listings = listings
        self.folder = tempfile.TemporaryDirectory(prefix="listings-")
        self.background: list[tuple[Listing, Command, Running]] = []
        self.done = 0
        self.failed: Listing | None = None

    def run_up_to(self, index: int) -> None:
        """Run the listing with this index, after those before it that have not been run yet."""
        while self.done <= index:
            listing = self.listings[self.done]
            if self.failed is not None:
                raise ListingError(f"not tried, because {self.failed.where} failed")
            self.done += 1
            try:
                self.run(listing)
                if self.done == len(self.listings):
                    self.check_background()
            except ListingError as error:
                self.failed = listing
                if self.done <= index:
                    raise ListingError(f"not tried, because {listing.where} failed: {error}") from None
                raise

    def run(self, listing: Listing) -> None:
        check_attributes(listing)
        if "no-run" in listing.attributes:
            return
        if "title" in listing.attributes:
            self.write(listing)
        elif listing.language == "python":
            # A file, so that a traceback can show the lines.
            self.execute(listing, [sys.executable, self.script("listing.py", listing.text)])
        elif listing.language == "pycon":
            script = self.script("listing.txt", listing.text)
            self.execute(listing, [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", script])
        elif listing.language == "sh":
            self.execute(listing, ["sh", "-e", self.script("listing.sh", listing.text)])
        else:
            commands = read_commands(listing.text)
            for command in commands:
                self.run_command(listing, command, is_last=command is commands[-1])

    def script(self, name: str, text: str) -> str:
        (Path(self.folder.name) / name).write_text(text)
        return name

    def write(self, listing: Listing) -> None:
        title = listing.attributes["title"]
        folder = Path(self.folder.name).resolve()
        path = (folder / title).resolve()
        if not path.is_relative_to(folder):
            raise ListingError(f"title={title!r} is not within the page's folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(listing.text)
        if listing.language == "python":
            try:
                ast.parse(listing.text, filename=title)
            except SyntaxError as error:
                raise ListingError(f"{title}: {error}") from None
        if not self.is_used_later(listing):
            raise ListingError(f'no later listing uses {title}: run it, or say no-run="reason"')

    def is_used_later(self, listing: Listing) -> bool:
        """Say whether a listing after this one names the file, before another one replaces it."""
        title = listing.attributes["title"]
        names = re.compile(rf"\b{re.escape(title)}|\b{re.escape(Path(title).stem)}\b")
        for later in self.listings[self.listings.index(listing) + 1 :]:
            if later.attributes.get("title") == title:
                return False
            if "no-run" not in later.attributes and names.search(later.text):
                return True
        return False

    def execute(self, listing: Listing, arguments: list[str]) -> None:
        running = Running(arguments, Path(self.folder.name))
        try:
            self.check_exit(listing, running.wait(listing.limit), running.output(), is_last=True)
        finally:
            running.close()

    def check_exit(self, listing: Listing, code: int, output: str, *, is_last: bool) -> None:
        wanted = int(listing.attributes.get("exit", 0)) if is_last else 0
        if code != wanted:
            raise ListingError(f"exit code {code}, not {wanted}; it printed:\n{output}")

    def run_command(self, listing: Listing, command: Command, *, is_last: bool) -> None:
        # exec, so that the exit code after a signal is the program's and not that of a shell which waited
        # for it. Only a simple command can be exec'd, and only one that goes on needs it.
        goes_on = command.background or command.interrupt
        is_simple = not re.search(r"[|;&<>\n]|^\w+=", command.text)
        text = f"exec {command.text}" if goes_on and is_simple else command.text
        running = Running(["sh", "-c", text], Path(self.folder.name))
        try:
            if command.background:
                self.background.append((listing, command, running))
                self.wait_for_output(listing, command, running)
                return
            if command.interrupt:
                self.wait_for_output(listing, command, running)
                running.signal(signal.SIGINT)
                code = running.wait(listing.limit)
                # Which of them is the program's own choice: ended well, by the signal, or as shells say it.
                if code not in (0, 130, -signal.SIGINT):
                    raise ListingError(f"exit code {code} after Ctrl-C; it printed:\n{running.output()}")
                return
            code = running.wait(listing.limit)
            output = running.output()
            self.check_exit(listing, code, output, is_last=is_last)
            if command.expected and not is_as_expected(command.expected, output):
                raise ListingError(f"$ {command.text}\n{both(command, output)}")
        except ListingError as error:
            if command.text in str(error):
                raise
            raise ListingError(f"$ {command.text}\n{error}") from None
        finally:
            if not command.background:
                running.close()

    def wait_for_output(self, listing: Listing, command: Command, running: Running) -> None:
        """Wait until a command that goes on has printed the lines below it."""
        deadline = time.monotonic() + listing.limit
        while True:
            has_ended = running.process.poll() is not None  # asked before its last output is read
            output = running.output()
            if begins_as_expected(command.expected, output):
                return
            if has_ended:
                raise ListingError(f"it has ended; {both(command, output)}")
            if time.monotonic() > deadline:
                raise ListingError(f"not within {listing.limit:g} s; {both(command, output)}")
            time.sleep(0.02)

    def check_background(self) -> None:
        """At the end of the page its servers should still be there, or have ended well."""
        for listing, command, running in self.background:
            if running.process.poll():
                raise ListingError(
                    f"{listing.where}: $ {command.text} &\n"
                    f"ended with exit code {running.process.returncode}; it printed:\n{running.output()}"
                )

    def close(self) -> None:
        for _, _, running in self.background:
            running.close()
        self.folder.cleanup()


# --- the tests ------------------------------------------------------------------------------------

LISTINGS = {
    name: list(read_listings(name, page.read_text()))
    for page in PAGES
    for name in [page.relative_to(ROOT).as_posix()]
}


NEEDS = {
    "docs/how-to/emulate-a-network.md": pytest.mark.needs("right:emulation", "program:ping"),
}
"""What the listings of a page need."""


@pytest.fixture(scope="module")
def pages() -> Iterator[dict[str, Page]]:
    """Hold the sessions of the pages that have been begun."""
    begun: dict[str, Page] = {}
    yield begun
    for page in begun.values():
        page.close()


@pytest.mark.parametrize(
    ("name", "index"),
    [
        pytest.param(name, index, id=listing.where, marks=NEEDS.get(name, ()))
        for name, listings in LISTINGS.items()
        for index, listing in enumerate(listings)
    ],
)
def test_listing(name: str, index: int, pages: dict[str, Page]) -> None:
    for other in [other for other in pages if other != name]:
        pages.pop(other).close()  # its servers may hold the ports that this page's need
    if name not in pages:
        pages[name] = Page(LISTINGS[name])
    page = pages[name]
    try:
        page.run_up_to(index)
    except ListingError as error:
        pytest.fail(f"{page.listings[index].where}: {error}", pytrace=False)
