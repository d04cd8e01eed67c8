"""Run each file of examples/ as a reader would, and compare what it prints with what was kept beside it.

`KAMAELIA_KEEP=1 pytest tests/test_examples.py` keeps what they print now; read the difference
before you commit it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
SERVERS = {"dashboard", "load_balancer", "static_site", "web_chat"}  # see test_server_examples.py
LIMIT = 30.0  # seconds for one of them

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


@pytest.mark.parametrize(
    "example", [path for path in EXAMPLES if path.stem not in SERVERS], ids=lambda path: path.stem
)
def test_an_example_prints_what_was_kept(example: Path, tmp_path: Path) -> None:
    printed = printed_by(example, tmp_path)
    assert list(tmp_path.iterdir()) == []  # where the reader stands, nothing is left behind
    check_kept(example, printed)


def check_kept(example: Path, printed: str) -> None:
    """Compare what an example prints with what was kept beside it; or keep it."""
    kept = example.with_suffix(".txt")
    if os.environ.get("KAMAELIA_KEEP") == "1":
        kept.write_text(printed, encoding="utf-8")
    assert printed == kept.read_text(encoding="utf-8")


@pytest.mark.one_core()
def test_words_reads_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "song").write_text("la la lu\nla\n")
    assert printed_by(FOLDER / "words.py", tmp_path, "song").split() == ["3", "la", "1", "lu"]


@pytest.mark.one_core()
def test_checksums_are_of_the_folder_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(b"hello")
    line = f"{hashlib.sha256(b'hello').hexdigest()}  a file\n"
    assert printed_by(FOLDER / "checksums.py", tmp_path, ".") == line + "a file: OK\n"
    assert (tmp_path / "SHA256SUMS").read_text() == line


def printed_by(example: Path, folder: Path, *arguments: str) -> str:
    """Return what an example prints when it is run in a folder."""
    done = subprocess.run(
        [sys.executable, example, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment in which an example runs: with our source, whatever is installed."""
    path = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path, "PYTHONUTF8": "1"}


@pytest.mark.one_core()
def test_every_example_has_kept_output_and_a_line_in_the_table() -> None:
    names = [example.stem for example in EXAMPLES]
    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert names == sorted(kept.stem for kept in FOLDER.glob("*.txt"))
    assert names == sorted(re.findall(r"^\| \[`(\w+)\.py`\]\(\1\.py\) \|", table, re.MULTILINE))


@pytest.mark.one_core()
@every_example
def test_an_example_says_what_to_type(example: Path) -> None:
    docstring = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or ""
    assert f"Type ``python examples/{example.name}" in docstring


@pytest.mark.one_core()
@every_example
def test_an_example_uses_only_public_names(example: Path) -> None:
    tree = ast.parse(example.read_text(encoding="utf-8"))
    private = [
        f"{module}.{name}"
        for module, name in names_of_kamaelia(tree)
        if name not in importlib.import_module(module).__all__
    ]
    attributes = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    private += [name for name in attributes if name.startswith("_") and not name.startswith("__")]
    assert private == []


def names_of_kamaelia(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each name that is imported, after the room that it comes from; what is deeper is not public."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not any(alias.name.partition(".")[0] == "kamaelia" for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "kamaelia":
            is_room = hasattr(importlib.import_module(node.module), "__path__")
            assert is_room or node.module.count(".") <= 1, f"line {node.lineno}: {node.module} is no room"
            yield from ((node.module, alias.name) for alias in node.names)
