"""Functions that travel: by name, by file, as code; and the code that results depend on."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.experiments import identity
from kamaelia.testbed.experiments.identity import revision, sources, versions
from kamaelia.testbed.experiments.reference import FunctionReference

from .scenarios import coin

pytestmark = pytest.mark.one_core
ROOT = Path(__file__).resolve().parents[3]


def there(function: Any) -> Any:
    """Return a function as another process gets it."""
    return pickle.loads(pickle.dumps(FunctionReference.of(function))).resolve()


def test_in_this_process_it_is_the_function_itself() -> None:
    def local() -> int:
        return 7

    assert FunctionReference.of(local).resolve() is local
    assert there(coin) is coin


def test_a_lambda_goes_as_its_code_with_what_is_around_it() -> None:
    around = 40

    def make(default: int = 1, *, keyword: int = 1) -> Any:
        return lambda number, more=default: around + number + more + keyword + len(coin.__name__) - 4

    assert there(make())(0) == 42
    assert there(lambda trace: coin.__name__)(None) == "coin"  # found in its module there


@pytest.mark.parametrize("thing", [7, None, object(), [].append])
def test_what_is_no_function_of_a_module_is_refused(thing: Any) -> None:
    with pytest.raises(UsageError, match=r"give a function|cannot be found"):
        FunctionReference.of(thing)


def resolve_elsewhere(reference: FunctionReference, folder: Path) -> str:
    program = (
        "import pickle, sys; function = pickle.load(sys.stdin.buffer).resolve(); "
        "print(function(), function.__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps(reference),
        capture_output=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        timeout=50,
    )
    return (done.stdout + done.stderr).decode()


def test_another_process_loads_the_module_or_the_file(tmp_path: Path) -> None:
    package = tmp_path / "package_of_this"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("VALUE = 42\n")
    (package / "star.py").write_text("from .helper import VALUE\ndef stream():\n    return VALUE\n")
    file, folder = str(package / "star.py"), str(tmp_path)
    by_name = FunctionReference("package_of_this.star", file, folder, "stream")
    assert resolve_elsewhere(by_name, ROOT) == "42 package_of_this.star\n"
    (tmp_path / "chat-1.py").write_text("def stream():\n    return 7\n")
    by_file = FunctionReference("__main__", str(tmp_path / "chat-1.py"), folder, "stream")
    assert resolve_elsewhere(by_file, ROOT) == "7 kamaelia_experiment_chat-1\n"
    gone = FunctionReference("__main__", str(tmp_path / "gone.py"), folder, "stream")
    assert "gone.py cannot be loaded: there is no such file" in resolve_elsewhere(gone, ROOT)
    other = FunctionReference("__main__", str(tmp_path / "chat-1.py"), folder, "strem")
    assert "there is no strem in" in resolve_elsewhere(other, ROOT)


def test_it_is_written_as_kamaelia_simulate_reads_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "package" / "star.py"
    reference = FunctionReference("package.star", str(file), str(tmp_path), "stream")
    monkeypatch.chdir(tmp_path)
    assert str(reference) == "package.star:stream"
    (tmp_path / "package").mkdir()
    monkeypatch.chdir(tmp_path / "package")
    assert str(reference) == "star.py:stream"
    monkeypatch.chdir(ROOT)
    assert str(reference) == f"{file}:stream"
    script = FunctionReference("__main__", str(file), str(tmp_path), "stream")
    monkeypatch.chdir(tmp_path)
    assert str(script) == "package/star.py:stream"


# -- what results depend on -------------------------------------------------------------------------------


def test_the_code_is_ones_own_and_what_that_imports() -> None:
    found = sources(FunctionReference.of(coin))
    assert list(found) == ["scenarios.py"]  # Kamaelia and the standard library have versions
    assert "def coin(" in found["scenarios.py"]
    assert "scenarios.py" in sources(FunctionReference.of(there))  # `from .scenarios import coin`
    assert sources(FunctionReference.of(os.path.join)) == {}


def test_versions_are_of_what_the_code_imports() -> None:
    found = versions(
        {"star.py": "import pytest\nimport os.path\nfrom kamaelia import run\nimport no_such_thing"}
    )
    assert list(found) == ["kamaelia", "kamaelia sources", "python", "pytest"]
    assert found["pytest"] == pytest.__version__
    assert list(versions({"broken.py": "def"})) == ["kamaelia", "kamaelia sources", "python"]


def test_the_revision_is_that_of_git_with_a_mark_for_changes(tmp_path: Path) -> None:
    file = tmp_path / "star.py"
    file.write_text("one\n")
    assert revision(str(file)) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "star.py"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert revision(str(file)) == head[:12]
    file.write_text("two\n")
    assert revision(str(file)) == f"{head[:12]}+"
    assert revision(None) is None


def test_without_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision(identity.__file__) is None
