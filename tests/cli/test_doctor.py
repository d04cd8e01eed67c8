"""``kamaelia doctor``."""

from __future__ import annotations

import builtins
import json
import platform

import kamaelia
from kamaelia.cli import doctor, main


def test_it_says_what_is_here(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"kamaelia      {kamaelia.__version__}"
    assert lines[1].startswith(
        f"python        {platform.python_implementation()} {platform.python_version()} on "
    )
    assert lines[2].startswith("core          plain Python")
    assert lines[-1] == "trial         a small system ran well"


def test_json_says_the_same(capsys):
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kamaelia"] == kamaelia.__version__
    assert found["trial"] == {"ok": True, "error": None}
    assert {extra["name"] for extra in found["extras"]} >= {"net", "test"}


def test_a_missing_extra_is_named_with_what_installs_it(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "version_of", lambda package: None)
    assert main(["doctor"]) == 0
    assert "extra net     missing uvloop: pip install 'kamaelia[net]'" in capsys.readouterr().out


def test_without_uvloop_it_says_why(monkeypatch):
    importing = builtins.__import__

    def lacking(name, *args, **options):
        if name == "uvloop":
            raise ImportError(name)
        return importing(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", lacking)
    assert doctor.loop() == {"name": "asyncio", "why": "uvloop is not installed: pip install 'kamaelia[net]'"}


def test_a_system_that_does_not_run_is_a_failure(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "trial", lambda: {"ok": False, "error": "RuntimeError: no"})
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.endswith("trial         failed: RuntimeError: no\n")
