"""The house rules about imports, clocks and chance, which no reader could check by eye.

Who may import whom is a contract in pyproject.toml that import-linter checks; here it is run, and
compared with the table of arrows. The rest are short searches of the syntax trees of src/.
"""

from __future__ import annotations

import ast
import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = [pytest.mark.once, pytest.mark.one_core]

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "kamaelia"

# Which rooms a room may import; it may also import what those may. The arrows of the design.
ARROWS: dict[str, set[str]] = {
    "axon": set(),
    "chassis": {"axon"},
    "testing": {"axon", "chassis"},
    "observe": {"axon"},
    "catalogue": {"axon", "chassis"},
    "flow": {"chassis"},
    "ui": {"flow", "observe"},
    "file": {"flow", "observe"},
    "process": {"flow", "observe"},
    "net": {"flow"},
    "protocol": {"net", "flow"},
    "media": {"flow", "file", "process"},
    "delivery": {"media", "protocol", "net"},
    "testbed": {"testing", "observe", "axon"},
    "cluster": {"process", "net", "observe"},
    "studio": {"cluster", "testbed", "protocol", "observe", "catalogue"},
}
ARROWS["cli"] = set(ARROWS)
ARROWS["apps"] = set(ARROWS)

# The wall clock and chance that belongs to nobody: what reads them can't run in virtual time, nor the
# same way twice. `kamaelia.axon.clock` owns both.
AMBIENT = {
    "time": "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns clock_gettime clock_gettime_ns "
    "process_time process_time_ns thread_time thread_time_ns sleep localtime gmtime ctime asctime strftime",
    "datetime.datetime": "now utcnow today",
    "datetime.date": "today",
    "random": "betavariate binomialvariate choice choices expovariate gammavariate gauss getrandbits "
    "lognormvariate normalvariate paretovariate randbytes randint random randrange sample seed setstate "
    "shuffle triangular uniform vonmisesvariate weibullvariate SystemRandom",
    "secrets": "choice randbelow randbits token_bytes token_hex token_urlsafe SystemRandom",
    "os": "urandom getrandom",
    "uuid": "uuid1 uuid4 uuid6 uuid7",
}
AMBIENT_NAMES = {f"{module}.{name}" for module, names in AMBIENT.items() for name in names.split()}

# Files that may use some of these all the same, each with its reason.
EXCEPTIONS: dict[str, set[str]] = {
    "axon/clock.py": AMBIENT_NAMES,  # the owner
    "axon/system.py": {"os.urandom"},  # makes the seed, which is printed, of a run that was given none
    "testbed/stand_ins/chance.py": AMBIENT_NAMES,  # puts others in their places
    "testbed/stand_ins/times.py": AMBIENT_NAMES,  # likewise
}

# A protocol's pure part, called machine.py, imports nothing of ours but the errors, and does no I/O.
IMPURE = {"asyncio", "select", "selectors", "signal", "socket", "ssl", "subprocess", "threading", "time"}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def absolute(path: Path, node: ast.ImportFrom) -> str:
    """Return the full name of the module that a `from ... import` names."""
    if not node.level:
        return node.module or ""
    package = ("kamaelia", *path.relative_to(SOURCE).parent.parts)
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


class Import(NamedTuple):
    full: str  # what is imported, by its full name
    local: str  # the name that it makes known in the module
    meaning: str  # what that name stands for: after `import os.path`, `os` stands for os
    line: int


