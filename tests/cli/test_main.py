"""The command itself: its verbs, its help, its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kamaelia import __version__
from kamaelia.cli import VERBS, main

from .programs import kamaelia


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kamaelia {__version__}\n"


def test_without_words_it_shows_its_verbs_and_says_that_one_is_missing(capsys):
    assert main([]) == 2
    assert "  run        run Python files" in capsys.readouterr().out
    assert main(["--help"]) == 0


def test_a_wrong_verb_is_answered_with_those_that_are_like_it(capsys):
    assert main(["doctr"]) == 2
    assert capsys.readouterr().err == (
        "kamaelia: there is no verb 'doctr'; did you mean 'doctor'?\nTry: kamaelia --help\n"
    )


@pytest.mark.parametrize("verb", [*VERBS, "present"])
def test_every_verb_has_help_with_an_example_in_it(verb, capsys):
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "\nexample" in shown
    assert f"  kamaelia {verb}" in shown
    assert "exit codes" in shown


@pytest.mark.parametrize("verb", [*VERBS, "present"])
def test_a_wrong_option_is_a_wrong_command_line(verb, capsys):
    assert main([verb, "--no-such-option", "Collect()"]) == 2
    assert "--no-such-option" in capsys.readouterr().err


@pytest.mark.slow
def test_as_a_module_and_as_a_command():
    assert kamaelia("--version").out == f"kamaelia {__version__}\n"


@pytest.mark.slow
@pytest.mark.once
def test_a_verb_imports_no_room_that_it_does_not_need():
    program = (
        "import sys; from kamaelia.cli import main; "
        "main(['run', 'Source([]) | Collect()']); "
        "print(sorted(name for name in sys.modules if name.startswith('kamaelia.') and name.count('.') == 1))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n['kamaelia.axon', 'kamaelia.cli', 'kamaelia.flow']\n"


@pytest.mark.slow
@pytest.mark.once
def test_a_one_liner_is_done_within_a_fifth_of_a_second():
    # Of the processor's time, which does not depend on who else uses this machine. It waits for nothing.
    def quickest(*words):
        times = []
        for _ in range(7):
            before = os.times()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            after = os.times()
            times.append(sum(after[2:4]) - sum(before[2:4]))
        return min(times)

    expression = "Source('abc') | Map(str.upper) | Collect()"
    assert quickest("-m", "kamaelia", "run", expression) - quickest("-c", "pass") < 0.2


def test_the_pages_say_how_to_get_the_command_before_they_use_it():
    root = Path(__file__).resolve().parents[2]
    for name in ("README.md", "docs/tutorial/01-first-system.md"):
        text = (root / name).read_text()
        activating = text.find(". .venv/bin/activate")
        assert 0 < text.find("make demo") < activating < text.find("```console"), name


@pytest.mark.slow
@pytest.mark.once
def test_what_the_pages_say_gives_the_command():
    activate = Path(sys.executable).with_name("activate")
    if not activate.exists():
        pytest.skip("these tests do not run in a virtual environment")
    shell = f'PATH=/usr/bin:/bin; . "{activate}"; cd /; kamaelia --version'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"kamaelia {__version__}\n", "")
