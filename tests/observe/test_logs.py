from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kamaelia import component, run
from kamaelia.flow import Map, Source
from kamaelia.observe import ComponentFilter, LineFormatter, log_lines

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ([A-Z]+) (\S+) (.*)")

log = logging.getLogger("tests.observe.logs")


class Kept(logging.Handler):
    """Keeps records, with the component that each came from."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(ComponentFilter())
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def components(self) -> list[str]:
        return [record.component for record in self.records]  # type: ignore[attr-defined]


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


@contextlib.contextmanager
def bare() -> Iterator[None]:
    """Have logging as it is in a program that has set nothing up; pytest does so for each test."""
    root = logging.getLogger()
    handlers, level, last = root.handlers[:], root.level, logging.lastResort
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.lastResort = last


def record_of(message: str, **more: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "WARNING", "created": 0.25, **more})


def test_a_record_has_the_component_whose_code_has_logged_it(kept: Kept) -> None:
    @component
    async def coroutine(inbox: Any, outbox: Any) -> None:
        async for message in inbox:
            log.warning("coroutine")
            await outbox.send(message)

    @component
    def generator(inbox: Any, outbox: Any) -> Any:
        while True:
            message = yield inbox.receive()
            log.warning("generator")
            yield outbox.send(message)

    @component
    def script(inbox: Any, outbox: Any) -> None:
        for _ in inbox:
            log.warning("script")

    run(Source([1]) | coroutine() | generator() | script())
    assert kept.components == ["Pipeline/coroutine", "Pipeline/generator", "Pipeline/script"]


def test_so_has_one_from_a_task_or_thread_that_it_has_started(kept: Kept) -> None:
    async def task() -> None:
        log.warning("task")

    @component
    async def starter(inbox: Any, outbox: Any) -> None:
        await asyncio.create_task(task())
        await asyncio.to_thread(log.warning, "thread")

    run(Source([1]) | starter())
    assert kept.components == ["Pipeline/starter"] * 2


def test_outside_of_all_components_it_is_empty(kept: Kept) -> None:
    log.warning("outside")
    assert kept.components == [""]


def test_a_component_that_a_record_has_already_stays(kept: Kept) -> None:
    log.warning("elsewhere", extra={"component": "Worker/Map"})
    assert kept.components == ["Worker/Map"]


@pytest.mark.one_core
def test_a_line_has_time_level_component_and_text() -> None:
    line = LineFormatter().format(record_of("hot", component="a/b"))
    found = LINE.fullmatch(line)
    assert found is not None
    assert found.groups() == ("WARNING", "a/b", "hot")


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("two\nlines", "two\\nlines"),
        ("red \x1b[31m", "red \\x1b[31m"),
        ("a/b: is slow", "is slow"),
        ("a/b failed", "failed"),
        ("a/bc failed", "a/bc failed"),
        ("caf\xe9", "caf\xe9"),
        ("", ""),
    ],
)
def test_a_text_stays_on_its_line_and_does_not_name_its_component_twice(message: str, text: str) -> None:
    line = LineFormatter().format(record_of(message, component="a/b"))
    assert line.partition(" WARNING a/b ")[2] == text


@pytest.mark.one_core
def test_an_exception_is_on_the_line_and_all_of_it_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        raise ValueError("no\nmore")
    except ValueError as error:
        record = record_of("oh", exc_info=(ValueError, error, error.__traceback__), component="")
    line = LineFormatter().format(record)
    assert line.partition(" WARNING - ")[2].startswith("oh (ValueError: no more (test_logs.py:")
    assert "\n" not in line
    monkeypatch.setenv("KAMAELIA_TRACEBACK", "full")
    first, second, *_ = LineFormatter().format(record).splitlines()
    assert first.endswith(" WARNING - oh")
    assert second == "Traceback (most recent call last):"


@pytest.mark.one_core
def test_an_exception_of_another_process_is_told_by_its_last_line() -> None:
    record = record_of("oh", exc_text="Traceback ...\n  File\nValueError: no", component="Worker/Map")
    assert LineFormatter().format(record).endswith(" WARNING Worker/Map oh (ValueError: no)")


def test_lines_go_to_standard_error_where_a_program_has_set_nothing_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @component
    async def station(inbox: Any, outbox: Any) -> None:
        async for degrees in inbox:
            log.info("%d", degrees)
            if degrees > 40:
                log.warning("%d degrees", degrees)

    with bare():
        end = log_lines()
        run(Source([20, 45]) | Map(int) | station())
        end()
        log.warning("as before")
    first, second = capsys.readouterr().err.splitlines()
    found = LINE.fullmatch(first)
    assert found is not None
    assert found.groups() == ("WARNING", "Pipeline/station", "45 degrees")
    assert second == "as before"


@pytest.mark.one_core
@pytest.mark.parametrize("first", [True, False])
def test_a_program_that_sets_logging_up_does_not_notice(first: bool) -> None:
    stream = io.StringIO()
    with bare():
        if first:
            logging.basicConfig(stream=stream, format="mine: %(message)s")
        end = log_lines()
        if not first:
            logging.basicConfig(stream=stream, format="mine: %(message)s")
        log.warning("hot")
        end()
    assert stream.getvalue() == "mine: hot\n"


@pytest.mark.one_core
def test_without_standard_error_nothing_is_written_and_nothing_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bare():
        monkeypatch.setattr(sys, "stderr", None)
        end = log_lines()
        log.warning("into the void")
        end()
