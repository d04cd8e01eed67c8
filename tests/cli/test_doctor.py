"""``kamaelia doctor``."""

from __future__ import annotations

import builtins
import json
import os
import platform
import subprocess
import sys

import pytest

import kamaelia
from kamaelia.cli import doctor, main


def test_it_says_what_is_here(capsys, core_form):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"kamaelia      {kamaelia.__version__}"
    assert lines[1].startswith(
        f"python        {platform.python_implementation()} {platform.python_version()} on "
    )
    assert (
        lines[2]
        == {
            "compiled": "core          compiled (it has been built, and works on this interpreter)",
            "plain": "core          plain Python (asked for by a test)",
        }[core_form]
    )
    assert lines[-1] == "trial         a small system ran well"


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"KAMAELIA_PURE": "1"}, "not the compiled one: KAMAELIA_PURE=1 is set"),
        (
            {"KAMAELIA_PURE": "0", "PYTHONPATH": "HIDDEN"},
            "not the compiled one: it has not been built: that needs a C compiler and Python's headers "
            "(on Debian gcc and python3-dev) when Kamaelia is installed",
        ),
    ],
    ids=["asked for", "not built"],
)
@pytest.mark.one_core
def test_it_says_why_the_core_is_not_compiled(tmp_path, environment, why):
    # Not built: as far as this program sees.
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['kamaelia.axon._core'] = None")
    variables = {**os.environ, **environment}
    if variables.get("PYTHONPATH") == "HIDDEN":
        variables["PYTHONPATH"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "kamaelia", "doctor", "--json"], capture_output=True, env=variables, text=True
    )
    assert json.loads(done.stdout)["core"] == {"name": "plain Python", "why": why}
    assert done.returncode == 0


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
