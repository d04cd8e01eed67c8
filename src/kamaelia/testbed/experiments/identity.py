"""What a result depends on besides parameters and seed: the code, and the versions of what it uses.

The code of a scenario is its file, and each file that this imports, directly or not, that is neither
installed nor Kamaelia's: the user's own. Of what is installed the versions count. Of Kamaelia it is the
version, and a hash of its sources, as those of a working copy change without their version.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import kamaelia.axon

from ...axon import core
from .reference import FunctionReference

FILES = 200
"""Files of a user's own that are looked at, at most."""

_ROOT = Path(kamaelia.axon.__file__).resolve().parent.parent
_NOT_IN_RUNS = ("cli", "studio", "apps")  # rooms whose code no run of an experiment runs


def sources(*references: FunctionReference) -> dict[str, str]:
    """Return the user's own files that some functions stand in, and those these import: texts by their paths.

    The paths are relative to the folder of the first; that file comes first.

    >>> import os.path
    >>> sources(FunctionReference.of(os.path.basename))
    {}
    """
    found: dict[str, str] = {}
    waiting = [one.file for one in references if one.file is not None]
    base = os.path.dirname(waiting[0]) if waiting else ""
    modules = _by_file()
    while waiting and len(found) < FILES:
        file = waiting.pop(0)
        name = os.path.relpath(file, base).replace(os.sep, "/")
        if name in found or not _is_own(file):
            continue
        text = _read(file)
        if text is None:
            continue
        found[name] = text
        waiting += [
            other for one in _imported(text, modules.get(file)) if (other := _file_of(one)) is not None
        ]
    return found


def versions(code: dict[str, str]) -> dict[str, str]:
    """Return the versions of Kamaelia, of Python, and of the packages that some code imports.

    >>> sorted(versions({"star.py": "import pytest"}))
    ['kamaelia', 'kamaelia sources', 'pytest', 'python']
    """
    found = {
        "kamaelia": version_of("kamaelia") or "?",
        "kamaelia sources": own_sources(),
        "python": platform.python_version(),
    }
    names = {name.partition(".")[0] for text in code.values() for name in _imported(text, None)}
    others = sorted(names - sys.stdlib_module_names - {"kamaelia"})
    if others:
        packages = metadata.packages_distributions()
        for name in others:
            for package in packages.get(name, ())[:1]:
                found[package] = version_of(package) or "?"
    return found


def machine() -> dict[str, str]:
    """Return where this runs: it decides how long runs take, and nothing else.

    >>> sorted(machine())
    ['core', 'platform', 'processors']
    """
    return {
        "platform": platform.platform(),
        "processors": str(os.cpu_count() or 1),
        "core": core.form,
    }


def revision(file: str | None) -> str | None:
    """Return the revision that git has of a file's folder, with a ``+`` if the file has changed since.

    None where there is no git, or no revision.
    """
    if file is None:
        return None
    folder = os.path.dirname(os.path.abspath(file))
    known = _git(folder, "rev-parse", "HEAD")
    if not known:
        return None
    changed = _git(folder, "status", "--porcelain", "--", file)
    return known[:12] + ("+" if changed or changed is None else "")


def digest(text: str) -> str:
    """Return a hash of a text, as 16 hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@functools.cache
def own_sources() -> str:
    """Return a hash of the sources of Kamaelia, but for rooms that no run can depend on."""
    whole = hashlib.sha256()
    for path in sorted(_ROOT.rglob("*.py*")):
        parts = path.relative_to(_ROOT).parts
        if path.suffix in (".py", ".pyx", ".pxi") and parts[0] not in _NOT_IN_RUNS:
            whole.update("/".join(parts).encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def version_of(package: str) -> str | None:
    """Return the version of an installed package; None for one that is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: str, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *words], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _by_file() -> dict[str, str]:
    """Return the names of modules that are loaded, by their files."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            found[os.path.abspath(file)] = name
    return found


def _imported(text: str, name: str | None) -> Iterator[str]:
    """Yield the full names that a module's text imports; of ``from a import b`` both a and a.b."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    module = None if name is None else sys.modules.get(name)
    package = (getattr(module, "__package__", None) or "").split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            if whole:
                yield whole
                yield from (f"{whole}.{alias.name}" for alias in node.names)


def _file_of(name: str) -> str | None:
    module: ModuleType | None = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    return os.path.abspath(file) if isinstance(file, str) and file.endswith(".py") else None


def _is_own(file: str) -> bool:
    """Say whether a file is neither installed, nor Python's, nor Kamaelia's."""
    path = Path(file).resolve()
    parts = path.parts
    if "site-packages" in parts or "dist-packages" in parts or path.is_relative_to(_ROOT):
        return False
    return not path.is_relative_to(Path(os.__file__).resolve().parent)


def _read(file: str) -> str | None:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


__all__ = ["FILES", "digest", "machine", "own_sources", "revision", "sources", "version_of", "versions"]
