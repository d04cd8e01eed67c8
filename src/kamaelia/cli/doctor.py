"""``kamaelia doctor``: what is installed here, what of it is used, and why not the rest."""

from __future__ import annotations

import argparse
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

from . import FAILED
from .output import say
from .parser import Parser

TESTED = ((3, 11), (3, 12), (3, 13))  # versions of CPython
FOR_DEVELOPERS = ("dist", "docs", "lint", "test")  # extras that nobody needs who only uses Kamaelia


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia doctor",
        description="Show versions, which core and event loop are in use, and which extras are installed.",
        epilog="example\n  kamaelia doctor --json | python -m json.tool\n\n"
        "exit codes\n  0  a small system ran here\n  1  it did not",
    )
    made.add_argument("--json", action="store_true", help="for programs")
    return made


def main(words: Sequence[str]) -> int:
    """Print the findings; returns the exit code."""
    options = parser().parse_args(words)
    findings = examine()
    if options.json:
        import json

        say(json.dumps(findings, indent=2))
    else:
        say("\n".join(lines(findings)))
    return 0 if findings["trial"]["ok"] else FAILED


def examine() -> dict[str, Any]:
    """Look at everything; the result is what ``--json`` prints."""
    import kamaelia
    from kamaelia.axon import core, scheduler

    way = getattr(scheduler.make_current, "__name__", str(scheduler.make_current))
    return {
        "kamaelia": kamaelia.__version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{platform.system()} {platform.machine()}",
        "core": {"name": CORES[core.form], "why": why_this_core()},
        "loop": loop(),
        "current_task": {
            "name": way,
            "how": "an entry in asyncio's table of current tasks"
            if way == "make_current_by_table"
            else f"asyncio's own {way}",
        },
        "extras": list(extras()),
        "remarks": list(remarks()),
        "trial": trial(),
    }


CORES = {
    "compiled": "compiled",
    "plain": "plain Python",
    "tasks": "plain Python on asyncio tasks",
}


def why_this_core() -> str:
    """Say why this form of the core is in use."""
    from kamaelia.axon import core

    if core.form == "compiled":
        return "it has been built, and works on this interpreter"
    if core.form == "tasks":
        return str(core.why_not_compiled)
    return (
        f"not the compiled one: {core.why_not_compiled}" if core.why_not_compiled else "asked for by a test"
    )


def loop() -> dict[str, str]:
    """Say which event loop `run` takes, and why."""
    from kamaelia.axon.system import default_loop_factory

    name = default_loop_factory().__module__.partition(".")[0]
    if name == "uvloop":
        return {"name": f"uvloop {metadata.version('uvloop')}", "why": "it is installed"}
    if sys.platform == "win32":
        return {"name": "asyncio", "why": "uvloop does not exist for Windows"}
    return {"name": "asyncio", "why": "uvloop is not installed: pip install 'kamaelia[net]'"}


def extras() -> Iterator[dict[str, Any]]:
    """Yield each extra with the packages that it is made of, and their versions if they are here."""
    try:
        about = metadata.metadata("kamaelia")
        needs = metadata.requires("kamaelia") or []
    except metadata.PackageNotFoundError:  # run from its source, without having been installed
        return
    for extra in about.get_all("Provides-Extra") or []:
        packages: dict[str, str | None] = {}
        for need in needs:
            name = re.match(r"[\w.-]+", need)
            if (
                name
                and re.search(rf"""extra == ['"]{re.escape(extra)}['"]""", need)
                and name[0] != "kamaelia"
            ):
                packages[name[0]] = version_of(name[0])
        missing = [package for package, version in packages.items() if version is None]
        yield {
            "name": extra,
            "for": "developers" if extra in FOR_DEVELOPERS else "everybody",
            "packages": packages,
            "missing": missing,
            "install": f"pip install 'kamaelia[{extra}]'",
        }


def version_of(package: str) -> str | None:
    """Return the version of an installed package.

    >>> version_of("no-such-package") is None
    True
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def remarks() -> Iterator[str]:
    """Yield what is unusual about this machine."""
    version = sys.version_info[:2]
    if platform.python_implementation() != "CPython":
        yield f"tested on CPython only, and this is {platform.python_implementation()}"
    elif version not in TESTED:
        tested = ", ".join(f"{major}.{minor}" for major, minor in TESTED)
        yield f"tested on Python {tested}, and this is {version[0]}.{version[1]}"
    if sys.platform != "linux":
        yield f"tested on Linux only; on {platform.system()} the base install is written to work"
    if sys.flags.dev_mode:
        yield "Python's development mode is on (-X dev or PYTHONDEVMODE): everything is slower"


def trial() -> dict[str, Any]:
    """Run a small system, with a coroutine and a script."""
    from kamaelia.axon import component, run

    @component
    async def numbers(inbox: Any, outbox: Any) -> None:
        for number in range(1000):
            await outbox.send(number)

    @component
    def total(inbox: Any, outbox: Any) -> int:
        return sum(inbox)

    try:
        result = run(numbers() | total())
    except Exception as error:  # that is what this is to find out
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}
    ok = result == 499500
    return {"ok": ok, "error": None if ok else f"a sum was {result}, not 499500"}


def lines(findings: dict[str, Any]) -> Iterator[str]:
    """Yield the findings as text."""
    yield f"kamaelia      {findings['kamaelia']}"
    yield f"python        {findings['implementation']} {findings['python']} on {findings['platform']}"
    yield f"core          {findings['core']['name']} ({findings['core']['why']})"
    yield f"loop          {findings['loop']['name']} ({findings['loop']['why']})"
    yield f"current task  {findings['current_task']['how']}"
    for extra in findings["extras"]:
        if extra["missing"]:
            what = f"missing {', '.join(extra['missing'])}: {extra['install']}"
        else:
            versions = [f"{name} {version}" for name, version in extra["packages"].items()]
            what = ", ".join(versions) or "nothing beyond the standard library"
        note = " (for work on Kamaelia itself)" if extra["for"] == "developers" else ""
        yield f"extra {extra['name']:<7} {what}{note}"
    for remark in findings["remarks"]:
        yield f"remark        {remark}"
    trial = findings["trial"]
    yield (
        "trial         a small system ran well" if trial["ok"] else f"trial         failed: {trial['error']}"
    )
