"""The tests' own tools: what says that a test was not run, and what runs the documentation's listings.

A mistake in these would not be noticed otherwise: it would only make other tests pass.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from .test_docs_listings import ListingError, Page, read_listings

pytestmark = [pytest.mark.once, pytest.mark.one_core]

ROOT = Path(__file__).resolve().parent.parent


# --- tests that are not run -----------------------------------------------------------------------


def run_pytest(
    folder: Path, test: str, *options: str, everything: bool = False
) -> tuple[int, str, dict[str, list[str]]]:
    """Run a test file beside our conftest; return the exit code, the output and what was not run."""
    for name in ("tests/conftest.py", "tools/debian-packages.txt", "pyproject.toml"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "tests" / "test_it.py").write_text("import pytest\n" + textwrap.dedent(test))
    report = folder / "report.json"
    environment = {
        **os.environ,
        "KAMAELIA_ALL": "1" if everything else "",
        "KAMAELIA_TEST_REPORT": str(report),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "-p", "pytest_timeout", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    not_run = json.loads(report.read_text())["not_run"] if report.exists() else {}
    return done.returncode, done.stdout + done.stderr, not_run


NEEDY = """
    @pytest.mark.one_core
    @pytest.mark.needs("module:no_such_module")
    def test_needy():
        raise AssertionError("ran all the same")

    def test_other():
        pass
"""
SKIPPED = """
    @pytest.mark.skipif(True, reason="Tuesdays")
    def test_skipped():
        pass

    def test_other():
        pass
"""
MODULE_SKIPPED = """
    pytest.importorskip("no_such_module")

    def test_skipped():
        pass
