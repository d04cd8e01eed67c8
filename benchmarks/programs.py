"""How to start the contestants: with which interpreter, after which compiler; and if not, why not.

Everything made here goes into folders that git ignores: `benchmarks/.venv` (Python 3.11 and the peers),
`benchmarks/.venv-3.13`, `benchmarks/.venv-upstream` and `benchmarks/.build`.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
BUILD = FOLDER / ".build"
MAIN_VERSION = "3.11"  # most rows are measured on this one


class Missing(Exception):
    """Something is not there that a contestant needs; the message says what, and what would provide it."""


# --- environments -----------------------------------------------------------------------------------


def environment(version: str) -> Path:
    """Return the folder for the peers on that Python; for "upstream", the one for upstream's Kamaelia."""
    return FOLDER / (".venv" if version == MAIN_VERSION else f".venv-{version}")


def find_python(version: str) -> str:
    """Return a Python of that version, from PATH or from pyenv's store."""
    names = [shutil.which(f"python{version}"), sys.executable]
    names += sorted(str(one) for one in Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}"))
    for name in names:
        if name and _version_of(name) == version:  # being there is not enough: pyenv has shims for all
            return name
    raise Missing(f"no python{version} on PATH or in ~/.pyenv")


def _version_of(python: str) -> str:
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", show], capture_output=True, text=True).stdout.strip()


def install(version: str) -> None:
    """Make the environment for a version, or bring it up to date; raises `Missing` where that fails."""
    upstream = version == "upstream"
    requirements = FOLDER / ("requirements-upstream.txt" if upstream else "requirements.txt")
    folder = environment(version)
    stamp = folder / ".has-peers"
    # What is compiled of Kamaelia is compiled again when its source changes; the rest is used where it lies.
    sources = [requirements]
    if not upstream:
        sources += [ROOT / "pyproject.toml", *ROOT.glob("setup.py"), *ROOT.glob("src/**/*.py[xd]")]
    newest = max(source.stat().st_mtime for source in sources)
    if stamp.exists() and stamp.stat().st_mtime >= newest:
        return
    print(f"Installing the peers into {folder.relative_to(ROOT)}.", file=sys.stderr, flush=True)
    if not (folder / "bin" / "python").exists():
        _do([find_python(MAIN_VERSION if upstream else version), "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _do([*pip, "--requirement", str(requirements)])
    if not upstream:
        _do([*pip, "--editable", str(ROOT)])
    stamp.touch()


def _do(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f"{Path(command[0]).name} failed: {last_line(done.stderr)}")


def last_line(text: str) -> str:
    """Return the last line that says something, without the folders of this machine."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"]
    return lines[-1].replace(f"{ROOT}{os.sep}", "").replace(str(Path.home()), "~")[:200]


# --- programs ---------------------------------------------------------------------------------------


class Program(Protocol):
    def command(self) -> list[str]:
        """Return the command that starts it, or raise `Missing`."""


@dataclass(frozen=True)
class Python:
    """A module of `benchmarks.peers` on a Python of that version; "upstream" is for upstream's Kamaelia."""

    version: str
    module: str

    def command(self) -> list[str]:
        return [_python_of(self.version), "-m", f"benchmarks.peers.{self.module}"]


@dataclass(frozen=True)
class Erlang:
    """A module of Erlang, with as many schedulers as it is given cores, so one."""

    module: str

    def command(self) -> list[str]:
        compiled(f"{self.module}.erl", f"{self.module}.beam", ("erlc", "-o", str(BUILD)), "erlang-base")
        limits = ["+S", "1", "+P", "2000000"]
        return ["erl", *limits, "-noshell", "-pa", str(BUILD), "-run", self.module, "main"]


@dataclass(frozen=True)
class Go:
    """A program of one file; on one core it runs one thread, as Go sees how many it may use."""

    name: str

    def command(self) -> list[str]:
        target = BUILD / self.name
        return [str(compiled(f"{self.name}.go", self.name, ("go", "build", "-o", str(target)), "golang-go"))]


@dataclass(frozen=True)
class C:
    """A program of one file."""

    name: str

    def command(self) -> list[str]:
        target = BUILD / self.name
        return [str(compiled(f"{self.name}.c", self.name, ("gcc", "-O2", "-o", str(target)), "gcc"))]


@dataclass(frozen=True)
class Cpp:
    """A program of one file in C++ that uses libraries, and a header that says whether they are there."""

    name: str
    package: str
    header: str
    libraries: tuple[str, ...]

    def command(self) -> list[str]:
        if not Path("/usr/include", self.header).exists():
            raise Missing(f"no header {self.header}: `make bench-deps` installs {self.package}")
        target = BUILD / self.name
        libraries = [f"-l{library}" for library in self.libraries]
        # The source comes last, and a library that nothing before it asked for may be left out.
        words = ("g++", "-O2", "-std=c++17", "-o", str(target), "-Wl,--no-as-needed", *libraries)
        return [str(compiled(f"{self.name}.cc", self.name, words, "g++"))]


@dataclass(frozen=True)
class Installed:
    """A program of the machine, from a package."""

    name: str
    package: str

    def command(self) -> list[str]:
        if not shutil.which(self.name):
            raise Missing(f"no program {self.name}: `make bench-deps` installs {self.package}")
        return [self.name]


@functools.cache
def _python_of(version: str) -> str:
    python = environment(version) / "bin" / "python"
    if python.exists():
        return str(python)
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable  # has Kamaelia, and perhaps some of the peers
    raise Missing(f"no {environment(version).relative_to(ROOT)}: `make bench` makes it")


@functools.cache
def compiled(source: str, target: str, compiler: tuple[str, ...], package: str) -> Path:
    """Return what has been made of a source file, made anew if that has changed, or what it may include."""
    made, origin = BUILD / target, FOLDER / "peers" / source
    if not shutil.which(compiler[0]):
        raise Missing(f"no program {compiler[0]}: `make bench-deps` installs {package}")
    newest = max(one.stat().st_mtime for one in (origin, *origin.parent.glob("*.h")))
    if not made.exists() or made.stat().st_mtime < newest:
        BUILD.mkdir(exist_ok=True)
        (BUILD / "go-cache").mkdir(exist_ok=True)
        environ = {**os.environ, "GOCACHE": str(BUILD / "go-cache"), "GOTOOLCHAIN": "local"}
        done = subprocess.run([*compiler, str(origin)], capture_output=True, text=True, env=environ)
        if done.returncode != 0:
            raise Missing(f"{compiler[0]} failed: {last_line(done.stderr)}")
    return made
