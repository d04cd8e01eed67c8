"""The forms of the core: which is used, what they have in common, and where their things meet."""

from __future__ import annotations

import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kamaelia
from kamaelia import Inbox, Outbox, run
from kamaelia.axon import Link, LinkError, UsageError, core, postman
from kamaelia.axon import compiled as compiled_form

from .parts import collect, copy, source, virtually

pytestmark = pytest.mark.one_core


def test_the_compiled_form_is_compiled() -> None:
    assert core.form == "compiled" and core.why_not_compiled is None
    spec = importlib.util.find_spec("kamaelia.axon._core")
    assert spec is not None and str(spec.origin).endswith(".so")
    assert core.Scheduler is compiled_form.CompiledScheduler


def test_a_form_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ImportError, match="there is no quantum core here"):
        core.use("quantum")


@pytest.mark.parametrize("kind", ["Inbox", "Outbox", "Process", "Scheduler", "Route"])
def test_both_forms_can_be_asked_the_same(kind: str) -> None:
    """Whatever is public of a plain one is there of a compiled one."""
    core.use("plain")
    plain = getattr(core, kind)
    core.use("compiled")
    compiled = getattr(core, kind)
    names = {name for name in dir(plain) if not name.startswith("_")}
    own = {"turns_given", "ready", "waits", "epoch", "turns", "suspended_task", "step", "count_shared"}
    assert names - own <= set(dir(compiled)) | set(inspect.get_annotations(compiled)), names - set(
        dir(compiled)
    )


def test_boxes_of_both_forms_are_boxes() -> None:
    for form in ("plain", "compiled"):
        core.use(form)
        part = copy()
        assert isinstance(part.inbox, Inbox) and isinstance(part.outbox, Outbox)
        assert repr(part.inbox) == "<Inbox copy.inbox>" and repr(part.outbox) == "<Outbox copy.outbox>"
        with pytest.raises(TypeError, match="Inbox is final"):
            type("Mine", (type(part.inbox),), {})


def test_declarations_meet_both_forms() -> None:
    """A class is declared once, and makes components of either form."""
    for form in ("plain", "compiled", "plain"):
        core.use(form)
        assert virtually(source([1, 2]) | copy() | collect()) == [1, 2]


@pytest.mark.parametrize(("one", "other"), [("plain", "compiled"), ("compiled", "plain")])
def test_components_of_different_forms_are_not_joined(one: str, other: str) -> None:
    core.use(one)
    first = source([1])
    core.use(other)
    second = collect()
    with pytest.raises(
        UsageError, match=r"were made by different forms of the core, and cannot run together"
    ):
        first | second
    with pytest.raises(
        LinkError, match=r"source.outbox .* cannot be linked to collect.inbox .*different forms"
    ):
        postman.make(Link(first.outbox, second.inbox))
    with pytest.raises(UsageError, match=r"source and the system were made by different forms"):
        run(first)


def test_messages_cross_between_systems_of_different_forms() -> None:
    """Handles, results and messages belong to no form."""
    core.use("plain")
    made = virtually(source([copy().inbox]) | collect())
    core.use("compiled")
    (box,) = virtually(source(made) | collect())
    assert box is made[0] and str(box) == "copy.inbox"


def run_without(tmp_path: Path, extension: str | None, **variables: str) -> str:
    """Return why the core is not compiled in a copy of Kamaelia that has this instead of its extension."""
    folder = Path(kamaelia.__file__).parent
    shutil.copytree(
        folder, tmp_path / "kamaelia", ignore=shutil.ignore_patterns("*.so", "__pycache__", "studio")
    )
    if extension is not None:
        (tmp_path / "kamaelia" / "axon" / "_core.py").write_text(extension)
    program = "from kamaelia.axon import core; print(core.form, core.why_not_compiled)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), **variables}
    environment.pop("KAMAELIA_PURE", None)
    environment.update(variables)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_where_it_has_not_been_built_the_plain_one_runs_and_says_why(tmp_path):
    assert run_without(tmp_path, None) == (
        "plain it has not been built: that needs a C compiler and Python's headers (on Debian gcc and "
        "python3-dev) when Kamaelia is installed"
    )


@pytest.mark.parametrize(
    "stale", ["Queue = Inbox = Outbox = object\n", "raise ImportError('undefined symbol: x')\n"]
)
def test_where_it_was_built_of_other_sources_the_plain_one_runs_and_says_so(tmp_path, stale):
    told = run_without(tmp_path, stale)
    assert told.startswith("plain it cannot be loaded, so install Kamaelia again: ")


@pytest.mark.parametrize(
    ("value", "told"), [("1", "KAMAELIA_PURE=1 is set"), ("yes", "KAMAELIA_PURE=yes is set")]
)
def test_whoever_wants_the_plain_one_gets_it(tmp_path, value, told):
    assert run_without(tmp_path, None, KAMAELIA_PURE=value) == f"plain {told}"


def test_an_empty_wish_for_the_plain_one_is_none(tmp_path):
    assert "has not been built" in run_without(tmp_path, None, KAMAELIA_PURE="")
    shutil.rmtree(tmp_path / "kamaelia")
    assert "has not been built" in run_without(tmp_path, None, KAMAELIA_PURE="0")