"""


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    code, output, not_run = run_pytest(tmp_path, NEEDY)
    assert code == 0, output
    assert "Not run" in output
    test = "tests/test_it.py::test_needy[compiled]"
    assert f"no module no_such_module: see the extras in pyproject.toml: {test}" in output
    assert list(not_run.values()) == [[test]]


@pytest.mark.parametrize("test", [NEEDY, SKIPPED, MODULE_SKIPPED], ids=["needs", "skipif", "importorskip"])
def test_what_is_not_run_fails_when_everything_must(tmp_path: Path, test: str) -> None:
    code, output, _ = run_pytest(tmp_path, test, everything=True)
    assert code not in (0, 5), output
    assert "KAMAELIA_ALL=1 makes that a failure" in output


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    test = """
        @pytest.mark.xfail(reason="known")
        def test_it():
            raise AssertionError
    """
    assert run_pytest(tmp_path, test, everything=True)[0] == 0


@pytest.mark.parametrize("need", ["program:no-such-program", "nonsense"])
def test_a_need_that_nothing_provides_is_an_error(tmp_path: Path, need: str) -> None:
    code, output, _ = run_pytest(tmp_path, f"@pytest.mark.needs({need!r})\ndef test_it(): pass\n")
    assert code == pytest.ExitCode.USAGE_ERROR, output
    assert need in output


def test_only_soak_runs_the_soak_tests(tmp_path: Path) -> None:
    code, output, _ = run_pytest(tmp_path, "@pytest.mark.soak\ndef test_it(): pass\n")
    assert code == pytest.ExitCode.NO_TESTS_COLLECTED, output


@pytest.mark.needs("module:uvloop")
def test_a_test_that_hangs_in_uvloop_ends_the_run(tmp_path: Path) -> None:
    test = """
        import uvloop

        def test_it():
            uvloop.new_event_loop().run_forever()
    """
    code, output, _ = run_pytest(tmp_path, test, "-o", "timeout=0.1", "-o", "faulthandler_timeout=0.5")
    assert code not in (0, 5), output
    assert "in test_it" in output


# --- listings -------------------------------------------------------------------------------------


def page_of(text: str) -> Page:
    return Page(list(read_listings("page.md", textwrap.dedent(text))))


def run_page(text: str) -> None:
    page = page_of(text)
    try:
        page.run_up_to(len(page.listings) - 1)
    finally:
        page.close()


GOOD = {
    "script": """
        ```python
        print("hello")
        ```
        """,
    "file, then console": """
        ```python title="greet/hello.py"
        print("hello", "there")
        ```

        Indented, as in a list:

        1. ```console
           $ python greet/hello.py
           hello ...
           $ echo one; echo two; echo three
           one
           ...
           three
           $ echo anything at all
           ```
        """,
    "file, then import": """
        ```python title="parts.py"
        answer = 42
        ```
        ```python
        import parts
        assert parts.answer == 42
        ```
        """,
    "continued": """
        ```console
        $ echo one \\
        > two
        one two
        ```
        """,
    "exit code": """
        ```console exit="3"
        $ true
        $ sh -c 'echo oh >&2; exit 3'
        oh
        ```
        """,
    "interpreter session": """
        ```pycon
        >>> 6 * 7
        42
        ```
        """,
    "shell": """
        ```bash
        test -n "$HOME"
        cd /
        ```
        """,
    "Ctrl-C": """
        ```python title="server.py"
        import time
        print("listening")
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("bye")
        ```
        ```console
        $ python server.py
        listening
        ^C
        ```
        """,
    "server in the background": """
        ```python title="server.py"
        import socket
        server = socket.create_server(("127.0.0.1", 0))
        print("listening on", server.getsockname()[1])
        open("port", "w").write(str(server.getsockname()[1]))
        while True:
            server.accept()[0].sendall(b"hello")
        ```
        ```python title="client.py"
        import socket
        print(socket.create_connection(("127.0.0.1", int(open("port").read()))).recv(9))
        ```
        ```console
        $ python server.py &
        listening on ...
        $ python client.py
        b'hello'
        ```
        """,
    "in a quotation": """
        > ```python
        > if True:
        >
        >     print("hello")
        > ```
        """,
    "not run, with a reason": """
        ```python no-run="needs a sound card"
        raise SystemExit(1)
        ```
        """,
    "a listing of listings": """
        ````markdown
        ```python
        raise SystemExit(1)
        ```
        ````
        ```python
        ```
        """,
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_good_listings(text: str) -> None:
    run_page(text)


BAD = {
    "script fails": ("```python\nraise SystemExit(4)\n```", "exit code 4, not 0"),
    "other output": ("```console\n$ echo one\ntwo\n```", "it printed:\n    one"),
    "more output": ("```console\n$ echo one; echo two\none\n```", "it printed:\n    one\n    two"),
    "command fails": ("```console\n$ false\n```", r"\$ false\nexit code 1"),
    "not the last exit code": ('```console exit="1"\n$ false\n$ false\n```', "exit code 1, not 0"),
    "no prompt": ("```console\nls\n```", "begins with"),
    "wrong session": ("```pycon\n>>> 1\n2\n```", "exit code 1"),
    "shell": ("```sh\nfalse\ntrue\n```", "exit code 1"),
    "too slow": ('```console timeout="0.2"\n$ sleep 60 | cat\n```', "had not ended after 0.2 s"),
    "server never ready": ('```console timeout="0.2"\n$ sleep 60 &\nready\n```', "not within 0.2 s"),
    "server ends": ("```console\n$ echo other &\nready\n```", "it has ended"),
    "server fails later": (
        "```console\n$ sh -c 'sleep 0.1; exit 7' &\n$ sleep 0.5\n```",
        "ended with exit code 7",
    ),
    "file not used": ('```python title="a.py"\npass\n```', "no later listing uses a.py"),
    "file replaced": (
        '```python title="a.py"\npass\n```\n```python title="a.py"\npass\n```\n```sh\npython a.py\n```',
        "no later listing uses a.py",
    ),
    "no reason": ('```python no-run=""\n```', "no-run needs a reason"),
    "misspelt": ('```python norun="because"\n```', "unknown attributes: norun"),
    "not closed": ("```python\npass\n", "never closed"),
    "outside": ('```python title="../a.py"\npass\n```\n```sh\npython a.py\n```', "not within"),
    "after a failure": ("```sh\nfalse\n```\n```sh\ntrue\n```", "not tried, because page.md:1 failed"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_bad_listings(text: str, message: str) -> None:
    with pytest.raises(ListingError, match=message):
        run_page(text)


def test_nothing_is_left_running() -> None:
    started = time.monotonic()
    page = page_of(
        """
        ```console
        $ sh -c 'trap "" TERM; sleep 300 & echo $!; wait' &
        ...
        $ sleep 0.2
        ```
        """
    )
    page.run_up_to(0)
    child = int(page.background[0][2].output())
    page.close()
    time.sleep(0.1)
    status = Path(f"/proc/{child}/status")
    assert not status.exists() or "Z (zombie)" in status.read_text()
    assert time.monotonic() - started < 20