def imports(path: Path, tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                meaning = alias.name if alias.asname else top
                yield Import(alias.name, alias.asname or top, meaning, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{absolute(path, node)}.{alias.name}"
                yield Import(full, alias.asname or alias.name, full, node.lineno)


def ambient_uses(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, name) for every use of the wall clock or of nobody's chance in a module."""
    tree = ast.parse(text, filename=str(path))
    known = {}
    for found in imports(path, tree):
        known[found.local] = found.meaning
        module, _, name = found.full.rpartition(".")
        if found.full in AMBIENT_NAMES or (name == "*" and module in AMBIENT):
            yield found.line, found.full

    def full_name(node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return known.get(node.id)
        if isinstance(node, ast.Attribute) and (base := full_name(node.value)):
            return f"{base}.{node.attr}"
        return None

    # Every mention counts, not only calls: `now = time.monotonic` is a clock as well.
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (full_attribute := full_name(node)) in AMBIENT_NAMES:
            yield node.lineno, str(full_attribute)


# --- who may import whom --------------------------------------------------------------------------


@pytest.mark.needs("module:importlinter")
def test_rooms_import_only_what_the_contract_allows() -> None:
    # A process of its own, because import-linter sets up logging for its whole process.
    program = "from importlinter.cli import lint_imports_command as main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("module:importlinter")
def test_the_contract_says_what_the_arrows_say() -> None:
    from grimp import ImportGraph
    from importlinter.api import read_configuration
    from importlinter.contracts.layers import LayersContract

    settings = read_configuration(str(ROOT / "pyproject.toml"))

    def is_allowed(importer: str, imported: str) -> bool:
        graph = ImportGraph()
        for room in ("kamaelia", *(f"kamaelia.{room}" for room in ARROWS)):
            graph.add_module(room)
        graph.add_import(importer=f"kamaelia.{importer}", imported=f"kamaelia.{imported}")
        contracts: list[Any] = [
            LayersContract(options["name"], settings["session_options"], options)
            for options in settings["contracts_options"]
        ]
        return all(contract.check(graph, verbose=False).kept for contract in contracts)

    def reachable(room: str) -> set[str]:
        return ARROWS[room].union(*(reachable(below) for below in ARROWS[room]))

    wrong = [
        f"{importer} -> {imported}: the arrows say {imported in reachable(importer)}"
        for importer, imported in itertools.permutations(ARROWS, 2)
        if is_allowed(importer, imported) != (imported in reachable(importer))
    ]
    assert not wrong, "\n".join(wrong)


def test_only_applications_and_the_command_use_the_front_door() -> None:
    # `kamaelia/__init__.py` imports rooms. A room that imported it back would have all of them loaded
    # by an import of one, and would sooner or later find it half initialised.
    public = ("__init__.py", "__main__.py", "apps", "cli")
    rooms = [[room] for room in ARROWS]
    found = [
        f"{path.relative_to(ROOT)}:{found.line}"
        for path in modules()
        if path.relative_to(SOURCE).parts[0] not in public
        for found in imports(path, ast.parse(path.read_text()))
        # anything of `kamaelia` that is not a room comes through the front door
        if found.full.split(".")[0] == "kamaelia" and found.full.split(".")[1:2] not in rooms
    ]
    assert not found, f"import these from the room they come from: {found}"


# Of ours, what a pure part may import besides modules of its own folder that are as pure.
PURE = {("kamaelia", "axon", name) for name in ("arguments", "errors", "units")}
# OpenSSL on bytes in memory: `ssl` can open sockets, and this does not.
NO_SOCKET = {("net/tls/machine.py", "ssl")}


def pure_part(path: Path) -> set[Path]:
    """Return the modules of its folder that a module imports, and those that they import, and itself."""
    found, left = set(), [path]
    while left:
        one = left.pop()
        found.add(one)
        names = {tuple(each.full.split(".")) for each in imports(one, ast.parse(one.read_text()))}
        own = {one.parent / f"{name[len(folder_of(one))]}.py" for name in names if is_in(one, name)}
        left += own - found
    return found


def folder_of(path: Path) -> tuple[str, ...]:
    return ("kamaelia", *path.parent.relative_to(SOURCE).parts)


def is_in(path: Path, name: tuple[str, ...]) -> bool:
    folder = folder_of(path)
    return name[: len(folder)] == folder and (path.parent / f"{name[len(folder)]}.py").is_file()


@pytest.mark.parametrize(
    "machine", sorted(SOURCE.rglob("*machine.py")), ids=lambda path: path.relative_to(SOURCE).as_posix()
)
def test_machines_are_pure(machine: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{found.line}: {found.full}"
        for path in sorted(pure_part(machine))
        for found in imports(path, ast.parse(path.read_text()))
        for name in [tuple(found.full.split("."))]
        if (name[0] in IMPURE and (path.relative_to(SOURCE).as_posix(), name[0]) not in NO_SOCKET)
        or (name[0] == "kamaelia" and name[:3] not in PURE and not is_in(path, name))
    ]
    assert not found, f"what a machine imports does no I/O and knows no component: {found}"


# --- clocks and chance ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_time_and_chance_have_an_owner(path: Path) -> None:
    excepted = EXCEPTIONS.get(path.relative_to(SOURCE).as_posix(), set())
    uses = ambient_uses(path, path.read_text())
    found = [f"line {line}: {name}" for line, name in uses if name not in excepted]
    assert not found, f"{path.relative_to(ROOT)}: {', '.join(found)}; see kamaelia.axon.clock"


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("import time\nnow = time.monotonic", ["time.monotonic"]),
        ("import time as t\nt.sleep(1)", ["time.sleep"]),
        ("from time import perf_counter as tick", ["time.perf_counter"]),
        ("from random import *", ["random.*"]),
        ("import random\nrandom.Random(7).random()", []),
        ("from random import Random\nrandom = Random(7)\nrandom.random()", []),
        ("from datetime import datetime\ndatetime.now()", ["datetime.datetime.now"]),
        ("import datetime\ndatetime.datetime.now()", ["datetime.datetime.now"]),
        ("import os.path\nos.urandom(8)", ["os.urandom"]),
        ("from .clock import random\nrandom.random()", []),
        ('"""time.sleep(1)"""\nimport time\n# time.time()\n', []),
        ("async def f(time, loop):\n    return time.time() - loop.time()", []),
    ],
    ids=range(12),
)
def test_the_search_finds_clocks_however_they_are_spelt(text: str, uses: list[str]) -> None:
    path = SOURCE / "axon" / "example.py"
    assert [name for _, name in ambient_uses(path, textwrap.dedent(text))] == uses
