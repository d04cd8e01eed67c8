"""What is shipped of other people's scripts is what the table says, and the package has all of it."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kamaelia.studio.server import STATIC

pytestmark = [pytest.mark.once, pytest.mark.one_core]

ROOT = Path(__file__).resolve().parents[2]


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("vendor", ROOT / "tools" / "vendor.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_shipped_file_is_what_the_table_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool().main(["--check"]) == 0, capsys.readouterr().out


def test_a_file_that_was_changed_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = tool()
    monkeypatch.setattr(vendor, "ROOT", tmp_path)
    (tmp_path / "a.js").write_text("changed")
    (tmp_path / "extra.js").write_text("nobody knows it")
    files = [{"from": "a", "to": "a.js", "sha256": vendor.digest(b"right")},
             {"from": "b", "to": "b.js", "sha256": "0"}]  # fmt: skip
    assert vendor.check([{"name": "x", "folder": ".", "files": files}]) == [
        "a.js is not what vendor.toml says: run `make vendor`",
        "b.js is missing: run `make vendor`",
        "extra.js is not in vendor.toml",
    ]


def test_every_package_has_a_licence_that_is_shipped_with_it() -> None:
    table = tomllib.loads((STATIC / "vendor" / "vendor.toml").read_text())
    for package in table["package"]:
        assert package["licence"] and package["version"] and len(package["sha256"]) == 64
        assert any("LICENSE" in file["to"] for file in package["files"])


def test_the_page_asks_only_for_files_that_are_there() -> None:
    import re

    page = (STATIC / "index.html").read_text()
    for name in re.findall(r'(?:src|href)="([^"#]+)"', page):
        assert (STATIC / name).is_file(), name
    for module in STATIC.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', module.read_text()):
            assert (STATIC / name).is_file(), f"{module.name} imports {name}"
        text = module.read_text()
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "new Function",
            "document.write",
        ):
            assert forbidden not in text, f"{module.name}: {forbidden}"


def test_the_wheel_has_the_page() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "kamaelia"
    ]
    for path in STATIC.rglob("*"):
        if path.is_file():
            name = path.relative_to(STATIC.parent.parent)
            assert any(name.match(pattern) for pattern in data), name
