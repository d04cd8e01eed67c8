"""The command itself: its verbs, its help, its exit codes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kamaelia import __version__, cli
from kamaelia.cli import VERBS, main

from .programs import kamaelia, start


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


PRINTING = [
    ["--help"],
    ["--version"],
    ["doctor", "--json"],
    ["list"],
    ["describe", "Take", "--svg"],
    ["run", "--help"],
    ["run", "Collect"],
    ["run", "--json", "Collect"],
]


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.one_core
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_what_cannot_be_printed_is_a_line_at_most_and_a_failure(words, buffered, monkeypatch):
    # What is in the buffer of standard output is lost only when Python exits, unless somebody looks before.
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full", "w") as full, open(writing, "w") as pipe:
        starting = [start(*words, stdout=stdout, env=environment) for stdout in (full, pipe)]
        closed = start(*words, stdout=None, env=environment, preexec_fn=lambda: os.close(1))
    ended = [(program.communicate(timeout=30)[1], program.returncode) for program in (*starting, closed)]
    assert ended == [
        ("kamaelia: cannot print: [Errno 28] No space left on device\n", 1),
        ("", 1),
        ("kamaelia: cannot print: there is no standard output\n", 1),
    ]


@pytest.mark.slow
@pytest.mark.once
def test_where_nothing_is_to_be_printed_no_standard_output_is_needed():
    done = kamaelia("run", "Source([1])", stdout=None, preexec_fn=lambda: os.close(1))
    assert done.code == 0
    done = kamaelia("run", "--no-such", stderr=None, preexec_fn=lambda: os.close(2))
    assert (done.out, done.code) == ("", 2)
    # print() would have it on standard output.
    done = kamaelia("nonesuch", stderr=None, preexec_fn=lambda: os.close(2))
    assert (done.out, done.code) == ("", 2)


def test_what_an_encoding_does_not_have_is_shown_as_the_prompt_shows_it(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["run", "Source(['\xfc', '\u20ac']) | Collect()"]) == 0
    assert stream.buffer.getvalue() == rb"['\xfc', '\u20ac']" + b"\n"


def test_a_standard_output_that_is_closed_on_purpose_is_no_failure(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["run", "Source([1]) | Map(lambda one: sys.stdout.close()) | Filter(bool)"]) == 0


def test_ctrl_c_before_anything_runs_is_quiet(monkeypatch, capsys):
    def press(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", press)
    assert main(["run", "Collect"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("code", "ends"), [(3, 3), (None, 0), ("enough", 1), ([1], 1)])
def test_a_file_that_exits(code, ends, tmp_path, capsys):
    file = tmp_path / "exits.py"
    file.write_text(f"raise SystemExit({code!r})")
    assert main(["run", str(file)]) == ends


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
    assert done.stdout == "[]\n['kamaelia.axon', 'kamaelia.catalogue', 'kamaelia.cli', 'kamaelia.flow']\n"


@pytest.mark.slow
@pytest.mark.once
def test_a_listing_that_nobody_reads_to_its_end_is_no_trouble():
    done = subprocess.run(
        f'"{sys.executable}" -m kamaelia list | head -n 1', shell=True, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("flow: Everyday parts, to put between others.\n", "")


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
