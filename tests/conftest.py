"""What a test may need, and how we stay honest about the tests that could not run.

A test that needs more than Python says so, and is skipped where it is missing:

    @pytest.mark.needs("program:nc", "module:uvloop", "right:namespaces")

Whatever was not run, for this reason or another, is listed at the end together with what would provide
it. With KAMAELIA_ALL=1, as in CI, it is a failure: there is no way for a test to go missing quietly.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import json
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from kamaelia.axon import core
from kamaelia.testbed import emulation

# In CI the same examples each time: what landed cannot fail there by chance. `make soak` and people explore.
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

ROOT = Path(__file__).resolve().parent.parent
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# Why tests were not run -> which tests.
NOT_RUN = pytest.StashKey[defaultdict[str, list[str]]]()


def everything_must_run() -> bool:
    return os.environ.get("KAMAELIA_ALL") == "1"


# --- what tests need ------------------------------------------------------------------------------


def debian_package_of(program: str) -> str:
    """Return the package that provides a program; one that test-deps does not install is an error."""
    listing = (ROOT / "tools" / "debian-packages.txt").read_text()
    for line in listing.splitlines():
        package, *programs = line.partition("#")[0].split() or [""]
        if program in programs:
            return package
    raise pytest.UsageError(
        f"needs('program:{program}'): no line of tools/debian-packages.txt names this program"
    )


def missing(need: str) -> str | None:
    """Return what is missing and what would provide it, or None when the need is met."""
    kind, _, name = need.partition(":")
    if kind == "program":
        package = debian_package_of(name)  # asked for even if it is there: another machine may lack it
        return None if shutil.which(name) else f"no program {name}: `make test-deps` installs {package}"
    if kind == "module":
        return (
            None if importlib.util.find_spec(name) else f"no module {name}: see the extras in pyproject.toml"
        )
    if need == "right:namespaces":
        return None if may_make_namespaces() else "no right to make network namespaces: run this as root"
    if need == "right:emulation":
        lacking = emulation.missing()
        return f"no emulation: {lacking[0]}" if lacking else None
    raise pytest.UsageError(
        f"needs({need!r}): say 'program:NAME', 'module:NAME', 'right:namespaces' or 'right:emulation'"
    )


@functools.cache
def may_make_namespaces() -> bool:
    """Say whether tests may make network namespaces, and the devices between them."""
    name = f"kamaelia-{os.getpid()}"
    add = f"ip netns add {name} && ip -n {name} link add va type veth peer name vb"
    done = subprocess.run(
        ["sh", "-c", f"{add}; code=$?; ip netns del {name}; exit $code"], capture_output=True
    )
    return done.returncode == 0


def needs_of(item: pytest.Item) -> list[str]:
    return [need for mark in item.iter_markers("needs") for need in mark.args]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--short-pass",
        action="store_true",
        help="leave out what need not be run on a second version of Python",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for need in needs_of(item):
            missing(need)  # a misspelt need must not wait until that test's turn comes

    short = config.getoption("short_pass")
    others = [item for item in items if not is_for_its_core(item) or (short and is_left_out(item))]
    if others:
        config.hook.pytest_deselected(items=others)
        left_out = set(others)
        items[:] = [item for item in items if item not in left_out]

    for mark in ("soak", "studio"):  # each has a target of its own
        if mark not in config.getoption("markexpr"):
            long = [item for item in items if item.get_closest_marker(mark)]
            if long:
                config.hook.pytest_deselected(items=long)
                items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="module", autouse=True)
def little_to_search() -> None:
    """Spare the garbage collector what is there to stay, such as all tests, and pytest's reports of earlier
    ones: thousands of tests let it search for what they themselves have left."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    lacking = [reason for need in needs_of(item) if (reason := missing(need))]
    if lacking:
        pytest.skip("; ".join(lacking))


# --- both forms of the core -----------------------------------------------------------------------


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def core_form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The form of the core that a test runs on, in programs that it starts as well."""
    before = core.form
    if request.param == "compiled" and core.why_not_compiled is not None:
        pytest.skip(f"no compiled core ({core.why_not_compiled}): `kamaelia doctor` says what would help")
    core.use(request.param)
    monkeypatch.setenv("KAMAELIA_PURE", "1" if request.param == "plain" else "0")
    yield request.param
    core.use(before)


def is_for_its_core(item: pytest.Item) -> bool:
    """Say whether a test is to run on the form of the core that it was made for: on both, unless it is marked
    ``@pytest.mark.one_core("plain")``, or without a form where the core has nothing to do with it."""
    mark = item.get_closest_marker("one_core")
    if mark is None or not isinstance(item, pytest.Function):
        return True
    return item.callspec.params["core_form"] in (mark.args or ["compiled"])


FRAMEWORK = {"axon", "chassis", "flow", "testing", "test_contract_suite.py"}
"""What in ``tests`` is about the core, or close to it."""


def is_left_out(item: pytest.Item) -> bool:
    """Say whether a test need not be run on a second version of Python: it takes long, or has nothing to do
    with the interpreter; or it is about what stands on the core, and is run on the other form of that."""
    if any(item.get_closest_marker(mark) for mark in ("slow", "once", "soak")):
        return True
    mark = item.get_closest_marker("one_core")
    if mark is not None or not isinstance(item, pytest.Function):
        return False
    about = item.path.relative_to(ROOT / "tests").parts[0] if ROOT / "tests" in item.path.parents else ""
    return item.callspec.params["core_form"] == "plain" and about not in FRAMEWORK


# --- what was not run -----------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    nothing_yet: defaultdict[str, list[str]] = defaultdict(list)
    config.stash[NOT_RUN] = nothing_yet


def note(report: Report, config: pytest.Config) -> Report:
    """Keep why something was skipped and, when everything must run, make a failure of it."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return report
    # pytest gives the reason as (file, line, text)
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    config.stash[NOT_RUN][reason].append(report.nodeid)
    if everything_must_run():
        report.outcome = "failed"
        report.longrepr = f"not run, and KAMAELIA_ALL=1 makes that a failure: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return note((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return note((yield), collector.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    not_run = config.stash[NOT_RUN]
    if not_run:
        terminalreporter.section("Not run")
        for reason, tests in not_run.items():
            terminalreporter.line(f"{reason}: {', '.join(tests)}")

    # tools/test.py runs us on several Pythons and sums up at the end: it asks for the facts in a file.
    path = os.environ.get("KAMAELIA_TEST_REPORT")
    if path:
        counts = {kind: len(reports) for kind, reports in terminalreporter.stats.items() if kind}
        Path(path).write_text(json.dumps({"counts": counts, "not_run": not_run}))
